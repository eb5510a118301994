//! Claims judged by records.

use sparta_results::evidence::{
    Claim, Counted, FigureClaim, RunLinks, Verdict, claims_markdown, judge, missing_runs, parse,
};
use sparta_results::{COMMIT, RunRecord, TRAINED_BY};

use crate::support::{AP, random, run};

fn mixed(is_mixed: bool) -> Counted {
    Counted {
        is_mixed,
        ..Counted::default()
    }
}

fn claim(bound: &str, unit: &str) -> Vec<Claim> {
    parse(&format!(
        "[[claim]]\nid = \"a\"\nsays = \"s\"\nsource = \"p\"\ncommand = \"lm --seeds 1,2\"\ntable = \"lm\"\n\
         metric = \"perplexity\"\nunit = \"{unit}\"\n{bound}\nevery = [[{{ mask = \"random\", p = 80 }}, {{ p = 80 }}]]\n"
    ))
    .unwrap()
}

/// Differences of 2, 3 and 4, whose mean is 3 and whose interval is 0.52 to 5.48.
fn runs() -> Vec<RunRecord> {
    let pairs = [(1, 10.0, 12.0), (2, 11.0, 14.0), (3, 10.0, 14.0)];
    let both = |&(seed, ap, cells): &(u64, f64, f64)| {
        [
            run(AP, Some(80.0), seed, ap),
            // Two draws of a seed are one value, their mean.
            run(random(1), Some(80.0), seed, cells - 0.5),
            run(random(2), Some(80.0), seed, cells + 0.5),
        ]
    };
    pairs.iter().flat_map(both).collect()
}

#[test]
fn a_verdict_is_where_the_whole_interval_lies() {
    let records = runs();
    for (bound, expected) in [
        ("at_least = 0.5", Verdict::Holds),
        ("at_least = 1.0", Verdict::CannotBeTold),
        ("at_least = 6.0", Verdict::DoesNot),
        ("at_most = 5.5", Verdict::Holds),
        ("at_most = 3.0", Verdict::CannotBeTold),
        ("at_most = 0.5", Verdict::DoesNot),
    ] {
        let claims = claim(bound, "points");
        let judged = judge(&claims, &records, &[], &Counted::default());
        assert_eq!(judged[0].verdict, expected, "{bound}");
        assert_eq!(judged[0].evidence[0].seeds, [1, 2, 3]);
        let interval = judged[0].evidence[0].interval;
        assert!((interval.mean - 3.0).abs() < 1e-12);
    }
    let claims = claim("at_least = 1", "percent");
    let judged = judge(&claims, &records, &[], &Counted::default());
    let mean = judged[0].evidence[0].interval.mean;
    assert!(
        (mean - (20.0 + 300.0 / 11.0 + 40.0) / 3.0).abs() < 1e-9,
        "{mean}"
    );
}

#[test]
fn one_seed_other_builds_and_missing_runs_tell_nothing() {
    let claims = claim("at_least = 0.5", "points");
    let note = |records: &[RunRecord], is_mixed: bool| {
        let judged = judge(&claims, records, &[], &mixed(is_mixed));
        (
            judged[0].verdict,
            judged[0].note.clone().unwrap_or_default(),
        )
    };
    let one: Vec<RunRecord> = runs().into_iter().filter(|of| of.seed == 1).collect();
    let (verdict, said) = note(&one, false);
    assert_eq!(verdict, Verdict::CannotBeTold);
    assert!(said.contains("one seed"), "{said}");
    let judged = judge(&claims, &one, &[], &Counted::default());
    assert_eq!(
        missing_runs(&judged),
        [("lm --seeds 1,2".to_owned(), vec!["a".to_owned()])]
    );
    assert!(claims_markdown(&judged, &RunLinks::default()).contains("1 cannot be told"));
    // A seed that only one of both has is no pair.
    let mut records = runs();
    records.retain(|of| !(of.seed == 3 && of.condition == AP));
    assert_eq!(
        judge(&claims, &records, &[], &Counted::default())[0].evidence[0].seeds,
        [1, 2]
    );
    let mut records = runs();
    for record in records.iter_mut().filter(|of| of.seed == 1) {
        record.versions.insert(COMMIT.to_owned(), "abc".to_owned());
    }
    let (verdict, said) = note(&records, false);
    assert_eq!(verdict, Verdict::CannotBeTold);
    assert!(said.contains("--mixed"), "{said}");
    assert_eq!(note(&records, true).0, Verdict::Holds);
    let mut records = runs();
    records[0].signature += "|other:1";
    assert!(note(&records, true).1.contains("protocols"));
    assert_eq!(note(&[], false).0, Verdict::NoRuns);
}

