//! Shapes and types of what the kernels give, for Burn's fusion of operations, which asks before they run.

use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::{DType, Shape};

use super::super::compute_type;
use super::scores::SAVED;
use super::tiling::{MIN_TILE, WORD};
use crate::attention::{
    AttentionExtrasMetadata, AttentionGradsMetadata, AttentionSavedMetadata, AttentionSpec,
    MaybeFloatMetadata,
};

/// Shapes of the numbers of each row and of the words of bits; of the latter, those of the smallest tiles,
/// as the tiles' size is the device's.
pub(crate) fn saved_shapes(query: &Shape, key: &Shape) -> ([usize; 2], [usize; 1]) {
    let n_rows = query[0] * query[1] * query[2];
    let n_tiles = query[0] * query[1] * query[2].div_ceil(MIN_TILE);
    let n_words = key[2].div_ceil(MIN_TILE * WORD);
    ([n_rows, SAVED], [(n_tiles * n_words).max(1)])
}

pub(crate) fn forward_meta(
    query: &TensorSpec,
    key: &TensorSpec,
    value: &TensorSpec,
    _extras: &AttentionExtrasMetadata,
    _spec: &AttentionSpec,
) -> (TensorSpec, AttentionSavedMetadata) {
    let context = [
        query.shape[0],
        query.shape[1],
        query.shape[2],
        value.shape[3],
    ];
    let (rows, blocks) = saved_shapes(&query.shape, &key.shape);
    let saved = AttentionSavedMetadata {
        rows: TensorSpec::new(Shape::from(rows), compute_type(query.dtype)),
        blocks: TensorSpec::new(Shape::from(blocks), DType::U32),
    };
    (TensorSpec::new(Shape::from(context), query.dtype), saved)
}

#[allow(clippy::too_many_arguments)] // as the method of the backend
pub(crate) fn backward_meta(
    query: &TensorSpec,
    key: &TensorSpec,
    value: &TensorSpec,
    extras: &AttentionExtrasMetadata,
    _spec: &AttentionSpec,
    _saved: &AttentionSavedMetadata,
    _grad: &TensorSpec,
    wants_bias: &bool,
) -> AttentionGradsMetadata {
    let like = |tensor: &TensorSpec| TensorSpec::new(tensor.shape.clone(), query.dtype);
    AttentionGradsMetadata {
        query: like(query),
        key: like(key),
        value: like(value),
        alpha: extras.alpha.clone(),
        bias: match wants_bias {
            true => extras.bias.clone(),
            false => MaybeFloatMetadata::None,
        },
        position_query: extras.position_query.clone(),
        positions: extras.positions.clone(),
    }
}
