//! Bad arguments: errors that name them from `try_`, rows of NaN or a panic with the same words
//! otherwise.

use burn::tensor::{DType, Device, Tensor};
use sparta_ops::entmax::{
    EntmaxError, budget_bisect, entmax, entmax15, normmax_bisect, softmax, sparsemax,
    try_budget_bisect, try_entmax, try_entmax_bisect, try_entmax15, try_normmax_bisect,
    try_softmax, try_sparsemax, try_sparsemax_bisect,
};
use sparta_ops::testing::{devices, tensor, values};

fn flex(values: &[f64], shape: [usize; 2]) -> Tensor<2> {
    tensor(values, shape, DType::F32, &Device::flex())
}

#[test]
fn nan_scores_are_counted() {
    let z = || flex(&[0.0, f64::NAN, 1.0, f64::NAN, 2.0, 3.0], [2, 3]);
    for error in [
        try_softmax(z(), 1),
        try_sparsemax(z(), 1),
        try_entmax15(z(), 1),
        try_entmax(z(), 1.3, 1),
        try_entmax_bisect(z(), 1.3, 1, 20),
        try_sparsemax_bisect(z(), 1, None),
        try_normmax_bisect(z(), 1.3, 1, None),
        try_budget_bisect(z(), 1.3, 1, None),
    ] {
        let error = error.expect_err("NaN");
        let text = error.to_string();
        assert!(
            text.starts_with("scores[0, 1] is NaN (with 2 such elements in shape [2, 3])"),
            "{text}"
        );
    }
    assert!(try_softmax(flex(&[0.0, f64::NEG_INFINITY], [1, 2]), 1).is_ok());
}

/// Without a check NaN stays in its row and is not taken for a hidden score.
#[test]
fn nan_scores_give_rows_of_nan() {
    for device in devices() {
        for dtype in [DType::F32, DType::F16] {
            if dtype == DType::F16 && device.name != "flex" {
                continue; // not every backend has it
            }
            let z = || -> Tensor<2> {
                let rows = [0.0, f64::NAN, 1.0, 4.0, 2.0, 3.0];
                tensor(&rows, [2, 3], dtype, &device.device)
            };
            let alpha = tensor(&[1.3, 0.7], [2, 1], DType::F32, &device.device);
            let maps = [
                ("softmax", softmax(z(), 1)),
                ("sparsemax", sparsemax(z(), 1)),
                ("entmax15", entmax15(z(), 1)),
                ("entmax", entmax(z(), 1.3, 1)),
                ("entmax rows", entmax(z(), alpha, 1).slice([0..1, 0..3])),
                ("normmax", normmax_bisect(z(), 1.3, 1, None)),
                ("budget", budget_bisect(z(), 1.3, 1, None)),
            ];
            for (name, p) in maps {
                let p = values(p);
                let label = format!("{} {dtype:?} {name}: {p:?}", device.name);
                assert!(p[..3].iter().all(|p| p.is_nan()), "{label}");
                assert!(p[3..].iter().all(|p| p.is_finite()), "{label}");
            }
        }
    }
}

/// α and budgets outside their range: an error that says which, from a number and from a tensor.
#[test]
fn values_outside_their_range_are_named() {
    let z = || flex(&[0.0, 1.0, 2.0, 3.0], [2, 2]);
    let nan = f64::NAN;
    for bad in [0.0, -0.5, nan] {
        let column = || flex(&[1.5, bad], [2, 1]);
        for error in [try_entmax(z(), bad, 1), try_entmax(z(), column(), 1)] {
            let text = error.expect_err("not an alpha").to_string();
            assert_eq!(
                text,
                format!(
                    "alpha = {bad}: entmax needs a finite alpha > 0 (1 is softmax, 2 is sparsemax)"
                )
            );
        }
    }
    for bad in [1.0, 0.5, nan] {
        for error in [
            try_normmax_bisect(z(), bad, 1, None),
            try_normmax_bisect(z(), flex(&[bad, 3.0], [2, 1]), 1, None),
        ] {
            let text = error.expect_err("not an alpha").to_string();
            assert_eq!(
                text,
                format!("alpha = {bad}: normmax needs a finite alpha > 1")
            );
        }
    }
    for bad in [-1.0, nan] {
        for error in [
            try_budget_bisect(z(), bad, 1, None),
            try_budget_bisect(z(), flex(&[2.0, bad], [2, 1]), 1, None),
        ] {
            let text = error.expect_err("not a budget").to_string();
            assert!(text.starts_with(&format!("budget = {bad}: ")), "{text}");
        }
    }
}

