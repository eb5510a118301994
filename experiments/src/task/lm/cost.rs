//! What a recipe costs: parameters, memory, tokens. Estimates, from the shapes alone.

use sparta_ops::attention::Implementation;

use super::network;
use crate::protocol::Row;
use crate::recipe::lm::ModelRecipe;
use crate::recipe::{LmRecipe, Recipe};

/// The size of a recipe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Parameters of the network.
    pub n_params: usize,
    /// Target tokens of one training step.
    pub tokens_per_step: usize,
    /// Training tokens of the whole table, all rows and seeds.
    pub training_tokens: f64,
    /// Bytes of weights, gradients and optimiser.
    pub parameter_bytes: f64,
    /// Bytes of one training step beside them.
    pub step_bytes: f64,
}

/// Copies of a layer's hidden states that autodiff keeps (counted in our Transformer-XL layer).
const HIDDEN_COPIES: f64 = 20.0;
/// Copies of the inner feed-forward states.
const INNER_COPIES: f64 = 4.0;
/// Copies of the attention matrix: two score terms, their sum, mask, weights, gradients.
const SCORE_COPIES: f64 = 8.0;
/// Copies of the output scores.
const OUTPUT_COPIES: f64 = 4.0;

impl Cost {
    /// The cost of a recipe with a vocabulary of `vocab_size` words.
    #[must_use]
    pub fn of(recipe: &LmRecipe, vocab_size: usize) -> Self {
        let n_params = network::config(&recipe.model, vocab_size, Implementation::Auto).n_params();
        let tokens_per_step = recipe.train.batch_size * recipe.model.tgt_len;
        let rows = Row::all(&recipe.prune.masks).len() as f64;
        let steps = recipe.train.steps as f64 + rows * recipe.retrain.steps as f64;
        Self {
            n_params,
            tokens_per_step,
            training_tokens: steps * tokens_per_step as f64 * recipe.seeds().len() as f64,
            // Weights, gradients, two moments, and one more while updating.
            parameter_bytes: n_params as f64 * 4.0 * 5.0,
            step_bytes: step_bytes(&recipe.model, recipe.train.batch_size, vocab_size),
        }
    }

    /// Bytes of training in all.
    #[must_use]
    pub fn bytes(&self) -> f64 {
        self.parameter_bytes + self.step_bytes
    }
}

/// Bytes that the activations of one step of `batch_size` columns take.
#[must_use]
pub fn step_bytes(model: &ModelRecipe, batch_size: usize, vocab_size: usize) -> f64 {
    let tokens = (batch_size * model.tgt_len) as f64;
    let columns = (model.mem_len + model.tgt_len) as f64;
    let hidden = tokens * model.d_model as f64 * HIDDEN_COPIES;
    let inner = tokens * model.d_ff as f64 * INNER_COPIES;
    let scores = tokens * model.n_heads as f64 * columns * SCORE_COPIES;
    let head = model.cutoffs.first().copied().unwrap_or(vocab_size) as f64;
    let output = tokens * head * OUTPUT_COPIES;
    4.0 * (model.n_layers as f64 * (hidden + inner + scores) + output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paper_recipe_has_the_published_number_of_parameters() {
        let recipe = LmRecipe::load("wikitext103-base", &[]).unwrap();
        let cost = Cost::of(&recipe, 267_735);
        assert_eq!(cost.n_params, 151_107_538);
        assert_eq!(cost.tokens_per_step, 9000);
    }
}
