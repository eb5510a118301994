//! The settings of a search.

use burn::config::Config;

use super::SearchMethod;
use crate::check::{check, check_size};
use crate::error::ModelError;
use crate::layer::Paging;

/// When a sentence is done before its longest length.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Stop {
    /// With `beam_size` ended hypotheses, whatever their scores: fairseq. A sure model's other hypotheses
    /// are nonsense, and where these end early they fill the beam before the right one has ended.
    Full,
    /// With `n_best` ended hypotheses of which no open one's score, at its present length, beats the worst:
    /// Hugging Face's default.
    Beaten,
}

/// Whether a token may follow a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Allowed,
    /// It is never written, or it would end what is too short.
    Forbidden,
    /// The prefix has as many tokens as may be.
    TooLong,
}

/// Settings of [`super::search`]; defaults are those of fairseq's `generate`, apart from
/// `max_len_b`.
#[derive(Config, Debug)]
pub struct DecodeConfig {
    /// The token that a decoder reads first: in fairseq the end token.
    pub start: i32,
    /// The token that ends a sentence.
    pub end: i32,
    /// Tokens that are never written, such as padding.
    #[config(default = "Vec::new()")]
    pub never: Vec<i32>,
    /// Hypotheses kept at a time; 1 is greedy search.
    #[config(default = 5)]
    pub beam_size: usize,
    /// Hypotheses returned; of beam search at most `beam_size`.
    #[config(default = 1)]
    pub n_best: usize,
    /// Hypotheses are ranked by log-probability / length^`length_penalty`, the end token counted.
    #[config(default = 1.0)]
    pub length_penalty: f64,
    /// A translation has at most `max_len_a` · source length + `max_len_b` tokens, the source's end token
    /// counted, its own not.
    #[config(default = 0.0)]
    pub max_len_a: f64,
    /// See `max_len_a`.
    #[config(default = 200)]
    pub max_len_b: usize,
    /// When a sentence is done before that.
    #[config(default = "Stop::Full")]
    pub stop: Stop,
    /// Fewest tokens of a translation, without the end token.
    #[config(default = 1)]
    pub min_len: usize,
    /// Keep keys and values of earlier tokens. Without it every token costs a pass over all of them, for
    /// the same result.
    #[config(default = true)]
    pub cache: bool,
    /// How translations are looked for. Exact search maximises the probability, which is `length_penalty` = 0.
    #[config(default = "SearchMethod::Beam")]
    pub method: SearchMethod,
    /// Which pages of keys attention with α-entmax reads, on the host; all keys if not given.
    pub pages: Option<Paging>,
}

impl DecodeConfig {
    /// One hypothesis: the likeliest token each time.
    pub fn greedy(start: i32, end: i32) -> Self {
        Self::new(start, end).with_beam_size(1)
    }

    /// Checks that a search can be made with the settings.
    ///
    /// # Errors
    /// [`ModelError::Config`] for the first setting that is out of range.
    pub fn validate(&self) -> Result<(), ModelError> {
        check_size("beam_size", self.beam_size)?;
        match self.method {
            SearchMethod::Beam => {
                let expected = format!("between 1 and beam_size = {}", self.beam_size);
                let some = (1..=self.beam_size).contains(&self.n_best);
                check(some, "n_best", &self.n_best, &expected)?;
            }
            SearchMethod::Exact { max_prefixes } => {
                check_size("n_best", self.n_best)?;
                check_size("method.max_prefixes", max_prefixes)?;
                check(
                    self.length_penalty == 0.0,
                    "length_penalty",
                    &self.length_penalty,
                    "0 with exact search: a longer prefix is never likelier, but its score divided by its \
                     length can be better",
                )?;
                check(
                    self.cache,
                    "cache",
                    &self.cache,
                    "true with exact search: it goes back to what it has read",
                )?;
            }
        }
        check(
            self.pages.is_none() || (self.cache && self.method.is_beam()),
            "pages",
            &self.pages.map(|pages| pages.to_string()),
            "none without `cache`, and with exact search: pages are of the kept keys of a beam",
        )?;
        let finite = self.length_penalty.is_finite();
        check(finite, "length_penalty", &self.length_penalty, "finite")?;
        let counts = self.max_len_a.is_finite() && self.max_len_a >= 0.0;
        check(
            counts,
            "max_len_a",
            &self.max_len_a,
            "finite and at least 0",
        )?;
        let can_end = !self.never.contains(&self.end);
        check(can_end, "never", &self.never, "without the end token")
    }

    /// Whether a token may follow a prefix of `length` tokens, where there may be `max_len`.
    pub(super) fn rule(&self, token: i32, length: usize, max_len: usize) -> Rule {
        if token == self.end {
            return match length >= self.min_len || length >= max_len {
                true => Rule::Allowed,
                false => Rule::Forbidden,
            };
        }
        match (self.never.contains(&token), length < max_len) {
            (true, _) => Rule::Forbidden,
            (false, false) => Rule::TooLong,
            (false, true) => Rule::Allowed,
        }
    }

    /// Most tokens of a translation.
    pub(super) fn max_len(&self, source_len: usize) -> usize {
        (self.max_len_a * source_len as f64 + self.max_len_b as f64) as usize
    }
}
