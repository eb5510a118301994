//! Tables of labelled texts.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::read::read;
use super::split::{Fractions, of_folder, with_end};
use crate::classification::{ClassificationCorpus, Label, Labels, Part, TextExample};
use crate::source::{Origin, Origins};
use crate::{Error, Result, Split};

/// Endings of the files of a folder.
const ENDS: [&str; 3] = [".tsv", ".csv", ".jsonl"];
/// More names than this are no classes.
const MOST_CLASSES: usize = 1000;
/// So many classes are named in an error.
const NAMED: usize = 5;

/// What a label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// One of several names.
    Classes,
    /// A number.
    Score,
}

/// How a table becomes labelled texts.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRule {
    /// What is held out of a single file.
    pub fractions: Fractions,
    /// Column of the text, or of the first of two.
    pub first: String,
    /// Column of the second text; none for single texts.
    pub second: Option<String>,
    /// Column of the label.
    pub label: String,
    /// What the label is.
    pub kind: LabelKind,
}

/// Labelled texts of the user's own.
#[derive(Debug)]
pub struct OwnTable {
    /// Its parts `train`, `valid` and `test`; of [`Origins::name`].
    pub corpus: ClassificationCorpus,
    /// Its files.
    pub origins: Origins,
    /// What a new run of them is refused for: classes that are one number in several spellings, or that no training row has. A run that
    /// was made of them goes on.
    pub doubt: Option<Error>,
}

/// A row: its line, its texts, its label.
struct Row {
    line: usize,
    first: String,
    second: Option<String>,
    label: String,
}

/// A row with its file, and its split where the file has one.
type FileRow = (PathBuf, Option<Split>, Row);

impl TableRule {
    /// The examples of a file, split by their texts, or of a folder with train, valid (or dev) and test.
    ///
    /// `.csv` has commas and quotes (RFC 4180), `.jsonl` an object on each line, everything else tabs without quotes, as GLUE's
    /// files; endings may be in upper case. The first line of a table names its columns. Classes are the labels that there are, in
    /// the order of numbers if all are, else of letters.
    ///
    /// # Errors
    /// A folder that lacks a file; a column that is not there, with those that are; a row without a label or text, with its line; a
    /// split without an example; fewer than two classes or more than 1,000. What else a new run is refused for is a
    /// [`doubt`](OwnTable::doubt).
    pub fn corpus(&self, path: &Path) -> Result<OwnTable> {
        let (mut origins, mut rows) = (Vec::new(), Vec::new());
        let files = parts(path)?;
        for (path, split) in &files {
            let (text, origin) = read(path)?;
            origins.push(origin);
            for row in self.rows(path, &text)? {
                rows.push((path.clone(), *split, row));
            }
        }
        let labels = match self.kind {
            LabelKind::Score => Labels::Score,
            LabelKind::Classes => self.classes(path, &rows)?,
        };
        let spellings = self.several_spellings(&labels, &rows);
        let mut parts = Split::ALL.map(|split| Part {
            name: split.name(),
            examples: Vec::new(),
        });
        for (path, split, row) in rows {
            let label = self.parse(&labels, &path, &row)?;
            let split = split.unwrap_or_else(|| {
                let second = row.second.as_deref().unwrap_or_default();
                self.fractions.split_of(&format!("{} {second}", row.first))
            });
            let place = Split::ALL.iter().position(|of| *of == split).unwrap_or(0);
            parts[place].examples.push(TextExample {
                first: row.first,
                second: row.second,
                label: Some(label),
            });
        }
        for (split, part) in Split::ALL.into_iter().zip(&parts) {
            if part.examples.is_empty() {
                return Err(self.fractions.nothing(path, ("row", split), &files, ""));
            }
        }
        let doubt = spellings.or_else(|| self.not_learned(path, &labels, &parts[0]));
        let origins = Origins(origins);
        let corpus = ClassificationCorpus {
            name: origins.name().into(),
            labels,
            parts: parts.into(),
        };
        Ok(OwnTable {
            corpus,
            origins,
            doubt,
        })
    }

    /// What the files of [`TableRule::corpus`] are now.
    ///
    /// # Errors
    /// A folder that lacks a file; [`Error::Io`].
    pub fn origins(&self, path: &Path) -> Result<Origins> {
        let files = parts(path)?.into_iter();
        let origins = files.map(|(path, _)| Origin::of(&path));
        origins.collect::<Result<_>>().map(Origins)
    }

