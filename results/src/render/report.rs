//! The report of a table: grouping, layout, files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::condition::Condition;
use crate::error::{Result, ResultsError};
use crate::metric::Difference;
use crate::record::{PaperReference, RunRecord};
use crate::render::aggregate::{Aggregate, Group, GroupKey, Percent, aggregate};
use crate::render::block::{self, Block};
use crate::render::expected::{Expected, mark_missing};
use crate::render::number::short;
use crate::render::score_table::{RowName, ScoreTable};
use crate::render::{svg, write_tables};

/// What the records cannot say of a report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportOptions {
    /// Heading; the name of the table where empty.
    pub title: String,
    /// Runs the table should have.
    pub expected: Vec<Expected>,
    /// Whether runs of several builds of the program are averaged.
    pub is_mixed: bool,
}

/// Tables ready to print: a [`ScoreTable`] for each signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Heading.
    pub title: String,
    /// The tables, sorted by metric and signature.
    pub tables: Vec<ScoreTable>,
    /// Commands of missing runs; the mark `[k]` in a cell names the k-th, counted from one.
    pub missing: Vec<String>,
    /// What else must be known: runs left out, where the paper's numbers come from.
    pub notes: Vec<String>,
}

impl ReportOptions {
    /// The heading: the title asked for, or the name of the table.
    pub(super) fn title_of(&self, records: &[RunRecord]) -> String {
        match (self.title.is_empty(), records.first()) {
            (true, Some(record)) => record.table.clone(),
            (true, None) | (false, _) => self.title.clone(),
        }
    }
}

/// Lays out the records of one table.
///
/// Scores of different signatures stand in different tables, so that they never share a column.
/// Runs of one row name but different recipes stand in rows of their own, named `row@hash`; so do runs of different builds
/// that would be averaged, named `row@commit …`, unless they are to be taken together. Rows
/// stand in the order in which the expected runs name them, others after them by name. Seeds are
/// averaged, see [`aggregate()`](crate::render::aggregate()).
///
/// # Errors
/// [`ResultsError::Empty`] if no record is completed.
pub fn report(records: &[RunRecord], options: &ReportOptions) -> Result<Report> {
    let Aggregate {
        groups,
        unfinished,
        replaced,
    } = aggregate(records, options.is_mixed);
    let labels = labels(&groups);
    let builds = build_notes(&groups);
    let as_majority = majority_note(&groups);
    let mut by_signature: BTreeMap<_, ScoreTable> = BTreeMap::new();
    for group in groups {
        let (metric, signature) = (group.key.metric, group.key.signature.clone());
        let empty = ScoreTable {
            metric,
            signature: signature.clone(),
            lines: Vec::new(),
            baselines: Vec::new(),
        };
        let name = RowName {
            row: label(&labels, &group.key),
            variant: group.key.variant.clone(),
        };
        let table = by_signature.entry((metric, signature)).or_insert(empty);
        place(table, name, group);
    }
    let mut tables: Vec<ScoreTable> = by_signature.into_values().collect();
    let first = tables.first_mut().ok_or(ResultsError::Empty)?;
    let missing = mark_missing(first, records, &options.expected);
    tables
        .iter_mut()
        .for_each(|table| sort(table, &options.expected));
    let mut notes = paper_notes(&tables);
    notes.extend(left_out(&unfinished, &replaced));
    notes.extend(as_majority);
    notes.extend(builds);
    Ok(Report {
        title: options.title_of(records),
        tables,
        missing,
        notes,
    })
}

/// What of the records did not reach the groups, in words.
pub(super) fn left_out(unfinished: &[String], replaced: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    if !unfinished.is_empty() {
        notes.push(format!(
            "Not completed and left out: {}.",
            unfinished.join(", ")
        ));
    }
    if !replaced.is_empty() {
        notes.push(format!(
            "Left out because a later run has the same seeds: {}.",
            replaced.join(", ")
        ));
    }
    notes
}

