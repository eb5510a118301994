//! BLEU (Papineni et al., 2002) with the arithmetic and the signatures of sacreBLEU (Post, 2018),
//! and that of multi-bleu.perl.

mod counts;
mod multi_bleu;
mod score;
mod tokenize;

pub use multi_bleu::{MultiBleu, MultiBleuScore, multi_bleu};
pub use score::BleuScore;
pub use tokenize::BleuTokenizer;

use crate::error::{Result, ResultsError};
use crate::metric::corpus::{CorpusMetric, ReferenceCount, SACREBLEU, Statistics, version, words};

/// What becomes of an n-gram order without a match (Chen and Cherry, 2014).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Smoothing {
    /// The precision is 0, and so is the score.
    None,
    /// The number of matches becomes this one, in general [`Smoothing::FLOOR`].
    Floor(f64),
    /// This number, in general [`Smoothing::ADD_K`], is added to matches and totals of all orders
    /// above 1.
    AddK(f64),
    /// The k-th such order counts 1/2^k matches, as in mteval-v13a.
    Exp,
}

impl Smoothing {
    /// `Floor` with sacreBLEU's default.
    pub const FLOOR: Self = Self::Floor(0.1);
    /// `AddK` with sacreBLEU's default.
    pub const ADD_K: Self = Self::AddK(1.0);
}

impl std::fmt::Display for Smoothing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Floor(value) => write!(f, "floor[{value:.2}]"),
            Self::AddK(value) => write!(f, "add-k[{value:.2}]"),
            Self::Exp => f.write_str("exp"),
        }
    }
}

/// BLEU as sacreBLEU 2.x computes it: `BP · exp(mean over n of ln precision_n)`, in percent.
///
/// Texts are detokenised; BLEU brings its own tokeniser. For tokenised text as in older papers see
/// [`multi_bleu`].
///
/// ```
/// use sparta_results::metric::bleu::Bleu;
/// let score = Bleu::default().corpus(&["The cat sat on a mat."], &[vec!["The cat sat on the mat."]])?;
/// assert_eq!(score.to_string(), "BLEU = 48.89 85.7/66.7/40.0/25.0 (BP = 1.000 ratio = 1.000 hyp_len = 7 ref_len = 7)");
/// assert!(score.signature.starts_with("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:"));
/// # Ok::<(), sparta_results::ResultsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bleu {
    /// What cuts text into words.
    pub tokenize: BleuTokenizer,
    /// Whether case is ignored.
    pub lowercase: bool,
    /// What becomes of orders without a match.
    pub smooth: Smoothing,
    /// Longest n-gram.
    pub max_order: usize,
    /// Whether orders that a short text cannot have are left out of the mean; for single sentences.
    pub effective_order: bool,
}

impl Default for Bleu {
    /// sacreBLEU's: 13a, case kept, `exp`, up to 4-grams.
    fn default() -> Self {
        Self {
            tokenize: BleuTokenizer::V13a,
            lowercase: false,
            smooth: Smoothing::Exp,
            max_order: 4,
            effective_order: false,
        }
    }
}

impl Bleu {
    /// Score of a corpus; `references[i]` are those of `hypotheses[i]`.
    ///
    /// # Errors
    /// See [`CorpusMetric::statistics`].
    pub fn corpus<H: AsRef<str>, R: AsRef<str>>(
        &self,
        hypotheses: &[H],
        references: &[Vec<R>],
    ) -> Result<BleuScore> {
        Ok(self.total(&self.statistics(hypotheses, references)?))
    }

    /// Score of one sentence. Of short sentences it says something only with
    /// [`Bleu::effective_order`].
    ///
    /// # Errors
    /// See [`CorpusMetric::statistics`].
    pub fn sentence<R: AsRef<str>>(&self, hypothesis: &str, references: &[R]) -> Result<BleuScore> {
        let references = references.iter().map(AsRef::as_ref).collect::<Vec<&str>>();
        self.corpus(&[hypothesis], &[references])
    }

    /// Score of counts taken before.
    pub fn total(&self, statistics: &Statistics) -> BleuScore {
        let signature = self.signature(statistics.n_refs);
        score::score(self, &statistics.total(), signature)
    }

    fn prepare(&self, text: &str) -> String {
        let lower = self.lowercase.then(|| text.to_lowercase());
        let text = lower.as_deref().unwrap_or(text);
        self.tokenize
            .tokenize(text.trim_end_matches(crate::metric::corpus::is_space))
    }
}

impl CorpusMetric for Bleu {
    fn name(&self) -> String {
        "BLEU".to_string()
    }

    fn signature(&self, n_refs: ReferenceCount) -> String {
        format!(
            "nrefs:{n_refs}|case:{}|eff:{}|tok:{}|smooth:{}|{}",
            if self.lowercase { "lc" } else { "mixed" },
            if self.effective_order { "yes" } else { "no" },
            self.tokenize,
            self.smooth,
            version(SACREBLEU),
        )
    }

    fn check(&self) -> Result<()> {
        if self.max_order == 0 {
            return Err(ResultsError::MetricSetting {
                what: "max_order",
                found: "0".into(),
                expected: "1 or more, in general 4",
            });
        }
        match self.smooth {
            Smoothing::Floor(value) | Smoothing::AddK(value)
                if !(value.is_finite() && value >= 0.0) =>
            {
                Err(ResultsError::MetricSetting {
                    what: "smooth",
                    found: value.to_string(),
                    expected: "a finite number from 0 on",
                })
            }
            Smoothing::None | Smoothing::Exp | Smoothing::Floor(_) | Smoothing::AddK(_) => Ok(()),
        }
    }

    fn width(&self) -> usize {
        counts::width(self.max_order)
    }

    fn count<R: AsRef<str>>(&self, hypothesis: &str, references: &[R], counts: &mut Vec<u64>) {
        let hypothesis = self.prepare(hypothesis);
        let references: Vec<String> = references
            .iter()
            .map(|text| self.prepare(text.as_ref()))
            .collect();
        let references: Vec<Vec<&str>> = references.iter().map(|text| words(text)).collect();
        counts::count(&words(&hypothesis), &references, self.max_order, counts);
    }

    fn score_of(&self, sums: &[u64]) -> f64 {
        score::score(self, sums, String::new()).score
    }
}
