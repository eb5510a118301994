//! Hand-written gradient of the cross-entropy: the logits and the loss are kept.

use burn::backend::Autodiff;
use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::tensor::{FloatTensor, IntTensor};

use crate::SpartaBackend;

pub(crate) fn cross_entropy<B: SpartaBackend, C: CheckpointStrategy>(
    logits: FloatTensor<Autodiff<B, C>>,
    targets: IntTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
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
