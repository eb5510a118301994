//! BLEU of tokenised text with the arithmetic of Moses' multi-bleu.perl, as the papers report it.

use std::fmt;

use super::counts;
use super::score::{brevity_penalty, geometric_mean};
use crate::error::Result;
use crate::metric::corpus::{CorpusMetric, ReferenceCount, Statistics, version};

const MAX_ORDER: usize = 4;

/// Tokenised BLEU: words are what blanks separate, an order without a match makes the score 0.
///
/// Only comparable between texts of the same tokeniser, which the signature of a table must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MultiBleu {
    /// Whether the case of ASCII letters is ignored, the script's `-lc`.
    pub lowercase: bool,
}

/// BLEU as multi-bleu.perl prints it: `BLEU = 48.89, 85.7/66.7/40.0/25.0 (BP=1.000, ratio=1.000,
/// hyp_len=7, ref_len=7)`.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiBleuScore {
    /// BLEU, 0 to 100.
    pub score: f64,
    /// Precision of each order in percent.
    pub precisions: [f64; MAX_ORDER],
    /// Brevity penalty; 0 where the hypotheses have no word (the script stops there).
    pub bp: f64,
    /// Words of the hypotheses.
    pub sys_len: u64,
    /// Words of the references that are closest in length.
    pub ref_len: u64,
    /// Protocol.
    pub signature: String,
}

/// [`MultiBleu`] of a corpus; `references[i]` are those of `hypotheses[i]`.
///
/// ```
/// use sparta_results::metric::bleu::multi_bleu;
/// let score = multi_bleu(&["the cat sat on a mat ."], &[vec!["the cat sat on the mat ."]], false)?;
/// assert_eq!(score.to_string(), "BLEU = 48.89, 85.7/66.7/40.0/25.0 (BP=1.000, ratio=1.000, hyp_len=7, ref_len=7)");
/// # Ok::<(), sparta_results::ResultsError>(())
/// ```
///
/// # Errors
/// See [`CorpusMetric::statistics`].
pub fn multi_bleu<H: AsRef<str>, R: AsRef<str>>(
    hypotheses: &[H],
    references: &[Vec<R>],
    lowercase: bool,
) -> Result<MultiBleuScore> {
    let metric = MultiBleu { lowercase };
    Ok(metric.total(&metric.statistics(hypotheses, references)?))
}

impl MultiBleu {
    /// Score of counts taken before.
    pub fn total(&self, statistics: &Statistics) -> MultiBleuScore {
        score(&statistics.total(), self.signature(statistics.n_refs))
    }

    fn prepare(&self, text: &str) -> String {
        if self.lowercase {
            text.to_ascii_lowercase()
        } else {
            text.to_string()
        }
    }
}

fn score(sums: &[u64], signature: String) -> MultiBleuScore {
    let (sys_len, ref_len) = (sums[0], sums[1]);
    let precisions: [f64; MAX_ORDER] = std::array::from_fn(|order| {
        let (count, total) = (sums[2 + order], sums[2 + MAX_ORDER + order]);
        if total == 0 {
            0.0
        } else {
            count as f64 / total as f64
        }
    });
    // Without a word in the references the script prints zeros.
    let (bp, mean) = match ref_len {
        0 => (0.0, 0.0),
        _ => (
            brevity_penalty(sys_len, ref_len),
            geometric_mean(&precisions),
        ),
    };
    MultiBleuScore {
        score: 100.0 * (bp * mean),
        precisions: if ref_len == 0 {
            [0.0; MAX_ORDER]
        } else {
            precisions.map(|of| 100.0 * of)
        },
        bp,
        sys_len,
        ref_len,
        signature,
    }
}

impl fmt::Display for MultiBleuScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ref_len == 0 {
            return f.write_str("BLEU = 0, 0/0/0/0 (BP=0, ratio=0, hyp_len=0, ref_len=0)");
        }
        let [one, two, three, four] = self.precisions;
        write!(
            f,
            "BLEU = {:.2}, {one:.1}/{two:.1}/{three:.1}/{four:.1} (BP={:.3}, ratio={:.3}, hyp_len={}, ref_len={})",
            self.score,
            self.bp,
            self.sys_len as f64 / self.ref_len as f64,
            self.sys_len,
            self.ref_len,
        )
    }
}

impl CorpusMetric for MultiBleu {
    fn name(&self) -> String {
        "BLEU".to_string()
    }

    fn signature(&self, n_refs: ReferenceCount) -> String {
        let case = if self.lowercase { "lc" } else { "mixed" };
        format!(
            "nrefs:{n_refs}|case:{case}|eff:no|tok:none|smooth:none|{}",
            version("multi-bleu.perl")
        )
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn width(&self) -> usize {
        counts::width(MAX_ORDER)
    }

    fn count<R: AsRef<str>>(&self, hypothesis: &str, references: &[R], counts: &mut Vec<u64>) {
        let hypothesis = self.prepare(hypothesis);
        let references: Vec<String> = references
            .iter()
            .map(|text| self.prepare(text.as_ref()))
            .collect();
        let references: Vec<Vec<&str>> = references.iter().map(|text| ascii_words(text)).collect();
        counts::count(&ascii_words(&hypothesis), &references, MAX_ORDER, counts);
    }

    fn score_of(&self, sums: &[u64]) -> f64 {
        score(sums, String::new()).score
    }
}

/// The words of `text` as Perl's `split` gives them on bytes: only ASCII white space separates.
fn ascii_words(text: &str) -> Vec<&str> {
    let is_space = |c: char| c.is_ascii_whitespace() || c == '\x0b';
    text.split(is_space)
        .filter(|word| !word.is_empty())
        .collect()
}
