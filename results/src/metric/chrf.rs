//! chrF and chrF++ (Popović, 2015 and 2017) with the arithmetic and the signatures of sacreBLEU.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use crate::error::{Result, ResultsError};
use crate::metric::corpus::{
    CorpusMetric, ReferenceCount, SACREBLEU, Statistics, is_space, version, words,
};

/// The F score of character n-grams, and of word n-grams with chrF++, as sacreBLEU 2.x computes it.
///
/// `F = (1 + β²) · P · R / (β² · P + R)` in percent, with precision P and recall R averaged over
/// the orders. Of several references the one with the best F of the sentence counts.
///
/// ```
/// use sparta_results::metric::chrf::Chrf;
/// let score = Chrf::plus_plus().corpus(&["The cat sat."], &[vec!["The cat sits."]])?;
/// assert_eq!(score.to_string(), "chrF2++ = 54.98");
/// # Ok::<(), sparta_results::ResultsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chrf {
    /// Longest character n-gram.
    pub char_order: usize,
    /// Longest word n-gram; 0 is chrF, 2 is chrF++.
    pub word_order: usize,
    /// How much more recall counts than precision.
    pub beta: u32,
    /// Whether case is ignored.
    pub lowercase: bool,
    /// Whether white space is a character.
    pub whitespace: bool,
    /// Whether F is averaged over all orders, with a tiny number for those that a text cannot have
    /// (as chrF++.py, NLTK and Moses do), instead of P and R over the orders that both texts have.
    pub eps_smoothing: bool,
}

impl Default for Chrf {
    /// chrF2: characters up to 6, no words, β = 2.
    fn default() -> Self {
        Self {
            char_order: 6,
            word_order: 0,
            beta: 2,
            lowercase: false,
            whitespace: false,
            eps_smoothing: false,
        }
    }
}

/// chrF of a corpus or sentence; prints as `chrF2 = 54.98`, `{:.4}` with four decimals.
#[derive(Debug, Clone, PartialEq)]
pub struct ChrfScore {
    /// chrF, 0 to 100.
    pub score: f64,
    /// Name with β and a plus for each word order, as `chrF2++`.
    pub name: String,
    /// Protocol.
    pub signature: String,
}

impl fmt::Display for ChrfScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} = {:.*}",
            self.name,
            f.precision().unwrap_or(2),
            self.score
        )
    }
}

impl Chrf {
    /// chrF2++: words up to 2 besides the characters.
    pub fn plus_plus() -> Self {
        Self {
            word_order: 2,
            ..Self::default()
        }
    }

    /// Score of a corpus; `references[i]` are those of `hypotheses[i]`.
    ///
    /// # Errors
    /// See [`CorpusMetric::statistics`].
    pub fn corpus<H: AsRef<str>, R: AsRef<str>>(
        &self,
        hypotheses: &[H],
        references: &[Vec<R>],
    ) -> Result<ChrfScore> {
        Ok(self.total(&self.statistics(hypotheses, references)?))
    }

    /// Score of one sentence.
    ///
    /// # Errors
    /// See [`CorpusMetric::statistics`].
    pub fn sentence<R: AsRef<str>>(&self, hypothesis: &str, references: &[R]) -> Result<ChrfScore> {
        let references = references.iter().map(AsRef::as_ref).collect::<Vec<&str>>();
        self.corpus(&[hypothesis], &[references])
    }

    /// Score of counts taken before.
    pub fn total(&self, statistics: &Statistics) -> ChrfScore {
        ChrfScore {
            score: self.score_of(&statistics.total()),
            name: self.name(),
            signature: self.signature(statistics.n_refs),
        }
    }

    fn ngrams<'a>(&self, characters: &'a [char], words: &'a [&'a str]) -> Ngrams<'a> {
        Ngrams {
            characters: (1..=self.char_order)
                .map(|n| count(characters, n))
                .collect(),
            words: (1..=self.word_order).map(|n| count(words, n)).collect(),
        }
    }

    fn characters(&self, text: &str) -> Vec<char> {
        text.chars()
            .filter(|&c| self.whitespace || !is_space(c))
            .collect()
    }

    fn prepare(&self, text: &str) -> String {
        if self.lowercase {
            text.to_lowercase()
        } else {
            text.to_string()
        }
    }
}

/// The n-grams of a text, one entry an order.
struct Ngrams<'a> {
    characters: Vec<Counts<&'a [char]>>,
    words: Vec<Counts<&'a [&'a str]>>,
}

/// How often each n-gram of one order occurs.
type Counts<K> = HashMap<K, u64>;

fn count<T: Eq + Hash>(text: &[T], order: usize) -> Counts<&[T]> {
    let mut counts = HashMap::new();
    for ngram in text.windows(order) {
        *counts.entry(ngram).or_default() += 1;
    }
    counts
}

