//! Linear attention and its features: published forms worked by hand, the loop against chunks, parts against
//! the whole, gradients, padding, and draws.

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use sparta_ops::attention::linear::features::{
    gaussian, orthogonal_gaussian, positive_exponents, relu_features, trigonometric_features,
};
use sparta_ops::attention::linear::{LinearOptions, LinearOutput, LinearState, linear_attention};
use sparta_ops::attention::{AttentionError, Implementation};
use sparta_ops::testing::{assert_close, devices, gradcheck, normal, tensor, values};

const QUERY: [f64; 8] = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, -1.0, 0.5];
const KEY: [f64; 8] = [0.5, 0.5, 1.0, -1.0, 0.0, 2.0, -0.5, 1.0];
const VALUE: [f64; 8] = [1.0, 0.0, 0.0, 1.0, 2.0, -1.0, 0.5, 0.5];
const PROJECTION: [f64; 6] = [1.0, 0.0, 0.0, 1.0, -1.0, 1.0];

fn flex(numbers: &[f64], shape: [usize; 4]) -> Tensor<4> {
    tensor(numbers, shape, DType::F64, &Device::flex())
}

fn of_four(numbers: &[f64]) -> Tensor<4> {
    flex(numbers, [1, 1, 4, 2])
}

fn projection() -> Tensor<3> {
    tensor(&PROJECTION, [1, 3, 2], DType::F64, &Device::flex())
}

/// The first component of each row; the second is what is missing to 1.
fn first(output: LinearOutput) -> Vec<f64> {
    let all = values(output.context);
    for row in all.chunks(2) {
        assert!((row[0] + row[1] - 1.0).abs() < 1e-9, "{row:?}");
    }
    all.chunks(2).map(|row| row[0]).collect()
}

fn attend(phi: [Tensor<4>; 2], options: LinearOptions) -> Vec<f64> {
    let [query, key] = phi;
    first(linear_attention(query, key, of_four(&VALUE), options).unwrap())
}

/// The features of the public code: exponents less the largest projection, of each query and of all keys, and a
/// constant that is added.
fn public_features(x: Tensor<4>, of_keys: bool) -> Tensor<4> {
    let scale = 0.5f64.sqrt();
    let half_square = x.clone().square().sum_dim(3).mul_scalar(0.5 * scale);
    let exponents = positive_exponents(x, projection(), scale);
    let projected = exponents.clone() + half_square;
    let top = projected.max_dim(3);
    let top = match of_keys {
        true => top.max_dim(2),
        false => top,
    };
    (exponents - top)
        .exp()
        .add_scalar(1e-4)
        .div_scalar(3f64.sqrt())
}

#[test]
fn favor_gives_the_numbers_of_the_public_code() {
    let phi = || {
        [
            public_features(of_four(&QUERY), false),
            public_features(of_four(&KEY), true),
        ]
    };
    let found = attend(phi(), LinearOptions::default());
    let expected = [0.836202, 0.995013, 0.921876, 1.014064];
    assert_close("all", &found, &expected, 0.0, 1e-6);
    let found = attend(phi(), LinearOptions::default().causal());
    let expected = [1.0, 0.769413, 1.111776, 1.014064];
    assert_close("causal", &found, &expected, 0.0, 1e-6);
    let relu = |x: &[f64]| relu_features(of_four(x), projection(), 0.5f64.sqrt(), 1e-3);
    let found = attend([relu(&QUERY), relu(&KEY)], LinearOptions::default());
    let expected = [0.340862, 1.391885, 1.099786, 1.374078];
    assert_close("relu", &found, &expected, 0.0, 1e-6);
}

#[test]
fn random_features_of_the_gaussian_kernel_give_their_numbers_with_and_without_a_gate() {
    let phi = |x: &[f64]| {
        let x = of_four(x);
        let length = x.clone().square().sum_dim(3).sqrt();
        trigonometric_features(x / length, projection())
    };
    let found = attend([phi(&QUERY), phi(&KEY)], LinearOptions::default());
    let expected = [0.644280, 1.213630, 1.016981, 1.269224];
    assert_close("all", &found, &expected, 0.0, 1e-6);
    let found = attend([phi(&QUERY), phi(&KEY)], LinearOptions::default().causal());
    let expected = [1.0, 1.057396, 1.144002, 1.269224];
    assert_close("causal", &found, &expected, 0.0, 1e-6);
    let gate = tensor(
        &[0.5, 0.9, 0.2, 0.7],
        [1, 1, 4],
        DType::F64,
        &Device::flex(),
    );
    let adding = gate.clone().mul_scalar(-1.0).add_scalar(1.0);
    let key = phi(&KEY) * adding.unsqueeze_dim(3);
    for implementation in [Implementation::Reference, Implementation::Fused] {
        let options = LinearOptions::default()
            .causal()
            .log_gate(gate.clone().log())
            .implementation(implementation);
        let found = attend([phi(&QUERY), key.clone()], options);
        let expected = [1.0, 1.012210, 1.846631, 1.416583];
        assert_close("gated", &found, &expected, 0.0, 1e-6);
    }
}

