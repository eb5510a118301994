//! The problem as the kernels take it, and whether they do.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::{BoolStore, DType, FloatDType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::{empty_device_contiguous_dtype, zeros};
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, IntKind, UIntKind};
use cubecl::prelude::*;

use super::super::mapping::Family;
use super::super::{compute_type, constant, elem_type, family};
use super::Extras;
use super::fusion::saved_shapes;
use super::inputs::InputsLaunch;
use super::masks::MaskBuffer;
use super::tiling::{Tiling, words};
use crate::attention::{
    AttentionGrads, AttentionOptions, AttentionSaved, AttentionSpec, MaybeFloat,
};

const RELATIVE: &str = "a relative term";
const CUBES: &str = "a device whose cubes hold no tile of scores (64 units and 14 KiB)";

/// The part of a request that the kernels do not serve on a device; none where they serve it.
pub(crate) fn unserved(
    options: &AttentionOptions,
    device: &CubeDevice,
    dtype: DType,
    [seq_q, seq_kv]: [usize; 2],
) -> Option<String> {
    if options.relative.is_some() {
        return Some(RELATIVE.to_owned());
    }
    let bias = options.bias_is_tracked();
    if bias == Some(true) {
        return Some(
            "the gradient of a bias or span (one that needs none: Tensor::from_inner(bias.inner()))"
                .to_owned(),
        );
    }
    let client = device.client();
    // Those of the kernel of the keys, which has the most.
    let bindings = 8 + u32::from(options.has_mask()) + u32::from(bias.is_some());
    let bound = client.properties().hardware.max_bindings;
    if bindings > bound {
        return Some(format!(
            "a problem that takes {bindings} buffers, as this device binds {bound}"
        ));
    }
    let element = compute_type(dtype).size();
    match Tiling::tiles(&client, element, seq_q.max(seq_kv)) {
        Some(_) => None,
        None => Some(CUBES.to_owned()),
    }
}

/// What attention is asked for, every float in the query's type, and all but query, key and value in
/// row-major order.
pub(super) struct CubeProblem {
    pub query: CubeTensor,
    pub key: CubeTensor,
    pub value: CubeTensor,
    pub extras: Extras,
    spec: AttentionSpec,
    masks: MaskBuffer,
    family: Family,
    /// Whether α is a tensor, which has a gradient.
    pub has_alpha: bool,
}

impl CubeProblem {
    pub fn new(
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
            (true, _) => Family::AnyAlpha,
            (false, Err(alpha)) => Family::of_alpha(alpha),
            (false, Ok(family)) => family,
        };
        let masks = MaskBuffer::new(&query, key.meta.shape()[2], &extras, &spec);
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

    pub fn same(&self, tensor: CubeTensor) -> CubeTensor {
        cast(tensor, self.query.dtype)
    }

    /// Whether there is nothing to compute: no query, or no key, whose context is zero.
    pub fn is_empty(&self) -> bool {
        let [batch, n_heads, seq_q, _] = self.query.meta.shape().dims();
        let [_, _, seq_kv, d_value] = self.value.meta.shape().dims();
        [batch, n_heads, seq_q, seq_kv, d_value].contains(&0)
    }

    /// How the kernels compute it.
    ///
    /// # Panics
    /// Where [`unserved`] says that they do not.
    pub fn tiling(&self) -> Tiling {
        let [_, _, seq_q, d_head] = self.query.meta.shape().dims();
        let [_, _, seq_kv, d_value] = self.value.meta.shape().dims();
        assert!(
            self.extras.positions.as_option().is_none(),
            "fused attention has no kernel for {RELATIVE}: AttentionOptions::resolve refuses it"
        );
        let compute = compute_type(self.query.dtype);
        let longest = seq_q.max(seq_kv);
        let [tile_size, chunk] = Tiling::tiles(&self.query.client, compute.size(), longest)
            .unwrap_or_else(|| panic!("{CUBES}: AttentionOptions::resolve refuses it"));
        let spec = &self.spec;
        Tiling {
            tile_size,
            chunk,
            strips: Tiling::strips(tile_size, chunk, d_head.max(d_value)),
            words: words(seq_kv, tile_size),
            family: self.family,
            double: compute == DType::F64,
            // Packed sequences have spans.
            causal: spec.causal && spec.packing.is_none(),
            masked: self.masks.tensor.is_some(),
            bias: self.extras.bias.as_option().is_some(),
            dropout: spec.dropout.is_some(),
        }
    }

