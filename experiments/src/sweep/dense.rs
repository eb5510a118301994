//! The dense models of a sweep: what the runs of each point have of them over the seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::{Result, ensure};
use sparta_model::layer::OutputMap;
use sparta_results::{Condition, Metric, RunRecord, Status};

use super::Plan;
use super::plan::{Job, Point};
use crate::io::in_one_line;
use crate::protocol::program::with_task;
use crate::protocol::records::ensure_one_recipe;
use crate::protocol::rows::all_models;
use crate::protocol::run::TrainingSummary;
use crate::protocol::scored::owner;
use crate::protocol::{ModelFolder, RunFolder, Task, Variant};
use crate::recipe::{GlueRecipe, LmRecipe, MlmRecipe, Recipe, SquadRecipe, TranslationRecipe};
use crate::report::records_of;
use crate::runs::names_in_records;
use crate::train::short;

/// A score by its metric and signature: values compare where both are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Measure {
    pub(super) metric: Metric,
    pub(super) signature: String,
}

/// What a validation loss is the mean of: losses compare where it is equal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LossSignature {
    /// Scores of the same models, whose signatures name data and lengths; none before they are scored.
    measures: Vec<Measure>,
    /// Hashes of the tokenizers that the data are cut into tokens by.
    tokenizers: BTreeSet<String>,
    /// The output layer whose loss it is, where a task has a choice of them.
    output: Option<OutputMap>,
}

impl fmt::Display for LossSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = match self.measures.is_empty() {
            true => vec!["not scored yet".to_owned()],
            false => (self.measures.iter())
                .map(|of| of.signature.clone())
                .collect(),
        };
        let tokenizers = self.tokenizers.iter();
        parts.extend(tokenizers.map(|hash| format!("tokenizers {}", short(hash))));
        parts.extend(self.output.map(|of| format!("output layer {of}")));
        f.write_str(&parts.join("; "))
    }
}

/// A dense model of a point, over its seeds.
#[derive(Debug)]
pub(super) struct Dense {
    pub(super) point: Point,
    pub(super) variant: Variant,
    pub(super) n_seeds: usize,
    /// Validation losses in nats, one for each seed that is trained.
    pub(super) losses: Vec<f64>,
    /// The values of each score, one for each seed that has it.
    scores: BTreeMap<Measure, Vec<f64>>,
    /// How many seeds have a score of each metric, whatever its signature.
    n_scored: BTreeMap<Metric, usize>,
    tokenizers: BTreeSet<String>,
    output: Option<OutputMap>,
}

impl Dense {
    /// That of a variant, of which nothing is known yet.
    pub(super) fn new(
        (point, variant): (Point, Variant),
        n_seeds: usize,
        output: Option<OutputMap>,
    ) -> Self {
        Self {
            point,
            variant,
            n_seeds,
            losses: Vec::new(),
            scores: BTreeMap::new(),
            n_scored: BTreeMap::new(),
            tokenizers: BTreeSet::new(),
            output,
        }
    }

    /// Adds what a seed has.
    pub(super) fn add(&mut self, seed: OfSeed) {
        self.losses.extend(seed.loss);
        self.tokenizers.extend(seed.tokenizers);
        let metrics: BTreeSet<Metric> = seed.scores.keys().map(|of| of.metric).collect();
        for metric in metrics {
            *self.n_scored.entry(metric).or_default() += 1;
        }
        for (measure, value) in seed.scores {
            self.scores.entry(measure).or_default().push(value);
        }
    }

    /// The task's scores, with a value for each seed that has one: those that stand for the model, and never what it costs.
    pub(super) fn scores(&self) -> impl Iterator<Item = (&Measure, &[f64])> {
        let precedence = |of: &Measure| of.metric.precedence();
        let first = self.scores.keys().filter_map(precedence).min();
        (self.scores.iter())
            .filter(move |(of, _)| first.is_some() && precedence(of) == first)
            .map(|(of, values)| (of, values.as_slice()))
    }

    /// What its validation losses compare by.
    pub(super) fn loss_signature(&self) -> LossSignature {
        LossSignature {
            measures: self.scores().map(|(of, _)| of.clone()).collect(),
            tokenizers: self.tokenizers.clone(),
            output: self.output,
        }
    }

    /// Whether its seeds are of one signature and tokenizer, as they are not where the data changed between them.
    pub(super) fn is_of_one_signature(&self) -> bool {
        let is_of_all = |of: &Measure, values: &[f64]| values.len() == self.n_scored[&of.metric];
        self.tokenizers.len() <= 1 && self.scores().all(|(of, values)| is_of_all(of, values))
    }

