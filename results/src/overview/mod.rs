//! All tables of several runs in one place: `index.html`, markdown, LaTeX, csv and JSON, from run
//! records alone.
//!
//! Runs of one recipe are joined, whatever their seeds and devices; runs of different recipes have
//! tables of their own. Within a table scores of different signatures never share a column.

mod date;

pub use date::moment;
mod files;
mod html;
mod lines;
mod text;

pub use files::{Format, first_bytes};
pub(crate) use html::url;
pub use lines::ScoreLine;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::error::{Result, ResultsError};
use crate::record::RunRecord;
use crate::render::{
    Block, Expected, Layout, MechanismTable, PivotTable, Report, ReportOptions, aggregate, labels,
    mechanisms, pivot, report,
};

/// A run folder, as far as a report is about it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFiles {
    /// How the page names the folder and links to it: relative, with `/`.
    pub folder: String,
    /// Its records.
    pub records: Vec<RunRecord>,
    /// Heading; the name of the table where empty.
    pub title: String,
    /// What stands in its table's rows and columns.
    pub layout: Layout,
    /// Runs that it should have.
    pub expected: Vec<Expected>,
    /// Pictures in the folder, relative to it.
    pub figures: Vec<String>,
    /// Other files in the folder to link to, relative to it.
    pub documents: Vec<String>,
    /// What else must be known of it.
    pub notes: Vec<String>,
}

/// Every table of some runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// Heading of the page.
    pub title: String,
    /// The tables, by name, then by the first folder.
    pub tables: Vec<TableOverview>,
    /// Folders without a completed run, and what to type.
    pub waiting: Vec<String>,
}

/// One table: the runs of one recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct TableOverview {
    /// Name of the table in the records.
    pub table: String,
    /// Hash of the recipe.
    pub recipe_hash: String,
    /// The run folders that are joined.
    pub runs: Vec<RunFolderLinks>,
    /// Every score.
    pub scores: Vec<ScoreLine>,
    /// The runs that are missing, each with its command.
    pub missing: Vec<MissingRun>,
    view: View,
    /// Notes of the folders.
    notes: Vec<String>,
}

/// A run folder with the files in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunFolderLinks {
    /// The folder.
    pub folder: String,
    /// Number of records.
    pub n_records: usize,
    /// Pictures, relative to the folder.
    pub figures: Vec<String>,
    /// Other files, relative to the folder.
    pub documents: Vec<String>,
}

/// A run that no record answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MissingRun {
    /// Row of the table.
    pub row: String,
    /// Which of the row's networks.
    pub variant: Option<String>,
    /// Dense, or under a mask.
    pub mask: String,
    /// Nominal p in percent.
    pub p_nominal: Option<f64>,
    /// Training seed.
    pub seed: u64,
    /// What to type to make it.
    pub command: String,
}

/// The table as it is printed.
#[derive(Debug, Clone, PartialEq)]
enum View {
    Scores(Report),
    Pivot(PivotTable),
    Mechanisms(MechanismTable),
}

impl View {
    fn title(&self) -> &str {
        match self {
            Self::Scores(report) => &report.title,
            Self::Pivot(table) => &table.title,
            Self::Mechanisms(table) => &table.title,
        }
    }

    fn blocks(&self) -> Vec<Block> {
        match self {
            Self::Scores(report) => report.blocks(),
            Self::Pivot(table) => table.blocks(),
            Self::Mechanisms(table) => table.blocks(),
        }
    }

    /// The head of changes: `Δ`, with what they refer to where it is not p = 0.
    fn change_head(&self) -> String {
        let named = match self {
            Self::Mechanisms(table) => table.change_head(),
            Self::Scores(_) | Self::Pivot(_) => None,
        };
        named.unwrap_or_else(|| "Δ".to_owned())
    }
}

