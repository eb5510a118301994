//! Batches of pairs as tensors.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use sparta_datasets::batch::PairBatch;
use sparta_model::seq2seq::Seq2SeqInput;

use crate::recipe::translation::PadSide;

/// The padding side of the recipe.
pub(super) fn side(name: PadSide) -> sparta_datasets::batch::PaddingSide {
    match name {
        PadSide::Left => sparta_datasets::batch::PaddingSide::Left,
        PadSide::Right => sparta_datasets::batch::PaddingSide::Right,
    }
}

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
