//! Searches written without regard to cost, and what they find.

use burn::prelude::*;
use burn::tensor::TensorData;
use rstest::rstest;
use sparta_model::decode::{DecodeConfig, beam_search};
use sparta_model::layer::{NormalizerConfig, OutputMap};
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqInput, Seq2SeqMasks};

use super::{END, PAD, VOCAB, config, search, translate};
use crate::{alone, some_words, values, words};

const MAPS: [OutputMap; 3] = [
    OutputMap::Softmax,
    OutputMap::Sparsemax,
    OutputMap::Entmax { alpha: 1.3 },
];

/// log p of every token after `prefix`.
fn next(model: &Seq2Seq, source: &[i32], prefix: &[i32], device: &Device) -> Vec<f64> {
    let read = [&[END], prefix].concat();
    let n = read.len();
    let input = Seq2SeqInput::new(words(source, 1, device), words(&read, 1, device));
    let logits = model
        .logits(model.forward(input).hidden)
        .reshape([n, VOCAB]);
    let last = logits.slice([n - 1..n, 0..VOCAB]);
    let p = values(model.output_map().probabilities(last));
    p.iter().map(|p| f64::from(*p).ln()).collect()
}

/// Every translation of at most `max_len` tokens that has probability: score and tokens, best first.
pub fn every_translation(
    model: &Seq2Seq,
    source: &[i32],
    max_len: usize,
    config: &DecodeConfig,
    device: &Device,
) -> Vec<(f64, Vec<i32>)> {
    let mut all = Vec::new();
    let mut open = vec![(0.0, Vec::new())];
    while let Some((sum, prefix)) = open.pop() {
        let log_p = next(model, source, &prefix, device);
        if prefix.len() >= config.min_len {
            let length = (prefix.len() + 1) as f64;
            let score = (sum + log_p[END as usize]) / length.powf(config.length_penalty);
            all.push((score, prefix.clone()));
        }
        if prefix.len() < max_len {
            for token in (0..VOCAB as i32).filter(|t| ![PAD, END].contains(t)) {
                open.push((
                    sum + log_p[token as usize],
                    [&prefix[..], &[token]].concat(),
                ));
            }
        }
    }
    all.retain(|(score, _)| *score > f64::NEG_INFINITY);
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all
}

/// A beam that can hold everything finds everything, in the right order.
#[rstest]
fn a_wide_beam_finds_what_trying_everything_finds(
    #[values(0.0, 0.6, 1.0, 2.0)] length_penalty: f64,
    #[values(0, 1)] min_len: usize,
) {
    alone(|| {
        let device = Device::flex();
        device.seed(3);
        for (seed, map) in (1..).zip(MAPS) {
            let mut model = config(map).init(&device);
            // Scores near each other: sparse maps leave several tokens.
            let table = model.output_weight.take().expect("not shared");
            model.output_weight = Some(table.map(|table| table.mul_scalar(0.2)));
            let source = some_words(5, 12, seed);
            let config = search()
                .with_beam_size(100)
                .with_n_best(100)
                .with_max_len_b(3)
                .with_min_len(min_len)
                .with_length_penalty(length_penalty);
            let all = every_translation(&model, &source, 3, &config, &device);
            let found = &translate(&model, words(&source, 1, &device), &config)[0];
            assert!((4..=40).contains(&all.len()), "{map:?}: {}", all.len());
            assert_eq!(found.len(), all.len(), "{map:?}");
            for (found, (score, tokens)) in found.iter().zip(&all) {
                assert!((found.score - score).abs() < 1e-4, "{found:?} {score}");
                // Scores can be equal up to rounding where the order is then free.
                let twins = all.iter().filter(|(other, _)| (other - score).abs() < 1e-4);
                assert!(
                    twins.count() > 1 || found.tokens == *tokens,
                    "{found:?} {tokens:?}"
                );
                let sum: f64 = found.log_probabilities.iter().sum();
                let length = (found.tokens.len() + 1) as f64;
                assert!((sum / length.powf(length_penalty) - found.score).abs() < 1e-9);
            }
        }
    });
}

