//! The pretrained network that comes with the programs: paraphrase-MiniLM-L3-v2 (Reimers and Gurevych
//! 2019), 3 layers of width 384 with 12 heads, uncased, its matrices in 4 bits. Licence and origin are
//! in `experiments/data/minilm-l3/README.md`.

use sparta_model::bert::BertConfig;
use sparta_model::import::{ImportError, Weights};

/// Its name.
pub(super) const NAME: &str = "paraphrase-MiniLM-L3-v2 (4-bit)";

/// Its `tokenizer.json`, as published.
pub(super) const TOKENIZER: &[u8] = include_bytes!("../../../data/minilm-l3/tokenizer.json");

const WEIGHTS: &[u8] = include_bytes!("../../../data/minilm-l3/model.safetensors");

/// The sha256 of the file of its weights.
pub(super) fn sha256() -> String {
    sparta_datasets::source::sha256(WEIGHTS)
}

/// Its sizes.
pub(super) fn config() -> BertConfig {
    BertConfig::mini_lm(3)
}

/// Its weights, with a pooler and without a head.
///
/// # Errors
/// None, unless the program was built from an altered file.
pub(super) fn weights() -> Result<Weights, ImportError> {
    Weights::from_safetensors(WEIGHTS)
}
