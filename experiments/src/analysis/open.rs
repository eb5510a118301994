//! Any run folder: which program made it, and its task opened to be read.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use toml::Table;

use crate::io::read_text;
use crate::protocol::RunFolder;
use crate::recipe::{GlueRecipe, LmRecipe, MlmRecipe, Recipe, SquadRecipe, TranslationRecipe};

/// A program that makes run folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProgramName {
    /// Language modelling.
    Lm,
    /// Translation.
    Iwslt,
    /// Labelled texts.
    Glue,
    /// Answers in paragraphs.
    Squad,
    /// Masked language modelling.
    Mlm,
}

impl ProgramName {
    /// Every program.
    pub const ALL: [Self; 5] = [Self::Lm, Self::Iwslt, Self::Glue, Self::Squad, Self::Mlm];

    /// As it is typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lm => LmRecipe::PROGRAM,
            Self::Iwslt => TranslationRecipe::PROGRAM,
            Self::Glue => GlueRecipe::PROGRAM,
            Self::Squad => SquadRecipe::PROGRAM,
            Self::Mlm => MlmRecipe::PROGRAM,
        }
    }

    /// Why a text is no recipe of the program; none where it is one.
    fn refusal(self, text: &str) -> Option<anyhow::Error> {
        match self {
            Self::Lm => LmRecipe::parse(text, &[]).err(),
            Self::Iwslt => TranslationRecipe::parse(text, &[]).err(),
            Self::Glue => GlueRecipe::parse(text, &[]).err(),
            Self::Squad => SquadRecipe::parse(text, &[]).err(),
            Self::Mlm => MlmRecipe::parse(text, &[]).err(),
        }
    }

    /// Keys of its reference recipe that a text lacks or has besides.
    fn distance(self, text: &str) -> usize {
        let reference = match self {
            Self::Lm => LmRecipe::SHIPPED[0].text,
            Self::Iwslt => TranslationRecipe::SHIPPED[0].text,
            Self::Glue => GlueRecipe::SHIPPED[0].text,
            Self::Squad => SquadRecipe::SHIPPED[0].text,
            Self::Mlm => MlmRecipe::SHIPPED[0].text,
        };
        let keys = |text: &str| -> Vec<String> {
            let table: Table = text.parse().unwrap_or_default();
            let mut keys = Vec::new();
            for (section, value) in &table {
                match value {
                    toml::Value::Table(inner) => {
                        keys.extend(inner.keys().map(|key| format!("{section}.{key}")));
                    }
                    _ => keys.push(section.clone()),
                }
            }
            keys
        };
        let (here, there) = (keys(text), keys(reference));
        let missing = |a: &[String], b: &[String]| a.iter().filter(|key| !b.contains(key)).count();
        missing(&here, &there) + missing(&there, &here)
    }
}

impl fmt::Display for ProgramName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The run folder that a folder is, or is in, and the folder as one of it ([`RunFolder::containing`]).
///
/// # Errors
/// No folder, or one of no run.
pub fn run_folder_of(path: &Path) -> Result<(RunFolder, PathBuf)> {
    ensure!(
        path.is_dir(),
        "no folder {}; give a run folder (runs/…) or the folder of a model in it, e.g. RUN/seed-1/NAME/dense",
        path.display()
    );
    RunFolder::containing(path).ok_or_else(|| {
        anyhow!(
            "{} is no run folder and in none (no recipe.toml in it or above it); a run is made by a program: {}",
            path.display(),
            ProgramName::ALL.map(ProgramName::as_str).join(", ")
        )
    })
}

/// Which program made a run folder, by its recipe.
///
/// # Errors
/// A folder without a recipe, or one that no program reads: with what the nearest says of it.
pub fn program_of(run: &Path) -> Result<ProgramName> {
    let path = RunFolder::at(run.to_owned()).recipe();
    let text = read_text(&path).with_context(|| {
        format!(
            "{} is no run folder (cannot read {})",
            run.display(),
            path.display()
        )
    })?;
    program_of_text(&path, &text)
}

/// Which program a recipe is of.
///
/// # Errors
/// One that no program reads: with what the nearest says of it.
pub(crate) fn program_of_text(path: &Path, text: &str) -> Result<ProgramName> {
    // No program reads the recipe of another: their sections differ.
    let mut nearest: Option<(usize, ProgramName, anyhow::Error)> = None;
    for program in ProgramName::ALL {
        let Some(refusal) = program.refusal(text) else {
            return Ok(program);
        };
        let distance = program.distance(text);
        if nearest.as_ref().is_none_or(|(least, ..)| distance < *least) {
            nearest = Some((distance, program, refusal));
        }
    }
    match nearest {
        Some((_, program, refusal)) => Err(refusal.context(format!(
            "{} is a recipe of no program; `{program}` is the nearest and says",
            path.display()
        ))),
        None => bail!("{} is a recipe of no program", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::recipe::ALL_SHIPPED;

    #[test]
    fn every_shipped_recipe_says_its_program() {
        let folder = tempfile::tempdir().unwrap();
        for of in ALL_SHIPPED {
            for shipped in of.shipped {
                fs::write(folder.path().join("recipe.toml"), shipped.text).unwrap();
                let found = program_of(folder.path()).unwrap();
                assert_eq!(found.as_str(), of.program, "{}", shipped.name);
            }
        }
    }

    #[test]
    fn a_recipe_that_nobody_reads_is_shown_to_the_nearest() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("seed-1/dense");
        fs::create_dir_all(&inner).unwrap();
        let error = format!("{:#}", run_folder_of(&inner).unwrap_err());
        assert!(error.contains("no run folder"), "{error}");
        let text = LmRecipe::SHIPPED[0].text.replace("tgt_len", "tgt_lenn");
        fs::write(folder.path().join("recipe.toml"), text).unwrap();
        let (found, path) = run_folder_of(&inner).unwrap();
        assert_eq!((found.root(), path), (folder.path(), inner));
        let error = format!("{:#}", program_of(folder.path()).unwrap_err());
        assert!(error.contains("`lm` is the nearest"), "{error}");
        assert!(error.contains("tgt_len"), "{error}");
    }
}
