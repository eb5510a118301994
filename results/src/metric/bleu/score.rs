//! From summed counts to BLEU.

use std::fmt;

use super::{Bleu, Smoothing};

/// Logarithm of a precision of 0, as sacreBLEU and multi-bleu.perl have it: a mean with it in gives
/// 0.
pub(super) const LN_ZERO: f64 = -9_999_999_999.0;

/// BLEU of a corpus or sentence and what it is made of.
///
/// Prints as sacreBLEU does: `BLEU = 48.89 85.7/66.7/40.0/25.0 (BP = 1.000 ratio = 1.000 hyp_len =
/// 7 ref_len = 7)`; `{:.4}` asks for four decimals of the score.
#[derive(Debug, Clone, PartialEq)]
pub struct BleuScore {
    /// BLEU, 0 to 100.
    pub score: f64,
    /// Precision of each order in percent, after smoothing.
    pub precisions: Vec<f64>,
    /// Brevity penalty, 0 to 1.
    pub bp: f64,
    /// Words of the hypotheses.
    pub sys_len: u64,
    /// Words of the references that are closest in length.
    pub ref_len: u64,
    /// Matches of each order, before smoothing.
    pub counts: Vec<u64>,
    /// N-grams of the hypotheses by order, before smoothing.
    pub totals: Vec<u64>,
    /// Protocol.
    pub signature: String,
}

impl fmt::Display for BleuScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precisions: Vec<String> = self
            .precisions
            .iter()
            .map(|precision| format!("{precision:.1}"))
            .collect();
        write!(
            f,
            "BLEU = {:.*} {} (BP = {:.3} ratio = {:.3} hyp_len = {} ref_len = {})",
            f.precision().unwrap_or(2),
            self.score,
            precisions.join("/"),
            self.bp,
            ratio(self.sys_len, self.ref_len),
            self.sys_len,
            self.ref_len,
        )
    }
}

/// Length of the hypotheses relative to the references; 0 without references.
fn ratio(sys_len: u64, ref_len: u64) -> f64 {
    match ref_len {
        0 => 0.0,
        _ => sys_len as f64 / ref_len as f64,
    }
}

/// `exp(1 − ref_len / sys_len)` for hypotheses that are too short, else 1.
pub(super) fn brevity_penalty(sys_len: u64, ref_len: u64) -> f64 {
    match sys_len {
        _ if sys_len >= ref_len => 1.0,
        0 => 0.0,
        _ => (1.0 - ref_len as f64 / sys_len as f64).exp(),
    }
}

/// `exp` of the mean logarithm.
pub(super) fn geometric_mean(values: &[f64]) -> f64 {
    let ln = |&value: &f64| if value == 0.0 { LN_ZERO } else { value.ln() };
    (values.iter().map(ln).sum::<f64>() / values.len() as f64).exp()
}

/// Score of summed counts as [`super::counts`] lays them out.
pub(super) fn score(bleu: &Bleu, sums: &[u64], signature: String) -> BleuScore {
    let (sys_len, ref_len) = (sums[0], sums[1]);
    let (counts, totals) = sums[2..].split_at(bleu.max_order);
    let bp = brevity_penalty(sys_len, ref_len);
    let mut precisions = vec![0.0; bleu.max_order];
    let mut score = 0.0;
    if counts.iter().any(|&count| count > 0) {
        let n_orders = smoothed(bleu, counts, totals, &mut precisions);
        score = bp * geometric_mean(&precisions[..n_orders]);
    }
    BleuScore {
        score,
        precisions,
        bp,
        sys_len,
        ref_len,
        counts: counts.to_vec(),
        totals: totals.to_vec(),
        signature,
    }
}

/// Fills in the precisions in percent and returns how many orders the mean is over.
fn smoothed(bleu: &Bleu, counts: &[u64], totals: &[u64], precisions: &mut [f64]) -> usize {
    let mut n_orders = bleu.max_order;
    let mut halving = 1.0;
    for (order, precision) in precisions.iter_mut().enumerate() {
        let added = match bleu.smooth {
            Smoothing::AddK(k) if order > 0 => k,
            Smoothing::AddK(_) | Smoothing::None | Smoothing::Floor(_) | Smoothing::Exp => 0.0,
        };
        let (count, total) = (counts[order] as f64 + added, totals[order] as f64 + added);
        if total == 0.0 {
            break;
        }
        if bleu.effective_order {
            n_orders = order + 1;
        }
        *precision = match bleu.smooth {
            _ if count > 0.0 => 100.0 * count / total,
            Smoothing::Exp => {
                halving *= 2.0;
                100.0 / (halving * total)
            }
            Smoothing::Floor(value) => 100.0 * value / total,
            Smoothing::None | Smoothing::AddK(_) => 0.0,
        };
    }
    n_orders
}
