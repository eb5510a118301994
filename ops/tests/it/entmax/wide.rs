//! Finite scores as wide as the type holds give the right weights and gradients; −∞ is hidden; +∞ and NaN make their row NaN
//! and are errors of the `try_` functions that say where they are.

use burn::tensor::{DType, Device, Tensor};
use sparta_ops::attention::{AttentionOptions, Implementation, Normalizer, sparse_attention};
use sparta_ops::entmax::{
    EntmaxError, budget_bisect, entmax_bisect, entmax15_topk, normmax_bisect, sparsemax_topk,
    try_budget_bisect, try_entmax, try_entmax_bisect, try_entmax15, try_fusedmax,
    try_normmax_bisect, try_oscarmax, try_softmax, try_sparsemax, try_sparsemax_bisect,
};
use sparta_ops::testing::{assert_close, devices, tensor, values};
use sparta_ops::{entmax, entmax15, fusedmax, oscarmax, softmax, sparsemax};

const MAX: f64 = f32::MAX as f64;
const HIDDEN: f64 = f64::NEG_INFINITY;

/// A mapping, and the slope s = p^{2−α} of two weights of ½ each: 0 where equal scores are a group.
type Map = (&'static str, fn(Tensor<2>) -> Tensor<2>, f64);

fn column(z: &Tensor<2>, alpha: f64) -> Tensor<2> {
    let rows = z.dims()[0];
    Tensor::full([rows, 1], alpha, (&z.device(), z.dtype()))
}

fn maps() -> Vec<Map> {
    vec![
        ("softmax", |z| softmax(z, 1), 0.5),
        ("sparsemax", |z| sparsemax(z, 1), 1.0),
        ("sparsemax, k = 1", |z| sparsemax_topk(z, 1, 1), 1.0),
        ("entmax15", |z| entmax15(z, 1), 0.5f64.sqrt()),
        ("entmax15, k = 1", |z| entmax15_topk(z, 1, 1), 0.5f64.sqrt()),
        ("entmax 0.6", |z| entmax(z, 0.6, 1), 0.5f64.powf(1.4)),
        ("entmax 1.01", |z| entmax(z, 1.01, 1), 0.5f64.powf(0.99)),
        ("entmax 1.3", |z| entmax(z, 1.3, 1), 0.5f64.powf(0.7)),
        ("entmax 3", |z| entmax(z, 3.0, 1), 2.0),
        ("entmax 10", |z| entmax(z, 10.0, 1), 256.0),
        (
            "entmax of a column of 1",
            |z| {
                let alpha = column(&z, 1.0);
                entmax(z, alpha, 1)
            },
            0.5,
        ),
        (
            "entmax of a column of 1.7",
            |z| {
                let alpha = column(&z, 1.7);
                entmax(z, alpha, 1)
            },
            0.5f64.powf(0.3),
        ),
        (
            "entmax of a column of 10",
            |z| {
                let alpha = column(&z, 10.0);
                entmax(z, alpha, 1)
            },
            256.0,
        ),
        (
            "entmax_bisect 1.3",
            |z| entmax_bisect(z, 1.3, 1, 60),
            0.5f64.powf(0.7),
        ),
        ("fusedmax", |z| fusedmax(z, 0.1, 1), 0.0),
        ("oscarmax", |z| oscarmax(z, 0.1, 1), 0.0),
    ]
}

/// Rows of scores, and the weights that every mapping gives.
fn rows(dtype: DType) -> Vec<([f64; 4], [f64; 4])> {
    let one = [1.0, 0.0, 0.0, 0.0];
    let two = [0.5, 0.5, 0.0, 0.0];
    let mut rows = vec![
        ([MAX, 0.0, -9e29, HIDDEN], one),
        ([MAX, 3e38, 1e38, -1.0], one),
        ([MAX, -MAX, -MAX, -MAX], one),
        ([MAX, MAX, -MAX, 0.0], two),
        ([MAX, MAX, -9e29, 3e38], two),
        ([2e38, 2e38, -9e29, -9e29], two),
        ([1e20, 1e20, -1e20, 0.0], two),
        ([-8e29, -8e29, -9.9e29, -9e29], two),
        ([0.0, 0.0, -9.9e29, -MAX], two),
        ([-MAX, -MAX, -MAX, -MAX], [0.0; 4]),
        ([HIDDEN, -MAX, HIDDEN, HIDDEN], [0.0; 4]),
    ];
    if dtype == DType::F64 {
        rows.push(([f64::MAX, 0.0, -9e29, 1e300], one));
        rows.push(([f64::MAX, f64::MAX, f64::MIN, 1.0], two));
        rows.push(([f64::MIN, f64::MIN, f64::MIN, f64::MIN], [0.0; 4]));
    }
    rows
}

/// The gradient of two weights of ½, `s·(g − mean g)`; without a second weight nothing can move.
fn gradient(weights: [f64; 4], upstream: [f64; 4], slope: f64) -> [f64; 4] {
    let half = slope * (upstream[0] - upstream[1]) / 2.0;
    match weights[1] {
        0.5 => [half, -half, 0.0, 0.0],
        _ => [0.0; 4],
    }
}

#[test]
fn scores_as_wide_as_the_type_have_the_right_weights_and_gradients() {
    let mut failures = Vec::new();
    for device in devices() {
        for dtype in [DType::F32, DType::F64] {
            if dtype == DType::F64 && !device.has_f64 {
                continue;
            }
            let autodiff = device.device.clone().autodiff();
            let upstream = [1.0, -2.0, 0.5, 3.0];
            // As they are, in rows too long to be interleaved, and hidden ones between them.
            for padding in [0, 600] {
                let rows = rows(dtype);
                let n = 4 + padding;
                let long = |row: &[f64], fill: f64| {
                    let mut long = row.to_vec();
                    long.resize(n, fill);
                    long
                };
                let flat: Vec<f64> = rows.iter().flat_map(|(z, _)| long(z, HIDDEN)).collect();
                let z = tensor(&flat, [rows.len(), n], dtype, &autodiff).require_grad();
                let g: Tensor<2> = tensor(&long(&upstream, 1.0), [1, n], dtype, &autodiff);
                for (name, map, slope) in maps() {
                    let p = map(z.clone());
                    let grads = (p.clone() * g.clone()).sum().backward();
                    let p = values(p.inner());
                    let grad = values(z.grad(&grads).expect("a gradient"));
                    for (i, (scores, weights)) in rows.iter().enumerate() {
                        let found = &p[i * n..][..n];
                        let found_grad = &grad[i * n..][..n];
                        let expected = gradient(*weights, upstream, slope);
                        let is_right = |found: &[f64], expected: [f64; 4], limit: f64| {
                            let expected = long(&expected, 0.0);
                            let pairs = found.iter().zip(&expected);
                            pairs
                                .into_iter()
                                .all(|(f, e)| (f - e).abs() <= limit * e.abs().max(1.0))
                        };
                        if !is_right(found, *weights, 2e-6) || !is_right(found_grad, expected, 1e-4)
                        {
                            failures.push(format!(
                                "{} {dtype:?} n {n} {name} {scores:?}: {:?}, gradient {:?}, expected {expected:?}",
                                device.name, &found[..4], &found_grad[..4],
                            ));
                        }
                    }
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Norms and budgets too.
#[test]
fn budgets_and_norms_of_wide_scores() {
    for device in devices() {
        for (scores, weights) in rows(DType::F32) {
            let z: Tensor<2> = tensor(&scores, [1, 4], DType::F32, &device.device);
            let found = [
                ("normmax 1.5", normmax_bisect(z.clone(), 1.5, 1, None)),
                ("normmax 5", normmax_bisect(z.clone(), 5.0, 1, None)),
                ("budget", budget_bisect(z.clone(), 1.0, 1, None)),
            ];
            for (name, p) in found {
                let label = format!("{} {name} {scores:?}", device.name);
                assert_close(&label, &values(p), &weights, 0.0, 2e-6);
            }
        }
    }
}

/// Queries whose scores are those rows: the context is made of the right values, and no gradient is NaN.
#[test]
fn fused_attention_of_wide_scores() {
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        for alpha in [None, Some(1.3), Some(2.0), Some(10.0)] {
            for (scores, weights) in rows(DType::F32) {
                let n = scores.len();
                let query: Tensor<4> =
                    Tensor::ones([1, 1, 1, 1], (&autodiff, DType::F32)).require_grad();
                let key: Tensor<4> =
                    tensor(&scores, [1, 1, n, 1], DType::F32, &autodiff).require_grad();
                let units: Vec<f64> = (0..n * n)
                    .map(|i| f64::from(u8::from(i / n == i % n)))
                    .collect();
                let value: Tensor<4> = tensor(&units, [1, 1, n, n], DType::F32, &autodiff);
                let normalizer = match alpha {
                    None => Normalizer::Softmax,
                    Some(alpha) => Normalizer::Entmax(tensor(&[alpha], [1], DType::F32, &autodiff)),
                };
                let options = AttentionOptions::new(normalizer)
                    .scale(1.0)
                    .implementation(Implementation::Fused);
                let context = sparse_attention(query.clone(), key.clone(), value, options).context;
                let g = tensor(&[1.0, -2.0, 0.5, 3.0], [1, 1, 1, n], DType::F32, &autodiff);
                let grads = (context.clone() * g).sum().backward();
                let label = format!("{} alpha {alpha:?} {scores:?}", device.name);
                assert_close(&label, &values(context.inner()), &weights, 0.0, 2e-6);
                let grad = values(key.grad(&grads).expect("a gradient"));
                assert!(grad.iter().all(|g| g.is_finite()), "{label}: {grad:?}");
            }
        }
    }
}

/// +∞ and NaN: their row is NaN whatever the mapping, and no other row is.
#[test]
fn infinite_scores_give_rows_of_nan() {
    for device in devices() {
        for bad in [f64::INFINITY, f64::NAN] {
            for n in [4, 700] {
                let mut scores = vec![0.1; 3 * n];
                scores[n + 2] = bad;
                scores[2 * n] = 7.0;
                let z: Tensor<2> = tensor(&scores, [3, n], DType::F32, &device.device);
                let others: [Map; 2] = [
                    ("normmax", |z| normmax_bisect(z, 1.3, 1, None), 0.0),
                    ("budget", |z| budget_bisect(z, 1.0, 1, None), 0.0),
                ];
                for (name, map, _) in maps().into_iter().chain(others) {
                    let p = values(map(z.clone()));
                    let label = format!("{} {name} {bad} n {n}", device.name);
                    assert!(
                        p[n..2 * n].iter().all(|p| p.is_nan()),
                        "{label}: {:?}",
                        &p[n..n + 4]
                    );
                    let mut fine = p[..n].iter().chain(&p[2 * n..]);
                    assert!(fine.all(|p| p.is_finite()), "{label}");
                }
            }
        }
    }
}

/// What `try_` says of a score that is none: which one, where and what.
#[test]
fn errors_name_the_first_bad_score() {
    let device = Device::flex();
    for (bad, word) in [(f64::INFINITY, "inf"), (f64::NAN, "NaN")] {
        let mut scores = vec![0.5; 24];
        scores[17] = bad;
        scores[20] = bad;
        let z = || -> Tensor<3> { tensor(&scores, [2, 3, 4], DType::F32, &device) };
        for error in [
            try_softmax(z(), 2),
            try_sparsemax(z(), 1),
            try_entmax15(z(), 0),
            try_entmax(z(), 1.3, 2),
            try_entmax(z(), 10.0, 2),
            try_entmax_bisect(z(), 1.3, 2, 20),
            try_sparsemax_bisect(z(), 2, None),
            try_normmax_bisect(z(), 1.3, 2, None),
            try_budget_bisect(z(), 1.3, 2, None),
            try_fusedmax(z(), 0.1, 2),
            try_oscarmax(z(), 0.1, 2),
        ] {
            let error = error.expect_err(word);
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("scores[1, 1, 1] is {word} (with 2 such")),
                "{text}"
            );
            let EntmaxError::NotAScore {
                position, count, ..
            } = error
            else {
                panic!("{text}");
            };
            assert_eq!((position, count), (vec![1, 1, 1], 2));
        }
    }
    // −∞ and the largest finite numbers are scores.
    let z: Tensor<1> = tensor(&[MAX, -MAX, HIDDEN], [3], DType::F32, &device);
    assert!(try_softmax(z.clone(), 0).is_ok() && try_entmax(z, 3.0, 0).is_ok());
}
