//! Losses in tensor operations.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata, get_device_settings};
use burn::tensor::Shape;

use super::LARGEST_KEPT_LOSS;
use crate::backend::SpartaBackend;
use crate::entmax::Mapping;
use crate::entmax::reference::phi;
use crate::primitive::{Array, HIDDEN};

/// `log Σ_j exp(z_j)`, `[rows]`.
pub(crate) fn log_partition<B: Backend>(scores: FloatTensor<B>) -> FloatTensor<B> {
    let rows = scores.shape()[0];
    let scores = Array::<B>(scores);
    let dtype = scores.dtype();
    let log_partition = log_sum_exp(&scores.widen()).cast(dtype);
    B::float_reshape(log_partition.0, Shape::from([rows]))
}

/// `log Σ_j exp(z_j)`, `[rows, 1]`.
fn log_sum_exp<B: Backend>(scores: &Array<B>) -> Array<B> {
    let max = scores.max();
    scores.sub(&max).exp().sum().log().add(&max)
}

/// `log Σ_j exp(z_j) − z_target`, `[rows]`; 0 where the target is negative.
pub(crate) fn forward<B: Backend>(logits: FloatTensor<B>, targets: IntTensor<B>) -> FloatTensor<B> {
    let rows = logits.shape()[0];
    let logits = Array::<B>(logits);
    let dtype = logits.dtype();
    let logits = logits.widen();
    let log_partition = log_sum_exp(&logits);
    let chosen = Array::<B>(B::float_gather(
        1,
        logits.0,
        column::<B>(targets.clone(), rows),
    ));
    let loss = log_partition.sub(&chosen).cast(dtype);
    let loss = Array::<B>(B::float_reshape(loss.0, Shape::from([rows])));
    loss.zero_where(ignored::<B>(targets)).0
}

/// `g·(softmax(z) − e_target)`, with `log Σexp(z) = loss + z_target` where the loss has the digits for that, in f32 at least
/// and up to [`LARGEST_KEPT_LOSS`], and summed again elsewhere.
pub(crate) fn backward<B: Backend>(
    logits: FloatTensor<B>,
    targets: IntTensor<B>,
    loss: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let shape = logits.shape();
    let logits = Array::<B>(logits);
    let dtype = logits.dtype();
    let logits = logits.widen();
    let index = column::<B>(targets.clone(), shape[0]);
    let as_column =
        |x: FloatTensor<B>| Array::<B>(B::float_reshape(x, Shape::from([shape[0], 1]))).widen();
    let chosen = Array::<B>(B::float_gather(1, logits.0.clone(), index.clone()));
    let of_row = log_sum_exp(&logits);
    let log_partition = match dtype == logits.dtype() {
        false => of_row,
        true => {
            let loss = as_column(loss);
            let is_exact = loss.is_at_most(LARGEST_KEPT_LOSS);
            of_row.replace_where(is_exact, loss.add(&chosen))
        }
    };
    let grad = as_column(Array::<B>(grad).zero_where(ignored::<B>(targets)).0);
    let softmax = logits.sub(&log_partition).exp().mul(&grad);
    let target = Array::<B>(B::float_scatter(
        1,
        softmax.0,
        index,
        grad.scale(-1.0).0,
        burn::tensor::IndexingUpdateOp::Add,
    ));
    target.cast(dtype).0
}

/// The Fenchel–Young loss `Σ p(z − z_y) + H_α(p)` of each row against its class y, `[rows]`, and the
/// weights p; 0 where the target is negative or every score is hidden. Scores in f32 at least.
pub(crate) fn entmax_forward<B: SpartaBackend>(
    scores: FloatTensor<B>,
    targets: IntTensor<B>,
    mapping: Mapping,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let rows = scores.shape()[0];
    let weights = B::entmax_forward(scores.clone(), mapping);
    let p = Array::<B>(weights.clone());
    let z = Array::<B>(scores);
    let hidden = z.is_at_most(HIDDEN);
    let z = z.fill_where(hidden, HIDDEN);
    let index = column::<B>(targets.clone(), rows);
    let chosen = Array::<B>(B::float_gather(1, z.0.clone(), index));
    let loss = p.mul(&z.sub(&chosen)).sum().add(&entropy(&p, mapping));
    // It is ≥ 0 but for rounding.
    let below = loss.is_at_most(0.0);
    let unseen = p.max().is_at_most(0.0);
    let loss = loss.zero_where(below).zero_where(unseen);
    let loss = Array::<B>(B::float_reshape(loss.0, Shape::from([rows])));
    (loss.zero_where(ignored::<B>(targets)).0, weights)
}

