//! Every attention mechanism, held to each ability that it claims.
//!
//! A new mechanism does not compile here until it has a place in the catalogue, and stays red until
//! what it claims is so.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::{Gradients, TensorData};
use sparta_model::bert::BertInput;
use sparta_model::import::{ImportOptions, Weights, import_bert};
use sparta_model::layer::{Abilities, HeadShape, Mechanism, MechanismConfig, NormalizerConfig};
use sparta_model::seq2seq::Seq2SeqConfig;
use sparta_model::transformer_xl::TransformerXlConfig;
use sparta_ops::attention::{AttentionOptions, RelativeTerm};
use sparta_ops::pruning::AttentionType;

use crate::bert::{import, parity};
use crate::{distance, values};

/// One of each kind of mechanism, in the order of [`MechanismConfig::WORDS`].
const CATALOGUE: [MechanismConfig; MechanismConfig::WORDS.len()] = [
    MechanismConfig::DotProduct(NormalizerConfig::Softmax),
    MechanismConfig::DotProduct(NormalizerConfig::Sparsemax),
    MechanismConfig::DotProduct(NormalizerConfig::Entmax15),
    MechanismConfig::DotProduct(NormalizerConfig::Entmax { alpha: 1.3 }),
    MechanismConfig::DotProduct(NormalizerConfig::AlphaEntmax { alpha_min: None }),
];

/// The place of each kind in the catalogue.
fn place(config: &MechanismConfig) -> usize {
    match config {
        MechanismConfig::DotProduct(normalizer) => match normalizer {
            NormalizerConfig::Softmax => 0,
            NormalizerConfig::Sparsemax => 1,
            NormalizerConfig::Entmax15 => 2,
            NormalizerConfig::Entmax { .. } => 3,
            NormalizerConfig::AlphaEntmax { .. } => 4,
        },
    }
}

const BATCH: usize = 3;
const SEQ: usize = 7;
const SHAPE: HeadShape = HeadShape {
    n_heads: 2,
    d_head: 8,
    max_len: Some(2 * SEQ),
};

/// Numbers in (−1, 1) that look random but are the same in every run.
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    next();
    (0..n).map(|_| next()).collect()
}

fn tensor<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let data = TensorData::new(numbers(shape.iter().product(), seed), shape);
    Tensor::from_data(data, device)
}

fn heads(batch: usize, seq: usize, seed: u64, device: &Device) -> Tensor<4> {
    // Scores far enough apart for the sparse maps to give zeros.
    tensor([batch, SHAPE.n_heads, seq, SHAPE.d_head], seed, device).mul_scalar(2.0)
}

fn cells<const D: usize>(
    shape: [usize; D],
    device: &Device,
    hidden: impl Fn(usize) -> bool,
) -> Tensor<D, Bool> {
    let cells: Vec<bool> = (0..shape.iter().product()).map(hidden).collect();
    Tensor::from_data(TensorData::new(cells, shape), device)
}

/// Gives every trained parameter numbers that are the same in every run.
struct Settle;

impl ModuleMapper for Settle {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match param.is_require_grad() {
            false => param,
            true => param.map(|old| shifted(old.clone(), 0.0, Some(old.dims()))),
        }
    }
}

/// `old + step · direction`, or the direction itself in place of it, tracked as before.
fn shifted<const D: usize>(old: Tensor<D>, step: f64, instead: Option<[usize; D]>) -> Tensor<D> {
    let device = old.device().inner();
    let new = match instead {
        Some(shape) => tensor(shape, 77, &device),
        None => {
            let direction = tensor(old.dims(), 78, &device);
            old.inner() + direction.mul_scalar(step)
        }
    };
    Tensor::from_inner(new).require_grad()
}

/// Moves every trained parameter along a direction.
struct Shift(f64);

impl ModuleMapper for Shift {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match param.is_require_grad() {
            false => param,
            true => param.map(|old| shifted(old, self.0, None)),
        }
    }
}

/// The slope along that direction.
struct Slope<'a>(&'a Gradients, f64);

impl ModuleVisitor for Slope<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.0) {
            self.1 += dot(gradient, 78);
        }
    }
}

