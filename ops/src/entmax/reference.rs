//! The entmax family in tensor operations: the readable definition that every fast kernel is held
//! to, and the implementation on backends that have no kernel of their own.
//!
//! All functions take scores of shape `[rows, n]`; α is a column `[rows, 1]`.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;

use super::Mapping;
use crate::primitive::{Array, HIDDEN, hidden_at};

/// `x = z − max z ≤ 0` as an unevaluated sum of two floats, in f32 at least, with hidden scores at
/// [`HIDDEN`]. The low part holds the rounding error of the difference (Knuth's two-sum): near the
/// edge of the support p = u^{1/ε} magnifies it when α > 2.
struct Centred<B: Backend> {
    x: Array<B>,
    low: Array<B>,
}

fn centred<B: Backend>(scores: &Array<B>) -> Centred<B> {
    let z = scores.clone().widen().at_least(HIDDEN);
    let max = z.max();
    let x = z.sub(&max);
    let back = x.sub(&z);
    let low = z.sub(&x.sub(&back)).sub(&max.add(&back));
    Centred { x, low }
}

/// Runs `map` on the centred scores and gives hidden scores zero weight.
fn with_hidden<B: Backend>(
    scores: FloatTensor<B>,
    map: impl FnOnce(Centred<B>) -> Array<B>,
) -> FloatTensor<B> {
    let scores = Array::<B>(scores);
    let dtype = scores.dtype();
    let hidden = scores.is_at_most(hidden_at(dtype));
    map(centred(&scores)).zero_where(hidden).cast(dtype).0
}

/// Value of a mapping whose α is the same for every row.
pub(crate) fn forward<B: Backend>(scores: FloatTensor<B>, mapping: Mapping) -> FloatTensor<B> {
    match mapping {
        Mapping::Softmax => with_hidden::<B>(scores, |z| softmax(z.x)),
        Mapping::Sparsemax => with_hidden::<B>(scores, |z| sparsemax(z.x)),
        Mapping::Entmax15 => with_hidden::<B>(scores, |z| entmax15(z.x)),
        Mapping::Alpha(alpha) => with_hidden::<B>(scores, |z| {
            let epsilon = z.x.max().scale(0.0).add_scalar(alpha - 1.0);
            bisect(z, epsilon)
        }),
    }
}

/// Value with one α per row.
pub(crate) fn forward_rows<B: Backend>(
    scores: FloatTensor<B>,
    alpha: FloatTensor<B>,
) -> FloatTensor<B> {
    let alpha = Array::<B>(alpha).widen();
    with_hidden::<B>(scores, |z| bisect(z, alpha.add_scalar(-1.0)))
}

fn softmax<B: Backend>(x: Array<B>) -> Array<B> {
    let p = x.exp();
    p.div(&p.sum())
}

/// `p = [x − τ]₊` with `τ = max_ρ (Σ_{i≤ρ} x_(i) − 1)/ρ` over the sorted scores: every prefix of ρ
/// scores gives a lower bound of τ, and the support attains it (Martins & Astudillo 2016).
fn sparsemax<B: Backend>(x: Array<B>) -> Array<B> {
    // τ ≥ −1, so lower scores can be raised to −2: no cancellation in the prefix sums.
    let x = x.at_least(-2.0);
    let prefix = x.sort_descending().cumsum().add_scalar(-1.0);
    let tau = prefix.div(&x.ranks()).max();
    normalised(x.sub(&tau).at_least(0.0))
}

/// `p = [x/2 − τ]₊²` with τ from the prefix whose own threshold still admits its last score
/// (Peters, Niculae & Martins 2019, Algorithm 2).
fn entmax15<B: Backend>(x: Array<B>) -> Array<B> {
    let x = x.scale(0.5).at_least(-1.5);
    let sorted = x.sort_descending();
    let rank = x.ranks();
    let mean = sorted.cumsum().div(&rank);
    let mean_of_squares = sorted.mul(&sorted).cumsum().div(&rank);
    let scatter = mean_of_squares.sub(&mean.mul(&mean)).mul(&rank);
    let delta = scatter.scale(-1.0).add_scalar(1.0).div(&rank).at_least(0.0);
    let tau = mean.sub(&delta.sqrt());
    // τ_ρ ≤ x_(ρ) holds on a prefix; its last member is the smallest score in the support.
    let outside = {
        let all = tau.is_at_most_of(&sorted);
        sorted.scale(0.0).add_scalar(1.0).zero_where(all)
    };
    let support = outside.scale(-1.0).add_scalar(1.0).sum();
    // |ρ − k| < ½ picks τ_k without a gather.
    let distance = rank.sub(&support);
    let distance = distance.mul(&distance);
    let elsewhere = distance.scale(-1.0).is_at_most(-0.25);
    let tau = tau.zero_where(elsewhere).sum();
    let root = x.sub(&tau).at_least(0.0);
    normalised(root.mul(&root))
}

