//! CubeCL kernels: written once, compiled for CUDA, ROCm, Metal, Vulkan and WebGPU.
//!
//! One launch forward and one backward. The units of a cube share rows: short rows many to a plane,
//! middling ones a plane each, long ones a cube each; up to [`ITEMS`] elements a unit stay in
//! registers between the passes.

mod attention;
mod backward;
mod forward;
mod group;
mod large_alpha;
mod mapping;
mod root;
mod row;

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::features::Plane;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;
use cubecl::server::CubeCountSelection;

use crate::attention::{AttentionExtras, AttentionGrads, AttentionSaved, AttentionSpec};
use crate::backend::SpartaBackend;
use crate::entmax::Mapping;
use crate::primitive::hidden_at;
pub(crate) use attention::{backward_meta, forward_meta, unserved};
use group::{LaunchConfig, WIDTH};
use mapping::Family;

/// Most elements of a row that a unit keeps in registers.
const ITEMS: usize = 16;
/// Elements a unit should have before more units share a row.
const FEW_ITEMS: usize = 4;
/// Units of a cube that holds several rows.
const UNITS: usize = 128;
/// Most units of a cube.
const MAX_UNITS: usize = 1024;

impl SpartaBackend for CubeBackend {
    fn entmax_forward(scores: CubeTensor, mapping: Mapping) -> CubeTensor {
        let rows = scores.meta.shape()[0];
        match family(mapping) {
            Ok(family) => {
                let unread = scores.clone();
                forward(scores, unread, family, None)
            }
            Err(alpha) => {
                let column = constant(&scores, alpha, rows);
                forward(scores, column, Family::of_alpha(alpha), None)
            }
        }
    }

    fn entmax_backward(weights: CubeTensor, grad: CubeTensor, mapping: Mapping) -> CubeTensor {
        let rows = weights.meta.shape()[0];
        let (alpha, family) = match family(mapping) {
            Ok(family) => (weights.clone(), family),
            Err(alpha) => (constant(&weights, alpha, rows), Family::of_alpha(alpha)),
        };
        backward(weights, grad, alpha, family, false, None).0
    }

    fn entmax_rows_forward(scores: CubeTensor, alpha: CubeTensor) -> CubeTensor {
        forward(scores, alpha, Family::AnyAlpha, None)
    }

    fn entmax_rows_backward(
        weights: CubeTensor,
        grad: CubeTensor,
        alpha: CubeTensor,
    ) -> (CubeTensor, CubeTensor) {
        backward(weights, grad, alpha, Family::AnyAlpha, true, None)
    }

    fn attention_forward(
        query: CubeTensor,
        key: CubeTensor,
        value: CubeTensor,
        extras: AttentionExtras<Self>,
        spec: AttentionSpec,
    ) -> (CubeTensor, AttentionSaved<Self>) {
        attention::attention_forward(query, key, value, extras, spec)
    }

    fn attention_backward(
        query: CubeTensor,
        key: CubeTensor,
        value: CubeTensor,
        extras: AttentionExtras<Self>,
        spec: AttentionSpec,
        saved: AttentionSaved<Self>,
        grad: CubeTensor,
        wants_bias: bool,
    ) -> AttentionGrads<Self> {
        attention::attention_backward(query, key, value, extras, spec, saved, grad, wants_bias)
    }
}

/// The kernels' arithmetic for a mapping, or the α of the general one.
fn family(mapping: Mapping) -> Result<Family, f64> {
    match mapping {
        Mapping::Softmax => Ok(Family::Softmax),
        Mapping::Sparsemax => Ok(Family::Sparsemax),
        Mapping::Entmax15 => Ok(Family::Entmax15),
        Mapping::Alpha(alpha) => Err(alpha),
    }
}

/// A column of one α for all rows, on the device of `like`.
fn constant(like: &CubeTensor, alpha: f64, rows: usize) -> CubeTensor {
    let dtype = compute_type(like.dtype);
    burn_cubecl::ops::numeric::full_device_dtype(
        like.client.clone(),
        Shape::from([rows, 1]),
        like.device.clone(),
        InputScalar::new(alpha, elem_type(dtype)),
        dtype,
    )
}

