//! Segments of visible positions, whose means are the landmarks.

use burn::tensor::{Bool, Int, Tensor};

use super::eye;
use crate::softmax;

/// The segments of a batch.
pub(super) struct Segments {
    /// Each row averages the positions of a segment; zeros where it has none, `[batch or 1, 1, m, n]`.
    average: Tensor<4>,
    /// Where examples differ.
    padded: Option<Padded>,
}

struct Padded {
    /// Segments without a position, `[batch, m]`.
    is_empty: Tensor<2, Bool>,
    /// Examples with a segment for each position, `[batch, 1, 1, 1]`.
    is_exact: Tensor<4, Bool>,
}

impl Segments {
    /// m segments of the positions of `like`, `[batch, n_heads, n, d]`, that are visible: segment s of ℓ of them has those
    /// from ⌊sℓ/m⌋ to ⌊(s+1)ℓ/m⌋ − 1.
    pub(super) fn of(like: &Tensor<4>, m: usize, padding: Option<&Tensor<2, Bool>>) -> Self {
        let [batch, _, n, _] = like.dims();
        let (device, dtype) = (like.device(), like.dtype());
        // The place of each position among the visible ones, from 1, and their number.
        let (rows, place, n_visible) = match padding {
            None => {
                let place = Tensor::<1, Int>::arange(1..n as i64 + 1, &device);
                (
                    1,
                    place.unsqueeze_dim(0),
                    Tensor::full([1, 1], n as i64, &device),
                )
            }
            Some(padding) => {
                let visible = padding.clone().bool_not().int();
                let n_visible: Tensor<2, Int> = visible.clone().sum_dim(1);
                (batch, visible.cumsum(1), n_visible)
            }
        };
        // ⌊sℓ/m⌋ < place ≤ ⌊(s+1)ℓ/m⌋, without a division.
        let all = [rows, m, n];
        let place = place.mul_scalar(m as i64).reshape([rows, 1, n]).expand(all);
        let border = |from: i64| {
            let s = Tensor::<1, Int>::arange(from..from + m as i64, &device);
            let s = s.reshape([1, m, 1]).expand([rows, m, 1]);
            let border = s * n_visible.clone().reshape([rows, 1, 1]).expand([rows, m, 1]);
            border.expand(all)
        };
        let mut member = (place.clone().greater(border(0))).bool_and(place.lower_equal(border(1)));
        if let Some(padding) = padding {
            let visible = padding.clone().bool_not().reshape([batch, 1, n]);
            member = member.bool_and(visible.expand(all));
        }
        let member: Tensor<3> = member.float().cast(dtype);
        let size = member.clone().sum_dim(2);
        let padded = padding.map(|_| Padded {
            is_empty: size.clone().lower_elem(0.5).reshape([batch, m]),
            is_exact: n_visible
                .lower_equal_elem(m as i64)
                .reshape([batch, 1, 1, 1]),
        });
        Self {
            average: (member / size.clamp_min(1.0)).unsqueeze_dim(1),
            padded,
        }
    }

    /// The mean of each segment, `[batch, n_heads, m, width]`; zeros where it has no position.
    pub(super) fn means(&self, rows: Tensor<4>) -> Tensor<4> {
        self.average.clone().matmul(rows)
    }

    /// Ã of landmarks. Where each position has one, in place of it I, whose pseudo-inverse is exact.
    pub(super) fn landmark_weights(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        scale: f64,
    ) -> Tensor<4> {
        let weights = softmax(query.matmul(key.swap_dims(2, 3)).mul_scalar(scale), 3);
        let eye = eye(&weights).expand(weights.dims());
        self.or_where_exact(weights, || eye)
    }

    /// What landmarks read; where each position has one, its value in place of it: weights times that, by
    /// keys that are the landmarks, are softmax attention.
    pub(super) fn or_means(&self, read: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
        self.or_where_exact(read, || self.means(value))
    }

    fn or_where_exact(&self, rows: Tensor<4>, other: impl FnOnce() -> Tensor<4>) -> Tensor<4> {
        match &self.padded {
            None => rows,
            Some(padded) => {
                let is_exact = padded.is_exact.clone().expand(rows.dims());
                rows.mask_where(is_exact, other())
            }
        }
    }

    /// Segments without a position, `[batch, m]`.
    pub(super) fn empty(&self) -> Option<Tensor<2, Bool>> {
        self.padded.as_ref().map(|padded| padded.is_empty.clone())
    }
}