const BATCH: usize = 2;
const N_HEADS: usize = 2;
const FEATURES: usize = 5;
const WIDTH: usize = 3;

/// A request with everything in it.
struct Case {
    phi_query: Tensor<4>,
    phi_key: Tensor<4>,
    value: Tensor<4>,
    options: LinearOptions,
}

impl Case {
    /// Positive features, so that denominators are not near 0.
    fn new([seq_q, seq_kv]: [usize; 2], is_gated: bool, (device, dtype): (&Device, DType)) -> Self {
        let rows = |n, width, seed| {
            let numbers = normal(BATCH * N_HEADS * n * width, seed);
            tensor::<4>(&numbers, [BATCH, N_HEADS, n, width], dtype, device)
        };
        let phi = |n, seed| rows(n, FEATURES, seed).abs().add_scalar(0.05);
        // Padding on the left of one example and on the right of the other.
        let hidden = |cell: usize| match cell / seq_kv {
            0 => cell % seq_kv < 2,
            _ => cell % seq_kv + 1 >= seq_kv,
        };
        let hidden: Vec<bool> = (0..BATCH * seq_kv).map(hidden).collect();
        let hidden = TensorData::new(hidden, [BATCH, seq_kv]);
        let state = LinearState {
            sums: rows(FEATURES, WIDTH, 4),
            normalizer: phi(1, 5).reshape([BATCH, N_HEADS, FEATURES]),
        };
        let options = LinearOptions::default()
            .causal()
            .state(state)
            .key_padding(Tensor::<2, Bool>::from_data(hidden, device));
        let gate = || {
            let gate = rows(seq_kv, 1, 6).abs().mul_scalar(-0.7);
            gate.reshape([BATCH, N_HEADS, seq_kv])
        };
        Self {
            phi_query: phi(seq_q, 1),
            phi_key: phi(seq_kv, 2),
            value: rows(seq_kv, WIDTH, 3),
            options: match is_gated {
                true => options.log_gate(gate()),
                false => options,
            },
        }
    }

    fn run(&self, change: impl FnOnce(LinearOptions) -> LinearOptions) -> LinearOutput {
        let options = change(self.options.clone());
        let [query, key, value] = [&self.phi_query, &self.phi_key, &self.value].map(Clone::clone);
        linear_attention(query, key, value, options).unwrap()
    }
}

/// Context and state, as numbers.
fn all(output: LinearOutput) -> Vec<f64> {
    let LinearState { sums, normalizer } = output.state;
    [values(output.context), values(sums), values(normalizer)].concat()
}

#[test]
fn chunks_of_any_size_give_what_the_loop_gives_on_every_backend() {
    for device in devices() {
        let dtype = match device.has_f64 {
            true => DType::F64,
            false => DType::F32,
        };
        let limit = if device.has_f64 { 1e-12 } else { 2e-5 };
        // 150 chunks of one key are more than one product of states takes.
        for lengths in [[11, 11], [4, 11], [11, 4], [1, 11], [150, 150]] {
            for is_gated in [false, true] {
                let case = Case::new(lengths, is_gated, (&device.device, dtype));
                let loops = all(case.run(|o| o.implementation(Implementation::Reference)));
                if lengths == [1, 11] {
                    // One query behind all keys sees what it would see without a mask.
                    let whole = all(case.run(|o| LinearOptions { causal: false, ..o }));
                    assert_close(device.name, &whole, &loops, limit, limit);
                }
                for chunk in [1, 3, 11, 64] {
                    let label = format!("{} {lengths:?} {is_gated} {chunk}", device.name);
                    let chunks = case.run(|o| o.chunk(chunk));
                    assert_eq!(chunks.implementation, Implementation::Fused);
                    assert_close(&label, &all(chunks), &loops, limit, limit);
                }
            }
        }
    }
}

