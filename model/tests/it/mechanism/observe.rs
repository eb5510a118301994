//! What is watched of each mechanism.

use burn::prelude::*;
use burn::tensor::TensorData;
use sparta_model::layer::MechanismConfig;
use sparta_model::layer::mechanism::{Observable, Readings, watch};
use sparta_model::seq2seq::{Seq2SeqConfig, Seq2SeqInput};
use sparta_model::transformer_xl::{TransformerXlConfig, TransformerXlInput};
use sparta_ops::attention::AttentionOptions;
use sparta_ops::pruning::AttentionType;

use super::{BATCH, CATALOGUE, SEQ, SHAPE, cells, heads, inputs};
use crate::{alone, some_words, values, words};

fn mean(read: &[Observable], name: &str) -> f64 {
    let found = read.iter().find(|read| read.name == name);
    let mean = found.and_then(Observable::mean);
    mean.unwrap_or_else(|| panic!("no {name} in {read:?}"))
}

fn watched(
    words: &str,
    [query, key, value]: [Tensor<4>; 3],
    options: AttentionOptions,
) -> Vec<Observable> {
    let config: MechanismConfig = words.parse().unwrap();
    let mechanism = config.init(SHAPE, &query.device());
    let (_, readings) = watch(|| mechanism.attend(query, key, value, options));
    readings.of_all()
}

#[test]
fn every_mechanism_says_something_of_itself() {
    let device = Device::flex();
    for config in CATALOGUE {
        let mechanism = config.init(SHAPE, &device);
        let abilities = config.abilities();
        let attend = || {
            let [query, key, value] = inputs(BATCH, SEQ, &device);
            let options = AttentionOptions {
                causal: !abilities.bidirectional,
                ..AttentionOptions::default()
            };
            mechanism.attend(query, key, value, options).context
        };
        let (context, readings) = watch(attend);
        let read = readings.of_all();
        assert!(!read.is_empty(), "{config} says nothing");
        for read in &read {
            let mean = read.mean();
            assert!(mean.is_some_and(f64::is_finite), "{config}: {read:?}");
        }
        // Watching changes nothing.
        assert_eq!(values(context), values(attend()), "{config}");
    }
}

#[test]
fn nothing_is_watched_outside_and_a_panic_ends_it() {
    let device = Device::flex();
    let ((), inner) = watch(|| {
        let read = watched(
            "softmax",
            inputs(1, 3, &device),
            AttentionOptions::default(),
        );
        assert_eq!(mean(&read, "support"), 3.0);
    });
    // What was inside is not of the outer work.
    assert_eq!(inner, Readings::default());
    let panicked = std::panic::catch_unwind(|| watch(|| panic!("in the work")));
    assert!(panicked.is_err());
    let (_, after) = watch(|| ());
    assert_eq!(after, Readings::default());
}

#[test]
fn the_support_is_of_the_keys_that_can_be_seen() {
    let device = Device::flex();
    let causal = AttentionOptions::default().causal();
    let read = watched("softmax", inputs(BATCH, SEQ, &device), causal.clone());
    assert_eq!(mean(&read, "support"), (SEQ as f64 + 1.0) / 2.0);
    assert_eq!(mean(&read, "density %"), 100.0);
    assert_eq!(read[0].n, (BATCH * SHAPE.n_heads * SEQ) as u64);
    assert!(read.iter().all(|read| read.name != "kept %"));
    // Of the first key alone, which every query sees, weight is 1 whatever the scores.
    let but_first = cells([SHAPE.n_heads, SEQ, SEQ], &device, |i| i % SEQ > 0);
    for words in ["softmax", "sparsemax", "fusedmax(0.1)"] {
        let masked = causal.clone().global_mask(but_first.clone());
        let read = watched(words, inputs(BATCH, SEQ, &device), masked);
        assert_eq!(mean(&read, "support"), 1.0, "{words}");
        assert_eq!(mean(&read, "density %"), 100.0, "{words}");
        let kept = (1..=SEQ).map(|seen| 100.0 / seen as f64).sum::<f64>() / SEQ as f64;
        assert!((mean(&read, "kept %") - kept).abs() < 1e-6, "{words}");
    }
    // Rows without a key do not count, and padding cannot be seen.
    let padding = cells([1, 4], &device, |i| i > 1);
    let read = watched(
        "softmax",
        inputs(1, 4, &device),
        AttentionOptions::default().key_padding(padding),
    );
    assert_eq!(mean(&read, "support"), 2.0);
    let all = cells([1, 4], &device, |_| true);
    let read = watched(
        "softmax",
        inputs(1, 4, &device),
        AttentionOptions::default().key_padding(all),
    );
    assert!(read.iter().all(|read| read.n == 0 && read.mean().is_none()));
}

