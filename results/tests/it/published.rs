//! The published tables and plots are what their records give. `SPARTA_PUBLISHED=write cargo test --release -p
//! sparta-results published` writes them again, for a change that is meant to alter them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sparta_results::bench::plot;
use sparta_results::figure::{
    AlphaFigure, CurvesFigure, DensityFigure, DensityHistogramFigure, DiversityFigure, Figure,
    OmegaFigure, OverlapFigure, PatternFigure, RoleFigure, SparsityFigure, TrajectoryFigure, load,
    save,
};
use sparta_results::overview::{Overview, RunFiles};
use sparta_results::render::{Layout, PivotLayout, mechanisms, pivot};
use sparta_results::{Expected, ReportOptions, RunRecord, load_all, report};

/// A published folder, and what the program knew besides its records.
struct Published {
    records: Vec<RunRecord>,
    options: ReportOptions,
    layout: Layout,
}

impl Published {
    fn of(folder: &Path) -> Self {
        let records = load_all(folder.join("records")).unwrap();
        // The order of the rows is that of the runs that the program expected.
        let csv = csv::Reader::from_path(folder.join("TABLE.csv")).unwrap();
        let rows: Vec<String> = (csv.into_records())
            .map(|line| line.unwrap()[0].to_string())
            .collect();
        let in_rows = |record: &RunRecord| record.recipe.contains("layout = \"mechanism\"");
        let is_of = |record: &RunRecord, row: &str| match in_rows(record) {
            true => record.variant.as_deref().unwrap_or(&record.row) == row,
            false => record.row == row,
        };
        // A row of one of several networks has its name with it.
        let is_network = |record: &&RunRecord, row: &str| {
            let with = |of: &String| format!("{}, {of}", record.row) == row;
            record.variant.as_ref().is_some_and(with)
        };
        let expect = |row: &str| {
            let network = records.iter().find(|record| is_network(record, row));
            let alone = |record: &&RunRecord| record.variant.is_none() && is_of(record, row);
            let record = network
                .or_else(|| records.iter().find(alone))
                .or_else(|| records.iter().find(|record| is_of(record, row)))?;
            Some(Expected {
                row: record.row.clone(),
                variant: record.variant.clone(),
                condition: record.condition,
                p: record.p_nominal,
                seed: record.seed,
                command: String::new(),
            })
        };
        let markdown = fs::read_to_string(folder.join("TABLE.md")).unwrap();
        let title = markdown.lines().next().unwrap();
        let options = ReportOptions {
            title: title.trim_start_matches("# ").to_string(),
            expected: rows.iter().filter_map(|row| expect(row)).collect(),
            is_mixed: false,
        };
        let layout = match records[0].table.split('-').next() {
            _ if in_rows(&records[0]) => Layout::Mechanisms,
            Some("glue") => Layout::Pivot(PivotLayout::Glue),
            Some("squad") => Layout::Pivot(PivotLayout::Squad),
            Some(_) | None => Layout::P,
        };
        Self {
            records,
            options,
            layout,
        }
    }
}

/// The page of all of them, as `sparta report results/published` makes it.
#[test]
fn the_published_page_follows_from_the_records() {
    let published = Path::new("published");
    let mut folders: Vec<PathBuf> = fs::read_dir(published)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let files = |folder: &Path, inner: &str| -> Vec<String> {
        let entries = fs::read_dir(folder.join(inner)).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    let is_picture = |name: &String| name.ends_with(".svg") || name.ends_with(".png");
    let run = |folder: &PathBuf| {
        let Published {
            records,
            options,
            layout,
        } = Published::of(folder);
        let (tables, others): (Vec<String>, Vec<String>) =
            files(folder, "").into_iter().partition(is_picture);
        let in_figures = |name: &String| format!("figures/{name}");
        let (figures, pages): (Vec<String>, Vec<String>) =
            files(folder, "figures").into_iter().partition(is_picture);
        let is_page = |name: &&String| name.ends_with(".html") || name.ends_with(".md");
        let pages: Vec<String> = pages.iter().filter(is_page).map(in_figures).collect();
        let is_shown = |name: &String| {
            name.starts_with("TABLE") || name == "SAMPLES.md" || name == "recipe.toml"
        };
        RunFiles {
            folder: folder.file_name().unwrap().to_string_lossy().into_owned(),
            records,
            title: options.title,
            layout,
            expected: options.expected,
            figures: (tables.into_iter())
                .chain(figures.iter().map(in_figures))
                .collect(),
            documents: (others.into_iter().filter(is_shown)).chain(pages).collect(),
            notes: Vec::new(),
        }
    };
    let overview = Overview::new(
        "Results: published",
        folders.iter().map(run).collect(),
        false,
    )
    .unwrap();
    let committed = fs::read_to_string(published.join("index.html")).unwrap();
    assert!(
        overview.html() == committed,
        "the records now give another page: make it again with `sparta report results/published`"
    );
}

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
        let Published {
            records,
            options,
            layout,
        } = Published::of(&folder);
        let written = tempfile::tempdir().unwrap();
        let files = match layout {
            Layout::Pivot(layout) => {
                let table = pivot(&records, layout, &options).unwrap();
                table.write(written.path())
            }
            Layout::Mechanisms => {
                let table = mechanisms(&records, &options).unwrap();
                table.write(written.path())
            }
            Layout::P => report(&records, &options).unwrap().write(written.path()),
        };
        for file in files.unwrap() {
            compare(&file, &folder.join(file.file_name().unwrap()));
        }
    }
}

