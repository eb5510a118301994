//! Beam search.

use burn::prelude::*;
use burn::tensor::assert_shape;

use super::candidates::NextTokens;
use super::stepper::Stepper;
use super::{DecodeConfig, Stop};
use crate::error::ModelError;
use crate::seq2seq::{MaskRows, Seq2Seq, Seq2SeqMasks};

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
    fn new(live: Live, finished: bool, length_penalty: f64) -> Self {
        let length = live.log_probabilities.len().max(1) as f64;
        Self {
            score: live.sum / length.powf(length_penalty),
            tokens: live.tokens,
            log_probabilities: live.log_probabilities,
            finished,
        }
    }
}

/// A hypothesis that is being written.
#[derive(Debug, Clone)]
struct Live {
    tokens: Vec<i32>,
    log_probabilities: Vec<f64>,
    sum: f64,
}

impl Live {
    fn and(&self, token: Option<i32>, log_p: f64) -> Self {
        let mut next = self.clone();
        next.tokens.extend(token);
        next.log_probabilities.push(log_p);
        next.sum += log_p;
        next
    }
}

/// A sentence that is being translated.
struct Sentence {
    /// Its place in the batch.
    place: usize,
    max_len: usize,
    /// `None` fills a row that has no hypothesis.
    live: Vec<Option<Live>>,
    finished: Vec<Hypothesis>,
}

