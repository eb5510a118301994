//! LSH attention with several chunks: what it reads, what its words say, and that nothing is drawn while it runs.

use burn::module::Module;
use burn::prelude::*;
use rstest::rstest;
use sparta_model::layer::mechanism::redraw;
use sparta_model::layer::{AttentionInput, MultiHeadAttention, MultiHeadAttentionConfig};
use sparta_ops::attention::lsh::{LshOptions, lsh_attention};
use sparta_ops::attention::{AttentionOptions, Implementation};

use super::*;
use crate::{alone, distance};

const N: usize = 19;

fn lsh(words: &str) -> MechanismConfig {
    words.parse().unwrap()
}

/// Queries that are keys, and values.
fn shared(n: usize, device: &Device) -> [Tensor<4>; 3] {
    let shared = heads(BATCH, n, 1, device);
    [shared.clone(), shared, heads(BATCH, n, 2, device)]
}

fn rows(tensor: &Tensor<4>, rows: std::ops::Range<usize>) -> Tensor<4> {
    let [batch, n_heads, ..] = tensor.dims();
    tensor.clone().slice([0..batch, 0..n_heads, rows])
}

#[test]
fn words_name_every_setting() {
    for words in [
        "lsh",
        "lsh(m=16)",
        "lsh(rounds=8)",
        "lsh(m=32,rounds=2,scale=true,duplicates=true,same_bucket=true,wrap=true,redraw=100)",
    ] {
        assert_eq!(lsh(words).to_string(), words);
    }
    assert_eq!(
        lsh("lsh(m=32,rounds=4,wrap=false)").to_string(),
        "lsh(m=32)"
    );
    assert_eq!(lsh("lsh(redraw=100)").redraw_every(), 100);
    assert!(lsh("lsh").shares_keys() && !MechanismConfig::SOFTMAX.shares_keys());
    // A column for two buckets of n/m places: 64 keys a chunk above 256, 32 up to that.
    let n_params = |words: &str, max_len| {
        let shape = HeadShape { max_len, ..SHAPE };
        lsh(words).n_params(shape) / (SHAPE.n_heads * SHAPE.d_head)
    };
    assert_eq!(n_params("lsh", Some(256)), 4 * 8);
    assert_eq!(n_params("lsh", Some(512)), 4 * 8);
    assert_eq!(n_params("lsh(m=16,rounds=1)", Some(100)), 6);
    assert_eq!(n_params("lsh(m=64,rounds=1)", Some(10)), 1);
}

/// Both implementations, masks of every kind, padding, and the queries of a segment behind its memory.
#[test]
fn chunks_are_the_definition_under_every_mask() {
    let device = Device::flex();
    for words in [
        "lsh(m=3,rounds=3)",
        "lsh(m=4,rounds=2,same_bucket=true)",
        "lsh(m=5,scale=true)",
    ] {
        let made = lsh(words).init(SHAPE, &device);
        for seq_q in [N, 6] {
            let [shared, _, value] = shared(N, &device);
            let query = rows(&shared, N - seq_q..N);
            let of = |implementation| {
                let options = AttentionOptions::default()
                    .implementation(implementation)
                    .causal()
                    .global_mask(cells([SHAPE.n_heads, seq_q, N], &device, |c| c % 3 == 1))
                    .extra_mask(cells([seq_q, N], &device, |c| c % 7 == 2))
                    .key_padding(cells([BATCH, N], &device, |c| c >= BATCH * N - 5));
                values(made.attend_all([query.clone(), shared.clone(), value.clone()], options))
            };
            let off = distance(&of(Implementation::Reference), &of(Implementation::Auto));
            assert!(off < 1e-5, "{words} {seq_q}: {off}");
        }
    }
}

/// The queries of a segment get what they get among all, and a query alone reads every key.
#[test]
fn queries_behind_a_memory_stand_where_their_keys_do() {
    let device = Device::flex();
    let made = lsh("lsh(m=3,rounds=2)").init(SHAPE, &device);
    let at = shared(N, &device);
    let causal = || AttentionOptions::default().causal();
    let all = made.attend_all(at.clone(), causal());
    let [query, key, value] = at;
    let last = made.attend_all([rows(&query, 7..N), key.clone(), value.clone()], causal());
    assert!(distance(&values(rows(&all, 7..N)), &values(last)) < 1e-6);
    let alone = [rows(&query, N - 1..N), key.clone(), value.clone()];
    let alone = values(made.attend_all(alone, causal()));
    let full = lsh_attention(query, key, value, LshOptions::new(3).causal()).unwrap();
    let full = values(rows(&full.context, N - 1..N));
    assert!(distance(&alone, &full) < 1e-6);
    assert!(distance(&alone, &values(rows(&all, N - 1..N))) > 1e-3);
}

