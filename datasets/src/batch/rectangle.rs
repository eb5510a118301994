//! Encodings padded to a rectangle.

use super::PaddingStrategy;
use crate::tokenize::pretrained::Encoding;
use crate::{Error, Result};

/// The arrays that batches of encodings share, row-major `[batch_size, len]`.
pub(super) struct Rectangle {
    pub ids: Vec<i32>,
    pub token_types: Vec<i32>,
    /// `true` where a position is padding.
    pub padding: Vec<bool>,
    pub len: usize,
}

impl Rectangle {
    /// Pads encodings on the right with the id `pad`.
    ///
    /// # Errors
    /// [`Error::BadExamples`] for an encoding longer than a fixed width.
    pub(super) fn new(encodings: &[&Encoding], padding: PaddingStrategy, pad: u32) -> Result<Self> {
        let n = encodings.len();
        let longest = encodings
            .iter()
            .map(|encoding| encoding.len())
            .max()
            .unwrap_or(0);
        let len = match padding {
            PaddingStrategy::Fixed(len) if longest > len => {
                return Err(Error::BadExamples {
                    batch_size: n,
                    max_len: len,
                    next: format!("an example has {longest} tokens; encode with max_len = {len}"),
                });
            }
            PaddingStrategy::Fixed(len) => len,
            PaddingStrategy::Dynamic => longest,
        };
        let mut rectangle = Self {
            ids: vec![pad as i32; n * len],
            token_types: vec![0; n * len],
            padding: vec![true; n * len],
            len,
        };
        for (row, encoding) in encodings.iter().enumerate() {
            let cells = row * len..row * len + encoding.len();
            rectangle.padding[cells.clone()].fill(false);
            let ids = rectangle.ids[cells.clone()].iter_mut().zip(&encoding.ids);
            ids.for_each(|(cell, &id)| *cell = id as i32);
            let types = rectangle.token_types[cells]
                .iter_mut()
                .zip(&encoding.token_types);
            types.for_each(|(cell, &kind)| *cell = i32::from(kind));
        }
        Ok(rectangle)
    }
}
