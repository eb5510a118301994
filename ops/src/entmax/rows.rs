//! From a tensor and a dimension to rows `[rows, n]` and back.

use burn::tensor::{AsIndex, Tensor};

use super::EntmaxError;

/// The dimension counted from the front.
pub(crate) fn dimension<const D: usize>(dim: impl AsIndex) -> Result<usize, EntmaxError> {
    let asked = dim.as_index();
    dim.try_dim_index(D).map_err(|_| EntmaxError::Dimension {
        dim: asked,
        rank: D,
    })
}

/// `[…, n]` with `dim` moved last, flattened to `[rows, n]`.
pub(super) fn last_dim_rows<const D: usize>(tensor: Tensor<D>, dim: usize) -> Tensor<2> {
    let tensor = match dim == D - 1 {
        true => tensor,
        false => tensor.swap_dims(dim, D - 1),
    };
    let n = tensor.dims()[D - 1];
    let rows = tensor.dims()[..D - 1].iter().product::<usize>();
    tensor.reshape([rows, n])
}

/// Applies a row mapping along `dim`.
pub(crate) fn by_rows<const D: usize>(
    scores: Tensor<D>,
    dim: usize,
    map: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Tensor<D> {
    let mut shape = scores.dims();
    if shape.contains(&0) {
        return scores;
    }
    shape.swap(dim, D - 1);
    let weights = map(last_dim_rows(scores, dim)).reshape(shape);
    match dim == D - 1 {
        true => weights,
        false => weights.swap_dims(dim, D - 1),
    }
}