/// The `n_best` translations of each source sentence, best first, by a model in evaluation mode.
///
/// As fairseq's `SequenceGenerator`: each step extends the hypotheses of a sentence by their likeliest
/// tokens, takes the 2·`beam_size` best, finishes those among the first `beam_size` that end, and goes on
/// with the best `beam_size` of the others; a sentence is done as [`Stop`] says or at its longest length,
/// where every hypothesis must end. Unlike there, the longest length of a sentence
/// depends on its own tokens and not on the padding of its batch, so that a translation does not depend on
/// the batch. Of equal scores the earlier hypothesis and the lower token come first.
///
/// # Shapes
/// - source, padding: `[batch, source_len]`; output: up to `n_best` hypotheses for each of `batch`
///
/// # Errors
/// [`ModelError::Config`] for settings that cannot be, [`ModelError::AttentionMaskCount`] or
/// [`ModelError::AttentionMaskShape`] for masks that do not fit the model or the longest length.
///
/// # Panics
/// If the source is longer than the model's `max_len`, or the padding is of another shape.
///
/// # Source
/// `SequenceGenerator` of facebookresearch/fairseq.
///
/// ```
/// use burn::module::Module;
/// use burn::prelude::*;
/// use sparta_model::decode::{DecodeConfig, beam_search};
/// use sparta_model::seq2seq::{Seq2SeqConfig, Seq2SeqMasks};
///
/// let device = Device::flex();
/// let model = Seq2SeqConfig::new(10, 12, 16, 2, 32, 1, 1).init(&device); // a trained one: `model.valid()`
/// let source = Tensor::<2, Int>::from_ints([[4, 5, 6, 2]], &device);
/// let config = DecodeConfig::new(2, 2).with_never(vec![1]).with_max_len_b(8).with_n_best(3);
/// let found = beam_search(&model, source, None, &Seq2SeqMasks::default(), &config).unwrap();
/// assert!(found[0].len() <= 3 && found[0][0].tokens.len() <= 8);
/// ```
pub fn beam_search(
    model: &Seq2Seq,
    source: Tensor<2, Int>,
    padding: Option<Tensor<2, Bool>>,
    masks: &Seq2SeqMasks,
    config: &DecodeConfig,
) -> Result<Vec<Vec<Hypothesis>>, ModelError> {
    config.validate()?;
    let [batch, source_len] = source.dims();
    if let Some(padding) = &padding {
        assert_shape!(padding, [batch, source_len]);
    }
    let device = source.device();
    let lengths = lengths(padding.as_ref(), batch, source_len);
    // The start token and all but the end are read.
    let longest = |length: &usize| config.max_len(*length).min(model.max_len() - 1);
    let target_len = lengths.iter().map(longest).max().unwrap_or(0) + 1;
    model.check_masks(masks, source_len, target_len)?;
    let has_rows = config.cache || masks.rows == MaskRows::True;
    crate::check::check(
        has_rows,
        "cache",
        &config.cache,
        "true with paper-faithful mask rows: only incremental decoding has them",
    )?;

    let mut done = vec![Vec::new(); batch];
    let mut sentences: Vec<Sentence> = (lengths.iter().enumerate())
        .map(|(place, length)| Sentence {
            place,
            max_len: longest(length),
            live: vec![Some(Live {
                tokens: Vec::new(),
                log_probabilities: Vec::new(),
                sum: 0.0,
            })],
            finished: Vec::new(),
        })
        .collect();
    if batch == 0 {
        return Ok(done);
    }
    let encoded = model.encode(source, padding, masks, false);
    let mut stepper = Stepper::new(model, masks, encoded, config.cache);
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

        let (mut rows, mut kept) = (Vec::new(), Vec::new());
        let mut first_row = 0;
        let mut going_on = Vec::with_capacity(sentences.len());
        for (i, mut sentence) in sentences.into_iter().enumerate() {
            let n_rows = sentence.live.len();
            let parents = sentence.extend(&next, first_row, config);
            match parents {
                Some(parents) => {
                    rows.extend(parents.iter().map(|parent| first_row + parent));
                    kept.push(i);
                    going_on.push(sentence);
                }
                None => {
                    let place = sentence.place;
                    done[place] = sentence.best(config);
                }
            }
            first_row += n_rows;
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
            if token != config.end {
                if live.len() < config.beam_size {
                    parents.push(parent);
                    live.push(Some(before.and(Some(token), log_p)));
                }
            } else if place < config.beam_size && self.takes_more(config) {
                let ended = before.and(None, log_p);
                self.finished
                    .push(Hypothesis::new(ended, true, config.length_penalty));
            }
        }
        if live.is_empty() || self.is_done(&live, config) {
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

    /// The best 2·`beam_size` continuations of all hypotheses: log p of the token, hypothesis, token.
    fn candidates(
        &self,
        next: &NextTokens,
        first_row: usize,
        config: &DecodeConfig,
    ) -> Vec<(f64, usize, i32)> {
        let n = 2 * config.beam_size;
        let mut all = Vec::with_capacity(n * self.live.len());
        for (row, live) in self.live.iter().enumerate() {
            let Some(live) = live else { continue };
            let length = live.tokens.len();
            let allowed = |token: i32| match token == config.end {
                true => length >= config.min_len || length >= self.max_len,
                false => length < self.max_len && !config.never.contains(&token),
            };
            let best = next.best(first_row + row, n, allowed).into_iter();
            all.extend(best.map(|(log_p, token)| (live.sum + log_p, log_p, row, token)));
        }
        // The sort is stable: of equals the earlier hypothesis and the lower token stay first.
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all.truncate(n);
        all.into_iter()
            .map(|(_, log_p, row, token)| (log_p, row, token))
            .collect()
    }

    /// The best finished hypotheses; if the model ended none, unfinished ones.
    fn best(self, config: &DecodeConfig) -> Vec<Hypothesis> {
        let mut found = self.finished;
        if found.is_empty() {
            let live = self.live.into_iter().flatten();
            found.extend(live.map(|live| Hypothesis::new(live, false, config.length_penalty)));
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(config.n_best);
        found
    }
}

/// Tokens of each sentence that are not padding.
fn lengths(padding: Option<&Tensor<2, Bool>>, batch: usize, source_len: usize) -> Vec<usize> {
    let Some(padding) = padding else {
        return vec![source_len; batch];
    };
    let counts = padding.clone().bool_not().int().sum_dim(1).into_data();
    counts.iter::<i64>().map(|count| count as usize).collect()
}
