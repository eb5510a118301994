//! The tests of deep-spin/entmax, by their names there. Tolerances are theirs or tighter.

use burn::tensor::{DType, Device, Tensor};
use sparta_ops::entmax::{
    budget_bisect, entmax_bisect, entmax15_topk, normmax_bisect, sparsemax_bisect, sparsemax_topk,
};
use sparta_ops::testing::{assert_close, devices, gradcheck, normal, tensor, values};
use sparta_ops::{entmax, entmax15, sparsemax};

fn squared_distance<const D: usize>(a: Tensor<D>, b: &[f64]) -> f64 {
    let a = values(a);
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// test_root_finding::test_sparsemax, test_entmax15
#[test]
fn exact_equals_bisection() {
    for device in devices() {
        for seed in 0..10 {
            let scores: Vec<f64> = normal(24, seed).iter().map(|z| 0.5 * z).collect();
            let z: Tensor<2> = tensor(&scores, [4, 6], DType::F32, &device.device);
            let two = sparsemax_bisect(z.clone(), 1, 50);
            assert!(squared_distance(two, &values(sparsemax(z.clone(), 1))) < 1e-7);
            let half = entmax_bisect(z.clone(), 1.5, 1, 50);
            assert!(squared_distance(half, &values(entmax15(z, 1))) < 1e-7);
        }
    }
}

/// test_root_finding::test_normmax, test_budget
#[test]
fn known_normmax_and_budget_weights() {
    for device in devices() {
        let quarters = [0.0, 0.25, 0.5, 0.75, 1.0];
        let z: Tensor<1> = tensor(&quarters, [5], DType::F32, &device.device);
        let p = normmax_bisect(z.clone(), 2.0, 0, 50);
        assert!(squared_distance(p, &[0.0, 0.0239, 0.1746, 0.3254, 0.4761]) < 1e-7);
        let p = normmax_bisect(z.clone(), 1000.0, 0, 50);
        assert!(squared_distance(p, &[0.0, 0.0, 0.3330, 0.3334, 0.3336]) < 1e-7);
        let p = budget_bisect(z.clone(), 2.0, 0, 50);
        assert!(squared_distance(p, &[0.0, 0.125, 0.375, 0.625, 0.875]) < 1e-7);
        let p = budget_bisect(z.clone() * 2.0, 3.0, 0, 50);
        assert!(squared_distance(p, &[0.0, 0.25, 0.75, 1.0, 1.0]) < 1e-7);
        for factor in 1..=5 {
            let z = z.clone() * factor as f64;
            let expected = values(sparsemax(z.clone(), 0));
            assert!(squared_distance(budget_bisect(z, 1.0, 0, 50), &expected) < 1e-7);
        }
    }
}

/// test_mask::test_mask, test_mask_alphas
#[test]
fn a_masked_row_is_the_shorter_row() {
    type Map = fn(Tensor<2>) -> Tensor<2>;
    let maps: [(&str, Map); 10] = [
        ("sparsemax", |z| sparsemax(z, -1)),
        ("entmax15", |z| entmax15(z, -1)),
        ("sparsemax k", |z| sparsemax_topk(z, 512, -1)),
        ("entmax15 k", |z| entmax15_topk(z, 512, -1)),
        ("sparsemax_bisect", |z| sparsemax_bisect(z, -1, 50)),
        ("entmax_bisect", |z| entmax_bisect(z, 1.5, -1, 50)),
        ("entmax 1.25", |z| entmax(z, 1.25, -1)),
        ("entmax 1.75", |z| entmax(z, 1.75, -1)),
        ("entmax 2.25", |z| entmax(z, 2.25, -1)),
        ("normmax", |z| normmax_bisect(z, 1.5, -1, None)),
    ];
    for device in devices() {
        for dtype in [DType::F32, DType::F64] {
            if dtype == DType::F64 && !device.has_f64 {
                continue;
            }
            let mut scores = normal(12, 5);
            let short: Vec<f64> = [&scores[..3], &scores[6..9]].concat();
            for row in 0..2 {
                scores[row * 6 + 3..][..3].fill(f64::NEG_INFINITY);
            }
            let z: Tensor<2> = tensor(&scores, [2, 6], dtype, &device.device);
            let short: Tensor<2> = tensor(&short, [2, 3], dtype, &device.device);
            for (name, map) in &maps {
                let (masked, short) = (map(z.clone()), map(short.clone()));
                let label = format!("{} {dtype:?} {name}", device.name);
                let visible = values(masked.clone().slice([0..2, 0..3]));
                assert_close(&label, &visible, &values(short), 1e-5, 1e-8);
                let hidden = values(masked.slice([0..2, 3..6]));
                assert!(hidden.iter().all(|&p| p == 0.0), "{label}: {hidden:?}");
            }
        }
    }
}

/// test_root_finding::test_budget_grad: at both ends of the range no weight can move.
#[test]
fn budget_gradients_from_none_to_all() {
    for budget in 0..=6 {
        let inputs = [(normal(24, 6), [4, 6]), (normal(24, 7), [4, 6])];
        let found = gradcheck(&format!("budget {budget}"), &inputs, |x| {
            (budget_bisect(x[0].clone(), f64::from(budget), 1, 50) * x[1].clone()).sum()
        });
        let moves = found[0].iter().any(|g| g.abs() > 1e-3);
        assert_eq!(moves, budget != 0 && budget != 6, "budget {budget}");
    }
}

/// test_topk::test_mapping
#[test]
fn top_k_gradients_along_every_dimension() {
    for dim in 0..3 {
        let inputs = [(normal(60, 8), [3, 4, 5]), (normal(60, 9), [3, 4, 5])];
        for (name, map) in [
            (
                "sparsemax",
                sparsemax_topk::<3> as fn(Tensor<3>, usize, i32) -> Tensor<3>,
            ),
            ("entmax15", entmax15_topk::<3>),
        ] {
            let found = gradcheck(&format!("{name} dim {dim}"), &inputs, |x| {
                (map(x[0].clone(), 3, dim) * x[1].clone()).sum()
            });
            assert!(
                found[0].iter().any(|g| g.abs() > 1e-3),
                "the check is not vacuous"
            );
        }
    }
}

/// test_topk::test_entmax_topk, test_sparsemax_topk: exactly equal (with a sort, see
/// `entmax/reference/exact.rs`, and without)
#[test]
fn top_k_is_exactly_the_full_sort() {
    for device in devices() {
        for factor in [1e-5, 0.5, 1e4] {
            let scores: Vec<f64> = normal(4 * 100, 10).iter().map(|z| z * factor).collect();
            let z: Tensor<2> = tensor(&scores, [4, 100], DType::F32, &device.device);
            for k in [5, 30] {
                let label = format!("{} factor {factor} k {k}", device.name);
                let (topk, full) = (sparsemax_topk(z.clone(), k, 1), sparsemax(z.clone(), 1));
                assert_eq!(values(topk), values(full), "{label}");
                let (topk, full) = (entmax15_topk(z.clone(), k, 1), entmax15(z.clone(), 1));
                assert_eq!(values(topk), values(full), "{label}");
            }
        }
    }
}

/// The README's values.
#[test]
fn readme_values() {
    let device = Device::flex();
    let z: Tensor<1> = tensor(&[-2.0, 0.0, 0.5], [3], DType::F32, &device);
    for (name, p, expected) in [
        (
            "softmax",
            sparta_ops::softmax(z.clone(), 0),
            [0.0486, 0.3592, 0.5922],
        ),
        ("sparsemax", sparsemax(z.clone(), 0), [0.0, 0.25, 0.75]),
        ("entmax15", entmax15(z.clone(), 0), [0.0, 0.3260, 0.6740]),
        (
            "normmax 2",
            normmax_bisect(z.clone(), 2.0, 0, None),
            [0.0, 0.3110, 0.6890],
        ),
        (
            "normmax 1000",
            normmax_bisect(z.clone(), 1000.0, 0, None),
            [0.0, 0.4997, 0.5003],
        ),
        (
            "budget 2",
            budget_bisect(z.clone(), 2.0, 0, None),
            [0.0, 1.0, 1.0],
        ),
    ] {
        assert_close(name, &values(p), &expected, 0.0, 5e-5);
    }
}
