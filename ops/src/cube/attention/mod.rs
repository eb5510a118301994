//! Fused attention on every CubeCL runtime.
//!
//! A cube computes the rows of one tile of queries, or of keys: tiles of scores are made anew, through
//! shared memory, wherever they are needed, and what a row leaves between kernels is [`scores::SAVED`]
//! numbers, and a bit for each tile that holds a weight. Tiles of keys that masks hide as a whole, and from
//! the first step of the search for a row's threshold on those without weight, are skipped. No
//! sum depends on the order in which cubes run.

mod backward_key;
mod backward_query;
mod forward;
mod inputs;
mod masks;
mod meta;
mod plan;
mod scores;
mod tile;

use burn::backend::Slice;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{BoolStore, DType, FloatDType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, IntKind, UIntKind};
use cubecl::prelude::*;
use cubecl::server::CubeCountSelection;

use super::power::Family;
use super::{compute_type, constant, elem_type, family};
use crate::attention::{
    AttentionExtras, AttentionGrads, AttentionSaved, AttentionSpec, MaybeFloat, plain_backward,
    plain_forward,
};
use inputs::InputsLaunch;
use masks::Masks;
pub(crate) use meta::{backward_meta, forward_meta, saved_shapes};
use plan::{Plan, words};
use scores::{D_ALPHA, SAVED};

type Extras = AttentionExtras<CubeBackend>;

pub(crate) fn attention_forward(
    query: CubeTensor,
    key: CubeTensor,
    value: CubeTensor,
    extras: Extras,
    spec: AttentionSpec,
) -> (CubeTensor, AttentionSaved<CubeBackend>) {
    let request = Request::new(query, key, value, extras, spec);
    let saved = request.empty_saved();
    let Some(plan) = request.plan() else {
        let (query, key, value, extras, spec) = request.into_parts();
        let (context, _) = plain_forward::<CubeBackend>(query, key, value, extras, spec);
        return (context, saved);
    };
    let [batch, n_heads, seq_q, _] = request.query.meta.shape().dims();
    let d_value = request.value.meta.shape()[3];
    let [float, masks, compute] = request.dtypes();
    let alpha = request
        .alpha()
        .map_or(compute, |alpha| elem_type(alpha.dtype));
    let context = request.empty([batch, n_heads, seq_q, d_value], request.query.dtype);
    forward::forward_kernel::launch(
        &request.query.client,
        cubes(
            &request.query.client,
            batch * n_heads * seq_q.div_ceil(plan.edge),
        ),
        CubeDim::new_1d(plan.units() as u32),
        request.launch(),
        argument(request.alpha()),
        context.clone().into_tensor_arg(),
        saved.rows.clone().into_tensor_arg(),
        saved.blocks.clone().into_tensor_arg(),
        f32::NAN,
        plan,
        [float, alpha, masks, compute],
    );
    (context, saved)
}

