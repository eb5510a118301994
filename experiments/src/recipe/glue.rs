//! The typed recipe of a table of labelled texts: GLUE's tasks, and the shipped one.

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sparta_datasets::classification::ClassificationTask;
use sparta_model::bert::Pooling;
use sparta_results::paper;

use super::encoder::{
    EncoderModelRecipe, EncoderObserveRecipe, EncoderRecipe, EncoderRetrainRecipe,
    EncoderTrainRecipe, PaddingName, validate,
};
use super::files::{Source, TableFiles};
use super::idle::check_table;
use super::renamed::NORMALIZER;
use super::{
    AnyCorpus, Heading, Masks, Needs, Prune, Recipe, Renamed, RetrainStart, Shipped, Threshold,
};

/// Everything that determines a table of labelled texts; field names are the TOML keys, which
/// `recipes/small/glue.toml` explains one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GlueRecipe {
    /// Name and seeds.
    #[serde(flatten)]
    pub heading: Heading,
    /// Tasks to run, each with models of its own; outside the recipe hash.
    pub tasks: Vec<String>,
    /// Texts as token ids.
    pub data: TextRecipe,
    /// The network.
    pub model: EncoderModelRecipe,
    /// What is new on top of it.
    pub head: HeadRecipe,
    /// Fine-tuning.
    pub train: EncoderTrainRecipe,
    /// The pass that averages attention.
    pub observe: EncoderObserveRecipe,
    /// Thresholds and masks.
    pub prune: Prune,
    /// Fine-tuning under each mask.
    pub retrain: EncoderRetrainRecipe,
    /// Scores.
    pub eval: TextEvalRecipe,
    /// The published rows for comparison.
    pub paper: TextPaperRecipe,
}

/// How texts become token ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextRecipe {
    /// Longest sequence in tokens; longer ones are cut.
    pub max_len: usize,
    /// How wide batches are.
    pub padding: PaddingName,
    /// Examples of the training part to use; 0 = all.
    pub train_examples: usize,
    /// Examples of the part that is watched while training; 0 = all.
    pub valid_examples: usize,
    /// Examples of each reported part; 0 = all.
    pub test_examples: usize,
    /// How own files are read, where the task is these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<TableFiles>,
}

/// The linear map from the encoder to the labels, which starts from random numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadRecipe {
    /// What it looks at.
    pub pooling: Pooling,
    /// Its learning rate, as a multiple of `train.lr`.
    pub lr_factor: f64,
}

/// Scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextEvalRecipe {
    /// Examples of a batch.
    pub batch_size: usize,
}

/// The published rows that stand beside ours, by table of `sparta_results::paper`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextPaperRecipe {
    /// Table of tasks by p; empty = none.
    pub table: String,
}

impl GlueRecipe {
    /// The tasks by their names.
    ///
    /// # Errors
    /// A name that is none, with those that are.
    pub fn classification_tasks(&self) -> Result<Vec<Source<ClassificationTask>>> {
        let parse = |name: &String| {
            if *name == Source::Files.name() {
                return Ok(Source::Files);
            }
            match name.parse() {
                Ok(task) => Ok(Source::Published(task)),
                Err(error) => bail!("{error}, or `files` with --data FILE"),
            }
        };
        self.tasks.iter().map(parse).collect()
    }
}

impl EncoderRecipe for GlueRecipe {
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

impl Recipe for GlueRecipe {
    const PROGRAM: &'static str = "glue";
    const SHIPPED: &'static [Shipped] = super::shipped::GLUE;
    const FILES: &'static str = TableFiles::DEFAULT;

    const RENAMED: &'static [Renamed] = &[NORMALIZER];

    sections!();

    fn choose_found(&mut self, folders: &[String]) {
        let names = Source::tasks().map(Source::name);
        let found = names.filter(|name| folders.iter().any(|folder| folder == name));
        let found: Vec<String> = found.map(str::to_owned).collect();
        if !found.is_empty() {
            self.tasks = found;
        }
    }

    fn choice(&self) -> String {
        format!(
            "{} --tasks {}",
            super::seeds_and_masks(self),
            self.tasks.join(",")
        )
    }

