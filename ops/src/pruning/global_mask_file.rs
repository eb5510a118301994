//! The file of a global mask.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::Dtype;

use super::bits::BitMatrix;
use super::cells::{Grid, LayerKey, layer_name};
use super::error::PruningError;
use super::file::{self, Document, StoredArray};
use super::global_mask::{GlobalMask, MaskKind, MaskLayer};
use super::static_pattern::Kept;
use super::weighing::Weighing;

const FORMAT: &str = "sparta-global-mask";
const VERSION: u32 = 1;

impl GlobalMask {
    /// Saves to a safetensors file: per layer `TYPE.LAYER.hidden` (u64 words,
    /// `[heads, rows, ⌈columns / 64⌉]`, lowest bit first) and `TYPE.LAYER.observed`
    /// (`[rows, ⌈columns / 64⌉]`). The same mask gives the same bytes.
    ///
    /// # Errors
    /// [`PruningError::Io`]; an older file of that name is whole then.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PruningError> {
        let Self {
            kind,
            p,
            weighing,
            scope,
            semantics,
            corpus,
            model,
            layers,
        } = self;
        let mut document = Document::default();
        let mut put = |key: &str, value: String| document.metadata.insert(key.into(), value);
        put("kind", kind.as_str().into());
        if let Some((what, detail)) = kind.detail() {
            put(what, detail);
        }
        put("p", p.to_string());
        put("weigh", weighing.to_string());
        put("scope", scope.to_string());
        put("semantics", semantics.to_string());
        put("corpus", corpus.clone());
        put("model", model.clone());
        for (
            &key,
            MaskLayer {
                grid,
                heads,
                observed,
                kept,
            },
        ) in layers
        {
            document.insert_grid(key, grid);
            document.insert_static(key, kept.pattern);
            let words: Vec<u64> = heads
                .iter()
                .flat_map(|bits| bits.words().iter().copied())
                .collect();
            let shape = vec![grid.n_heads, grid.n_rows, observed.words_per_row()];
            let seen = StoredArray::u64(shape[1..].to_vec(), observed.words());
            document.arrays.insert(
                format!("{}.hidden", layer_name(key)),
                StoredArray::u64(shape, &words),
            );
            document
                .arrays
                .insert(format!("{}.observed", layer_name(key)), seen);
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
        let name = document.text(path, "kind")?;
        let kind = MaskKind::read(name, &document, path)?
            .ok_or_else(|| file::corrupt(path, format!("`kind` is `{name}`")))?;
        let mut layers = BTreeMap::new();
        for (key, grid) in document.grids(path)? {
            layers.insert(key, load_layer(path, &document, key, grid)?);
        }
        Ok(Self {
            kind,
            p: document.parse(path, "p")?,
            // Files of earlier versions lack it.
            weighing: match document.metadata.contains_key("weigh") {
                true => document.parse(path, "weigh")?,
                false => Weighing::Cells,
            },
            scope: document.parse(path, "scope")?,
            semantics: document.parse(path, "semantics")?,
            corpus: document.text(path, "corpus")?.to_string(),
            model: document.text(path, "model")?.to_string(),
            layers,
        })
    }
}

fn load_layer(
    path: &Path,
    document: &Document,
    key: LayerKey,
    grid: Grid,
) -> Result<MaskLayer, PruningError> {
    let Grid {
        n_heads,
        n_rows,
        n_cols,
        ..
    } = grid;
    let words_per_row = n_cols.div_ceil(64);
    let words = |part, shape: &[usize]| {
        let name = format!("{}.{part}", layer_name(key));
        Ok::<_, PruningError>(document.array(path, &name, Dtype::U64, shape)?.to_u64())
    };
    let matrix = |words: &[u64]| {
        BitMatrix::from_words(n_rows, n_cols, words.to_vec()).ok_or_else(|| {
            file::corrupt(
                path,
                format!("bits of {} beyond its columns", layer_name(key)),
            )
        })
    };
    let hidden = words("hidden", &[n_heads, n_rows, words_per_row])?;
    let per_head = n_rows * words_per_row;
    let heads = (0..n_heads)
        .map(|head| matrix(&hidden[head * per_head..(head + 1) * per_head]))
        .collect::<Result<Vec<_>, _>>()?;
    let observed = matrix(&words("observed", &[n_rows, words_per_row])?)?;
    let kept = Kept::new(document.static_pattern(path, key)?, &grid);
    Ok(MaskLayer {
        grid,
        heads,
        observed,
        kept,
    })
}
