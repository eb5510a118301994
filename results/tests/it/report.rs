//! Reports: layout, files, what is left out and what is missing.

use sparta_results::render::{aggregate, svg};
use sparta_results::{Expected, MaskKind, Report, ReportOptions, ResultsError, Status, report};

use crate::support::{SIGNATURE, blocks, run, table};

fn small() -> Report {
    let options = ReportOptions {
        title: "Small table".into(),
        expected: Vec::new(),
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
    insta::assert_snapshot!(small().sections[0].csv().unwrap(), @r"
    row,p_nominal,p_effective,mask,metric,value,paper,n_seeds,signature
    small,,,unigram,perplexity,500.25,,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,,,bigram,perplexity,120,,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,,,trigram,perplexity,101.5,,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,0,0,ap,perplexity,90,24.157,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,20,0,ap,perplexity,90,24.157,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,80,73.393641,ap,perplexity,91.8,25.115,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,0,0,random,perplexity,90,24.157,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,20,0,random,perplexity,90,,1,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    small,80,73.393641,random,perplexity,95,,3,PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999
    ");
}

/// Masks of blocks have lines of their own, beside those of cells and compared with the same dense run.
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
        mask: MaskKind::ApBlocks,
        block_size: Some(size),
        p: Some(80.0),
        seed: 1,
        mask_seed: None,
        command: "lm reproduce --resume".into(),
    };
    let options = ReportOptions {
        title: "Small table".into(),
        expected: vec![expected(16), expected(32)],
    };
    let report = report(&records, &options).unwrap();
    let section = &report.sections[0];
    insta::assert_snapshot!(section.table().to_markdown(), @r"
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
    let csv = section.csv().unwrap();
    for line in [
        "small,20,0,ap-blocks-16,perplexity,90.9,,1,",
        "small,80,73.393641,ap-blocks-16,perplexity,94.5,,1,",
        "small,80,73.393641,ap-blocks-64,perplexity,99,,1,",
    ] {
        assert!(csv.contains(line), "{line} in {csv}");
    }
    let plot = svg::p_sweep(section).unwrap();
    for label in [
        "small, blocks of 16",
        "small, blocks of 64",
        "small, random",
    ] {
        assert!(plot.contains(label), "{label}");
    }
    assert!(!plot.contains("small, blocks of 16, random"));
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
        },
    )
    .unwrap();
    assert_eq!(other, small());
    let draw = |report: &Report| svg::p_sweep(&report.sections[0]).unwrap();
    assert_eq!(draw(&other).into_bytes(), draw(&small()).into_bytes());
}

#[test]
fn svg_shows_each_series_and_its_bars() {
    let text = svg::p_sweep(&small().sections[0]).unwrap();
    assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
    for label in [
        "ap",
        "random",
        "paper, WikiText-103",
        "nominal p (%)",
        "change of perplexity against p = 0",
    ] {
        assert!(text.contains(label), "{label}");
    }
    // 3 + 3 points on the left, 3 + 3 + 3 on the right.
    assert_eq!(text.matches("<circle").count(), 15);
    let mut without_spread = table();
    without_spread.retain(|record| record.mask_seed != Some(2) && record.mask_seed != Some(3));
    let plain = report(&without_spread, &ReportOptions::default()).unwrap();
    let plain = svg::p_sweep(&plain.sections[0]).unwrap();
    let bar_strokes = |text: &str| {
        let thin = |line: &&str| {
            line.contains("#D55E00")
                && line.contains("stroke-width=\"1\"")
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
    let mut other = run(MaskKind::Ap, Some(80.0), (2, None), 10.0);
    other.signature = SIGNATURE.replace("mem:64", "mem:128");
    records.push(other.clone());
    let report = report(&records, &ReportOptions::default()).unwrap();
    assert_eq!(report.sections.len(), 2);
    let with_long_memory = report
        .sections
        .iter()
        .find(|section| section.signature == other.signature)
        .unwrap();
    assert_eq!(with_long_memory.lines.len(), 1);
    assert_eq!(with_long_memory.lines[0].ap().unwrap().mean, 10.0);
    assert!(report.sections.iter().all(|section| {
        section
            .lines
            .iter()
            .flat_map(|line| line.ap())
            .all(|ap| ap.n == 1)
    }));
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
}

#[test]
fn recipes_never_share_a_row() {
    let mut records = table();
    let mut other = run(MaskKind::Ap, Some(80.0), (2, None), 10.0);
    other.recipe_hash = "fedcba9876543210".into();
    records.push(other);
    let report = report(&records, &ReportOptions::default()).unwrap();
    let rows: Vec<&str> = report.sections[0]
        .lines
        .iter()
        .map(|line| line.row.as_str())
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
        .map(|(seed, value)| run(MaskKind::Ap, Some(80.0), (seed, None), value))
        .into();
    let mut repeated = run(MaskKind::Ap, Some(80.0), (3, None), 1.0);
    repeated.id = "earlier-but-better".into();
    repeated.finished = Some(1_600_000_000);
    records.insert(0, repeated);
    let mut diverged = run(MaskKind::Ap, Some(80.0), (4, None), 1.0);
    (diverged.status, diverged.value) = (Status::Diverged, None);
    records.push(diverged);
    let result = aggregate(&records);
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
        run(MaskKind::None, Some(0.0), (1, None), 10.0),
        run(MaskKind::Ap, Some(0.0), (2, None), 12.0),
        run(MaskKind::Random, Some(0.0), (3, Some(9)), 14.0),
        run(MaskKind::Random, Some(80.0), (3, Some(9)), 15.0),
    ];
    let with_random = report(&records, &ReportOptions::default()).unwrap();
    let line = &with_random.sections[0].lines[0];
    assert_eq!((line.ap().unwrap().n, line.ap().unwrap().mean), (3, 12.0));
    assert_eq!(line.random(), line.ap());
    let without = report(&records[..3], &ReportOptions::default()).unwrap();
    assert_eq!(without.sections[0].lines[0].random(), None);
    assert!(
        !without.markdown().contains("random"),
        "{}",
        without.markdown()
    );
}

#[test]
fn missing_runs_say_their_command() {
    let expect = |mask, p, seed, mask_seed, command: &str| Expected {
        row: "small".into(),
        mask,
        block_size: None,
        p,
        seed,
        mask_seed,
        command: command.into(),
    };
    let expected = vec![
        expect(MaskKind::Ap, Some(0.0), 1, None, "lm never"),
        expect(MaskKind::Ap, Some(90.0), 1, None, "lm a"),
        expect(MaskKind::Random, Some(90.0), 1, Some(1), "lm b"),
        expect(MaskKind::Random, Some(80.0), 1, Some(4), "lm b"),
        expect(MaskKind::Bigram, None, 1, None, "lm never"),
    ];
    let report = report(
        &table(),
        &ReportOptions {
            title: String::new(),
            expected,
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
    let csv = report.sections[0].csv().unwrap();
    assert!(
        !csv.contains("small,90,"),
        "a missing run has no line in csv: {csv}"
    );
}

#[test]
fn nothing_to_report_is_an_error() {
    let mut record = run(MaskKind::Ap, Some(80.0), (1, None), 1.0);
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
