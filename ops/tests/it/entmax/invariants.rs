//! What must be true of the mappings, whatever the numbers.

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;
use sparta_ops::entmax::{budget_bisect, normmax_bisect};
use sparta_ops::testing::{assert_close, devices, normal, tensor, values};
use sparta_ops::{entmax, entmax15, softmax, sparsemax};

fn flex(values: &[f64]) -> Tensor<1> {
    tensor(values, [values.len()], DType::F64, &Device::flex())
}

proptest! {
    #[test]
    fn weights_are_a_distribution(
        scores in prop::collection::vec(-30.0f64..30.0, 1..40),
        alpha in 1.0f64..4.0,
    ) {
        let p = values(entmax(flex(&scores), alpha, 0));
        prop_assert!(p.iter().all(|&p| p >= 0.0));
        prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn adding_a_constant_changes_nothing(
        scores in prop::collection::vec(-5.0f64..5.0, 1..20),
        alpha in 1.0f64..3.0,
        constant in -50.0f64..50.0,
    ) {
        let moved: Vec<f64> = scores.iter().map(|z| z + constant).collect();
        let (a, b) = (values(entmax(flex(&scores), alpha, 0)), values(entmax(flex(&moved), alpha, 0)));
        assert_close("shifted", &b, &a, 0.0, 1e-6);
    }

    #[test]
    fn hidden_scores_are_as_if_dropped(
        scores in prop::collection::vec(-5.0f64..5.0, 1..20),
        n_hidden in 1usize..5,
        alpha in 1.0f64..3.0,
        lowest in prop_oneof![Just(f64::NEG_INFINITY), Just(-1e30), Just(-3e38)],
    ) {
        let mut longer = scores.clone();
        longer.extend(std::iter::repeat_n(lowest, n_hidden));
        let kept = values(entmax(flex(&scores), alpha, 0));
        let found = values(entmax(flex(&longer), alpha, 0));
        assert_close("visible", &found[..scores.len()], &kept, 0.0, 1e-12);
        prop_assert!(found[scores.len()..].iter().all(|&p| p == 0.0));
    }

    #[test]
    fn scaling_up_never_grows_the_support(
        scores in prop::collection::vec(-3.0f64..3.0, 2..20),
        alpha in 1.1f64..3.0,
    ) {
        let size = |factor: f64| {
            let scaled: Vec<f64> = scores.iter().map(|z| z * factor).collect();
            values(entmax(flex(&scaled), alpha, 0)).iter().filter(|&&p| p > 1e-9).count()
        };
        prop_assert!(size(2.0) <= size(1.0));
    }

    #[test]
    fn permuting_scores_permutes_weights(
        scores in prop::collection::vec(-5.0f64..5.0, 1..30),
        alpha in 1.0f64..3.0,
        turn in 0usize..30,
    ) {
        let turn = turn % scores.len();
        let mut turned = scores.clone();
        turned.rotate_left(turn);
        turned.reverse();
        let mut p = values(entmax(flex(&scores), alpha, 0));
        p.rotate_left(turn);
        p.reverse();
        assert_close("permuted", &values(entmax(flex(&turned), alpha, 0)), &p, 0.0, 1e-12);
    }

    #[test]
    fn order_is_kept(scores in prop::collection::vec(-3.0f64..3.0, 2..20), alpha in 1.0f64..3.0) {
        let p = values(entmax(flex(&scores), alpha, 0));
        for i in 0..scores.len() {
            for j in 0..scores.len() {
                prop_assert!(scores[i] <= scores[j] || p[i] >= p[j] - 1e-12);
            }
        }
    }

    #[test]
    fn one_hot_at_the_margin(rest in prop::collection::vec(-4.0f64..0.0, 1..10), alpha in 1.2f64..4.0) {
        let mut scores = rest;
        scores.push(1.0 / (alpha - 1.0) + 1e-6);
        let p = values(entmax(flex(&scores), alpha, 0));
        assert_close("one hot", &p[p.len() - 1..], &[1.0], 0.0, 1e-12);
    }

    #[test]
    fn exact_and_iterative_agree(scores in prop::collection::vec(-4.0f64..4.0, 1..60)) {
        let z = flex(&scores);
        // A number 2 or 1.5 takes the exact algorithm; a tensor does not.
        let iterative = |alpha: f64| values(entmax(z.clone(), flex(&[alpha]), 0));
        assert_close("2", &values(sparsemax(z.clone(), 0)), &iterative(2.0), 0.0, 1e-9);
        assert_close("1.5", &values(entmax15(z.clone(), 0)), &iterative(1.5), 0.0, 1e-9);
        let near = values(entmax(z.clone(), 1.0 + 1e-9, 0));
        assert_close("1", &values(softmax(z, 0)), &near, 0.0, 1e-7);
    }
}

/// An α per row gives what each row gives alone (`test_entmax_correct_multiple_alphas`), and an α
/// per head broadcasts over batch and rows.
#[test]
fn alpha_per_row_and_per_head() {
    let device = Device::flex();
    let scores = normal(2 * 3 * 4 * 7, 1);
    let z: Tensor<4> = tensor(&scores, [2, 3, 4, 7], DType::F64, &device);
    let alpha = [1.0, 1.37, 2.2];
    let heads = tensor(&alpha, [1, 3, 1, 1], DType::F64, &device);
    let all = values(entmax(z, heads, 3));
    for (row, found) in all.chunks(7).enumerate() {
        let alone = values(entmax(
            flex(&scores[row * 7..][..7]),
            alpha[(row / 4) % 3],
            0,
        ));
        assert_close(&format!("row {row}"), found, &alone, 0.0, 1e-12);
    }
}

/// Sizes that are no powers of two, tied, flat, peaked and very wide rows, on every backend, against
/// the f64 reference on the same f32 scores.
#[test]
fn odd_sizes_and_odd_scores_on_every_backend() {
    let flex = Device::flex();
    for device in devices() {
        let sizes: &[usize] = if device.slow {
            &[1, 63]
        } else {
            &[1, 2, 63, 100, 1000, 4097]
        };
        for &n in sizes {
            let rows: Vec<Vec<f64>> = vec![
                normal(n, 21),
                normal(n, 22).iter().map(|z| z * 6.0).collect(),
                vec![0.25; n],
                (0..n)
                    .map(|i| if i == n / 2 { 40.0 } else { 0.0 })
                    .collect(),
                normal(n, 23).iter().map(|z| z * 1e4).collect(),
                normal(n, 24).iter().map(|z| z * 1e-5).collect(),
                (0..n).map(|i| (i % 3) as f64 * 0.5).collect(),
            ];
            let flat: Vec<f64> = rows.concat().iter().map(|&z| z as f32 as f64).collect();
            let shape = [rows.len(), n];
            for alpha in [1.0, 1.1, 1.5, 2.0, 2.5] {
                let expected = values(entmax(tensor(&flat, shape, DType::F64, &flex), alpha, 1));
                let z = tensor(&flat, shape, DType::F32, &device.device);
                let found = values(entmax(z.clone(), alpha, 1));
                let label = format!("{} n {n} alpha {alpha}", device.name);
                let limit = if alpha < 1.25 { 2e-5 } else { 2e-6 };
                assert_close(&label, &found, &expected, 0.0, limit);
                let exact = match alpha {
                    1.5 => entmax15(z, 1),
                    2.0 => sparsemax(z, 1),
                    _ => continue,
                };
                assert_close(
                    &format!("{label} exact"),
                    &values(exact),
                    &expected,
                    0.0,
                    2e-6,
                );
            }
        }
    }
}

/// Rows of 128k scores, peaked, flat and wide, in f32 against f64.
#[test]
fn rows_of_128k() {
    let device = Device::flex();
    let n = 128 * 1024;
    for scale in [0.0, 1.0, 6.0, 1e4] {
        let scores: Vec<f64> = normal(n, 41)
            .iter()
            .map(|z| (z * scale) as f32 as f64)
            .collect();
        type Map = fn(Tensor<1>) -> Tensor<1>;
        let maps: [(&str, Map, f64); 9] = [
            ("softmax", |z| softmax(z, 0), 1.0),
            ("sparsemax", |z| sparsemax(z, 0), 1.0),
            ("entmax15", |z| entmax15(z, 0), 1.0),
            ("entmax 0.5", |z| entmax(z, 0.5, 0), 1.0),
            ("entmax 1.1", |z| entmax(z, 1.1, 0), 1.0),
            ("entmax 1.7", |z| entmax(z, 1.7, 0), 1.0),
            ("entmax 3", |z| entmax(z, 3.0, 0), 1.0),
            ("normmax 1.5", |z| normmax_bisect(z, 1.5, 0, None), 1.0),
            ("budget 100", |z| budget_bisect(z, 100.0, 0, None), 100.0),
        ];
        for (name, map, sum) in maps {
            let run = |dtype| values(map(tensor(&scores, [n], dtype, &device)));
            let (found, expected) = (run(DType::F32), run(DType::F64));
            let label = format!("{name} scale {scale}");
            assert_close(&label, &found, &expected, 0.0, 2e-6);
            let total: f64 = found.iter().sum();
            assert!((total - sum).abs() <= 1e-6 * sum, "{label}: sum {total}");
        }
    }
}

/// Half types are computed in f32: exact to half rounding.
#[test]
fn half_types_are_computed_in_f32() {
    let device = Device::flex();
    let scores: Vec<f64> = normal(5 * 33, 31).iter().map(|z| 2.0 * z).collect();
    for (dtype, limit) in [(DType::F16, 1e-3), (DType::BF16, 8e-3)] {
        let z: Tensor<2> = tensor(&scores, [5, 33], dtype, &device);
        let wide = tensor(&values(z.clone()), [5, 33], DType::F64, &device);
        for alpha in [1.0, 1.3, 1.5, 2.0] {
            let found = entmax(z.clone(), alpha, 1);
            assert_eq!(found.dtype(), dtype);
            let expected = values(entmax(wide.clone(), alpha, 1));
            assert_close(
                &format!("{dtype:?} {alpha}"),
                &values(found),
                &expected,
                0.0,
                limit,
            );
        }
    }
    let hidden: Tensor<1> = tensor(
        &[0.0, -65504.0, f64::NEG_INFINITY],
        [3],
        DType::F16,
        &device,
    );
    assert_eq!(values(softmax(hidden, 0)), [1.0, 0.0, 0.0]);
}
