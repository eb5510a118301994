//! Finding published texts: unpacked, compressed, or inside of an archive.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use super::catalog::Published;
use crate::atomic::write_atomically;
use crate::source::{Limited, text_of};
use crate::{Error, Result};

/// The file of a text below one of the folders: at its path, or under its bare name, or either
/// with `.gz`.
pub(super) fn find(folders: &[PathBuf], spellings: &[&str]) -> Option<PathBuf> {
    let places = spellings.iter().flat_map(|path| {
        let name = path.rsplit('/').next().unwrap_or(path);
        [
            (*path).to_owned(),
            name.to_owned(),
            format!("{path}.gz"),
            format!("{name}.gz"),
        ]
    });
    let places: Vec<String> = places.collect();
    folders
        .iter()
        .flat_map(|folder| places.iter().map(move |place| folder.join(place)))
        .find(|path| path.is_file())
}

/// The whole text of a file, unpacked if it is compressed.
///
/// # Errors
/// [`Error::BadArchive`] for one that does not unpack, [`Error::WrongFile`] for other bytes than UTF-8, with what
/// they are, [`Error::Io`].
pub(super) fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    match kind(&mut file, path)? {
        Kind::Gzip => {
            unpacked(file, path)?
                .read_to_end(&mut bytes)
                .map_err(|cause| Error::BadArchive {
                    path: path.to_owned(),
                    cause: cause.to_string(),
                })?;
        }
        Kind::Zip | Kind::Other => {
            file.read_to_end(&mut bytes)
                .map_err(Error::io("read", path))?;
        }
    }
    let next = || match path.extension().is_some_and(|ending| ending == "gz") {
        true => "it is not gzip-compressed either, as its name says; delete it and fetch it again",
        false => "get the published file",
    };
    text_of(bytes).map_err(|no_text| no_text.of(path, || next().to_owned()))
}

/// What a gzip file unpacks to.
fn unpacked(file: File, path: &Path) -> Result<Limited<MultiGzDecoder<BufReader<File>>>> {
    let packed = file.metadata().map_err(Error::io("read", path))?.len();
    let gzip = MultiGzDecoder::new(BufReader::new(file));
    Ok(Limited::new(gzip, packed))
}

/// Texts of the corpus that no folder has yet, by all their spellings.
pub(super) fn missing<'a>(published: &'a Published, folders: &[PathBuf]) -> Vec<&'a str> {
    let sides = published
        .parts
        .iter()
        .flat_map(|part| [part.source, part.target]);
    sides
        .filter(|spellings| find(folders, spellings).is_none())
        .flatten()
        .copied()
        .collect()
}

/// Unpacks the wanted texts that an archive holds below `dir`; others are left alone.
///
/// # Errors
/// [`Error::BadArchive`], [`Error::Io`].
pub(super) fn unpack(archive: &Path, wanted: &[&str], dir: &Path) -> Result<()> {
    let bad = |cause: std::io::Error| Error::BadArchive {
        path: archive.to_owned(),
        cause: cause.to_string(),
    };
    let mut file = File::open(archive).map_err(Error::io("read", archive))?;
    match kind(&mut file, archive)? {
        Kind::Gzip if is_tar(archive) => {
            let mut tar = tar::Archive::new(unpacked(file, archive)?);
            for entry in tar.entries().map_err(bad)? {
                let mut entry = entry.map_err(bad)?;
                let path = entry.path().map_err(bad)?.to_string_lossy().into_owned();
                if let Some(text) = wanted_as(&path, wanted) {
                    copy(&mut entry, &dir.join(text), archive)?;
                }
            }
            Ok(())
        }
        Kind::Gzip => {
            // A single compressed text: it is found by its bare name.
            let name = archive.file_name().unwrap_or_default();
            copy(&mut file, &dir.join(name), archive)
        }
        Kind::Zip => {
            let packed = file.metadata().map_err(Error::io("read", archive))?.len();
            let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|e| bad(e.into()))?;
            for index in 0..zip.len() {
                let entry = zip.by_index(index).map_err(|e| bad(e.into()))?;
                let path = entry.name().to_owned();
                if let Some(text) = wanted_as(&path, wanted) {
                    let mut entry = Limited::new(entry, packed);
                    copy(&mut entry, &dir.join(text), archive)?;
                }
            }
            Ok(())
        }
        Kind::Other => Err(bad(std::io::Error::other("neither gzip nor zip"))),
    }
}

/// What a member is wanted as: its path ends in the text's, or is its bare name.
fn wanted_as<'a>(member: &str, wanted: &[&'a str]) -> Option<&'a str> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let member = member.trim_start_matches("./");
    let fits = |text: &&&str| {
        member == **text
            || member.ends_with(&format!("/{text}"))
            || (!member.contains('/') && member == name(text))
    };
    wanted.iter().find(fits).copied()
}

fn copy(from: &mut impl Read, to: &Path, archive: &Path) -> Result<()> {
    write_atomically(to, |file| {
        std::io::copy(from, file)
            .map(|_| ())
            .map_err(|cause| Error::BadArchive {
                path: archive.to_owned(),
                cause: format!("{}: {cause}", to.display()),
            })
    })
}

enum Kind {
    Gzip,
    Zip,
    Other,
}

/// What a file is by its first bytes; the file is wound back.
fn kind(file: &mut File, path: &Path) -> Result<Kind> {
    let mut start = Vec::new();
    let io = || Error::io("read", path);
    file.by_ref()
        .take(2)
        .read_to_end(&mut start)
        .map_err(io())?;
    file.seek(SeekFrom::Start(0)).map_err(io())?;
    Ok(match start.as_slice() {
        [0x1f, 0x8b] => Kind::Gzip,
        b"PK" => Kind::Zip,
        _ => Kind::Other,
    })
}

fn is_tar(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".tgz") || name.ends_with(".tar.gz")
}
