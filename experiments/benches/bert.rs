//! Training speed of BERT beside the same network in PyTorch eager on the same processor.
//!
//! ```text
//! cargo bench -p sparta-experiments --bench bert [--features tch] [-- --device flex --filter TEXT
//!     --steps 10 --peer PYTHON]
//! ```
//!
//! PYTHON is one with torch 2.9.0 and transformers 4.57.6; it runs benches/peer/bert_peer.py. Steps are
//! whole ones: forward, backward and AdamW, with dropout and on one batch of random tokens, a third
//! of them padding. Ours and theirs alternate, and the medians are compared.

mod peer;

use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use peer::Options;
use sparta_experiments::train::{AdamSettings, ClippedAdam};
use sparta_model::bert::{BertConfig, BertInput};

/// A network and the shape of its batches.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    n_layers: usize,
    batch: usize,
    seq: usize,
}

const CASES: [Case; 2] = [
    Case {
        name: "MiniLM-L3",
        n_layers: 3,
        batch: 32,
        seq: 64,
    },
    Case {
        name: "MiniLM-L6",
        n_layers: 6,
        batch: 32,
        seq: 128,
    },
];

fn main() {
    sparta_experiments::memory::keep_freed();
    let options = Options::parse("bert_peer.py");
    for case in CASES {
        let Case {
            name,
            n_layers,
            batch,
            seq,
        } = case;
        let numbers = [n_layers, batch, seq, options.steps];
        let title = format!("{name}, {batch} × {seq} tokens, train: examples/s");
        options.compare(&title, &numbers.map(|n| n.to_string()), |device| {
            examples_per_second(case, options.steps, &device.clone().autodiff())
        });
    }
}

fn examples_per_second(case: Case, steps: usize, device: &Device) -> f64 {
    let Case { batch, seq, .. } = case;
    let mut model = Some(BertConfig::mini_lm(case.n_layers).init_classifier(2, device));
    let mut adam = ClippedAdam::new(AdamSettings {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        clip: 1.0,
        weight_decay: 0.01,
        decay_vectors: false,
        head: None,
    });
    let tokens: Vec<i32> = (0..(batch * seq) as i32)
        .map(|i| 1000 + i * 7919 % 29_000)
        .collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [batch, seq]), device);
    let padding: Vec<bool> = (0..batch * seq).map(|i| i % seq >= seq * 2 / 3).collect();
    let padding = Tensor::from_data(TensorData::new(padding, [batch, seq]), device);
    let labels: Vec<i32> = (0..batch as i32).map(|i| i % 2).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [batch]), device);
    let mut started = Instant::now();
    for step in 0..steps + 1 {
        if step == 1 {
            // The first one warms up.
            started = Instant::now();
        }
        // Nobody else holds it: the optimiser writes over it.
        let current = model.take().expect("put back after every step");
        let logits = current.forward(BertInput::new(tokens.clone()).padding(padding.clone()));
        let loss = current.label_loss(logits, labels.clone());
        let value = loss.clone().inner();
        let gradients = GradientsParams::from_grads(loss.backward(), &current);
        model = Some(adam.step(current, gradients, 2e-5, device).0);
        assert!(value.into_scalar::<f32>().is_finite());
        device.sync().expect("the device works");
    }
    (steps * batch) as f64 / started.elapsed().as_secs_f64()
}