    /// Whether it can be chosen: every seed has its loss, and it is known what these compare with.
    pub(super) fn may_be_chosen(&self) -> bool {
        let is_scored = self.scores().next().is_some();
        self.losses.len() == self.n_seeds && is_scored && self.is_of_one_signature()
    }

    /// The mean validation loss of the seeds that have one.
    pub(super) fn mean_loss(&self) -> f64 {
        self.losses.iter().sum::<f64>() / self.losses.len() as f64
    }
}

/// A dense model of one seed.
#[derive(Debug, Default)]
pub(super) struct OfSeed {
    /// Validation loss in nats.
    pub(super) loss: Option<f64>,
    /// Hash of its tokenizers.
    pub(super) tokenizers: Option<String>,
    /// Its scores.
    pub(super) scores: BTreeMap<Measure, f64>,
}

impl OfSeed {
    /// What its folder and its records say of a dense model.
    ///
    /// # Errors
    /// A summary of its training that is damaged.
    fn read<'a>(model: &ModelFolder, records: impl Iterator<Item = &'a RunRecord>) -> Result<Self> {
        let is_trained = model.trained().is_file();
        let summary = is_trained
            .then(|| TrainingSummary::load(model))
            .transpose()?;
        let mut scores = BTreeMap::new();
        for record in records.filter(|of| of.status == Status::Completed) {
            let measure = Measure {
                metric: record.metric,
                signature: record.signature.clone(),
            };
            if let Some(value) = record.value {
                scores.entry(measure).or_insert(value);
            }
        }
        Ok(Self {
            loss: summary.as_ref().map(|of| of.valid_nll),
            tokenizers: summary.and_then(|of| of.vocabulary),
            scores,
        })
    }
}

/// A recipe as to the output layer of its networks, whose loss they are validated by.
trait Output: Recipe {
    /// That of a variant; none where there is no choice of them.
    fn output(&self, _of: &Variant) -> Option<OutputMap> {
        None
    }
}

impl Output for LmRecipe {}
impl Output for GlueRecipe {}
impl Output for SquadRecipe {}
impl Output for MlmRecipe {}

impl Output for TranslationRecipe {
    fn output(&self, of: &Variant) -> Option<OutputMap> {
        Some(self.model.output_of(of.mechanisms))
    }
}

/// The dense models of a sweep, point by point, and what is wrong with each record and run that is left out.
///
/// # Errors
/// A plan that cannot be read.
pub(super) fn dense_models(plan: &Plan, folder: &Path) -> Result<(Vec<Dense>, Vec<String>)> {
    let text = Plan::base_text(folder)?;
    with_task!(plan.program_name()?, T => of_task::<T>(plan, folder, &text))
}

fn of_task<T: Task<Recipe: Output>>(
    plan: &Plan,
    folder: &Path,
    text: &str,
) -> Result<(Vec<Dense>, Vec<String>)> {
    let (mut all, mut left_out) = (Vec::new(), Vec::new());
    for point in plan.points() {
        let recipe: T::Recipe = plan.recipe_at(text, &point)?;
        let new = |variant: Variant| {
            let output = recipe.output(&variant);
            Dense::new((point.clone(), variant), plan.seeds.len(), output)
        };
        let mut models: Vec<Dense> = T::variants(&recipe)?.into_iter().map(new).collect();
        for job in plan.jobs_at(folder, &point) {
            match of_run::<T>(&job, &recipe) {
                Ok((seeds, damaged)) => {
                    left_out.extend(damaged);
                    for (model, seed) in models.iter_mut().zip(seeds) {
                        model.add(seed);
                    }
                }
                Err(error) => {
                    let (run, error) = (job.folder.display(), in_one_line(&error));
                    left_out.push(format!("{run} is left out: {error}"));
                }
            }
        }
        all.extend(models);
    }
    Ok((all, left_out))
}

