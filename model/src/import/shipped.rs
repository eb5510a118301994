//! The pretrained network that comes with this crate: paraphrase-MiniLM-L3-v2 (Reimers and Gurevych
//! 2019), 3 layers of width 384 with 12 heads, uncased, its matrices in 4 bits. Licence and origin are
//! in `model/data/README.md`.

use super::{ImportError, Weights};
use crate::bert::BertConfig;

/// Its name.
pub const NAME: &str = "paraphrase-MiniLM-L3-v2 (4-bit)";

/// Its `tokenizer.json`, as published.
pub const TOKENIZER: &[u8] = include_bytes!("../../data/tokenizer.json");

const WEIGHTS: &[u8] = include_bytes!("../../data/model.safetensors");

/// Its sizes.
pub fn config() -> BertConfig {
    BertConfig::mini_lm(3)
}

/// Its weights, with a pooler and without a head.
///
/// # Errors
/// None, unless the program was built from an altered file.
pub fn weights() -> Result<Weights, ImportError> {
    Weights::from_safetensors(WEIGHTS)
}
