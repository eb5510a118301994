//! One file as train, validation and test.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::source::Sha256Hex;
use crate::{Error, Result, Split};

/// Names of the files of a folder with splits, before their endings.
const NAMES: [(Split, &[&str]); 3] = [
    (Split::Train, &["train", "wiki.train"]),
    (Split::Valid, &["valid", "validation", "dev", "wiki.valid"]),
    (Split::Test, &["test", "wiki.test"]),
];

/// What a folder has for each split: what `find` finds at one of its names, without an ending.
///
/// # Errors
/// What `missing` says of a split that has nothing, by its name; a split that several files could be.
pub(super) fn of_folder<T: Named>(
    dir: &Path,
    find: impl Fn(&Path) -> Vec<T>,
    missing: impl Fn(&str) -> Error,
) -> Result<Vec<(T, Option<Split>)>> {
    let part = |(split, names): (Split, &[&str])| {
        let found = the_one(
            dir,
            split,
            names.iter().flat_map(|name| find(&dir.join(name))),
        )?;
        let missing = || with_near(missing(names[0]), dir, names);
        Ok((found.ok_or_else(missing)?, Some(split)))
    };
    NAMES.into_iter().map(part).collect()
}

/// What stands for a split, by the name of its file.
pub(super) trait Named {
    /// A name, of several files all.
    fn name(&self) -> String;

    /// Whether a file of it has not one byte.
    fn is_empty(&self) -> bool;
}

impl Named for PathBuf {
    fn name(&self) -> String {
        let name = self.file_name().unwrap_or(self.as_os_str());
        name.to_string_lossy().into_owned()
    }

    fn is_empty(&self) -> bool {
        fs::metadata(self).is_ok_and(|of| of.len() == 0)
    }
}

/// The only one there is.
///
/// # Errors
/// Several, of which one would not be read.
pub(super) fn the_one<T: Named>(
    dir: &Path,
    split: impl std::fmt::Display,
    found: impl IntoIterator<Item = T>,
) -> Result<Option<T>> {
    let mut found: Vec<T> = found.into_iter().collect();
    if found.len() > 1 {
        let names: Vec<String> = found
            .iter()
            .map(|file| format!("`{}`", file.name()))
            .collect();
        return Err(Error::WrongFile {
            path: dir.to_owned(),
            expected: format!("one file, or one pair of files, for {split}"),
            found: names.join(" and "),
            next: "take away what is not to be read".to_owned(),
        });
    }
    Ok(found.pop())
}

/// As [`of_folder`], for what is judged on its validation split where there is no test split.
///
/// # Errors
/// As [`of_folder`].
pub(super) fn of_folder_with_or_without_test<T: Named>(
    dir: &Path,
    find: impl Fn(&Path) -> Vec<T>,
    missing: impl Fn(&str) -> Error,
) -> Result<([T; 2], Option<T>)> {
    let part = |split: Split| {
        let names = names_of(split).iter();
        the_one(dir, split, names.flat_map(|name| find(&dir.join(name))))
    };
    let needed = |split: Split| {
        let names = names_of(split);
        part(split)?.ok_or_else(|| with_near(missing(split.name()), dir, names))
    };
    let [train, valid] = [needed(Split::Train)?, needed(Split::Valid)?];
    Ok(([train, valid], part(Split::Test)?))
}

/// The names of the files of a split, before their endings.
fn names_of(split: Split) -> &'static [&'static str] {
    let names = NAMES.iter().find(|(of, _)| *of == split);
    names.map_or(&[], |(_, names)| names)
}

/// The error for a split that has nothing, with the files whose names are its own but for upper case.
fn with_near(error: Error, dir: &Path, names: &[&str]) -> Error {
    let Error::WrongFile {
        path,
        expected,
        found,
        next,
    } = error
    else {
        return error;
    };
    let is_near = |file: &OsString| {
        let file = file.to_string_lossy();
        names.iter().any(|&name| {
            let start = file.get(..name.len());
            let is_start = start.is_some_and(|start| start.eq_ignore_ascii_case(name));
            is_start
                && start != Some(name)
                && !file[name.len()..].starts_with(char::is_alphanumeric)
        })
    };
    let near: Vec<String> = (files_in(dir, is_near).iter())
        .map(|file| format!("`{}`", file.to_string_lossy()))
        .collect();
    let found = match near.is_empty() {
        true => found,
        false => format!(
            "{found}, but {}: names are in lower case",
            near.join(" and ")
        ),
    };
    Error::WrongFile {
        path,
        expected,
        found,
        next,
    }
}

