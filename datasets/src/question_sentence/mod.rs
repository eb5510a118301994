//! Question–sentence pairs: does the sentence hold the answer to the question?
//!
//! Made from SQuAD-like articles by the recipe that GLUE's QNLI was made by (Wang et al. 2019): a
//! question is paired with a sentence of its paragraph. This is *not* QNLI: other articles, other
//! sentences, and the choice of sentences below.
//!
//! - A paragraph is cut into [`sentences`].
//! - The **answering** sentence is the first one that holds an answer whole. Questions without one
//!   (an answer that goes over a sentence's end) are left out.
//! - The **other** sentence is one of those that overlap no answer and do not spell one of the answers
//!   out; which of them, the second byte of sha256 of the question's id says, modulo their number.
//! - Both must share a word with the question, as in QNLI, which leaves out pairs with little in
//!   common. Words are runs of letters and digits in lower case, [`STOP_WORDS`] left out. Questions
//!   without two such sentences are left out.
//! - Each question gives one pair: with the answering sentence when the first byte of sha256 of its
//!   id is odd, with the other one when it is even. So about half of the pairs have each label.
//! - Splits go by article: with the first byte of sha256 of its title below 32 it is in `test`,
//!   below 48 in `valid`, else in `train`. So no article of one split is in another.

mod sentences;

use std::borrow::Cow;
use std::collections::HashSet;

pub use sentences::sentences;

use crate::Split;
use crate::classification::{ClassificationCorpus, Label, Labels, Part, TextExample};
use crate::source::Sha256Hex;
use crate::squad::{Article, Paragraph, Question};

/// The classes: 0 the sentence does not hold the answer, 1 it does.
pub const LABELS: Labels = Labels::Classes(Cow::Borrowed(&[
    Cow::Borrowed("no_answer"),
    Cow::Borrowed("answer"),
]));

/// Words that say nothing about what a question is about.
pub const STOP_WORDS: [&str; 41] = [
    "a", "an", "and", "are", "as", "at", "be", "been", "by", "did", "do", "does", "for", "from",
    "had", "has", "have", "how", "in", "is", "it", "its", "of", "on", "or", "that", "the", "these",
    "this", "those", "to", "was", "were", "what", "when", "where", "which", "who", "whom", "why",
    "with",
];

/// Pairs made from articles, in the parts `train`, `valid`, `test`.
pub fn from_articles(articles: &[Article]) -> ClassificationCorpus {
    let mut parts = Split::ALL.map(|split| Part {
        name: split.name(),
        examples: Vec::new(),
    });
    for article in articles {
        let part = &mut parts[split_of_title(&article.title) as usize];
        for paragraph in &article.paragraphs {
            let sentences = sentences(&paragraph.context);
            let pairs = paragraph.questions.iter();
            part.examples
                .extend(pairs.filter_map(|question| pair(paragraph, &sentences, question)));
        }
    }
    ClassificationCorpus {
        name: "question-sentence".into(),
        labels: LABELS,
        parts: parts.into(),
    }
}

/// The split of all questions about an article.
pub fn split_of_title(title: &str) -> Split {
    match sha256(title)[0] {
        0..32 => Split::Test,
        32..48 => Split::Valid,
        48..=255 => Split::Train,
    }
}

fn pair(
    paragraph: &Paragraph,
    sentences: &[(usize, usize)],
    question: &Question,
) -> Option<TextExample> {
    let spans: Vec<(usize, usize)> = question.answers.iter().filter_map(|a| a.span()).collect();
    let text = |(start, end): (usize, usize)| &paragraph.context[start..end];
    let answering = sentences.iter().position(|&(start, end)| {
        let holds = |&(from, to): &(usize, usize)| start <= from && to <= end;
        spans.iter().any(holds)
    })?;
    let spelt: Vec<String> = question
        .answers
        .iter()
        .map(|a| a.text.to_lowercase())
        .collect();
    let asked = words(&question.text);
    let shares_a_word = |range| !words(text(range)).is_disjoint(&asked);
    let is_other = |&&(start, end): &&(usize, usize)| {
        let lower = text((start, end)).to_lowercase();
        !spans.iter().any(|&(from, to)| from < end && to > start)
            && !spelt.iter().any(|answer| lower.contains(answer))
            && shares_a_word((start, end))
    };
    let others: Vec<(usize, usize)> = sentences.iter().filter(is_other).copied().collect();
    if others.is_empty() || !shares_a_word(sentences[answering]) {
        return None;
    }
    let hash = sha256(&question.id);
    let class = usize::from(hash[0] % 2 == 1);
    let sentence = match class {
        1 => sentences[answering],
        _ => others[usize::from(hash[1]) % others.len()],
    };
    Some(TextExample {
        first: question.text.trim().to_owned(),
        second: Some(text(sentence).to_owned()),
        label: Some(Label::Class(class)),
    })
}

pub(crate) fn words(text: &str) -> HashSet<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !STOP_WORDS.contains(word))
        .map(str::to_owned)
        .collect()
}

fn sha256(text: &str) -> [u8; 32] {
    let mut hasher = Sha256Hex::new();
    hasher.update(text.as_bytes());
    hasher.finish_bytes()
}
