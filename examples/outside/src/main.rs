//! A small model of a user's own with Sparta's attention, trained on a device that is named on the command line:
//!
//! ```sh
//! cargo run --release                          # flex: CPU, pure Rust
//! cargo run --release --features wgpu -- wgpu  # a GPU
//! ```
//!
//! It reads 12 symbols and says which of them stands twice in a row.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::TensorData;
use sparta_model::layer::{
    AttentionInput, MultiHeadAttention, MultiHeadAttentionConfig, NormalizerConfig,
};
use sparta_ops::loss::entmax15_loss;

const SYMBOLS: usize = 8;
const LEN: usize = 12;
const D_MODEL: usize = 48;
const BATCH: usize = 32;

#[derive(Module, Debug)]
struct Twice {
    symbols: Embedding,
    places: Embedding,
    first: MultiHeadAttention,
    second: MultiHeadAttention,
    output: Linear,
}

impl Twice {
    fn new(device: &Device) -> Self {
        let attention = || {
            MultiHeadAttentionConfig::new(D_MODEL, 4)
                .with_dropout(0.0)
                .with_normalizer(NormalizerConfig::alpha_entmax())
                .init(device)
        };
        Self {
            symbols: EmbeddingConfig::new(SYMBOLS, D_MODEL).init(device),
            places: EmbeddingConfig::new(LEN, D_MODEL).init(device),
            first: attention(),
            second: attention(),
            output: LinearConfig::new(D_MODEL, SYMBOLS).init(device),
        }
    }

    fn forward(&self, read: Tensor<2, Int>) -> Tensor<2> {
        let places = Tensor::<1, Int>::arange(0..LEN as i64, &read.device());
        let x = self.symbols.forward(read) + self.places.forward(places.unsqueeze());
        let x = self
            .first
            .forward(AttentionInput::self_attention(x.clone()))
            .context
            + x;
        let x = self
            .second
            .forward(AttentionInput::self_attention(x.clone()))
            .context
            + x;
        self.output.forward(x.mean_dim(1).squeeze_dim(1))
    }
}

/// Numbers that are the same on every device.
struct Lehmer(u64);

impl Lehmer {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        self.0 as usize % n
    }
}

/// Sequences without neighbours that are alike, but for one pair: its symbol is the label.
fn batch(random: &mut Lehmer, device: &Device) -> (Tensor<2, Int>, Tensor<1, Int>) {
    let (mut read, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let twice = 1 + random.below(LEN - 1);
        let mut row: Vec<i64> = vec![random.below(SYMBOLS) as i64];
        for i in 1..LEN {
            let step = if i == twice {
                0
            } else {
                1 + random.below(SYMBOLS - 1)
            };
            row.push((row[i - 1] + step as i64) % SYMBOLS as i64);
        }
        labels.push(row[twice]);
        read.extend(row);
    }
    let read = Tensor::from_data(TensorData::new(read, [BATCH, LEN]), device);
    (
        read,
        Tensor::from_data(TensorData::new(labels, [BATCH]), device),
    )
}

fn device(name: &str) -> Option<Device> {
    match name {
        #[cfg(feature = "flex")]
        "flex" => Some(Device::flex()),
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        _ => None,
    }
}

fn main() {
    let name = std::env::args().nth(1).unwrap_or_else(|| "flex".to_owned());
    let steps = std::env::args()
        .nth(2)
        .map_or(Ok(400), |steps| steps.parse());
    let steps: usize = steps.expect("a number of steps");
    let Some(device) = device(&name) else {
        eprintln!("no device `{name}` in this build; `--features wgpu` adds `wgpu`");
        std::process::exit(2);
    };
    let device = device.autodiff();
    device.seed(1);
    let mut random = Lehmer(1);
    let mut model = Twice::new(&device);
    let mut adam = AdamConfig::new().init();
    let mut losses = Vec::new();
    for step in 0..steps {
        let (read, labels) = batch(&mut random, &device);
        let loss = entmax15_loss(model.forward(read), labels).mean();
        losses.push(loss.clone().into_scalar::<f32>());
        if step % 50 == 0 {
            println!("{name}: step {step}, loss {:.4}", losses[step]);
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = adam.step(3e-3, model, gradients);
    }
    let mean = |of: &[f32]| of.iter().sum::<f32>() / of.len() as f32;
    let n = (steps / 4).max(1);
    let (before, after) = (mean(&losses[..n]), mean(&losses[steps - n..]));
    println!("{name}: mean loss of the first quarter {before:.4}, of the last {after:.4}");
    assert!(after < before);
    let alpha = model.first.alpha().expect("a learned α a head");
    println!("{name}: α of the first layer's heads {}", alpha.into_data());
}
