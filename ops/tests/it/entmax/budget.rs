//! The budget mapping: vectors, bounds, gradients in scores and budgets, hidden scores.

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;
use sparta_ops::entmax::budget_bisect;
use sparta_ops::sparsemax;
use sparta_ops::testing::{
    assert_close, budget_vectors, devices, gradcheck, normal, tensor, values,
};

#[test]
fn vectors_on_every_backend() {
    for device in devices() {
        let mut types = vec![(DType::F32, 2e-6)];
        if device.has_f64 {
            types.push((DType::F64, 1e-12));
        }
        for (dtype, limit) in types {
            for v in budget_vectors() {
                let z: Tensor<1> = tensor(&v.z, [v.z.len()], dtype, &device.device);
                let label = format!("{} {dtype:?} {} budget {}", device.name, v.name, v.budget);
                // The f32 scores 99.9 and 0.3 are not those of the vector.
                let limit = limit * v.z.iter().fold(1.0f64, |m, z| m.max(z.abs()));
                let p = values(budget_bisect(z, v.budget, 0, None));
                assert_close(&label, &p, &v.p, 0.0, limit);
            }
        }
    }
}

proptest! {
    #[test]
    fn weights_are_bounded_and_sum_to_the_budget(
        scores in prop::collection::vec(-30.0f64..30.0, 1..40),
        share in 0.0f64..1.5,
        scale in prop_oneof![Just(1.0), Just(1e-3), Just(300.0)],
    ) {
        let n = scores.len();
        let budget = share * n as f64;
        let scores: Vec<f64> = scores.iter().map(|z| z * scale).collect();
        for (dtype, limit) in [(DType::F64, 1e-12), (DType::F32, 1e-6)] {
            let z: Tensor<1> = tensor(&scores, [n], dtype, &Device::flex());
            let p = values(budget_bisect(z, budget, 0, None));
            prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)));
            let expected = budget.min(n as f64);
            let sum = p.iter().sum::<f64>();
            prop_assert!((sum - expected).abs() <= limit * n as f64, "{sum} for {expected}");
        }
    }

    /// The optimality conditions: p = clamp(z − τ, 0, 1) with one τ for the row.
    #[test]
    fn one_threshold_explains_every_weight(
        scores in prop::collection::vec(-3.0f64..3.0, 2..30),
        budget in 0.1f64..5.0,
    ) {
        let z: Tensor<1> = tensor(&scores, [scores.len()], DType::F64, &Device::flex());
        let p = values(budget_bisect(z, budget, 0, None));
        let inner: Vec<f64> = (0..p.len())
            .filter(|&i| p[i] > 1e-9 && p[i] < 1.0 - 1e-9)
            .map(|i| scores[i] - p[i])
            .collect();
        if let Some(tau) = inner.first() {
            prop_assert!(inner.iter().all(|t| (t - tau).abs() < 1e-9));
            for (z, p) in scores.iter().zip(&p) {
                prop_assert!(((z - tau).clamp(0.0, 1.0) - p).abs() < 1e-9);
            }
        }
    }
}

/// A budget of 1 is sparsemax, on rows ±1e4 wide too.
#[test]
fn a_budget_of_one_is_sparsemax() {
    let device = Device::flex();
    for scale in [1e-5, 1.0, 10.0, 1e4] {
        let scores: Vec<f64> = normal(60, 1).iter().map(|z| z * scale).collect();
        let z: Tensor<2> = tensor(&scores, [3, 20], DType::F64, &device);
        let expected = values(sparsemax(z.clone(), 1));
        assert_close(
            &format!("scale {scale}"),
            &values(budget_bisect(z, 1.0, 1, None)),
            &expected,
            0.0,
            1e-10,
        );
        let z: Tensor<2> = tensor(&scores, [3, 20], DType::F32, &device);
        let label = format!("scale {scale} f32");
        let expected = values(sparsemax(z.clone(), 1));
        assert_close(
            &label,
            &values(budget_bisect(z, 1.0, 1, None)),
            &expected,
            0.0,
            2e-6,
        );
    }
}

