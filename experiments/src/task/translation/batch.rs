//! Batches of pairs as tensors.

use std::ops::Range;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use sparta_datasets::batch::{PaddingSide, PairBatch};
use sparta_model::seq2seq::Seq2SeqInput;
use sparta_ops::pruning::{AttentionType, Valid};

use crate::protocol::ExampleIds;

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

/// Token ids of each pair, as [`valid_cells`] says where they are.
pub(super) fn ids(batch: &PairBatch, kind: AttentionType) -> Vec<ExampleIds> {
    let part = |ids: &[i32], len: usize, example: usize, places: Range<usize>| -> Vec<u32> {
        let first = example * len;
        let places = first + places.start..first + places.end;
        ids[places].iter().map(|&id| id as u32).collect()
    };
    let (source, target) = (&batch.source, &batch.target_input);
    let valid = valid_cells(batch, kind).into_iter().enumerate();
    let ids = |(example, Valid { rows, cols })| match kind {
        AttentionType::EncoderSelf => {
            ExampleIds::of_self(part(source, batch.source_len, example, rows))
        }
        AttentionType::DecoderSelf => {
            ExampleIds::of_self(part(target, batch.target_len, example, rows))
        }
        AttentionType::Cross => ExampleIds {
            queries: part(target, batch.target_len, example, rows),
            keys: part(source, batch.source_len, example, cols),
        },
    };
    valid.map(ids).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_valid_cells_on_either_side_of_the_padding() {
        let pairs: [(&[u32], &[u32]); 2] = [(&[7, 8, 2], &[9, 2]), (&[5, 2], &[6, 4, 2])];
        for padding in [PaddingSide::Left, PaddingSide::Right] {
            let batch = PairBatch::new(&pairs, padding);
            for ((source, target), example) in pairs.into_iter().zip(0..) {
                let of = |kind| ids(&batch, kind).swap_remove(example);
                assert_eq!(of(AttentionType::EncoderSelf).keys, source);
                // The decoder starts from the end of a sentence.
                let decoder = [&[2], &target[..target.len() - 1]].concat();
                assert_eq!(of(AttentionType::DecoderSelf).queries, decoder);
                let cross = of(AttentionType::Cross);
                assert_eq!((cross.queries, cross.keys), (decoder, source.to_vec()));
            }
        }
    }
}
