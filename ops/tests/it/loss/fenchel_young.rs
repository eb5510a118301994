//! Fenchel–Young losses: vectors, properties, gradients in scores and α, wide and hidden rows.

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;
use rstest::rstest;
use sparta_ops::loss::{
    Targets, cross_entropy, entmax_bisect_loss, entmax_loss, entmax15_loss, normmax_bisect_loss,
    normmax_loss, sparsemax_bisect_loss, sparsemax_loss,
};
use sparta_ops::testing::{
    assert_close, devices, entmax_vectors, gradcheck, normal, tensor, values,
};
use sparta_ops::{entmax, softmax};

use super::classes;

/// Loss of target 0, and the entropy of the weights by way of soft targets: at z = 0 the weights are
/// uniform, and the loss of y is H(uniform) − H(y).
#[test]
fn vectors_on_every_backend() {
    for device in devices() {
        let mut types = vec![(DType::F32, 3e-6)];
        if device.has_f64 {
            types.push((DType::F64, 1e-12));
        }
        for (dtype, limit) in types {
            for v in entmax_vectors() {
                if device.slow && v.z.len() != 5 {
                    continue; // the quick tier
                }
                let n = v.z.len();
                let on =
                    |values: &[f64]| -> Tensor<2> { tensor(values, [1, n], dtype, &device.device) };
                let first = classes(&[0], [1], &device.device);
                let label = format!("{} {dtype:?} {} alpha {}", device.name, v.name, v.alpha);
                let alpha: Tensor<2> = tensor(&[v.alpha], [1, 1], dtype, &device.device);
                for loss in [
                    entmax_loss(on(&v.z), first.clone(), v.alpha),
                    entmax_loss(on(&v.z), first.clone(), alpha.clone()),
                ] {
                    let expected = [v.fy_loss_target0];
                    assert_close(&label, &values(loss), &expected, limit, limit);
                }
                let uniform = match v.alpha {
                    1.0 => (n as f64).ln(),
                    a => (1.0 - (n as f64).powf(1.0 - a)) / (a * (a - 1.0)),
                };
                let loss = entmax_loss(on(&vec![0.0; n]), on(&v.p), v.alpha);
                let entropy = uniform - values(loss)[0];
                assert_close(
                    &format!("{label} entropy"),
                    &[entropy],
                    &[v.entropy],
                    limit,
                    limit,
                );
            }
        }
    }
}

type Loss = fn(Tensor<2>, Targets) -> Tensor<1>;

/// Every loss, by name.
fn losses() -> Vec<(&'static str, Loss)> {
    vec![
        ("softmax", |z, y| entmax_loss(z, y, 1.0)),
        ("sparsemax", |z, y| sparsemax_loss(z, y)),
        ("entmax15", |z, y| entmax15_loss(z, y)),
        ("entmax 0.6", |z, y| entmax_bisect_loss(z, y, 0.6, 60)),
        ("entmax 1.01", |z, y| entmax_loss(z, y, 1.01)),
        ("entmax 1.3", |z, y| entmax_loss(z, y, 1.3)),
        ("entmax 2.5", |z, y| entmax_loss(z, y, 2.5)),
        ("sparsemax_bisect", |z, y| sparsemax_bisect_loss(z, y, 50)),
        ("entmax_bisect", |z, y| entmax_bisect_loss(z, y, 1.5, 50)),
        ("normmax 1.2", |z, y| normmax_loss(z, y, 1.2)),
        ("normmax 2", |z, y| normmax_loss(z, y, 2.0)),
        ("normmax_bisect", |z, y| normmax_bisect_loss(z, y, 3.0, 50)),
    ]
}

