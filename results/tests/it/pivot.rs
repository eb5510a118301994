//! Tables with tasks or measures as columns.

use sparta_results::metric::TaskSignature;
use sparta_results::metric::glue::GlueColumn;
use sparta_results::render::{PivotLayout, mechanisms, pivot, svg};
use sparta_results::{
    Baseline, Condition, Expected, Metric, ReportOptions, ResultsError, RunRecord, paper, report,
};

use crate::support::{AP, ap_blocks, random, run};

fn task(column: GlueColumn, p: f64, seed: u64, value: f64) -> RunRecord {
    of(column.name(), column.metric(), p, seed, value)
}

fn of(row: &str, metric: Metric, p: f64, seed: u64, value: f64) -> RunRecord {
    let signature = TaskSignature::new(metric, &row.to_lowercase(), "dev", 277).unwrap();
    RunRecord {
        id: format!("{row}-{metric}-p{p}-s{seed}"),
        table: "glue".into(),
        row: row.into(),
        recipe_hash: format!("hash-{row}"),
        metric,
        signature: signature.to_string(),
        paper: paper::reference(paper::GLUE, row, p),
        ..run(AP, Some(p), seed, value)
    }
}

fn options(expected: Vec<Expected>) -> ReportOptions {
    ReportOptions {
        title: "GLUE".into(),
        expected,
        is_mixed: false,
    }
}

/// A network that gives every example the most frequent class is in the mean, and a note says so.
#[test]
fn runs_that_score_as_the_most_frequent_class_are_named() {
    use GlueColumn::{Mrpc, Rte};
    let majority = |record: RunRecord| RunRecord {
        id: format!("majority-{}", record.id),
        condition: Baseline::Majority.into(),
        p_nominal: None,
        p_effective: None,
        ..record
    };
    let mut records = vec![
        majority(task(Rte, 0.0, 1, 52.71)),
        majority(task(Mrpc, 0.0, 1, 81.22)),
        majority(of("MRPC", Metric::Accuracy, 0.0, 1, 68.38)),
        // The score of another task's class, and one near its own.
        task(Mrpc, 0.0, 1, 52.71),
        task(Rte, 0.0, 1, 52.72),
    ];
    for seed in 1..=3 {
        records.push(task(
            Rte,
            60.0,
            seed,
            [52.71, 60.0, 52.71][seed as usize - 1],
        ));
    }
    records.push(task(Mrpc, 60.0, 2, 81.22));
    records.push(of("MRPC", Metric::Accuracy, 60.0, 2, 68.38));
    let note = |records: &[RunRecord]| {
        let table = pivot(records, PivotLayout::Glue, &options(Vec::new())).unwrap();
        let is_of = |note: &&String| note.contains("most frequent class, as of");
        table.notes.iter().find(is_of).cloned().unwrap_or_default()
    };
    let found = note(&records);
    assert!(
        found.contains(
            ": MRPC, p = 60 %, ap: seed 2 (accuracy, F1); RTE, p = 60 %, ap: seeds 1, 3 (accuracy). "
        ),
        "{found}"
    );
    let table = pivot(&records, PivotLayout::Glue, &options(Vec::new())).unwrap();
    assert!(table.markdown().contains(&found));

    // Of other data it is another class.
    for record in &mut records {
        let hash = match record.condition {
            Condition::Baseline(_) => "aa",
            Condition::Dense | Condition::Masked(_) => "bb",
        };
        record.data = [("dev.tsv".to_owned(), hash.to_owned())].into();
    }
    assert_eq!(note(&records), "");

    // Tables by p, of several networks, and masks drawn at random.
    let mut records = vec![majority(run(AP, Some(0.0), 1, 50.5))];
    for mask in [1, 2] {
        records.push(run(random(mask), Some(80.0), 7, 50.5));
    }
    for record in &mut records[1..] {
        record.variant = Some("softmax".into());
    }
    let notes = report(&records, &options(Vec::new())).unwrap().notes;
    let wanted = ": small, softmax, p = 80 %, random: seeds 7 (mask 1), 7 (mask 2) (perplexity). ";
    assert!(notes.iter().any(|note| note.contains(wanted)), "{notes:?}");
    let table = mechanisms(&records, &options(Vec::new())).unwrap();
    assert!(table.notes.iter().any(|note| note.contains(wanted)));
}

