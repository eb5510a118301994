//! Reports: layout, files, what is left out and what is missing.

use sparta_results::render::{aggregate, svg};
use sparta_results::{
    Baseline, COMMIT, Condition, Expected, MaskFamily, Report, ReportOptions, ResultsError,
    RunRecord, Status, TRAINED_BY, report,
};

use crate::support::{AP, SIGNATURE, ap_blocks, blocks, by_uses, random, run, table};

fn small() -> Report {
    let options = ReportOptions {
        title: "Small table".into(),
        expected: Vec::new(),
        is_mixed: false,
    };
    report(&table(), &options).unwrap()
}

#[test]
fn markdown() {
    insta::assert_snapshot!(small().markdown(), @r#"
    # Small table

    | row   | p % | effective % | token-weighted % | ours, ap ↓ |    Δ ap |     ours, random ↓ | Δ random | paper, WikiText-103 ↓ | Δ paper |
    |-------|----:|------------:|-----------------:|-----------:|--------:|-------------------:|---------:|----------------------:|--------:|
    | small |   0 |        0.00 |             0.00 |     90.000 |  0.00 % |             90.000 |   0.00 % |                24.157 |  0.00 % |
    | small |  20 |        0.00 |             0.00 |     90.000 |  0.00 % |             90.000 |   0.00 % |                24.157 |  0.00 % |
    | small |  80 |       73.39 |            71.43 |     91.800 | +2.00 % | 95.000 ± 1.000 (3) |  +5.56 % |                25.115 | +3.97 % |

    | row   | baseline                                   | perplexity ↓ | ours at p = 0, relative |
    |-------|--------------------------------------------|-------------:|------------------------:|
    | small | unigram, add one                           |      500.250 |                -82.01 % |
    | small | bigram, Kneser–Ney                         |      120.000 |                -25.00 % |
    | small | trigram, Kneser–Ney                        |      101.500 |                -11.33 % |
    | small | dense checkpoint, before the further steps |       95.000 |                 -5.26 % |

    Signature of our values: `PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999`

    small: trained at 4,092 tokens/s (median; 4,090 to 4,096) on flex.

    The paper's values are those of WikiText-103 (Transformer-XL base, test perplexity; p is nominal, over all cells of tgt_len 150 x 300, causal zeros included; Attention Pruning (arXiv 2012.02030), authors' slides); compare the relative changes, not the values.

    Mean ± standard deviation (number of runs) where there are several. Δ: change against p = 0 of the same column. Shares as "ap / random" where the two masks differ.
    "#);
}

