//! Tables of translation scores: more is better, a row is an attention type or a normaliser.

use sparta_results::metric::{CorpusMetric, ReferenceCount, bleu::Bleu, chrf::Chrf};
use sparta_results::render::svg;
use sparta_results::{
    Baseline, Condition, Expected, Metric, Report, ReportOptions, RunRecord, ScoreSignature, paper,
    report,
};

use crate::support::{AP, random, run};

fn signature(metric: &impl CorpusMetric) -> String {
    let signature = ScoreSignature::new(metric, ReferenceCount::Same(1), "help", "test", 512);
    let text = signature.unwrap().to_string();
    // The version is no matter of these tests.
    text.split("|version:").next().unwrap().to_string()
}

/// A run of `row`, beside the value of a published table.
fn bleu(
    row: &str,
    table: &str,
    condition: impl Into<Condition>,
    p: Option<f64>,
    value: f64,
) -> RunRecord {
    let mut record = run(condition, p, 1, value);
    record.id = format!("iwslt-{row}-{}", record.id);
    record.table = "iwslt".into();
    record.row = row.into();
    record.metric = Metric::Bleu;
    record.signature = signature(&Bleu::default());
    record.paper = p.and_then(|p| paper::reference(table, row, p));
    record.p_effective = p;
    record.p_token_weighted = p.map(|p| p * 0.9);
    record.tokens_per_second = None;
    record
}

fn records() -> Vec<RunRecord> {
    let ast = paper::AST_IWSLT17;
    let mut records = vec![
        bleu("softmax", ast, Baseline::CopySource, None, 1.875),
        bleu("softmax", ast, Baseline::WordTranslation, None, 4.25),
        bleu("softmax", ast, Condition::Dense, Some(0.0), 20.0),
        bleu("alpha-entmax", ast, Condition::Dense, Some(0.0), 20.5),
        bleu("1.5-entmax", ast, Condition::Dense, Some(0.0), 19.75),
        bleu("self-attention, 1.5-entmax", "", AP, Some(80.0), 18.0),
    ];
    for (row, at_80) in [("enc-self", 19.0), ("dec-self", 20.25), ("cross", 0.0)] {
        records.push(bleu(
            row,
            paper::IWSLT14_BY_TYPE,
            Condition::Dense,
            Some(0.0),
            20.25,
        ));
        records.push(bleu(row, paper::IWSLT14_BY_TYPE, AP, Some(80.0), at_80));
    }
    records
}

/// What the table should have, in the order of the papers.
fn expected() -> Vec<Expected> {
    let rows = [
        ("softmax", 0.0),
        ("1.5-entmax", 0.0),
        ("alpha-entmax", 0.0),
        ("enc-self", 80.0),
        ("dec-self", 80.0),
        ("cross", 80.0),
        ("cross", 40.0),
    ];
    let expect = |(row, p): (&str, f64)| Expected {
        row: row.into(),
        variant: None,
        condition: if p > 0.0 { AP } else { Condition::Dense },
        p: Some(p),
        seed: 1,
        command: "iwslt reproduce --resume".into(),
    };
    rows.map(expect).into()
}

fn table() -> Report {
    let options = ReportOptions {
        title: "Small translation".into(),
        expected: expected(),
        is_mixed: false,
    };
    report(&records(), &options).unwrap()
}

