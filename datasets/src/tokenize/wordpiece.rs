//! WordPiece (Wu et al. 2016; Devlin et al. 2019), which [`super::pretrained`] reads as it reads other
//! published tokenizers.

pub use super::pretrained::{
    Casing, Encoding, Pieces, Sequence, SpecialIds, Tokenizer as WordPiece,
};
