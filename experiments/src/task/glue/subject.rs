//! A task of labelled texts: its parts as token ids, its losses and scores.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use sparta_datasets::batch::{ClassificationBatch, EncodedExample, ExampleOrder, Padding, Targets};
use sparta_datasets::classification::{
    ClassificationCorpus, ClassificationTask, Label, Labels, LoadedTask, Part, TextExample,
};
use sparta_datasets::tokenize::wordpiece::WordPiece;
use sparta_datasets::{Split, question_sentence, source};
use sparta_model::bert::{Bert, BertClassifier, BertConfig, BertInput, Pooling};
use sparta_results::metric::TaskSignature;
use sparta_results::metric::glue::{GlueColumn, Predictions, score};
use sparta_results::{MaskKind, Metric};

use crate::io::write_text;
use crate::recipe::GlueRecipe;
use crate::recipe::glue::{HeadRecipe, PoolingName};
use crate::task::encoder::{Baseline, Column, Fit, Subject, batch};
use crate::task::{Fetch, ModelFolder};
use crate::train::HeadRate;
use crate::train::watch::stop_if_interrupted;

/// Predictions of the reported parts, beside a model.
const PREDICTIONS: &str = "predictions.tsv";

/// Some examples of a task, encoded.
pub(super) struct Examples {
    name: &'static str,
    examples: Vec<EncodedExample>,
    majority: Option<(usize, f64)>,
}

/// A task of labelled texts.
pub(super) struct TextSubject {
    task: ClassificationTask,
    head: Head,
    head_rate: HeadRate,
    padding: Padding,
    pad: u32,
    batch_size: usize,
    train: Vec<EncodedExample>,
    valid: Examples,
    reported: Vec<Examples>,
    columns: Vec<Column>,
    /// What the files are, for the person at the terminal.
    pub(super) description: String,
}

/// What is predicted for the examples of a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) labels: Labels,
    /// Whether an example is two texts.
    pub(super) is_pair: bool,
    /// What it looks at.
    pub(super) pooling: Pooling,
}

impl Head {
    pub(super) fn of(task: ClassificationTask, recipe: &HeadRecipe) -> Self {
        let pooling = match recipe.pooling {
            PoolingName::First => Pooling::First,
            PoolingName::Segments => Pooling::Segments,
        };
        match task {
            ClassificationTask::QuestionSentence => Self {
                labels: question_sentence::LABELS,
                is_pair: true,
                pooling,
            },
            ClassificationTask::Glue(task) => Self {
                labels: task.labels(),
                is_pair: task.is_pair(),
                pooling,
            },
        }
    }

    pub(super) fn init(self, config: &BertConfig, device: &Device) -> BertClassifier {
        let config = config.clone().with_pooling(self.pooling);
        config.init_classifier(self.labels.n_outputs(), device)
    }
}

/// The rows of the table that a task has.
pub(super) fn rows(task: ClassificationTask) -> Vec<String> {
    let row = |part| match GlueColumn::of_task(task.name(), part) {
        Some(column) => column.name().to_owned(),
        None => task.name().to_owned(),
    };
    task.reported_parts().into_iter().map(row).collect()
}

/// Made-up examples of a task, enough for a batch, for when the published ones are not at hand, and the
/// published number of those to train on.
pub(super) fn stand_in(task: ClassificationTask, recipe: &GlueRecipe) -> (LoadedTask, usize) {
    let head = Head::of(task, &recipe.head);
    let n = recipe.train.batch_size;
    let words = [
        "the", "question", "has", "an", "answer", "in", "this", "sentence",
    ];
    let text = |start: usize| -> String {
        let words = (0..20).map(|i| words[(start * 3 + i * i) % words.len()]);
        words.collect::<Vec<_>>().join(" ")
    };
    let example = |i: usize| TextExample {
        first: text(i),
        second: head.is_pair.then(|| text(i + 1)),
        label: Some(match head.labels {
            Labels::Classes(names) => Label::Class(i % names.len()),
            Labels::Score => Label::Score((i % 6) as f32),
        }),
    };
    let names = [vec![Split::Train.name()], task.reported_parts()].concat();
    let parts = names.into_iter().map(|name| Part {
        name,
        examples: (0..n).map(example).collect(),
    });
    let published = match task {
        ClassificationTask::QuestionSentence => None,
        ClassificationTask::Glue(task) => task.published_examples(Split::Train.name()),
    };
    let loaded = LoadedTask {
        corpus: ClassificationCorpus {
            name: task.name(),
            labels: head.labels,
            parts: parts.collect(),
        },
        counts: Vec::new(),
    };
    (loaded, published.unwrap_or(n))
}

/// What a model says of an example.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Prediction {
    /// The probability of each class.
    Classes(Vec<f32>),
    /// The number.
    Score(f32),
}

