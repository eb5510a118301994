//! What a task for a pretrained encoder says of itself: the rest is the same for all.

use std::path::Path;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use sparta_datasets::Split;
use sparta_datasets::source::Origins;
use sparta_datasets::tokenize::pretrained::Tokenizer;
use sparta_model::LayerMask;
use sparta_model::bert::{Bert, BertConfig, BertInput};
use sparta_ops::attention::Implementation;
use sparta_results::render::PivotLayout;
use sparta_results::{Baseline, Metric, RunRecord};

use super::pretrained::Sources;
use crate::device::OpenDevice;
use crate::protocol::{Fetch, MaskedModel, Run, RunFolder, Scoring, UnitScores, Variant};
use crate::recipe::EncoderRecipe;
use crate::train::HeadRate;

/// An encoder with a head, under masks of its layers.
pub type Model<'a, N> = MaskedModel<'a, N, Option<Vec<LayerMask>>>;

/// A score that each model of the task gets: a line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The row of the table.
    pub row: String,
    /// That of a model under a mask, where it is another one.
    pub masked_row: String,
    /// The score.
    pub metric: Metric,
    /// Its protocol.
    pub signature: String,
    /// Which implementation of attention it is measured of, where that is not the run's choice.
    pub attention: Option<Implementation>,
    /// Row of the published table beside it, if there is one.
    pub paper: Option<(String, String)>,
}

impl Column {
    /// Name in files, beside other columns of the task.
    pub fn name(&self) -> String {
        let keep = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = self.row.chars().map(keep).collect();
        format!("{name}-{}", self.metric)
    }
}

/// A score that needs no network.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineScore {
    /// What it is.
    pub baseline: Baseline,
    /// Its column.
    pub column: Column,
    /// The score.
    pub value: f64,
}

/// A data set with its examples as token ids, and the head that a network has for it.
pub trait Head: Sized {
    /// The recipe.
    type Recipe: EncoderRecipe;
    /// An encoder with the head.
    type Network: Module;
    /// The table.
    ///
    /// # Errors
    /// A data set that is none.
    fn layout(recipe: &Self::Recipe) -> Result<PivotLayout>;

    /// The data sets of a recipe, by their names in folders.
    ///
    /// # Errors
    /// A name that is none.
    fn datasets(recipe: &Self::Recipe) -> Result<Vec<String>>;

    /// Rows of the table that a data set has in a run folder, without a mask and with one.
    ///
    /// # Errors
    /// Records that cannot be read.
    fn rows(recipe: &Self::Recipe, folder: &RunFolder, dataset: usize) -> Result<Vec<[String; 2]>>;

    /// Reads the data sets of a recipe.
    ///
    /// # Errors
    /// Files that are missing, and how to get them.
    fn open(
        run: &Run<'_, Self::Recipe>,
        sources: &Sources,
        tokenizer: &Tokenizer,
        fetch: Fetch,
    ) -> Result<Vec<Self>>;

    /// The same, with synthetic examples where files are not at hand.
    ///
    /// # Errors
    /// Files that were named and are missing.
    fn stand_in(
        run: &Run<'_, Self::Recipe>,
        sources: &Sources,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<Self>>;

    /// The files that it was read from; none of synthetic examples.
    fn origins(&self) -> &Origins;

    /// Keeps in the run folder what its models are of no use without.
    ///
    /// # Errors
    /// A folder that cannot be written.
    fn enter(&self, _: &RunFolder) -> Result<()> {
        Ok(())
    }

    /// What the files are, for the person at the terminal.
    fn description(&self) -> &str;

    /// What the attention is observed on, for the pattern's header.
    fn corpus(&self) -> &str;

    /// Number of examples of a split.
    fn n_examples(&self, split: Split) -> usize;

    /// What the published data set calls a split: GLUE and SQuAD validate and test on `dev`.
    fn part(&self, split: Split) -> &str;

    /// Number of training examples.
    fn n_train(&self) -> usize {
        self.n_examples(Split::Train)
    }

    /// Number of those in an epoch: more, where a few synthetic ones stand for them.
    fn n_epoch(&self) -> usize;

    /// Mean tokens of an example of a split, padding not counted.
    fn mean_len(&self, split: Split) -> f64;

    /// Mean positions of a training example in batches of so many, padding included.
    fn mean_width(&self, batch_size: usize) -> f64;

    /// The network with a new head.
    fn init(&self, config: &BertConfig, device: &Device) -> Self::Network;

    /// Starts of published names of the head's parameters, which pretrained weights lack.
    fn head_names(&self) -> &[&str];

    /// How fast the part on top of the encoder learns, if not like the rest.
    fn head_rate(&self) -> Option<HeadRate>;

    /// The encoder of a network.
    fn bert<'a>(&self, network: &'a Self::Network) -> &'a Bert;

    /// The loss `[1]` of some training examples.
    fn loss(&self, model: &Model<'_, Self::Network>, indices: &[u32]) -> Result<Tensor<1>>;

    /// Some examples of a split as the encoder reads them, and the token ids of each, padding left out.
    fn input(
        &self,
        split: Split,
        indices: &[u32],
        device: &Device,
    ) -> Result<(BertInput, Vec<Vec<u32>>)>;

    /// The mean loss over what is watched while training.
    fn valid_loss(&self, model: &Model<'_, Self::Network>) -> Result<f64>;

    /// The scores that each model gets on a device.
    fn columns(&self, on: &OpenDevice) -> Result<Vec<Column>>;

    /// Scores a model, one value for each column; predictions go beside it. `at` is told how many
    /// examples are done.
    fn score(
        &self,
        of: &Variant,
        model: &Model<'_, Self::Network>,
        scoring: &Scoring<'_>,
        at: &mut dyn FnMut(u64),
    ) -> Result<Vec<f64>>;

    /// The file that scoring leaves beside a model, unit by unit.
    const KEPT: &'static str;

    /// The scores of a model unit by unit; see [`Task::unit_scores`](crate::protocol::Task::unit_scores).
    ///
    /// # Errors
    /// A file that is missing or damaged.
    fn unit_scores(
        recipe: &Self::Recipe,
        model: &Path,
        records: &[RunRecord],
    ) -> Result<Vec<UnitScores>>;

    /// Number of examples that are scored.
    fn n_scored(&self) -> usize;

    /// What needs no network.
    fn baselines(&self) -> Result<Vec<BaselineScore>> {
        Ok(Vec::new())
    }
}
