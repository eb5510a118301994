//! From options to the backend's fused attention.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::{
    AttentionExtras, AttentionOptions, AttentionOutput, AttentionSpec, Dropout, Implementation,
    Normalizer,
};
use crate::backend::SpartaBackend;

pub(super) fn attend(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    mut options: AttentionOptions,
) -> AttentionOutput {
    let [_, _, seq_q, d_head] = query.dims();
    options.fold_span([seq_q, key.dims()[2]], query.dtype(), true);
    let alpha = match &options.normalizer {
        Normalizer::Entmax(alpha) => Some(alpha.clone().into_dispatch()),
        Normalizer::Softmax
        | Normalizer::Sparsemax
        | Normalizer::Entmax15
        | Normalizer::Fusedmax { .. }
        | Normalizer::Oscarmax { .. } => None,
    };
    let mapping = options.normalizer.fused_mapping().unwrap_or_else(|name| {
        panic!("fused attention has no kernel for {name}: AttentionOptions::resolve refuses it")
    });
    let spec = AttentionSpec {
        mapping,
        scale: options.scale.unwrap_or(1.0 / (d_head as f64).sqrt()),
        causal: options.causal,
        packing: options.packing,
        block_size: options
            .block_mask
            .as_ref()
            .map_or(0, |mask| mask.block_size()),
        dropout: (options.dropout > 0.0).then(|| Dropout {
            probability: options.dropout,
            seed: options.dropout_seed.unwrap_or_default(),
        }),
    };
    let (position_query, positions) = match options.relative {
        Some(term) => (
            Some(term.query.into_dispatch()),
            Some(term.positions.into_dispatch()),
        ),
        None => (None, None),
    };
    let (layout, cells) = match options.block_mask {
        Some(mask) => (
            Some(mask.layout.into_dispatch()),
            Some(mask.cells.into_dispatch()),
        ),
        None => (None, None),
    };
    let extras = AttentionExtras {
        alpha: alpha.into(),
        bias: options.bias.map(Tensor::into_dispatch).into(),
        position_query: position_query.into(),
        positions: positions.into(),
        key_padding: options.key_padding.map(Tensor::into_dispatch).into(),
        global_mask: options.global_mask.map(Tensor::into_dispatch).into(),
        extra_mask: options.extra_mask.map(Tensor::into_dispatch).into(),
        layout: layout.into(),
        cells: cells.into(),
    };
    let (context, _) = <Dispatch as SpartaBackend>::attention_forward(
        query.into_dispatch(),
        key.into_dispatch(),
        value.into_dispatch(),
        extras,
        spec,
    );
    AttentionOutput {
        context: Tensor::from_dispatch(context),
        weights: None,
        implementation: Implementation::Fused,
    }
}
