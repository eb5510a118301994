//! Budget mapping: `argmax pᵀz − ½‖p‖²` over `0 ≤ p ≤ 1`, `Σp = B`.
//!
//! `p = min([x − s]₊, 1)` with s the root of `Σp = B`.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::DType;

use super::bisect::halve;
use super::rows::Rows;
use crate::primitive::Array;

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

/// After counted iterations p at the last midpoint; else after enough of them and three Newton steps
/// (one is exact on the right set of active scores), whose correction is kept apart.
fn solve<B: Backend>(rows: &Rows<B>, budget: &Array<B>, n_iter: Option<usize>) -> Array<B> {
    let Rows { x, low, hidden, .. } = rows;
    let visible = x.scale(0.0).add_scalar(1.0).zero_where(hidden.clone());
    let count = visible.sum();
    // min(B, count)
    let budget = count.sub(&count.sub(budget).at_least(0.0));
    // At s = min x − 1 every visible score has weight 1, at s = 0 none has any.
    let depth = x.clone().zero_where(hidden.clone()).scale(-1.0).max();
    let width = depth.add_scalar(1.0);
    let start = width.scale(-1.0);
    let clamped = |d: Array<B>| d.at_least(0.0).at_most(1.0);
    let halved = halve(start, width, n_iter, |s| {
        clamped(x.sub(s)).sum().sub(&budget)
    });
    if n_iter.is_some() {
        return clamped(x.sub(&halved.midpoint).add(low));
    }
    let x = x.sub(&halved.lower);
    let mut low = low.clone();
    for _ in 0..3 {
        let p = clamped(x.add(&low));
        let n_active = active(&p).sum().at_least(1.0);
        low = low.sub(&p.sum().sub(&budget).div(&n_active));
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
