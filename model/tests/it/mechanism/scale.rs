//! ASEntmax: scores scaled by the number of keys, and NAPE's bias by distance.

use burn::module::{ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::{DType, FloatDType, TensorData};
use sparta_model::layer::{AttentionInput, MultiHeadAttentionConfig};
use sparta_model::seq2seq::{MaskRows, Seq2SeqInput, Seq2SeqMasks};
use sparta_model::transformer_xl::{TransformerXl, TransformerXlInput};
use sparta_ops::attention::{AttentionOptions, Implementation};
use sparta_ops::testing::devices;

use super::*;
use crate::{alone, distance, mask, some_words, words};

fn config(words: &str) -> MechanismConfig {
    words.parse().unwrap()
}

/// Sets w_β and w_γ to numbers that are the same in every run; a mechanism without a scale stays.
fn with_maps(
    mechanism: Mechanism,
    beta: impl Fn(usize) -> f32,
    gamma: impl Fn(usize) -> f32,
) -> Mechanism {
    let Mechanism::DotProduct(mut made) = mechanism else {
        panic!("not a dot product");
    };
    if let Some(scale) = &mut made.scale {
        let set = |param: Param<Tensor<2>>, of: &dyn Fn(usize) -> f32| {
            param.map(|old| {
                let numbers: Vec<f32> = (0..old.dims().iter().product()).map(of).collect();
                Tensor::from_data(TensorData::new(numbers, old.dims()), &old.device())
            })
        };
        scale.beta = set(scale.beta.clone(), &beta);
        scale.gamma = set(scale.gamma.clone(), &gamma);
    }
    Mechanism::DotProduct(made)
}

/// Maps that are not zero.
fn settled(mechanism: Mechanism) -> Mechanism {
    let wave = |k: usize| ((k * 37 % 11) as f32 - 5.0) / 11.0;
    with_maps(mechanism, wave, |k| wave(k + 3))
}

#[test]
fn words_have_shorthands() {
    assert_eq!(config("asentmax"), config("entmax15+scale"));
    assert_eq!(config("asentmax_nape"), config("entmax15+scale+nape"));
    assert_eq!(
        config("asentmax(offset=-5)").to_string(),
        "entmax15+scale(offset=-5)"
    );
    for words in [
        "entmax15+scale",
        "entmax15+scale(delta=0,offset=-5)",
        "softmax+local(w=4)+scale+nape(slopes=exp)",
        "softmax+nape",
    ] {
        assert_eq!(config(words).to_string(), words);
    }
    for words in [
        "softmax+scale(1)",
        "softmax+scale+scale",
        "softmax+nape(slopes=half)",
        "nape",
        "scale",
        "asentmax(x=1)",
        "softmax+nape(x=1)",
    ] {
        assert!(words.parse::<MechanismConfig>().is_err(), "{words}");
    }
    let check = |words| config(words).check("model.normalizers", Abilities::NONE);
    for (words, field) in [
        ("softmax+scale(delta=-1)", "delta"),
        ("softmax+scale(offset=inf)", "offset"),
    ] {
        let error = check(words).unwrap_err().to_string();
        assert!(
            error.contains(&format!("model.normalizers.{field}")),
            "{error}"
        );
    }
    assert_eq!(config("asentmax").label(), "1.5-entmax+scale");
    // Two maps of the input: to all heads, or to those without a bias.
    for (words, n_scaled) in [("asentmax", 2), ("asentmax_nape", 1), ("softmax+nape", 0)] {
        let made = config(words).init(SHAPE, &Device::flex()).num_params();
        assert_eq!(made, 2 * SHAPE.d_model * n_scaled, "{words}");
        assert_eq!(config(words).n_params(SHAPE), made);
    }
}

/// δ = 1, β = 1/2, γ = 2, n = i + 2, causal: weights of the specification, on every backend, by both implementations.
#[test]
fn golden_weights() {
    let shape = HeadShape {
        d_model: 1,
        n_heads: 1,
        d_head: 2,
        max_len: None,
    };
    // softplus(o) = 1/2; 2·tanh(20) = 2.
    let offset = (0.5f64.exp() - 1.0).ln();
    let asentmax = config(&format!("asentmax(offset={offset})"));
    let expected = [
        1.0, 0.0, 0.0, 0.0, 0.980454, 0.019546, 0.0, 0.0, 0.072721, 0.0, 0.927279, 0.0, 0.0, 0.0,
        0.5, 0.5,
    ];
    let value = [1.0, 0.0, 0.0, 1.0, 2.0, -1.0, 0.5, 0.5];
    for device in devices() {
        let at = |numbers: [f32; 8]| {
            Tensor::<4>::from_data(
                TensorData::new(numbers.to_vec(), [1, 1, 4, 2]),
                &device.device,
            )
        };
        let made = with_maps(asentmax.init(shape, &device.device), |_| 0.0, |_| 20.0);
        let attend = |options: AttentionOptions| {
            let source = Tensor::ones([1, 4, 1], &device.device);
            let query = at([1.0, 0.0, 0.0, 1.0, 1.0, 1.0, -1.0, 0.5]);
            let key = at([0.5, 0.5, 1.0, -1.0, 0.0, 2.0, -0.5, 1.0]);
            made.attend_of(source, query, key, at(value), options.causal())
        };
        let output = attend(AttentionOptions::default().return_weights());
        let weights = values(output.weights.unwrap());
        assert!(
            distance(&weights, &expected) < 2e-6,
            "{}: {weights:?}",
            device.name
        );
        let context = values(output.context);
        let fused = AttentionOptions::default().implementation(Implementation::Fused);
        if fused.resolve(&device.device, [4, 4]).is_ok() {
            let off = distance(&values(attend(fused).context), &context);
            assert!(off < 2e-6, "{}: {off}", device.name);
        }
    }
}

#[test]
fn the_scales_are_those_of_the_specification() {
    let device = Device::flex();
    let shape = HeadShape {
        d_model: 1,
        n_heads: 1,
        d_head: 2,
        max_len: None,
    };
    let offset = (0.5f64.exp() - 1.0).ln();
    let made = config(&format!("asentmax(offset={offset})")).init(shape, &device);
    let made = with_maps(made, |_| 0.0, |_| 20.0);
    let visible = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0], &device).reshape([1, 1, 4, 1]);
    let scale = made.row_scale().unwrap();
    let found = values(scale.of(Tensor::ones([1, 4, 1], &device), visible, 1));
    assert!(
        distance(&found, &[1.240227, 1.603474, 1.960906, 2.295145]) < 2e-6,
        "{found:?}"
    );
}

