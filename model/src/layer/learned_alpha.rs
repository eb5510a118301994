//! The α that the heads of a network have learned.

use burn::tensor::Tensor;
use sparta_ops::pruning::AttentionType;

use super::Mechanism;

/// The learned α of one attention layer.
#[derive(Debug, Clone)]
pub struct LearnedAlphas {
    /// Which attention.
    pub kind: AttentionType,
    /// Which layer, from 0.
    pub layer: usize,
    /// One a head, `[n_heads]`, each in (1, 2).
    pub alphas: Tensor<1>,
}

impl LearnedAlphas {
    /// Those of the layers of an attention type, from the words up; layers that learn no α have none.
    pub(crate) fn of<'a>(
        kind: AttentionType,
        layers: impl IntoIterator<Item = &'a Mechanism>,
    ) -> impl Iterator<Item = Self> {
        let learned = move |(layer, mechanism): (usize, &Mechanism)| {
            let alphas = mechanism.normalizer()?.learned_alpha()?;
            Some(Self {
                kind,
                layer,
                alphas,
            })
        };
        layers.into_iter().enumerate().filter_map(learned)
    }
}