#[test]
fn csv() {
    insta::assert_snapshot!(small().tables[0].csv().unwrap(), @r"
    row,p_nominal,p_effective,mask,metric,value,paper,n_runs,n_seeds,signature
    small,,,unigram,perplexity,500.25,,1,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,,,bigram,perplexity,120,,1,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,,,trigram,perplexity,101.5,,1,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,0,0,ap,perplexity,90,24.157,1,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,20,0,ap,perplexity,90,24.157,1,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,80,73.393641,ap,perplexity,91.8,25.115,1,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,0,0,random,perplexity,90,24.157,1,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,20,0,random,perplexity,90,,1,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,80,73.393641,random,perplexity,95,,3,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    ");
}

/// Masks of blocks have lines of their own, beside those of cells and compared with the same dense
/// run.
#[test]
fn masks_by_uses_stand_below_those_by_cells() {
    let mut records = table();
    for (condition, p, value) in [
        (by_uses(AP), 20.0, 90.5),
        (by_uses(AP), 80.0, 94.5),
        (by_uses(random(1)), 80.0, 99.0),
        (by_uses(random(2)), 80.0, 101.0),
        (by_uses(ap_blocks(16)), 80.0, 96.3),
    ] {
        let mut record = run(condition, Some(p), 1, value);
        record.paper = None;
        (record.p_token_weighted, record.p_effective) = (Some(p), Some(100.0 - (100.0 - p) / 4.0));
        records.push(record);
    }
    let report = report(&records, &ReportOptions::default()).unwrap();
    let table = &report.tables[0];
    insta::assert_snapshot!(table.table().to_markdown(), @r"
    | row                         | p % | effective % | token-weighted % | ours, ap ↓ |    Δ ap |      ours, random ↓ | Δ random | paper, WikiText-103 ↓ | Δ paper |
    |-----------------------------|----:|------------:|-----------------:|-----------:|--------:|--------------------:|---------:|----------------------:|--------:|
    | small                       |   0 |        0.00 |             0.00 |     90.000 |  0.00 % |              90.000 |   0.00 % |                24.157 |  0.00 % |
    | small                       |  20 |        0.00 |             0.00 |     90.000 |  0.00 % |              90.000 |   0.00 % |                24.157 |  0.00 % |
    | small                       |  80 |       73.39 |            71.43 |     91.800 | +2.00 % |  95.000 ± 1.000 (3) |  +5.56 % |                25.115 | +3.97 % |
    | small, by uses              |  20 |       80.00 |            20.00 |     90.500 | +0.56 % |                   – |        – |                     – |       – |
    | small, by uses              |  80 |       95.00 |            80.00 |     94.500 | +5.00 % | 100.000 ± 1.414 (2) | +11.11 % |                     – |       – |
    | small, blocks of 16 by uses |  80 |       95.00 |            80.00 |     96.300 | +7.00 % |                   – |        – |                     – |       – |
    ");
    let csv = table.csv().unwrap();
    for line in [
        "small,80,73.393641,ap,perplexity,91.8,25.115,1,",
        "small,80,95,ap-uses,perplexity,94.5,,1,",
        "small,80,95,ap-blocks-16-uses,perplexity,96.3,,1,",
        "small,80,95,random-uses,perplexity,100,,2,",
    ] {
        assert!(csv.contains(line), "{line} in {csv}");
    }
    let plot = svg::p_sweep(table).unwrap();
    for label in ["small, by uses, ap", "small, by uses, random", "small, ap"] {
        assert!(plot.contains(label), "{label}");
    }
}

#[test]
fn blocks_of_each_size_stand_beside_cells() {
    let mut records = table();
    records.extend([
        blocks(64, 80.0, 99.0),
        blocks(16, 80.0, 94.5),
        blocks(16, 20.0, 90.9),
    ]);
    let expected = |size| Expected {
        row: "small".into(),
        variant: None,
        condition: ap_blocks(size),
        p: Some(80.0),
        seed: 1,
        command: "lm reproduce --resume".into(),
    };
    let options = ReportOptions {
        title: "Small table".into(),
        expected: vec![expected(16), expected(32)],
        is_mixed: false,
    };
    let report = report(&records, &options).unwrap();
    let table = &report.tables[0];
    insta::assert_snapshot!(table.table().to_markdown(), @r"
    | row                 | p % | effective % | token-weighted % |  ours, ap ↓ |     Δ ap |     ours, random ↓ | Δ random | paper, WikiText-103 ↓ | Δ paper |
    |---------------------|----:|------------:|-----------------:|------------:|---------:|-------------------:|---------:|----------------------:|--------:|
    | small               |   0 |        0.00 |             0.00 |      90.000 |   0.00 % |             90.000 |   0.00 % |                24.157 |  0.00 % |
    | small               |  20 |        0.00 |             0.00 |      90.000 |   0.00 % |             90.000 |   0.00 % |                24.157 |  0.00 % |
    | small               |  80 |       73.39 |            71.43 |      91.800 |  +2.00 % | 95.000 ± 1.000 (3) |  +5.56 % |                25.115 | +3.97 % |
    | small, blocks of 16 |  20 |        0.00 |             0.00 |      90.900 |  +1.00 % |                  – |        – |                     – |       – |
    | small, blocks of 16 |  80 |       73.39 |            71.43 |      94.500 |  +5.00 % |                  – |        – |                     – |       – |
    | small, blocks of 32 |  80 |           – |                – | missing [1] |        – |                  – |        – |                     – |       – |
    | small, blocks of 64 |  80 |       73.39 |            71.43 |      99.000 | +10.00 % |                  – |        – |                     – |       – |
    ");
    assert_eq!(report.missing, ["lm reproduce --resume"]);
    let csv = table.csv().unwrap();
    for line in [
        "small,20,0,ap-blocks-16,perplexity,90.9,,1,",
        "small,80,73.393641,ap-blocks-16,perplexity,94.5,,1,",
        "small,80,73.393641,ap-blocks-64,perplexity,99,,1,",
    ] {
        assert!(csv.contains(line), "{line} in {csv}");
    }
    let plot = svg::p_sweep(table).unwrap();
    for label in [
        "small, blocks of 16",
        "small, blocks of 64",
        "small, random",
    ] {
        assert!(plot.contains(label), "{label}");
    }
    assert!(!plot.contains("small, blocks of 16, random"));
}

/// Networks of one row that differ in their attention have lines, masks and curves of their own.
#[test]
fn variants_stand_in_one_table() {
    let mut records = Vec::new();
    for (variant, dense) in [("softmax", 90.0), ("entmax15", 88.0)] {
        let checkpoint = run(Condition::Dense, None, 1, dense + 5.0);
        let at_80 = blocks(16, 80.0, dense + 4.0);
        let runs = [
            checkpoint,
            run(Condition::Dense, Some(0.0), 1, dense),
            run(AP, Some(80.0), 1, dense + 2.0),
            at_80,
        ];
        records.extend(runs.map(|mut record| {
            record.id += variant;
            record.variant = Some(variant.into());
            record
        }));
    }
    records.push(run(Baseline::Unigram, None, 1, 500.0));
    let expected = |variant: &str| Expected {
        row: "small".into(),
        variant: Some(variant.into()),
        condition: random(1),
        p: Some(80.0),
        seed: 1,
        command: "lm reproduce --resume".into(),
    };
    let options = ReportOptions {
        title: "Small table".into(),
        expected: ["softmax", "entmax15"].map(expected).into(),
        is_mixed: false,
    };
    let report = report(&records, &options).unwrap();
    let table = &report.tables[0];
    insta::assert_snapshot!(table.table().to_markdown(), @r"
    | row                           | p % | effective % | token-weighted % | ours, ap ↓ |    Δ ap | ours, random ↓ | Δ random | paper, WikiText-103 ↓ | Δ paper |
    |-------------------------------|----:|------------:|-----------------:|-----------:|--------:|---------------:|---------:|----------------------:|--------:|
    | small, softmax                |   0 |        0.00 |             0.00 |     90.000 |  0.00 % |         90.000 |   0.00 % |                24.157 |  0.00 % |
    | small, softmax                |  80 |       73.39 |            71.43 |     92.000 | +2.22 % |    missing [1] |        – |                25.115 | +3.97 % |
    | small, softmax, blocks of 16  |  80 |       73.39 |            71.43 |     94.000 | +4.44 % |              – |        – |                     – |       – |
    | small, entmax15               |   0 |        0.00 |             0.00 |     88.000 |  0.00 % |         88.000 |   0.00 % |                24.157 |  0.00 % |
    | small, entmax15               |  80 |       73.39 |            71.43 |     90.000 | +2.27 % |    missing [1] |        – |                25.115 | +3.97 % |
    | small, entmax15, blocks of 16 |  80 |       73.39 |            71.43 |     92.000 | +4.55 % |              – |        – |                     – |       – |
    ");
    insta::assert_snapshot!(table.baseline_table().unwrap().to_markdown(), @r"
    | row             | baseline                                   | perplexity ↓ | softmax at p = 0, relative | entmax15 at p = 0, relative |
    |-----------------|--------------------------------------------|-------------:|---------------------------:|----------------------------:|
    | small           | unigram, add one                           |      500.000 |                   -82.00 % |                    -82.40 % |
    | small, softmax  | dense checkpoint, before the further steps |       95.000 |                    -5.26 % |                           – |
    | small, entmax15 | dense checkpoint, before the further steps |       93.000 |                          – |                     -5.38 % |
    ");
    let csv = table.csv().unwrap();
    let masks: Vec<(&str, &str)> = (csv.lines().skip(1))
        .map(|line| {
            let row = line.split('"').nth(1).unwrap_or("small");
            (row, line.split(',').rev().nth(6).unwrap())
        })
        .collect();
    let of = |row| ["ap", "ap", "ap-blocks-16", "random"].map(|mask| (row, mask));
    let networks = [of("small, softmax"), of("small, entmax15")].concat();
    assert_eq!(masks[0], ("small", "unigram"));
    assert_eq!(masks[1..], networks);
    let plot = svg::p_sweep(table).unwrap();
    for label in ["small, entmax15, ap", "small, softmax, blocks of 16"] {
        assert!(plot.contains(label), "{label}");
    }
}

/// The dense run stands in the column of each family of masks, and is one run.
#[test]
fn a_run_counts_once_in_the_speed() {
    let of_speed = |condition: Condition, p, speed| {
        let mut record = run(condition, Some(p), 1, 90.0);
        record.tokens_per_second = Some(speed);
        record
    };
    let records = [
        of_speed(Condition::Dense, 0.0, 3000.0),
        of_speed(AP, 80.0, 1000.0),
        of_speed(random(1), 80.0, 2000.0),
    ];
    let text = report(&records, &ReportOptions::default())
        .unwrap()
        .markdown();
    assert!(
        text.contains("trained at 2,000 tokens/s (median; 1,000 to 3,000)"),
        "{text}"
    );
}

/// Which builds made a table is said where the runs say it.
#[test]
fn builds_are_named() {
    let mut records = table();
    let text = |records: &[RunRecord]| {
        let report = report(records, &ReportOptions::default()).unwrap();
        report.markdown()
    };
    assert!(!text(&records).contains("Made by"));
    for record in &mut records {
        record.versions.insert(COMMIT.into(), "1a2b3c4d5e6f".into());
    }
    let one = text(&records);
    assert!(
        one.contains("Made by sparta 0.1.0, commit 1a2b3c4d5e6f.\n"),
        "{one}"
    );
    records[5].versions.insert(COMMIT.into(), "unknown".into());
    let two = text(&records);
    let builds = "sparta 0.1.0, commit 1a2b3c4d5e6f; sparta 0.1.0, commit unknown.";
    assert!(
        two.contains("Made by several builds") && two.contains(builds),
        "{two}"
    );
}

/// Runs of different data have no mean, whatever is asked for.
#[test]
fn runs_that_read_different_data_stand_apart() {
    let reading = |hash: &str, p: f64, seed: u64, value: f64| {
        let condition = if p == 0.0 { Condition::Dense } else { AP };
        let mut record = run(condition, Some(p), seed, value);
        record.data.insert("train.txt".into(), hash.repeat(32));
        record.data.insert("test.txt".into(), "cc".repeat(32));
        record
    };
    let mut records = vec![
        reading("aa", 0.0, 1, 100.0),
        reading("bb", 0.0, 2, 200.0),
        reading("aa", 80.0, 1, 110.0),
        reading("bb", 80.0, 2, 210.0),
    ];
    let text = |records: &[RunRecord]| {
        let options = ReportOptions {
            is_mixed: true,
            ..ReportOptions::default()
        };
        report(records, &options).unwrap().markdown()
    };
    let apart = text(&records);
    for said in [
        "| small@train.txt aaaaaaaa |",
        "| small@train.txt bbbbbbbb |",
        "different data files are not averaged",
    ] {
        assert!(apart.contains(said), "{said}: {apart}");
    }
    assert!(
        !apart.contains("test.txt") && !apart.contains("(2)"),
        "{apart}"
    );
    for record in &mut records {
        record.data.insert("train.txt".into(), "aa".repeat(32));
    }
    let one = text(&records);
    assert!(
        one.contains("160.000 ± 70.711 (2)") && !one.contains('@'),
        "{one}"
    );
    // Nor is there a change from p = 0 that was of other data.
    for record in &mut records {
        let hash = ["aa", "bb"][usize::from(record.p_nominal != Some(0.0))];
        record.data.insert("train.txt".into(), hash.repeat(32));
    }
    let of_p = text(&records);
    assert!(
        of_p.contains("not averaged") && !of_p.contains("+6.67 %"),
        "{of_p}"
    );
    for record in &mut records {
        record.data.insert("train.txt".into(), "aa".repeat(32));
    }
    // Earlier records do not say what they read.
    records[0].data.clear();
    assert_eq!(text(&records), one);
}

/// Seeds of different builds have no mean unless it is asked for; each build has its own p = 0.
#[test]
fn runs_of_several_builds_are_averaged_only_if_asked() {
    let built = |commit: &str, p: f64, seed: u64, value: f64| {
        let condition = if p == 0.0 { Condition::Dense } else { AP };
        let mut record = run(condition, Some(p), seed, value);
        record.versions.insert(COMMIT.into(), commit.into());
        record
    };
    let (a, b) = ("aaaaaaaaaaaa", "bbbbbbbbbbbb");
    let mut records = vec![
        built(a, 0.0, 1, 100.0),
        built(b, 0.0, 2, 200.0),
        built(a, 80.0, 1, 110.0),
        built(b, 80.0, 2, 210.0),
        built(a, 60.0, 1, 105.0),
    ];
    // So it is of a row that has one build of each p: what a build changes is no change of a mask.
    for (commit, p, value) in [(a, 0.0, 50.0), (b, 80.0, 60.0)] {
        let mut record = built(commit, p, 1, value);
        record.row = "other".into();
        record.id += "-other";
        records.push(record);
    }
    let text = |is_mixed| {
        let options = ReportOptions {
            is_mixed,
            ..ReportOptions::default()
        };
        report(&records, &options).unwrap().markdown()
    };
    let cells = |text: &str, start: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with(start));
        let cell = |line: &str, at: usize| line.split('|').nth(at).unwrap().trim().to_owned();
        lines
            .map(|line| [2, 5, 6].map(|at| cell(line, at)).join(" "))
            .collect()
    };
    let apart = text(false);
    assert_eq!(
        cells(&apart, "| small@commit aaaaaaaaaaaa "),
        [
            "0 100.000 0.00 %",
            "60 105.000 +5.00 %",
            "80 110.000 +10.00 %"
        ]
    );
    assert_eq!(
        cells(&apart, "| small@commit bbbbbbbbbbbb "),
        ["0 200.000 0.00 %", "80 210.000 +5.00 %"]
    );
    assert_eq!(
        cells(&apart, "| other@commit aaaaaaaaaaaa "),
        ["0 50.000 0.00 %"]
    );
    assert_eq!(
        cells(&apart, "| other@commit bbbbbbbbbbbb "),
        ["80 60.000 –"]
    );
    assert!(
        apart.contains("not averaged") && apart.contains("--mixed"),
        "{apart}"
    );
    let mixed = text(true);
    assert!(
        !mixed.contains("@commit") && !mixed.contains("--mixed"),
        "{mixed}"
    );
    assert_eq!(
        cells(&mixed, "| small "),
        [
            "0 150.000 ± 70.711 (2) 0.00 %",
            "60 105.000 +5.00 %",
            "80 160.000 ± 70.711 (2) +6.67 %"
        ]
    );
    assert_eq!(
        cells(&mixed, "| other "),
        ["0 50.000 0.00 %", "80 60.000 +20.00 %"]
    );
    // Builds that do not say what they are are one of their own.
    records.iter_mut().filter(|of| of.seed == 2).for_each(|of| {
        of.versions.remove(COMMIT);
    });
    let options = ReportOptions::default();
    let unnamed = report(&records, &options).unwrap().markdown();
    assert!(
        unnamed.contains("small@unknown commit of 0.1.0"),
        "{unnamed}"
    );
}

/// A baseline is what its data are, whatever build scored it.
#[test]
fn baselines_split_no_row_by_build() {
    let mut records = table();
    for record in &mut records {
        record.versions.insert(COMMIT.into(), "bbbbbbbbbbbb".into());
        if !matches!(record.condition, Condition::Baseline(_)) {
            (record.versions).insert(TRAINED_BY.into(), "aaaaaaaaaaaa".into());
        }
    }
    let text = (report(&records, &ReportOptions::default()).unwrap()).markdown();
    assert!(!text.contains("@commit"), "{text}");
    assert!(text.contains("aaaaaaaaaaaa then bbbbbbbbbbbb"), "{text}");
}

#[test]
fn terminal_and_latex_hold_the_same_cells() {
    let report = small();
    for text in [report.terminal(None), report.latex()] {
        for cell in ["95.000", "26.1", "91.800", "120.000"]
            .iter()
            .filter(|cell| **cell != "26.1")
        {
            assert!(text.contains(cell), "{cell} in {text}");
        }
    }
    assert!(
        report
            .terminal(Some(100))
            .lines()
            .filter(|line| line.starts_with('│'))
            .all(|line| line.chars().count() <= 100)
    );
}

#[test]
fn order_of_records_changes_nothing() {
    let mut records = table();
    records.reverse();
    records.swap(0, 4);
    let other = report(
        &records,
        &ReportOptions {
            title: "Small table".into(),
            expected: Vec::new(),
            is_mixed: false,
        },
    )
    .unwrap();
    assert_eq!(other, small());
    let draw = |report: &Report| svg::p_sweep(&report.tables[0]).unwrap();
    assert_eq!(draw(&other).into_bytes(), draw(&small()).into_bytes());
}

#[test]
fn svg_shows_each_series_and_its_bars() {
    let text = svg::p_sweep(&small().tables[0]).unwrap();
    assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
    for label in [
        "ap",
        "random",
        "paper, WikiText-103",
        "nominal p (%)",
        "perplexity ↓ on our corpus",
        "change against p = 0",
    ] {
        assert!(text.contains(label), "{label}");
    }
    // Circles are the masks of ap: 3 points of ours, 3 changes and 3 published ones, and 1 in the legend.
    assert_eq!(text.matches("<circle").count(), 10);
    // Squares are random masks: 3 points, 3 changes, 1 in the legend.
    assert_eq!(text.matches("<path").count(), 7);
    let mut without_spread = table();
    without_spread.retain(|record| ![random(2), random(3)].contains(&record.condition));
    let plain = report(&without_spread, &ReportOptions::default()).unwrap();
    let plain = svg::p_sweep(&plain.tables[0]).unwrap();
    let bar_strokes = |text: &str| {
        let thin = |line: &&str| {
            line.contains("#d55e00")
                && line.contains("stroke-width=\"1.2\"")
                && line.contains("<polyline")
        };
        text.lines().filter(thin).count()
    };
    // Three strokes a bar, one bar in each panel.
    assert_eq!((bar_strokes(&text), bar_strokes(&plain)), (6, 0));
}

#[test]
fn signatures_never_share_a_column() {
    let mut records = table();
    let mut other = run(AP, Some(80.0), 2, 10.0);
    other.signature = SIGNATURE.replace("mem:64", "mem:128");
    records.push(other.clone());
    let report = report(&records, &ReportOptions::default()).unwrap();
    assert_eq!(report.tables.len(), 2);
    let with_long_memory = report
        .tables
        .iter()
        .find(|table| table.signature == other.signature)
        .unwrap();
    assert_eq!(with_long_memory.lines.len(), 1);
    let ap = &with_long_memory.lines[0].cells[&MaskFamily::AP];
    assert_eq!(ap.group.as_ref().unwrap().mean, 10.0);
    let cells = (report.tables.iter())
        .flat_map(|table| &table.lines)
        .filter_map(|line| line.cells.get(&MaskFamily::AP));
    assert!(cells.flat_map(|cell| &cell.group).all(|ap| ap.n == 1));
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (report.write(dir.path()).unwrap().iter())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "TABLE.md",
            "TABLE.csv",
            "TABLE.svg",
            "TABLE-2.csv",
            "TABLE-2.svg"
        ]
    );
    // With one protocol again, the second table is no longer that of anything.
    std::fs::write(dir.path().join("TABLE-2-mine.csv"), "").unwrap();
    let one = run(AP, Some(80.0), 1, 10.0);
    let one = sparta_results::report(&[one], &ReportOptions::default()).unwrap();
    one.write(dir.path()).unwrap();
    let mut left: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["TABLE-2-mine.csv", "TABLE.csv", "TABLE.md", "TABLE.svg"]
    );
}