#[test]
fn markdown() {
    insta::assert_snapshot!(table().markdown(), @r"
    # Small translation

    | row                        | p % | effective % | token-weighted % |  ours, ap ↑ |   Δ ap |               paper ↑ | Δ paper |
    |----------------------------|----:|------------:|-----------------:|------------:|-------:|----------------------:|--------:|
    | softmax                    |   0 |        0.00 |             0.00 |       20.00 |   0.00 | 29.79 (IWSLT17 de-en) |    0.00 |
    | 1.5-entmax                 |   0 |        0.00 |             0.00 |       19.75 |   0.00 | 29.83 (IWSLT17 de-en) |    0.00 |
    | alpha-entmax               |   0 |        0.00 |             0.00 |       20.50 |   0.00 | 29.90 (IWSLT17 de-en) |    0.00 |
    | enc-self                   |   0 |        0.00 |             0.00 |       20.25 |   0.00 | 34.94 (IWSLT14 de-en) |    0.00 |
    | enc-self                   |  80 |       80.00 |            72.00 |       19.00 |  -1.25 | 33.67 (IWSLT14 de-en) |   -1.27 |
    | dec-self                   |   0 |        0.00 |             0.00 |       20.25 |   0.00 | 34.94 (IWSLT14 de-en) |    0.00 |
    | dec-self                   |  80 |       80.00 |            72.00 |       20.25 |   0.00 | 34.90 (IWSLT14 de-en) |   -0.04 |
    | cross                      |   0 |        0.00 |             0.00 |       20.25 |   0.00 | 34.94 (IWSLT14 de-en) |    0.00 |
    | cross                      |  40 |           – |                – | missing [1] |      – |                     – |       – |
    | cross                      |  80 |       80.00 |            72.00 |        0.00 | -20.25 |  6.39 (IWSLT14 de-en) |  -28.55 |
    | self-attention, 1.5-entmax |  80 |       80.00 |            72.00 |       18.00 |      – |                     – |       – |

    | row     | baseline                               | BLEU ↑ | ours at p = 0, difference |
    |---------|----------------------------------------|-------:|--------------------------:|
    | softmax | the source, copied                     |   1.88 |                    +18.13 |
    | softmax | most frequent translation of each word |   4.25 |                    +15.75 |

    Signature of our values: `BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp`

    [1] missing; make it with `iwslt reproduce --resume`

    The paper's values are those of IWSLT14 de-en (BLEU; one attention type pruned at a time; p = 0 is the one dense baseline of all types; Attention Pruning (arXiv 2012.02030), authors' slides); compare the changes, not the values.

    The paper's values are those of IWSLT17 de-en (tokenised BLEU; one row per attention normaliser; nothing is pruned, so p = 0; Adaptively Sparse Transformers (arXiv 1909.00015), authors' slides); compare the changes, not the values.

    Mean ± standard deviation (number of runs) where there are several. Δ: change against p = 0 of the same column, in points where it has no percent sign.
    ");
}

