//! No example, head, query or key: zeros or nothing, of the right shape. Burn's `reshape` takes a size of 0 for that of the
//! source, which may be another or none, and its `expand` takes none.

use burn::tensor::{Bool, Device, Int, Tensor};
use sparta_ops::attention::linear::{LinearOptions, linear_attention};
use sparta_ops::attention::linformer::{
    Projections, SlotOptions, SlotState, linformer_attention, slot_attention,
};
use sparta_ops::attention::lsh::{LshOptions, lsh_attention, lsh_buckets};
use sparta_ops::attention::nystrom::{NystromSettings, nystrom_attention, nystrom_residual};
use sparta_ops::attention::{
    AttentionOptions, Implementation, Normalizer, Packing, RelativeTerm, Span, sparse_attention,
};
use sparta_ops::testing::{devices, values};

use super::mask;

const BATCH: usize = 2;
const HEADS: usize = 2;
const D: usize = 4;
const WIDTH: usize = 3;

/// Sizes of which one is 0, but for keys: batch, heads, queries.
const NOBODY: [[usize; 3]; 3] = [[0, HEADS, 5], [BATCH, 0, 5], [BATCH, HEADS, 0]];

fn ones(shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::ones(shape, device)
}

/// Nobody reads: with any mask, and with one head of keys for all of none.
#[test]
fn nobody_reads_nothing() {
    for device in devices() {
        let device = &device.device;
        for [batch, n_heads, seq_q] in NOBODY {
            let query = ones([batch, n_heads, seq_q, D], device);
            let of = |width| ones([batch, 1, 7, width], device);
            let options = AttentionOptions::new(Normalizer::Entmax15)
                .causal()
                .return_weights();
            let output = sparse_attention(query, of(D), of(WIDTH), options);
            assert_eq!(output.context.dims(), [batch, n_heads, seq_q, WIDTH]);
            let weights = output.weights.expect("asked for");
            assert_eq!(weights.dims(), [batch, n_heads, seq_q, 7]);
        }
    }
}

/// The same on CPUs with every option that has a size.
#[test]
fn options_of_nobody_are_taken() {
    for device in devices() {
        if device.name == "wgpu" {
            continue; // no mask without a cell is tried there
        }
        let device = &device.device;
        for [batch, n_heads, seq_q] in NOBODY {
            let alpha = Tensor::full([n_heads], 1.5, device);
            let query = ones([batch, n_heads, seq_q, D], device);
            let options = || {
                AttentionOptions::new(Normalizer::Entmax(alpha.clone()))
                    .key_padding(mask(|_| false, [batch, 7], device))
                    .key_lengths(Tensor::zeros([batch], device))
                    .global_mask(mask(|_| false, [n_heads, seq_q, 7], device))
                    .extra_mask(mask(|_| false, [seq_q, 7], device))
                    .bias(ones([batch, n_heads, seq_q, 7], device))
                    .relative(RelativeTerm {
                        query: query.clone(),
                        positions: Tensor::ones([n_heads, seq_q + 7, D], device),
                    })
            };
            let of = |width| ones([batch, 1, 7, width], device);
            for implementation in [Implementation::Reference, Implementation::Fused] {
                let options = options().implementation(implementation);
                let output = sparse_attention(query.clone(), of(D), of(WIDTH), options);
                assert_eq!(output.context.dims(), [batch, n_heads, seq_q, WIDTH]);
            }
        }
    }
}

/// Every query of none reads zeros: lengths and padding of no key hide nothing.
#[test]
fn lengths_of_no_keys_are_taken() {
    for device in devices() {
        let (name, device) = (device.name, device.device.autodiff());
        for implementation in [Implementation::Reference, Implementation::Fused] {
            if name == "wgpu" && implementation == Implementation::Fused {
                continue; // a small device may not bind a mask
            }
            let query = ones([BATCH, HEADS, 3, D], &device).require_grad();
            let none = |width| ones([BATCH, HEADS, 0, width], &device);
            let options = AttentionOptions::default()
                .key_lengths(Tensor::<1, Int>::zeros([BATCH], &device.clone().inner()))
                .implementation(implementation);
            let context = sparse_attention(query.clone(), none(D), none(WIDTH), options).context;
            let gradients = context.clone().sum().backward();
            let label = format!("{name} {implementation:?}");
            assert_eq!(values(context.inner()), [0.0; 36], "{label}");
            let gradient = query.grad(&gradients).expect("a gradient");
            assert_eq!(values(gradient), [0.0; 48], "{label}");
        }
    }
}

