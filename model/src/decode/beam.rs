//! Beam search.

use rayon::prelude::*;

use super::candidates::NextTokens;
use super::config::Rule;
use super::hypothesis::Live;
use super::stepper::Stepper;
use super::{Certificate, DecodeConfig, Hypothesis, Searched, Stop};
use crate::error::ModelError;
use crate::seq2seq::{Encoded, Seq2Seq, Seq2SeqMasks};

/// A sentence that is being translated.
struct Sentence {
    /// Its place in the batch.
    place: usize,
    max_len: usize,
    /// `None` fills a row that has no hypothesis.
    live: Vec<Option<Live>>,
    finished: Vec<Hypothesis>,
    /// For sparse output maps.
    certificate: Option<Certificate>,
}

/// Beam search of encoded sentences, each with its longest length, as [`super::search`] describes it.
pub(super) fn beam(
    model: &Seq2Seq,
    encoded: Encoded,
    masks: &Seq2SeqMasks,
    config: &DecodeConfig,
    max_lens: &[usize],
) -> Result<Vec<Searched>, ModelError> {
    let device = encoded.memory.device();
    let none = Searched {
        hypotheses: Vec::new(),
        certificate: None,
        pages: None,
    };
    let mut done = vec![none; max_lens.len()];
    let sentence = |(place, max_len): (usize, &usize)| Sentence {
        place,
        max_len: *max_len,
        live: vec![Some(Live::NEW)],
        finished: Vec::new(),
        certificate: None,
    };
    let mut sentences: Vec<Sentence> = max_lens.iter().enumerate().map(sentence).collect();
    if sentences.is_empty() {
        return Ok(done);
    }
    let mut stepper = Stepper::new(model, masks, encoded, config.cache, config.pages)?;
    while !sentences.is_empty() {
        let last = |live: &Option<Live>| {
            let token = live.as_ref().and_then(|live| live.tokens.last());
            *token.unwrap_or(&config.start)
        };
        let read: Vec<i32> = sentences
            .iter()
            .flat_map(|s| s.live.iter().map(last))
            .collect();
        let next = NextTokens::new(model.output_map(), stepper.step(&read, &device));

        // Sentences know nothing of each other.
        let mut first_row = 0;
        let places: Vec<(Sentence, usize)> = (sentences.into_iter())
            .map(|sentence| {
                let first = first_row;
                first_row += sentence.live.len();
                (sentence, first)
            })
            .collect();
        let extended: Vec<(Sentence, usize, Option<Vec<usize>>)> = (places.into_par_iter())
            .map(|(mut sentence, first_row)| {
                let parents = sentence.extend(&next, first_row, config);
                (sentence, first_row, parents)
            })
            .collect();
        let (mut rows, mut kept) = (Vec::new(), Vec::new());
        let mut going_on = Vec::with_capacity(extended.len());
        for (i, (sentence, first_row, parents)) in extended.into_iter().enumerate() {
            match parents {
                Some(parents) => {
                    rows.extend(parents.iter().map(|parent| first_row + parent));
                    kept.push(i);
                    going_on.push(sentence);
                }
                None => {
                    let place = sentence.place;
                    done[place] = sentence.best(config);
                    done[place].pages = stepper.pages(i);
                }
            }
        }
        sentences = going_on;
        if !sentences.is_empty() {
            stepper.select(&rows, &kept, &device);
        }
    }
    Ok(done)
}

impl Sentence {
    /// Extends the hypotheses, whose rows start at `first_row`, by one token. Gives the row each new one
    /// comes from, counted from the first, or `None` if the sentence is done.
    fn extend(
        &mut self,
        next: &NextTokens,
        first_row: usize,
        config: &DecodeConfig,
    ) -> Option<Vec<usize>> {
        let candidates = self.candidates(next, first_row, config);
        let mut parents = Vec::with_capacity(config.beam_size);
        let mut live = Vec::with_capacity(config.beam_size);
        for (place, (log_p, parent, token)) in candidates.into_iter().enumerate() {
            let Some(before) = &self.live[parent] else {
                continue;
            };
            let sum = before.sum + log_p;
            if token != config.end {
                if live.len() < config.beam_size {
                    parents.push(parent);
                    live.push(Some(before.and(Some(token), log_p)));
                } else {
                    self.drop(sum);
                }
            } else if place < config.beam_size && self.takes_more(config) {
                let ended = before.and(None, log_p);
                self.finished
                    .push(Hypothesis::new(ended, true, config.length_penalty));
                if let Some(certificate) = &mut self.certificate {
                    certificate.finish(sum);
                }
            } else {
                self.drop(sum);
            }
        }
        if live.is_empty() {
            return None;
        }
        if self.is_done(&live, config) {
            live.iter().flatten().for_each(|live| self.drop(live.sum));
            return None;
        }
        parents.resize(config.beam_size, parents[0]);
        live.resize(config.beam_size, None);
        self.live = live;
        Some(parents)
    }

