//! Every host backend against the reference and against arithmetic of its own.

use burn::backend::TensorMetadata;
use burn::tensor::{DType, TensorData};

use super::HostBackend;
use crate::backend::SpartaBackend;
use crate::entmax::{Mapping, reference};
use crate::loss;
use crate::testing::{assert_close, normal};

/// More than are interleaved.
const ROWS: usize = 25;
/// Rows of scores that differ in kind.
const KINDS: usize = 9;
const SIZES: [usize; 12] = [1, 2, 15, 16, 17, 30, 63, 100, 129, 511, 1000, 4097];

/// Runs a test on every host backend of this build, with whether it has half types.
macro_rules! on_every_backend {
    ($test:ident) => {
        #[cfg(feature = "flex")]
        $test::<burn::backend::Flex>(true);
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)] // supported until Burn removes it
        $test::<burn::backend::NdArray>(false);
        #[cfg(feature = "tch")]
        #[allow(deprecated)] // supported until Burn removes it
        $test::<burn::backend::LibTorch>(true);
    };
}

fn tensor<B: HostBackend>(
    values: &[f64],
    shape: [usize; 2],
    dtype: DType,
) -> B::FloatTensorPrimitive {
    let data = TensorData::new(values.to_vec(), shape).convert_dtype(dtype);
    B::float_from_data(data, &Default::default())
}

fn values<B: HostBackend>(tensor: B::FloatTensorPrimitive) -> Vec<f64> {
    let data = burn::tensor::try_read_sync(B::float_into_data(tensor))
        .unwrap()
        .unwrap();
    data.iter::<f64>().collect()
}

/// Scores at every scale, with hidden ones and a row of them.
fn scores(n: usize) -> Vec<f64> {
    let mut z = normal(ROWS * n, n as u64);
    for (i, z) in z.iter_mut().enumerate() {
        let row = i / n;
        let kind = row % KINDS;
        *z *= [1.0, 6.0, 1e-3, 100.0, 0.0, 2.0, 3.0, 1.0, 0.3][kind];
        if kind == 8 || (kind == 7 && i % 3 == 0 && n > 1) {
            *z = f64::NEG_INFINITY;
        }
    }
    z
}

fn alphas() -> Vec<f64> {
    let kinds = [1.0, 1.01, 1.1, 1.3, 1.5, 1.7, 2.0, 1.4, 1.2];
    kinds.into_iter().cycle().take(ROWS).collect()
}

const MAPPINGS: [Mapping; 9] = [
    Mapping::Softmax,
    Mapping::Sparsemax,
    Mapping::Entmax15,
    Mapping::Alpha(1.0),
    Mapping::Alpha(1.02),
    Mapping::Alpha(1.3),
    Mapping::Alpha(1.5),
    Mapping::Alpha(2.0),
    Mapping::Alpha(3.1),
];

/// Forward and every gradient, written over the input and into memory of its own.
fn equals_the_reference<B: HostBackend + SpartaBackend>(has_half: bool) {
    let mut types = vec![(DType::F64, 1e-11, 1e-5), (DType::F32, 4e-6, 1e-5)];
    if has_half {
        types.extend([(DType::F16, 1e-3, 2e-3), (DType::BF16, 8e-3, 1e-2)]);
    }
    for (dtype, tight, relative) in types {
        for n in SIZES {
            let shape = [ROWS, n];
            let z = tensor::<B>(&scores(n), shape, dtype);
            let grad = tensor::<B>(&normal(ROWS * n, 77), shape, dtype);
            let check = |what: &str, fast, slow, relative: f64| {
                let label = format!("{dtype:?} n {n} {what}");
                assert_close(
                    &label,
                    &values::<B>(fast),
                    &values::<B>(slow),
                    relative,
                    tight,
                );
            };
            // A tensor that nobody else holds.
            let own =
                |x: &B::FloatTensorPrimitive| tensor::<B>(&values::<B>(x.clone()), shape, dtype);
            for mapping in MAPPINGS {
                let slow = reference::forward::<B>(z.clone(), mapping);
                check(
                    &format!("{mapping:?}"),
                    B::entmax_forward(z.clone(), mapping),
                    slow.clone(),
                    0.0,
                );
                check(
                    &format!("{mapping:?} over"),
                    B::entmax_forward(own(&z), mapping),
                    slow.clone(),
                    0.0,
                );
                let p = slow;
                let slow = reference::backward::<B>(p.clone(), grad.clone(), mapping);
                let label = format!("{mapping:?} backward");
                let fast = B::entmax_backward(p.clone(), grad.clone(), mapping);
                check(&label, fast, slow.clone(), relative);
                check(
                    &label,
                    B::entmax_backward(p, own(&grad), mapping),
                    slow,
                    relative,
                );
            }
            let alpha = || tensor::<B>(&alphas(), [ROWS, 1], dtype);
            let p = reference::forward_rows::<B>(z.clone(), alpha());
            check(
                "rows",
                B::entmax_rows_forward(z.clone(), alpha()),
                p.clone(),
                0.0,
            );
            check(
                "rows over",
                B::entmax_rows_forward(own(&z), alpha()),
                p.clone(),
                0.0,
            );
            let slow = reference::backward_rows::<B>(p.clone(), grad.clone(), alpha());
            let fast = B::entmax_rows_backward(p.clone(), own(&grad), alpha());
            check("rows backward", fast.0, slow.0, relative);
            check("rows backward in alpha", fast.1, slow.1, relative);
        }
    }
}

