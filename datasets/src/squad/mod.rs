//! Questions whose answer is a span of a paragraph (SQuAD v1.1, Rajpurkar et al. 2016), or that have none (v2.0, Rajpurkar,
//! Jia and Liang 2018), in the published JSON format, cut into the windows that BERT reads.

mod answer;
mod read;
mod set;
mod window;

pub use answer::{Scored, Span, SpanOptions, best_spans, null_odds};
pub use read::{SquadForm, articles_from_json, read_articles};
pub use set::{SquadCorpus, SquadSet};
pub use window::{QuestionPlace, Window, WindowOptions, n_cut_questions, windows};

/// An article with its paragraphs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Article {
    /// Title, `_` for spaces; empty where the file has none.
    pub title: String,
    /// Paragraphs in order.
    pub paragraphs: Vec<Paragraph>,
}

/// A paragraph and the questions asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph {
    /// The text that answers are spans of.
    pub context: String,
    /// Its questions.
    pub questions: Vec<Question>,
}

/// A question with the answers that people gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Id, which predictions are filed under.
    pub id: String,
    /// The question as asked.
    pub text: String,
    /// The answers; none where it has none, or where it is only asked.
    pub answers: Vec<Answer>,
    /// Whether its paragraph has no answer to it (SQuAD v2.0).
    pub is_impossible: bool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The answer as given.
    pub text: String,
    /// Byte of the context at which it starts; `None` when the context has another text at the
    /// published offset, so that the answer cannot be trained on, only scored against.
    pub start: Option<usize>,
}

impl Answer {
    /// Bytes of the context, `start..end`.
    pub fn span(&self) -> Option<(usize, usize)> {
        self.start.map(|start| (start, start + self.text.len()))
    }
}

/// Number of questions of some articles.
pub fn n_questions(articles: &[Article]) -> usize {
    let paragraphs = articles.iter().flat_map(|article| &article.paragraphs);
    paragraphs.map(|paragraph| paragraph.questions.len()).sum()
}
