//! Interrogation heads: those that go from the word that asks to the question mark.

use std::ops::Range;

use super::HeadMeans;
use crate::attention::Weights;
use crate::{Result, ResultsError};

/// The score above which a head marks questions. The paper prints none; its heads have 97.0 % to 99.5 %.
pub const INTERROGATION_BAR: f64 = 0.9;

/// Words that ask, in English. The paper does not print its list.
pub const ENGLISH_INTERROGATIVES: &[&str] = &[
    "how", "what", "when", "where", "which", "who", "whom", "whose", "why",
];

/// Words that ask, in German.
pub const GERMAN_INTERROGATIVES: &[&str] = &[
    "wann", "warum", "was", "welche", "welchem", "welchen", "welcher", "welches", "wem", "wen",
    "wer", "weshalb", "wessen", "wie", "wieso", "wieviel", "wo", "wodurch", "wofür", "woher",
    "wohin", "womit", "worüber", "wozu",
];

/// The tokens of a sentence that ask, and its question mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Every piece of every interrogative word.
    pub words: Vec<usize>,
    /// The last `?`.
    pub mark: usize,
}

impl Question {
    /// The question in a sentence: words of the list (whatever their case) in a sentence with a `?`. `None` for
    /// any other sentence.
    ///
    /// `words` are pairs of a word's text and the range of its pieces.
    pub fn find<S: AsRef<str>>(
        words: &[(S, Range<usize>)],
        interrogatives: &[impl AsRef<str>],
    ) -> Option<Self> {
        let is_mark = |(text, _): &&(S, Range<usize>)| text.as_ref() == "?";
        let (_, mark) = words.iter().rev().find(is_mark)?;
        let asks = |text: &str| {
            let text = text.to_lowercase();
            interrogatives.iter().any(|word| word.as_ref() == text)
        };
        let asking = words.iter().filter(|(text, _)| asks(text.as_ref()));
        let words: Vec<usize> = asking.flat_map(|(_, pieces)| pieces.clone()).collect();
        let mark = mark.clone().next_back()?;
        (!words.is_empty()).then_some(Self { words, mark })
    }
}

/// The interrogation score of a head in one sentence: the mean over the tokens t of interrogative words of
/// `A[t, position of "?"]`. `None` without such a token.
///
/// # Errors
/// [`ResultsError::Attention`] where there are fewer keys than queries, or a token is outside.
///
/// # Source
/// AST, section 5.2, "interrogation head".
pub fn interrogation_score(
    weights: &Weights,
    head: usize,
    question: &Question,
) -> Result<Option<f64>> {
    check(weights, question)?;
    let mark = weights.n_keys() - weights.n_queries() + question.mark;
    let weight = |&token: &usize| f64::from(weights.row(head, token)[mark]);
    let sum: f64 = question.words.iter().map(weight).sum();
    let n = question.words.len();
    Ok((n > 0).then(|| sum / n as f64))
}

fn check(weights: &Weights, question: &Question) -> Result<()> {
    weights.memory()?;
    let n = weights.n_queries();
    let mut tokens = question.words.iter().chain([&question.mark]);
    match tokens.find(|&&token| token >= n) {
        None => Ok(()),
        Some(token) => Err(ResultsError::Attention(format!(
            "token {token} of a question was asked for, of {n} tokens counted from 0; give positions that there are"
        ))),
    }
}

/// The interrogation score of each head of a layer over a corpus, averaged over the tokens of interrogative words.
#[derive(Debug, Clone, PartialEq)]
pub struct Interrogation {
    heads: HeadMeans,
    n_sentences: u64,
}

impl Interrogation {
    /// Of a layer of `n_heads` heads, before the first sentence.
    pub fn new(n_heads: usize) -> Self {
        Self {
            heads: HeadMeans::new(n_heads),
            n_sentences: 0,
        }
    }

    /// Adds a question; other sentences have none.
    ///
    /// # Errors
    /// As [`interrogation_score`], and for weights of another number of heads.
    pub fn add(&mut self, weights: &Weights, question: &Question) -> Result<()> {
        weights.check_heads(self.heads.n_heads())?;
        let of = |head| interrogation_score(weights, head, question);
        self.heads.add(question.words.len(), of)?;
        self.n_sentences += 1;
        Ok(())
    }

    /// The score of each head, 0 to 1; empty without a question.
    pub fn heads(&self) -> Vec<f64> {
        self.heads.means()
    }

    /// How many questions were added.
    pub const fn n_sentences(&self) -> u64 {
        self.n_sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(&str, Range<usize>)> {
        let split = text.split(' ').enumerate();
        split.map(|(at, word)| (word, at..at + 1)).collect()
    }

    #[test]
    fn questions_are_found() {
        let find = |text| Question::find(&words(text), ENGLISH_INTERROGATIVES);
        let question = find("What is it and why ?").unwrap();
        assert_eq!((question.words, question.mark), (vec![0, 4], 5));
        assert_eq!(find("what ? who ?").unwrap().mark, 3, "the last mark");
        assert_eq!(find("this is what it is ."), None, "no question mark");
        assert_eq!(find("is it ?"), None, "no word that asks");
        assert_eq!(find("whatever ?"), None, "words are compared whole");
        let split = [("warum", 0..2), ("?", 2..3)];
        let question = Question::find(&split, GERMAN_INTERROGATIVES).unwrap();
        assert_eq!(question.words, [0, 1], "every piece of a word");
    }

    #[test]
    fn by_hand() {
        let values = [0.0, 0.25, 0.75, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let weights = Weights::whole(&values, [1, 3, 3]).unwrap();
        let of = |words: &[usize], mark| {
            let words = words.to_vec();
            interrogation_score(&weights, 0, &Question { words, mark })
        };
        assert_eq!(of(&[0], 2).unwrap(), Some(0.75));
        assert_eq!(of(&[0, 1], 2).unwrap(), Some(0.375));
        assert_eq!(of(&[], 2).unwrap(), None);
        assert!(of(&[0], 3).is_err() && of(&[3], 2).is_err());

        let mut corpus = Interrogation::new(1);
        assert_eq!(corpus.heads(), [0.0; 0]);
        for words in [vec![0], vec![1, 0, 0]] {
            corpus.add(&weights, &Question { words, mark: 2 }).unwrap();
        }
        assert_eq!((corpus.heads(), corpus.n_sentences()), (vec![0.5625], 2));
    }
}
