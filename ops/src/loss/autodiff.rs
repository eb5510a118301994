//! Hand-written gradients of the losses: the cross-entropy keeps logits and loss, the others the
//! weights.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, AutodiffBackend};

use crate::backend::{SpartaBackend, Tracked};
use crate::entmax::Mapping;

pub(crate) fn cross_entropy<B: SpartaBackend, C: CheckpointStrategy>(
    logits: Tracked<B, C>,
    targets: IntTensor<B>,
) -> Tracked<B, C> {
    let (logits, node) = logits.into_parts();
    let loss = B::cross_entropy_forward(logits.clone(), targets.clone());
    match CrossEntropy.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((logits, targets, loss.clone()), loss),
        OpsKind::UnTracked(prep) => prep.finish(loss),
    }
}

#[derive(Debug)]
struct CrossEntropy;

impl<B: SpartaBackend> Backward<B, 1> for CrossEntropy {
    type State = (FloatTensor<B>, IntTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (logits, targets, loss) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| {
            B::cross_entropy_backward(logits, targets, loss, grad)
        });
    }
}

/// The loss and, without gradient, the weights.
pub(crate) fn entmax_loss<B: SpartaBackend, C: CheckpointStrategy>(
    scores: Tracked<B, C>,
    targets: IntTensor<B>,
    mapping: Mapping,
) -> (Tracked<B, C>, Tracked<B, C>) {
    let (scores, node) = scores.into_parts();
    let (loss, weights) = B::entmax_loss_forward(scores, targets.clone(), mapping);
    let loss = match EntmaxLossNode
        .prepare::<C>([node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish((weights.clone(), targets), loss),
        OpsKind::UnTracked(prep) => prep.finish(loss),
    };
    (loss, Autodiff::<B, C>::from_inner(weights))
}

#[derive(Debug)]
struct EntmaxLossNode;

impl<B: SpartaBackend> Backward<B, 1> for EntmaxLossNode {
    type State = (FloatTensor<B>, IntTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (weights, targets) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| {
            B::entmax_loss_backward(weights, targets, grad)
        });
    }
}

/// The entropy, with a gradient in α only.
pub(crate) fn tsallis<B: SpartaBackend, C: CheckpointStrategy>(
    weights: Tracked<B, C>,
    alpha: Tracked<B, C>,
) -> Tracked<B, C> {
    let (weights, _) = weights.into_parts();
    let (alpha, node) = alpha.into_parts();
    let entropy = B::tsallis_forward(weights.clone(), alpha.clone());
    match Tsallis.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((weights, alpha), entropy),
        OpsKind::UnTracked(prep) => prep.finish(entropy),
    }
}

#[derive(Debug)]
struct Tsallis;

impl<B: SpartaBackend> Backward<B, 1> for Tsallis {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (weights, alpha) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| {
            B::tsallis_backward(weights, alpha, grad)
        });
    }
}
