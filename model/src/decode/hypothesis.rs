//! Translations, whole and in the making.

use super::Certificate;
use crate::layer::PageReport;

/// A translation.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// Its tokens, without start and end.
    pub tokens: Vec<i32>,
    /// log p of each token and, if `finished`, of the end.
    pub log_probabilities: Vec<f64>,
    /// Sum of the log-probabilities divided by their number to the power of the length penalty.
    pub score: f64,
    /// Whether the model ended it. A sparse output map may give the end probability 0 up to the longest
    /// length that was allowed.
    pub finished: bool,
}

impl Hypothesis {
    pub(super) fn new(live: Live, finished: bool, length_penalty: f64) -> Self {
        let length = live.log_probabilities.len().max(1) as f64;
        Self {
            score: live.sum / length.powf(length_penalty),
            tokens: live.tokens,
            log_probabilities: live.log_probabilities,
            finished,
        }
    }
}

/// What a search found for one sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Searched {
    /// Translations, best first.
    pub hypotheses: Vec<Hypothesis>,
    /// What is known of the others; none for softmax, which leaves every sequence of tokens some probability.
    pub certificate: Option<Certificate>,
    /// What was read of the pages of keys; none where all keys are read.
    pub pages: Option<PageReport>,
}

/// A hypothesis that is being written.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) tokens: Vec<i32>,
    pub(super) log_probabilities: Vec<f64>,
    pub(super) sum: f64,
}

impl Live {
    /// Nothing written yet.
    pub(super) const NEW: Self = Self {
        tokens: Vec::new(),
        log_probabilities: Vec::new(),
        sum: 0.0,
    };

    pub(super) fn and(&self, token: Option<i32>, log_p: f64) -> Self {
        let mut next = self.clone();
        next.tokens.extend(token);
        next.log_probabilities.push(log_p);
        next.sum += log_p;
        next
    }
}
