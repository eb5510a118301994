//! The articles of a recipe: read, or synthetic where the published ones are not at hand.

use std::path::Path;

use anyhow::{Result, anyhow};
use sparta_datasets::squad::{Answer, Article, Paragraph, Question, SquadCorpus};

use crate::protocol::Fetch;
use crate::recipe::{AnyCorpus, SquadRecipe};

/// Reads the articles of a recipe, downloading them only if `fetch` allows it.
///
/// # Errors
/// Files that are missing, and how to get them.
pub(super) fn load(recipe: &SquadRecipe, from: Option<&Path>, fetch: Fetch) -> Result<SquadCorpus> {
    let set = recipe.set()?;
    let cache = AnyCorpus::Paragraphs(set).cache_dir()?;
    let loaded = match fetch {
        Fetch::Allowed => set.prepare(from, &cache, &mut |_, _| ()),
        Fetch::Never => set.load(from, &cache),
    };
    loaded.map_err(|error| {
        anyhow!(
            "{error}\n(`prepare` is `cargo run --release --bin squad -- prepare --recipe RECIPE`)"
        )
    })
}

/// A paragraph and its question, often enough for a batch, for when the published ones are not at hand, and
/// about how many windows are to train on.
///
/// # Errors
/// A set that is not known.
pub(super) fn stand_in(recipe: &SquadRecipe) -> Result<(SquadCorpus, usize)> {
    /// Windows of 384 tokens, 128 apart, that SQuAD v1.1's training set makes.
    const PUBLISHED: usize = 88_524;
    let context =
        "Washington wrote the first one in 1790, and it was read to both houses.".to_owned();
    let answer = Answer {
        text: "1790".to_owned(),
        start: context.find("1790"),
    };
    let question = |i: usize| Question {
        id: i.to_string(),
        text: "When was the first one written?".to_owned(),
        answers: vec![answer.clone()],
    };
    let article = Article {
        title: String::new(),
        paragraphs: vec![Paragraph {
            context,
            questions: (0..recipe.train.batch_size).map(question).collect(),
        }],
    };
    let corpus = SquadCorpus {
        name: recipe.set()?.name(),
        train: vec![article.clone()],
        dev: vec![article],
        counts: Vec::new(),
    };
    let n_train = match recipe.data.train_windows {
        0 => PUBLISHED,
        n => n,
    };
    Ok((corpus, n_train))
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
