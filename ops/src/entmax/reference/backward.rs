//! Gradients of softmax, sparsemax and the entmax family, from the weights alone.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::DType;

use super::{large_alpha, phi};
use crate::entmax::{LARGE_ALPHA, Mapping};
use crate::primitive::Array;

/// Gradient in the scores, `s·(g − Σsg/Σs)` with `s = p^{2−α}` on the support (Peters et al. 2019,
/// Proposition 2); zeros where the whole row is hidden.
fn backward_scores<B: Backend>(s: &Array<B>, grad: &Array<B>) -> Array<B> {
    let mean = s.mul(grad).sum().div(&s.sum().at_least(1e-30));
    s.mul(&grad.sub(&mean))
}

/// `p^{2−α} = p·p^{−ε}` on the support, else 0; the second factor is held at e⁸⁰ in f32, which only an
/// α in the hundreds reaches.
pub(crate) fn support_power<B: Backend>(p: &Array<B>, epsilon: &Array<B>) -> Array<B> {
    let limit = if p.dtype() == DType::F64 { 700.0 } else { 80.0 };
    let power = p.at_least(1e-38).log().mul(epsilon).scale(-1.0);
    p.mul(&power.at_most(limit).exp())
}

/// Gradient in the scores of a mapping whose α is the same for every row.
pub(crate) fn backward<B: Backend>(
    weights: FloatTensor<B>,
    grad: FloatTensor<B>,
    mapping: Mapping,
) -> FloatTensor<B> {
    let dtype = weights.dtype();
    let p = Array::<B>(weights).widen();
    let grad = Array::<B>(grad).widen();
    let s = match mapping {
        Mapping::Softmax => p,
        Mapping::Sparsemax => p.scale(0.0).add_scalar(1.0).zero_where(p.is_at_most(0.0)),
        Mapping::Entmax15 => p.sqrt(),
        Mapping::Alpha(alpha) if alpha > LARGE_ALPHA => {
            let (scores, _) = large_alpha::backward(&p, &grad, &p.column(alpha - 1.0));
            return scores.cast(dtype).0;
        }
        Mapping::Alpha(alpha) => support_power(&p, &p.column(alpha - 1.0)),
    };
    backward_scores(&s, &grad).cast(dtype).0
}

/// Gradients in the scores `[rows, n]` and in α `[rows, 1]`, with one α per row.
///
/// With `l = log p`, `w = l²·φ(−εl)`, `L = Σpl`, `W = Σpw` on the support:
/// `dp/dα = p·[W − w + ε(L·w − l·W)] / (1 − εL + ε²W)`, which is Correia et al. 2019,
/// Proposition 1, without its cancellation near α = 1. Above α = 2 the form of [`large_alpha`] is taken.
pub(crate) fn backward_rows<B: Backend>(
    weights: FloatTensor<B>,
    grad: FloatTensor<B>,
    alpha: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (dtype, alpha_dtype) = (weights.dtype(), alpha.dtype());
    let p = Array::<B>(weights).widen();
    let grad = Array::<B>(grad).widen();
    let epsilon = Array::<B>(alpha).cast(p.dtype()).add_scalar(-1.0);

    let scores = backward_scores(&support_power(&p, &epsilon), &grad);

    let outside = p.is_at_most(0.0);
    let l = p.at_least(1e-38).log().zero_where(outside);
    let t = l.mul(&epsilon).scale(-1.0);
    let w = l.squared().mul(&phi(&t));
    let sum_l = p.mul(&l).sum();
    let sum_w = p.mul(&w).sum();
    let scale = epsilon
        .mul(&epsilon.mul(&sum_w).sub(&sum_l))
        .add_scalar(1.0);
    let bracket = sum_w
        .sub(&w)
        .add(&sum_l.mul(&w).sub(&l.mul(&sum_w)).mul(&epsilon));
    let d_alpha = p.mul(&bracket).mul(&grad).sum().div(&scale);
    if large_alpha::is_any_large(&epsilon) {
        let (large_scores, large_d_alpha) = large_alpha::backward(&p, &grad, &epsilon);
        let small = large_alpha::is_small(&epsilon, &p);
        let scores = large_scores.replace_where(small, scores);
        let small = large_alpha::is_small(&epsilon, &d_alpha);
        let d_alpha = large_d_alpha.replace_where(small, d_alpha);
        return (scores.cast(dtype).0, d_alpha.cast(alpha_dtype).0);
    }
    (scores.cast(dtype).0, d_alpha.cast(alpha_dtype).0)
}