#[test]
fn published_plots_of_benches_follow_from_their_summaries() {
    for folder in [
        "bench/2026-11-23-2-core-epyc/attention",
        "bench/2026-11-28-2-core-epyc/mechanisms",
    ] {
        let folder = Path::new(folder);
        let copied = tempfile::tempdir().unwrap();
        let summary = copied.path().join("summary.csv");
        fs::copy(folder.join("summary.csv"), &summary).unwrap();
        for file in plot(&summary).unwrap() {
            compare(&file, &folder.join(file.file_name().unwrap()));
        }
    }
}

/// Whether `published` has the text of `new`; writes it where that is asked for.
fn compare(new: &Path, published: &Path) {
    let text = fs::read_to_string(new).unwrap();
    if std::env::var("SPARTA_PUBLISHED").is_ok_and(|what| what == "write") {
        fs::write(published, text).unwrap();
        return;
    }
    let found = fs::read_to_string(published).unwrap_or_default();
    let path = published.display();
    assert!(text == found, "{path}: the records now give\n{text}");
}

/// Old records are read and written to the byte, so that the version before reads what is written now.
/// The rows of the page beside them: recipe, how many, and the programs that made them.
#[test]
fn the_readme_of_the_published_runs_is_that_of_the_records() {
    let page = fs::read_to_string("published/README.md").unwrap();
    let folders = fs::read_dir("published")
        .unwrap()
        .map(|of| of.unwrap().path());
    for folder in folders.filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let records = load_all(folder.join("records")).unwrap();
        let commits: BTreeSet<String> = (records.iter())
            .filter_map(|record| record.commit())
            .map(|commit| format!("`{}`", &commit[..7]))
            .collect();
        let made_by = match commits.is_empty() {
            true => "not recorded".to_owned(),
            false => commits.into_iter().collect::<Vec<_>>().join(", "),
        };
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| [{name}]({name}) |")));
        let row = row.unwrap_or_else(|| panic!("published/README.md has no row of {name}"));
        let recipe = format!("| `{}` | {} |", &records[0].recipe_hash[..8], records.len());
        for expected in [recipe, format!("| {made_by} |")] {
            assert!(row.contains(&expected), "{expected} is not in {row}");
        }
    }
}

/// docs/results.md has the line of each claim: what it says, its bound, ours, the verdict, and where the records are.
#[test]
fn the_claims_of_the_documentation_are_those_of_the_records() {
    let docs = fs::read_to_string("../docs/results.md").unwrap();
    let page = fs::read_to_string("published/CLAIMS.md").unwrap();
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    let mut claims = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(cells);
    let at: Vec<usize> = {
        let heads = claims.next().unwrap();
        let place = |name: &str| {
            heads
                .iter()
                .position(|head| head.starts_with(name))
                .unwrap()
        };
        ["says", "bound", "ours", "verdict", "records"]
            .map(place)
            .into()
    };
    let mut n = 0;
    for claim in claims {
        let cells: Vec<String> = at.iter().map(|&at| claim[at].clone()).collect();
        let line = format!("| {} |", cells.join(" | "));
        let line = line.replace("](", "](../results/published/");
        assert!(docs.contains(&line), "docs/results.md lacks\n{line}");
        n += 1;
    }
    assert!(n > 30, "{n}");
}

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

/// The JSON of a published figure gives its CSV and its picture.
#[test]
fn published_figures_follow_from_their_numbers() {
    let mut n_figures = 0;
    for folder in fs::read_dir("published").unwrap() {
        let figures = folder.unwrap().path().join("figures");
        if !figures.is_dir() {
            continue;
        }
        for file in fs::read_dir(&figures).unwrap() {
            let file = file.unwrap().path();
            let is_json = file.extension().is_some_and(|end| end == "json");
            let name = file.file_stem().unwrap().to_str().unwrap();
            if !is_json || name == "claims" {
                continue;
            }
            let written = tempfile::tempdir().unwrap();
            let kind = name.split('-').take(2).collect::<Vec<_>>();
            let again: fn(&Path, &Path) -> Vec<PathBuf> = match kind.as_slice() {
                ["pattern", "sparsity"] => again::<SparsityFigure>,
                ["pattern", "overlap"] => again::<OverlapFigure>,
                ["pattern", _] => again::<PatternFigure>,
                ["density", "histogram"] => again::<DensityHistogramFigure>,
                ["density"] => again::<DensityFigure>,
                ["alpha"] => again::<AlphaFigure>,
                ["trajectory"] => again::<TrajectoryFigure>,
                ["diversity"] => again::<DiversityFigure>,
                ["positional" | "merging" | "interrogation"] => again::<RoleFigure>,
                ["omega"] => again::<OmegaFigure>,
                ["curves"] => again::<CurvesFigure>,
                _ => panic!("{}: no figure of ours", file.display()),
            };
            for new in again(&file, written.path()) {
                compare(&new, &figures.join(new.file_name().unwrap()));
            }
            n_figures += 1;
        }
    }
    assert!(n_figures >= 25, "{n_figures} published figures");
}

/// Writes a figure again from its JSON.
fn again<F: Figure>(json: &Path, folder: &Path) -> Vec<PathBuf> {
    save(&load::<F>(json).unwrap(), folder).unwrap()
}
