//! Batches as the encoder reads them, and what comes back from the device.

use anyhow::{Result, anyhow};
use burn::tensor::{Device, Int, Tensor, TensorData};
use sparta_datasets::batch::{ExampleOrder, PaddingFraction, PaddingStrategy};
use sparta_datasets::tokenize::pretrained::Encoding;
use sparta_model::bert::BertInput;

use crate::recipe::encoder::PaddingName;
use crate::train::watch::stop_if_interrupted;

/// How wide the batches of a recipe are.
pub fn padding(name: PaddingName, max_len: usize) -> PaddingStrategy {
    match name {
        PaddingName::Fixed => PaddingStrategy::Fixed(max_len),
        PaddingName::Dynamic => PaddingStrategy::Dynamic,
    }
}

/// What padding takes, in words.
pub fn describe_padding(share: PaddingFraction, name: PaddingName) -> String {
    let of = |n: usize, all: usize| 100.0 * (1.0 - n as f64 / all.max(1) as f64);
    format!(
        "padding takes {:.1} % of the positions and {:.1} % of the attention cells of {} batches",
        of(share.n_tokens, share.n_positions),
        of(share.n_token_cells, share.n_cells),
        name.name()
    )
}

/// Mean positions of an example in batches of this order, padding included.
pub fn mean_width(
    examples: &[impl AsRef<Encoding>],
    padding: PaddingStrategy,
    order: &ExampleOrder,
) -> f64 {
    order.padding(examples, padding).n_positions as f64 / examples.len().max(1) as f64
}

/// Batches of so many examples as training has them, in an order by which its padding is told.
///
/// # Errors
/// Batches of no example.
pub fn training_order(n: usize, batch_size: usize) -> Result<ExampleOrder> {
    Ok(ExampleOrder::shuffled(n, batch_size, 1, 0)?)
}

/// What stands for a data set that is not at hand, in words.
pub fn stand_in(name: &str, n_train: usize) -> String {
    format!(
        "{name} is not at hand: a SYNTHETIC batch, {n_train} training examples as published; give the \
         files by `--data DIR`"
    )
}

/// One example without its padding, which stands behind its `len` word pieces.
pub fn without_padding(input: BertInput, len: usize) -> BertInput {
    let first = |of: Tensor<2, Int>| of.slice([0..1, 0..len]);
    BertInput {
        tokens: first(input.tokens),
        token_types: input.token_types.map(first),
        padding: None,
        ..input
    }
}

/// Token ids, segments and padding, row by row, as tensors.
pub fn input(
    ids: &[i32],
    token_types: &[i32],
    padding: &[bool],
    shape: [usize; 2],
    device: &Device,
) -> BertInput {
    let ints = |values: &[i32]| {
        Tensor::<2, Int>::from_data(TensorData::new(values.to_vec(), shape), device)
    };
    let padding = Tensor::from_data(TensorData::new(padding.to_vec(), shape), device);
    BertInput::new(ints(ids))
        .token_types(ints(token_types))
        .padding(padding)
}

/// Whole numbers, one an example.
pub fn classes(values: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

/// The values of a tensor, row by row.
///
/// # Errors
/// A device that failed.
pub fn read<const D: usize>(values: Tensor<D>) -> Result<Vec<f32>> {
    values
        .try_into_vec_as::<f32>()
        .map_err(|e| anyhow!("cannot read the scores from the device: {e:?}"))
}

/// The mean over `n` examples of a loss that batches have as their mean.
///
/// # Errors
/// What `loss` says, or Ctrl-C.
pub fn mean_loss(
    n: usize,
    batch_size: usize,
    mut loss: impl FnMut(&[u32]) -> Result<Tensor<1>>,
) -> Result<f64> {
    let mut sum = 0.0;
    for indices in ExampleOrder::in_order(n, batch_size)?.iter() {
        sum += f64::from(read(loss(indices)?)?[0]) * indices.len() as f64;
        stop_if_interrupted("scoring")?;
    }
    Ok(sum / n.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_that_are_as_wide_as_their_longest_example_have_fewer_positions() {
        let of = |len: usize| Encoding {
            ids: vec![0; len],
            token_types: vec![0; len],
            offsets: vec![(0, 0); len],
            n_first: len,
            n_second: 0,
            n_cut: 0,
        };
        let examples = [of(3), of(5), of(10), of(2), of(1)];
        let width = |padding, batch_size| {
            let order = ExampleOrder::in_order(examples.len(), batch_size).unwrap();
            mean_width(&examples, padding, &order)
        };
        assert_eq!(
            width(PaddingStrategy::Dynamic, 2),
            (2 * 5 + 2 * 10 + 1) as f64 / 5.0
        );
        assert_eq!(width(PaddingStrategy::Dynamic, 1), 21.0 / 5.0);
        assert_eq!(width(PaddingStrategy::Fixed(16), 2), 16.0);
    }
}