#[allow(clippy::too_many_arguments)] // as the method of the backend
pub(crate) fn attention_backward(
    query: CubeTensor,
    key: CubeTensor,
    value: CubeTensor,
    extras: Extras,
    spec: AttentionSpec,
    saved: AttentionSaved<CubeBackend>,
    grad: CubeTensor,
    wants_bias: bool,
) -> AttentionGrads<CubeBackend> {
    let request = Request::new(query, key, value, extras, spec);
    let plan = request.plan().filter(|_| !wants_bias);
    let Some(plan) = plan else {
        let (query, key, value, extras, spec) = request.into_parts();
        return plain_backward::<CubeBackend>(query, key, value, extras, spec, grad, wants_bias);
    };
    let Request {
        query, key, value, ..
    } = &request;
    let client = &query.client;
    let grad = request.same(grad);
    let [batch, n_heads, seq_q, _] = query.meta.shape().dims();
    let [_, n_kv_heads, seq_kv, _] = key.meta.shape().dims();
    let n_cubes = batch * n_heads * seq_q.div_ceil(plan.edge);
    let like = |tensor: &CubeTensor| request.empty(tensor.meta.shape().dims::<4>(), tensor.dtype);
    let (d_query, d_key, d_value) = (like(query), like(key), like(value));
    backward_query::query_kernel::launch(
        client,
        cubes(client, n_cubes),
        CubeDim::new_1d(plan.units() as u32),
        request.launch(),
        grad.clone().into_tensor_arg(),
        saved.blocks.clone().into_tensor_arg(),
        saved.rows.clone().into_tensor_arg(),
        d_query.clone().into_tensor_arg(),
        request.has_alpha,
        plan,
        request.dtypes(),
    );
    backward_key::key_kernel::launch(
        client,
        cubes(client, batch * n_kv_heads * seq_kv.div_ceil(plan.edge)),
        CubeDim::new_1d(plan.units() as u32),
        request.launch(),
        grad.into_tensor_arg(),
        saved.blocks.into_tensor_arg(),
        saved.rows.clone().into_tensor_arg(),
        d_key.clone().into_tensor_arg(),
        d_value.clone().into_tensor_arg(),
        plan,
        request.dtypes(),
    );
    let alpha = request.extras.alpha.as_option().map(|alpha| {
        let rows = Shape::from([batch, n_heads, seq_q, SAVED]);
        let rows = CubeBackend::float_reshape(saved.rows, rows);
        let of_rows = [0..batch, 0..n_heads, 0..seq_q, D_ALPHA..D_ALPHA + 1].map(Slice::from);
        let of_rows = CubeBackend::float_slice(rows, &of_rows);
        let of_head = CubeBackend::float_sum_dims(of_rows, &[0, 2, 3]);
        let of_head = CubeBackend::float_reshape(of_head, Shape::from([n_heads]));
        CubeBackend::float_cast(of_head, FloatDType::from(alpha.dtype))
    });
    AttentionGrads {
        query: d_query,
        key: d_key,
        value: d_value,
        alpha: alpha.into(),
        bias: MaybeFloat::None,
        position_query: MaybeFloat::None,
        positions: MaybeFloat::None,
    }
}

fn cubes(client: &Client, n: usize) -> CubeCount {
    CubeCountSelection::new(client, n as u32).cube_count()
}

/// What attention is asked for, every float in the query's type, and all but query, key and value in
/// row-major order.
struct Request {
    query: CubeTensor,
    key: CubeTensor,
    value: CubeTensor,
    extras: Extras,
    spec: AttentionSpec,
    masks: Masks,
    family: Family,
    /// Whether α is a tensor, which has a gradient.
    has_alpha: bool,
}

impl Request {
    fn new(
        query: CubeTensor,
        key: CubeTensor,
        value: CubeTensor,
        mut extras: Extras,
        spec: AttentionSpec,
    ) -> Self {
        let dtype = query.dtype;
        let bias = extras.bias.into_option();
        extras.bias = bias.map(|bias| into_contiguous(cast(bias, dtype))).into();
        extras.alpha = extras.alpha.into_option().map(into_contiguous).into();
        let has_alpha = extras.alpha.as_option().is_some();
        let family = match (has_alpha, family(spec.mapping)) {
            (true, _) | (false, Err(_)) => Family::Alpha,
            (false, Ok(family)) => family,
        };
        let masks = Masks::new(&query, key.meta.shape()[2], &extras, &spec);
        Self {
            key: cast(key, dtype),
            value: cast(value, dtype),
            query,
            extras,
            spec,
            masks,
            family,
            has_alpha,
        }
    }

    fn into_parts(self) -> (CubeTensor, CubeTensor, CubeTensor, Extras, AttentionSpec) {
        (self.query, self.key, self.value, self.extras, self.spec)
    }

    fn same(&self, tensor: CubeTensor) -> CubeTensor {
        cast(tensor, self.query.dtype)
    }

