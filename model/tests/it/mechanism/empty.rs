//! Calls of no example, no query or no key.

use burn::prelude::*;
use sparta_ops::attention::AttentionOptions;

use super::*;
use crate::distance;

fn none(batch: usize, seq: usize, device: &Device) -> Tensor<4> {
    Tensor::zeros([batch, SHAPE.n_heads, seq, SHAPE.d_head], device)
}

/// Queries without a key get zeros, whatever reads them.
#[test]
fn attention_of_nothing_is_zeros() {
    let device = Device::flex();
    let of_places = ["softmax+local(w=2)", "softmax+nape", "asentmax_nape"];
    let of_places = of_places.map(|words| words.parse().unwrap());
    for config in every().into_iter().chain(of_places) {
        let made = config.init(SHAPE, &device);
        let abilities = config.abilities();
        for [batch, seq_q, seq_kv] in [
            [0, SEQ, SEQ],
            [BATCH, 0, SEQ],
            [BATCH, SEQ, 0],
            [BATCH, 0, 0],
        ] {
            for causal in [false, abilities.causal] {
                let options = AttentionOptions {
                    causal,
                    return_weights: abilities.weights,
                    ..AttentionOptions::default()
                };
                let [query, key] = [seq_q, seq_kv].map(|seq| match batch * seq {
                    0 => none(batch, seq, &device),
                    _ => heads(batch, seq, 1, &device),
                });
                let output = made.attend(query, key.clone(), key, options);
                let shape = [batch, SHAPE.n_heads, seq_q, SHAPE.d_head];
                assert_eq!(output.context.dims(), shape, "{config}");
                if let Some(weights) = output.weights {
                    let shape = [batch, SHAPE.n_heads, seq_q, seq_kv];
                    assert_eq!(weights.dims(), shape, "{config}");
                }
                if batch * seq_q > 0 {
                    let context = values(output.context);
                    assert!(context.iter().all(|x| *x == 0.0), "{config}");
                }
            }
        }
    }
}

/// Without keys queries read the state as it is; without queries keys go into it.
#[test]
fn a_state_goes_on_where_nobody_reads_and_nothing_is_read() {
    let device = Device::flex();
    for config in able(|abilities| abilities.state) {
        let made = config.init(SHAPE, &device);
        let [query, key, value] = inputs(BATCH, SEQ, &device);
        let no_key = || none(BATCH, 0, &device);
        for causal in [false, true] {
            let options = || AttentionOptions {
                causal,
                ..AttentionOptions::default()
            };
            let from = |[query, key, value]: [Tensor<4>; 3], state| {
                made.attend_from(query, key, value, state, options())
            };
            let at = || [query.clone(), key.clone(), value.clone()];
            let unseen = from([query.clone(), no_key(), no_key()], None);
            let context = values(unseen.output.context);
            assert!(context.iter().all(|x| *x == 0.0), "{config} {causal}");
            // The state of nothing is as none.
            let [first, other] =
                [None, Some(unseen.state)].map(|state| values(from(at(), state).output.context));
            let off = distance(&first, &other);
            assert!(off < 1e-5, "{config} {causal}: {off}");

            let unread = from([no_key(), key.clone(), value.clone()], None);
            let shape = [BATCH, SHAPE.n_heads, 0, SHAPE.d_head];
            assert_eq!(unread.output.context.dims(), shape, "{config}");
            let read = from([query.clone(), no_key(), no_key()], Some(unread.state));
            let all = values(made.attend_all(at(), AttentionOptions::default()));
            let off = distance(&values(read.output.context), &all);
            assert!(off < 1e-5, "{config} {causal}: {off}");
        }
    }
}

#[test]
fn a_batch_of_no_example_has_a_state() {
    let device = Device::flex();
    for config in able(|abilities| abilities.state) {
        let made = config.init(SHAPE, &device);
        let width = |batch: usize, state| {
            let at = [1, 2, 3].map(|_| none(batch, SEQ, &device));
            let [query, key, value] = at;
            let options = AttentionOptions::default().causal();
            let continued = made.attend_from(query, key, value, state, options);
            let shape = [batch, SHAPE.n_heads, SEQ, SHAPE.d_head];
            assert_eq!(continued.output.context.dims(), shape, "{config}");
            (continued.state.clone().packed().dims(), continued.state)
        };
        let ([_, n_heads, n], _) = width(1, None);
        let (first, state) = width(0, None);
        assert_eq!(first, [0, n_heads, n], "{config}");
        assert_eq!(width(0, Some(state)).0, first, "{config}");
    }
}
