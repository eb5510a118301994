//! Checkpoints read back, and refused.

use std::fs;

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use sparta_model::Precision;
use sparta_model::layer::{
    AttentionInput, Mechanism, MultiHeadAttention, MultiHeadAttentionConfig, NormalizerConfig,
};

use super::file::CHECKSUM;
use super::*;
use crate::train::{Selection, Validation};

#[derive(Module, Debug)]
struct Layers {
    layers: Vec<MultiHeadAttention>,
}

fn identity(recipe: &str) -> Identity {
    Identity {
        recipe_hash: recipe.to_owned(),
        seed: 1,
        run: "dense".to_owned(),
    }
}

fn checkpoint(model: &Linear) -> Checkpoint {
    let moments = SavedMoments {
        time: 3,
        first: TensorData::from([1.0f32, 2.0]),
        second: TensorData::from([3.0f32, 4.0]),
    };
    Checkpoint {
        identity: identity("abcdef0123"),
        step: 3,
        seconds: 1.5,
        window: (0.1 + 0.2, 2),
        by: vec![TrainedBy {
            device: "flex".to_owned(),
            commit: "0123456789ab".to_owned(),
        }],
        attention: Some(Calls {
            reference: 2,
            fused: 7,
        }),
        model: parameters(model),
        optimizer: BTreeMap::from([("bias".to_owned(), moments)]),
        state: BTreeMap::from([("mems.0".to_owned(), TensorData::from([[[0.5f32]]]))]),
        owes_validation: true,
        patience: Some(Waited::after(None, &Validation::of(1.1), Selection::Last)),
        loss_scale: LossScale::of(Precision::F16),
    }
}

#[test]
fn reads_back_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let device = Device::flex().autodiff();
    let saved = checkpoint(&LinearConfig::new(3, 2).init(&device));
    saved.save(&path).unwrap();
    let loaded = Checkpoint::load(&path, &saved.identity).unwrap();
    assert_eq!(loaded.model, saved.model);
    assert_eq!(loaded.patience, saved.patience);
    assert_eq!(loaded.loss_scale, saved.loss_scale);
    assert!(loaded.loss_scale.is_some());
    assert_eq!(loaded.optimizer, saved.optimizer);
    assert_eq!(loaded.state, saved.state);
    assert_eq!(loaded.attention, saved.attention);
    assert_eq!(loaded.by, saved.by);
    // The header alone says it too, and a file without one nothing.
    assert_eq!(trained_so_far(folder.path()), saved.by);
    let other = tempfile::tempdir().unwrap();
    assert!(trained_so_far(other.path()).is_empty());
    fs::write(other.path().join(CHECKPOINT), [255; 40]).unwrap();
    assert!(trained_so_far(other.path()).is_empty());
    assert_eq!((loaded.step, loaded.seconds), (3, 1.5));
    assert_eq!(loaded.window, saved.window);
    assert!(loaded.owes_validation);
    let other: Linear = LinearConfig::new(3, 2).init(&device);
    let other = set_parameters(other, loaded.model).unwrap();
    assert_eq!(parameters(&other), saved.model);
    assert!(other.weight.is_require_grad());
}

/// A run folder of a version in which the α of a layer was its `normalizer.raw_alpha`.
#[test]
fn a_learned_alpha_of_an_earlier_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let device = Device::flex();
    let layers = || Layers {
        layers: vec![
            MultiHeadAttentionConfig::new(4, 2)
                .with_normalizer(NormalizerConfig::alpha_entmax())
                .init(&device),
        ],
    };
    let wanted = parameters(&layers());
    let path_now = "layers.0.mechanism.DotProduct.normalizer.raw_alpha";
    let path_then = "layers.0.normalizer.raw_alpha";
    let then = |path: &str| path.replace(path_now, path_then);
    assert!(wanted.contains_key(path_now));
    let moments = SavedMoments {
        time: 7,
        first: TensorData::from([1.0f32, 2.0]),
        second: TensorData::from([3.0f32, 4.0]),
    };
    let saved = Checkpoint {
        identity: identity("abcdef0123"),
        step: 7,
        seconds: 0.5,
        window: (0.0, 0),
        model: (wanted.iter())
            .map(|(path, data)| (then(path), data.clone()))
            .collect(),
        optimizer: BTreeMap::from([(path_then.to_owned(), moments.clone())]),
        attention: None,
        by: Vec::new(),
        state: BTreeMap::new(),
        owes_validation: false,
        patience: None,
        loss_scale: None,
    };
    saved.save(&path).unwrap();
    let found = Checkpoint::load(&path, &saved.identity).unwrap();
    assert_eq!(
        found.optimizer,
        BTreeMap::from([(path_now.to_owned(), moments)])
    );
    let other = layers(); // other random values
    assert_ne!(parameters(&other), wanted);
    let read = load_model(&path, other, &saved.identity).unwrap();
    assert_eq!(parameters(&read), wanted);
}