    fn add_choice(&mut self, of: &Self, is_settled: &dyn Fn(&str) -> bool) {
        super::add_seeds_and_masks(self, of, is_settled);
        if !is_settled("tasks") {
            super::add_to(&mut self.tasks, &of.tasks);
        }
    }

    fn without_choice(&self) -> Self {
        let mut one = self.clone();
        one.set_seeds(Vec::new());
        one.tasks.clear();
        one.masks_mut().clear_added();
        one.heading_mut().interrogatives.clear();
        one
    }

    fn needs(&self) -> Result<Needs> {
        let tasks = self.classification_tasks()?;
        Ok(Needs {
            corpora: tasks
                .into_iter()
                .filter_map(Source::published)
                .map(AnyCorpus::Labelled)
                .collect(),
            network: Some(self.model.network),
        })
    }

    fn check_published(&self) -> Result<()> {
        check_table("paper.table", &self.paper.table, paper::GLUE_AVERAGE)
    }

    fn check_overruled(&self, sets: &[String]) -> Result<()> {
        self.train.check_overruled(sets)
    }

    fn validate(&self) -> Result<()> {
        validate(self)?;
        self.prune.check(&self.model.normalizers)?;
        let tasks = self.classification_tasks()?;
        ensure!(!tasks.is_empty(), "`tasks` must name at least one task");
        for (i, task) in tasks.iter().enumerate() {
            ensure!(!tasks[..i].contains(task), "`tasks` names `{task}` twice");
        }
        ensure!(
            tasks.len() == 1 || !tasks.contains(&Source::Files),
            "`tasks` names your own files beside others: `--data` can be one of both; run them by themselves, `--tasks files`"
        );
        if let Some(files) = &self.data.files {
            files.check()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(set: &str) -> String {
        let text = GlueRecipe::SHIPPED[0].text;
        format!(
            "{:#}",
            GlueRecipe::parse(text, &[set.to_owned()]).unwrap_err()
        )
    }

    #[test]
    fn numbers_that_do_not_go_together_are_named() {
        for (set, word) in [
            ("tasks=[\"rta\"]", "rta"),
            ("tasks=[]", "tasks"),
            ("tasks=[\"rte\", \"rte\"]", "twice"),
            ("prune.p=[20, 40]", "prune.p"),
            ("prune.random_masks=[0]", "prune.random_masks"),
            ("train.warmup=1.5", "train.warmup"),
            ("model.network=\"bart\"", "minilm-l3"),
            ("train.schedule=\"noam\"", "train.schedule"),
        ] {
            let e = error(set);
            assert!(e.contains(word), "{set}: {e}");
        }
    }

    #[test]
    fn seeds_and_tasks_do_not_change_the_run() {
        let load = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
            GlueRecipe::load("glue/minilm-l6", &sets).unwrap().hash()
        };
        assert_eq!(load(&[]), load(&["seeds=[7]", "tasks=[\"rte\"]"]));
        assert_ne!(load(&[]), load(&["train.lr=0.1"]));
    }

    #[test]
    fn tasks_are_added_to_those_that_are_there_unless_they_are_settled() {
        let load = |tasks: &str| {
            let sets = [format!("tasks={tasks}"), format!("seeds=[{}]", tasks.len())];
            GlueRecipe::load("glue/minilm-l6", &sets).unwrap()
        };
        let (mut all, one) = (load("[\"rte\"]"), load("[\"stsb\", \"rte\"]"));
        all.add_choice(&one, &|_| false);
        assert_eq!(all.tasks, ["rte", "stsb"]);
        assert_eq!((all.seeds().len(), all.hash()), (2, one.hash()));
        let mut settled = load("[\"rte\"]");
        settled.add_choice(&one, &|key| key == "tasks");
        assert_eq!((settled.tasks.len(), settled.seeds().len()), (1, 2));
    }

    #[test]
    fn epochs_become_steps() {
        let train = GlueRecipe::load("glue/bert-base", &[]).unwrap().train;
        // RTE and MRPC: three epochs in batches of 32.
        assert_eq!([2490, 3668].map(|n| train.steps_for(n)), [234, 345]);
    }
}