/// β = 0 is α-entmax; and a constant factor is one on the query.
#[test]
fn without_beta_it_is_entmax() {
    let device = Device::flex();
    let source: Tensor<3> = tensor([BATCH, SEQ, SHAPE.d_model], 21, &device);
    let [query, key, value] = inputs(BATCH, SEQ, &device);
    let plain = config("entmax15").init(SHAPE, &device);
    for (words, factor) in [
        ("entmax15+scale(offset=-200)", 1.0),
        ("entmax15+scale(delta=0.5,offset=-200)", 0.5),
        ("entmax15+scale", 1.0 + 2f64.ln()),
    ] {
        let made = config(words).init(SHAPE, &device);
        for options in [
            AttentionOptions::default(),
            AttentionOptions::default().causal(),
        ] {
            let at = (query.clone(), key.clone(), value.clone());
            let found = made
                .attend_of(source.clone(), at.0, at.1, at.2, options.clone())
                .context;
            let scaled = [query.clone().mul_scalar(factor), key.clone(), value.clone()];
            let expected = plain.attend_all(scaled, options);
            let off = distance(&values(found), &values(expected));
            assert!(off < 1e-6, "{words}: {off}");
        }
    }
}

/// n counts the keys of a sentence, whatever its batch is padded to, and under any mask those that are left.
#[test]
fn rows_are_scaled_by_what_they_see() {
    let device = Device::flex();
    let x: Tensor<3> = tensor([1, SEQ, 16], 6, &device);
    for words in [
        "asentmax",
        "asentmax_nape",
        "softmax+scale",
        "softmax+strided(l=3)+scale",
    ] {
        let mut layer = MultiHeadAttentionConfig::new(16, 2)
            .with_mechanism(config(words))
            .init(&device);
        layer.mechanism = settled(layer.mechanism);
        for causal in [false, true] {
            let of = |x: Tensor<3>| match causal {
                true => AttentionInput::self_attention(x).causal(),
                false => AttentionInput::self_attention(x),
            };
            let alone = values(layer.forward(of(x.clone())).context);
            for extra in [1, 7] {
                let more: Tensor<3> = tensor([1, extra, 16], 7, &device).mul_scalar(1e3);
                let padded = Tensor::cat(vec![x.clone(), more], 1);
                let padding = cells([1, SEQ + extra], &device, |cell| cell >= SEQ);
                let found = layer.forward(of(padded).key_padding(padding)).context;
                let off = distance(&values(found.slice_dim(1, 0..SEQ)), &alone);
                assert!(off <= 1e-6, "{words}, {causal}, {extra} more: {off}");
            }
            // Keys that are hidden are as keys that are padding.
            let hidden = cells([1, SEQ], &device, |key| key >= SEQ - 2);
            let padded = values(layer.forward(of(x.clone()).key_padding(hidden)).context);
            let last = mask([2, SEQ, SEQ], &device, |_, _, key| key >= SEQ - 2);
            let masked = values(layer.forward(of(x.clone()).global_mask(last)).context);
            assert!(distance(&padded, &masked) <= 1e-6, "{words}, {causal}");
            assert!(distance(&padded, &alone) > 1e-4, "{words}, {causal}");
        }
    }
}