/// test_losses::test_non_neg, for classes and distributions, on rows of every scale and in f32 too.
#[test]
fn no_loss_is_negative() {
    let device = Device::flex();
    for seed in 0..5 {
        for scale in [1e-3, 1.0, 30.0, 1e4] {
            for dtype in [DType::F64, DType::F32, DType::F16] {
                if dtype == DType::F16 && scale > 100.0 {
                    continue;
                }
                let scores: Vec<f64> = normal(40, seed).iter().map(|z| z * scale).collect();
                let z: Tensor<2> = tensor(&scores, [4, 10], dtype, &device);
                let hard = classes(&[0, 3, 9, 5], [4], &device);
                let y: Tensor<2> = tensor(&normal(40, seed + 50), [4, 10], DType::F64, &device);
                let soft = softmax(y, 1).cast(dtype);
                for (name, loss) in losses() {
                    for targets in [Targets::from(hard.clone()), Targets::from(soft.clone())] {
                        let found = values(loss(z.clone(), targets));
                        let label = format!("{name} {dtype:?} scale {scale}: {found:?}");
                        assert!(found.iter().all(|&l| l >= 0.0 && l.is_finite()), "{label}");
                    }
                }
            }
        }
    }
}

/// 0 exactly where the weights are the target: one-hot beyond the margin, and soft y = p*.
#[test]
fn the_loss_is_zero_where_the_weights_are_the_target() {
    let device = Device::flex();
    let z: Tensor<2> = tensor(&normal(40, 3), [4, 10], DType::F64, &device);
    for alpha in [1.0, 1.2, 1.5, 2.0, 2.7] {
        let p = entmax(z.clone(), alpha, 1);
        let loss = values(entmax_loss(z.clone(), p, alpha));
        assert_close(&format!("alpha {alpha}"), &loss, &[0.0; 4], 0.0, 1e-14);
        if alpha == 1.0 {
            continue;
        }
        let mut scores = normal(10, 4);
        scores[6] = 1.0 / (alpha - 1.0) + 1e-9 + scores.iter().fold(0.0f64, |m, &z| m.max(z));
        let z: Tensor<2> = tensor(&scores, [1, 10], DType::F64, &device);
        let loss = entmax_loss(z.clone(), classes(&[6], [1], &device), alpha);
        assert_close(&format!("alpha {alpha}"), &values(loss), &[0.0], 0.0, 1e-14);
        let loss = entmax_loss(z, classes(&[5], [1], &device), alpha);
        assert!(values(loss)[0] > 1e-3);
    }
}

/// α = 1 is the cross-entropy; for a soft target the Kullback–Leibler divergence from it.
#[test]
fn alpha_one_is_cross_entropy_and_divergence() {
    let device = Device::flex();
    let z: Tensor<2> = tensor(&normal(40, 5), [4, 10], DType::F64, &device);
    let hard = classes(&[0, 3, -1, 5], [4], &device);
    let expected = values(cross_entropy(z.clone(), hard.clone()));
    for alpha in [1.0, 1.0 + 1e-11] {
        let found = values(entmax_loss(z.clone(), hard.clone(), alpha));
        assert_close("cross-entropy", &found, &expected, 0.0, 1e-9);
    }
    let y = softmax(tensor(&normal(40, 6), [4, 10], DType::F64, &device), 1);
    let log_p = softmax(z.clone(), 1).log();
    let divergence = (y.clone() * (y.clone().log() - log_p)).sum_dim(1);
    let found = values(entmax_loss(z, y, 1.0));
    assert_close("divergence", &found, &values(divergence), 0.0, 1e-12);
}

/// test_losses::test_loss, for classes and distributions: the gradient is p* − y.
#[test]
fn gradients_in_scores() {
    let inputs = [(normal(40, 7), [4, 10])];
    for (name, loss) in losses() {
        let y = tensor(&normal(40, 8), [4, 10], DType::F64, &Device::flex());
        let soft = values(softmax(y, 1));
        for is_soft in [false, true] {
            let label = format!("{name} soft {is_soft}");
            let found = gradcheck(&label, &inputs, |x| {
                let z = x[0].clone();
                let device = z.device();
                let factor: Tensor<1> = tensor(&[1.0, -2.0, 0.5, 3.0], [4], DType::F64, &device);
                let targets = match is_soft {
                    true => Targets::from(tensor(&soft, [4, 10], DType::F64, &device)),
                    false => Targets::from(classes(&[0, 3, 9, -1], [4], &device)),
                };
                (loss(z, targets) * factor).sum()
            });
            let row = |i: usize| found[0][i * 10..][..10].iter().any(|g| g.abs() > 1e-3);
            assert!(row(0) && row(1) && row(2), "the check is not vacuous");
            assert_eq!(row(3), is_soft, "{label}: an ignored row has no gradient");
        }
    }
}

