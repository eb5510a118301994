//! Adaptive span and head gates: words, formulas, what they refuse, and heads that are closed.

use burn::module::Param;
use burn::nn::Linear;
use burn::prelude::*;
use sparta_model::layer::mechanism::settle_gates;
use sparta_model::layer::{
    AttentionInput, GateConfig, HeadGate, LearnedName, MultiHeadAttention, MultiHeadAttentionConfig,
};
use sparta_ops::attention::{Implementation, Packing, Span};
use sparta_ops::pruning::{
    AttentionPattern, CellRule, GlobalMask, Grid, PatternHeader, Placement, Scope, Semantics,
};

use super::*;
use crate::distance;

fn read(words: &str) -> MechanismConfig {
    words.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn parts_have_words_and_names_in_tables() {
    for (words, label) in [
        ("softmax+span", "softmax+span"),
        ("entmax15+gate", "1.5-entmax+gate"),
        (
            "alpha_entmax+span(r=16,s=128,start=full,lambda=0.00001)+gate(lambda=0.01,beta=0.5,start=1)",
            "alpha-entmax+span(r=16,s=128,start=full,lambda=0.00001)+gate(lambda=0.01,beta=0.5,start=1)",
        ),
    ] {
        let config = read(words);
        assert_eq!(
            (config.to_string(), config.label()),
            (words.to_owned(), label.to_owned())
        );
    }
    // The order of parts does not matter, and what is usual is not written.
    assert_eq!(
        read("softmax + gate(start=2) + span(r=32)"),
        read("softmax+span+gate")
    );
    for words in [
        "softmax+",
        "softmax+span+span",
        "softmax+gate()",
        "softmax+span(32)",
        "softmax+span(start=none)",
        "softmax+gate(s=3)",
        "softmax+window",
        "favor+span",
    ] {
        let error = words.parse::<MechanismConfig>().unwrap_err().to_string();
        assert!(error.contains(&format!("`{words}`")), "{error}");
    }
    for (words, field) in [
        ("softmax+span(r=0)", "span.r"),
        ("softmax+span(s=0)", "span.s"),
        ("softmax+span(s=9,start=10)", "span.start"),
        ("softmax+span(start=-1)", "span.start"),
        ("softmax+span(lambda=NaN)", "span.lambda"),
        ("softmax+gate(lambda=-1)", "gate.lambda"),
        ("softmax+gate(beta=0)", "gate.beta"),
        ("softmax+gate(start=5)", "gate.start"),
    ] {
        let error = read(words).check("model.normalizers", Abilities::NONE);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains(&format!("model.normalizers.{field}")),
            "{error}"
        );
    }
}

/// There is no distance to another sequence, and pretrained weights were trained to see every key.
#[test]
fn a_span_is_refused_where_it_means_nothing() {
    let translator = Seq2SeqConfig::new(9, 9, 8, 2, 8, 1, 1);
    let span = read("softmax+span(s=9)");
    let error = translator.clone().with_cross(span).validate().unwrap_err();
    assert_eq!(
        error.to_string(),
        "softmax+span(s=9) cannot attend to another sequence: give `cross` another attention mechanism"
    );
    let own = translator.with_encoder_self(span).with_decoder_self(span);
    assert!(own.validate().is_ok());
    let needed = Abilities {
        pretrained: true,
        ..Abilities::NONE
    };
    let error = span.check("mechanism", needed).unwrap_err().to_string();
    assert!(
        error.contains("`mechanism.span.start` is 0.0 in `softmax+span(s=9)`, but it must be full"),
        "{error}"
    );
    for words in ["softmax+span(s=9,start=full)", "softmax+gate"] {
        assert!(read(words).check("mechanism", needed).is_ok(), "{words}");
    }
}

