//! Claims judged by records.

use sparta_results::evidence::{
    Claim, FigureClaim, Verdict, claims_markdown, judge, missing_runs, parse,
};
use sparta_results::{COMMIT, RunRecord};

use crate::support::{AP, random, run};

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
        let judged = judge(&claims, &records, &[], false);
        assert_eq!(judged[0].verdict, expected, "{bound}");
        assert_eq!(judged[0].evidence[0].seeds, [1, 2, 3]);
        let interval = judged[0].evidence[0].interval;
        assert!((interval.mean - 3.0).abs() < 1e-12);
    }
    let claims = claim("at_least = 1", "percent");
    let judged = judge(&claims, &records, &[], false);
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
        let judged = judge(&claims, records, &[], is_mixed);
        (
            judged[0].verdict,
            judged[0].note.clone().unwrap_or_default(),
        )
    };
    let one: Vec<RunRecord> = runs().into_iter().filter(|of| of.seed == 1).collect();
    let (verdict, said) = note(&one, false);
    assert_eq!(verdict, Verdict::CannotBeTold);
    assert!(said.contains("one seed"), "{said}");
    let judged = judge(&claims, &one, &[], false);
    assert_eq!(
        missing_runs(&judged),
        [("lm --seeds 1,2".to_owned(), vec!["a".to_owned()])]
    );
    assert!(claims_markdown(&judged).contains("1 cannot be told"));
    // A seed that only one of both has is no pair.
    let mut records = runs();
    records.retain(|of| !(of.seed == 3 && of.condition == AP));
    assert_eq!(
        judge(&claims, &records, &[], false)[0].evidence[0].seeds,
        [1, 2]
    );
    let mut records = runs();
    records[0]
        .versions
        .insert(COMMIT.to_owned(), "abc".to_owned());
    let (verdict, said) = note(&records, false);
    assert_eq!(verdict, Verdict::CannotBeTold);
    assert!(said.contains("--mixed"), "{said}");
    assert_eq!(note(&records, true).0, Verdict::Holds);
    records[0].recipe_hash = "0".repeat(64);
    assert!(note(&records, true).1.contains("several recipes"));
    let mut records = runs();
    records[0].signature += "|other:1";
    assert!(note(&records, true).1.contains("protocols"));
    assert_eq!(note(&[], false).0, Verdict::NoRuns);
}

#[test]
fn figures_hold_where_every_run_says_so() {
    let text = "[[claim]]\nid = \"a\"\nsays = \"s\"\nsource = \"p\"\ncommand = \"iwslt\"\ntable = \"t\"\nfigure = \"f\"\n";
    let claims = parse(text).unwrap();
    let verdict = |holds: &[Option<bool>]| {
        let figure = |&holds: &Option<bool>| FigureClaim {
            table: "t".to_owned(),
            claim: "f".to_owned(),
            holds,
        };
        let figures: Vec<FigureClaim> = holds.iter().map(figure).collect();
        judge(&claims, &[], &figures, false)[0].verdict
    };
    assert_eq!(verdict(&[Some(true), Some(true)]), Verdict::Holds);
    assert_eq!(verdict(&[Some(false), Some(false)]), Verdict::DoesNot);
    assert_eq!(verdict(&[Some(true), Some(false)]), Verdict::CannotBeTold);
    assert_eq!(verdict(&[Some(true), None]), Verdict::CannotBeTold);
    assert_eq!(verdict(&[Some(true)]), Verdict::CannotBeTold);
    assert_eq!(verdict(&[]), Verdict::NoRuns);
}
