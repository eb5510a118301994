//! BLEU, chrF and the bootstrap against sacreBLEU and multi-bleu.perl, whose answers
//! `tests/parity/sacrebleu_scores.py` wrote into `tests/parity/sacrebleu.json`.

use serde::Deserialize;
use sparta_results::metric::bleu::{Bleu, BleuTokenizer, Smoothing, multi_bleu};
use sparta_results::metric::bootstrap::{Bootstrap, Estimate};
use sparta_results::metric::chrf::Chrf;
use sparta_results::metric::{CorpusMetric, Outcomes, ReferenceCount, Statistic};

#[derive(Deserialize)]
struct Fixture {
    sacrebleu: String,
    settings: Vec<Settings>,
    signatures: Vec<String>,
    systems: Vec<System>,
    paired: Vec<Paired>,
}

#[derive(Deserialize)]
struct System {
    hypotheses: Vec<String>,
    references: Vec<Vec<String>>,
    /// (settings, signature, printed score)
    scores: Vec<(usize, usize, String)>,
    /// Matches and n-grams by order under the default tokeniser.
    counts: [Vec<u64>; 2],
    /// Score of the first sentence, effective order on.
    sentence: String,
    /// Printed by the Perl script: case kept, case ignored.
    multi_bleu: [Option<String>; 2],
}

#[derive(Deserialize)]
struct Paired {
    settings: Settings,
    baseline: Vec<String>,
    system: Vec<String>,
    references: Vec<Vec<String>>,
    /// [score, mean, ci, p] of the baseline and of the system.
    results: [(f64, f64, f64, Option<f64>); 2],
}

/// Keyword arguments of sacreBLEU's classes.
#[derive(Deserialize)]
struct Settings(String, Arguments);

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    tokenize: Option<BleuTokenizer>,
    lowercase: bool,
    smooth_method: Option<String>,
    smooth_value: Option<f64>,
    effective_order: bool,
    max_ngram_order: Option<usize>,
    char_order: Option<usize>,
    word_order: usize,
    beta: Option<u32>,
    whitespace: bool,
    eps_smoothing: bool,
}

enum Score {
    Bleu(Bleu),
    Chrf(Chrf),
}

impl Settings {
    fn score(&self) -> Score {
        let Self(name, of) = self;
        if name == "chrf" {
            return Score::Chrf(Chrf {
                char_order: of.char_order.unwrap_or(6),
                word_order: of.word_order,
                beta: of.beta.unwrap_or(2),
                lowercase: of.lowercase,
                whitespace: of.whitespace,
                eps_smoothing: of.eps_smoothing,
            });
        }
        let smooth = match (
            of.smooth_method.as_deref().unwrap_or("exp"),
            of.smooth_value,
        ) {
            ("none", None) => Smoothing::None,
            ("exp", None) => Smoothing::Exp,
            ("floor", None) => Smoothing::FLOOR,
            ("floor", Some(value)) => Smoothing::Floor(value),
            ("add-k", None) => Smoothing::ADD_K,
            ("add-k", Some(value)) => Smoothing::AddK(value),
            other => panic!("{other:?}"),
        };
        Score::Bleu(Bleu {
            tokenize: of.tokenize.unwrap_or(BleuTokenizer::V13a),
            lowercase: of.lowercase,
            smooth,
            max_order: of.max_ngram_order.unwrap_or(4),
            effective_order: of.effective_order,
        })
    }
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../parity/sacrebleu.json")).unwrap()
}

