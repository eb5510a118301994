//! What a network attends to in one text, ready to be shown.

use std::ops::Range;

use anyhow::{Result, anyhow, ensure};
use burn::tensor::Tensor;
use sparta_ops::pruning::{AttentionType, CellRule, GlobalMask, StaticPattern};

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

/// Words, each with the places of its pieces.
pub type Words = Vec<(String, Range<usize>)>;

/// Tokens that are queries or keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// What they are: `source`.
    pub name: String,
    /// Each token as the model has it.
    pub pieces: Vec<String>,
    /// The words as they were typed, each with the places of its pieces.
    pub words: Words,
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
    pub fn with_words(mut self, words: Words) -> Self {
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

/// The cells that a global mask or a static pattern hides of one attention type, `[n_heads, rows, columns]` a layer.
pub struct GlobalCells {
    shape: [usize; 2],
    layers: Vec<Option<Vec<bool>>>,
    /// The same in every layer.
    pattern: Option<Vec<bool>>,
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
            pattern: None,
        })
    }

    /// The same beside a static pattern of `n_heads` heads in a grid with this rule.
    #[must_use]
    pub fn with_pattern(
        self,
        pattern: Option<StaticPattern>,
        rule: CellRule,
        n_heads: usize,
    ) -> Self {
        let [rows, columns] = self.shape;
        Self {
            pattern: pattern.map(|pattern| pattern.cells(rule, [n_heads, rows, columns])),
            ..self
        }
    }

    /// Whether the mask hides a cell.
    #[must_use]
    pub fn hide(&self, layer: usize, head: usize, row: usize, column: usize) -> bool {
        let cells = self.layers.get(layer).and_then(Option::as_ref);
        cells.is_some_and(|cells| cells[self.place(head, row, column)])
    }

    /// The reason to be hidden, where the mask or the pattern has one.
    #[must_use]
    pub fn reason(&self, layer: usize, head: usize, row: usize, column: usize) -> Option<Hidden> {
        let pattern = self.pattern.as_ref();
        if pattern.is_some_and(|cells| cells[self.place(head, row, column)]) {
            return Some(Hidden::Pattern);
        }
        self.hide(layer, head, row, column)
            .then_some(Hidden::GlobalMask)
    }

    fn place(&self, head: usize, row: usize, column: usize) -> usize {
        let [rows, columns] = self.shape;
        (head * rows + row) * columns + column
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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use sparta_ops::pruning::{
        AttentionPattern, CellRule, Grid, PatternHeader, Placement, Scope, Semantics,
    };

    use super::*;

    const KIND: AttentionType = AttentionType::DecoderSelf;
    const SELF: Between = Between {
        queries: 0,
        keys: 0,
        reads: None,
    };

    #[test]
    fn cells_are_those_of_the_tensors_and_masks() {
        let device = Device::flex();
        let weights = [
            [[1.0, 0.0], [0.25, 0.75]], // head 1
            [[1.0, 0.0], [0.0, 1.0]],   // head 2, which does not see key 1 from query 2
        ];
        let layer = Tensor::<3>::from_floats(weights, &device).unsqueeze_dim::<4>(0);
        let hidden = |_, head, query: usize, key: usize| match (head, query, key) {
            (_, query, key) if key > query => Some(Hidden::Causal),
            (1, 1, 0) => Some(Hidden::GlobalMask),
            _ => None,
        };
        let alpha = Tensor::<1>::from_floats([1.25, 2.0], &device);
        let layers = [layer.clone(), layer];
        let alphas = vec![Some(alpha.clone()), Some(alpha)];
        let view = View::new(KIND, "Words", SELF, &layers, hidden, alphas).unwrap();
        let code = |weight, hidden| code(weight, hidden).unwrap();
        let (after, masked) = (Some(Hidden::Causal), Some(Hidden::GlobalMask));
        let expected = [
            code(1.0, None),
            code(0.0, after),
            code(0.25, None),
            code(0.75, None),
            code(1.0, None),
            code(0.0, after),
            code(0.0, masked),
            code(1.0, None),
        ];
        assert_eq!(view.cells, [expected, expected].concat());
        assert_eq!((view.n_layers, view.n_heads), (2, 2));
        assert_eq!(view.alpha, [[1.25, 2.0], [1.25, 2.0]]);
    }

    #[test]
    fn a_hidden_cell_with_a_weight_is_an_error() {
        let weights = Tensor::<4>::full([1, 1, 1, 1], 1.0, &Device::flex());
        let hidden = |_, _, _, _| Some(Hidden::GlobalMask);
        let error = View::new(KIND, "Words", SELF, &[weights], hidden, vec![None]).unwrap_err();
        assert!(error.to_string().contains("GlobalMask"), "{error}");
    }

    #[test]
    fn global_cells_are_those_of_the_mask() {
        let grid = Grid {
            n_heads: 1,
            n_rows: 3,
            n_cols: 3,
            rule: CellRule::Full,
        };
        let header = PatternHeader::new("texts", "model").with(KIND, 1, grid);
        let mut pattern = AttentionPattern::new(header);
        let weights = [0.7, 0.2, 0.1, 0.1, 0.6, 0.3, 0.2, 0.3, 0.5];
        let observed = pattern.observe(KIND, 1, &weights, [1, 1, 3, 3], &Placement::at(0, 0));
        observed.unwrap();
        let mask = GlobalMask::from_pattern(&pattern, 0.5, Scope::Layer, Semantics::Corrected);
        let mask = mask.unwrap();
        let cells = GlobalCells::new(Some(&mask), KIND, 2, [2, 3]).unwrap();
        for row in 0..2 {
            for column in 0..3 {
                assert!(!cells.hide(0, 0, row, column), "layer 1 has no mask");
                let expected = mask.hidden(KIND, 1, 0, row, column).unwrap();
                assert_eq!(cells.hide(1, 0, row, column), expected);
            }
        }
        assert!(cells.hide(1, 0, 0, 2) && !cells.hide(1, 0, 0, 0));
        let none = GlobalCells::new(None, KIND, 2, [2, 3]).unwrap();
        assert_eq!(none.reason(1, 0, 0, 2), None);
    }

    #[test]
    fn too_large_pages_and_blank_texts_are_refused() {
        assert!(check_size(40, MAX_WEIGHTS).is_ok());
        let error = check_size(40, MAX_WEIGHTS + 1).unwrap_err().to_string();
        assert!(
            error.contains("40 tokens") && error.contains("shorten"),
            "{error}"
        );
        assert!(not_blank("--text", " \u{2003}\n").is_err());
        assert_eq!(not_blank("--text", " a ").unwrap(), " a ");
    }
}