#[test]
fn recipes_never_share_a_row() {
    let mut records = table();
    let mut other = run(AP, Some(80.0), 2, 10.0);
    other.recipe_hash = "fedcba9876543210".into();
    records.push(other);
    let report = report(&records, &ReportOptions::default()).unwrap();
    let rows: Vec<&str> = report.tables[0]
        .lines
        .iter()
        .map(|line| line.name.row.as_str())
        .collect();
    assert_eq!(
        rows,
        [
            "small@01234567",
            "small@01234567",
            "small@01234567",
            "small@fedcba98"
        ]
    );
}

#[test]
fn seeds_are_averaged_and_repeats_are_not() {
    let mut records: Vec<_> = [(1, 10.0), (2, 12.0), (3, 17.0)]
        .map(|(seed, value)| run(AP, Some(80.0), seed, value))
        .into();
    let mut repeated = run(AP, Some(80.0), 3, 1.0);
    repeated.id = "earlier-but-better".into();
    repeated.finished = Some(1_600_000_000);
    records.insert(0, repeated);
    let mut diverged = run(AP, Some(80.0), 4, 1.0);
    (diverged.status, diverged.value) = (Status::Diverged, None);
    records.push(diverged);
    let result = aggregate(&records, false);
    assert_eq!(result.groups.len(), 1);
    assert_eq!((result.groups[0].n, result.groups[0].mean), (3, 13.0));
    assert!((result.groups[0].sd.unwrap() - 13f64.sqrt()).abs() < 1e-12);
    assert_eq!(result.replaced, ["earlier-but-better"]);
    assert_eq!(result.unfinished, ["small-ap-p80-s4-m0 (diverged)"]);
    let text = report(&records, &ReportOptions::default())
        .unwrap()
        .markdown();
    assert!(text.contains("13.000 ± 3.606 (3)"), "{text}");
    assert!(
        text.contains("(diverged)") && text.contains("earlier-but-better"),
        "{text}"
    );
}

