//! The loss of training.

use burn::prelude::*;
use burn::tensor::assert_shape;

use super::Seq2Seq;

/// Losses of each target token in nats, `[batch, target_len]`, 0 where the target is ignored.
#[derive(Debug, Clone)]
pub struct Seq2SeqLoss {
    /// What training minimises.
    pub smoothed: Tensor<2>,
    /// The same without label smoothing: the negative log-likelihood for a softmax output.
    pub plain: Tensor<2>,
}

impl Seq2Seq {
    /// The Fenchel–Young loss of the output map (cross-entropy for softmax) against a target of which the
    /// probability `label_smoothing` = ε is taken away and spread evenly over the other tokens:
    ///
    /// L = L(z, y) + (ε + ε/(V−1))·z_y − ε/(V−1)·Σ_j z_j.
    ///
    /// For softmax this is fairseq's `label_smoothed_nll_loss`, (1 − ε − ε/(V−1))·nll − ε/(V−1)·Σ_j log p_j.
    /// The entropy of the smoothed target, a constant, is left out. Score sums come from sums of output
    /// weights, so that smoothing needs no further pass over the `[tokens, V]` scores.
    ///
    /// # Shapes
    /// - hidden: `[batch, target_len, d_model]`
    /// - targets, losses: `[batch, target_len]`; a target is negative where it is ignored
    ///
    /// # Panics
    /// If `label_smoothing` is not in [0, 1) or the shapes do not fit.
    ///
    /// # Source
    /// `label_smoothed_cross_entropy` of facebookresearch/fairseq; for sparse maps Peters & Martins 2021,
    /// *Smoothing and shrinking the sparse seq2seq search space*.
    pub fn loss(
        &self,
        hidden: Tensor<3>,
        targets: Tensor<2, Int>,
        label_smoothing: f64,
    ) -> Seq2SeqLoss {
        assert!(
            (0.0..1.0).contains(&label_smoothing),
            "label_smoothing = {label_smoothing}: it is a probability in [0, 1)"
        );
        let [batch, target_len, d_model] = hidden.dims();
        assert_shape!(targets, [batch, target_len]);
        let n = batch * target_len;
        let rows = hidden.reshape([n, d_model]);
        let targets = targets.reshape([n]);
        let logits = self.scores(rows.clone());
        let vocab_size = logits.dims()[1];
        let plain = self.output_map.loss(logits, targets.clone());
        let smoothed = match label_smoothing {
            0.0 => plain.clone(),
            epsilon => {
                let each = epsilon / (vocab_size - 1) as f64;
                plain.clone() + self.smoothing(rows, targets, epsilon + each, each)
            }
        };
        Seq2SeqLoss {
            smoothed: smoothed.reshape([batch, target_len]),
            plain: plain.reshape([batch, target_len]),
        }
    }

    /// `of_target·z_y − of_all·Σ_j z_j` of each row, 0 where the target is ignored: the product of the
    /// hidden row with `of_target·W_y − of_all·Σ_j W_j`.
    fn smoothing(
        &self,
        rows: Tensor<2>,
        targets: Tensor<1, Int>,
        of_target: f64,
        of_all: f64,
    ) -> Tensor<1> {
        let [n, _] = rows.dims();
        let weights = self.output_weights();
        let ignored = targets.clone().lower_elem(0);
        let sum = weights.clone().sum_dim(0).mul_scalar(of_all);
        let chosen = weights.select(0, targets.mask_fill(ignored.clone(), 0));
        let direction = chosen.mul_scalar(of_target) - sum;
        (rows * direction)
            .sum_dim(1)
            .reshape([n])
            .mask_fill(ignored, 0.0)
    }
}
