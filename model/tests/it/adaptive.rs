//! Adaptive embedding and softmax.

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::Distribution;
use rstest::rstest;
use sparta_model::layer::AdaptiveConfig;

use crate::{distance, some_words, values, words};

const VOCAB: usize = 20;
const D_MODEL: usize = 8;

fn config(cutoffs: &[usize], div_val: usize, d_embed: usize) -> AdaptiveConfig {
    AdaptiveConfig::new(VOCAB, D_MODEL)
        .with_cutoffs(cutoffs.to_vec())
        .with_div_val(div_val)
        .with_d_embed(Some(d_embed))
        .with_init_std(0.5)
        .with_projection_std(0.5)
}

#[rstest]
#[case::plain(config(&[], 1, 8))]
#[case::projected(config(&[], 1, 4))]
#[case::clusters(config(&[5, 11], 1, 8))]
#[case::projected_clusters(config(&[5, 11], 1, 4))]
#[case::shrinking(config(&[5, 11], 2, 8))]
#[case::own_projections(config(&[5, 11], 2, 8).with_tie_projections(false))]
#[case::own_weights(config(&[5, 11], 2, 8).with_tie_weights(false))]
#[case::own_everything(config(&[5, 11], 1, 4).with_tie_weights(false).with_tie_projections(false))]
fn nll_is_minus_the_log_probability_which_sums_to_one(#[case] config: AdaptiveConfig) {
    let device = Device::flex();
    let (embedding, softmax) = (config.init_embedding(&device), config.init_softmax(&device));
    let hidden = Tensor::<2>::random([40, D_MODEL], Distribution::Normal(0.0, 1.0), &device);
    let mut targets = some_words(40, VOCAB, 3);
    targets[..4].copy_from_slice(&[0, 4, 5, 19]);

    let log_p = values(softmax.log_probabilities(hidden.clone(), &embedding));
    let nll = values(softmax.nll(hidden, &targets, &embedding));
    for (row, (nll, target)) in nll.iter().zip(&targets).enumerate() {
        let log_p = &log_p[row * VOCAB..(row + 1) * VOCAB];
        let sum: f32 = log_p.iter().map(|log_p| log_p.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "row {row} sums to {sum}");
        assert!((nll + log_p[*target as usize]).abs() < 1e-5, "row {row}");
    }
}

/// The original's arithmetic for one row, in plain loops (`div_val = 1`, no projections).
#[test]
fn clusters_equal_a_naive_two_level_softmax() {
    let device = Device::flex();
    let config = config(&[5, 11], 1, D_MODEL);
    let (embedding, softmax) = (config.init_embedding(&device), config.init_softmax(&device));
    let hidden = Tensor::<2>::random([1, D_MODEL], Distribution::Normal(0.0, 1.0), &device);

    let h = values(hidden.clone());
    let dot = |row: &[f32]| -> f64 { row.iter().zip(&h).map(|(w, h)| f64::from(w * h)).sum() };
    let table = values(embedding.tables[0].val());
    let words: Vec<f64> = table.chunks(D_MODEL).map(dot).collect();
    let tails = values(softmax.cluster_weight.as_ref().unwrap().val());
    let tails: Vec<f64> = tails.chunks(D_MODEL).map(dot).collect();
    let lse = |z: &[f64]| z.iter().map(|z| z.exp()).sum::<f64>().ln();

    // The head is words 0..5, then the clusters' entries: the last entry belongs to cluster 1.
    let head: Vec<f64> = words[..5].iter().chain(&tails).copied().collect();
    let of_cluster = |entry: usize| tails[entry] - lse(&head);
    let expected = [
        (3, words[3] - lse(&head)),
        (7, of_cluster(1) + words[7] - lse(&words[5..11])),
        (15, of_cluster(0) + words[15] - lse(&words[11..])),
    ];
    for (word, log_p) in expected {
        let nll = values(softmax.nll(hidden.clone(), &[word], &embedding))[0];
        assert!(
            (f64::from(nll) + log_p).abs() < 1e-5,
            "word {word}: {nll} and {log_p}"
        );
    }
}

#[test]
fn a_negative_target_costs_nothing() {
    let device = Device::flex().autodiff();
    let config = config(&[5, 11], 1, D_MODEL);
    let (embedding, softmax) = (config.init_embedding(&device), config.init_softmax(&device));
    let hidden = Tensor::<2>::random([3, D_MODEL], Distribution::Normal(0.0, 1.0), &device);
    let hidden = hidden.require_grad();
    let nll = softmax.nll(hidden.clone(), &[4, -1, 17], &embedding);
    let gradient = hidden
        .grad(&nll.clone().sum().backward())
        .expect("a gradient");
    let nll = values(nll);
    assert!(nll[0] > 0.0 && nll[1] == 0.0 && nll[2] > 0.0, "{nll:?}");
    let gradient = values(gradient);
    assert!(gradient[..D_MODEL].iter().any(|g| *g != 0.0));
    assert!(gradient[D_MODEL..2 * D_MODEL].iter().all(|g| *g == 0.0));
}

