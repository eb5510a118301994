//! The text of a recipe: a corpus that the program knows, or the user's own files.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use sparta_datasets::files::TextRule;
use sparta_datasets::source::Origins;
use sparta_datasets::{Corpus, CorpusName, Error};

use super::own_files;
use crate::download::Shown;
use crate::protocol::{Fetch, RunFolder, data_files};
use crate::recipe::{AnyCorpus, Source};

/// Where text comes from, for one program.
pub struct RunningText<'a> {
    /// The corpus of the recipe.
    pub corpus: Source<CorpusName>,
    /// How own files are read.
    pub rule: Option<TextRule>,
    /// What the user gave by `--data`.
    pub from: Option<&'a Path>,
    /// The program, for messages.
    pub program: &'static str,
}

impl RunningText<'_> {
    /// The text, and the files that it was read from. A known corpus is downloaded only if `fetch` allows.
    ///
    /// # Errors
    /// A corpus that cannot be had, and how to get it; own files that were not given, or are no text.
    pub fn load(&self, fetch: Fetch) -> Result<(Corpus, Origins)> {
        let Some(name) = self.corpus.published() else {
            let (path, rule) = self.own()?;
            return Ok(rule.corpus(path)?);
        };
        let cache = AnyCorpus::Text(name).cache_dir()?;
        // What the data crate calls `prepare` is a stage of this program.
        let how = |error| {
            anyhow!(
                "{error}\n(`prepare` is `cargo run --release --bin {} -- prepare --recipe RECIPE`)",
                self.program
            )
        };
        match fetch {
            Fetch::Allowed { quiet } => {
                let mut shown = Shown::new(quiet);
                let prepared = name.prepare(self.from, &cache, &mut |event| shown.hear(event));
                prepared.map_err(how)?;
            }
            Fetch::Never => {}
        }
        let corpus = name.load(self.from, &cache).map_err(how)?;
        Ok((corpus, name.origins(self.from, &cache)?))
    }

    /// That files which are given again are those that the run folder's data were made of.
    ///
    /// # Errors
    /// Other bytes than then.
    pub fn check_unchanged(&self, folder: &RunFolder) -> Result<()> {
        if self.from.is_none() {
            return Ok(());
        }
        let found = match self.corpus {
            Source::Files => {
                let (path, rule) = self.own()?;
                rule.origins(path)
            }
            Source::Published(name) => {
                let cache = AnyCorpus::Text(name).cache_dir()?;
                name.origins(self.from, &cache)
            }
        };
        match (found, self.corpus) {
            // It is there as an archive: what the run folder has is enough.
            (Err(Error::MissingCorpus { .. }), Source::Published(_)) => Ok(()),
            (found, _) => data_files::same(folder, &found?),
        }
    }

    fn own(&self) -> Result<(&Path, TextRule)> {
        let path = own_files::given(
            self.from,
            self.program,
            "FILE, or a folder with train.txt, valid.txt and test.txt",
        )?;
        let rule = self
            .rule
            .context("the recipe has no section `data.files`")?;
        Ok((path, rule))
    }
}
