//! What a task says of itself so that a peer can train the same network on the same batches.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use burn::tensor::TensorData;
use serde_json::{Value, json};
use sparta_datasets::batch::Targets;
use sparta_datasets::tokenize::Dictionary;
use sparta_experiments::protocol::task::Task;
use sparta_experiments::protocol::{Cost, Fetch, Run};
use sparta_experiments::recipe::{GlueRecipe, LmRecipe, TranslationRecipe};
use sparta_experiments::task::glue::Glue;
use sparta_experiments::task::lm::LanguageModel;
use sparta_experiments::task::translation::Translation;
use sparta_model::export::KeyMap;

use crate::arithmetic;

/// What one step reads, as tensors with names, and the target tokens of it.
pub struct Batch {
    pub tensors: BTreeMap<&'static str, TensorData>,
    pub n_tokens: usize,
    /// Sequences and positions.
    pub shape: [usize; 2],
}

/// A task that a peer has too.
pub trait Compared: Task + 'static {
    /// The peer's program in benches/peer.
    const SCRIPT: &'static str;
    /// Names of parameters that the peer knows.
    const NAMES: KeyMap;
    /// What the peer is, after its version of PyTorch.
    const PEER: &'static str;

    /// The task as its program opens it.
    fn opened(run: &Run<'_, Self::Recipe>) -> Result<Self>;

    /// What a step reads.
    fn batch(objective: &mut Self::Objective<'_>, step: u64) -> Result<Batch>;

    /// Floating point operations of a training step a token, where they are counted.
    fn flop_per_token(_recipe: &Self::Recipe, _batch: &Batch, _rows: &Rows<'_>) -> Option<f64> {
        None
    }

    /// Sizes and rates of the network, by the names of recipes.
    fn sizes(recipe: &Self::Recipe, cost: &Cost, rows: &Rows<'_>) -> Value;
}

/// Rows of an exported tensor, by its name.
pub type Rows<'a> = dyn Fn(&str) -> usize + 'a;

fn ints(values: &[i32], shape: [usize; 2]) -> TensorData {
    let values: Vec<i64> = values.iter().map(|&id| id.into()).collect();
    TensorData::new(values, shape)
}

impl Compared for LanguageModel {
    const SCRIPT: &'static str = "lm_peer.py";
    const NAMES: KeyMap = KeyMap::TransformerXl;
    const PEER: &'static str = "Transformer-XL";

    fn opened(run: &Run<'_, LmRecipe>) -> Result<Self> {
        Self::open(run, Fetch::Never)
    }

    fn batch(objective: &mut Self::Objective<'_>, step: u64) -> Result<Batch> {
        let batch = objective.batch(step)?;
        let shape = [batch.batch_size, batch.len];
        let starts = step == 0 || batch.index == 0;
        Ok(Batch {
            tensors: BTreeMap::from([
                ("input", ints(&batch.input, shape)),
                ("target", ints(&batch.target, shape)),
                ("starts", ints(&[starts.into()], [1, 1])),
            ]),
            n_tokens: batch.n_targets(),
            shape,
        })
    }

    fn flop_per_token(recipe: &LmRecipe, batch: &Batch, rows: &Rows<'_>) -> Option<f64> {
        let vocab_size = rows("word_emb.emb_layers.0.weight");
        let flop = arithmetic::transformer_xl(&recipe.model, vocab_size, batch.shape[0]);
        Some(flop)
    }

    fn sizes(recipe: &LmRecipe, _: &Cost, rows: &Rows<'_>) -> Value {
        let model = &recipe.model;
        json!({
            "vocab_size": rows("word_emb.emb_layers.0.weight"),
            "d_model": model.d_model,
            "n_layers": model.n_layers,
            "n_heads": model.n_heads,
            "d_head": model.d_head,
            "d_ff": model.d_ff,
            "mem_len": model.mem_len,
            "dropout": model.dropout,
            "dropatt": model.dropatt,
            "pre_norm": model.pre_norm,
        })
    }
}

impl Compared for Translation {
    const SCRIPT: &'static str = "seq2seq_peer.py";
    const NAMES: KeyMap = KeyMap::Seq2Seq;
    const PEER: &'static str = "encoder-decoder";

    fn opened(run: &Run<'_, TranslationRecipe>) -> Result<Self> {
        Self::open(run, Fetch::Never)
    }

    fn batch(objective: &mut Self::Objective<'_>, step: u64) -> Result<Batch> {
        let batch = objective.batch(step, 0)?;
        let of_source = [batch.batch_size, batch.source_len];
        let of_target = [batch.batch_size, batch.target_len];
        let padding = TensorData::new(batch.source_padding(), of_source);
        Ok(Batch {
            tensors: BTreeMap::from([
                ("source", ints(&batch.source, of_source)),
                ("padding", padding),
                ("input", ints(&batch.target_input, of_target)),
                ("target", ints(&batch.target_output, of_target)),
            ]),
            n_tokens: batch.n_targets(),
            shape: of_target,
        })
    }

    fn sizes(recipe: &TranslationRecipe, _: &Cost, rows: &Rows<'_>) -> Value {
        let model = &recipe.model;
        json!({
            "vocab_size": rows("decoder.embed_tokens.weight"),
            "d_model": model.d_model,
            "n_encoder_layers": model.n_encoder_layers,
            "n_decoder_layers": model.n_decoder_layers,
            "n_heads": model.n_heads,
            "d_ff": model.d_ff,
            "dropout": model.dropout,
            "label_smoothing": recipe.train.label_smoothing,
        })
    }
}

impl Compared for Glue {
    const SCRIPT: &'static str = "bert_peer.py";
    const NAMES: KeyMap = KeyMap::Bert;
    const PEER: &'static str = "transformers";

    /// With random weights: those of the larger network are not at hand everywhere, and its speed does not depend on them.
    fn opened(run: &Run<'_, GlueRecipe>) -> Result<Self> {
        Self::stand_in(run)
    }

    fn batch(objective: &mut Self::Objective<'_>, step: u64) -> Result<Batch> {
        let batch = objective.batch(step)?;
        let shape = [batch.batch_size, batch.len];
        let Targets::Classes(labels) = &batch.targets else {
            bail!("the examples have no classes");
        };
        let labels: Vec<i64> = labels.iter().map(|&label| label.into()).collect();
        Ok(Batch {
            n_tokens: batch
                .padding
                .iter()
                .filter(|is_padding| !**is_padding)
                .count(),
            tensors: BTreeMap::from([
                ("input", ints(&batch.ids, shape)),
                ("token_types", ints(&batch.token_types, shape)),
                ("padding", TensorData::new(batch.padding, shape)),
                ("labels", TensorData::new(labels, [batch.batch_size])),
            ]),
            shape,
        })
    }

    fn sizes(recipe: &GlueRecipe, cost: &Cost, rows: &Rows<'_>) -> Value {
        let model = &recipe.model;
        json!({
            "vocab_size": rows("bert.embeddings.word_embeddings.weight"),
            "d_model": cost.d_model,
            "n_layers": cost.n_layers,
            "n_heads": cost.n_scores / recipe.data.max_len,
            "d_ff": cost.d_ff,
            "n_labels": rows("classifier.bias"),
            "dropout": model.dropout,
            "attention_dropout": model.attention_dropout,
            "head_factor": recipe.head.lr_factor,
        })
    }
}

/// Never written by a decoder, as the programs decode; the end has a rule of its own.
pub const NEVER: [u32; 3] = [Dictionary::BOS, Dictionary::PAD, Dictionary::UNK];
