//! Nyström attention: the published formula by hand, the pseudo-inverse, padding around the number of landmarks,
//! batches, the convolution, gradients, and what is refused.

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use sparta_ops::attention::nystrom::{
    NystromSettings, nystrom_attention, nystrom_residual, pseudo_inverse,
};
use sparta_ops::attention::{AttentionError, AttentionOptions, Normalizer, sparse_attention};
use sparta_ops::softmax;
use sparta_ops::testing::{assert_close, devices, gradcheck, normal, tensor, values};

use super::linformer::{KEY, QUERY, VALUE};

const N_HEADS: usize = 2;
const D: usize = 3;
const WIDTH: usize = 2;

fn rows(batch: usize, n: usize, width: usize, seed: u64, on: (&Device, DType)) -> Tensor<4> {
    let numbers = normal(batch * N_HEADS * n * width, seed);
    tensor(&numbers, [batch, N_HEADS, n, width], on.1, on.0)
}

fn inputs(batch: usize, n: usize, on: (&Device, DType)) -> [Tensor<4>; 3] {
    [
        rows(batch, n, D, 1, on),
        rows(batch, n, D, 2, on),
        rows(batch, n, WIDTH, 3, on),
    ]
}

fn landmarks(landmarks: usize) -> NystromSettings {
    NystromSettings {
        landmarks,
        iterations: 6,
        convolution: None,
    }
}

fn kernel(length: usize, on: (&Device, DType)) -> Tensor<2> {
    tensor(&normal(N_HEADS * length, 6), [N_HEADS, length], on.1, on.0)
}

fn attend(
    [query, key, value]: [Tensor<4>; 3],
    settings: NystromSettings,
    options: AttentionOptions,
) -> Tensor<4> {
    nystrom_attention(query, key, value, settings, options)
        .unwrap()
        .context
}

#[test]
fn two_landmarks_give_the_published_formula() {
    let of_four = |numbers: &[f64]| tensor(numbers, [1, 1, 4, 2], DType::F64, &Device::flex());
    let at = [&QUERY, &KEY, &VALUE].map(|numbers| of_four(numbers));
    let found = values(attend(at, landmarks(2), AttentionOptions::default()));
    let first: Vec<f64> = found.iter().step_by(2).copied().collect();
    let expected = [0.846080, 1.280901, 1.138635, 1.295593];
    assert_close("first components", &first, &expected, 0.0, 1e-6);
}

/// With a landmark for each position A is all of attention, and A Z (A V) with a Z that has converged is A V.
#[test]
fn a_converged_pseudo_inverse_gives_softmax_attention() {
    let on = (&Device::flex(), DType::F64);
    let n = 8;
    let [query, key, value] = inputs(2, n, on);
    let scale = (D as f64).powf(-0.5);
    let weights = softmax(
        query
            .clone()
            .matmul(key.clone().swap_dims(2, 3))
            .mul_scalar(scale),
        3,
    );
    let exact =
        values(sparse_attention(query, key, value.clone(), AttentionOptions::default()).context);
    let by_landmarks = |iterations| {
        let inverse = pseudo_inverse(weights.clone(), iterations);
        values(
            weights
                .clone()
                .matmul(inverse)
                .matmul(weights.clone().matmul(value.clone())),
        )
    };
    assert_close("30 iterations", &by_landmarks(30), &exact, 0.0, 1e-5);
    let off = |iterations| -> f64 {
        let found = by_landmarks(iterations);
        found
            .iter()
            .zip(&exact)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max)
    };
    assert!(
        off(1) > off(6) && off(6) > off(12),
        "{} {} {}",
        off(1),
        off(6),
        off(12)
    );
}

#[test]
fn the_residual_falls_with_the_iterations() {
    let on = (&Device::flex(), DType::F64);
    let [query, key, _] = inputs(3, 24, on);
    let residual = |iterations| {
        let settings = NystromSettings {
            iterations,
            ..landmarks(6)
        };
        let options = AttentionOptions::default();
        values(nystrom_residual(query.clone(), key.clone(), &settings, options).unwrap())
    };
    let all = [1, 3, 6, 12, 24].map(residual);
    println!("{all:?}");
    for pair in all.windows(2) {
        assert!(
            pair[0]
                .iter()
                .zip(&pair[1])
                .all(|(before, after)| after < before)
        );
    }
    assert!(all[4].iter().all(|r| *r < 1e-9) && all[0].iter().all(|r| *r > 1e-3));
    let short = nystrom_residual(query, key, &landmarks(24), AttentionOptions::default());
    assert!(values(short.unwrap()).iter().all(|r| *r == 0.0));
}

