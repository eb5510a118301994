//! Linformer, slots and Nyström: what public code gives, their words, positions, and how they start.

use burn::module::{Module, Param};
use burn::prelude::*;
use burn::tensor::Distribution;
use sparta_model::import::{ImportOptions, Weights, import_bert};
use sparta_model::layer::mechanism::{Linformer, Nystrom, ProjectionSharing};
use sparta_model::layer::{AttentionInput, MultiHeadAttentionConfig};
use sparta_model::transformer_xl::{Lengths, TransformerXlInput};
use sparta_ops::attention::AttentionOptions;

use super::*;
use crate::bert::{import, parity};
use crate::{alone, distance};

fn of(words: &str) -> MechanismConfig {
    words.parse().unwrap()
}

fn linformer(words: &str, shape: HeadShape, device: &Device) -> Linformer {
    of_kind!(Linformer, of(words).init(shape, device))
}

fn nystrom(words: &str, shape: HeadShape, device: &Device) -> Nystrom {
    of_kind!(Nystrom, of(words).init(shape, device))
}

#[derive(serde::Deserialize)]
struct Parity {
    shape: [usize; 4],
    rank: usize,
    longest: usize,
    landmarks: usize,
    kernel: usize,
    linformer: Projected,
    linformer_key_value: Projected,
    nystrom: ByLandmarks,
}

#[derive(serde::Deserialize)]
struct Projected {
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    key_projection: Vec<f32>,
    value_projection: Option<Vec<f32>>,
    context: Vec<f32>,
}

#[derive(serde::Deserialize)]
struct ByLandmarks {
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    convolution: Vec<f32>,
    context: Vec<f32>,
}

impl Parity {
    fn read() -> Self {
        serde_json::from_str(include_str!("../../parity/low_rank.json")).unwrap()
    }

    fn head_shape(&self) -> HeadShape {
        let [_, n_heads, _, d_head] = self.shape;
        HeadShape {
            d_model: 16,
            n_heads,
            d_head,
            max_len: Some(self.longest),
        }
    }

    fn inputs(&self, numbers: [&Vec<f32>; 3], device: &Device) -> [Tensor<4>; 3] {
        numbers.map(|numbers| on(numbers, self.shape, device))
    }
}

fn on<const D: usize>(numbers: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), shape), device)
}

fn set<const D: usize>(param: Param<Tensor<D>>, numbers: &[f32]) -> Param<Tensor<D>> {
    param.map(|old| on(numbers, old.dims(), &old.device()))
}

#[test]
fn contexts_are_those_of_the_linformer_package() {
    let file = Parity::read();
    for device in sparta_ops::testing::devices() {
        for (found, sharing) in [
            (&file.linformer, "headwise"),
            (&file.linformer_key_value, "key_value"),
        ] {
            let k = file.rank;
            for word in ["linformer", "linformer_slots"] {
                let words = format!("{word}(k={k},sharing={sharing})");
                let mut made = linformer(&words, file.head_shape(), &device.device);
                made.key_projection = set(made.key_projection, &found.key_projection);
                made.value_projection = match (made.value_projection, &found.value_projection) {
                    (Some(param), Some(numbers)) => Some(set(param, numbers)),
                    (None, None) => None,
                    (Some(_), None) | (None, Some(_)) => panic!("{words}: other matrices"),
                };
                let at = file.inputs([&found.query, &found.key, &found.value], &device.device);
                let made = Mechanism::Linformer(made);
                let context = values(made.attend_all(at, AttentionOptions::default()));
                let off = distance(&context, &found.context);
                println!("{} {words}: {off}", device.name);
                assert!(off < 2e-5, "{} {words}: {off}", device.name);
            }
        }
    }
}

#[test]
fn contexts_are_those_of_transformers_nystromformer() {
    let file = Parity::read();
    let words = format!("nystrom(m={},conv={})", file.landmarks, file.kernel);
    let found = &file.nystrom;
    for device in sparta_ops::testing::devices() {
        let mut made = nystrom(&words, file.head_shape(), &device.device);
        let kernel = made.convolution.expect("a convolution");
        made.convolution = Some(set(kernel, &found.convolution));
        let at = file.inputs([&found.query, &found.key, &found.value], &device.device);
        let made = Mechanism::Nystrom(made);
        let context = values(made.attend_all(at, AttentionOptions::default()));
        let off = distance(&context, &found.context);
        println!("{}: {off}", device.name);
        assert!(off < 5e-5, "{}: {off}", device.name);
    }
}

