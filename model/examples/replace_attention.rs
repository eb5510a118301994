//! Burn's multi-head attention replaced by this crate's: the same parameters give the same output, and then the row
//! normaliser is a choice.
//!
//! ```sh
//! cargo run --release -p sparta-model --example replace_attention
//! ```

use burn::nn::attention::{
    MhaInput, MultiHeadAttentionConfig as BurnsConfig, generate_autoregressive_mask,
};
use burn::prelude::*;
use burn::tensor::Distribution;
use sparta_model::layer::{AttentionInput, MultiHeadAttentionConfig, NormalizerConfig};

const D_MODEL: usize = 64;
const HEADS: usize = 4;

fn main() {
    let device = Device::flex();
    device.seed(1);
    let x = Tensor::<3>::random([2, 24, D_MODEL], Distribution::Normal(0.0, 1.0), &device);
    let burns = BurnsConfig::new(D_MODEL, HEADS)
        .with_dropout(0.0)
        .init(&device);
    let causal = generate_autoregressive_mask(2, 24, &device);
    let theirs = burns
        .forward(MhaInput::self_attn(x.clone()).mask_attn(causal))
        .context;

    for normalizer in [
        NormalizerConfig::Softmax,
        NormalizerConfig::Entmax15,
        NormalizerConfig::alpha_entmax(),
    ] {
        // Fields have the names and shapes of Burn's.
        let mut attention = MultiHeadAttentionConfig::new(D_MODEL, HEADS)
            .with_dropout(0.0)
            .with_normalizer(normalizer)
            .init(&device);
        attention.query = burns.query.clone();
        attention.key = Some(burns.key.clone());
        attention.value = burns.value.clone();
        attention.output = burns.output.clone();
        let input = AttentionInput::self_attention(x.clone())
            .causal()
            .return_weights();
        let output = attention.forward(input);
        let weights = output.weights.expect("they were asked for");
        // Half of the cells are behind the diagonal and are zero anyway.
        let zeros = weights.equal_elem(0.0).float().mean().into_scalar::<f32>();
        let distance = (output.context - theirs.clone())
            .abs()
            .max()
            .into_scalar::<f32>();
        println!(
            "{normalizer:?}: {distance:.1e} from Burn's output, {:.1} % of the cells are zero",
            zeros * 100.0
        );
        assert_eq!(
            distance < 1e-5,
            matches!(normalizer, NormalizerConfig::Softmax)
        );
    }
}