/// Each backend is held to flex, with masks and padding.
#[test]
fn every_backend_gives_the_same() {
    let run = |words: &str, device: &Device| {
        let made = settled(config(words).init(SHAPE, device));
        let source: Tensor<3> = tensor([BATCH, SEQ, SHAPE.d_model], 21, device);
        let [query, key, value] = inputs(BATCH, SEQ, device);
        let padding = cells([BATCH, SEQ], device, |cell| cell == SEQ - 1);
        let hidden = cells([SHAPE.n_heads, SEQ, SEQ], device, |cell| cell % 4 == 1);
        let options = AttentionOptions::default()
            .causal()
            .key_padding(padding)
            .global_mask(hidden);
        values(made.attend_of(source, query, key, value, options).context)
    };
    for words in [
        "asentmax",
        "asentmax_nape",
        "softmax+fixed(l=3,c=1)+scale",
        "softmax+random(keep=0.5)",
    ] {
        let expected = run(words, &Device::flex());
        for device in devices() {
            let off = distance(&run(words, &device.device), &expected);
            assert!(off < 2e-5, "{words}, {}: {off}", device.name);
        }
    }
}

struct InF64;

impl ModuleMapper for InF64 {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param
            .map(|old| old.inner().cast(FloatDType::F64))
            .map(|new| Tensor::from_inner(new).require_grad())
    }
}

