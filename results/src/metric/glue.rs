//! GLUE's scores (Wang et al., 2019, arXiv 1804.07461, section 3), put together as the AP paper's
//! table has them (its columns and its average).

use crate::error::{Result, ResultsError};
use crate::metric::{Metric, classes, correlation};

/// A column of the table: a task, of MNLI one of its two dev parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GlueColumn {
    /// MNLI, matched.
    MnliM,
    /// MNLI, mismatched.
    MnliMm,
    /// Question NLI.
    Qnli,
    /// Quora Question Pairs.
    Qqp,
    /// Recognizing Textual Entailment.
    Rte,
    /// Stanford Sentiment Treebank.
    Sst2,
    /// Microsoft Research Paraphrase Corpus.
    Mrpc,
    /// Corpus of Linguistic Acceptability.
    Cola,
    /// Semantic Textual Similarity Benchmark.
    Stsb,
    /// Winograd NLI, which the paper leaves out.
    Wnli,
}

impl GlueColumn {
    /// Every column in the paper's order; WNLI, which it does not have, last.
    pub const ALL: [Self; 10] = [
        Self::MnliM,
        Self::MnliMm,
        Self::Qnli,
        Self::Qqp,
        Self::Rte,
        Self::Sst2,
        Self::Mrpc,
        Self::Cola,
        Self::Stsb,
        Self::Wnli,
    ];

    /// The head of the column, which is also the row of a record and of the paper's numbers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MnliM => "MNLI-m",
            Self::MnliMm => "MNLI-mm",
            Self::Qnli => "QNLI",
            Self::Qqp => "QQP",
            Self::Rte => "RTE",
            Self::Sst2 => "SST-2",
            Self::Mrpc => "MRPC",
            Self::Cola => "CoLA",
            Self::Stsb => "STS-B",
            Self::Wnli => "WNLI",
        }
    }

    /// The column of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    /// The column of a task and part as corpora spell them: `mnli` with `dev-mismatched`, `rte`
    /// with any part. A part of MNLI that ends in neither is the matched one.
    pub fn of_task(task: &str, part: &str) -> Option<Self> {
        match task {
            "mnli" if part.ends_with("mismatched") => Some(Self::MnliMm),
            "mnli" => Some(Self::MnliM),
            "qnli" => Some(Self::Qnli),
            "qqp" => Some(Self::Qqp),
            "rte" => Some(Self::Rte),
            "sst2" => Some(Self::Sst2),
            "mrpc" => Some(Self::Mrpc),
            "cola" => Some(Self::Cola),
            "stsb" => Some(Self::Stsb),
            "wnli" => Some(Self::Wnli),
            _ => None,
        }
    }

    /// The score of the column.
    pub const fn metric(self) -> Metric {
        match self {
            Self::MnliM | Self::MnliMm | Self::Qnli | Self::Rte | Self::Sst2 | Self::Wnli => {
                Metric::Accuracy
            }
            Self::Qqp | Self::Mrpc => Metric::F1,
            Self::Cola => Metric::Matthews,
            Self::Stsb => Metric::PearsonSpearman,
        }
    }

    /// Scores that are recorded beside it.
    pub const fn further(self) -> &'static [Metric] {
        match self {
            Self::MnliM | Self::MnliMm | Self::Qnli | Self::Rte | Self::Sst2 | Self::Wnli => &[],
            Self::Qqp | Self::Mrpc | Self::Cola => &[Metric::Accuracy],
            Self::Stsb => &[Metric::Pearson, Metric::Spearman],
        }
    }

    /// Whether the paper's average has it: all but WNLI, MNLI's parts one column each.
    pub const fn is_averaged(self) -> bool {
        match self {
            Self::MnliM | Self::MnliMm | Self::Qnli | Self::Qqp | Self::Rte => true,
            Self::Sst2 | Self::Mrpc | Self::Cola | Self::Stsb => true,
            Self::Wnli => false,
        }
    }
}

/// Predictions of a task beside its references.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Predictions<'a> {
    /// Classes: predicted, expected.
    Classes(&'a [usize], &'a [usize]),
    /// Numbers: predicted, expected.
    Numbers(&'a [f64], &'a [f64]),
}

/// A score of predictions as tables have it: times 100, but for a mean squared error.
///
/// A correlation that is not defined (constant predictions) counts as 0, as scikit-learn's Matthews
/// correlation does.
///
/// # Errors
/// [`ResultsError::Predictions`] for lists of different lengths and for empty ones,
/// [`ResultsError::MetricSetting`] for a metric that is not one of such predictions.
pub fn score(metric: Metric, predictions: Predictions<'_>) -> Result<f64> {
    let fraction = match (metric, predictions) {
        (Metric::Accuracy, Predictions::Classes(p, e)) => classes::accuracy(p, e)?,
        (Metric::F1, Predictions::Classes(p, e)) => classes::f1(p, e)?,
        (Metric::Matthews, Predictions::Classes(p, e)) => classes::matthews(p, e)?,
        (Metric::Pearson, Predictions::Numbers(p, e)) => correlation::pearson(p, e)?.unwrap_or(0.0),
        (Metric::Spearman, Predictions::Numbers(p, e)) => {
            correlation::spearman(p, e)?.unwrap_or(0.0)
        }
        (Metric::PearsonSpearman, Predictions::Numbers(p, e)) => {
            let pearson = correlation::pearson(p, e)?.unwrap_or(0.0);
            let spearman = correlation::spearman(p, e)?.unwrap_or(0.0);
            (pearson + spearman) / 2.0
        }
        (Metric::MeanSquaredError, Predictions::Numbers(p, e)) => {
            return correlation::mean_squared_error(p, e);
        }
        (metric, Predictions::Classes(..)) => {
            return Err(not_a_score_of(
                metric,
                "accuracy, F1 or Matthews for predicted classes",
            ));
        }
        (metric, Predictions::Numbers(..)) => {
            return Err(not_a_score_of(
                metric,
                "Pearson, Spearman, their mean or the mean squared error for predicted numbers",
            ));
        }
    };
    Ok(100.0 * fraction)
}

fn not_a_score_of(metric: Metric, expected: &'static str) -> ResultsError {
    ResultsError::MetricSetting {
        what: "name",
        found: metric.as_str().to_owned(),
        expected,
    }
}
