//! The default of a backend's attention, in tensor operations: all scores at once, recomputed for the
//! gradients.

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, FloatDType, Slice, TensorMetadata, get_device_settings};
use burn::tensor::{DType, Shape, TensorData, try_read_sync};

use super::block_mask::expand;
use super::packing::{hidden_cells, visible_keys};
use super::{AttentionExtras, AttentionGrads, AttentionSaved, AttentionSpec, Dropout, MaybeFloat};
use crate::SpartaBackend;
use crate::primitive::{Array, HIDDEN};

/// The context; nothing needs to be saved.
pub(crate) fn forward<B: SpartaBackend>(
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    extras: AttentionExtras<B>,
    spec: AttentionSpec,
) -> (FloatTensor<B>, AttentionSaved<B>) {
    let dtype = query.dtype();
    let device = query.device();
    let parts = Parts::<B>::of(query, key, value);
    let weights = parts.weights(&extras, &spec);
    let kept = parts.drop(&weights, &spec);
    let context = Array::<B>(B::float_matmul(kept.0, parts.value.0)).cast(dtype);
    let int = get_device_settings::<B>(&device).int_dtype;
    let saved = AttentionSaved {
        rows: B::float_zeros(Shape::from([1]), &device, FloatDType::F32),
        blocks: B::int_zeros(Shape::from([1]), &device, int),
    };
    (context.0, saved)
}

/// Every gradient, from the inputs alone.
pub(crate) fn backward<B: SpartaBackend>(
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    extras: AttentionExtras<B>,
    spec: AttentionSpec,
    grad: FloatTensor<B>,
    wants_bias: bool,
) -> AttentionGrads<B> {
    let dtype = query.dtype();
    let n_kv_heads = key.shape()[1];
    let parts = Parts::<B>::of(query, key, value);
    let Parts { query, key, value } = &parts;
    let weights = parts.weights(&extras, &spec);
    let grad = Array::<B>(grad).widen();

    let d_value = matmul(&transpose(&parts.drop(&weights, &spec)), &grad);
    let d_weights = parts.drop(&matmul(&grad, &transpose(value)), &spec);
    let (d_scores, d_alpha) = parts.map_backward(&weights, &d_weights, &extras, spec.mapping);

    let scaled = d_scores.scale(spec.scale);
    let like = |gradient: Array<B>, of: &MaybeFloat<B>| match of {
        MaybeFloat::Some(tensor) => MaybeFloat::Some(gradient.cast(tensor.dtype()).0),
        MaybeFloat::None => MaybeFloat::None,
    };
    let (position_query, positions) = match (&extras.position_query, &extras.positions) {
        (MaybeFloat::Some(q), MaybeFloat::Some(r)) => {
            let (q, r) = (Array::<B>(q.clone()).widen(), Array::<B>(r.clone()).widen());
            let by_place = unshift(&scaled, r.shape()[1]);
            let d_query = matmul(&by_place, &over_batch(&r, q.shape()[0]));
            let d_positions = matmul(&transpose(&by_place), &q);
            let d_positions = Array::<B>(B::float_sum_dim(d_positions.0, 0));
            let d_positions = Array::<B>(B::float_reshape(d_positions.0, r.shape()));
            (
                like(d_query, &extras.position_query),
                like(d_positions, &extras.positions),
            )
        }
        _ => (MaybeFloat::None, MaybeFloat::None),
    };
    let bias = match &extras.bias {
        MaybeFloat::Some(bias) if wants_bias => {
            let d_bias = match bias.shape()[0] == d_scores.shape()[0] {
                true => d_scores.clone(),
                false => Array(B::float_sum_dim(d_scores.clone().0, 0)),
            };
            like(d_bias, &extras.bias)
        }
        _ => MaybeFloat::None,
    };
    AttentionGrads {
        query: matmul(&scaled, key).cast(dtype).0,
        key: sum_heads(matmul(&transpose(&scaled), query), n_kv_heads)
            .cast(dtype)
            .0,
        value: sum_heads(d_value, n_kv_heads).cast(dtype).0,
        alpha: match d_alpha {
            Some(d_alpha) => like(d_alpha, &extras.alpha),
            None => MaybeFloat::None,
        },
        bias,
        position_query,
        positions,
    }
}