/// Central differences in f64, of the input, the queries and both maps.
#[test]
fn gradients_are_finite_differences() {
    const STEP: f64 = 1e-6;
    let device = Device::flex().autodiff();
    let numbers = |tensor: Tensor<4>| -> Vec<f64> { tensor.into_data().iter::<f64>().collect() };
    for words in [
        "softmax+scale",
        "softmax+scale+nape",
        "entmax15+scale",
        "softmax+local(w=3)+scale",
    ] {
        let made = settled(config(words).init(SHAPE, &device)).map(&mut InF64);
        let f64_of = |shape: [usize; 4], seed| {
            let tensor: Tensor<4> = tensor(shape, seed, &device.clone().inner());
            Tensor::from_inner(tensor.cast(FloatDType::F64)).require_grad()
        };
        let n_heads = SHAPE.n_heads;
        let source = f64_of([1, 1, SEQ, SHAPE.d_model], 21);
        let at = [1, 2, 3].map(|seed| f64_of([1, n_heads, SEQ, SHAPE.d_head], seed));
        let weights = f64_of([1, n_heads, SEQ, SHAPE.d_head], 9).detach();
        let loss = |made: &Mechanism, source: &Tensor<4>, query: &Tensor<4>| {
            let source = source.clone().reshape([1, SEQ, SHAPE.d_model]);
            let (key, value) = (at[1].clone(), at[2].clone());
            let options = AttentionOptions::default().causal();
            let output = made.attend_of(source, query.clone(), key, value, options);
            (output.context * weights.clone()).sum()
        };
        let of_loss = |tensor: Tensor<1>| tensor.into_data().iter::<f64>().next().unwrap();
        let total = loss(&made, &source, &at[0]);
        assert_eq!(total.dtype(), DType::F64);
        let gradients = total.backward();
        let moved = |tensor: &Tensor<4>, place: usize, step: f64| {
            let shape = tensor.dims();
            let mut all = numbers(tensor.clone());
            all[place] += step;
            let data = TensorData::new(all, shape);
            Tensor::from_inner(Tensor::<4>::from_data(
                data,
                (&device.clone().inner(), DType::F64),
            ))
        };
        let close = |what: &str, gradient: f64, plus: f64, minus: f64| {
            let slope = (plus - minus) / (2.0 * STEP);
            assert!(
                (gradient - slope).abs() < 1e-7 * (1.0 + slope.abs()),
                "{words}, {what}: {gradient}, {slope}"
            );
        };
        for place in [0, 5, 17, 40, 77] {
            let gradient = numbers(source.grad(&gradients).unwrap())[place];
            let at_step = |step| of_loss(loss(&made, &moved(&source, place, step), &at[0]));
            close("source", gradient, at_step(STEP), at_step(-STEP));
            let gradient = numbers(at[0].grad(&gradients).unwrap())[place];
            let at_step = |step| of_loss(loss(&made, &source, &moved(&at[0], place, step)));
            close("query", gradient, at_step(STEP), at_step(-STEP));
        }
        let scale = made.row_scale().unwrap();
        for is_beta in [true, false] {
            let param = if is_beta { &scale.beta } else { &scale.gamma };
            let gradient = param.val().grad(&gradients).unwrap();
            let shape = gradient.dims();
            let gradient = numbers(gradient.reshape([1, 1, shape[0], shape[1]]));
            assert!(gradient.iter().any(|slope| slope.abs() > 1e-6), "{words}");
            for (place, &slope) in gradient.iter().enumerate() {
                let at_step = |step: f64| {
                    let Mechanism::DotProduct(mut made) = made.clone() else {
                        panic!("not a dot product");
                    };
                    let scale = made.scale.as_mut().unwrap();
                    let param = if is_beta {
                        &mut scale.beta
                    } else {
                        &mut scale.gamma
                    };
                    *param = param.clone().map(|old| {
                        let flat = old.clone().reshape([1, 1, shape[0], shape[1]]);
                        moved(&flat, place, step).reshape(shape)
                    });
                    of_loss(loss(&Mechanism::DotProduct(made), &source, &at[0]))
                };
                close("maps", slope, at_step(STEP), at_step(-STEP));
            }
        }
    }
}