/// The scale of the first Z is of each matrix: public code takes one for the batch.
#[test]
fn an_example_alone_is_as_in_a_batch() {
    let on = (&Device::flex(), DType::F64);
    let at = inputs(3, 20, on);
    // Of very different column sums.
    let sizes = tensor::<4>(&[0.01, 1.0, 30.0], [3, 1, 1, 1], on.1, on.0);
    let at = at.map(|tensor| tensor * sizes.clone());
    let whole = attend(at.clone(), landmarks(4), AttentionOptions::default());
    for i in 0..3 {
        let one = at.clone().map(|tensor| tensor.narrow(0, i, 1));
        let one = values(attend(one, landmarks(4), AttentionOptions::default()));
        assert_close(
            "alone",
            &values(whole.clone().narrow(0, i, 1)),
            &one,
            1e-13,
            1e-13,
        );
    }
}

/// Examples with fewer positions than landmarks, as many, one more, and many more, in one batch, padded on either side;
/// short ones get softmax attention. On every backend.
#[test]
fn padding_changes_nothing_around_the_number_of_landmarks() {
    const LENGTHS: [usize; 5] = [3, 4, 5, 11, 0];
    const M: usize = 4;
    let n = LENGTHS.len();
    for device in devices() {
        let (on, limit) = match device.has_f64 {
            true => ((&device.device, DType::F64), 1e-12),
            false => ((&device.device, DType::F32), 5e-5),
        };
        let settings = || NystromSettings {
            convolution: Some(kernel(3, on)),
            ..landmarks(M)
        };
        for (extra, on_the_left) in [(0, false), (1, false), (7, false), (7, true)] {
            if device.slow && (extra == 0 || on_the_left) {
                continue; // the quick tier
            }
            let wide = 11 + extra;
            let first = |length: usize| if on_the_left { wide - length } else { 0 };
            let at = inputs(n, wide, on);
            let hidden: Vec<bool> = (0..n * wide)
                .map(|cell| {
                    let (length, place) = (LENGTHS[cell / wide], cell % wide);
                    !(first(length)..first(length) + length).contains(&place)
                })
                .collect();
            let hidden = TensorData::new(hidden, [n, wide]);
            let hidden = Tensor::<2, Bool>::from_data(hidden, on.0);
            let options = AttentionOptions::default().key_padding(hidden);
            let whole = attend(at.clone(), settings(), options);
            for (i, length) in LENGTHS.into_iter().enumerate() {
                let row = |tensor: Tensor<4>| tensor.narrow(0, i, 1);
                let label = format!("{} {extra} {on_the_left} {length}", device.name);
                let found = row(whole.clone());
                let visible = first(length)..first(length) + length;
                let cells = values(found).into_iter().enumerate();
                let mut outside =
                    cells.filter(|(cell, _)| !visible.contains(&(cell / WIDTH % wide)));
                assert!(outside.all(|(_, x)| x == 0.0), "{label}");
                if length == 0 {
                    continue;
                }
                let part = |tensor: Tensor<4>| row(tensor).narrow(2, first(length), length);
                let alone = attend(
                    at.clone().map(part),
                    settings(),
                    AttentionOptions::default(),
                );
                let inside = part(whole.clone());
                assert_close(&label, &values(inside), &values(alone), limit, limit);
                if length <= M {
                    let [query, key, value] = at.clone().map(part);
                    let exact = sparse_attention(query, key, value, AttentionOptions::default());
                    let plain = attend(
                        at.clone().map(part),
                        landmarks(M),
                        AttentionOptions::default(),
                    );
                    assert_close(&label, &values(plain), &values(exact.context), limit, limit);
                }
            }
        }
    }
}

/// Each head has a kernel of its own, and zeros stand on both sides.
#[test]
fn the_convolution_is_along_positions_on_every_backend() {
    const LENGTH: usize = 5;
    let n = 7;
    for device in devices() {
        let on = match device.has_f64 {
            true => (&device.device, DType::F64),
            false => (&device.device, DType::F32),
        };
        let limit = if device.has_f64 { 1e-12 } else { 2e-5 };
        let at = inputs(2, n, on);
        let kernel = kernel(LENGTH, on);
        let with = NystromSettings {
            convolution: Some(kernel.clone()),
            ..landmarks(3)
        };
        let with = attend(at.clone(), with, AttentionOptions::default());
        let without = attend(at.clone(), landmarks(3), AttentionOptions::default());
        let (found, kernel, value) = (
            values(with - without),
            values(kernel),
            values(at[2].clone()),
        );
        let expected: Vec<f64> = (0..2 * N_HEADS * n * WIDTH)
            .map(|cell| {
                let (column, place) = (cell % WIDTH, cell / WIDTH % n);
                let matrix = cell / WIDTH / n;
                (0..LENGTH)
                    .filter_map(|t| {
                        let from = (place + t)
                            .checked_sub(LENGTH / 2)
                            .filter(|from| *from < n)?;
                        let value = value[(matrix * n + from) * WIDTH + column];
                        Some(kernel[matrix % N_HEADS * LENGTH + t] * value)
                    })
                    .sum()
            })
            .collect();
        assert_close(device.name, &found, &expected, limit, limit);
    }
}