/// The runs of networks whose score is exactly that of the most frequent class, in words.
pub(super) fn majority_note(groups: &[Group]) -> Option<String> {
    let labels = labels(groups);
    // What else a row is scored by is named once for the same runs.
    let mut runs: Vec<(String, String, Vec<&str>)> = Vec::new();
    for group in groups.iter().filter(|group| !group.as_majority.is_empty()) {
        let key = &group.key;
        let row = [Some(label(&labels, key)), key.variant.clone()];
        let mut place: Vec<String> = row.into_iter().flatten().collect();
        match (key.condition, key.p) {
            (Condition::Dense, Some(p)) => place.push(percent(p)),
            (condition, Some(p)) => place.extend([percent(p), condition.to_string()]),
            (condition, None) => place.push(condition.description()),
        }
        let place = place.join(", ");
        let seeds = seed_words(&group.as_majority);
        let metric = key.metric.label();
        match runs
            .iter_mut()
            .find(|of| (&of.0, &of.1) == (&place, &seeds))
        {
            Some((_, _, metrics)) => metrics.push(metric),
            None => runs.push((place, seeds, vec![metric])),
        }
    }
    let runs = runs
        .iter()
        .map(|(place, seeds, metrics)| format!("{place}: {seeds} ({})", metrics.join(", ")));
    let runs = runs.collect::<Vec<_>>().join("; ");
    (!runs.is_empty()).then(|| {
        format!(
            "In the mean with exactly the score of the most frequent class, as of a network that answers nothing else: {runs}. Look \
             at their training before reading a change into the row."
        )
    })
}

fn percent(p: Percent) -> String {
    format!("p = {} %", short(p.get(), 3))
}

/// `seed 1`, `seeds 1, 3`; of masks drawn at random `seeds 1 (mask 2), 1 (mask 5)`.
fn seed_words(seeds: &[(u64, Option<u64>)]) -> String {
    let word = |(seed, mask): &(u64, Option<u64>)| match mask {
        Some(mask) => format!("{seed} (mask {mask})"),
        None => seed.to_string(),
    };
    let words: Vec<String> = seeds.iter().map(word).collect();
    let plural = if words.len() == 1 { "" } else { "s" };
    format!("seed{plural} {}", words.join(", "))
}

/// Which builds made the runs, in words; nothing where no run names its commit.
pub(super) fn build_notes(groups: &[Group]) -> Vec<String> {
    let apart = || groups.iter().filter_map(|group| group.key.apart.as_deref());
    let is_of_build =
        |word: &str| word.starts_with("commit ") || word.starts_with("unknown commit");
    let of_builds = apart().flat_map(|words| words.split(", ")).any(is_of_build).then(|| {
        "Runs of several builds are not averaged: those of each stand apart, `…@commit …`; `--mixed` takes them together."
            .to_owned()
    });
    let data: BTreeSet<&str> = apart()
        .flat_map(|words| words.split(", "))
        .filter(|word| !is_of_build(word))
        .collect();
    let of_data = (!data.is_empty()).then(|| {
        let files: Vec<&str> = data.into_iter().collect();
        format!(
            "Runs that read different data files are not averaged: those of each stand apart ({}).",
            files.join("; ")
        )
    });
    (made_by(groups).into_iter())
        .chain(of_builds)
        .chain(of_data)
        .collect()
}

fn made_by(groups: &[Group]) -> Option<String> {
    let builds = groups.iter().flat_map(|group| &group.builds);
    let builds: BTreeSet<&str> = builds.map(String::as_str).collect();
    let all = builds.iter().copied().collect::<Vec<_>>().join("; ");
    match builds.len() {
        0 => None,
        1 => Some(format!("Made by {all}.")),
        _ => Some(format!(
            "Made by several builds, whose numbers may differ for that reason alone: {all}."
        )),
    }
}

/// Printed name of each (row, recipe hash): the row, with the start of the hash where one row has
/// several.
pub(crate) fn labels(groups: &[Group]) -> BTreeMap<(String, String), String> {
    let pairs: BTreeSet<(String, String)> = groups
        .iter()
        .map(|group| (group.key.row.clone(), group.key.recipe_hash.clone()))
        .collect();
    let mut n_hashes: BTreeMap<&str, usize> = BTreeMap::new();
    pairs
        .iter()
        .for_each(|(row, _)| *n_hashes.entry(row).or_default() += 1);
    let label = |(row, hash): &(String, String)| match n_hashes[row.as_str()] {
        1 => row.clone(),
        _ => format!("{row}@{}", hash.chars().take(8).collect::<String>()),
    };
    pairs
        .iter()
        .map(|pair| (pair.clone(), label(pair)))
        .collect()
}

/// The printed name of a group's row: that of [`labels`], with the build or data files where runs of several stand apart.
pub(crate) fn label(labels: &BTreeMap<(String, String), String>, key: &GroupKey) -> String {
    let row = labels.get(&(key.row.clone(), key.recipe_hash.clone()));
    let row = row.unwrap_or(&key.row);
    match &key.apart {
        None => row.clone(),
        Some(words) if row.contains('@') => format!("{row}, {words}"),
        Some(words) => format!("{row}@{words}"),
    }
}

