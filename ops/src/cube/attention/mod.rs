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
mod request;
mod scores;
mod tile;

use burn::backend::Slice;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{FloatDType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use cubecl::server::CubeCountSelection;

use super::elem_type;
use crate::attention::{
    AttentionExtras, AttentionGrads, AttentionSaved, AttentionSpec, MaybeFloat,
};
pub(crate) use meta::{backward_meta, forward_meta};
pub(crate) use request::unserved;
use request::{Request, argument};
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
    let [batch, n_heads, seq_q, _] = request.query.meta.shape().dims();
    let d_value = request.value.meta.shape()[3];
    if request.is_empty() {
        let context = [batch, n_heads, seq_q, d_value];
        return (request.zeros(context), saved);
    }
    let plan = request.plan();
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
    assert!(
        !wants_bias,
        "fused attention has no kernel for the gradient of a bias: AttentionOptions::resolve refuses it"
    );
    if request.is_empty() {
        return request.no_gradients();
    }
    let plan = request.plan();
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
