//! Makes a task's folder available: from the user's folder, from the cache, or downloaded.

use std::path::{Path, PathBuf};

use super::{GlueTask, advice, layout, mrpc};
use crate::source::{Archive, Listener, unpack};
use crate::{Error, Result};

/// Each set of sentences has its own, which the benchmark refers to.
const LICENCE: &str = "that of the task's own corpus, see https://gluebenchmark.com/tasks";

/// A published file and its sha256, as `glue/dataset_infos.json` of Hugging Face's `datasets` 2 has it.
macro_rules! published {
    ($folder:literal, $file:literal, $sha256:literal) => {
        Archive {
            file: $file,
            mirrors: &[concat!(
                "https://dl.fbaipublicfiles.com/",
                $folder,
                "/",
                $file
            )],
            sha256: Some($sha256),
            licence: LICENCE,
        }
    };
}

/// What is downloaded for a task: a zip with its tables, or the tables themselves.
const fn archives(task: GlueTask) -> &'static [Archive] {
    match task {
        GlueTask::Cola => &[published!(
            "glue/data",
            "CoLA.zip",
            "f212fcd832b8f7b435fb991f101abf89f96b933ab400603bf198960dfc32cbff"
        )],
        GlueTask::Sst2 => &[published!(
            "glue/data",
            "SST-2.zip",
            "d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa"
        )],
        GlueTask::Qqp => &[published!(
            "glue/data",
            "QQP-clean.zip",
            "40e7c862c04eb26ee04b67fd900e76c45c6ba8e6d8fab4f8f1f8072a1a3fbae0"
        )],
        GlueTask::Stsb => &[published!(
            "glue/data",
            "STS-B.zip",
            "e60a6393de5a8b5b9bac5020a1554b54e3691f9d600b775bd131e613ac179c85"
        )],
        GlueTask::Mnli => &[published!(
            "glue/data",
            "MNLI.zip",
            "e7c1d896d26ed6caf700110645df426cc2d8ebf02a5ab743d5a5c68ac1c83633"
        )],
        GlueTask::Qnli => &[published!(
            "glue/data",
            "QNLIv2.zip",
            "e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5"
        )],
        GlueTask::Rte => &[published!(
            "glue/data",
            "RTE.zip",
            "6bf86de103ecd335f3441bd43574d23fef87ecc695977a63b82d5efb206556ee"
        )],
        GlueTask::Wnli => &[published!(
            "glue/data",
            "WNLI.zip",
            "ae0e8e4d16f4d46d4a0a566ec7ecceccfd3fbfaa4a7a4b4e02848c0f2561ac46"
        )],
        GlueTask::Mrpc => &[
            published!(
                "senteval/senteval_data",
                "msr_paraphrase_train.txt",
                "60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89"
            ),
            published!(
                "senteval/senteval_data",
                "msr_paraphrase_test.txt",
                "a04e271090879aaba6423d65b94950c089298587d9c084bf9cd7439bd785f784"
            ),
            published!(
                "glue/data",
                "mrpc_dev_ids.tsv",
                "971d7767d81b997fd9060ade0ec23c4fc31cbb226a55d1bd4a1bac474eb81dc7"
            ),
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
    let given = from.and_then(|dir| unpacked_in(task, dir));
    let cached = || Some(cached(task, cache)).filter(|dir| is_unpacked(task, dir));
    let found = given.or_else(cached);
    found.ok_or_else(|| missing(task, from.unwrap_or(cache)))
}

/// That a folder which the user names has a task's files, unpacked or as the published zip.
///
/// # Errors
/// [`Error::MissingCorpus`], which says what was looked for.
pub fn check_given(task: GlueTask, dir: &Path) -> Result<()> {
    let mut zips = archives(task).iter().filter(|archive| is_zip(archive));
    let is_there = unpacked_in(task, dir).is_some() || zips.any(|zip| dir.join(zip.file).is_file());
    match is_there {
        true => Ok(()),
        false => Err(missing(task, dir)),
    }
}

/// The folder with a task's files that the user's folder is, or has.
fn unpacked_in(task: GlueTask, dir: &Path) -> Option<PathBuf> {
    let below = ["", "glue", "glue_data"].map(|below| dir.join(below).join(task.folder()));
    let mut places = below.into_iter().chain([dir.to_owned()]);
    places.find(|dir| is_unpacked(task, dir))
}

fn missing(task: GlueTask, dir: &Path) -> Error {
    let files: Vec<&str> = layout::files(task).iter().map(|file| file.file).collect();
    let archives: Vec<&str> = archives(task).iter().map(|archive| archive.file).collect();
    Error::MissingCorpus {
        corpus: task.title(),
        dir: dir.to_owned(),
        found: format!(
            "no {} with {}, no {}",
            task.folder(),
            files.join(", "),
            archives.join(", ")
        ),
        next: advice(task),
    }
}

/// Makes a task available and returns the folder that holds its files.
///
/// With `from`, the folders of [`locate`] are searched, then `from` for the published zip, which
/// is unpacked into the cache; nothing is downloaded. Without it the cache is used, and filled by a
/// download when it is empty, which `listener` is told of.
///
/// # Errors
/// [`Error::MissingCorpus`], [`Error::BadArchive`], [`Error::DownloadFailed`],
/// [`Error::DownloadNotCompiled`], [`Error::Io`].
pub fn prepare(
    task: GlueTask,
    from: Option<&Path>,
    cache: &Path,
    listener: Listener<'_>,
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
            None => download(task, archive, cache, &dir, listener)?,
        }
    }
    Ok(dir)
}

pub(crate) fn cached(task: GlueTask, cache: &Path) -> PathBuf {
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
    listener: Listener<'_>,
) -> Result<()> {
    let folder = if is_zip(archive) { cache } else { dir };
    let path = folder.join(archive.file);
    crate::source::fetch(&archive.remote(), &path, listener)?;
    if !is_zip(archive) {
        return Ok(());
    }
    crate::source::refused(unpack_files(task, &path, dir), &path)?;
    std::fs::remove_file(&path).map_err(Error::io("delete", &path))
}

#[cfg(not(feature = "download"))]
fn download(
    task: GlueTask,
    _archive: &Archive,
    cache: &Path,
    _dir: &Path,
    _listener: Listener<'_>,
) -> Result<()> {
    Err(Error::DownloadNotCompiled {
        corpus: task.title(),
        cache: cache.to_owned(),
    })
}
