//! The typed translation recipe.

mod words;

pub use words::{KeepName, PrunedName};

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sparta_datasets::batch::PaddingSide;
use sparta_datasets::translation::TranslationCorpus;
use sparta_model::decode::SearchMethod;
use sparta_model::layer::{
    DotProductConfig, MechanismConfig, MechanismsByType, NormalizerConfig, OutputMap,
};
use sparta_model::seq2seq::Sharing;
use sparta_ops::pruning::AttentionType;
use sparta_results::metric::bleu::BleuTokenizer;
use sparta_results::paper;

use super::files::{PairFiles, Source};
use super::idle::{check_table, is_set};
use super::renamed::RETRAIN_MODE;
use super::sections::check_normalizers;
use super::{
    AnyCorpus, Heading, Intervals, Masks, Needs, Optimizer, Recipe, Renamed, Retrain, RetrainStart,
    RowsName, Shipped, Threshold, WarmupSteps,
};
use crate::train::Selection;

/// Everything that determines a translation table; field names are the TOML keys, which
/// `recipes/small/iwslt.toml` explains one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TranslationRecipe {
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
    pub prune: PruneRecipe,
    /// Training again under each mask; what it does not name is as in `train`.
    pub retrain: Retrain,
    /// Search and score.
    pub eval: EvalRecipe,
    /// The published rows for comparison.
    pub paper: PaperRecipe,
}

/// Which pairs of sentences, and how they become tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataRecipe {
    /// The corpus, with its direction.
    pub corpus: Source<TranslationCorpus>,
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
    pub pad_source: PaddingSide,
    /// How own files are read, where the corpus is these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<PairFiles>,
}

/// Encoder–decoder dimensions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    pub share: Sharing,
    /// Mechanisms of attention, one for all types or by type, each with a dense model of its own.
    pub normalizers: Vec<MechanismsByType>,
    /// Mapping from scores to words.
    pub output: OutputMap,
}

impl ModelRecipe {
    /// The output layer of the network with some mechanisms: its own, or that of the table.
    #[must_use]
    pub fn output_of(&self, mechanisms: MechanismsByType) -> OutputMap {
        mechanisms.output.unwrap_or(self.output)
    }
}

/// Dense training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainRecipe {
    /// Updates.
    pub steps: u64,
    /// Most tokens of a batch, padding included, on its longer side.
    pub max_tokens: usize,
    /// Batches whose gradients are added up for one update.
    pub grad_accum: usize,
    /// The optimiser and its learning rate.
    #[serde(flatten)]
    pub optimizer: Optimizer<WarmupSteps>,
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
    /// How often something is said and saved.
    #[serde(flatten)]
    pub intervals: Intervals,
}

impl TrainRecipe {
    /// What is said where the best of several is kept, and there is one alone.
    #[must_use]
    pub fn chooses_nothing(&self) -> Option<String> {
        let chooses = match self.keep {
            KeepName::BestLoss | KeepName::BestBleu => true,
            KeepName::Last | KeepName::Average => false,
        };
        if !chooses || self.intervals.valid_every > 0 {
            return None;
        }
        let word = self.keep.name();
        Some(format!(
            "`train.keep = \"{word}\"` chooses parameters by the validations during training, and `train.valid_every = 0` makes \
             none: the last ones are kept"
        ))
    }

    /// What is kept, in the words of the training loop.
    #[must_use]
    pub fn selection(&self) -> Selection {
        match self.keep {
            KeepName::Last => Selection::Last,
            KeepName::BestLoss => Selection::BestLoss,
            KeepName::BestBleu => Selection::BestBleu,
            KeepName::Average => Selection::Average {
                n: self.average,
                every: self.average_every,
            },
        }
    }
}

/// The pass over the training set that averages attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObserveRecipe {
    /// Most tokens of a batch.
    pub max_tokens: usize,
    /// Pairs to observe; 0 = the whole training set.
    pub train_pairs: usize,
}

/// Thresholds and masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PruneRecipe {
    /// Which masks.
    #[serde(flatten)]
    pub masks: Masks,
    /// What is pruned of the model with softmax.
    pub softmax: Vec<PrunedName>,
    /// What is pruned of the model with sparsemax.
    pub sparsemax: Vec<PrunedName>,
    /// What is pruned of the model with 1.5-entmax.
    pub entmax15: Vec<PrunedName>,
    /// What is pruned of the model with a learned α.
    pub alpha_entmax: Vec<PrunedName>,
    /// What is pruned of the model with any other mechanism, as far as that can be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<PrunedName>,
    /// How they are made.
    #[serde(flatten)]
    pub threshold: Threshold,
    /// Rows of the mask that decoding uses.
    pub rows: RowsName,
}

