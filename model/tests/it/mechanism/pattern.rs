//! Static patterns: the cells of a mask, in every network, under every implementation.

use burn::prelude::*;
use burn::tensor::TensorData;
use sparta_model::bert::{BertConfig, BertInput};
use sparta_model::layer::{AttentionInput, MultiHeadAttentionConfig};
use sparta_model::seq2seq::{MaskRows, Seq2SeqInput, Seq2SeqMasks};
use sparta_model::transformer_xl::{Lengths, TransformerXl, TransformerXlInput};
use sparta_model::{LayerMask, masks_of};
use sparta_ops::attention::{AttentionOptions, Implementation, RelativeTerm};
use sparta_ops::pruning::{CellRule, GlobalMask, Grid, StaticPattern};

use super::*;
use crate::{alone, distance, mask, some_words, words};

const PATTERNS: [&str; 7] = [
    "fixed(l=3,c=1)",
    "fixed(l=4,c=2,verts=2,form=heads)",
    "strided(l=3)",
    "strided(l=4,form=merged)",
    "local(w=2)",
    "random(keep=0.4,seed=3)",
    "random(keep=0.3,seed=3,first=visible)",
];

fn patterns() -> impl Iterator<Item = (&'static str, StaticPattern)> {
    PATTERNS
        .into_iter()
        .map(|words| (words, words.parse().unwrap()))
}

/// A row normaliser with a pattern, and without it.
fn mechanisms(normalizer: &str, pattern: &str) -> [MechanismConfig; 2] {
    let with = format!("{normalizer}+{pattern}").parse().unwrap();
    [with, normalizer.parse().unwrap()]
}

/// What a pattern hides of a grid, as cells.
fn grid_cells(
    pattern: StaticPattern,
    rule: CellRule,
    shape: [usize; 3],
    device: &Device,
) -> Tensor<3, Bool> {
    Tensor::from_data(TensorData::new(pattern.cells(rule, shape), shape), device)
}

#[test]
fn words_have_parts_and_their_errors_say_what_is_known() {
    for words in [
        "softmax+local(w=16)",
        "entmax15+fixed(l=16,c=2)",
        "entmax(1.3)+strided(l=16,form=merged)",
        "fusedmax(0.1)+random(keep=0.25,seed=1)",
    ] {
        let config: MechanismConfig = words.parse().unwrap();
        assert_eq!(config.to_string(), words);
        assert!(config.static_pattern().is_some());
        assert!(config.check("model.normalizers", Abilities::NONE).is_ok());
        assert_eq!(config.n_params(SHAPE), 0);
    }
    let labelled: MechanismConfig = "entmax15+local(w=16)".parse().unwrap();
    assert_eq!(labelled.label(), "1.5-entmax+local(w=16)");
    for words in [
        "softmax+",
        "softmax+local",
        "softmax+local()",
        "softmax+near(w=3)",
        "softmax+local(w=3)+fixed(l=4,c=1)",
        "favor(m=64)+local(w=3)",
        "local(w=3)",
    ] {
        assert!(words.parse::<MechanismConfig>().is_err(), "{words}");
    }
    let wide: MechanismConfig = "softmax+fixed(l=4,c=5)".parse().unwrap();
    let error = wide
        .check("model.normalizers", Abilities::NONE)
        .unwrap_err();
    assert!(error.to_string().contains("model.normalizers.c"), "{error}");
}

/// A pattern is the normaliser under the cells of its mask, causal or not.
#[test]
fn a_pattern_is_its_cells() {
    let device = Device::flex();
    let shape = [SHAPE.n_heads, SEQ, SEQ];
    for normalizer in ["softmax", "entmax15", "entmax(1.3)", "fusedmax(0.1)"] {
        for (words, pattern) in patterns() {
            let made = mechanisms(normalizer, words).map(|config| config.init(SHAPE, &device));
            for rule in [CellRule::Causal { memory: 0 }, CellRule::Full] {
                let options = || AttentionOptions {
                    causal: rule != CellRule::Full,
                    return_weights: true,
                    ..AttentionOptions::default()
                };
                let masked = options().global_mask(grid_cells(pattern, rule, shape, &device));
                let [query, key, value] = inputs(BATCH, SEQ, &device);
                let of = |mechanism: &Mechanism, options| {
                    let (query, key, value) = (query.clone(), key.clone(), value.clone());
                    let output = mechanism.attend(query, key, value, options);
                    [values(output.context), values(output.weights.unwrap())]
                };
                let found = of(&made[0], options());
                assert_eq!(found, of(&made[1], masked), "{normalizer}+{words}, {rule}");
                assert_ne!(
                    found,
                    of(&made[1], options()),
                    "{normalizer}+{words}, {rule}"
                );
            }
        }
    }
}