/// Of fusedmax's row 0.7, 0.95, 0.95, 0.1, 0.825, 0.825 five keys in three runs have weight; of oscarmax's
/// 0.9, 0.86, 0.775, 0.775 four keys in three groups.
#[test]
fn groups_of_equal_weights_are_counted() {
    let device = Device::flex();
    let scores = [0.5f32, 1.2, 1.1, -0.3, 0.9, 0.95];
    let first = |of: &[f32]| {
        let rows = of.iter().flat_map(|&x| {
            let mut row = vec![0.0; SHAPE.d_head];
            row[0] = x;
            row
        });
        let rows: Vec<f32> = rows.collect();
        let data = TensorData::new(rows, [1, 1, of.len(), SHAPE.d_head]);
        Tensor::<4>::from_data(data, &device).repeat_dim(1, SHAPE.n_heads)
    };
    for (words, support, groups) in [
        ("fusedmax(0.2)", 5.0, 3.0),
        // A tie of 0.95 and 0.9 that rounding sets apart, and one that λ pools.
        ("oscarmax(0.05)", 4.0, 3.0),
        ("oscarmax(0.06)", 4.0, 3.0),
    ] {
        let options = AttentionOptions::default().scale(1.0);
        let given = [first(&[1.0]), first(&scores), first(&scores)];
        let read = watched(words, given, options);
        assert_eq!(mean(&read, "support"), support, "{words}");
        assert_eq!(mean(&read, "groups"), groups, "{words}");
    }
}

#[test]
fn the_error_of_features_is_their_distance_from_softmax() {
    let device = Device::flex();
    alone(|| {
        device.seed(3);
        // Keys that are all the same get the same weight of whatever sees them, but where a floor
        // stands in for a smaller sum of features.
        let same = |seq| heads(1, 1, 5, &device).repeat_dim(2, seq);
        for words in [
            "favor(m=16)",
            "favor_relu(m=16)",
            "rfa(m=16, floor=0.000001)",
        ] {
            let [query, _, value] = inputs(1, SEQ, &device);
            let causal = AttentionOptions::default().causal();
            let read = watched(words, [query, same(SEQ), value], causal);
            assert!(mean(&read, "L1 error") < 1e-4, "{words}: {read:?}");
        }
        // More features are nearer.
        let error = |words: &str| {
            let given = inputs(BATCH, SEQ, &device);
            mean(
                &watched(words, given, AttentionOptions::default()),
                "L1 error",
            )
        };
        for kind in ["favor", "rfa"] {
            let [few, many] = [2, 2048].map(|m| error(&format!("{kind}(m={m})")));
            assert!(many < 0.5 * few && many < 0.3, "{kind}: {few} {many}");
        }
    });
}

#[test]
fn a_network_says_of_which_type_each_call_is() {
    let device = Device::flex();
    let config = Seq2SeqConfig::new(12, 12, 16, 2, 16, 2, 1)
        .with_decoder_self("rfa(m=4)".parse().unwrap())
        .with_cross("fusedmax(0.1)".parse().unwrap());
    let network = config.init(&device);
    let source = words(&some_words(10, 12, 1), 2, &device);
    let target = words(&some_words(6, 12, 2), 2, &device);
    let (_, readings) = watch(|| network.forward(Seq2SeqInput::new(source, target)));
    let names = |kinds: &[AttentionType]| -> Vec<(&str, u64)> {
        let read = readings.of(kinds).into_iter();
        read.map(|read| (read.name, read.n)).collect()
    };
    // Two layers, two sentences, two heads, five queries.
    assert_eq!(
        names(&[AttentionType::EncoderSelf]),
        [("support", 40), ("density %", 40)]
    );
    assert_eq!(names(&[AttentionType::DecoderSelf]), [("L1 error", 12)]);
    let cross = [("support", 12), ("density %", 12), ("groups", 12)];
    assert_eq!(names(&[AttentionType::Cross]), cross);
    let all = [
        ("support", 52),
        ("density %", 52),
        ("L1 error", 12),
        ("groups", 12),
    ];
    assert_eq!(names(&AttentionType::ALL), all);
}

/// A segment that goes on from a state has keys that are gone, and is not compared.
#[test]
fn features_are_watched_where_their_keys_are() {
    let device = Device::flex();
    let config = TransformerXlConfig::new(20, 1, 16, 2, 8, 16, 4, 4);
    let network = config
        .with_mechanism("favor(m=8)".parse().unwrap())
        .init(&device);
    let read = |mems| {
        let tokens = words(&some_words(4, 20, 3), 1, &device);
        let input = TransformerXlInput {
            tokens,
            mems,
            masks: None,
            return_weights: false,
        };
        let (output, readings) = watch(|| network.forward(input));
        (output.mems, readings.of(&[AttentionType::DecoderSelf]))
    };
    let (mems, first) = read(None);
    assert_eq!((first[0].name, first[0].n), ("L1 error", 8));
    assert!(read(Some(mems)).1.is_empty());
}