/// A span of no key, and packed sequences of none.
#[test]
fn spans_and_packing_of_no_keys_are_taken() {
    let device = Device::flex();
    let query = ones([1, HEADS, 3, D], &device);
    let none = |width| ones([1, HEADS, 0, width], &device);
    let span = Span {
        length: Tensor::ones([HEADS], &device),
        ramp: 2.0,
    };
    let packing = Packing::new(&[1, 2], &[0, 0]).unwrap();
    for options in [
        AttentionOptions::default().span(span),
        AttentionOptions::default().packing(packing),
    ] {
        for implementation in [Implementation::Reference, Implementation::Fused] {
            let options = options.clone().implementation(implementation);
            let output = sparse_attention(query.clone(), none(D), none(WIDTH), options);
            assert_eq!(values(output.context), [0.0; 18], "{implementation:?}");
        }
    }
}

fn projections(device: &Device) -> Projections {
    let of = || Tensor::ones([1, 2, 9], device);
    Projections {
        key: of(),
        value: of(),
    }
}

/// Without keys none are projected.
#[test]
fn linformer_without_keys_gives_zeros() {
    for device in devices() {
        let (name, device) = (device.name, device.device.autodiff());
        let query = ones([BATCH, HEADS, 3, D], &device).require_grad();
        let none = |width| ones([BATCH, HEADS, 0, width], &device);
        let lengths = Tensor::<1, Int>::zeros([BATCH], &device.clone().inner());
        let options = AttentionOptions::default().key_lengths(lengths);
        let projections = projections(&device);
        let output =
            linformer_attention(query.clone(), none(D), none(WIDTH), &projections, options);
        let context = output.unwrap().context;
        let gradients = context.clone().sum().backward();
        assert_eq!(values(context.inner()), [0.0; 36], "{name}");
        let gradient = query.grad(&gradients).expect("a gradient");
        assert_eq!(values(gradient), [0.0; 48], "{name}");

        let of = |n, width| ones([0, HEADS, n, width], &device);
        let options = AttentionOptions::default();
        let output = linformer_attention(of(3, D), of(7, D), of(7, WIDTH), &projections, options);
        assert_eq!(output.unwrap().context.dims(), [0, HEADS, 3, WIDTH]);
    }
}

/// Padding of no key, with a gate and without.
#[test]
fn padding_of_no_keys_is_taken() {
    for device in devices() {
        if device.name == "wgpu" {
            continue; // as above
        }
        let (name, device) = (device.name, &device.device);
        let padding = || -> Tensor<2, Bool> { mask(|_| false, [BATCH, 0], device) };
        let query = || ones([BATCH, HEADS, 3, D], device);
        let none = |width| ones([BATCH, HEADS, 0, width], device);
        for causal in [false, true] {
            for gate in [None, Some(Tensor::<3>::zeros([BATCH, HEADS, 0], device))] {
                let options = LinearOptions {
                    causal,
                    key_padding: Some(padding()),
                    log_gate: gate,
                    ..LinearOptions::default()
                };
                let output = linear_attention(query(), none(D), none(WIDTH), options).unwrap();
                assert_eq!(values(output.context), [0.0; 36], "{name} {causal}");
                assert_eq!(output.state.sums.dims(), [BATCH, HEADS, D, WIDTH]);
            }
            let options = SlotOptions {
                causal,
                key_padding: Some(padding()),
                ..SlotOptions::default()
            };
            let projections = projections(device);
            let output = slot_attention(query(), none(D), none(WIDTH), &projections, options);
            let context = output.unwrap().context;
            assert_eq!(values(context), [0.0; 36], "{name} {causal}");
        }
    }
}

