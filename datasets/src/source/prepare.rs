//! Makes a published corpus available: from the user's folder, from the cache, or downloaded.

use std::path::{Path, PathBuf};

use super::archive::unpack;
use super::{Listener, Remote, refused};
use crate::wikitext::{self, WikiText};
use crate::{Error, Result, Split};

/// A published archive: its name, where it can be had, and its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archive {
    /// File name.
    pub file: &'static str,
    /// Addresses, tried in turn.
    pub mirrors: &'static [&'static str],
    /// sha256 in hexadecimal; `None` where none was published.
    pub sha256: Option<&'static str>,
    /// Its licence, or where that is said.
    pub licence: &'static str,
}

impl Archive {
    /// What is downloaded.
    pub const fn remote(&self) -> Remote<'static> {
        Remote {
            mirrors: self.mirrors,
            sha256: self.sha256,
            licence: self.licence,
        }
    }
}

/// As the summary of its authors has it (in `datasets/wikitext/README.md` of Hugging Face's `datasets`), which names no version.
const WIKITEXT: &str = "Creative Commons Attribution-ShareAlike";

/// The archive in which a WikiText was published: its author's site, and the first one (which
/// refuses requests by now, but stands in most scripts).
pub const fn archive_of(which: WikiText) -> Archive {
    match which {
        WikiText::Two => Archive {
            file: "wikitext-2-v1.zip",
            mirrors: &[
                "https://wikitext.smerity.com/wikitext-2-v1.zip",
                "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
            ],
            sha256: Some("92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c"),
            licence: WIKITEXT,
        },
        WikiText::OneHundredThree => Archive {
            file: "wikitext-103-v1.zip",
            mirrors: &[
                "https://wikitext.smerity.com/wikitext-103-v1.zip",
                "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-103-v1.zip",
            ],
            sha256: Some("242ba0f20b329cfdf1ccc61e9e9e5b59becf189db7f7a81cd2a0e2fc31539590"),
            licence: WIKITEXT,
        },
    }
}

/// The folder with the three files that the user's folder is, or has.
fn unpacked_in(which: WikiText, dir: &Path) -> Option<PathBuf> {
    let places = [dir.to_owned(), dir.join(which.folder())];
    places.into_iter().find(|dir| wikitext::is_unpacked(dir))
}

/// That a folder which the user names has the files, unpacked or as they were published.
///
/// # Errors
/// [`Error::MissingCorpus`], which says what was looked for; where some of the files are there, those of [`wikitext::check`].
pub fn check_given(which: WikiText, dir: &Path) -> Result<()> {
    let file = archive_of(which).file;
    if unpacked_in(which, dir).is_some() || dir.join(file).is_file() {
        return Ok(());
    }
    // When some of the files are there, the one that is missing is the better answer.
    if Split::ALL
        .into_iter()
        .any(|split| dir.join(wikitext::file_name(split)).is_file())
    {
        wikitext::check(dir, which)?;
    }
    let next = format!(
        "put {file} or the unpacked wiki.{{train,valid,test}}.tokens there, or name another folder"
    );
    Err(missing(which, dir, next))
}

/// The folder with the three files, without downloading or writing anything.
///
/// Looks in `from` and in `from/wikitext-…` when the user named a folder, then in the cache, where [`prepare`] unpacks the
/// archive of such a folder; [`check_given`] says whether it has one.
///
/// # Errors
/// [`Error::MissingCorpus`], which names the command to type.
pub fn locate(which: WikiText, from: Option<&Path>, cache: &Path) -> Result<PathBuf> {
    let given = from.and_then(|dir| unpacked_in(which, dir));
    let cached = || Some(cache.join(which.folder())).filter(|dir| wikitext::is_unpacked(dir));
    given.or_else(cached).ok_or_else(|| {
        missing(
            which,
            from.unwrap_or(cache),
            format!(
                "run `prepare`, or `prepare --from DIR` with a folder that holds {}",
                archive_of(which).file
            ),
        )
    })
}

/// Makes a WikiText available and returns the folder that holds its three files.
///
/// With `from`, the user's folder is searched for the files, for `wikitext-…/` with them, and for
/// the published zip, which is unpacked into the cache; nothing is downloaded. Without it, the
/// cache is used, and filled by a download when it is empty, which `listener` is told of. The files'
/// token counts are checked.
///
/// # Errors
/// [`Error::MissingCorpus`], [`Error::WrongFile`], [`Error::BadArchive`],
/// [`Error::DownloadFailed`], [`Error::DownloadNotCompiled`], [`Error::Io`].
pub fn prepare(
    which: WikiText,
    from: Option<&Path>,
    cache: &Path,
    listener: Listener<'_>,
) -> Result<PathBuf> {
    let cached = cache.join(which.folder());
    let file = archive_of(which).file;
    let dir = if let Some(dir) = from {
        check_given(which, dir)?;
        if let Some(unpacked) = unpacked_in(which, dir) {
            unpacked
        } else {
            unpack_tokens(&dir.join(file), &cached)?;
            cached.clone()
        }
    } else {
        if !wikitext::is_unpacked(&cached) {
            download_and_unpack(which, cache, &cached, listener)?;
        }
        cached.clone()
    };
    let checked = wikitext::check(&dir, which);
    if dir == cached {
        refused(checked, &cached)?;
    } else {
        checked?;
    }
    Ok(dir)
}

#[cfg(feature = "download")]
fn download_and_unpack(
    which: WikiText,
    cache: &Path,
    cached: &Path,
    listener: Listener<'_>,
) -> Result<()> {
    let published = archive_of(which);
    let archive = cache.join(published.file);
    super::fetch(&published.remote(), &archive, listener)?;
    refused(unpack_tokens(&archive, cached), &archive)?;
    std::fs::remove_file(&archive).map_err(Error::io("delete", &archive))
}

#[cfg(not(feature = "download"))]
fn download_and_unpack(
    which: WikiText,
    cache: &Path,
    _cached: &Path,
    _listener: Listener<'_>,
) -> Result<()> {
    Err(Error::DownloadNotCompiled {
        corpus: which.title(),
        cache: cache.to_owned(),
    })
}

fn unpack_tokens(archive: &Path, dir: &Path) -> Result<()> {
    unpack(archive, &Split::ALL.map(wikitext::file_name), dir)
}

fn missing(which: WikiText, dir: &Path, next: String) -> Error {
    let found = format!(
        "no wiki.train.tokens, wiki.valid.tokens, wiki.test.tokens, no {}",
        archive_of(which).file
    );
    Error::MissingCorpus {
        corpus: which.title(),
        dir: dir.to_owned(),
        found,
        next,
    }
}