/// A row without a key gives zeros and no gradient, and nothing becomes NaN.
#[test]
fn rows_without_a_key_give_zeros() {
    let device = Device::flex().autodiff();
    for words in ["asentmax", "asentmax_nape"] {
        let made = settled(config(words).init(SHAPE, &device));
        let source: Tensor<3> = tensor([BATCH, SEQ, SHAPE.d_model], 21, &device).require_grad();
        let [query, key, value] = inputs(BATCH, SEQ, &device);
        let padding = cells([BATCH, SEQ], &device, |cell| cell / SEQ == 1);
        let options = AttentionOptions::default().key_padding(padding);
        let output = made
            .attend_of(source.clone(), query, key, value, options)
            .context;
        let found = values(output.clone());
        let row = SEQ * SHAPE.n_heads * SHAPE.d_head;
        assert!(
            found[row..2 * row].iter().all(|value| *value == 0.0),
            "{words}"
        );
        let gradients = output.powi_scalar(2).sum().backward();
        let gradient = values(source.grad(&gradients).unwrap());
        let row = SEQ * SHAPE.d_model;
        assert!(gradient.iter().all(|slope| slope.is_finite()), "{words}");
        assert!(
            gradient[row..2 * row].iter().all(|slope| *slope == 0.0),
            "{words}"
        );
        assert!(gradient[..row].iter().any(|slope| *slope != 0.0), "{words}");
    }
}

/// The cache of a decoder goes on counting keys: token after token is as all at once.
#[test]
fn counting_goes_on_over_the_cache() {
    alone(|| {
        let device = Device::flex();
        for (of, cross) in [
            ("asentmax", "asentmax"),
            ("asentmax_nape", "softmax"),
            ("asentmax_nape", "asentmax"),
        ] {
            device.seed(7);
            let mut model = Seq2SeqConfig::new(30, 30, 16, 2, 32, 2, 2)
                .with_encoder_self(config(of))
                .with_decoder_self(config(of))
                .with_cross(config(cross))
                .init(&device);
            for layer in &mut model.decoder {
                for block in [&mut layer.self_attention, &mut layer.cross_attention] {
                    let mechanism = block.attention.mechanism.clone();
                    block.attention.mechanism = settled(mechanism);
                }
            }
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
                assert!(off < 1e-5, "{of}, token {i}: {off}");
            }
        }
    });
}

fn xl(words: &str, tgt_len: usize, mem_len: usize) -> TransformerXlConfig {
    TransformerXlConfig::new(30, 2, 16, 2, 8, 32, tgt_len, mem_len)
        .with_dropout(0.0)
        .with_init_std(0.3)
        .with_mechanism(config(words))
}

fn read(model: &TransformerXl, text: &[i32], segment: usize, device: &Device) -> Vec<f32> {
    let mut mems = None;
    let mut all = Vec::new();
    for ids in text.chunks(segment) {
        let mut input = TransformerXlInput::new(words(ids, 1, device));
        input.mems = mems.take();
        let output = model.forward(input);
        mems = Some(output.mems);
        all.extend(values(output.hidden));
    }
    all
}

/// A constant factor is one on the content term and on the term by distance: of W_q, u and v.
#[test]
fn the_term_by_distance_is_scaled_too() {
    alone(|| {
        let device = Device::flex();
        let make = |words: &str| {
            device.seed(7);
            xl(words, 6, 8).init(&device)
        };
        let scaled = make("entmax15+scale");
        let mut plain = make("entmax15");
        let factor = 1.0 + 2f64.ln();
        let times = |param: Param<Tensor<2>>| param.map(|old| old.mul_scalar(factor));
        plain.content_bias = plain.content_bias.map(times);
        plain.position_bias = plain.position_bias.map(times);
        for layer in &mut plain.layers {
            layer.attention.query = times(layer.attention.query.clone());
        }
        let text = some_words(20, 30, 3);
        let off = distance(
            &read(&scaled, &text, 6, &device),
            &read(&plain, &text, 6, &device),
        );
        assert!(off < 1e-5, "{off}");
    });
}

