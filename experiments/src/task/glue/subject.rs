//! A task of labelled texts: its parts as token ids, its losses and scores.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use sparta_datasets::Split;
use sparta_datasets::baseline::{OverlapRule, majority};
use sparta_datasets::batch::{ClassificationBatch, EncodedExample, PaddingStrategy, Targets};
use sparta_datasets::classification::{ClassificationTask, Label, Labels, LoadedTask, Part};
use sparta_datasets::source::Origins;
use sparta_datasets::tokenize::pretrained::Tokenizer;
use sparta_model::bert::{Bert, BertClassifier, BertConfig, BertInput};
use sparta_results::kept::PREDICTIONS;
use sparta_results::metric::TaskSignature;
use sparta_results::metric::glue::{GlueColumn, Predictions, score};
use sparta_results::render::PivotLayout;
use sparta_results::{Baseline, Metric, RunRecord};

use super::prediction::{LabelHead, Prediction, input, predict};
use super::units;
use super::{corpus, labels};
use crate::device::OpenDevice;
use crate::io::write_text;
use crate::protocol::data_files;
use crate::protocol::{Fetch, Run, RunFolder, Scoring, UnitScores, Variant};
use crate::recipe::{GlueRecipe, Source};
use crate::task::encoder::{BaselineScore, Column, Head, HeadLoss, Model, Sources, batch};
use crate::task::part_of;
use crate::train::HeadRate;

/// Some examples of a task, encoded.
pub(super) struct Examples {
    name: &'static str,
    examples: Vec<EncodedExample>,
    majority: Option<(usize, f64)>,
    /// What a rule of the words says of each.
    overlap: Option<Vec<usize>>,
}

/// A task of labelled texts.
pub struct TextHead {
    task: Source<ClassificationTask>,
    /// The corpus in signatures.
    name: String,
    /// The files that it was read from; none of a stand-in.
    origins: Origins,
    head: LabelHead,
    head_rate: HeadRate,
    padding: PaddingStrategy,
    pad: u32,
    batch_size: usize,
    train: Vec<EncodedExample>,
    valid: Examples,
    reported: Vec<Examples>,
    columns: Vec<Column>,
    n_epoch: usize,
    description: String,
}