/// The peer's losses have no gradient in α.
#[rstest]
fn gradients_in_alpha(#[values(false, true)] is_soft: bool, #[values(false, true)] is_norm: bool) {
    let alphas = match is_norm {
        true => vec![1.05, 1.5, 2.0, 3.5],
        false => vec![1.0, 1.01, 1.5, 2.4],
    };
    let soft = values(softmax(
        tensor(&normal(40, 9), [4, 10], DType::F64, &Device::flex()),
        1,
    ));
    let inputs = [(normal(40, 10), [4, 10]), (alphas, [4, 1])];
    let found = gradcheck(&format!("soft {is_soft} norm {is_norm}"), &inputs, |x| {
        let [z, alpha] = [x[0].clone(), x[1].clone()];
        let targets = match is_soft {
            true => Targets::from(tensor(&soft, [4, 10], DType::F64, &z.device())),
            false => Targets::from(classes(&[0, 3, 9, 5], [4], &z.device())),
        };
        match is_norm {
            true => normmax_loss(z, targets, alpha),
            false => entmax_loss(z, targets, alpha),
        }
    });
    assert!(
        found[1].iter().all(|g| g.abs() > 1e-4),
        "the check is not vacuous: {found:?}"
    );
}

/// Below 1 the tensor α takes the same solver as the number.
#[test]
fn gradients_in_alpha_below_one() {
    let inputs = [(normal(20, 11), [2, 10]), (vec![0.3, 0.8], [2, 1])];
    gradcheck("below one", &inputs, |x| {
        let targets = classes(&[0, 3], [2], &x[0].device());
        entmax_loss(x[0].clone(), targets, x[1].clone())
    });
}

/// f32 on every backend against f64 on flex: value and both gradients, on rows of every scale, tied,
/// n = 1, with hidden scores and a row of nothing else.
#[test]
fn f32_on_every_backend() {
    type LossOfAlpha = fn(Tensor<2>, Targets, Tensor<2>) -> Tensor<1>;
    let family: [(&str, LossOfAlpha, f64); 5] = [
        ("sparsemax", |z, y, _| sparsemax_loss(z, y), 2.0),
        ("entmax15", |z, y, _| entmax15_loss(z, y), 1.5),
        ("entmax 1.3", |z, y, _| entmax_loss(z, y, 1.3), 1.3),
        ("entmax tensor", |z, y, a| entmax_loss(z, y, a), 1.3),
        ("normmax", |z, y, a| normmax_loss(z, y, a), 1.7),
    ];
    for device in devices() {
        let sizes: &[usize] = if device.slow { &[17] } else { &[1, 17, 300] };
        for &n in sizes {
            let scales = [1e-3, 0.0, 1.0, 10.0, 1e4, 1.0, 1.0];
            let rows = scales.len();
            let mut scores = normal(rows * n, 12);
            for (i, z) in scores.iter_mut().enumerate() {
                *z = (*z * scales[i / n]) as f32 as f64;
                let is_hidden = i / n == 6 || (i / n == 5 && n > 1 && i % n % 3 == 1);
                if is_hidden {
                    *z = f64::NEG_INFINITY;
                }
            }
            let targets: Vec<i64> = (0..rows as i64).map(|i| (i * 9) % n as i64).collect();
            for (name, loss, alpha) in family {
                let run = |device: &Device, dtype| {
                    let device = device.clone().autodiff();
                    let z: Tensor<2> = tensor(&scores, [rows, n], dtype, &device).require_grad();
                    let alpha = vec![alpha as f32 as f64; rows];
                    let alpha: Tensor<2> = tensor(&alpha, [rows, 1], dtype, &device).require_grad();
                    let y = classes(&targets, [rows], &device);
                    let loss = loss(z.clone(), y.into(), alpha.clone());
                    let grads = loss.clone().sum().backward();
                    let alpha = alpha.grad(&grads).map_or(vec![], values);
                    (
                        values(loss.inner()),
                        values(z.grad(&grads).expect("a gradient")),
                        alpha,
                    )
                };
                let expected = run(&Device::flex(), DType::F64);
                let found = run(&device.device, DType::F32);
                let label = format!("{} {name} n {n}", device.name);
                for row in 0..rows {
                    let label = format!("{label} row {row}");
                    assert_close(&label, &[found.0[row]], &[expected.0[row]], 1e-6, 4e-6);
                }
                assert_eq!(found.0[6], 0.0, "{label}: a row of hidden scores");
                assert!(found.1[6 * n..].iter().all(|&g| g == 0.0), "{label}");
                assert_close(&format!("{label} scores"), &found.1, &expected.1, 0.0, 2e-5);
                assert_close(&format!("{label} alpha"), &found.2, &expected.2, 1e-4, 1e-5);
            }
        }
    }
}

