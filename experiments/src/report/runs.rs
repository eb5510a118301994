//! Run folders and the files in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sparta_results::{RunRecord, load_readable};

use crate::protocol::RunFolder;
use crate::version::typed;

/// How deep runs are looked for below a folder.
const DEPTH: usize = 3;
/// Pictures that a page can show.
const PICTURES: [&str; 2] = ["svg", "png"];

/// The run folders that some paths name or hold, each once, in the order of the paths, then by name.
///
/// # Errors
/// A path without a run in it.
pub(crate) fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut whole = BTreeSet::new();
    for path in paths {
        ensure!(
            path.is_dir(),
            "there is no folder {}; give run folders or a folder of them, or make a run with `lm`, `iwslt`, `glue`, \
             `squad` or `mlm` (in runs/, where `sparta report` and `sparta runs` look without a path)",
            path.display()
        );
        let mut runs = Vec::new();
        collect(path, DEPTH, &mut runs)?;
        if runs.is_empty() {
            bail!(
                "{} is no run folder and holds none (there is no recipe.toml in it or below); make a run with `lm`, \
                 `iwslt`, `glue`, `squad` or `mlm`, e.g. `lm --out {}`",
                path.display(),
                typed(&path.join("NAME"))
            );
        }
        for run in runs {
            let failed = || format!("cannot open {}", run.display());
            if whole.insert(run.canonicalize().with_context(failed)?) {
                found.push(run);
            }
        }
    }
    Ok(found)
}

fn collect(folder: &Path, depth: usize, runs: &mut Vec<PathBuf>) -> Result<()> {
    if RunFolder::at(folder.to_owned()).is_run() {
        runs.push(folder.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    for path in entries(folder)? {
        if path.is_dir() && !name(&path).starts_with('.') {
            collect(&path, depth - 1, runs)?;
        }
    }
    Ok(())
}

/// The records of a run folder that can be read, and what is wrong with each file of the others, by name.
///
/// # Errors
/// A folder that cannot be read.
pub(crate) fn records(root: &Path) -> Result<(Vec<RunRecord>, Vec<String>)> {
    let folder = RunFolder::at(root.to_owned()).records();
    if !folder.is_dir() {
        return Ok((Vec::new(), Vec::new()));
    }
    let (records, damaged) = load_readable(folder)?;
    let named = damaged.into_iter().map(|(file, error)| {
        let (file, problem) = (file.display().to_string(), error.to_string());
        match problem.contains(&file) {
            true => problem,
            false => format!("{file}: {problem}"),
        }
    });
    Ok((records, named.collect()))
}

/// Refuses, once all the rest is done, what could not be read and was named: who looks at the exit status alone must
/// learn of it.
///
/// # Errors
/// Anything in `left_out`.
pub(crate) fn refuse_left_out(done: &str, left_out: usize) -> Result<()> {
    ensure!(
        left_out == 0,
        "{done} without what is named above ({left_out} left out): mend that, and give the command again"
    );
    Ok(())
}

/// Pictures of a run folder, and other files to link to, relative to it and by name.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn files(root: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let (mut figures, mut documents) = (Vec::new(), Vec::new());
    let recipe = RunFolder::at(root.to_owned()).recipe();
    for path in entries(root)? {
        let (name, is_file) = (name(&path), path.is_file());
        let is_table = name.starts_with("TABLE");
        if is_file && is_table && is_picture(&path) {
            figures.push(name);
        } else if is_file && (is_table || name == "SAMPLES.md" || path == recipe) {
            documents.push(name);
        }
    }
    let own = root.join("figures");
    if own.is_dir() {
        for path in entries(&own)? {
            let file = format!("figures/{}", name(&path));
            if path.is_file() && is_picture(&path) {
                figures.push(file);
            } else if path
                .extension()
                .is_some_and(|of| of == "html" || of == "md")
            {
                documents.push(file);
            }
        }
    }
    Ok((figures, documents))
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    PICTURES.iter().any(|picture| extension == *picture)
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = || format!("cannot read {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(failed)? {
        paths.push(entry.with_context(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The way from one folder to another, with `/`; `.` from a folder to itself.
///
/// # Errors
/// A folder that is not there.
pub(crate) fn relative(from: &Path, to: &Path) -> Result<String> {
    let whole = |path: &Path| {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        path.canonicalize()
            .with_context(|| format!("cannot open {}", path.display()))
    };
    let (from, to) = (whole(from)?, whole(to)?);
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[shared..].iter().map(|_| "..".to_owned());
    let down = to[shared..]
        .iter()
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    let parts: Vec<String> = up.chain(down).collect();
    Ok(match parts.is_empty() {
        true => ".".to_owned(),
        false => parts.join("/"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_folder_to_folder() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["runs/a", "runs/b/deep"].map(|name| folder.path().join(name));
        for path in [&a, &b] {
            fs::create_dir_all(path).unwrap();
        }
        assert_eq!(relative(&a, &b).unwrap(), "../b/deep");
        assert_eq!(relative(&a, &a).unwrap(), ".");
        assert_eq!(relative(folder.path(), &b).unwrap(), "runs/b/deep");
        assert!(relative(&a, &folder.path().join("none")).is_err());
    }
}
