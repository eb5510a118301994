//! Which recipes are valid, and whether the corpora and weights that they read are at hand.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use sparta_datasets::Error;

use crate::io::in_one_line;
use crate::recipe::encoder::NetworkName;
use crate::recipe::{ALL_SHIPPED, AnyCorpus, Needs};
use crate::task::encoder::weights;

/// A recipe that ships with a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecipeState {
    /// The program.
    pub program: &'static str,
    /// For `--recipe`.
    pub name: &'static str,
    /// What is wrong with it, if anything is.
    pub problem: Option<String>,
}

/// A corpus, or pretrained weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceState {
    /// Its name.
    pub name: String,
    /// Whether it is inside the program.
    pub is_shipped: bool,
    /// The folder it was found in.
    pub found: Option<PathBuf>,
    /// Where it was looked for, if it was not found.
    pub looked_in: Vec<PathBuf>,
    /// The command that gets or names it.
    pub get: String,
}

/// Every shipped recipe, and the corpora and weights that they read, each once.
pub(super) fn look(cache: Option<&Path>) -> (Vec<RecipeState>, Vec<SourceState>, Vec<SourceState>) {
    let (mut recipes, mut corpora, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for of in ALL_SHIPPED {
        for shipped in of.shipped {
            let (program, name) = (of.program, shipped.name);
            let needs: Result<Needs> = (of.read)(shipped.text);
            let problem = needs.as_ref().err().map(in_one_line);
            recipes.push(RecipeState {
                program,
                name,
                problem,
            });
            let Ok(Needs {
                corpora: of_recipe,
                network,
            }) = needs
            else {
                continue;
            };
            let network = network.map(|network| published(network, cache, (program, name)));
            let get = format!("{program} prepare --recipe {name}");
            for it in of_recipe {
                add(&mut corpora, corpus(it, cache, &get));
            }
            if let Some(source) = network {
                add(&mut weights, source);
            }
        }
    }
    (recipes, corpora, weights)
}

/// Adds a source unless another recipe brought it.
fn add(sources: &mut Vec<SourceState>, source: SourceState) {
    if sources.iter().all(|there| there.name != source.name) {
        sources.push(source);
    }
}

fn corpus(corpus: AnyCorpus, cache: Option<&Path>, get: &str) -> SourceState {
    let nowhere = Path::new("");
    let located = corpus.locate(cache.unwrap_or(nowhere));
    let looked_in = match &located {
        Ok(_) => Vec::new(),
        Err(Error::MissingCorpus { dir, .. }) if cache.is_some() => vec![dir.clone()],
        Err(_) => cache.map(Path::to_owned).into_iter().collect(),
    };
    SourceState {
        name: corpus.title().to_owned(),
        is_shipped: matches!(located, Ok(None)),
        found: located.ok().flatten(),
        looked_in,
        get: get.to_owned(),
    }
}

/// Weights are found by name, in the cache and where other programs have downloaded them.
fn published(
    network: NetworkName,
    cache: Option<&Path>,
    (program, recipe): (&str, &str),
) -> SourceState {
    let is_shipped = network.is_shipped();
    let found = match is_shipped {
        true => None,
        false => weights::find(network, None, cache),
    };
    let looked_in = match (&found, is_shipped) {
        (None, false) => {
            let places = weights::places(network, None, cache).into_iter();
            places.map(|place| place.dir).collect()
        }
        (Some(_), _) | (None, true) => Vec::new(),
    };
    SourceState {
        name: network.name().to_owned(),
        is_shipped,
        found: found.map(|folder| folder.dir),
        looked_in,
        get: format!("{program} prepare --recipe {recipe}"),
    }
}

impl SourceState {
    /// The state in a line; `of` is what it is.
    pub(super) fn line(&self, of: &str) -> String {
        let state = match (&self.found, self.is_shipped) {
            (_, true) => "shipped".to_owned(),
            (Some(dir), false) => format!("in {}", dir.display()),
            (None, false) => {
                let places: Vec<String> = self
                    .looked_in
                    .iter()
                    .map(|dir| dir.display().to_string())
                    .collect();
                let looked = match places.is_empty() {
                    true => String::new(),
                    false => format!(", looked in {}", places.join(", ")),
                };
                format!("not at hand{looked}; get it by `{}`", self.get)
            }
        };
        format!("{of:12} {}: {state}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_is_shipped_or_says_where_it_was_looked_for_and_how_to_get_it() {
        let cache = tempfile::tempdir().unwrap();
        let (recipes, corpora, weights) = look(Some(cache.path()));
        assert!(recipes.iter().all(|recipe| recipe.problem.is_none()));
        let line = |sources: &[SourceState], name: &str, of: &str| {
            let source = sources.iter().find(|source| source.name == name);
            source.map(|source| source.line(of)).unwrap_or_default()
        };
        assert_eq!(
            line(&corpora, "WikiText-2", "corpus"),
            format!(
                "corpus       WikiText-2: not at hand, looked in {}; get it by `lm prepare --recipe lm/wikitext2`",
                cache.path().display()
            )
        );
        let rte = line(&corpora, "GLUE RTE", "corpus");
        assert!(
            rte.contains("`glue prepare --recipe glue/minilm-l6`"),
            "{rte}"
        );
        assert_eq!(
            line(&corpora, "LibreOffice help", "corpus"),
            "corpus       LibreOffice help: shipped"
        );
        assert_eq!(
            line(&weights, "minilm-l3", "weights"),
            "weights      minilm-l3: shipped"
        );
        for source in corpora.iter().chain(&weights) {
            let places = usize::from(source.is_shipped)
                + usize::from(source.found.is_some())
                + source.looked_in.len();
            assert!(places > 0, "{source:?}");
        }
    }

    #[test]
    fn weights_in_the_cache_are_found() {
        let cache = tempfile::tempdir().unwrap();
        let line = || {
            let (_, _, weights) = look(Some(cache.path()));
            let source = weights.iter().find(|source| source.name == "minilm-l6");
            source.unwrap().line("weights")
        };
        let dir = cache
            .path()
            .join("weights/sentence-transformers/all-MiniLM-L6-v2");
        std::fs::create_dir_all(&dir).unwrap();
        for file in ["config.json", "tokenizer.json", "model.safetensors"] {
            std::fs::write(dir.join(file), "").unwrap();
        }
        let found = format!("weights      minilm-l6: in {}", dir.display());
        assert_eq!(line(), found);
    }

    #[test]
    fn a_corpus_in_the_cache_is_found() {
        let cache = tempfile::tempdir().unwrap();
        let dir = cache.path().join("wikitext-2");
        std::fs::create_dir_all(&dir).unwrap();
        for split in ["train", "valid", "test"] {
            std::fs::write(dir.join(format!("wiki.{split}.tokens")), "").unwrap();
        }
        let (_, corpora, _) = look(Some(cache.path()));
        let found = corpora
            .iter()
            .find(|source| source.name == "WikiText-2")
            .unwrap();
        assert_eq!(found.found.as_deref(), Some(dir.as_path()));
    }
}