#[test]
fn csv() {
    insta::assert_snapshot!(table().tables[0].csv().unwrap(), @r#"
    row,p_nominal,p_effective,mask,metric,value,paper,n_runs,n_seeds,signature
    softmax,,,copy-source,bleu,1.875,,1,1,BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp
    softmax,,,word-translation,bleu,4.25,,1,1,BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp
    softmax,0,0,ap,bleu,20,29.79,1,1,BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp
    1.5-entmax,0,0,ap,bleu,19.75,29.83,1,1,BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp
    alpha-entmax,0,0,ap,bleu,20.5,29.9,1,1,BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp
    enc-self,0,0,ap,bleu,20.25,34.94,1,1,BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp
    enc-self,80,80,ap,bleu,19,33.67,1,1,BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp
    dec-self,0,0,ap,bleu,20.25,34.94,1,1,BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp
    dec-self,80,80,ap,bleu,20.25,34.9,1,1,BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp
    cross,0,0,ap,bleu,20.25,34.94,1,1,BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp
    cross,80,80,ap,bleu,0,6.39,1,1,BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp
    "self-attention, 1.5-entmax",80,80,ap,bleu,18,,1,1,BLEU|corpus:help|split:test|n:512|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp
    "#);
}

#[test]
fn random_masks_get_their_columns() {
    let mut records = records();
    records.push(bleu("cross", "", random(1), Some(80.0), 12.5));
    let report = report(&records, &ReportOptions::default()).unwrap();
    let text = report.markdown();
    assert!(text.contains("ours, random ↑"), "{text}");
    let csv = report.tables[0].csv().unwrap();
    let random: Vec<&str> = csv
        .lines()
        .filter(|line| line.contains(",random,"))
        .collect();
    assert_eq!(random.len(), 2, "{csv}");
    assert!(
        random[0].starts_with("cross,0,0,random,bleu,20.25,34.94,1,"),
        "{csv}"
    );
    assert!(
        random[1].starts_with("cross,80,80,random,bleu,12.5,,1,"),
        "{csv}"
    );
}

#[test]
fn scores_of_two_metrics_stand_in_two_tables() {
    let mut records = records();
    let mut other = bleu("softmax", "", Condition::Dense, Some(0.0), 45.0);
    other.id += "-chrf";
    other.metric = Metric::Chrf;
    other.signature = signature(&Chrf::default());
    records.push(other);
    let report = report(&records, &ReportOptions::default()).unwrap();
    let metrics: Vec<Metric> = report.tables.iter().map(|table| table.metric).collect();
    assert_eq!(metrics, [Metric::Bleu, Metric::Chrf]);
    assert!(
        report.tables[1]
            .csv()
            .unwrap()
            .contains("softmax,0,0,ap,chrf,45,,1,1,chrF2|corpus:help")
    );
}

#[test]
fn a_sweep_has_a_line_for_each_row_and_bars_for_dense_models() {
    let text = svg::p_sweep(&table().tables[0]).unwrap();
    for label in [
        "BLEU ↑ on our corpus",
        "change against p = 0",
        "change (points)",
        "the same: paper, IWSLT14 de-en",
        "enc-self",
        // Dense models have no p: they stand below as bars, with their number.
        "Dense models",
        "paper, IWSLT17 de-en",
        ">29.83<",
    ] {
        assert!(text.contains(label), "{label}");
    }
    assert!(!text.contains("NaN") && !text.contains("inf"));
    // A mark for each of seven runs, six changes and six published ones, and four in the legend.
    let marks = text.matches("<circle").count() + text.matches("<path").count();
    assert_eq!(marks, 7 + 6 + 6 + 4);
}

#[test]
fn rows_without_p_are_drawn_side_by_side() {
    let dense: Vec<RunRecord> = records()
        .into_iter()
        .filter(|record| {
            record
                .paper
                .as_ref()
                .is_some_and(|paper| paper.corpus == "IWSLT17 de-en")
        })
        .collect();
    let report = report(&dense, &ReportOptions::default()).unwrap();
    let text = svg::by_row(&report.tables[0]).unwrap();
    assert_eq!(text.matches("<circle").count(), 0);
    // Three bars of ours, three published ones and the ground.
    assert_eq!(text.matches("<rect").count(), 7);
    for label in [
        ">softmax<",
        ">1.5-entmax<",
        ">alpha-entmax<",
        ">20.50<",
        "paper, IWSLT17 de-en",
        ">29.90<",
    ] {
        assert!(text.contains(label), "{label}");
    }
    let dir = tempfile::tempdir().unwrap();
    report.write(dir.path()).unwrap();
    assert_eq!(
        std::fs::read_to_string(dir.path().join("TABLE.svg")).unwrap(),
        text
    );
}

#[test]
fn scores_out_of_range_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for value in [-0.1, 100.1] {
        let error = bleu("cross", "", AP, Some(80.0), value)
            .save(dir.path())
            .unwrap_err();
        assert!(error.to_string().contains("BLEU is 0 to 100"), "{error}");
    }
    let error = bleu("cross", "", Baseline::CopySource, Some(80.0), 1.0)
        .save(dir.path())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("mask `copy-source` with p_nominal Some(80.0)"),
        "{error}"
    );
    let path = bleu("cross", "", Baseline::WordTranslation, None, 1.0)
        .save(dir.path())
        .unwrap();
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .contains("\"mask\": \"word-translation\"")
    );
    assert_eq!(
        RunRecord::load(&path).unwrap().condition,
        Baseline::WordTranslation.into()
    );
}
