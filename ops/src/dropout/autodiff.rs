//! The gradient: the same dropout of the gradient.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};

use crate::attention::Dropout;
use crate::backend::{SpartaBackend, Tracked};

pub(crate) fn drop_values<B: SpartaBackend, C: CheckpointStrategy>(
    x: Tracked<B, C>,
    dropout: Dropout,
) -> Tracked<B, C> {
    let (x, node) = x.into_parts();
    let kept = B::drop_values(x, dropout);
    match DropValues.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(dropout, kept),
        OpsKind::UnTracked(prep) => prep.finish(kept),
    }
}

#[derive(Debug)]
struct DropValues;

impl<B: SpartaBackend> Backward<B, 1> for DropValues {
    type State = Dropout;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dropout = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| {
            B::drop_values(grad, dropout)
        });
    }
}
