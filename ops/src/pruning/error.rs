//! What can go wrong while observing, pruning, or reading the files of both.

use std::path::PathBuf;

use super::cells::AttentionType;

/// An error of attention pruning: what was asked, what was found, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum PruningError {
    /// The file could not be read or written at all.
    #[error("cannot {action} `{}`: {cause}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file asked for.
        path: PathBuf,
        /// The operating system's reason.
        cause: std::io::Error,
    },

    /// A file that holds something else: a readable safetensors file, or none at all.
    #[error(
        "`{}` should be a {expected} file, but {found}; give the path of a {expected} file",
        path.display()
    )]
    WrongFormat {
        /// The file asked for.
        path: PathBuf,
        /// The format that was expected.
        expected: &'static str,
        /// What was found, as the end of a sentence: the format in the header, or that there is no header.
        found: String,
    },

    /// The file was written by another version of this crate.
    #[error(
        "`{}` is a {format} file of version {found}, and this build reads version {supported}; \
         make the file again with this build",
        path.display()
    )]
    Version {
        /// The file asked for.
        path: PathBuf,
        /// The format of the file.
        format: &'static str,
        /// The version in its header.
        found: String,
        /// The version this build reads and writes.
        supported: u32,
    },

    /// The file is truncated, altered or inconsistent.
    #[error("`{}` is truncated or altered ({reason}); delete it and make it again", path.display())]
    Corrupt {
        /// The file asked for.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },

    /// The attention mechanism asked for is not in the pattern or mask.
    #[error("no {attention_type} attention of layer {layer} here; there is: {known}")]
    UnknownLayer {
        /// The attention type asked for.
        attention_type: AttentionType,
        /// The layer asked for.
        layer: usize,
        /// The attention types and layers that there are.
        known: String,
    },

    /// A setting of a static pattern is out of range.
    #[error("`{field}` of a static pattern is {found}, but it must be {expected}")]
    StaticPattern {
        /// The setting.
        field: &'static str,
        /// Its value.
        found: String,
        /// The values that are possible.
        expected: String,
    },

    /// A static pattern cannot be laid over a grid.
    #[error(
        "the static pattern {pattern} has no cells for {attention_type} attention of {n_heads} heads, \
         {n_rows} rows and {n_cols} columns: {reason}"
    )]
    StaticGrid {
        /// The pattern, in words.
        pattern: String,
        /// The attention type.
        attention_type: AttentionType,
        /// Heads of the grid.
        n_heads: usize,
        /// Rows of the grid.
        n_rows: usize,
        /// Columns of the grid.
        n_cols: usize,
        /// What it needs.
        reason: &'static str,
    },

    /// The head asked for does not exist.
    #[error(
        "head {head} of {attention_type} attention, layer {layer}: it has heads 0 to {last}; ask for one of those",
        last = n_heads.saturating_sub(1)
    )]
    UnknownHead {
        /// The attention type asked for.
        attention_type: AttentionType,
        /// The layer asked for.
        layer: usize,
        /// The head asked for.
        head: usize,
        /// How many heads there are.
        n_heads: usize,
    },

    /// The slice of weights does not have the length of its shape.
    #[error(
        "weights of shape {shape:?} need {expected} numbers, and {found} were given; pass [batch, heads, rows, columns] row by row"
    )]
    WeightsLength {
        /// The shape given.
        shape: Vec<usize>,
        /// The product of the shape.
        expected: usize,
        /// The length of the slice.
        found: usize,
    },

    /// The observed block does not lie inside the grid of the pattern.
    #[error(
        "{attention_type} attention of layer {layer} has {n_heads} heads of {n_rows}×{n_cols} cells, \
         but {heads} heads of {rows}×{cols} were placed at row {row}, column {col}; \
         correct the placement or the grid of the header"
    )]
    Placement {
        /// The attention type.
        attention_type: AttentionType,
        /// The layer.
        layer: usize,
        /// Heads of the grid.
        n_heads: usize,
        /// Rows of the grid.
        n_rows: usize,
        /// Columns of the grid.
        n_cols: usize,
        /// Heads given.
        heads: usize,
        /// Rows given.
        rows: usize,
        /// Columns given.
        cols: usize,
        /// First row asked for.
        row: usize,
        /// First column asked for.
        col: usize,
    },

    /// The valid ranges do not fit the batch.
    #[error(
        "valid ranges: {reason}; give one (rows, columns) pair for each of the {batch} batch rows, inside the block"
    )]
    Valid {
        /// What does not fit.
        reason: String,
        /// The batch size.
        batch: usize,
    },

    /// A weight that no normaliser gives.
    #[error(
        "{attention_type} attention of layer {layer}, head {head}, row {row}, column {col}: the weight is {value}; \
         {reason}"
    )]
    Weight {
        /// The attention type.
        attention_type: AttentionType,
        /// The layer.
        layer: usize,
        /// The head.
        head: usize,
        /// The row in the grid.
        row: usize,
        /// The column in the grid.
        col: usize,
        /// The weight, summed over the batch where the caller summed it.
        value: f64,
        /// Why it cannot be.
        reason: &'static str,
    },

    /// Two patterns, or a mask and a pattern, of different things.
    #[error("{what} differ: {left} and {right}; use files of the same run")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// The value on the left.
        left: String,
        /// The value on the right.
        right: String,
    },

    /// Padding was treated otherwise than the semantics asks.
    #[error(
        "the pattern was observed with padding {found}, and {semantics} semantics needs padding {needed}; \
         observe again with that padding, or choose the other semantics"
    )]
    PaddingPolicy {
        /// The treatment recorded in the pattern.
        found: &'static str,
        /// The semantics asked for.
        semantics: &'static str,
        /// The treatment it needs.
        needed: &'static str,
    },

    /// A fraction outside [0, 1].
    #[error(
        "the fraction to prune must lie between 0 and 1, and {found} was given; write 20 % as 0.2"
    )]
    Share {
        /// The number given.
        found: f64,
    },

    /// A word that names no choice.
    #[error("`{found}` is no {what}; choose one of {choices}")]
    Word {
        /// What was to be chosen.
        what: &'static str,
        /// The word given.
        found: String,
        /// The words that exist.
        choices: &'static str,
    },

    /// A threshold was asked of a pattern without observations.
    #[error(
        "nothing was observed for {attention_type} attention of layer {layer}; run the observe stage first"
    )]
    NothingObserved {
        /// The attention type.
        attention_type: AttentionType,
        /// The layer.
        layer: usize,
    },

    /// The mask does not fit the model.
    #[error(
        "the model's {attention_type} attention of layer {layer} has {heads} heads of {rows}×{cols} cells, \
         but the mask was made for {mask_heads} heads of {mask_rows}×{mask_cols}; \
         make a mask with this model's recipe, or set its n_heads, tgt_len and mem_len to the mask's"
    )]
    Shape {
        /// The attention type.
        attention_type: AttentionType,
        /// The layer.
        layer: usize,
        /// Heads of the model.
        heads: usize,
        /// Rows of the model.
        rows: usize,
        /// Columns of the model.
        cols: usize,
        /// Heads of the mask.
        mask_heads: usize,
        /// Rows of the mask.
        mask_rows: usize,
        /// Columns of the mask.
        mask_cols: usize,
    },

    /// Blocks of no size.
    #[error("a block size of 0 was asked for; use 16, 32, 64 or 128")]
    BlockSize,

    /// Blocks that no kernel has.
    #[error(transparent)]
    KernelBlock(#[from] crate::attention::AttentionError),

    /// The weights could not be read back from the device.
    #[error(
        "cannot read the attention weights back from the device: {reason}; try `--device flex`"
    )]
    Read {
        /// The backend's reason.
        reason: String,
    },
}
