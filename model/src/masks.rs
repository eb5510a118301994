//! Global masks as the networks take them.

use burn::prelude::*;
use sparta_ops::pruning::{AttentionType, GlobalMask, PruningError};

use crate::error::ModelError;

/// The masks of one attention type, `[n_heads, rows, columns]` for each layer from the first up, or
/// none where `mask` has none of that type. Positions beyond those of the mask are visible in
/// `corrected` and hidden in `paper` semantics.
///
/// # Errors
/// [`PruningError::UnknownLayer`] if the type's layers are not numbered from 0.
pub fn masks_of(
    mask: &GlobalMask,
    attention_type: AttentionType,
    rows: usize,
    columns: usize,
    device: &Device,
) -> Result<Option<Vec<Tensor<3, Bool>>>, PruningError> {
    let of_type = |found: &AttentionType| *found == attention_type;
    let n_layers = mask.layers().filter(|(found, _)| of_type(found)).count();
    let layers: Result<Vec<_>, _> = (0..n_layers)
        .map(|layer| mask.tensor(attention_type, layer, rows, columns, device))
        .collect();
    layers.map(|layers| (n_layers > 0).then_some(layers))
}

/// That there is a mask for each layer, of these heads and of at least these rows and columns.
pub(crate) fn check_masks(
    attention_type: AttentionType,
    masks: &[Tensor<3, Bool>],
    n_layers: usize,
    expected: [usize; 3],
) -> Result<(), ModelError> {
    if masks.len() != n_layers {
        return Err(ModelError::AttentionMaskCount {
            attention_type,
            expected: n_layers,
            found: masks.len(),
        });
    }
    let [n_heads, rows, columns] = expected;
    let fits = |found: [usize; 3]| found[0] == n_heads && found[1] >= rows && found[2] >= columns;
    match masks.iter().position(|mask| !fits(mask.dims())) {
        None => Ok(()),
        Some(layer) => Err(ModelError::AttentionMaskShape {
            attention_type,
            layer,
            expected,
            found: masks[layer].dims(),
        }),
    }
}