impl PruneRecipe {
    /// What is pruned of the model with some mechanisms.
    #[must_use]
    pub fn of(&self, mechanisms: MechanismsByType) -> &[PrunedName] {
        let key = key(mechanisms);
        let list = self.lists().into_iter().find(|(of, _)| *of == key);
        list.map_or(&[], |(_, list)| list)
    }

    /// What is pruned, by the key that says so.
    fn lists(&self) -> [(&'static str, &[PrunedName]); 5] {
        [
            ("softmax", &self.softmax),
            ("sparsemax", &self.sparsemax),
            ("entmax15", &self.entmax15),
            ("alpha_entmax", &self.alpha_entmax),
            (OTHERS, &self.others),
        ]
    }
}

/// The key of mechanisms that have no key of their own.
const OTHERS: &str = "others";

/// The key that says what is pruned of the model with some mechanisms: a row normaliser without parts of every type has
/// one of its name, unless it has an output layer of its own.
fn key(mechanisms: MechanismsByType) -> &'static str {
    let normalizer = match mechanisms.only() {
        Some(MechanismConfig::DotProduct(settings))
            if settings == DotProductConfig::new(settings.normalizer)
                && mechanisms.output.is_none() =>
        {
            settings.normalizer
        }
        Some(_) | None => return OTHERS,
    };
    match normalizer {
        NormalizerConfig::Softmax => "softmax",
        NormalizerConfig::Sparsemax => "sparsemax",
        NormalizerConfig::Entmax15 => "entmax15",
        NormalizerConfig::AlphaEntmax { .. } => "alpha_entmax",
        NormalizerConfig::Entmax { .. }
        | NormalizerConfig::Fusedmax { .. }
        | NormalizerConfig::Oscarmax { .. } => OTHERS,
    }
}

/// Search and score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    pub tokenize: BleuTokenizer,
    /// How translations are looked for; recipes from before there was a choice lack it.
    #[serde(default, skip_serializing_if = "SearchMethod::is_beam")]
    pub search: SearchMethod,
}

impl EvalRecipe {
    /// # Errors
    /// Exact search over an output layer that leaves everything possible, or for scores that depend on the length.
    fn check(&self, output: OutputMap) -> Result<()> {
        let Self {
            search,
            length_penalty,
            ..
        } = self;
        ensure!(
            search.is_beam() || output.is_sparse(),
            "`eval.search = \"{search}\"` needs a sparse output layer of every model: with the output layer {output} every \
             sequence of tokens has probability above 0, which are too many to look at; set `model.output` to entmax15, \
             sparsemax or entmax(1.3), or `eval.search = \"beam\"`"
        );
        ensure!(
            search.is_beam() || *length_penalty == 0.0,
            "`eval.search = \"{search}\"` finds the most probable translation, and `eval.length_penalty = \
             {length_penalty}` asks for another one: a longer prefix is never likelier, but its score divided by its \
             length can be better; set `eval.length_penalty = 0.0`"
        );
        Ok(())
    }
}

