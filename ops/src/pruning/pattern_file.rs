//! The file of an attention pattern.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::Dtype;

use super::cells::{Grid, layer_name};
use super::error::PruningError;
use super::file::{self, Document, StoredArray};
use super::observation::{Padding, PatternHeader};
use super::pattern::{AttentionPattern, Cells};
use super::static_pattern::Kept;

const FORMAT: &str = "sparta-attention-pattern";
const VERSION: u32 = 1;

impl AttentionPattern {
    /// Saves to a safetensors file: per layer `TYPE.LAYER.sum` (f64, `[heads, rows, columns]`)
    /// and `TYPE.LAYER.count` (u64, `[rows, columns]`).
    ///
    /// # Errors
    /// [`PruningError::Io`]; an older file of that name is whole then.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PruningError> {
        let mut document = Document::default();
        let PatternHeader {
            corpus,
            model,
            padding,
            grids: _,
            static_patterns: _,
        } = &self.header;
        document.metadata.insert("corpus".into(), corpus.clone());
        document.metadata.insert("model".into(), model.clone());
        document
            .metadata
            .insert("padding".into(), padding.as_str().into());
        document
            .metadata
            .insert("padding_seen".into(), self.padding_seen.to_string());
        for (&key, cells) in &self.layers {
            let Grid {
                n_heads,
                n_rows,
                n_cols,
                ..
            } = cells.grid;
            document.insert_grid(key, &cells.grid);
            document.insert_static(key, cells.kept.pattern);
            let sums = StoredArray::f64(vec![n_heads, n_rows, n_cols], &cells.sums);
            let counts = StoredArray::u64(vec![n_rows, n_cols], &cells.counts);
            document
                .arrays
                .insert(format!("{}.sum", layer_name(key)), sums);
            document
                .arrays
                .insert(format!("{}.count", layer_name(key)), counts);
        }
        file::write(path.as_ref(), FORMAT, VERSION, &document)
    }

    /// Loads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// A missing file, another format or version, a truncated or altered file. What was altered in the header of a file of an
    /// earlier version, which has no checksum of it, is an error where it does not fit.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PruningError> {
        let path = path.as_ref();
        let document = file::read(path, FORMAT, VERSION)?;
        let padding = match document.text(path, "padding")? {
            word if word == Padding::LeftOut.as_str() => Padding::LeftOut,
            word if word == Padding::AveragedIn.as_str() => Padding::AveragedIn,
            word => return Err(file::corrupt(path, format!("`padding` is `{word}`"))),
        };
        let grids = document.grids(path)?;
        let mut static_patterns = BTreeMap::new();
        for &key in grids.keys() {
            let pattern = document.static_pattern(path, key)?;
            static_patterns.extend(pattern.map(|pattern| (key, pattern)));
        }
        let header = PatternHeader {
            corpus: document.text(path, "corpus")?.to_string(),
            model: document.text(path, "model")?.to_string(),
            padding,
            grids,
            static_patterns,
        };
        let mut layers = BTreeMap::new();
        for (&key, &grid) in &header.grids {
            let Grid {
                n_heads,
                n_rows,
                n_cols,
                ..
            } = grid;
            let array = |part, dtype, shape: &[usize]| {
                document.array(path, &format!("{}.{part}", layer_name(key)), dtype, shape)
            };
            let sums = array("sum", Dtype::F64, &[n_heads, n_rows, n_cols])?.to_f64();
            let counts = array("count", Dtype::U64, &[n_rows, n_cols])?.to_u64();
            let kept = Kept::new(header.static_patterns.get(&key).copied(), &grid);
            let cells = Cells {
                grid,
                sums,
                counts,
                kept,
            };
            layers.insert(key, cells);
        }
        let padding_seen = document.parse(path, "padding_seen")?;
        Ok(Self {
            header,
            padding_seen,
            layers,
        })
    }
}
