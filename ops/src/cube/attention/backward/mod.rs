//! Gradients: one kernel for the queries and α, one for the keys and values.

mod dkdv;
mod dq;

use burn::backend::Slice;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{FloatDType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::problem::{CubeProblem, cast};
use super::scores::{D_ALPHA, SAVED};
use super::{Extras, cubes};
use crate::attention::{AttentionGrads, AttentionSaved, AttentionSpec, MaybeFloat};

/// Launches the backward kernels.
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
    let given = [key.dtype, value.dtype];
    let problem = CubeProblem::new(query, key, value, extras, spec);
    assert!(
        !wants_bias,
        "fused attention has no kernel for the gradient of a bias: AttentionOptions::resolve refuses it"
    );
    if problem.is_empty() {
        let none = problem.no_gradients();
        return AttentionGrads {
            key: cast(none.key, given[0]),
            value: cast(none.value, given[1]),
            ..none
        };
    }
    let tiling = problem.tiling();
    let CubeProblem {
        query, key, value, ..
    } = &problem;
    let client = &query.client;
    let grad = problem.same(grad);
    let [batch, n_heads, seq_q, _] = query.meta.shape().dims();
    let [_, n_kv_heads, seq_kv, _] = key.meta.shape().dims();
    let n_cubes = batch * n_heads * seq_q.div_ceil(tiling.tile_size);
    let like = |tensor: &CubeTensor| problem.empty(tensor.meta.shape().dims::<4>(), tensor.dtype);
    let (d_query, d_key, d_value) = (like(query), like(key), like(value));
    dq::query_kernel::launch(
        client,
        cubes(client, n_cubes),
        CubeDim::new_1d(tiling.units() as u32),
        problem.launch(),
        grad.clone().into_tensor_arg(),
        saved.blocks.clone().into_tensor_arg(),
        saved.rows.clone().into_tensor_arg(),
        d_query.clone().into_tensor_arg(),
        problem.has_alpha,
        tiling,
        problem.dtypes(),
    );
    dkdv::key_kernel::launch(
        client,
        cubes(
            client,
            batch * n_kv_heads * seq_kv.div_ceil(tiling.tile_size),
        ),
        CubeDim::new_1d(tiling.units() as u32),
        problem.launch(),
        grad.into_tensor_arg(),
        saved.blocks.into_tensor_arg(),
        saved.rows.clone().into_tensor_arg(),
        d_key.clone().into_tensor_arg(),
        d_value.clone().into_tensor_arg(),
        tiling,
        problem.dtypes(),
    );
    let alpha = problem.extras.alpha.as_option().map(|alpha| {
        let rows = Shape::from([batch, n_heads, seq_q, SAVED]);
        let rows = CubeBackend::float_reshape(saved.rows, rows);
        let of_rows = [0..batch, 0..n_heads, 0..seq_q, D_ALPHA..D_ALPHA + 1].map(Slice::from);
        let of_rows = CubeBackend::float_slice(rows, &of_rows);
        let of_head = CubeBackend::float_sum_dims(of_rows, &[0, 2, 3]);
        let of_head = CubeBackend::float_reshape(of_head, Shape::from([n_heads]));
        CubeBackend::float_cast(of_head, FloatDType::from(alpha.dtype))
    });
    let [key_type, value_type] = given;
    AttentionGrads {
        query: d_query,
        key: cast(d_key, key_type),
        value: cast(d_value, value_type),
        alpha: alpha.into(),
        bias: MaybeFloat::None,
        position_query: MaybeFloat::None,
        positions: MaybeFloat::None,
    }
}