    fn classes(&self, path: &Path, rows: &[FileRow]) -> Result<Labels> {
        // Names of classes stand in tables with tabs.
        let is_wide = |row: &Row| row.label.contains(['\t', '\n', '\r']);
        if let Some((path, _, row)) = rows.iter().find(|(.., row)| is_wide(row)) {
            return Err(Error::WrongRow {
                path: path.clone(),
                line: row.line,
                expected: format!(
                    "a name without tabs and line ends in column `{}`",
                    self.label
                ),
                found: format!("{:?}", row.label),
                next: "give the class a name on one line".to_owned(),
            });
        }
        let names: BTreeSet<&str> = rows.iter().map(|(.., row)| row.label.as_str()).collect();
        if !(2..=MOST_CLASSES).contains(&names.len()) {
            return Err(Error::WrongFile {
                path: path.to_owned(),
                expected: format!("2 to {MOST_CLASSES} classes in column `{}`", self.label),
                found: names.len().to_string(),
                next: "name the column of the label, `data.files.label`; for numbers `data.files.labels=score`".to_owned(),
            });
        }
        let mut names: Vec<&str> = names.into_iter().collect();
        let numbers: Option<Vec<f64>> = names.iter().map(|name| name.parse().ok()).collect();
        if numbers.is_some() {
            let number = |name: &str| name.parse::<f64>().unwrap_or(f64::NAN);
            names.sort_by(|a, b| number(a).total_cmp(&number(b)));
        }
        let names: Vec<Cow<'static, str>> =
            names.iter().map(|name| (*name).to_owned().into()).collect();
        Ok(Labels::Classes(names.into()))
    }

    /// The error for classes that are one number, where all are numbers.
    fn several_spellings(&self, labels: &Labels, rows: &[FileRow]) -> Option<Error> {
        let Labels::Classes(names) = labels else {
            return None;
        };
        let number = |name: &str| name.parse::<f64>().ok();
        if names.iter().any(|name| number(name).is_none()) {
            return None;
        }
        // Beyond these whole numbers two that differ may be one f64.
        let is_exact = |of: Option<f64>| of.is_some_and(|of| of.abs() < 2.0_f64.powi(53));
        let mut alike = names.chunk_by(|a, b| number(a) == number(b) && is_exact(number(a)));
        alike.find_map(|names| self.several_spellings_of(names, rows))
    }

