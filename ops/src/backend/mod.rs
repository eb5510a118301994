//! The extension trait through which every Burn backend runs Sparta's operations.
//!
//! A method's default body is the reference in tensor operations; backends with kernels of their own
//! override it. Fused attention has none: its readable definition is [`crate::attention`]'s `reference`,
//! which is taken before the backend is asked. `#[backend_extension]` writes the dispatch from `Tensor<D>`
//! and, for CubeCL runtimes, the lazy implementation under fusion. Which operations have a gradient stands
//! in `autodiff`, how it is computed in the `autodiff.rs` of each operation's module.

// The dispatch written below names the ndarray and tch backends, which are deprecated upstream; they
// are supported until Burn removes them.
#![allow(deprecated)]

use burn::backend::DispatchDevice;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::Device;
#[cfg(feature = "cube")]
use burn::tensor::Shape;

use crate::attention::{
    self, AttentionExtras, AttentionGrads, AttentionSaved, AttentionSpec, Dropout,
};
use crate::entmax::{self, Bisection, Mapping, StructuredMapping, reference};
use crate::linear::{self, LinearActivation};
use crate::optimizer::{self, AdamStep};
use crate::{activation, loss, norm};

mod autodiff;

pub(crate) use autodiff::Tracked;

/// The operations Sparta adds to a Burn backend.
///
/// Arrays are `[rows, n]`; a mapping acts along the last dimension. Users call the functions of
/// [`mod@crate::entmax`], [`crate::attention`] and [`crate::loss`] instead.
#[backend_extension(
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "cube"),
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

    /// Weights of scores `[rows, n]` with one α per row, `[rows, 1]`.
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

    /// As [`SpartaBackend::entmax_forward`], told that about `k` scores of a row have weight. Only a
    /// backend that sorts has a use for it.
    #[fusion(dtype = scores, shape = scores)]
    fn entmax_topk_forward(
        scores: FloatTensor<Self>,
        mapping: Mapping,
        k: usize,
    ) -> FloatTensor<Self> {
        let _ = k;
        Self::entmax_forward(scores, mapping)
    }

    /// As [`SpartaBackend::entmax_rows_forward`] after a number of iterations, not divided by its sum
    /// unless wanted; its gradients are those of the weights it gives.
    #[fusion(dtype = scores, shape = scores)]
    fn entmax_bisect_forward(
        scores: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        bisection: Bisection,
    ) -> FloatTensor<Self> {
        reference::forward_bisect::<Self>(scores, alpha, bisection)
    }

    /// Normmax weights of scores `[rows, n]` with one α per row, `[rows, 1]`.
    #[fusion(dtype = scores, shape = scores)]
    fn normmax_forward(
        scores: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        n_iter: Option<usize>,
    ) -> FloatTensor<Self> {
        reference::normmax_forward::<Self>(scores, alpha, n_iter)
    }

    /// Gradients in the scores `[rows, n]` and in α `[rows, 1]`.
    #[fusion(meta = |weights, _grad, alpha| (weights.clone(), alpha.clone()))]
    fn normmax_backward(
        weights: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::normmax_backward::<Self>(weights, grad, alpha)
    }

    /// Weights in [0, 1] of scores `[rows, n]` whose sum is a budget per row, `[rows, 1]`.
    #[fusion(dtype = scores, shape = scores)]
    fn budget_forward(
        scores: FloatTensor<Self>,
        budget: FloatTensor<Self>,
        n_iter: Option<usize>,
    ) -> FloatTensor<Self> {
        reference::budget_forward::<Self>(scores, budget, n_iter)
    }

    /// Gradients in the scores `[rows, n]` and in the budget `[rows, 1]`.
    #[fusion(meta = |weights, _grad, budget| (weights.clone(), budget.clone()))]
    fn budget_backward(
        weights: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        budget: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::budget_backward::<Self>(weights, grad, budget)
    }

    /// Weights of scores `[rows, n]` in groups of equal ones, and the group of each, `[rows, n]` in i32: from 1
    /// where there is weight, 0 where there is none, −1 in rows with a NaN.
    #[fusion(meta = |scores, _mapping| {
        let groups = scores.shape.clone();
        (scores.clone(), burn::backend::fusion::custom::TensorSpec::new(groups, burn::tensor::DType::I32))
    })]
    fn structured_forward(
        scores: FloatTensor<Self>,
        mapping: StructuredMapping,
    ) -> (FloatTensor<Self>, IntTensor<Self>) {
        entmax::structured_forward::<Self>(scores, mapping)
    }

    /// Gradient of [`SpartaBackend::structured_forward`] in the scores, given its groups.
    #[fusion(dtype = grad, shape = grad)]
    fn structured_backward(groups: IntTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        entmax::structured_backward::<Self>(groups, grad)
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

    /// log Σ_j exp(z_j) of each row of `[rows, n]`, `[rows]`.
    #[fusion(dtype = scores, shape = Shape::from([scores[0]]))]
    fn log_partition(scores: FloatTensor<Self>) -> FloatTensor<Self> {
        loss::reference::log_partition::<Self>(scores)
    }

    /// Fenchel–Young loss `[rows]` of a mapping of scores `[rows, n]` (f32 or f64) against a target
    /// class `[rows]`, and the weights `[rows, n]`; 0 where the target is negative.
    #[fusion(meta = |scores, _targets, _mapping| {
        let loss = Shape::from([scores.shape[0]]);
        (burn::backend::fusion::custom::TensorSpec::new(loss, scores.dtype), scores.clone())
    })]
    fn entmax_loss_forward(
        scores: FloatTensor<Self>,
        targets: IntTensor<Self>,
        mapping: Mapping,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        loss::reference::entmax_forward::<Self>(scores, targets, mapping)
    }

    /// Gradient of [`SpartaBackend::entmax_loss_forward`] in the scores, given its weights.
    #[fusion(dtype = weights, shape = weights)]
    fn entmax_loss_backward(
        weights: FloatTensor<Self>,
        targets: IntTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        loss::reference::entmax_backward::<Self>(weights, targets, grad)
    }

    /// Tsallis entropy `[rows, 1]` of weights `[rows, n]` (f32 or f64) with one α per row, `[rows, 1]`.
    #[fusion(dtype = weights, shape = alpha)]
    fn tsallis_forward(weights: FloatTensor<Self>, alpha: FloatTensor<Self>) -> FloatTensor<Self> {
        loss::reference::tsallis_forward::<Self>(weights, alpha)
    }

    /// Gradient of [`SpartaBackend::tsallis_forward`] in α.
    #[fusion(dtype = alpha, shape = alpha)]
    fn tsallis_backward(
        weights: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        loss::reference::tsallis_backward::<Self>(weights, alpha, grad)
    }

    /// `1/(1 − probability)` where a weight of `[rows, n]` is kept, else 0, by [`Dropout`]'s generator.
    #[fusion(dtype = like, shape = like)]
    fn dropout_mask(like: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        attention::dropout_mask::<Self>(like, dropout)
    }

    /// Values of `[rows, n]` times [`SpartaBackend::dropout_mask`]; its own gradient.
    #[fusion(dtype = x, shape = x)]
    fn drop_values(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        crate::dropout::reference::<Self>(x, dropout)
    }

    /// Context `[batch, n_heads, seq_q, d_value]` of [`attention::sparse_attention`], and what its
    /// backward needs, by kernels that hold no more than tiles of scores.
    ///
    /// There is no default: [`attention::AttentionOptions::resolve`] sends requests here only for devices
    /// whose kernels serve them, and all others to the definition in tensor operations.
    ///
    /// # Panics
    /// For a request that `resolve` refuses.
    #[fusion(meta = crate::cube::forward_meta)]
    fn attention_forward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        #[extension_type] extras: AttentionExtras<Self>,
        spec: AttentionSpec,
    ) -> (FloatTensor<Self>, AttentionSaved<Self>);

    /// Gradients of [`SpartaBackend::attention_forward`], given what it saved.
    ///
    /// # Panics
    /// As there; on an autodiff backend, as there are no second derivatives.
    #[fusion(meta = crate::cube::backward_meta)]
    #[allow(clippy::too_many_arguments)] // the macro takes tensors one by one
    fn attention_backward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        #[extension_type] extras: AttentionExtras<Self>,
        spec: AttentionSpec,
        #[extension_type] saved: AttentionSaved<Self>,
        grad: FloatTensor<Self>,
        wants_bias: bool,
    ) -> AttentionGrads<Self>;

    /// The rows of the batch of `[batch, n_heads, seq, d]` at `rows`, each with its row of new positions,
    /// `[n, n_heads, n_new, d]`, behind it.
    #[fusion(dtype = kept, shape = Shape::from([new[0], new[1], kept[2] + new[2], new[3]]))]
    fn append_positions(
        kept: FloatTensor<Self>,
        rows: IntTensor<Self>,
        new: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        attention::kept::reference::<Self>(kept, rows, new)
    }

    /// `x·Φ(x)` of every value of `[rows, n]`.
    #[fusion(dtype = x, shape = x)]
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        activation::reference::gelu::<Self>(x)
    }

    /// Its gradient, `g·(Φ(x) + x·φ(x))`.
    #[fusion(dtype = x, shape = x)]
    fn exact_gelu_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        activation::reference::gelu_backward::<Self>(x, grad)
    }

    /// `f(x·W + b)` of x `[rows, k]`, W `[k, n]` and b `[n]`.
    #[fusion(dtype = x, shape = Shape::from([x[0], weight[1]]))]
    fn linear_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: LinearActivation,
    ) -> FloatTensor<Self> {
        linear::reference::forward::<Self>(x, weight, bias, activation)
    }

    /// Gradients in `x·W + b`, `[rows, n]`, and in b, `[n]`, given the output of [`SpartaBackend::linear_forward`] (which is
    /// not read without an activation).
    #[fusion(meta = |output, _grad, _activation| {
        let bias = Shape::from([output.shape[1]]);
        (output.clone(), burn::backend::fusion::custom::TensorSpec::new(bias, output.dtype))
    })]
    fn bias_backward(
        output: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: LinearActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        linear::reference::bias_backward::<Self>(output, grad, activation)
    }

    /// `x·W` of x `[rows, k]` and W `[k, n]`.
    #[fusion(dtype = x, shape = Shape::from([x[0], weight[1]]))]
    fn product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        linear::reference::product::<Self>(x, weight)
    }

    /// Gradients of [`SpartaBackend::product`] in x and in W.
    #[fusion(meta = |x, weight, _grad| (x.clone(), weight.clone()))]
    fn product_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        linear::reference::product_backward::<Self>(x, weight, grad)
    }

    /// Normalised rows of x `[rows, n]`, and mean and 1/√(var + ε) of each, `[rows, 2]` in f32 at least.
    #[fusion(meta = |x, _gamma, _beta, _epsilon| {
        let statistics = Shape::from([x.shape[0], 2]);
        let dtype = norm::statistics_dtype(x.dtype);
        (x.clone(), burn::backend::fusion::custom::TensorSpec::new(statistics, dtype))
    })]
    fn layer_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        norm::reference::forward::<Self>(x, gamma, beta, epsilon)
    }

    /// Gradients of [`SpartaBackend::layer_norm_forward`] in x, γ and β, given its statistics.
    #[fusion(meta = |x, gamma, _statistics, _grad| (x.clone(), gamma.clone(), gamma.clone()))]
    fn layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        norm::reference::backward::<Self>(x, gamma, statistics, grad)
    }

    /// Weight `[n]` and moments after an update by Adam; the gradient is multiplied by a scale `[1]`.
    #[fusion(meta = |weight, _gradient, first, second, _scale, _step| {
        (weight.clone(), first.clone(), second.clone())
    })]
    fn adam(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        optimizer::reference::adam::<Self>(weight, gradient, first, second, scale, step)
    }

    /// Σx² of `[n]`, `[1]`.
    #[fusion(dtype = x, shape = Shape::from([1]))]
    fn sum_of_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
        optimizer::reference::sum_of_squares::<Self>(x)
    }
}

/// Whether the elements of a device's tensors lie where kernels of [`mod@crate::cpu`] read them.
#[allow(clippy::match_like_matches_macro)] // which arms there are depends on the backends compiled in
pub(crate) fn is_on_host(device: &Device) -> bool {
    let device = device.clone().inner();
    match device.as_dispatch() {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => true,
        #[cfg(feature = "ndarray")]
        DispatchDevice::NdArray(_) => true,
        #[cfg(feature = "tch")]
        DispatchDevice::LibTorch(burn::backend::libtorch::LibTorchDevice::Cpu) => true,
        // Which variants there are depends on the features of Burn that are on.
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

/// Whether a device's matrix products are those of the gemm crate: libtorch has its own.
#[allow(clippy::match_like_matches_macro)] // as above
pub(crate) fn multiplies_by_gemm(device: &Device) -> bool {
    let device = device.clone().inner();
    match device.as_dispatch() {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => true,
        #[cfg(feature = "ndarray")]
        DispatchDevice::NdArray(_) => true,
        #[allow(unreachable_patterns)] // as above
        _ => false,
    }
}
