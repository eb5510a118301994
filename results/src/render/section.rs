//! The part of a report whose scores share one signature.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::metric::{Difference, Metric};
use crate::record::{MaskKind, PaperReference};
use crate::render::aggregate::{Group, Percent};
use crate::render::csv::write_csv;
use crate::render::number::{NOTHING, change, grouped, mean_sd, short};
use crate::render::table::{Align, Table};

/// All p of all rows under one metric and signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Which score.
    pub metric: Metric,
    /// Its protocol.
    pub signature: String,
    /// One line a row, block size and p; p rises within a row, its masks of cells first.
    pub lines: Vec<Line>,
    /// Baselines and dense checkpoints by row, in the order of their kinds.
    pub baselines: Vec<(String, Group)>,
}

/// One p of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The row.
    pub row: String,
    /// Edge of the blocks that the mask hides; none where it hides cells.
    pub block_size: Option<u64>,
    /// Nominal p.
    pub p: Percent,
    /// Runs under the mask of the paper, or the one of blocks; at p = 0 the dense runs.
    pub ap: Option<Group>,
    /// Runs under random masks; at p = 0 the dense runs again, if the row has random masks.
    pub random: Option<Group>,
    /// The published number.
    pub paper: Option<PaperReference>,
    /// Marks of missing runs, such as `[1]`, for the cells `ap` and `random`.
    pub missing: [Vec<usize>; 2],
}

impl Line {
    /// The row, with the size of its blocks.
    pub fn name(&self) -> String {
        row_name(&self.row, self.block_size)
    }

    /// Our runs under the mask of the paper.
    pub fn ap(&self) -> Option<&Group> {
        self.ap.as_ref()
    }

    /// Our runs under random masks.
    pub fn random(&self) -> Option<&Group> {
        self.random.as_ref()
    }
}

impl Section {
    /// The p = 0 line of `row`, which relative changes refer to.
    pub fn dense(&self, row: &str) -> Option<&Line> {
        self.lines
            .iter()
            .find(|line| line.row == row && line.p == Percent::new(0.0))
    }

    /// The line of `row` with such blocks at `p`, made in its place if it is not there.
    pub(super) fn line_mut(&mut self, row: &str, block_size: Option<u64>, p: Percent) -> &mut Line {
        let wanted = (row, block_size, p);
        let place = |line: &Line| (line.row.as_str(), line.block_size, line.p).cmp(&wanted);
        let at = self.lines.partition_point(|line| place(line).is_lt());
        if self.lines.get(at).is_none_or(|line| place(line).is_ne()) {
            let missing = [Vec::new(), Vec::new()];
            self.lines.insert(
                at,
                Line {
                    row: row.to_string(),
                    block_size,
                    p,
                    ap: None,
                    random: None,
                    paper: None,
                    missing,
                },
            );
        }
        &mut self.lines[at]
    }

    /// Whether a random mask was run or is missing.
    pub(super) fn has_random(&self) -> bool {
        let has = |line: &Line| line.random.is_some() || !line.missing[1].is_empty();
        self.lines.iter().any(has)
    }

