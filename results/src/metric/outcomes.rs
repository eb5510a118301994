//! What each unit of a test set adds to a score, from which the score of any sample of units
//! follows.

use crate::error::{Result, ResultsError};
use crate::metric::bleu::{Bleu, MultiBleu};
use crate::metric::chrf::Chrf;
use crate::metric::glue::{self, Predictions};
use crate::metric::{CorpusMetric, Metric, Perplexity, classes};

/// How a score follows from the rows of some units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// BLEU of summed counts.
    Bleu(Bleu),
    /// Tokenised BLEU of summed counts.
    MultiBleu(MultiBleu),
    /// chrF of summed counts.
    Chrf(Chrf),
    /// `exp(Σ loss / Σ tokens)`; rows are loss and tokens.
    Perplexity,
    /// `100 · Σ value / Σ weight`; rows are value · weight and weight.
    Percent,
    /// F1 of class 1; rows are: class 1 in both, class 1 in each (0, 1 or 2).
    F1,
    /// Matthews correlation; rows are: right, predicted and expected class as one-hot vectors.
    Matthews,
    /// A score that is no function of sums; rows are predicted and expected number.
    Numbers(Metric),
}

/// Rows of one system, a unit each (a sentence, a segment of text, an example, a question), under
/// one statistic.
///
/// ```
/// use sparta_results::metric::Outcomes;
/// let losses = Outcomes::losses([(2.0 * 50f64.ln(), 2), (50f64.ln(), 1)])?;
/// assert!((losses.score() - 50.0).abs() < 1e-9);
/// # Ok::<(), sparta_results::ResultsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Outcomes {
    statistic: Statistic,
    width: usize,
    /// Row-major [unit, width].
    rows: Vec<f64>,
}

impl Outcomes {
    /// Counts of translations; `references[i]` are those of `hypotheses[i]`.
    ///
    /// # Errors
    /// See [`CorpusMetric::statistics`].
    pub fn translations<M, H, R>(metric: M, hypotheses: &[H], references: &[Vec<R>]) -> Result<Self>
    where
        M: CorpusMetric + Into<Statistic>,
        H: AsRef<str>,
        R: AsRef<str>,
    {
        let counts = metric.statistics(hypotheses, references)?;
        let sentences = 0..counts.n_sentences();
        let rows = sentences.flat_map(|at| counts.sentence(at).iter().map(|&count| count as f64));
        Self::new(metric.into(), metric_width(&counts), rows.collect())
    }

    /// Summed negative log-likelihood and number of tokens of each segment, for perplexity.
    ///
    /// # Errors
    /// [`ResultsError::Units`] without a segment or token, or for a loss that is not finite.
    pub fn losses(segments: impl IntoIterator<Item = (f64, u64)>) -> Result<Self> {
        let rows = segments.into_iter();
        let rows = rows.flat_map(|(loss, tokens)| [loss, tokens as f64]);
        Self::new(Statistic::Perplexity, 2, rows.collect())
    }

    /// How many of each unit's items are right, of how many: a percentage.
    ///
    /// # Errors
    /// As [`Outcomes::losses`].
    pub fn percentage(units: impl IntoIterator<Item = (f64, f64)>) -> Result<Self> {
        let rows = units.into_iter().flat_map(|(right, of)| [right, of]);
        Self::new(Statistic::Percent, 2, rows.collect())
    }

    /// Predictions and references, one example a unit, under one of GLUE's scores.
    ///
    /// # Errors
    /// Those of [`glue::score`].
    pub fn predictions(metric: Metric, predictions: Predictions<'_>) -> Result<Self> {
        // Refuses what does not go together.
        glue::score(metric, predictions)?;
        match predictions {
            Predictions::Numbers(predicted, expected) => {
                let pairs = predicted.iter().zip(expected);
                let rows = pairs.flat_map(|(&predicted, &expected)| [predicted, expected]);
                Self::new(Statistic::Numbers(metric), 2, rows.collect())
            }
            Predictions::Classes(predicted, expected) => {
                let pairs = predicted.iter().copied().zip(expected.iter().copied());
                Self::classes(metric, pairs.collect())
            }
        }
    }