/// Whatever a folder is called.
#[test]
fn claims_link_to_their_records() {
    let claims = claim("at_least = 0.5", "points");
    let records = runs();
    let judged = judge(&claims, &records, &[], &Counted::default());
    for (folder, link) in [
        ("../lm-small", "[lm-small](../lm-small/records)"),
        ("runs/a (b)", "[a (b)](runs/a%20%28b%29/records)"),
        ("runs/50%#1?", "[50%#1?](runs/50%25%231%3F/records)"),
    ] {
        let hash = records[0].recipe_hash.clone();
        let links = RunLinks::from([(("lm".to_owned(), hash), vec![folder.to_owned()])]);
        let page = claims_markdown(&judged, &links);
        assert!(page.contains(link), "{link} is not in {page}");
    }
}

/// A claim is judged by the runs of one recipe that have what it compares: of several by the shipped one, if it is among them.
#[test]
fn of_several_recipes_one_that_has_both_cells_counts() {
    let claims = claim("at_least = 0.5", "points");
    let other = |records: Vec<RunRecord>| {
        let changed = |of| RunRecord {
            recipe_hash: "0".repeat(64),
            ..of
        };
        records.into_iter().map(changed).collect::<Vec<_>>()
    };
    let told = |records: &[RunRecord], own_recipe: &[&str]| {
        let own = |of: &&str| ("a".to_owned(), (*of).to_owned());
        let counted = Counted {
            own: own_recipe.iter().map(own).collect(),
            is_mixed: false,
        };
        let judged = judge(&claims, records, &[], &counted);
        let note = judged[0].note.clone().unwrap_or_default();
        (judged[0].verdict, note, judged[0].evidence.len())
    };
    let own = runs()[0].recipe_hash.clone();
    // A run that has begun with another recipe takes nothing from a finished one, shipped or not.
    let mut records = other(runs());
    records.retain(|of| of.condition == AP);
    records.extend(runs());
    let (verdict, note, _) = told(&records, &[&own]);
    assert_eq!((verdict, note.as_str()), (Verdict::Holds, ""));
    let (verdict, note, _) = told(&records, &[&"0".repeat(64)]);
    assert_eq!(verdict, Verdict::Holds);
    assert!(note.starts_with("by another recipe ("), "{note}");
    let mut both = other(runs());
    both.extend(runs());
    let (verdict, note, n) = told(&both, &[]);
    assert_eq!((verdict, n), (Verdict::CannotBeTold, 0));
    assert!(note.contains("several recipes (00000000, "), "{note}");
    let (verdict, note, _) = told(&both, &[&own]);
    assert_eq!(verdict, Verdict::Holds);
    assert!(
        note.contains("changed recipes (00000000) are left out"),
        "{note}"
    );
}

/// Two scores of one model are no mean: the later one counts, as in tables.
#[test]
fn of_two_runs_of_a_seed_the_later_counts() {
    let claims = claim("at_least = 0.5", "points");
    let mut records = runs();
    let later: Vec<RunRecord> = runs()
        .into_iter()
        .filter(|of| of.condition != AP)
        .map(|of| RunRecord {
            value: of.value.map(|value| value + 100.0),
            finished: of.finished.map(|at| at + 9),
            ..of
        })
        .collect();
    records.splice(0..0, later);
    for _ in 0..2 {
        // Whatever the order in which they are named.
        records.reverse();
        let judged = judge(&claims, &records, &[], &Counted::default());
        let mean = judged[0].evidence[0].interval.mean;
        assert!((mean - 103.0).abs() < 1e-9, "{mean}");
        let note = judged[0].note.as_deref().unwrap_or_default();
        assert!(
            note.contains("seed 2 has runs of different scores"),
            "{note}"
        );
    }
}

