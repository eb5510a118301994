//! Which text the models of a run are scored on. The run folder has no text: without its hash nobody could tell.

use anyhow::{Context, Result};
use sparta_datasets::Split;
use sparta_datasets::source::Sha256Hex;
use sparta_datasets::tokenize::pretrained::Tokenizer;

use super::text::Text;
use crate::io::{read_text, write_text};
use crate::protocol::RunFolder;
use crate::version::typed;

/// What has the hash in the data of a run.
const FILE: &str = "test-text.sha256";

/// Keeps the hash of the test text of a run, once: that of the same files is the same.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn save(folder: &RunFolder, text: &Text, tokenizer: &Tokenizer) -> Result<()> {
    let path = folder.data().join(FILE);
    match path.exists() {
        true => Ok(()),
        false => write_text(&path, &(hash(text, tokenizer)? + "\n")),
    }
}

/// The hash of the test text of a run.
///
/// # Errors
/// A run without it, with the command that adds it.
pub(super) fn of_run(folder: &RunFolder) -> Result<String> {
    let path = folder.data().join(FILE);
    let text = read_text(&path).with_context(|| {
        format!(
            "cannot read {}, which says what text the run was scored on: an earlier version made the run, or it was removed; \
             add it with `mlm eval --recipe {} --out {} --resume` (records stay as they are)",
            path.display(),
            typed(&folder.recipe()),
            typed(folder.root())
        )
    })?;
    Ok(text.trim().to_owned())
}

/// sha256 of the windows that are scored, as word pieces.
fn hash(text: &Text, tokenizer: &Tokenizer) -> Result<String> {
    let mut hasher = Sha256Hex::new();
    for window in text.windows(Split::Test) {
        for &id in &window.ids {
            let piece = tokenizer.token(id);
            let piece = piece.with_context(|| format!("the tokenizer has no token {id}"))?;
            hasher.update(piece.as_bytes());
            hasher.update(b" ");
        }
        hasher.update(b"\n");
    }
    Ok(hasher.finish())
}
