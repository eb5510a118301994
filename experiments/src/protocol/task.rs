//! What the protocol asks of a task: its data, its network, its batches, its score, and the lines of the table that a
//! model stands in.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use sparta_datasets::Split;
use sparta_datasets::source::Origins;
use sparta_datasets::tokenize::Language;
use sparta_model::layer::PlacedMechanism;
use sparta_model::layer::mechanism::Readings;
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::{AttentionType, GlobalMask, Placement};
use sparta_results::{Baseline, MaskRows, Metric, RunRecord};

use super::cost::Cost;
use super::folder::{ModelFolder, RunFolder};
use super::masks::AttentionLayers;
use super::records::TableRequest;
use super::rows::Row;
use super::run::Run;
use super::scored::UnitScores;
use super::stage::Fetch;
use super::variant::Variant;
use crate::analysis::Tokens;
use crate::device::OpenDevice;
use crate::recipe::Recipe;
use crate::train::{Objective, TrainingConfig};

/// A task: everything that [`Protocol`](super::method::Protocol) does not know.
///
/// The first functions read the recipe alone, so that a table can be made from records and a model found by its path
/// without the data; the others belong to a task with its data opened.
pub trait Task: Sized {
    /// The recipe, by TOML keys.
    type Recipe: Recipe;
    /// The network.
    type Network: Module;
    /// Its masks on one device.
    type Masks: Clone;
    /// What a training step reads, and its loss.
    type Objective<'a>: Objective<Self::Network>
    where
        Self: 'a;

    // ── the recipe ──

    /// The dense models of each seed.
    ///
    /// # Errors
    /// A name that the recipe's checks cannot know.
    fn variants(recipe: &Self::Recipe) -> Result<Vec<Variant>>;

    /// What the records of a run folder cannot say of their table.
    ///
    /// # Errors
    /// A folder without records.
    fn table(recipe: &Self::Recipe, folder: &RunFolder) -> Result<TableRequest>;

    /// Text after the printed table, and files beside it.
    ///
    /// # Errors
    /// If the disk refuses.
    fn after_table(_recipe: &Self::Recipe, _folder: &RunFolder) -> Result<String> {
        Ok(String::new())
    }

    /// The file that scoring leaves beside a model, from which [`Task::unit_scores`] has what each unit adds.
    const KEPT: &'static str;