    pub fn empty<const D: usize>(&self, shape: [usize; D], dtype: DType) -> CubeTensor {
        let (client, device) = (self.query.client.clone(), self.query.device.clone());
        empty_device_contiguous_dtype(client, device, Shape::from(shape), dtype)
    }

    /// Zeros in the query's type.
    pub fn zeros(&self, shape: [usize; 4]) -> CubeTensor {
        zeros(
            self.query.device.clone(),
            Shape::from(shape),
            self.query.dtype,
        )
    }

    /// The gradients of a context that depends on nothing.
    pub fn no_gradients(&self) -> AttentionGrads<CubeBackend> {
        let like = |tensor: &CubeTensor| {
            zeros(
                tensor.device.clone(),
                tensor.meta.shape().clone(),
                tensor.dtype,
            )
        };
        AttentionGrads {
            query: like(&self.query),
            key: like(&self.key),
            value: like(&self.value),
            alpha: self.extras.alpha.as_option().map(like).into(),
            bias: MaybeFloat::None,
            position_query: MaybeFloat::None,
            positions: MaybeFloat::None,
        }
    }

    pub fn empty_saved(&self) -> AttentionSaved<CubeBackend> {
        let (rows, blocks) = saved_shapes(self.query.meta.shape(), self.key.meta.shape());
        AttentionSaved {
            rows: self.empty(rows, compute_type(self.query.dtype)),
            blocks: self.empty(blocks, DType::U32),
        }
    }

    /// α of each head, where the kernels read one.
    pub fn alpha(&self) -> Option<CubeTensor> {
        match (self.extras.alpha.as_option(), family(self.spec.mapping)) {
            (Some(alpha), _) => Some(alpha.clone()),
            (None, Err(alpha)) => Some(constant(&self.query, alpha, self.query.meta.shape()[1])),
            (None, Ok(_)) => None,
        }
    }

    /// Types of floats, of masks, and of what is computed.
    pub fn dtypes(&self) -> [ElemType; 3] {
        let masks = self.masks.tensor.as_ref();
        [
            elem_type(self.query.dtype),
            whole_type(masks.map_or(DType::I32, |masks| masks.dtype)),
            elem_type(compute_type(self.query.dtype)),
        ]
    }

    pub fn launch<F: Float, M: Int>(&self) -> InputsLaunch<F, M> {
        let [_, _, compute] = self.dtypes();
        let dropout = self.spec.dropout;
        let seed = dropout.map_or(0, |dropout| dropout.seed);
        InputsLaunch::new(
            self.query.clone().into_tensor_arg(),
            self.key.clone().into_tensor_arg(),
            self.value.clone().into_tensor_arg(),
            argument(self.extras.bias.as_option().cloned()),
            argument(self.masks.tensor.clone()),
            self.masks.offsets(),
            InputScalar::new(self.spec.scale, compute),
            InputScalar::new(dropout.map_or(1.0, |dropout| dropout.scale()), compute),
            dropout.map_or(0, |dropout| dropout.below()),
            seed as u32,
            (seed >> 32) as u32,
        )
    }
}

pub(super) fn argument<E: CubePrimitive>(
    tensor: Option<CubeTensor>,
) -> ComptimeOptionArgs<OwnedTensor<E>> {
    tensor.map(CubeTensor::into_tensor_arg).into()
}

pub(super) fn cast(tensor: CubeTensor, dtype: DType) -> CubeTensor {
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