impl Ngrams<'_> {
    /// [n-grams of the hypothesis, of the reference, matches] of each order.
    fn matches(&self, reference: &Self) -> Vec<u64> {
        let characters = self.characters.iter().zip(&reference.characters);
        let words = self.words.iter().zip(&reference.words);
        let characters = characters.map(|(hypothesis, reference)| matches(hypothesis, reference));
        let words = words.map(|(hypothesis, reference)| matches(hypothesis, reference));
        characters.chain(words).flatten().collect()
    }
}

/// Of one order; the hypothesis' number is 0 where the reference has no n-gram.
fn matches<K: Eq + Hash>(hypothesis: &Counts<K>, reference: &Counts<K>) -> [u64; 3] {
    let common = |(ngram, n): (&K, &u64)| reference.get(ngram).map_or(0, |most| *n.min(most));
    let n_hypothesis = if reference.is_empty() {
        0
    } else {
        hypothesis.values().sum()
    };
    [
        n_hypothesis,
        reference.values().sum(),
        hypothesis.iter().map(common).sum(),
    ]
}

/// Words with one ASCII punctuation mark cut off: at the end or, failing that, at the start.
fn cut_words(text: &str) -> Vec<&str> {
    let mut cut = Vec::new();
    for word in words(text) {
        match (word.chars().count(), word.as_bytes()) {
            (2.., [.., last]) if last.is_ascii_punctuation() => {
                cut.extend([&word[..word.len() - 1], &word[word.len() - 1..]]);
            }
            (2.., [first, ..]) if first.is_ascii_punctuation() => {
                cut.extend([&word[..1], &word[1..]]);
            }
            _ => cut.push(word),
        }
    }
    cut
}

impl CorpusMetric for Chrf {
    fn name(&self) -> String {
        format!("chrF{}{}", self.beta, "+".repeat(self.word_order))
    }

    fn signature(&self, n_refs: ReferenceCount) -> String {
        format!(
            "nrefs:{n_refs}|case:{}|eff:{}|nc:{}|nw:{}|space:{}|{}",
            if self.lowercase { "lc" } else { "mixed" },
            if self.eps_smoothing { "no" } else { "yes" },
            self.char_order,
            self.word_order,
            if self.whitespace { "yes" } else { "no" },
            version(SACREBLEU),
        )
    }

    fn check(&self) -> Result<()> {
        if self.char_order + self.word_order == 0 {
            return Err(ResultsError::MetricSetting {
                what: "char_order + word_order",
                found: "0".into(),
                expected: "1 or more, in general 6 and 0 or 2",
            });
        }
        Ok(())
    }

    fn width(&self) -> usize {
        3 * (self.char_order + self.word_order)
    }

    fn count<R: AsRef<str>>(&self, hypothesis: &str, references: &[R], counts: &mut Vec<u64>) {
        let hypothesis = self.prepare(hypothesis);
        let (characters, words) = (self.characters(&hypothesis), cut_words(&hypothesis));
        let hypothesis = self.ngrams(&characters, &words);
        let mut best: Option<(f64, Vec<u64>)> = None;
        for reference in references {
            let reference = self.prepare(reference.as_ref());
            let (characters, words) = (self.characters(&reference), cut_words(&reference));
            let reference = self.ngrams(&characters, &words);
            let found = hypothesis.matches(&reference);
            let score = self.score_of(&found);
            if best.as_ref().is_none_or(|(of, _)| score > *of) {
                best = Some((score, found));
            }
        }
        counts.extend(best.map_or(vec![0; self.width()], |(_, found)| found));
    }

    fn score_of(&self, sums: &[u64]) -> f64 {
        const EPS: f64 = 1e-16;
        let factor = f64::from(self.beta).powi(2);
        let f_score = |p: f64, r: f64| (1.0 + factor) * p * r / (factor * p + r);
        let ratio = |part: u64, of: u64| if of > 0 { part as f64 / of as f64 } else { EPS };
        let (mut sum, mut precision, mut recall, mut n_orders) = (0.0, 0.0, 0.0, 0u32);
        for order in sums.chunks_exact(3) {
            let (p, r) = (ratio(order[2], order[0]), ratio(order[2], order[1]));
            sum += if factor * p + r > 0.0 {
                f_score(p, r)
            } else {
                EPS
            };
            if order[0] > 0 && order[1] > 0 {
                precision += p;
                recall += r;
                n_orders += 1;
            }
        }
        if self.eps_smoothing {
            return 100.0 * sum / (sums.len() / 3) as f64;
        }
        if precision + recall == 0.0 {
            return 0.0;
        }
        let n_orders = f64::from(n_orders);
        100.0 * f_score(precision / n_orders, recall / n_orders)
    }
}