/// The files of a folder with names of some kind, in order; none of a folder that cannot be read.
fn files_in(dir: &Path, is_of_kind: impl Fn(&OsString) -> bool) -> Vec<OsString> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name()).filter(is_of_kind);
    let mut names: Vec<OsString> = names.filter(|name| dir.join(name).is_file()).collect();
    names.sort();
    names
}

/// The files that begin so and end in one of these, in letters of either case, packed or not.
pub(super) fn with_end(start: &Path, ends: &[&str]) -> Vec<PathBuf> {
    let Some(name) = start.file_name() else {
        return Vec::new();
    };
    let end_of = |file: &OsString| {
        let end = file
            .as_encoded_bytes()
            .strip_prefix(name.as_encoded_bytes());
        end.map(<[u8]>::to_ascii_lowercase)
    };
    let files = files_in(folder_of(start), |file| end_of(file).is_some());
    let ends = ends
        .iter()
        .flat_map(|end| ["", ".gz"].map(|gz| format!("{end}{gz}").into_bytes()));
    let with = |end: Vec<u8>| {
        let files = files
            .iter()
            .filter(move |file| end_of(file).as_ref() == Some(&end));
        files.map(|file| start.with_file_name(file))
    };
    ends.flat_map(with).collect()
}

/// The folder that a path is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent();
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Which share of the units of a file is held out, and by which hash.
///
/// ```
/// use sparta_datasets::Split;
/// use sparta_datasets::files::Fractions;
///
/// let fractions = Fractions { valid: 0.1, test: 0.1, seed: 1 };
/// let of = |text: &str| fractions.split_of(text);
/// assert_eq!(of("a sentence"), of("  a   sentence "));
/// let n = (0..10_000).filter(|i| of(&i.to_string()) == Split::Valid).count();
/// assert!((900..1100).contains(&n), "{n}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fractions {
    /// Share of validation, 0 to 1.
    pub valid: f64,
    /// Share of the test.
    pub test: f64,
    /// Which units these are.
    pub seed: u64,
}

impl Fractions {
    /// The error for a split that got nothing of what is at a path: no `unit`, such as a row. `files` are those of a folder,
    /// each of which is its split.
    pub(super) fn nothing<T: Named>(
        &self,
        path: &Path,
        (unit, split): (&str, Split),
        files: &[(T, Option<Split>)],
        more: &str,
    ) -> Error {
        let expected = format!("a {unit} for the {split} split");
        if let Some((file, _)) = files.iter().find(|(_, of)| *of == Some(split)) {
            let empty = match file.is_empty() {
                true => ", which is empty",
                false => "",
            };
            return Error::WrongFile {
                path: path.to_owned(),
                expected,
                found: format!("none in `{}`{empty}", file.name()),
                next: "put some there, or give one file, which is split by itself: `--data FILE`"
                    .to_owned(),
            };
        }
        let Self { valid, test, .. } = self;
        Error::WrongFile {
            path: path.to_owned(),
            expected,
            found: "none".to_owned(),
            next: format!(
                "what has no splits of its own is split by a hash ({valid} of it for validation, {test} for the test): give \
                 more, larger fractions, or a folder with train, valid and test{more}"
            ),
        }
    }

    /// The part of a unit, by its text alone (white space counts as one space): a unit is on the same side wherever and
    /// however often it stands.
    pub fn split_of(&self, unit: &str) -> Split {
        let mut hasher = Sha256Hex::new();
        hasher.update(&self.seed.to_le_bytes());
        for word in unit.split_whitespace() {
            hasher.update(word.as_bytes());
            hasher.update(b" ");
        }
        let bytes = hasher.finish_bytes();
        let draw = u64::from_le_bytes(std::array::from_fn(|i| bytes[i]));
        let draw = (draw >> 11) as f64 / (1_u64 << 53) as f64;
        match () {
            () if draw < self.test => Split::Test,
            () if draw < self.test + self.valid => Split::Valid,
            () => Split::Train,
        }
    }
}