impl Overview {
    /// Lays out the tables of some runs; those of several builds of the program are averaged if they are to be (`is_mixed`).
    ///
    /// # Errors
    /// [`ResultsError::Empty`] if no run has a completed record.
    pub fn new(title: &str, runs: Vec<RunFiles>, is_mixed: bool) -> Result<Self> {
        let mut by_recipe: BTreeMap<String, Vec<RunFiles>> = BTreeMap::new();
        let mut waiting = Vec::new();
        for run in runs {
            let completed = aggregate(&run.records, is_mixed).groups;
            match completed.first() {
                None => waiting.push(waits(&run)),
                Some(group) => {
                    let hash = group.key.recipe_hash.clone();
                    by_recipe.entry(hash).or_default().push(run);
                }
            }
        }
        let tables = by_recipe
            .into_iter()
            .map(|(hash, runs)| TableOverview::new(hash, runs, is_mixed));
        let mut tables: Vec<TableOverview> = tables.collect::<Result<_>>()?;
        if tables.is_empty() {
            return Err(ResultsError::Empty);
        }
        let place = |of: &TableOverview| {
            let folder = of.runs.first().map(|run| run.folder.clone());
            (of.table.clone(), folder)
        };
        tables.sort_by_cached_key(place);
        Ok(Self {
            title: title.to_owned(),
            tables,
            waiting,
        })
    }
}

/// What is said of a folder without a completed run.
fn waits(run: &RunFiles) -> String {
    let commands: BTreeSet<&str> = run.expected.iter().map(|of| of.command.as_str()).collect();
    let commands: Vec<String> = commands.iter().map(|of| format!("`{of}`")).collect();
    let notes = run.notes.join("; ");
    match (commands.is_empty(), notes.is_empty()) {
        (false, _) => format!(
            "{} has no completed run yet; make it with {}",
            run.folder,
            commands.join(", ")
        ),
        (true, false) => format!("{} has no completed run yet; {notes}", run.folder),
        (true, true) => format!("{} has no completed run yet", run.folder),
    }
}

impl TableOverview {
    fn new(recipe_hash: String, runs: Vec<RunFiles>, is_mixed: bool) -> Result<Self> {
        let records: Vec<RunRecord> = runs
            .iter()
            .flat_map(|run| run.records.iter().cloned())
            .collect();
        let mut expected: Vec<Expected> = Vec::new();
        for run in runs.iter().flat_map(|run| &run.expected) {
            // Of joined folders each may make it; the first one is named.
            let is_same = |of: &Expected| {
                let command = of.command.clone();
                *of == Expected {
                    command,
                    ..run.clone()
                }
            };
            if !expected.iter().any(is_same) {
                expected.push(run.clone());
            }
        }
        let is_missing = |of: &&Expected| !records.iter().any(|record| of.answered_by(record));
        let missing = expected
            .iter()
            .filter(is_missing)
            .map(MissingRun::of)
            .collect();
        let groups = aggregate(&records, is_mixed).groups;
        let first = runs.first().ok_or(ResultsError::Empty)?;
        let options = ReportOptions {
            title: first.title.clone(),
            expected,
            is_mixed,
        };
        let view = match first.layout {
            Layout::P => View::Scores(report(&records, &options)?),
            Layout::Pivot(layout) => View::Pivot(pivot(&records, layout, &options)?),
            Layout::Mechanisms => View::Mechanisms(mechanisms(&records, &options)?),
        };
        let scores = lines::lines(&groups, &labels(&groups), &view);
        let table = records.first().map(|record| record.table.clone());
        let note = |run: &RunFiles| {
            let folder = run.folder.clone();
            run.notes
                .iter()
                .map(move |note| format!("{folder}: {note}"))
                .collect::<Vec<_>>()
        };
        Ok(Self {
            table: table.unwrap_or_default(),
            recipe_hash,
            notes: runs.iter().flat_map(note).collect(),
            runs: runs.into_iter().map(RunFolderLinks::from).collect(),
            scores,
            missing,
            view,
        })
    }

    /// Heading of the table.
    pub fn title(&self) -> &str {
        self.view.title()
    }

    /// The start of the recipe's hash.
    fn short_hash(&self) -> String {
        self.recipe_hash.chars().take(8).collect()
    }

    /// Each metric and signature, in the order of the scores.
    fn signatures(&self) -> Vec<&str> {
        let mut signatures: Vec<&str> = Vec::new();
        for score in &self.scores {
            if !signatures.contains(&score.signature.as_str()) {
                signatures.push(&score.signature);
            }
        }
        signatures
    }
}

impl MissingRun {
    fn of(run: &Expected) -> Self {
        Self {
            row: run.row.clone(),
            variant: run.variant.clone(),
            mask: run.condition.to_string(),
            p_nominal: run.p,
            seed: run.seed,
            command: run.command.clone(),
        }
    }
}

impl From<RunFiles> for RunFolderLinks {
    fn from(run: RunFiles) -> Self {
        Self {
            folder: run.folder,
            n_records: run.records.len(),
            figures: run.figures,
            documents: run.documents,
        }
    }
}
