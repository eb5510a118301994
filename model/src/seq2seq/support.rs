//! What the output map gives a target that is known.

use burn::prelude::*;
use burn::tensor::assert_shape;

use super::Seq2Seq;

/// What the output map gives each token of a target, read with the tokens before it (teacher forcing).
#[derive(Debug, Clone)]
pub struct TargetSupport {
    /// Tokens of probability above 0, `[batch, target_len]`; 0 where the target is ignored.
    pub sizes: Tensor<2, Int>,
    /// Probability of the target token, `[batch, target_len]`; 1 where it is ignored, so that the product of a row is
    /// the probability of its target. Exactly 0 where a sparse map gives the token nothing: its log-likelihood is −∞,
    /// and a perplexity is not defined.
    pub probabilities: Tensor<2>,
}

impl Seq2Seq {
    /// How many tokens the output map leaves in each place, and what it gives the target.
    ///
    /// # Shapes
    /// - hidden: `[batch, target_len, d_model]`
    /// - targets: `[batch, target_len]`; negative where ignored
    ///
    /// # Panics
    /// If the shapes do not fit.
    ///
    /// # Source
    /// Peters, Niculae & Martins 2019, section 5 (nonzeros, exact beams); Peters & Martins 2021 (empty translations).
    pub fn target_support(&self, hidden: Tensor<3>, targets: Tensor<2, Int>) -> TargetSupport {
        let [batch, target_len, d_model] = hidden.dims();
        assert_shape!(targets, [batch, target_len]);
        let n = batch * target_len;
        let scores = self.scores(hidden.reshape([n, d_model]));
        let p = self.output_map().probabilities(scores);
        let targets = targets.reshape([n, 1]);
        let ignored = targets.clone().lower_elem(0);
        let sizes = p.clone().greater_elem(0.0).int().sum_dim(1);
        let of_target = p.gather(1, targets.mask_fill(ignored.clone(), 0));
        TargetSupport {
            sizes: (sizes.mask_fill(ignored.clone(), 0)).reshape([batch, target_len]),
            probabilities: (of_target.mask_fill(ignored, 1.0)).reshape([batch, target_len]),
        }
    }
}