    /// How the kernels compute it; none where tensor operations do: with a relative term, for which there
    /// are no kernels, without a single query or key, on a device whose cubes are too small, and with both masks
    /// and a bias on one that binds fewer than 10 buffers beside its own.
    fn plan(&self) -> Option<Plan> {
        let [batch, n_heads, seq_q, d_head] = self.query.meta.shape().dims();
        let [_, _, seq_kv, d_value] = self.value.meta.shape().dims();
        let sizes = [batch, n_heads, seq_q, seq_kv, d_head, d_value];
        if self.extras.positions.as_option().is_some() || sizes.contains(&0) {
            return None;
        }
        let masked = self.masks.tensor.is_some();
        let biased = self.extras.bias.as_option().is_some();
        // Those of the kernel of the keys, which has the most.
        let bindings = 8 + u32::from(masked) + u32::from(biased);
        if bindings > self.query.client.properties().hardware.max_bindings {
            return None;
        }
        let compute = compute_type(self.query.dtype);
        let longest = seq_q.max(seq_kv);
        let [edge, chunk] = Plan::tiles(&self.query.client, compute.size(), longest)?;
        let spec = &self.spec;
        Some(Plan {
            edge,
            chunk,
            strips: Plan::strips(edge, chunk, d_head.max(d_value)),
            words: words(seq_kv, edge),
            family: self.family,
            double: compute == DType::F64,
            // Packed sequences have spans.
            causal: spec.causal && spec.packing.is_none(),
            masked,
            bias: biased,
            dropout: spec.dropout.is_some(),
        })
    }

    fn empty<const D: usize>(&self, shape: [usize; D], dtype: DType) -> CubeTensor {
        let (client, device) = (self.query.client.clone(), self.query.device.clone());
        empty_device_contiguous_dtype(client, device, Shape::from(shape), dtype)
    }

    fn empty_saved(&self) -> AttentionSaved<CubeBackend> {
        let (rows, blocks) = saved_shapes(self.query.meta.shape(), self.key.meta.shape());
        AttentionSaved {
            rows: self.empty(rows, compute_type(self.query.dtype)),
            blocks: self.empty(blocks, DType::U32),
        }
    }

    /// α of each head, where the kernels read one.
    fn alpha(&self) -> Option<CubeTensor> {
        match (self.extras.alpha.as_option(), family(self.spec.mapping)) {
            (Some(alpha), _) => Some(alpha.clone()),
            (None, Err(alpha)) => Some(constant(&self.query, alpha, self.query.meta.shape()[1])),
            (None, Ok(_)) => None,
        }
    }

    /// Types of floats, of masks, and of what is computed.
    fn dtypes(&self) -> [ElemType; 3] {
        let masks = self.masks.tensor.as_ref();
        [
            elem_type(self.query.dtype),
            whole_type(masks.map_or(DType::I32, |masks| masks.dtype)),
            elem_type(compute_type(self.query.dtype)),
        ]
    }

    fn launch<F: Float, M: Int>(&self) -> InputsLaunch<F, M> {
        let [_, _, compute] = self.dtypes();
        let dropout = self.spec.dropout;
        let seed = dropout.map_or(0, |dropout| dropout.seed);
        InputsLaunch::new(
            self.query.clone().into_tensor_arg(),
            self.key.clone().into_tensor_arg(),
            self.value.clone().into_tensor_arg(),
            argument(self.extras.bias.as_option().cloned()),
            argument(self.masks.tensor.clone()),
            self.masks.places(),
            InputScalar::new(self.spec.scale, compute),
            InputScalar::new(dropout.map_or(1.0, |dropout| dropout.scale()), compute),
            dropout.map_or(0, |dropout| dropout.below()),
            seed as u32,
            (seed >> 32) as u32,
        )
    }
}

fn argument<E: CubePrimitive>(tensor: Option<CubeTensor>) -> ComptimeOptionArgs<OwnedTensor<E>> {
    tensor.map(CubeTensor::into_tensor_arg).into()
}

fn cast(tensor: CubeTensor, dtype: DType) -> CubeTensor {
    match tensor.dtype == dtype {
        true => tensor,
        false => CubeBackend::float_cast(tensor, FloatDType::from(dtype)),
    }
}

/// The type of whole numbers and flags in kernels.
fn whole_type(dtype: DType) -> ElemType {
    match dtype {
        DType::Bool(BoolStore::U8) | DType::U8 => ElemType::UInt(UIntKind::U8),
        DType::Bool(BoolStore::U32) | DType::U32 => ElemType::UInt(UIntKind::U32),
        DType::I64 => ElemType::Int(IntKind::I64),
        DType::I32 => ElemType::Int(IntKind::I32),
        DType::I16 => ElemType::Int(IntKind::I16),
        DType::I8 => ElemType::Int(IntKind::I8),
        other => unreachable!("no flags or layout have type {other:?}"),
    }
}