impl TextHead {
    /// Encodes a task.
    ///
    /// # Errors
    /// A part without examples or labels.
    pub(super) fn new(
        task: Source<ClassificationTask>,
        (loaded, origins): (&LoadedTask, Origins),
        recipe: &GlueRecipe,
        tokenizer: &Tokenizer,
    ) -> Result<Self> {
        let data = &recipe.data;
        let corpus = &loaded.corpus;
        let encode = |part: &Part, limit: usize| -> Result<Vec<EncodedExample>> {
            let n = match limit {
                0 => part.examples.len(),
                n => n.min(part.examples.len()),
            };
            ensure!(n > 0, "{task} has no example in its part {}", part.name);
            let examples = &part.examples[..n];
            Ok(EncodedExample::encode_all(
                examples,
                tokenizer,
                data.max_len,
            )?)
        };
        let train = corpus.part(Split::Train.name())?;
        let n_all = train.examples.len();
        let rule = match task {
            Source::Published(ClassificationTask::QuestionSentence) => {
                Some(OverlapRule::fit(&train.examples))
            }
            Source::Published(ClassificationTask::Glue(_)) | Source::Files => None,
        };
        let examples = |name: &'static str, limit| -> Result<Examples> {
            let part = corpus.part(name)?;
            let examples = encode(part, limit)?;
            let guesses = |rule: OverlapRule| {
                let used = part.examples.iter().take(examples.len());
                used.map(|example| rule.class(example)).collect()
            };
            Ok(Examples {
                name,
                majority: majority(&part.examples[..examples.len()]),
                overlap: rule.map(guesses),
                examples,
            })
        };
        let train = encode(train, data.train_examples)?;
        let names = task.reported_parts();
        let watched = match task {
            Source::Published(ClassificationTask::QuestionSentence) | Source::Files => {
                Split::Valid.name()
            }
            // Test labels are not published: what is watched is what is reported.
            Source::Published(ClassificationTask::Glue(_)) => names[0],
        };
        let reported: Vec<Examples> = names
            .iter()
            .map(|name| examples(name, data.test_examples))
            .collect::<Result<_>>()?;
        let columns = columns((task, &corpus.name), recipe, &reported)?;
        let padding = batch::padding(data.padding, data.max_len);
        let order = batch::training_order(train.len(), recipe.train.batch_size)?;
        let size = |part: &Examples| -> Result<String> {
            let n_all = corpus.part(part.name)?.examples.len();
            Ok(format!(
                "{} {}",
                part.name,
                part_of(part.examples.len(), n_all)
            ))
        };
        let sizes: Vec<String> = reported.iter().map(size).collect::<Result<_>>()?;
        let n_steps = recipe.train.steps_for(train.len());
        let mut description = format!(
            "{}: train {}, {} examples; {n_steps} steps are {:.1} epochs; {}",
            corpus.name,
            part_of(train.len(), n_all),
            sizes.join(", "),
            n_steps as f64 / train.len().div_ceil(recipe.train.batch_size) as f64,
            batch::describe_padding(order.padding(&train, padding), data.padding)
        );
        for count in loaded.counts.iter().filter(|count| count.differs()) {
            description += &format!("\nnot as published: {count}");
        }
        Ok(Self {
            task,
            name: corpus.name.clone().into_owned(),
            origins,
            head: LabelHead::of(task, recipe, || Ok(corpus.labels.clone()))?,
            head_rate: HeadRate {
                module: "classifier",
                factor: recipe.head.lr_factor,
            },
            padding,
            pad: tokenizer.special().pad,
            batch_size: recipe.eval.batch_size,
            n_epoch: train.len(),
            train,
            valid: examples(watched, data.valid_examples)?,
            reported,
            columns,
            description,
        })
    }

    /// The examples of a split; of several reported parts the first is the test split.
    fn examples(&self, split: Split) -> &[EncodedExample] {
        match split {
            Split::Train => &self.train,
            Split::Valid => &self.valid.examples,
            Split::Test => &self.reported[0].examples,
        }
    }

    fn padded(&self, examples: &[EncodedExample], indices: &[u32]) -> Result<ClassificationBatch> {
        Ok(ClassificationBatch::new(
            examples,
            indices,
            self.padding,
            self.pad,
        )?)
    }

    fn batch_loss(
        &self,
        model: &Model<'_, BertClassifier>,
        padded: &ClassificationBatch,
    ) -> Result<Tensor<1>> {
        let device = model.device;
        let logits = model
            .network
            .forward(input(padded, device).masks(model.masks.clone()));
        match &padded.targets {
            Targets::Classes(classes) => {
                let classes = batch::classes(classes, device);
                Ok(model.network.label_loss(logits, classes))
            }
            Targets::Scores(scores) => {
                let scores = TensorData::new(scores.clone(), [scores.len()]);
                let loss = model
                    .network
                    .number_loss(logits, Tensor::from_data(scores, device));
                Ok(loss)
            }
            Targets::Unknown => Err(anyhow!("{} has examples without a label", self.task)),
        }
    }

    /// What the model says of some examples, in their order.
    pub(super) fn predict(
        &self,
        model: &Model<'_, BertClassifier>,
        examples: &[EncodedExample],
        at: &mut dyn FnMut(u64),
    ) -> Result<Vec<Prediction>> {
        let shape = (self.padding, self.pad, self.batch_size);
        predict(model, examples, &self.head.labels, shape, at)
    }
}

impl HeadLoss<'_, TextHead> {
    /// What a step reads.
    ///
    /// # Errors
    /// An example that is too long.
    pub fn batch(&mut self, step: u64) -> Result<ClassificationBatch> {
        let (head, indices) = self.examples(step)?;
        head.padded(&head.train, &indices)
    }
}

/// The lines of the table that a task has.
fn columns(
    (task, name): (Source<ClassificationTask>, &str),
    recipe: &GlueRecipe,
    reported: &[Examples],
) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    for part in reported {
        let (row, metrics, paper) = match task {
            Source::Published(ClassificationTask::QuestionSentence) => {
                (task.name().to_owned(), vec![Metric::Accuracy], None)
            }
            Source::Files => {
                let files = recipe.data.files.as_ref();
                let files = files.context("the recipe has no section `data.files`")?;
                (task.name().to_owned(), vec![files.metric], None)
            }
            Source::Published(ClassificationTask::Glue(_)) => {
                let column = GlueColumn::of_task(task.name(), part.name)
                    .with_context(|| format!("no column for {task}, {}", part.name))?;
                let metrics = [&[column.metric()], column.further()].concat();
                let table = &recipe.paper.table;
                let paper = (!table.is_empty()).then(|| (table.clone(), column.name().to_owned()));
                (column.name().to_owned(), metrics, paper)
            }
        };
        for (i, metric) in metrics.into_iter().enumerate() {
            let n = part.examples.len() as u64;
            let signature = TaskSignature::new(metric, name, part.name, n)?
                .with("len", recipe.data.max_len)?
                .with("padding", recipe.data.padding.name())?;
            columns.push(Column {
                row: row.clone(),
                masked_row: row.clone(),
                metric,
                signature: signature.to_string(),
                // The paper has one score a column.
                attention: None,
                paper: paper.clone().filter(|_| i == 0),
            });
        }
    }
    Ok(columns)
}

