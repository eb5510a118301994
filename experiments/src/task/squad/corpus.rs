//! The articles of a recipe: read, or synthetic where the published ones are not at hand.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use sparta_datasets::files::OwnQuestions;
use sparta_datasets::source::Origins;
use sparta_datasets::squad::{Answer, Article, Paragraph, Question, SquadCorpus, SquadSet};

use crate::download::Shown;
use crate::protocol::Fetch;
use crate::recipe::{AnyCorpus, Recipe, Source, SquadRecipe};
use crate::task::own_files;

/// Reads the articles of a recipe, downloading them only if `fetch` allows it, and what its files are.
///
/// # Errors
/// Files that are missing, and how to get them; own files that were not given, or that cannot be read.
pub(super) fn load(
    recipe: &SquadRecipe,
    from: Option<&Path>,
    fetch: Fetch,
) -> Result<(SquadCorpus, Origins)> {
    let Source::Published(set) = recipe.set()? else {
        let what = "a file in SQuAD's JSON (v1.1 or v2.0), or a folder with train.json and valid.json, perhaps test.json";
        let path = own_files::given(from, SquadRecipe::PROGRAM, what)?;
        let files = recipe.data.files.as_ref();
        let files = files.context("the recipe has no section `data.files`")?;
        let OwnQuestions { corpus, origins } = files.rule().corpus(path)?;
        return Ok((corpus, origins));
    };
    let cache = AnyCorpus::Paragraphs(set).cache_dir()?;
    let loaded = match fetch {
        Fetch::Allowed { quiet } => {
            let mut shown = Shown::new(quiet);
            set.prepare(from, &cache, &mut |event| shown.hear(event))
        }
        Fetch::Never => set.load(from, &cache),
    };
    let loaded = loaded.map_err(|error| {
        anyhow!(
            "{error}\n(`prepare` is `cargo run --release --bin squad -- prepare --recipe RECIPE`)"
        )
    })?;
    Ok((loaded, set.origins(from, &cache)?))
}

/// A paragraph and its question, often enough for a batch, for when the published ones are not at hand, and
/// about how many windows are to train on.
pub(super) fn stand_in(set: SquadSet, recipe: &SquadRecipe) -> (SquadCorpus, usize) {
    // Windows of 384 tokens, 128 apart, that the training set of v1.1 makes; of v2.0 its questions, few of which have
    // more than one.
    let (has_impossible, published) = match set {
        SquadSet::V1_1 | SquadSet::Shipped => (false, 88_524),
        SquadSet::V2_0 => (true, 130_319),
    };
    let context =
        "Washington wrote the first one in 1790, and it was read to both houses.".to_owned();
    let answer = Answer {
        text: "1790".to_owned(),
        start: context.find("1790"),
    };
    let question = |i: usize| Question {
        id: i.to_string(),
        text: "When was the first one written?".to_owned(),
        answers: match has_impossible && i % 3 == 1 {
            false => vec![answer.clone()],
            true => Vec::new(),
        },
        is_impossible: has_impossible && i % 3 == 1,
    };
    let article = Article {
        title: String::new(),
        paragraphs: vec![Paragraph {
            context,
            questions: (0..recipe.train.batch_size).map(question).collect(),
        }],
    };
    let corpus = SquadCorpus {
        name: set.name().into(),
        train: vec![article.clone()],
        valid: Vec::new(),
        dev: vec![article],
        counts: Vec::new(),
    };
    let n_train = match recipe.data.train_windows {
        0 => published,
        n => n,
    };
    (corpus, n_train)
}

/// `n` of some things, spread evenly; 0 = all.
pub(super) fn spread<T>(all: Vec<T>, n: usize) -> Vec<T> {
    let len = all.len();
    if n == 0 || n >= len {
        return all;
    }
    let chosen = |i: &usize| (i + 1) * n / len > i * n / len;
    all.into_iter()
        .enumerate()
        .filter(|(i, _)| chosen(i))
        .map(|(_, thing)| thing)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn some_are_spread_evenly_over_all() {
        let all: Vec<usize> = (0..10).collect();
        assert_eq!(spread(all.clone(), 0), all);
        assert_eq!(spread(all.clone(), 20), all);
        assert_eq!(spread(all.clone(), 2), [4, 9]);
        for n in 1..10 {
            assert_eq!(spread(all.clone(), n).len(), n);
        }
    }
}
