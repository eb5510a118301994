//! What stands in a `config.json`.
//!
//! That of a BERT is huggingface/transformers' own. Those of the other networks are ours, with `model_type` `sparta-seq2seq`
//! and `sparta-transformer-xl`: sizes under the names of the configurations here, and the attention as
//! `{"mechanism": "alpha_entmax", "alpha": "learned", "alpha_min": null}`, where `alpha` is a number, `"learned"`, or null for a
//! mechanism that is more or something else than α-entmax of scaled products.

use serde_json::{Value, json};
use sparta_ops::pruning::AttentionType;

use crate::bert::BertConfig;
use crate::import::published_config;
use crate::layer::{EntmaxAlpha, MechanismConfig, OutputMap};
use crate::seq2seq::Seq2SeqConfig;
use crate::transformer_xl::TransformerXlConfig;

/// Of a BERT, as [`crate::import::bert_config`] reads it. It has no place for the attention mechanism and the pooling.
///
/// # Errors
/// A number that JSON does not have.
///
/// # Source
/// `BertConfig` of huggingface/transformers.
pub fn bert(config: &BertConfig) -> serde_json::Result<Value> {
    published_config(config)
}

/// Of an encoder–decoder.
pub fn seq2seq(config: &Seq2SeqConfig) -> Value {
    let kinds = AttentionType::ALL.into_iter();
    let attention: serde_json::Map<_, _> = kinds
        .map(|kind| {
            let of = attention(&config.mechanisms.of(kind));
            (kind.as_str().to_owned(), of)
        })
        .collect();
    let alpha = match config.output {
        OutputMap::Softmax => 1.0,
        OutputMap::Sparsemax => 2.0,
        OutputMap::Entmax15 => 1.5,
        OutputMap::Entmax { alpha } => alpha,
    };
    json!({
        "model_type": "sparta-seq2seq",
        "source_vocab_size": config.source_vocab_size,
        "target_vocab_size": config.target_vocab_size,
        "d_model": config.d_model,
        "n_heads": config.n_heads,
        "d_ff": config.d_ff,
        "n_encoder_layers": config.n_encoder_layers,
        "n_decoder_layers": config.n_decoder_layers,
        "pre_norm": config.pre_norm,
        "sharing": config.sharing,
        "max_len": config.max_len,
        "first_position": config.first_position,
        "norm_epsilon": 1e-5,
        "attention": attention,
        "output_alpha": alpha,
    })
}

/// Of a Transformer-XL.
pub fn transformer_xl(config: &TransformerXlConfig) -> Value {
    json!({
        "model_type": "sparta-transformer-xl",
        "vocab_size": config.vocab_size,
        "n_layers": config.n_layers,
        "d_model": config.d_model,
        "n_heads": config.n_heads,
        "d_head": config.d_head,
        "d_ff": config.d_ff,
        "tgt_len": config.tgt_len,
        "mem_len": config.mem_len,
        "clamp_len": config.clamp_len,
        "same_length": config.same_length,
        "cutoffs": config.cutoffs,
        "div_val": config.div_val,
        "d_embed": config.d_embed,
        "tie_weights": config.tie_weights,
        "tie_projections": config.tie_projections,
        "pre_norm": config.pre_norm,
        "norm_epsilon": 1e-5,
        "attention": { AttentionType::DecoderSelf.as_str(): attention(&config.mechanism) },
    })
}

/// Of an attention mechanism.
pub fn attention(mechanism: &MechanismConfig) -> Value {
    let (alpha, min) = match mechanism.entmax_alpha() {
        None => (Value::Null, None),
        Some(EntmaxAlpha::Fixed(alpha)) => (json!(alpha), None),
        Some(EntmaxAlpha::Learned { min }) => (json!("learned"), min),
    };
    json!({ "mechanism": mechanism.to_string(), "alpha": alpha, "alpha_min": min })
}