/// Query, key and value in f32 at least, the latter two with every query head's.
struct Parts<B: Backend> {
    query: Array<B>,
    key: Array<B>,
    value: Array<B>,
}

impl<B: SpartaBackend> Parts<B> {
    fn of(query: FloatTensor<B>, key: FloatTensor<B>, value: FloatTensor<B>) -> Self {
        let n_heads = query.shape()[1];
        let repeated = |tensor| repeat_heads::<B>(Array(tensor).widen(), n_heads);
        Self {
            query: Array(query).widen(),
            key: repeated(key),
            value: repeated(value),
        }
    }

    fn sizes(&self) -> [usize; 4] {
        let shape = self.query.shape();
        [shape[0], shape[1], shape[2], self.key.shape()[2]]
    }

    /// `[batch, n_heads, seq_q, seq_kv]` as `[rows, seq_kv]`.
    fn rows(&self, cells: &Array<B>) -> FloatTensor<B> {
        let [batch, n_heads, seq_q, seq_kv] = self.sizes();
        let shape = Shape::from([batch * n_heads * seq_q, seq_kv]);
        B::float_reshape(cells.0.clone(), shape)
    }

    fn cells(&self, rows: FloatTensor<B>) -> Array<B> {
        Array(B::float_reshape(rows, Shape::from(self.sizes())))
    }

    /// One α a row, `[rows, 1]`.
    fn alphas(&self, alpha: &FloatTensor<B>) -> FloatTensor<B> {
        let [batch, n_heads, seq_q, _] = self.sizes();
        let alpha = B::float_reshape(alpha.clone(), Shape::from([1, n_heads, 1, 1]));
        let alpha = B::float_expand(alpha, Shape::from([batch, n_heads, seq_q, 1]));
        B::float_reshape(alpha, Shape::from([batch * n_heads * seq_q, 1]))
    }

    fn weights(&self, extras: &AttentionExtras<B>, spec: &AttentionSpec) -> Array<B> {
        let [_, _, seq_q, seq_kv] = self.sizes();
        let mut scores = matmul(&self.query, &transpose(&self.key)).scale(spec.scale);
        if let Some(bias) = extras.bias.as_option() {
            scores = scores.add(&Array(bias.clone()).widen());
        }
        if let (Some(q), Some(r)) = (
            extras.position_query.as_option(),
            extras.positions.as_option(),
        ) {
            let q = Array::<B>(q.clone()).widen().scale(spec.scale);
            let r = over_batch(&Array::<B>(r.clone()).widen(), q.shape()[0]);
            scores = scores.add(&shift(&matmul(&q, &transpose(&r)), seq_kv));
        }
        for mask in self.masks(extras, spec, [seq_q, seq_kv]) {
            let mask = B::bool_expand(mask, Shape::from(self.sizes()));
            scores = scores.fill_where(mask, 10.0 * HIDDEN);
        }
        let rows = self.rows(&scores);
        self.cells(match extras.alpha.as_option() {
            Some(alpha) => B::entmax_rows_forward(rows, self.alphas(alpha)),
            None => B::entmax_forward(rows, spec.mapping),
        })
    }