/// A score far from the threshold, on either side, takes no digit from it.
#[test]
fn far_scores_take_no_digits() {
    let lowest = [-1e5, -1e8, -1e11, -1e12, -9e29];
    for device in devices() {
        let mut types = vec![(DType::F32, 1e-6f64)];
        if device.has_f64 {
            types.push((DType::F64, 1e-14));
        }
        for (dtype, limit) in types {
            for far in lowest {
                let rows = [
                    [0.0, 0.25, 0.5, 0.75, 1.0, far],
                    [0.0, 0.25, 0.5, 0.75, 1.0, -far],
                ];
                let z: Tensor<2> = tensor(rows.as_flattened(), [2, 6], dtype, &device.device);
                let budget: Tensor<2> = tensor(&[2.0, 3.0], [2, 1], dtype, &device.device);
                let expected = [
                    [0.0, 0.125, 0.375, 0.625, 0.875, 0.0],
                    [0.0, 0.125, 0.375, 0.625, 0.875, 1.0],
                ];
                let label = format!("{} {dtype:?} {far:e}", device.name);
                for n_iter in [None, Some(40)] {
                    let p = values(budget_bisect(z.clone(), budget.clone(), 1, n_iter));
                    let limit = if n_iter.is_some() {
                        limit.max(1e-11)
                    } else {
                        limit
                    };
                    assert_close(&label, &p, expected.as_flattened(), 0.0, limit);
                }
            }
        }
    }
}

/// In the scores and in a budget per row, along both dimensions (the peer's test of budgets per row
/// checks another function).
#[test]
fn gradients_in_scores_and_budgets_per_row() {
    for dim in [0, 1] {
        let budgets = vec![0.6, 1.0, 1.7, 2.5, 3.2, 4.4];
        let (n, mut shape) = (6, [6, 6]);
        shape[dim] = 1;
        let inputs = [
            (normal(36, 4), [n, n]),
            (budgets, shape),
            (normal(36, 5), [n, n]),
        ];
        let found = gradcheck(&format!("dim {dim}"), &inputs, |x| {
            (budget_bisect(x[0].clone(), x[1].clone(), dim as i32, None) * x[2].clone()).sum()
        });
        for grads in &found {
            assert!(
                grads.iter().any(|g| g.abs() > 1e-2),
                "the check is not vacuous"
            );
        }
    }
}

/// Hidden scores take no part of the budget; more budget than visible scores gives each of them 1,
/// and a row of hidden ones gives zeros.
#[test]
fn hidden_scores_and_large_budgets() {
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        for lowest in [f64::NEG_INFINITY, -1e30, f32::MIN as f64] {
            let rows = [
                0.3, lowest, -0.2, lowest, //
                lowest, lowest, lowest, lowest, //
                0.3, lowest, -0.2, 5.0,
            ];
            let z: Tensor<2> = tensor(&rows, [3, 4], DType::F32, &autodiff).require_grad();
            let budget = tensor(&[2.5, 1.0, 1.5], [3, 1], DType::F32, &autodiff).require_grad();
            let p = budget_bisect(z.clone(), budget.clone(), 1, None);
            let upstream = tensor(&[1.0, 2.0, 3.0, 4.0], [1, 4], DType::F32, &autodiff);
            let grads = (p.clone() * upstream).sum().backward();
            let label = format!("{} {lowest:e}", device.name);
            let p = values(p.inner());
            assert_eq!(p[..8], [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], "{label}");
            assert_close(&label, &p[8..], &[0.5, 0.0, 0.0, 1.0], 0.0, 1e-6);
            let z_grad = values(z.grad(&grads).expect("a gradient"));
            assert_eq!(z_grad[..8], [0.0; 8], "{label}");
            let budget_grad = values(budget.grad(&grads).expect("a gradient"));
            assert_eq!(budget_grad, [0.0, 0.0, 1.0], "{label}");
        }
    }
}
