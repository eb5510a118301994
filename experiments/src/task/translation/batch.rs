//! Batches of pairs as tensors.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use sparta_datasets::batch::{PaddingSide, PairBatch};
use sparta_model::seq2seq::Seq2SeqInput;
use sparta_ops::pruning::{AttentionType, Valid};

/// Source tokens `[batch, source_len]` and which are padding.
pub(super) fn source(
    batch: &PairBatch,
    device: &Device,
) -> (Tensor<2, Int>, Option<Tensor<2, Bool>>) {
    let shape = [batch.batch_size, batch.source_len];
    let tokens = Tensor::from_data(TensorData::new(batch.source.clone(), shape), device);
    let padding = batch.source_padding();
    let padded = padding.contains(&true);
    let padding = padded.then(|| Tensor::from_data(TensorData::new(padding, shape), device));
    (tokens, padding)
}

/// What the network reads; targets are padded on the right, which needs no mention.
pub(super) fn input(batch: &PairBatch, device: &Device) -> Seq2SeqInput {
    let (source, padding) = source(batch, device);
    let shape = [batch.batch_size, batch.target_len];
    let target = TensorData::new(batch.target_input.clone(), shape);
    let input = Seq2SeqInput::new(source, Tensor::from_data(target, device));
    match padding {
        Some(padding) => input.source_padding(padding),
        None => input,
    }
}

/// What the network should say, `[batch, target_len]`, negative where padded.
pub(super) fn targets(batch: &PairBatch, device: &Device) -> Tensor<2, Int> {
    let shape = [batch.batch_size, batch.target_len];
    Tensor::from_data(TensorData::new(batch.target_output.clone(), shape), device)
}

/// The part of each example that is not padding.
pub(super) fn valid_cells(batch: &PairBatch, kind: AttentionType) -> Vec<Valid> {
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
