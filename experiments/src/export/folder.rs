//! A folder that appears whole or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A file of it: its name and content.
pub(super) type Content = (String, Vec<u8>);

/// Locked while its folder is being written, and not in the finished one.
const LOCK: &str = ".writing";

/// Refuses a folder that has something in it: nothing is overwritten.
///
/// # Errors
/// What is there, and what to do.
pub(super) fn check_free(out: &Path) -> Result<()> {
    let shown = out.display();
    if out.file_name().is_none() {
        bail!("`--out {shown}` has no name of its own: give a new folder, e.g. `--out exported`");
    }
    match fs::read_dir(out) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            bail!("{shown} is a file: give a new folder by `--out DIR`")
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {shown}")),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => bail!(
                "{shown} exists and is not empty, and nothing is overwritten: give a new folder by `--out DIR`, or \
                 delete it first"
            ),
        },
    }
}

/// Writes files to a folder beside `out`, makes them durable, and renames it. Folders that killed processes have left
/// half written for the same `out` are removed.
///
/// # Errors
/// A disk that is full or failed, or a folder that was filled in the meantime; nothing is left behind.
pub(super) fn write(out: &Path, files: &[Content]) -> Result<()> {
    check_free(out)?;
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let start = format!(".{name}.half-");
    fs::create_dir_all(&parent)
        .with_context(|| format!("cannot make the folder {}", parent.display()))?;
    remove_left(&parent, &start)?;
    let half = parent.join(format!("{start}{}", std::process::id()));
    let written = fill(&half, files).and_then(|()| {
        // An empty folder makes room; one that is not empty by now stays.
        match fs::remove_dir(out) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => fs::rename(&half, out),
        }
    });
    if let Err(error) = written {
        let _ = fs::remove_dir_all(&half);
        let why = format!("cannot write {} (nothing was left behind)", out.display());
        return Err(error).context(why);
    }
    sync_folder(&parent).with_context(|| format!("cannot write {}", parent.display()))
}

fn fill(half: &Path, files: &[Content]) -> std::io::Result<()> {
    fs::create_dir(half)?;
    let lock = File::create_new(half.join(LOCK))?;
    // A file system without locks has no one to keep out either.
    let _ = lock.try_lock();
    for (name, content) in files {
        let mut file = File::create_new(half.join(name))?;
        file.write_all(content)?;
        file.sync_all()?;
    }
    drop(lock);
    fs::remove_file(half.join(LOCK))?;
    sync_folder(half)
}

/// Makes the names in a folder durable, where the system has such a thing.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

/// Removes what nobody is writing any more.
fn remove_left(parent: &Path, start: &str) -> Result<()> {
    let failed = |path: &Path| format!("cannot clean up {}", path.display());
    for entry in fs::read_dir(parent).with_context(|| failed(parent))? {
        let entry = entry.with_context(|| failed(parent))?;
        if !entry.file_name().to_string_lossy().starts_with(start) {
            continue;
        }
        let path = entry.path();
        let is_left = match File::open(path.join(LOCK)) {
            // A look, which NFS grants to a file that is open for reading alone.
            Ok(lock) => lock.try_lock_shared().is_ok(),
            // Complete but for its name, or without its first file yet.
            Err(_) => true,
        };
        if is_left {
            fs::remove_dir_all(&path).with_context(|| failed(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<Content> {
        vec![
            ("a".to_owned(), b"one".to_vec()),
            ("b".to_owned(), b"two".to_vec()),
        ]
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<_> = entries
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_or_an_empty_folder_is_filled_and_another_one_stays() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("deep/er");
        write(&out, &files()).unwrap();
        assert_eq!(names(&out), ["a", "b"]);
        let error = write(&out, &files()).unwrap_err().to_string();
        assert!(
            error.contains("not empty") && error.contains("--out DIR"),
            "{error}"
        );
        let empty = root.path().join("empty");
        fs::create_dir(&empty).unwrap();
        write(&empty, &files()).unwrap();
        assert_eq!(fs::read(empty.join("b")).unwrap(), b"two");
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(
            check_free(&file)
                .unwrap_err()
                .to_string()
                .contains("is a file")
        );
        assert_eq!(names(root.path()), ["deep", "empty", "file"]);
    }

    #[test]
    fn what_a_killed_process_left_goes_and_what_is_being_written_stays() {
        let root = tempfile::tempdir().unwrap();
        let [left, busy, other] =
            [".out.half-1", ".out.half-2", ".other.half-3"].map(|name| root.path().join(name));
        for folder in [&left, &busy, &other] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("model.safetensors"), "half").unwrap();
        }
        fs::write(left.join(LOCK), "").unwrap();
        let held = File::create(busy.join(LOCK)).unwrap();
        held.try_lock().unwrap();
        write(&root.path().join("out"), &files()).unwrap();
        assert_eq!(names(root.path()), [".other.half-3", ".out.half-2", "out"]);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        // A name that no file can have stands for a disk that fails half-way.
        let files = [files(), vec![("no/where".to_owned(), Vec::new())]].concat();
        let error = format!("{:#}", write(&out, &files).unwrap_err());
        assert!(error.contains("nothing was left behind"), "{error}");
        assert!(names(root.path()).is_empty());
    }
}