/// Beam search of one sentence with a pass over everything for each token.
fn simple_beam(
    model: &Seq2Seq,
    source: &[i32],
    max_len: usize,
    beam_size: usize,
    device: &Device,
) -> Vec<(f64, Vec<i32>)> {
    let mut live = vec![(0.0, Vec::new())];
    let mut finished = Vec::new();
    for length in 0..=max_len {
        let mut candidates = Vec::new();
        for (sum, prefix) in &live {
            let log_p = next(model, source, prefix, device);
            for token in 0..VOCAB as i32 {
                let allowed = match token {
                    PAD => false,
                    END => length > 0,
                    _ => length < max_len,
                };
                if allowed && log_p[token as usize] > f64::NEG_INFINITY {
                    candidates.push((sum + log_p[token as usize], prefix.clone(), token));
                }
            }
        }
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        candidates.truncate(2 * beam_size);
        live.clear();
        for (place, (sum, prefix, token)) in candidates.into_iter().enumerate() {
            if token != END {
                live.push((sum, [prefix, vec![token]].concat()));
            } else if place < beam_size && finished.len() < beam_size {
                finished.push((sum / (length + 1) as f64, prefix));
            }
        }
        live.truncate(beam_size);
        if finished.len() == beam_size {
            break;
        }
    }
    finished.sort_by(|a, b| b.0.total_cmp(&a.0));
    finished
}

/// In a batch of sentences of different lengths, with cache or without, padded left or right, the search
/// finds what the simple search finds for each sentence alone.
#[rstest]
fn a_batch_finds_what_the_simple_search_finds(
    #[values(1, 2, 4)] beam_size: usize,
    #[values(true, false)] cache: bool,
) {
    alone(|| {
        let device = Device::flex();
        device.seed(beam_size as u64);
        for (map, left) in MAPS.into_iter().zip([true, false, true]) {
            let model = config(map)
                .with_normalizer(NormalizerConfig::Entmax15)
                .init(&device);
            let sentences: Vec<Vec<i32>> = (0..4)
                .map(|i| some_words(3 + 2 * (i % 3), 12, i as u64 + 9))
                .collect();
            let (mut source, mut padding) = (Vec::new(), Vec::new());
            for words in &sentences {
                let gap = vec![PAD; 7 - words.len()];
                match left {
                    true => source.extend(gap.iter().chain(words)),
                    false => source.extend(words.iter().chain(&gap)),
                }
                let hidden = |i: usize| match left {
                    true => i < gap.len(),
                    false => i >= words.len(),
                };
                padding.extend((0..7).map(hidden));
            }
            let padding = Tensor::from_data(TensorData::new(padding, [4, 7]), &device);
            let config = search()
                .with_beam_size(beam_size)
                .with_n_best(beam_size)
                .with_max_len_a(1.0)
                .with_max_len_b(2)
                .with_cache(cache);
            let found = beam_search(
                &model,
                words(&source, 4, &device),
                Some(padding),
                &Seq2SeqMasks::default(),
                &config,
            );
            for (source, found) in sentences.iter().zip(found.unwrap()) {
                let expected = simple_beam(&model, source, source.len() + 2, beam_size, &device);
                if expected.is_empty() {
                    assert!(found.iter().all(|hypothesis| !hypothesis.finished));
                    continue;
                }
                assert_eq!(found.len(), expected.len());
                for (found, (score, tokens)) in found.iter().zip(&expected) {
                    assert_eq!(&found.tokens, tokens, "{map:?}");
                    assert!((found.score - score).abs() < 1e-4 && found.finished);
                }
            }
        }
    });
}

#[test]
fn greedy_search_takes_the_likeliest_token_each_time() {
    let device = Device::flex();
    let model = config(OutputMap::Softmax).init(&device);
    for seed in 1..6 {
        let source = some_words(4, 12, seed);
        let mut expected = Vec::new();
        for length in 0..8 {
            let log_p = next(&model, &source, &expected, &device);
            let allowed = |token: &i32| *token != PAD && (*token != END || length > 0);
            let likeliest = (0..VOCAB as i32)
                .filter(allowed)
                .max_by(|a, b| log_p[*a as usize].total_cmp(&log_p[*b as usize]));
            match likeliest {
                Some(END) | None => break,
                Some(token) => expected.push(token),
            }
        }
        let config = DecodeConfig::greedy(END, END)
            .with_never(vec![PAD])
            .with_max_len_b(8);
        let found = translate(&model, words(&source, 1, &device), &config);
        assert_eq!(found[0][0].tokens, expected);
    }
}
