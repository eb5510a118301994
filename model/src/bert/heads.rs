//! Networks for tasks: labels or numbers for sequences, and spans of tokens.

use burn::nn::{Dropout, Linear};
use burn::prelude::*;
use burn::tensor::assert_shape;
use sparta_ops::loss::cross_entropy;

use super::{Bert, BertInput, pooling};
use crate::layer::dropout::drop_values;
use crate::precision::linear_in_full;

/// Scores of labels for a sequence, or with one label a number: W·dropout(pooled) + b, pooled as
/// [`super::Pooling`] says.
///
/// # Source
/// `BertForSequenceClassification` of huggingface/transformers, with [`super::Pooling::First`].
#[derive(Module, Debug)]
pub struct BertClassifier {
    /// With a pooler for [`super::Pooling::First`], without one for [`super::Pooling::Segments`].
    pub bert: Bert,
    /// On what the pooler gives.
    pub dropout: Dropout,
    /// `[width, n_labels]`, the width being [`super::Pooling::width`].
    pub classifier: Linear,
}

impl BertClassifier {
    /// A score for each label of each sequence.
    ///
    /// # Shapes
    /// - input: `[batch, seq]` tokens; output: `[batch, n_labels]`
    ///
    /// # Panics
    /// As [`Bert::forward`].
    ///
    /// # Source
    /// Devlin et al. 2019, section 4.1.
    pub fn forward(&self, input: BertInput) -> Tensor<2> {
        let (token_types, padding) = (input.token_types.clone(), input.padding.clone());
        let hidden = self.bert.forward(input).hidden;
        let pooled = match &self.bert.pooler {
            Some(_) => self.bert.pooled(hidden),
            None => pooling::segments(hidden, token_types, padding),
        };
        linear_in_full(&self.classifier, drop_values(&self.dropout, pooled))
    }

    /// Mean cross-entropy in nats.
    ///
    /// # Shapes
    /// - logits: `[batch, n_labels]`, labels: `[batch]`, output: `[1]`
    ///
    /// # Panics
    /// If there is not one label per sequence.
    pub fn label_loss(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        assert_shape!(labels, [logits.dims()[0]]);
        cross_entropy(logits, labels).mean()
    }

    /// Mean squared error.
    ///
    /// # Shapes
    /// - scores: `[batch, 1]`, targets: `[batch]`, output: `[1]`
    ///
    /// # Panics
    /// If the network has more than one label, or there is not one target per sequence.
    pub fn number_loss(&self, scores: Tensor<2>, targets: Tensor<1>) -> Tensor<1> {
        let [batch] = targets.dims();
        assert_shape!(scores, [batch, 1]);
        (scores.reshape([batch]) - targets).square().mean()
    }
}

/// Scores of tokens as the first and as the last one of an answer.
///
/// # Source
/// `BertForQuestionAnswering` of huggingface/transformers.
#[derive(Module, Debug)]
pub struct BertSpanFinder {
    /// Without a pooler.
    pub bert: Bert,
    /// `[d_model, 2]`.
    pub span_output: Linear,
}

/// Scores of every token, `[batch, seq]` each.
#[derive(Debug, Clone)]
pub struct SpanScores {
    /// As the first one of the answer.
    pub start: Tensor<2>,
    /// As the last one.
    pub end: Tensor<2>,
}

impl BertSpanFinder {
    /// Scores of every token, padding included.
    ///
    /// # Shapes
    /// - input: `[batch, seq]` tokens; start and end: `[batch, seq]`
    ///
    /// # Panics
    /// As [`Bert::forward`].
    ///
    /// # Source
    /// Devlin et al. 2019, section 4.2.
    pub fn forward(&self, input: BertInput) -> SpanScores {
        let hidden = self.bert.forward(input).hidden;
        let [batch, seq, d_model] = hidden.dims();
        let rows = hidden.reshape([batch * seq, d_model]);
        let scores = linear_in_full(&self.span_output, rows);
        let scores = scores.reshape([batch, seq, 2]);
        let of = |i: usize| {
            let part = scores.clone().slice([0..batch, 0..seq, i..i + 1]);
            part.reshape([batch, seq])
        };
        SpanScores {
            start: of(0),
            end: of(1),
        }
    }

    /// Mean of the two mean cross-entropies in nats, −(log p_start + log p_end)/2.
    ///
    /// # Shapes
    /// - scores: `[batch, seq]` each, start and end: positions `[batch]`, output: `[1]`
    ///
    /// # Panics
    /// If there is not one position per sequence.
    pub fn loss(
        &self,
        scores: SpanScores,
        start: Tensor<1, Int>,
        end: Tensor<1, Int>,
    ) -> Tensor<1> {
        let [batch, seq] = scores.start.dims();
        assert_shape!(scores.end, [batch, seq]);
        assert_shape!(start, [batch]);
        assert_shape!(end, [batch]);
        let start = cross_entropy(scores.start, start).mean();
        let end = cross_entropy(scores.end, end).mean();
        (start + end).mul_scalar(0.5)
    }
}
