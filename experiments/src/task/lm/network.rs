//! The recipe's Transformer-XL, and the recipe's words in the words of `ops`.

use anyhow::{Context, Result};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Tensor};
use sparta_model::layer::NormalizerConfig;
use sparta_model::transformer_xl::{TransformerXl, TransformerXlConfig};
use sparta_ops::pruning::{AttentionType, CellRule, GlobalMask, Grid, Scope, Semantics};

use crate::device;
use crate::recipe::{ModelRecipe, NormalizerName, ScopeName, SemanticsName};
use crate::train::rng::{self, Purpose};

/// The configuration of the network for a vocabulary.
#[must_use]
pub fn config(model: &ModelRecipe, vocab_size: usize) -> TransformerXlConfig {
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
    .with_normalizer(match model.normalizer {
        NormalizerName::Softmax => NormalizerConfig::Softmax,
        NormalizerName::Sparsemax => NormalizerConfig::Sparsemax,
        NormalizerName::Entmax15 => NormalizerConfig::Entmax15,
        NormalizerName::AlphaEntmax => NormalizerConfig::alpha_entmax(),
    })
    .with_dropout(model.dropout)
    .with_dropatt(model.dropatt)
    .with_pre_norm(model.pre_norm)
    .with_init_std(model.init_std)
    .with_projection_std(model.projection_std)
}

/// New weights, the same for the same seed on every device.
///
/// # Errors
/// Dimensions that do not go together, by recipe key.
pub fn init(
    model: &ModelRecipe,
    vocab_size: usize,
    seed: u64,
    device: &Device,
) -> Result<TransformerXl> {
    let config = config(model, vocab_size);
    config.validate().context("[model] of the recipe")?;
    // Every backend has a generator of its own; weights come from one, so that a seed means the
    // same weights on every device.
    let host = device::generator(device);
    host.seed(rng::hash(seed, Purpose::Init, 0));
    let network = config.init(&host);
    // Burn draws a weight when it is first looked at; look now, before another seed is set.
    network.visit(&mut Touch);
    Ok(match host == *device {
        true => network,
        false => network.fork(device),
    })
}

struct Touch;

impl ModuleVisitor for Touch {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let _ = param.val();
    }
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

/// The threshold scope of the recipe.
#[must_use]
pub fn scope(name: ScopeName) -> Scope {
    match name {
        ScopeName::Layer => Scope::Layer,
        ScopeName::Head => Scope::Head,
        ScopeName::Model => Scope::Model,
    }
}

/// The semantics of the recipe.
#[must_use]
pub fn semantics(name: SemanticsName) -> Semantics {
    match name {
        SemanticsName::Corrected => Semantics::Corrected,
        SemanticsName::Paper => Semantics::Paper,
    }
}

/// The mask as one tensor a layer, `[n_heads, tgt_len, mem_len + tgt_len]`.
///
/// # Errors
/// A mask of another shape than the model's attention, or without one of its layers.
pub fn mask_tensors(
    mask: &GlobalMask,
    model: &ModelRecipe,
    device: &Device,
) -> Result<Vec<Tensor<3, Bool>>> {
    let Grid {
        n_heads,
        n_rows,
        n_cols,
        ..
    } = grid(model);
    (0..model.n_layers)
        .map(|layer| {
            mask.check_shape(AttentionType::DecoderSelf, layer, n_heads, n_rows, n_cols)?;
            Ok(mask.tensor(AttentionType::DecoderSelf, layer, n_rows, n_cols, device)?)
        })
        .collect()
}
