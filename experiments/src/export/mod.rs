//! `sparta export`: a trained model as a folder that PyTorch reads.
//!
//! ```text
//! run folder ─► program_of ─► export of the task ─► Package (tensors, config, tokenizer, masks) ─► one folder, whole or not at all
//! ```
//!
//! Names and layouts of parameters are those of [`sparta_model::export`].

mod folder;
mod npy;
mod package;

pub use package::{Loader, Package};

use std::path::PathBuf;

use anyhow::Result;

use crate::analysis::open::run_folder_of;
use crate::analysis::{ProgramName, program_of};
use crate::device::DeviceChoice;
use crate::io::{print_line, say};
use crate::task::{glue, lm, mlm, squad, translation};

/// What `sparta export` asks for.
#[derive(Debug, Clone)]
pub struct Export {
    /// A run folder, or the folder of a model in it.
    pub model: PathBuf,
    /// The folder to write: new, or empty.
    pub out: PathBuf,
    /// Where the sample is computed.
    pub device: DeviceChoice,
}

/// Writes a model as files of PyTorch, says what they cannot hold, and prints the folder.
///
/// # Errors
/// A folder without a trained model, a folder that is not empty, or a disk that fails; each says what to do.
pub fn export(request: &Export) -> Result<()> {
    folder::check_free(&request.out)?;
    let program = program_of(run_folder_of(&request.model)?.0.root())?;
    let package = match program {
        ProgramName::Lm => lm::export(request)?,
        ProgramName::Iwslt => translation::export(request)?,
        ProgramName::Glue => glue::export(request)?,
        ProgramName::Squad => squad::export(request)?,
        ProgramName::Mlm => mlm::export(request)?,
    };
    let limits = package.limits();
    folder::write(&request.out, &package.files(program.as_str(), &limits)?)?;
    for limit in limits {
        say(format_args!("not expressed: {limit}"));
    }
    print_line(request.out.display())?;
    Ok(())
}