/// A pair is of one build, and what one build has of a seed is no reason to leave out what another has of it whole.
#[test]
fn pairs_are_of_one_build() {
    let claims = claim("at_least = 0.5", "points");
    let mut records = runs();
    for record in runs().into_iter().filter(|of| of.condition == AP) {
        let versions = [(COMMIT.to_owned(), "later".to_owned())].into();
        records.push(RunRecord {
            value: Some(1000.0),
            finished: record.finished.map(|at| at + 9),
            versions,
            ..record
        });
    }
    for is_mixed in [false, true] {
        let judged = judge(&claims, &records, &[], &mixed(is_mixed));
        assert_eq!(judged[0].verdict, Verdict::Holds);
        let mean = judged[0].evidence[0].interval.mean;
        assert!((mean - 3.0).abs() < 1e-9, "{mean}");
    }
}

/// Seeds that lack a cell, and runs that diverged, are named.
#[test]
fn what_is_left_out_is_said() {
    let claims = claim("at_least = 0.5", "points");
    let mut records = runs();
    for record in &mut records {
        if record.seed == 3 && record.condition == AP {
            record.status = sparta_results::Status::Diverged;
            record.value = None;
            // The one record of a model that diverged is of one of its scores.
            record.metric = sparta_results::metric::Metric::Accuracy;
        }
    }
    let judged = judge(&claims, &records, &[], &Counted::default());
    let note = judged[0].note.as_deref().unwrap_or_default();
    for said in ["seed 3 is left out: it has no ap p=80", "seed 3 diverged ("] {
        assert!(note.contains(said), "{said}: {note}");
    }
    assert_eq!(judged[0].evidence[0].seeds, [1, 2]);
    // Without it the two others hold: seeds that diverge are not left out by chance.
    assert_eq!(judged[0].verdict, Verdict::CannotBeTold);
    let without: Vec<RunRecord> = (records.iter())
        .filter(|of| of.status == sparta_results::Status::Completed)
        .cloned()
        .collect();
    let wide = claim("at_least = -20", "points");
    let verdict =
        |records: &[RunRecord]| judge(&wide, records, &[], &Counted::default())[0].verdict;
    assert_eq!(verdict(&without), Verdict::Holds);
    assert_eq!(verdict(&records), Verdict::CannotBeTold);
    // A model that was trained again and did not is there.
    records.push(run(AP, Some(80.0), 3, 10.0));
    assert_eq!(verdict(&records), Verdict::Holds);
    // Of a dense model that diverged nothing is made, and its record is of another row or mask.
    let mut dense = run(sparta_results::Condition::Dense, None, 3, 1.0);
    dense.status = sparta_results::Status::Diverged;
    dense.value = None;
    dense.row = "another".to_owned();
    let mut records: Vec<RunRecord> = runs().into_iter().filter(|of| of.seed < 3).collect();
    assert_eq!(verdict(&records), Verdict::Holds);
    records.push(dense);
    assert_eq!(verdict(&records), Verdict::CannotBeTold);
}

/// The build of a model is that which trained it, too, and what another device adds to a difference is said.
#[test]
fn pairs_tell_what_trained_their_models() {
    let claims = claim("at_least = 0.5", "points");
    let told = |records: &[RunRecord]| {
        let judged = judge(&claims, records, &[], &Counted::default());
        let note = judged[0].note.clone().unwrap_or_default();
        (judged[0].verdict, note)
    };
    let mut records = runs();
    for record in &mut records {
        record.versions.insert(COMMIT.into(), "bbbbbbb".into());
    }
    assert_eq!(told(&records).0, Verdict::Holds);
    for record in records.iter_mut().filter(|of| of.condition == AP) {
        record.versions.insert(TRAINED_BY.into(), "aaaaaaa".into());
    }
    let (verdict, note) = told(&records);
    assert_eq!(verdict, Verdict::NoRuns);
    assert!(note.contains("by one build"), "{note}");
    let together = judge(&claims, &records, &[], &mixed(true));
    assert_eq!(together[0].verdict, Verdict::Holds);
    assert_eq!(together[0].evidence[0].seeds, [1, 2, 3]);
    for record in records.iter_mut().filter(|of| of.seed == 1) {
        record.versions.insert(TRAINED_BY.into(), "aaaaaaa".into());
    }
    let (_, note) = told(&records);
    assert!(note.contains("one seed has no interval"), "{note}");

    let mut records = runs();
    for record in (records.iter_mut()).filter(|of| of.condition == AP && of.seed == 2) {
        record.device = "cuda:0".into();
    }
    let (verdict, note) = told(&records);
    assert_eq!(verdict, Verdict::Holds);
    let own = &runs()[0].device;
    let said = format!("seed 2 compares runs of different devices (cuda:0, {own})");
    assert!(note.contains(&said), "{note}");
}