    /// The error for names of one number, at a row that has another one than the row before.
    fn several_spellings_of(&self, names: &[Cow<'static, str>], rows: &[FileRow]) -> Option<Error> {
        let of_number = rows
            .iter()
            .filter(|(.., row)| names.iter().any(|name| *name == row.label));
        let of_number: Vec<_> = of_number.collect();
        let differs = |pair: &&[&FileRow]| pair[0].2.label != pair[1].2.label;
        let pair = of_number.windows(2).find(differs)?;
        let (before, (path, _, row)) = (&pair[0].2.label, pair[1]);
        Some(Error::WrongRow {
            path: path.clone(),
            line: row.line,
            expected: format!("`{before}` in column `{}`, as before", self.label),
            found: format!("`{}`, the same number", row.label),
            next: "each spelling would be a class of its own: write equal labels alike; if they are no classes, \
                   `data.files.labels=score`"
                .to_owned(),
        })
    }

    /// The error for classes that no training row has, which nothing can learn.
    fn not_learned(&self, path: &Path, labels: &Labels, train: &Part) -> Option<Error> {
        let Labels::Classes(names) = labels else {
            return None;
        };
        let learned: BTreeSet<_> = (train.examples.iter())
            .filter_map(|example| match example.label? {
                Label::Class(class) => Some(class),
                Label::Score(_) => None,
            })
            .collect();
        let lacking: Vec<String> = (0..names.len())
            .filter(|class| !learned.contains(class))
            .map(|class| format!("`{}`", names[class]))
            .collect();
        if lacking.is_empty() {
            return None;
        }
        let named = lacking[..lacking.len().min(NAMED)].join(", ");
        let more = match lacking.len().saturating_sub(NAMED) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        Some(Error::WrongFile {
            path: path.to_owned(),
            expected: format!("a training row of each class in column `{}`", self.label),
            found: format!("none of {named}{more}"),
            next: format!(
                "give rows of them to train on, or take theirs out{}; if the column has no classes, name that of the label, \
                 `data.files.label`, or for numbers `data.files.labels=score`",
                match path.is_dir() {
                    true => "",
                    false => ", or split the file otherwise, `data.files.split_seed=2`",
                }
            ),
        })
    }

    fn parse(&self, labels: &Labels, path: &Path, row: &Row) -> Result<Label> {
        let wrong = |expected: String| Error::WrongRow {
            path: path.to_owned(),
            line: row.line,
            expected,
            found: format!("`{}`", row.label),
            next: format!("mend column `{}` there, or take the row out", self.label),
        };
        match labels {
            Labels::Classes(_) => labels.parse(&row.label).map_err(wrong),
            Labels::Score => match row.label.parse::<f32>() {
                Ok(score) if score.is_finite() => Ok(Label::Score(score)),
                Ok(_) | Err(_) => Err(wrong(format!("a number in column `{}`", self.label))),
            },
        }
    }

    /// The names of the columns that are read.
    fn columns(&self) -> impl Iterator<Item = &str> {
        let names = [Some(&self.first), self.second.as_ref(), Some(&self.label)];
        names.into_iter().flatten().map(String::as_str)
    }

    fn rows(&self, path: &Path, text: &str) -> Result<Vec<Row>> {
        let name = path.to_string_lossy().to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let rows: Vec<(usize, Vec<String>)> = match () {
            () if name.ends_with(".jsonl") || name.ends_with(".json") => {
                self.objects(path, text)?
            }
            () if name.ends_with(".csv") => self.quoted(path, text)?,
            () => self.tabs(path, text)?,
        };
        rows.into_iter()
            .map(|(line, cells)| {
                let mut cells = cells.into_iter().zip(self.columns());
                let mut cell = || -> Result<String> {
                    let (cell, column) = cells.next().unwrap_or_default();
                    match cell.trim().is_empty() {
                        false => Ok(cell),
                        true => Err(Error::WrongRow {
                            path: path.to_owned(),
                            line,
                            expected: format!("something in column `{column}`"),
                            found: "nothing".to_owned(),
                            next: "fill it, or take the row out".to_owned(),
                        }),
                    }
                };
                Ok(Row {
                    line,
                    first: cell()?,
                    second: self.second.as_ref().map(|_| cell()).transpose()?,
                    label: cell()?.trim().to_owned(),
                })
            })
            .collect()
    }

    /// The places of the columns that are read.
    fn places(&self, path: &Path, header: &[&str]) -> Result<Vec<usize>> {
        let place = |column: &str| {
            let mut found = (0..header.len()).filter(|&at| header[at].trim() == column);
            match (found.next(), found.next()) {
                (Some(place), None) => Ok(place),
                (Some(_), Some(_)) => Err(twice(path, 1, column)),
                (None, _) => Err(self.no_column(path, 1, column, &header.join(", "))),
            }
        };
        self.columns().map(place).collect()
    }

    fn no_column(&self, path: &Path, line: usize, column: &str, found: &str) -> Error {
        Error::WrongRow {
            path: path.to_owned(),
            line,
            expected: format!("a column `{column}`"),
            found: found.chars().take(200).collect(),
            next: "name your columns: `data.files.first` (a text), `data.files.second` (of pairs; empty for single texts) and \
                   `data.files.label`"
                .to_owned(),
        }
    }

    fn tabs(&self, path: &Path, text: &str) -> Result<Vec<(usize, Vec<String>)>> {
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
        let places = self.places(path, &header)?;
        let lines = (2..).zip(lines).filter(|(_, line)| !line.trim().is_empty());
        let row = |(line, text): (usize, &str)| {
            let cells: Vec<&str> = text.split('\t').collect();
            self.check_width(path, line, header.len(), cells.len())?;
            let cells = places.iter().map(|&place| cells[place].to_owned());
            Ok((line, cells.collect()))
        };
        lines.map(row).collect()
    }

    fn quoted(&self, path: &Path, text: &str) -> Result<Vec<(usize, Vec<String>)>> {
        if let Some(line) = unclosed_quote(text) {
            return Err(Error::WrongRow {
                path: path.to_owned(),
                line,
                expected: "a quotation mark that closes the one there".to_owned(),
                found: "none up to the end of the file".to_owned(),
                next: "close it, or write two for one inside of a quoted cell".to_owned(),
            });
        }
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(text.as_bytes());
        let unreadable = |error: csv::Error| {
            Error::WrongFile {
            path: path.to_owned(),
            expected: "a table with commas".to_owned(),
            found: error.to_string(),
            next: "write it as RFC 4180 has it: quotes around cells with commas or line ends, two for one inside".to_owned(),
        }
        };
        let header = reader.headers().map_err(unreadable)?.clone();
        let header: Vec<&str> = header.iter().collect();
        let places = self.places(path, &header)?;
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(unreadable)?;
            let line = record
                .position()
                .map_or(0, |position| position.line() as usize);
            self.check_width(path, line, header.len(), record.len())?;
            rows.push((
                line,
                places
                    .iter()
                    .map(|&place| record[place].to_owned())
                    .collect(),
            ));
        }
        Ok(rows)
    }

