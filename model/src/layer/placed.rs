//! The mechanisms of a network by the place of their layers, and what they have learned.

use burn::tensor::Tensor;
use sparta_ops::pruning::AttentionType;

use super::Mechanism;

/// The mechanism of one attention layer.
#[derive(Debug, Clone, Copy)]
pub struct PlacedMechanism<'a> {
    /// Which attention.
    pub kind: AttentionType,
    /// Which layer, from 0.
    pub layer: usize,
    /// How its queries read values.
    pub mechanism: &'a Mechanism,
}

/// What a head of a mechanism learns besides weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LearnedName {
    /// α of α-entmax, in (1, 2).
    Alpha,
    /// Keys that an adaptive span reaches.
    Span,
    /// The gate of evaluation, in [0, 1].
    Gate,
}

impl LearnedName {
    /// The name in the log of a training.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alpha => "alpha",
            Self::Span => "span",
            Self::Gate => "gate",
        }
    }
}

/// What the heads of one attention layer have learned.
#[derive(Debug, Clone)]
pub struct Learned {
    /// What it is.
    pub name: LearnedName,
    /// Which attention.
    pub kind: AttentionType,
    /// Which layer, from 0.
    pub layer: usize,
    /// One number a head, `[n_heads]`.
    pub values: Tensor<1>,
}

impl<'a> PlacedMechanism<'a> {
    /// Those of the layers of an attention type, from the words up.
    pub(crate) fn of(
        kind: AttentionType,
        layers: impl IntoIterator<Item = &'a Mechanism>,
    ) -> impl Iterator<Item = Self> {
        let placed = move |(layer, mechanism)| Self {
            kind,
            layer,
            mechanism,
        };
        layers.into_iter().enumerate().map(placed)
    }

    /// What its heads have learned.
    pub fn learned(&self) -> Vec<Learned> {
        let (kind, layer) = (self.kind, self.layer);
        let learned = (self.mechanism.learned().into_iter()).map(|(name, values)| Learned {
            name,
            kind,
            layer,
            values,
        });
        learned.collect()
    }
}
