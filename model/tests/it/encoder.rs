//! Layers of encoders and decoders that are in no network.

use burn::prelude::*;
use burn::tensor::Distribution;
use rstest::rstest;
use sparta_model::layer::{
    AttentionBlockConfig, AttentionInput, EncoderLayerConfig, FeedForwardConfig,
    MultiHeadAttentionConfig, NormalizerConfig, WeightInit,
};
use sparta_model::seq2seq::{DecoderLayerConfig, Encoded};

use crate::{distance, mask, values};

const BATCH: usize = 2;
const D_MODEL: usize = 16;
const HEADS: usize = 2;

fn random(seq: usize, device: &Device) -> Tensor<3> {
    let normal = Distribution::Normal(0.0, 1.0);
    Tensor::random([BATCH, seq, D_MODEL], normal, device)
}

fn block() -> AttentionBlockConfig {
    let attention = MultiHeadAttentionConfig::new(D_MODEL, HEADS);
    AttentionBlockConfig::new(attention.with_normalizer(NormalizerConfig::Entmax15))
}

fn feed_forward() -> FeedForwardConfig {
    FeedForwardConfig::new(D_MODEL, 32)
}

#[rstest]
fn an_encoder_layer_is_attention_and_feed_forward(#[values(false, true)] pre_norm: bool) {
    let device = Device::flex();
    let config = EncoderLayerConfig::new(
        block().with_pre_norm(pre_norm),
        feed_forward().with_pre_norm(pre_norm),
    );
    let layer = config.init(&device);
    let x = random(5, &device);
    let last = mask([HEADS, 5, 5], &device, |_, _, key| key == 4);
    let padding = Tensor::<2, Bool>::full([BATCH, 5], false, &device);
    let output = layer.forward(x.clone(), Some(padding.clone()), Some(last.clone()), true);

    let block = &layer.self_attention;
    let query = match pre_norm {
        true => block.norm.forward(x.clone()),
        false => x.clone(),
    };
    let input = AttentionInput::self_attention(query).key_padding(padding);
    let input = input.global_mask(last).return_weights();
    let attended = block.attention.forward(input);
    let sum = x + attended.context;
    let hidden = match pre_norm {
        true => sum,
        false => block.norm.forward(sum),
    };
    let expected = layer.feed_forward.forward(hidden);
    assert!(distance(&values(output.context), &values(expected)) < 1e-6);
    let [found, expected] = [output.weights, attended.weights].map(|of| values(of.unwrap()));
    assert!(distance(&found, &expected) < 1e-6);
    assert!(found.chunks(5).all(|row| row[4] == 0.0));
}

#[test]
fn a_decoder_layer_attends_to_target_and_source() {
    let device = Device::flex();
    let config = DecoderLayerConfig::new(block(), block(), feed_forward());
    let layer = config.init(&device);
    let encoded = Encoded {
        memory: random(4, &device),
        padding: None,
        weights: Vec::new(),
    };
    let own = layer.attend_to_target(random(3, &device), None, None, true);
    let weights = values(own.weights.unwrap());
    assert_eq!(weights.len(), BATCH * HEADS * 3 * 3);
    let is_later = |cell: usize| cell % 3 > cell / 3 % 3;
    assert!((0..weights.len()).all(|cell| !is_later(cell) || weights[cell] == 0.0));
    let output = layer.attend_to_source(own.context, &encoded, None, true);
    assert_eq!(output.weights.unwrap().dims(), [BATCH, HEADS, 3, 4]);
    let hidden = layer.feed_forward.forward(output.context);
    assert_eq!(hidden.dims(), [BATCH, 3, D_MODEL]);
}

#[test]
fn weights_start_as_they_are_told() {
    let device = Device::flex();
    let config = block().with_weight_init(Some(WeightInit::Xavier));
    let attention = config.init(&device).attention;
    let bound = (6.0f32 / (2 * D_MODEL) as f32).sqrt();
    let largest = |values: Vec<f32>| values.into_iter().map(f32::abs).fold(0.0, f32::max);
    let key = attention.key.as_ref().expect("a key map");
    for map in [&attention.query, key, &attention.value] {
        let found = largest(values(map.weight.val()));
        let bound = bound / 2f32.sqrt();
        assert!((0.9 * bound..=1.001 * bound).contains(&found), "{found}");
        let found = largest(values(map.bias.as_ref().expect("a bias").val()));
        assert!(found > 0.0 && found <= 0.25, "{found}");
    }
    let found = largest(values(attention.output.weight.val()));
    assert!((0.9 * bound..=1.001 * bound).contains(&found), "{found}");
    let bias = attention.output.bias.as_ref().expect("a bias");
    assert_eq!(values(bias.val()), [0.0; D_MODEL]);

    let plain = MultiHeadAttentionConfig::new(D_MODEL, HEADS).with_bias(false);
    let normal = WeightInit::NormalWeights { std: 0.02 };
    let plain = AttentionBlockConfig::new(plain).with_weight_init(Some(normal));
    let plain = plain.init(&device).attention;
    assert!(plain.query.bias.is_none() && plain.output.bias.is_none());
}