/// α-entmax: `p = [1 + ε(x − s)]₊^{1/ε}` with `ε = α − 1` and s the root of `Σp = 1` in
/// `[0, min(log n, 1/ε)]`; by bisection, then one Newton step whose correction is kept apart so that
/// s has more digits than one float holds.
fn bisect<B: Backend>(z: Centred<B>, epsilon: Array<B>) -> Array<B> {
    let power = Power::new(&epsilon);
    let log_n = (z.x.shape()[1] as f64).ln();
    let n_iter = if z.x.dtype() == DType::F64 { 62 } else { 34 };
    // log n / max(1, ε·log n)
    let mut width = epsilon.scale(log_n).at_least(1.0).recip().scale(log_n);
    let mut low = power.origin.scale(-1.0);
    for _ in 0..n_iter {
        width = width.scale(0.5);
        let excess = power.of(&z.x.sub(&low.add(&width))).sum().add_scalar(-1.0);
        let too_small = excess.is_at_most(0.0);
        low = low.add(&width.clone().zero_where(too_small));
    }
    let x = z.x.sub(&low);
    let p = power.of(&x.add(&z.low));
    let slope = support_power(&p, &epsilon).sum();
    let correction = p.sum().add_scalar(-1.0).div(&slope);
    normalised(power.of(&x.add(&z.low.sub(&correction))))
}

/// `[1 + ε(x − s)]₊^{1/ε}` as a function of `d = x − s + origin`.
///
/// Near α = 1 (ε < ½) the origin is 0 and the power is `exp(d·ψ(εd))` with `ψ(t) = log(1+t)/t`:
/// softmax at ε = 0, no cancellation, no branch on α. From ε = ½ on the origin is 1/ε, so that d is
/// the distance to the edge of the support and keeps its digits there: the power is `(εd)^{1/ε}`.
struct Power<B: Backend> {
    epsilon: Array<B>,
    /// 1/ε, finite also at ε = 0.
    exponent: Array<B>,
    origin: Array<B>,
    smooth: Array<B>,
}

impl<B: Backend> Power<B> {
    fn new(epsilon: &Array<B>) -> Self {
        let one = epsilon.scale(0.0).add_scalar(1.0);
        let exponent = epsilon.at_least(0.5).recip();
        let edge = one.clone().zero_where(epsilon.is_at_most(0.4999));
        Self {
            epsilon: epsilon.clone(),
            origin: exponent.mul(&edge),
            exponent,
            smooth: one.sub(&edge),
        }
    }

    fn of(&self, d: &Array<B>) -> Array<B> {
        // One of the two factors is 0 in each row: t = εd near α = 1, u = εd at the edge.
        let scaled = d.mul(&self.epsilon);
        let inside = scaled.add(&self.smooth);
        let outside = inside.is_at_most(0.0);
        let t = scaled.mul(&self.smooth).at_least(-1.0);
        let smooth = d.mul(&log1p_over(&t)).mul(&self.smooth);
        let edge = inside.at_least(1e-37).log().mul(&self.exponent);
        let edge = edge.mul(&self.smooth.scale(-1.0).add_scalar(1.0));
        smooth.add(&edge).exp().zero_where(outside)
    }
}

/// `ψ(t) = log(1 + t)/t` for t > −1, with ψ(0) = 1: near 0 by the series of
/// `2·artanh(r)/t`, `r = t/(2+t)`, since not every device has an exact log1p.
fn log1p_over<B: Backend>(t: &Array<B>) -> Array<B> {
    let n_terms = if t.dtype() == DType::F64 { 14 } else { 6 };
    let denominator = t.add_scalar(2.0).recip();
    let r = t.mul(&denominator);
    let square = r.mul(&r);
    let mut series = square.scale(0.0);
    for k in (0..n_terms).rev() {
        series = series.mul(&square).add_scalar(1.0 / (2 * k + 1) as f64);
    }
    let near = series.mul(&denominator).scale(2.0);
    let far_t = t.at_most(-0.25);
    let far = far_t.add_scalar(1.0).at_least(1e-37).log().div(&far_t);
    near.replace_where(t.is_at_most(-0.25), far)
}