#[test]
fn words_say_what_is_shared_and_what_cannot_be() {
    for (words, sharing) in [
        ("linformer(k=8,sharing=none)", ProjectionSharing::None),
        (
            "linformer_slots(k=8,sharing=key_value)",
            ProjectionSharing::KeyValue,
        ),
    ] {
        let MechanismConfig::Linformer(config) = of(words) else {
            panic!("not Linformer");
        };
        assert_eq!(
            (config.sharing, config.to_string()),
            (sharing, words.to_owned())
        );
    }
    assert_eq!(
        of("linformer(sharing=headwise)").to_string(),
        "linformer(k=64)"
    );
    assert_eq!(of("nystrom").to_string(), "nystrom(m=32)");
    let all = "nystrom(m=8,conv=0,iterations=12)";
    assert_eq!(of(all).to_string(), all);
    let error = "linformer(k=8,sharing=layerwise)".parse::<MechanismConfig>();
    assert_eq!(
        error.unwrap_err().to_string(),
        "linformer has no sharing=layerwise: each layer makes its own parameters: take sharing=key_value, \
         headwise or none"
    );
    for (words, field) in [
        ("linformer(k=0)", "normalizer.k"),
        ("nystrom(m=0)", "normalizer.m"),
        ("nystrom(m=4,conv=32)", "normalizer.conv"),
        ("nystrom(m=4,iterations=0)", "normalizer.iterations"),
    ] {
        let error = of(words).check("normalizer", Abilities::NONE).unwrap_err();
        assert!(error.to_string().contains(&format!("`{field}`")), "{error}");
    }
}

#[test]
fn what_is_shared_is_one_matrix() {
    let device = Device::flex();
    let [n_heads, n] = [SHAPE.n_heads, 2 * SEQ];
    for (sharing, n_matrices) in [("none", 2 * n_heads), ("headwise", 2), ("key_value", 1)] {
        for word in ["linformer", "linformer_slots"] {
            let config = of(&format!("{word}(k=5,sharing={sharing})"));
            assert_eq!(config.n_params(SHAPE), n_matrices * 5 * n, "{config}");
            assert_eq!(config.init(SHAPE, &device).num_params(), n_matrices * 5 * n);
        }
    }
    assert_eq!(of("nystrom(m=4)").n_params(SHAPE), 33 * n_heads);
    assert_eq!(of("nystrom(m=4,conv=0)").n_params(SHAPE), 0);
}

/// Every network says how many keys its queries have at most, and counts what that makes.
#[test]
fn networks_give_layers_their_lengths() {
    let device = Device::flex();
    let columns = |mechanism: &Mechanism| of_kind!(Linformer, mechanism).key_projection.dims()[2];
    for words in ["linformer(k=3,sharing=none)", "linformer(k=3)"] {
        let bert = BertConfig::new(9, 8, 2, 8, 2)
            .with_mechanism(of(words))
            .with_max_len(21);
        let made = bert.init(&device);
        assert_eq!(made.num_params(), bert.n_params(), "{words}");
        let mechanism = &made.encoder[1].self_attention.attention.mechanism;
        assert_eq!(columns(mechanism), 21);
        let config = Seq2SeqConfig::new(9, 9, 8, 2, 8, 2, 2).with_max_len(19);
        let config = config.with_encoder_self(of(words)).with_cross(of(words));
        let config = config.with_decoder_self(of("linformer_slots(k=5)"));
        let made = config.init(&device);
        assert_eq!(made.num_params(), config.n_params(), "{words}");
        let layer = &made.decoder[0];
        for attention in [
            &made.encoder[1].self_attention,
            &layer.self_attention,
            &layer.cross_attention,
        ] {
            assert_eq!(columns(&attention.attention.mechanism), 19);
        }
    }
    let bert = BertConfig::new(9, 8, 2, 8, 2).with_attention_dropout(0.0);
    let bert = bert.with_mechanism(of("nystrom(m=3)"));
    assert_eq!(bert.init(&device).num_params(), bert.n_params());
}

/// E and F start as N(0, 1/k), kernels as U(−1/√c, 1/√c).
#[test]
fn parameters_start_as_the_papers_have_them() {
    alone(|| {
        let device = Device::flex();
        device.seed(3);
        let shape = HeadShape {
            d_model: 16,
            n_heads: 8,
            d_head: 8,
            max_len: Some(512),
        };
        let deviation = |numbers: &[f32]| {
            let squares: f32 = numbers.iter().map(|x| x * x).sum();
            (squares / numbers.len() as f32).sqrt()
        };
        let made = linformer("linformer(k=16)", shape, &device);
        let keys = values(made.key_projection.val());
        let projected = values(made.value_projection.expect("F").val());
        assert_ne!(keys, projected);
        for numbers in [keys, projected] {
            let found = deviation(&numbers);
            assert!((found - 0.25).abs() < 0.01, "{found}");
        }
        let kernels = values(
            nystrom("nystrom(m=4)", shape, &device)
                .convolution
                .unwrap()
                .val(),
        );
        let bound = 33f32.powf(-0.5);
        assert!(kernels.iter().all(|x| x.abs() <= bound));
        let found = deviation(&kernels);
        assert!((found - bound / 3f32.sqrt()).abs() < 0.01, "{found}");
    });
}

#[test]
#[should_panic(
    expected = "linformer(k=4) has parameters for each position of a key: give the layer its max_len"
)]
fn a_layer_without_a_length_is_told_to_give_one() {
    let config = MultiHeadAttentionConfig::new(16, 2).with_mechanism(of("linformer(k=4)"));
    let _ = config.init(&Device::flex());
}

