//! The texts of a task: read, or made up where the published ones are not at hand.

use std::path::Path;

use anyhow::{Result, anyhow};
use sparta_datasets::Split;
use sparta_datasets::classification::{
    ClassificationCorpus, ClassificationTask, Label, Labels, LoadedTask, Part, TextExample,
};
use sparta_results::metric::glue::GlueColumn;

use super::prediction::LabelHead;
use crate::protocol::Fetch;
use crate::recipe::{AnyCorpus, GlueRecipe};

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
    let head = LabelHead::of(task, &recipe.head);
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

/// Reads the examples of a task, downloading them only if `fetch` allows it.
///
/// # Errors
/// Files that are missing, and how to get them; a file that is not as published.
pub(super) fn load(
    task: ClassificationTask,
    from: Option<&Path>,
    fetch: Fetch,
) -> Result<LoadedTask> {
    let cache = AnyCorpus::Labelled(task).cache_dir()?;
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