    fn takes_more(&self, config: &DecodeConfig) -> bool {
        match config.stop {
            Stop::Full => self.finished.len() < config.beam_size,
            Stop::Beaten => true,
        }
    }

    /// Whether the open hypotheses, best first, need no more tokens.
    fn is_done(&self, live: &[Option<Live>], config: &DecodeConfig) -> bool {
        match config.stop {
            Stop::Full => self.finished.len() == config.beam_size,
            Stop::Beaten => {
                let mut ended: Vec<f64> = self.finished.iter().map(|h| h.score).collect();
                ended.sort_by(|a, b| b.total_cmp(a));
                let worst = ended.get(config.n_best - 1);
                let open = live.iter().flatten().next();
                worst.zip(open).is_some_and(|(worst, open)| {
                    let length = open.log_probabilities.len() as f64;
                    open.sum / length.powf(config.length_penalty) <= *worst
                })
            }
        }
    }

    /// Says that a prefix or translation is given up.
    fn drop(&mut self, log_p: f64) {
        if let Some(certificate) = &mut self.certificate {
            certificate.drop(log_p);
        }
    }

    /// The best 2·`beam_size` continuations of all hypotheses: log p of the token, hypothesis, token.
    ///
    /// Only tokens of probability above 0 are continuations; there may be fewer than the beam holds.
    fn candidates(
        &mut self,
        next: &NextTokens,
        first_row: usize,
        config: &DecodeConfig,
    ) -> Vec<(f64, usize, i32)> {
        let n = 2 * config.beam_size;
        let mut all: Vec<(f64, f64, usize, i32)> = Vec::with_capacity(n * self.live.len());
        // Sorts are stable: of equals the earlier hypothesis and the lower token stay first.
        let by_sum = |a: &(f64, f64, usize, i32), b: &(f64, f64, usize, i32)| b.0.total_cmp(&a.0);
        // The last of the best that there are so far: what is no better comes behind it.
        let mut worst = f64::NEG_INFINITY;
        for (row, live) in self.live.iter().enumerate() {
            let Some(live) = live else { continue };
            let length = live.tokens.len();
            let rule = |token| config.rule(token, length, self.max_len);
            match next.support(first_row + row) {
                None => {
                    let allowed = |token| rule(token) == Rule::Allowed;
                    let floor = worst - live.sum;
                    let best = next.best(first_row + row, n, floor, allowed).into_iter();
                    all.extend(best.map(|(log_p, token)| (live.sum + log_p, log_p, row, token)));
                    if all.len() >= n {
                        all.sort_by(by_sum);
                        worst = all[n - 1].0;
                    }
                }
                Some(support) => {
                    let certificate = self.certificate.get_or_insert(Certificate::NEW);
                    let continuations = certificate.read(live.sum, support, rule);
                    let continue_by = |(token, log_p)| (live.sum + log_p, log_p, row, token);
                    all.extend(continuations.into_iter().map(continue_by));
                }
            }
        }
        all.sort_by(by_sum);
        for (sum, ..) in all.iter().skip(n) {
            self.drop(*sum);
        }
        all.truncate(n);
        all.into_iter()
            .map(|(_, log_p, row, token)| (log_p, row, token))
            .collect()
    }

    /// The best finished hypotheses; if the model ended none, unfinished ones.
    fn best(self, config: &DecodeConfig) -> Searched {
        let mut found = self.finished;
        if found.is_empty() {
            let live = self.live.into_iter().flatten();
            found.extend(live.map(|live| Hypothesis::new(live, false, config.length_penalty)));
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(config.n_best);
        Searched {
            hypotheses: found,
            certificate: self.certificate,
            pages: None,
        }
    }
}
