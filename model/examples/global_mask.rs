//! The method of AP on a model of your own: train, average the attention over the training set, hide the cells below a
//! percentile, train again under that global mask, and under random ones beside it.
//!
//! The model reads 16 symbols and says the sixth: one cell of its attention matters, and 80 % of the cells can go.
//!
//! ```sh
//! cargo run --release -p sparta-model --example global_mask
//! ```

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;
use sparta_model::LayerMask;
use sparta_model::layer::{AttentionInput, MultiHeadAttention, MultiHeadAttentionConfig};
use sparta_ops::loss::cross_entropy;
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, CellRule, GlobalMask, Grid, PatternHeader, Placement, Scope,
    Semantics,
};

const SYMBOLS: usize = 8;
const LEN: usize = 16;
const ASKED: usize = 5;
const D_MODEL: usize = 32;
const HEADS: usize = 2;
const TYPE: AttentionType = AttentionType::EncoderSelf;

/// Symbols and places → attention → the symbol, read off the first position.
#[derive(Module, Debug)]
struct Reader {
    symbols: Embedding,
    places: Embedding,
    attention: MultiHeadAttention,
    output: Linear,
}

impl Reader {
    fn new(device: &Device) -> Self {
        Self {
            symbols: EmbeddingConfig::new(SYMBOLS, D_MODEL).init(device),
            places: EmbeddingConfig::new(LEN, D_MODEL).init(device),
            attention: MultiHeadAttentionConfig::new(D_MODEL, HEADS)
                .with_dropout(0.0)
                .init(device),
            output: LinearConfig::new(D_MODEL, SYMBOLS).init(device),
        }
    }

    /// Logits `[batch, SYMBOLS]` and weights `[batch, HEADS, LEN, LEN]`.
    fn forward(&self, read: Tensor<2, Int>, mask: Option<&LayerMask>) -> (Tensor<2>, Tensor<4>) {
        let places = Tensor::<1, Int>::arange(0..LEN as i64, &read.device());
        let x = self.symbols.forward(read) + self.places.forward(places.unsqueeze());
        let mut input = AttentionInput::self_attention(x).return_weights();
        if let Some(mask) = mask {
            input = input.global_mask(mask.clone());
        }
        let output = self.attention.forward(input);
        let first = output.context.narrow(1, 0, 1).squeeze_dim::<2>(1);
        (
            self.output.forward(first),
            output.weights.expect("they were asked for"),
        )
    }
}

/// Symbols, and the one that is asked for.
fn batch(device: &Device) -> (Tensor<2, Int>, Tensor<1, Int>) {
    let uniform = Tensor::<2>::random(
        [64, LEN],
        Distribution::Uniform(0.0, SYMBOLS as f64),
        device,
    );
    let read = uniform.int();
    let asked = read.clone().narrow(1, ASKED, 1).squeeze_dim(1);
    (read, asked)
}

fn train(device: &Device, mask: Option<&LayerMask>) -> Reader {
    device.seed(1);
    let mut model = Reader::new(device);
    let mut adam = AdamConfig::new().init();
    for _ in 0..250 {
        let (read, asked) = batch(device);
        let (logits, _) = model.forward(read, mask);
        let gradients = cross_entropy(logits, asked).mean().backward();
        let gradients = GradientsParams::from_grads(gradients, &model);
        model = adam.step(3e-3, model, gradients);
    }
    model
}

fn accuracy(model: &Reader, device: &Device, mask: Option<&LayerMask>) -> f32 {
    device.seed(2);
    let (read, asked) = batch(device);
    let (logits, _) = model.forward(read, mask);
    let said = logits.argmax(1).squeeze_dim(1);
    said.equal(asked).float().mean().into_scalar::<f32>()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex().autodiff();
    let dense = train(&device, None);
    println!("dense: accuracy {:.3}", accuracy(&dense, &device, None));

    let grid = Grid {
        n_heads: HEADS,
        n_rows: LEN,
        n_cols: LEN,
        rule: CellRule::Full,
    };
    let header = PatternHeader::new("random symbols", "dense").with(TYPE, 0, grid);
    let mut pattern = AttentionPattern::new(header);
    for _ in 0..20 {
        let (read, _) = batch(&device);
        let (_, weights) = dense.forward(read, None);
        let shape = weights.dims();
        let weights: Vec<f32> = weights.into_data().try_to_vec()?;
        pattern.observe(TYPE, 0, &weights, shape, &Placement::default())?;
    }

    let mask = GlobalMask::from_pattern(&pattern, 0.8, Scope::Layer, Semantics::Corrected)?;
    let random = [1, 2, 3].map(|seed| ("random", GlobalMask::random_like(&mask, seed)));
    for (name, mask) in [("AP", mask)].into_iter().chain(random) {
        let layer = LayerMask::new(&mask, TYPE, 0, [LEN, LEN], &device)?;
        let again = train(&device, Some(&layer));
        let accuracy = accuracy(&again, &device, Some(&layer));
        let kept =
            (0..HEADS).filter(|&head| mask.hidden(TYPE, 0, head, 0, ASKED).is_ok_and(|is| !is));
        println!(
            "{name} at p = 80: accuracy {accuracy:.3}; {} of {HEADS} heads still see the cell",
            kept.count()
        );
    }
    Ok(())
}