fn glue_records() -> Vec<RunRecord> {
    use GlueColumn::{Cola, Mrpc, Rte, Stsb};
    let mut records = Vec::new();
    for (column, dense) in [(Rte, 60.0), (Mrpc, 85.0), (Cola, 40.0), (Stsb, 80.0)] {
        for seed in 1..=2 {
            records.push(task(column, 0.0, seed, dense + seed as f64));
            records.push(task(column, 60.0, seed, dense - 2.0 * seed as f64));
        }
    }
    records.push(of("MRPC", Metric::Accuracy, 0.0, 1, 77.0));
    let mut majority = task(Rte, 0.0, 1, 52.71);
    majority.id = "majority".into();
    majority.condition = Baseline::Majority.into();
    (majority.p_nominal, majority.p_effective) = (None, None);
    records.push(majority);
    records
}

#[test]
fn glue_has_a_column_for_each_task() {
    let expected = vec![Expected {
        row: "SST-2".into(),
        variant: None,
        condition: AP,
        p: Some(60.0),
        seed: 1,
        command: "glue sst2".into(),
    }];
    let table = pivot(&glue_records(), PivotLayout::Glue, &options(expected)).unwrap();
    insta::assert_snapshot!(table.markdown());
    assert_eq!(table.missing, ["glue sst2"]);
    let csv = table.csv().unwrap();
    let head = "row,p_nominal,p_effective,mask,metric,value,paper,n_runs,n_seeds,signature\n";
    assert!(csv.starts_with(head), "{csv}");
    assert!(
        csv.contains("MRPC,0,0,ap,accuracy,77,88.77,1,1,accuracy|task:mrpc|split:dev|n:277\n"),
        "{csv}"
    );
    assert!(
        csv.contains("RTE,60,46.787282,ap,accuracy,57,61.37,2,2,"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 1 + 8 + 2);
    assert!(table.latex().contains("\\begin{tabular}{rlrrlrrrrrr}"));
}

/// Masks of blocks have lines of their own between those of cells and of chance.
#[test]
fn masks_of_blocks_have_their_lines_and_averages() {
    let mut records = glue_records();
    for column in [GlueColumn::Rte, GlueColumn::Mrpc] {
        for size in [64, 16] {
            let mut record = task(column, 60.0, 1, size as f64);
            record.id += &format!("-blocks{size}");
            record.condition = ap_blocks(size);
            records.push(record);
        }
    }
    let table = pivot(&records, PivotLayout::Glue, &options(Vec::new())).unwrap();
    let lines: Vec<_> = (table.lines.iter())
        .map(|line| (line.condition, line.p.map(|p| p.get())))
        .collect();
    let of_blocks = |size| (ap_blocks(size), Some(60.0));
    assert_eq!(lines[2..4], [of_blocks(16), of_blocks(64)]);
    let score = |line: usize| table.lines[line].ours.iter().flatten().next().unwrap().mean;
    assert_eq!((score(2), score(3)), (16.0, 64.0));
    assert!(table.lines[2].paper.iter().all(Option::is_none));
    assert!(
        table.markdown().contains("| ap-blocks-64 "),
        "{}",
        table.markdown()
    );
    assert!(
        table
            .csv()
            .unwrap()
            .contains("RTE,60,46.787282,ap-blocks-16,")
    );
}

#[test]
fn the_average_is_over_the_same_columns_and_seeds() {
    let mut records = glue_records();
    let table = pivot(&records, PivotLayout::Glue, &options(Vec::new())).unwrap();
    let column = table.columns.last().unwrap();
    assert_eq!(
        (column.name.as_str(), column.metric),
        ("average of 4", None)
    );
    let dense = table.lines[0].ours.last().unwrap().clone().unwrap();
    assert_eq!((dense.mean, dense.n), (67.75, 2));
    assert!((dense.sd.unwrap() - 0.5_f64.sqrt()).abs() < 1e-12);
    let published = [65.70, 88.77, 57.78, 88.39].iter().sum::<f64>() / 4.0;
    assert!((table.lines[0].paper.last().unwrap().unwrap() - published).abs() < 1e-12);
    assert!(
        !table
            .markdown()
            .contains("those that all of its columns have")
    );
    // One task has another seed, which is not in the average.
    records.push(task(GlueColumn::Rte, 0.0, 3, 63.0));
    let table = pivot(&records, PivotLayout::Glue, &options(Vec::new())).unwrap();
    assert_eq!(table.lines[0].ours.last().unwrap().as_ref(), Some(&dense));
    let note = "The average of 4 (p = 0 %) is over 2 of 3 seeds (1, 2): those that all of its columns have.";
    assert_eq!(table.notes, [note]);
    // What it changes by is told by the seeds that both lines have of every task, not by seeds.
    let unequal = [
        task(GlueColumn::Rte, 0.0, 1, 50.0),
        task(GlueColumn::Rte, 0.0, 2, 90.0),
        task(GlueColumn::Mrpc, 0.0, 1, 50.0),
        task(GlueColumn::Rte, 60.0, 1, 50.0),
        task(GlueColumn::Mrpc, 60.0, 1, 50.0),
        task(GlueColumn::Mrpc, 60.0, 2, 50.0),
    ];
    let text = pivot(&unequal, PivotLayout::Glue, &options(Vec::new()))
        .unwrap()
        .markdown();
    let change = text.lines().find(|line| line.contains("| change")).unwrap();
    let cells: Vec<&str> = change.split('|').map(str::trim).collect();
    assert_eq!(
        cells[cells.len() - 4..],
        ["0.00", "0.00", "0.00", ""],
        "{text}"
    );
    // All nine: the published average stands beside.
    let all: Vec<RunRecord> = GlueColumn::ALL
        .into_iter()
        .map(|column| task(column, 80.0, 1, 50.0))
        .collect();
    let table = pivot(&all, PivotLayout::Glue, &options(Vec::new())).unwrap();
    assert_eq!(table.columns.last().unwrap().name, "average");
    assert_eq!(table.columns.len(), 11);
    assert_eq!(table.lines[0].paper.last().unwrap(), &Some(71.40));
    assert_eq!(table.lines[0].paper[9], None, "WNLI");
}

/// STS-B with one seed beside RTE with three: averages of 64.73 and 63.95 stood over a change of -1.27.
#[test]
fn an_average_its_spread_and_its_change_are_over_the_seeds_of_all_columns() {
    use GlueColumn::{Mrpc, Rte};
    let table = |rte: &[u64], mrpc: &[u64]| {
        // Scores rise with the seed by more than a mask takes, which is the seed.
        let run = |(column, start, slope): (GlueColumn, f64, f64), seed: u64| {
            let dense = start + slope * seed as f64;
            let masked = dense - seed as f64;
            [(0.0, dense), (60.0, masked)].map(|(p, value)| task(column, p, seed, value))
        };
        let of_rte = rte.iter().flat_map(|&seed| run((Rte, 60.0, 10.0), seed));
        let of_mrpc = mrpc.iter().flat_map(|&seed| run((Mrpc, 80.0, 1.0), seed));
        let records: Vec<RunRecord> = of_rte.chain(of_mrpc).collect();
        pivot(&records, PivotLayout::Glue, &options(Vec::new())).unwrap()
    };
    for (mrpc, cells, note) in [
        (
            &[1, 2][..],
            ["78.25 ± 3.89 (2)", "76.75 ± 3.18 (2)", "-1.50"],
            "The average of 2 is over 2 of 3 seeds (1, 2): those that all of its columns have.",
        ),
        (
            &[1][..],
            ["75.50", "74.50", "-1.00"],
            "The average of 2 is over 1 of 3 seeds (1): those that all of its columns have.",
        ),
        (
            &[4][..],
            ["–", "–", "–"],
            "There is no average of 2: its columns share no seed.",
        ),
    ] {
        let table = table(&[1, 2, 3], mrpc);
        let rows = table.table().rows;
        let ours = rows.iter().filter(|row| !row[4].starts_with("paper"));
        let found: Vec<&str> = ours.map(|row| row.last().unwrap().as_str()).collect();
        assert_eq!(found, cells, "{mrpc:?}");
        assert_eq!(table.notes, [note]);
        assert!(table.markdown().contains(note));
    }
}

#[test]
fn other_signatures_and_tasks_have_columns_of_their_own() {
    let mut records = glue_records();
    let mut long = task(GlueColumn::Rte, 0.0, 1, 70.0);
    (long.id, long.signature) = (
        "long".into(),
        "accuracy|task:rte|split:dev|len:384|n:277".into(),
    );
    records.push(long);
    records.push(of("question-sentence", Metric::Accuracy, 0.0, 1, 71.0));
    let table = pivot(&records, PivotLayout::Glue, &options(Vec::new())).unwrap();
    let names: Vec<&str> = table
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "RTE",
            "RTE #2",
            "MRPC",
            "CoLA",
            "STS-B",
            "question-sentence, accuracy"
        ]
    );
    let signatures: Vec<&str> = table.columns.iter().map(|c| c.signature.as_str()).collect();
    assert!(signatures[..2].contains(&"accuracy|task:rte|split:dev|len:384|n:277"));
}