#[test]
fn a_span_of_every_key_is_none() {
    let device = Device::flex();
    for normalizer in ["softmax", "sparsemax", "entmax15", "fusedmax(0.1)"] {
        let at = inputs(BATCH, SEQ, &device);
        let attend = |words: &str| {
            let made = read(words).init(SHAPE, &device);
            values(made.attend_all(at.clone(), AttentionOptions::default()))
        };
        let full = attend(&format!("{normalizer}+span(s=7,start=full)"));
        assert!(distance(&full, &attend(normalizer)) < 1e-6, "{normalizer}");
        let short = attend(&format!("{normalizer}+span(r=2)"));
        assert!(distance(&full, &short) > 1e-2, "{normalizer}");
    }
}

fn span(device: &Device) -> Span {
    Span {
        length: Tensor::ones([SHAPE.n_heads], device),
        ramp: 2.0,
    }
}

/// A span that a call gives is as one of the mechanism's own.
#[test]
fn a_span_that_is_given_is_obeyed() {
    let device = Device::flex();
    let at = inputs(BATCH, SEQ, &device);
    for normalizer in ["softmax", "entmax15", "fusedmax(0.1)"] {
        let of = |words: &str, options| {
            let made = read(words).init(SHAPE, &device);
            values(made.attend_all(at.clone(), options))
        };
        let given = AttentionOptions::default().span(span(&device));
        let given = of(normalizer, given);
        let own = format!("{normalizer}+span(r=2,s=4,start=1)");
        assert_eq!(given, of(&own, AttentionOptions::default()), "{normalizer}");
        let none = of(normalizer, AttentionOptions::default());
        assert!(distance(&given, &none) > 1e-2, "{normalizer}");
    }
}

/// With as many keys as kernels want, those that have none for the span are not asked.
#[test]
fn a_span_that_is_given_is_obeyed_under_a_mask_of_many_keys() {
    const KEYS: usize = 200;
    let device = Device::flex();
    let at = inputs(1, KEYS, &device);
    for words in ["softmax+local(w=40)", "entmax15+local(w=40)"] {
        let made = read(words).init(SHAPE, &device);
        let of = |implementation| {
            let options = AttentionOptions::default().span(span(&device));
            values(made.attend_all(at.clone(), options.implementation(implementation)))
        };
        let off = distance(&of(Implementation::Auto), &of(Implementation::Reference));
        assert!(off < 1e-5, "{words}: {off}");
    }
}

#[test]
#[should_panic(expected = "has a span of its own")]
fn two_spans_are_refused() {
    let device = Device::flex();
    let made = read("softmax+span(s=4)").init(SHAPE, &device);
    let options = AttentionOptions::default().span(span(&device));
    let _ = made.attend_all(inputs(BATCH, SEQ, &device), options);
}

#[test]
#[should_panic(expected = "leave `packing` out")]
fn a_bias_by_distance_packs_no_sequences() {
    let device = Device::flex();
    let made = read("softmax+nape").init(SHAPE, &device);
    let packing = Packing::new(&[1, 3], &[3, 4]).unwrap();
    let [query, key, value] = [(4, 1), (7, 2), (7, 3)].map(|(n, seed)| heads(1, n, seed, &device));
    let options = AttentionOptions::default().packing(packing);
    let _ = made.attend_all([query, key, value], options);
}

fn one(tensor: Tensor<1>) -> f64 {
    f64::from(values(tensor)[0])
}

/// λ·S·mean(z/S) and λ·ΣP(g > 0), and what the log shows.
#[test]
fn penalties_and_what_was_learned() {
    let device = Device::flex();
    let made = read("softmax+span(r=4,s=20,start=5,lambda=0.1)+gate(lambda=0.5,start=1)");
    let made = made.init(SHAPE, &device);
    let expected = 0.1 * 5.0 + 0.5 * 2.0 * 0.857;
    let penalty = one(made.penalty().unwrap());
    assert!((penalty - expected).abs() < 1e-3, "{penalty} {expected}");
    let learned: Vec<_> = made
        .learned()
        .into_iter()
        .map(|(name, of)| (name, values(of)))
        .collect();
    assert_eq!(learned[0], (LearnedName::Span, vec![9.0; 2]));
    assert_eq!(learned[1].0, LearnedName::Gate);
    assert!((learned[1].1[0] - 0.777).abs() < 1e-3);
    // No more than there are keys.
    let wide = read("softmax+span(s=20,start=5)").init(SHAPE, &device);
    assert_eq!(values(wide.learned().remove(0).1), [14.0; 2]);
    assert!(
        read("alpha_entmax")
            .init(SHAPE, &device)
            .penalty()
            .is_none()
    );
}