/// `φ(t) = (eᵗ − 1 − t)/t²` for t ≥ 0, with φ(0) = ½.
fn phi<B: Backend>(t: &Array<B>) -> Array<B> {
    let n_terms = if t.dtype() == DType::F64 { 18 } else { 9 };
    let small = t.at_most(1.0);
    let mut near = small.scale(0.0);
    // Σ tᵏ/(k+2)!, by Horner's rule: 1/2·(1 + t/3·(1 + t/4·(…)))
    for k in (1..n_terms).rev() {
        near = near.add_scalar(1.0).mul(&small).scale(1.0 / (k + 2) as f64);
    }
    let near = near.add_scalar(1.0).scale(0.5);
    let large = t.at_least(1.0).at_most(80.0);
    let far = large
        .exp()
        .sub(&large)
        .add_scalar(-1.0)
        .div(&large.mul(&large));
    far.replace_where(t.is_at_most(1.0), near)
}

fn normalised<B: Backend>(p: Array<B>) -> Array<B> {
    p.div(&p.sum())
}

/// Gradient in the scores, `s·(g − Σsg/Σs)` with `s = p^{2−α}` on the support (Peters et al. 2019,
/// Proposition 2); zeros where the whole row is hidden.
fn backward_scores<B: Backend>(s: &Array<B>, grad: &Array<B>) -> Array<B> {
    let mean = s.mul(grad).sum().div(&s.sum().at_least(1e-30));
    s.mul(&grad.sub(&mean))
}

/// `p^{2−α} = p·p^{−ε}` on the support, else 0.
fn support_power<B: Backend>(p: &Array<B>, epsilon: &Array<B>) -> Array<B> {
    let outside = p.is_at_most(0.0);
    let exponent = epsilon.scale(-1.0).add_scalar(1.0);
    p.at_least(1e-38)
        .log()
        .mul(&exponent)
        .exp()
        .zero_where(outside)
}

/// Gradient in the scores of a mapping whose α is the same for every row.
pub(crate) fn backward<B: Backend>(
    weights: FloatTensor<B>,
    grad: FloatTensor<B>,
    mapping: Mapping,
) -> FloatTensor<B> {
    let dtype = Array::<B>(weights.clone()).dtype();
    let p = Array::<B>(weights).widen();
    let grad = Array::<B>(grad).widen();
    let s = match mapping {
        Mapping::Softmax => p,
        Mapping::Sparsemax => p.scale(0.0).add_scalar(1.0).zero_where(p.is_at_most(0.0)),
        Mapping::Entmax15 => p.sqrt(),
        Mapping::Alpha(alpha) => {
            let epsilon = p.max().scale(0.0).add_scalar(alpha - 1.0);
            support_power(&p, &epsilon)
        }
    };
    backward_scores(&s, &grad).cast(dtype).0
}

/// Gradients in the scores `[rows, n]` and in α `[rows, 1]`, with one α per row.
///
/// With `l = log p`, `w = l²·φ(−εl)`, `L = Σpl`, `W = Σpw` on the support:
/// `dp/dα = p·[W − w + ε(L·w − l·W)] / (1 − εL + ε²W)`, which is Correia et al. 2019,
/// Proposition 1, without its cancellation near α = 1.
pub(crate) fn backward_rows<B: Backend>(
    weights: FloatTensor<B>,
    grad: FloatTensor<B>,
    alpha: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (dtype, alpha_dtype) = (
        Array::<B>(weights.clone()).dtype(),
        Array::<B>(alpha.clone()).dtype(),
    );
    let p = Array::<B>(weights).widen();
    let grad = Array::<B>(grad).widen();
    let epsilon = Array::<B>(alpha).widen().add_scalar(-1.0);

    let scores = backward_scores(&support_power(&p, &epsilon), &grad);

    let outside = p.is_at_most(0.0);
    let l = p.at_least(1e-38).log().zero_where(outside);
    let t = l.mul(&epsilon).scale(-1.0);
    let w = l.mul(&l).mul(&phi(&t));
    let sum_l = p.mul(&l).sum();
    let sum_w = p.mul(&w).sum();
    let scale = epsilon
        .mul(&epsilon.mul(&sum_w).sub(&sum_l))
        .add_scalar(1.0);
    let bracket = sum_w
        .sub(&w)
        .add(&sum_l.mul(&w).sub(&l.mul(&sum_w)).mul(&epsilon));
    let d_alpha = p.mul(&bracket).mul(&grad).sum().div(&scale);
    (scores.cast(dtype).0, d_alpha.cast(alpha_dtype).0)
}
