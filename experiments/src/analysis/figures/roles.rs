//! What single heads do.

use sparta_ops::pruning::AttentionType;
use sparta_results::attention::{
    INTERROGATION_BAR, MERGING_BAR, POSITIONAL_BAR, best_head, passing_heads,
};
use sparta_results::figure::{
    INTERROGATION, MERGING, Role, RoleFigure, RoleScores, SentenceWeights, WITHIN_WORD,
    measure_of_offset, published_scores,
};

use super::{Made, measures, source};
use crate::analysis::measure::{LayerMeasures, Measured, TypeMeasures};
use crate::analysis::sentence::Sentence;

/// Heads that pass of which examples are drawn.
const SHOWN: usize = 2;

/// A score of every head.
struct Scored {
    scores: RoleScores,
    /// The neighbour that it is about.
    offset: Option<i64>,
}

/// The scores of a role, the heads that pass, and examples.
pub(in crate::analysis) fn role(
    role: Role,
    run: &str,
    all: &[Measured],
    has_list: bool,
) -> Made<RoleFigure> {
    if let Some(reason) = absent(role, all, has_list) {
        return Err(reason);
    }
    let threshold = match role {
        Role::Positional => POSITIONAL_BAR,
        Role::Merging => MERGING_BAR,
        Role::Interrogation => INTERROGATION_BAR,
    };
    let (mut scores, mut examples) = (Vec::new(), Vec::new());
    for (of, kind, types) in measures(all) {
        for scored in scores_of(role, &of.variant, kind, types) {
            // The other score of merging has the same examples.
            if scored.scores.measure != WITHIN_WORD {
                examples.extend(pictures(&scored, threshold, kind, role, of));
            }
            scores.push(scored.scores);
        }
    }
    Ok(RoleFigure {
        role,
        source: source(run, all),
        threshold,
        scores,
        published: published_scores(role),
        examples,
    })
}

/// Why a role cannot be scored at all.
fn absent(role: Role, all: &[Measured], has_list: bool) -> Option<String> {
    let has = |kind| measures(all).any(|(_, of, _)| of == kind);
    let n_split: u64 = measures(all).map(|(_, _, types)| types.n_split_words).sum();
    match role {
        Role::Positional => None,
        Role::Merging if !has(AttentionType::EncoderSelf) => Some(
            "it is scored on encoder self-attention, which sees all pieces of a word; this network has none".to_owned(),
        ),
        Role::Merging if n_split == 0 => {
            Some("no word of the validation set is cut into pieces".to_owned())
        }
        Role::Merging => None,
        Role::Interrogation if !has(AttentionType::EncoderSelf) => Some(
            "a decoder reads the question mark after the words that ask; it is scored on encoder self-attention, and \
             this network has none"
                .to_owned(),
        ),
        Role::Interrogation if !has_list => Some(
            "no list of interrogative words ships for the language of the corpus; give one by \
             `--interrogatives WORD,WORD`, or as `interrogatives` in the recipe"
                .to_owned(),
        ),
        Role::Interrogation => None,
    }
}

fn scores_of(role: Role, variant: &str, kind: AttentionType, types: &TypeMeasures) -> Vec<Scored> {
    let of = |measure: String,
              offset: Option<i64>,
              n: u64,
              heads: &dyn Fn(&LayerMeasures) -> Vec<f64>| Scored {
        scores: RoleScores {
            variant: variant.to_owned(),
            attention: kind.to_string(),
            measure,
            n,
            scores: match n {
                0 => Vec::new(),
                _ => types.layers.iter().map(heads).collect(),
            },
            alphas: types.alphas.clone(),
        },
        offset,
    };
    let Some(first) = types.layers.first() else {
        return Vec::new();
    };
    match (role, kind) {
        (Role::Positional, _) => (first.positional.iter().enumerate())
            .map(|(at, positional)| {
                let offset = positional.offset();
                of(
                    measure_of_offset(offset),
                    Some(offset),
                    positional.n_tokens(),
                    &|layer| layer.positional[at].heads(),
                )
            })
            .collect(),
        (Role::Merging, AttentionType::EncoderSelf) => {
            let n = first.merging.n_clusters();
            vec![
                of(MERGING.to_owned(), None, n, &|layer| layer.merging.heads()),
                of(WITHIN_WORD.to_owned(), None, n, &|layer| {
                    layer.merging.within()
                }),
            ]
        }
        (Role::Interrogation, AttentionType::EncoderSelf) => {
            let n = first.interrogation.n_sentences();
            vec![of(INTERROGATION.to_owned(), None, n, &|layer| {
                layer.interrogation.heads()
            })]
        }
        (
            Role::Merging | Role::Interrogation,
            AttentionType::DecoderSelf | AttentionType::Cross,
        ) => Vec::new(),
    }
}

/// The heads that pass, or the best, on the sentences that were kept.
fn pictures(
    scored: &Scored,
    threshold: f64,
    kind: AttentionType,
    role: Role,
    of: &Measured,
) -> Vec<SentenceWeights> {
    let RoleScores { scores, alphas, .. } = &scored.scores;
    let mut heads = passing_heads(scores, threshold);
    heads.truncate(SHOWN);
    if heads.is_empty() {
        heads.extend(best_head(scores));
    }
    let shown = |sentence: &&Sentence| sentence.kind == kind && sentence.role == role;
    let sentences: Vec<&Sentence> = of.sentences.iter().filter(shown).collect();
    let mut pictures = Vec::new();
    for head in heads {
        let alpha = alphas.as_ref().and_then(|alphas| alphas.get(head.layer));
        for sentence in &sentences {
            pictures.push(SentenceWeights {
                variant: of.variant.clone(),
                attention: kind.to_string(),
                layer: head.layer,
                head: head.head,
                alpha: alpha.and_then(|heads| heads.get(head.head)).copied(),
                queries: sentence.pieces.clone(),
                keys: sentence.pieces.clone(),
                weights: sentence.weights(head.layer, head.head),
                counted: counted(sentence, scored.offset),
            });
        }
    }
    pictures
}

/// The cells that the score counts.
fn counted(sentence: &Sentence, offset: Option<i64>) -> Vec<(usize, usize)> {
    let n = sentence.pieces.len();
    match (sentence.role, offset) {
        (Role::Positional, offset) => {
            let offset = offset.unwrap_or(0);
            let key = |query: usize| usize::try_from(i64::try_from(query).ok()? + offset).ok();
            let cell = |query| Some((query, key(query).filter(|&key| key < n)?));
            (0..n).filter_map(cell).collect()
        }
        (Role::Merging, _) => {
            let of = |word: &std::ops::Range<usize>| {
                let word = word.clone();
                let cells = word
                    .clone()
                    .flat_map(move |t| word.clone().map(move |u| (t, u)));
                cells.filter(|(t, u)| t != u).collect::<Vec<_>>()
            };
            sentence.clusters.iter().flat_map(of).collect()
        }
        (Role::Interrogation, _) => match &sentence.question {
            None => Vec::new(),
            Some(question) => {
                let cell = |&word: &usize| (word, question.mark);
                question.words.iter().map(cell).collect()
            }
        },
    }
}