/// Another word would be scored in its place.
#[rstest]
#[case::plain(config(&[], 1, 8), 20)]
#[case::clusters(config(&[5, 11], 1, 8), 25)]
#[case::shrinking(config(&[5, 11], 2, 8), i32::MAX)]
#[should_panic(expected = "is not one of the 20 words of the vocabulary")]
fn a_target_that_is_no_word_is_refused(#[case] config: AdaptiveConfig, #[case] target: i32) {
    let device = Device::flex();
    let (embedding, softmax) = (config.init_embedding(&device), config.init_softmax(&device));
    let hidden = Tensor::<2>::zeros([3, D_MODEL], &device);
    let _ = softmax.nll(hidden, &[-1, 19, target], &embedding);
}

#[rstest]
#[case(config(&[], 1, 8))]
#[case(config(&[5, 11], 2, 8))]
fn nothing_is_looked_up_and_scored(#[case] config: AdaptiveConfig) {
    let device = Device::flex();
    let (embedding, softmax) = (config.init_embedding(&device), config.init_softmax(&device));
    for shape in [[2, 0], [0, 3]] {
        let vectors = embedding.forward(Tensor::zeros(shape, &device));
        assert_eq!(vectors.dims(), [shape[0], shape[1], D_MODEL]);
    }
    let hidden = Tensor::<2>::zeros([0, D_MODEL], &device);
    let log_p = softmax.log_probabilities(hidden.clone(), &embedding);
    assert_eq!(log_p.dims(), [0, VOCAB]);
    assert_eq!(softmax.nll(hidden, &[], &embedding).dims(), [0]);
}

#[test]
fn tied_weights_are_one_parameter_with_both_gradients() {
    let device = Device::flex().autodiff();
    let config = config(&[], 1, D_MODEL);
    let (embedding, softmax) = (config.init_embedding(&device), config.init_softmax(&device));
    assert_eq!(
        embedding.num_params() + softmax.num_params(),
        VOCAB * D_MODEL + VOCAB,
    );

    // Word 2 is read, never a target; the softmax pushes every word's weight.
    let vectors = embedding.forward(words(&[2, 2], 1, &device));
    let hidden = vectors.reshape([2, D_MODEL]);
    let through_both = softmax.nll(hidden.clone(), &[1, 1], &embedding).sum();
    let through_softmax = softmax.nll(hidden.detach(), &[1, 1], &embedding).sum();
    let table = embedding.tables[0].val();
    let both = values(table.grad(&through_both.backward()).expect("a gradient"));
    let softmax_only = values(table.grad(&through_softmax.backward()).expect("a gradient"));
    let row = |g: &[f32], word: usize| g[word * D_MODEL..(word + 1) * D_MODEL].to_vec();
    assert!(distance(&row(&both, 2), &row(&softmax_only, 2)) > 1e-4);
    assert!(distance(&row(&both, 7), &row(&softmax_only, 7)) < 1e-7);
    assert!(row(&softmax_only, 7).iter().any(|g| *g != 0.0));
}

#[test]
fn words_of_every_cluster_get_their_own_vector() {
    let device = Device::flex();
    let config = config(&[5, 11], 2, 8);
    let embedding = config.init_embedding(&device);
    let ids = [0, 4, 5, 10, 11, 19];
    let vectors = values(embedding.forward(words(&ids, 2, &device)));
    let bounds = config.bounds();
    for (n, id) in ids.iter().enumerate() {
        let cluster = bounds[1..].partition_point(|end| *end <= *id as usize);
        let row = *id as usize - bounds[cluster];
        let columns = embedding.tables[cluster].dims()[1];
        let vector = embedding.tables[cluster]
            .val()
            .slice([row..row + 1, 0..columns]);
        let vector = vector.matmul(embedding.projections[cluster].val().transpose());
        let expected = values(vector.mul_scalar((D_MODEL as f64).sqrt()));
        let found = &vectors[n * D_MODEL..(n + 1) * D_MODEL];
        assert!(distance(found, &expected) < 1e-5, "word {id}");
    }
}

#[rstest]
#[case(config(&[], 1, 8))]
#[case(config(&[5, 11], 1, 4))]
#[case(config(&[5, 11], 2, 8))]
#[case(config(&[5, 11], 2, 8).with_tie_projections(false).with_tie_weights(false))]
fn parameters_are_counted_without_making_them(#[case] config: AdaptiveConfig) {
    let device = Device::flex();
    let made =
        config.init_embedding(&device).num_params() + config.init_softmax(&device).num_params();
    assert_eq!(config.n_params(), made);
}