#[test]
fn scores_are_those_of_sacrebleu_to_the_printed_digit() {
    let fixture = fixture();
    let end = format!(
        "|version:sparta-{}=sacrebleu-{}",
        env!("CARGO_PKG_VERSION"),
        fixture.sacrebleu
    );
    let mut wrong = Vec::new();
    let mut n_scores = 0;
    for (at, system) in fixture.systems.iter().enumerate() {
        let (hypotheses, references) = (&system.hypotheses, &system.references);
        for (settings, signature, expected) in &system.scores {
            let (found, found_signature) = match fixture.settings[*settings].score() {
                Score::Bleu(bleu) => {
                    let score = bleu.corpus(hypotheses, references).unwrap();
                    (format!("{score:.6}"), score.signature)
                }
                Score::Chrf(chrf) => {
                    let score = chrf.corpus(hypotheses, references).unwrap();
                    (format!("{score:.6}"), score.signature)
                }
            };
            n_scores += 1;
            if found != *expected {
                wrong.push(format!(
                    "system {at}, {found_signature}: {found}, not {expected}"
                ));
            }
            assert_eq!(
                found_signature,
                format!("{}{end}", fixture.signatures[*signature])
            );
        }
        let plain = Bleu::default().corpus(hypotheses, references).unwrap();
        assert_eq!([plain.counts, plain.totals], system.counts, "system {at}");
        let single = Bleu {
            effective_order: true,
            ..Bleu::default()
        };
        let single = single.sentence(&hypotheses[0], &references[0]).unwrap();
        if format!("{single:.6}") != system.sentence {
            wrong.push(format!(
                "system {at}, first sentence: {single:.6}, not {}",
                system.sentence
            ));
        }
    }
    assert!(fixture.systems.len() >= 200 && n_scores >= 2000);
    assert!(
        wrong.is_empty(),
        "{} of {n_scores} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn tokenised_bleu_is_that_of_the_perl_script() {
    let mut n_scores = 0;
    for (at, system) in fixture().systems.iter().enumerate() {
        for (lowercase, expected) in [false, true].into_iter().zip(&system.multi_bleu) {
            let Some(expected) = expected else { continue };
            let found = multi_bleu(&system.hypotheses, &system.references, lowercase).unwrap();
            assert_eq!(
                found.to_string(),
                *expected,
                "system {at}, lowercase {lowercase}"
            );
            n_scores += 1;
        }
    }
    assert!(n_scores >= 300, "{n_scores}");
}

#[test]
fn where_the_perl_script_stops_the_score_is_zero() {
    let score = multi_bleu(&["", " "], &[vec!["a b"], vec!["c"]], false).unwrap();
    assert_eq!(
        score.to_string(),
        "BLEU = 0.00, 0.0/0.0/0.0/0.0 (BP=0.000, ratio=0.000, hyp_len=0, ref_len=3)"
    );
}

/// sacreBLEU sums in f32, we in integers: hence not the last digits, and the p-value may be off by
/// one sample in a tie.
#[test]
fn bootstrap_is_that_of_sacrebleu() {
    fn check<M: CorpusMetric + Into<Statistic> + Copy>(case: &Paired, metric: M) {
        let Paired {
            baseline,
            system,
            references,
            results,
            ..
        } = case;
        let outcomes = |of| Outcomes::translations(metric, of, references).unwrap();
        let found = Bootstrap::default()
            .paired(&outcomes(baseline), &outcomes(system))
            .unwrap();
        let close = |found: Estimate, (score, mean, ci, _): (f64, f64, f64, Option<f64>)| {
            for (found, expected) in [(found.score, score), (found.mean, mean), (found.ci, ci)] {
                assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
            }
        };
        close(found.baseline, results[0]);
        close(found.system, results[1]);
        let p_value = results[1].3.unwrap();
        assert!(
            (found.sacrebleu_p_value - p_value).abs() < 1.5 / 1001.0,
            "{} not {p_value}",
            found.sacrebleu_p_value
        );
    }
    let fixture = fixture();
    for case in &fixture.paired {
        match case.settings.score() {
            Score::Bleu(bleu) => check(case, bleu),
            Score::Chrf(chrf) => check(case, chrf),
        }
    }
    let p = fixture.paired.iter().map(|case| case.results[1].3.unwrap());
    assert!(
        p.clone().any(|p| p < 0.05) && p.clone().any(|p| p > 0.05),
        "{:?}",
        p.collect::<Vec<_>>()
    );
}

#[test]
fn what_cannot_be_scored_says_why() {
    let bleu = Bleu::default();
    let none: [Vec<&str>; 0] = [];
    let cases = [
        (
            bleu.corpus::<&str, &str>(&[], &none),
            "at least one sentence",
        ),
        (
            bleu.corpus(&["a"], &[vec!["a"], vec!["b"]]),
            "asked to score 1 translations against the references of 2",
        ),
        (
            bleu.corpus(&["a", "b"], &[vec!["a"], vec![]]),
            "sentence 1 (counted from 0) has no reference",
        ),
        (
            Bleu {
                max_order: 0,
                ..bleu
            }
            .corpus(&["a"], &[vec!["a"]]),
            "max_order of the score is 0",
        ),
        (
            Bleu {
                smooth: Smoothing::Floor(f64::NAN),
                ..bleu
            }
            .corpus(&["a"], &[vec!["a"]]),
            "smooth of the score is NaN",
        ),
    ];
    for (result, expected) in cases {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = Chrf {
        char_order: 0,
        ..Chrf::default()
    }
    .corpus(&["a"], &[vec!["a"]])
    .unwrap_err();
    assert!(error.to_string().contains("char_order"), "{error}");
    let error = "zh".parse::<BleuTokenizer>().unwrap_err().to_string();
    assert_eq!(
        error,
        "tokenizer of the score is zh; use none, 13a, intl or char"
    );
    let bootstrap = Bootstrap {
        n_samples: 0,
        ..Bootstrap::default()
    };
    let outcomes = Outcomes::translations(bleu, &["a"], &[vec!["a"]]).unwrap();
    assert!(bootstrap.paired(&outcomes, &outcomes).is_err());
}

#[test]
fn reference_counts_that_vary_are_named() {
    let score = Bleu::default()
        .corpus(&["a", "b"], &[vec!["a"], vec!["b", "c"]])
        .unwrap();
    assert!(
        score.signature.starts_with("nrefs:var|"),
        "{}",
        score.signature
    );
    assert_eq!(ReferenceCount::Same(3).to_string(), "3");
}
