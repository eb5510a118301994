//! Attention against a scalar implementation, masks, and the errors of bad shapes.

mod empty;
mod fused;
mod kept;
mod linear;
mod linformer;
mod lsh;
mod nystrom;
mod pages;
mod span;

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use rstest::rstest;
use sparta_ops::attention::{
    AttentionError, AttentionOptions, Normalizer, sparse_attention, try_sparse_attention,
};
use sparta_ops::testing::{assert_close, devices, normal, tensor, values};
use sparta_ops::{entmax, entmax15, fusedmax, oscarmax, softmax, sparsemax};

const BATCH: usize = 2;
const HEADS: usize = 3;
const D: usize = 5;

fn mask<const R: usize>(
    hidden: impl Fn(usize) -> bool,
    shape: [usize; R],
    device: &Device,
) -> Tensor<R, Bool> {
    let n = shape.iter().product();
    let data: Vec<bool> = (0..n).map(hidden).collect();
    Tensor::from_data(TensorData::new(data, shape), &device.clone().inner())
}

#[derive(Clone, Copy, Debug)]
enum Masks {
    None,
    Causal,
    All,
}

fn normalizer(name: &str, device: &Device) -> Normalizer {
    match name {
        "softmax" => Normalizer::Softmax,
        "sparsemax" => Normalizer::Sparsemax,
        "entmax15" => Normalizer::Entmax15,
        "fusedmax" => Normalizer::Fusedmax { lambda: 0.2 },
        "oscarmax" => Normalizer::Oscarmax { lambda: 0.03 },
        "alpha" => Normalizer::Entmax(tensor(&[1.1, 1.5, 2.3], [HEADS], DType::F32, device)),
        other => panic!("no normaliser {other}"),
    }
}

/// A row's weights in f64 by the named mapping.
fn weights_of(name: &str, head: usize, scores: &[f64]) -> Vec<f64> {
    let z: Tensor<1> = tensor(scores, [scores.len()], DType::F64, &Device::flex());
    values(match name {
        "softmax" => softmax(z, 0),
        "sparsemax" => sparsemax(z, 0),
        "entmax15" => entmax15(z, 0),
        "fusedmax" => fusedmax(z, 0.2, 0),
        "oscarmax" => oscarmax(z, 0.03, 0),
        "alpha" => entmax(z, [1.1f32, 1.5, 2.3][head] as f64, 0),
        other => panic!("no normaliser {other}"),
    })
}

/// Every normaliser and mask kind, square and rectangular, against loops over scalars.
#[rstest]
fn equals_scalar_loops(
    #[values("softmax", "sparsemax", "entmax15", "alpha", "fusedmax", "oscarmax")] name: &str,
    #[values(Masks::None, Masks::Causal, Masks::All)] masks: Masks,
    #[values((7, 7), (3, 9), (1, 4))] sizes: (usize, usize),
) {
    let (nq, nk) = sizes;
    for device in devices() {
        if device.slow && (name == "sparsemax" || sizes == (1, 4)) {
            continue; // the quick tier
        }
        let device = &device.device;
        let q = normal(BATCH * HEADS * nq * D, 1);
        let k = normal(BATCH * HEADS * nk * D, 2);
        let v = normal(BATCH * HEADS * nk * D, 3);
        let bias = normal(HEADS * nq * nk, 4);
        let t = |x: &[f64], n: usize| tensor(x, [BATCH, HEADS, n, D], DType::F32, device);

        let global = |i: usize| (i * 7 + i / nk).is_multiple_of(3);
        let padded = |i: usize| i / nk == 1 && i.is_multiple_of(nk);
        let mut options = AttentionOptions::new(normalizer(name, device)).return_weights();
        if !matches!(masks, Masks::None) {
            options = options.causal();
        }
        if matches!(masks, Masks::All) {
            options = options
                .global_mask(mask(global, [HEADS, nq, nk], device))
                .key_padding(mask(padded, [BATCH, nk], device))
                .bias(tensor(&bias, [1, HEADS, nq, nk], DType::F32, device))
                .scale(0.7);
        }
        let output = sparse_attention(t(&q, nq), t(&k, nk), t(&v, nk), options);
        let (weights, context) = (
            values(output.weights.expect("asked for")),
            values(output.context),
        );

        for row in 0..BATCH * HEADS * nq {
            let (bh, i) = (row / nq, row % nq);
            let (b, h) = (bh / HEADS, bh % HEADS);
            let scores: Vec<f64> = (0..nk)
                .map(|j| {
                    let dot: f64 = (0..D)
                        .map(|d| q[row * D + d] * k[(bh * nk + j) * D + d])
                        .sum();
                    let cell = (h * nq + i) * nk + j;
                    let all = matches!(masks, Masks::All);
                    let future = !matches!(masks, Masks::None) && j + nq > i + nk;
                    match future || (all && (global(cell) || padded(b * nk + j))) {
                        true => f64::NEG_INFINITY,
                        false if all => 0.7 * dot + bias[cell],
                        false => dot / (D as f64).sqrt(),
                    }
                })
                .collect();
            let expected = weights_of(name, h, &scores);
            let label = format!("{name} {masks:?} {sizes:?} row {row}");
            assert_close(&label, &weights[row * nk..][..nk], &expected, 0.0, 2e-5);
            let expected: Vec<f64> = (0..D)
                .map(|d| {
                    (0..nk)
                        .map(|j| expected[j] * v[(bh * nk + j) * D + d])
                        .sum()
                })
                .collect();
            assert_close(&label, &context[row * D..][..D], &expected, 1e-4, 1e-5);
        }
    }
}

