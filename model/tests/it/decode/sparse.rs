//! Searches over sparse output maps: what they prove, against every translation that there is.

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::TensorData;
use rstest::rstest;
use sparta_model::ModelError;
use sparta_model::decode::{Certificate, DecodeConfig, SearchMethod, Searched};
use sparta_model::layer::OutputMap;
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqInput, Seq2SeqMasks};

use super::brute_force::every_translation;
use super::limits::constant;
use super::{END, PAD, VOCAB, config, search};
use crate::{alone, some_words, values, words};

const MAPS: [OutputMap; 3] = [
    OutputMap::Sparsemax,
    OutputMap::Entmax15,
    OutputMap::Entmax { alpha: 1.3 },
];
const MAX_LEN: usize = 4;

/// Scores near each other, so that the map leaves several tokens.
fn model(map: OutputMap, device: &Device) -> Seq2Seq {
    let mut model = config(map).init(device);
    let table = model.output_weight.take().expect("not shared");
    model.output_weight = Some(table.map(|table| table.mul_scalar(0.3)));
    model
}

/// The most probable of at most [`MAX_LEN`] tokens.
fn likeliest() -> DecodeConfig {
    search().with_length_penalty(0.0).with_max_len_b(MAX_LEN)
}

fn exact(max_prefixes: usize) -> DecodeConfig {
    likeliest()
        .with_beam_size(1)
        .with_method(SearchMethod::Exact { max_prefixes })
}

fn found(model: &Seq2Seq, source: &[i32], config: &DecodeConfig) -> (Searched, Certificate) {
    let source = words(source, 1, &Device::flex());
    let none = Seq2SeqMasks::default();
    let found = sparta_model::decode::search(model, source, None, &none, config);
    let found = found.expect("valid settings").swap_remove(0);
    let certificate = found.certificate.expect("a sparse map");
    (found, certificate)
}

fn parts(of: &Certificate) -> f64 {
    of.finished + of.cut + of.forbidden + of.too_long
}

/// A beam that holds every continuation finds every translation, knows that, and their probabilities with those
/// of what may not be written sum to 1.
#[rstest]
fn a_beam_that_holds_everything_is_exact(#[values(0, 1, 2, 3)] seed: u64) {
    alone(|| {
        let device = Device::flex();
        device.seed(seed);
        for map in MAPS {
            let model = model(map, &device);
            let source = some_words(5, 12, seed + 1);
            let config = likeliest().with_beam_size(400).with_n_best(400);
            let all = every_translation(&model, &source, MAX_LEN, &config, &device);
            let (found, certificate) = found(&model, &source, &config);
            assert_eq!(found.hypotheses.len(), all.len());
            assert!(certificate.is_exact() && certificate.proves_likeliest());
            assert_eq!((certificate.n_cut, certificate.cut), (0, 0.0));
            let mass: f64 = all.iter().map(|(log_p, _)| log_p.exp()).sum();
            assert!((certificate.finished - mass).abs() < 1e-5);
            assert!((parts(&certificate) - 1.0).abs() < 1e-4, "{certificate:?}");
            assert!((certificate.best_finished - all[0].0).abs() < 1e-4);
        }
    });
}

/// With nothing forbidden and an end that comes in time, Σp of what a wide beam finds is 1.
#[test]
fn the_probabilities_of_all_translations_sum_to_one() {
    let device = Device::flex();
    // Sparsemax: 0.5 for the end, 0.3 and 0.2 for two tokens; the rest is longer than 10 tokens.
    let model = constant(OutputMap::Sparsemax, [-9.0, 0.5, 0.3, 0.2, -9.0], &device);
    let config = likeliest()
        .with_min_len(0)
        .with_max_len_b(10)
        .with_beam_size(5000)
        .with_n_best(5000);
    let (found, certificate) = found(&model, &[3, 4], &config);
    let p = found.hypotheses.iter().map(|h| h.score.exp());
    let sum: f64 = p.sum();
    let too_long = 0.5f64.powi(11);
    assert!((sum + too_long - 1.0).abs() < 1e-5, "{sum}");
    assert!((certificate.too_long - too_long).abs() < 1e-7);
    assert!(certificate.is_exact() && certificate.forbidden == 0.0);
    assert_eq!(found.hypotheses.len(), (1 << 11) - 1);
}

