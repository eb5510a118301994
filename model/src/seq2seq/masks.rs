//! Global masks of the three attentions.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use sparta_ops::pruning::{AttentionType, GlobalMask, PruningError};

use crate::error::ModelError;
use crate::masks::{LayerMask, check_masks, masks_of};

/// Which rows of the masks a decoder uses that writes one token after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskRows {
    /// Token i uses row i, as in training.
    #[default]
    True,
    /// As the released code of *Data-Informed Global Sparseness in Attention*: with n keys it uses row
    /// n + 1. That is row i + 2 in self-attention and one and the same row, source_len + 1, in
    /// cross-attention. Training has the true rows there too.
    #[serde(rename = "paper")]
    PaperFaithful,
}

/// Global masks, one per layer, of none to three of the attention types, `true` = hidden.
///
/// A mask is `[n_heads, rows, columns]`; that of the longest sentences serves every shorter one, from
/// its top left corner.
#[derive(Debug, Clone, Default)]
pub struct Seq2SeqMasks {
    /// Rows and columns are source positions.
    pub encoder_self: Option<Vec<LayerMask>>,
    /// Rows and columns are target positions.
    pub decoder_self: Option<Vec<LayerMask>>,
    /// Rows are target positions, columns source positions.
    pub cross: Option<Vec<LayerMask>>,
    /// Rows in incremental decoding.
    pub rows: MaskRows,
}

impl Seq2SeqMasks {
    /// The masks of every attention type that `mask` has, for sentences up to these lengths. Positions
    /// beyond those of the mask are visible in `corrected` and hidden in `paper` semantics.
    ///
    /// # Errors
    /// [`PruningError::UnknownLayer`] if a type's layers are not numbered from 0.
    pub fn new(
        mask: &GlobalMask,
        source_len: usize,
        target_len: usize,
        rows: MaskRows,
        device: &Device,
    ) -> Result<Self, PruningError> {
        let of = |kind: AttentionType| {
            let [n_rows, n_columns] = rows.needed(kind, source_len, target_len);
            masks_of(mask, kind, n_rows, n_columns, device)
        };
        Ok(Self {
            encoder_self: of(AttentionType::EncoderSelf)?,
            decoder_self: of(AttentionType::DecoderSelf)?,
            cross: of(AttentionType::Cross)?,
            rows,
        })
    }

    /// The masks of one attention type.
    pub fn of(&self, attention_type: AttentionType) -> Option<&[LayerMask]> {
        match attention_type {
            AttentionType::EncoderSelf => self.encoder_self.as_deref(),
            AttentionType::DecoderSelf => self.decoder_self.as_deref(),
            AttentionType::Cross => self.cross.as_deref(),
        }
    }

    pub(super) fn check(
        &self,
        attention_type: AttentionType,
        n_layers: usize,
        n_heads: usize,
        source_len: usize,
        target_len: usize,
    ) -> Result<(), ModelError> {
        let Some(masks) = self.of(attention_type) else {
            return Ok(());
        };
        let [rows, columns] = self.rows.needed(attention_type, source_len, target_len);
        check_masks(attention_type, masks, n_layers, [n_heads, rows, columns])
    }

    /// The first rows and columns of a layer's mask.
    pub(super) fn corner(
        &self,
        attention_type: AttentionType,
        layer: usize,
        rows: usize,
        columns: usize,
    ) -> Option<LayerMask> {
        let mask = &self.of(attention_type)?[layer];
        Some(mask.part(0..rows, 0..columns))
    }

    /// The row for the token at `position`, the same for `n_queries` queries:
    /// `[n_heads, n_queries, columns]`.
    pub(super) fn row(
        &self,
        attention_type: AttentionType,
        layer: usize,
        position: usize,
        columns: usize,
        n_queries: usize,
    ) -> Option<LayerMask> {
        let mask = &self.of(attention_type)?[layer];
        let row = match self.rows {
            MaskRows::True => position,
            MaskRows::PaperFaithful => columns + 1,
        };
        let [n_heads, _, _] = mask.dims();
        let cells = mask.part(row..row + 1, 0..columns).cells();
        Some(cells.expand([n_heads, n_queries, columns]).into())
    }
}

impl MaskRows {
    /// The least rows and columns of a mask.
    fn needed(
        self,
        attention_type: AttentionType,
        source_len: usize,
        target_len: usize,
    ) -> [usize; 2] {
        let (rows, columns) = match attention_type {
            AttentionType::EncoderSelf => return [source_len, source_len],
            AttentionType::DecoderSelf => (target_len, target_len),
            AttentionType::Cross => (target_len, source_len),
        };
        match self {
            Self::True => [rows, columns],
            Self::PaperFaithful => [rows.max(columns + 2), columns],
        }
    }
}