/// The keys of a call, one after the other, with the state handed on.
#[test]
fn a_state_goes_on_token_by_token_and_row_by_row() {
    let (device, n) = (Device::flex(), 9);
    for is_gated in [false, true] {
        let mut case = Case::new([n, n], is_gated, (&device, DType::F64));
        let whole = case.run(|o| o);
        let mut rows = Vec::new();
        let mut state = case.options.state.take();
        for i in 0..n {
            let part = |t: &Tensor<4>| t.clone().slice([0..BATCH, 0..N_HEADS, i..i + 1]);
            let gate = case.options.log_gate.clone();
            let options = LinearOptions {
                state,
                log_gate: gate.map(|gate| gate.slice([0..BATCH, 0..N_HEADS, i..i + 1])),
                key_padding: (case.options.key_padding.clone())
                    .map(|padding| padding.slice([0..BATCH, i..i + 1])),
                ..LinearOptions::default().causal()
            };
            let [query, key, value] = [&case.phi_query, &case.phi_key, &case.value].map(part);
            let one = linear_attention(query, key, value, options).unwrap();
            rows.push(one.context);
            state = Some(one.state);
        }
        let label = format!("gated {is_gated}");
        let found = values(Tensor::cat(rows, 2));
        assert_close(&label, &found, &values(whole.context), 1e-12, 1e-12);

        // A beam takes the rows of the batch in another order, one of them twice.
        let order = Tensor::<1, Int>::from_ints([1, 1, 0], &device);
        let state = state.unwrap();
        let taken = state.clone().select(order.clone());
        let read = |state, query| {
            let none = |width| Tensor::<4>::zeros([3, N_HEADS, 1, width], (&device, DType::F64));
            let options = LinearOptions::default().causal().state(state);
            values(
                linear_attention(query, none(FEATURES), none(WIDTH), options)
                    .unwrap()
                    .context,
            )
        };
        let query = case.phi_query.slice([0..BATCH, 0..N_HEADS, 0..1]);
        let found = read(taken, query.clone().select(0, order));
        let chosen = |i: usize| {
            let context = |row: usize| {
                let one = |t: Tensor<4>| t.narrow(0, row, 1);
                let sums = one(state.sums.clone());
                let z: Tensor<3> = state.normalizer.clone().narrow(0, row, 1);
                let phi = one(query.clone());
                let above = phi.clone().matmul(sums);
                above / phi.matmul(z.unsqueeze_dim(3))
            };
            values(context(i))
        };
        let expected = [chosen(1), chosen(1), chosen(0)].concat();
        assert_close(&label, &found, &expected, 1e-12, 1e-12);
    }
}

#[test]
fn gradients_are_the_differences_of_every_input() {
    let n = 7;
    let size = BATCH * N_HEADS * n;
    let positive = |n: usize, seed| normal(n, seed).iter().map(|x| x.abs() + 0.1).collect();
    let weights = normal(size * WIDTH, 9);
    for (chunk, implementation) in [
        (3, Implementation::Fused),
        (64, Implementation::Fused),
        (64, Implementation::Reference),
    ] {
        let inputs = [
            (positive(size * FEATURES, 1), [BATCH, N_HEADS, n, FEATURES]),
            (positive(size * FEATURES, 2), [BATCH, N_HEADS, n, FEATURES]),
            (normal(size * WIDTH, 3), [BATCH, N_HEADS, n, WIDTH]),
            (positive(size, 4), [BATCH, N_HEADS, n, 1]),
            (
                normal(BATCH * N_HEADS * FEATURES * WIDTH, 5),
                [BATCH, N_HEADS, FEATURES, WIDTH],
            ),
            (
                positive(BATCH * N_HEADS * FEATURES, 6),
                [BATCH, N_HEADS, FEATURES, 1],
            ),
        ];
        let found = gradcheck(&format!("chunk {chunk}"), &inputs, |of| {
            let [query, key, value, gate, sums, normalizer] = of else {
                panic!("six inputs");
            };
            let state = LinearState {
                sums: sums.clone(),
                normalizer: normalizer.clone().reshape([BATCH, N_HEADS, FEATURES]),
            };
            let options = LinearOptions::default()
                .causal()
                .log_gate(gate.clone().neg().reshape([BATCH, N_HEADS, n]))
                .state(state)
                .chunk(chunk)
                .implementation(implementation);
            let [query, key, value] = [query, key, value].map(Clone::clone);
            let output = linear_attention(query, key, value, options).unwrap();
            let weights = tensor::<4>(
                &weights,
                [BATCH, N_HEADS, n, WIDTH],
                DType::F64,
                &output.context.device(),
            );
            (output.context * weights).sum()
        });
        for gradient in found {
            assert!(gradient.iter().any(|g| g.abs() > 1e-3), "{chunk}");
        }
    }
}

