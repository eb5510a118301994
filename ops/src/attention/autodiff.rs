//! The gradient of fused attention: what a backend's forward saved goes to its backward.

use burn::backend::autodiff::{
    NodeId,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, TensorMetadata};
use burn::tensor::{FloatDType, Shape};

use super::{AttentionExtras, AttentionGrads, AttentionSaved, AttentionSpec, MaybeFloat};
use crate::backend::{SpartaBackend, Tracked};

/// The context and, without gradient, what is saved.
pub(crate) fn forward<B: SpartaBackend, C: CheckpointStrategy>(
    query: Tracked<B, C>,
    key: Tracked<B, C>,
    value: Tracked<B, C>,
    extras: AttentionExtras<Autodiff<B, C>>,
    spec: AttentionSpec,
) -> (Tracked<B, C>, AttentionSaved<Autodiff<B, C>>) {
    let (query, query_node) = query.into_parts();
    let (key, key_node) = key.into_parts();
    let (value, value_node) = value.into_parts();
    // A constant stands in for a tensor that is not there: no gradient is asked of it.
    let constant = || {
        let device = query.device();
        let zero = B::float_zeros(Shape::from([1]), &device, FloatDType::F32);
        Autodiff::<B, C>::from_inner(zero).into_parts().1
    };
    let part = |tensor: MaybeFloat<Autodiff<B, C>>| match tensor {
        MaybeFloat::Some(tensor) => {
            let (tensor, node) = tensor.into_parts();
            (MaybeFloat::Some(tensor), node)
        }
        MaybeFloat::None => (MaybeFloat::None, constant()),
    };
    let (alpha, alpha_node) = part(extras.alpha);
    let (bias, bias_node) = part(extras.bias);
    let (position_query, position_query_node) = part(extras.position_query);
    let (positions, positions_node) = part(extras.positions);
    let extras = AttentionExtras::<B> {
        alpha,
        bias,
        position_query,
        positions,
        key_padding: extras.key_padding.into_option().into(),
        global_mask: extras.global_mask.into_option().into(),
        extra_mask: extras.extra_mask.into_option().into(),
        layout: extras.layout.into_option().into(),
        cells: extras.cells.into_option().into(),
    };
    let (context, saved) = B::attention_forward(
        query.clone(),
        key.clone(),
        value.clone(),
        extras.clone(),
        spec.clone(),
    );
    let nodes = [
        query_node,
        key_node,
        value_node,
        alpha_node,
        bias_node,
        position_query_node,
        positions_node,
    ];
    let outside = AttentionSaved {
        rows: Autodiff::<B, C>::from_inner(saved.rows.clone()),
        blocks: saved.blocks.clone(),
    };
    let context = match Attention.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let state = AttentionState {
                query,
                key,
                value,
                extras,
                spec,
                saved,
            };
            prep.finish(state, context)
        }
        OpsKind::UnTracked(prep) => prep.finish(context),
    };
    (context, outside)
}

#[derive(Debug)]
struct Attention;

#[derive(Clone, Debug)]
struct AttentionState<B: SpartaBackend> {
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    extras: AttentionExtras<B>,
    spec: AttentionSpec,
    saved: AttentionSaved<B>,
}

impl<B: SpartaBackend> Backward<B, 7> for Attention {
    type State = AttentionState<B>;

    fn backward(self, ops: Ops<AttentionState<B>, 7>, grads: &mut Gradients, _: &mut Checkpointer) {
        let state = ops.state;
        let nodes: [Option<NodeId>; 7] = ops.parents.map(|node| node.map(|node| node.id));
        let grad = grads.consume::<B>(&ops.node);
        let wants_bias = nodes[4].is_some();
        let AttentionGrads {
            query,
            key,
            value,
            alpha,
            bias,
            position_query,
            positions,
        } = B::attention_backward(
            state.query,
            state.key,
            state.value,
            state.extras,
            state.spec,
            state.saved,
            grad,
            wants_bias,
        );
        let found = [
            Some(query),
            Some(key),
            Some(value),
            alpha.into_option(),
            bias.into_option(),
            position_query.into_option(),
            positions.into_option(),
        ];
        for (node, grad) in nodes.into_iter().zip(found) {
            if let (Some(node), Some(grad)) = (node, grad) {
                grads.register::<B>(node, grad);
            }
        }
    }
}