/// Half types are computed in f32; −65504 hides in f16.
#[test]
fn half_types_are_computed_in_f32() {
    let device = Device::flex();
    let mut scores: Vec<f64> = normal(40, 13).iter().map(|z| 3.0 * z).collect();
    scores[12] = -65504.0;
    for (dtype, limit) in [(DType::F16, 2e-3), (DType::BF16, 2e-2)] {
        let z: Tensor<2> = tensor(&scores, [4, 10], dtype, &device);
        let wide: Vec<f64> = values(z.clone())
            .iter()
            .map(|&z| if z < -6e4 { -1e30 } else { z })
            .collect();
        let wide: Tensor<2> = tensor(&wide, [4, 10], DType::F64, &device);
        for (name, loss) in losses() {
            let targets = || Targets::from(classes(&[0, 3, 9, 5], [4], &device));
            let found = loss(z.clone(), targets());
            assert_eq!(found.dtype(), dtype);
            let expected = values(loss(wide.clone(), targets()));
            assert_close(
                &format!("{dtype:?} {name}"),
                &values(found),
                &expected,
                limit,
                limit,
            );
        }
    }
}

proptest! {
    /// L(z, y) ≥ pᵀz + H(p) − yᵀz − H(y) for every p, with equality at p*: the definition.
    #[test]
    fn no_distribution_exceeds_the_conjugate(
        pairs in prop::collection::vec((-3.0f64..3.0, 0.001f64..1.0), 1..12),
        alpha in 1.05f64..4.0,
    ) {
        let (scores, other): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let total: f64 = other.iter().sum();
        let q: Vec<f64> = other.iter().map(|q| q / total).collect();
        let n = scores.len();
        let z: Tensor<2> = tensor(&scores, [1, n], DType::F64, &Device::flex());
        let loss = values(entmax_loss(z, classes(&[0], [1], &Device::flex()), alpha))[0];
        let entropy = (1.0 - q.iter().map(|q| q.powf(alpha)).sum::<f64>()) / (alpha * (alpha - 1.0));
        let dot: f64 = q.iter().zip(&scores).map(|(q, z)| q * z).sum();
        prop_assert!(loss >= dot + entropy - scores[0] - 1e-10);
    }

    #[test]
    fn adding_a_constant_changes_nothing(
        scores in prop::collection::vec(-5.0f64..5.0, 2..12),
        constant in -50.0f64..50.0,
        alpha in 1.0f64..3.0,
    ) {
        let n = scores.len();
        let moved: Vec<f64> = scores.iter().map(|z| z + constant).collect();
        let loss = |z: &[f64]| {
            let z: Tensor<2> = tensor(z, [1, n], DType::F64, &Device::flex());
            values(entmax_loss(z, classes(&[1], [1], &Device::flex()), alpha))
        };
        assert_close("shifted", &loss(&moved), &loss(&scores), 1e-9, 1e-9);
    }
}
