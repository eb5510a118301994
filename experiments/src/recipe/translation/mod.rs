//! The typed translation recipe.

mod words;

pub use words::{
    KeepName, OutputName, PadSide, PairCorpus, PrunedName, RowsName, ShareName, TokenizeName,
};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::parts::{
    NormalizerName, OptimizerName, RetrainRecipe, ScopeName, SemanticsName, at_least_one,
    in_unit_interval, nominal_shares, positive, seeds_and_table,
};
use super::{Recipe, Shipped, parts};
use crate::train::{Keep, ScheduleName};

/// Everything that determines a translation table; field names are the TOML keys, which
/// `recipes/small/iwslt.toml` explains one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslationRecipe {
    /// Name of the table, and of its run folder.
    pub table: String,
    /// Seeds to run; they are the only key outside the recipe hash.
    pub seeds: Vec<u64>,
    /// Corpus and vocabulary.
    pub data: DataRecipe,
    /// The network.
    pub model: ModelRecipe,
    /// Dense training.
    pub train: TrainRecipe,
    /// The pass that averages attention.
    pub observe: ObserveRecipe,
    /// Thresholds and masks.
    pub prune: PruneRecipe,
    /// Training again under each mask; what it does not name is as in `train`.
    pub retrain: RetrainRecipe,
    /// Search and score.
    pub eval: EvalRecipe,
    /// The published rows for comparison.
    pub paper: PaperRecipe,
}

/// Which pairs of sentences, and how they become tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    /// The corpus, with its direction.
    pub corpus: PairCorpus,
    /// Whether sentences are lower-cased.
    pub lowercase: bool,
    /// Merges of the byte pair encoding, learned on both languages together.
    pub bpe_merges: usize,
    /// One dictionary for both languages.
    pub joined_dictionary: bool,
    /// Fewest words of a target sentence that is used.
    pub min_target_words: usize,
    /// Most words of a target sentence that is used; 0 = no limit.
    pub max_target_words: usize,
    /// Pairs of the training split to use; 0 = all.
    pub train_pairs: usize,
    /// Pairs of the validation split to use; 0 = all.
    pub valid_pairs: usize,
    /// Pairs of the test split to use; 0 = all.
    pub test_pairs: usize,
    /// On which side short source sentences of a batch are filled.
    pub pad_source: PadSide,
}

/// Encoder–decoder dimensions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecipe {
    /// Width of the hidden states.
    pub d_model: usize,
    /// Attention heads a layer.
    pub n_heads: usize,
    /// Width of the feed-forward layer.
    pub d_ff: usize,
    /// Layers of the encoder.
    pub n_encoder_layers: usize,
    /// Layers of the decoder.
    pub n_decoder_layers: usize,
    /// Longest sentence in tokens, `<eos>` included.
    pub max_len: usize,
    /// Dropout of hidden states.
    pub dropout: f64,
    /// Dropout of attention weights.
    pub attention_dropout: f64,
    /// Dropout inside the feed-forward layer.
    pub activation_dropout: f64,
    /// Normalise a layer's input instead of its output.
    pub pre_norm: bool,
    /// Which embeddings are one.
    pub share: ShareName,
    /// Row normalisers of attention, each with a dense model of its own.
    pub normalizers: Vec<NormalizerName>,
    /// Mapping from scores to words.
    pub output: OutputName,
}

/// Dense training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainRecipe {
    /// Updates.
    pub steps: u64,
    /// Most tokens of a batch, padding included, on its longer side.
    pub max_tokens: usize,
    /// Batches whose gradients are added up for one update.
    pub grad_accum: usize,
    /// The optimiser.
    pub optimizer: OptimizerName,
    /// Peak learning rate; for `noam`, the factor.
    pub lr: f64,
    /// How it falls.
    pub schedule: ScheduleName,
    /// Updates of linear rise.
    pub warmup_steps: u64,
    /// Adam's first moment.
    pub beta_1: f32,
    /// Adam's second moment.
    pub beta_2: f32,
    /// Adam's denominator.
    pub epsilon: f32,
    /// Largest global gradient norm; 0 = no limit.
    pub clip: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Share of the target distribution spread over all words.
    pub label_smoothing: f64,
    /// Which parameters are kept.
    pub keep: KeepName,
    /// How many are averaged under `keep = "average"`.
    pub average: u64,
    /// Steps between those.
    pub average_every: u64,
    /// A line of metrics every so many updates.
    pub log_every: u64,
    /// Validation every so many updates; 0 = at the end only.
    pub valid_every: u64,
    /// A checkpoint every so many updates.
    pub checkpoint_every: u64,
}

