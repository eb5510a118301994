//! Certificates: multipliers that only a minimum has, computed from the weights and the scores alone.
//!
//! `y` minimises `½‖y − x‖² + λR(y)` over the simplex if and only if there are τ and μ ≥ 0, 0 where y > 0, with
//! `x − y − τ + μ ∈ λ∂R(y)`.

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;
use sparta_ops::testing::{assert_close, normal, tensor, values};

use super::{MAPS, Map};

/// Weights this close are taken to be equal, those as small to be none, and inequalities may be missed by as much.
const CLOSE: f64 = 1e-8;

/// Total variation: the multipliers u of the edges run along the row from 0 to 0, stay in [−λ, λ], are ±λ where
/// weights step up or down, and move by `y − x + τ − μ` at each key.
fn fused(x: &[f64], y: &[f64], lambda: f64) -> Result<(), String> {
    let n = x.len();
    // u after key i, where the weights say it.
    let edge = |i: usize| match i + 1 == n {
        true => Some(0.0),
        false if y[i + 1] > y[i] + CLOSE => Some(lambda),
        false if y[i + 1] < y[i] - CLOSE => Some(-lambda),
        false => None,
    };
    // τ from a run of positive weights.
    let first = (0..n).find(|&i| y[i] > CLOSE).ok_or("no weight")?;
    let end = (first..n).find(|&i| edge(i).is_some()).ok_or("no end")?;
    let before = if first == 0 { 0.0 } else { lambda };
    let moved: f64 = (first..=end).map(|i| y[i] - x[i]).sum();
    let rise = edge(end).unwrap_or_default() - before;
    let tau = (rise - moved) / (end - first + 1) as f64;

    let mut u = 0.0;
    for (i, (x, y)) in x.iter().zip(y).enumerate() {
        u += y - x + tau;
        let target = edge(i);
        if *y > CLOSE {
            let off = target.map_or(0.0, |target| (u - target).abs());
            if off > CLOSE || u.abs() > lambda + CLOSE {
                return Err(format!("edge {i}: {u} for {target:?}"));
            }
        } else {
            // μ can lower u, to where it must be and no further than −λ.
            let highest = target.unwrap_or(lambda);
            if u < target.unwrap_or(-lambda) - CLOSE {
                return Err(format!("edge {i}: {u} cannot reach {target:?}"));
            }
            u = u.min(highest);
        }
        u = target.unwrap_or(u);
    }
    Ok(())
}

/// OSCAR: in each group of equal weights, at the ranks r…s, the k largest of `(x − y − τ)/λ` sum to no more than
/// the k largest of the numbers n − r, …, n − s, and all of them to the same where there is weight.
fn oscar(x: &[f64], y: &[f64], lambda: f64) -> Result<(), String> {
    let n = x.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| y[*b].total_cmp(&y[*a]).then(x[*b].total_cmp(&x[*a])));
    let groups = order.chunk_by(|a, b| y[*a] - y[*b] < CLOSE);
    let (mut rank, mut tau) = (0, None);
    for group in groups {
        let n_below = |k: usize| (n - 1 - rank - k) as f64;
        let weighted = y[group[0]] > CLOSE;
        let all: f64 = (0..group.len()).map(n_below).sum();
        let sum: f64 = group.iter().map(|&i| x[i] - y[i]).sum();
        let found = (sum - lambda * all) / group.len() as f64;
        let tau = *tau.get_or_insert(found);
        if weighted && (found - tau).abs() > CLOSE {
            return Err(format!("rank {rank}: τ is {found} and {tau}"));
        }
        // Within a group x is descending.
        let (mut ours, mut bound) = (0.0, 0.0);
        for (k, &i) in group.iter().enumerate() {
            ours += x[i] - y[i] - tau;
            bound += lambda * n_below(k);
            // The sums grow with λn².
            if ours > bound + CLOSE + 1e-12 * bound {
                return Err(format!(
                    "rank {rank}, the largest {}: {ours} > {bound}",
                    k + 1
                ));
            }
        }
        rank += group.len();
    }
    Ok(())
}

fn certify(map: Map, x: &[f64], y: &[f64], lambda: f64) -> Result<(), String> {
    match map {
        Map::Fused => fused(x, y, lambda),
        Map::Oscar => oscar(x, y, lambda),
    }
}

