//! Cross-entropy in tensor operations.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata, get_device_settings};
use burn::tensor::Shape;

use crate::primitive::Array;

/// `log Σ_j exp(z_j) − z_target`, `[rows]`; 0 where the target is negative.
pub(crate) fn forward<B: Backend>(logits: FloatTensor<B>, targets: IntTensor<B>) -> FloatTensor<B> {
    let rows = logits.shape()[0];
    let logits = Array::<B>(logits);
    let dtype = logits.dtype();
    let logits = logits.widen();
    let max = logits.max();
    let log_partition = logits.sub(&max).exp().sum().log().add(&max);
    let chosen = Array::<B>(B::float_gather(
        1,
        logits.0,
        column::<B>(targets.clone(), rows),
    ));
    let loss = log_partition.sub(&chosen).cast(dtype);
    let loss = Array::<B>(B::float_reshape(loss.0, Shape::from([rows])));
    loss.zero_where(ignored::<B>(targets)).0
}

/// `g·(softmax(z) − e_target)`, with `log Σexp(z) = loss + z_target`.
pub(crate) fn backward<B: Backend>(
    logits: FloatTensor<B>,
    targets: IntTensor<B>,
    loss: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let shape = logits.shape();
    let logits = Array::<B>(logits);
    let dtype = logits.dtype();
    let logits = logits.widen();
    let index = column::<B>(targets.clone(), shape[0]);
    let as_column =
        |x: FloatTensor<B>| Array::<B>(B::float_reshape(x, Shape::from([shape[0], 1]))).widen();
    let chosen = Array::<B>(B::float_gather(1, logits.0.clone(), index.clone()));
    let log_partition = as_column(loss).add(&chosen);
    let grad = as_column(Array::<B>(grad).zero_where(ignored::<B>(targets)).0);
    let softmax = logits.sub(&log_partition).exp().mul(&grad);
    let target = Array::<B>(B::float_scatter(
        1,
        softmax.0,
        index,
        grad.scale(-1.0).0,
        burn::tensor::IndexingUpdateOp::Add,
    ));
    target.cast(dtype).0
}

/// Targets as a `[rows, 1]` index, ignored ones pointing at class 0.
fn column<B: Backend>(targets: IntTensor<B>, rows: usize) -> IntTensor<B> {
    let ignored = ignored::<B>(targets.clone());
    let targets = B::int_mask_fill(targets, ignored, 0i64.into());
    B::int_reshape(targets, Shape::from([rows, 1]))
}

fn ignored<B: Backend>(targets: IntTensor<B>) -> burn::backend::tensor::BoolTensor<B> {
    let bool_dtype = get_device_settings::<B>(&targets.device()).bool_dtype;
    B::int_lower_elem(targets, 0i64.into(), bool_dtype)
}
