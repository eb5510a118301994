//! Passes over a text with a trained model: perplexity, and the mean of its attention.

use anyhow::{Result, anyhow, ensure};
use burn::tensor::Device;
use sparta_datasets::batch::LmStream;
use sparta_model::LayerMask;
use sparta_model::transformer_xl::{TransformerXl, TransformerXlInput};
use sparta_ops::pruning::{AttentionPattern, AttentionType, Placement};
use sparta_results::Perplexity;

use super::lesson::input_tokens;
use crate::train::watch::stop_if_interrupted;

/// Scores every target of a stream; `model` is in evaluation mode on `device`.
///
/// # Errors
/// A score that is not finite, or Ctrl-C.
pub fn perplexity(
    model: &TransformerXl,
    stream: &LmStream<'_>,
    masks: Option<&[LayerMask]>,
    device: &Device,
    at: &mut dyn FnMut(usize),
) -> Result<Perplexity> {
    let mut sum = Perplexity::default();
    let mut mems = None;
    for batch in stream.iter() {
        let output = model.forward(TransformerXlInput {
            tokens: input_tokens(&batch, device),
            mems: mems.take(),
            masks: masks.map(<[_]>::to_vec),
            return_weights: false,
        });
        mems = Some(output.mems);
        let nll = model
            .nll(output.hidden, &batch.target)
            .try_into_vec_as::<f32>()
            .map_err(|e| anyhow!("cannot read the scores from the device: {e:?}"))?;
        let total: f64 = nll.iter().map(|&x| f64::from(x)).sum();
        ensure!(
            total.is_finite(),
            "the score of segment {} is not finite",
            batch.index
        );
        sum.add(total, batch.n_targets() as u64);
        at(batch.index + 1);
        stop_if_interrupted("scoring")?;
    }
    Ok(sum)
}

/// Adds the attention of every segment of a stream to `pattern`; `model` is in evaluation mode.
///
/// # Errors
/// Weights that are no weights, or Ctrl-C.
pub fn observe(
    model: &TransformerXl,
    stream: &LmStream<'_>,
    pattern: &mut AttentionPattern,
    device: &Device,
    at: &mut dyn FnMut(usize),
) -> Result<()> {
    let mem_len = model.lengths().mem_len;
    let mut mems = None;
    for batch in stream.iter() {
        let output = model.forward(TransformerXlInput {
            tokens: input_tokens(&batch, device),
            mems: mems.take(),
            masks: None,
            return_weights: true,
        });
        mems = Some(output.mems);
        for (layer, weights) in output.weights.unwrap_or_default().into_iter().enumerate() {
            let [_, _, seq_q, seq_kv] = weights.dims();
            let placement = Placement::at(0, mem_len - (seq_kv - seq_q));
            pattern.observe_tensor(AttentionType::DecoderSelf, layer, weights, &placement)?;
        }
        at(batch.index + 1);
        stop_if_interrupted("observation")?;
    }
    Ok(())
}
