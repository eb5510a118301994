//! `sparta export` on a translation run.

use anyhow::{Context, Result};
use burn::tensor::TensorData;
use serde_json::json;
use sparta_datasets::batch::PaddingSide;
use sparta_datasets::tokenize::Dictionary;
use sparta_model::export::{KeyMap, Tensors, config, export as exported};
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::AttentionType;

use super::network;
use super::trained::{Trained, with_end};
use crate::export::{Export, Loader, Package};
use crate::recipe::RowsName;

/// Pieces of the sentences of the sample, sources and targets, without their end.
const SAMPLE: [(usize, usize); 2] = [(9, 7), (5, 8)];

/// The files of an encoder–decoder.
///
/// # Errors
/// A folder without a trained model, or files that cannot be read.
pub fn export(request: &Export) -> Result<Package> {
    let model = Trained::open(&request.model, request.device)?;
    let (recipe, corpus) = (&model.recipe, &model.corpus);
    let sizes = (model.vocabulary.source.len(), model.vocabulary.target.len());
    let attention = (model.variant.mechanisms, Implementation::Auto);
    let sizes = network::config(&recipe.model, sizes, attention);
    let parameters = exported(&model.network, KeyMap::Seq2Seq)?;
    let mut tensors = parameters.tensors;
    tensors.extend(parameters.mechanisms);
    let data = model.run.data();
    let dictionaries =
        [corpus.source, corpus.target].map(|language| format!("dict.{language}.txt"));
    let names = [["codes.bpe".to_owned()].as_slice(), &dictionaries].concat();
    let tokenizer = names.into_iter().map(|name| {
        let path = data.join(&name);
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((name, bytes))
    });
    let mut further_limits = Vec::new();
    if model.mask.is_some() && recipe.prune.rows == RowsName::Paper {
        further_limits.push(
            "the rows of the mask while translating: `prune.rows = \"paper\"` takes row n + 1 for n keys there; the \
             loader takes the rows of training"
                .to_owned(),
        );
    }
    Ok(Package {
        loader: Loader::Seq2Seq,
        folder: model.folder.clone(),
        config: config::seq2seq(&sizes),
        tensors,
        beside: Tensors::new(),
        attention: AttentionType::ALL
            .map(|kind| (kind, model.variant.mechanism(kind)))
            .to_vec(),
        mask: model.mask.clone(),
        tokenizer: tokenizer.collect::<Result<_>>()?,
        sample: sample(&model)?,
        facts: vec![
            ("source_language", json!(corpus.source.to_string())),
            ("target_language", json!(corpus.target.to_string())),
            (
                "pad_source",
                json!(match recipe.data.pad_source {
                    PaddingSide::Left => "left",
                    PaddingSide::Right => "right",
                }),
            ),
            ("pad", json!(Dictionary::PAD)),
            ("end", json!(Dictionary::EOS)),
        ],
        further_limits,
    })
}

/// Two sentence pairs, and the scores of every next piece.
fn sample(model: &Trained) -> Result<Tensors> {
    let most = model.network.max_len() - 1;
    let ids = |n: usize, seed: usize, n_pieces: usize| -> Vec<u32> {
        // Behind the special symbols.
        let first = Dictionary::UNK as usize + 1;
        let spread =
            (0..n.min(most)).map(|i| first + (seed + i) * 7919 % (n_pieces - first).max(1));
        with_end(&spread.map(|id| id as u32).collect::<Vec<_>>())
    };
    let (n_source, n_target) = (model.vocabulary.source.len(), model.vocabulary.target.len());
    let sources = SAMPLE.map(|(n, _)| ids(n, n, n_source));
    let targets = SAMPLE.map(|(_, n)| ids(n, n, n_target));
    let pairs = [
        (sources[0].as_slice(), targets[0].as_slice()),
        (sources[1].as_slice(), targets[1].as_slice()),
    ];
    let (batch, logits) = model.logits(&pairs)?;
    let ints = |values: &[i32], len: usize| {
        let values: Vec<i64> = values.iter().map(|&id| i64::from(id)).collect();
        TensorData::new(values, [batch.batch_size, len])
    };
    Ok(Tensors::from([
        ("source".to_owned(), ints(&batch.source, batch.source_len)),
        (
            "target".to_owned(),
            ints(&batch.target_input, batch.target_len),
        ),
        ("logits".to_owned(), logits.into_data()),
    ]))
}
