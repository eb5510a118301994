//! A gradient handed to a backward pass as it is, as PyTorch's `y.backward(g)` takes it: what is
//! timed is the operation, not a product that brings the gradient about.

#![allow(deprecated)] // ndarray and tch are, upstream

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor};

/// A number whose gradient in `weights` is `grad`.
pub fn contract(weights: Tensor<2>, grad: Tensor<2>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Upstream>::contract(
        weights.into_dispatch(),
        grad.into_dispatch(),
    ))
}

#[backend_extension(
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "cube"),
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Autodiff
)]
pub trait Upstream: Backend {
    #[fusion(dtype = weights, shape = Shape::from([1]))]
    fn contract(weights: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        assert_eq!(weights.shape(), grad.shape());
        Self::float_zeros(Shape::from([1]), &weights.device(), weights.dtype().into())
    }
}

#[cfg(feature = "flex")]
impl Upstream for burn::backend::Flex {}
#[cfg(feature = "ndarray")]
impl Upstream for burn::backend::NdArray {}
#[cfg(feature = "tch")]
impl Upstream for burn::backend::LibTorch {}
#[cfg(feature = "cube")]
impl Upstream for burn_cubecl::CubeBackend {}

impl<B: Upstream, C: CheckpointStrategy> Upstream for Autodiff<B, C> {
    fn contract(weights: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let (weights, node) = weights.into_parts();
        let (grad, _) = grad.into_parts();
        let number = B::contract(weights, grad.clone());
        match Contract.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(grad, number),
            OpsKind::UnTracked(prep) => prep.finish(number),
        }
    }
}

#[derive(Debug)]
struct Contract;

impl<B: Upstream> Backward<B, 1> for Contract {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |_| grad);
    }
}
