//! Fused attention in the host's memory.
//!
//! A task takes a head's queries block by block. It computes the block's scores over the tiles of keys
//! that masks leave, row by row the weights, and the context from the tiles that hold a weight. Backward
//! computes the scores of those tiles again. Memory besides inputs and outputs is one block's rows of
//! scores per thread, and one sum of the keys' and values' gradients per task.

mod backward;
mod forward;
mod gathered;
mod matmul;
mod padded;
mod problem;
mod relative;
mod scores;
mod tiling;

use burn::backend::tensor::FloatTensor;
use burn::backend::{FloatDType, TensorMetadata};
use burn::tensor::{DType, Element, IntDType, Shape, TensorData, bf16, f16};

use super::float::{Float, Stored};
use super::operations::numbers;
use super::tensor::{HostBackend, HostTensor};
use crate::attention::{
    AttentionExtras, AttentionGrads, AttentionSaved, AttentionSpec, MaybeFloat, visible_keys,
};
use crate::backend::SpartaBackend;
use crate::entmax::Mapping;
use crate::primitive::HIDDEN;
use problem::{MaskBlocks, Problem, Relative, RowSource, StridedRows};

pub(crate) fn attention_forward<B: HostBackend + SpartaBackend>(
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    extras: AttentionExtras<B>,
    spec: AttentionSpec,
) -> (FloatTensor<B>, AttentionSaved<B>) {
    let inputs = OwnedInputs::<B>::new(query, key, value, extras, spec);
    match inputs.query.dtype() {
        DType::F64 => inputs.forward::<f64>(),
        _ => inputs.forward::<f32>(),
    }
}

#[allow(clippy::too_many_arguments)] // as the method of the backend
pub(crate) fn attention_backward<B: HostBackend + SpartaBackend>(
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    extras: AttentionExtras<B>,
    spec: AttentionSpec,
    saved: AttentionSaved<B>,
    grad: FloatTensor<B>,
    wants_bias: bool,
) -> AttentionGrads<B> {
    let inputs = OwnedInputs::<B>::new(query, key, value, extras, spec);
    match inputs.query.dtype() {
        DType::F64 => inputs.backward::<f64>(saved, grad, wants_bias),
        _ => inputs.backward::<f32>(saved, grad, wants_bias),
    }
}

/// Tensors in one type that live as long as slices of them.
struct OwnedInputs<B: HostBackend> {
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    extras: AttentionExtras<B>,
    spec: AttentionSpec,
    codes: Vec<i64>,
    given: Types,
}

/// The types that tensors were given in, which are those of their gradients.
struct Types {
    key: DType,
    value: DType,
    bias: Option<DType>,
    position_query: Option<DType>,
    positions: Option<DType>,
}

/// A type that attention is computed in, f32 or f64, and tensors' rows in it.
trait Compute: Float + Element {
    fn rows<'a, H: HostTensor>(tensor: &'a H) -> RowSource<'a, Self>;
}

fn stride<'a, H: HostTensor, E: Stored>(tensor: &'a H) -> RowSource<'a, E::Wide>
where
    E::Wide: 'a,
{
    let shape = tensor.shape();
    Box::new(StridedRows::<E> {
        view: tensor.view(),
        n: shape[shape.num_dims() - 1],
    })
}

impl Compute for f32 {
    fn rows<'a, H: HostTensor>(tensor: &'a H) -> RowSource<'a, f32> {
        match tensor.dtype() {
            DType::F16 => stride::<H, f16>(tensor),
            DType::BF16 => stride::<H, bf16>(tensor),
            _ => stride::<H, f32>(tensor),
        }
    }
}

impl Compute for f64 {
    fn rows<'a, H: HostTensor>(tensor: &'a H) -> RowSource<'a, f64> {
        stride::<H, f64>(tensor)
    }
}

impl<B: HostBackend> OwnedInputs<B> {
    /// Every tensor in the query's type; α stays in its own.
    fn new(
        query: FloatTensor<B>,
        key: FloatTensor<B>,
        value: FloatTensor<B>,
        mut extras: AttentionExtras<B>,
        spec: AttentionSpec,
    ) -> Self {
        assert!(
            query.is_on_host(),
            "fused attention has no kernels on {:?}: AttentionOptions::resolve refuses it there",
            query.device()
        );
        let dtype = query.dtype();
        let of = |tensor: &MaybeFloat<B>| tensor.as_option().map(|tensor| tensor.dtype());
        let given = Types {
            key: key.dtype(),
            value: value.dtype(),
            bias: of(&extras.bias),
            position_query: of(&extras.position_query),
            positions: of(&extras.positions),
        };
        let same = |tensor: FloatTensor<B>| match tensor.dtype() == dtype {
            true => tensor,
            false => B::float_cast(tensor, FloatDType::from(dtype)),
        };
        let maybe = |tensor: MaybeFloat<B>| MaybeFloat::from(tensor.into_option().map(same));
        extras.bias = maybe(extras.bias);
        extras.position_query = maybe(extras.position_query);
        extras.positions = maybe(extras.positions);
        let codes = extras.layout.as_option().map(|layout| {
            let n = layout.shape().num_elements();
            let rows = B::int_reshape(layout.clone(), Shape::from([n]));
            B::int_cast(rows, IntDType::I64).read::<i64>().column(n)
        });
        Self {
            key: same(key),
            value: same(value),
            query,
            extras,
            spec,
            codes: codes.unwrap_or_default(),
            given,
        }
    }