/// A query with every key hidden: zero context, zero gradients, nothing leaks into its neighbours.
#[test]
fn a_fully_hidden_query_gives_zeros() {
    for device in devices() {
        let device = device.device.clone().autodiff();
        let x = tensor(
            &normal(HEADS * 4 * D, 5),
            [1, HEADS, 4, D],
            DType::F32,
            &device,
        )
        .require_grad();
        for name in ["softmax", "alpha", "fusedmax", "oscarmax"] {
            let options = AttentionOptions::new(normalizer(name, &device)).extra_mask(mask(
                |i| i / 4 == 2,
                [4, 4],
                &device,
            ));
            let context = sparse_attention(x.clone(), x.clone(), x.clone(), options).context;
            let grads = context.clone().sum().backward();
            let context = values(context.inner());
            for head in 0..HEADS {
                assert!(context[(head * 4 + 2) * D..][..D].iter().all(|&c| c == 0.0));
                assert!(context[(head * 4 + 1) * D..][..D].iter().any(|&c| c != 0.0));
            }
            assert!(
                values(x.grad(&grads).expect("a gradient"))
                    .iter()
                    .all(|g| g.is_finite())
            );
        }
    }
}

/// Dropout keeps the expected weight, and 0 keeps the bits.
#[test]
fn dropout_keeps_the_mean() {
    let device = Device::flex();
    let ones: Tensor<4> = Tensor::ones([8, 4, 32, 16], &device);
    let run = |share| {
        let options = AttentionOptions::default().dropout(share);
        values(sparse_attention(ones.clone(), ones.clone(), ones.clone(), options).context)
    };
    assert!(run(0.0).iter().all(|c| (c - 1.0).abs() < 1e-5));
    let dropped = run(0.3);
    let mean = dropped.iter().sum::<f64>() / dropped.len() as f64;
    assert!((mean - 1.0).abs() < 0.02, "mean {mean}");
    assert!(dropped.iter().any(|c| (c - 1.0).abs() > 0.05));
}

#[test]
fn bad_shapes_are_errors_that_name_the_argument() {
    let device = Device::flex();
    let q: Tensor<4> = Tensor::zeros([2, 3, 4, 5], &device);
    let k: Tensor<4> = Tensor::zeros([2, 3, 6, 5], &device);
    let attempt = |k: Tensor<4>, options| try_sparse_attention(q.clone(), k.clone(), k, options);
    let wrong_key = attempt(
        Tensor::zeros([2, 3, 6, 4], &device),
        AttentionOptions::default(),
    );
    let wrong_mask = attempt(
        k.clone(),
        AttentionOptions::default().global_mask(mask(|_| false, [3, 4, 5], &device)),
    );
    let wrong_alpha = attempt(
        k.clone(),
        AttentionOptions::new(Normalizer::Entmax(Tensor::zeros([2], &device))),
    );
    for (result, argument) in [
        (wrong_key, "key"),
        (wrong_mask, "global_mask"),
        (wrong_alpha, "alpha"),
    ] {
        let error = result.expect_err("a bad shape");
        assert!(error.to_string().starts_with(argument), "{error}");
    }
    for normalizer in [
        Normalizer::Fusedmax { lambda: -0.5 },
        Normalizer::Oscarmax { lambda: -0.5 },
    ] {
        let error = attempt(k.clone(), AttentionOptions::new(normalizer)).expect_err("negative");
        assert!(error.to_string().starts_with("lambda = -0.5"), "{error}");
    }
    let error = attempt(k, AttentionOptions::default().dropout(1.0)).err();
    assert_eq!(error, Some(AttentionError::Dropout(1.0)));
}