/// Of chunks in several groups, which the state goes through.
#[test]
fn gradients_through_many_chunks_are_those_of_the_loop() {
    let device = Device::flex().autodiff();
    for is_gated in [false, true] {
        let gradients = |implementation| -> Vec<Vec<f64>> {
            let mut case = Case::new([150, 150], is_gated, (&device, DType::F64));
            let inputs = [&case.phi_query, &case.phi_key, &case.value];
            let [query, key, value] = inputs.map(|input| input.clone().require_grad());
            let gate = (case.options.log_gate.take()).map(Tensor::require_grad);
            let state = (case.options.state.take()).expect("a state");
            let [sums, normalizer] = [
                state.sums.require_grad(),
                state.normalizer.unsqueeze_dim(3).require_grad(),
            ];
            let options = LinearOptions {
                log_gate: gate.clone(),
                state: Some(LinearState {
                    sums: sums.clone(),
                    normalizer: normalizer.clone().squeeze_dim(3),
                }),
                ..case.options
            };
            let options = options.chunk(1).implementation(implementation);
            let leaves = [query.clone(), key.clone(), value.clone(), sums, normalizer];
            let output = linear_attention(query, key, value, options).unwrap();
            let weights = tensor::<4>(
                &normal(BATCH * N_HEADS * 150 * WIDTH, 9),
                [BATCH, N_HEADS, 150, WIDTH],
                DType::F64,
                &device,
            );
            let loss = (output.context * weights).sum() + output.state.sums.sum().mul_scalar(0.1);
            let gradients = loss.backward();
            let of_gate = gate.map(|gate| values(gate.grad(&gradients).expect("the gate's")));
            let of_leaves = leaves.map(|leaf| values(leaf.grad(&gradients).expect("a gradient")));
            of_leaves.into_iter().chain(of_gate).collect()
        };
        let loops = gradients(Implementation::Reference);
        let chunks = gradients(Implementation::Fused);
        for (i, (found, expected)) in chunks.iter().zip(&loops).enumerate() {
            assert!(expected.iter().any(|g| g.abs() > 1e-3), "{i}");
            assert_close(
                &format!("gated {is_gated}, input {i}"),
                found,
                expected,
                1e-11,
                1e-11,
            );
        }
    }
}

/// A denominator below the floor takes it, be it negative, and has no gradient there.
#[test]
fn denominators_below_the_floor_take_it() {
    let device = Device::flex().autodiff();
    let row = |numbers: &[f64]| {
        let shape = [1, 1, numbers.len(), 1];
        tensor::<4>(numbers, shape, DType::F64, &device)
    };
    let query = row(&[1e-9, -1e-9, 2.0, 0.0, -0.5]).require_grad();
    let options = LinearOptions::default();
    let output = linear_attention(query.clone(), row(&[1.0]), row(&[3.0]), options).unwrap();
    let expected = [3e-3, -3e-3, 3.0, 0.0, -1.5e6];
    let context = output.context;
    assert_close("context", &values(context.clone()), &expected, 1e-12, 1e-15);
    let gradients = context.sum().backward();
    let found = values(query.grad(&gradients).unwrap());
    // Of 3q/floor, but for the third, 3q/q.
    assert_close("gradient", &found, &[3e6, 3e6, 0.0, 3e6, 3e6], 1e-12, 1e-9);
}

#[test]
fn a_query_without_a_key_gives_zeros_and_gets_no_gradient() {
    let device = Device::flex().autodiff();
    let all = |seed| {
        let numbers: Vec<f64> = normal(2 * 3 * 4, seed).iter().map(|x| x.abs()).collect();
        tensor::<4>(&numbers, [2, 1, 3, 4], DType::F32, &device).require_grad()
    };
    let padding = TensorData::new([[false, false, true], [true, true, true]].concat(), [2, 3]);
    let padding = Tensor::<2, Bool>::from_data(padding, &device);
    for causal in [false, true] {
        let inputs = [all(1), all(2), all(3)];
        let [query, key, value] = inputs.clone();
        let mut options = LinearOptions::default().key_padding(padding.clone());
        options.causal = causal;
        let output = linear_attention(query, key, value, options).unwrap();
        let found = values(output.context.clone());
        assert!(found[..12].iter().all(|x| *x > 0.0) && found[12..].iter().all(|x| *x == 0.0));
        let gradients = output.context.square().sum().backward();
        for input in &inputs {
            let gradient = values(input.grad(&gradients).unwrap());
            assert!(gradient.iter().all(|g| g.is_finite()));
            assert!(gradient[12..].iter().all(|g| *g == 0.0), "{gradient:?}");
        }
    }
}

