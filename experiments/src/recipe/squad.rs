//! The typed recipe of the SQuAD table.

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sparta_datasets::squad::SquadSet;

use super::encoder::{
    EncoderModelRecipe, EncoderObserveRecipe, EncoderRecipe, EncoderRetrainRecipe,
    EncoderTrainRecipe, PaddingName, validate,
};
use super::files::{FILES, QuestionFiles, Source};
use super::renamed::NORMALIZER;
use super::{
    AnyCorpus, Heading, LayoutName, Masks, Needs, Prune, Recipe, Renamed, RetrainStart, Shipped,
    Threshold,
};

/// Everything that determines the SQuAD table; field names are the TOML keys, which
/// `recipes/small/squad.toml` explains one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SquadRecipe {
    /// Name and seeds.
    #[serde(flatten)]
    pub heading: Heading,
    /// Paragraphs as windows of token ids.
    pub data: WindowRecipe,
    /// The network.
    pub model: EncoderModelRecipe,
    /// Fine-tuning.
    pub train: EncoderTrainRecipe,
    /// The pass that averages attention.
    pub observe: EncoderObserveRecipe,
    /// Thresholds and masks.
    pub prune: Prune,
    /// Fine-tuning under each mask.
    pub retrain: EncoderRetrainRecipe,
    /// Answers.
    pub eval: AnswerRecipe,
    /// Time and memory.
    pub cost: CostRecipe,
}

/// How paragraphs become windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowRecipe {
    /// The set of articles; `files` are those of the user.
    pub corpus: String,
    /// Tokens of a question with its window.
    pub max_len: usize,
    /// Tokens from the start of one window to the start of the next.
    pub stride: usize,
    /// Tokens of a question at most.
    pub max_question: usize,
    /// How wide batches are.
    pub padding: PaddingName,
    /// Training windows to use, spread evenly; 0 = all.
    pub train_windows: usize,
    /// Test questions to use, spread evenly; 0 = all.
    pub test_questions: usize,
    /// How own files are read, where the set is these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<QuestionFiles>,
}

/// How answers are chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerRecipe {
    /// Windows of a batch.
    pub batch_size: usize,
    /// Starts and ends of each window that are paired.
    pub n_best: usize,
    /// Tokens of an answer at most.
    pub max_answer_len: usize,
    /// How much likelier than an answer none has to be, to be given where some questions have none
    /// (`null_score_diff_threshold` of `run_squad.py`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub null_threshold: f64,
}

fn is_zero(threshold: &f64) -> bool {
    *threshold == 0.0
}

/// How time and memory are measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostRecipe {
    /// Training batches that are timed; 0 = time and memory are not measured.
    pub batches: usize,
}

impl SquadRecipe {
    /// The set as the data crate knows it.
    ///
    /// # Errors
    /// A name that is none, with those that are.
    pub fn set(&self) -> Result<Source<SquadSet>> {
        if self.data.corpus == FILES {
            return Ok(Source::Files);
        }
        match self.data.corpus.parse() {
            Ok(set) => Ok(Source::Published(set)),
            Err(error) => bail!("{error}, or `files` with --data FILE"),
        }
    }

    /// Whether the published table of SQuAD v1.1 is one of such questions.
    ///
    /// # Errors
    /// As [`SquadRecipe::set`].
    pub fn is_published(&self) -> Result<bool> {
        Ok(match self.set()? {
            Source::Published(SquadSet::V1_1 | SquadSet::Shipped) => true,
            Source::Published(SquadSet::V2_0) | Source::Files => false,
        })
    }
}

impl EncoderRecipe for SquadRecipe {
    fn model(&self) -> &EncoderModelRecipe {
        &self.model
    }

    fn train(&self) -> &EncoderTrainRecipe {
        &self.train
    }

    fn observe(&self) -> &EncoderObserveRecipe {
        &self.observe
    }

    fn prune(&self) -> &Prune {
        &self.prune
    }

    fn max_len(&self) -> usize {
        self.data.max_len
    }
}

impl Recipe for SquadRecipe {
    const PROGRAM: &'static str = "squad";
    const SHIPPED: &'static [Shipped] = super::shipped::SQUAD;
    const FILES: &'static str = QuestionFiles::DEFAULT;

    const RENAMED: &'static [Renamed] = &[NORMALIZER];

    sections!();

    fn needs(&self) -> Result<Needs> {
        Ok(Needs {
            corpora: (self.set()?.published())
                .map(AnyCorpus::Paragraphs)
                .into_iter()
                .collect(),
            network: Some(self.model.network),
        })
    }

    fn check_overruled(&self, sets: &[String]) -> Result<()> {
        self.train.check_overruled(sets)
    }

    fn validate(&self) -> Result<()> {
        validate(self)?;
        self.prune.check(&self.model.normalizers)?;
        ensure!(
            self.heading.layout == LayoutName::P,
            "`layout = \"mechanism\"` is for `lm`, `iwslt`, `glue` and `mlm`: the rows of this table are kernels"
        );
        ensure!(
            self.data.max_len > self.data.max_question + 3,
            "`data.max_len = {}` leaves no room beside `data.max_question = {}`",
            self.data.max_len,
            self.data.max_question
        );
        ensure!(
            is_zero(&self.eval.null_threshold) || !self.is_published()?,
            "`eval.null_threshold = {}` is of questions without an answer, and {} has none: it goes with `data.corpus = \
             \"squad-v2.0\"`, or with files of your own that have such questions",
            self.eval.null_threshold,
            self.data.corpus
        );
        self.set().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_do_not_go_together_are_named() {
        for (set, word) in [
            ("data.corpus=squad2", "squad-v1.1, squad-v2.0"),
            ("eval.null_threshold=-1.5", "new-wiki-to-squad-dev has none"),
            ("data.max_len=60", "data.max_question"),
            ("data.stride=0", "data.stride"),
            ("prune.p=[90]", "prune.p"),
        ] {
            let text = SquadRecipe::SHIPPED[0].text;
            let e = SquadRecipe::parse(text, &[set.to_owned()]).unwrap_err();
            assert!(format!("{e:#}").contains(word), "{set}: {e:#}");
        }
    }

    #[test]
    fn a_threshold_of_nothing_is_no_other_recipe() {
        let of = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            SquadRecipe::parse(SquadRecipe::SHIPPED[0].text, &sets).unwrap()
        };
        let v2 = "data.corpus=squad-v2.0";
        assert_eq!(of(&[v2]).hash(), of(&[v2, "eval.null_threshold=0"]).hash());
        let other = of(&[v2, "eval.null_threshold=-2.5"]);
        assert_ne!(of(&[v2]).hash(), other.hash());
        assert_eq!(SquadRecipe::parse(&other.to_toml(), &[]).unwrap(), other);
        assert!(!other.is_published().unwrap());
    }
}
