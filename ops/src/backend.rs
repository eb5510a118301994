//! The extension trait through which every Burn backend runs Sparta's operations.
//!
//! Each method has a default body in tensor operations; backends with kernels of their own override
//! it. `#[backend_extension]` writes the dispatch from `Tensor<D>` and, for CubeCL runtimes, the
//! lazy implementation under fusion. Gradients are written by hand in [`mod@crate::entmax`].

// The dispatch written below names the ndarray and tch backends, which are deprecated upstream; they
// are supported until Burn removes them.
#![allow(deprecated)]

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
use burn::tensor::Shape;

use crate::entmax::{Mapping, reference};
use crate::loss;

/// The operations Sparta adds to a Burn backend.
///
/// Arrays are `[rows, n]`; a mapping acts along the last dimension. Users call the functions of
/// [`mod@crate::entmax`], [`crate::attention`] and [`crate::loss`] instead.
#[backend_extension(
    Cube: cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm")),
    Fusion: cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm")),
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    LibTorch: cfg(feature = "tch"),
    Autodiff
)]
pub trait SpartaBackend: Backend {
    /// Weights of scores `[rows, n]` under a mapping with one α for all rows.
    #[fusion(dtype = scores, shape = scores)]
    fn entmax_forward(scores: FloatTensor<Self>, mapping: Mapping) -> FloatTensor<Self> {
        reference::forward::<Self>(scores, mapping)
    }

    /// Gradient in the scores, from the weights alone.
    #[fusion(dtype = weights, shape = weights)]
    fn entmax_backward(
        weights: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        mapping: Mapping,
    ) -> FloatTensor<Self> {
        reference::backward::<Self>(weights, grad, mapping)
    }

    /// Weights of scores `[rows, n]` with one α a row, `[rows, 1]`.
    #[fusion(dtype = scores, shape = scores)]
    fn entmax_rows_forward(
        scores: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        reference::forward_rows::<Self>(scores, alpha)
    }

    /// Gradients in the scores `[rows, n]` and in α `[rows, 1]`.
    #[fusion(meta = |weights, _grad, alpha| (weights.clone(), alpha.clone()))]
    fn entmax_rows_backward(
        weights: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::backward_rows::<Self>(weights, grad, alpha)
    }

    /// Negative log-likelihood `[rows]` of a target class `[rows]` under softmax of `[rows, n]`; 0
    /// where the target is negative.
    #[fusion(dtype = logits, shape = Shape::from([logits[0]]))]
    fn cross_entropy_forward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        loss::reference::forward::<Self>(logits, targets)
    }

    /// Gradient of [`SpartaBackend::cross_entropy_forward`] in the logits, given its result.
    #[fusion(dtype = logits, shape = logits)]
    fn cross_entropy_backward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        loss: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        loss::reference::backward::<Self>(logits, targets, loss, grad)
    }
}