/// The published rows that stand beside ours, by table of `sparta_results::paper`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    const RENAMED: &'static [Renamed] = &[RETRAIN_MODE];
    const FILES: &'static str = PairFiles::DEFAULT;

    sections!();

    fn choice(&self) -> String {
        let rows = match self.prune.rows {
            RowsName::Both => " --set prune.rows=both",
            RowsName::True | RowsName::Paper => "",
        };
        super::seeds_and_masks(self) + rows
    }

    fn add_choice(&mut self, of: &Self, is_settled: &dyn Fn(&str) -> bool) {
        super::add_seeds_and_masks(self, of, is_settled);
        if !is_settled("prune.rows") && of.prune.rows == RowsName::Both {
            self.prune.rows = RowsName::Both;
        }
    }

    fn without_choice(&self) -> Self {
        let mut one = self.clone();
        one.set_seeds(Vec::new());
        one.masks_mut().clear_added();
        one.heading_mut().interrogatives.clear();
        one.prune.rows = one.prune.rows.without_added();
        one
    }

    fn check_published(&self) -> Result<()> {
        let PaperRecipe {
            normalizers,
            by_type,
            self_only,
        } = &self.paper;
        check_table("paper.normalizers", normalizers, "softmax")?;
        check_table("paper.by_type", by_type, "enc-self")?;
        check_table("paper.self_only", self_only, paper::SELF_ATTENTION)
    }

    fn check_overruled(&self, sets: &[String]) -> Result<()> {
        let train = &self.train;
        for (key, value) in [
            ("train.average", train.average),
            ("train.average_every", train.average_every),
        ] {
            ensure!(
                train.keep == KeepName::Average || !is_set(sets, key),
                "`--set {key}={value}` would do nothing beside `train.keep = \"{}\"`: it says of which parameters the mean is \
                 kept; add `--set train.keep=average`",
                train.keep.name()
            );
        }
        let is_typed = is_set(sets, "train.keep") || is_set(sets, "train.valid_every");
        if let Some(text) = train.chooses_nothing().filter(|_| is_typed) {
            bail!(
                "{text}; add `--set train.valid_every=N` with the steps from one to the next, or say so, `--set train.keep=last`"
            );
        }
        Ok(())
    }

    fn needs(&self) -> Result<Needs> {
        Ok(Needs {
            corpora: Vec::from_iter(self.data.corpus.published().map(AnyCorpus::Pairs)),
            network: None,
        })
    }

    fn validate(&self) -> Result<()> {
        let m = &self.model;
        for &mechanisms in &m.normalizers {
            self.eval.check(m.output_of(mechanisms))?;
            ensure!(
                mechanisms.output != Some(m.output),
                "`{mechanisms}` in `model.normalizers` names the output layer that every model has, `model.output = \
                 \"{}\"`: leave it out there",
                m.output
            );
        }
        self.heading.check()?;
        self.train.intervals.check()?;
        ensure!(
            self.train.intervals.patience == 0 || self.train.keep != KeepName::Average,
            "`train.keep = \"average\"` is the mean of parameters counted back from the last step, which nobody knows under \
             `train.patience = {}`: set `train.keep = \"best_loss\"`, or `train.patience = 0`",
            self.train.intervals.patience
        );
        self.retrain
            .check(&[RetrainStart::Dense, RetrainStart::Scratch])?;
        ensure!(
            self.data.lowercase
                || !(self.data.corpus.published()).is_some_and(TranslationCorpus::is_lower_case),
            "`data.lowercase` must be true: the corpus is prepared in lower case"
        );
        if let Some(files) = &self.data.files {
            files.check()?;
        }
        ensure!(
            m.share != Sharing::All || self.data.joined_dictionary,
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
        self.prune.masks.check()?;
        self.prune.threshold.check(&self.prune.masks)?;
        check_normalizers(&self.model.normalizers)?;
        for mechanism in &self.model.normalizers {
            let counts = AttentionType::ALL.into_iter().any(|kind| {
                let pattern = mechanism.of(kind).static_pattern();
                pattern.is_some_and(|of| of.counts_positions())
            });
            ensure!(
                !counts || self.data.pad_source == PaddingSide::Right,
                "{mechanism} counts positions from the first of a sentence, and `data.pad_source = \"left\"` moves \
                 them: set `data.pad_source = \"right\"`"
            );
        }
        for (name, list) in self.prune.lists() {
            let is_trained = |&mechanisms: &MechanismsByType| key(mechanisms) == name;
            let missing = match name {
                OTHERS => "a mechanism without a key of its own".to_owned(),
                normalizer => format!("\"{normalizer}\""),
            };
            ensure!(
                list.is_empty() || self.model.normalizers.iter().any(is_trained),
                "`prune.{name}` prunes a model that is not trained: add {missing} to \
                 `model.normalizers`, or set `prune.{name} = []`"
            );
            for (i, pruned) in list.iter().enumerate() {
                ensure!(
                    !list[..i].contains(pruned),
                    "`prune.{name}` names the same attention twice ({list:?}); name each once"
                );
            }
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
    fn rows_of_the_released_code_stay_with_those_that_are_there() {
        let load = |rows: &str| {
            let sets = [format!("prune.rows=\"{rows}\"")];
            TranslationRecipe::load("small/iwslt", &sets).unwrap()
        };
        for (there, asked) in [("true", "both"), ("both", "true")] {
            let mut all = load(there);
            all.add_choice(&load(asked), &|_| false);
            assert_eq!(all, load("both"), "{there} {asked}");
        }
        let mut settled = load("true");
        settled.add_choice(&load("both"), &|key| key == "prune.rows");
        assert_eq!(settled.prune.rows, RowsName::True);
    }

    #[test]
    fn all_p_are_one_key() {
        let sets = ["prune.p=[0, 20, 90]".into()];
        let recipe = TranslationRecipe::load("small/iwslt", &sets);
        assert_eq!(recipe.unwrap().prune.masks.p, [0, 20, 90]);
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
            ("prune.softmax=[\"cross\", \"cross\"]", "twice"),
            (
                "prune.others=[\"cross\"]",
                "a mechanism without a key of its own",
            ),
            (
                "model.normalizers=[\"softmax\", \"encoder=nonsense\"]",
                "`nonsense` is no attention mechanism",
            ),
            (
                "model.normalizers=[\"softmax\", \"cross=rfa softmax\"]",
                "`softmax` has no type",
            ),
            ("model.width=3", "unknown key `model.width`"),
            ("train.patience=1", "train.valid_every"),
            ("eval.search=greedy", "known are beam, exact"),
            ("eval.search=exact", "model.output"),
        ] {
            let e = error(&[set]);
            assert!(e.contains(word), "{set}: {e}");
        }
    }

    #[test]
    fn exact_search_needs_a_sparse_output_and_scores_without_length() {
        let e = error(&["eval.search=exact", "model.output=entmax15"]);
        assert!(e.contains("eval.length_penalty = 1"), "{e}");
        let mut sets = ["model.output=entmax15", "eval.length_penalty=0.0"].map(String::from);
        let of = |sets: &[String]| TranslationRecipe::load("small/iwslt", sets).unwrap();
        let beam = of(&sets);
        sets[0] = "model.output=sparsemax".into();
        let sets = [&sets[..], &["eval.search=exact(prefixes=50)".into()]].concat();
        let exact = of(&sets);
        assert_eq!(exact.eval.search.to_string(), "exact(prefixes=50)");
        let sets: Vec<String> = sets.into_iter().take(2).collect();
        assert_ne!(exact.hash(), of(&sets).hash());
        // A row has an output layer of its own; one search serves all rows.
        let rows = "model.normalizers=[\"output=entmax15\", \"entmax15 output=sparsemax\"]";
        let of_rows = [
            rows,
            "prune.softmax=[]",
            "prune.entmax15=[]",
            "eval.length_penalty=0.0",
        ];
        let of_rows = of_rows.map(String::from);
        let all = [&of_rows[..], &["eval.search=exact".into()]].concat();
        let recipe = of(&all);
        let outputs = recipe.model.normalizers.iter();
        let outputs: Vec<OutputMap> = outputs.map(|&row| recipe.model.output_of(row)).collect();
        assert_eq!(outputs, [OutputMap::Entmax15, OutputMap::Sparsemax]);
        assert!(recipe.prune.of(recipe.model.normalizers[0]).is_empty());
        let e = error(&[
            &rows.replace("output=entmax15", "softmax"),
            "eval.search=exact",
        ]);
        assert!(e.contains("model.output"), "{e}");
        let e = error(&["model.normalizers=[\"output=softmax\"]"]);
        assert!(e.contains("leave it out"), "{e}");
        // A recipe from before there was a choice means, and is, the same.
        assert!(!beam.to_toml().contains("search"));
        let text = TranslationRecipe::SHIPPED[0].text;
        let line = text
            .lines()
            .find(|line| line.starts_with("search = "))
            .unwrap();
        let before = TranslationRecipe::parse(&text.replace(line, ""), &[]).unwrap();
        assert_eq!(before.hash(), of(&[]).hash());
    }

    #[test]
    fn early_stopping_and_a_mean_of_the_last_do_not_go_together() {
        let sets = ["train.patience=1", "train.valid_every=9"];
        let e = error(&[&sets[..], &["train.keep=average"]].concat());
        assert!(e.contains("best_loss"), "{e}");
        let best = [&sets[..], &["train.keep=best_bleu"]].concat();
        let best: Vec<String> = best.into_iter().map(str::to_owned).collect();
        assert!(TranslationRecipe::load("small/iwslt", &best).is_ok());
    }

    #[test]
    fn a_recipe_of_the_other_program_is_named_as_such() {
        let e = TranslationRecipe::load("small/lm", &[]).unwrap_err();
        assert!(e.to_string().contains("lm --recipe small/lm"), "{e:#}");
    }
}
