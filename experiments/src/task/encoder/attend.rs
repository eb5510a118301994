//! `sparta attend` on an encoder: the attention of one text or a pair.

use std::ops::Range;

use anyhow::Result;
use burn::tensor::{Int, Tensor, TensorData};
use sparta_datasets::tokenize::pretrained::{Encoding, Sequence as Part, Tokenizer};
use sparta_model::bert::{Bert, BertInput};
use sparta_ops::pruning::{AttentionType, CellRule};

use super::TrainedEncoder;
use crate::analysis::Tokens;
use crate::attend::{Attended, Between, GlobalCells, Sequence, View, check_size, facts_of};
use crate::protocol::find::Found;

/// The only attention there is.
const KIND: AttentionType = AttentionType::EncoderSelf;

/// The attention of an encoder on one example, whose texts are named; it is read without padding, which no token
/// attends to.
///
/// # Errors
/// An example of which a page would be too large, or a device that failed.
pub fn attend<R, N>(
    found: &Found<R>,
    trained: &TrainedEncoder<N>,
    bert: &Bert,
    encoding: &Encoding,
    texts: &[(&'static str, &str)],
) -> Result<Attended> {
    let n = encoding.len();
    let (config, tokenizer) = (&trained.pretrained.config, &trained.pretrained.tokenizer);
    check_size(n, config.n_layers * config.n_heads * n * n)?;
    let device = &trained.device.device;
    let row =
        |values: Vec<i32>| Tensor::<2, Int>::from_data(TensorData::new(values, [1, n]), device);
    let input = BertInput::new(row(encoding.ids.iter().map(|&id| id as i32).collect()))
        .token_types(row(encoding
            .token_types
            .iter()
            .map(|&t| i32::from(t))
            .collect()))
        .masks(trained.masks.clone())
        .return_weights();
    let weights = bert.forward(input).weights;
    let mechanism = found.arm.variant.mechanism(KIND);
    let pattern = config.clone().with_mechanism(mechanism).static_pattern();
    let global = GlobalCells::new(trained.mask.as_ref(), KIND, weights.len(), [n, n])?
        .with_pattern(pattern, CellRule::Full, config.n_heads);
    let layers = bert.encoder.iter();
    let alpha = layers.map(|layer| layer.self_attention.attention.alpha());
    let between = Between {
        queries: 0,
        keys: 0,
        reads: None,
    };
    let hidden = |layer, head, query, key| global.reason(layer, head, query, key);
    let view = View::new(KIND, "Encoder", between, &weights, hidden, alpha.collect())?;
    let mut facts = facts_of(&found.folder, &mechanism.label(), trained.mask.as_ref());
    facts.extend(texts.iter().map(|&(name, text)| (name, text.to_owned())));
    Ok(Attended {
        facts,
        sequences: vec![sequence(tokenizer, encoding, texts)?],
        views: vec![view],
    })
}

/// The tokens of an example, and its words as they are in the texts.
fn sequence(
    tokenizer: &Tokenizer,
    encoding: &Encoding,
    texts: &[(&'static str, &str)],
) -> Result<Sequence> {
    let tokens = Tokens::of_pretrained(tokenizer, &encoding.ids)?;
    let typed = |places: &Range<usize>| -> Option<String> {
        let text = match encoding.sequence(places.start) {
            Part::Special => return None,
            Part::First => texts.first()?.1,
            Part::Second => texts.get(1)?.1,
        };
        let offsets = encoding.offsets.get(places.clone())?;
        let (start, end) = (offsets.first()?.0, offsets.last()?.1);
        let word = text.get(start..end)?.trim();
        (!word.is_empty()).then(|| word.to_owned())
    };
    let words = tokens.words.iter();
    let words = words.map(|at| {
        (
            typed(at).unwrap_or_else(|| tokens.text(at.clone())),
            at.clone(),
        )
    });
    let words = words.collect();
    let second = encoding.second();
    let starts = if second.is_empty() {
        Vec::new()
    } else {
        vec![second.start]
    };
    Ok(Sequence::new("tokens", tokens)
        .with_words(words)
        .with_starts(starts))
}
