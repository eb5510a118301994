//! The user's own files: given, and remembered in the run folder.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use sparta_datasets::files::Origins;

use crate::io::{read_text, write_text};
use crate::protocol::RunFolder;

/// What remembers the files in a run folder.
const FILE: &str = "files.json";

/// What the user gave by `--data`.
///
/// # Errors
/// Nothing given; `what` says what may be.
pub fn given<'a>(from: Option<&'a Path>, program: &str, what: &str) -> Result<&'a Path> {
    from.with_context(|| {
        format!("nothing says where your own files are: give them, `{program} --data PATH`, where PATH is {what}")
    })
}

/// Remembers what a run's data are made of.
///
/// # Errors
/// Files that differ from those that are remembered already; a folder that cannot be written.
pub fn remember(folder: &RunFolder, origins: &Origins, from: &Path) -> Result<()> {
    match folder.data().join(FILE).exists() {
        true => same(folder, origins, from),
        false => {
            let dir = folder.data();
            std::fs::create_dir_all(&dir)
                .with_context(|| format!("cannot make the folder {}", dir.display()))?;
            write_text(
                &dir.join(FILE),
                &(serde_json::to_string_pretty(origins)? + "\n"),
            )
        }
    }
}

/// What a run's data are made of.
///
/// # Errors
/// A file that is missing or damaged.
pub fn remembered(folder: &RunFolder) -> Result<Origins> {
    let path = folder.data().join(FILE);
    let text = read_text(&path).with_context(|| {
        format!(
            "cannot read {}, which says what the run was made of",
            path.display()
        )
    })?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
}

/// That files are those that a run's data were made of.
///
/// # Errors
/// Other bytes than then.
pub fn same(folder: &RunFolder, found: &Origins, from: &Path) -> Result<()> {
    let known = remembered(folder)?;
    ensure!(
        known.name() == found.name(),
        "{} has other text than the run in {} was made of ({} then, {} now): give the files as they were, or train on these in \
         another folder, `--out DIR`",
        from.display(),
        folder.root().display(),
        known.name(),
        found.name()
    );
    Ok(())
}