/// Whatever a beam drops is accounted for, and what it says to be proven is true.
#[test]
fn a_narrow_beam_proves_nothing_that_is_wrong() {
    alone(|| {
        let device = Device::flex();
        let (mut n_exact, mut n_proven, mut n_missed) = (0, 0, 0);
        for (seed, map) in (0..24).zip(MAPS.into_iter().cycle()) {
            device.seed(seed);
            let model = model(map, &device);
            let source = some_words(5, 12, seed + 1);
            for beam_size in 1..4 {
                let config = likeliest().with_beam_size(beam_size);
                let all = every_translation(&model, &source, MAX_LEN, &config, &device);
                let (found, certificate) = found(&model, &source, &config);
                assert!((parts(&certificate) - 1.0).abs() < 1e-4, "{certificate:?}");
                let Some((best, tokens)) = all.first() else {
                    assert!(!certificate.proves_likeliest() && certificate.finished == 0.0);
                    continue;
                };
                let has_best = certificate.best_finished >= best - 1e-4;
                if certificate.proves_likeliest() {
                    n_proven += 1;
                    assert!(has_best);
                    let twins = all.iter().filter(|(other, _)| other - best > -1e-4);
                    assert!(twins.count() > 1 || found.hypotheses[0].tokens == *tokens);
                }
                if certificate.is_exact() {
                    n_exact += 1;
                    let mass: f64 = all.iter().map(|(log_p, _)| log_p.exp()).sum();
                    assert!((certificate.finished - mass).abs() < 1e-4);
                }
                n_missed += usize::from(!has_best);
            }
        }
        assert!(n_proven > 0 && n_proven < 72, "{n_proven}");
        assert!(n_exact < n_proven && n_missed > 0, "{n_exact} {n_missed}");
    });
}

/// Depth-first search finds the best translation, and the best of any number in order, as trying everything does.
#[rstest]
fn depth_first_search_finds_what_trying_everything_finds(#[values(0, 1, 2, 3)] seed: u64) {
    alone(|| {
        let device = Device::flex();
        device.seed(seed);
        for map in MAPS {
            let model = model(map, &device);
            let source = some_words(5, 12, seed + 1);
            let all = every_translation(&model, &source, MAX_LEN, &likeliest(), &device);
            let mut n_read = Vec::new();
            for n_best in [1, 3, 1000] {
                let config = exact(100_000).with_n_best(n_best);
                let (found, certificate) = found(&model, &source, &config);
                assert_eq!(found.hypotheses.len(), n_best.min(all.len()));
                for (found, (log_p, tokens)) in found.hypotheses.iter().zip(&all) {
                    assert!((found.score - log_p).abs() < 1e-4 && found.finished);
                    let twins = all.iter().filter(|(other, _)| (other - log_p).abs() < 1e-4);
                    assert!(twins.count() > 1 || found.tokens == *tokens);
                }
                assert!(certificate.proves_likeliest() && !certificate.limited);
                assert!((parts(&certificate) - 1.0).abs() < 1e-4, "{certificate:?}");
                n_read.push(certificate.n_read);
            }
            // A bound saves reading; without one everything is read.
            assert!(
                n_read[0] <= n_read[1] && n_read[1] <= n_read[2],
                "{n_read:?}"
            );
        }
    });
}