/// Sums over the keys of nobody: nothing, and a state as it was.
#[test]
fn sums_of_nobody_are_none() {
    let device = &Device::flex();
    for [batch, n_heads] in [[0, HEADS], [BATCH, 0]] {
        let of = |n, width| ones([batch, n_heads, n, width], device);
        for (causal, by) in [
            (false, Implementation::Auto),
            (true, Implementation::Auto),
            (true, Implementation::Reference),
        ] {
            let options = LinearOptions {
                causal,
                key_padding: Some(mask(|_| false, [batch, 7], device)),
                log_gate: Some(Tensor::zeros([batch, n_heads, 7], device)),
                implementation: by,
                ..LinearOptions::default()
            };
            let output = linear_attention(of(3, D), of(7, D), of(7, WIDTH), options).unwrap();
            assert_eq!(output.context.dims(), [batch, n_heads, 3, WIDTH]);
            assert_eq!(output.state.sums.dims(), [batch, n_heads, D, WIDTH]);
            assert_eq!(output.state.normalizer.dims(), [batch, n_heads, D]);
            let state = SlotState {
                keys: of(2, D),
                values: of(2, WIDTH),
                position: Tensor::zeros([batch], device),
            };
            for state in [None, Some(state)] {
                let options = SlotOptions {
                    causal,
                    key_padding: Some(mask(|_| false, [batch, 7], device)),
                    state,
                    implementation: by,
                    ..SlotOptions::default()
                };
                let projections = projections(device);
                let output =
                    slot_attention(of(3, D), of(7, D), of(7, WIDTH), &projections, options);
                let output = output.unwrap();
                assert_eq!(output.context.dims(), [batch, n_heads, 3, WIDTH]);
                assert_eq!(output.state.keys.dims(), [batch, n_heads, 2, D]);
                assert_eq!(output.state.values.dims(), [batch, n_heads, 2, WIDTH]);
            }
        }
    }
}

/// No landmark of no position.
#[test]
fn landmarks_of_nothing_are_none() {
    for device in devices() {
        let device = &device.device;
        for (batch, n) in [(BATCH, 0), (0, 9)] {
            let of = |width| ones([batch, HEADS, n, width], device);
            let settings = NystromSettings {
                landmarks: 4,
                iterations: 2,
                convolution: Some(Tensor::ones([HEADS, 3], device)),
            };
            let lengths = Tensor::<1, Int>::zeros([batch], device);
            let options = AttentionOptions::default().key_lengths(lengths);
            let residual = nystrom_residual(of(D), of(D), &settings, options.clone()).unwrap();
            assert_eq!(residual.dims(), [batch, HEADS]);
            let output = nystrom_attention(of(D), of(D), of(WIDTH), settings, options).unwrap();
            assert_eq!(output.context.dims(), [batch, HEADS, n, WIDTH]);
        }
    }
}

/// No bucket of no key, and chunks of none.
#[test]
fn buckets_of_nothing_are_none() {
    for device in devices() {
        let device = &device.device;
        for [batch, n_heads, n] in [[0, HEADS, 9], [BATCH, 0, 9], [BATCH, HEADS, 0]] {
            let of = |width| ones([batch, n_heads, n, width], device);
            let rotations = ones([1, 3, D, 2], device);
            let buckets = lsh_buckets(of(D), rotations, Some(4), None);
            assert_eq!(buckets.dims(), [batch, n_heads, 3, n]);
            for by in [Implementation::Auto, Implementation::Reference] {
                let options = LshOptions::new(4).buckets(buckets.clone());
                let options = options.causal().implementation(by);
                let output = lsh_attention(of(D), of(D), of(WIDTH), options).unwrap();
                assert_eq!(output.context.dims(), [batch, n_heads, n, WIDTH]);
            }
        }
    }
}
