//! All tables of several runs in one place.

use sparta_results::overview::{Format, Overview, RunFiles};
use sparta_results::render::Layout;
use sparta_results::{Baseline, Condition, Expected, Metric, RunRecord};

use crate::support::{AP, run, table};

/// A run folder of the table of tests.
fn files(folder: &str, records: Vec<RunRecord>) -> RunFiles {
    RunFiles {
        folder: folder.into(),
        records,
        title: "lm: test <perplexity> & more".into(),
        layout: Layout::P,
        expected: Vec::new(),
        figures: vec!["TABLE.svg".into(), "figures/density.svg".into()],
        documents: vec!["TABLE.md".into()],
        notes: Vec::new(),
    }
}

fn overview(runs: Vec<RunFiles>) -> Overview {
    Overview::new("Results: runs", runs, false).unwrap()
}

#[test]
fn seeds_of_one_recipe_are_joined_and_recipes_are_not() {
    let seed = |seed: u64, value: f64| vec![run(Condition::Dense, Some(0.0), seed, value)];
    let mut other = seed(1, 50.0);
    other[0].recipe_hash = "fedcba9876543210".into();
    let joined = overview(vec![
        files("a", seed(1, 90.0)),
        files("b", other),
        files("c", seed(2, 92.0)),
    ]);
    let tables: Vec<Vec<&str>> = joined
        .tables
        .iter()
        .map(|table| table.runs.iter().map(|run| run.folder.as_str()).collect())
        .collect();
    assert_eq!(tables, [vec!["a", "c"], vec!["b"]]);
    let score = &joined.tables[0].scores[0];
    assert_eq!(
        (score.n, score.mean, score.sd),
        (2, 91.0, Some(2f64.sqrt()))
    );
    assert_eq!(joined.tables[1].scores[0].mean, 50.0);
    let html = joined.html();
    assert!(html.contains("91.000 ± 1.414 (2)"), "{html}");
}

/// The later of two runs of the same seed counts, and the page says on which device the other one was.
#[test]
fn the_same_seed_on_another_device_is_no_evidence_of_spread() {
    let first = run(Condition::Dense, Some(0.0), 1, 90.0);
    let mut second = RunRecord {
        device: "cuda:0".into(),
        ..run(Condition::Dense, Some(0.0), 1, 90.5)
    };
    second.finished = Some(1_700_009_999);
    let page = overview(vec![files("a", vec![first]), files("b", vec![second])]);
    let score = &page.tables[0].scores[0];
    assert_eq!((score.n, score.mean), (1, 90.5));
    let note = "Left out because a later run has the same seeds: small-none-p0-s1-m0 on flex.";
    assert!(page.html().contains(note), "{}", page.html());
}

#[test]
fn different_signatures_never_share_a_column() {
    let mut records = table();
    let mut other = run(Condition::Dense, Some(0.0), 1, 12.25);
    other.signature =
        "PPL|unit:word|corpus:wt2|split:test|tgt:64|mem:64|vocab:9|unk:counted|n:9".into();
    other.id = "other".into();
    records.push(other);
    let page = overview(vec![files("a", records)]);
    let html = page.html();
    // The table as printed, and the list of scores.
    for part in html.split("<table").skip(1) {
        assert!(
            !(part.contains("12.250") && part.contains("90.000")),
            "{part}"
        );
    }
    assert_eq!(html.matches("corpus:wt2").count(), 2);
}

