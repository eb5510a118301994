//! The recipe's encoder, and its masks.

use anyhow::{Context, Result};
use burn::tensor::Device;
use sparta_model::bert::BertConfig;
use sparta_model::layer::Abilities;
use sparta_model::{LayerMask, masks_of};
use sparta_ops::pruning::{AttentionType, CellRule, GlobalMask, Grid};

use crate::recipe::encoder::{EncoderModelRecipe, NetworkName};

/// The sizes of a network that its name says; none where they are those of the weights.
pub(super) fn published(network: NetworkName) -> Option<BertConfig> {
    match network {
        NetworkName::MiniLmL3 => Some(BertConfig::mini_lm(3)),
        NetworkName::MiniLmL6 => Some(BertConfig::mini_lm(6)),
        NetworkName::BertBaseUncased => Some(BertConfig::base_uncased()),
        NetworkName::BertBaseCased => Some(BertConfig::base_cased()),
        NetworkName::Bert => None,
    }
}

/// The sizes of a network with what the recipe says of it.
pub(super) fn config(sizes: BertConfig, model: &EncoderModelRecipe) -> BertConfig {
    sizes
        .with_dropout(model.dropout)
        .with_attention_dropout(model.attention_dropout)
}

/// That a network can be built, and its mechanism start from pretrained weights.
///
/// # Errors
/// An ability that the mechanism lacks; dimensions that do not go together.
pub fn check_pretrained(config: &BertConfig) -> Result<()> {
    let needed = Abilities {
        pretrained: true,
        ..config.needed_abilities()
    };
    config.mechanism.check("model.normalizers", needed)?;
    config.validate().context("[model] of the recipe")
}

/// The cells of a layer for sequences up to `max_len`.
pub fn grid(config: &BertConfig, max_len: usize) -> Grid {
    Grid {
        n_heads: config.n_heads,
        n_rows: max_len,
        n_cols: max_len,
        rule: CellRule::Full,
    }
}

/// The mask of each layer, for sequences up to `max_len`.
///
/// # Errors
/// A mask without one of its layers.
pub fn layer_masks(
    mask: Option<&GlobalMask>,
    max_len: usize,
    device: &Device,
) -> Result<Option<Vec<LayerMask>>> {
    match mask {
        None => Ok(None),
        Some(mask) => Ok(masks_of(
            mask,
            AttentionType::EncoderSelf,
            max_len,
            max_len,
            device,
        )?),
    }
}
