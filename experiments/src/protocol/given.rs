//! What the user names by `--data` is read, or refused: it is never passed over for what ships or lies in the cache.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};

use super::stage::{Request, note};
use crate::recipe::encoder::NetworkName;
use crate::recipe::{Needs, Recipe};
use crate::task::encoder::weights::{self, Owner};
use crate::version::{quoted, typed};

/// Refuses files that a recipe would not read, before anything is written.
///
/// # Errors
/// A recipe whose corpora all ship with the program, with the command that reads files of one's own; a folder that lacks
/// the published files of a corpus, with what was looked for.
pub(super) fn check<R: Recipe>(request: &Request<R>) -> Result<()> {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    check_with(request, |is_labelled| {
        let words = on_files(words.collect(), is_labelled);
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        format!("to train on files of your own: `{}`; ", words.join(" "))
    })
}

/// The same for a run that is only looked at.
///
/// # Errors
/// As when it was made.
pub(crate) fn check_again<R: Recipe>(request: &Request<R>) -> Result<()> {
    check_with(request, |_| String::new())
}

fn check_with<R: Recipe>(request: &Request<R>, own: impl FnOnce(bool) -> String) -> Result<()> {
    let Some(dir) = request.data.as_deref() else {
        return Ok(());
    };
    let Needs { corpora, network } = request.recipe.needs()?;
    let Some(&first) = corpora.first() else {
        // Own files: whatever they are, they are read or refused by their reader.
        return Ok(());
    };
    let has_weights = |&network: &NetworkName| {
        let found = weights::find(network, Some(dir), None);
        found.is_some_and(|folder| folder.owner == Owner::User)
    };
    // Weights that ship, or that `--weights` names, are not looked for there.
    let network = network.filter(|of| request.weights.is_none() && !of.is_shipped());
    let of_weights = network.filter(has_weights);
    let mut published = corpora.iter().filter(|corpus| !corpus.ships()).peekable();
    ensure!(
        published.peek().is_some() || of_weights.is_some(),
        "`--data {}` would not be read: the recipe `{}` is of the corpus that ships with the program ({}); {}to read published \
         files that are there: {}; or leave `--data` out",
        typed(dir),
        request.recipe.table(),
        first.title(),
        own(first.is_labelled()),
        first.published_choices()
    );
    for corpus in published {
        match (corpus.check_given(dir), of_weights) {
            (Ok(()), _) => {}
            (Err(_), Some(network)) => note(
                request.quiet,
                &format!(
                    "{} has the weights of {}, and no files of {}: these are those of the cache",
                    dir.display(),
                    network.name(),
                    corpus.title()
                ),
            ),
            (Err(error), None) => return Err(named(dir, &error)),
        }
    }
    Ok(())
}

fn named(dir: &Path, error: &sparta_datasets::Error) -> anyhow::Error {
    anyhow!("`--data {}`: {error}", typed(dir))
}

/// The words of a command with the recipe's corpus, or tasks, replaced by the user's own files.
fn on_files(words: Vec<String>, is_labelled: bool) -> Vec<String> {
    let (flag, key) = match is_labelled {
        true => (Some("--tasks"), "tasks"),
        false => (None, "data.corpus"),
    };
    let is_key = |set: &str| crate::recipe::key_of(set) == key;
    let mut kept: Vec<String> = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        let next = value.or(words.peek().map(String::as_str));
        let is_other = Some(name) == flag || (name == "--set" && next.is_some_and(is_key));
        match (is_other, value) {
            (false, _) => kept.push(word),
            (true, Some(_)) => {}
            (true, None) => drop(words.next()),
        }
    }
    let added = match flag {
        Some(flag) => [flag, "files"],
        None => ["--set", "data.corpus=files"],
    };
    kept.extend(added.map(str::to_owned));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_on_files_of_ones_own_names_them_in_place_of_its_corpus() {
        for (typed, is_labelled, expected) in [
            (
                "lm train --data novel.txt --set train.lr=0.1",
                false,
                "lm train --data novel.txt --set train.lr=0.1 --set data.corpus=files",
            ),
            (
                "mlm --set data.corpus=state_of_the_union --set=data.corpus=wikitext2 --data a",
                false,
                "mlm --data a --set data.corpus=files",
            ),
            (
                "glue --tasks question-sentence --data a.csv --set tasks=[\"rte\"] --quiet",
                true,
                "glue --data a.csv --quiet --tasks files",
            ),
            (
                "glue --tasks=question-sentence --data=a.csv",
                true,
                "glue --data=a.csv --tasks files",
            ),
        ] {
            let words = typed.split(' ').map(str::to_owned).collect();
            assert_eq!(on_files(words, is_labelled).join(" "), expected);
        }
    }
}