/// The product with [`numbers`] of a seed.
fn dot<const D: usize>(tensor: Tensor<D>, seed: u64) -> f64 {
    let found = values(tensor);
    let other = numbers(found.len(), seed);
    let products = found.iter().zip(&other);
    products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn mechanism(config: &MechanismConfig, device: &Device) -> Mechanism {
    let mechanism = config.init(SHAPE, device);
    match device.is_autodiff() {
        true => mechanism.map(&mut Settle),
        false => mechanism,
    }
}

/// Every mechanism with an ability; there must be one, or the test says nothing.
fn able(has: impl Fn(Abilities) -> bool) -> Vec<MechanismConfig> {
    let able: Vec<_> = (CATALOGUE.into_iter())
        .filter(|config| has(config.abilities()))
        .collect();
    assert!(!able.is_empty(), "no mechanism has this ability");
    able
}

fn context(
    mechanism: &Mechanism,
    [query, key, value]: [Tensor<4>; 3],
    options: AttentionOptions,
) -> Vec<f32> {
    values(mechanism.attend(query, key, value, options).context)
}

fn inputs(batch: usize, seq: usize, device: &Device) -> [Tensor<4>; 3] {
    [1, 2, 3].map(|seed| heads(batch, seq, seed, device))
}

fn part(tensor: &Tensor<4>, rows: std::ops::Range<usize>) -> Tensor<4> {
    tensor
        .clone()
        .slice([0..tensor.dims()[0], 0..SHAPE.n_heads, rows])
}

#[test]
fn every_mechanism_is_in_the_catalogue_and_has_its_words() {
    for (i, (config, words)) in CATALOGUE.iter().zip(MechanismConfig::WORDS).enumerate() {
        assert_eq!(place(config), i, "{config}");
        let read: MechanismConfig = words.parse().unwrap();
        assert_eq!((place(&read), read.to_string()), (i, words.to_owned()));
        let json = serde_json::to_string(config).unwrap();
        assert_eq!(json, format!("\"{config}\""));
        assert_eq!(
            serde_json::from_str::<MechanismConfig>(&json).unwrap(),
            *config
        );
    }
    let bounded = NormalizerConfig::AlphaEntmax {
        alpha_min: Some(1.01),
    };
    let bounded = MechanismConfig::from(bounded);
    assert_eq!(bounded.to_string(), "alpha_entmax(alpha_min=1.01)");
    assert_eq!(
        bounded.to_string().parse::<MechanismConfig>().unwrap(),
        bounded
    );
}

#[test]
fn words_that_say_nothing_are_refused_with_those_that_do() {
    for words in [
        "entmax2",
        "entmax",
        "entmax(",
        "entmax()",
        "entmax(x)",
        "softmax(1)",
        "",
        "alpha_entmax(1.01)",
    ] {
        let error = words.parse::<MechanismConfig>().unwrap_err().to_string();
        assert!(
            error.contains(&format!("`{words}`")) && error.contains("sparsemax, entmax15"),
            "{error}"
        );
    }
    let error = MechanismConfig::from(NormalizerConfig::Entmax { alpha: 0.5 });
    let error = error
        .check("model.normalizer", Abilities::NONE)
        .unwrap_err();
    assert!(
        error.to_string().contains("model.normalizer.alpha"),
        "{error}"
    );
}

/// Each network asks for what it does with a mechanism.
#[test]
fn networks_say_what_they_need() {
    let xl = TransformerXlConfig::new(10, 1, 8, 2, 4, 8, 4, 4);
    let decoder = Seq2SeqConfig::needed_abilities(AttentionType::DecoderSelf);
    let cross = Seq2SeqConfig::needed_abilities(AttentionType::Cross);
    let encoder = Seq2SeqConfig::needed_abilities(AttentionType::EncoderSelf);
    // What an encoder's mechanism may be: Nyström or Linformer.
    let encoders_only = Abilities {
        key_padding: true,
        pretrained: true,
        ..Abilities::NONE
    };
    let refused = |needed, field| {
        let error = encoders_only.check(needed, &"linformer", field);
        error.unwrap_err().to_string()
    };
    assert_eq!(
        refused(decoder, "decoder_self"),
        "linformer cannot be causal: give `decoder_self` another attention mechanism"
    );
    assert!(refused(cross, "cross").contains("attend to another sequence"));
    assert!(refused(xl.needed_abilities(), "mechanism").contains("causal"));
    assert!(
        encoders_only
            .check(encoder, &"linformer", "encoder_self")
            .is_ok()
    );
    let bert = sparta_model::bert::BertConfig::NEEDED;
    assert!(encoders_only.check(bert, &"linformer", "mechanism").is_ok());
    let absolute = Abilities {
        relative: false,
        ..Abilities::ALL
    };
    let error = absolute.check(xl.needed_abilities(), &"rfa", "mechanism");
    assert!(error.unwrap_err().to_string().contains("relative"));
}

#[test]
fn parameters_are_counted_without_making_them() {
    for config in CATALOGUE {
        let made = config.init(SHAPE, &Device::flex()).num_params();
        assert_eq!(config.n_params(SHAPE), made, "{config}");
    }
}

#[test]
fn gradients_are_the_slopes() {
    const STEP: f64 = 1e-3;
    let device = Device::flex().autodiff();
    for config in CATALOGUE {
        let made = mechanism(&config, &device);
        let options = AttentionOptions::default;
        let loss = |mechanism: &Mechanism, inputs: [Tensor<4>; 3]| {
            dot(mechanism.attend_all(inputs, options()), 79)
        };
        let at = inputs(BATCH, SEQ, &device).map(Tensor::require_grad);
        let weights = tensor([BATCH, SHAPE.n_heads, SEQ, SHAPE.d_head], 79, &device);
        let output = made.attend_all(at.clone(), options());
        let gradients = (output * weights).sum().backward();

        let close = |what: &str, slope: f64, before: f64, after: f64| {
            let expected = (after - before) / (2.0 * STEP);
            println!("{config}, {what}: gradient {slope:.4}, difference {expected:.4}");
            let off = (slope - expected).abs();
            assert!(off < 1e-2 * (1.0 + expected.abs()), "{config}, {what}");
            assert!(slope != 0.0, "{config}, {what}: no gradient");
        };
        for (i, what) in ["query", "key", "value"].into_iter().enumerate() {
            let gradient = at[i].grad(&gradients).expect("a gradient");
            let moved = |step: f64| {
                let mut moved = at.clone();
                moved[i] = shifted(at[i].clone(), step, None);
                loss(&made, moved)
            };
            close(what, dot(gradient, 78), moved(-STEP), moved(STEP));
        }
        if config.n_params(SHAPE) > 0 {
            let mut slope = Slope(&gradients, 0.0);
            made.visit(&mut slope);
            let moved = |step| loss(&made.clone().map(&mut Shift(step)), at.clone());
            close("parameters", slope.1, moved(-STEP), moved(STEP));
        }
    }
}

/// An example without a key gives zeros and gets no gradient; nothing becomes NaN.
#[test]
fn queries_without_a_key_give_zeros_and_get_no_gradient() {
    let device = Device::flex().autodiff();
    let row = SEQ * SHAPE.n_heads * SHAPE.d_head;
    for config in able(|abilities| abilities.key_padding) {
        let padding = cells([BATCH, SEQ], &device, |cell| cell / SEQ == 1);
        let options = AttentionOptions::default().key_padding(padding);
        let made = mechanism(&config, &device);
        let at = inputs(BATCH, SEQ, &device).map(Tensor::require_grad);
        let output = made.attend_all(at.clone(), options);
        let found = values(output.clone());
        assert!(
            found[row..2 * row].iter().all(|value| *value == 0.0),
            "{config}"
        );
        assert!(found[..row].iter().any(|value| *value != 0.0), "{config}");
        let gradients = output.powi_scalar(2).sum().backward();
        for tensor in &at {
            let gradient = values(tensor.grad(&gradients).expect("a gradient"));
            assert!(gradient.iter().all(|value| value.is_finite()), "{config}");
            let hidden = &gradient[row..2 * row];
            assert!(hidden.iter().all(|value| *value == 0.0), "{config}");
        }
    }
}

#[test]
fn examples_of_a_batch_do_not_mix() {
    let device = Device::flex();
    let order = Tensor::<1, Int>::from_ints([2, 0, 1], &device);
    for config in CATALOGUE {
        let made = mechanism(&config, &device);
        let at = inputs(BATCH, SEQ, &device);
        let select = |tensor: Tensor<4>| tensor.select(0, order.clone());
        let whole = made.attend_all(at.clone(), AttentionOptions::default());
        let moved = made.attend_all(at.map(select), AttentionOptions::default());
        let off = distance(&values(select(whole)), &values(moved));
        assert!(off <= 1e-6, "{config}: {off}");
    }
}

#[test]
fn weights_make_the_context() {
    let device = Device::flex();
    for config in able(|abilities| abilities.weights) {
        let made = mechanism(&config, &device);
        let [query, key, value] = inputs(BATCH, SEQ, &device);
        let options = AttentionOptions::default().return_weights();
        let output = made.attend(query, key, value.clone(), options);
        let weights = output.weights.expect("the weights were asked for");
        assert_eq!(weights.dims(), [BATCH, SHAPE.n_heads, SEQ, SEQ], "{config}");
        assert!(
            values(weights.clone()).iter().all(|w| *w >= 0.0),
            "{config}"
        );
        let off = distance(&values(weights.matmul(value)), &values(output.context));
        assert!(off < 1e-5, "{config}: {off}");
    }
}

/// A key that a mask hides is as one that is not there.
#[test]
fn masked_cells_do_not_count() {
    let device = Device::flex();
    let hidden = SEQ - 2;
    for config in able(|abilities| abilities.global_mask) {
        let made = mechanism(&config, &device);
        let [query, key, value] = inputs(BATCH, SEQ, &device);
        let mask = cells([SHAPE.n_heads, SEQ, SEQ], &device, |cell| {
            cell % SEQ >= hidden
        });
        let masked = AttentionOptions::default().global_mask(mask);
        let few = [
            query.clone(),
            part(&key, 0..hidden),
            part(&value, 0..hidden),
        ];
        let few = context(&made, few, AttentionOptions::default());
        let off = distance(&context(&made, [query, key, value], masked), &few);
        assert!(off < 1e-5, "{config}: {off}");
    }
}

/// The last key and value reach the last query and no other.
#[test]
fn no_query_sees_a_later_key() {
    let device = Device::flex();
    for config in able(|abilities| abilities.causal) {
        let made = mechanism(&config, &device);
        let [query, key, value] = inputs(BATCH, SEQ, &device);
        let changed = |tensor: &Tensor<4>| {
            let other = heads(BATCH, 1, 9, &device);
            Tensor::cat(vec![part(tensor, 0..SEQ - 1), other], 2)
        };
        let causal = || AttentionOptions::default().causal();
        let now = made.attend_all([query.clone(), changed(&key), changed(&value)], causal());
        let then = made.attend_all([query, key, value], causal());
        let rows = |tensor: &Tensor<4>, rows| values(part(tensor, rows));
        assert_eq!(rows(&then, 0..SEQ - 1), rows(&now, 0..SEQ - 1), "{config}");
        assert_ne!(
            rows(&then, SEQ - 1..SEQ),
            rows(&now, SEQ - 1..SEQ),
            "{config}"
        );
    }
}

#[test]
fn token_after_token_is_the_same_as_all_at_once() {
    let device = Device::flex();
    for config in able(|abilities| abilities.incremental) {
        let made = mechanism(&config, &device);
        let [query, key, value] = inputs(BATCH, SEQ, &device);
        let all = AttentionOptions::default().causal();
        let all = made.attend_all([query.clone(), key.clone(), value.clone()], all);
        for i in 0..SEQ {
            let one = [
                part(&query, i..i + 1),
                part(&key, 0..i + 1),
                part(&value, 0..i + 1),
            ];
            let one = context(&made, one, AttentionOptions::default());
            let off = distance(&one, &values(part(&all, i..i + 1)));
            assert!(off < 1e-5, "{config}, token {i}: {off}");
        }
    }
}

#[test]
fn padding_moves_nothing() {
    let device = Device::flex();
    for config in able(|abilities| abilities.key_padding) {
        let made = mechanism(&config, &device);
        let at = inputs(BATCH, SEQ, &device);
        let alone = context(&made, at.clone(), AttentionOptions::default());
        for extra in [0, 1, 7] {
            let wide = SEQ + extra;
            let far = |tensor: &Tensor<4>| {
                let padding = heads(BATCH, extra.max(1), 11, &device).mul_scalar(1e3);
                Tensor::cat(vec![tensor.clone(), part(&padding, 0..extra)], 2)
            };
            let padded = if extra == 0 {
                at.clone()
            } else {
                [&at[0], &at[1], &at[2]].map(far)
            };
            let padding = cells([BATCH, wide], &device, |cell| cell % wide >= SEQ);
            let options = AttentionOptions::default().key_padding(padding);
            let padded = made.attend_all(padded, options);
            let off = distance(&values(part(&padded, 0..SEQ)), &alone);
            assert!(off <= 1e-6, "{config}, {extra} more: {off}");
        }
    }
}

/// A relative term of zero adds nothing, and one that is very low at one distance hides the keys there.
#[test]
fn the_relative_term_belongs_to_distances() {
    const HIDDEN_DISTANCE: usize = 2;
    let device = Device::flex();
    let options = || AttentionOptions::default().causal().scale(1.0);
    for config in able(|abilities| abilities.relative) {
        let made = mechanism(&config, &device);
        let at = inputs(BATCH, SEQ, &device);
        // Row t belongs to the distance SEQ − 1 − t.
        let term = |low: f32| {
            let n = (SEQ + 1) * SHAPE.d_head;
            let of = |cell: usize| match cell % n / SHAPE.d_head == SEQ - 1 - HIDDEN_DISTANCE {
                true => low,
                false => 0.0,
            };
            let positions: Vec<f32> = (0..SHAPE.n_heads * n).map(of).collect();
            let shape = [SHAPE.n_heads, SEQ + 1, SHAPE.d_head];
            RelativeTerm {
                query: Tensor::ones([BATCH, SHAPE.n_heads, SEQ, SHAPE.d_head], &device),
                positions: Tensor::from_data(TensorData::new(positions, shape), &device),
            }
        };
        let plain = context(&made, at.clone(), options());
        let zero = context(&made, at.clone(), options().relative(term(0.0)));
        assert!(distance(&plain, &zero) < 1e-6, "{config}");
        let low = context(&made, at.clone(), options().relative(term(-1e4)));
        let at_distance = |cell: usize| cell / SEQ == cell % SEQ + HIDDEN_DISTANCE;
        let mask = cells([SEQ, SEQ], &device, at_distance);
        let masked = context(&made, at, options().extra_mask(mask));
        assert!(distance(&masked, &low) < 1e-5, "{config}");
        assert!(distance(&plain, &low) > 1e-2, "{config}");
    }
}

#[test]
fn a_query_gets_the_same_alone_as_among_others() {
    let device = Device::flex();
    for config in able(|abilities| abilities.cross) {
        let made = mechanism(&config, &device);
        let query = heads(BATCH, 4, 5, &device);
        let [_, key, value] = inputs(BATCH, SEQ, &device);
        let keys = |query| [query, key.clone(), value.clone()];
        let all = made.attend_all(keys(query.clone()), AttentionOptions::default());
        assert_eq!(all.dims(), query.dims(), "{config}");
        for i in 0..4 {
            let one = context(
                &made,
                keys(part(&query, i..i + 1)),
                AttentionOptions::default(),
            );
            let off = distance(&one, &values(part(&all, i..i + 1)));
            assert!(off < 1e-6, "{config}, query {i}: {off}");
        }
    }
}

/// Weights that were published without the mechanism fill everything but its own parameters.
#[test]
fn pretrained_weights_fill_the_network_around_it() {
    let device = Device::flex();
    let weights = Weights::from_safetensors(&import::file("spans", import::as_is)).unwrap();
    for config in able(|abilities| abilities.pretrained) {
        let model = (parity::tiny().with_mechanism(config)).init_span_finder(&device);
        let strict = ImportOptions::default();
        let (model, report) = import_bert(model, weights.clone(), &strict).unwrap();
        assert!(
            report.missing.is_empty() && report.unexpected.is_empty(),
            "{config}"
        );
        let tokens = Tensor::<2, Int>::from_ints([[1, 5, 6, 2]], &device);
        let start = values(model.forward(BertInput::new(tokens)).start);
        assert!(start.iter().all(|score| score.is_finite()), "{config}");
    }
}

/// [`Mechanism::attend`] for the context alone.
trait AttendAll {
    fn attend_all(&self, inputs: [Tensor<4>; 3], options: AttentionOptions) -> Tensor<4>;
}

impl AttendAll for Mechanism {
    fn attend_all(
        &self,
        [query, key, value]: [Tensor<4>; 3],
        options: AttentionOptions,
    ) -> Tensor<4> {
        self.attend(query, key, value, options).context
    }
}
