//! Losses of segments of text.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Name of the file beside a model.
pub const SEGMENTS: &str = "test-segments.csv";

/// A stretch of the test text that is scored at once: a segment of a language model, a window of a
/// masked one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Its place in the test text.
    pub segment: u64,
    /// Sum of the negative natural log-likelihoods of its target tokens.
    pub nll: f64,
    /// Number of its target tokens.
    pub tokens: u64,
    /// How many of them were predicted right, where that is scored.
    pub right: Option<u64>,
}

impl Segment {
    /// Writes the segments of a test text, in its order.
    ///
    /// # Errors
    /// [`crate::ResultsError::Io`] if the disk refuses.
    pub fn save_all(path: &Path, segments: &[Self]) -> Result<()> {
        super::save(path, segments)
    }

    /// Reads what [`Segment::save_all`] wrote.
    ///
    /// # Errors
    /// [`crate::ResultsError::Kept`] for a file that is missing or damaged.
    pub fn load_all(path: &Path) -> Result<Vec<Self>> {
        super::load(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_read_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SEGMENTS);
        let segment = |segment, nll, right| Segment {
            segment,
            nll,
            tokens: 64,
            right,
        };
        let segments = [
            segment(0, 0.1 + 0.2, Some(3)),
            segment(1, 345.678_901_234_567_8, None),
        ];
        Segment::save_all(&path, &segments).unwrap();
        assert_eq!(Segment::load_all(&path).unwrap(), segments);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("segment,nll,tokens,right\n0,0.30000000000000004,64,3\n"));
        std::fs::write(&path, &text[..text.len() - 5]).unwrap();
        let error = Segment::load_all(&path).unwrap_err().to_string();
        assert!(
            error.contains("test-segments.csv") && error.contains("score the model again"),
            "{error}"
        );
    }
}