#[test]
fn kernels_equal_the_reference() {
    on_every_backend!(equals_the_reference);
}

/// `Σp − 1 = 0` by 200 bisections in f64, with nothing of the kernels' arithmetic.
fn by_bisection(z: &[f64], alpha: f64) -> Vec<f64> {
    let epsilon = alpha - 1.0;
    let largest = z.iter().fold(f64::MIN, |m, &z| m.max(z));
    let weights = |s: f64| -> Vec<f64> {
        let weight = |&z: &f64| match (z <= -1e30, epsilon == 0.0) {
            (true, _) => 0.0,
            (_, true) => (z - largest - s).exp(),
            _ => (1.0 + epsilon * (z - largest - s))
                .max(0.0)
                .powf(1.0 / epsilon),
        };
        z.iter().map(weight).collect()
    };
    let (mut low, mut high) = (0.0, 1.0);
    while weights(high).iter().sum::<f64>() > 1.0 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        match weights(middle).iter().sum::<f64>() > 1.0 {
            true => low = middle,
            false => high = middle,
        }
    }
    weights(0.5 * (low + high))
}

/// Every α, those below 1 with them, and the gradients in scores and α by differences.
fn equals_bisection<B: HostBackend + SpartaBackend>(_: bool) {
    for alpha in [
        0.05, 0.2, 0.5, 0.75, 0.97, 1.0, 1.02, 1.25, 1.5, 1.75, 2.0, 2.5, 4.0,
    ] {
        for n in [1, 2, 7, 33] {
            let mut z = normal(n, n as u64 + 5);
            if n > 2 {
                z[1] = f64::NEG_INFINITY;
            }
            let p = by_bisection(&z, alpha);
            for (dtype, tight) in [(DType::F64, 1e-10), (DType::F32, 2e-6)] {
                let fast = B::entmax_rows_forward(
                    tensor::<B>(&z, [1, n], dtype),
                    tensor::<B>(&[alpha], [1, 1], dtype),
                );
                let label = format!("alpha {alpha} n {n} {dtype:?}");
                assert_close(&label, &values::<B>(fast), &p, 0.0, tight);
            }
            // Differences straddle support changes above α = 2 too often to say much.
            if alpha > 2.0 {
                continue;
            }
            let g = normal(n, 3);
            let dot = |z: &[f64], alpha| -> f64 {
                by_bisection(z, alpha)
                    .iter()
                    .zip(&g)
                    .map(|(p, g)| p * g)
                    .sum()
            };
            let (d_z, d_alpha) = B::entmax_rows_backward(
                tensor::<B>(&p, [1, n], DType::F64),
                tensor::<B>(&g, [1, n], DType::F64),
                tensor::<B>(&[alpha], [1, 1], DType::F64),
            );
            let step = 1e-5;
            for (i, d) in values::<B>(d_z).into_iter().enumerate() {
                if z[i].is_infinite() {
                    assert_eq!(d, 0.0);
                    continue;
                }
                let compressed = |by: f64| {
                    let mut z = z.clone();
                    z[i] += by;
                    dot(&z, alpha)
                };
                let expected = (compressed(step) - compressed(-step)) / (2.0 * step);
                assert!(
                    (d - expected).abs() < 1e-6,
                    "alpha {alpha} n {n}: {d} for {expected}"
                );
            }
            let expected = (dot(&z, alpha + step) - dot(&z, alpha - step)) / (2.0 * step);
            let d = values::<B>(d_alpha)[0];
            assert!(
                (d - expected).abs() < 1e-6,
                "alpha {alpha} n {n}: {d} for {expected}"
            );
        }
    }
}

