//! The names of BERT's parameters in published files, and its published configuration.

use burn::module::Module;
use serde::Deserialize;

use super::load::{Published, load};
use super::{ImportError, ImportOptions, ImportReport, Weights};
use crate::bert::BertConfig;

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
    load(module, weights, published, options)
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

/// A published `config.json`; other keys say nothing about the network.
#[derive(Deserialize)]
struct ConfigFile {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    hidden_act: String,
    hidden_dropout_prob: f64,
    attention_probs_dropout_prob: f64,
    #[serde(default = "default_epsilon")]
    layer_norm_eps: f64,
    #[serde(default = "default_std")]
    initializer_range: f64,
    position_embedding_type: Option<String>,
}

fn default_epsilon() -> f64 {
    1e-12
}

fn default_std() -> f64 {
    0.02
}

/// Reads a published `config.json`.
///
/// # Errors
/// [`ImportError::Config`] for a key that is missing or says that it is not a BERT with absolute
/// positions and the exact gelu.
pub fn bert_config(json: &str) -> Result<BertConfig, ImportError> {
    let file: ConfigFile = serde_json::from_str(json).map_err(|error| ImportError::Config {
        key: "(file)".to_owned(),
        found: error.to_string(),
        expected: "a configuration of huggingface/transformers for BERT".to_owned(),
    })?;
    let must_be = |key: &str, found: &str, expected: &str| match found == expected {
        true => Ok(()),
        false => Err(ImportError::Config {
            key: key.to_owned(),
            found: format!("{found:?}"),
            expected: format!("{expected:?}"),
        }),
    };
    must_be("model_type", &file.model_type, "bert")?;
    must_be("hidden_act", &file.hidden_act, "gelu")?;
    let positions = file.position_embedding_type.as_deref();
    must_be(
        "position_embedding_type",
        positions.unwrap_or("absolute"),
        "absolute",
    )?;
    let config = BertConfig::new(
        file.vocab_size,
        file.hidden_size,
        file.num_attention_heads,
        file.intermediate_size,
        file.num_hidden_layers,
    )
    .with_max_len(file.max_position_embeddings)
    .with_n_token_types(file.type_vocab_size)
    .with_dropout(file.hidden_dropout_prob)
    .with_attention_dropout(file.attention_probs_dropout_prob)
    .with_norm_epsilon(file.layer_norm_eps)
    .with_init_std(file.initializer_range);
    config.validate().map_err(|error| ImportError::Config {
        key: "(file)".to_owned(),
        found: error.to_string(),
        expected: "a network that can be built".to_owned(),
    })?;
    Ok(config)
}