fn gate(start: f64, n_heads: usize, device: &Device) -> HeadGate {
    let config = DotProductConfig {
        gate: Some(GateConfig {
            start,
            ..GateConfig::default()
        }),
        ..DotProductConfig::new(NormalizerConfig::Softmax)
    };
    let shape = HeadShape { n_heads, ..SHAPE };
    let made = MechanismConfig::DotProduct(config).init(shape, device);
    of_kind!(DotProduct, made).gate.unwrap()
}

#[test]
fn evaluation_gates_and_probabilities_are_those_of_the_formula() {
    let device = Device::flex();
    for (a, open, expected) in [
        (-2.0, 0.230, 0.043),
        (-1.0, 0.448, 0.223),
        (0.0, 0.688, 0.5),
        (1.0, 0.857, 0.777),
        (2.0, 0.942, 0.957),
    ] {
        let gate = gate(a, 1, &device);
        assert!((one(gate.open_probability()) - open).abs() < 6e-4, "{a}");
        assert!((one(gate.gates()) - expected).abs() < 6e-4, "{a}");
        assert_eq!(values(gate.gates_now()), values(gate.gates()), "{a}");
    }
    for (a, is_end) in [(2.3978, false), (2.3980, true)] {
        let ends = [-a, a].map(|a| one(gate(a, 1, &device).gates()));
        assert_eq!(
            (ends[0] == 0.0, ends[1] == 1.0),
            (is_end, is_end),
            "{a}: {ends:?}"
        );
    }
}

/// By Monte Carlo over as many heads: P(g > 0) = σ(a + 0.7913), P(g = 1) = σ(a − 0.7913); and the gradient of what was
/// drawn.
#[test]
fn training_draws_gates() {
    const N: usize = 40_000;
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let device = Device::flex().autodiff();
    for a in [-1.0, 0.5, 2.0] {
        let gate = gate(a, N, &device);
        let drawn = gate.gates_now();
        let gradients = drawn.clone().sum().backward();
        let slopes = values(gate.log_odds.val().grad(&gradients).unwrap());
        let drawn = values(drawn);
        let share =
            |is: &dyn Fn(f32) -> bool| drawn.iter().filter(|g| is(**g)).count() as f64 / N as f64;
        let found = [share(&|g| g > 0.0), share(&|g| g == 1.0)];
        let expected = [sigmoid(a + 0.7913), sigmoid(a - 0.7913)];
        for (found, expected) in found.into_iter().zip(expected) {
            // Four standard deviations.
            assert!((found - expected).abs() < 0.01, "{a}: {found} {expected}");
        }
        for (g, slope) in drawn.into_iter().zip(slopes) {
            let s = (f64::from(g) + 0.1) / 1.2;
            let expected = match g > 0.0 && g < 1.0 {
                true => 1.2 * s * (1.0 - s) / 0.33,
                false => 0.0,
            };
            assert!(
                (f64::from(slope) - expected).abs() < 1e-3,
                "{g}: {slope} {expected}"
            );
        }
    }
}

const D_MODEL: usize = 12;
const N_HEADS: usize = 3;
const D_HEAD: usize = D_MODEL / N_HEADS;
const CLOSED: usize = 1;

fn gated_layer(device: &Device) -> MultiHeadAttention {
    let config = MultiHeadAttentionConfig::new(D_MODEL, N_HEADS);
    let mut layer = config.with_mechanism(read("entmax15+gate")).init(device);
    let Mechanism::DotProduct(attention) = &mut layer.mechanism else {
        panic!("not dot-product attention")
    };
    let gate = attention.gate.as_mut().unwrap();
    gate.log_odds = Param::from_tensor(Tensor::from_floats([3.0, -2.5, 4.0], device));
    layer
}