#[test]
fn the_page_escapes_text_and_links_by_relative_paths() {
    let mut record = run(Condition::Dense, Some(0.0), 1, 90.0);
    record.row = "<script>alert(1)</script>".into();
    let html = overview(vec![files("my runs/a&b", vec![record])]).html();
    assert!(!html.contains("<script>"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(html.contains("lm: test &lt;perplexity&gt; &amp; more"));
    assert!(html.contains("<img src=\"my%20runs/a%26b/figures/density.svg\""));
    for outside in [
        "http://", "https://", "<script", "src=\"/", "href=\"/", "@import",
    ] {
        assert!(!html.contains(outside), "`{outside}` in {html}");
    }
    let is_balanced = |tag: &str| {
        let n_open =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        n_open == html.matches(&format!("</{tag}>")).count()
    };
    for tag in [
        "section", "table", "tr", "td", "th", "figure", "details", "p", "div", "a", "code",
    ] {
        assert!(is_balanced(tag), "{tag}");
    }
}

#[test]
fn every_score_says_where_it_comes_from() {
    let mut records = table();
    records[5]
        .versions
        .insert("commit".into(), "0123456789abcdef".into());
    let page = overview(vec![files("a", records)]);
    let html = page.html();
    for part in [
        "01234567",
        "flex",
        "2 min",
        "2023-11-14",
        "+2.00 %",
        "25.115",
        "ours − paper",
    ] {
        assert!(html.contains(part), "`{part}` is not in {html}");
    }
    assert_eq!(html, overview(vec![files("a", table_with_commit())]).html());
}

fn table_with_commit() -> Vec<RunRecord> {
    let mut records = table();
    records[5]
        .versions
        .insert("commit".into(), "0123456789abcdef".into());
    records.reverse();
    records
}

#[test]
fn missing_runs_come_with_their_command() {
    let expected = |seed, folder: &str| Expected {
        row: "small".into(),
        variant: None,
        condition: AP,
        p: Some(80.0),
        seed,
        command: format!("lm reproduce --out {folder} --resume"),
    };
    let with = |folder: &str, seeds: &[u64]| RunFiles {
        expected: seeds.iter().map(|&seed| expected(seed, folder)).collect(),
        ..files(folder, vec![run(AP, Some(80.0), 1, 91.0)])
    };
    let mut second = with("b", &[1, 2]);
    second.records.clear();
    second
        .records
        .push(run(Condition::Dense, Some(0.0), 1, 90.0));
    let page = overview(vec![with("a", &[1, 2]), second]);
    // Seed 1 is there, seed 2 is missing, and one command is enough.
    let commands: Vec<&str> = page.tables[0]
        .missing
        .iter()
        .map(|of| of.command.as_str())
        .collect();
    assert_eq!(commands, ["lm reproduce --out a --resume"]);
    assert!(
        page.html()
            .contains("make it with <code>lm reproduce --out a --resume</code>")
    );
    // A folder without a record waits.
    let waiting = RunFiles {
        notes: vec!["type `lm --out c`".into()],
        ..files("c", Vec::new())
    };
    let page = overview(vec![with("a", &[1]), waiting.clone()]);
    assert_eq!(
        page.waiting,
        ["c has no completed run yet; type `lm --out c`"]
    );
    assert!(page.html().contains("type <code>lm --out c</code>"));
    let error = Overview::new("none", vec![waiting], false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no completed run"), "{error}");
}

#[test]
fn the_forms_hold_the_same_numbers() {
    let page = overview(vec![files("a", table())]);
    let csv = page.text(Format::Csv).unwrap();
    let lines: Vec<csv::StringRecord> = csv::Reader::from_reader(csv.as_bytes())
        .into_records()
        .map(Result::unwrap)
        .collect();
    assert_eq!(lines.len(), page.tables[0].scores.len());
    let ap = lines
        .iter()
        .find(|line| &line[4] == "80" && &line[7] == "ap")
        .unwrap();
    assert_eq!((&ap[9], &ap[13], &ap[14]), ("91.8", "2", "25.115"));
    let random = lines
        .iter()
        .find(|line| &line[4] == "80" && &line[7] == "random")
        .unwrap();
    assert_eq!((&random[9], &random[10]), ("95", "1"));
    // Three masks of one seed.
    assert!(csv.lines().next().unwrap().contains(",sd,n_runs,n_seeds,"));
    assert_eq!((&random[11], &random[12]), ("3", "1"));
    // The published masks are not random.
    assert_eq!((&random[14], &random[16]), ("", ""));
    let json: serde_json::Value = serde_json::from_str(&page.text(Format::Json).unwrap()).unwrap();
    let scores = json["tables"][0]["scores"].as_array().unwrap();
    assert_eq!(scores.len(), lines.len());
    let of = |score: &&serde_json::Value| score["p_nominal"] == 80.0 && score["mask"] == "ap";
    let score = scores.iter().find(of).unwrap();
    assert_eq!(
        (score["mean"].as_f64(), score["n"].as_u64()),
        (Some(91.8), Some(1))
    );
    assert_eq!(score["paper"]["corpus"], "WikiText-103");
    assert_eq!(
        json["tables"][0]["runs"][0]["figures"][1],
        "figures/density.svg"
    );
    let latex = page.text(Format::Latex).unwrap();
    assert!(
        latex.contains("\\toprule") && latex.contains("91.800"),
        "{latex}"
    );
    // Everything else is a comment.
    let mut in_table = false;
    for line in latex.lines() {
        in_table |= line.starts_with("\\begin{tabular}");
        assert!(
            in_table || line.is_empty() || line.starts_with('%'),
            "{line}"
        );
        in_table &= !line.starts_with("\\end{tabular}");
    }
    let markdown = page.text(Format::Markdown).unwrap();
    assert!(markdown.contains("# lm: test <perplexity> & more") && markdown.contains("91.800"));
}

#[test]
fn a_file_that_is_not_ours_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let page = overview(vec![files("a", table())]);
    let all = [
        Format::Html,
        Format::Markdown,
        Format::Latex,
        Format::Csv,
        Format::Json,
    ];
    let written = page.write(folder.path(), &all).unwrap();
    assert_eq!(written.len(), 5);
    assert_eq!(page.write(folder.path(), &all).unwrap(), written);
    let path = folder.path().join("index.html");
    std::fs::write(&path, "<p>my home page</p>").unwrap();
    std::fs::remove_file(folder.path().join("REPORT.md")).unwrap();
    let error = page.write(folder.path(), &all).unwrap_err().to_string();
    assert!(
        error.contains("index.html") && error.contains("not overwritten"),
        "{error}"
    );
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "<p>my home page</p>"
    );
    // Nothing was written beside it.
    assert!(!folder.path().join("REPORT.md").exists());
}

/// The csv of an earlier version, without `n_runs` and what came later.
#[test]
fn the_csv_of_an_earlier_report_is_ours() {
    let folder = tempfile::tempdir().unwrap();
    let page = overview(vec![files("a", table())]);
    let path = folder.path().join("REPORT.csv");
    let head = "table,recipe_hash,row,variant,p_nominal,p_effective,p_token_weighted,mask,metric,value,sd,n_seeds,change,\
                paper,paper_corpus,paper_change,signature,seconds,tokens_per_second,devices,attention,commits\n";
    std::fs::write(&path, head).unwrap();
    page.write(folder.path(), &[Format::Csv]).unwrap();
    let csv = page.text(Format::Csv).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), csv);
    std::fs::write(&path, "table,row\n").unwrap();
    page.write(folder.path(), &[Format::Csv]).unwrap_err();
}

/// Changes of a baseline or of a dense checkpoint would say nothing: they have no p.
#[test]
fn baselines_have_no_change() {
    let page = overview(vec![files("a", table())]);
    let of = |mask: &str| {
        page.tables[0]
            .scores
            .iter()
            .find(|score| score.mask == mask)
            .unwrap()
    };
    assert_eq!(of("trigram").change, None);
    assert_eq!(of("trigram").metric, Metric::Perplexity);
    assert_eq!(of(Baseline::Bigram.as_str()).p_nominal, None);
    assert_eq!(of("none").change, None);
}