#[test]
fn dense_runs_meet_under_any_mask_name() {
    let records = [
        run(Condition::Dense, Some(0.0), 1, 10.0),
        run(AP, Some(0.0), 2, 12.0),
        run(random(9), Some(0.0), 3, 14.0),
        run(random(9), Some(80.0), 3, 15.0),
    ];
    let with_random = report(&records, &ReportOptions::default()).unwrap();
    let line = &with_random.tables[0].lines[0];
    let dense = line.dense.group.as_ref().unwrap();
    assert_eq!((dense.n, dense.mean), (3, 12.0));
    let text = with_random.markdown();
    let twice = "| 12.000 ± 2.000 (3) | 0.00 % | 12.000 ± 2.000 (3) |   0.00 % |";
    assert!(text.contains(twice), "{text}");
    let without = report(&records[..3], &ReportOptions::default()).unwrap();
    assert!(
        !without.markdown().contains("random"),
        "{}",
        without.markdown()
    );
}

#[test]
fn missing_runs_say_their_command() {
    let expect = |condition: Condition, p, command: &str| Expected {
        row: "small".into(),
        variant: None,
        condition,
        p,
        seed: 1,
        command: command.into(),
    };
    let expected = vec![
        expect(AP, Some(0.0), "lm never"),
        expect(AP, Some(90.0), "lm a"),
        expect(random(1), Some(90.0), "lm b"),
        expect(random(4), Some(80.0), "lm b"),
        expect(Baseline::Bigram.into(), None, "lm never"),
    ];
    let report = report(
        &table(),
        &ReportOptions {
            title: String::new(),
            expected,
            is_mixed: false,
        },
    )
    .unwrap();
    assert_eq!(report.missing, ["lm a", "lm b"]);
    let text = report.markdown();
    for wanted in [
        "# lm\n",
        "missing [1]",
        "missing [2]",
        "95.000 ± 1.000 (3) [2]",
        "[1] missing; make it with `lm a`",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    assert!(!text.contains("lm never"));
    let csv = report.tables[0].csv().unwrap();
    assert!(
        !csv.contains("small,90,"),
        "a missing run has no line in csv: {csv}"
    );
}

#[test]
fn nothing_to_report_is_an_error() {
    let mut record = run(AP, Some(80.0), 1, 1.0);
    let mut infinite = record.clone();
    infinite.value = Some(f64::INFINITY);
    record.status = Status::Running;
    for records in [vec![], vec![record], vec![infinite]] {
        assert!(matches!(
            report(&records, &ReportOptions::default()),
            Err(ResultsError::Empty)
        ));
    }
}
