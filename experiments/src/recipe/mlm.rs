//! The typed recipe of the masked language model's table.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use sparta_datasets::CorpusName;

use super::encoder::EncoderModelRecipe;
use super::files::{PieceFiles, Source};
use super::sections::check_normalizers;
use super::{
    AnyCorpus, Heading, Intervals, Masks, Needs, Optimizer, Prune, Recipe, Retrain, RetrainStart,
    Shipped, Threshold, WarmupSteps,
};

/// Everything that determines the masked language model's table; field names are the TOML keys, which
/// `recipes/small/mlm.toml` explains one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MlmRecipe {
    /// Name and seeds.
    #[serde(flatten)]
    pub heading: Heading,
    /// Text as windows of word pieces.
    pub data: MlmDataRecipe,
    /// The network.
    pub model: EncoderModelRecipe,
    /// The head, where the weights have none.
    pub head: MlmHeadRecipe,
    /// Which word pieces are masked in training.
    pub masking: MlmMaskingRecipe,
    /// Dense training.
    pub train: MlmTrainRecipe,
    /// The pass that averages attention.
    pub observe: MlmObserveRecipe,
    /// Thresholds and masks.
    pub prune: Prune,
    /// Training again under each mask; what it does not name is as in `train`.
    pub retrain: Retrain,
    /// Scores.
    pub eval: MlmEvalRecipe,
}

/// Which text, and how it is cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MlmDataRecipe {
    /// The corpus.
    pub corpus: Source<CorpusName>,
    /// Longest window in tokens, `[CLS]` and `[SEP]` included: rows and columns of the masks.
    pub max_len: usize,
    /// Windows of the training split to use; 0 = all.
    pub train_windows: usize,
    /// Windows of the validation split to use; 0 = all.
    pub valid_windows: usize,
    /// Windows of the test split to use; 0 = all.
    pub test_windows: usize,
    /// How own files are read, where the corpus is these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<PieceFiles>,
}

/// The map from hidden states to word pieces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MlmHeadRecipe {
    /// Its learning rate, as a multiple of `train.lr`.
    pub lr_factor: f64,
}

/// Which word pieces the network has to predict, and what it sees in their place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MlmMaskingRecipe {
    /// Fraction of the word pieces that are to be predicted.
    pub fraction: f64,
    /// Fraction of these in whose place stands `[MASK]`.
    pub mask: f64,
    /// Fraction of these in whose place stands a random word piece; the others stay.
    pub random: f64,
}

/// Dense training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MlmTrainRecipe {
    /// Updates.
    pub steps: u64,
    /// Windows of a batch.
    pub batch_size: usize,
    /// The optimiser and its learning rate.
    #[serde(flatten)]
    pub optimizer: Optimizer<WarmupSteps>,
    /// Decoupled weight decay of matrices; biases and normalisations have none.
    pub weight_decay: f64,
    /// How often something is said and saved.
    #[serde(flatten)]
    pub intervals: Intervals,
}

/// The pass over the training set that averages attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MlmObserveRecipe {
    /// Windows of a batch.
    pub batch_size: usize,
    /// Windows to observe; 0 = the whole training set.
    pub windows: usize,
}

/// Scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MlmEvalRecipe {
    /// Windows of a batch.
    pub batch_size: usize,
    /// Passes over the test windows, each word piece masked in one of them; 0 = one word piece of a window at a time.
    pub passes: usize,
}

impl MlmEvalRecipe {
    /// Passes over windows of so many tokens.
    #[must_use]
    pub fn passes_of(&self, max_len: usize) -> usize {
        match self.passes {
            // Beside [CLS] and [SEP].
            0 => max_len.saturating_sub(2).max(1),
            passes => passes,
        }
    }
}

impl Recipe for MlmRecipe {
    const PROGRAM: &'static str = "mlm";
    const SHIPPED: &'static [Shipped] = super::shipped::MLM;
    const FILES: &'static str = PieceFiles::DEFAULT;

    sections!();

    fn needs(&self) -> Result<Needs> {
        Ok(Needs {
            corpora: Vec::from_iter(self.data.corpus.published().map(AnyCorpus::Text)),
            network: Some(self.model.network),
        })
    }

    fn validate(&self) -> Result<()> {
        let (m, masking) = (&self.model, &self.masking);
        if let Some(files) = &self.data.files {
            files.held_out.check()?;
        }
        self.heading.check()?;
        self.train.intervals.check()?;
        ensure!(
            self.data.max_len > 2,
            "`data.max_len` must be at least 3: [CLS], a word piece and [SEP]"
        );
        check_normalizers(&m.normalizers)?;
        ensure!(
            masking.mask + masking.random <= 1.0 + f64::EPSILON,
            "`masking.mask` and `masking.random` are fractions of the same word pieces: their sum is at most 1; \
             found {} and {}",
            masking.mask,
            masking.random
        );
        self.prune.check(&self.model.normalizers)?;
        self.retrain
            .check(&[RetrainStart::Dense, RetrainStart::Pretrained])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(set: &str) -> Result<MlmRecipe> {
        MlmRecipe::parse(MlmRecipe::SHIPPED[0].text, &[set.to_owned()])
    }

    #[test]
    fn numbers_that_do_not_go_together_are_named() {
        for (set, word) in [
            ("data.corpus=wikipedia", "data.corpus"),
            ("data.max_len=2", "data.max_len"),
            ("model.network=gpt", "model.network"),
            ("masking.fraction=0", "masking.fraction"),
            ("masking.mask=-0.1", "masking.mask"),
            ("masking.random=0.3", "masking.random"),
            ("eval.batch_size=0", "eval.batch_size"),
            ("retrain.start=scratch", "retrain.start"),
            ("prune.p=[50]", "prune.p"),
        ] {
            let e = format!("{:#}", parse(set).unwrap_err());
            assert!(e.contains(word), "{set}: {e}");
        }
    }

    #[test]
    fn one_word_piece_at_a_time_takes_as_many_passes_as_a_window_has() {
        let passes = |set| parse(set).unwrap().eval.passes_of(64);
        assert_eq!([passes("eval.passes=0"), passes("eval.passes=7")], [62, 7]);
    }
}
