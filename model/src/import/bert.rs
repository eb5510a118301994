//! Weights of a BERT, with the names that files of several times have for them.

use burn::module::Module;

use super::load::load;
use super::{ImportError, ImportOptions, ImportReport, Weights};
use crate::key_map::{KeyMap, Published};
use crate::layer::mechanism::beside_pretrained;

/// Puts published weights into a [`Bert`](crate::bert::Bert) or a network with a head on it, by the
/// [key map](crate::import#bert).
///
/// # Errors
/// [`ImportError::Keys`] with every name that is missing or left over and not allowed to be,
/// [`ImportError::Shape`] or [`ImportError::Type`] for the first tensor that does not fit.
pub fn import_bert<M: Module>(
    module: M,
    weights: Weights,
    options: &ImportOptions,
) -> Result<(M, ImportReport), ImportError> {
    let mut weights = weights.renamed(canonical)?;
    // The numbers 0, 1, 2, … that older versions stored.
    weights.tensors.remove("embeddings.position_ids");
    for (copy, original) in TIED {
        untie(&mut weights, copy, original);
    }
    let published = |path: &str| {
        let found = KeyMap::Bert.published(path)?;
        let name = canonical(&found.name);
        Some(Published { name, ..found })
    };
    load(beside_pretrained(module), weights, published, options)
}

/// Names under which some files have a tensor once more, or instead.
const TIED: [(&str, &str); 2] = [
    (
        "cls.predictions.decoder.weight",
        "embeddings.word_embeddings.weight",
    ),
    ("cls.predictions.decoder.bias", "cls.predictions.bias"),
];

/// Leaves a tied tensor its one name. Two that differ both stay, for no model here has both.
fn untie(weights: &mut Weights, copy: &str, original: &str) {
    let tensors = &mut weights.tensors;
    let is_one = !tensors.contains_key(original) || tensors.get(copy) == tensors.get(original);
    if is_one && let Some(tensor) = tensors.remove(copy) {
        tensors.insert(original.to_owned(), tensor);
    }
}

/// A name as files of today have it, without `bert.` in front.
fn canonical(name: &str) -> String {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    match name.strip_suffix(".gamma") {
        Some(norm) => format!("{norm}.weight"),
        None => match name.strip_suffix(".beta") {
            Some(norm) => format!("{norm}.bias"),
            None => name.to_owned(),
        },
    }
}