impl TrainRecipe {
    /// What is kept, in the words of the training loop.
    #[must_use]
    pub fn keep(&self) -> Keep {
        match self.keep {
            KeepName::Last => Keep::Last,
            KeepName::BestLoss => Keep::BestLoss,
            KeepName::BestBleu => Keep::BestBleu,
            KeepName::Average => Keep::Average {
                n: self.average,
                every: self.average_every,
            },
        }
    }
}

/// The pass over the training set that averages attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObserveRecipe {
    /// Most tokens of a batch.
    pub max_tokens: usize,
    /// Pairs to observe; 0 = the whole training set.
    pub train_pairs: usize,
}

/// Thresholds and masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneRecipe {
    /// Nominal shares in per cent; the first is 0, the dense control.
    pub p: Vec<u32>,
    /// Random masks beside each p.
    pub random_masks: Vec<u32>,
    /// What is pruned of the model with softmax.
    pub softmax: Vec<PrunedName>,
    /// What is pruned of the model with sparsemax.
    pub sparsemax: Vec<PrunedName>,
    /// What is pruned of the model with 1.5-entmax.
    pub entmax15: Vec<PrunedName>,
    /// What is pruned of the model with a learned α.
    pub alpha_entmax: Vec<PrunedName>,
    /// Over which cells one threshold is taken.
    pub scope: ScopeName,
    /// Which cells count.
    pub semantics: SemanticsName,
    /// Rows of the mask that decoding uses.
    pub rows: RowsName,
}

impl PruneRecipe {
    /// What is pruned of the model with a normaliser.
    #[must_use]
    pub fn of(&self, normalizer: NormalizerName) -> &[PrunedName] {
        match normalizer {
            NormalizerName::Softmax => &self.softmax,
            NormalizerName::Sparsemax => &self.sparsemax,
            NormalizerName::Entmax15 => &self.entmax15,
            NormalizerName::AlphaEntmax => &self.alpha_entmax,
        }
    }
}

/// Search and score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalRecipe {
    /// Hypotheses kept; 1 = greedy.
    pub beam_size: usize,
    /// Exponent of the length that a score is divided by.
    pub length_penalty: f64,
    /// Longest translation: `max_len_a` · source length + `max_len_b`.
    pub max_len_a: f64,
    /// See `max_len_a`.
    pub max_len_b: usize,
    /// Sentences decoded together.
    pub batch_size: usize,
    /// How BLEU splits words.
    pub tokenize: TokenizeName,
}

/// The published rows that stand beside ours, by table of `sparta_results::paper`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperRecipe {
    /// Table of the dense models by normaliser; empty = none.
    pub normalizers: String,
    /// Table of masks by attention type; empty = none.
    pub by_type: String,
    /// Table of masks on self-attention alone; empty = none.
    pub self_only: String,
}

impl Recipe for TranslationRecipe {
    const PROGRAM: &'static str = "iwslt";
    const SHIPPED: &'static [Shipped] = super::shipped::TRANSLATION;

    fn table(&self) -> &str {
        &self.table
    }

    fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    fn set_seeds(&mut self, seeds: Vec<u64>) {
        self.seeds = seeds;
    }