/// The likeliest first token leads to many translations, the second to one: greedy search goes the wrong way.
#[test]
fn exact_search_finds_what_greedy_search_misses() {
    alone(|| {
        let device = Device::flex();
        let mut n_missed = 0;
        for seed in 0..12 {
            device.seed(seed);
            let model = model(OutputMap::Entmax15, &device);
            let source = some_words(5, 12, seed + 1);
            let greedy = likeliest().with_beam_size(1);
            let greedy = found(&model, &source, &greedy).0.hypotheses[0].clone();
            let best = found(&model, &source, &exact(100_000)).0.hypotheses[0].clone();
            assert!(!greedy.finished || best.score >= greedy.score - 1e-6);
            n_missed += usize::from(best.score > greedy.score + 1e-3);
        }
        assert!(n_missed > 0);
    });
}

/// In a batch, padded on the left, each sentence gets what it gets alone.
#[test]
fn sentences_of_a_batch_do_not_mix() {
    alone(|| {
        let device = Device::flex();
        device.seed(5);
        let model = model(OutputMap::Entmax15, &device);
        let [long, short] = [some_words(6, 12, 3), some_words(4, 12, 4)];
        let batch = [&long[..], &[PAD, PAD], &short[..]].concat();
        let hidden: Vec<bool> = (0..12).map(|i| i == 6 || i == 7).collect();
        let padding = Tensor::from_data(TensorData::new(hidden, [2, 6]), &device);
        let none = Seq2SeqMasks::default();
        let source = words(&batch, 2, &device);
        let config = exact(100_000).with_n_best(3);
        let both =
            sparta_model::decode::search(&model, source, Some(padding), &none, &config).unwrap();
        for (source, of_batch) in [long, short].iter().zip(both) {
            let (alone, _) = found(&model, source, &config);
            let pairs = alone.hypotheses.iter().zip(&of_batch.hypotheses);
            for (alone, of_batch) in pairs {
                assert!((alone.score - of_batch.score).abs() < 1e-4);
            }
            assert_eq!(alone.hypotheses.len(), of_batch.hypotheses.len());
        }
    });
}

/// A hypothesis whose whole mass is on a forbidden token dies; it is counted, and nothing is proven.
#[rstest]
#[case(PAD)]
#[case(END)]
fn a_hypothesis_without_a_token_that_may_follow_dies(
    #[case] only: i32,
    #[values(true, false)] is_beam: bool,
) {
    let device = Device::flex();
    let mut scores = [0.0; VOCAB];
    scores[only as usize] = 5.0;
    let model = constant(OutputMap::Sparsemax, scores, &device);
    let config = match is_beam {
        true => likeliest(),
        false => exact(100),
    };
    let (found, certificate) = found(&model, &[3, 4], &config);
    assert_eq!(certificate.n_dead, 1);
    assert_eq!((certificate.forbidden, certificate.finished), (1.0, 0.0));
    assert!(!certificate.proves_likeliest() && certificate.is_exact());
    assert!(!found.hypotheses[0].finished && found.hypotheses[0].tokens.is_empty());
}

/// A model that never ends: all its probability is on what is longer than may be.
#[rstest]
fn probability_beyond_the_longest_length_is_told(#[values(true, false)] is_beam: bool) {
    let device = Device::flex();
    let model = constant(OutputMap::Sparsemax, [-9.0, -2.0, 0.1, 0.0, -9.0], &device);
    let config = match is_beam {
        true => likeliest().with_beam_size(16),
        false => exact(100),
    };
    let (found, certificate) = found(&model, &[3], &config);
    assert!((certificate.too_long - 1.0).abs() < 1e-5, "{certificate:?}");
    assert_eq!((certificate.n_dead, certificate.n_cut), (0, 0));
    assert!(!found.hypotheses[0].finished && !certificate.proves_likeliest());
    // 1 + 2 + 4 + 8 + 16 prefixes.
    assert_eq!(certificate.n_read, 31);
}

