//! The task of a run folder.

use std::path::Path;

use anyhow::Result;

use super::folder::RunFolder;
use crate::recipe::Recipe;

/// Evaluates an expression with `$task` as the task of a [`ProgramName`](crate::analysis::ProgramName).
macro_rules! with_task {
    ($program:expr, $task:ident => $body:expr) => {
        match $program {
            $crate::analysis::ProgramName::Lm => {
                type $task = $crate::task::lm::LanguageModel;
                $body
            }
            $crate::analysis::ProgramName::Iwslt => {
                type $task = $crate::task::translation::Translation;
                $body
            }
            $crate::analysis::ProgramName::Glue => {
                type $task = $crate::task::glue::Glue;
                $body
            }
            $crate::analysis::ProgramName::Squad => {
                type $task = $crate::task::squad::Squad;
                $body
            }
            $crate::analysis::ProgramName::Mlm => {
                type $task = $crate::task::mlm::MaskedLanguageModel;
                $body
            }
        }
    };
}
pub(crate) use with_task;

/// The recipe of a run folder.
///
/// # Errors
/// One that cannot be read, by key.
pub(crate) fn recipe_of<R: Recipe>(root: &Path) -> Result<R> {
    R::open(&RunFolder::at(root.to_owned()).recipe(), &[])
}