/// Random features are part of the model: another draw is replaced by that of the file, and stays untrained.
#[test]
fn random_features_are_saved_with_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let device = Device::flex().autodiff();
    for (words, drawn) in [
        ("favor(m=6)", "Favor.projection"),
        ("rfa_gate(m=3)", "Rfa.frequencies"),
        ("lsh(m=2,rounds=1)", "Lsh.rotations"),
    ] {
        let layers = || Layers {
            layers: vec![
                MultiHeadAttentionConfig::new(4, 2)
                    .with_dropout(0.0)
                    .with_mechanism(words.parse().unwrap())
                    .init(&device),
            ],
        };
        let output = |of: &Layers| {
            // As many words as hashing puts into other chunks by another draw.
            let x = (0..96).map(|i| (f64::from(i * i) * 0.37).sin() as f32);
            let x = TensorData::new(x.collect::<Vec<_>>(), [1, 24, 4]);
            let x = Tensor::<3>::from_data(x, &device);
            let input = AttentionInput::self_attention(x).causal();
            of.layers[0].forward(input).context.into_data()
        };
        let [saved, other] = [layers(), layers()];
        let name = format!("layers.0.mechanism.{drawn}");
        assert_ne!(parameters(&saved)[&name], parameters(&other)[&name]);
        assert_ne!(output(&saved), output(&other));
        save_model(&path, &saved, &identity("h"), 1).unwrap();
        let read = load_model(&path, other, &identity("h")).unwrap();
        assert_eq!(parameters(&read), parameters(&saved));
        assert_eq!(output(&read), output(&saved));
        assert_eq!(output(&read), output(&read), "evaluation draws nothing");
        let tracked = match &read.layers[0].mechanism {
            Mechanism::Favor(favor) => favor.projection.val().is_require_grad(),
            Mechanism::Rfa(rfa) => rfa.frequencies.val().is_require_grad(),
            Mechanism::Lsh(lsh) => lsh.rotations.val().is_require_grad(),
            Mechanism::DotProduct(_) | Mechanism::Linformer(_) | Mechanism::Nystrom(_) => {
                panic!("no random features")
            }
        };
        assert!(!tracked, "{words}");
    }
}

/// Every bit of a small file: none that changes what is read goes unseen.
#[test]
fn a_flipped_bit_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let device = Device::flex();
    let saved = checkpoint(&LinearConfig::new(3, 2).init(&device));
    saved.save(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let (mut n_refused, mut n_same) = (0, 0);
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        match Checkpoint::load(&path, &saved.identity) {
            Err(_) => n_refused += 1,
            // The name of the checksum itself.
            Ok(read) => {
                assert_eq!(read.model, saved.model, "bit {bit}");
                assert_eq!(read.optimizer, saved.optimizer, "bit {bit}");
                assert_eq!(read.state, saved.state, "bit {bit}");
                assert_eq!(read.attention, saved.attention, "bit {bit}");
                assert_eq!((read.step, read.seconds), (saved.step, saved.seconds));
                assert_eq!(read.window, saved.window, "bit {bit}");
                n_same += 1;
            }
        }
    }
    println!("{n_refused} flipped bits refused, {n_same} change nothing");
    assert!(n_same <= 8 * CHECKSUM.len(), "{n_same}");
}

/// The hash of a file may be anything, and is shown by its first letters: cut within one, it panicked.
#[test]
fn a_hash_of_other_letters_is_shown() {
    assert_eq!(short("0123456789"), "01234567");
    assert_eq!(short("1234567é9"), "1234567é9");
    assert_eq!(short("12"), "12");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let mut saved = checkpoint(&LinearConfig::new(3, 2).init(&Device::flex()));
    let wanted = saved.identity.clone();
    saved.identity.recipe_hash = "1234567é9".to_owned();
    saved.save(&path).unwrap();
    let error = Checkpoint::load(&path, &wanted).unwrap_err().to_string();
    assert!(error.contains("another recipe"), "{error}");
}

#[test]
fn refuses_what_belongs_elsewhere_or_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let device = Device::flex();
    let saved = checkpoint(&LinearConfig::new(3, 2).init(&device));
    saved.save(&path).unwrap();
    let error = Checkpoint::load(&path, &identity("999999999"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("another recipe") && error.contains("--out"),
        "{error}"
    );
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = Checkpoint::load(&path, &saved.identity)
        .unwrap_err()
        .to_string();
    assert!(error.contains("delete it"), "{error}");
    let other = safetensors::serialize(
        std::iter::empty::<(&str, safetensors::tensor::TensorView<'_>)>(),
        None,
    );
    for (bytes, what) in [
        (
            b"these are no tensors".to_vec(),
            "it is no safetensors file",
        ),
        (other.unwrap(), "no Sparta header"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = Checkpoint::load(&path, &saved.identity);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(what) && !error.contains("delete"), "{error}");
    }
    let wide: Linear = LinearConfig::new(4, 2).init(&device);
    let error = set_parameters(wide, saved.model).unwrap_err().to_string();
    assert!(
        error.contains("[3, 2]") && error.contains("[4, 2]"),
        "{error}"
    );
}
