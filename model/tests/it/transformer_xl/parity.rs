//! The authors' PyTorch code (model/tests/parity/transformer_xl.py): hidden states and likelihoods of five segments with
//! memory, the same in evaluation with other lengths, and losses of 25 Adam steps.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::TensorData;
use rstest::rstest;
use safetensors::SafeTensors;
use sparta_model::layer::LayerNorm;
use sparta_model::transformer_xl::{
    Lengths, Mems, TransformerXl, TransformerXlConfig, TransformerXlInput,
};
use sparta_ops::testing::devices;

use crate::fixture::Case;
use crate::{distance, values};

const FIXTURE: &[u8] = include_bytes!("../../parity/transformer_xl.safetensors");
const SEGMENTS: usize = 5;

/// The weights of one case.
struct Network<'a> {
    case: Case<'a>,
}

impl Network<'_> {
    fn set<const D: usize>(&self, param: &mut Param<Tensor<D>>, key: &str, device: &Device) {
        let (shape, values) = self.case.floats::<D>(key);
        assert_eq!(param.dims(), shape, "{key}");
        *param = Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device));
    }

    fn all<const D: usize>(&self, list: &mut [Param<Tensor<D>>], key: &str, device: &Device) {
        for (i, param) in list.iter_mut().enumerate() {
            self.set(param, &format!("{key}.{i}"), device);
        }
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

    /// The network with the weights of the fixture, every one of which has its place.
    fn load(&self, config: &TransformerXlConfig, device: &Device) -> TransformerXl {
        let mut model = config.init(device);
        let embedding = &mut model.embedding;
        self.all(&mut embedding.tables, "embedding.tables", device);
        self.all(&mut embedding.projections, "embedding.projections", device);
        let softmax = &mut model.softmax;
        self.all(&mut softmax.weights, "softmax.weights", device);
        self.all(&mut softmax.biases, "softmax.biases", device);
        self.all(&mut softmax.projections, "softmax.projections", device);
        if let Some(weight) = &mut softmax.cluster_weight {
            self.set(weight, "softmax.cluster_weight", device);
        }
        if let Some(bias) = &mut softmax.cluster_bias {
            self.set(bias, "softmax.cluster_bias", device);
        }
        for (i, layer) in model.layers.iter_mut().enumerate() {
            let attention = &mut layer.attention;
            let maps = [
                ("query", &mut attention.query),
                ("key", attention.key.as_mut().expect("a key map")),
                ("value", &mut attention.value),
                ("position", attention.position.as_mut().expect("distances")),
                ("output", &mut attention.output),
            ];
            for (name, map) in maps {
                self.set(map, &format!("layers.{i}.attention.{name}"), device);
            }
            let key = format!("layers.{i}.attention.norm");
            self.norm(&mut attention.norm, &key, device);
            let network = &mut layer.feed_forward;
            let key = format!("layers.{i}.feed_forward");
            self.linear(&mut network.expand, &format!("{key}.expand"), device);
            self.linear(&mut network.reduce, &format!("{key}.reduce"), device);
            self.norm(&mut network.norm, &format!("{key}.norm"), device);
        }
        let biases = [
            ("content_bias", &mut model.content_bias),
            ("position_bias", &mut model.position_bias),
        ];
        for (key, bias) in biases {
            self.set(bias.as_mut().expect("distances"), key, device);
        }
        assert_eq!(model.num_params(), self.n_weights());
        model
    }

    /// Numbers in the fixture's weights.
    fn n_weights(&self) -> usize {
        const WEIGHTS: [&str; 5] = [
            "embedding.",
            "softmax.",
            "layers.",
            "content_bias",
            "position_bias",
        ];
        let tensors = self.case.tensors.iter();
        let of_case = tensors.filter_map(|(key, tensor)| {
            let key = key.strip_prefix(self.case.name)?.strip_prefix('.')?;
            let is_weight = WEIGHTS.iter().any(|start| key.starts_with(start));
            is_weight.then(|| tensor.shape().iter().product::<usize>())
        });
        of_case.sum()
    }

    /// Words of a segment.
    fn words(&self, key: &str, segment: usize) -> Vec<i32> {
        let ([_, batch, seq], words) = self.case.ints::<3>(key);
        let n = batch * seq;
        words[segment * n..(segment + 1) * n].to_vec()
    }

    /// Hidden states and likelihoods of segments in a row, and the memory after them.
    fn read(&self, model: &TransformerXl, prefix: &str, device: &Device) -> Reading {
        let tokens = format!("{prefix}tokens");
        let ([n_segments, _, _], _) = self.case.ints::<3>(&tokens);
        let mut reading = Reading::default();
        for segment in 0..n_segments {
            let mut input = TransformerXlInput::new(self.case.tokens(&tokens, segment, device));
            input.mems = (segment > 0).then(|| reading.mems.clone());
            let output = model.forward(input);
            let targets = self.words(&format!("{prefix}targets"), segment);
            reading
                .nll
                .extend(values(model.nll(output.hidden.clone(), &targets)));
            reading.hidden.extend(values(output.hidden));
            reading.mems = output.mems;
        }
        reading
    }
}

