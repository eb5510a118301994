//! Hand-written gradients: the products keep x and W, an activation its output.

use burn::backend::Autodiff;
use burn::backend::autodiff::{
    NodeId,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;

use super::LinearActivation;
use crate::backend::{SpartaBackend, Tracked};

pub(crate) fn linear<B: SpartaBackend, C: CheckpointStrategy>(
    x: Tracked<B, C>,
    weight: Tracked<B, C>,
    bias: Tracked<B, C>,
    activation: LinearActivation,
) -> FloatTensor<Autodiff<B, C>> {
    let (x, x_node) = x.into_parts();
    let (weight, weight_node) = weight.into_parts();
    let (bias, bias_node) = bias.into_parts();
    let output = B::linear_forward(x.clone(), weight.clone(), bias, activation);
    let nodes = [x_node, weight_node, bias_node];
    match Linear.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let kept = match activation {
                LinearActivation::Identity => None,
                LinearActivation::Relu => Some(output.clone()),
            };
            prep.finish((x, weight, kept, activation), output)
        }
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

#[derive(Debug)]
struct Linear;

impl<B: SpartaBackend> Backward<B, 3> for Linear {
    type State = (
        FloatTensor<B>,
        FloatTensor<B>,
        Option<FloatTensor<B>>,
        LinearActivation,
    );

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, output, activation) = ops.state;
        let [x_node, weight_node, bias_node] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        // Without an activation its output is nobody's; the gradient has the shape that is asked for.
        let output = output.unwrap_or_else(|| grad.clone());
        let (grad, of_bias) = B::bias_backward(output, grad, activation);
        if let Some(node) = bias_node {
            grads.register::<B>(node.id, of_bias);
        }
        let nodes = [x_node, weight_node].map(|node| node.map(|node| node.id));
        register_product::<B>(nodes, x, weight, grad, grads);
    }
}

pub(crate) fn product<B: SpartaBackend, C: CheckpointStrategy>(
    x: Tracked<B, C>,
    weight: Tracked<B, C>,
) -> FloatTensor<Autodiff<B, C>> {
    let (x, x_node) = x.into_parts();
    let (weight, weight_node) = weight.into_parts();
    let output = B::product(x.clone(), weight.clone());
    let nodes = [x_node, weight_node];
    match Product.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((x, weight), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

#[derive(Debug)]
struct Product;

impl<B: SpartaBackend> Backward<B, 2> for Product {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let nodes = ops.parents.map(|node| node.map(|node| node.id));
        register_product::<B>(nodes, x, weight, grad, grads);
    }
}

/// Computes the gradients of a product that somebody wants.
fn register_product<B: SpartaBackend>(
    nodes: [Option<NodeId>; 2],
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
    grads: &mut Gradients,
) {
    let transposed = |matrix| B::float_swap_dims(matrix, 0, 1);
    match nodes {
        [Some(x_node), Some(weight_node)] => {
            let (of_x, of_weight) = B::product_backward(x, weight, grad);
            grads.register::<B>(x_node, of_x);
            grads.register::<B>(weight_node, of_weight);
        }
        [Some(node), None] => grads.register::<B>(node, B::product(grad, transposed(weight))),
        [None, Some(node)] => grads.register::<B>(node, B::product(transposed(x), grad)),
        [None, None] => {}
    }
}
