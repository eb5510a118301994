//! Early stopping: training ends when validations no longer get better.

use serde::{Deserialize, Serialize};

use super::{Selection, Validation};

/// The best validation so far, and how many came after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waited {
    /// Larger is better; the bits, because decimal digits may not read back to the same number.
    best_bits: u64,
    /// Validations since, none of which was better.
    since: u64,
}

impl Waited {
    /// After one more validation, judged by what the kept parameters are chosen by: BLEU where it is that, else the loss.
    pub(super) fn after(before: Option<Self>, valid: &Validation, selection: Selection) -> Self {
        let score = match selection {
            Selection::BestBleu => valid.bleu.unwrap_or(f64::NEG_INFINITY),
            Selection::Last | Selection::BestLoss | Selection::Average { .. } => -valid.nll,
        };
        match before {
            Some(of) if !is_better(score, f64::from_bits(of.best_bits)) => Self {
                since: of.since + 1,
                ..of
            },
            Some(_) | None => Self {
                best_bits: score.to_bits(),
                since: 0,
            },
        }
    }

    /// Whether so many validations are too many; 0 = never.
    pub(super) fn is_too_long(self, patience: u64) -> bool {
        patience > 0 && self.since >= patience
    }
}

/// Any number is better than none.
fn is_better(score: f64, best: f64) -> bool {
    score > best || (best.is_nan() && !score.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validations_are_counted_from_the_best() {
        let mut waited = None;
        let mut since = Vec::new();
        for nll in [f64::NAN, 3.0, 2.0, 2.0, 2.5, 1.0, f64::NAN, 1.5] {
            let of = Waited::after(waited, &Validation::of(nll), Selection::Last);
            since.push((of.since, of.is_too_long(2), of.is_too_long(0)));
            waited = Some(of);
        }
        let counts: Vec<u64> = since.iter().map(|of| of.0).collect();
        assert_eq!(counts, [0, 0, 0, 1, 2, 0, 1, 2]);
        assert!(since.iter().all(|of| of.1 == (of.0 == 2) && !of.2));
    }

    #[test]
    fn bleu_counts_where_it_chooses() {
        let valid = |nll, bleu| Validation {
            nll,
            bleu: Some(bleu),
        };
        let since = |selection| {
            let first = Waited::after(None, &valid(2.0, 10.0), selection);
            Waited::after(Some(first), &valid(1.0, 9.0), selection).since
        };
        assert_eq!(
            (since(Selection::BestLoss), since(Selection::BestBleu)),
            (0, 1)
        );
    }
}