impl Prediction {
    /// The most probable class, or the number.
    pub(super) fn label(&self) -> Label {
        match self {
            Self::Classes(probabilities) => {
                let best = probabilities.iter().enumerate();
                // Of equally probable ones the first.
                let best = best.rev().max_by(|a, b| a.1.total_cmp(b.1));
                Label::Class(best.map_or(0, |(class, _)| class))
            }
            Self::Score(score) => Label::Score(*score),
        }
    }
}

/// Reads the examples of a task, downloading them only if `fetch` allows it.
///
/// # Errors
/// Files that are missing, and how to get them; a file that is not as published.
pub(super) fn load(
    task: ClassificationTask,
    from: Option<&Path>,
    fetch: Fetch,
) -> Result<LoadedTask> {
    let cache = source::cache_dir()?;
    let loaded = match fetch {
        Fetch::Allowed => task.prepare(from, &cache, &mut |_, _| ()),
        Fetch::Never => task.load(from, &cache),
    };
    loaded.map_err(|error| {
        anyhow!(
            "{error}\n(`prepare` is `cargo run --release --bin glue -- prepare --recipe RECIPE`)"
        )
    })
}

/// A batch as the encoder reads it.
fn input(padded: &ClassificationBatch, device: &Device) -> BertInput {
    let ClassificationBatch {
        ids,
        token_types,
        padding,
        batch_size,
        len,
        ..
    } = padded;
    batch::input(ids, token_types, padding, [*batch_size, *len], device)
}

impl TextSubject {
    /// Encodes a task.
    ///
    /// # Errors
    /// A part without examples or labels.
    pub(super) fn new(
        task: ClassificationTask,
        loaded: &LoadedTask,
        recipe: &GlueRecipe,
        wordpiece: &WordPiece,
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
                wordpiece,
                data.max_len,
            )?)
        };
        let examples = |name: &'static str, limit| -> Result<Examples> {
            let part = corpus.part(name)?;
            Ok(Examples {
                name,
                examples: encode(part, limit)?,
                majority: part.majority(),
            })
        };
        let train = encode(corpus.part(Split::Train.name())?, data.train_examples)?;
        let names = task.reported_parts();
        let watched = match task {
            ClassificationTask::QuestionSentence => Split::Valid.name(),
            // Test labels are not published: what is watched is what is reported.
            ClassificationTask::Glue(_) => names[0],
        };
        let reported: Vec<Examples> = names
            .iter()
            .map(|name| examples(name, data.test_examples))
            .collect::<Result<_>>()?;
        let columns = columns(task, recipe, &reported)?;
        let padding = batch::padding(data.padding, data.max_len);
        let order = ExampleOrder::in_order(train.len(), recipe.train.batch_size)?;
        let sizes = reported
            .iter()
            .map(|part| format!("{} {}", part.name, part.examples.len()));
        let mut description = format!(
            "{task}: train {}, {} examples; {}",
            train.len(),
            sizes.collect::<Vec<_>>().join(", "),
            batch::describe_padding(order.padding(&train, padding), data.padding)
        );
        for count in loaded.counts.iter().filter(|count| count.differs()) {
            description += &format!("\nnot as published: {count}");
        }
        Ok(Self {
            task,
            head: Head::of(task, &recipe.head),
            head_rate: HeadRate {
                module: "classifier",
                factor: recipe.head.lr_factor,
            },
            padding,
            pad: wordpiece.special().pad,
            batch_size: recipe.eval.batch_size,
            train,
            valid: examples(watched, data.valid_examples)?,
            reported,
            columns,
            description,
        })
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
        fit: &Fit<'_, BertClassifier>,
        padded: &ClassificationBatch,
    ) -> Result<Tensor<1>> {
        let device = fit.device;
        let logits = fit
            .model
            .forward(input(padded, device).masks(fit.masks.clone()));
        match &padded.targets {
            Targets::Classes(classes) => {
                let classes = batch::classes(classes, device);
                Ok(fit.model.label_loss(logits, classes))
            }
            Targets::Scores(scores) => {
                let scores = TensorData::new(scores.clone(), [scores.len()]);
                let loss = fit
                    .model
                    .number_loss(logits, Tensor::from_data(scores, device));
                Ok(loss)
            }
            Targets::Unknown => Err(anyhow!("{} has examples without a label", self.task)),
        }
    }

    /// What the model says of some examples, in their order.
    pub(super) fn predict(
        &self,
        fit: &Fit<'_, BertClassifier>,
        examples: &[EncodedExample],
        at: &mut dyn FnMut(usize),
    ) -> Result<Vec<Prediction>> {
        let shape = (self.padding, self.pad, self.batch_size);
        predict(fit, examples, self.head.labels, shape, at)
    }
}

