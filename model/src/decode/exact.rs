//! Depth-first search for the most probable translation.

use burn::prelude::*;
use burn::tensor::TensorData;

use super::beam::beam;
use super::candidates::NextTokens;
use super::hypothesis::Live;
use super::{Certificate, DecodeConfig, Hypothesis, Searched};
use crate::error::ModelError;
use crate::seq2seq::{DecoderState, Encoded, Seq2Seq, Seq2SeqMasks};

/// Exact search of encoded sentences, each with its longest length, as [`super::search`] describes it: at most
/// so many prefixes of each are read.
///
/// # Source
/// Peters & Martins 2021, *Smoothing and shrinking the sparse seq2seq search space*; `exact_search.py` of
/// deep-spin/S7.
pub(super) fn exact(
    model: &Seq2Seq,
    encoded: Encoded,
    masks: &Seq2SeqMasks,
    (config, max_prefixes): (&DecodeConfig, usize),
    max_lens: &[usize],
) -> Result<Vec<Searched>, ModelError> {
    // Every hypothesis of the beam is a bound, not only as many as are asked for.
    let first = (config.clone()).with_n_best(config.beam_size.max(config.n_best));
    let of_beam = beam(model, encoded.clone(), masks, &first, max_lens)?;
    let device = encoded.memory.device();
    let start = model.start(encoded);
    let sentences = max_lens.iter().zip(of_beam).enumerate();
    let of = |(place, (max_len, of_beam)): (usize, (&usize, Searched))| {
        let tree = Tree {
            model,
            masks,
            config,
            max_prefixes,
            max_len: *max_len,
            device: &device,
        };
        tree.search(start.clone().select(&[place], &[place]), of_beam)
    };
    Ok(sentences.map(of).collect())
}

/// All translations of a sentence, by their first tokens.
struct Tree<'a> {
    model: &'a Seq2Seq,
    masks: &'a Seq2SeqMasks,
    config: &'a DecodeConfig,
    max_prefixes: usize,
    max_len: usize,
    device: &'a Device,
}

/// A prefix whose last token is yet to be read.
struct Prefix {
    live: Live,
    before: DecoderState,
}

impl Tree<'_> {
    fn search(&self, start: DecoderState, of_beam: Searched) -> Searched {
        let mut certificate = Certificate::NEW;
        let mut best = Best {
            n: self.config.n_best,
            found: Vec::new(),
        };
        let (ended, open): (Vec<Hypothesis>, Vec<Hypothesis>) =
            (of_beam.hypotheses.into_iter()).partition(|hypothesis| hypothesis.finished);
        for hypothesis in ended {
            certificate.best_finished = certificate.best_finished.max(hypothesis.score);
            best.take(hypothesis);
        }
        let mut stack = vec![Prefix {
            live: Live::NEW,
            before: start,
        }];
        while let Some(Prefix { live, before }) = stack.pop() {
            let is_beaten = live.sum <= best.bound();
            let is_too_many = certificate.n_read == self.max_prefixes;
            certificate.limited |= is_too_many && !is_beaten;
            if is_too_many || is_beaten {
                certificate.drop(live.sum);
                continue;
            }
            let last = *live.tokens.last().unwrap_or(&self.config.start);
            let last = Tensor::from_data(TensorData::new(vec![last], [1]), self.device);
            let step = self.model.decode_step(before, last, self.masks, false);
            let next = NextTokens::new(self.model.output_map(), step.logits);
            let length = live.tokens.len();
            let rule = |token| self.config.rule(token, length, self.max_len);
            let support = next.support(0).into_iter().flatten();
            let mut continuations = certificate.read(live.sum, support, rule);
            // The likeliest comes off the stack first. An end costs nothing and raises the bound at once.
            continuations.sort_by(|a, b| a.1.total_cmp(&b.1));
            for (token, log_p) in continuations {
                match token == self.config.end {
                    true => {
                        let ended = live.and(None, log_p);
                        certificate.finish(ended.sum);
                        best.take(Hypothesis::new(ended, true, self.config.length_penalty));
                    }
                    false => stack.push(Prefix {
                        live: live.and(Some(token), log_p),
                        before: step.state.clone(),
                    }),
                }
            }
        }
        if best.found.is_empty() {
            best.found = open;
            best.found.truncate(best.n);
        }
        Searched {
            hypotheses: best.found,
            certificate: Some(certificate),
            pages: None,
        }
    }
}

/// The likeliest translations so far, best first.
struct Best {
    n: usize,
    found: Vec<Hypothesis>,
}

impl Best {
    /// log p that a further translation must exceed.
    fn bound(&self) -> f64 {
        let worst = self.found.get(self.n - 1);
        worst.map_or(f64::NEG_INFINITY, |worst| worst.score)
    }

    /// Beam and depth-first search may find the same translation, with log p that differ by rounding.
    fn take(&mut self, new: Hypothesis) {
        if self.found.iter().any(|other| other.tokens == new.tokens) {
            return;
        }
        let place = (self.found).partition_point(|other| other.score >= new.score);
        self.found.insert(place, new);
        self.found.truncate(self.n);
    }
}
