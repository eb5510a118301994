//! The user's own files, as they are given.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// What the user gave by `--data`, now or when the run began.
///
/// # Errors
/// Nothing given, or nothing there; `what` says what may be.
pub fn given<'a>(from: Option<&'a Path>, program: &str, what: &str) -> Result<&'a Path> {
    let path = from.with_context(|| {
        format!("nothing says where your own files are: give them, `{program} --data PATH`, where PATH is {what}")
    })?;
    ensure!(
        is_there(path),
        "nothing is at {}: say where your own files are, `{program} --data PATH`; a run that was made of them goes on by \
         `{program} --out RUN --resume --data PATH`, and is looked at by `sparta analyze RUN --data PATH`; PATH is {what}",
        path.display()
    );
    Ok(path)
}

/// Whether something is there, or begins with this name, as the two files of pairs do. What cannot be looked at is for its reader
/// to say.
fn is_there(path: &Path) -> bool {
    if path.try_exists().unwrap_or(true) {
        return true;
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let (Some(name), Ok(entries)) = (path.file_name(), parent.read_dir()) else {
        return false;
    };
    let name = name.as_encoded_bytes();
    let mut names = entries.flatten().map(|entry| entry.file_name());
    names.any(|of| of.as_encoded_bytes().starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_were_moved_are_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let given_at = |name: &str| {
            let path = dir.path().join(name);
            given(Some(&path), "glue", "a table").map(Path::to_owned)
        };
        std::fs::write(dir.path().join("texts.de"), "a\n").unwrap();
        given_at("texts.de").unwrap();
        // Pairs are named by the beginning of both files.
        given_at("texts").unwrap();
        for gone in ["moved.csv", "folder/moved.csv"] {
            let error = given_at(gone).unwrap_err().to_string();
            for said in ["moved.csv", "`glue --data PATH`", "--resume", "a table"] {
                assert!(error.contains(said), "{said}: {error}");
            }
        }
        let error = given(None, "glue", "a table").unwrap_err().to_string();
        assert!(error.contains("nothing says where"), "{error}");
    }
}
