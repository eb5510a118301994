//! Windows of paragraphs, padded, with the places of their answers.

use super::{PaddingStrategy, rectangle::Rectangle};
use crate::Result;
use crate::squad::Window;
use crate::tokenize::pretrained::Encoding;

/// One batch of windows, arrays row-major `[batch_size, len]`; order and fraction of padding are those
/// of [`super::ExampleOrder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanBatch {
    /// Token ids; `[PAD]` where padded.
    pub ids: Vec<i32>,
    /// 0 for the question, 1 for the paragraph; 0 where padded.
    pub token_types: Vec<i32>,
    /// `true` where a position is padding, to be hidden from attention.
    pub padding: Vec<bool>,
    /// First token of each answer, 0 (`[CLS]`) where the window does not have it, `[batch_size]`;
    /// `None` when a window's question has no answer with a place.
    pub starts: Option<Vec<i32>>,
    /// Last token of each answer, as `starts`.
    pub ends: Option<Vec<i32>>,
    /// Place of each window in the list that the batch was drawn from, `[batch_size]`.
    pub indices: Vec<u32>,
    /// Number of windows.
    pub batch_size: usize,
    /// Positions of each window.
    pub len: usize,
}

impl SpanBatch {
    /// Pads the windows at `indices` on the right with the id `pad`.
    ///
    /// # Errors
    /// [`crate::Error::BadExamples`] for a window longer than a fixed width.
    ///
    /// # Panics
    /// When an index is not below `windows.len()`; those of [`super::ExampleOrder`] are.
    pub fn new(
        windows: &[Window],
        indices: &[u32],
        padding: PaddingStrategy,
        pad: u32,
    ) -> Result<Self> {
        let chosen = || indices.iter().map(|&index| &windows[index as usize]);
        let encodings: Vec<&Encoding> = chosen().map(|window| &window.encoding).collect();
        let Rectangle {
            ids,
            token_types,
            padding,
            len,
        } = Rectangle::new(&encodings, padding, pad)?;
        let targets: Option<Vec<(usize, usize)>> = chosen().map(|window| window.target).collect();
        let side = |side: fn(&(usize, usize)) -> usize| {
            let targets = targets.as_ref()?.iter();
            Some(targets.map(|target| side(target) as i32).collect())
        };
        Ok(Self {
            ids,
            token_types,
            padding,
            starts: side(|target| target.0),
            ends: side(|target| target.1),
            indices: indices.to_vec(),
            batch_size: indices.len(),
            len,
        })
    }
}
