//! The report of a table: grouping, layout, files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Result, ResultsError};
use crate::metric::Difference;
use crate::record::{MaskKind, PaperReference, RunRecord, write_atomic};
use crate::render::aggregate::{Aggregate, Group, Percent, aggregate};
use crate::render::block::{self, Block};
use crate::render::expected::{Expected, mark_missing};
use crate::render::section::Section;
use crate::render::svg;

/// What the records cannot say of a report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportOptions {
    /// Heading; the name of the table where empty.
    pub title: String,
    /// Runs the table should have.
    pub expected: Vec<Expected>,
}

/// A table ready to print: one [`Section`] a signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Heading.
    pub title: String,
    /// Sections, sorted by metric and signature.
    pub sections: Vec<Section>,
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
/// Scores of different signatures stand in different sections, so that they never share a column. Runs of one row name
/// but different recipes stand in rows of their own, named `row@hash`. Rows stand in the order in which the expected
/// runs name them, others after them by name. Seeds are averaged, see [`aggregate()`](crate::render::aggregate()).
///
/// # Errors
/// [`ResultsError::Empty`] if no record is completed.
pub fn report(records: &[RunRecord], options: &ReportOptions) -> Result<Report> {
    let Aggregate {
        groups,
        unfinished,
        replaced,
    } = aggregate(records);
    let labels = labels(&groups);
    let mut by_signature: BTreeMap<_, Section> = BTreeMap::new();
    for group in groups {
        let (metric, signature) = (group.key.metric, group.key.signature.clone());
        let empty = Section {
            metric,
            signature: signature.clone(),
            lines: Vec::new(),
            baselines: Vec::new(),
        };
        let label = &labels[&(group.key.row.clone(), group.key.recipe_hash.clone())];
        place(
            by_signature.entry((metric, signature)).or_insert(empty),
            label,
            group,
        );
    }
    let mut sections: Vec<Section> = by_signature.into_values().collect();
    let first = sections.first_mut().ok_or(ResultsError::Empty)?;
    let missing = mark_missing(first, records, &options.expected);
    sections
        .iter_mut()
        .for_each(|section| finish(section, &options.expected));
    let mut notes = paper_notes(&sections);
    notes.extend(left_out(&unfinished, &replaced));
    Ok(Report {
        title: options.title_of(records),
        sections,
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

/// Printed name of each (row, recipe hash): the row, with the start of the hash where one row has several.
pub(super) fn labels(groups: &[Group]) -> BTreeMap<(String, String), String> {
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

/// Puts a group into the cell it belongs to; what has no p is a baseline.
fn place(section: &mut Section, row: &str, group: Group) {
    match (group.key.mask, group.key.p) {
        (MaskKind::Ap | MaskKind::ApBlocks | MaskKind::None, Some(p)) => {
            let block_size = group.key.block_size;
            section.line_mut(row, block_size, p).ap = Some(group)
        }
        (MaskKind::Random, Some(p)) => section.line_mut(row, None, p).random = Some(group),
        (MaskKind::Unigram | MaskKind::Bigram | MaskKind::Trigram, _)
        | (MaskKind::CopySource | MaskKind::WordTranslation, _)
        | (MaskKind::Majority | MaskKind::WordOverlap, _)
        | (MaskKind::Ap | MaskKind::ApBlocks | MaskKind::None | MaskKind::Random, None) => {
            section.baselines.push((row.to_string(), group))
        }
    }
}

/// Sorts rows and baselines, shows the dense run beside the random masks where a row has any, and gives each line its
/// published number.
fn finish(section: &mut Section, expected: &[Expected]) {
    let dense = Percent::new(0.0);
    let with_random: BTreeSet<String> = section
        .lines
        .iter()
        .filter(|line| line.p != dense && (line.random.is_some() || !line.missing[1].is_empty()))
        .map(|line| line.row.clone())
        .collect();
    for line in &mut section.lines {
        if line.p == dense && with_random.contains(&line.row) {
            line.random = line.ap.clone();
        } else if line.p == dense {
            line.missing[1].clear();
        }
        line.paper = line
            .ap
            .iter()
            .chain(&line.random)
            .find_map(|group| group.paper.clone());
    }
    let place = |row: &str| {
        let name = row.split_once('@').map_or(row, |(name, _)| name);
        let named = expected
            .iter()
            .position(|run| run.row == row || run.row == name);
        named.unwrap_or(expected.len())
    };
    section.lines.sort_by_cached_key(|line| {
        let row = (place(&line.row), line.row.clone());
        (row, line.block_size, line.p)
    });
    section
        .baselines
        .sort_by_cached_key(|(row, group)| (place(row), row.clone(), rank(group.key.mask)));
}

/// Order of the baselines: what needs no network first.
fn rank(mask: MaskKind) -> u8 {
    match mask {
        MaskKind::Unigram => 0,
        MaskKind::Bigram => 1,
        MaskKind::Trigram => 2,
        MaskKind::CopySource => 3,
        MaskKind::WordTranslation => 4,
        MaskKind::Majority => 5,
        MaskKind::WordOverlap => 6,
        MaskKind::None => 7,
        MaskKind::Ap => 8,
        MaskKind::Random => 9,
        MaskKind::ApBlocks => 10,
    }
}

fn paper_notes(sections: &[Section]) -> Vec<String> {
    let mut papers = BTreeSet::new();
    for section in sections {
        let changes = match section.metric.difference() {
            Difference::Relative => "relative changes",
            Difference::Points => "changes",
        };
        let lines = section.lines.iter().filter_map(|line| line.paper.as_ref());
        papers.extend(lines.map(|PaperReference { corpus, note, .. }| (corpus, note, changes)));
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

    /// Writes TABLE.md, and for each signature TABLE.csv and TABLE.svg (TABLE-2.csv … from the second on) into `dir`;
    /// returns the files.
    ///
    /// # Errors
    /// [`ResultsError::Io`] if the disk refuses, [`ResultsError::Plot`] if a plot cannot be drawn.
    pub fn write(&self, dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let dir = dir.as_ref();
        let mut files = vec![(dir.join("TABLE.md"), self.markdown())];
        for (at, section) in self.sections.iter().enumerate() {
            let name = if at == 0 {
                "TABLE".to_string()
            } else {
                format!("TABLE-{}", at + 1)
            };
            files.push((dir.join(format!("{name}.csv")), section.csv()?));
            if section
                .lines
                .iter()
                .any(|line| line.ap.is_some() || line.random.is_some())
            {
                let is_sweep = section.lines.iter().any(|line| line.p > Percent::new(0.0));
                let draw = if is_sweep { svg::p_sweep } else { svg::by_row };
                files.push((dir.join(format!("{name}.svg")), draw(section)?));
            }
        }
        files
            .iter()
            .try_for_each(|(path, text)| write_atomic(path, text.as_bytes()))?;
        Ok(files.into_iter().map(|(path, _)| path).collect())
    }

    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for section in &self.sections {
            blocks.push(Block::Table(section.table()));
            blocks.extend(section.baseline_table().map(Block::Table));
            blocks.push(Block::Text(format!(
                "Signature of our values: `{}`",
                section.signature
            )));
            blocks.extend(section.speed_notes().into_iter().map(Block::Text));
        }
        blocks.extend(block::commands(&self.missing));
        blocks.extend(self.notes.iter().cloned().map(Block::Text));
        let mut legend = "Mean ± standard deviation (number of runs) where there are several. Δ: change against p = 0 of \
                          the same column."
            .to_string();
        let in_points = |section: &Section| section.metric.difference() == Difference::Points;
        if self.sections.iter().any(in_points) {
            legend.pop();
            legend.push_str(", in points where it has no percent sign.");
        }
        if self.sections.iter().any(Section::has_random) {
            legend.push_str(" Shares as \"ap / random\" where the two masks differ.");
        }
        blocks.push(Block::Text(legend));
        blocks
    }
}
