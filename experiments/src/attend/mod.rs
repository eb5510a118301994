//! `sparta attend`: what a trained model attends to in one text, as a page to look at.
//!
//! ```text
//! run folder ─► program_of ─► attend of the task ─► Attended (weights, tokens) ─► page ─► one HTML file
//! ```

mod attended;
mod cell;
mod page;

pub use attended::{Attended, Between, GlobalCells, Sequence, View, Words, check_size, not_blank};
pub use cell::Hidden;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sparta_ops::pruning::GlobalMask;
use sparta_results::overview::first_bytes;

use crate::analysis::open::run_folder_of;
use crate::analysis::{ProgramName, program_of};
use crate::device::DeviceChoice;
use crate::io::{print_line, write_text};
use crate::protocol::{ModelFolder, note};
use crate::task::{glue, lm, mlm, squad, translation};

/// What `sparta attend` asks for.
#[derive(Debug, Clone)]
pub struct Attend {
    /// A run folder, or the folder of a model in it.
    pub model: PathBuf,
    /// What the model reads.
    pub text: String,
    /// The translation, the second text of a pair, or the paragraph.
    pub target: Option<String>,
    /// The page; `figures/attention.html` of the run folder if not given.
    pub out: Option<PathBuf>,
    /// Where to compute.
    pub device: DeviceChoice,
    /// No words on standard error.
    pub quiet: bool,
}

/// Writes the page of a text, and prints its path.
///
/// # Errors
/// A folder without a trained model, texts that it does not read, or a file that is in the way; each says what to do.
pub fn attend(request: &Attend) -> Result<()> {
    let (run, _) = run_folder_of(&request.model)?;
    let program = program_of(run.root())?;
    let default = || run.root().join("figures").join("attention.html");
    let path = request.out.clone().unwrap_or_else(default);
    check_free(&path)?;
    let attended = match program {
        ProgramName::Lm => lm::attend(request)?,
        ProgramName::Iwslt => translation::attend(request)?,
        ProgramName::Glue => glue::attend(request)?,
        ProgramName::Squad => squad::attend(request)?,
        ProgramName::Mlm => mlm::attend(request)?,
    };
    let page = page::render(program.as_str(), &attended)?;
    write_text(&path, &page)?;
    let kilobytes = page.len().div_ceil(1000);
    note(
        request.quiet,
        &format!("{kilobytes} kB; open it in a browser"),
    );
    print_line(path.display())?;
    Ok(())
}

/// Refuses to replace a file that is no page of ours.
fn check_free(path: &Path) -> Result<()> {
    let bytes = match first_bytes(path, page::HEAD_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let why = format!(
                "cannot write a page to {}; choose a file by `--out FILE.html`",
                path.display()
            );
            return Err(error).context(why);
        }
    };
    match page::is_page(&bytes) {
        true => Ok(()),
        false => bail!(
            "{} exists and is no page of `sparta attend`: it is not overwritten; choose another file by `--out FILE.html`",
            path.display()
        ),
    }
}

/// What stands first about every model.
pub(crate) fn facts_of(
    folder: &ModelFolder,
    mechanism: &str,
    mask: Option<&GlobalMask>,
) -> Vec<(&'static str, String)> {
    let mask = mask.map_or_else(|| "none".to_owned(), |mask| mask.kind().to_string());
    vec![
        ("Model", folder.path.display().to_string()),
        ("Attention", mechanism.to_owned()),
        ("Global mask", mask),
    ]
}