/// Without keys the state stays, and queries read it; without queries the keys go into it.
#[test]
fn no_keys_and_no_queries_on_every_backend() {
    for device in devices() {
        let of = |n: usize, seed| {
            let numbers: Vec<f64> = normal(2 * n * 4, seed).iter().map(|x| x.abs()).collect();
            tensor::<4>(&numbers, [1, 2, n, 4], DType::F32, &device.device)
        };
        let gate = |n: usize| {
            let numbers: Vec<f64> = normal(2 * n, 9).iter().map(|x| -x.abs()).collect();
            tensor::<3>(&numbers, [1, 2, n], DType::F32, &device.device)
        };
        let run = |[seq_q, seq_kv]: [usize; 2], state, causal, gated: bool, implementation| {
            let options = LinearOptions {
                causal,
                state,
                log_gate: gated.then(|| gate(seq_kv)),
                implementation,
                ..LinearOptions::default()
            };
            linear_attention(of(seq_q, 1), of(seq_kv, 2), of(seq_kv, 3), options).unwrap()
        };
        for causal in [false, true] {
            for gated in [false, true] {
                for by in [Implementation::Reference, Implementation::Auto] {
                    let label = format!("{} {causal} {gated} {by:?}", device.name);
                    let full = run([3, 3], None, causal, gated, by);
                    let unread = run([0, 3], None, causal, gated, by);
                    assert_eq!(unread.context.dims(), [1, 2, 0, 4], "{label}");
                    let sums = values(full.state.sums.clone());
                    assert_close(&label, &values(unread.state.sums), &sums, 1e-6, 1e-6);
                    let read = run([3, 0], Some(full.state.clone()), causal, gated, by);
                    assert_eq!(values(read.state.sums), sums, "{label}");
                    // Causal queries that stand after the last key read what all read without a mask.
                    let all = run([3, 3], None, false, gated, by);
                    assert_close(
                        &label,
                        &values(read.context),
                        &values(all.context),
                        1e-5,
                        1e-6,
                    );
                    let none = run([0, 0], Some(full.state), causal, gated, by);
                    assert_eq!(values(none.state.sums), sums, "{label}");
                }
            }
        }
    }
}

#[test]
fn half_types_are_summed_in_f32() {
    let device = Device::flex();
    let case = |dtype| {
        let ones = tensor::<4>(&vec![1.0; 4096], [1, 1, 4096, 1], dtype, &device);
        let output = linear_attention(ones.clone(), ones.clone(), ones, LinearOptions::default());
        output.unwrap()
    };
    let output = case(DType::F16);
    assert_eq!(output.context.dtype(), DType::F16);
    // 4096 ones in f16 stop at 2048.
    assert_eq!(values(output.state.normalizer), [4096.0]);
}

#[test]
fn what_does_not_fit_is_named() {
    let device = Device::flex();
    let case = Case::new([4, 6], false, (&device, DType::F32));
    let error = |change: &dyn Fn(&mut LinearOptions)| {
        let mut options = LinearOptions::default();
        change(&mut options);
        let [query, key, value] = [&case.phi_query, &case.phi_key, &case.value].map(Clone::clone);
        linear_attention(query, key, value, options).unwrap_err()
    };
    assert_eq!(error(&|o| o.chunk = 0), AttentionError::NoChunk);
    let found = error(&|o| o.key_padding = Some(Tensor::<2, Bool>::tril_mask([2, 5], 0, &device)));
    assert!(found.to_string().contains("key_padding"), "{found}");
    let short = Tensor::<3>::zeros([BATCH, N_HEADS, 5], &device);
    let found = error(&|o| o.log_gate = Some(short.clone()));
    assert!(found.to_string().contains("log_gate"), "{found}");
}

