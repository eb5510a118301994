//! α from 2 to 20 against vectors in 120-digit arithmetic: small weights, whose base p^(α−1) is far below the
//! last digit of a score, keep their digits, forward and backward, in rows and in fused attention.

use burn::tensor::{DType, Device, Tensor};
use serde::Deserialize;
use sparta_ops::attention::{AttentionOptions, Implementation, Normalizer, sparse_attention};
use sparta_ops::entmax::{Bisection, entmax_bisect};
use sparta_ops::testing::{TestDevice, assert_close, devices, normal, tensor, values};
use sparta_ops::{entmax, loss};

#[derive(Clone, Deserialize)]
struct Row {
    alpha: f64,
    scores: Vec<f64>,
    upstream: Vec<f64>,
    weights: Vec<f64>,
    d_scores: Option<Vec<f64>>,
    d_alpha: f64,
}

/// First weights of the scores (x, 0), x = (i − 128)/256.
#[derive(Deserialize)]
struct Sweep {
    alpha: f64,
    first: Vec<f64>,
}

#[derive(Deserialize)]
struct Vectors {
    sweep: Vec<Sweep>,
    rows: Vec<Row>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../vectors/large_alpha_vectors.json"))
        .expect("the file that large_alpha.py wrote")
}

/// Each device with each type it computes in: what weights may be off, and gradients relative to
/// max(1, |gradient|).
fn tiers() -> Vec<(TestDevice, DType, f64, f64)> {
    let mut tiers = Vec::new();
    for device in devices() {
        tiers.push((device.clone(), DType::F32, 2e-6, 1e-5));
        if device.has_f64 {
            tiers.push((device, DType::F64, 1e-12, 1e-10));
        }
    }
    tiers
}

/// What documentation says of gradients in scores on devices without f64: `(α − 1)·3e-7/p_min` more, as the error of the
/// smallest weight p_min is that of a sum near 1.
fn without_f64(device: &TestDevice, row: &Row) -> f64 {
    let positive = row.weights.iter().filter(|p| **p > 0.0);
    let smallest = positive.fold(1.0f64, |m, p| m.min(*p));
    match device.has_f64 {
        true => 0.0,
        false => (row.alpha - 1.0) * 3e-7 / smallest,
    }
}

fn off(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    pairs.fold(0.0, |worst, (f, e)| match (f - e).abs() {
        off if off.is_nan() => f64::INFINITY,
        off => off.max(worst),
    })
}