/// Chunks that wrap around read what padding leaves of the last one, unless keys must be of the query's bucket.
#[test]
fn chunks_that_wrap_around_are_refused_padding() {
    for (words, expected) in [
        ("lsh", true),
        ("lsh(wrap=true)", false),
        ("lsh(same_bucket=true)", true),
        ("lsh(same_bucket=true,wrap=true)", true),
    ] {
        let made = lsh(words).init(SHAPE, &Device::flex());
        assert_eq!(lsh(words).abilities().key_padding, expected, "{words}");
        assert_eq!(made.abilities().key_padding, expected, "{words}");
    }
}

/// The buckets of an example are those of its own length.
#[rstest]
fn padding_moves_nothing(
    #[values("lsh(m=4,rounds=3)", "lsh(m=4,rounds=3,same_bucket=true,wrap=true)")] words: &str,
) {
    let device = Device::flex();
    let shape = HeadShape {
        max_len: Some(64),
        ..SHAPE
    };
    let made = lsh(words).init(shape, &device);
    let at = shared(N, &device);
    for causal in [false, true] {
        let options = || AttentionOptions {
            causal,
            ..AttentionOptions::default()
        };
        let alone = values(made.attend_all(at.clone(), options()));
        for extra in [1, 7, 30] {
            let wide = N + extra;
            let far = |tensor: &Tensor<4>| {
                let padding = heads(BATCH, extra, 11, &device).mul_scalar(1e3);
                Tensor::cat(vec![tensor.clone(), padding], 2)
            };
            let padding = cells([BATCH, wide], &device, |cell| cell % wide >= N);
            let padded = [&at[0], &at[1], &at[2]].map(far);
            let padded = made.attend_all(padded, options().key_padding(padding));
            let off = distance(&values(rows(&padded, 0..N)), &alone);
            assert!(off <= 1e-6, "{extra}: {off}");
        }
    }
}

#[test]
fn more_rounds_are_nearer_to_all_keys() {
    let device = Device::flex();
    let at = shared(96, &device);
    let [query, key, value] = at.clone();
    let full = lsh_attention(query, key, value, LshOptions::new(8)).unwrap();
    let full = values(full.context);
    let off = |words: &str| {
        let shape = HeadShape {
            max_len: Some(96),
            ..SHAPE
        };
        // Rotations of this seed, whatever else draws from the device.
        let made = redraw(lsh(words).init(shape, &device), 3);
        let found = values(made.attend_all(at.clone(), AttentionOptions::default()));
        let squares = found.iter().zip(&full).map(|(a, b)| (a - b) * (a - b));
        (squares.sum::<f32>() / full.len() as f32).sqrt()
    };
    let [one, four, sixteen] = ["lsh(m=8,rounds=1)", "lsh(m=8)", "lsh(m=8,rounds=16)"].map(off);
    println!("root mean square off full attention: {one} {four} {sixteen}");
    assert!(one > four && four > sixteen, "{one} {four} {sixteen}");
}

#[test]
fn a_layer_has_no_key_map_and_draws_its_rotations_once() {
    alone(|| {
        let device = Device::flex();
        let config = MultiHeadAttentionConfig::new(16, 2)
            .with_mechanism(lsh("lsh(m=4,rounds=2)"))
            .with_max_len(Some(32))
            .with_dropout(0.0);
        let made = |seed| {
            device.seed(seed);
            config.init(&device)
        };
        let x: Tensor<3> = tensor([BATCH, N, 16], 5, &device);
        let run = |layer: &MultiHeadAttention| {
            values(
                layer
                    .forward(AttentionInput::self_attention(x.clone()))
                    .context,
            )
        };
        let rotations =
            |layer: &MultiHeadAttention| values(of_kind!(Lsh, &layer.mechanism).rotations.val());
        let layer = made(1);
        assert!(layer.key.is_none());
        let softmax = MultiHeadAttentionConfig::new(16, 2)
            .init(&device)
            .num_params();
        assert_eq!(layer.num_params(), softmax - (16 * 16 + 16) + 2 * 2 * 8 * 8);
        assert_eq!(rotations(&layer), rotations(&made(1)));
        assert_ne!(rotations(&layer), rotations(&made(2)));
        let first = run(&layer);
        assert_eq!(run(&layer), first);
        assert_eq!(run(&layer.clone().valid()), first);
        let again = redraw(layer.clone(), 7);
        assert_ne!(rotations(&again), rotations(&layer));
        assert_eq!(rotations(&again), rotations(&redraw(layer.clone(), 7)));
        assert_ne!(run(&again), first);
        // They are not trained, before or after.
        let tracked = config.init(&Device::flex().autodiff());
        for layer in [tracked.clone(), redraw(tracked, 3)] {
            let Mechanism::Lsh(lsh) = &layer.mechanism else {
                panic!("not LSH");
            };
            assert!(!lsh.rotations.val().is_require_grad());
        }
    });
}

#[test]
#[should_panic(expected = "cannot attend to another sequence")]
fn another_sequence_is_refused() {
    let device = Device::flex();
    let layer = MultiHeadAttentionConfig::new(16, 2)
        .with_mechanism(lsh("lsh(m=4)"))
        .init(&device);
    let [x, y] = [5, 6].map(|seed| tensor([1, 4, 16], seed, &device));
    layer.forward(AttentionInput::cross(x, y));
}
