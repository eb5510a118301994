//! Scores before and after a mapping: centred, with what is hidden or wrong set apart.

use burn::backend::Backend;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::tensor::DType;

use crate::primitive::{Array, HIDDEN, hidden_at};

/// `x = z − max z ≤ 0` as an unevaluated sum of two floats, in f32 at least, with hidden scores at
/// [`HIDDEN`]. The low part holds the rounding error of the difference (Knuth's two-sum): near the
/// boundary of the support p = u^{1/ε} magnifies it.
pub(super) struct Rows<B: Backend> {
    /// The scores, in f32 at least, hidden ones at [`HIDDEN`].
    pub z: Array<B>,
    pub x: Array<B>,
    pub low: Array<B>,
    /// Scores without weight.
    pub hidden: BoolTensor<B>,
    /// Rows `[rows, 1]` that become NaN: a score is NaN or +∞, or the row's parameter has no meaning. Kept
    /// apart because not every backend's maximum and clamp pass NaN on.
    invalid: BoolTensor<B>,
    dtype: DType,
}

impl<B: Backend> Rows<B> {
    pub fn new(scores: FloatTensor<B>) -> Self {
        let scores = Array::<B>(scores);
        let dtype = scores.dtype();
        let hidden = scores.is_at_most(hidden_at(dtype));
        let z = scores.widen().fill_where(hidden.clone(), HIDDEN);
        let max = z.max();
        let (x, low) = measured(&z, &max);
        Self {
            invalid: B::bool_or(z.sum().is_nan(), max.is_infinite()),
            z,
            x,
            low,
            hidden,
            dtype,
        }
    }

    /// The scores measured from another origin than the largest, one `[rows, 1]` per row: `z − origin` as the sum of two
    /// floats. The origin is a score that can be seen, or [`HIDDEN`].
    pub fn measured_from(&self, origin: &Array<B>) -> (Array<B>, Array<B>) {
        measured(&self.z, origin)
    }

    /// Rows where the mask `[rows, 1]` is true become NaN too.
    pub fn invalid_where(mut self, mask: BoolTensor<B>) -> Self {
        self.invalid = B::bool_or(self.invalid, mask);
        self
    }

    /// A column `[rows, 1]` of α or of budgets, in the type of `x`.
    pub fn parameter(&self, column: FloatTensor<B>) -> Array<B> {
        Array::<B>(column).cast(self.x.dtype())
    }

    /// The weights p divided by their sum; zeros where hidden.
    pub fn normalised(self, p: Array<B>) -> FloatTensor<B> {
        let p = p.zero_where(self.hidden);
        // Only a row with everything hidden sums to less.
        let total = p.sum().at_least(1e-30).fill_where(self.invalid, f64::NAN);
        p.div(&total).cast(self.dtype).0
    }

    /// The weights p as they are; zeros where hidden.
    pub fn unnormalised(self, p: Array<B>) -> FloatTensor<B> {
        let p = p.zero_where(self.hidden);
        let one = p.column(1.0).fill_where(self.invalid, f64::NAN);
        p.mul(&one).cast(self.dtype).0
    }
}

/// `z − origin` and its rounding error.
fn measured<B: Backend>(z: &Array<B>, origin: &Array<B>) -> (Array<B>, Array<B>) {
    let x = z.sub(origin);
    let back = x.sub(z);
    let low = z.sub(&x.sub(&back)).sub(&origin.add(&back));
    (x, low)
}
