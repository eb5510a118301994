//! Adaptive span: published numbers worked by hand, both forms, gradients, and what is refused.

use burn::tensor::{DType, Device, Tensor};
use rstest::rstest;
use sparta_ops::attention::{
    AttentionError, AttentionOptions, Implementation, Normalizer, Packing, Span, sparse_attention,
    try_sparse_attention,
};
use sparta_ops::testing::{assert_close, devices, gradcheck, normal, tensor, values};

const QUERY: [f64; 8] = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, -1.0, 0.5];
const KEY: [f64; 8] = [0.5, 0.5, 1.0, -1.0, 0.0, 2.0, -0.5, 1.0];
const N_HEADS: usize = 2;
const WIDTH: usize = 3;

fn span(lengths: &[f64], ramp: f64, (device, dtype): (&Device, DType)) -> Span {
    Span {
        length: tensor(lengths, [lengths.len()], dtype, device),
        ramp,
    }
}

fn heads(seq: usize, seed: u64, (device, dtype): (&Device, DType)) -> Tensor<4> {
    let numbers = normal(2 * N_HEADS * seq * WIDTH, seed);
    tensor(&numbers, [2, N_HEADS, seq, WIDTH], dtype, device)
}

fn normalizer(name: &str, (device, dtype): (&Device, DType)) -> Normalizer {
    match name {
        "softmax" => Normalizer::Softmax,
        "sparsemax" => Normalizer::Sparsemax,
        "entmax15" => Normalizer::Entmax15,
        "alpha" => Normalizer::Entmax(tensor(&[1.2, 1.7], [N_HEADS], dtype, device)),
        "fusedmax" => Normalizer::Fusedmax { lambda: 0.05 },
        "oscarmax" => Normalizer::Oscarmax { lambda: 0.02 },
        other => panic!("no normaliser {other}"),
    }
}

#[test]
fn a_span_of_one_gives_the_published_weights() {
    let on = (&Device::flex(), DType::F64);
    let four = |numbers: &[f64]| tensor::<4>(numbers, [1, 1, 4, 2], on.1, on.0);
    let options = AttentionOptions::new(Normalizer::Softmax)
        .causal()
        .span(span(&[1.0], 2.0, on))
        .return_weights();
    let output = sparse_attention(four(&QUERY), four(&KEY), four(&KEY), options);
    let expected = [
        [1.0, 0.0, 0.0, 0.0],
        [0.742817, 0.257183, 0.0, 0.0],
        [0.165498, 0.163204, 0.671298, 0.0],
        [0.0, 0.040932, 0.479534, 0.479534],
    ];
    let found = values(output.weights.unwrap());
    assert_close("weights", &found, expected.as_flattened(), 0.0, 1e-6);
}

/// Of z = 0 and R = 32 the key itself has its whole weight, and 31 more have 31/32, 30/32, …
#[test]
fn the_factor_falls_over_the_ramp() {
    let on = (&Device::flex(), DType::F64);
    let found = values(span(&[0.0], 32.0, on).factors([1, 40]));
    let expected: Vec<f64> = (0..40)
        .rev()
        .map(|x| (1.0 - f64::from(x) / 32.0).max(0.0))
        .collect();
    assert_close("factors", &found, &expected, 0.0, 1e-12);
    assert_eq!(found.iter().filter(|m| **m > 0.0).count(), 32);
}

/// Half types hold no position above 256 or 2,048: distances are not theirs, and factors are rounded once.
#[rstest]
#[case(DType::BF16, 4e-3)]
#[case(DType::F16, 5e-4)]
fn distances_are_not_rounded_to_half_types(#[case] dtype: DType, #[case] limit: f64) {
    let device = Device::flex();
    let (sizes, lengths, ramp) = ([3, 3001], [40.0, 1000.0], 8.0);
    let exact = values(span(&lengths, ramp, (&device, DType::F64)).factors(sizes));
    let found = span(&lengths, ramp, (&device, dtype)).factors(sizes);
    assert_eq!(found.dtype(), dtype);
    assert_close("factors", &values(found), &exact, limit, 0.0);

    // Tied scores: the weights are the factors, divided by their sum, by either form.
    for name in ["softmax", "sparsemax"] {
        let of = |rows: usize, dtype| Tensor::<4>::zeros([1, 2, rows, 1], (&device, dtype));
        let weights = |dtype| {
            let options = AttentionOptions::new(normalizer(name, (&device, dtype)))
                .span(span(&lengths, ramp, (&device, dtype)))
                .return_weights();
            let key = of(3001, dtype);
            let output = sparse_attention(of(3, dtype), key.clone(), key, options);
            values(output.weights.unwrap())
        };
        assert_close(
            name,
            &weights(dtype),
            &weights(DType::F64),
            10.0 * limit,
            0.0,
        );
    }
}

