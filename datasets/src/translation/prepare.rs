//! Published texts → tokenised pairs in the cache.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::catalog::{Part, Published};
use super::raw;
use super::sentence::SentencePreparer;
use crate::atomic::write_atomically;
use crate::pairs::{ParallelCorpus, SentencePair, to_lower};
use crate::source::{Listener, Origin, Origins, read_utf8, refused};
use crate::tokenize::Language;
use crate::{Error, Result, Split};

/// Goes into the folder's name: files of another preparation are not taken for these.
const VERSION: u32 = 1;

/// The folder of the prepared files.
fn prepared_dir(published: &Published, cache: &Path) -> PathBuf {
    cache
        .join("translation")
        .join(format!("{}-v{VERSION}", published.name))
}

fn prepared_path(dir: &Path, split: Split, language: Language) -> PathBuf {
    dir.join(format!("{split}.{language}"))
}

/// The prepared files, both sides of each split.
fn prepared_paths(published: &Published, dir: &Path) -> impl Iterator<Item = PathBuf> {
    let languages = [published.source, published.target];
    Split::ALL
        .into_iter()
        .flat_map(move |split| languages.map(|language| prepared_path(dir, split, language)))
}

fn is_prepared(published: &Published, dir: &Path) -> bool {
    prepared_paths(published, dir).all(|path| path.is_file())
}

/// The folder that [`prepare`] wrote.
pub(super) fn locate(published: &Published, cache: &Path) -> Result<PathBuf> {
    let dir = prepared_dir(published, cache);
    match is_prepared(published, &dir) {
        true => Ok(dir),
        false => Err(missing(published, &dir, "no prepared files".to_owned())),
    }
}

/// That the user's folder has the published texts or one of their archives, or is a cache with the prepared files.
pub(super) fn check_given(published: &Published, dir: &Path) -> Result<()> {
    let archives: Vec<&str> = (published.archives.iter())
        .map(|archive| archive.file)
        .collect();
    let texts = raw::missing(published, &[dir.to_owned()]);
    let is_there = texts.is_empty()
        || archives.iter().any(|file| dir.join(file).is_file())
        || is_prepared(published, &prepared_dir(published, dir));
    if is_there {
        return Ok(());
    }
    Err(Error::MissingCorpus {
        corpus: published.title,
        dir: dir.to_owned(),
        found: format!(
            "none of the archives {}, and unpacked no {}",
            archives.join(", "),
            texts.join(", ")
        ),
        next: "put them there as published or unpacked, or name another folder".to_owned(),
    })
}

/// What the files that [`prepare`] wrote are; their names have the folder's, which says which preparation it was.
pub(super) fn origins(published: &Published, cache: &Path) -> Result<Origins> {
    let dir = locate(published, cache)?;
    let named = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let origin = |path: PathBuf| {
        let name = format!("{}/{}", named(&dir), named(&path));
        Origin::known(&path, name)
    };
    let origins = prepared_paths(published, &dir).map(origin);
    origins.collect::<Result<_>>().map(Origins)
}

/// Reads what [`prepare`] wrote.
pub(super) fn load(published: &Published, cache: &Path) -> Result<ParallelCorpus> {
    let dir = locate(published, cache)?;
    let mut corpus = empty(published);
    for split in Split::ALL {
        let side = |language| {
            let path = prepared_path(&dir, split, language);
            let text = read_utf8(&path, || {
                format!("delete {} and run `prepare` again", dir.display())
            })?;
            Ok((
                text.lines().map(str::to_owned).collect(),
                path.display().to_string(),
            ))
        };
        *corpus.split_mut(split) = zip(side(published.source)?, side(published.target)?)?;
    }
    Ok(corpus)
}

/// Finds, prepares and writes a corpus; returns its folder.
pub(super) fn prepare(
    published: &'static Published,
    from: Option<&Path>,
    cache: &Path,
    listener: Listener<'_>,
) -> Result<PathBuf> {
    let dir = prepared_dir(published, cache);
    if is_prepared(published, &dir) {
        return Ok(dir);
    }
    let unpacked = cache
        .join("translation")
        .join(format!("{}-published", published.name));
    let folders: Vec<PathBuf> = from
        .map(Path::to_owned)
        .into_iter()
        .chain([unpacked.clone()])
        .collect();
    for archive in published.archives {
        let wanted = raw::missing(published, &folders);
        if wanted.is_empty() {
            break;
        }
        match from {
            Some(from) => {
                let path = from.join(archive.file);
                if path.is_file() {
                    raw::unpack(&path, &wanted, &unpacked)?;
                }
            }
            None => download(published, archive, &wanted, &unpacked, listener)?,
        }
    }
    if let Some(text) = raw::missing(published, &folders).first() {
        let searched = from.unwrap_or(&unpacked);
        return Err(missing(published, searched, format!("no {text}")));
    }
    let corpus = build(published, &folders).and_then(|corpus| with_size(published, corpus));
    // What is there is not fetched again, also when it is not right.
    let corpus = refused(corpus, &unpacked)?;
    for split in Split::ALL {
        let pairs = corpus.pairs(split);
        let source = prepared_path(&dir, split, published.source);
        write_lines(&source, pairs.iter().map(|pair| pair.0.as_str()))?;
        let target = prepared_path(&dir, split, published.target);
        write_lines(&target, pairs.iter().map(|pair| pair.1.as_str()))?;
    }
    Ok(dir)
}