#[derive(Default)]
struct Reading {
    hidden: Vec<f32>,
    nll: Vec<f32>,
    mems: Mems,
}

fn plain() -> TransformerXlConfig {
    TransformerXlConfig::new(30, 2, 16, 2, 6, 24, 4, 6).with_dropout(0.0)
}

#[rstest]
#[case::smaller_vectors_for_rarer_words(
    "divided",
    plain().with_cutoffs(vec![10, 18]).with_div_val(2)
)]
#[case::projected_pre_norm_clamped_same_length(
    "projected",
    plain()
        .with_cutoffs(vec![8, 20])
        .with_d_embed(Some(10))
        .with_pre_norm(true)
        .with_clamp_len(Some(4))
        .with_same_length(true)
)]
#[case::nothing_shared(
    "untied",
    plain()
        .with_cutoffs(vec![12])
        .with_div_val(2)
        .with_d_embed(Some(12))
        .with_tie_weights(false)
        .with_tie_projections(false)
        .with_clamp_len(Some(2))
)]
#[case::plain_softmax_pre_norm("plain", plain().with_pre_norm(true))]
fn the_authors_code_gives_the_same_likelihoods_and_losses(
    #[case] name: &str,
    #[case] config: TransformerXlConfig,
) {
    let tensors = SafeTensors::deserialize(FIXTURE).expect("the fixture is a safetensors file");
    let case = Case {
        tensors: &tensors,
        name,
    };
    let network = Network { case };
    for device in devices() {
        let (device, name_of_device) = (&device.device, device.name);
        let model = network.load(&config, device);
        let reading = network.read(&model, "", device);
        let memory: Vec<f32> = reading.mems.iter().cloned().flat_map(values).collect();
        let longer = model.clone().with_lengths(Lengths {
            tgt_len: 3,
            mem_len: 9,
            same_length: true,
            clamp_len: config.clamp_len,
        });
        let evaluated = network.read(&longer, "eval_", device);
        let pairs = [
            ("hidden", &reading.hidden, case.floats::<4>("hidden").1),
            ("nll", &reading.nll, case.floats::<3>("nll").1),
            ("memory", &memory, case.floats::<4>("memory").1),
            ("eval_nll", &evaluated.nll, case.floats::<3>("eval_nll").1),
        ];
        for (what, found, expected) in pairs {
            let off = distance(found, &expected);
            println!("{name}, {name_of_device}: {what} differs by at most {off:.1e}");
            assert!(off < 1e-4, "{name_of_device}: {what} {off}");
        }
        assert_eq!(reading.mems[0].dims()[1], 6);
        assert_eq!(evaluated.mems[0].dims()[1], 9);
    }

    let device = Device::flex().autodiff();
    let mut model = network.load(&config, &device);
    let (_, expected) = case.floats::<1>("losses");
    assert!(
        expected.len() == 25 && expected[24] < expected[0] - 1.0,
        "it learns: {expected:?}"
    );
    let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
    let mut mems = None;
    let mut losses = Vec::new();
    for step in 0..expected.len() {
        let segment = step % SEGMENTS;
        let mut input = TransformerXlInput::new(case.tokens("tokens", segment, &device));
        input.mems = mems.take();
        let output = model.forward(input);
        mems = Some(output.mems);
        let targets = network.words("targets", segment);
        let loss = model.nll(output.hidden, &targets).mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = adam.step(5e-3, model, gradients);
    }
    let off = distance(&losses, &expected);
    println!("{name}: losses differ by at most {off:.1e}");
    assert!(off < 1e-3, "{off}: {losses:?} {expected:?}");
}