/// The certificates tell a minimum from what is close to one.
#[test]
fn certificates_refuse_other_weights() {
    let x = [1.0, 0.5, -0.7];
    assert_eq!(oscar(&x, &[0.65, 0.35, 0.0], 0.2), Ok(()));
    assert!(oscar(&x, &[0.55, 0.45, 0.0], 0.2).is_err()); // the package's composition
    let x = [1.0, 2.1, 1.9];
    assert_eq!(fused(&x, &[0.0, 0.5, 0.5], 0.1), Ok(()));
    assert!(fused(&x, &[0.0, 0.6, 0.4], 0.1).is_err()); // sparsemax
    assert!(fused(&x, &[0.0, 0.5, 0.5], 0.05).is_err());
    for map in MAPS {
        let x = normal(20, 2);
        let y = map.row(&x, 0.05);
        assert_eq!(certify(map, &x, &y, 0.05), Ok(()));
        assert!(certify(map, &x, &map.row(&x, 0.06), 0.05).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_row_is_a_minimum(
        scores in prop::collection::vec(-3.0f64..3.0, 1..60),
        scale in prop_oneof![Just(0.1), Just(1.0), Just(20.0)],
        lambda in prop_oneof![Just(1e-3), Just(0.01), Just(0.1), Just(0.5), Just(3.0)],
        coarse in prop::bool::ANY,
    ) {
        // Coarse scores have ties.
        let at = |z: &f64| if coarse { (z * 2.0).round() / 2.0 * scale } else { z * scale };
        let x: Vec<f64> = scores.iter().map(at).collect();
        for map in MAPS {
            let y = map.row(&x, lambda);
            let certified = certify(map, &x, &y, lambda);
            prop_assert!(certified.is_ok(), "{map:?} λ {lambda}: {certified:?} {x:?} {y:?}");
        }
    }
}

/// Every row of 2 to 6 scores from −0.3 to 0.3 in steps of 0.1, and λ as coarse: the bounds of a run of total variation
/// are then often one number, which rounding leaves on either side of itself.
#[test]
fn rows_of_a_lattice_are_minima() {
    for n in 2..=6 {
        let n_rows = 7usize.pow(n as u32);
        let scores: Vec<f64> = (0..n_rows)
            .flat_map(|row| (0..n as u32).map(move |i| ((row / 7usize.pow(i)) % 7) as f64 - 3.0))
            .map(|z| z / 10.0)
            .collect();
        let device = Device::flex();
        let z: Tensor<2> = tensor(&scores, [n_rows, n], DType::F64, &device);
        let of_f32: Tensor<2> = tensor(&scores, [n_rows, n], DType::F32, &device);
        for (map, lambda) in MAPS.into_iter().flat_map(|map| [(map, 0.1), (map, 0.2)]) {
            let y = values(map.of(z.clone(), lambda));
            for (x, y) in scores.chunks(n).zip(y.chunks(n)) {
                let certified = certify(map, x, y, lambda);
                assert_eq!(certified, Ok(()), "{map:?} λ {lambda} {x:?} {y:?}");
            }
            // The mappings do not stretch distances: those of the scores' rounding are all there is.
            let found = values(map.of(of_f32.clone(), lambda));
            assert_close(&format!("{map:?} λ {lambda}"), &found, &y, 0.0, 2e-7);
        }
    }
}

/// Rows in which λ just suffices to make all weights one: before the last score both bounds are that number, and in f64
/// the lower one is above the other.
#[test]
fn a_last_score_beside_equal_bounds_ends_the_row() {
    for x in [
        [-0.3, -0.2, 0.0, -0.3],
        [0.1, 0.0, 0.3, 0.0],
        [0.2, 0.3, 0.5, 0.2],
        [-0.5, -0.4, -0.2, -0.5],
    ] {
        let y = Map::Fused.row(&x, 0.1);
        assert_close(&format!("{x:?}"), &y, &[0.25; 4], 0.0, 1e-15);
    }
}

/// Long rows: a random walk, a slope, a saw, one step; λ on the scale of their steps and far above.
#[test]
fn long_rows_are_minima() {
    let n = 3000;
    let mut walk = normal(n, 6);
    for i in 1..n {
        walk[i] = walk[i - 1] + 0.1 * walk[i];
    }
    let slope = (0..n).map(|i| i as f64 * 1e-3).collect();
    let saw = (0..n).map(|i| (i % 7) as f64 * 0.3).collect();
    let step = (0..n).map(|i| f64::from(i > n / 2)).collect();
    for x in [walk, slope, saw, step] {
        let z: Tensor<1> = tensor(&x, [n], DType::F64, &Device::flex());
        for map in MAPS {
            for lambda in [1e-4, 0.05, 1.0, 40.0] {
                let y = values(map.of(z.clone(), lambda));
                assert_eq!(certify(map, &x, &y, lambda), Ok(()), "{map:?} λ {lambda}");
            }
        }
    }
}
