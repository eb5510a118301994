//! `sparta export`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::device::{DeviceChoice, SPELLINGS};
use crate::export::{self, Export};

/// Which model, and where to.
#[derive(Debug, Args)]
pub(super) struct ExportOptions {
    /// Run folder, or the folder of one model in it (RUN/seed-1/NAME/dense, RUN/seed-1/NAME/rows/ROW)
    #[arg(value_name = "RUN[/MODEL]")]
    model: PathBuf,
    /// What reads the files
    #[arg(long, value_enum, default_value_t = Format::Hf)]
    format: Format,
    /// The folder to write: a new or an empty one
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[arg(long, value_name = "DEVICE", help = format!("{SPELLINGS}, for the sample that loaders are checked by [default: auto]"))]
    device: Option<DeviceChoice>,
}

/// What reads the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Hugging Face transformers, and the loaders of docs/export.md in PyTorch
    Hf,
}

/// Does what was typed.
///
/// # Errors
/// As [`export::export`].
pub(super) fn run(options: ExportOptions) -> Result<()> {
    match options.format {
        Format::Hf => export::export(&Export {
            model: options.model,
            out: options.out,
            device: options.device.unwrap_or_default(),
        }),
    }
}