impl Head for TextHead {
    type Recipe = GlueRecipe;
    type Network = BertClassifier;

    fn layout(_: &GlueRecipe) -> Result<PivotLayout> {
        Ok(PivotLayout::Glue)
    }

    fn datasets(recipe: &GlueRecipe) -> Result<Vec<String>> {
        let tasks = recipe.classification_tasks()?;
        Ok(tasks.iter().map(|task| task.name().to_owned()).collect())
    }

    fn rows(recipe: &GlueRecipe, _: &RunFolder, dataset: usize) -> Result<Vec<[String; 2]>> {
        let rows = corpus::rows(recipe.classification_tasks()?[dataset]);
        Ok(rows.into_iter().map(|row| [row.clone(), row]).collect())
    }

    fn open(
        run: &Run<'_, GlueRecipe>,
        sources: &Sources,
        tokenizer: &Tokenizer,
        fetch: Fetch,
    ) -> Result<Vec<Self>> {
        let is_new = data_files::remembered(&run.folder)?.is_none();
        let open = |task| {
            let from = sources.data.as_deref();
            let (loaded, origins) = corpus::load(task, run.recipe, from, (fetch, is_new))?;
            Self::new(task, (&loaded, origins), run.recipe, tokenizer)
        };
        let tasks = run.recipe.classification_tasks()?;
        tasks.into_iter().map(open).collect()
    }

    fn stand_in(
        run: &Run<'_, GlueRecipe>,
        sources: &Sources,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<Self>> {
        let is_new = data_files::remembered(&run.folder)?.is_none();
        let open = |task: Source<ClassificationTask>| {
            let from = sources.data.as_deref();
            match (
                corpus::load(task, run.recipe, from, (Fetch::Never, is_new)),
                task,
            ) {
                (Ok((loaded, origins)), _) => {
                    Self::new(task, (&loaded, origins), run.recipe, tokenizer)
                }
                (Err(error), Source::Files) => Err(error),
                (Err(error), Source::Published(_)) if from.is_some() => Err(error),
                (Err(_), Source::Published(known)) => {
                    let (loaded, n_epoch) = corpus::stand_in(known, run.recipe);
                    let head =
                        Self::new(task, (&loaded, Origins(Vec::new())), run.recipe, tokenizer)?;
                    Ok(Self {
                        description: batch::stand_in(task.name(), n_epoch),
                        n_epoch,
                        ..head
                    })
                }
            }
        };
        let tasks = run.recipe.classification_tasks()?;
        tasks.into_iter().map(open).collect()
    }

    fn origins(&self) -> &Origins {
        &self.origins
    }

    fn enter(&self, folder: &RunFolder) -> Result<()> {
        match self.task {
            Source::Files => labels::save(folder, &self.head.labels),
            Source::Published(_) => Ok(()),
        }
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn n_epoch(&self) -> usize {
        self.n_epoch
    }

    fn corpus(&self) -> &str {
        &self.name
    }

    fn n_examples(&self, split: Split) -> usize {
        self.examples(split).len()
    }

    fn part(&self, split: Split) -> &str {
        match split {
            Split::Train => Split::Train.name(),
            Split::Valid => self.valid.name,
            Split::Test => self.reported[0].name,
        }
    }

    fn mean_len(&self, split: Split) -> f64 {
        let examples = self.examples(split);
        let tokens: usize = examples.iter().map(|e| e.encoding.len()).sum();
        tokens as f64 / examples.len().max(1) as f64
    }

    fn mean_width(&self, batch_size: usize) -> f64 {
        let examples = &self.train;
        let order = batch::training_order(examples.len(), batch_size);
        order.map_or(0.0, |order| {
            batch::mean_width(examples, self.padding, &order)
        })
    }

    fn init(&self, config: &BertConfig, device: &Device) -> BertClassifier {
        self.head.init(config, device)
    }

    fn head_names(&self) -> &[&str] {
        &["classifier.", "pooler."]
    }

    fn head_rate(&self) -> Option<HeadRate> {
        Some(self.head_rate)
    }

    fn bert<'a>(&self, network: &'a BertClassifier) -> &'a Bert {
        &network.bert
    }

    fn loss(&self, model: &Model<'_, BertClassifier>, indices: &[u32]) -> Result<Tensor<1>> {
        self.batch_loss(model, &self.padded(&self.train, indices)?)
    }

    fn input(
        &self,
        split: Split,
        indices: &[u32],
        device: &Device,
    ) -> Result<(BertInput, Vec<Vec<u32>>)> {
        let examples = self.examples(split);
        let padded = self.padded(examples, indices)?;
        let ids = |&i: &u32| examples[i as usize].encoding.ids.clone();
        Ok((input(&padded, device), indices.iter().map(ids).collect()))
    }

