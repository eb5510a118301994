//! What a recipe costs: parameters, memory, tokens. Estimates, from the shapes alone.

use sparta_ops::attention::Implementation;

use super::network;
use super::rows::PairRow;
use crate::recipe::translation::ModelRecipe;
use crate::recipe::{NormalizerName, Recipe, TranslationRecipe};

/// The size of a recipe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cost {
    /// Parameters of the largest network.
    pub(super) n_params: usize,
    /// Models trained again, of one seed.
    pub(super) n_rows: usize,
    /// Training steps of the whole table, all models and seeds.
    pub(super) steps: f64,
    /// Bytes of weights, gradients and optimiser.
    pub(super) parameter_bytes: f64,
    /// Bytes of one batch beside them.
    pub(super) batch_bytes: f64,
}

/// Copies of a layer's hidden states that autodiff keeps.
const HIDDEN_COPIES: f64 = 20.0;
/// Copies of the inner feed-forward states.
const INNER_COPIES: f64 = 4.0;
/// Copies of the output scores.
const OUTPUT_COPIES: f64 = 4.0;

impl Cost {
    /// The cost of a recipe with dictionaries of these sizes.
    pub(super) fn of(recipe: &TranslationRecipe, sizes: (usize, usize)) -> Self {
        let normalizers = &recipe.model.normalizers;
        let n_params = |&name: &NormalizerName| {
            network::config(&recipe.model, sizes, name, Implementation::Auto).n_params()
        };
        let n_params = normalizers.iter().map(n_params).max().unwrap_or_default();
        let n_rows = normalizers
            .iter()
            .map(|&name| PairRow::all(recipe, name).len())
            .sum();
        let dense = normalizers.len() as f64 * recipe.train.steps as f64;
        let steps = dense + n_rows as f64 * recipe.retrain.steps as f64;
        Self {
            n_params,
            n_rows,
            steps: steps * recipe.seeds().len() as f64,
            // Weights, gradients, two moments, and one more while updating.
            parameter_bytes: n_params as f64 * 4.0 * 5.0,
            batch_bytes: batch_bytes(&recipe.model, recipe.train.max_tokens, sizes.1),
        }
    }

    /// Bytes of training in all.
    pub(super) fn bytes(&self) -> f64 {
        self.parameter_bytes + self.batch_bytes
    }
}

/// Bytes that the activations of a batch of `tokens` on either side take.
pub(super) fn batch_bytes(model: &ModelRecipe, tokens: usize, vocab_size: usize) -> f64 {
    let tokens = tokens as f64;
    // The decoder attends twice.
    let layers = (model.n_encoder_layers + 2 * model.n_decoder_layers) as f64;
    let hidden = tokens * model.d_model as f64 * HIDDEN_COPIES;
    let inner = tokens * model.d_ff as f64 * INNER_COPIES;
    let output = tokens * vocab_size as f64 * OUTPUT_COPIES;
    4.0 * (layers * (hidden + inner) + output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_iwslt14_recipe_has_the_published_number_of_parameters() {
        let recipe = TranslationRecipe::load("iwslt14-de-en", &[]).unwrap();
        // fairseq's transformer_iwslt_de_en with its dictionaries.
        assert_eq!(Cost::of(&recipe, (8848, 6632)).n_params, 39_469_056);
    }
}