/// What a model says of some examples, in their order; `shape` is padding, its id, and examples of a
/// batch.
pub(super) fn predict(
    fit: &Fit<'_, BertClassifier>,
    examples: &[EncodedExample],
    labels: Labels,
    (padding, pad, batch_size): (Padding, u32, usize),
    at: &mut dyn FnMut(usize),
) -> Result<Vec<Prediction>> {
    let mut predictions = Vec::with_capacity(examples.len());
    for indices in ExampleOrder::in_order(examples.len(), batch_size)?.iter() {
        let padded = ClassificationBatch::new(examples, indices, padding, pad)?;
        let logits = fit
            .model
            .forward(input(&padded, fit.device).masks(fit.masks.clone()));
        match labels {
            Labels::Classes(names) => {
                let probabilities = batch::read(sparta_ops::softmax(logits, 1))?;
                let each = probabilities.chunks(names.len());
                predictions.extend(each.map(|p| Prediction::Classes(p.to_vec())));
            }
            Labels::Score => {
                predictions.extend(batch::read(logits)?.into_iter().map(Prediction::Score))
            }
        }
        at(predictions.len());
        stop_if_interrupted("scoring")?;
    }
    Ok(predictions)
}

/// The lines of the table that a task has.
fn columns(
    task: ClassificationTask,
    recipe: &GlueRecipe,
    reported: &[Examples],
) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    for part in reported {
        let (row, metrics, paper) = match task {
            ClassificationTask::QuestionSentence => {
                (task.name().to_owned(), vec![Metric::Accuracy], None)
            }
            ClassificationTask::Glue(_) => {
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
            let signature = TaskSignature::new(metric, task.name(), part.name, n)?
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

impl Subject for TextSubject {
    type Model = BertClassifier;

    fn name(&self) -> &str {
        self.task.name()
    }

    fn corpus(&self) -> &str {
        self.task.name()
    }

    fn n_train(&self) -> usize {
        self.train.len()
    }

    fn mean_len(&self) -> f64 {
        let tokens: usize = self.train.iter().map(|e| e.encoding.len()).sum();
        tokens as f64 / self.train.len().max(1) as f64
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

    fn bert<'a>(&self, model: &'a BertClassifier) -> &'a Bert {
        &model.bert
    }

    fn loss(&self, fit: &Fit<'_, BertClassifier>, indices: &[u32]) -> Result<Tensor<1>> {
        self.batch_loss(fit, &self.padded(&self.train, indices)?)
    }

    fn input(&self, indices: &[u32], device: &Device) -> Result<(BertInput, Vec<usize>)> {
        let padded = self.padded(&self.train, indices)?;
        let length = |&i: &u32| self.train[i as usize].encoding.len();
        Ok((input(&padded, device), indices.iter().map(length).collect()))
    }

    fn valid_loss(&self, fit: &Fit<'_, BertClassifier>) -> Result<f64> {
        let examples = &self.valid.examples;
        batch::mean_loss(examples.len(), self.batch_size, |indices| {
            self.batch_loss(fit, &self.padded(examples, indices)?)
        })
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn score(
        &self,
        fit: &Fit<'_, BertClassifier>,
        folder: &ModelFolder,
        at: &mut dyn FnMut(usize),
    ) -> Result<Vec<f64>> {
        let mut text = "part\tindex\texpected\tpredicted\tscores\n".to_owned();
        let (mut values, mut done) = (Vec::new(), 0);
        for part in &self.reported {
            let predictions = self.predict(fit, &part.examples, &mut |n| at(done + n))?;
            done += part.examples.len();
            for (index, (prediction, example)) in predictions.iter().zip(&part.examples).enumerate()
            {
                let expected = example.label.context("an example has no label")?;
                let scores = match prediction {
                    Prediction::Classes(p) => p.iter().map(|p| format!("{p:.4}")).collect(),
                    Prediction::Score(score) => vec![format!("{score:.4}")],
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
        write_text(&folder.path.join(PREDICTIONS), &text)?;
        Ok(values)
    }

    fn n_scored(&self) -> usize {
        self.reported.iter().map(|part| part.examples.len()).sum()
    }

    fn baselines(&self) -> Result<Vec<Baseline>> {
        let per_part = self.columns.len() / self.reported.len();
        let mut baselines = Vec::new();
        for (i, part) in self.reported.iter().enumerate() {
            let Some((class, _)) = part.majority else {
                continue;
            };
            let Labels::Classes(names) = self.head.labels else {
                continue;
            };
            let mut probabilities = vec![0.0; names.len()];
            probabilities[class] = 1.0;
            let guess = vec![Prediction::Classes(probabilities); part.examples.len()];
            for column in i * per_part..(i + 1) * per_part {
                baselines.push(Baseline {
                    column,
                    mask: MaskKind::Majority,
                    value: part.score(self.columns[column].metric, &guess)?,
                });
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
