//! The names of BERT's parameters in published files.

use burn::module::Module;

use super::load::{Published, load};
use super::{ImportError, ImportOptions, ImportReport, Weights};
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
    let (module, report) = load(module, weights, published, options)?;
    Ok((beside_pretrained(module), report))
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

/// The published name of a parameter, given its path in one of our modules.
fn published(path: &str) -> Option<Published> {
    let path = path.strip_prefix("bert.").unwrap_or(path);
    let as_is = |name: &str| {
        Some(Published {
            name: name.to_owned(),
            transposed: false,
        })
    };
    match path {
        "embeddings.words" => return as_is("embeddings.word_embeddings.weight"),
        "embeddings.positions" => return as_is("embeddings.position_embeddings.weight"),
        "embeddings.token_types" => return as_is("embeddings.token_type_embeddings.weight"),
        "head.bias" => return as_is("cls.predictions.bias"),
        _ => {}
    }
    let (module, parameter) = path.rsplit_once('.')?;
    let (parameter, transposed) = match parameter {
        "weight" => ("weight", true),
        "bias" => ("bias", false),
        "gamma" => ("weight", false),
        "beta" => ("bias", false),
        _ => return None,
    };
    let module = match module {
        "embeddings.norm" => "embeddings.LayerNorm".to_owned(),
        "pooler" => "pooler.dense".to_owned(),
        "classifier" => "classifier".to_owned(),
        "span_output" => "qa_outputs".to_owned(),
        "head.transform" => "cls.predictions.transform.dense".to_owned(),
        "head.norm" => "cls.predictions.transform.LayerNorm".to_owned(),
        _ => in_layer(module.strip_prefix("encoder.")?)?,
    };
    Some(Published {
        name: format!("{module}.{parameter}"),
        transposed,
    })
}

fn in_layer(path: &str) -> Option<String> {
    let (layer, part) = path.split_once('.')?;
    let part = match part {
        "self_attention.attention.query" => "attention.self.query",
        "self_attention.attention.key" => "attention.self.key",
        "self_attention.attention.value" => "attention.self.value",
        "self_attention.attention.output" => "attention.output.dense",
        "self_attention.norm" => "attention.output.LayerNorm",
        "feed_forward.expand" => "intermediate.dense",
        "feed_forward.reduce" => "output.dense",
        "feed_forward.norm" => "output.LayerNorm",
        _ => return None,
    };
    Some(format!("encoder.layer.{layer}.{part}"))
}
