//! Training speed of BERT beside the same network in PyTorch eager on the same processor.
//!
//! ```text
//! cargo bench -p sparta-experiments --bench bert [--features tch] [-- --device flex --steps 10
//!     --peer PYTHON]
//! ```
//!
//! PYTHON is one with torch 2.9.0 and transformers 4.57.6; it runs benches/peer/bert_peer.py. Steps are
//! whole ones: forward, backward and AdamW, with dropout and on one batch of random tokens, a third
//! of them padding. Ours and theirs alternate, and the medians are compared.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use sparta_experiments::device::{self, DeviceChoice};
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
const ROUNDS: usize = 3;

fn main() {
    let mut devices = vec!["flex".to_owned(), "tch".to_owned()];
    let (mut steps, mut peer) = (5, None::<PathBuf>);
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .unwrap_or_else(|| panic!("{name} needs a value"));
        match name.as_str() {
            "--device" => devices = vec![value],
            "--steps" => steps = value.parse().expect("--steps takes a number"),
            "--peer" => peer = Some(value.into()),
            other => panic!("no option {other}: see the head of experiments/benches/bert.rs"),
        }
    }
    for case in CASES {
        let mut ours: Vec<(&str, Vec<f64>)> = Vec::new();
        let mut theirs = Vec::new();
        for round in 0..ROUNDS {
            theirs.extend(peer.as_deref().map(|python| run_peer(python, case, steps)));
            for name in &devices {
                let choice: DeviceChoice = name.parse().expect("a device");
                let opened = match device::open(choice, "bert") {
                    Ok(opened) => opened,
                    Err(error) => {
                        if round == 0 {
                            println!("{name}: not timed: {error:#}");
                        }
                        continue;
                    }
                };
                let rate = examples_per_second(case, steps, &opened.device.autodiff());
                match ours.iter_mut().find(|(known, _)| known == name) {
                    Some((_, rates)) => rates.push(rate),
                    None => ours.push((name, vec![rate])),
                }
            }
        }
        let Case {
            name, batch, seq, ..
        } = case;
        println!("{name}, {batch} × {seq} tokens, examples/s (median of {ROUNDS} × {steps} steps)");
        let theirs = (!theirs.is_empty()).then(|| median(theirs));
        if let Some(rate) = theirs {
            println!("  {:<8} {rate:8.1}", "PyTorch");
        }
        for (name, rates) in ours {
            let rate = median(rates);
            let ratio = theirs.map_or(String::new(), |t| format!("  {:5.2}×", rate / t));
            println!("  {name:<8} {rate:8.1}{ratio}");
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn examples_per_second(case: Case, steps: usize, device: &Device) -> f64 {
    let Case { batch, seq, .. } = case;
    let mut model = BertConfig::mini_lm(case.n_layers).init_classifier(2, device);
    let mut adam = ClippedAdam::new(AdamSettings {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        clip: 1.0,
        weight_decay: 0.01,
        decay_vectors: false,
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
        let logits = model.forward(BertInput::new(tokens.clone()).padding(padding.clone()));
        let loss = model.label_loss(logits, labels.clone());
        let value = loss.clone().inner();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        (model, _) = adam.step(model, gradients, 2e-5, device);
        assert!(value.into_scalar::<f32>().is_finite());
        device.sync().expect("the device works");
    }
    (steps * batch) as f64 / started.elapsed().as_secs_f64()
}

fn run_peer(python: &Path, case: Case, steps: usize) -> f64 {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/peer/bert_peer.py");
    let numbers = [case.n_layers, case.batch, case.seq, steps].map(|n| n.to_string());
    let output = Command::new(python)
        .arg(script)
        .args(numbers)
        .output()
        .expect("the peer's Python starts");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| {
        let error = String::from_utf8_lossy(&output.stderr);
        panic!("the peer gave no number: {text}{error}")
    })
}