#[test]
fn kernels_equal_bisection_at_every_alpha() {
    on_every_backend!(equals_bisection);
}

/// NaN comes out as NaN, not as a weight; a row whose α is none does too, alone.
fn nan_is_not_hidden<B: HostBackend + SpartaBackend>(_: bool) {
    let all_nan = |p: Vec<f64>| p.iter().all(|p| p.is_nan());
    for mapping in MAPPINGS {
        let z = tensor::<B>(&[0.0, f64::NAN, 1.0], [1, 3], DType::F32);
        assert!(
            all_nan(values::<B>(B::entmax_forward(z, mapping))),
            "{mapping:?}"
        );
    }
    let alphas = [0.0, -1.0, f64::NAN, f64::INFINITY, 1.5];
    let alpha = || tensor::<B>(&alphas, [5, 1], DType::F32);
    let p = B::entmax_rows_forward(tensor::<B>(&[0.5; 10], [5, 2], DType::F32), alpha());
    assert!(all_nan(values::<B>(p.clone())[..8].to_vec()));
    assert_eq!(values::<B>(p.clone())[8..], [0.5, 0.5]);
    let (d_z, d_alpha) =
        B::entmax_rows_backward(p, tensor::<B>(&[1.0; 10], [5, 2], DType::F32), alpha());
    assert!(all_nan(values::<B>(d_z)[..8].to_vec()));
    assert!(all_nan(values::<B>(d_alpha)[..4].to_vec()));
}

#[test]
fn nan_comes_out_as_nan() {
    on_every_backend!(nan_is_not_hidden);
}

/// Transposed and cut-out rows are read where they lie.
fn strides_do_not_matter<B: HostBackend + SpartaBackend>(_: bool) {
    let (rows, n) = (37, 21);
    let wide = tensor::<B>(
        &normal((rows + 3) * (n + 5), 1),
        [n + 5, rows + 3],
        DType::F32,
    );
    let turned = B::float_swap_dims(wide, 0, 1);
    let slices = [
        burn::tensor::Slice::new(2, Some(2 + rows as isize), 1),
        burn::tensor::Slice::new(4, Some(4 + n as isize), 1),
    ];
    let cut = B::float_slice(turned, &slices);
    let flat = tensor::<B>(&values::<B>(cut.clone()), [rows, n], DType::F32);
    assert_eq!(flat.shape(), cut.shape());
    for mapping in MAPPINGS {
        let p = B::entmax_forward(cut.clone(), mapping);
        let expected = B::entmax_forward(flat.clone(), mapping);
        assert_eq!(values::<B>(p.clone()), values::<B>(expected.clone()));
        let turned = B::float_swap_dims(p, 0, 1);
        let back = B::float_swap_dims(turned, 0, 1);
        let grad = B::entmax_backward(back, cut.clone(), mapping);
        let expected = B::entmax_backward(expected, flat.clone(), mapping);
        assert_eq!(values::<B>(grad), values::<B>(expected));
    }
}

#[test]
fn strided_rows_are_read_where_they_lie() {
    on_every_backend!(strides_do_not_matter);
}