#[test]
fn gradients_are_the_differences_of_every_input() {
    let n = 7;
    let size = 2 * N_HEADS * n;
    // Of the two examples one has as many positions as landmarks, and one has more.
    let hidden: Vec<bool> = (0..2 * n).map(|cell| cell < n && cell >= 3).collect();
    let hidden = |device: &Device| {
        let data = TensorData::new(hidden.clone(), [2, n]);
        Tensor::<2, Bool>::from_data(data, &device.clone().inner())
    };
    let inputs = [
        (normal(size * D, 1), [2, N_HEADS, n, D]),
        (normal(size * D, 2), [2, N_HEADS, n, D]),
        (normal(size * WIDTH, 3), [2, N_HEADS, n, WIDTH]),
        (normal(N_HEADS * 3, 4), [1, 1, N_HEADS, 3]),
    ];
    for is_padded in [false, true] {
        let found = gradcheck(&format!("padded {is_padded}"), &inputs, |of| {
            let [query, key, value, kernel] = of else {
                panic!("four inputs");
            };
            let settings = NystromSettings {
                convolution: Some(kernel.clone().reshape([N_HEADS, 3])),
                ..landmarks(3)
            };
            let options = AttentionOptions {
                key_padding: is_padded.then(|| hidden(&query.device())),
                ..AttentionOptions::default()
            };
            let at = [query, key, value].map(Clone::clone);
            let context = attend(at, settings, options);
            let weights = normal(size * WIDTH, 9);
            let device = context.device();
            (tensor::<4>(&weights, context.dims(), DType::F64, &device) * context).sum()
        });
        assert!(found.iter().all(|of| of.iter().any(|g| g.abs() > 1e-3)));
    }
}

/// Of half types the pseudo-inverse is computed in f32.
#[test]
fn half_types_are_computed_in_f32() {
    let device = Device::flex();
    let at = inputs(2, 30, (&device, DType::F32)).map(|tensor| tensor.cast(DType::BF16));
    let narrow = attend(at.clone(), landmarks(6), AttentionOptions::default());
    assert_eq!(narrow.dtype(), DType::BF16);
    let wide = at.map(|tensor| tensor.cast(DType::F32));
    let wide = attend(wide, landmarks(6), AttentionOptions::default());
    assert_eq!(values(narrow), values(wide.cast(DType::BF16)));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let on = (&Device::flex(), DType::F32);
    let error = |settings, options| {
        let [query, key, value] = inputs(2, 9, on);
        nystrom_attention(query, key, value, settings, options).unwrap_err()
    };
    let default = AttentionOptions::default;
    let with = |length| NystromSettings {
        convolution: Some(kernel(length, on)),
        ..landmarks(3)
    };
    let found = error(with(4), default());
    assert_eq!(found, AttentionError::EvenConvolution(4));
    assert!(found.to_string().contains("must be odd"), "{found}");
    assert_eq!(error(landmarks(0), default()), AttentionError::NoLandmarks);
    let mechanism = "Nyström";
    let mask = Tensor::<3, Bool>::tril_mask([1, 9, 9], 0, on.0);
    for (options, request) in [
        (default().causal(), "a causal mask"),
        (default().global_mask(mask), "a global mask"),
        (default().dropout(0.1), "dropout of weights"),
        (default().return_weights(), "returning weights"),
        (
            AttentionOptions::new(Normalizer::Sparsemax),
            "a normaliser other than softmax",
        ),
    ] {
        let found = error(landmarks(3), options);
        assert_eq!(found, AttentionError::Unserved { mechanism, request });
    }
    let [query, _, _] = inputs(2, 4, on);
    let [_, key, value] = inputs(2, 9, on);
    let found = nystrom_attention(query, key, value, landmarks(3), default()).unwrap_err();
    assert!(found.to_string().contains("key has shape"), "{found}");
}
