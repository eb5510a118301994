//! A published table → examples.

use std::path::Path;

use super::layout::{self, PartFile};
use super::{GlueTask, advice};
use crate::classification::{Part, PartCount, TextExample};
use crate::source::read_utf8;
use crate::{Error, Result};

/// The error for a file that is not in its folder.
pub(super) fn missing(task: GlueTask, dir: &Path, file: &str) -> Error {
    Error::MissingCorpus {
        corpus: task.title(),
        dir: dir.to_owned(),
        found: format!("no {file}"),
        next: advice(task),
    }
}

/// What a file holds.
pub(super) struct Table {
    pub examples: Vec<TextExample>,
    /// Row of each example, in columns.
    pub keys: Vec<(String, String)>,
    pub n_skipped: usize,
}

/// A table as a part, with its count and the published one.
pub(super) fn finish(file: &PartFile, path: &Path, table: Table) -> (Part, PartCount) {
    let count = PartCount {
        part: file.part,
        path: path.to_owned(),
        published: file.n_examples,
        found: table.examples.len(),
        n_skipped: table.n_skipped,
    };
    let examples = table.examples;
    (
        Part {
            name: file.part,
            examples,
        },
        count,
    )
}

/// Reads a table: UTF-8 with or without a byte order mark, tabs between columns, no quoting.
pub(super) fn read_table(task: GlueTask, path: &Path, file: &PartFile) -> Result<Table> {
    let text = read_utf8(path, || advice(task))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut lines = (1..).zip(
        text.split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line)),
    );
    if file.has_header {
        check_header(task, path, file, lines.next().map_or("", |(_, line)| line))?;
    }
    let mut table = Table {
        examples: Vec::with_capacity(file.n_examples),
        keys: Vec::new(),
        n_skipped: 0,
    };
    let mut columns = Vec::with_capacity(file.columns.len());
    for (line, row) in lines {
        columns.clear();
        columns.extend(row.split('\t'));
        if columns.len() < file.columns.len() && layout::skips_short_rows(task) {
            table.n_skipped += 1;
            continue;
        }
        let wrong = |expected: String, found: String| Error::WrongRow {
            path: path.to_owned(),
            line,
            expected,
            found,
            next: advice(task),
        };
        if columns.len() != file.columns.len() {
            let names = file.columns.join(", ");
            return Err(wrong(
                format!("{} columns ({names})", file.columns.len()),
                format!("{} columns", columns.len()),
            ));
        }
        let label = match file.label {
            Some(column) => Some(
                task.labels()
                    .parse(columns[column])
                    .map_err(|expected| wrong(expected, format!("`{}`", columns[column])))?,
            ),
            None => None,
        };
        table.examples.push(TextExample {
            first: columns[file.first].to_owned(),
            second: file.second.map(|column| columns[column].to_owned()),
            label,
        });
        if task == GlueTask::Mrpc {
            table
                .keys
                .push((columns[1].to_owned(), columns[2].to_owned()));
        }
    }
    Ok(table)
}

fn check_header(task: GlueTask, path: &Path, file: &PartFile, header: &str) -> Result<()> {
    if header.split('\t').eq(file.columns.iter().copied()) {
        return Ok(());
    }
    let found: Vec<&str> = header.split('\t').collect();
    let shown: String = found.join(", ").chars().take(200).collect();
    Err(Error::WrongRow {
        path: path.to_owned(),
        line: 1,
        expected: format!(
            "the {} columns {}",
            file.columns.len(),
            file.columns.join(", ")
        ),
        found: format!("{}: {shown}", found.len()),
        next: advice(task),
    })
}
