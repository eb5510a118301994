//! The recipe's encoder–decoder, and its masks.

use anyhow::{Context, Result};
use burn::tensor::Device;
use sparta_model::layer::MechanismsByType;
use sparta_model::seq2seq::{MaskRows, Seq2Seq, Seq2SeqConfig, Seq2SeqMasks};
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::{AttentionType, CellRule, GlobalMask, Grid};

use super::data::Longest;
use crate::protocol::init::new_weights;
use crate::recipe::RowsName;
use crate::recipe::translation::ModelRecipe;

/// The configuration of the network for two vocabularies and the mechanisms of its attention.
pub(super) fn config(
    model: &ModelRecipe,
    (source, target): (usize, usize),
    (mechanisms, attention): (MechanismsByType, Implementation),
) -> Seq2SeqConfig {
    Seq2SeqConfig::new(
        source,
        target,
        model.d_model,
        model.n_heads,
        model.d_ff,
        model.n_encoder_layers,
        model.n_decoder_layers,
    )
    .with_dropout(model.dropout)
    .with_attention_dropout(model.attention_dropout)
    .with_activation_dropout(model.activation_dropout)
    .with_pre_norm(model.pre_norm)
    .with_sharing(model.share)
    .with_max_len(model.max_len)
    .with_mechanisms(mechanisms)
    .with_implementation(attention)
    .with_output(model.output_of(mechanisms))
}

/// [`config`], if a network can be built from it.
///
/// # Errors
/// An ability that the mechanism lacks; dimensions that do not go together, by recipe key.
pub(super) fn checked(
    model: &ModelRecipe,
    sizes: (usize, usize),
    attention: (MechanismsByType, Implementation),
) -> Result<Seq2SeqConfig> {
    let config = config(model, sizes, attention);
    (attention.0).check_named("model.normalizers", |kind| config.needed_abilities(kind))?;
    config.validate().context("[model] of the recipe")?;
    Ok(config)
}

/// New weights, the same for the same seed on every device.
///
/// # Errors
/// Dimensions that do not go together, by recipe key.
pub(super) fn init(
    model: &ModelRecipe,
    sizes: (usize, usize),
    attention: (MechanismsByType, Implementation),
    seed: u64,
    device: &Device,
) -> Result<Seq2Seq> {
    let config = checked(model, sizes, attention)?;
    Ok(new_weights(seed, device, |host| config.init(host)))
}

/// The cells of one type of attention, for sentences up to `longest`.
pub(super) fn grid(model: &ModelRecipe, kind: AttentionType, longest: Longest) -> Grid {
    let Longest { source, target } = longest;
    let (n_rows, n_cols, rule) = match kind {
        AttentionType::EncoderSelf => (source, source, CellRule::Full),
        AttentionType::DecoderSelf => (target, target, CellRule::Causal { memory: 0 }),
        AttentionType::Cross => (target, source, CellRule::Full),
    };
    Grid {
        n_heads: model.n_heads,
        n_rows,
        n_cols,
        rule,
    }
}

/// Layers that have a type of attention.
pub(super) fn n_layers(model: &ModelRecipe, kind: AttentionType) -> usize {
    match kind {
        AttentionType::EncoderSelf => model.n_encoder_layers,
        AttentionType::DecoderSelf | AttentionType::Cross => model.n_decoder_layers,
    }
}

/// The masks of each layer, for sentences up to `longest`.
///
/// # Errors
/// A mask without one of its layers.
pub(super) fn layer_masks(
    mask: Option<&GlobalMask>,
    longest: Longest,
    rows: RowsName,
    device: &Device,
) -> Result<Seq2SeqMasks> {
    let served = rows.served();
    // Masks that have the rows of the released code have the right ones too.
    let widest = match rows {
        RowsName::True => MaskRows::True,
        RowsName::Paper | RowsName::Both => MaskRows::PaperFaithful,
    };
    match mask {
        None => Ok(Seq2SeqMasks {
            rows: served,
            ..Seq2SeqMasks::default()
        }),
        Some(mask) => Ok(Seq2SeqMasks {
            rows: served,
            ..Seq2SeqMasks::new(mask, longest.source, longest.target, widest, device)?
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Recipe, TranslationRecipe};

    #[test]
    fn the_iwslt14_recipe_has_the_published_number_of_parameters() {
        let model = TranslationRecipe::load("iwslt14-de-en", &[]).unwrap().model;
        // fairseq's transformer_iwslt_de_en with its dictionaries.
        let attention = (MechanismsByType::SOFTMAX, Implementation::Auto);
        let n_params = config(&model, (8848, 6632), attention).n_params();
        assert_eq!(n_params, 39_469_056);
    }
}