#[test]
fn token_after_token_is_the_same_as_all_at_once() {
    let device = Device::flex();
    for (words, _) in patterns() {
        let [config, _] = mechanisms("entmax15", words);
        let made = config.init(SHAPE, &device);
        let at = inputs(BATCH, SEQ, &device);
        let rows = |tensor: &Tensor<4>, rows| tensor.clone().slice_dim(2, rows);
        let all = made.attend_all(at.clone(), AttentionOptions::default().causal());
        for i in 0..SEQ {
            let one = [
                rows(&at[0], i..i + 1),
                rows(&at[1], 0..i + 1),
                rows(&at[2], 0..i + 1),
            ];
            let one = values(made.attend_all(one, AttentionOptions::default()));
            let off = distance(&one, &values(rows(&all, i..i + 1)));
            assert!(off < 1e-6, "{words}, token {i}: {off}");
        }
    }
}

/// However far a batch is padded on the right, an encoder's sentence gets the same.
#[test]
fn padding_moves_nothing() {
    let device = Device::flex();
    let x: Tensor<3> = tensor([1, SEQ, 16], 6, &device);
    for (words, _) in patterns() {
        let [config, _] = mechanisms("softmax", words);
        let layer = MultiHeadAttentionConfig::new(16, 2)
            .with_mechanism(config)
            .init(&device);
        let alone = values(
            layer
                .forward(AttentionInput::self_attention(x.clone()))
                .context,
        );
        for extra in [1, 7, 70] {
            let more: Tensor<3> = tensor([1, extra, 16], 7, &device).mul_scalar(1e3);
            let padded = Tensor::cat(vec![x.clone(), more], 1);
            let padding = cells([1, SEQ + extra], &device, |cell| cell >= SEQ);
            let input = AttentionInput::self_attention(padded).key_padding(padding);
            let found = layer.forward(input).context.slice_dim(1, 0..SEQ);
            let off = distance(&values(found), &alone);
            assert!(off <= 1e-6, "{words}, {extra} more: {off}");
        }
    }
}

/// With as many keys as kernels want, blocks that a pattern hides are skipped: forward and backward are those of
/// the definition, with a global mask on top and without.
#[test]
fn fused_attention_is_the_same() {
    alone(|| {
        const KEYS: usize = 200;
        let device = Device::flex().autodiff();
        let top =
            |head: usize, row: usize, col: usize| (row * 7 + col * 3 + head).is_multiple_of(5);
        for words in [
            "local(w=40)",
            "fixed(l=32,c=16)",
            "fixed(l=20,c=3)",
            "strided(l=16)",
            "random(keep=0.2)",
        ] {
            let [config, _] = mechanisms("entmax15", words);
            for (causal, masked) in [(true, false), (true, true), (false, false), (false, true)] {
                let run = |implementation| {
                    device.seed(3);
                    let layer = MultiHeadAttentionConfig::new(16, 2)
                        .with_mechanism(config)
                        .with_implementation(implementation)
                        .with_dropout(0.0)
                        .init(&device);
                    let x: Tensor<3> = tensor([1, KEYS, 16], 6, &device).require_grad();
                    let mut input = AttentionInput::self_attention(x.clone());
                    if causal {
                        input = input.causal();
                    }
                    if masked {
                        input = input.global_mask(mask([2, KEYS, KEYS], &device, top));
                    }
                    let context = layer.forward(input).context;
                    let gradients = context.clone().powf_scalar(2.0).sum().backward();
                    [values(context), values(x.grad(&gradients).unwrap())]
                };
                let [reference, fused] =
                    [Implementation::Reference, Implementation::Fused].map(run);
                for (reference, fused) in reference.iter().zip(&fused) {
                    let largest = reference.iter().fold(0f32, |most, x| most.max(x.abs()));
                    let off = distance(reference, fused);
                    assert!(
                        off < 2e-5 * largest.max(1.0),
                        "{words}, {causal}, {masked}: {off}"
                    );
                }
            }
        }
    });
}

