//! `sparta attend` on a language model: the attention of a text, segment by segment, with its memory.

use anyhow::{Context, Result, ensure};
use burn::tensor::{Int, Tensor, TensorData};
use sparta_model::transformer_xl::TransformerXlInput;
use sparta_ops::pruning::{AttentionType, CellRule};

use super::trained::Trained;
use crate::analysis::Tokens;
use crate::attend::{
    Attend, Attended, Between, GlobalCells, Hidden, Sequence, View, check_size, facts_of, not_blank,
};

/// The only attention there is.
const KIND: AttentionType = AttentionType::DecoderSelf;

/// The attention of a text that is read as the corpus is: words between spaces, `<eos>` at the end of a line, in
/// segments of `model.tgt_len` words that remember those before them.
///
/// # Errors
/// No text, one that is too long, `--target`, or a folder without a trained model; each says what to do.
pub fn attend(request: &Attend) -> Result<Attended> {
    let text = not_blank("--text", &request.text)?;
    ensure!(
        request.target.is_none(),
        "a language model reads one text: leave out `--target`"
    );
    let trained = Trained::open(&request.model, request.device)?;
    let text = &trained.as_read(text);
    let Trained {
        found,
        vocabulary,
        network,
        mechanism,
        mask,
        masks,
        device,
    } = trained;
    found.arm.variant.check_weights()?;
    let (model, device) = (&found.recipe.model, &device.device);
    let ids = vocabulary.encode_text(text);
    let n_cells: usize = segments(ids.len(), model.tgt_len, model.mem_len)
        .map(|s| (s.end - s.start) * (s.end - s.memory))
        .sum();
    check_size(ids.len(), model.n_layers * model.n_heads * n_cells)?;

    let lengths = network.lengths();
    let typed: Vec<&str> = typed_words(text);
    let sequence = |name: &str, places: std::ops::Range<usize>, start: usize| -> Result<Sequence> {
        let tokens = Tokens::of_words(&vocabulary, &ids[places.clone()])?;
        let words = typed.get(places.clone()).unwrap_or_default();
        let words = words.iter().enumerate();
        let words = words
            .map(|(i, word)| ((*word).to_owned(), i..i + 1))
            .collect();
        let starts = (start > places.start).then(|| start - places.start);
        let sequence = Sequence::new(name, tokens).with_words(words);
        Ok(sequence.with_starts(starts.into_iter().collect()))
    };
    let (mut sequences, mut views, mut mems) = (Vec::new(), Vec::new(), None);
    for segment in segments(ids.len(), lengths.tgt_len, lengths.mem_len) {
        let Segment { memory, start, end } = segment;
        let tokens: Vec<i32> = ids[start..end].iter().map(|&id| id as i32).collect();
        let tokens = TensorData::new(tokens, [1, end - start]);
        let output = network.forward(TransformerXlInput {
            tokens: Tensor::<2, Int>::from_data(tokens, device),
            mems: mems.take(),
            masks: masks.clone(),
            return_weights: true,
        });
        mems = Some(output.mems);
        let weights = output.weights.context("the model gave no weights")?;
        let (seq_q, mlen) = (end - start, start - memory);
        // The mask's last columns are the segment, those before them the memory.
        let missing = lengths.mem_len - mlen;
        let shape = [seq_q, lengths.mem_len + seq_q];
        let rule = CellRule::Causal {
            memory: lengths.mem_len,
        };
        let global = GlobalCells::new(mask.as_ref(), KIND, weights.len(), shape)?.with_pattern(
            mechanism.static_pattern(),
            rule,
            model.n_heads,
        );
        let shift = lengths.same_length.then(|| missing.min(seq_q));
        let hidden = |layer, head, query, key| match key {
            key if key > mlen + query => Some(Hidden::Causal),
            key if shift.is_some_and(|shift| key + shift <= query) => Some(Hidden::Distance),
            key => global.reason(layer, head, query, missing + key),
        };
        let alpha = network.layers.iter().map(|layer| {
            let normalizer = layer.attention.mechanism.normalizer()?;
            normalizer.alpha(device)
        });
        let queries = sequences.len();
        sequences.push(sequence("words", start..end, start)?);
        let keys = match mlen {
            0 => queries,
            _ => {
                sequences.push(sequence("memory and words", memory..end, start)?);
                queries + 1
            }
        };
        let label = match mlen {
            0 => format!("Words {}–{end}", start + 1),
            _ => format!("Words {}–{end}, memory {}–{start}", start + 1, memory + 1),
        };
        let between = Between {
            queries,
            keys,
            reads: None,
        };
        views.push(View::new(
            KIND,
            &label,
            between,
            &weights,
            hidden,
            alpha.collect(),
        )?);
    }
    let mut facts = facts_of(&found.folder, &mechanism.label(), mask.as_ref());
    facts.push((
        "Segments",
        format!("{} words, memory of {}", lengths.tgt_len, lengths.mem_len),
    ));
    facts.push(("Text", text.to_owned()));
    Ok(Attended {
        facts,
        sequences,
        views,
    })
}

/// The words of a text as they are typed, with the end of each line.
pub(super) fn typed_words(text: &str) -> Vec<&str> {
    let of_line = |line| str::split_ascii_whitespace(line).chain(["<eos>"]);
    text.lines().flat_map(of_line).collect()
}

/// A part of a text that is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    /// The first word that is remembered.
    memory: usize,
    /// The first word that is read.
    start: usize,
    /// The first that is not.
    end: usize,
}

/// The segments of `n` words.
fn segments(n: usize, tgt_len: usize, mem_len: usize) -> impl Iterator<Item = Segment> {
    (0..n).step_by(tgt_len).map(move |start| Segment {
        memory: start.saturating_sub(mem_len),
        start,
        end: n.min(start + tgt_len),
    })
}

#[cfg(test)]
mod tests {
    use sparta_datasets::tokenize::Vocabulary;

    use super::*;

    #[test]
    fn segments_remember_what_is_before_them() {
        let all: Vec<[usize; 3]> = segments(10, 4, 6)
            .map(|s| [s.memory, s.start, s.end])
            .collect();
        assert_eq!(all, [[0, 0, 4], [0, 4, 8], [2, 8, 10]]);
        let all: Vec<[usize; 3]> = segments(5, 3, 0)
            .map(|s| [s.memory, s.start, s.end])
            .collect();
        assert_eq!(all, [[0, 0, 3], [3, 3, 5]]);
    }

    #[test]
    fn typed_words_are_as_many_as_the_tokens() {
        let vocabulary = Vocabulary::from_text("a b\nc\n", None, 1).unwrap();
        for text in ["a b", " a  zebra\n\nc ", "\n", "x\u{a0}y z"] {
            assert_eq!(
                typed_words(text).len(),
                vocabulary.encode_text(text).len(),
                "{text:?}"
            );
        }
    }
}
