//! What a search knows of the translations that it did not find.

use super::config::Rule;

/// What a search over a sparse output map did with the probability of all translations of one sentence.
///
/// The four parts sum to 1, up to the rounding of the output map: `finished + cut + forbidden + too_long`.
/// Translations are those of at most the longest length that was allowed.
///
/// # Source
/// Peters, Niculae & Martins 2019, section 5, count the sentences for which a beam loses nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Certificate {
    /// Prefixes whose next tokens were scored.
    pub n_read: usize,
    /// Probability of the translations that were found.
    pub finished: f64,
    /// log p of the likeliest of those; −∞ if none was.
    pub best_finished: f64,
    /// Prefixes and translations of probability above 0 that were dropped.
    pub n_cut: usize,
    /// Their probability, with everything that starts with them.
    pub cut: f64,
    /// log p of the likeliest of those; −∞ if none was dropped.
    pub best_cut: f64,
    /// Hypotheses that died: the model gives all its probability to tokens that may not be written there.
    pub n_dead: usize,
    /// Probability of tokens that may not be written: padding, an end before the fewest tokens.
    pub forbidden: f64,
    /// Probability of all that is longer than the longest length.
    pub too_long: f64,
    /// Whether exact search stopped because it had read as many prefixes as it may.
    pub limited: bool,
}

impl Certificate {
    /// Of a search that has not read anything yet.
    pub(super) const NEW: Self = Self {
        n_read: 0,
        finished: 0.0,
        best_finished: f64::NEG_INFINITY,
        n_cut: 0,
        cut: 0.0,
        best_cut: f64::NEG_INFINITY,
        n_dead: 0,
        forbidden: 0.0,
        too_long: 0.0,
        limited: false,
    };

    /// Whether every translation of probability above 0 was found: nothing was dropped.
    pub fn is_exact(&self) -> bool {
        self.n_cut == 0
    }

    /// Whether the likeliest translation was found: its log p is at least that of every prefix that was dropped, and
    /// what starts with a prefix is no likelier than it. With a length penalty above 0 another translation
    /// may have the best score.
    pub fn proves_likeliest(&self) -> bool {
        self.best_finished > f64::NEG_INFINITY && self.best_finished >= self.best_cut
    }

    /// Takes note of a hypothesis of this log p whose next tokens have these probabilities, and gives those that may
    /// follow, by id: token and its log p.
    pub(super) fn read(
        &mut self,
        log_p: f64,
        support: impl Iterator<Item = (i32, f64)>,
        rule: impl Fn(i32) -> Rule,
    ) -> Vec<(i32, f64)> {
        self.n_read += 1;
        let (mut continuations, mut n_too_long) = (Vec::new(), 0);
        for (token, p) in support {
            match rule(token) {
                Rule::Allowed => continuations.push((token, p.ln())),
                Rule::Forbidden => self.forbidden += log_p.exp() * p,
                Rule::TooLong => {
                    n_too_long += 1;
                    self.too_long += log_p.exp() * p;
                }
            }
        }
        self.n_dead += usize::from(continuations.is_empty() && n_too_long == 0);
        continuations
    }

    pub(super) fn finish(&mut self, log_p: f64) {
        self.finished += log_p.exp();
        self.best_finished = self.best_finished.max(log_p);
    }

    pub(super) fn drop(&mut self, log_p: f64) {
        self.n_cut += 1;
        self.cut += log_p.exp();
        self.best_cut = self.best_cut.max(log_p);
    }
}
