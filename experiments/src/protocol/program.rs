//! Which program a run folder is of.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::recipe::{GlueRecipe, LmRecipe, MlmRecipe, Recipe, SquadRecipe, TranslationRecipe};

/// A program that makes tables by recipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecipeProgram {
    Lm,
    Iwslt,
    Glue,
    Squad,
    Mlm,
}

/// Evaluates an expression with `$task` as the task of a program.
macro_rules! with_task {
    ($program:expr, $task:ident => $body:expr) => {
        match $program {
            $crate::protocol::program::RecipeProgram::Lm => {
                type $task = $crate::task::lm::LanguageModel;
                $body
            }
            $crate::protocol::program::RecipeProgram::Iwslt => {
                type $task = $crate::task::translation::Translation;
                $body
            }
            $crate::protocol::program::RecipeProgram::Glue => {
                type $task = $crate::task::glue::Glue;
                $body
            }
            $crate::protocol::program::RecipeProgram::Squad => {
                type $task = $crate::task::squad::Squad;
                $body
            }
            $crate::protocol::program::RecipeProgram::Mlm => {
                type $task = $crate::task::mlm::MaskedLanguageModel;
                $body
            }
        }
    };
}
pub(crate) use with_task;

impl RecipeProgram {
    /// The program whose recipe a run folder has.
    ///
    /// # Errors
    /// A folder without a recipe, or with one of no program, with what each says of it.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let path = root.join("recipe.toml");
        ensure!(
            path.is_file(),
            "{} is no run folder (it has no recipe.toml); give one that `lm`, `iwslt`, `glue`, `squad` or `mlm` made, \
             such as runs/NAME",
            root.display()
        );
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let tried = [
            (Self::Lm, LmRecipe::parse(&text, &[]).err()),
            (Self::Iwslt, TranslationRecipe::parse(&text, &[]).err()),
            (Self::Glue, GlueRecipe::parse(&text, &[]).err()),
            (Self::Squad, SquadRecipe::parse(&text, &[]).err()),
            (Self::Mlm, MlmRecipe::parse(&text, &[]).err()),
        ];
        let mut reasons = Vec::new();
        for (program, error) in tried {
            match error {
                None => return Ok(program),
                Some(error) => reasons.push(format!("{}: {error:#}", program.name())),
            }
        }
        bail!(
            "{} is a recipe of no program ({})",
            path.display(),
            reasons.join("; ")
        )
    }

    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lm => LmRecipe::PROGRAM,
            Self::Iwslt => TranslationRecipe::PROGRAM,
            Self::Glue => GlueRecipe::PROGRAM,
            Self::Squad => SquadRecipe::PROGRAM,
            Self::Mlm => MlmRecipe::PROGRAM,
        }
    }
}

/// The recipe of a run folder.
///
/// # Errors
/// One that cannot be read, by key.
pub(crate) fn recipe_of<R: Recipe>(root: &Path) -> Result<R> {
    let path = root.join("recipe.toml");
    R::load(&path.display().to_string(), &[])
}
