//! The gradients of the row mappings, written by hand: only the weights are kept for the backward pass.

use burn::backend::Autodiff;
use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::tensor::{FloatTensor, IntTensor};

use super::{Mapping, StructuredMapping};
use crate::backend::SpartaBackend;

/// A mapping without a parameter that has a gradient.
pub(crate) fn map_rows<B: SpartaBackend, C: CheckpointStrategy>(
    scores: FloatTensor<Autodiff<B, C>>,
    mapping: Mapping,
    map: impl FnOnce(FloatTensor<B>) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let (scores, node) = scores.into_parts();
    let weights = map(scores);
    match MapRows.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((weights.clone(), mapping), weights),
        OpsKind::UnTracked(prep) => prep.finish(weights),
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

/// A mapping to groups of equal weights, of which only the groups are kept for the backward pass.
pub(crate) fn map_rows_structured<B: SpartaBackend, C: CheckpointStrategy>(
    scores: FloatTensor<Autodiff<B, C>>,
    mapping: StructuredMapping,
) -> (FloatTensor<Autodiff<B, C>>, IntTensor<B>) {
    let (scores, node) = scores.into_parts();
    let (weights, groups) = B::structured_forward(scores, mapping);
    let weights = match MapRowsStructured
        .prepare::<C>([node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish(groups.clone(), weights),
        OpsKind::UnTracked(prep) => prep.finish(weights),
    };
    (weights, groups)
}

#[derive(Debug)]
struct MapRowsStructured;

impl<B: SpartaBackend> Backward<B, 1> for MapRowsStructured {
    type State = IntTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let groups = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| {
            B::structured_backward(groups, grad)
        });
    }
}

/// The mappings with a parameter per row: whose gradients to take.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ParametricMapping {
    Entmax,
    Normmax,
    Budget,
}

/// A mapping with a parameter per row, α or a budget, that has a gradient.
pub(crate) fn map_rows_by<B: SpartaBackend, C: CheckpointStrategy>(
    scores: FloatTensor<Autodiff<B, C>>,
    parameter: FloatTensor<Autodiff<B, C>>,
    family: ParametricMapping,
    map: impl FnOnce(FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let (scores, scores_node) = scores.into_parts();
    let (parameter, parameter_node) = parameter.into_parts();
    let weights = map(scores, parameter.clone());
    match MapRowsBy
        .prepare::<C>([scores_node, parameter_node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish((weights.clone(), parameter, family), weights),
        OpsKind::UnTracked(prep) => prep.finish(weights),
    }
}

#[derive(Debug)]
struct MapRowsBy;

impl<B: SpartaBackend> Backward<B, 2> for MapRowsBy {
    type State = (FloatTensor<B>, FloatTensor<B>, ParametricMapping);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (weights, parameter, family) = ops.state;
        let [scores_node, parameter_node] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let backward = match family {
            ParametricMapping::Entmax => B::entmax_rows_backward,
            ParametricMapping::Normmax => B::normmax_backward,
            ParametricMapping::Budget => B::budget_backward,
        };
        let (scores_grad, parameter_grad) = backward(weights, grad, parameter);
        if let Some(node) = scores_node {
            grads.register::<B>(node.id, scores_grad);
        }
        if let Some(node) = parameter_node {
            grads.register::<B>(node.id, parameter_grad);
        }
    }
}
