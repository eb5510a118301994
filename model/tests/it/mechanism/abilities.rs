//! What each mechanism claims.

use burn::prelude::*;
use burn::tensor::TensorData;
use sparta_model::bert::BertInput;
use sparta_model::import::{ImportOptions, Weights, import_bert};
use sparta_model::layer::{AttentionInput, MultiHeadAttentionConfig};
use sparta_ops::attention::{AttentionOptions, Implementation, RelativeTerm};

use super::*;
use crate::bert::{import, parity};
use crate::distance;

fn context(
    mechanism: &Mechanism,
    [query, key, value]: [Tensor<4>; 3],
    options: AttentionOptions,
) -> Vec<f32> {
    values(mechanism.attend(query, key, value, options).context)
}

fn part(tensor: &Tensor<4>, rows: std::ops::Range<usize>) -> Tensor<4> {
    tensor
        .clone()
        .slice([0..tensor.dims()[0], 0..SHAPE.n_heads, rows])
}

#[test]
fn examples_of_a_batch_do_not_mix() {
    let device = Device::flex();
    let order = Tensor::<1, Int>::from_ints([2, 0, 1], &device);
    for config in every() {
        let made = config.init(SHAPE, &device);
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
        let made = config.init(SHAPE, &device);
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
    // Of the first keys: the last query stays aligned with the last.
    let hidden = 2;
    for config in able(|abilities| abilities.global_mask) {
        let made = config.init(SHAPE, &device);
        let [query, key, value] = inputs(BATCH, SEQ, &device);
        let mask = cells([SHAPE.n_heads, SEQ, SEQ], &device, |cell| {
            cell % SEQ < hidden
        });
        let masked = AttentionOptions::default().global_mask(mask);
        // Queries that are keys are as many.
        let n = if config.shares_keys() {
            SEQ - hidden
        } else {
            SEQ
        };
        let few = [
            part(&query, SEQ - n..SEQ),
            part(&key, hidden..SEQ),
            part(&value, hidden..SEQ),
        ];
        let few = context(&made, few, AttentionOptions::default());
        let all = made.attend_all([query, key, value], masked);
        let off = distance(&values(part(&all, SEQ - n..SEQ)), &few);
        assert!(off < 1e-5, "{config}: {off}");
    }
}

/// The last key and value reach the last query and no other.
#[test]
fn no_query_sees_a_later_key() {
    let device = Device::flex();
    for config in able(|abilities| abilities.causal) {
        let made = config.init(SHAPE, &device);
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

/// Without a causal mask the last key reaches earlier queries, and where a key stands among them does not
/// matter to a mechanism without places; to those that count distances, before and after are alike.
#[test]
fn keys_are_seen_from_both_sides() {
    let device = Device::flex();
    let turned = Tensor::<1, Int>::from_ints([6, 5, 4, 3, 2, 1, 0], &device);
    for config in able(|abilities| abilities.bidirectional) {
        let made = config.init(SHAPE, &device);
        let [query, key, value] = inputs(BATCH, SEQ, &device);
        let all = context(
            &made,
            [query.clone(), key.clone(), value.clone()],
            AttentionOptions::default(),
        );
        let changed = |tensor: &Tensor<4>| {
            let other = heads(BATCH, 1, 9, &device);
            Tensor::cat(vec![part(tensor, 0..SEQ - 1), other], 2)
        };
        let keys = [query.clone(), changed(&key), changed(&value)];
        let other = context(&made, keys, AttentionOptions::default());
        let earlier = |cell: &usize| cell / SHAPE.d_head % SEQ + 1 < SEQ;
        let mut cells = (0..all.len()).filter(earlier);
        assert!(cells.any(|cell| all[cell] != other[cell]), "{config}");
        match places(&config) {
            Places::Each => continue,
            Places::Distances => {
                let flipped = [query, key, value].map(|tensor| tensor.flip([2]));
                let other = made.attend_all(flipped, AttentionOptions::default());
                let off = distance(&all, &values(other.flip([2])));
                assert!(off < 1e-5, "{config}: {off}");
                continue;
            }
            Places::None => {}
        }
        let turn = |tensor: Tensor<4>| tensor.select(2, turned.clone());
        let [key, value] = [key, value].map(turn);
        let (query, all) = match config.shares_keys() {
            false => (query, all),
            // Queries that are keys turn with them, and so do their contexts.
            true => {
                let shape = [BATCH, SHAPE.n_heads, SEQ, SHAPE.d_head];
                let all = Tensor::<4>::from_data(TensorData::new(all, shape), &device);
                (turn(query), values(turn(all)))
            }
        };
        let other = context(&made, [query, key, value], AttentionOptions::default());
        assert!(distance(&all, &other) < 1e-5, "{config}");
    }
}

#[test]
fn token_after_token_is_the_same_as_all_at_once() {
    let device = Device::flex();
    for config in able(|abilities| abilities.incremental) {
        let made = config.init(SHAPE, &device);
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
        let made = config.init(SHAPE, &device);
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

/// A relative term of zero adds nothing, and one that is very low at one distance is as low a bias there.
#[test]
fn the_relative_term_belongs_to_distances() {
    const HIDDEN_DISTANCE: usize = 2;
    let device = Device::flex();
    let options = || AttentionOptions::default().causal().scale(1.0);
    for config in able(|abilities| abilities.relative) {
        let made = config.init(SHAPE, &device);
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
        let at_distance = |cell: usize| cell / SEQ % SEQ == cell % SEQ + HIDDEN_DISTANCE;
        let shape = [1, SHAPE.n_heads, SEQ, SEQ];
        let bias =
            Tensor::zeros(shape, &device).mask_fill(cells(shape, &device, at_distance), -1e4);
        let biased = context(&made, at, options().bias(bias));
        assert!(distance(&biased, &low) < 1e-5, "{config}");
        assert!(distance(&plain, &low) > 1e-2, "{config}");
    }
}

#[test]
fn a_query_gets_the_same_alone_as_among_others() {
    let device = Device::flex();
    for config in able(|abilities| abilities.cross) {
        let made = config.init(SHAPE, &device);
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

/// What the kernels compute is what the definition does; whoever they do not know is refused by name, by every
/// network, before anything is made.
#[test]
fn fused_attention_is_the_same_or_refused() {
    let device = Device::flex();
    let of = |implementation| AttentionOptions::default().implementation(implementation);
    for config in every() {
        if config.abilities().fused {
            let made = config.init(SHAPE, &device);
            let at = inputs(BATCH, SEQ, &device);
            let fused = context(&made, at.clone(), of(Implementation::Fused));
            let reference = context(&made, at, of(Implementation::Reference));
            assert!(distance(&fused, &reference) < 1e-5, "{config}");
            continue;
        }
        let xl = TransformerXlConfig::new(10, 1, 8, 2, 4, 8, 4, 4).with_mechanism(config);
        let seq2seq = Seq2SeqConfig::new(10, 12, 16, 2, 32, 1, 1).with_mechanism(config);
        let bert = BertConfig::new(10, 16, 2, 32, 2).with_mechanism(config);
        let fused = Implementation::Fused;
        for refused in [
            xl.with_implementation(fused).validate(),
            seq2seq.with_implementation(fused).validate(),
            bert.with_implementation(fused).validate(),
        ] {
            let error = refused.expect_err("no kernels").to_string();
            assert!(error.contains(&config.to_string()), "{error}");
        }
    }
}

/// A layer chooses who computes a masked call; with enough keys for kernels it still asks of no mechanism what that
/// cannot do.
#[test]
fn a_masked_layer_of_many_keys_is_computed() {
    const KEYS: usize = 160;
    let device = Device::flex();
    let x: Tensor<3> = tensor([1, KEYS, 16], 6, &device);
    let mask = cells([2, KEYS, KEYS], &device, |cell| cell % 3 == 0);
    for config in able(|abilities| abilities.global_mask) {
        let layer = MultiHeadAttentionConfig::new(16, 2)
            .with_mechanism(config)
            .init(&device);
        let input = AttentionInput::self_attention(x.clone());
        let plain = values(layer.forward(input.clone()).context);
        let masked = values(layer.forward(input.global_mask(mask.clone())).context);
        let off = distance(&plain, &masked);
        assert!(off.is_finite() && off > 0.0, "{config}: {off}");
    }
}

/// Weights that were published without the mechanism fill everything but its own parameters.
#[test]
fn pretrained_weights_fill_the_network_around_it() {
    let device = Device::flex();
    let weights = Weights::from_safetensors(&import::file("spans", import::as_is)).unwrap();
    for config in able(|abilities| abilities.pretrained) {
        let tiny = parity::tiny().with_attention_dropout(0.0);
        let model = tiny.with_mechanism(config).init_span_finder(&device);
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

/// Keys read in parts, with the state handed on, are as all of them at once: under a causal mask, and for a
/// query that sees all.
#[test]
fn a_state_stands_for_the_keys_that_were_read() {
    let device = Device::flex();
    for config in able(|abilities| abilities.state) {
        let made = config.init(SHAPE, &device);
        let at = inputs(BATCH, SEQ, &device);
        // The largest keys come late.
        let order = |tensor: &Tensor<4>| {
            let grows = Tensor::<1, Int>::arange(1..SEQ as i64 + 1, &device).float();
            tensor.clone() * grows.reshape([1, 1, SEQ, 1]).mul_scalar(0.3)
        };
        let at = [at[0].clone(), order(&at[1]), at[2].clone()];
        for (causal, splits) in [(true, &[2, 3, 7][..]), (true, &[5, 7]), (false, &[1, 4, 7])] {
            let options = || AttentionOptions {
                causal,
                ..AttentionOptions::default()
            };
            let whole = context(&made, at.clone(), options());
            let (mut rows, mut state, mut from) = (Vec::new(), None, 0);
            for &to in splits {
                let queries = if causal {
                    part(&at[0], from..to)
                } else {
                    at[0].clone()
                };
                let [key, value] = [&at[1], &at[2]].map(|tensor| part(tensor, from..to));
                let continued = made.attend_from(queries, key, value, state.take(), options());
                // A checkpoint holds it as rows.
                let packed = continued.state.packed();
                state = Some(made.unpack(packed, SHAPE.d_head));
                rows.push(continued.output.context);
                from = to;
            }
            let found = match causal {
                true => Tensor::cat(rows, 2),
                false => rows.pop().unwrap(),
            };
            let off = distance(&values(found), &whole);
            assert!(off < 1e-5, "{config}, {causal}, {splits:?}: {off}");
        }
    }
}

/// A beam takes the rows of a state in the order of its hypotheses.
#[test]
fn states_follow_their_rows() {
    let device = Device::flex();
    let order = Tensor::<1, Int>::from_ints([2, 0, 2], &device);
    for config in able(|abilities| abilities.state) {
        let made = config.init(SHAPE, &device);
        let [query, key, value] = inputs(BATCH, SEQ, &device);
        let causal = || AttentionOptions::default().causal();
        let before = made.attend_from(query.clone(), key.clone(), value.clone(), None, causal());
        let next = |rows: &dyn Fn(Tensor<4>) -> Tensor<4>, state| {
            let [query, key, value] = [4, 5, 6].map(|seed| rows(heads(BATCH, 1, seed, &device)));
            let continued = made.attend_from(query, key, value, Some(state), causal());
            continued.output.context
        };
        let select = |tensor: Tensor<4>| tensor.select(0, order.clone());
        let later = select(next(&|tensor| tensor, before.state.clone()));
        let sooner = next(&select, before.state.select(order.clone()));
        assert!(distance(&values(later), &values(sooner)) < 1e-6, "{config}");
    }
}
