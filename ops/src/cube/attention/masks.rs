//! Every mask that is a tensor in one buffer: devices bind few.

use burn::backend::ops::{BoolTensorOps, IntTensorOps};
use burn::tensor::{DType, IntDType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::inputs::{EXTRA, GLOBAL, LAYOUT, MaskOffsetsLaunch, PADDING, SPANS};
use crate::attention::{AttentionExtras, AttentionSpec, visible_keys};

/// Masks one behind the other, flags as they are stored where there is nothing else, and where each begins.
pub(super) struct MaskBuffer {
    pub tensor: Option<CubeTensor>,
    /// Of spans, layout, cells, padding, global mask and extra mask.
    starts: [u32; 6],
    kinds: u32,
    layout_heads: u32,
    global_heads: u32,
    /// The block size.
    block: usize,
}

/// What the masks of [`Masks::starts`] add to the kinds.
const KINDS: [u32; 6] = [SPANS, LAYOUT, 0, PADDING, GLOBAL, EXTRA];

impl MaskBuffer {
    pub fn new(
        query: &CubeTensor,
        seq_kv: usize,
        extras: &AttentionExtras<CubeBackend>,
        spec: &AttentionSpec,
    ) -> Self {
        let layout = extras.layout.as_option().cloned();
        let heads = |mask: Option<&CubeTensor>| mask.map_or(1, |mask| mask.meta.shape()[0] as u32);
        let (layout_heads, global_heads) = (
            heads(layout.as_ref()),
            heads(extras.global_mask.as_option()),
        );
        let numbers = [spans(query, seq_kv, spec), layout];
        let flags = [
            &extras.cells,
            &extras.key_padding,
            &extras.global_mask,
            &extras.extra_mask,
        ];
        let only_flags = numbers.iter().all(Option::is_none);
        let mut starts = [0; 6];
        let mut kinds = 0;
        let mut end = 0;
        let mut parts = Vec::new();
        let mut add = |i: usize, tensor: CubeTensor| {
            starts[i] = end as u32;
            kinds |= KINDS[i];
            end += tensor.meta.num_elements();
            parts.push(tensor);
        };
        for (i, tensor) in numbers.into_iter().enumerate() {
            if let Some(tensor) = tensor {
                let n = tensor.meta.num_elements();
                let tensor = CubeBackend::int_reshape(tensor, Shape::from([n]));
                add(i, CubeBackend::int_cast(tensor, IntDType::I32));
            }
        }
        for (i, flags) in flags.into_iter().enumerate() {
            if let Some(flags) = flags.as_option() {
                let n = flags.meta.num_elements();
                let flags = CubeBackend::bool_reshape(flags.clone(), Shape::from([n]));
                add(
                    2 + i,
                    match only_flags {
                        true => flags,
                        false => CubeBackend::bool_into_int(flags, IntDType::I32),
                    },
                );
            }
        }
        let tensor = match (parts.len(), only_flags) {
            (0 | 1, _) => parts.pop(),
            (_, true) => Some(CubeBackend::bool_cat(parts, 0)),
            (_, false) => Some(CubeBackend::int_cat(parts, 0)),
        };
        Self {
            tensor: tensor.map(burn_cubecl::kernel::into_contiguous),
            starts,
            kinds,
            layout_heads,
            global_heads,
            block: spec.block_size.max(1),
        }
    }

    pub fn offsets(&self) -> MaskOffsetsLaunch {
        let [spans, layout, cells, padding, global, extra] = self.starts;
        MaskOffsetsLaunch::new(
            self.kinds,
            spans,
            layout,
            self.layout_heads,
            self.block.ilog2(),
            cells,
            padding,
            global,
            self.global_heads,
            extra,
        )
    }
}

/// First and last but one of the keys that each query may see, where sequences are packed.
fn spans(query: &CubeTensor, seq_kv: usize, spec: &AttentionSpec) -> Option<CubeTensor> {
    let packing = spec.packing.as_ref()?;
    let seq_q = query.meta.shape()[2];
    let visible = visible_keys(seq_q, seq_kv, spec.causal, Some(packing));
    let ends = visible
        .iter()
        .flat_map(|keys| [keys.start as i32, keys.end as i32]);
    let ends: Vec<i32> = ends.collect();
    let client = query.client.clone();
    let handle = client.create_from_slice(bytemuck::cast_slice(&ends));
    let (device, shape) = (query.device.clone(), Shape::from([seq_q, 2]));
    Some(CubeTensor::new_contiguous(
        client,
        device,
        shape,
        handle,
        DType::I32,
    ))
}
