//! What a network attends to in one text, ready to be shown.

use std::ops::Range;

use anyhow::{Result, anyhow, ensure};
use burn::tensor::Tensor;
use sparta_ops::pruning::{AttentionType, GlobalMask};

use super::cell::{Hidden, code};
use crate::analysis::Tokens;

/// The most weights of a page: a file of about 64 MB.
const MAX_WEIGHTS: usize = 24 << 20;

/// The attention of one model on one text.
#[derive(Debug)]
pub struct Attended {
    /// What the model is and what it read: names and values, shown above the weights.
    pub facts: Vec<(&'static str, String)>,
    /// What queries and keys are.
    pub sequences: Vec<Sequence>,
    /// Attention types or parts of the text, each in a tab of its own.
    pub views: Vec<View>,
}

/// Tokens that are queries or keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// What they are: `source`.
    pub name: String,
    /// Each token as the model has it.
    pub pieces: Vec<String>,
    /// The words as they were typed, each with the places of its pieces.
    pub words: Vec<(String, Range<usize>)>,
    /// Places where another text starts.
    pub starts: Vec<usize>,
}

impl Sequence {
    /// Tokens whose words are spelled by their pieces.
    #[must_use]
    pub fn new(name: &str, tokens: Tokens) -> Self {
        let words = tokens.words.iter().cloned();
        let words = words.map(|places| (tokens.text(places.clone()), places));
        Self {
            name: name.to_owned(),
            words: words.collect(),
            pieces: tokens.pieces,
            starts: Vec::new(),
        }
    }

    /// The same with words as they were typed, which unknown pieces do not tell.
    #[must_use]
    pub fn with_words(mut self, words: Vec<(String, Range<usize>)>) -> Self {
        self.words = words;
        self
    }

    /// The same with places where another text starts.
    #[must_use]
    pub fn with_starts(mut self, starts: Vec<usize>) -> Self {
        self.starts = starts;
        self
    }
}

/// The attention of every layer and head between two sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Which attention.
    pub kind: AttentionType,
    /// Name of its tab.
    pub label: String,
    /// Place of the queries among the sequences.
    pub queries: usize,
    /// Place of the keys.
    pub keys: usize,
    /// What the model reads at each query, where queries are named by what it writes there.
    pub reads: Option<usize>,
    /// α of each layer and head; empty for a mechanism without a row normaliser.
    pub alpha: Vec<Vec<f32>>,
    pub(super) n_layers: usize,
    pub(super) n_heads: usize,
    /// `[layer][head][query][key]`, as [`code`] has them.
    pub(super) cells: Vec<u16>,
}

/// What attention is between: places of queries and keys among the sequences.
#[derive(Debug, Clone, Copy)]
pub struct Between {
    /// Queries.
    pub queries: usize,
    /// Keys.
    pub keys: usize,
    /// What is read at each query.
    pub reads: Option<usize>,
}

impl View {
    /// The weights of one example, `[1, n_heads, seq_q, seq_kv]` a layer; `hidden` says of (layer, head, query, key)
    /// why no input could give a weight there.
    ///
    /// # Errors
    /// A device that failed, or weights that are none.
    pub fn new(
        kind: AttentionType,
        label: &str,
        between: Between,
        weights: &[Tensor<4>],
        hidden: impl Fn(usize, usize, usize, usize) -> Option<Hidden>,
        alpha: Vec<Option<Tensor<1>>>,
    ) -> Result<Self> {
        let mut cells = Vec::new();
        let mut n_heads = 0;
        for (layer, weights) in weights.iter().enumerate() {
            let [batch, heads, n_queries, n_keys] = weights.dims();
            ensure!(batch == 1, "attention of {batch} texts at once");
            n_heads = heads;
            let values = read(weights.clone())?;
            let mut values = values.into_iter();
            for head in 0..heads {
                for query in 0..n_queries {
                    for (key, weight) in values.by_ref().take(n_keys).enumerate() {
                        cells.push(code(weight, hidden(layer, head, query, key))?);
                    }
                }
            }
        }
        let alpha: Option<Vec<Tensor<1>>> = alpha.into_iter().collect();
        let alpha = alpha.unwrap_or_default().into_iter().map(read);
        Ok(Self {
            kind,
            label: label.to_owned(),
            queries: between.queries,
            keys: between.keys,
            reads: between.reads,
            alpha: alpha.collect::<Result<_>>()?,
            n_layers: weights.len(),
            n_heads,
            cells,
        })
    }
}

/// Values of a tensor, row by row.
fn read<const D: usize>(values: Tensor<D>) -> Result<Vec<f32>> {
    values
        .try_into_vec_as::<f32>()
        .map_err(|e| anyhow!("cannot read the weights from the device: {e:?}"))
}

/// The cells that a global mask hides of one attention type, `[n_heads, rows, columns]` a layer.
pub struct GlobalCells {
    shape: [usize; 2],
    layers: Vec<Option<Vec<bool>>>,
}

impl GlobalCells {
    /// The first rows and columns of every layer's mask; a layer without one hides nothing.
    ///
    /// # Errors
    /// A mask that is damaged.
    pub fn new(
        mask: Option<&GlobalMask>,
        kind: AttentionType,
        n_layers: usize,
        [rows, columns]: [usize; 2],
    ) -> Result<Self> {
        let of = |layer: usize| {
            let has = |mask: &&GlobalMask| mask.layers().any(|found| found == (kind, layer));
            let mask = mask.filter(has);
            mask.map(|mask| mask.cells(kind, layer, rows, columns))
                .transpose()
        };
        Ok(Self {
            shape: [rows, columns],
            layers: (0..n_layers).map(of).collect::<Result<_, _>>()?,
        })
    }

    /// Whether the mask hides a cell.
    #[must_use]
    pub fn hide(&self, layer: usize, head: usize, row: usize, column: usize) -> bool {
        let [rows, columns] = self.shape;
        let cells = self.layers.get(layer).and_then(Option::as_ref);
        cells.is_some_and(|cells| cells[(head * rows + row) * columns + column])
    }

    /// The reason to be hidden, where the mask has one.
    #[must_use]
    pub fn reason(&self, layer: usize, head: usize, row: usize, column: usize) -> Option<Hidden> {
        self.hide(layer, head, row, column)
            .then_some(Hidden::GlobalMask)
    }
}

/// Refuses a text of which a page would be too large; `n_weights` are those of all layers and heads.
///
/// # Errors
/// How many there are and how many a page holds.
pub fn check_size(n_tokens: usize, n_weights: usize) -> Result<()> {
    ensure!(
        n_weights <= MAX_WEIGHTS,
        "a page of {n_tokens} tokens would hold {n_weights} attention weights, and one holds at most {MAX_WEIGHTS} \
         (64 MB): shorten `--text`"
    );
    Ok(())
}

/// A text of the command line, which must say something.
///
/// # Errors
/// Nothing, or white space alone.
pub fn not_blank<'a>(option: &str, text: &'a str) -> Result<&'a str> {
    ensure!(
        !text.trim().is_empty(),
        "`{option}` is empty; give the text in quotes, e.g. {option} \"Open the file.\""
    );
    Ok(text)
}