/// What a run has of each dense model of its recipe, in their order, and what is wrong with its damaged records.
///
/// # Errors
/// A run or record of another recipe than the point's; a folder or training summary that cannot be read.
fn of_run<T: Task>(job: &Job, recipe: &T::Recipe) -> Result<(Vec<OfSeed>, Vec<String>)> {
    let run = RunFolder::at(job.folder.clone());
    if !run.is_run() {
        return Ok((Vec::new(), Vec::new()));
    }
    ensure_recipe(&run, recipe)?;
    let (records, damaged) = records_of(run.root())?;
    ensure_one_recipe(run.root(), &records, &recipe.hash())?;
    let mut recipe = recipe.clone();
    recipe.set_seeds(vec![job.seed]);
    let models = all_models::<T>(&recipe, &run)?;
    let folders: Vec<ModelFolder> = (models.iter())
        .map(|(arm, row)| arm.model(row.as_ref()))
        .collect();
    let names = names_in_records(&folders);
    let mut seeds = Vec::new();
    for (at, (_, row)) in models.iter().enumerate() {
        if row.is_none() {
            let is_of =
                |of: &&RunRecord| of.condition == Condition::Dense && owner(&names, of) == Some(at);
            seeds.push(OfSeed::read(&folders[at], records.iter().filter(is_of))?);
        }
    }
    Ok((seeds, damaged))
}

/// Refuses a run of another recipe than that of its point.
///
/// # Errors
/// Another recipe, and one that cannot be read.
fn ensure_recipe<R: Recipe>(run: &RunFolder, recipe: &R) -> Result<()> {
    let Some(there) = run.recipe_there::<R>()? else {
        return Ok(());
    };
    ensure!(
        there.hash() == recipe.hash(),
        "it holds a run of another recipe than its point's (hash {} and not {}); move it out of the sweep, and make the \
         point's with `sparta sweep --resume --out DIR`",
        short(&there.hash()),
        short(&recipe.hash())
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(tokenizers: &str, output: OutputMap, scores: &[(Metric, &str)]) -> Dense {
        let mechanisms = ["softmax".parse().unwrap()];
        let variant = Variant::each(&mechanisms, (0, ""), (&[], |_| true)).remove(0);
        let mut of = Dense::new((Point(Vec::new()), variant), 1, Some(output));
        let measure = |&(metric, signature): &(Metric, &str)| {
            let signature = signature.to_owned();
            (Measure { metric, signature }, 1.0)
        };
        of.add(OfSeed {
            loss: Some(1.0),
            tokenizers: Some(tokenizers.to_owned()),
            scores: scores.iter().map(measure).collect(),
        });
        of
    }

    #[test]
    fn losses_compare_by_scores_tokenizers_and_output_layer() {
        let of = |tokenizers: &str, output: OutputMap, signature: &str| {
            dense(tokenizers, output, &[(Metric::Bleu, signature)]).loss_signature()
        };
        let one = of("a", OutputMap::Softmax, "BLEU");
        assert_eq!(one, of("a", OutputMap::Softmax, "BLEU"));
        assert_ne!(one, of("b", OutputMap::Softmax, "BLEU"));
        assert_ne!(one, of("a", OutputMap::Entmax15, "BLEU"));
        assert_ne!(one, of("a", OutputMap::Softmax, "BLEU|n:2"));
        assert_eq!(one.to_string(), "BLEU; tokenizers a; output layer softmax");
    }

    #[test]
    fn seeds_of_different_data_have_no_mean() {
        let seed = |tokenizers: &str, signature: &str| OfSeed {
            loss: Some(1.0),
            tokenizers: Some(tokenizers.to_owned()),
            scores: [(
                Measure {
                    metric: Metric::Bleu,
                    signature: signature.to_owned(),
                },
                1.0,
            )]
            .into(),
        };
        for (tokenizers, signature, is_one) in [
            ("a", "BLEU", true),
            ("b", "BLEU", false),
            ("a", "BLEU|n:2", false),
        ] {
            let mut of = dense("a", OutputMap::Softmax, &[(Metric::Bleu, "BLEU")]);
            of.n_seeds = 2;
            of.add(seed(tokenizers, signature));
            assert_eq!(of.is_of_one_signature(), is_one, "{tokenizers} {signature}");
            assert_eq!(of.may_be_chosen(), is_one, "{tokenizers} {signature}");
        }
    }

    #[test]
    fn a_model_has_the_scores_that_stand_for_it() {
        let scores = [
            (Metric::Accuracy, "a"),
            (Metric::F1, "b"),
            (Metric::Seconds, "c"),
        ];
        let of = dense("a", OutputMap::Softmax, &scores);
        let metrics: Vec<Metric> = of.scores().map(|(of, _)| of.metric).collect();
        assert_eq!(metrics, [Metric::F1]);
        assert!(of.may_be_chosen());
        let cost = dense("a", OutputMap::Softmax, &scores[2..]);
        assert!(!cost.may_be_chosen());
    }
}