    fn valid_loss(&self, model: &Model<'_, BertClassifier>) -> Result<f64> {
        let examples = &self.valid.examples;
        batch::mean_loss(examples.len(), self.batch_size, |indices| {
            self.batch_loss(model, &self.padded(examples, indices)?)
        })
    }

    fn columns(&self, _: &OpenDevice) -> Result<Vec<Column>> {
        Ok(self.columns.clone())
    }

    fn score(
        &self,
        _: &Variant,
        model: &Model<'_, BertClassifier>,
        scoring: &Scoring<'_>,
        at: &mut dyn FnMut(u64),
    ) -> Result<Vec<f64>> {
        let mut text = "part\tindex\texpected\tpredicted\tscores\n".to_owned();
        let (mut values, mut done) = (Vec::new(), 0);
        for part in &self.reported {
            let predictions = self.predict(model, &part.examples, &mut |n| at(done + n))?;
            done += part.examples.len() as u64;
            for (index, (prediction, example)) in predictions.iter().zip(&part.examples).enumerate()
            {
                let expected = example.label.context("an example has no label")?;
                let scores = match prediction {
                    Prediction::Classes(p) => p.iter().map(|p| format!("{p:.4}")).collect(),
                    // Every digit, so that correlations can be had again.
                    Prediction::Score(score) => vec![score.to_string()],
                };
                text += &format!(
                    "{}\t{index}\t{}\t{}\t{}\n",
                    part.name,
                    self.head.labels.spell(expected),
                    self.head.labels.spell(prediction.label()),
                    scores.join("\t")
                );
            }
            let metrics = self.columns.iter().skip(values.len());
            let here = self.columns.len() / self.reported.len();
            for column in metrics.take(here) {
                values.push(part.score(column.metric, &predictions)?);
            }
        }
        write_text(&scoring.folder.path.join(PREDICTIONS), &text)?;
        Ok(values)
    }

    const KEPT: &'static str = PREDICTIONS;

    fn unit_scores(
        recipe: &GlueRecipe,
        model: &Path,
        records: &[RunRecord],
    ) -> Result<Vec<UnitScores>> {
        units::unit_scores(recipe, model, records)
    }

    fn n_scored(&self) -> usize {
        self.reported.iter().map(|part| part.examples.len()).sum()
    }

    fn baselines(&self) -> Result<Vec<BaselineScore>> {
        let per_part = self.columns.len() / self.reported.len();
        let mut baselines = Vec::new();
        for (i, part) in self.reported.iter().enumerate() {
            let Some((class, _)) = part.majority else {
                continue;
            };
            let Labels::Classes(names) = &self.head.labels else {
                continue;
            };
            let sure = |&class: &usize| {
                let probabilities = (0..names.len()).map(|c| f32::from(u8::from(c == class)));
                Prediction::Classes(probabilities.collect())
            };
            let majority = vec![class; part.examples.len()];
            let guesses = [
                (Baseline::Majority, Some(&majority)),
                (Baseline::WordOverlap, part.overlap.as_ref()),
            ];
            for (baseline, classes) in guesses {
                let Some(classes) = classes else {
                    continue;
                };
                let guess: Vec<Prediction> = classes.iter().map(sure).collect();
                for column in &self.columns[i * per_part..(i + 1) * per_part] {
                    baselines.push(BaselineScore {
                        baseline,
                        value: part.score(column.metric, &guess)?,
                        column: column.clone(),
                    });
                }
            }
        }
        Ok(baselines)
    }
}

impl Examples {
    fn score(&self, metric: Metric, predictions: &[Prediction]) -> Result<f64> {
        let labels = self.examples.iter().map(|example| example.label);
        let (mut classes, mut numbers) = (Vec::new(), Vec::new());
        for (prediction, expected) in predictions.iter().zip(labels) {
            match (prediction.label(), expected) {
                (Label::Class(found), Some(Label::Class(expected))) => {
                    classes.push((found, expected));
                }
                (Label::Score(found), Some(Label::Score(expected))) => {
                    numbers.push((f64::from(found), f64::from(expected)));
                }
                (Label::Class(_) | Label::Score(_), _) => {
                    return Err(anyhow!(
                        "{}: an example has no label of this kind",
                        self.name
                    ));
                }
            }
        }
        let (found, expected): (Vec<_>, Vec<_>) = classes.into_iter().unzip();
        let (numbers_found, numbers): (Vec<_>, Vec<_>) = numbers.into_iter().unzip();
        let predictions = match numbers.is_empty() {
            true => Predictions::Classes(&found, &expected),
            false => Predictions::Numbers(&numbers_found, &numbers),
        };
        Ok(score(metric, predictions)?)
    }
}
