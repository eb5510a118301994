//! Hand-written gradients: only the weights are kept for the backward pass.

use burn::backend::Autodiff;
use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::tensor::{FloatTensor, IntTensor};

use super::Mapping;
use crate::SpartaBackend;
use crate::loss;

impl<B: SpartaBackend, C: CheckpointStrategy> SpartaBackend for Autodiff<B, C> {
    fn entmax_forward(scores: FloatTensor<Self>, mapping: Mapping) -> FloatTensor<Self> {
        let (scores, node) = scores.into_parts();
        let weights = B::entmax_forward(scores, mapping);
        match MapRows.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((weights.clone(), mapping), weights),
            OpsKind::UnTracked(prep) => prep.finish(weights),
        }
    }

    fn entmax_rows_forward(
        scores: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (scores, scores_node) = scores.into_parts();
        let (alpha, alpha_node) = alpha.into_parts();
        let weights = B::entmax_rows_forward(scores, alpha.clone());
        match MapRowsWithAlpha
            .prepare::<C>([scores_node, alpha_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((weights.clone(), alpha), weights),
            OpsKind::UnTracked(prep) => prep.finish(weights),
        }
    }

    fn cross_entropy_forward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        loss::autodiff::cross_entropy::<B, C>(logits, targets)
    }
}

#[derive(Debug)]
struct MapRows;

impl<B: SpartaBackend> Backward<B, 1> for MapRows {
    type State = (FloatTensor<B>, Mapping);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (weights, mapping) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| {
            B::entmax_backward(weights, grad, mapping)
        });
    }
}

#[derive(Debug)]
struct MapRowsWithAlpha;

impl<B: SpartaBackend> Backward<B, 2> for MapRowsWithAlpha {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (weights, alpha) = ops.state;
        let [scores_node, alpha_node] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (scores_grad, alpha_grad) = B::entmax_rows_backward(weights, grad, alpha);
        if let Some(node) = scores_node {
            grads.register::<B>(node.id, scores_grad);
        }
        if let Some(node) = alpha_node {
            grads.register::<B>(node.id, alpha_grad);
        }
    }
}
