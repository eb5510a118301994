//! Fusedmax and oscarmax: published and golden values, optimality, gradients, hidden and hostile rows.

mod gradients;
mod hostile;
mod optimality;
mod parity;

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;
use sparta_ops::testing::{assert_close, devices, normal, tensor, values};
use sparta_ops::{fusedmax, oscarmax, sparsemax};

/// A mapping by name, along the last dimension.
#[derive(Clone, Copy, Debug)]
enum Map {
    Fused,
    Oscar,
}

const MAPS: [Map; 2] = [Map::Fused, Map::Oscar];

impl Map {
    fn of<const D: usize>(self, scores: Tensor<D>, lambda: f64) -> Tensor<D> {
        match self {
            Self::Fused => fusedmax(scores, lambda, -1),
            Self::Oscar => oscarmax(scores, lambda, -1),
        }
    }

    /// The weights of one row in f64 on flex.
    fn row(self, scores: &[f64], lambda: f64) -> Vec<f64> {
        let z: Tensor<1> = tensor(scores, [scores.len()], DType::F64, &Device::flex());
        values(self.of(z, lambda))
    }
}

const SIX: [f64; 6] = [0.5, 1.2, 1.1, -0.3, 0.9, 0.95];
const SEVEN: [f64; 7] = [2.0, -1.0, 0.0, 1.5, 1.4, 1.45, 0.2];

/// The README of the authors' package, and rows whose optimum was found by quadratic programming.
#[test]
fn golden_values_on_every_backend() {
    let twelfth = 0.154_166_666_666_666_67;
    let rows: [(Map, &[f64], f64, &[f64]); 8] = [
        (Map::Fused, &[1.0, 2.1, 1.9], 0.1, &[0.0, 0.5, 0.5]),
        (Map::Fused, &SIX, 0.2, &[0.05, 0.3, 0.3, 0.0, 0.175, 0.175]),
        (
            Map::Fused,
            &SEVEN,
            0.5,
            &[0.5375, 0.0, 0.0, twelfth, twelfth, twelfth, 0.0],
        ),
        (Map::Oscar, &[1.0, 2.1, 1.9], 0.1, &[0.0, 0.55, 0.45]),
        (
            Map::Oscar,
            &SIX,
            0.05,
            &[0.0, 0.3375, 0.2875, 0.0, 0.1875, 0.1875],
        ),
        (
            Map::Oscar,
            &SEVEN,
            0.1,
            &[0.5125, 0.0, 0.0, 0.1625, 0.1625, 0.1625, 0.0],
        ),
        // The proximal operator of ℝⁿ and then the projection give 0.55 and 0.45, which is no minimum.
        (Map::Oscar, &[1.0, 0.5, -0.7], 0.2, &[0.65, 0.35, 0.0]),
        (Map::Fused, &[3.0], 0.7, &[1.0]),
    ];
    for device in devices() {
        let mut types = vec![(DType::F32, 1e-6)];
        if device.has_f64 {
            types.push((DType::F64, 1e-14));
        }
        for (dtype, limit) in types {
            for (map, scores, lambda, expected) in rows {
                let z: Tensor<1> = tensor(scores, [scores.len()], dtype, &device.device);
                let label = format!("{} {dtype:?} {map:?} {scores:?}", device.name);
                let found = values(map.of(z, lambda));
                assert_close(&label, &found, expected, 0.0, limit);
            }
        }
    }
}

