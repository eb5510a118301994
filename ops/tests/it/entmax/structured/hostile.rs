//! Hidden scores, ties, rows of one, huge scores, NaN, half types, and bad arguments.

use burn::tensor::{DType, Device, Tensor};
use rstest::rstest;
use sparta_ops::entmax::{EntmaxError, try_fusedmax, try_oscarmax};
use sparta_ops::testing::{assert_close, devices, normal, tensor, values};
use sparta_ops::{fusedmax, oscarmax};

use super::{MAPS, Map};

/// Weights and gradients of a row with holes are those of the row without them: hidden scores do not enter
/// the chain, and those beside a hole are neighbours.
#[test]
fn holes_are_as_nothing() {
    let full = normal(40, 41);
    let upstream = normal(40, 42);
    let hole = |i: usize| i.is_multiple_of(5) || (11..19).contains(&i) || i == 39;
    let visible: Vec<usize> = (0..40).filter(|i| !hole(*i)).collect();
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        let run = |map: Map, scores: &[f64], upstream: &[f64]| {
            let n = scores.len();
            let z: Tensor<1> = tensor(scores, [n], DType::F32, &autodiff).require_grad();
            let upstream: Tensor<1> = tensor(upstream, [n], DType::F32, &autodiff);
            let p = map.of(z.clone(), 0.05);
            let grads = (p.clone() * upstream).sum().backward();
            let grad = values(z.grad(&grads).expect("a gradient"));
            (values(p.inner()), grad)
        };
        let pick = |all: &[f64]| -> Vec<f64> { visible.iter().map(|i| all[*i]).collect() };
        for map in MAPS {
            let (p, grad) = run(map, &pick(&full), &pick(&upstream));
            for lowest in [f64::NEG_INFINITY, -1e30, f32::MIN as f64] {
                let holed: Vec<f64> = (0..40)
                    .map(|i| if hole(i) { lowest } else { full[i] })
                    .collect();
                let (q, holed_grad) = run(map, &holed, &upstream);
                let label = format!("{} {map:?} {lowest:e}", device.name);
                assert_eq!(pick(&q), p, "{label}");
                assert_eq!(pick(&holed_grad), grad, "{label}");
                assert!(
                    (0..40).all(|i| !hole(i) || (q[i] == 0.0 && holed_grad[i] == 0.0)),
                    "{label}"
                );
            }
        }
    }
}

/// Rows that are hidden, of ties, of one visible score, and with scores that would swallow the others' digits.
#[test]
fn hostile_rows_on_every_backend() {
    let hidden = f64::NEG_INFINITY;
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        let rows = [
            [hidden, hidden, hidden, hidden],
            [0.7, 0.7, 0.7, 0.7],
            [hidden, hidden, -4.0, hidden],
            [-9e29, 0.0, -9e29, 0.0],
            [1e4, -1e4, 1e4, 0.0],
            [9e29, -9e29, 0.0, 1.0],
        ];
        // The key at the end has one neighbour to be like, the other two.
        let (end, inner) = (0.55, 0.45);
        let half = 0.5;
        for (map, lambda, [a, b]) in [
            (Map::Fused, 0.1, [end, inner]),
            (Map::Oscar, 0.01, [half, half]),
            (Map::Oscar, 0.1, [half, half]),
        ] {
            let expected = [
                [0.0; 4],
                [0.25; 4],
                [0.0, 0.0, 1.0, 0.0],
                [0.0, b, 0.0, a],
                [a, 0.0, b, 0.0],
                [1.0, 0.0, 0.0, 0.0],
            ];
            let z: Tensor<2> = tensor(rows.as_flattened(), [6, 4], DType::F32, &autodiff);
            let z = z.require_grad();
            let p = map.of(z.clone(), lambda);
            let upstream = tensor(&[1.0, 2.0, 3.0, 4.0], [1, 4], DType::F32, &autodiff);
            let grads = (p.clone() * upstream).sum().backward();
            let label = format!("{} {map:?} {lambda}", device.name);
            let p = values(p.inner());
            assert_close(&label, &p, expected.as_flattened(), 0.0, 1e-6);
            let grad = values(z.grad(&grads).expect("a gradient"));
            assert!(grad.iter().all(|g| g.is_finite()), "{label}: {grad:?}");
            // Nothing can move where everything is hidden, tied or alone.
            assert_eq!(grad[..12], [0.0; 12], "{label}");
        }
    }
}