    fn check_width(&self, path: &Path, line: usize, expected: usize, found: usize) -> Result<()> {
        match expected == found {
            true => Ok(()),
            false => Err(Error::WrongRow {
                path: path.to_owned(),
                line,
                expected: format!("{expected} columns, as in the first line"),
                found: found.to_string(),
                next: "mend the row: tabs part columns and are in no cell (.tsv), or commas do, with quotes (.csv)".to_owned(),
            }),
        }
    }

    fn objects(&self, path: &Path, text: &str) -> Result<Vec<(usize, Vec<String>)>> {
        let lines = (1..)
            .zip(text.lines())
            .filter(|(_, line)| !line.trim().is_empty());
        let row = |(line, text): (usize, &str)| {
            let Keys(object) = serde_json::from_str(text).map_err(|error| Error::WrongRow {
                path: path.to_owned(),
                line,
                expected: "an object of JSON".to_owned(),
                found: error.to_string(),
                next: "give one object on each line".to_owned(),
            })?;
            let cell = |column: &str| {
                let mut values = object.iter().filter(|(key, _)| key == column);
                let value = values.next().map(|(_, value)| value);
                if values.next().is_some() {
                    return Err(twice(path, line, column));
                }
                match value {
                    Some(Value::String(text)) => Ok(text.clone()),
                    Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
                    Some(Value::Null) => Ok(String::new()),
                    Some(Value::Array(_)) => Err(no_text(path, line, column, "a list")),
                    Some(Value::Object(_)) => Err(no_text(path, line, column, "an object")),
                    None => {
                        let names: Vec<&str> = object.iter().map(|(key, _)| key.as_str()).collect();
                        Err(self.no_column(path, line, column, &names.join(", ")))
                    }
                }
            };
            let cells: Result<Vec<String>> = self.columns().map(cell).collect();
            Ok((line, cells?))
        };
        lines.map(row).collect()
    }
}

/// A value of JSON that is neither text nor number.
fn no_text(path: &Path, line: usize, column: &str, found: &str) -> Error {
    Error::WrongRow {
        path: path.to_owned(),
        line,
        expected: format!("a text or a number as `{column}`"),
        found: found.to_owned(),
        next: "write it as one text, or name another column".to_owned(),
    }
}

/// A column, or the key of an object, that stands twice.
fn twice(path: &Path, line: usize, column: &str) -> Error {
    Error::WrongRow {
        path: path.to_owned(),
        line,
        expected: format!("one `{column}`"),
        found: "several".to_owned(),
        next: "give each a name of its own".to_owned(),
    }
}

/// The line of a quotation mark that opens a cell and is closed nowhere.
fn unclosed_quote(text: &str) -> Option<usize> {
    let (mut line, mut opened, mut is_start) = (1, None, true);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match (opened, byte) {
            (Some(_), b'"') if bytes.peek() == Some(&b'"') => {
                bytes.next();
            }
            (Some(_), b'"') => opened = None,
            (None, b'"') if is_start => opened = Some(line),
            _ => {}
        }
        line += usize::from(byte == b'\n');
        is_start = opened.is_none() && matches!(byte, b',' | b'\n' | b'\r');
    }
    opened
}

/// The keys of an object in their order, with those that stand several times.
struct Keys(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> std::result::Result<Keys, M::Error> {
                let mut keys = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    keys.push(entry);
                }
                Ok(Keys(keys))
            }
        }
        from.deserialize_map(Each)
    }
}

/// The files of a path, each with its split, or one that is to be split.
fn parts(path: &Path) -> Result<Vec<(PathBuf, Option<Split>)>> {
    if !path.is_dir() {
        return Ok(vec![(path.to_owned(), None)]);
    }
    let missing = |name: &str| Error::WrongFile {
        path: path.to_owned(),
        expected: "train, valid and test, each .tsv, .csv or .jsonl".to_owned(),
        found: format!("no {name}.tsv"),
        next: "put it there, or give one file, which is split by itself: `--data FILE`".to_owned(),
    };
    of_folder(path, |start| with_end(start, &ENDS), missing)
}

#[cfg(test)]
mod tests;