#[test]
fn squad_has_a_line_for_each_kernel_and_keeps_the_place_of_block_sparse() {
    let measures = [
        Metric::ExactMatch,
        Metric::AnswerF1,
        Metric::Seconds,
        Metric::Gigabytes,
    ];
    let mut records = Vec::new();
    for (row, p, values) in [
        ("dense", 0.0, [70.0, 80.0, 100.0, 2.0]),
        ("masked-dense", 90.0, [68.0, 78.5, 110.0, 2.5]),
    ] {
        for (metric, value) in measures.into_iter().zip(values) {
            let mut record = of(row, metric, p, 1, value);
            record.signature = TaskSignature::new(metric, "squad-v1.1", "dev", 2000)
                .unwrap()
                .to_string();
            record.paper = None;
            records.push(record);
        }
    }
    let table = pivot(&records, PivotLayout::Squad, &options(Vec::new())).unwrap();
    insta::assert_snapshot!(table.markdown());
    let rows: Vec<(&str, f64)> = table
        .lines
        .iter()
        .map(|line| (line.row.as_str(), line.p.unwrap().get()))
        .collect();
    assert_eq!(
        rows,
        [
            ("dense", 0.0),
            ("masked-dense", 90.0),
            ("block-sparse", 0.0),
            ("block-sparse", 90.0)
        ]
    );
    assert_eq!(table.lines[0].paper, [None, None, Some(95.80), Some(6.24)]);
    assert_eq!(
        table.lines[3].paper,
        [Some(79.62), Some(87.32), Some(86.44), Some(5.00)]
    );
    let dir = tempfile::tempdir().unwrap();
    let files = table.write(dir.path()).unwrap();
    assert_eq!(files.len(), 3);
    assert_eq!(
        std::fs::read_to_string(&files[1]).unwrap(),
        table.csv().unwrap()
    );
    assert!(table.terminal(None).contains("masked-dense"));
}

