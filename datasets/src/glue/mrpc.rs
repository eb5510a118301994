//! MRPC in the form its authors published it: the dev part is drawn out of train by a list of ids.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::layout::{self, PartFile};
use super::table::{Table, finish, missing, read_table};
use super::{GlueTask, advice};
use crate::classification::{Part, PartCount};
use crate::source::read_utf8;
use crate::{Error, Result};

const TRAIN: &str = "msr_paraphrase_train.txt";
const TEST: &str = "msr_paraphrase_test.txt";
const DEV_IDS: [&str; 2] = ["dev_ids.tsv", "mrpc_dev_ids.tsv"];

/// Whether the folder has the authors' files.
pub(super) fn is_there(dir: &Path) -> bool {
    dir.join(TRAIN).is_file() || dir.join(TEST).is_file()
}

/// Which of the authors' files a part is read from, as far as they are there.
pub(super) fn files(dir: &Path, file: &PartFile) -> Vec<PathBuf> {
    let table = dir.join(table_of(file));
    let ids = dev_ids_path(dir).filter(|_| !is_test(file));
    let files = [table].into_iter().chain(ids);
    files.filter(|path| path.is_file()).collect()
}

fn is_test(file: &PartFile) -> bool {
    file.part == "test"
}

fn table_of(file: &PartFile) -> &'static str {
    if is_test(file) { TEST } else { TRAIN }
}

fn dev_ids_path(dir: &Path) -> Option<PathBuf> {
    let places = DEV_IDS.map(|name| dir.join(name));
    places.into_iter().find(|path| path.is_file())
}

/// A part from the authors' files; its test part has labels.
pub(super) fn read(dir: &Path, file: &PartFile) -> Result<(Part, PartCount)> {
    let name = table_of(file);
    let path = dir.join(name);
    if !path.is_file() {
        return Err(missing(GlueTask::Mrpc, dir, name));
    }
    let labelled = PartFile {
        columns: layout::MRPC,
        label: Some(0),
        ..*file
    };
    let mut table = read_table(GlueTask::Mrpc, &path, &labelled)?;
    if !is_test(file) {
        let dev = dev_ids(dir)?;
        let is_dev = file.part == "dev";
        table = keep(table, |key| dev.contains(key) == is_dev);
    }
    Ok(finish(file, &path, table))
}

fn keep(table: Table, is_kept: impl Fn(&(String, String)) -> bool) -> Table {
    let rows = table.examples.into_iter().zip(table.keys);
    let (examples, keys) = rows.filter(|(_, key)| is_kept(key)).unzip();
    Table {
        examples,
        keys,
        n_skipped: table.n_skipped,
    }
}

fn dev_ids(dir: &Path) -> Result<HashSet<(String, String)>> {
    let path =
        dev_ids_path(dir).ok_or_else(|| missing(GlueTask::Mrpc, dir, &DEV_IDS.join(" or ")))?;
    let text = read_utf8(&path, || advice(GlueTask::Mrpc))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let pair = |(line, row): (usize, &str)| match row.split_once('\t') {
        Some((first, second)) => Ok((first.to_owned(), second.to_owned())),
        None => Err(Error::WrongRow {
            path: path.clone(),
            line,
            expected: "two ids with a tab between them".to_owned(),
            found: format!("`{row}`"),
            next: advice(GlueTask::Mrpc),
        }),
    };
    (1..).zip(text.lines()).map(pair).collect()
}