/// Unchecked, a bad value in a tensor makes its own row NaN and no other.
#[test]
fn bad_values_in_tensors_give_rows_of_nan() {
    for device in devices() {
        let z = || -> Tensor<2> {
            tensor(
                &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
                [3, 2],
                DType::F32,
                &device.device,
            )
        };
        let column = |c: [f64; 3]| -> Tensor<2> { tensor(&c, [3, 1], DType::F32, &device.device) };
        for p in [
            entmax(z(), column([-0.5, f64::NAN, 1.5]), 1),
            normmax_bisect(z(), column([1.0, f64::NAN, 1.5]), 1, None),
            budget_bisect(z(), column([-1.0, f64::NAN, 1.5]), 1, None),
        ] {
            let p = values(p);
            assert!(p[..4].iter().all(|p| p.is_nan()), "{} {p:?}", device.name);
            assert!(
                p[4..].iter().all(|p| p.is_finite()),
                "{} {p:?}",
                device.name
            );
        }
    }
}

#[test]
fn shapes_dimensions_and_counts_are_named() {
    let z = || flex(&[0.0; 12], [3, 4]);
    let wide = || flex(&[1.5; 8], [2, 4]);
    for (argument, error) in [
        ("alpha", try_entmax(z(), wide(), 1)),
        ("alpha", try_normmax_bisect(z(), wide(), 1, None)),
        ("budget", try_budget_bisect(z(), wide(), 1, None)),
    ] {
        let text = error.expect_err("no fit").to_string();
        let expected =
            format!("{argument} of shape [2, 4] does not broadcast over scores of shape [3, 4]");
        assert!(text.starts_with(&expected), "{text}");
    }
    for error in [
        try_softmax(z(), 2),
        try_entmax(z(), wide(), -3),
        try_normmax_bisect(z(), 1.5, 2, None),
        try_budget_bisect(z(), 1.5, 5, None),
    ] {
        let error = error.expect_err("no such dimension");
        assert!(
            matches!(error, EntmaxError::Dimension { rank: 2, .. }),
            "{error}"
        );
    }
    for error in [
        try_entmax_bisect(z(), 1.5, 1, 0),
        try_sparsemax_bisect(z(), 1, 0),
        try_normmax_bisect(z(), 1.5, 1, 0),
        try_budget_bisect(z(), 1.5, 1, 0),
    ] {
        assert_eq!(error.err(), Some(EntmaxError::Zero { argument: "n_iter" }));
    }
}

/// The short names panic with the same words.
#[test]
#[should_panic(expected = "entmax: alpha = 0: entmax needs a finite alpha > 0")]
fn the_short_name_panics_with_the_message() {
    let _ = entmax(flex(&[0.0], [1, 1]), 0.0, 1);
}

/// Of scores without a row α and budgets cannot be laid out in rows.
#[test]
fn no_rows_take_any_alpha() {
    for device in devices() {
        let device = &device.device;
        for shape in [[2, 4, 0, 7], [0, 4, 3, 7], [2, 4, 3, 0]] {
            let z = || Tensor::<4>::zeros(shape, device);
            let of_head = || Tensor::<4>::full([1, 4, 1, 1], 1.5, device);
            for weights in [
                try_entmax(z(), of_head(), 3),
                try_entmax_bisect(z(), of_head(), 3, 20),
                try_normmax_bisect(z(), of_head(), 3, None),
                try_budget_bisect(z(), of_head(), 3, None),
            ] {
                assert_eq!(weights.expect("good arguments").dims(), shape);
            }
        }
    }
}