    fn validate(&self) -> Result<()> {
        let (m, t) = (&self.model, &self.train);
        at_least_one(&[
            ("model.d_model", m.d_model),
            ("model.n_heads", m.n_heads),
            ("model.d_ff", m.d_ff),
            ("model.n_encoder_layers", m.n_encoder_layers),
            ("model.n_decoder_layers", m.n_decoder_layers),
            ("model.max_len", m.max_len),
            ("model.normalizers", m.normalizers.len()),
            ("train.max_tokens", t.max_tokens),
            ("train.grad_accum", t.grad_accum),
            ("train.average", t.average as usize),
            ("train.average_every", t.average_every as usize),
            ("train.log_every", t.log_every as usize),
            ("train.checkpoint_every", t.checkpoint_every as usize),
            ("observe.max_tokens", self.observe.max_tokens),
            ("eval.beam_size", self.eval.beam_size),
            ("eval.batch_size", self.eval.batch_size),
        ])?;
        in_unit_interval(&[
            ("model.dropout", m.dropout),
            ("model.attention_dropout", m.attention_dropout),
            ("model.activation_dropout", m.activation_dropout),
            ("train.label_smoothing", t.label_smoothing),
        ])?;
        positive(&[("train.lr", t.lr), ("retrain.lr", self.retrain.lr)])?;
        for (key, value) in [
            ("train.clip", t.clip),
            ("train.weight_decay", t.weight_decay),
            ("eval.length_penalty", self.eval.length_penalty),
            ("eval.max_len_a", self.eval.max_len_a),
        ] {
            ensure!(
                value >= 0.0 && value.is_finite(),
                "`{key}` must be 0 or more; found {value}"
            );
        }
        seeds_and_table(&self.seeds, &self.table)?;
        ensure!(
            self.data.lowercase || !self.data.corpus.is_lower_case(),
            "`data.lowercase` must be true: the corpus is prepared in lower case"
        );
        ensure!(
            m.share != ShareName::All || self.data.joined_dictionary,
            "`model.share = \"all\"` needs `data.joined_dictionary = true`: one matrix of word vectors \
             has one dictionary"
        );
        ensure!(
            m.d_model.is_multiple_of(m.n_heads),
            "`model.n_heads = {}` does not divide `model.d_model = {}`",
            m.n_heads,
            m.d_model
        );
        let max_words = self.data.max_target_words;
        ensure!(
            max_words == 0 || self.data.min_target_words <= max_words,
            "`data.min_target_words = {}` is more than `data.max_target_words = {max_words}`",
            self.data.min_target_words
        );
        self.validate_prune()
    }
}

impl TranslationRecipe {
    fn validate_prune(&self) -> Result<()> {
        let (p, random_masks) = (&self.prune.p, &self.prune.random_masks);
        nominal_shares(p)?;
        parts::random_masks(random_masks, p)?;
        for (i, normalizer) in self.model.normalizers.iter().enumerate() {
            ensure!(
                !self.model.normalizers[..i].contains(normalizer),
                "`model.normalizers` names `{}` twice",
                normalizer.name()
            );
        }
        for normalizer in NormalizerName::ALL {
            ensure!(
                self.prune.of(normalizer).is_empty()
                    || self.model.normalizers.contains(&normalizer),
                "`prune.{0}` prunes a model that is not trained: add \"{0}\" to \
                 `model.normalizers`, or set `prune.{0} = []`",
                normalizer.name()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(sets: &[&str]) -> String {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        let text = TranslationRecipe::SHIPPED[0].text;
        format!("{:#}", TranslationRecipe::parse(text, &sets).unwrap_err())
    }

    #[test]
    fn all_p_are_one_key() {
        let sets = ["prune.p=[0, 20, 90]".into()];
        let recipe = TranslationRecipe::load("small/iwslt", &sets);
        assert_eq!(recipe.unwrap().prune.p, [0, 20, 90]);
    }

    #[test]
    fn numbers_that_do_not_go_together_are_named() {
        for (set, word) in [
            ("prune.p=[20, 40, 80]", "prune.p"),
            ("prune.random_masks=[0]", "prune.random_masks"),
            ("model.n_heads=3", "model.n_heads"),
            ("train.label_smoothing=1.0", "train.label_smoothing"),
            ("data.min_target_words=40", "data.max_target_words"),
            ("model.normalizers=[\"softmax\"]", "prune.entmax15"),
            ("prune.softmax=[\"crossed\"]", "crossed"),
            ("model.width=3", "unknown key `model.width`"),
        ] {
            let e = error(&[set]);
            assert!(e.contains(word), "{set}: {e}");
        }
    }

    #[test]
    fn a_recipe_of_the_other_program_is_named_as_such() {
        let e = TranslationRecipe::load("small/lm", &[]).unwrap_err();
        assert!(e.to_string().contains("lm --recipe small/lm"), "{e:#}");
    }
}