/// The fused losses and their gradients, with a target ignored and a row hidden.
fn losses_equal_the_reference<B: HostBackend + SpartaBackend>(_: bool) {
    for (dtype, tight, relative) in [(DType::F64, 1e-10, 1e-9), (DType::F32, 4e-6, 4e-6)] {
        for n in [1, 5, 16, 47, 1000] {
            let shape = [ROWS, n];
            let z = tensor::<B>(&scores(n), shape, dtype);
            let classes: Vec<i64> = (0..ROWS)
                .map(|i| (i * 3 % n) as i64 - i64::from(i == 2))
                .collect();
            let targets = || {
                let data = TensorData::new(classes.clone(), [ROWS]);
                B::int_from_data(data, &Default::default())
            };
            let grads = TensorData::new(normal(ROWS, 8), [ROWS]).convert_dtype(dtype);
            let grad = || B::float_from_data(grads.clone(), &Default::default());
            for mapping in MAPPINGS.into_iter().chain([Mapping::Alpha(0.5)]) {
                let (loss, p) = B::entmax_loss_forward(z.clone(), targets(), mapping);
                let (expected, weights) =
                    loss::reference::entmax_forward::<B>(z.clone(), targets(), mapping);
                let label = format!("{dtype:?} n {n} {mapping:?} loss");
                let (found, expected) = (values::<B>(loss), values::<B>(expected));
                for (found, expected) in found.iter().zip(&expected) {
                    // A hidden target costs 1e30.
                    let off = (found - expected).abs();
                    assert!(
                        off <= tight + relative * expected.abs(),
                        "{label}: {found} for {expected}"
                    );
                }
                assert_close(
                    &label,
                    &values::<B>(p),
                    &values::<B>(weights.clone()),
                    0.0,
                    tight,
                );
                let found = B::entmax_loss_backward(weights.clone(), targets(), grad());
                let expected = loss::reference::entmax_backward::<B>(weights, targets(), grad());
                assert_close(
                    &label,
                    &values::<B>(found),
                    &values::<B>(expected),
                    relative,
                    tight,
                );
            }
        }
    }
}

#[test]
fn fused_losses_equal_the_reference() {
    on_every_backend!(losses_equal_the_reference);
}

/// Results in fresh memory do not depend on what was in it: the allocator is given it back full of
/// NaN first.
fn fresh_memory_is_written<B: HostBackend + SpartaBackend>(_: bool) {
    let (rows, n) = (300, 47);
    let z = tensor::<B>(&normal(rows * n, 5), [rows, n], DType::F32);
    let alpha = tensor::<B>(&vec![1.4; rows], [rows, 1], DType::F32);
    let mut found = Vec::new();
    for poison in [f64::NAN, 1.0] {
        for _ in 0..4 {
            drop(tensor::<B>(&vec![poison; rows * n], [rows, n], DType::F32));
        }
        for mapping in MAPPINGS {
            found.push(values::<B>(B::entmax_forward(z.clone(), mapping)));
        }
        let p = B::entmax_rows_forward(z.clone(), alpha.clone());
        let (d_z, d_alpha) = B::entmax_rows_backward(p, z.clone(), alpha.clone());
        found.extend([values::<B>(d_z), values::<B>(d_alpha)]);
    }
    let (first, second) = found.split_at(found.len() / 2);
    assert!(first == second);
}

#[test]
fn poisoned_memory_does_not_show() {
    on_every_backend!(fresh_memory_is_written);
}

/// The same bits whatever the number of threads and whichever rows are next to them, hidden ones and NaN too.
fn rows_do_not_depend_on_others<B: HostBackend + SpartaBackend>(_: bool) {
    for (rows, n) in [(53, 30), (37, 70), (18, 600)] {
        let mut scores = normal(rows * n, 6);
        scores[3 * n..4 * n].fill(f64::NEG_INFINITY);
        scores[5 * n + n / 2] = f64::NAN;
        let grad = normal(rows * n, 8);
        let alphas: Vec<f64> = normal(rows, 7)
            .iter()
            .map(|a| 1.0 + 1.0 / (1.0 + (-a).exp()))
            .collect();
        let of_rows = |range: std::ops::Range<usize>| {
            let count = range.len();
            let part = |x: &[f64], n: usize| {
                let elements = &x[range.start * n..range.end * n];
                tensor::<B>(elements, [count, n], DType::F32)
            };
            let (z, g, alpha) = (part(&scores, n), part(&grad, n), part(&alphas, 1));
            let mut found = Vec::new();
            for mapping in MAPPINGS {
                let p = B::entmax_forward(z.clone(), mapping);
                let d_z = B::entmax_backward(p.clone(), g.clone(), mapping);
                found.extend([values::<B>(p), values::<B>(d_z)]);
            }
            let p = B::entmax_rows_forward(z, alpha.clone());
            let (d_z, d_alpha) = B::entmax_rows_backward(p.clone(), g, alpha);
            found.extend([p, d_z, d_alpha].map(values::<B>));
            found
        };
        let all = of_rows(0..rows);
        for i in 0..rows {
            for (all, alone) in all.iter().zip(of_rows(i..i + 1)) {
                let among = &all[i * alone.len()..][..alone.len()];
                let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
                assert!(among.iter().zip(&alone).all(same), "row {i} of {n}");
            }
        }
    }
}

#[test]
fn a_row_gives_the_same_bits_alone() {
    on_every_backend!(rows_do_not_depend_on_others);
}
