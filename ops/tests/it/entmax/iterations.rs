//! Counted iterations and the top-k hint.

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;
use sparta_ops::entmax::{
    Bisection, budget_bisect, entmax_bisect, entmax15_topk, normmax_bisect, sparsemax_bisect,
    sparsemax_topk, support_size,
};
use sparta_ops::testing::{assert_close, devices, normal, tensor, values};
use sparta_ops::{entmax, entmax15, sparsemax};

const UNNORMALISED: Bisection = Bisection {
    n_iter: None,
    ensure_sum_one: false,
};

/// Each iteration halves what is left to the root; 60 of them are as exact as the exact solver.
#[test]
fn more_iterations_come_closer() {
    let device = Device::flex();
    let z: Tensor<2> = tensor(&normal(60, 1), [3, 20], DType::F64, &device);
    type Solve<'a> = &'a dyn Fn(Option<usize>) -> Tensor<2>;
    let solvers: [(&str, Solve); 4] = [
        ("entmax", &|n| entmax_bisect(z.clone(), 1.3, 1, n)),
        ("sparsemax", &|n| sparsemax_bisect(z.clone(), 1, n)),
        ("normmax", &|n| normmax_bisect(z.clone(), 1.7, 1, n)),
        ("budget", &|n| budget_bisect(z.clone(), 3.0, 1, n)),
    ];
    for (name, solve) in solvers {
        let exact = values(solve(None));
        let error = |n: usize| {
            let found = values(solve(Some(n)));
            found
                .iter()
                .zip(&exact)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max)
        };
        assert!(error(1) > 1e-3, "{name}: one iteration is not enough");
        for n in [8, 16, 24] {
            assert!(
                error(n) < 40.0 * 0.5f64.powi(n as i32),
                "{name} {n}: {}",
                error(n)
            );
        }
        assert!(error(60) < 1e-12, "{name}: {}", error(60));
    }
}

/// The number of iterations and the division by the sum are the caller's.
#[test]
fn ensure_sum_one_is_the_callers_choice() {
    let device = Device::flex();
    let z: Tensor<1> = tensor(&normal(20, 2), [20], DType::F64, &device);
    let rough = Bisection {
        n_iter: Some(3),
        ensure_sum_one: false,
    };
    for map in [
        &|b: Bisection| entmax_bisect(z.clone(), 1.5, 0, b) as Tensor<1>,
        &|b: Bisection| sparsemax_bisect(z.clone(), 0, b),
    ] as [&dyn Fn(Bisection) -> Tensor<1>; 2]
    {
        let sum = |b: Bisection| values(map(b).sum())[0];
        assert!((sum(rough) - 1.0).abs() > 1e-3);
        assert!((sum(3.into()) - 1.0).abs() < 1e-14);
        assert!((sum(UNNORMALISED) - 1.0).abs() < 1e-12);
        assert_close(
            "divided",
            &values(map(rough) / map(rough).sum()),
            &values(map(3.into())),
            0.0,
            1e-14,
        );
    }
}

/// Where 62 iterations and Newton's step end is where the kernels end: every scale, f64 and f32.
#[test]
fn bisection_equals_the_other_solvers() {
    for device in devices() {
        let sizes: &[usize] = if device.slow { &[17] } else { &[1, 2, 17, 300] };
        for &n in sizes {
            for scale in [1e-3, 1.0, 6.0, 1e4] {
                let scores: Vec<f64> = normal(3 * n, 3).iter().map(|z| z * scale).collect();
                let z: Tensor<2> = tensor(&scores, [3, n], DType::F32, &device.device);
                for alpha in [1.1, 1.5, 2.0, 2.5] {
                    let found = values(entmax_bisect(z.clone(), alpha, 1, UNNORMALISED));
                    let expected = values(entmax(z.clone(), alpha, 1));
                    let label = format!("{} n {n} scale {scale} alpha {alpha}", device.name);
                    assert_close(&label, &found, &expected, 0.0, 2e-5);
                }
            }
        }
    }
}

proptest! {
    /// The hint changes nothing: with k below, at and above the support, tied, tiny and wide rows.
    #[test]
    fn top_k_equals_the_full_solution(
        rows in 1usize..4,
        n in 1usize..50,
        k in 1usize..60,
        seed in 0u64..1000,
        scale in prop_oneof![Just(1e-5), Just(0.5), Just(3.0), Just(1e4)],
        rounded in any::<bool>(),
    ) {
        let scores: Vec<f64> = normal(rows * n, seed)
            .iter()
            .map(|z| scale * if rounded { z.round() } else { *z })
            .collect();
        let z: Tensor<2> = tensor(&scores, [rows, n], DType::F64, &Device::flex());
        let (topk, full) = (sparsemax_topk(z.clone(), k, 1), sparsemax(z.clone(), 1));
        assert_close("sparsemax", &values(topk), &values(full), 0.0, 1e-13);
        let (topk, full) = (entmax15_topk(z.clone(), k, 1), entmax15(z, 1));
        assert_close("entmax15", &values(topk), &values(full), 0.0, 1e-13);
    }
}

/// Every solver's weights can be counted, in any dimension.
#[test]
fn support_size_of_every_solver() {
    for device in devices() {
        let scores = [0.0, 0.25, 0.5, 0.75, 1.0];
        let z: Tensor<2> = tensor(&scores, [1, 5], DType::F32, &device.device);
        let sizes = [
            ("softmax", sparta_ops::softmax(z.clone(), 1), 5),
            ("sparsemax", sparsemax(z.clone(), 1), 3),
            ("entmax15", entmax15(z.clone(), 1), 5),
            ("entmax 3", entmax(z.clone(), 3.0, 1), 2),
            ("sparsemax_bisect", sparsemax_bisect(z.clone(), 1, 30), 3),
            ("entmax_bisect", entmax_bisect(z.clone(), 3.0, 1, 30), 2),
            ("normmax", normmax_bisect(z.clone(), 2.0, 1, None), 4),
            (
                "normmax 1000",
                normmax_bisect(z.clone(), 1000.0, 1, None),
                3,
            ),
            ("budget", budget_bisect(z.clone(), 2.0, 1, None), 4),
        ];
        for (name, p, expected) in sizes {
            let size = support_size(p.clone(), -1);
            assert_eq!(size.dims(), [1, 1]);
            let label = format!("{} {name}: {:?}", device.name, values(p));
            assert_eq!(size.into_scalar::<i64>(), expected, "{label}");
        }
        let z: Tensor<3> = tensor(&normal(24, 4), [2, 3, 4], DType::F32, &device.device);
        let sizes = support_size(sparsemax(z.clone(), 1), -2);
        assert_eq!(sizes.dims(), [2, 1, 4]);
        let counted = values(sparsemax(z, 1).greater_elem(0.0).float().sum());
        assert_eq!(counted, values(sizes.sum().float()));
    }
}