/// Its gradient in the scores, `g·(p − e_y)`.
pub(crate) fn entmax_backward<B: Backend>(
    weights: FloatTensor<B>,
    targets: IntTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let rows = weights.shape()[0];
    let p = Array::<B>(weights);
    let grad = Array::<B>(grad).zero_where(ignored::<B>(targets.clone()));
    let grad = Array::<B>(B::float_reshape(grad.0, Shape::from([rows, 1])));
    let grad = grad.zero_where(p.max().is_at_most(0.0));
    B::float_scatter(
        1,
        p.mul(&grad).0,
        column::<B>(targets, rows),
        grad.scale(-1.0).0,
        burn::tensor::IndexingUpdateOp::Add,
    )
}

/// `H_α(p)` of weights that sum to 1, `[rows, 1]`.
fn entropy<B: Backend>(p: &Array<B>, mapping: Mapping) -> Array<B> {
    let below_one = |x: &Array<B>| x.scale(-1.0).add_scalar(1.0);
    match mapping {
        Mapping::Softmax => p.mul(&p.at_least(1e-38).log()).sum().scale(-1.0),
        Mapping::Sparsemax => p.mul(&below_one(p)).sum().scale(0.5),
        Mapping::Entmax15 => p.mul(&below_one(&p.sqrt())).sum().scale(4.0 / 3.0),
        Mapping::Alpha(alpha) => {
            let alpha = p.column(alpha).0;
            Array(tsallis_forward::<B>(p.0.clone(), alpha))
        }
    }
}

/// The Tsallis entropy `H_α(p)` of each row, `[rows, 1]`, with one α per row.
///
/// With `l = log p`, `t = εl`: `H = −Σpl(1 + tφ(t))/α`, which is `(1 − Σpᵅ)/(α(α−1))` without its cancellation near
/// α = 1, and without a power that overflows above it.
pub(crate) fn tsallis_forward<B: Backend>(
    weights: FloatTensor<B>,
    alpha: FloatTensor<B>,
) -> FloatTensor<B> {
    let alpha = Array::<B>(alpha).cast(weights.dtype());
    let (linear, _) = tsallis_sums(&Array(weights), &alpha);
    linear.div(&alpha).scale(-1.0).0
}

/// Its gradient in α at fixed p, `∂H/∂α = Σpl(1 + tφ(t))/α² − Σpl²(1 + (t − 1)φ(t))/α`.
pub(crate) fn tsallis_backward<B: Backend>(
    weights: FloatTensor<B>,
    alpha: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let dtype = alpha.dtype();
    let alpha = Array::<B>(alpha).cast(weights.dtype());
    let (linear, square) = tsallis_sums(&Array(weights), &alpha);
    let slope = linear.div(&alpha).sub(&square).div(&alpha);
    slope.mul(&Array(grad)).cast(dtype).0
}

/// `Σpl(1 + tφ(t))` and `Σpl²(1 + (t − 1)φ(t))`.
fn tsallis_sums<B: Backend>(p: &Array<B>, alpha: &Array<B>) -> (Array<B>, Array<B>) {
    let epsilon = alpha.add_scalar(-1.0);
    let l = p.at_least(1e-38).log();
    let t = l.mul(&epsilon);
    let phi = phi(&t);
    let pl = p.mul(&l);
    let linear = pl.mul(&t.mul(&phi).add_scalar(1.0)).sum();
    let square = t.add_scalar(-1.0).mul(&phi).add_scalar(1.0);
    (linear, pl.mul(&l).mul(&square).sum())
}

/// Targets as a `[rows, 1]` index, ignored ones pointing at class 0.
fn column<B: Backend>(targets: IntTensor<B>, rows: usize) -> IntTensor<B> {
    let ignored = ignored::<B>(targets.clone());
    let targets = B::int_mask_fill(targets, ignored, 0i64.into());
    B::int_reshape(targets, Shape::from([rows, 1]))
}

fn ignored<B: Backend>(targets: IntTensor<B>) -> burn::backend::tensor::BoolTensor<B> {
    let bool_dtype = get_device_settings::<B>(&targets.device()).bool_dtype;
    B::int_lower_elem(targets, 0i64.into(), bool_dtype)
}
