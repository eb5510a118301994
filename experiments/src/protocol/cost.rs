//! What a recipe costs: parameters and memory, estimated from the shapes alone.

use sparta_ops::pruning::Sparsity;

/// Copies of a layer's hidden states that autodiff keeps (counted in our Transformer-XL layer).
const HIDDEN_COPIES: f64 = 20.0;
/// Copies of the inner feed-forward states.
const INNER_COPIES: f64 = 4.0;
/// Copies of the output scores.
const OUTPUT_COPIES: f64 = 4.0;

/// Sizes that the memory of a training step grows with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Parameters of the network.
    pub n_params: usize,
    /// Tokens of a batch, padding included.
    pub tokens: usize,
    /// Attention layers.
    pub n_layers: usize,
    /// Width of hidden states.
    pub d_model: usize,
    /// Width of the feed-forward layers.
    pub d_ff: usize,
    /// Attention scores of a token and layer, over all heads.
    pub n_scores: usize,
    /// Copies of them: terms, their sum, mask, weights, gradients.
    pub score_copies: usize,
    /// Scores of a token at the output.
    pub n_outputs: usize,
}

impl Cost {
    /// Bytes of weights, gradients, two moments, and one more while updating.
    #[must_use]
    pub fn parameter_bytes(&self) -> f64 {
        self.n_params as f64 * 4.0 * 5.0
    }

    /// Bytes of weights and gradients: a step without the update.
    #[must_use]
    pub fn gradient_bytes(&self) -> f64 {
        self.n_params as f64 * 4.0 * 2.0
    }

    /// Bytes of a batch's activations.
    #[must_use]
    pub fn activation_bytes(&self) -> f64 {
        let hidden = self.d_model as f64 * HIDDEN_COPIES + self.d_ff as f64 * INNER_COPIES;
        let scores = (self.n_scores * self.score_copies) as f64;
        let output = self.n_outputs as f64 * OUTPUT_COPIES;
        4.0 * self.tokens as f64 * (self.n_layers as f64 * (hidden + scores) + output)
    }
}

/// Memory that is free on this machine, in bytes.
pub(crate) fn available_memory() -> f64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let free = system.available_memory() as f64;
    match system.cgroup_limits() {
        Some(limits) => free.min(limits.free_memory as f64),
        None => free,
    }
}

/// Bytes as people read them.
pub(crate) fn gigabytes(bytes: f64) -> String {
    if bytes < 1e9 {
        format!("{:.0} MB", bytes / 1e6)
    } else {
        format!("{:.1} GB", bytes / 1e9)
    }
}

/// One line about what the mask of a row hides.
pub(crate) fn describe_sparsity(row: &str, sparsity: &Sparsity) -> String {
    let blocks = sparsity
        .blocks
        .iter()
        .map(|b| {
            format!(
                "{:.1} % of {}×{} blocks",
                100.0 * b.share,
                b.block_size,
                b.block_size
            )
        })
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "mask {row}: hides {:.1} % of the legal cells, {:.1} % of their uses, {blocks}",
        100.0 * sparsity.effective,
        100.0 * sparsity.token_weighted
    )
}
