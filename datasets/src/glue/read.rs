//! The parts of a task from its folder.

use std::path::{Path, PathBuf};

use super::table::{finish, missing, read_table};
use super::{GlueTask, layout, mrpc, path_of};
use crate::classification::{ClassificationCorpus, LoadedTask, Part, PartCount};
use crate::source::{Origin, Origins};
use crate::{Error, Result};

/// All parts of a task that lie in a folder; train and dev must be there, test need not.
///
/// # Errors
/// [`Error::MissingCorpus`], and those of [`read_part`].
pub fn read_task(task: GlueTask, dir: &Path) -> Result<LoadedTask> {
    let mut parts = Vec::new();
    let mut counts = Vec::new();
    for file in layout::files(task) {
        let is_test = file.part.starts_with("test");
        match read_part(task, dir, file.part) {
            Ok((part, count)) => {
                parts.push(part);
                counts.push(count);
            }
            Err(Error::MissingCorpus { .. }) if is_test => {}
            Err(error) => return Err(error),
        }
    }
    let corpus = ClassificationCorpus {
        name: task.name().into(),
        labels: task.labels(),
        parts,
    };
    Ok(LoadedTask { corpus, counts })
}

/// What the files are that [`read_task`] reads; their names have the task's folder.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn origins(task: GlueTask, dir: &Path) -> Result<Origins> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for file in layout::files(task) {
        let path = path_of(dir, file);
        let read = match path.is_file() {
            true => vec![path],
            false if task == GlueTask::Mrpc => mrpc::files(dir, file),
            false => Vec::new(),
        };
        for path in read {
            // MRPC's authors have train and dev in one file.
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    let origin = |path: PathBuf| {
        let file = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy();
        let name = format!("{}/{file}", task.folder());
        Origin::known(&path, name)
    };
    let origins = paths.into_iter().map(origin);
    origins.collect::<Result<_>>().map(Origins)
}

/// One part of a task from its file in the task's folder.
///
/// MRPC is read from `train.tsv`, `dev.tsv` and `test.tsv`, or, where there are none, from
/// `msr_paraphrase_train.txt`, `msr_paraphrase_test.txt` and `dev_ids.tsv` (whose test part has
/// labels).
///
/// # Errors
/// [`Error::UnknownPart`] for a name that the task does not have, [`Error::MissingCorpus`] without
/// the file, [`Error::WrongFile`] for another header, [`Error::WrongRow`] for a row with other
/// columns or an unknown label, [`Error::Io`].
pub fn read_part(task: GlueTask, dir: &Path, part: &str) -> Result<(Part, PartCount)> {
    let files = layout::files(task);
    let file = files
        .iter()
        .find(|file| file.part == part)
        .ok_or_else(|| Error::UnknownPart {
            corpus: task.name().to_owned(),
            name: part.to_owned(),
            known: files
                .iter()
                .map(|file| file.part)
                .collect::<Vec<_>>()
                .join(", "),
        })?;
    let path = path_of(dir, file);
    if !path.is_file() {
        return match task {
            GlueTask::Mrpc if mrpc::is_there(dir) => mrpc::read(dir, file),
            _ => Err(missing(task, dir, file.file)),
        };
    }
    let table = read_table(task, &path, file)?;
    Ok(finish(file, &path, table))
}
