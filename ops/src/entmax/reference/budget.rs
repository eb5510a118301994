//! Budget mapping: `argmax pᵀz − ½‖p‖²` over `0 ≤ p ≤ 1`, `Σp = B`.
//!
//! `p = min([x − s]₊, 1)` with s the root of `Σp = B`.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::DType;

use super::bisect::halve;
use super::rows::Rows;
use crate::primitive::{Array, HIDDEN};

/// Weights with one budget ≥ 0 per row, after `n_iter` iterations or as exactly as the type allows. A
/// budget above the number of visible scores gives each of them 1.
pub(crate) fn forward<B: Backend>(
    scores: FloatTensor<B>,
    budget: FloatTensor<B>,
    n_iter: Option<usize>,
) -> FloatTensor<B> {
    let rows = Rows::<B>::new(scores);
    let budget = rows.parameter(budget);
    let rows = rows.invalid_where(budget.is_not_above(-1e-30));
    let p = solve(&rows, &budget, n_iter);
    rows.unnormalised(p)
}

/// The k-th largest score has k ≥ B > k − 1: at a threshold 1 below it the k largest scores have weight 1, at itself the
/// k − 1 largest are all that have any, and s lies between. Measured from that score, no width of a row costs s digits.
///
/// After counted iterations p at the last midpoint; else after enough of them and three Newton steps
/// (one is exact on the right set of active scores), whose correction is kept apart.
fn solve<B: Backend>(rows: &Rows<B>, budget: &Array<B>, n_iter: Option<usize>) -> Array<B> {
    let Rows { z, hidden, .. } = rows;
    let visible = z.scale(0.0).add_scalar(1.0).zero_where(hidden.clone());
    let count = visible.sum();
    // min(B, count)
    let budget = count.sub(&count.sub(budget).at_least(0.0));
    // The first rank that is not below B.
    let above = z.ranks().sub(&budget).is_below(0.0);
    let (x, low) = rows.measured_from(&z.sort_descending().fill_where(above, HIDDEN).max());
    let width = budget.column(1.0);
    let start = budget.column(-1.0);
    let clamped = |d: Array<B>| d.at_least(0.0).at_most(1.0);
    // Σp − B as a sum of what the weights above that score lack of 1, and the others have: whole weights of 1 in the sum would
    // round what it is off by.
    let whole = visible.zero_where(x.is_at_most(0.0));
    let lacking = whole.sum().sub(&budget);
    let excess = |p: &Array<B>| p.sub(&whole).sum().add(&lacking);
    let halved = halve(start, width, n_iter, |s| excess(&clamped(x.sub(s))));
    if n_iter.is_some() {
        return clamped(x.sub(&halved.midpoint).add(&low));
    }
    let x = x.sub(&halved.lower);
    let mut low = low;
    for _ in 0..3 {
        let p = clamped(x.add(&low));
        let n_active = active(&p).sum().at_least(1.0);
        low = low.sub(&excess(&p).div(&n_active));
    }
    let p = clamped(x.add(&low));
    // A weight that is 1 but for rounding is at its bound and does not move.
    let rounding = if p.dtype() == DType::F64 { 1e-15 } else { 5e-7 };
    let at_bound = p.scale(-1.0).is_at_most(rounding - 1.0);
    let one = budget.column(1.0).zero_where(budget.is_at_most(0.0));
    p.fill_where(at_bound, 1.0).mul(&one)
}

/// 1 where 0 < p < 1, else 0.
fn active<B: Backend>(p: &Array<B>) -> Array<B> {
    p.scale(0.0)
        .add_scalar(1.0)
        .zero_where(p.is_at_most(0.0))
        .zero_where(p.scale(-1.0).is_at_most(-1.0))
}

/// Gradients in the scores, `g − mean g` over the weights strictly between 0 and 1, and in the
/// budget, that mean. Where no weight can move, both are 0.
pub(crate) fn backward<B: Backend>(
    weights: FloatTensor<B>,
    grad: FloatTensor<B>,
    budget: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (dtype, budget_dtype) = (weights.dtype(), budget.dtype());
    let active = active(&Array::<B>(weights).widen());
    let grad = Array::<B>(grad).widen();
    let mean = active.mul(&grad).sum().div(&active.sum().at_least(1.0));
    let scores = active.mul(&grad.sub(&mean));
    (scores.cast(dtype).0, mean.cast(budget_dtype).0)
}