    /// Masks that broadcast to all cells.
    fn masks(
        &self,
        extras: &AttentionExtras<B>,
        spec: &AttentionSpec,
        [seq_q, seq_kv]: [usize; 2],
    ) -> Vec<BoolTensor<B>> {
        let device = self.query.0.device();
        // Flags as the device stores them.
        let flags = get_device_settings::<B>(&device).bool_dtype;
        let from_data =
            |data: TensorData| B::bool_from_data(data.convert_dtype(flags.into()), &device);
        let mut masks = Vec::new();
        let mut add = |mask: Option<&BoolTensor<B>>, shape: [usize; 4]| {
            if let Some(mask) = mask {
                masks.push(B::bool_reshape(mask.clone(), Shape::from(shape)));
            }
        };
        let heads = |mask: Option<&BoolTensor<B>>| mask.map_or(1, |mask| mask.shape()[0]);
        let (padding, global) = (
            extras.key_padding.as_option(),
            extras.global_mask.as_option(),
        );
        add(padding, [heads(padding), 1, 1, seq_kv]);
        add(global, [1, heads(global), seq_q, seq_kv]);
        add(extras.extra_mask.as_option(), [1, 1, seq_q, seq_kv]);
        if spec.causal || spec.packing.is_some() {
            let visible = visible_keys(seq_q, seq_kv, spec.causal, spec.packing.as_ref());
            let hidden = TensorData::new(hidden_cells(&visible, seq_kv), [1, 1, seq_q, seq_kv]);
            masks.push(from_data(hidden));
        }
        if let (Some(layout), Some(cells)) = (extras.layout.as_option(), extras.cells.as_option()) {
            let n_heads = layout.shape()[0];
            let read = "a tensor that was made from data can be read";
            let layout = try_read_sync(B::int_into_data(layout.clone())).expect(read);
            let layout: Vec<i64> = layout.expect(read).iter::<i64>().collect();
            let cells = try_read_sync(B::bool_into_data(cells.clone())).expect(read);
            let cells: Vec<bool> = cells.expect(read).iter::<bool>().collect();
            let hidden = expand(&layout, &cells, spec.block_size, [n_heads, seq_q, seq_kv]);
            let hidden = TensorData::new(hidden, [1, n_heads, seq_q, seq_kv]);
            masks.push(from_data(hidden));
        }
        masks
    }

    fn drop(&self, cells: &Array<B>, spec: &AttentionSpec) -> Array<B> {
        match spec.dropout {
            None => cells.clone(),
            Some(dropout) => {
                let kept = B::dropout_mask(self.rows(cells), dropout);
                cells.mul(&self.cells(kept))
            }
        }
    }

    /// Gradients in the scores and in α, `[n_heads]`.
    fn map_backward(
        &self,
        weights: &Array<B>,
        grad: &Array<B>,
        extras: &AttentionExtras<B>,
        mapping: crate::entmax::Mapping,
    ) -> (Array<B>, Option<Array<B>>) {
        let [batch, n_heads, seq_q, _] = self.sizes();
        let (weights, grad) = (self.rows(weights), self.rows(grad));
        let Some(alpha) = extras.alpha.as_option() else {
            return (self.cells(B::entmax_backward(weights, grad, mapping)), None);
        };
        let (d_scores, d_alphas) = B::entmax_rows_backward(weights, grad, self.alphas(alpha));
        let d_alphas = B::float_reshape(d_alphas, Shape::from([batch, n_heads, seq_q]));
        let d_alpha = B::float_sum_dims(d_alphas, &[0, 2]);
        let d_alpha = B::float_reshape(d_alpha, Shape::from([n_heads]));
        (self.cells(d_scores), Some(Array(d_alpha)))
    }
}

/// `1/(1 − share)` where a weight of `[rows, n]` is kept, else 0.
pub(crate) fn dropout_mask<B: Backend>(like: FloatTensor<B>, dropout: Dropout) -> FloatTensor<B> {
    let (shape, dtype, device) = (like.shape(), like.dtype(), like.device());
    let mut mask = Vec::with_capacity(shape.num_elements());
    let scale = dropout.scale();
    for i in 0..shape[0] {
        let row = dropout.row(i);
        mask.extend((0..shape[1]).map(|j| if row.keeps(j) { scale } else { 0.0 }));
    }
    let mask = TensorData::new(mask, shape).convert_dtype(dtype);
    B::float_from_data(mask, &device)
}

fn matmul<B: Backend>(a: &Array<B>, b: &Array<B>) -> Array<B> {
    Array(B::float_matmul(a.0.clone(), b.0.clone()))
}