/// Columns of the heads that are open, or with `rows` the rows.
fn without(map: &Linear, rows: bool) -> Linear {
    let open: Vec<i64> = (0..D_MODEL as i64)
        .filter(|i| *i as usize / D_HEAD != CLOSED)
        .collect();
    let weight = map.weight.val();
    let open = Tensor::<1, Int>::from_data(open.as_slice(), &weight.device());
    Linear {
        weight: Param::from_tensor(weight.select(usize::from(!rows), open.clone())),
        bias: map.bias.clone().map(|bias| match rows {
            true => bias,
            false => Param::from_tensor(bias.val().select(0, open)),
        }),
    }
}

#[test]
fn a_closed_head_is_a_removed_one() {
    let device = Device::flex();
    let closed = gated_layer(&device);
    let config = MultiHeadAttentionConfig::new(D_MODEL, N_HEADS - 1).with_d_head(Some(D_HEAD));
    let mut removed = config.with_mechanism(read("entmax15")).init(&device);
    removed.query = without(&closed.query, false);
    removed.key = closed.key.as_ref().map(|key| without(key, false));
    removed.value = without(&closed.value, false);
    removed.output = without(&closed.output, true);
    let x: Tensor<3> = tensor([2, SEQ, D_MODEL], 5, &device);
    let attend = |layer: &MultiHeadAttention| {
        values(
            layer
                .forward(AttentionInput::self_attention(x.clone()).causal())
                .context,
        )
    };
    assert!(distance(&attend(&closed), &attend(&removed)) < 1e-6);
}

/// Its cells are zeros where attention is observed, and are hidden before any other.
#[test]
fn the_cells_of_a_closed_head_are_hidden_first() {
    let device = Device::flex();
    let layer = gated_layer(&device);
    let x: Tensor<3> = tensor([2, SEQ, D_MODEL], 5, &device).mul_scalar(0.1);
    let output = layer.forward(AttentionInput::self_attention(x).return_weights());
    let kind = AttentionType::EncoderSelf;
    let grid = Grid {
        n_heads: N_HEADS,
        n_rows: SEQ,
        n_cols: SEQ,
        rule: CellRule::Full,
    };
    let mut pattern = AttentionPattern::new(PatternHeader::new("c", "m").with(kind, 0, grid));
    let weights = output.weights.unwrap();
    let (at, placement) = (weights.clone(), Placement::at(0, 0));
    pattern.observe_tensor(kind, 0, at, &placement).unwrap();
    let share = 1.0 / N_HEADS as f64;
    let mask = GlobalMask::from_pattern(&pattern, share, Scope::Layer, Semantics::Corrected);
    let cells = mask.unwrap().cells(kind, 0, SEQ, SEQ).unwrap();
    for (head, weights) in values(weights).chunks(SEQ * SEQ).take(N_HEADS).enumerate() {
        let is_closed = head == CLOSED;
        assert_eq!(weights.iter().all(|w| *w == 0.0), is_closed, "{head}");
        let cells = &cells[head * SEQ * SEQ..][..SEQ * SEQ];
        assert!(cells.iter().all(|hidden| *hidden == is_closed), "{head}");
    }
}

#[test]
fn settled_gates_are_zero_or_one() {
    let device = Device::flex().autodiff();
    let mut layer = gated_layer(&device);
    if let Mechanism::DotProduct(attention) = &mut layer.mechanism {
        let gate = attention.gate.as_mut().unwrap();
        let a = Tensor::<1>::from_floats([0.3, -0.3, 0.0], &device).require_grad();
        gate.log_odds = Param::from_tensor(a);
    }
    let Mechanism::DotProduct(attention) = settle_gates(layer).mechanism else {
        panic!("not dot-product attention")
    };
    let gate = attention.gate.unwrap();
    assert_eq!(values(gate.gates()), [1.0, 0.0, 1.0]);
    assert!(gate.log_odds.val().is_require_grad());
}
