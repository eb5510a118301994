//! The operations that have a gradient, under Burn's autodiff: each in the `autodiff.rs` of its module.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::{FloatTensor, IntTensor};

use super::SpartaBackend;
use crate::attention::{
    self, AttentionExtras, AttentionGrads, AttentionSaved, AttentionSpec, Dropout,
};
use crate::entmax::autodiff::{ParametricMapping, map_rows, map_rows_by, map_rows_structured};
use crate::entmax::{Bisection, Mapping, StructuredMapping};
use crate::linear::{self, LinearActivation};
use crate::{activation, loss, norm};

/// A float tensor of the autodiff backend, which has a node of the graph.
pub(crate) type Tracked<B, C> = FloatTensor<Autodiff<B, C>>;

impl<B: SpartaBackend, C: CheckpointStrategy> SpartaBackend for Autodiff<B, C> {
    fn entmax_forward(scores: FloatTensor<Self>, mapping: Mapping) -> FloatTensor<Self> {
        map_rows::<B, C>(scores, mapping, |scores| B::entmax_forward(scores, mapping))
    }

    fn entmax_topk_forward(
        scores: FloatTensor<Self>,
        mapping: Mapping,
        k: usize,
    ) -> FloatTensor<Self> {
        map_rows::<B, C>(scores, mapping, |scores| {
            B::entmax_topk_forward(scores, mapping, k)
        })
    }

    fn entmax_rows_forward(
        scores: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        map_rows_by::<B, C>(
            scores,
            alpha,
            ParametricMapping::Entmax,
            B::entmax_rows_forward,
        )
    }

    fn entmax_bisect_forward(
        scores: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        bisection: Bisection,
    ) -> FloatTensor<Self> {
        map_rows_by::<B, C>(scores, alpha, ParametricMapping::Entmax, |scores, alpha| {
            B::entmax_bisect_forward(scores, alpha, bisection)
        })
    }

    fn normmax_forward(
        scores: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        n_iter: Option<usize>,
    ) -> FloatTensor<Self> {
        map_rows_by::<B, C>(
            scores,
            alpha,
            ParametricMapping::Normmax,
            |scores, alpha| B::normmax_forward(scores, alpha, n_iter),
        )
    }

    fn budget_forward(
        scores: FloatTensor<Self>,
        budget: FloatTensor<Self>,
        n_iter: Option<usize>,
    ) -> FloatTensor<Self> {
        map_rows_by::<B, C>(
            scores,
            budget,
            ParametricMapping::Budget,
            |scores, budget| B::budget_forward(scores, budget, n_iter),
        )
    }

    fn structured_forward(
        scores: FloatTensor<Self>,
        mapping: StructuredMapping,
    ) -> (FloatTensor<Self>, IntTensor<Self>) {
        map_rows_structured::<B, C>(scores, mapping)
    }

    fn cross_entropy_forward(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        loss::autodiff::cross_entropy::<B, C>(logits, targets)
    }

    fn entmax_loss_forward(
        scores: FloatTensor<Self>,
        targets: IntTensor<Self>,
        mapping: Mapping,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        loss::autodiff::entmax_loss::<B, C>(scores, targets, mapping)
    }

    fn attention_forward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        extras: AttentionExtras<Self>,
        spec: AttentionSpec,
    ) -> (FloatTensor<Self>, AttentionSaved<Self>) {
        attention::tracked_forward::<B, C>(query, key, value, extras, spec)
    }

    fn attention_backward(
        _query: FloatTensor<Self>,
        _key: FloatTensor<Self>,
        _value: FloatTensor<Self>,
        _extras: AttentionExtras<Self>,
        _spec: AttentionSpec,
        _saved: AttentionSaved<Self>,
        _grad: FloatTensor<Self>,
        _wants_bias: bool,
    ) -> AttentionGrads<Self> {
        panic!(
            "fused attention has no second derivative: for that, ask for the implementation reference"
        )
    }

    fn tsallis_forward(weights: FloatTensor<Self>, alpha: FloatTensor<Self>) -> FloatTensor<Self> {
        loss::autodiff::tsallis::<B, C>(weights, alpha)
    }

    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        activation::autodiff::gelu::<B, C>(x)
    }

    fn linear_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: LinearActivation,
    ) -> FloatTensor<Self> {
        linear::autodiff::linear::<B, C>(x, weight, bias, activation)
    }

    fn product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        linear::autodiff::product::<B, C>(x, weight)
    }

    fn layer_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        norm::autodiff::layer_norm::<B, C>(x, gamma, beta, epsilon)
    }

    fn drop_values(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        crate::dropout::autodiff::drop_values::<B, C>(x, dropout)
    }
}
