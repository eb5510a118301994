//! The entmax family in tensor operations: the readable definition that every fast kernel is held
//! to, and the implementation on backends that have no kernel of their own.
//!
//! All functions take scores of shape `[rows, n]`; α and budgets are columns `[rows, 1]`.

mod backward;
mod bisect;
mod budget;
mod exact;
mod large_alpha;
mod normmax;
mod power;
mod rows;
mod series;

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

pub(crate) use backward::{backward, backward_rows, support_power};
pub(crate) use bisect::forward_bisect;
pub(crate) use budget::{backward as budget_backward, forward as budget_forward};
pub(crate) use exact::forward_topk;
pub(crate) use normmax::{backward as normmax_backward, forward as normmax_forward};
pub(crate) use series::phi;

use super::{Bisection, LARGE_ALPHA, Mapping};
use rows::Rows;

/// Value of a mapping whose α is the same for every row.
pub(crate) fn forward<B: Backend>(scores: FloatTensor<B>, mapping: Mapping) -> FloatTensor<B> {
    let rows = Rows::<B>::new(scores);
    let p = match mapping {
        Mapping::Softmax => rows.x.exp(),
        Mapping::Sparsemax => exact::sparsemax(&rows.x),
        Mapping::Entmax15 => exact::entmax15(&rows.x),
        Mapping::Alpha(alpha) => {
            let epsilon = rows.x.column(alpha - 1.0);
            match alpha > LARGE_ALPHA {
                true => large_alpha::entmax(&rows, &epsilon),
                false => bisect::halved(&rows, &epsilon, None),
            }
        }
    };
    rows.normalised(p)
}

/// Value with one α per row.
pub(crate) fn forward_rows<B: Backend>(
    scores: FloatTensor<B>,
    alpha: FloatTensor<B>,
) -> FloatTensor<B> {
    forward_bisect::<B>(scores, alpha, Bisection::default())
}
