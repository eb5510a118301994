//! Passes over pairs with a trained model: validation loss, and the mean of its attention.

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::Device;
use sparta_datasets::batch::{BucketOptions, PaddingSide, PairBatch, TokenBucket};
use sparta_datasets::pairs::PairStore;
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqMasks};
use sparta_ops::pruning::{AttentionPattern, AttentionType, Placement, Valid};

use super::batch::{input, side, targets};
use crate::recipe::TranslationRecipe;
use crate::train::watch::stop_if_interrupted;

/// Mean negative log-likelihood of a target token; `model` is in evaluation mode on `device`.
///
/// # Errors
/// A score that is not finite, or Ctrl-C.
pub(super) fn valid_nll(
    model: &Seq2Seq,
    store: &PairStore,
    recipe: &TranslationRecipe,
    masks: &Seq2SeqMasks,
    device: &Device,
) -> Result<f64> {
    let options = BucketOptions::tokens(recipe.train.max_tokens);
    let bucket = TokenBucket::in_order(&store.lengths(), &options)
        .context("`train.max_tokens` of the recipe")?;
    let (mut sum, mut n) = (0.0, 0);
    for indices in bucket.iter() {
        let batch = store.batch(indices, side(recipe.data.pad_source));
        let output = model.forward(input(&batch, device).masks(masks.clone()));
        let loss = model.loss(output.hidden, targets(&batch, device), 0.0);
        let nll = loss
            .plain
            .sum()
            .try_into_vec_as::<f32>()
            .map_err(|e| anyhow!("cannot read the scores from the device: {e:?}"))?;
        sum += f64::from(nll[0]);
        n += batch.n_targets();
        stop_if_interrupted("scoring")?;
    }
    let nll = sum / n.max(1) as f64;
    ensure!(nll.is_finite(), "the validation loss is not finite");
    Ok(nll)
}

/// Adds the attention of every pair to `pattern`, targets given (teacher forcing); `model` is in
/// evaluation mode.
///
/// # Errors
/// Weights that are no weights, or Ctrl-C.
pub(super) fn observe(
    model: &Seq2Seq,
    store: &PairStore,
    bucket: &TokenBucket,
    padding: PaddingSide,
    pattern: &mut AttentionPattern,
    device: &Device,
    at: &mut dyn FnMut(usize),
) -> Result<()> {
    for (i, indices) in bucket.iter().enumerate() {
        let batch = store.batch(indices, padding);
        let output = model.forward(input(&batch, device).return_weights());
        let weights = output.weights.context("the model gave no weights")?;
        for kind in AttentionType::ALL {
            let placement = Placement::at(0, 0).with_valid(valid_cells(&batch, kind));
            for (layer, weights) in weights.of(kind).iter().enumerate() {
                pattern.observe_tensor(kind, layer, weights.clone(), &placement)?;
            }
        }
        at(i + 1);
        stop_if_interrupted("observation")?;
    }
    Ok(())
}

/// The part of each example that is not padding.
fn valid_cells(batch: &PairBatch, kind: AttentionType) -> Vec<Valid> {
    let pairs = batch.source_lengths.iter().zip(&batch.target_lengths);
    pairs
        .map(|(&source, &target)| {
            let source = match batch.padding {
                PaddingSide::Left => batch.source_len - source..batch.source_len,
                PaddingSide::Right => 0..source,
            };
            let (rows, cols) = match kind {
                AttentionType::EncoderSelf => (source.clone(), source),
                AttentionType::DecoderSelf => (0..target, 0..target),
                AttentionType::Cross => (0..target, source),
            };
            Valid { rows, cols }
        })
        .collect()
}