/// What a solver gives for a row.
struct Found {
    weights: Vec<f64>,
    d_scores: Vec<f64>,
    d_alpha: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
enum Solver {
    /// One α for all rows.
    Number,
    /// α with a gradient.
    Column,
    /// The readable definition.
    Definition,
    /// One query of fused attention, whose keys are the scores and whose values are the unit vectors.
    Attention,
}

impl Solver {
    fn run(self, row: &Row, dtype: DType, device: &Device) -> Found {
        let n = row.scores.len();
        let device = device.clone().autodiff();
        let z: Tensor<2> = tensor(&row.scores, [1, n], dtype, &device).require_grad();
        let g: Tensor<2> = tensor(&row.upstream, [1, n], dtype, &device);
        let alpha: Tensor<1> = tensor(&[row.alpha], [1], dtype, &device).require_grad();
        let column = || alpha.clone().reshape([1, 1]);
        let exact = Bisection {
            n_iter: None,
            ensure_sum_one: false,
        };
        let p = match self {
            Self::Number => entmax(z.clone(), row.alpha, 1),
            Self::Column => entmax(z.clone(), column(), 1),
            Self::Definition => entmax_bisect(z.clone(), column(), 1, exact),
            Self::Attention => {
                let query = Tensor::ones([1, 1, 1, 1], (&device, dtype));
                let units: Vec<f64> = (0..n * n)
                    .map(|i| f64::from(u8::from(i / n == i % n)))
                    .collect();
                let value: Tensor<4> = tensor(&units, [1, 1, n, n], dtype, &device);
                let options = AttentionOptions::new(Normalizer::Entmax(alpha.clone()))
                    .scale(1.0)
                    .implementation(Implementation::Fused);
                let key = z.clone().reshape([1, 1, n, 1]);
                let output = sparse_attention(query, key, value, options);
                assert_eq!(output.implementation, Implementation::Fused);
                output.context.reshape([1, n])
            }
        };
        let grads = (p.clone() * g).sum().backward();
        Found {
            weights: values(p.inner()),
            d_scores: values(z.grad(&grads).expect("a gradient in the scores")),
            d_alpha: alpha.grad(&grads).map(|grad| values(grad)[0]),
        }
    }
}

/// Forward and both gradients of every row by every solver; prints the worst error of each α.
#[test]
fn every_solver_equals_the_vectors() {
    let mut failures = Vec::new();
    for (device, dtype, weight_limit, grad_limit) in tiers() {
        for solver in [
            Solver::Number,
            Solver::Column,
            Solver::Definition,
            Solver::Attention,
        ] {
            let mut worst: Vec<(f64, [f64; 3])> = Vec::new();
            // Of the 18 rows of each α slow devices get some, another of each.
            let step = if device.slow { 5 } else { 1 };
            for row in vectors().rows.into_iter().step_by(step) {
                let found = solver.run(&row, dtype, &device.device);
                if worst.last().is_none_or(|(alpha, _)| *alpha != row.alpha) {
                    worst.push((row.alpha, [0.0; 3]));
                }
                let largest = |grad: &[f64]| grad.iter().fold(1.0f64, |m, x| m.max(x.abs()));
                let d_scores = match &row.d_scores {
                    Some(expected) if dtype == DType::F64 || largest(expected) < 1e30 => {
                        off(&found.d_scores, expected) / largest(expected)
                    }
                    // Some are no f32, and an error of a weight's last digit is one of theirs: they are numbers.
                    Some(_) | None if found.d_scores.iter().all(|x| x.is_finite()) => 0.0,
                    Some(_) | None => f64::INFINITY,
                };
                let d_alpha = found.d_alpha.map_or(0.0, |found| {
                    off(&[found], &[row.d_alpha]) / row.d_alpha.abs().max(1.0)
                });
                let errors = [off(&found.weights, &row.weights), d_scores, d_alpha];
                for (worst, error) in worst.last_mut().expect("pushed").1.iter_mut().zip(errors) {
                    *worst = worst.max(error);
                }
                let more = without_f64(&device, &row);
                let limits = [weight_limit, grad_limit + more, grad_limit];
                let names = ["weights", "gradient in scores", "gradient in alpha"];
                for ((name, error), limit) in names.iter().zip(errors).zip(limits) {
                    if error > limit {
                        failures.push(format!(
                            "{} {dtype:?} {solver:?} alpha {} {:?}: {name} off by {error:e}, allowed {limit:e}",
                            device.name, row.alpha, row.scores
                        ));
                    }
                }
            }
            for (alpha, [p, d_scores, d_alpha]) in worst {
                println!(
                    "{} {dtype:?} {solver:?} alpha {alpha}: weights {p:.1e}, scores {d_scores:.1e}, alpha {d_alpha:.1e}",
                    device.name
                );
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures\n{}",
        failures.len(),
        failures[..failures.len().min(60)].join("\n")
    );
}

/// Two scores from (−½, 0) to (½, 0): the weights of the oracle.
#[test]
fn two_scores_equal_the_vectors() {
    for (device, dtype, limit, _) in tiers() {
        for Sweep { alpha, first } in vectors().sweep {
            let scores: Vec<f64> = (0..257)
                .flat_map(|i| [f64::from(i - 128) / 256.0, 0.0])
                .collect();
            let z: Tensor<2> = tensor(&scores, [257, 2], dtype, &device.device);
            let column = tensor(&[alpha; 257], [257, 1], dtype, &device.device);
            for p in [entmax(z.clone(), alpha, 1), entmax(z.clone(), column, 1)] {
                let p = values(p);
                let found: Vec<f64> = p.iter().step_by(2).copied().collect();
                let other: Vec<f64> = p.iter().skip(1).step_by(2).map(|p| 1.0 - p).collect();
                let label = format!("{} {dtype:?} alpha {alpha}", device.name);
                println!("{label}: {:.1e}", off(&found, &first));
                assert_close(&label, &found, &first, 0.0, limit);
                assert_close(&label, &other, &first, 0.0, limit);
            }
        }
    }
}

/// deep-spin/entmax#36: α = 10, scores (±0.1, 0) and others, where the peer and we gave 1 for 0.988 and 0.863.
#[test]
fn the_reported_scores() {
    let cases = [
        (-0.2, 0.0),
        (-0.11, 0.00111608070186),
        (-0.1, 0.0116384668843),
        (-0.05, 0.0849010498388),
        (-0.01, 0.234745514561),
        (0.0, 0.5),
        (0.01, 0.765254485439),
        (0.05, 0.915098950161),
        (0.1, 0.988361533116),
        (0.11, 0.998883919298),
        (0.2, 1.0),
    ];
    for (device, dtype, limit, _) in tiers() {
        for (x, expected) in cases {
            let z: Tensor<1> = tensor(&[x, 0.0], [2], dtype, &device.device);
            let p = values(entmax(z, 10.0, 0));
            let label = format!("{} {dtype:?} {x}", device.name);
            // |dp/dx| is up to 128 here: that times the rounding of x to f32.
            let limit = if dtype == DType::F64 { 1e-12 } else { limit };
            assert_close(&label, &p, &[expected, 1.0 - expected], 0.0, limit);
        }
        // Nor does the first weight fall along 201 scores from -0.2 to 0.2.
        let scores = (0..=200).flat_map(|i| [-0.2 + 0.002 * f64::from(i), 0.0]);
        let scores: Vec<f64> = scores.collect();
        let z: Tensor<2> = tensor(&scores, [201, 2], dtype, &device.device);
        let p = values(entmax(z, 10.0, 1));
        let first: Vec<f64> = p.iter().step_by(2).copied().collect();
        let label = format!("{} {dtype:?}: {first:?}", device.name);
        assert!(first.windows(2).all(|pair| pair[0] <= pair[1]), "{label}");
    }
}

/// A weight does not fall as its score rises, along 2,001 scores and within a row.
#[test]
fn weights_rise_with_scores() {
    for (device, dtype, ..) in tiers() {
        for alpha in [2.5, 4.0, 7.0, 10.0, 20.0] {
            let scores: Vec<f64> = (-1000..=1000)
                .flat_map(|i| [f64::from(i) * 5e-4, 0.0])
                .collect();
            let z: Tensor<2> = tensor(&scores, [2001, 2], dtype, &device.device);
            let p = values(entmax(z, alpha, 1));
            for pair in p.chunks(4).filter(|pair| pair.len() == 4) {
                let label = format!("{} {dtype:?} {alpha}: {pair:?}", device.name);
                assert!(pair[0] <= pair[2] && pair[1] >= pair[3], "{label}");
            }
            // Neighbours in a row differ by the last digit of a score near 1, or not at all.
            let n = 60;
            let row: Vec<f64> = (0..n).map(|i| 1.0 + f64::from(i / 2) * 1.2e-7).collect();
            let z: Tensor<1> = tensor(&row, [n as usize], dtype, &device.device);
            let p = values(entmax(z, alpha, 0));
            let label = format!("{} {dtype:?} {alpha}", device.name);
            assert!(p.windows(2).all(|p| p[0] <= p[1]), "{label}: {p:?}");
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{label}");
        }
    }
}

/// Rows of every α in one tensor, below and above 2: each is as if alone, to the bit below 2 where nothing may have
/// changed, and its gradients too.
#[test]
fn rows_of_every_alpha_together() {
    for (device, dtype, weight_limit, grad_limit) in tiers() {
        let n_of = |slow: bool| {
            if slow {
                vec![7, 70]
            } else {
                vec![1, 7, 40, 70, 700]
            }
        };
        for n in n_of(device.slow) {
            let alphas = [1.0, 1.5, 20.0, 0.7, 2.0, 3.0, 2.001, 10.0, 1.2];
            let rows = alphas.len();
            let scores: Vec<f64> = normal(rows * n, 71).iter().map(|z| 0.2 * z).collect();
            let upstream = normal(rows * n, 72);
            let run = |scores: &[f64], alphas: &[f64], upstream: &[f64]| {
                let device = device.device.clone().autodiff();
                let shape = [alphas.len(), n];
                let z = tensor(scores, shape, dtype, &device).require_grad();
                let a = tensor(alphas, [alphas.len(), 1], dtype, &device).require_grad();
                let p = entmax(z.clone(), a.clone(), 1);
                let g: Tensor<2> = tensor(upstream, shape, dtype, &device);
                let grads = (p.clone() * g).sum().backward();
                let read = |grad: Option<Tensor<2>>| values(grad.expect("a gradient"));
                (
                    values(p.inner()),
                    read(z.grad(&grads)),
                    read(a.grad(&grads)),
                )
            };
            let together = run(&scores, &alphas, &upstream);
            for (i, alpha) in alphas.iter().enumerate() {
                let of_row = |all: &[f64]| all[i * n..][..n].to_vec();
                let alone = run(&of_row(&scores), &[*alpha], &of_row(&upstream));
                let label = format!("{} {dtype:?} n {n} alpha {alpha}", device.name);
                assert_close(&label, &of_row(&together.0), &alone.0, 0.0, weight_limit);
                let (found, expected) = (of_row(&together.1), &alone.1);
                assert_close(&label, &found, expected, grad_limit, grad_limit);
                let (found, expected) = (&together.2[i..=i], &alone.2);
                assert_close(&label, found, expected, grad_limit, grad_limit);
            }
        }
    }
}

/// Fused attention of many queries and keys, some hidden, with heads of α below and above 2, against the definition in f64.
#[test]
fn fused_attention_equals_the_definition() {
    let [heads, queries, keys, d] = [3, 20, 150, 8];
    let heads_alpha = [4.0, 1.5, 10.0];
    let draw = |n: usize, seed| normal(heads * n * d, seed);
    let inputs = [draw(queries, 81), draw(keys, 82), draw(keys, 83)];
    let run = |dtype: DType, device: &Device, implementation| {
        let device = device.clone().autodiff();
        let of = |values: &[f64], n: usize| -> Tensor<4> {
            // Scores are the same in every type: multiples of 1/64 that no product rounds.
            let values: Vec<f64> = values.iter().map(|x| (4.0 * x).round() / 8.0).collect();
            tensor(&values, [1, heads, n, d], dtype, &device).require_grad()
        };
        let [q, k, v] = [
            of(&inputs[0], queries),
            of(&inputs[1], keys),
            of(&inputs[2], keys),
        ];
        let alpha: Tensor<1> = tensor(&heads_alpha, [heads], dtype, &device).require_grad();
        let options = AttentionOptions::new(Normalizer::Entmax(alpha.clone()))
            .causal()
            .scale(0.0625)
            .implementation(implementation);
        let context = sparse_attention(q.clone(), k.clone(), v.clone(), options).context;
        let g = tensor(&draw(queries, 84), [1, heads, queries, d], dtype, &device);
        let grads = (context.clone() * g).sum().backward();
        let read = |grad: Option<Tensor<4>>| values(grad.expect("a gradient"));
        [
            values(context.inner()),
            read(q.grad(&grads)),
            read(k.grad(&grads)),
            read(v.grad(&grads)),
            values(alpha.grad(&grads).expect("a gradient")),
        ]
    };
    let exact = run(DType::F64, &Device::flex(), Implementation::Reference);
    for (device, dtype, weight_limit, grad_limit) in tiers() {
        let found = run(dtype, &device.device, Implementation::Fused);
        let names = ["context", "query", "key", "value", "alpha"];
        for ((name, found), exact) in names.iter().zip(&found).zip(&exact) {
            // The smallest weights there are about 1e-2.
            let grad_limit = if device.has_f64 { grad_limit } else { 1e-3 };
            let limit = if *name == "context" {
                weight_limit
            } else {
                grad_limit
            };
            let label = format!("{} {dtype:?} {name}", device.name);
            assert_close(&label, found, exact, limit, 4.0 * limit);
        }
    }
}

/// The loss of a class is zero exactly where its weight is 1, and `(p − e)` is its gradient.
#[test]
fn losses_have_the_weights_as_gradients() {
    for (device, dtype, limit, _) in tiers() {
        let autodiff = device.device.clone().autodiff();
        let step = if device.slow { 5 } else { 1 };
        let rows = vectors().rows.into_iter().step_by(step);
        for row in rows.filter(|row| row.alpha >= 4.0) {
            let n = row.scores.len();
            let z: Tensor<2> = tensor(&row.scores, [1, n], dtype, &autodiff).require_grad();
            let target = Tensor::<1, burn::tensor::Int>::from_ints([n as i32 - 1], &autodiff);
            let loss = loss::entmax_loss(z.clone(), target, row.alpha);
            let grads = loss.clone().sum().backward();
            let mut expected = row.weights.clone();
            expected[n - 1] -= 1.0;
            let label = format!("{} {dtype:?} alpha {} n {n}", device.name, row.alpha);
            let found = values(z.grad(&grads).expect("a gradient"));
            assert_close(&label, &found, &expected, 0.0, limit);
            let alpha = row.alpha;
            let entropy: f64 = row.weights.iter().map(|p| p - p.powf(alpha)).sum();
            let margin: f64 = (row.weights.iter().zip(&row.scores))
                .map(|(p, z)| p * (z - row.scores[n - 1]))
                .sum();
            let expected = margin + entropy / (alpha * (alpha - 1.0));
            let limit = if dtype == DType::F64 { 1e-12 } else { 5e-6 };
            assert_close(&label, &values(loss.inner()), &[expected], 1e-6, limit);
        }
    }
}
