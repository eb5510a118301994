//! What can be wrong with a request to a network, with what to do about it.

use sparta_ops::pruning::AttentionType;

/// Why a network cannot be built or cannot use what it was given.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// A setting of a configuration is outside what the network can be built from.
    #[error("the model cannot be built: `{field}` is {found}, but it must be {expected}")]
    Config {
        /// The field of the configuration.
        field: String,
        /// Its value.
        found: String,
        /// The values that are possible.
        expected: String,
    },
    /// An attention mechanism cannot do what the network needs of it.
    #[error("{mechanism} cannot {lacks}: give `{field}` another attention mechanism")]
    Mechanism {
        /// The mechanism, as in recipes.
        mechanism: String,
        /// What it cannot do.
        lacks: &'static str,
        /// The field of the configuration.
        field: String,
    },
    /// An attention mechanism cannot do what one type of a network's attention needs of it.
    #[error(
        "{mechanism} cannot {lacks}, as {attention_type} attention needs: give `{field}` {instead}"
    )]
    MechanismOfType {
        /// The mechanism, as in recipes.
        mechanism: String,
        /// What it cannot do.
        lacks: &'static str,
        /// Which attention needs it.
        attention_type: AttentionType,
        /// What to write instead.
        instead: String,
        /// The key of the recipe.
        field: String,
    },
    /// Mechanisms of types of attention that cannot be told apart.
    #[error(
        "`{found}` names mechanisms by type of attention, but {problem}: write one of `encoder=`, `decoder=`, \
         `cross=` before each, e.g. `decoder=rfa(m=32) cross=rfa(m=32)`"
    )]
    MechanismTypes {
        /// The words.
        found: String,
        /// What is wrong with them.
        problem: String,
    },
    /// A word that stands for no attention mechanism.
    #[error("`{found}` is no attention mechanism; known are {known}")]
    UnknownMechanism {
        /// The word.
        found: String,
        /// Words that are known.
        known: String,
    },
    /// Arguments that the words of an attention mechanism do not have.
    #[error(
        "`{found}` cannot be read: with every argument that there is, it is written as {forms}"
    )]
    MechanismArguments {
        /// The words.
        found: String,
        /// How they are written.
        forms: String,
    },
    /// An argument of an attention mechanism that is known, but not here.
    #[error("{mechanism} has no {argument}: {reason}")]
    Argument {
        /// The mechanism's word.
        mechanism: String,
        /// The argument, as given.
        argument: String,
        /// Why, and what to write in place of it.
        reason: &'static str,
    },
    /// A word that stands for no map from scores to words.
    #[error("`{found}` is no output map; known are softmax, sparsemax, entmax15, entmax(1.3)")]
    UnknownOutput {
        /// The word.
        found: String,
    },
    /// A word that stands for no selection of pages.
    #[error(
        "`{found}` is no selection of pages; known are exact, gaussian, top_k=64, and the last two with +fixed or \
         +corrected"
    )]
    UnknownPaging {
        /// The word.
        found: String,
    },
    /// Selection of pages where no key has a weight of 0.
    #[error(
        "no attention of the decoder can read some pages of its keys: that takes entmax15, sparsemax, entmax(1.3) or \
         alpha_entmax, with α > 1 and without parts, which give keys a weight of exactly 0"
    )]
    NoSparseDecoder,
    /// A word that stands for no search.
    #[error("`{found}` is no search; known are beam, exact, exact(prefixes=10000)")]
    UnknownSearch {
        /// The word.
        found: String,
    },
    /// Exact search of a model whose output map gives every token probability.
    #[error(
        "exact search needs an output map that gives most tokens probability 0: {output} gives every \
         sequence of tokens some, which are too many to look at. Use beam search, or train a model with \
         `output` sparsemax, entmax15 or entmax(1.3)"
    )]
    DenseOutput {
        /// The output map.
        output: String,
    },
    /// The number of global masks is not the number of layers.
    #[error(
        "the model has {expected} layers, but {found} global masks were given; \
         make the mask from the attention pattern of this model"
    )]
    MaskCount {
        /// Layers of the model.
        expected: usize,
        /// Masks given.
        found: usize,
    },
    /// A global mask does not have the shape of the layer's attention.
    #[error(
        "the global mask of layer {layer} has shape {found:?}, but this model needs \
         [n_heads, tgt_len, mem_len + tgt_len] = {expected:?}; make the mask from the attention \
         pattern of this model, observed with the same tgt_len and mem_len"
    )]
    MaskShape {
        /// Index of the layer.
        layer: usize,
        /// `[n_heads, tgt_len, mem_len + tgt_len]` of the model.
        expected: [usize; 3],
        /// The mask's shape.
        found: [usize; 3],
    },
    /// The number of global masks of an attention type is not the number of layers.
    #[error(
        "the model has {expected} {attention_type} attention layers, but {found} global masks were \
         given for them; make the mask from the attention pattern of this model"
    )]
    AttentionMaskCount {
        /// Which attention.
        attention_type: AttentionType,
        /// Layers of the model.
        expected: usize,
        /// Masks given.
        found: usize,
    },
    /// A global mask has other heads than the layer or is too small for a batch.
    #[error(
        "the {attention_type} mask of layer {layer} has shape {found:?}, but [n_heads, rows, columns] \
         of at least {expected:?} (heads exactly) is needed for these sentences; make the masks for the \
         longest sentences, from the attention pattern of this model"
    )]
    AttentionMaskShape {
        /// Which attention.
        attention_type: AttentionType,
        /// Index of the layer.
        layer: usize,
        /// `[n_heads, rows, columns]` that are needed.
        expected: [usize; 3],
        /// The mask's shape.
        found: [usize; 3],
    },
}