    /// Table for people: ours beside the paper, with changes against p = 0 of the same column. Random masks have columns
    /// only where there are any; the paper's corpus stands in the head, or in each cell where rows have different ones.
    pub fn table(&self) -> Table {
        let arrow = self.metric.arrow();
        let papers = || self.lines.iter().filter_map(|line| line.paper.as_ref());
        let corpora: BTreeSet<&str> = papers().map(|paper| paper.corpus.as_str()).collect();
        let paper = match corpora.first() {
            Some(corpus) if corpora.len() == 1 => format!("paper, {corpus} {arrow}"),
            Some(_) | None => format!("paper {arrow}"),
        };
        let published = |paper: &PaperReference| {
            let value = format!("{:.*}", self.metric.decimals(), paper.value);
            match corpora.len() {
                1 => value,
                _ => format!("{value} ({})", paper.corpus),
            }
        };
        let how = self.metric.difference();
        let with_random = self.has_random();
        let mut columns = vec![
            ("row".into(), Align::Left),
            ("p %".into(), Align::Right),
            ("effective %".into(), Align::Right),
            ("token-weighted %".into(), Align::Right),
            (format!("ours, ap {arrow}"), Align::Right),
            ("Δ ap".into(), Align::Right),
        ];
        if with_random {
            columns.push((format!("ours, random {arrow}"), Align::Right));
            columns.push(("Δ random".into(), Align::Right));
        }
        columns.extend([(paper, Align::Right), ("Δ paper".into(), Align::Right)]);
        let mut table = Table::new(columns);
        for line in &self.lines {
            let dense = self.dense(&line.row);
            let relative = |group: &Option<Group>, of: Option<&Group>| match (group, of) {
                (Some(group), Some(of)) => change(how, group.mean, of.mean),
                (Some(_), None) | (None, Some(_)) | (None, None) => NOTHING.into(),
            };
            let dense_paper = dense.and_then(|dense| dense.paper.as_ref());
            let mut cells = vec![
                line.name(),
                short(line.p.get(), 3),
                both(line, |group| group.p_effective),
                both(line, |group| group.p_token_weighted),
                self.cell(&line.ap, &line.missing[0]),
                relative(&line.ap, dense.and_then(|dense| dense.ap.as_ref())),
            ];
            if with_random {
                cells.push(self.cell(&line.random, &line.missing[1]));
                cells.push(relative(
                    &line.random,
                    dense.and_then(|dense| dense.random.as_ref()),
                ));
            }
            cells.push(line.paper.as_ref().map_or(NOTHING.into(), published));
            cells.push(match (&line.paper, dense_paper) {
                (Some(paper), Some(of)) => change(how, paper.value, of.value),
                (Some(_), None) | (None, Some(_)) | (None, None) => NOTHING.into(),
            });
            table.push(cells);
        }
        table
    }

    /// Table of the baselines with the dense (p = 0) score relative to each; `None` without baselines.
    pub fn baseline_table(&self) -> Option<Table> {
        if self.baselines.is_empty() {
            return None;
        }
        let arrow = self.metric.arrow();
        let mut table = Table::new([
            ("row".into(), Align::Left),
            ("baseline".into(), Align::Left),
            (format!("{} {arrow}", self.metric.label()), Align::Right),
            (
                match self.metric.difference() {
                    Difference::Relative => "ours at p = 0, relative".into(),
                    Difference::Points => "ours at p = 0, difference".into(),
                },
                Align::Right,
            ),
        ]);
        for (row, group) in &self.baselines {
            let ours = self.dense(row).and_then(|line| line.ap.as_ref());
            table.push([
                row.clone(),
                baseline_name(group.key.mask).to_string(),
                mean_sd(group.mean, group.sd, group.n, self.metric.decimals()),
                ours.map_or(NOTHING.into(), |ours| {
                    change(self.metric.difference(), ours.mean, group.mean)
                }),
            ]);
        }
        Some(table)
    }

    /// The contracted csv: `row,p_nominal,p_effective,mask,metric,value,paper,n_seeds,signature`; `value` is the mean
    /// over `n_seeds` runs. A row's baselines come first, then p = 0 … under `ap`, under `ap-blocks-N`,
    /// then under `random`.
    ///
    /// # Errors
    /// [`crate::ResultsError::Csv`] if the writer fails.
    pub fn csv(&self) -> Result<String> {
        let mut by_row: BTreeMap<&str, Vec<Vec<String>>> = BTreeMap::new();
        for (row, group) in &self.baselines {
            if group.key.mask.is_baseline() {
                by_row.entry(row).or_default().push(csv_line(
                    row,
                    None,
                    &group.key.mask.label(None),
                    group,
                    None,
                ));
            }
        }
        for line in &self.lines {
            if let Some(group) = &line.ap {
                let cells = csv_line(
                    &line.row,
                    Some(line.p),
                    &group.key.mask.label(group.key.block_size),
                    group,
                    line.paper.as_ref(),
                );
                by_row.entry(&line.row).or_default().push(cells);
            }
        }
        for line in &self.lines {
            // The paper's numbers are those of its own mask; at p = 0 there is no mask to differ.
            let paper = line.paper.as_ref().filter(|_| line.p == Percent::new(0.0));
            if let Some(group) = &line.random {
                let cells = csv_line(
                    &line.row,
                    Some(line.p),
                    MaskKind::Random.as_str(),
                    group,
                    paper,
                );
                by_row.entry(&line.row).or_default().push(cells);
            }
        }
        let rows = self.lines.iter().map(|line| &line.row);
        let rows = rows.chain(self.baselines.iter().map(|(row, _)| row));
        let in_order = rows.flat_map(|row| by_row.remove(row.as_str()).unwrap_or_default());
        write_csv(std::iter::once(CSV_HEAD.map(String::from).to_vec()).chain(in_order))
    }