    fn classes(metric: Metric, pairs: Vec<(usize, usize)>) -> Result<Self> {
        let one = |is: bool| f64::from(u8::from(is));
        let pair = pairs.iter().copied();
        match metric {
            Metric::F1 => {
                let row = |(p, e)| [one(p == 1 && e == 1), one(p == 1) + one(e == 1)];
                Self::new(Statistic::F1, 2, pair.flat_map(row).collect())
            }
            Metric::Matthews => {
                let n = pairs.iter().flat_map(|&(p, e)| [p, e]).max().unwrap_or(0) + 1;
                let mut rows = Vec::with_capacity(pairs.len() * (1 + 2 * n));
                for (p, e) in pair {
                    rows.push(one(p == e));
                    rows.extend((0..n).map(|class| one(class == p)));
                    rows.extend((0..n).map(|class| one(class == e)));
                }
                Self::new(Statistic::Matthews, 1 + 2 * n, rows)
            }
            // What is no score of classes was refused.
            _ => Self::percentage(pair.map(|(p, e)| (one(p == e), 1.0))),
        }
    }

    fn new(statistic: Statistic, width: usize, rows: Vec<f64>) -> Result<Self> {
        let outcomes = Self {
            statistic,
            width,
            rows,
        };
        let problem = match outcomes.rows.iter().position(|value| !value.is_finite()) {
            _ if outcomes.rows.is_empty() => Some("there is none".to_owned()),
            Some(at) => Some(format!(
                "unit {} has a number that is not finite",
                at / width
            )),
            None if !outcomes.score().is_finite() => Some("they have no finite score".to_owned()),
            None => None,
        };
        match problem {
            Some(problem) => Err(ResultsError::Units(problem)),
            None => Ok(outcomes),
        }
    }

    /// How the score follows from the rows.
    pub fn statistic(&self) -> Statistic {
        self.statistic
    }

    /// Number of units.
    pub fn n_units(&self) -> usize {
        self.rows.len() / self.width
    }

    /// Whether every unit is either right or wrong.
    pub fn is_binary(&self) -> bool {
        let is_binary = |row: &[f64]| row[1] == 1.0 && (row[0] == 0.0 || row[0] == 1.0);
        self.statistic == Statistic::Percent && self.rows.chunks_exact(self.width).all(is_binary)
    }

    /// What a unit adds.
    pub(crate) fn row(&self, unit: usize) -> &[f64] {
        &self.rows[unit * self.width..(unit + 1) * self.width]
    }

    /// The score of all units.
    pub fn score(&self) -> f64 {
        self.score_of(self.rows.chunks_exact(self.width))
    }

    /// The score of some rows, of this system or of another under the same statistic.
    pub(crate) fn score_of<'a>(&self, rows: impl Iterator<Item = &'a [f64]>) -> f64 {
        if let Statistic::Numbers(metric) = self.statistic {
            let (predicted, expected): (Vec<f64>, Vec<f64>) =
                rows.map(|row| (row[0], row[1])).unzip();
            let numbers = Predictions::Numbers(&predicted, &expected);
            return glue::score(metric, numbers).unwrap_or(f64::NAN);
        }
        let mut sums = vec![0.0; self.width];
        for row in rows {
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value);
        }
        self.score_of_sums(&sums)
    }

    /// The score of summed rows.
    fn score_of_sums(&self, sums: &[f64]) -> f64 {
        let counts = || sums.iter().map(|&sum| sum as u64).collect::<Vec<u64>>();
        match self.statistic {
            Statistic::Bleu(bleu) => bleu.score_of(&counts()),
            Statistic::MultiBleu(bleu) => bleu.score_of(&counts()),
            Statistic::Chrf(chrf) => chrf.score_of(&counts()),
            Statistic::Perplexity => Perplexity {
                nll_sum: sums[0],
                n_tokens: sums[1] as u64,
            }
            .ppl(),
            Statistic::Percent => 100.0 * sums[0] / sums[1],
            Statistic::F1 => 100.0 * classes::f1_of_counts(sums[0], sums[1]),
            Statistic::Matthews => {
                let (predicted, expected) = sums[1..].split_at((self.width - 1) / 2);
                100.0 * classes::matthews_of_counts(sums[0], predicted, expected)
            }
            Statistic::Numbers(_) => f64::NAN,
        }
    }

    /// Refuses outcomes of another score or of another number of units.
    ///
    /// # Errors
    /// [`ResultsError::Units`] that says what differs.
    pub fn check_pair(&self, other: &Self) -> Result<()> {
        let (a, b) = (self.n_units(), other.n_units());
        if a != b {
            return Err(ResultsError::Units(format!(
                "one system has {a} of them, the other {b}"
            )));
        }
        match self.statistic == other.statistic {
            true => Ok(()),
            false => Err(ResultsError::Units(format!(
                "they are scored by {:?} and {:?}",
                self.statistic, other.statistic
            ))),
        }
    }
}

