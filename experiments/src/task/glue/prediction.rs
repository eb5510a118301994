//! What a classifier says of texts.

use anyhow::{Context, Result};
use burn::tensor::Device;
use sparta_datasets::batch::{ClassificationBatch, EncodedExample, ExampleOrder, PaddingStrategy};
use sparta_datasets::classification::{ClassificationTask, Label, Labels};
use sparta_datasets::question_sentence;
use sparta_model::bert::{BertClassifier, BertConfig, BertInput, Pooling};

use crate::recipe::glue::HeadRecipe;
use crate::recipe::{GlueRecipe, Source};
use crate::task::encoder::{Model, batch};
use crate::train::watch::stop_if_interrupted;

/// What is predicted for the examples of a task.
#[derive(Debug, Clone)]
pub(super) struct LabelHead {
    pub(super) labels: Labels,
    /// Whether an example is two texts.
    pub(super) is_pair: bool,
    /// What it looks at.
    pub(super) pooling: Pooling,
}

impl LabelHead {
    /// For a task of the recipe, own files having these labels.
    ///
    /// # Errors
    /// A recipe for own files that does not say how they are read.
    pub(super) fn of(
        task: Source<ClassificationTask>,
        recipe: &GlueRecipe,
        own: impl FnOnce() -> Result<Labels>,
    ) -> Result<Self> {
        match task {
            Source::Published(task) => Ok(Self::of_published(task, &recipe.head)),
            Source::Files => {
                let files = recipe.data.files.as_ref();
                let files = files.context("the recipe has no section `data.files`")?;
                Ok(Self {
                    labels: own()?,
                    is_pair: files.is_pair(),
                    pooling: recipe.head.pooling,
                })
            }
        }
    }

    /// For a task whose labels are known.
    pub(super) fn of_published(task: ClassificationTask, recipe: &HeadRecipe) -> Self {
        let pooling = recipe.pooling;
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

    pub(super) fn init(&self, config: &BertConfig, device: &Device) -> BertClassifier {
        let config = config.clone().with_pooling(self.pooling);
        config.init_classifier(self.labels.n_outputs(), device)
    }
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

/// A batch as the encoder reads it.
pub(super) fn input(padded: &ClassificationBatch, device: &Device) -> BertInput {
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

/// What a model says of some examples, in their order; `shape` is padding, its id, and examples of a
/// batch.
pub(super) fn predict(
    model: &Model<'_, BertClassifier>,
    examples: &[EncodedExample],
    labels: &Labels,
    (padding, pad, batch_size): (PaddingStrategy, u32, usize),
    at: &mut dyn FnMut(u64),
) -> Result<Vec<Prediction>> {
    let mut predictions = Vec::with_capacity(examples.len());
    for indices in ExampleOrder::in_order(examples.len(), batch_size)?.iter() {
        let padded = ClassificationBatch::new(examples, indices, padding, pad)?;
        let logits = model
            .network
            .forward(input(&padded, model.device).masks(model.masks.clone()));
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
        at(predictions.len() as u64);
        stop_if_interrupted("scoring")?;
    }
    Ok(predictions)
}