#[test]
fn rows_of_a_block_are_orthogonal_and_as_long_as_gaussian_ones() {
    let (m, d) = (13, 5);
    let rows = orthogonal_gaussian(m, d, 3);
    assert_eq!(rows.len(), m * d);
    let row = |i: usize| &rows[i * d..(i + 1) * d];
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for i in 0..m {
        for j in (0..m).filter(|&j| j / d == i / d && j != i) {
            assert!(dot(row(i), row(j)).abs() < 1e-12, "{i} {j}");
        }
    }
    // Rows of other blocks are of other draws, and the lengths are those of N(0, I).
    assert!(dot(row(0), row(d)).abs() > 1e-3);
    assert_ne!(orthogonal_gaussian(m, d, 4), rows);
    assert_eq!(orthogonal_gaussian(m, d, 3), rows);
    let many = orthogonal_gaussian(4000, d, 1);
    let squares: Vec<f64> = many.chunks(d).map(|row| dot(row, row)).collect();
    let mean = squares.iter().sum::<f64>() / 4000.0;
    let spread = squares.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 4000.0;
    // χ² of 5 degrees: mean 5, variance 10.
    assert!(
        (mean - 5.0).abs() < 0.2 && (spread - 10.0).abs() < 1.5,
        "{mean} {spread}"
    );
}

/// The mean over draws is the kernel; three of a thousand such tests would miss it by this much by chance.
#[test]
fn features_have_the_kernel_as_their_mean() {
    let (d, m, n_draws) = (4, 8, 2000u64);
    // Short vectors: of long ones the estimates have a heavy tail, and a mean of 2000 says little.
    let x: Vec<f64> = normal(2 * d, 8).iter().map(|x| 0.6 * x).collect();
    let [query, key] = [&x[..d], &x[d..]].map(|x| flex(x, [1, 1, 1, d]));
    let scale = (d as f64).powf(-0.5);
    let mean_is = |kernel: f64,
                   phi: &dyn Fn(Tensor<4>, Tensor<3>) -> Tensor<4>,
                   rows: &dyn Fn(u64) -> Vec<f64>| {
        let estimates: Vec<f64> = (0..n_draws)
            .map(|seed| {
                let rows = rows(seed);
                let w = tensor::<3>(&rows, [1, m, d], DType::F64, &Device::flex());
                let product = phi(query.clone(), w.clone()) * phi(key.clone(), w);
                values(product.sum())[0]
            })
            .collect();
        let n = n_draws as f64;
        let mean = estimates.iter().sum::<f64>() / n;
        let variance = estimates.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let error = (variance / n).sqrt();
        println!("kernel {kernel:.4}, mean {mean:.4} ± {error:.4}");
        assert!(
            (mean - kernel).abs() < 3.0 * error,
            "{kernel} {mean} {error}"
        );
        variance
    };
    let dot: f64 = x[..d].iter().zip(&x[d..]).map(|(q, k)| q * k).sum();
    let apart: f64 = x[..d]
        .iter()
        .zip(&x[d..])
        .map(|(q, k)| (q - k).powi(2))
        .sum();
    let positive = |x, w| {
        positive_exponents(x, w, scale)
            .exp()
            .div_scalar((m as f64).sqrt())
    };
    let orthogonal = |seed| orthogonal_gaussian(m, d, seed);
    let independent = |seed| gaussian(m * d, seed);
    let softmax = (scale * dot).exp();
    let less = mean_is(softmax, &positive, &orthogonal);
    let more = mean_is(softmax, &positive, &independent);
    assert!(
        less < more,
        "orthogonal rows: variance {less}, independent ones: {more}"
    );
    mean_is((-0.5 * apart).exp(), &trigonometric_features, &independent);
}

/// Of queries and keys, of the random rows (what a learned bandwidth multiplies), in f64.
#[test]
fn features_have_the_gradients_of_their_formulas() {
    type Map = fn(Tensor<4>, Tensor<3>) -> Tensor<4>;
    let maps: [(&str, Map); 3] = [
        ("positive", |x, w| positive_exponents(x, w, 0.7).exp()),
        ("relu", |x, w| relu_features(x, w, 0.7, 1e-3)),
        ("trigonometric", trigonometric_features),
    ];
    for (name, map) in maps {
        let inputs = [
            (normal(2 * 2 * 3 * 4, 1), [2, 2, 3, 4]),
            (normal(2 * 5 * 4, 2), [1, 2, 5, 4]),
        ];
        let found = gradcheck(name, &inputs, |of| {
            let [x, w] = of else { panic!("two inputs") };
            let phi = map(x.clone(), w.clone().reshape([2, 5, 4]));
            let n = phi.dims().iter().product();
            let weights = tensor::<4>(&normal(n, 3), phi.dims(), DType::F64, &phi.device());
            (phi * weights).sum()
        });
        assert!(
            found.iter().all(|of| of.iter().any(|g| g.abs() > 1e-2)),
            "{name}"
        );
    }
}
