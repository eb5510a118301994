//! The published tables are what their records give.

use std::fs;
use std::path::Path;

use sparta_results::render::{PivotLayout, pivot};
use sparta_results::{Expected, ReportOptions, RunRecord, load_all, report};

#[test]
fn published_tables_follow_from_their_records() {
    let published = Path::new("published");
    let folders: Vec<_> = fs::read_dir(published)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    assert!(!folders.is_empty());
    for folder in folders {
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let records = load_all(folder.join("records")).unwrap();
        // The order of the rows is that of the runs that the program expected.
        let csv = csv::Reader::from_path(folder.join("TABLE.csv")).unwrap();
        let rows: Vec<String> = (csv.into_records())
            .map(|line| line.unwrap()[0].to_string())
            .collect();
        let expect = |row: &str| {
            let record = records.iter().find(|record| record.row == row)?;
            Some(Expected {
                row: row.to_string(),
                variant: record.variant.clone(),
                condition: record.condition,
                p: record.p_nominal,
                seed: record.seed,
                command: String::new(),
            })
        };
        let markdown = read("TABLE.md");
        let title = markdown
            .lines()
            .next()
            .unwrap()
            .trim_start_matches("# ")
            .to_string();
        let options = ReportOptions {
            title,
            expected: rows.iter().filter_map(|row| expect(row)).collect(),
        };
        let written = tempfile::tempdir().unwrap();
        let layout = match records[0].table.split('-').next() {
            Some("glue") => Some(PivotLayout::Glue),
            Some("squad") => Some(PivotLayout::Squad),
            Some(_) | None => None,
        };
        let files = match layout {
            Some(layout) => {
                let table = pivot(&records, layout, &options).unwrap();
                table.write(written.path())
            }
            None => report(&records, &options).unwrap().write(written.path()),
        };
        for file in files.unwrap() {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let new = fs::read_to_string(&file).unwrap();
            assert!(
                new == read(&name),
                "{}: the records now give\n{new}",
                folder.join(&name).display()
            );
        }
    }
}

/// Old records are read and written to the byte, so that the version before reads what is written now.
#[test]
fn published_records_are_written_as_they_were() {
    let written = tempfile::tempdir().unwrap();
    let mut n_records = 0;
    for folder in fs::read_dir("published").unwrap() {
        let records = folder.unwrap().path().join("records");
        if !records.is_dir() {
            continue;
        }
        for file in fs::read_dir(records).unwrap() {
            let file = file.unwrap().path();
            let record = RunRecord::load(&file).unwrap();
            let copy = record.save(written.path()).unwrap();
            let read = |path| fs::read_to_string(path).unwrap();
            assert!(read(&copy) == read(&file), "{}", file.display());
            n_records += 1;
        }
    }
    assert!(n_records >= 127, "{n_records} published records");
}
