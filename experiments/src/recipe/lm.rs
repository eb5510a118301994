//! The typed language-model recipe.

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sparta_datasets::CorpusName;
use sparta_model::layer::MechanismConfig;
use sparta_results::paper;

use super::files::{Source, WordFiles};
use super::idle::{check_row, check_table, is_set};
use super::renamed::{NORMALIZER, RETRAIN_MODE};
use super::sections::check_normalizers;
use super::{
    AnyCorpus, Heading, Intervals, Masks, Needs, Optimizer, Prune, Recipe, Renamed, Retrain,
    RetrainStart, Shipped, Threshold, WarmupSteps,
};

/// Everything that determines the language-model table; field names are the TOML keys, which
/// `recipes/small/lm.toml` explains one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LmRecipe {
    /// Name and seeds.
    #[serde(flatten)]
    pub heading: Heading,
    /// Corpus and vocabulary.
    pub data: DataRecipe,
    /// The network.
    pub model: ModelRecipe,
    /// Dense training.
    pub train: TrainRecipe,
    /// The pass that averages attention.
    pub observe: ObserveRecipe,
    /// Thresholds and masks.
    pub prune: Prune,
    /// Training again under each mask; what it does not name is as in `train`.
    pub retrain: Retrain,
    /// Test.
    pub eval: EvalRecipe,
    /// The published row for comparison.
    pub paper: PaperRecipe,
}

/// Which text, and how much of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataRecipe {
    /// The corpus.
    pub corpus: Source<CorpusName>,
    /// Size of the vocabulary with its special words; 0 keeps every word.
    pub vocab_size: usize,
    /// Tokens of the training split to use; 0 = all.
    pub train_tokens: usize,
    /// Tokens of the validation split to use; 0 = all.
    pub valid_tokens: usize,
    /// Tokens of the test split to use; 0 = all.
    pub test_tokens: usize,
    /// How own files are read, where the corpus is these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<WordFiles>,
}

/// Transformer-XL dimensions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecipe {
    /// Width of the hidden states.
    pub d_model: usize,
    /// Number of layers.
    pub n_layers: usize,
    /// Attention heads a layer.
    pub n_heads: usize,
    /// Width of a head.
    pub d_head: usize,
    /// Width of the feed-forward layer.
    pub d_ff: usize,
    /// Tokens of a segment.
    pub tgt_len: usize,
    /// Hidden states kept from earlier segments.
    pub mem_len: usize,
    /// Largest relative distance; 0 = unlimited.
    pub clamp_len: usize,
    /// Every position sees equally many keys.
    pub same_length: bool,
    /// First word of each tail cluster of the adaptive softmax.
    pub cutoffs: Vec<usize>,
    /// Division of the embedding width from cluster to cluster.
    pub div_val: usize,
    /// Dropout of hidden states.
    pub dropout: f64,
    /// Dropout of attention weights.
    pub dropatt: f64,
    /// Row normalisers of attention, each with a dense model of its own.
    pub normalizers: Vec<MechanismConfig>,
    /// The softmax uses the word vectors.
    pub tie_weights: bool,
    /// The tail clusters use the word vectors' projections.
    pub tie_projections: bool,
    /// Normalise a layer's input instead of its output.
    pub pre_norm: bool,
    /// Standard deviation of initial weights.
    pub init_std: f64,
    /// Standard deviation of initial projections.
    pub projection_std: f64,
}

/// Dense training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainRecipe {
    /// Updates.
    pub steps: u64,
    /// Columns of the stream.
    pub batch_size: usize,
    /// The optimiser and its learning rate.
    #[serde(flatten)]
    pub optimizer: Optimizer<WarmupSteps>,
    /// How often something is said and saved.
    #[serde(flatten)]
    pub intervals: Intervals,
}

/// The pass over the training set that averages attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObserveRecipe {
    /// Columns of the stream.
    pub batch_size: usize,
    /// Tokens to observe; 0 = the whole training set.
    pub train_tokens: usize,
}

/// Test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalRecipe {
    /// Columns of the stream.
    pub batch_size: usize,
}

/// The published row that stands beside ours, by its name in `sparta_results::paper`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaperRecipe {
    /// Table of `results/data/paper_tables.json`.
    pub table: String,
    /// Row of that table.
    pub row: String,
}

impl Recipe for LmRecipe {
    const PROGRAM: &'static str = "lm";
    const SHIPPED: &'static [Shipped] = super::shipped::LM;
    const RENAMED: &'static [Renamed] = &[RETRAIN_MODE, NORMALIZER];
    const FILES: &'static str = WordFiles::DEFAULT;