/// A NaN stays in its row, forward and backward, and is not taken for a hidden score.
#[test]
fn nan_scores_give_rows_of_nan() {
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        let rows = [0.0, f64::NAN, 1.0, 4.0, 2.0, 3.9, f64::INFINITY, 0.0, 1.0];
        for map in MAPS {
            let z: Tensor<2> = tensor(&rows, [3, 3], DType::F32, &autodiff).require_grad();
            let p = map.of(z.clone(), 0.05);
            let upstream = tensor(&[1.0, 2.0, 3.0], [1, 3], DType::F32, &autodiff);
            let grads = (p.clone() * upstream).sum().backward();
            for found in [
                values(p.inner()),
                values(z.grad(&grads).expect("a gradient")),
            ] {
                let label = format!("{} {map:?} {found:?}", device.name);
                assert!(found[..3].iter().all(|x| x.is_nan()), "{label}");
                assert!(found[3..6].iter().all(|x| x.is_finite()), "{label}");
                assert!(found[6..].iter().all(|x| x.is_nan()), "{label}");
            }
        }
    }
}

/// Half types are solved in more digits: they differ from f64 by the rounding of the scores' type alone, and
/// f16's minimum is hidden.
#[rstest]
#[case(DType::F16, 5e-4)]
#[case(DType::BF16, 4e-3)]
fn half_types_are_computed_wide(#[case] dtype: DType, #[case] limit: f64) {
    let device = Device::flex();
    let mut scores = normal(300, 51);
    scores[5] = f64::from(f32::from(burn::tensor::f16::MIN));
    scores[6] = -1e31;
    let z: Tensor<2> = tensor(&scores, [3, 100], dtype, &device);
    // What the type holds, to the bit, but for what is hidden.
    let mut held = values(z.clone());
    held[6] = f64::NEG_INFINITY;
    if dtype == DType::F16 {
        held[5] = f64::NEG_INFINITY;
    }
    for (map, lambda) in [(Map::Fused, 0.2), (Map::Oscar, 0.02)] {
        let exact: Tensor<2> = tensor(&held, [3, 100], DType::F64, &device);
        let found = values(map.of(z.clone(), lambda));
        let expected = values(map.of(exact, lambda));
        assert_close(&format!("{map:?} {dtype:?}"), &found, &expected, limit, 0.0);
        assert_eq!(found[5..7], [0.0; 2]);
    }
}

#[test]
fn bad_arguments_are_named() {
    let z = || tensor::<2>(&[0.0, 1.0, 2.0, 3.0], [2, 2], DType::F32, &Device::flex());
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        for error in [try_fusedmax(z(), bad, 1), try_oscarmax(z(), bad, 1)] {
            let text = error.expect_err("not a lambda").to_string();
            let expected = format!(
                "lambda = {bad}: fusedmax and oscarmax need a finite lambda >= 0 (0 is sparsemax)"
            );
            assert_eq!(text, expected);
        }
    }
    let nan = || tensor::<2>(&[0.0, f64::NAN], [1, 2], DType::F32, &Device::flex());
    for error in [try_fusedmax(nan(), 0.1, 1), try_oscarmax(nan(), 0.1, 1)] {
        let error = error.expect_err("NaN");
        assert!(
            matches!(error, EntmaxError::NotAScore { count: 1, .. }),
            "{error}"
        );
    }
    for error in [try_fusedmax(z(), 0.1, 2), try_oscarmax(z(), 0.0, -3)] {
        let error = error.expect_err("no such dimension");
        assert!(
            matches!(error, EntmaxError::Dimension { rank: 2, .. }),
            "{error}"
        );
    }
    let nothing: Tensor<2> = Tensor::zeros([3, 0], &Device::flex());
    assert_eq!(fusedmax(nothing.clone(), 0.1, 1).dims(), [3, 0]);
    assert_eq!(oscarmax(nothing, 0.1, 0).dims(), [3, 0]);
}

#[test]
#[should_panic(expected = "oscarmax: lambda = -1: fusedmax and oscarmax need a finite lambda >= 0")]
fn the_short_name_panics_with_the_message() {
    let _ = oscarmax(Tensor::<1>::zeros([2], &Device::flex()), -1.0, 0);
}
