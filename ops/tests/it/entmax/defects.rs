//! Regression tests for the defects found in deep-spin/entmax 1.3: here they are right.
//!
//! 1 negative dimensions with top-k · 2 `sparsemax_bisect` ignores its arguments · 3 sign of the entropy
//! in the documentation · 4 α = 1 and α that drifts · 5 `ignore_index` · 6 losses of hard targets and
//! matrices only · 7 support size of exact solvers only · 8 half types · 9 rows of −∞ · 10 budget
//! gradients at vertices · 11 tests that check nothing

use burn::tensor::{DType, Device, Int, Tensor};
use sparta_ops::entmax::{
    Bisection, budget_bisect, entmax_bisect, entmax15_topk, normmax_bisect, sparsemax_bisect,
    sparsemax_topk, support_size, try_entmax,
};
use sparta_ops::loss::cross_entropy;
use sparta_ops::testing::{assert_close, devices, normal, tensor, values};
use sparta_ops::{entmax, entmax15, softmax, sparsemax};

/// Defect 1: A negative dimension other than −1 is wrong there with a top-k hint.
#[test]
fn negative_dimensions_count_from_the_end() {
    let z: Tensor<3> = tensor(&normal(60, 1), [3, 4, 5], DType::F64, &Device::flex());
    for (negative, positive) in [(-1, 2), (-2, 1), (-3, 0)] {
        type Map = fn(Tensor<3>, i32) -> Tensor<3>;
        for map in [softmax::<3> as Map, sparsemax::<3>, entmax15::<3>] {
            let (a, b) = (map(z.clone(), negative), map(z.clone(), positive));
            assert_eq!(values(a), values(b));
        }
        let topk = values(sparsemax_topk(z.clone(), 2, negative));
        let full = values(sparsemax(z.clone(), positive));
        assert_close("sparsemax", &topk, &full, 0.0, 1e-14);
        let topk = values(entmax15_topk(z.clone(), 2, negative));
        let full = values(entmax15(z.clone(), positive));
        assert_close("entmax15", &topk, &full, 0.0, 1e-14);
    }
}

/// Defect 2: `sparsemax_bisect` there ignores the caller's `n_iter` and `ensure_sum_one`.
#[test]
fn sparsemax_bisect_counts_its_iterations() {
    let z: Tensor<1> = tensor(&normal(20, 8), [20], DType::F64, &Device::flex());
    let unnormalised = |n_iter| Bisection {
        n_iter: Some(n_iter),
        ensure_sum_one: false,
    };
    let sum = |n_iter| values(sparsemax_bisect(z.clone(), 0, unnormalised(n_iter)).sum())[0];
    assert!((sum(2) - 1.0).abs() > 1e-2 && (sum(2) - sum(3)).abs() > 1e-3);
    assert!((sum(50) - 1.0).abs() < 1e-12);
}

/// Defect 3: The sign: the weights maximise `pᵀz + H(p)`, where its documentation says `pᵀz − H(p)`.
#[test]
fn the_weights_maximise_scores_plus_entropy() {
    let scores = normal(8, 9);
    let z: Tensor<1> = tensor(&scores, [8], DType::F64, &Device::flex());
    for alpha in [1.2, 1.5, 2.0, 3.0] {
        let p = values(entmax(z.clone(), alpha, 0));
        let objective = |p: &[f64]| {
            let power: f64 = p.iter().map(|p| p.powf(alpha)).sum();
            let dot: f64 = p.iter().zip(&scores).map(|(p, z)| p * z).sum();
            dot + (1.0 - power) / (alpha * (alpha - 1.0))
        };
        for (i, seed) in (0..8).zip(100..) {
            let q = softmax(
                tensor::<1>(&normal(8, seed), [8], DType::F64, &Device::flex()) * 2.0,
                0,
            );
            let q = values(q);
            for step in [1e-4, 1e-2, 1.0] {
                let moved: Vec<f64> = p.iter().zip(&q).map(|(p, q)| p + step * (q - p)).collect();
                assert!(
                    objective(&moved) < objective(&p),
                    "alpha {alpha} q {i} step {step}"
                );
            }
        }
    }
}