fn transpose<B: Backend>(a: &Array<B>) -> Array<B> {
    Array(B::float_swap_dims(a.0.clone(), 2, 3))
}

/// `[n_heads, n, d]` for every example.
fn over_batch<B: Backend>(a: &Array<B>, batch: usize) -> Array<B> {
    let [n_heads, n, d] = a.shape().dims();
    let a = B::float_reshape(a.0.clone(), Shape::from([1, n_heads, n, d]));
    Array(B::float_expand(a, Shape::from([batch, n_heads, n, d])))
}

fn repeat_heads<B: Backend>(a: Array<B>, n_heads: usize) -> Array<B> {
    let [batch, n_kv_heads, n, d] = a.shape().dims();
    if n_kv_heads == n_heads {
        return a;
    }
    let group = n_heads / n_kv_heads;
    let a = B::float_reshape(a.0, Shape::from([batch, n_kv_heads, 1, n * d]));
    let a = B::float_expand(a, Shape::from([batch, n_kv_heads, group, n * d]));
    Array(B::float_reshape(a, Shape::from([batch, n_heads, n, d])))
}

/// The sum of a gradient over the heads that read the same key.
fn sum_heads<B: Backend>(a: Array<B>, n_kv_heads: usize) -> Array<B> {
    let [batch, n_heads, n, d] = a.shape().dims();
    if n_kv_heads == n_heads {
        return a;
    }
    let grouped = Shape::from([batch, n_kv_heads, n_heads / n_kv_heads, n * d]);
    let a = B::float_sum_dim(B::float_reshape(a.0, grouped), 2);
    Array(B::float_reshape(a, Shape::from([batch, n_kv_heads, n, d])))
}

/// Scores by position to scores by key: row i moves left by `seq_q − 1 − i`.
fn shift<B: Backend>(by_place: &Array<B>, seq_kv: usize) -> Array<B> {
    let [batch, n_heads, seq_q, n] = by_place.shape().dims();
    let flat = Shape::from([batch, n_heads, seq_q * n]);
    let flat = B::float_reshape(by_place.0.clone(), flat);
    let first = seq_q - 1;
    let moved = part::<B>(flat, 2, first..first + seq_q * (n - 1));
    let rows = B::float_reshape(moved, Shape::from([batch, n_heads, seq_q, n - 1]));
    Array(part::<B>(rows, 3, 0..seq_kv))
}

/// The transpose of [`shift`].
fn unshift<B: Backend>(by_key: &Array<B>, n: usize) -> Array<B> {
    let [batch, n_heads, seq_q, seq_kv] = by_key.shape().dims();
    let (device, dtype) = (by_key.0.device(), by_key.dtype());
    let zeros =
        |shape: &[usize]| B::float_zeros(Shape::from(shape.to_vec()), &device, float(dtype));
    let mut rows = by_key.0.clone();
    if n - 1 > seq_kv {
        rows = B::float_cat(
            vec![rows, zeros(&[batch, n_heads, seq_q, n - 1 - seq_kv])],
            3,
        );
    }
    let flat = B::float_reshape(rows, Shape::from([batch, n_heads, seq_q * (n - 1)]));
    let mut parts = vec![flat, zeros(&[batch, n_heads, 1])];
    if seq_q > 1 {
        parts.insert(0, zeros(&[batch, n_heads, seq_q - 1]));
    }
    let flat = B::float_cat(parts, 2);
    Array(B::float_reshape(
        flat,
        Shape::from([batch, n_heads, seq_q, n]),
    ))
}

fn float(dtype: DType) -> FloatDType {
    dtype.into()
}

fn part<B: Backend>(
    tensor: FloatTensor<B>,
    dim: usize,
    range: std::ops::Range<usize>,
) -> FloatTensor<B> {
    let mut slices: Vec<Slice> = tensor.shape().iter().map(|&n| (0..n).into()).collect();
    slices[dim] = range.into();
    B::float_slice(tensor, &slices)
}
