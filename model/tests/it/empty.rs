//! Batches, sequences and memories of nothing: Burn reads a size of 0 in a new shape as the size that stood there.

use burn::prelude::*;
use burn::tensor::Distribution;
use rstest::rstest;
use sparta_model::layer::{
    AttentionBlockConfig, AttentionInput, EncoderLayerConfig, FeedForwardConfig, MechanismConfig,
    MultiHeadAttention, MultiHeadAttentionConfig, Past, RelativeAttention, RelativeAttentionConfig,
    RelativeAttentionInput, relative_positions,
};

use crate::values;

const D_MODEL: usize = 16;
const HEADS: usize = 4;
const D_HEAD: usize = 4;

fn none(batch: usize, seq: usize, device: &Device) -> Tensor<3> {
    Tensor::zeros([batch, seq, D_MODEL], device)
}

fn some(batch: usize, seq: usize, device: &Device) -> Tensor<3> {
    let normal = Distribution::Normal(0.0, 1.0);
    Tensor::random([batch, seq, D_MODEL], normal, device)
}

fn attention(device: &Device) -> MultiHeadAttention {
    MultiHeadAttentionConfig::new(D_MODEL, HEADS).init(device)
}

#[rstest]
#[case::no_token(2, 0)]
#[case::no_example(0, 5)]
fn layers_give_nothing(#[case] batch: usize, #[case] seq: usize, #[values(false, true)] pre: bool) {
    let device = Device::flex();
    let x = none(batch, seq, &device);
    let input = AttentionInput::self_attention(x.clone()).return_weights();
    for input in [input.clone(), input.causal()] {
        let output = attention(&device).forward(input);
        assert_eq!(output.context.dims(), [batch, seq, D_MODEL]);
        let weights = output.weights.expect("asked for");
        assert_eq!(weights.dims(), [batch, HEADS, seq, seq]);
    }
    let feed_forward = FeedForwardConfig::new(D_MODEL, 32).with_pre_norm(pre);
    let output = feed_forward.init(&device).forward(x.clone());
    assert_eq!(output.dims(), [batch, seq, D_MODEL]);

    let block = AttentionBlockConfig::new(MultiHeadAttentionConfig::new(D_MODEL, HEADS));
    let layer = EncoderLayerConfig::new(block.with_pre_norm(pre), feed_forward).init(&device);
    let output = layer.forward(x, None, None, false);
    assert_eq!(output.context.dims(), [batch, seq, D_MODEL]);
}

#[test]
fn a_memory_of_nothing_leaves_the_bias() {
    let device = Device::flex();
    let layer = attention(&device);
    let input = AttentionInput::cross(some(2, 3, &device), none(2, 0, &device));
    let output = layer.forward(input.return_weights());
    assert_eq!(output.weights.expect("asked for").dims(), [2, HEADS, 3, 0]);
    let bias = values(layer.output.bias.as_ref().expect("a bias").val());
    let context = values(output.context);
    assert_eq!(context.len(), 2 * 3 * D_MODEL);
    assert!(context.chunks(D_MODEL).all(|row| row == bias));
}

#[test]
fn nobody_reads_a_memory() {
    let device = Device::flex();
    let input = AttentionInput::cross(none(2, 0, &device), some(2, 3, &device));
    let output = attention(&device).forward(input.return_weights());
    assert_eq!(output.context.dims(), [2, 0, D_MODEL]);
    assert_eq!(output.weights.expect("asked for").dims(), [2, HEADS, 0, 3]);
}

fn relative(words: &str, device: &Device) -> RelativeAttention {
    let mechanism: MechanismConfig = words.parse().unwrap();
    RelativeAttentionConfig::new(D_MODEL, HEADS, D_HEAD)
        .with_mechanism(mechanism)
        .init(device)
}

fn segment(hidden: Tensor<3>, past: Past, return_weights: bool) -> RelativeAttentionInput {
    RelativeAttentionInput {
        hidden,
        past,
        mem_len: 3,
        global_mask: None,
        extra_mask: None,
        return_weights,
    }
}

#[rstest]
#[case::no_token(2, 0)]
#[case::no_example(0, 5)]
fn segments_of_nothing_give_nothing(#[case] batch: usize, #[case] seq: usize) {
    let device = Device::flex();
    let seq_kv = 3 + seq;
    let bias = || Tensor::zeros([HEADS, D_HEAD], &device);
    let memory = Past::Memory {
        memory: Some(none(batch, 3, &device)),
        positions: relative_positions(seq_kv - 1, seq_kv + 1, D_MODEL, None, &device),
        content_bias: bias(),
        position_bias: bias(),
    };
    let window = Past::Window {
        memory: Some(none(batch, 3, &device)),
        positions: Some(Tensor::zeros([seq_kv, D_MODEL], &device)),
    };
    for (words, past) in [("softmax", memory), ("lsh(m=4)", window)] {
        let hidden = none(batch, seq, &device);
        let output = relative(words, &device).forward(segment(hidden, past, true));
        assert_eq!(output.hidden.dims(), [batch, seq, D_MODEL], "{words}");
        let weights = output.weights.expect("asked for");
        assert_eq!(weights.dims(), [batch, HEADS, seq, seq_kv], "{words}");
        assert!(output.state.is_none(), "{words}");
    }
}

#[test]
fn a_segment_of_nothing_leaves_the_state() {
    let device = Device::flex();
    let layer = relative("favor(m=8)", &device);
    let first = segment(none(2, 0, &device), Past::State(None), false);
    assert!(layer.forward(first).state.is_none());
    let read = segment(some(2, 3, &device), Past::State(None), false);
    let before = layer.forward(read).state.expect("a state");
    let next = Past::State(Some(before.clone()));
    let after = layer.forward(segment(none(2, 0, &device), next, false));
    assert_eq!(after.hidden.dims(), [2, 0, D_MODEL]);
    let after = after.state.expect("a state");
    assert_eq!(values(after.packed()), values(before.packed()));
}
