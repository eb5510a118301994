//! Masked language modelling: which word piece stood where there is a mask.

use burn::module::Param;
use burn::nn::Linear;
use burn::prelude::*;
use burn::tensor::{TensorData, assert_shape};
use sparta_ops::gelu;
use sparta_ops::loss::cross_entropy;

use super::{Bert, BertInput};
use crate::layer::LayerNorm;
use crate::precision::{linear, scores};

/// Scores of every word piece at a position: E·norm(gelu(W·h + b)) + c, where E is the table of word
/// embeddings.
///
/// # Source
/// Devlin et al. 2019, section 3.1, task 1; `BertForMaskedLM` of huggingface/transformers.
#[derive(Module, Debug)]
pub struct BertMaskedLm {
    /// Without a pooler.
    pub bert: Bert,
    /// What stands on it.
    pub head: MaskedLmHead,
}

/// The head of [`BertMaskedLm`], without E, which is the encoder's.
#[derive(Module, Debug)]
pub struct MaskedLmHead {
    /// W and b, `[d_model, d_model]`.
    pub transform: Linear,
    /// After gelu.
    pub norm: LayerNorm,
    /// c, `[vocab_size]`.
    pub bias: Param<Tensor<1>>,
}

/// Scores at the masked positions, in the order of the batch.
#[derive(Debug, Clone)]
pub struct MaskedScores {
    /// `[n_masked, vocab_size]`.
    pub logits: Tensor<2>,
    /// The word pieces that stood there, `[n_masked]`.
    pub targets: Tensor<1, Int>,
    n_masked: usize,
}

impl BertMaskedLm {
    /// Scores at every position, padding included.
    ///
    /// # Shapes
    /// - input: `[batch, seq]` tokens; output: `[batch, seq, vocab_size]`
    ///
    /// # Panics
    /// As [`Bert::forward`].
    ///
    /// # Source
    /// `BertForMaskedLM.forward` of huggingface/transformers.
    pub fn forward(&self, input: BertInput) -> Tensor<3> {
        let hidden = self.bert.forward(input).hidden;
        let [batch, seq, d_model] = hidden.dims();
        let logits = self.logits(hidden.reshape([batch * seq, d_model]));
        let vocab_size = logits.dims()[1];
        logits.reshape([batch, seq, vocab_size])
    }

    /// Scores where a target is not negative, the masked positions; others cost nothing.
    ///
    /// Targets stay on the host, row by row, so that nothing is read from the device to find them.
    /// Where none is masked, one row with the target −1 stands in, whose loss is 0.
    ///
    /// # Shapes
    /// - input: `[batch, seq]` tokens, targets: `batch · seq` word pieces
    /// - logits: `[n_masked, vocab_size]`
    ///
    /// # Panics
    /// As [`Bert::forward`], and if there is not one target per position.
    pub fn masked(&self, input: BertInput, targets: &[i32]) -> MaskedScores {
        let [batch, seq] = input.tokens.dims();
        let (found, expected) = (targets.len(), batch * seq);
        assert_eq!(found, expected, "one target per position");
        let hidden = self.bert.forward(input).hidden;
        let [_, _, d_model] = hidden.dims();
        let device = hidden.device();
        let (mut places, mut words): (Vec<i32>, Vec<i32>) = (targets.iter().enumerate())
            .filter(|(_, word)| **word >= 0)
            .map(|(place, word)| (place as i32, *word))
            .unzip();
        let n_masked = places.len();
        if n_masked == 0 {
            (places, words) = (vec![0], vec![-1]);
        }
        let list = |of: Vec<i32>| {
            let n = of.len();
            Tensor::<1, Int>::from_data(TensorData::new(of, [n]), &device)
        };
        let rows = hidden
            .reshape([batch * seq, d_model])
            .select(0, list(places));
        MaskedScores {
            logits: self.logits(rows),
            targets: list(words),
            n_masked,
        }
    }

    /// `[rows, d_model]` to `[rows, vocab_size]`.
    fn logits(&self, rows: Tensor<2>) -> Tensor<2> {
        let words = self.bert.embeddings.words.val();
        let [_, d_model] = words.dims();
        assert_shape!(rows, [_, d_model]);
        let dtype = rows.dtype();
        let rows = gelu(linear(&self.head.transform, rows)).cast(dtype);
        let rows = self.head.norm.forward(rows);
        scores(rows, words.transpose(), Some(self.head.bias.val()))
    }
}

impl MaskedScores {
    /// Number of masked positions.
    pub fn n_masked(&self) -> usize {
        self.n_masked
    }

    /// −log p of each target in nats, `[n_masked]`.
    pub fn nll(&self) -> Tensor<1> {
        cross_entropy(self.logits.clone(), self.targets.clone())
    }

    /// Mean cross-entropy over the masked positions, `[1]`, in nats; 0 where there are none.
    pub fn loss(&self) -> Tensor<1> {
        self.nll().mean()
    }
}