fn metric_width(counts: &crate::metric::Statistics) -> usize {
    counts.sentence(0).len()
}

impl From<Bleu> for Statistic {
    fn from(metric: Bleu) -> Self {
        Self::Bleu(metric)
    }
}

impl From<MultiBleu> for Statistic {
    fn from(metric: MultiBleu) -> Self {
        Self::MultiBleu(metric)
    }
}

impl From<Chrf> for Statistic {
    fn from(metric: Chrf) -> Self {
        Self::Chrf(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_outcomes_are_the_scores() {
        let (p, e) = ([0, 1, 2, 1, 1, 0], [0, 1, 1, 1, 2, 2]);
        let classes = Predictions::Classes(&p, &e);
        for metric in [Metric::Accuracy, Metric::F1, Metric::Matthews] {
            let found = Outcomes::predictions(metric, classes).unwrap().score();
            assert_eq!(found, glue::score(metric, classes).unwrap(), "{metric}");
        }
        let (p, e) = ([0.5, 4.0, 2.5, 3.0], [0.0, 5.0, 3.0, 1.0]);
        let numbers = Predictions::Numbers(&p, &e);
        for metric in [Metric::Pearson, Metric::Spearman, Metric::PearsonSpearman] {
            let found = Outcomes::predictions(metric, numbers).unwrap().score();
            assert_eq!(found, glue::score(metric, numbers).unwrap(), "{metric}");
        }
        assert!(Outcomes::predictions(Metric::F1, numbers).is_err());
        let references = [vec!["the cat sat on the mat"], vec!["a dog"]];
        let hypotheses = ["the cat sat on a mat", "a dog"];
        let chrf = Chrf::default();
        assert_eq!(
            Outcomes::translations(chrf, &hypotheses, &references)
                .unwrap()
                .score(),
            chrf.corpus(&hypotheses, &references).unwrap().score
        );
    }

    #[test]
    fn what_has_no_score_is_refused() {
        let problem = |outcomes: Result<Outcomes>| outcomes.unwrap_err().to_string();
        assert!(problem(Outcomes::losses([])).contains("there is none"));
        let nan = problem(Outcomes::losses([(1.0, 1), (f64::NAN, 1)]));
        assert!(
            nan.contains("unit 1 has a number that is not finite"),
            "{nan}"
        );
        assert!(problem(Outcomes::losses([(1.0, 0)])).contains("no finite score"));
        let one = Outcomes::losses([(1.0, 1)]).unwrap();
        let two = Outcomes::losses([(1.0, 1), (2.0, 1)]).unwrap();
        assert!(
            one.check_pair(&two)
                .unwrap_err()
                .to_string()
                .contains("1 of them, the other 2")
        );
        let other = Outcomes::percentage([(1.0, 1.0)]).unwrap();
        assert!(one.check_pair(&other).is_err());
    }
}
