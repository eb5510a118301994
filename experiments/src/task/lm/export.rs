//! `sparta export` on a language model.

use anyhow::{Context, Result};
use burn::tensor::{Int, Tensor, TensorData};
use sparta_model::export::{KeyMap, Tensors, config, export as exported};
use sparta_model::transformer_xl::TransformerXlInput;
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::AttentionType;

use super::network;
use super::trained::{Trained, VOCABULARY};
use crate::export::{Export, Loader, Package};

/// Words of a segment of the sample, streams, and segments: the later ones read a memory.
const SAMPLE: (usize, usize, usize) = (12, 2, 3);

/// The files of a language model.
///
/// # Errors
/// A folder without a trained model, or files that cannot be read.
pub fn export(request: &Export) -> Result<Package> {
    let trained = Trained::open(&request.model, request.device)?;
    let found = &trained.found;
    let attention = (trained.mechanism, Implementation::Auto);
    let sizes = network::config(&found.recipe.model, trained.vocabulary.len(), attention);
    let parameters = exported(&trained.network, KeyMap::TransformerXl)?;
    let mut tensors = parameters.tensors;
    tensors.extend(parameters.mechanisms);
    let path = found.run.data().join(VOCABULARY);
    let vocabulary =
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Package {
        loader: Loader::TransformerXl,
        folder: found.folder.clone(),
        config: config::transformer_xl(&sizes),
        tensors,
        beside: Tensors::new(),
        attention: vec![(AttentionType::DecoderSelf, trained.mechanism)],
        mask: trained.mask.clone(),
        tokenizer: vec![(VOCABULARY.to_owned(), vocabulary)],
        sample: sample(&trained),
        facts: Vec::new(),
        further_limits: Vec::new(),
    })
}

/// Streams of words and −ln p of each but the first, read in segments that hand their memory on.
fn sample(trained: &Trained) -> Tensors {
    let (network, device) = (&trained.network, &trained.device.device);
    let (words, n_streams, n_segments) = SAMPLE;
    let n = words.min(network.lengths().tgt_len);
    let len = n_segments * n + 1;
    let vocab_size = trained.vocabulary.len();
    // Spread over the vocabulary, so that each of its clusters is met.
    let ids: Vec<i64> = (0..n_streams * len)
        .map(|i| (i * 7919 % vocab_size) as i64)
        .collect();
    let part = |segment: usize, shift: usize| -> Vec<i32> {
        let of_stream = ids.chunks(len).flat_map(|stream| {
            let start = segment * n + shift;
            stream[start..start + n].iter().map(|&id| id as i32)
        });
        of_stream.collect()
    };
    let (mut mems, mut nll) = (None, Vec::new());
    for segment in 0..n_segments {
        let tokens = TensorData::new(part(segment, 0), [n_streams, n]);
        let output = network.forward(TransformerXlInput {
            tokens: Tensor::<2, Int>::from_data(tokens, device),
            mems: mems.take(),
            masks: trained.masks.clone(),
            return_weights: false,
        });
        nll.push(network.nll(output.hidden, &part(segment, 1)));
        mems = Some(output.mems);
    }
    let nll = Tensor::cat(nll, 1).into_data();
    Tensors::from([
        ("tokens".to_owned(), TensorData::new(ids, [n_streams, len])),
        ("nll".to_owned(), nll),
        (
            "segment_len".to_owned(),
            TensorData::new(vec![n as i64], [1]),
        ),
    ])
}