    /// The scores of a model unit by unit of the test set, from what scoring left beside it and its records.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    fn unit_scores(
        recipe: &Self::Recipe,
        run: &RunFolder,
        model: &Path,
        records: &[RunRecord],
    ) -> Result<Vec<UnitScores>>;

    // ── data ──

    /// Opens data, tokenizers and pretrained weights. Enters the run folder ([`Run::enter`]) before it writes there, and
    /// after all that may be missing elsewhere was found.
    ///
    /// # Errors
    /// What is missing or damaged, each saying what to do.
    fn open(run: &Run<'_, Self::Recipe>, fetch: Fetch) -> Result<Self>;

    /// Opens what a run folder has, to read its models again: nothing is written, no lock is taken, and pretrained
    /// weights are not needed.
    ///
    /// # Errors
    /// Data that are gone or damaged, each saying what to do.
    fn reopen(run: &Run<'_, Self::Recipe>) -> Result<Self>;

    /// The task for a dry run: on a part of the data, or on synthetic data where they are not at hand. Writes nothing.
    ///
    /// # Errors
    /// Data that were named and are not there.
    fn stand_in(run: &Run<'_, Self::Recipe>) -> Result<Self>;

    /// The same with batches of one example, for a dry run with little memory.
    #[must_use]
    fn with_one_example(self) -> Self;

    /// What was opened, in lines for the person at the terminal.
    fn describe(&self) -> Vec<String>;

    /// The files of a variant's data set, which its records name; none stands for all that the run remembers, where there
    /// is one data set.
    fn files(&self, _: &Variant) -> Option<&Origins> {
        None
    }

    /// The sha256 of the pretrained weights that its networks start from, where they do, which their records name.
    fn weights(&self) -> Option<String> {
        None
    }

    /// Hash of the tokenizers, which models are tied to.
    fn tokenizer_hash(&self) -> String;

    // ── network ──

    /// That the network of a variant can be built, and its attention mechanism do what this task asks of it: found out
    /// before anything is trained.
    ///
    /// # Errors
    /// Sizes that do not go together, or an ability that the mechanism lacks.
    fn check(&self, of: &Variant) -> Result<()>;

    /// [`Task::check`] and the memory of every variant: [`Task::open`] does so before it enters the run folder, so that a
    /// recipe that is refused leaves nothing behind.
    ///
    /// # Errors
    /// Those of the first variant that is refused.
    fn check_all(&self, run: &Run<'_, Self::Recipe>) -> Result<()> {
        for of in Self::variants(run.recipe)? {
            self.check(&of)?;
            run.check_memory(&self.cost(&of))?;
        }
        Ok(())
    }

    /// A network of a variant with new weights, the same for a seed on every device.
    ///
    /// # Errors
    /// Sizes that do not go together, by recipe key.
    fn network(&self, of: &Variant, seed: u64, device: &Device) -> Result<Self::Network>;

    /// The network that training starts from.
    ///
    /// # Errors
    /// Those of [`Task::network`]; pretrained weights that do not fit.
    fn initial(&self, of: &Variant, seed: u64, device: &Device) -> Result<Self::Network> {
        self.network(of, seed, device)
    }

    /// The attention that is observed, and of which masks hide a part.
    fn attention(&self, of: &Variant) -> Vec<AttentionLayers>;

    /// A mask as the network reads it; none hides nothing.
    ///
    /// # Errors
    /// A mask without one of its layers.
    fn masks(&self, mask: Option<&GlobalMask>, device: &Device) -> Result<Self::Masks>;

    /// Sizes that memory grows with.
    fn cost(&self, of: &Variant) -> Cost;

    /// Batches whose gradients are added up for a step.
    fn n_parts(&self) -> usize {
        1
    }

    /// Positions of a training step on average, padding included: what its time grows with.
    fn positions_per_step(&self, of: &Variant) -> f64 {
        (self.cost(of).tokens * self.n_parts()) as f64
    }

    // ── batches ──

    /// Steps, optimiser and selection of a training.
    fn training(&self, of: &Variant, phase: Phase) -> TrainingConfig;

    /// Batches and their loss under masks, on a device with autodiff.
    ///
    /// # Errors
    /// Too little data.
    fn objective<'a>(
        &'a self,
        of: &'a Variant,
        seed: u64,
        masks: BothMasks<Self::Masks>,
        device: &Device,
    ) -> Result<Self::Objective<'a>>;

    /// A pass over examples that gives attention weights: the network is in evaluation mode, under its masks, and a
    /// decoder is given the targets (teacher forcing).
    ///
    /// # Errors
    /// Too little data.
    fn observe<'a>(
        &'a self,
        of: &'a Variant,
        model: &'a MaskedModel<'a, Self::Network, Self::Masks>,
        examples: Examples,
    ) -> Result<Observation<'a>>;

    /// What is watched of mechanisms while the network reads the first examples of the test set, one at a time and without
    /// padding, until each type of attention has had so many queries or there are no more.
    ///
    /// # Errors
    /// Too little data.
    fn watch(
        &self,
        of: &Variant,
        model: &MaskedModel<'_, Self::Network, Self::Masks>,
        n_queries: usize,
    ) -> Result<Readings>;

    /// Token ids as people read them.
    ///
    /// # Errors
    /// An id that the tokenizer of the side does not have.
    fn tokens(&self, side: Side, ids: &[u32]) -> Result<Tokens>;

    /// The language of the texts that the encoder reads; of a network without one, of its texts.
    fn language(&self) -> Language;

    /// The attention mechanism of each layer.
    fn mechanisms<'n>(&self, of: &Variant, network: &'n Self::Network) -> Vec<PlacedMechanism<'n>>;

    // ── scores ──

    /// The scores that a model gets on a device, each in a line of the table.
    ///
    /// # Errors
    /// A signature that cannot be written.
    fn lines(&self, of: &Variant, row: Option<&Row>, on: &OpenDevice) -> Result<Vec<Line>>;

    /// How much is scored, and in which steps it is counted.
    fn scored(&self, of: &Variant) -> Amount;

    /// Scores a model, one value for each of its lines; predictions go beside it. `at` is told how much is done.
    ///
    /// # Errors
    /// A score that is not finite, or Ctrl-C.
    fn score(
        &self,
        of: &Variant,
        model: &MaskedModel<'_, Self::Network, Self::Masks>,
        scoring: &Scoring<'_>,
        at: &mut dyn FnMut(u64),
    ) -> Result<Vec<f64>>;

    /// Lines of the table that need no network, the same for every seed.
    ///
    /// # Errors
    /// A signature that cannot be written.
    fn baselines(&self) -> Result<Vec<BaselineLine>> {
        Ok(Vec::new())
    }

    /// One value for each of [`Task::baselines`].
    ///
    /// # Errors
    /// A score that cannot be had.
    fn score_baselines(&self) -> Result<Vec<f64>> {
        Ok(Vec::new())
    }
}

/// A training of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The dense model.
    Dense,
    /// Again, under a mask.
    Again,
}

