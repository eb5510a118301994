//! Sentences that are kept with their weights, for pictures: a few short ones, whatever the size of the data.

use std::ops::Range;

use sparta_ops::pruning::AttentionType;
use sparta_results::attention::{Question, Weights};
use sparta_results::figure::Role;

use super::words::Words;

/// The longest part of a sequence that a picture shows.
const LONGEST: usize = 20;
/// The shortest sentence that is shown.
const SHORTEST: usize = 4;
/// From so many tokens on a sentence shows enough; a shorter one gives way to it.
const ENOUGH: usize = 9;

/// A part of a sequence of self-attention, with the weights of every head.
#[derive(Debug, Clone)]
pub(super) struct Sentence {
    pub(super) kind: AttentionType,
    /// What it is an example of.
    pub(super) role: Role,
    /// Tokens as displayed.
    pub(super) pieces: Vec<String>,
    /// Words of several pieces.
    pub(super) clusters: Vec<Range<usize>>,
    /// The question, where it is an example of one.
    pub(super) question: Option<Question>,
    /// Weights of each layer, `[n_heads, n, n]`.
    layers: Vec<Vec<f32>>,
    /// The places of the sequence that are shown.
    places: Range<usize>,
}

impl Sentence {
    /// How many sentences are kept for a role.
    const fn kept(role: Role) -> usize {
        match role {
            Role::Positional => 1,
            Role::Merging | Role::Interrogation => 2,
        }
    }

    /// The parts of a sequence to keep, one a role, beside those that are kept already.
    pub(super) fn choose<'a>(
        there: impl Iterator<Item = &'a Self> + Clone,
        kind: AttentionType,
        roles: &[Role],
        words: &Words,
    ) -> Vec<Self> {
        let is_wanted = |new: &Self| {
            let alike = there.clone().filter(|of| new.is_instead_of(of));
            alike.filter(|of| of.is_long() || !new.is_long()).count() < Self::kept(new.role)
        };
        let sentences = roles.iter().filter_map(|role| Self::of(kind, *role, words));
        sentences.filter(is_wanted).collect()
    }

    /// Of all that were kept those that are shown: the long ones, and short ones where there are no others.
    pub(super) fn shown(mut all: Vec<Self>) -> Vec<Self> {
        // Stable: within either half in the order of the data.
        all.sort_by_key(|of| !of.is_long());
        let mut shown: Vec<Self> = Vec::new();
        for of in all {
            let n = shown.iter().filter(|other| of.is_instead_of(other)).count();
            if n < Self::kept(of.role) {
                shown.push(of);
            }
        }
        shown
    }

    fn is_instead_of(&self, other: &Self) -> bool {
        self.kind == other.kind && self.role == other.role
    }

    fn is_long(&self) -> bool {
        self.pieces.len() >= ENOUGH
    }

    /// Whether sentences of an attention type are still looked for where words are not read anyway.
    pub(super) fn are_wanted(there: &[Self], kind: AttentionType) -> bool {
        !there.iter().any(|of| of.kind == kind && of.is_long())
    }

    fn of(kind: AttentionType, role: Role, words: &Words) -> Option<Self> {
        let n = words.pieces.len();
        if n < SHORTEST {
            return None;
        }
        let question = words.questions.first();
        let places = match (role, question) {
            (Role::Positional | Role::Merging, _) => 0..n.min(LONGEST),
            (Role::Interrogation, None) => return None,
            (Role::Interrogation, Some(question)) => {
                let first = question.words.first().copied()?;
                // As much of the sentence before as there is room for.
                let end = question.mark + 1;
                let start = end.saturating_sub(LONGEST);
                (start <= first).then_some(start..end)?
            }
        };
        let inside = |range: &&Range<usize>| {
            range.len() > 1 && range.start >= places.start && range.end <= places.end
        };
        let shift = |range: &Range<usize>| range.start - places.start..range.end - places.start;
        let clusters: Vec<Range<usize>> = words.clusters.iter().filter(inside).map(shift).collect();
        if role == Role::Merging && clusters.is_empty() {
            return None;
        }
        let shifted = |question: &Question| Question {
            words: question.words.iter().map(|at| at - places.start).collect(),
            mark: question.mark - places.start,
        };
        Some(Self {
            kind,
            role,
            pieces: words.pieces[places.clone()].to_vec(),
            clusters,
            question: question
                .filter(|_| role == Role::Interrogation)
                .map(shifted),
            layers: Vec::new(),
            places,
        })
    }

    /// Keeps the weights of the next layer.
    pub(super) fn keep(&mut self, weights: &Weights<'_>) {
        let memory = weights.n_keys().saturating_sub(weights.n_queries());
        let keys = memory + self.places.start..memory + self.places.end;
        let heads = 0..weights.n_heads();
        let rows = heads.flat_map(|head| self.places.clone().map(move |query| (head, query)));
        let rows = rows.map(|(head, query)| &weights.row(head, query)[keys.clone()]);
        self.layers.push(rows.collect::<Vec<_>>().concat());
    }

    /// The weights of a head, `[query][key]`; none where a query must not see a key.
    pub(super) fn weights(&self, layer: usize, head: usize) -> Vec<Vec<Option<f32>>> {
        let n = self.pieces.len();
        let values = self.layers.get(layer).map_or(&[][..], Vec::as_slice);
        let head = values.get(head * n * n..(head + 1) * n * n);
        let rows = head.unwrap_or_default().chunks(n).enumerate();
        let row = |(query, row): (usize, &[f32])| {
            let cell = |(key, &weight): (usize, &f32)| {
                let is_legal = match self.kind {
                    AttentionType::EncoderSelf | AttentionType::Cross => true,
                    AttentionType::DecoderSelf => key <= query,
                };
                is_legal.then_some(weight)
            };
            row.iter().enumerate().map(cell).collect()
        };
        rows.map(row).collect()
    }
}