/// The corpus, if it has the published numbers of pairs.
fn with_size(published: &Published, corpus: ParallelCorpus) -> Result<ParallelCorpus> {
    for &(split, expected) in published.sizes {
        let found = corpus.pairs(split).len();
        if found != expected {
            return Err(Error::WrongSize {
                corpus: published.title,
                split,
                expected,
                found,
            });
        }
    }
    Ok(corpus)
}

#[cfg(feature = "download")]
fn download(
    published: &Published,
    archive: &super::catalog::Archive,
    wanted: &[&str],
    unpacked: &Path,
    listener: Listener<'_>,
) -> Result<()> {
    let name = archive.file.replace('/', "-");
    let path = unpacked.with_file_name(format!("{}-{name}", published.name));
    crate::source::fetch(&archive.remote(published.licence), &path, listener)?;
    if archive.file.ends_with(".gz") && !archive.file.ends_with(".tar.gz") {
        std::fs::create_dir_all(unpacked).map_err(Error::io("create", unpacked))?;
        let place = unpacked.join(archive.file);
        return std::fs::rename(&path, &place).map_err(Error::io("create", place));
    }
    refused(raw::unpack(&path, wanted, unpacked), &path)?;
    std::fs::remove_file(&path).map_err(Error::io("delete", &path))
}

#[cfg(not(feature = "download"))]
fn download(
    published: &Published,
    _archive: &super::catalog::Archive,
    _wanted: &[&str],
    unpacked: &Path,
    _listener: Listener<'_>,
) -> Result<()> {
    Err(Error::DownloadNotCompiled {
        corpus: published.title,
        cache: unpacked.to_owned(),
    })
}

fn build(published: &'static Published, folders: &[PathBuf]) -> Result<ParallelCorpus> {
    let mut corpus = empty(published);
    let source = SentencePreparer::new(&published.steps, published.source);
    let target = SentencePreparer::new(&published.steps, published.target);
    for part in published.parts {
        let pairs = zip(
            sentences(published, &source, part, part.source, folders)?,
            sentences(published, &target, part, part.target, folders)?,
        )?;
        corpus.split_mut(part.split).extend(pairs);
    }
    if let Some(cleaning) = published.steps.clean {
        let train = std::mem::take(&mut corpus.train);
        corpus.train = train
            .into_iter()
            .filter_map(|pair| cleaning.apply(pair))
            .collect();
    }
    if published.steps.lowercase {
        corpus = corpus.map(to_lower, to_lower);
    }
    if let Some(every) = published.steps.hold_out {
        let all = std::mem::take(&mut corpus.train).into_iter().zip(1_usize..);
        for (pair, number) in all {
            let split = if number.is_multiple_of(every) {
                Split::Valid
            } else {
                Split::Train
            };
            corpus.split_mut(split).push(pair);
        }
    }
    Ok(corpus)
}

/// The sentences of a text, and the file they are from.
fn sentences(
    published: &Published,
    preparer: &SentencePreparer,
    part: &Part,
    spellings: &[&str],
    folders: &[PathBuf],
) -> Result<(Vec<String>, String)> {
    let path = raw::find(folders, spellings).ok_or_else(|| {
        let searched = folders.first().map_or(Path::new("."), PathBuf::as_path);
        let found = format!("no {}", spellings.join(" or "));
        missing(published, searched, found)
    })?;
    let text = raw::read(&path)?;
    let origin = path.display().to_string();
    let sentences = part.format.of(&origin).sentences(&text).into_iter();
    let tokenized = sentences.map(|sentence| preparer.tokenized(sentence, part.split));
    Ok((tokenized.collect(), origin))
}

/// Sentences of both sides, each with the file they are from.
fn zip(
    (source, left): (Vec<String>, String),
    (target, right): (Vec<String>, String),
) -> Result<Vec<SentencePair>> {
    if source.len() == target.len() {
        return Ok(source.into_iter().zip(target).collect());
    }
    Err(Error::UnmatchedPairs {
        left,
        n_left: source.len(),
        right,
        n_right: target.len(),
    })
}

fn empty(published: &Published) -> ParallelCorpus {
    ParallelCorpus::empty(published.name, published.source, published.target)
}

fn write_lines<'a>(path: &Path, lines: impl Iterator<Item = &'a str>) -> Result<()> {
    write_atomically(path, |file| {
        let mut writer = BufWriter::new(file);
        let body = || {
            for line in lines {
                writer.write_all(line.as_bytes())?;
                writer.write_all(b"\n")?;
            }
            writer.flush()
        };
        body().map_err(Error::io("write", path))
    })
}

fn missing(published: &Published, dir: &Path, found: String) -> Error {
    let files: Vec<&str> = published
        .archives
        .iter()
        .map(|archive| archive.file)
        .collect();
    Error::MissingCorpus {
        corpus: published.title,
        dir: dir.to_owned(),
        found,
        next: format!(
            "run `prepare`, or `prepare --from DIR` with a folder that holds {}, as published or unpacked",
            files.join(", ")
        ),
    }
}