#[test]
#[should_panic(expected = "15 keys, but the projections have columns for 14")]
fn more_keys_than_positions_are_refused() {
    let device = Device::flex();
    let made = of("linformer(k=4)").init(SHAPE, &device);
    let _ = made.attend_all(inputs(1, 2 * SEQ + 1, &device), AttentionOptions::default());
}

/// Beside pretrained weights the convolution adds nothing: a sentence no longer than the landmarks is read as by
/// softmax attention. It is trained all the same.
#[test]
fn convolutions_start_at_zero_beside_pretrained_weights() {
    let device = Device::flex().autodiff();
    let weights = || Weights::from_safetensors(&import::file("spans", import::as_is)).unwrap();
    let made = |config: MechanismConfig| {
        let tiny = parity::tiny().with_attention_dropout(0.0).with_dropout(0.0);
        let model = tiny.with_mechanism(config).init_span_finder(&device);
        let (model, _) = import_bert(model, weights(), &ImportOptions::default()).unwrap();
        model
    };
    let softmax = made(MechanismConfig::SOFTMAX);
    let model = made(of("nystrom(m=8)"));
    let attention = &model.bert.encoder[0].self_attention.attention;
    let Mechanism::Nystrom(Nystrom {
        convolution: Some(kernel),
        ..
    }) = &attention.mechanism
    else {
        panic!("no convolution");
    };
    assert!(values(kernel.val()).iter().all(|x| *x == 0.0));
    assert!(kernel.val().is_require_grad());
    let tokens = Tensor::<2, Int>::from_ints([[1, 5, 6, 2]], &device);
    let start = |of: &sparta_model::bert::BertSpanFinder| {
        let input = sparta_model::bert::BertInput::new(tokens.clone());
        values(of.forward(input).start)
    };
    assert!(distance(&start(&model), &start(&softmax)) < 1e-5);
}

/// A layer's padded batch, longer and shorter than the landmarks, is read as each sentence alone.
#[test]
fn a_layer_reads_a_padded_batch_as_each_sentence_alone() {
    let device = Device::flex();
    let lengths = [2, 9, 4];
    let x = Tensor::<3>::random([3, 9, 16], Distribution::Normal(0.0, 1.0), &device);
    for words in [
        "nystrom(m=4,conv=3)",
        "linformer(k=4)",
        "linformer_slots(k=4)",
    ] {
        let config = MultiHeadAttentionConfig::new(16, 2)
            .with_mechanism(of(words))
            .with_max_len(Some(12))
            .with_dropout(0.0);
        let layer = config.init(&device);
        let padding = cells([3, 9], &device, |cell| cell % 9 >= lengths[cell / 9]);
        let input = AttentionInput::self_attention(x.clone()).key_padding(padding);
        let whole = layer.forward(input).context;
        for (i, length) in lengths.into_iter().enumerate() {
            let part = |tensor: Tensor<3>| tensor.narrow(0, i, 1).narrow(1, 0, length);
            let alone = layer
                .forward(AttentionInput::self_attention(part(x.clone())))
                .context;
            let off = distance(&values(part(whole.clone())), &values(alone));
            assert!(off < 2e-6, "{words}, {length}: {off}");
        }
    }
}

/// A text in segments, with the slots handed on, is as the text in one; its columns are those of the whole text.
#[test]
fn a_language_model_goes_on_from_its_slots() {
    let device = Device::flex();
    let config = TransformerXlConfig::new(10, 2, 8, 2, 4, 8, 6, 4)
        .with_mechanism(of("linformer_slots(k=3)"));
    let config = config.with_dropout(0.0);
    let model = config.init(&device);
    assert_eq!(model.num_params(), config.n_params());
    assert!(
        matches!(&model.layers[0].attention.mechanism, Mechanism::Linformer(made)
        if made.key_projection.dims() == [1, 3, 10])
    );
    let tokens = Tensor::<2, Int>::from_ints([[1, 5, 6, 2, 9, 3], [4, 4, 0, 7, 8, 1]], &device);
    let first = |tokens| model.forward(TransformerXlInput::new(tokens));
    let part = |from, n| tokens.clone().narrow(1, from, n);
    let before = first(part(0, 3));
    let after = |mems| {
        values(
            model
                .forward(TransformerXlInput::new(part(3, 3)).mems(mems))
                .hidden,
        )
    };
    let found = after(before.mems.clone());
    // The slots count, and so does the place in them.
    assert!(distance(&found, &values(first(part(3, 3)).hidden)) > 1e-3);
    let moved = before.mems.into_iter().map(|packed| {
        let [batch, n_heads, width] = packed.dims();
        let next = packed.clone().narrow(2, width - 1, 1).add_scalar(1.0);
        packed.slice_assign([0..batch, 0..n_heads, width - 1..width], next)
    });
    assert!(distance(&found, &after(moved.collect())) > 1e-3);
    // Without a memory nothing is handed on.
    let none = Lengths {
        mem_len: 0,
        ..model.lengths()
    };
    let model = model.clone().with_lengths(none);
    assert!(
        model
            .forward(TransformerXlInput::new(tokens))
            .mems
            .is_empty()
    );
}
