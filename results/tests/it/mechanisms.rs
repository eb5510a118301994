//! Tables whose rows are mechanisms.

use sparta_results::overview::{Overview, RunFiles};
use sparta_results::render::{Layout, MechanismTable, mechanisms};
use sparta_results::{Baseline, Condition, Expected, Metric, ReportOptions, RunRecord};

use crate::support::{AP, run};

/// A scored model of a mechanism with what it cost.
fn of(variant: &str, condition: Condition, p: Option<f64>, seed: u64, value: f64) -> RunRecord {
    let mut record = run(condition, p, seed, value);
    record.id = format!("{}-{variant}", record.id).replace(['(', ')', '='], "-");
    record.variant = Some(variant.into());
    record.paper = None;
    record.parameters = Some(120_000 + variant.len() as u64);
    record.peak_gigabytes = Some(0.25 * seed as f64);
    record.tokens_per_second = Some(1000.0 * seed as f64);
    record.observed = [("support".to_owned(), 3.5), ("density %".to_owned(), 12.25)].into();
    record
}

fn records() -> Vec<RunRecord> {
    vec![
        run(Baseline::Trigram, None, 1, 101.5),
        of("softmax", Condition::Dense, None, 1, 95.0),
        of("softmax", Condition::Dense, Some(0.0), 1, 90.0),
        of("softmax", AP, Some(60.0), 1, 92.0),
        of("rfa(m=4)", Condition::Dense, Some(0.0), 1, 104.5),
        of("rfa(m=4)", Condition::Dense, Some(0.0), 3, 106.5),
    ]
}

fn expected(variant: &str, condition: Condition, p: f64) -> Expected {
    Expected {
        row: "small".into(),
        variant: Some(variant.into()),
        condition,
        p: Some(p),
        seed: 1,
        command: "lm reproduce".into(),
    }
}

fn all_expected() -> Vec<Expected> {
    vec![
        expected("softmax", Condition::Dense, 0.0),
        expected("softmax", AP, 60.0),
        expected("rfa(m=4)", Condition::Dense, 0.0),
        expected("entmax15", Condition::Dense, 0.0),
    ]
}

fn table(records: &[RunRecord]) -> MechanismTable {
    let options = ReportOptions {
        title: "related: mechanisms".into(),
        expected: all_expected(),
        is_mixed: false,
    };
    mechanisms(records, &options).unwrap()
}

/// On the page and in REPORT.csv each mechanism at p = 0 was compared with itself: no change in any.
#[test]
fn every_list_of_scores_has_the_changes_of_the_table() {
    let run = RunFiles {
        folder: "related".into(),
        records: records(),
        title: "related: mechanisms".into(),
        layout: Layout::Mechanisms,
        expected: all_expected(),
        figures: Vec::new(),
        documents: Vec::new(),
        notes: Vec::new(),
    };
    let page = Overview::new("Results", vec![run], false).unwrap();
    let changes = page.tables[0].scores.iter().filter_map(|of| of.change);
    let mut found: Vec<String> = changes.map(|change| format!("{change:+.2} %")).collect();
    let rows = table(&records()).table().rows;
    let cells = rows.iter().map(|row| row[2].clone());
    let mut expected: Vec<String> = cells.filter(|cell| cell != "–").collect();
    found.sort();
    expected.sort();
    assert_eq!(expected.len(), 4);
    assert_eq!(found, expected);
    let html = page.html();
    assert_eq!(html.matches(">Δ softmax<").count(), 2, "{html}");
    assert_eq!(html.matches(">+10.00 %<").count(), 2, "{html}");
}

#[test]
fn each_mechanism_has_a_row_with_its_cost_and_what_is_watched() {
    let table = table(&records());
    insta::assert_snapshot!(table.markdown());
    insta::assert_snapshot!(table.csv().unwrap());
    assert!(table.latex().contains("rfa(m=4)"));
    assert!(
        table.terminal(None).contains("120,008"),
        "{}",
        table.terminal(None)
    );
}

/// Translation names mechanisms in the rows of its records, and has no variants.
#[test]
fn rows_of_records_are_mechanisms_where_there_are_no_variants() {
    let mut records = records();
    for record in &mut records {
        if let Some(variant) = record.variant.take() {
            record.row = variant;
        }
        record.metric = Metric::Bleu;
        record.value = Some(12.0);
    }
    let options = ReportOptions::default();
    let table = mechanisms(&records, &options).unwrap();
    let names: Vec<&str> = table.lines.iter().map(|line| line.name.as_str()).collect();
    let expected = [
        "rfa(m=4)",
        "softmax",
        "softmax, trained on without a mask",
        "softmax, AP p = 60 %",
        "trigram, Kneser–Ney",
    ];
    assert_eq!(names, expected);
    assert_eq!(table.columns.len(), 1);
}

#[test]
fn scores_of_several_tasks_have_a_column_each() {
    let mut records = records();
    let mut other = records[1].clone();
    other.id += "-other";
    other.row = "other".into();
    other.value = Some(70.0);
    records.push(other);
    let table = table(&records);
    let heads: Vec<String> = table
        .table()
        .columns
        .into_iter()
        .map(|of| of.name)
        .collect();
    assert!(
        heads.contains(&"other, perplexity ↓".to_owned()),
        "{heads:?}"
    );
    assert!(
        heads.contains(&"small, perplexity ↓".to_owned()),
        "{heads:?}"
    );
}

#[test]
fn the_files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let files = table(&records()).write(folder.path()).unwrap();
    let names: Vec<String> = files
        .iter()
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["TABLE.md", "TABLE.csv", "TABLE.svg"]);
    let plot = std::fs::read_to_string(&files[2]).unwrap();
    for words in ["rfa(m=4)", "memory of training", "tokens/s of training"] {
        assert!(plot.contains(words), "{words}");
    }
}

#[test]
fn what_a_record_says_of_cost_is_kept_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = of("softmax", Condition::Dense, Some(0.0), 1, 90.0);
    let path = record.save(folder.path()).unwrap();
    assert_eq!(RunRecord::load(&path).unwrap(), record);
    record.observed.insert("support".into(), f64::NAN);
    let error = record.save(folder.path()).unwrap_err().to_string();
    assert!(error.contains("observed"), "{error}");
}

/// Whatever the order in which runs are made: models under masks come last there.
#[test]
fn rows_of_a_part_of_the_attention_stand_behind_their_mechanism() {
    let row = |name: &str, condition, p, value| {
        let mut record = of("softmax", condition, p, 1, value);
        record.id = format!("{}-{}", record.id, name.len());
        record.variant = None;
        record.row = name.into();
        record
    };
    let part = "softmax, self-attention";
    let records = [
        row("softmax", Condition::Dense, None, 30.0),
        row("rfa(m=4)", Condition::Dense, None, 29.0),
        row(part, AP, Some(60.0), 28.0),
    ];
    let expected = records.each_ref().map(|record| Expected {
        row: record.row.clone(),
        variant: None,
        condition: record.condition,
        p: record.p_nominal,
        seed: 1,
        command: String::new(),
    });
    let options = ReportOptions {
        title: "related: mechanisms".into(),
        expected: expected.into(),
        is_mixed: false,
    };
    let table = mechanisms(&records, &options).unwrap();
    let names: Vec<&str> = table.lines.iter().map(|line| line.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "softmax",
            "softmax, self-attention, AP p = 60 %",
            "rfa(m=4)"
        ]
    );
}