/// Defect 4: α = 1 is 0/0 there (issue 23).
#[test]
fn alpha_one_is_softmax_in_value_and_in_alpha_gradient() {
    let device = Device::flex().autodiff();
    let z: Tensor<2> = tensor(&[-2.0, 0.0, 0.5], [1, 3], DType::F64, &device);
    let alpha = tensor(&[1.0], [1, 1], DType::F64, &device).require_grad();
    let p = entmax(z.clone(), alpha.clone(), 1);
    assert_close(
        "p",
        &values(p.clone().inner()),
        &values(softmax(z, 1).inner()),
        0.0,
        1e-12,
    );
    let grads = p.slice([0..1, 0..1]).sum().backward();
    let found = values(alpha.grad(&grads).expect("a gradient"));
    assert_close("dp/dalpha", &found, &[-0.1983421381572835], 0.0, 1e-12);
}

/// Defect 4: A learned α that drifts to 0 and below gives NaN there without a word (issues 16 and 39).
#[test]
fn alpha_not_above_zero_is_an_error_that_names_it() {
    let z: Tensor<1> = tensor(&[0.0, 1.0], [2], DType::F64, &Device::flex());
    for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let in_a_tensor = tensor(&[alpha], [1], DType::F64, &Device::flex());
        for error in [
            try_entmax(z.clone(), alpha, 0),
            try_entmax(z.clone(), in_a_tensor, 0),
        ] {
            let error = error.expect_err("not an alpha").to_string();
            assert!(error.contains(&format!("alpha = {alpha}")), "{error}");
            assert!(error.contains("alpha > 0"), "{error}");
        }
    }
}

/// α that does not broadcast, and a dimension that is not there: both shapes are in the message.
#[test]
fn bad_shapes_are_errors_that_name_both() {
    let device = Device::flex();
    let z: Tensor<2> = tensor(&normal(12, 2), [3, 4], DType::F64, &device);
    let alpha: Tensor<2> = tensor(&[1.5; 8], [2, 4], DType::F64, &device);
    let text = try_entmax(z.clone(), alpha, 1)
        .expect_err("no fit")
        .to_string();
    assert!(text.contains("[2, 4]") && text.contains("[3, 4]"), "{text}");
    let text = try_entmax(z, 1.5, 2)
        .expect_err("no such dimension")
        .to_string();
    assert!(
        text.contains("dimension 2") && text.contains("rank 2"),
        "{text}"
    );
}

/// Defect 9: A row of −∞ gives NaN there (normmax and budget: `normmax.rs`, `budget.rs`).
#[test]
fn a_row_with_everything_hidden_gives_zeros_forward_and_backward() {
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        for lowest in [f64::NEG_INFINITY, -1e30, f32::MIN as f64] {
            // WGSL has no −∞ literal, but a buffer can hold one.
            let rows = [lowest, lowest, lowest, 0.5, lowest, 1.0];
            let z = tensor(&rows, [2, 3], DType::F32, &autodiff).require_grad();
            let alpha = tensor(&[1.3, 1.7], [2, 1], DType::F32, &autodiff).require_grad();
            let upstream = tensor(&[1.0, 2.0, 3.0], [1, 3], DType::F32, &autodiff);
            let outputs = [
                ("softmax", softmax(z.clone(), 1)),
                ("sparsemax", sparsemax(z.clone(), 1)),
                ("entmax15", entmax15(z.clone(), 1)),
                ("alpha", entmax(z.clone(), alpha.clone(), 1)),
            ];
            for (name, p) in outputs {
                let label = format!("{} {name} {lowest:e}", device.name);
                let grads = (p.clone() * upstream.clone()).sum().backward();
                let p = values(p.inner());
                assert_eq!(&p[..3], [0.0; 3], "{label}");
                assert!(
                    (p[3] + p[5] - 1.0).abs() < 1e-6 && p[4] == 0.0,
                    "{label}: {p:?}"
                );
                let grad = values(z.grad(&grads).expect("a gradient"));
                assert_eq!(&grad[..3], [0.0; 3], "{label}");
                assert!(
                    grad.iter().all(|g| g.is_finite()) && grad[4] == 0.0,
                    "{label}: {grad:?}"
                );
                if name == "alpha" {
                    let grad = values(alpha.grad(&grads).expect("a gradient"));
                    assert!(grad[0] == 0.0 && grad[1].is_finite(), "{label}: {grad:?}");
                }
            }
        }
    }
}

