//! The recipe's Transformer-XL.

use anyhow::{Context, Result};
use burn::tensor::Device;
use sparta_model::layer::MechanismConfig;
use sparta_model::transformer_xl::{TransformerXl, TransformerXlConfig};
use sparta_model::{LayerMask, masks_of};
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::{AttentionType, CellRule, GlobalMask, Grid, IndexSets, StaticPattern};

use crate::protocol::init::new_weights;
use crate::recipe::lm::ModelRecipe;

/// The configuration of the network for a vocabulary.
#[must_use]
pub fn config(
    model: &ModelRecipe,
    vocab_size: usize,
    (mechanism, attention): (MechanismConfig, Implementation),
) -> TransformerXlConfig {
    TransformerXlConfig::new(
        vocab_size,
        model.n_layers,
        model.d_model,
        model.n_heads,
        model.d_head,
        model.d_ff,
        model.tgt_len,
        model.mem_len,
    )
    .with_clamp_len((model.clamp_len > 0).then_some(model.clamp_len))
    .with_same_length(model.same_length)
    .with_cutoffs(model.cutoffs.clone())
    .with_div_val(model.div_val)
    .with_tie_weights(model.tie_weights)
    .with_tie_projections(model.tie_projections)
    .with_mechanism(mechanism)
    .with_dropout(model.dropout)
    .with_dropatt(model.dropatt)
    .with_pre_norm(model.pre_norm)
    .with_init_std(model.init_std)
    .with_projection_std(model.projection_std)
    .with_implementation(attention)
}

/// [`config`], if a network can be built from it.
///
/// # Errors
/// An ability that the mechanism lacks; dimensions that do not go together, by recipe key.
pub fn checked(
    model: &ModelRecipe,
    vocab_size: usize,
    attention: (MechanismConfig, Implementation),
) -> Result<TransformerXlConfig> {
    let config = config(model, vocab_size, attention);
    (attention.0).check("model.normalizers", config.needed_abilities())?;
    config.validate().context("[model] of the recipe")?;
    Ok(config)
}

/// New weights, the same for the same seed on every device.
///
/// # Errors
/// Dimensions that do not go together, by recipe key.
pub fn init(
    model: &ModelRecipe,
    vocab_size: usize,
    attention: (MechanismConfig, Implementation),
    seed: u64,
    device: &Device,
) -> Result<TransformerXl> {
    let config = checked(model, vocab_size, attention)?;
    Ok(new_weights(seed, device, |host| config.init(host)))
}

/// The cells of a layer's attention.
#[must_use]
pub fn grid(model: &ModelRecipe) -> Grid {
    Grid {
        n_heads: model.n_heads,
        n_rows: model.tgt_len,
        n_cols: model.mem_len + model.tgt_len,
        rule: CellRule::Causal {
            memory: model.mem_len,
        },
    }
}

/// What queries see of the cells of [`grid`] with a mechanism, if that is not all: with `same_length` the last `mem_len` keys, the
/// query's own among them.
#[must_use]
pub fn pattern(model: &ModelRecipe, mechanism: MechanismConfig) -> Option<StaticPattern> {
    let own = mechanism.static_pattern();
    if !model.same_length {
        return own;
    }
    let w = match own.map(|own| own.sets) {
        None => model.mem_len,
        Some(IndexSets::Local { w }) => w.min(model.mem_len),
        // Both hide cells, and no one pattern has what they leave: `check` refuses to prune it.
        Some(IndexSets::Fixed { .. } | IndexSets::Strided { .. } | IndexSets::Random { .. }) => {
            return own;
        }
    };
    Some(IndexSets::Local { w }.into())
}

/// The mask of each layer, `[n_heads, tgt_len, mem_len + tgt_len]`.
///
/// # Errors
/// A mask without one of its layers.
pub fn layer_masks(
    mask: Option<&GlobalMask>,
    model: &ModelRecipe,
    device: &Device,
) -> Result<Option<Vec<LayerMask>>> {
    let Grid { n_rows, n_cols, .. } = grid(model);
    match mask {
        None => Ok(None),
        Some(mask) => Ok(masks_of(
            mask,
            AttentionType::DecoderSelf,
            n_rows,
            n_cols,
            device,
        )?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{LmRecipe, Recipe};

    #[test]
    fn the_paper_recipe_has_the_published_number_of_parameters() {
        let model = LmRecipe::load("wikitext103-base", &[]).unwrap().model;
        let attention = (MechanismConfig::SOFTMAX, Implementation::Auto);
        assert_eq!(config(&model, 267_735, attention).n_params(), 151_107_538);
    }

    /// A percentile is of the cells that queries see: with `same_length` each sees `mem_len`.
    #[test]
    fn cells_that_same_length_hides_are_not_counted() {
        let sets = [
            "model.same_length=true",
            "model.tgt_len=64",
            "model.mem_len=64",
        ];
        let model = LmRecipe::load("small/lm", &sets.map(str::to_owned))
            .unwrap()
            .model;
        let seen = |mechanism: &str, model: &ModelRecipe| {
            let mechanism: MechanismConfig = mechanism.parse().unwrap();
            let (grid, pattern) = (grid(model), pattern(model, mechanism));
            let is_seen = |i: usize, j: usize| {
                let hides = |of: StaticPattern| of.hidden(grid.rule, grid.n_heads, 0, i, j);
                j <= i + model.mem_len && !pattern.is_some_and(hides)
            };
            let cells = (0..grid.n_rows).flat_map(|i| (0..grid.n_cols).map(move |j| (i, j)));
            cells.filter(|&(i, j)| is_seen(i, j)).count()
        };
        assert_eq!(seen("softmax", &model), 64 * 64);
        assert_eq!(seen("softmax+local(w=100)", &model), 64 * 64);
        assert_eq!(seen("softmax+local(w=16)", &model), 64 * 16);
        let all = ModelRecipe {
            same_length: false,
            ..model
        };
        assert_eq!(seen("softmax", &all), 64 * 64 + 64 * 65 / 2);
    }
}
