//! Makes a task's folder available: from the user's folder, from the cache, or downloaded.

use std::path::{Path, PathBuf};

use super::{GlueTask, advice, layout, mrpc};
use crate::source::{Archive, unpack};
use crate::{Error, Result};

/// A published file; without a checksum, for none was published: rows and counts are checked when
/// the files are read.
macro_rules! published {
    ($folder:literal, $file:literal) => {
        Archive {
            file: $file,
            mirrors: &[concat!(
                "https://dl.fbaipublicfiles.com/",
                $folder,
                "/",
                $file
            )],
            sha256: None,
        }
    };
}

/// What is downloaded for a task: a zip with its tables, or the tables themselves.
const fn archives(task: GlueTask) -> &'static [Archive] {
    match task {
        GlueTask::Cola => &[published!("glue/data", "CoLA.zip")],
        GlueTask::Sst2 => &[published!("glue/data", "SST-2.zip")],
        GlueTask::Qqp => &[published!("glue/data", "QQP-clean.zip")],
        GlueTask::Stsb => &[published!("glue/data", "STS-B.zip")],
        GlueTask::Mnli => &[published!("glue/data", "MNLI.zip")],
        GlueTask::Qnli => &[published!("glue/data", "QNLIv2.zip")],
        GlueTask::Rte => &[published!("glue/data", "RTE.zip")],
        GlueTask::Wnli => &[published!("glue/data", "WNLI.zip")],
        GlueTask::Mrpc => &[
            published!("senteval/senteval_data", "msr_paraphrase_train.txt"),
            published!("senteval/senteval_data", "msr_paraphrase_test.txt"),
            published!("glue/data", "mrpc_dev_ids.tsv"),
        ],
    }
}

/// The folder with a task's files, without downloading or writing anything.
///
/// Looks, when the user named a folder, in `from/<folder>`, `from/glue/<folder>`,
/// `from/glue_data/<folder>` and `from` itself; then in the cache.
///
/// # Errors
/// [`Error::MissingCorpus`], which names the command to type.
pub fn locate(task: GlueTask, from: Option<&Path>, cache: &Path) -> Result<PathBuf> {
    let mut places = Vec::new();
    if let Some(dir) = from {
        places = ["", "glue", "glue_data"]
            .map(|below| dir.join(below).join(task.folder()))
            .to_vec();
        places.push(dir.to_owned());
    }
    places.push(cached(task, cache));
    let found = places.into_iter().find(|dir| is_unpacked(task, dir));
    found.ok_or_else(|| {
        let files: Vec<&str> = layout::files(task).iter().map(|file| file.file).collect();
        let archives: Vec<&str> = archives(task).iter().map(|archive| archive.file).collect();
        Error::MissingCorpus {
            corpus: task.title(),
            dir: from.unwrap_or(cache).to_owned(),
            found: format!(
                "no {} with {}, no {}",
                task.folder(),
                files.join(", "),
                archives.join(", ")
            ),
            next: advice(task),
        }
    })
}

/// Makes a task available and returns the folder that holds its files.
///
/// With `from`, the folders of [`locate`] are searched, then `from` for the published zip, which
/// is unpacked into the cache; nothing is downloaded. Without it the cache is used, and filled by a
/// download when it is empty.
///
/// # Errors
/// [`Error::MissingCorpus`], [`Error::BadArchive`], [`Error::DownloadFailed`],
/// [`Error::DownloadNotCompiled`], [`Error::Io`].
pub fn prepare(task: GlueTask, from: Option<&Path>, cache: &Path) -> Result<PathBuf> {
    prepare_with_progress(task, from, cache, &mut |_, _| ())
}

/// [`prepare`], calling `progress(bytes so far, bytes in all if known)` while it downloads.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_with_progress(
    task: GlueTask,
    from: Option<&Path>,
    cache: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<PathBuf> {
    let missing = match locate(task, from, cache) {
        Ok(dir) => return Ok(dir),
        Err(error) => error,
    };
    let dir = cached(task, cache);
    for archive in archives(task) {
        match from.map(|from| from.join(archive.file)) {
            Some(path) if is_zip(archive) && path.is_file() => unpack_files(task, &path, &dir)?,
            Some(_) => return Err(missing),
            None => download(task, archive, cache, &dir, progress)?,
        }
    }
    Ok(dir)
}

fn cached(task: GlueTask, cache: &Path) -> PathBuf {
    cache.join("glue").join(task.folder())
}

/// Whether any train or dev file of the task is there; their content is not looked at.
fn is_unpacked(task: GlueTask, dir: &Path) -> bool {
    let is_mrpc = task == GlueTask::Mrpc && mrpc::is_there(dir);
    let mut files = layout::files(task).iter();
    is_mrpc || files.any(|file| dir.join(file.file).is_file())
}

fn is_zip(archive: &Archive) -> bool {
    archive.file.ends_with(".zip")
}

fn unpack_files(task: GlueTask, archive: &Path, dir: &Path) -> Result<()> {
    let names: Vec<String> = layout::files(task)
        .iter()
        .map(|file| file.file.to_owned())
        .collect();
    unpack(archive, &names, dir)
}

#[cfg(feature = "download")]
fn download(
    task: GlueTask,
    archive: &Archive,
    cache: &Path,
    dir: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<()> {
    let folder = if is_zip(archive) { cache } else { dir };
    let path = folder.join(archive.file);
    crate::source::fetch_with_progress(archive.mirrors, archive.sha256, &path, progress)?;
    if !is_zip(archive) {
        return Ok(());
    }
    unpack_files(task, &path, dir)?;
    std::fs::remove_file(&path).map_err(Error::io("delete", &path))
}

#[cfg(not(feature = "download"))]
fn download(
    task: GlueTask,
    _archive: &Archive,
    cache: &Path,
    _dir: &Path,
    _progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<()> {
    Err(Error::DownloadNotCompiled {
        corpus: task.title(),
        cache: cache.to_owned(),
    })
}
