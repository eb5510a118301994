//! FAVOR+: near softmax attention, whatever the size of the keys, and drawn only when it is asked for.

use burn::module::Module;
use burn::prelude::*;
use sparta_model::layer::mechanism::redraw;
use sparta_model::layer::{AttentionInput, MultiHeadAttentionConfig};
use sparta_ops::attention::AttentionOptions;

use super::*;
use crate::{alone, distance};

fn favor(words: &str) -> MechanismConfig {
    words.parse().unwrap()
}

fn attend(config: MechanismConfig, seed: u64, scale: f64, options: AttentionOptions) -> Vec<f32> {
    let device = Device::flex();
    let [query, key, value] = inputs(BATCH, SEQ, &device);
    // Features of this seed, whatever else draws from the device.
    let made = redraw(config.init(SHAPE, &device), seed);
    let at = [query.mul_scalar(scale), key.mul_scalar(scale), value];
    values(made.attend_all(at, options))
}

/// The error of m features falls as 1/√m.
#[test]
fn with_many_features_it_is_near_softmax_attention() {
    for causal in [false, true] {
        let options = || AttentionOptions {
            causal,
            ..AttentionOptions::default()
        };
        let exact = attend(MechanismConfig::SOFTMAX, 0, 0.5, options());
        let off = |m: usize| {
            const N_DRAWS: u64 = 16;
            let squares = (0..N_DRAWS).flat_map(|seed| {
                let found = attend(favor(&format!("favor(m={m})")), seed, 0.5, options());
                let errors: Vec<_> = found.iter().zip(&exact).map(|(a, b)| a - b).collect();
                errors.into_iter().map(|error| f64::from(error).powi(2))
            });
            (squares.sum::<f64>() / (N_DRAWS as f64 * exact.len() as f64)).sqrt()
        };
        let [few, many] = [256, 4096].map(off);
        println!("causal {causal}: root mean square error {few} of 256 features, {many} of 4096");
        assert!((few / many - 4.0).abs() < 1.0, "{causal}: {few} {many}");
        assert!(many < 0.02, "{causal}: {few} {many}");
    }
}

/// Neither do exponentials of large keys overflow, nor do later ones change earlier rows.
#[test]
fn keys_of_any_size_give_numbers() {
    for scale in [1e-3, 10.0, 1e3] {
        for causal in [false, true] {
            let options = AttentionOptions {
                causal,
                ..AttentionOptions::default()
            };
            let found = attend(favor("favor(m=64)"), 3, scale, options);
            // A context is a mean of values, which are in (−2, 2).
            assert!(
                found.iter().all(|x| x.abs() <= 2.0),
                "{scale}, causal {causal}"
            );
        }
    }
}

#[test]
fn features_are_drawn_by_the_seed_of_the_device_and_by_nothing_else() {
    alone(|| {
        let device = Device::flex();
        let config = MultiHeadAttentionConfig::new(16, 2)
            .with_mechanism(favor("favor(m=24)"))
            .with_dropout(0.0);
        let made = |seed| {
            device.seed(seed);
            config.init(&device)
        };
        let x = || tensor([BATCH, SEQ, 16], 5, &device);
        let run = |layer: &sparta_model::layer::MultiHeadAttention| {
            values(layer.forward(AttentionInput::self_attention(x())).context)
        };
        let projection = |layer: &sparta_model::layer::MultiHeadAttention| {
            values(of_kind!(Favor, &layer.mechanism).projection.val())
        };
        let layer = made(1);
        assert_eq!(projection(&layer), projection(&made(1)));
        assert_ne!(projection(&layer), projection(&made(2)));
        // Running it draws nothing.
        let first = run(&layer);
        assert_eq!(run(&layer), first);
        assert_eq!(run(&layer.clone().valid()), first);
        // A new draw changes the features and nothing else, and is the same for a seed.
        let again = redraw(layer.clone(), 7);
        assert_ne!(projection(&again), projection(&layer));
        assert_eq!(projection(&again), projection(&redraw(layer.clone(), 7)));
        assert_eq!(
            values(again.query.weight.val()),
            values(layer.query.weight.val())
        );
        assert_ne!(run(&again), first);
        // Two layers of a network get draws of their own.
        let [one, other] = {
            let both = redraw(vec![layer.clone(), layer], 7);
            [projection(&both[0]), projection(&both[1])]
        };
        assert_ne!(one, other);
    });
}

/// What a training step may change is everything but the features.
#[test]
fn features_are_not_trained() {
    let device = Device::flex().autodiff();
    let made = favor("favor(m=24)").init(SHAPE, &device);
    let Mechanism::Favor(made) = redraw(made, 3) else {
        panic!("not FAVOR+");
    };
    assert!(!made.projection.val().is_require_grad());
}

/// What the package gives for the same features, its added constants being 0.
#[test]
fn contexts_are_those_of_performer_pytorch() {
    #[derive(serde::Deserialize)]
    struct Parity {
        shape: [usize; 4],
        features: usize,
        query: Vec<f32>,
        key: Vec<f32>,
        value: Vec<f32>,
        projection: Vec<f32>,
        contexts: std::collections::BTreeMap<String, Vec<f32>>,
    }
    let file: Parity = serde_json::from_str(include_str!("../../parity/favor.json")).unwrap();
    let shape @ [_, n_heads, _, d_head] = file.shape;
    for device in sparta_ops::testing::devices() {
        let on = |numbers: &[f32]| {
            let data = TensorData::new(numbers.to_vec(), shape);
            Tensor::<4>::from_data(data, &device.device)
        };
        for (name, expected) in &file.contexts {
            let word = name.trim_end_matches(" causal");
            let shape = HeadShape {
                d_model: 16,
                n_heads,
                d_head,
                max_len: None,
            };
            let Mechanism::Favor(mut made) =
                favor(&format!("{word}(m=10)")).init(shape, &device.device)
            else {
                panic!("not FAVOR+");
            };
            let data = TensorData::new(file.projection.clone(), [file.features, d_head]);
            made.projection = made
                .projection
                .map(|old| Tensor::from_data(data, &old.device()));
            let options = AttentionOptions {
                causal: name.ends_with(" causal"),
                ..AttentionOptions::default()
            };
            let at = [&file.query, &file.key, &file.value].map(|numbers| on(numbers));
            let found = values(Mechanism::Favor(made).attend_all(at, options));
            let off = distance(&found, expected);
            println!("{} {name}: {off}", device.name);
            assert!(off < 2e-5, "{} {name}: {off}", device.name);
        }
    }
}