/// Reads segments one after the other, carrying the memory.
fn read(model: &TransformerXl, masks: Option<&[LayerMask]>, device: &Device) -> Vec<Vec<f32>> {
    let Lengths { tgt_len, .. } = model.lengths();
    let text = some_words(3 * tgt_len + 2, 30, 1);
    let mut mems = None;
    let segments = text.chunks(tgt_len).map(|ids| {
        let mut input = TransformerXlInput::new(words(ids, 1, device));
        input.mems = mems.take();
        input.masks = masks.map(<[LayerMask]>::to_vec);
        let output = model.forward(input);
        mems = Some(output.mems);
        values(output.hidden)
    });
    segments.collect()
}

/// Transformer-XL with a pattern is the same network under the mask that the pattern makes, in every segment of a
/// stream, with a mask on top and without.
#[test]
fn a_stream_has_the_cells_of_the_mask_file() {
    alone(|| {
        let (device, tgt_len) = (Device::flex(), 12);
        for (words, pattern) in patterns() {
            for (mem_len, implementation) in [
                (12, Implementation::Reference),
                (7, Implementation::Reference),
                (150, Implementation::Auto),
            ] {
                let model = |mechanism| {
                    device.seed(7);
                    TransformerXlConfig::new(30, 2, 16, 2, 8, 32, tgt_len, mem_len)
                        .with_dropout(0.0)
                        .with_init_std(0.3)
                        .with_implementation(implementation)
                        .with_mechanism(mechanism)
                        .init(&device)
                };
                let [with, without] = mechanisms("entmax15", words).map(model);
                let grid = Grid {
                    n_heads: 2,
                    n_rows: tgt_len,
                    n_cols: mem_len + tgt_len,
                    rule: CellRule::Causal { memory: mem_len },
                };
                let kind = AttentionType::DecoderSelf;
                let file =
                    GlobalMask::from_static(pattern, [0, 1].map(|i| ((kind, i), grid))).unwrap();
                let masks = masks_of(&file, kind, grid.n_rows, grid.n_cols, &device).unwrap();
                let found = read(&with, None, &device);
                assert_eq!(
                    found,
                    read(&without, masks.as_deref(), &device),
                    "{words}, {mem_len}"
                );
                assert_ne!(found, read(&without, None, &device), "{words}, {mem_len}");

                let shape = [2, grid.n_rows, grid.n_cols];
                let top =
                    |head: usize, row: usize, col: usize| (row + col + head).is_multiple_of(3);
                let both = |head, row, col| {
                    top(head, row, col) || pattern.hidden(grid.rule, 2, head, row, col)
                };
                let [top, both] = [mask(shape, &device, top), mask(shape, &device, both)];
                let found = read(&with, Some(&[top.clone(), top]), &device);
                let expected = read(&without, Some(&[both.clone(), both]), &device);
                assert_eq!(found, expected, "{words}, {mem_len}");
            }
        }
    });
}

/// A decoder that writes one token after the other sees what training saw, and its encoder the cells of its mask.
#[test]
fn a_translator_decodes_as_it_was_trained() {
    alone(|| {
        let device = Device::flex();
        for (words_of, _) in patterns() {
            let [config, _] = mechanisms("softmax", words_of);
            device.seed(7);
            let model = Seq2SeqConfig::new(30, 30, 16, 2, 32, 2, 2)
                .with_encoder_self(config)
                .with_decoder_self(config)
                .init(&device);
            let (source, target) = (some_words(9, 30, 1), some_words(11, 30, 2));
            let source = words(&source, 1, &device);
            let input = Seq2SeqInput::new(source.clone(), words(&target, 1, &device));
            let all = model.logits(model.forward(input).hidden);
            let masks = Seq2SeqMasks {
                rows: MaskRows::True,
                ..Seq2SeqMasks::default()
            };
            let mut state = model.start(model.encode(source, None, &masks, false));
            for (i, &token) in target.iter().enumerate() {
                let token = Tensor::<1, Int>::from_ints([token], &device);
                let step = model.decode_step(state, token, &masks, false);
                state = step.state;
                let expected = values(all.clone().slice_dim(1, i..i + 1));
                let off = distance(&values(step.logits), &expected);
                assert!(off < 1e-5, "{words_of}, token {i}: {off}");
            }
        }
    });
}

