//! The words that a translation recipe chooses from.

use serde::{Deserialize, Serialize};

/// A side of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PadSide {
    /// Padding first: positions of a mask are columns of the batch (fairseq).
    Left,
    /// Padding last: positions of a mask are those of the sentence.
    Right,
}

/// Which embeddings are one matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareName {
    /// Source, target and output.
    All,
    /// Target and output.
    Decoder,
    /// None.
    Nothing,
}

/// Mapping from scores to words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputName {
    /// Softmax with label-smoothed cross-entropy.
    Softmax,
    /// 1.5-entmax with its Fenchel–Young loss.
    Entmax15,
    /// Sparsemax with its Fenchel–Young loss.
    Sparsemax,
}

/// Which parameters of a run are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepName {
    /// The last.
    Last,
    /// Those of the smallest validation loss.
    BestLoss,
    /// Those of the largest validation BLEU.
    BestBleu,
    /// The mean of several.
    Average,
}

/// Which attention is pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrunedName {
    /// Self-attention of the encoder.
    EncoderSelf,
    /// Self-attention of the decoder.
    DecoderSelf,
    /// Attention of the decoder to the encoder.
    Cross,
    /// Self-attention of both.
    #[serde(rename = "self")]
    SelfOnly,
}

/// Rows of a mask that decoding uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowsName {
    /// Those of the positions being decoded.
    True,
    /// Those the released code takes.
    Paper,
}

/// How BLEU splits words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenizeName {
    /// Not at all: both sides are as the corpus is tokenised (both papers).
    #[serde(rename = "none")]
    Tokenized,
    /// sacreBLEU's `13a` on detokenised text.
    #[serde(rename = "13a")]
    V13a,
    /// sacreBLEU's `intl` on detokenised text.
    #[serde(rename = "intl")]
    Intl,
    /// Single characters of detokenised text.
    #[serde(rename = "char")]
    Char,
}