/// Half types are computed in f32.
fn compute_type(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

fn elem_type(dtype: DType) -> ElemType {
    ElemType::Float(match dtype {
        DType::F64 => FloatKind::F64,
        DType::F32 => FloatKind::F32,
        DType::F16 => FloatKind::F16,
        DType::BF16 => FloatKind::BF16,
        DType::Flex32 => FloatKind::Flex32,
        other => unreachable!("a float tensor has no type {other:?}"),
    })
}

/// Weights of `[rows, n]` scores. `config` is what [`LaunchConfig::of`] chooses unless a test forces one.
fn forward(
    scores: CubeTensor,
    alpha: CubeTensor,
    family: Family,
    config: Option<LaunchConfig>,
) -> CubeTensor {
    let (scores, alpha) = (into_contiguous(scores), into_contiguous(alpha));
    let shape = scores.meta.shape().clone();
    let client = scores.client.clone();
    let config = config.unwrap_or_else(|| LaunchConfig::of(&client, shape[1]));
    let compute = compute_type(scores.dtype);
    let weights = empty_device_dtype(
        client.clone(),
        scores.device.clone(),
        shape.clone(),
        scores.dtype,
    );
    let dtypes = [scores.dtype, alpha.dtype, compute].map(elem_type);
    forward::forward_kernel::launch(
        &client,
        cubes(&client, shape[0], &config),
        CubeDim::new_1d((config.units * config.rows) as u32),
        scores.clone().into_tensor_arg(),
        alpha.into_tensor_arg(),
        weights.clone().into_tensor_arg(),
        hidden_at(scores.dtype) as f32,
        f32::NAN,
        family,
        config,
        compute == DType::F64,
        dtypes,
    );
    weights
}

/// Gradients in the scores and, if `with_alpha`, in α, `[rows, 1]`; else the second is not written.
fn backward(
    weights: CubeTensor,
    grad: CubeTensor,
    alpha: CubeTensor,
    family: Family,
    with_alpha: bool,
    config: Option<LaunchConfig>,
) -> (CubeTensor, CubeTensor) {
    let (weights, grad) = (into_contiguous(weights), into_contiguous(grad));
    let alpha = into_contiguous(alpha);
    let shape = weights.meta.shape().clone();
    let client = weights.client.clone();
    let config = config.unwrap_or_else(|| LaunchConfig::of(&client, shape[1]));
    let compute = compute_type(weights.dtype);
    let empty = |shape: Shape, dtype| {
        empty_device_dtype(client.clone(), weights.device.clone(), shape, dtype)
    };
    let d_scores = empty(shape.clone(), weights.dtype);
    let d_alpha = empty(Shape::from([shape[0], 1]), alpha.dtype);
    let dtypes = [weights.dtype, alpha.dtype, compute].map(elem_type);
    backward::backward_kernel::launch(
        &client,
        cubes(&client, shape[0], &config),
        CubeDim::new_1d((config.units * config.rows) as u32),
        weights.clone().into_tensor_arg(),
        grad.into_tensor_arg(),
        alpha.into_tensor_arg(),
        d_scores.clone().into_tensor_arg(),
        d_alpha.clone().into_tensor_arg(),
        family,
        with_alpha,
        config,
        compute == DType::F64,
        dtypes,
    );
    (d_scores, d_alpha)
}

fn cubes(client: &Client, rows: usize, config: &LaunchConfig) -> CubeCount {
    CubeCountSelection::new(client, rows.div_ceil(config.rows) as u32).cube_count()
}

impl LaunchConfig {
    /// The configuration for rows of `n` elements on the device of `client`.
    fn of(client: &Client, n: usize) -> Self {
        let properties = client.properties();
        let hardware = &properties.hardware;
        // Planes may be larger than the smallest, but their lanes exchange within it.
        let plane = match properties.features.plane.contains(Plane::Ops) {
            true => 1 << hardware.plane_size_min.max(1).ilog2(),
            false => 1,
        };
        let largest = hardware
            .max_units_per_cube
            .min(hardware.max_cube_dim.0)
            .min((hardware.max_shared_memory_size / (8 * WIDTH)) as u32);
        let largest = (1 << largest.max(1).ilog2()).min(MAX_UNITS);
        Self::for_rows(n, plane, largest)
    }

    /// The configuration for rows of `n` elements on planes of `plane` units and cubes of at most
    /// `largest`, powers of two.
    fn for_rows(n: usize, plane: usize, largest: usize) -> Self {
        let plane = plane.min(largest);
        let units_with = |items: usize| n.div_ceil(items).next_power_of_two();
        // A plane holds a row as long as its registers do; then each unit gets few elements.
        let units = match units_with(ITEMS) <= plane {
            true => units_with(1).min(plane),
            false => units_with(FEW_ITEMS).min(largest),
        };
        let items = n.div_ceil(units).next_power_of_two();
        let rows = match units <= plane {
            true => (UNITS.min(largest) / units).max(1),
            false => 1,
        };
        Self {
            units,
            rows,
            plane,
            items: if items <= ITEMS { items } else { 0 },
        }
    }
}

#[cfg(all(test, feature = "testing", feature = "wgpu", feature = "flex"))]
mod tests;
