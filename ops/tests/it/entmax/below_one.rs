//! 0 < α < 1: dense weights with tails heavier than softmax's.

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;
use rstest::rstest;
use sparta_ops::entmax;
use sparta_ops::entmax::{Bisection, entmax_bisect};
use sparta_ops::testing::{assert_close, devices, gradcheck, normal, tensor, values};

const ALPHAS: [f64; 6] = [0.05, 0.2, 0.5, 0.75, 0.95, 0.9999];

/// The definition itself: `p = [1 + ε(x − s)]^{1/ε}` with s by plain bisection.
fn expected(z: &[f64], alpha: f64) -> Vec<f64> {
    let max = z.iter().fold(f64::NEG_INFINITY, |m, &z| m.max(z));
    let epsilon = alpha - 1.0;
    let p = |s: f64| -> Vec<f64> {
        z.iter()
            .map(|z| ((epsilon * (z - max - s)).ln_1p() / epsilon).exp())
            .collect()
    };
    let (mut low, mut high) = (0.0, (1.0 - (z.len() as f64).powf(-epsilon)) / epsilon);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        match p(middle).iter().sum::<f64>() >= 1.0 {
            true => low = middle,
            false => high = middle,
        }
    }
    p(low)
}

/// Rows of every scale and size, by the solver of each backend and by bisection.
#[test]
fn equals_the_definition() {
    for device in devices() {
        let mut types = vec![(DType::F32, 1e-5)];
        if device.has_f64 {
            types.push((DType::F64, 1e-11));
        }
        let sizes: &[usize] = if device.slow {
            &[1, 63]
        } else {
            &[1, 2, 63, 1000, 4097]
        };
        for (dtype, limit) in types {
            for &n in sizes {
                let scales = [1e-4, 0.0, 1.0, 6.0, 1e4];
                let mut scores = normal(scales.len() * n, n as u64);
                for (i, z) in scores.iter_mut().enumerate() {
                    *z = (*z * scales[i / n]) as f32 as f64;
                }
                let shape = [scales.len(), n];
                let z: Tensor<2> = tensor(&scores, shape, dtype, &device.device);
                for alpha in ALPHAS {
                    let rounded = if dtype == DType::F32 {
                        alpha as f32 as f64
                    } else {
                        alpha
                    };
                    let expected: Vec<f64> = scores
                        .chunks(n)
                        .flat_map(|z| expected(z, rounded))
                        .collect();
                    let label = format!("{} {dtype:?} n {n} alpha {alpha}", device.name);
                    let bisection = Bisection {
                        n_iter: None,
                        ensure_sum_one: false,
                    };
                    let slow = entmax_bisect(z.clone(), alpha, 1, bisection);
                    assert_close(
                        &format!("{label} bisect"),
                        &values(slow),
                        &expected,
                        0.0,
                        limit,
                    );
                    let number = values(entmax(z.clone(), alpha, 1));
                    assert_close(&label, &number, &expected, 0.0, limit);
                    let column = tensor(
                        &vec![alpha; scales.len()],
                        [scales.len(), 1],
                        dtype,
                        &device.device,
                    );
                    let rows = values(entmax(z.clone(), column, 1));
                    assert_close(&format!("{label} rows"), &rows, &expected, 0.0, limit);
                }
            }
        }
    }
}

/// The peer's α below 1, in scores and α at once, by both solvers.
#[rstest]
fn gradients_in_scores_and_alpha(#[values(0.2, 0.5, 0.75, 0.98)] alpha: f64) {
    let inputs = [
        (normal(24, 3), [4, 6]),
        (vec![alpha; 4], [4, 1]),
        (normal(24, 4), [4, 6]),
    ];
    let check = |label: &str, map: &dyn Fn(Tensor<2>, Tensor<2>) -> Tensor<2>| {
        let found = gradcheck(&format!("{label} alpha {alpha}"), &inputs, |x| {
            (map(x[0].clone(), x[1].clone()) * x[2].clone()).sum()
        });
        assert!(
            found[1].iter().any(|g| g.abs() > 1e-3),
            "the check is not vacuous"
        );
    };
    check("bisect", &|z, a| entmax_bisect(z, a, 1, 60));
    check("entmax", &|z, a| entmax(z, a, 1));
}

/// test_entmax_correct_multiple_alphas: α ∈ U(0.05, 2.55) per row is row by row.
#[test]
fn alphas_on_both_sides_of_one() {
    let device = Device::flex();
    let scores = normal(4 * 6, 5);
    let alphas = [0.05, 0.7, 1.3, 2.55];
    let z: Tensor<2> = tensor(&scores, [4, 6], DType::F64, &device);
    let column: Tensor<2> = tensor(&alphas, [4, 1], DType::F64, &device);
    let all = values(entmax(z, column, 1));
    for (row, alpha) in alphas.iter().enumerate() {
        let z: Tensor<1> = tensor(&scores[row * 6..][..6], [6], DType::F64, &device);
        let alone = values(entmax(z, *alpha, 0));
        assert_close(
            &format!("row {row}"),
            &all[row * 6..][..6],
            &alone,
            0.0,
            1e-12,
        );
    }
}

/// Hidden scores are as if dropped, in f16 too, where −65504 hides but is no tail.
#[test]
fn hidden_scores_have_no_tail() {
    for device in devices() {
        for (dtype, lowest, limit) in [
            (DType::F32, f64::NEG_INFINITY, 1e-6),
            (DType::F32, -1e30, 1e-6),
            (DType::F16, -65504.0, 1e-3),
        ] {
            if dtype == DType::F16 && device.name != "flex" {
                continue; // not every backend has it
            }
            let mut scores = vec![lowest; 400];
            scores[..3].copy_from_slice(&[0.5, -1.0, 0.25]);
            scores[398] = 0.0;
            let z: Tensor<2> = tensor(&scores, [2, 200], dtype, &device.device);
            for alpha in [0.05, 0.3, 0.9] {
                let p = values(entmax(z.clone(), alpha, 1));
                let label = format!("{} {dtype:?} {lowest:e} alpha {alpha}", device.name);
                assert_close(
                    &label,
                    &p[..3],
                    &expected(&[0.5, -1.0, 0.25], alpha),
                    0.0,
                    limit,
                );
                assert!(
                    p[3..398].iter().all(|&p| p == 0.0) && p[398] == 1.0,
                    "{label}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn weights_are_a_positive_distribution(
        scores in prop::collection::vec(-30.0f64..30.0, 1..40),
        alpha in 0.05f64..1.0,
    ) {
        let z: Tensor<1> = tensor(&scores, [scores.len()], DType::F64, &Device::flex());
        let p = values(entmax(z, alpha, 0));
        prop_assert!(p.iter().all(|&p| p > 0.0));
        prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
