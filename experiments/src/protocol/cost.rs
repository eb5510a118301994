//! What a recipe costs: parameters and memory, estimated from the shapes alone.

use anyhow::{Result, ensure};
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
    /// The key that says how large a batch is.
    pub batch_key: &'static str,
    /// Scores that decoding holds at once; none for a task that decodes nothing.
    pub decoding: Option<Decoding>,
}

/// What beam search holds at each position: scores of every word for every hypothesis of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decoding {
    /// Sentences of a batch.
    pub n_sentences: usize,
    /// Hypotheses of each.
    pub beam_size: usize,
    /// Words.
    pub n_words: usize,
    /// What says how many hypotheses there are.
    pub key: &'static str,
}

impl Decoding {
    /// # Errors
    /// If not even the scores and their logarithms fit into so many bytes.
    pub fn check(&self, free: f64) -> Result<()> {
        let rows = self.n_sentences as f64 * self.beam_size as f64;
        let least = rows * self.n_words as f64 * 4.0 * 2.0;
        ensure!(
            least < free,
            "{} hypotheses for each of {} sentences need at least {}, and {} are free: lower {}",
            self.beam_size,
            self.n_sentences,
            gigabytes(least),
            gigabytes(free),
            self.key
        );
        Ok(())
    }
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

    /// # Errors
    /// What certainly does not fit into so many bytes: the parameters, one copy of a batch's hidden states, the scores of
    /// decoding; with the key that makes it smaller.
    pub fn check(&self, free: f64) -> Result<()> {
        let Self {
            n_params, tokens, ..
        } = self;
        let parameters = self.parameter_bytes();
        ensure!(
            parameters < free,
            "a network of {n_params} parameters needs {} for its weights, gradients and the optimiser's moments, and {} \
             are free: make `[model]` smaller, or train where there is more memory",
            gigabytes(parameters),
            gigabytes(free)
        );
        let states = self.n_layers as f64 * self.d_model as f64 + self.n_outputs as f64;
        let least = parameters + 4.0 * *tokens as f64 * states;
        ensure!(
            least < free,
            "a step on {tokens} tokens needs at least {}, and {} are free: lower `{}`",
            gigabytes(least),
            gigabytes(free),
            self.batch_key
        );
        match &self.decoding {
            Some(decoding) => decoding.check(free),
            None => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Cost = Cost {
        n_params: 1_000_000,
        tokens: 1000,
        n_layers: 2,
        d_model: 100,
        d_ff: 400,
        n_scores: 0,
        score_copies: 0,
        n_outputs: 300,
        batch_key: "train.max_tokens",
        decoding: Some(Decoding {
            n_sentences: 10,
            beam_size: 1000,
            n_words: 300,
            key: "`eval.beam_size`",
        }),
    };

    #[test]
    fn what_does_not_fit_is_told_with_its_key() {
        // 20 MB of parameters, 2 MB of states, 24 MB of scores.
        for (free, said) in [
            (20e6, "a network of 1000000 parameters needs 20 MB"),
            (
                21e6,
                "a step on 1000 tokens needs at least 22 MB, and 21 MB are free: lower `train.max_tokens`",
            ),
            (
                23e6,
                "1000 hypotheses for each of 10 sentences need at least 24 MB, and 23 MB are free: lower `eval.beam_size`",
            ),
        ] {
            let error = COST.check(free).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        COST.check(25e6).unwrap();
    }
}