/// Masks for training steps, and for the validations between them.
#[derive(Debug, Clone)]
pub struct BothMasks<M> {
    /// On the device with autodiff.
    pub training: M,
    /// On the device without.
    pub plain: M,
}

/// A network in evaluation mode on a device, under masks that hide the same cells for every example.
pub struct MaskedModel<'a, N, M> {
    /// The network.
    pub network: &'a N,
    /// Its masks.
    pub masks: M,
    /// Where it computes.
    pub device: &'a Device,
}

/// What is scored of a model, and what is beside it.
pub struct Scoring<'a> {
    /// The lines of the table.
    pub lines: &'a [Line],
    /// The folder of the model, where predictions go.
    pub folder: &'a ModelFolder,
    /// Where its mask is stored, if it has one.
    pub mask_path: Option<PathBuf>,
    /// The device.
    pub on: &'a OpenDevice,
}

/// The examples of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Examples {
    /// What the recipe observes: its part of the training set.
    Observed,
    /// The first examples of a split, as many as are asked for; none is all of them. Examples are pairs, texts, windows,
    /// and of running text the segments that a language model reads at once.
    First {
        /// The split.
        split: Split,
        /// How many.
        n: Option<usize>,
    },
}

impl Examples {
    /// How many of `all` are meant, where a recipe observes `observed` (0 is all).
    #[must_use]
    pub fn of(self, all: usize, observed: usize) -> usize {
        match self {
            Self::Observed if observed == 0 => all,
            Self::Observed => observed.min(all),
            Self::First { n, .. } => n.unwrap_or(all).min(all),
        }
    }

    /// Where they are from.
    #[must_use]
    pub const fn split(self) -> Split {
        match self {
            Self::Observed => Split::Train,
            Self::First { split, .. } => split,
        }
    }
}

/// Where a network reads tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// In its encoder.
    Encoder,
    /// In its decoder.
    Decoder,
}

impl Side {
    /// Where queries and keys of an attention type are read.
    #[must_use]
    pub const fn of(kind: AttentionType) -> [Self; 2] {
        match kind {
            AttentionType::EncoderSelf => [Self::Encoder; 2],
            AttentionType::DecoderSelf => [Self::Decoder; 2],
            AttentionType::Cross => [Self::Decoder, Self::Encoder],
        }
    }
}

/// A pass over examples.
pub struct Observation<'a> {
    /// What is observed: `corpus:split:number`.
    pub corpus: String,
    /// The same in words: `1000 examples`.
    pub words: String,
    /// Batches.
    pub amount: Amount,
    /// The weights of each batch.
    pub batches: Box<dyn Iterator<Item = Result<Vec<Observed>>> + 'a>,
}

/// Attention weights of one type and batch.
pub struct Observed {
    /// The type.
    pub kind: AttentionType,
    /// `[batch, n_heads, seq_q, seq_kv]` of each layer.
    pub weights: Vec<Tensor<4>>,
    /// Where they lie in the grid, and what is padding.
    pub placement: Placement,
    /// Token ids of each example, padding left out.
    pub ids: Vec<ExampleIds>,
}

/// Token ids of one example under one attention type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExampleIds {
    /// Those that attend.
    pub queries: Vec<u32>,
    /// Those that are attended to; a memory's come first.
    pub keys: Vec<u32>,
}

impl ExampleIds {
    /// Of tokens that attend to each other.
    #[must_use]
    pub fn of_self(ids: Vec<u32>) -> Self {
        Self {
            queries: ids.clone(),
            keys: ids,
        }
    }
}

/// How much is done, and in which steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Amount {
    /// Steps.
    pub n: u64,
    /// Tokens of each, on average.
    pub tokens: f64,
}

/// The name of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// The row of the table.
    pub row: String,
    /// The p it stands at; none for a dense model before the further steps of all rows.
    pub p: Option<f64>,
    /// Which rows of its mask, if it has one, a decoder uses that writes.
    pub rows: MaskRows,
}

/// A score that a model gets: a line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name.
    pub label: Label,
    /// What the name of the record adds to that of the model; empty where a model has one record.
    pub file: String,
    /// The score.
    pub metric: Metric,
    /// Its protocol.
    pub signature: String,
    /// Which implementation of attention it is measured of, where that is not the run's choice.
    pub attention: Option<Implementation>,
    /// Table and row of the published values beside it; an empty table is none.
    pub paper: Option<(String, String)>,
}

/// A line of the table that needs no network.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineLine {
    /// What it is.
    pub baseline: Baseline,
    /// Name of its record.
    pub file: String,
    /// Row of the table.
    pub row: String,
    /// The score.
    pub metric: Metric,
    /// Its protocol.
    pub signature: String,
    /// The files of its data set, where a run has several data sets.
    pub files: Option<Origins>,
}
