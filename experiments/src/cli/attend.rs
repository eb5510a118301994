//! `sparta attend`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::attend::{self, Attend};
use crate::device::{DeviceChoice, SPELLINGS};

/// Whose attention is shown, and on what.
#[derive(Debug, Args)]
pub(super) struct AttendOptions {
    /// Run folder, or the folder of one model in it (RUN/seed-1/NAME/dense, RUN/seed-1/NAME/rows/ROW)
    #[arg(value_name = "RUN[/MODEL]")]
    model: PathBuf,
    /// What the model reads
    #[arg(long, value_name = "TEXT")]
    text: String,
    /// Its translation instead of the model's own, the second text of a pair, or the paragraph of a question
    #[arg(long, value_name = "TEXT")]
    target: Option<String>,
    /// The page [default: figures/attention.html in the run folder]
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    #[arg(long, value_name = "DEVICE", help = format!("{SPELLINGS} [default: auto]"))]
    device: Option<DeviceChoice>,
    /// No words on standard error
    #[arg(long, short)]
    quiet: bool,
}

/// Does what was typed.
///
/// # Errors
/// As [`attend::attend`].
pub(super) fn run(options: AttendOptions) -> Result<()> {
    attend::attend(&Attend {
        model: options.model,
        text: options.text,
        target: options.target,
        out: options.out,
        device: options.device.unwrap_or_default(),
        quiet: options.quiet,
    })
}