/// With the bound on prefixes the search says that it stopped, and gives the best that it had.
#[test]
fn a_search_that_is_stopped_says_so() {
    let device = Device::flex();
    // The end is the least likely of three.
    let model = constant(OutputMap::Sparsemax, [-9.0, 0.2, 0.45, 0.35, -9.0], &device);
    let (all, whole) = found(&model, &[3], &exact(100_000).with_n_best(4));
    assert!(!whole.limited && whole.proves_likeliest());
    for max_prefixes in [1, 2, 5] {
        let (found, certificate) = found(&model, &[3], &exact(max_prefixes).with_n_best(4));
        assert!(certificate.limited);
        assert_eq!(certificate.n_read, max_prefixes);
        assert!(certificate.n_cut > 0 && !certificate.is_exact());
        assert!((parts(&certificate) - 1.0).abs() < 1e-4, "{certificate:?}");
        assert!(found.hypotheses[0].score <= all.hypotheses[0].score + 1e-6);
    }
}

#[test]
fn exact_search_with_softmax_is_refused_with_the_reason() {
    let device = Device::flex();
    for map in [OutputMap::Softmax, OutputMap::Entmax { alpha: 1.0 }] {
        let model = config(map).init(&device);
        let source = words(&[3, 4], 1, &device);
        let none = Seq2SeqMasks::default();
        let run = |config: &DecodeConfig| {
            sparta_model::decode::search(&model, source.clone(), None, &none, config)
        };
        let error = run(&exact(100)).unwrap_err();
        assert!(matches!(error, ModelError::DenseOutput { .. }), "{error}");
        assert!(error.to_string().contains("entmax15"), "{error}");
        assert!(run(&likeliest()).unwrap()[0].certificate.is_none());
    }
}

#[test]
fn words_of_searches_are_read_back() {
    for word in ["beam", "exact", "exact(prefixes=50)"] {
        assert_eq!(word.parse::<SearchMethod>().unwrap().to_string(), word);
    }
    let same: SearchMethod = "exact(prefixes=10000)".parse().unwrap();
    assert_eq!(same.to_string(), "exact");
    for wrong in [
        "",
        "greedy",
        "exact()",
        "exact(prefixes=0)",
        "exact(depth=3)",
        "beam(5)",
    ] {
        let error = wrong.parse::<SearchMethod>().unwrap_err().to_string();
        assert!(error.contains("known are beam, exact"), "{error}");
    }
}

/// Sizes of supports and probabilities of targets are those of the map on each row of scores.
#[test]
fn the_support_of_targets_is_that_of_their_rows() {
    let device = Device::flex();
    for map in MAPS {
        let mut model = model(map, &device);
        // The first word of the vocabulary gets nothing anywhere.
        let table = model.output_weight.take().expect("not shared").val();
        let rest = table.clone().slice([1..VOCAB, 0..16]);
        let none = table.slice([0..1, 0..16]).mul_scalar(0.0);
        model.output_weight = Some(Param::from_tensor(Tensor::cat(vec![none, rest], 0)));
        let (source, target) = (some_words(10, 12, 1), [END, 2, 3, END, 4, 4]);
        let input = Seq2SeqInput::new(words(&source, 2, &device), words(&target, 2, &device));
        let hidden = model.forward(input).hidden;
        let wanted = [2, 3, END, 4, PAD, -100];
        let found = model.target_support(hidden.clone(), words(&wanted, 2, &device));
        let p = map.probabilities(model.logits(hidden).reshape([6, VOCAB]));
        let rows = values(p);
        let sizes = found.sizes.into_data().iter::<i64>().collect::<Vec<_>>();
        let probabilities = values(found.probabilities);
        for (i, row) in rows.chunks(VOCAB).enumerate() {
            let (size, p) = match usize::try_from(wanted[i]) {
                Ok(token) => (row.iter().filter(|p| **p > 0.0).count() as i64, row[token]),
                Err(_) => (0, 1.0),
            };
            assert_eq!((sizes[i], probabilities[i]), (size, p));
        }
        assert!(sizes.iter().any(|size| *size > 1));
    }
}