/// BERT's first position stands for the sequence: it sees all, and all see it.
#[test]
fn a_classifiers_first_position_is_visible() {
    alone(|| {
        let device = Device::flex();
        let pattern: StaticPattern = "local(w=1,first=visible)".parse().unwrap();
        let model = |mechanism| {
            device.seed(7);
            let config = BertConfig::new(30, 16, 2, 32, 2)
                .with_dropout(0.0)
                .with_attention_dropout(0.0);
            let config: BertConfig = config.with_mechanism(mechanism);
            (config.static_pattern(), config.init(&device))
        };
        let [with, without] = mechanisms("softmax", "local(w=1)").map(model);
        assert_eq!((with.0, without.0), (Some(pattern), None));
        let tokens = words(&some_words(9, 30, 1), 1, &device);
        let cells = mask([2, 9, 9], &device, |head, row, col| {
            pattern.hidden(CellRule::Full, 2, head, row, col)
        });
        let hidden = |model: &sparta_model::bert::Bert, masks: Option<Vec<LayerMask>>| {
            let mut input = BertInput::new(tokens.clone());
            input.masks = masks;
            values(model.forward(input).hidden)
        };
        let found = hidden(&with.1, None);
        assert_eq!(found, hidden(&without.1, Some(vec![cells.clone(), cells])));
        assert_ne!(found, hidden(&without.1, None));
    });
}

#[test]
fn what_a_pattern_cannot_be_is_said_before_anything_is_trained() {
    let local: MechanismConfig = "softmax+local(w=4)".parse().unwrap();
    let fixed: MechanismConfig = "softmax+fixed(l=4,c=1)".parse().unwrap();
    let halves: MechanismConfig = "softmax+strided(l=4)".parse().unwrap();
    let translator = Seq2SeqConfig::new(9, 9, 8, 2, 8, 1, 1);
    let error = translator
        .clone()
        .with_cross(local)
        .validate()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("local(w=4) cannot attend to another sequence"),
        "{error}"
    );
    let error = Seq2SeqConfig::new(9, 9, 8, 1, 8, 1, 1)
        .with_decoder_self(halves)
        .validate()
        .unwrap_err();
    assert!(error.to_string().contains("form=merged"), "{error}");
    let xl =
        |tgt_len| TransformerXlConfig::new(10, 1, 8, 2, 4, 8, tgt_len, 3).with_mechanism(fixed);
    assert!(xl(8).validate().is_ok());
    let error = xl(6).validate().unwrap_err().to_string();
    assert!(error.contains("multiple of l = 4"), "{error}");
    let bert = BertConfig::new(9, 8, 1, 8, 1).with_mechanism(halves);
    assert!(bert.validate().unwrap_err().to_string().contains("n_heads"));
}

#[test]
#[should_panic(expected = "cannot attend to another sequence")]
fn a_layer_does_not_take_another_sequence_for_its_own() {
    let device = Device::flex();
    let [config, _] = mechanisms("softmax", "local(w=2)");
    let layer = MultiHeadAttentionConfig::new(16, 2)
        .with_mechanism(config)
        .init(&device);
    let x: Tensor<3> = tensor([1, SEQ, 16], 6, &device);
    layer.forward(AttentionInput::cross(x.clone(), x));
}

/// A relative term belongs to distances as without a pattern.
#[test]
fn the_relative_term_stays() {
    let device = Device::flex();
    let [with, without] = mechanisms("softmax", "local(w=3)").map(|of| of.init(SHAPE, &device));
    let term = RelativeTerm {
        query: heads(BATCH, SEQ, 4, &device),
        positions: tensor([SHAPE.n_heads, SEQ + 1, SHAPE.d_head], 8, &device),
    };
    let pattern: StaticPattern = "local(w=3)".parse().unwrap();
    let causal = CellRule::Causal { memory: 0 };
    let cells = grid_cells(pattern, causal, [1, SEQ, SEQ], &device);
    let options = || AttentionOptions::default().causal().relative(term.clone());
    let found = with.attend_all(inputs(BATCH, SEQ, &device), options());
    let expected = without.attend_all(inputs(BATCH, SEQ, &device), options().global_mask(cells));
    assert_eq!(values(found), values(expected));
}
