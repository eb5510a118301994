//! The same network in PyTorch (model/tests/parity/seq2seq.py): logits, and losses of 50 Adam steps.

use burn::module::Param;
use burn::nn::Linear;
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::TensorData;
use rstest::rstest;
use safetensors::SafeTensors;
use sparta_model::layer::LayerNorm;
use sparta_model::layer::{FeedForward, NormalizerConfig};
use sparta_model::seq2seq::{
    AttentionBlock, MaskRows, Seq2Seq, Seq2SeqConfig, Seq2SeqInput, Seq2SeqMasks, Sharing,
};

use crate::fixture::Case;
use crate::{distance, values};

const FIXTURE: &[u8] = include_bytes!("../../parity/seq2seq.safetensors");
const VOCAB: usize = 30;
const D_MODEL: usize = 32;

/// The network of one case.
struct Network<'a> {
    case: Case<'a>,
}

impl Network<'_> {
    fn set<const D: usize>(&self, param: &mut Param<Tensor<D>>, key: &str, device: &Device) {
        let (shape, values) = self.case.floats::<D>(key);
        assert_eq!(param.dims(), shape, "{key}");
        *param = Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device));
    }

    fn linear(&self, map: &mut Linear, key: &str, device: &Device) {
        self.set(&mut map.weight, &format!("{key}.weight"), device);
        let bias = map.bias.as_mut().expect("it has a bias");
        self.set(bias, &format!("{key}.bias"), device);
    }

    fn norm(&self, norm: &mut LayerNorm, key: &str, device: &Device) {
        self.set(&mut norm.gamma, &format!("{key}.gamma"), device);
        self.set(&mut norm.beta, &format!("{key}.beta"), device);
    }

    fn block(&self, block: &mut AttentionBlock, key: &str, device: &Device) {
        let attention = &mut block.attention;
        let maps = [
            ("query", &mut attention.query),
            ("key", attention.key.as_mut().expect("a key map")),
            ("value", &mut attention.value),
            ("output", &mut attention.output),
        ];
        for (name, map) in maps {
            self.linear(map, &format!("{key}.attention.{name}"), device);
        }
        self.norm(&mut block.norm, &format!("{key}.norm"), device);
    }

    fn feed_forward(&self, layer: &mut FeedForward, key: &str, device: &Device) {
        self.linear(&mut layer.expand, &format!("{key}.expand"), device);
        self.linear(&mut layer.reduce, &format!("{key}.reduce"), device);
        self.norm(&mut layer.norm, &format!("{key}.norm"), device);
    }

    /// The network with the weights of the fixture.
    fn load(&self, mut model: Seq2Seq, device: &Device) -> Seq2Seq {
        if let Some(table) = &mut model.source_embedding {
            self.set(table, "source_embedding", device);
        }
        self.set(&mut model.target_embedding, "target_embedding", device);
        for (i, layer) in model.encoder.iter_mut().enumerate() {
            let attention = &mut layer.self_attention;
            self.block(attention, &format!("encoder.{i}.self_attention"), device);
            let key = format!("encoder.{i}.feed_forward");
            self.feed_forward(&mut layer.feed_forward, &key, device);
        }
        for (i, layer) in model.decoder.iter_mut().enumerate() {
            let attention = &mut layer.self_attention;
            self.block(attention, &format!("decoder.{i}.self_attention"), device);
            let attention = &mut layer.cross_attention;
            self.block(attention, &format!("decoder.{i}.cross_attention"), device);
            let key = format!("decoder.{i}.feed_forward");
            self.feed_forward(&mut layer.feed_forward, &key, device);
        }
        if let Some(norm) = &mut model.encoder_norm {
            self.norm(norm, "encoder_norm", device);
        }
        if let Some(norm) = &mut model.decoder_norm {
            self.norm(norm, "decoder_norm", device);
        }
        model
    }

    fn masks(&self, device: &Device) -> Seq2SeqMasks {
        let layers = |kind: &str| Some(self.case.masks(&format!("masks.{kind}"), device));
        Seq2SeqMasks {
            encoder_self: layers("encoder_self"),
            decoder_self: layers("decoder_self"),
            cross: layers("cross"),
            rows: MaskRows::True,
        }
    }

    fn input(&self, i: usize, masks: &Seq2SeqMasks, device: &Device) -> Seq2SeqInput {
        let source = self.case.tokens("source", i, device);
        Seq2SeqInput::new(source, self.case.tokens("target", i, device))
            .source_padding(self.case.tokens("padding", i, device).equal_elem(1))
            .masks(masks.clone())
    }
}

fn dense() -> Seq2SeqConfig {
    Seq2SeqConfig::new(VOCAB, VOCAB, D_MODEL, 2, 48, 2, 2).with_dropout(0.0)
}

fn sparse() -> Seq2SeqConfig {
    dense()
        .with_pre_norm(true)
        .with_sharing(Sharing::All)
        .with_encoder_self(NormalizerConfig::Entmax15.into())
        .with_cross(NormalizerConfig::Sparsemax.into())
}

#[rstest]
#[case::dense_post_norm_padded_left("dense", dense())]
#[case::sparse_pre_norm_masked_padded_right("sparse", sparse())]
fn pytorch_gives_the_same_logits_and_losses(#[case] name: &str, #[case] config: Seq2SeqConfig) {
    let tensors = SafeTensors::deserialize(FIXTURE).expect("the fixture is a safetensors file");
    let case = Case {
        tensors: &tensors,
        name,
    };
    let network = Network { case };
    let device = Device::flex().autodiff();
    let mut model = network.load(config.init(&device), &device);
    let masks = network.masks(&device);

    let (_, expected) = case.floats::<4>("logits");
    let logits = |i| {
        let output = model.forward(network.input(i, &masks, &device));
        values(model.logits(output.hidden))
    };
    let found = [logits(0), logits(1)].concat();
    let largest = expected.iter().fold(0f32, |a, b| a.max(b.abs()));
    assert!(largest > 1.0, "{largest}");
    let difference = distance(&found, &expected);
    println!("{name}: logits differ by at most {difference:.1e}");
    assert!(difference < 1e-4, "{difference}");

    let (_, expected) = case.floats::<1>("losses");
    assert_eq!(expected.len(), 50);
    assert!(expected[49] < expected[0] - 1.0, "it learns: {expected:?}");
    let mut adam = AdamConfig::new()
        .with_beta_1(0.9)
        .with_beta_2(0.98)
        .with_epsilon(1e-8)
        .init();
    let ([n_batches, _, _], _) = case.ints::<3>("source");
    let mut losses = Vec::new();
    for step in 0..50 {
        let i = step % n_batches;
        let output = model.forward(network.input(i, &masks, &device));
        let targets = case.tokens("targets", i, &device);
        let counted = targets.clone().greater_equal_elem(0).int().sum();
        let n = counted.into_scalar::<i64>() as f64;
        let loss = model.loss(output.hidden, targets, 0.1).smoothed;
        let loss = loss.sum().div_scalar(n);
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = adam.step(1e-3, model, gradients);
    }
    let difference = distance(&losses, &expected);
    println!("{name}: losses differ by at most {difference:.1e}");
    assert!(difference < 1e-3, "{difference}: {losses:?} {expected:?}");
}