/// Of questions of one's own no published number stands beside, and no line waits for one.
#[test]
fn thresholds_of_no_answer_have_columns_and_nothing_published_stands_beside() {
    let measures = [
        Metric::Seconds,
        Metric::BestF1Threshold,
        Metric::BestF1,
        Metric::NoAnswerExact,
        Metric::HasAnswerF1,
        Metric::AnswerF1,
        Metric::ExactMatch,
    ];
    let mut records = Vec::new();
    for (row, p) in [("dense", 0.0), ("masked-dense", 90.0)] {
        for (i, metric) in measures.into_iter().enumerate() {
            let mut record = of(
                row,
                metric,
                p,
                1,
                70.0 - i as f64 - 74.0 * f64::from(i == 1),
            );
            record.signature = TaskSignature::new(metric, "files-0123", "test", 40)
                .unwrap()
                .to_string();
            record.paper = None;
            records.push(record);
        }
    }
    let table = pivot(&records, PivotLayout::OwnSquad, &options(Vec::new())).unwrap();
    let heads: Vec<&str> = (table.columns.iter())
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(
        heads,
        [
            "exact match",
            "F1 of answers",
            "F1, has answer",
            "exact match, no answer",
            "best F1",
            "threshold of best F1",
            "time (s)",
            "memory (GB)"
        ]
    );
    assert_eq!(table.lines.len(), 2);
    assert!((table.lines.iter()).all(|line| line.paper.iter().all(Option::is_none)));
    let text = table.markdown();
    assert!(
        text.contains("| threshold of best F1 = |") && text.contains(" -5.000 |"),
        "{text}"
    );
    assert!(!text.contains("paper"), "{text}");
    svg::pivot(&table).unwrap();
}

