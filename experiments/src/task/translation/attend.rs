//! `sparta attend` on a translation run: the attention of one sentence pair.

use std::ops::Range;

use anyhow::{Result, bail};
use sparta_datasets::tokenize::bpe::BpeVocabulary;
use sparta_datasets::tokenize::{Dictionary, Language};
use sparta_ops::pruning::{AttentionType, CellRule};

use super::trained::{Trained, Wish, with_end};
use crate::analysis::Tokens;
use crate::attend::{
    Attend, Attended, Between, GlobalCells, Hidden, Sequence, View, check_size, facts_of, not_blank,
};
use crate::recipe::RowsName;

/// Places of the sequences.
const SOURCE: usize = 0;
const READ: usize = 1;
const WRITTEN: usize = 2;

/// The three attentions of a pair: of `--text` and `--target`, or of `--text` and the model's own translation.
///
/// # Errors
/// No text, one that is too long, or a folder without a trained model; each says what to do.
pub fn attend(request: &Attend) -> Result<Attended> {
    let text = not_blank("--text", &request.text)?;
    let target = request.target.as_deref();
    let target = target.map(|t| not_blank("--target", t)).transpose()?;
    let model = Trained::open(&request.model, request.device)?;
    model.variant.check_weights()?;
    let (source, source_words) = encode(
        &model,
        &model.vocabulary.source,
        (model.corpus.source, text),
    )?;
    model.check_length("`--text`", source.len())?;
    let (words, written, how) = match target {
        Some(typed) => {
            let of = (model.corpus.target, typed);
            let (ids, words) = encode(&model, &model.vocabulary.target, of)?;
            model.check_length("`--target`", ids.len())?;
            (Some(words), ids, format!("{typed} (given)"))
        }
        None => {
            let wish = Wish {
                beam: None,
                n_best: 1,
                search: None,
                pages: None,
            };
            let found = model.translate(std::slice::from_ref(&source), wish)?;
            let Some(best) = found.into_iter().flat_map(|found| found.candidates).next() else {
                bail!("the model found no translation; give one by `--target`");
            };
            let how = format!(
                "{} (the model's translation, beam {})",
                best.text, model.recipe.eval.beam_size
            );
            (None, with_end(&best.ids), how)
        }
    };
    let (n_source, n_target) = (source.len(), written.len());
    let n_heads = model.recipe.model.n_heads;
    let (n_encoder, n_decoder) = (model.network.encoder.len(), model.network.decoder.len());
    let n_cells = n_encoder * n_source * n_source + n_decoder * n_target * (n_target + n_source);
    check_size(n_source + n_target, n_heads * n_cells)?;

    let weights = model.weights(&source, &written)?;
    // The network reads the end of a sentence first, then what it has written.
    let mut read = vec![Dictionary::EOS];
    read.extend(written.iter().take(n_target - 1));
    let target_side = &model.vocabulary.target;
    let mut sequences = vec![
        Sequence::new("source", Tokens::of_bpe(&model.vocabulary.source, &source)?)
            .with_words(source_words),
        Sequence::new("target, read", Tokens::of_bpe(target_side, &read)?),
        Sequence::new("target, written", Tokens::of_bpe(target_side, &written)?),
    ];
    if let Some(words) = words {
        sequences[READ].words = after_start(&words);
        sequences[WRITTEN].words = words;
    }
    let shown = |kind: &AttentionType| !weights.of(*kind).is_empty();
    let views = AttentionType::ALL.into_iter().filter(shown).map(|kind| {
        let (label, between, shape, n_layers) = match kind {
            AttentionType::EncoderSelf => {
                let between = (SOURCE, SOURCE, None);
                ("Encoder", between, [n_source, n_source], n_encoder)
            }
            AttentionType::DecoderSelf => {
                let between = (WRITTEN, READ, Some(READ));
                ("Decoder", between, [n_target, n_target], n_decoder)
            }
            AttentionType::Cross => {
                let between = (WRITTEN, SOURCE, Some(READ));
                ("Cross", between, [n_target, n_source], n_decoder)
            }
        };
        let (queries, keys, reads) = between;
        let between = Between {
            queries,
            keys,
            reads,
        };
        let (pattern, rule) = (model.variant.mechanism(kind).static_pattern(), rule(kind));
        let global = GlobalCells::new(model.mask.as_ref(), kind, n_layers, shape)?
            .with_pattern(pattern, rule, n_heads);
        let hidden = |layer, head, query, key| match kind {
            AttentionType::DecoderSelf if key > query => Some(Hidden::Causal),
            AttentionType::EncoderSelf | AttentionType::DecoderSelf | AttentionType::Cross => {
                global.reason(layer, head, query, key)
            }
        };
        let layers = (0..n_layers).map(|i| match kind {
            AttentionType::EncoderSelf => model.network.encoder[i].self_attention.attention.alpha(),
            AttentionType::DecoderSelf => model.network.decoder[i].self_attention.attention.alpha(),
            AttentionType::Cross => model.network.decoder[i].cross_attention.attention.alpha(),
        });
        let alpha = layers.collect();
        View::new(kind, label, between, weights.of(kind), hidden, alpha)
    });
    let views = views.collect::<Result<_>>()?;
    let mut facts = facts_of(
        &model.folder,
        &model.variant.mechanisms.label(),
        model.mask.as_ref(),
    );
    facts.push((
        "Languages",
        format!("{} to {}", model.corpus.source, model.corpus.target),
    ));
    let without = (AttentionType::ALL.into_iter()).filter(|kind| !shown(kind));
    let without: Vec<String> = without
        .map(|kind| format!("{kind}: {}", model.variant.mechanism(kind).label()))
        .collect();
    if !without.is_empty() {
        facts.push(("Without weights to show", without.join(", ")));
    }
    facts.push(("Source", text.to_owned()));
    facts.push(("Target", how));
    if model.mask.is_some() && model.recipe.prune.rows == RowsName::Paper {
        let note =
            "the rows of training; while it translates, `prune.rows = \"paper\"` takes others";
        facts.push(("Mask rows", note.to_owned()));
    }
    Ok(Attended {
        facts,
        sequences,
        views,
    })
}

/// Which cells there are before any mask.
const fn rule(kind: AttentionType) -> CellRule {
    match kind {
        AttentionType::EncoderSelf | AttentionType::Cross => CellRule::Full,
        AttentionType::DecoderSelf => CellRule::Causal { memory: 0 },
    }
}

/// A word and the places of its pieces.
type Word = (String, Range<usize>);

/// Ids of a text with its end, and the places of its words.
fn encode(
    model: &Trained,
    vocabulary: &BpeVocabulary,
    (language, text): (Language, &str),
) -> Result<(Vec<u32>, Vec<Word>)> {
    let prepared = model.prepare(language, text);
    let (mut ids, mut words) = (Vec::new(), Vec::new());
    for word in prepared.split_whitespace() {
        let mut pieces = vocabulary.encode(word);
        pieces.pop();
        let start = ids.len();
        ids.extend(pieces);
        words.push((word.to_owned(), start..ids.len()));
    }
    words.push(("</s>".to_owned(), ids.len()..ids.len() + 1));
    Ok((with_end(&ids), words))
}

/// The words of what is read: the end of a sentence, then all but the last token of what is written.
fn after_start(written: &[Word]) -> Vec<Word> {
    let end = ("</s>".to_owned(), 0..1);
    let shifted = written
        .iter()
        .map(|(word, at)| (word.clone(), at.start + 1..at.end + 1));
    let n = written.len().saturating_sub(1);
    [end].into_iter().chain(shifted.take(n)).collect()
}
