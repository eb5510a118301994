//! The user's own files, as they are given.

use std::path::Path;

use anyhow::{Context, Result};

/// What the user gave by `--data`.
///
/// # Errors
/// Nothing given; `what` says what may be.
pub fn given<'a>(from: Option<&'a Path>, program: &str, what: &str) -> Result<&'a Path> {
    from.with_context(|| {
        format!("nothing says where your own files are: give them, `{program} --data PATH`, where PATH is {what}")
    })
}
