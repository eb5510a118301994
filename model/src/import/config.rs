//! The published configuration of a BERT.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ImportError;
use crate::bert::BertConfig;

/// A published `config.json`; other keys say nothing about the network.
#[derive(Serialize, Deserialize)]
struct ConfigFile {
    model_type: Option<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    is_decoder: Option<bool>,
}

fn default_epsilon() -> f64 {
    1e-12
}

fn default_std() -> f64 {
    0.02
}

/// What a published `config.json` says.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedBert {
    /// The network.
    pub config: BertConfig,
    /// What the file does not say and was assumed, as text for people: a file from before there was a
    /// `model_type` is read as BERT's.
    pub assumed: Option<&'static str>,
}

/// The `config.json` that [`read_bert_config`] reads a network from. It has no place for the attention mechanism and the
/// pooling.
///
/// # Source
/// `BertConfig` of huggingface/transformers.
pub(crate) fn published_config(config: &BertConfig) -> serde_json::Result<Value> {
    serde_json::to_value(ConfigFile {
        model_type: Some("bert".to_owned()),
        vocab_size: config.vocab_size,
        hidden_size: config.d_model,
        num_attention_heads: config.n_heads,
        intermediate_size: config.d_ff,
        num_hidden_layers: config.n_layers,
        max_position_embeddings: config.max_len,
        type_vocab_size: config.n_token_types,
        hidden_act: "gelu".to_owned(),
        hidden_dropout_prob: config.dropout,
        attention_probs_dropout_prob: config.attention_dropout,
        layer_norm_eps: config.norm_epsilon,
        initializer_range: config.init_std,
        position_embedding_type: Some("absolute".to_owned()),
        is_decoder: None,
    })
}

/// [`read_bert_config`] for the network alone.
///
/// # Errors
/// As [`read_bert_config`].
pub fn bert_config(json: &str) -> Result<BertConfig, ImportError> {
    read_bert_config(json).map(|published| published.config)
}

/// Reads the published `config.json` of a BERT of any size.
///
/// # Errors
/// [`ImportError::Config`] for a key that is missing or says that it is not a BERT with absolute
/// positions and the exact gelu.
///
/// # Source
/// `BertConfig` of huggingface/transformers, which reads files without `model_type` too.
pub fn read_bert_config(json: &str) -> Result<PublishedBert, ImportError> {
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
    let assumed = match &file.model_type {
        Some(found) => {
            must_be("model_type", found, "bert")?;
            None
        }
        None => Some("config.json has no `model_type`: read as BERT"),
    };
    must_be("hidden_act", &file.hidden_act, "gelu")?;
    let positions = file.position_embedding_type.as_deref();
    must_be(
        "position_embedding_type",
        positions.unwrap_or("absolute"),
        "absolute",
    )?;
    if file.is_decoder == Some(true) {
        must_be("is_decoder", "true", "false")?;
    }
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
    Ok(PublishedBert { config, assumed })
}