    /// Speed and device of each row, in words.
    pub fn speed_notes(&self) -> Vec<String> {
        let mut rows: BTreeMap<&str, Vec<&Group>> = BTreeMap::new();
        for line in &self.lines {
            rows.entry(&line.row)
                .or_default()
                .extend(line.ap.iter().chain(&line.random));
        }
        rows.into_iter()
            .filter_map(|(row, groups)| {
                let mut speeds: Vec<f64> = groups
                    .iter()
                    .flat_map(|group| group.tokens_per_second.iter().copied())
                    .collect();
                speeds.sort_by(f64::total_cmp);
                let devices: BTreeSet<&str> = groups
                    .iter()
                    .flat_map(|group| group.devices.iter().map(String::as_str))
                    .collect();
                let devices = devices.into_iter().collect::<Vec<_>>().join(", ");
                let (slowest, fastest) = (speeds.first()?, speeds.last()?);
                let median = speeds[speeds.len() / 2];
                Some(format!(
                    "{row}: trained at {} tokens/s (median; {} to {}) on {devices}.",
                    grouped(median),
                    grouped(*slowest),
                    grouped(*fastest)
                ))
            })
            .collect()
    }

    fn cell(&self, group: &Option<Group>, missing: &[usize]) -> String {
        let marks: String = missing.iter().map(|mark| format!("[{mark}]")).collect();
        match (group, marks.is_empty()) {
            (Some(group), true) => mean_sd(group.mean, group.sd, group.n, self.metric.decimals()),
            (Some(group), false) => {
                format!(
                    "{} {marks}",
                    mean_sd(group.mean, group.sd, group.n, self.metric.decimals())
                )
            }
            (None, true) => NOTHING.into(),
            (None, false) => format!("missing {marks}"),
        }
    }
}

/// A row with the size of its masks' blocks.
pub(super) fn row_name(row: &str, block_size: Option<u64>) -> String {
    match block_size {
        Some(size) => format!("{row}, blocks of {size}"),
        None => row.to_owned(),
    }
}

/// A share under the AP mask, and under the random one where it differs in print.
fn both(line: &Line, share: impl Fn(&Group) -> Option<f64>) -> String {
    let text = |group: &Option<Group>| {
        group
            .as_ref()
            .and_then(&share)
            .map(|share| format!("{share:.2}"))
    };
    match (text(&line.ap), text(&line.random)) {
        (Some(ap), Some(random)) if ap != random => format!("{ap} / {random}"),
        (Some(ap), _) => ap,
        (None, Some(random)) => random,
        (None, None) => NOTHING.into(),
    }
}

pub(super) fn baseline_name(mask: MaskKind) -> &'static str {
    match mask {
        MaskKind::Unigram => "unigram, add one",
        MaskKind::Bigram => "bigram, Kneser–Ney",
        MaskKind::Trigram => "trigram, Kneser–Ney",
        MaskKind::CopySource => "the source, copied",
        MaskKind::WordTranslation => "most frequent translation of each word",
        MaskKind::Majority => "the most frequent class",
        MaskKind::WordOverlap => "word overlap, threshold of train",
        MaskKind::None => "dense checkpoint, before the further steps",
        MaskKind::Ap => "ap",
        MaskKind::ApBlocks => "ap in blocks",
        MaskKind::Random => "random",
    }
}

/// The columns of [`csv_line`].
pub(super) const CSV_HEAD: [&str; 9] = [
    "row",
    "p_nominal",
    "p_effective",
    "mask",
    "metric",
    "value",
    "paper",
    "n_seeds",
    "signature",
];

pub(super) fn csv_line(
    row: &str,
    p: Option<Percent>,
    mask: &str,
    group: &Group,
    paper: Option<&PaperReference>,
) -> Vec<String> {
    vec![
        row.to_string(),
        p.map_or(String::new(), |p| short(p.get(), 3)),
        group
            .p_effective
            .filter(|_| p.is_some())
            .map_or(String::new(), |p| short(p, 6)),
        mask.to_owned(),
        group.key.metric.to_string(),
        short(group.mean, 6),
        paper.map_or(String::new(), |paper| short(paper.value, 6)),
        group.n.to_string(),
        group.key.signature.clone(),
    ]
}
