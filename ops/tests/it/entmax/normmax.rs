//! Normmax: vectors, optimality, gradients in scores and α, hidden scores.

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;
use rstest::rstest;
use sparta_ops::entmax::normmax_bisect;
use sparta_ops::testing::{
    assert_close, devices, gradcheck, normal, normmax_vectors, tensor, values,
};

#[test]
fn vectors_on_every_backend() {
    for device in devices() {
        let mut types = vec![(DType::F32, 1e-5)];
        if device.has_f64 {
            types.push((DType::F64, 1e-12));
        }
        for (dtype, limit) in types {
            for v in normmax_vectors() {
                let z: Tensor<1> = tensor(&v.z, [v.z.len()], dtype, &device.device);
                let label = format!("{} {dtype:?} {} alpha {}", device.name, v.name, v.alpha);
                // The f32 scores 99.9 and 0.3 are not those of the vector.
                let limit = limit * v.z.iter().fold(1.0f64, |m, z| m.max(z.abs()));
                let p = values(normmax_bisect(z, v.alpha, 0, None));
                assert_close(&label, &p, &v.p, 0.0, limit);
            }
        }
    }
}

/// The f32 solver against the f64 one on the same numbers.
#[test]
fn f32_equals_f64() {
    let device = Device::flex();
    for n in [1, 2, 63, 1000] {
        for scale in [1e-4, 0.3, 3.0, 1e4] {
            let scores: Vec<f64> = normal(4 * n, n as u64)
                .iter()
                .map(|z| (z * scale) as f32 as f64)
                .collect();
            for alpha in [1.05, 1.25, 1.5, 2.0, 3.0] {
                let run = |dtype| {
                    let z: Tensor<2> = tensor(&scores, [4, n], dtype, &device);
                    values(normmax_bisect(z, alpha, 1, None))
                };
                let label = format!("n {n} scale {scale} alpha {alpha}");
                assert_close(&label, &run(DType::F32), &run(DType::F64), 0.0, 5e-6);
            }
        }
    }
}

proptest! {
    /// pᵀz − ‖p‖_α is not larger anywhere on the way to another distribution.
    #[test]
    fn the_weights_maximise_the_objective(
        pairs in prop::collection::vec((-3.0f64..3.0, 0.001f64..1.0), 1..20),
        alpha in 1.05f64..6.0,
        step in 0.001f64..1.0,
    ) {
        let (scores, other): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let total: f64 = other.iter().sum();
        let z: Tensor<1> = tensor(&scores, [scores.len()], DType::F64, &Device::flex());
        let p = values(normmax_bisect(z, alpha, 0, None));
        prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12 && p.iter().all(|&p| p >= 0.0));
        let objective = |p: &[f64]| {
            let dot: f64 = p.iter().zip(&scores).map(|(p, z)| p * z).sum();
            dot - p.iter().map(|p| p.powf(alpha)).sum::<f64>().powf(1.0 / alpha)
        };
        let moved: Vec<f64> = p
            .iter()
            .zip(&other)
            .map(|(p, q)| p + step * (q / total - p))
            .collect();
        prop_assert!(objective(&moved) <= objective(&p) + 1e-9);
    }
}

#[rstest]
fn gradients_in_scores(#[values(1.2, 1.5, 2.0, 5.0, 10.0)] alpha: f64) {
    let inputs = [(normal(24, 3), [4, 6]), (normal(24, 99), [4, 6])];
    gradcheck(&format!("alpha {alpha}"), &inputs, |x| {
        (normmax_bisect(x[0].clone(), alpha, 1, None) * x[1].clone()).sum()
    });
}

/// In the scores and, which the peer has not, in an α per row, along both dimensions.
#[test]
fn gradients_in_scores_and_alpha_per_row() {
    for dim in [0, 1] {
        let mut shape = [6, 6];
        shape[dim] = 1;
        let alphas = vec![1.05, 1.3, 1.5, 2.0, 2.6, 3.5];
        let inputs = [
            (normal(36, 7), [6, 6]),
            (alphas, shape),
            (normal(36, 8), [6, 6]),
        ];
        let found = gradcheck(&format!("dim {dim}"), &inputs, |x| {
            (normmax_bisect(x[0].clone(), x[1].clone(), dim as i32, None) * x[2].clone()).sum()
        });
        for grads in &found {
            assert!(
                grads.iter().any(|g| g.abs() > 1e-2),
                "the check is not vacuous"
            );
        }
    }
}

/// α per row gives what each row gives alone.
#[test]
fn alpha_per_row_is_row_by_row() {
    let device = Device::flex();
    let scores = normal(28, 9);
    let alphas = [1.1, 1.9, 2.5, 1000.0];
    let z: Tensor<2> = tensor(&scores, [4, 7], DType::F64, &device);
    let alpha: Tensor<2> = tensor(&alphas, [4, 1], DType::F64, &device);
    let all = values(normmax_bisect(z, alpha, 1, None));
    for (row, &alpha) in alphas.iter().enumerate() {
        let z: Tensor<1> = tensor(&scores[row * 7..][..7], [7], DType::F64, &device);
        let alone = values(normmax_bisect(z, alpha, 0, None));
        assert_close(
            &format!("row {row}"),
            &all[row * 7..][..7],
            &alone,
            0.0,
            1e-14,
        );
    }
}

#[test]
fn hidden_scores_and_rows() {
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        for alpha in [1.02, 1.5, 3.0, 1000.0] {
            for lowest in [f64::NEG_INFINITY, -1e30, f32::MIN as f64] {
                let rows = [lowest, lowest, lowest, 0.5, lowest, 0.6];
                let z: Tensor<2> = tensor(&rows, [2, 3], DType::F32, &autodiff).require_grad();
                let a: Tensor<2> =
                    tensor(&[alpha; 2], [2, 1], DType::F32, &autodiff).require_grad();
                let p = normmax_bisect(z.clone(), a.clone(), 1, None);
                let upstream = tensor(&[1.0, 2.0, 3.0], [1, 3], DType::F32, &autodiff);
                let grads = (p.clone() * upstream).sum().backward();
                let label = format!("{} {lowest:e} alpha {alpha}", device.name);
                let p = values(p.inner());
                assert_eq!(p[..3], [0.0; 3], "{label}");
                assert!(
                    (p[3] + p[5] - 1.0).abs() < 1e-6 && p[4] == 0.0,
                    "{label}: {p:?}"
                );
                for (grad, n_hidden) in [(z.grad(&grads), 3), (a.grad(&grads), 1)] {
                    let grad = values(grad.expect("a gradient"));
                    assert!(
                        grad[..n_hidden].iter().all(|&g| g == 0.0),
                        "{label}: {grad:?}"
                    );
                    assert!(grad.iter().all(|g| g.is_finite()), "{label}: {grad:?}");
                }
            }
        }
    }
}