/// Puts a group into the cell it belongs to; what has no p is a baseline.
fn place(table: &mut ScoreTable, name: RowName, group: Group) {
    let condition = group.key.condition;
    let cell = (group.key.p).and_then(|p| table.cell_mut(&name, condition, p));
    match cell {
        Some(cell) => cell.group = Some(group),
        None => table.baselines.push((name, group)),
    }
}

/// Sorts rows and baselines: rows as the expected runs name them, baselines before dense
/// checkpoints.
fn sort(table: &mut ScoreTable, expected: &[Expected]) {
    let place = |name: &RowName| {
        let (row, variant) = (&name.row, &name.variant);
        let unhashed = row.split_once('@').map_or(row.as_str(), |(name, _)| name);
        // A baseline has no variant and stands with the first one of its row.
        let is_named = |run: &Expected| {
            (run.row == *row || run.row == unhashed)
                && (variant.is_none() || run.variant == *variant)
        };
        expected.iter().position(is_named).unwrap_or(expected.len())
    };
    table
        .lines
        .sort_by_cached_key(|line| (place(&line.name), line.name.clone(), line.p));
    table.baselines.sort_by_cached_key(|(name, group)| {
        let condition = group.key.condition;
        let is_network = !matches!(condition, Condition::Baseline(_));
        (place(name), name.clone(), is_network, condition)
    });
}

fn paper_notes(tables: &[ScoreTable]) -> Vec<String> {
    let mut papers = BTreeSet::new();
    for table in tables {
        let changes = match table.metric.difference() {
            Difference::Relative => "relative changes",
            Difference::Points => "changes",
        };
        let published = table.printed().filter_map(|line| line.paper());
        papers.extend(published.map(|PaperReference { corpus, note, .. }| (corpus, note, changes)));
    }
    let text = |(corpus, note, changes)| {
        format!(
            "The paper's values are those of {corpus} ({note}); compare the {changes}, not the values."
        )
    };
    papers.into_iter().map(text).collect()
}

impl Report {
    /// The report for a terminal of `width` columns; no width, no wrapping.
    pub fn terminal(&self, width: Option<u16>) -> String {
        block::terminal(&self.title, &self.blocks(), width)
    }

    /// The report as markdown, the content of TABLE.md.
    pub fn markdown(&self) -> String {
        block::markdown(&self.title, &self.blocks())
    }

    /// The tables as LaTeX, everything else as its comments.
    pub fn latex(&self) -> String {
        block::latex(&self.title, &self.blocks())
    }

    /// Writes TABLE.md, and for each signature TABLE.csv and TABLE.svg (TABLE-2.csv … from the
    /// second on) into `dir`; returns the files.
    ///
    /// # Errors
    /// [`ResultsError::Io`] if the disk refuses, [`ResultsError::Plot`] if a plot cannot be drawn.
    pub fn write(&self, dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let dir = dir.as_ref();
        let mut files = vec![(dir.join("TABLE.md"), self.markdown())];
        for (at, table) in self.tables.iter().enumerate() {
            let name = if at == 0 {
                "TABLE".to_string()
            } else {
                format!("TABLE-{}", at + 1)
            };
            files.push((dir.join(format!("{name}.csv")), table.csv()?));
            if table.has_scores() {
                let draw = match table.is_sweep() {
                    true => svg::p_sweep,
                    false => svg::by_row,
                };
                files.push((dir.join(format!("{name}.svg")), draw(table)?));
            }
        }
        write_tables(dir, files)
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for table in &self.tables {
            blocks.push(Block::Table(table.table()));
            blocks.extend(table.baseline_table().map(Block::Table));
            blocks.push(Block::Text(format!(
                "Signature of our values: `{}`",
                table.signature
            )));
            blocks.extend(table.speed_notes().into_iter().map(Block::Text));
        }
        blocks.extend(block::commands(&self.missing));
        blocks.extend(self.notes.iter().cloned().map(Block::Text));
        blocks.push(Block::Text(self.legend()));
        blocks
    }

    /// How the cells read.
    fn legend(&self) -> String {
        let mut legend =
            "Mean ± standard deviation (number of runs) where there are several. Δ: change \
                          against p = 0 of the same column"
                .to_owned();
        let in_points = |table: &ScoreTable| table.metric.difference() == Difference::Points;
        legend += match self.tables.iter().any(in_points) {
            true => ", in points where it has no percent sign.",
            false => ".",
        };
        let notes = self.tables.iter().filter_map(ScoreTable::hidden_note);
        for note in notes.collect::<BTreeSet<_>>() {
            legend += &format!(" {note}");
        }
        legend
    }
}