/// A checkout with changes is another build than one without.
#[test]
fn several_builds_are_named_whole() {
    let claims = claim("at_least = 0.5", "points");
    let mut records = runs();
    for record in &mut records {
        let build = ["3badc1b22442", "3badc1b22442-dirty"][usize::from(record.seed == 3)];
        record.versions.insert(COMMIT.into(), build.into());
    }
    let judged = judge(&claims, &records, &[], &Counted::default());
    let note = judged[0].note.as_deref().unwrap_or_default();
    assert!(
        note.contains("several builds (3badc1b22442, 3badc1b22442-dirty)"),
        "{note}"
    );
}

/// A difference between runs of different data is none of the masks.
#[test]
fn runs_of_different_data_say_nothing_together() {
    let claims = claim("at_least = 0.5", "points");
    let mut records = runs();
    for record in &mut records {
        let hash = ["aa", "bb"][usize::from(record.seed == 3)];
        record.data.insert("train.txt".into(), hash.repeat(32));
    }
    let judged = judge(&claims, &records, &[], &Counted::default());
    assert_eq!(judged[0].verdict, Verdict::CannotBeTold);
    let note = judged[0].note.as_deref().unwrap_or_default();
    assert!(note.contains("different data (`train.txt`"), "{note}");
    // Whether the first record says what it read or not.
    records[0].data.clear();
    records[1].data.clear();
    let judged = judge(&claims, &records, &[], &Counted::default());
    assert_eq!(judged[0].verdict, Verdict::CannotBeTold);
    // A run folder that has files of other tasks too is no other data: the later run of a seed counts.
    let mut more = runs();
    for record in &mut more {
        record.data.insert("train.txt".into(), "aa".repeat(32));
    }
    let mut later = more.clone();
    for record in &mut later {
        record.id += "-later";
        record.data.insert("other.txt".into(), "dd".repeat(32));
        record.finished = record.finished.map(|at| at + 9);
        if record.condition != AP {
            record.value = record.value.map(|value| value + 1.0);
        }
    }
    more.extend(later);
    let judged = judge(&claims, &more, &[], &Counted::default());
    assert!((judged[0].evidence[0].interval.mean - 4.0).abs() < 1e-9);
    let note = judged[0].note.as_deref().unwrap_or_default();
    assert!(note.contains("runs of different scores"), "{note}");
    // One seed on both: two runs of it, and no later one that counts.
    let mut again = runs();
    again.iter_mut().for_each(|of| of.id += "-again");
    for record in again.iter_mut().chain(&mut records) {
        record.data.insert("train.txt".into(), "aa".repeat(32));
    }
    again[0].data.insert("train.txt".into(), "cc".repeat(32));
    records.extend(again);
    let judged = judge(&claims, &records, &[], &Counted::default());
    assert_eq!(judged[0].verdict, Verdict::CannotBeTold);
}

#[test]
fn what_cannot_be_told_says_what_there_is() {
    let note = |text: &str, records: &[RunRecord]| {
        let claims = parse(text).unwrap();
        let judged = judge(&claims, records, &[], &Counted::default());
        let note = judged[0].note.clone().unwrap_or_default();
        (judged[0].verdict, note)
    };
    let text = "[[claim]]\nid = \"a\"\nsays = \"s\"\nsource = \"p\"\ncommand = \"lm\"\ntable = \"lm\"\nmetric = \"perplexity\"\n\
                unit = \"percent\"\nat_least = 1\nevery = [[{ mask = \"random\", p = 80 }, { p = 80 }]]\n";
    let is = |(verdict, note): (Verdict, String), expected: Verdict, words: &str| {
        assert_eq!(verdict, expected, "{note}");
        assert!(note.contains(words), "{words}: {note}");
    };
    let none = Verdict::NoRuns;
    let untold = Verdict::CannotBeTold;
    is(note(text, &[]), none, "no runs were named");
    let other = text.replace("\"lm\"\nmetric", "\"ml\"\nmetric");
    is(
        note(&other, &runs()),
        none,
        "no run is of the table ml; there are lm",
    );
    let other = text.replace("perplexity", "bleu");
    is(note(&other, &runs()), none, "it has perplexity");
    let other = text.replace("{ p = 80 }", "{ p = 60 }");
    is(
        note(&other, &runs()),
        none,
        "no seed has ap p=60; there are ",
    );
    let mut apart = runs();
    apart.retain(|of| (of.seed == 1) == (of.condition == AP));
    is(
        note(text, &apart),
        none,
        "no seed has both random p=80 and ap p=80 by one build",
    );
    let mut zero = runs();
    for record in zero.iter_mut().filter(|of| of.condition == AP) {
        record.value = Some(0.0);
    }
    is(note(text, &zero), untold, "ap p=80 is 0");
    let mut rows = runs();
    let mut second = run(AP, Some(80.0), 1, 10.0);
    second.row = "another".to_owned();
    rows.push(second);
    is(
        note(text, &rows),
        untold,
        "ap p=80 is of several rows (another, ",
    );
}