/// Defect 5: A negative ignored target other than −100 breaks there, and a mean over none is NaN (the mean:
/// `loss/options.rs`, where 6, soft targets, smoothing, class weights and ranks, is tested too).
#[test]
fn negative_targets_are_ignored() {
    let device = Device::flex().autodiff();
    let z: Tensor<2> = tensor(&normal(12, 3), [3, 4], DType::F32, &device).require_grad();
    for ignored in [-1, -100] {
        let targets = Tensor::<1, Int>::from_ints([ignored, 2, ignored], &device);
        let loss = cross_entropy(z.clone(), targets);
        let grads = loss.clone().sum().backward();
        let loss = values(loss.inner());
        assert!(
            loss[0] == 0.0 && loss[1] > 0.0 && loss[2] == 0.0,
            "{loss:?}"
        );
        let grad = values(z.grad(&grads).expect("a gradient"));
        assert!(
            grad[..4].iter().chain(&grad[8..]).all(|&g| g == 0.0),
            "{grad:?}"
        );
    }
}

/// Defect 7: Only its exact solvers tell the size of the support (all of ours: `iterations.rs`).
#[test]
fn the_support_of_a_bisection_can_be_counted() {
    let z: Tensor<1> = tensor(&[-2.0, 0.0, 0.5], [3], DType::F32, &Device::flex());
    let sizes = [
        support_size(entmax(z.clone(), 1.7, 0), 0),
        support_size(entmax_bisect(z.clone(), 1.7, 0, 30), 0),
        support_size(normmax_bisect(z.clone(), 2.0, 0, 30), 0),
        support_size(budget_bisect(z, 2.0, 0, 30), 0),
    ];
    assert!(sizes.into_iter().all(|size| size.into_scalar::<i64>() == 2));
}

/// Defect 8: Half types are computed in themselves there: thousands of small f16 weights do not sum to 1.
#[test]
fn half_types_sum_to_one() {
    let n = 5000;
    let scores: Vec<f64> = normal(n, 10).iter().map(|z| 0.01 * z).collect();
    for dtype in [DType::F16, DType::BF16] {
        let z: Tensor<1> = tensor(&scores, [n], dtype, &Device::flex());
        for p in [
            softmax(z.clone(), 0),
            entmax15(z.clone(), 0),
            entmax(z.clone(), 1.2, 0),
            normmax_bisect(z.clone(), 1.2, 0, None),
            budget_bisect(z.clone(), 1.0, 0, None),
        ] {
            let sum: f64 = values(p).iter().sum();
            assert!((sum - 1.0).abs() < 5e-3, "{dtype:?}: {sum}");
        }
    }
}

/// Defect 10: The gradient of the budget mapping is 0/0 there where no weight can move; and 11, its test of
/// budgets per row calls another function (`budget.rs` has one; the check of arbitrary dimensions that
/// is vacuous there is in `gradients.rs`).
#[test]
fn budget_gradients_at_vertices_are_zero() {
    let device = Device::flex().autodiff();
    let rows = [0.0, 10.0, 20.0, 0.0, 0.0, 10.0, 7.0, 7.0, 7.0];
    let z: Tensor<2> = tensor(&rows, [3, 3], DType::F32, &device).require_grad();
    let budget = tensor(&[2.0, 1.0, 3.0], [3, 1], DType::F32, &device).require_grad();
    let p = budget_bisect(z.clone(), budget.clone(), 1, None);
    let upstream = tensor(&[1.0, 2.0, 4.0], [1, 3], DType::F32, &device);
    let grads = (p.clone() * upstream).sum().backward();
    assert_eq!(
        values(p.inner()),
        [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    );
    assert_eq!(values(z.grad(&grads).expect("a gradient")), [0.0; 9]);
    assert_eq!(values(budget.grad(&grads).expect("a gradient")), [0.0; 3]);
}

/// α = 10 and scores in the thousands: unstable there in f32, NaN when peaked (issues 32 and 36).
#[test]
fn large_alpha_and_peaked_scores_stay_finite_in_f32() {
    let device = Device::flex().autodiff();
    let scores: Vec<f64> = normal(40, 4).iter().map(|z| z * 1e3).collect();
    let z: Tensor<2> = tensor(&scores, [4, 10], DType::F32, &device).require_grad();
    let alpha = tensor(&[1.0, 4.0, 10.0, 1000.0], [4, 1], DType::F32, &device).require_grad();
    let p = entmax(z.clone(), alpha.clone(), 1);
    let grads = (p.clone() * z.clone().detach()).sum().backward();
    for row in values(p.inner()).chunks(10) {
        assert!((row.iter().sum::<f64>() - 1.0).abs() <= 1e-6, "{row:?}");
    }
    for grad in [z.grad(&grads), alpha.grad(&grads)] {
        assert!(
            values(grad.expect("a gradient"))
                .iter()
                .all(|g| g.is_finite())
        );
    }
}