/// λ = 0 is sparsemax to the bit, with its gradient; from some λ on all visible scores have one weight.
#[test]
fn from_sparsemax_to_uniform_on_every_backend() {
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        let mut scores = normal(60, 3);
        scores[7] = scores[6]; // a tie, which λ = 0 leaves alone
        scores[20] = f64::NEG_INFINITY;
        let z = || tensor::<2>(&scores, [3, 20], DType::F32, &autodiff).require_grad();
        let upstream: Tensor<2> = tensor(&normal(60, 4), [3, 20], DType::F32, &autodiff);
        for map in MAPS {
            let label = format!("{} {map:?}", device.name);
            let (ours, theirs) = (z(), z());
            let (p, q) = (map.of(ours.clone(), 0.0), sparsemax(theirs.clone(), 1));
            assert_eq!(values(p.clone().inner()), values(q.clone().inner()));
            let grad = |p: Tensor<2>, z: Tensor<2>| {
                let grads = (p * upstream.clone()).sum().backward();
                values(z.grad(&grads).expect("a gradient"))
            };
            assert_eq!(grad(p, ours), grad(q, theirs), "{label}");
            for lambda in [50.0, 1e6, 1e300] {
                let p = values(map.of(z().inner(), lambda));
                let expected = |i: usize| match i {
                    20 => 0.0,
                    21..40 => 1.0 / 19.0,
                    _ => 1.0 / 20.0,
                };
                let expected: Vec<f64> = (0..60).map(expected).collect();
                assert_close(&format!("{label} {lambda:e}"), &p, &expected, 0.0, 1e-7);
            }
        }
    }
}

fn a_row() -> impl Strategy<Value = Vec<f64>> {
    (
        prop::collection::vec(-3.0f64..3.0, 1..50),
        prop_oneof![Just(0.1), Just(1.0), Just(30.0)],
    )
        .prop_map(|(row, scale)| row.iter().map(|z| z * scale).collect())
}

proptest! {
    #[test]
    fn weights_sum_to_one_and_ignore_a_shift(
        scores in a_row(),
        lambda in prop_oneof![Just(1e-3), Just(0.1), Just(1.0)],
        shift in -100.0f64..100.0,
    ) {
        for map in MAPS {
            let p = map.row(&scores, lambda);
            prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)));
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let shifted: Vec<f64> = scores.iter().map(|z| z + shift).collect();
            let q = map.row(&shifted, lambda);
            for (p, q) in p.iter().zip(q) {
                prop_assert!((p - q).abs() < 1e-11, "{map:?} {p} {q}");
            }
        }
    }

    /// A chain has no direction.
    #[test]
    fn fusedmax_of_the_reversed_row_is_reversed(scores in a_row(), lambda in 0.01f64..1.0) {
        let mut reversed = scores.clone();
        reversed.reverse();
        let mut p = Map::Fused.row(&reversed, lambda);
        p.reverse();
        for (p, q) in p.iter().zip(Map::Fused.row(&scores, lambda)) {
            prop_assert!((p - q).abs() < 1e-12, "{p} {q}");
        }
    }

    #[test]
    fn oscarmax_has_no_order(scores in a_row(), lambda in 0.001f64..0.3, seed in 0u64..1000) {
        let n = scores.len();
        let key = normal(n, seed);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| key[*a].total_cmp(&key[*b]));
        let moved: Vec<f64> = order.iter().map(|i| scores[*i]).collect();
        let p = Map::Oscar.row(&scores, lambda);
        for (q, i) in Map::Oscar.row(&moved, lambda).iter().zip(order) {
            prop_assert!((p[i] - q).abs() < 1e-12);
        }
    }
}

/// Along any dimension, from tensors that do not lie in order, over many rows at once: every backend gives what
/// flex gives in f64.
#[test]
fn every_layout_on_every_backend() {
    let shape = [40, 3, 50];
    let scores = normal(6000, 8);
    let exact: Tensor<3> = tensor(&scores, shape, DType::F64, &Device::flex());
    for device in devices() {
        let z: Tensor<3> = tensor(&scores, shape, DType::F32, &device.device);
        for dim in [0, 1, 2] {
            let label = format!("{} dim {dim}", device.name);
            let found = values(fusedmax(z.clone(), 0.3, dim));
            let expected = values(fusedmax(exact.clone(), 0.3, dim));
            assert_close(&label, &found, &expected, 0.0, 3e-7);
            let turned = z.clone().permute([2, 0, 1]);
            let found = values(oscarmax(turned, 0.02, dim));
            let expected = values(oscarmax(exact.clone().permute([2, 0, 1]), 0.02, dim));
            assert_close(&label, &found, &expected, 0.0, 3e-7);
        }
    }
}
