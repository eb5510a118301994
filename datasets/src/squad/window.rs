//! Questions with a paragraph that is too long → windows of it, as BERT's preparation makes them
//! (Devlin et al. 2019, and the code published with it).

use super::{Article, Paragraph, Question};
use crate::tokenize::pretrained::{Encoding, Pieces, Tokenizer};
use crate::{Error, Result};

/// How paragraphs are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowOptions {
    /// Tokens of `[CLS] question [SEP] window [SEP]` at most.
    pub max_len: usize,
    /// Tokens from the start of one window to the start of the next (`doc_stride`).
    pub stride: usize,
    /// Tokens of a question at most; what is beyond is cut off (`max_query_length`).
    pub max_question: usize,
}

impl WindowOptions {
    /// BERT's setting: 384 tokens, a window every 128, questions of 64.
    pub const BERT: Self = Self::of_len(384);

    /// BERT's setting at another length.
    pub const fn of_len(max_len: usize) -> Self {
        Self {
            max_len,
            stride: 128,
            max_question: 64,
        }
    }
}

/// Where a question stands in its articles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionPlace {
    /// Article.
    pub article: usize,
    /// Paragraph of the article.
    pub paragraph: usize,
    /// Question of the paragraph.
    pub question: usize,
}

impl QuestionPlace {
    /// The paragraph and the question.
    ///
    /// # Panics
    /// When the articles are not those that the place was made for.
    pub fn of(self, articles: &[Article]) -> (&Paragraph, &Question) {
        let paragraph = &articles[self.article].paragraphs[self.paragraph];
        (paragraph, &paragraph.questions[self.question])
    }
}

/// One window of a paragraph behind its question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Which question.
    pub place: QuestionPlace,
    /// Its tokens; the offsets of the second text are bytes of the whole paragraph.
    pub encoding: Encoding,
    /// First and last token of the answer; `(0, 0)`, the place of `[CLS]`, when the window does not
    /// have all of it, or when the question has no answer. `None` when it has, but none with a place in the paragraph.
    pub target: Option<(usize, usize)>,
    /// For each token of the paragraph in this window: whether no other window shows more of the
    /// text around it. An answer is taken from the window where this holds for its first token.
    pub is_best_view: Vec<bool>,
}

impl Window {
    /// Tokens of the paragraph, as places in the encoding.
    pub fn context(&self) -> std::ops::Range<usize> {
        self.encoding.second()
    }
}

impl AsRef<Encoding> for Window {
    fn as_ref(&self) -> &Encoding {
        &self.encoding
    }
}

/// The windows of all questions, in order.
///
/// The target is that of the question's first answer that has a place in the paragraph, as BERT
/// trains on the first.
///
/// # Errors
/// [`Error::BadWindow`] when a window of these lengths has no room for the paragraph, or when the
/// stride is 0.
pub fn windows(
    articles: &[Article],
    tokenizer: &Tokenizer,
    options: &WindowOptions,
) -> Result<Vec<Window>> {
    let &WindowOptions {
        max_len,
        stride,
        max_question,
    } = options;
    let n_special = tokenizer.n_special_of_pair();
    if stride == 0 || max_len <= max_question + n_special {
        return Err(Error::BadWindow {
            max_len,
            stride,
            max_question,
            n_special,
        });
    }
    let mut windows = Vec::new();
    for (article, of_article) in articles.iter().enumerate() {
        for (paragraph, of_paragraph) in of_article.paragraphs.iter().enumerate() {
            let context = tokenizer.pieces(&of_paragraph.context)?;
            for (question, asked) in of_paragraph.questions.iter().enumerate() {
                let place = QuestionPlace {
                    article,
                    paragraph,
                    question,
                };
                let mut pieces = tokenizer.pieces(&asked.text)?;
                pieces.truncate(max_question);
                cut(
                    place,
                    &pieces,
                    &context,
                    asked,
                    tokenizer,
                    options,
                    &mut windows,
                )?;
            }
        }
    }
    Ok(windows)
}

/// Number of questions of which [`windows`] reads the start alone.
///
/// # Errors
/// Those of [`Tokenizer::pieces`].
pub fn n_cut_questions(
    articles: &[Article],
    tokenizer: &Tokenizer,
    options: &WindowOptions,
) -> Result<usize> {
    let paragraphs = articles.iter().flat_map(|article| &article.paragraphs);
    let questions = paragraphs.flat_map(|paragraph| &paragraph.questions);
    let is_cut = |question: &Question| -> Result<usize> {
        let pieces = tokenizer.pieces(&question.text)?;
        Ok(usize::from(pieces.len() > options.max_question))
    };
    questions.map(is_cut).sum()
}

fn cut(
    place: QuestionPlace,
    question: &Pieces,
    context: &Pieces,
    asked: &Question,
    tokenizer: &Tokenizer,
    options: &WindowOptions,
    windows: &mut Vec<Window>,
) -> Result<()> {
    let room = options.max_len - question.len() - tokenizer.n_special_of_pair();
    let spans = spans(context.len(), room, options.stride);
    let answer = asked.answers.iter().find_map(|answer| answer.span());
    let answer = answer.and_then(|bytes| tokens_of(context, bytes));
    for &(start, end) in &spans {
        let shown = Pieces {
            ids: context.ids[start..end].to_vec(),
            offsets: context.offsets[start..end].to_vec(),
        };
        let encoding = tokenizer.join(question.clone(), Some(shown), options.max_len)?;
        let first = encoding.second().start;
        let target = match asked.is_impossible {
            true => Some((0, 0)),
            false => answer.map(|(from, to)| match start <= from && to < end {
                true => (from - start + first, to - start + first),
                false => (0, 0),
            }),
        };
        windows.push(Window {
            place,
            encoding,
            target,
            is_best_view: (start..end)
                .map(|at| is_best_view(&spans, (start, end), at))
                .collect(),
        });
    }
    Ok(())
}

/// Windows of `n` tokens, `start..end`; one without tokens for an empty paragraph.
fn spans(n: usize, room: usize, stride: usize) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut start = 0;
    loop {
        let end = n.min(start + room);
        spans.push((start, end));
        if end == n {
            return spans;
        }
        start += stride.min(room);
    }
}

/// First and last token that the bytes of an answer touch.
fn tokens_of(context: &Pieces, (from, to): (usize, usize)) -> Option<(usize, usize)> {
    let touches = |&(start, end): &(usize, usize)| start < to && from < end;
    let first = context.offsets.iter().position(touches)?;
    let last = context.offsets.iter().rposition(touches)?;
    Some((first, last))
}

/// Whether a window shows most of the text around token `at`: its smaller side counts, then its
/// length; of equal ones the first.
fn is_best_view(spans: &[(usize, usize)], window: (usize, usize), at: usize) -> bool {
    let view =
        |&(start, end): &(usize, usize)| (at - start).min(end - 1 - at) * 100 + (end - start);
    // Those that hold it are neighbours, for starts and ends both rise.
    let first = spans.partition_point(|&(_, end)| end <= at);
    let last = spans.partition_point(|&(start, _)| start <= at);
    let mut best: Option<&(usize, usize)> = None;
    for span in &spans[first..last.max(first)] {
        if best.is_none_or(|best| view(span) > view(best)) {
            best = Some(span);
        }
    }
    best == Some(&window)
}