    fn problem<T: Compute>(&self) -> Problem<'_, T> {
        let (q, k, v) = (self.query.shape(), self.key.shape(), self.value.shape());
        let (n_heads, seq_q, seq_kv) = (q[1], q[2], k[2]);
        let (spec, extras) = (&self.spec, &self.extras);
        let alphas = extras.alpha.as_option().map(|alpha| {
            let column = B::float_reshape(alpha.clone(), Shape::from([n_heads, 1]));
            numbers::<B>(column)
        });
        let mappings = match &alphas {
            Some(alphas) => alphas.iter().map(|&alpha| Mapping::of(alpha)).collect(),
            None => vec![spec.mapping; n_heads],
        };
        let relative = match (&extras.position_query, &extras.positions) {
            (MaybeFloat::Some(query), MaybeFloat::Some(positions)) => Some(Relative {
                query: T::rows(query),
                positions: T::rows(positions),
                n_positions: positions.shape()[1],
            }),
            _ => None,
        };
        let blocks = extras.layout.as_option().zip(extras.cells.as_option());
        Problem {
            batch: q[0],
            n_heads,
            n_kv_heads: k[1],
            seq_q,
            seq_kv,
            d_head: q[3],
            d_value: v[3],
            query: T::rows(&self.query),
            key: T::rows(&self.key),
            value: T::rows(&self.value),
            mappings,
            alphas,
            scale: T::from_f64(spec.scale),
            hidden: T::from_f64(HIDDEN),
            bias: (extras.bias.as_option()).map(|bias| (T::rows(bias), bias.shape()[0])),
            relative,
            visible: visible_keys(seq_q, seq_kv, spec.causal, spec.packing.as_ref()),
            padding: extras.key_padding.as_option().map(HostTensor::flags),
            global: (extras.global_mask.as_option()).map(|mask| (mask.flags(), mask.shape()[0])),
            extra: extras.extra_mask.as_option().map(HostTensor::flags),
            blocks: blocks.map(|(layout, cells)| MaskBlocks {
                size: spec.block_size,
                codes: self.codes.clone(),
                n_heads: layout.shape()[0],
                grid: [layout.shape()[1], layout.shape()[2]],
                cells: cells.flags(),
            }),
            dropout: spec.dropout,
        }
    }

    fn forward<T: Compute>(&self) -> (FloatTensor<B>, AttentionSaved<B>) {
        let problem = self.problem::<T>();
        let output = forward::forward(&problem);
        let (q, device) = (self.query.shape(), self.query.device());
        let context = [q[0], q[1], q[2], problem.d_value];
        let n_rows = output.rows.len() / 3;
        let n_words = output.bits.len();
        let saved = AttentionSaved {
            rows: B::float_from_data(TensorData::new(output.rows, [n_rows, 3]), &device),
            blocks: B::int_from_data(TensorData::new(output.bits, [n_words]), &device),
        };
        let dtype = self.query.dtype();
        (self.tensor(output.context, &context, dtype), saved)
    }

    fn backward<T: Compute>(
        &self,
        saved: AttentionSaved<B>,
        grad: FloatTensor<B>,
        wants_bias: bool,
    ) -> AttentionGrads<B> {
        let problem = self.problem::<T>();
        let grad = match grad.dtype() == self.query.dtype() {
            true => grad,
            false => B::float_cast(grad, FloatDType::from(self.query.dtype())),
        };
        let rows = saved.rows.view::<f64>();
        let bits = saved.blocks.view::<i64>();
        let inputs = backward::BackwardInputs {
            rows: &rows.elements[rows.start..],
            bits: &bits.elements[bits.start..],
            grad: T::rows(&grad),
            wants_bias,
        };
        let output = backward::backward(&problem, &inputs);
        let like = |values: Vec<T>, tensor: &FloatTensor<B>, dtype: DType| {
            let shape: Vec<usize> = tensor.shape().iter().copied().collect();
            self.tensor(values, &shape, dtype)
        };
        let maybe = |values: Vec<T>, tensor: &MaybeFloat<B>, dtype: Option<DType>| {
            let tensor = tensor.as_option().zip(dtype);
            MaybeFloat::from(tensor.map(|(tensor, dtype)| like(values, tensor, dtype)))
        };
        let given = &self.given;
        let alpha = self.extras.alpha.as_option().map(|alpha| {
            let d_alpha = TensorData::new(output.alpha, [problem.n_heads]);
            B::float_from_data(d_alpha.convert_dtype(alpha.dtype()), &alpha.device())
        });
        AttentionGrads {
            query: like(output.query, &self.query, self.query.dtype()),
            key: like(output.key, &self.key, given.key),
            value: like(output.value, &self.value, given.value),
            alpha: alpha.into(),
            bias: maybe(
                output.bias,
                &self.extras.bias,
                given.bias.filter(|_| wants_bias),
            ),
            position_query: maybe(
                output.position_query,
                &self.extras.position_query,
                given.position_query,
            ),
            positions: maybe(output.positions, &self.extras.positions, given.positions),
        }
    }

    /// A tensor of a shape and type on the query's device.
    fn tensor<T: Compute>(&self, values: Vec<T>, shape: &[usize], dtype: DType) -> FloatTensor<B> {
        let data = TensorData::new(values, shape.to_vec()).convert_dtype(dtype);
        B::float_from_data(data, &self.query.device())
    }
}