    sections!();

    fn needs(&self) -> Result<Needs> {
        Ok(Needs {
            corpora: Vec::from_iter(self.data.corpus.published().map(AnyCorpus::Text)),
            network: None,
        })
    }

    fn check_published(&self) -> Result<()> {
        let PaperRecipe { table, row } = &self.paper;
        check_table("paper.table", table, paper::TRANSFORMER_XL_BASE)?;
        check_row("paper.row", row, table)
    }

    fn check_overruled(&self, sets: &[String]) -> Result<()> {
        let PaperRecipe { table, row } = &self.paper;
        ensure!(
            !table.is_empty() || row.is_empty() || !is_set(sets, "paper.row"),
            "`--set paper.row={row}` would do nothing: `paper.row` is a row of `paper.table`, which is \"\"; set that too, e.g. \
             `--set paper.table={}`",
            paper::WIKITEXT103
        );
        Ok(())
    }

    fn validate(&self) -> Result<()> {
        let m = &self.model;
        self.heading.check()?;
        self.train.intervals.check()?;
        check_normalizers(&m.normalizers)?;
        self.prune.check(&self.model.normalizers)?;
        self.retrain
            .check(&[RetrainStart::Dense, RetrainStart::Scratch])?;
        ensure!(
            self.heading.interrogatives.is_empty(),
            "`interrogatives` is for networks with an encoder: a language model reads the question mark after the words \
             that ask; leave it out"
        );
        let data = &self.data;
        if let Some(files) = &data.files {
            files.text.held_out.check()?;
        }
        let columns = self.train.batch_size;
        let of_train = data.train_tokens;
        ensure!(
            of_train == 0 || of_train / columns > 1,
            "`data.train_tokens = {of_train}` gives `train.batch_size = {columns}` columns of less than a word and the \
             next: use at least {}, or 0 for all",
            2 * columns
        );
        let (observed, columns) = (self.observe.train_tokens, self.observe.batch_size);
        ensure!(
            observed == 0 || observed / columns > 1,
            "`observe.train_tokens = {observed}` gives `observe.batch_size = {columns}` columns of less than a word and \
             the next: use at least {}, or 0 for all",
            2 * columns
        );
        for (key, n_tokens) in [
            ("data.valid_tokens", data.valid_tokens),
            ("data.test_tokens", data.test_tokens),
        ] {
            ensure!(
                n_tokens != 1,
                "`{key} = 1` has no word after the first that could be predicted: use at least 2, or 0 for all"
            );
        }
        if self.data.vocab_size == 1 || self.data.vocab_size == 2 {
            bail!("`data.vocab_size` must be 0 (every word) or more than the 2 special words");
        }
        ensure!(
            m.cutoffs.windows(2).all(|w| w[0] < w[1]) && m.cutoffs.first() != Some(&0),
            "`model.cutoffs` must rise; found {:?}",
            m.cutoffs
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sparta_ops::pruning::Weighing;

    use crate::recipe::{LmRecipe, Recipe};

    #[test]
    fn resolved_text_reads_back_to_the_same_recipe_and_hash() {
        let recipe = LmRecipe::parse(LmRecipe::SHIPPED[0].text, &["train.lr=0.5".into()]).unwrap();
        let again = LmRecipe::parse(&recipe.to_toml(), &[]).unwrap();
        assert_eq!(recipe, again);
        assert_eq!(recipe.hash(), again.hash());
    }

    #[test]
    fn seeds_are_outside_the_hash_and_numbers_inside() {
        let base = LmRecipe::parse(LmRecipe::SHIPPED[0].text, &[]).unwrap();
        let seeds = LmRecipe::parse(LmRecipe::SHIPPED[0].text, &["seeds=[4, 5]".into()]).unwrap();
        let lr = LmRecipe::parse(LmRecipe::SHIPPED[0].text, &["train.lr=0.5".into()]).unwrap();
        // A recipe from before there was early stopping means, and is, the same.
        let text = LmRecipe::SHIPPED[0].text;
        let before: Vec<&str> = (text.lines())
            .filter(|line| !line.starts_with("patience = "))
            .collect();
        let before = LmRecipe::parse(&before.join("\n"), &[]).unwrap();
        assert_eq!((&before, before.hash()), (&base, base.hash()));
        let patient = ["train.patience=3".into(), "train.valid_every=50".into()];
        let patient = LmRecipe::parse(text, &patient).unwrap();
        assert_eq!(LmRecipe::parse(&patient.to_toml(), &[]).unwrap(), patient);
        assert_eq!(base.hash(), seeds.hash());
        assert_ne!(base.hash(), lr.hash());
    }

    #[test]
    fn numbers_that_do_not_go_together_are_named() {
        for (set, word) in [
            ("prune.p=[20, 40, 50, 60, 80, 90]", "prune.p"),
            ("prune.random_masks=[0, 1]", "prune.random_masks"),
            ("prune.block_sizes=[24]", "prune.block_sizes"),
            ("prune.block_sizes=[16, 16]", "prune.block_sizes"),
            ("model.dropout=1.5", "model.dropout"),
            ("model.n_heads=0", "model.n_heads"),
            ("data.train_tokens=31", "`data.train_tokens = 31`"),
            ("data.valid_tokens=1", "`data.valid_tokens = 1`"),
            ("data.test_tokens=1", "`data.test_tokens = 1`"),
            ("observe.train_tokens=1", "`observe.train_tokens = 1`"),
            ("observe.train_tokens=31", "`observe.train_tokens = 31`"),
            ("train.patience=2", "`train.valid_every = 0` makes none"),
            ("seeds=[]", "seeds"),
            (
                "seeds=[3, 1, 3, 1]",
                "`seeds` names 3 twice, which would be the same run again; give each once: `--seeds 3,1`",
            ),
            ("prune.p=[0, 20, 20]", "prune.p"),
            ("model.normalizers=[\"softmax\", \"softmax\"]", "twice"),
            ("prune.only=[\"entmax15\"]", "`prune.only` names `entmax15`"),
            ("layout=rows", "unknown variant `rows`"),
        ] {
            let e = LmRecipe::parse(LmRecipe::SHIPPED[0].text, &[set.into()]).unwrap_err();
            assert!(format!("{e:#}").contains(word), "{set}: {e:#}");
        }
    }

    #[test]
    fn blocks_need_corrected_thresholds() {
        let parse = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            LmRecipe::parse(LmRecipe::SHIPPED[0].text, &sets)
        };
        let sizes = "prune.block_sizes=[16, 64]";
        let recipe = parse(&[sizes]).unwrap();
        assert_eq!(recipe.prune.masks.block_sizes, [16, 64]);
        assert_eq!(LmRecipe::parse(&recipe.to_toml(), &[]).unwrap(), recipe);
        // They join the folder of a run that has none.
        assert_eq!(recipe.hash(), parse(&[]).unwrap().hash());
        let error = parse(&[sizes, "prune.semantics=paper"]).unwrap_err();
        assert!(error.to_string().contains("corrected"), "{error}");
    }

    #[test]
    fn what_p_is_a_share_of_is_one_word_or_a_list() {
        let parse = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            LmRecipe::parse(LmRecipe::SHIPPED[0].text, &sets)
        };
        let of = |set: &str| {
            let recipe = parse(&[set]).unwrap();
            assert_eq!(LmRecipe::parse(&recipe.to_toml(), &[]).unwrap(), recipe);
            // Only which of the rows are made changes, and never the name of a run.
            assert_eq!(recipe.hash(), parse(&[]).unwrap().hash());
            let again: Vec<String> = recipe.masks().added();
            let again: Vec<&str> = again.iter().map(|set| set.trim_matches('\'')).collect();
            assert_eq!(parse(&again).unwrap(), recipe, "{again:?}");
            recipe.prune.masks.weigh.0
        };
        let (cells, uses) = (Weighing::Cells, Weighing::Uses);
        assert_eq!(parse(&[]).unwrap().prune.masks.weigh.0, [cells]);
        assert_eq!(of("prune.weigh=cells"), [cells]);
        assert_eq!(of("prune.weigh=uses"), [uses]);
        assert_eq!(of("prune.weigh=\"uses\""), [uses]);
        assert_eq!(of("prune.weigh=[\"cells\", \"uses\"]"), [cells, uses]);
        for (sets, words) in [
            (
                &["prune.weigh=tokens"][..],
                "\"cells\", \"uses\", or a list of both",
            ),
            (
                &["prune.weigh=[\"uses\", \"uses\"]"],
                "found [\"uses\", \"uses\"]",
            ),
            (
                &["prune.weigh=[]"],
                "`prune.weigh` is \"cells\", \"uses\" or",
            ),
            (
                &["prune.weigh=uses", "prune.semantics=paper"],
                "prune.semantics = \"corrected\"",
            ),
        ] {
            let error = format!("{:#}", parse(sets).unwrap_err());
            assert!(
                error.contains("prune.weigh") && error.contains(words),
                "{sets:?}: {error}"
            );
        }
    }
}