/// On every device: a span that reaches every key changes nothing, and softmax's definition, which adds log m to
/// the scores, is the weights times m, divided by their sum.
#[rstest]
fn both_forms_are_one_and_a_long_span_is_none(
    #[values("softmax", "sparsemax", "entmax15", "alpha", "fusedmax", "oscarmax")] name: &str,
    #[values((6, 6, true), (6, 6, false), (3, 9, true))] (seq_q, seq_kv, causal): (
        usize,
        usize,
        bool,
    ),
) {
    for device in devices() {
        if device.slow && (name == "sparsemax" || seq_q == 3) {
            continue; // the quick tier
        }
        let on = (&device.device, DType::F32);
        let [query, key, value] =
            [(seq_q, 1), (seq_kv, 2), (seq_kv, 3)].map(|(n, s)| heads(n, s, on));
        let attend = |span: Option<Span>| {
            let options = AttentionOptions {
                causal,
                span,
                return_weights: true,
                ..AttentionOptions::new(normalizer(name, on))
            };
            let output = sparse_attention(query.clone(), key.clone(), value.clone(), options);
            (output.weights.unwrap(), values(output.context))
        };
        let (plain, context) = attend(None);
        let (found, same) = attend(Some(span(&[seq_kv as f64; N_HEADS], 2.0, on)));
        let label = format!("{name} on {}", device.name);
        assert_close(&label, &values(found), &values(plain.clone()), 0.0, 1e-6);
        assert_close(&label, &same, &context, 0.0, 1e-6);

        let short = span(&[0.4, 2.3], 2.5, on);
        let left = plain * short.factors([seq_q, seq_kv]);
        let expected = left.clone() / left.clone().sum_dim(3).add_scalar(1e-8);
        let (found, context) = attend(Some(short));
        let label = format!("{label}, short");
        assert_close(&label, &values(found.clone()), &values(expected), 0.0, 2e-6);
        let expected = values(found.matmul(value));
        assert_close(&label, &context, &expected, 0.0, 1e-5);
    }
}

#[rstest]
fn gradients_are_the_slopes(
    #[values("softmax", "sparsemax", "entmax15", "alpha", "fusedmax", "oscarmax")] name: &str,
    #[values(true, false)] causal: bool,
) {
    let (seq_q, seq_kv) = (4, 6);
    let input = |seq, seed| {
        let numbers = normal(N_HEADS * seq * WIDTH, seed);
        (numbers, [1, N_HEADS, seq, WIDTH])
    };
    let inputs = [
        input(seq_q, 1),
        input(seq_kv, 2),
        input(seq_kv, 3),
        (vec![0.37, 1.81], [1, N_HEADS, 1, 1]),
    ];
    let weights = normal(N_HEADS * seq_q * WIDTH, 4);
    let gradients = gradcheck(name, &inputs, |at| {
        let device = at[0].device();
        let options = AttentionOptions {
            causal,
            ..AttentionOptions::new(normalizer(name, (&device, DType::F64)))
        };
        let options = options.span(Span {
            length: at[3].clone().reshape([N_HEADS]),
            ramp: 2.3,
        });
        let output = sparse_attention(at[0].clone(), at[1].clone(), at[2].clone(), options);
        let shape = [1, N_HEADS, seq_q, WIDTH];
        (output.context * tensor(&weights, shape, DType::F64, &device)).sum()
    });
    assert!(
        gradients[3].iter().all(|slope| *slope != 0.0),
        "{gradients:?}"
    );
}

/// A row whose only weight is beyond the span gives zeros, and gets no gradient.
#[test]
fn a_row_that_reads_nothing_within_its_span_gives_zeros() {
    for device in devices() {
        let device = device.device.autodiff();
        let on = (&device, DType::F32);
        // The one query is at the last of five keys, and all its weight at the first.
        let rows = |rows: &[[f64; 2]]| {
            let n = rows.len();
            tensor::<4>(rows.as_flattened(), [1, 1, n, 2], DType::F32, &device).require_grad()
        };
        let query = rows(&[[9.0, 0.0]]);
        let key = rows(&[[9.0, 0.0], [0.0; 2], [0.0; 2], [0.0; 2], [0.0; 2]]);
        let value = rows(&[[1.0, 2.0]; 5]);
        let length = span(&[1.5], 2.0, on).length.require_grad();
        let options = AttentionOptions::new(Normalizer::Sparsemax).span(Span {
            length: length.clone(),
            ramp: 2.0,
        });
        let context = sparse_attention(query.clone(), key.clone(), value.clone(), options).context;
        assert_eq!(values(context.clone()), [0.0; 2]);
        let gradients = context.sum().backward();
        for tensor in [&query, &key, &value] {
            let gradient = values(tensor.grad(&gradients).unwrap());
            assert!(gradient.iter().all(|g| *g == 0.0), "{gradient:?}");
        }
        assert_eq!(values(length.grad(&gradients).unwrap()), [0.0]);
    }
}

#[test]
fn what_a_span_cannot_be_is_said() {
    let on = (&Device::flex(), DType::F32);
    let attend = |options: AttentionOptions| {
        let [query, key, value] = [1, 2, 3].map(|seed| heads(4, seed, on));
        try_sparse_attention(query, key, value, options).unwrap_err()
    };
    let softmax = || AttentionOptions::new(Normalizer::Softmax);
    let error = attend(softmax().span(span(&[1.0; 3], 2.0, on)));
    assert!(
        error.to_string().contains("span.length has shape [3]"),
        "{error}"
    );
    for ramp in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = attend(softmax().span(span(&[1.0; N_HEADS], ramp, on)));
        assert!(matches!(error, AttentionError::Ramp(_)), "{error}");
    }
    let entmax = AttentionOptions::new(Normalizer::Entmax15)
        .span(span(&[1.0; N_HEADS], 2.0, on))
        .implementation(Implementation::Fused);
    let error = attend(entmax);
    assert!(
        error
            .to_string()
            .contains("a span of a row normaliser other than softmax"),
        "{error}"
    );
    let query = tensor::<4>(&normal(12, 1), [1, 1, 4, 3], on.1, on.0);
    let packed = softmax()
        .packing(Packing::new(&[2, 2], &[2, 2]).unwrap())
        .span(span(&[1.0], 2.0, on));
    let error = try_sparse_attention(query.clone(), query.clone(), query, packed).unwrap_err();
    assert_eq!(error, AttentionError::PackedSpan);
}