/// With a memory of the whole text a segment counts as many keys as in one long segment, and has the same bias; there
/// is no W_r, u or v to have.
#[test]
fn a_stream_counts_its_memory_and_has_no_term_by_distance() {
    alone(|| {
        let device = Device::flex();
        let text = some_words(24, 30, 3);
        for of in [
            "asentmax",
            "asentmax_nape",
            "softmax+nape",
            "softmax+local(w=5)+scale",
        ] {
            let make = |tgt_len, mem_len| {
                device.seed(7);
                let config = xl(of, tgt_len, mem_len);
                let mut model = config.init(&device);
                assert_eq!(model.num_params(), config.n_params(), "{of}");
                for layer in &mut model.layers {
                    let mechanism = layer.attention.mechanism.clone();
                    layer.attention.mechanism = settled(mechanism);
                    let is_relative = !of.ends_with("nape");
                    assert_eq!(layer.attention.position.is_some(), is_relative, "{of}");
                }
                assert_eq!(model.content_bias.is_some(), !of.ends_with("nape"));
                model
            };
            let whole = read(&make(24, 24), &text, 24, &device);
            let parts = read(&make(6, 24), &text, 6, &device);
            let off = distance(&whole, &parts);
            assert!(off < 1e-4, "{of}: {off}");
        }
        let error = xl("asentmax_nape", 6, 6).with_clamp_len(Some(3)).validate();
        assert!(error.unwrap_err().to_string().contains("clamped"));
    });
}

/// −1·distance on the first head, −1/2 on the second, nothing on the others; causal and not; fused and not.
#[test]
fn biased_heads_prefer_near_keys_and_the_others_have_no_positions() {
    const KEYS: usize = 160;
    let shape = HeadShape {
        n_heads: 4,
        ..SHAPE
    };
    let device = Device::flex();
    let slopes = [1.0, 0.5, 0.0, 0.0];
    let bias: Vec<f32> = (0..4 * KEYS * KEYS)
        .map(|cell| {
            let (head, i, j) = (cell / (KEYS * KEYS), cell / KEYS % KEYS, cell % KEYS);
            -slopes[head] * i.abs_diff(j) as f32
        })
        .collect();
    let bias = Tensor::<4>::from_data(TensorData::new(bias, [1, 4, KEYS, KEYS]), &device);
    let heads = |seed| tensor::<4>([1, 4, KEYS, SHAPE.d_head], seed, &device);
    let nape = config("softmax+nape").init(shape, &device);
    let plain = config("softmax").init(shape, &device);
    for implementation in [Implementation::Reference, Implementation::Fused] {
        for causal in [true, false] {
            let options = || AttentionOptions {
                causal,
                implementation,
                ..AttentionOptions::default()
            };
            let at = || [heads(1), heads(2), heads(3)];
            let found = values(nape.attend_all(at(), options()));
            let expected = values(plain.attend_all(at(), options().bias(bias.clone())));
            let off = distance(&found, &expected);
            assert!(off < 1e-6, "{implementation:?}, {causal}: {off}");
            assert_ne!(found, values(plain.attend_all(at(), options())));
        }
    }
}

#[test]
fn what_it_cannot_be_is_said_before_anything_is_trained() {
    let nape = config("asentmax_nape");
    let translator = Seq2SeqConfig::new(9, 9, 8, 2, 8, 1, 1);
    let error = translator
        .clone()
        .with_cross(nape)
        .validate()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot attend to another sequence"),
        "{error}"
    );
    assert!(
        translator
            .with_mechanism(config("asentmax"))
            .validate()
            .is_ok()
    );
    let pretrained = Abilities {
        pretrained: true,
        ..Abilities::NONE
    };
    assert!(config("asentmax(offset=-5)").check("m", pretrained).is_ok());
    let error = nape.check("m", pretrained).unwrap_err().to_string();
    assert!(error.contains("pretrained"), "{error}");
}

#[test]
#[should_panic(expected = "call `attend_of`")]
fn a_scale_without_its_input_is_refused() {
    let device = Device::flex();
    let made = config("asentmax").init(SHAPE, &device);
    made.attend_all(inputs(BATCH, SEQ, &device), AttentionOptions::default());
}