/// Networks that differ in their attention have lines of their own, in the order in which they are
/// expected, each compared with its own dense run; the paper's numbers stand beside softmax.
#[test]
fn variants_have_their_lines_and_changes() {
    let mut records = Vec::new();
    for (variant, dense) in [("softmax", 66.0), ("entmax15", 64.0)] {
        for (p, value) in [(0.0, dense), (60.0, dense - 2.0)] {
            let mut record = task(GlueColumn::Rte, p, 1, value);
            record.id += variant;
            record.variant = Some(variant.into());
            records.push(record);
        }
    }
    let mut majority = task(GlueColumn::Rte, 0.0, 1, 52.71);
    majority.condition = Baseline::Majority.into();
    (majority.p_nominal, majority.p_effective) = (None, None);
    records.push(majority);
    let expected = |(variant, p): (&str, f64)| Expected {
        row: "RTE".into(),
        variant: Some(variant.into()),
        condition: AP,
        p: Some(p),
        seed: 1,
        command: "glue rte".into(),
    };
    let runs = [("softmax", 0.0), ("entmax15", 60.0), ("entmax15", 90.0)];
    let options = options(runs.map(expected).into());
    let table = pivot(&records, PivotLayout::Glue, &options).unwrap();
    insta::assert_snapshot!(table.table().to_markdown(), @r"
    | variant  | p % | mask                    | effective % | token-weighted % |                |       RTE ↑ |
    |----------|----:|-------------------------|------------:|-----------------:|----------------|------------:|
    | softmax  |   0 | –                       |        0.00 |             0.00 | ours           |       66.00 |
    |          |     |                         |             |                  | paper          |       65.70 |
    | softmax  |  60 | ap                      |       46.79 |            42.86 | ours           |       64.00 |
    |          |     |                         |             |                  | change         |       -2.00 |
    |          |     |                         |             |                  | paper          |       61.37 |
    |          |     |                         |             |                  | paper's change |       -4.33 |
    | entmax15 |   0 | –                       |        0.00 |             0.00 | ours           |       64.00 |
    | entmax15 |  60 | ap                      |       46.79 |            42.86 | ours           |       62.00 |
    |          |     |                         |             |                  | change         |       -2.00 |
    | entmax15 |  90 | ap                      |           – |                – | ours           | missing [1] |
    | –        |   – | the most frequent class |           – |                – | ours           |       52.71 |
    ");
    let csv = table.csv().unwrap();
    for line in [
        "\"RTE, softmax\",60,46.787282,ap,accuracy,64,",
        "\"RTE, entmax15\",60,46.787282,ap,accuracy,62,",
        "RTE,,,majority,accuracy,52.71,",
    ] {
        assert!(csv.contains(line), "{line} in {csv}");
    }
}

/// Only a table with published numbers says what they are.
#[test]
fn no_note_about_the_paper_without_its_numbers() {
    let note = |records: &[RunRecord]| {
        let table = pivot(records, PivotLayout::Glue, &options(Vec::new())).unwrap();
        table.markdown().contains("The paper's values are those of")
    };
    assert!(note(&glue_records()));
    assert!(!note(&[of(
        "question-sentence",
        Metric::Accuracy,
        0.0,
        1,
        71.0
    )]));
    // The paper has no p = 70.
    assert!(!note(&[task(GlueColumn::Rte, 70.0, 1, 71.0)]));
}

#[test]
fn nothing_to_lay_out_is_an_error() {
    for layout in [PivotLayout::Glue, PivotLayout::Squad] {
        let error = pivot(&[], layout, &options(Vec::new())).unwrap_err();
        assert!(matches!(error, ResultsError::Empty));
    }
}

#[test]
fn tasks_are_drawn_as_curves_beside_the_papers() {
    let mut records = glue_records();
    records.push(task(GlueColumn::Rte, 90.0, 1, 50.25));
    let table = pivot(&records, PivotLayout::Glue, &options(Vec::new())).unwrap();
    let text = svg::pivot(&table).unwrap();
    for label in [
        "RTE ↑",
        "MRPC ↑",
        "average of 4 ↑",
        "change against p = 0",
        "the same: paper, GLUE",
        "change (points)",
    ] {
        assert!(text.contains(label), "{label} in {text}");
    }
    assert_eq!(text, svg::pivot(&table).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let files = table.write(dir.path()).unwrap();
    assert_eq!(std::fs::read_to_string(&files[2]).unwrap(), text);
}

#[test]
fn measures_of_two_p_are_drawn_as_bars() {
    let record = |row: &str, metric: Metric, p: f64, value: f64| RunRecord {
        table: "squad".into(),
        paper: None,
        ..of(row, metric, p, 1, value)
    };
    let records = [
        record("dense", Metric::Seconds, 0.0, 95.8),
        record("block-sparse", Metric::Seconds, 0.0, 95.41),
        record("block-sparse", Metric::Seconds, 90.0, 86.5),
        record("block-sparse", Metric::ExactMatch, 90.0, 3.75),
    ];
    let table = pivot(&records, PivotLayout::Squad, &options(Vec::new())).unwrap();
    let text = svg::pivot(&table).unwrap();
    for label in [
        ">time (s) ↓<",
        ">dense, p = 0<",
        ">block-sparse, ap, p = 90<",
        ">86.50<",
        ">paper, SQuAD v1.1<",
        ">86.44<",
        ">3.75<",
    ] {
        assert!(text.contains(label), "{label} in {text}");
    }
    assert!(!text.contains(">memory (GB) ↓<"), "nothing was measured");
}
