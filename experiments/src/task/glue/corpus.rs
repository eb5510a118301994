//! The texts of a task: read, or made up where the published ones are not at hand.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use sparta_datasets::Split;
use sparta_datasets::classification::{
    ClassificationCorpus, ClassificationTask, Label, Labels, LoadedTask, Part, TextExample,
};
use sparta_datasets::files::OwnTable;
use sparta_datasets::source::Origins;
use sparta_results::Metric;
use sparta_results::metric::glue::GlueColumn;

use super::prediction::LabelHead;
use crate::download::Shown;
use crate::protocol::Fetch;
use crate::recipe::{AnyCorpus, GlueRecipe, Recipe, Source};
use crate::task::own_files;

/// The rows of the table that a task has.
pub(super) fn rows(task: Source<ClassificationTask>) -> Vec<String> {
    let row = |part| match GlueColumn::of_task(task.name(), part) {
        Some(column) => column.name().to_owned(),
        None => task.name().to_owned(),
    };
    task.reported_parts().into_iter().map(row).collect()
}

/// Made-up examples of a task, enough for a batch, for when the published ones are not at hand, and the
/// published number of those to train on.
pub(super) fn stand_in(task: ClassificationTask, recipe: &GlueRecipe) -> (LoadedTask, usize) {
    let head = LabelHead::of_published(task, &recipe.head);
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
        label: Some(match &head.labels {
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
            name: task.name().into(),
            labels: head.labels.clone(),
            parts: parts.collect(),
        },
        counts: Vec::new(),
    };
    (loaded, published.unwrap_or(n))
}

/// Reads the examples of a task, downloading them only if `fetch` allows it, and what its files are. Own files of a new run must be
/// beyond doubt.
///
/// # Errors
/// Files that are missing, and how to get them; a file that is not as published; own files that were not given, or that cannot
/// be read.
pub(super) fn load(
    task: Source<ClassificationTask>,
    recipe: &GlueRecipe,
    from: Option<&Path>,
    (fetch, is_new): (Fetch, bool),
) -> Result<(LoadedTask, Origins)> {
    let Source::Published(task) = task else {
        let what = "a table with named columns (.tsv, .csv, .jsonl), or a folder with such files for train, valid and test";
        let path = own_files::given(from, GlueRecipe::PROGRAM, what)?;
        let files = recipe.data.files.as_ref();
        let files = files.context("the recipe has no section `data.files`")?;
        let OwnTable {
            corpus,
            origins,
            doubt,
        } = files.rule().corpus(path)?;
        if let Some(doubt) = doubt.filter(|_| is_new) {
            return Err(doubt.into());
        }
        let n_classes = corpus.labels.n_outputs();
        ensure!(
            files.metric != Metric::F1 || n_classes == 2,
            "`data.files.metric = \"f1\"` is a score of two classes, and column `{}` has {n_classes}: use accuracy or matthews",
            files.label
        );
        let counts = Vec::new();
        return Ok((LoadedTask { corpus, counts }, origins));
    };
    let cache = AnyCorpus::Labelled(task).cache_dir()?;
    let loaded = match fetch {
        Fetch::Allowed { quiet } => {
            let mut shown = Shown::new(quiet);
            task.prepare(from, &cache, &mut |event| shown.hear(event))
        }
        Fetch::Never => task.load(from, &cache),
    };
    let loaded = loaded.map_err(|error| {
        anyhow!(
            "{error}\n(`prepare` is `cargo run --release --bin glue -- prepare --recipe RECIPE`)"
        )
    })?;
    Ok((loaded, task.origins(from, &cache)?))
}
