//! Logits of starts and ends → answers, as `run_squad.py` of BERT chooses them (Devlin et al. 2019,
//! section 4.2, and `write_predictions` of the published code).

use std::cmp::Ordering;

use super::Window;

/// How many spans are looked at, and how long an answer may be: `n_best_size` and
/// `max_answer_length` of `run_squad.py`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanOptions {
    /// Starts and ends that are looked at in each window, and answers that are kept (`n_best_size`).
    pub n_best: usize,
    /// Tokens of an answer at most (`max_answer_length`).
    pub max_answer_len: usize,
}

impl SpanOptions {
    /// BERT's setting: the 20 best, answers of 30 tokens.
    pub const BERT: Self = Self {
        n_best: 20,
        max_answer_len: 30,
    };
}

/// An answer that a model gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The text of the paragraph, unaltered.
    pub text: String,
    /// Its bytes of the paragraph, `start..end`.
    pub bytes: (usize, usize),
    /// Logit of the start plus logit of the end.
    pub score: f32,
}

/// A window with the logits of its tokens as starts and as ends of the answer, one for each token
/// of the encoding (more, for padding, are not looked at).
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// The window.
    pub window: &'a Window,
    /// Logits of starts.
    pub start: &'a [f32],
    /// Logits of ends.
    pub end: &'a [f32],
}

/// The best answers from all windows of one question, best first; none when no span is possible.
///
/// Of each window the `n_best` starts and ends are paired. A pair counts when both are tokens of
/// the paragraph, the end is not before the start nor more than `max_answer_len` tokens from it,
/// and no other window shows more of the text around the start ([`Window::is_best_view`]). Answers
/// of equal text are given once, by their best score. Logits that are not numbers count as −∞.
pub fn best_spans(context: &str, windows: &[Scored<'_>], options: &SpanOptions) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    for Scored { window, start, end } in windows {
        let range = window.context();
        let ends = best(end, window.encoding.len(), options.n_best);
        for from in best(start, window.encoding.len(), options.n_best) {
            if !range.contains(&from) || !window.is_best_view[from - range.start] {
                continue;
            }
            for &to in &ends {
                let is_short = to >= from && to - from < options.max_answer_len;
                if !range.contains(&to) || !is_short {
                    continue;
                }
                let bytes = (
                    window.encoding.offsets[from].0,
                    window.encoding.offsets[to].1,
                );
                found.push(Span {
                    text: context.get(bytes.0..bytes.1).unwrap_or_default().to_owned(),
                    bytes,
                    score: logit(start, from) + logit(end, to),
                });
            }
        }
    }
    found.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
    let mut kept: Vec<Span> = Vec::new();
    for span in found {
        if kept.len() < options.n_best && kept.iter().all(|other| other.text != span.text) {
            kept.push(span);
        }
    }
    kept
}

/// How much likelier than an answer it is that there is none: the score of no answer (the logits of `[CLS]` as start and as
/// end, of the window where their sum is least) less that of the best answer among `spans`, as `run_squad.py` of BERT has it
/// with `version_2_with_negative`.
///
/// Above a threshold the answer is none. A number always: without a span the largest of single precision.
pub fn null_odds(windows: &[Scored<'_>], spans: &[Span]) -> f64 {
    let of_window = |of: &Scored<'_>| f64::from(logit(of.start, 0)) + f64::from(logit(of.end, 0));
    let null = windows.iter().map(of_window).fold(f64::INFINITY, f64::min);
    let best = spans.iter().find(|span| !span.text.is_empty());
    let odds = best.map_or(f64::INFINITY, |best| null - f64::from(best.score));
    let largest = f64::from(f32::MAX);
    // Of scores that are both −∞ no answer is as good as one.
    match odds.is_nan() {
        true => 0.0,
        false => odds.clamp(-largest, largest),
    }
}

fn logit(logits: &[f32], at: usize) -> f32 {
    let logit = logits.get(at).copied().unwrap_or(f32::NEG_INFINITY);
    if logit.is_nan() {
        f32::NEG_INFINITY
    } else {
        logit
    }
}

/// The `n` places of the highest logits, highest first, of equal ones the first.
fn best(logits: &[f32], len: usize, n: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..len).collect();
    places.sort_by(|&a, &b| logit(logits, b).total_cmp(&logit(logits, a)));
    places.truncate(n);
    places
}
