//! The hand-written gradient: the input and two numbers a row are kept for the backward pass.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend};

use crate::backend::{SpartaBackend, Tracked};

/// The normalised rows and, without gradient, the statistics.
pub(crate) fn layer_norm<B: SpartaBackend, C: CheckpointStrategy>(
    x: Tracked<B, C>,
    gamma: Tracked<B, C>,
    beta: Tracked<B, C>,
    epsilon: f64,
) -> (Tracked<B, C>, Tracked<B, C>) {
    let (x, x_node) = x.into_parts();
    let (gamma, gamma_node) = gamma.into_parts();
    let (beta, beta_node) = beta.into_parts();
    let (normal, statistics) = B::layer_norm_forward(x.clone(), gamma.clone(), beta, epsilon);
    let nodes = [x_node, gamma_node, beta_node];
    let normal = match LayerNorm.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((x, gamma, statistics.clone()), normal),
        OpsKind::UnTracked(prep) => prep.finish(normal),
    };
    (normal, Autodiff::<B, C>::from_inner(statistics))
}

#[derive(Debug)]
struct LayerNorm;

impl<B: SpartaBackend> Backward<B, 3> for LayerNorm {
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, gamma, statistics) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let (of_x, of_gamma, of_beta) = B::layer_norm_backward(x, gamma, statistics, grad);
        for (node, grad) in ops.parents.into_iter().zip([of_x, of_gamma, of_beta]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}