/// In every one of at least two seeds, of one recipe and build; a copy of a run is no other seed.
#[test]
fn figures_hold_where_every_seed_says_so() {
    let text = "[[claim]]\nid = \"a\"\nsays = \"s\"\nsource = \"p\"\ncommand = \"iwslt\"\ntable = \"t\"\nfigure = \"f\"\n";
    let claims = parse(text).unwrap();
    let figures = |holds: &[Option<bool>]| -> Vec<FigureClaim> {
        let figure = |(seed, &holds): (u64, &Option<bool>)| FigureClaim {
            table: "t".to_owned(),
            recipe_hash: "one".to_owned(),
            commit: Some("c".to_owned()),
            seed,
            claim: "f".to_owned(),
            holds,
        };
        (1..).zip(holds).map(figure).collect()
    };
    let told = |figures: &[FigureClaim], counted: &Counted| {
        let judged = judge(&claims, &[], figures, counted);
        (
            judged[0].verdict,
            judged[0].note.clone().unwrap_or_default(),
        )
    };
    let verdict = |holds: &[Option<bool>]| told(&figures(holds), &Counted::default()).0;
    assert_eq!(verdict(&[Some(true), Some(true)]), Verdict::Holds);
    assert_eq!(verdict(&[Some(false), Some(false)]), Verdict::DoesNot);
    assert_eq!(verdict(&[Some(true), Some(false)]), Verdict::CannotBeTold);
    assert_eq!(verdict(&[Some(true), None]), Verdict::CannotBeTold);
    assert_eq!(verdict(&[Some(true)]), Verdict::CannotBeTold);
    for said in [true, false] {
        let with_a_silent_one = verdict(&[Some(said), Some(said), None]);
        assert_eq!(with_a_silent_one, Verdict::CannotBeTold);
        let mut contradicted = figures(&[Some(said), Some(said), Some(said)]);
        contradicted.push(FigureClaim {
            holds: Some(!said),
            ..contradicted[2].clone()
        });
        let (verdict, note) = told(&contradicted, &Counted::default());
        assert_eq!(verdict, Verdict::CannotBeTold);
        assert!(note.contains("runs of seed 3 contradict"), "{note}");
    }
    assert_eq!(verdict(&[]), Verdict::NoRuns);
    let mut copied = figures(&[Some(true)]);
    copied.extend(figures(&[Some(true)]));
    let (verdict, note) = told(&copied, &Counted::default());
    assert_eq!(verdict, Verdict::CannotBeTold);
    assert!(note.contains("of 1 seeds"), "{note}");
    let mut builds = figures(&[Some(true), Some(true)]);
    builds[1].commit = Some("d".to_owned());
    let (verdict, note) = told(&builds, &Counted::default());
    assert_eq!(verdict, Verdict::CannotBeTold);
    assert!(note.contains("several builds (c, d)"), "{note}");
    assert_eq!(told(&builds, &mixed(true)).0, Verdict::Holds);
    let mut recipes = figures(&[Some(true), Some(true)]);
    recipes[1].recipe_hash = "other".to_owned();
    let (verdict, note) = told(&recipes, &mixed(true));
    assert_eq!(verdict, Verdict::CannotBeTold);
    assert!(note.contains("several recipes"), "{note}");
    let mut wrong = figures(&[Some(true)]);
    wrong[0].claim = "g".to_owned();
    let (verdict, note) = told(&wrong, &Counted::default());
    assert_eq!(verdict, Verdict::NoRuns);
    assert!(note.contains("`f` is none of the claims"), "{note}");
}
