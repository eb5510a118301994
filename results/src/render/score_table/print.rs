//! Printed forms of a table of scores.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cell, Printed, RowName, ScoreTable};
use crate::condition::{Condition, MaskFamily};
use crate::error::Result;
use crate::metric::Difference;
use crate::record::PaperReference;
use crate::render::aggregate::{Group, Percent, over_shared_seeds};
use crate::render::csv::{score_line, write_scores};
use crate::render::number::{NOTHING, change, grouped, mean_sd, short};
use crate::render::table::{Align, Table};

impl ScoreTable {
    /// Table for people: ours beside the paper, with changes against p = 0 of the same column.
    /// Families of masks other than AP's have columns only where there are any; the paper's corpus
    /// stands in the head, or in each cell where rows have different ones.
    pub fn table(&self) -> Table {
        let arrow = self.metric.arrow();
        let columns = self.columns();
        let corpora: BTreeSet<&str> = self
            .printed()
            .filter_map(|line| Some(line.paper()?.corpus.as_str()))
            .collect();
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
        let mut heads = vec![
            ("row".into(), Align::Left),
            ("p %".into(), Align::Right),
            ("effective %".into(), Align::Right),
            ("token-weighted %".into(), Align::Right),
        ];
        for column in &columns {
            heads.push((format!("ours, {column} {arrow}"), Align::Right));
            heads.push((format!("Δ {column}"), Align::Right));
        }
        heads.extend([(paper, Align::Right), ("Δ paper".into(), Align::Right)]);
        let mut table = Table::new(heads);
        for line in self.printed() {
            let dense = line.dense();
            let mut cells = vec![
                line.row.to_string(),
                short(line.line.p.get(), 3),
                hidden(&line, &columns, |group| group.p_effective),
                hidden(&line, &columns, |group| group.p_token_weighted),
            ];
            for &column in &columns {
                cells.push(self.cell(line.cell(column)));
                let base = dense.as_ref().and_then(|dense| dense.group(column));
                let means = line.group(column).zip(base).and_then(|(group, base)| {
                    let runs = [&group.by_seed()[..], &base.by_seed()];
                    over_shared_seeds(runs)
                });
                cells.push(self.change(means.map(|of| of.0), means.map(|of| of.1)));
            }
            let value = |line: &Printed<'_>| Some(line.paper()?.value);
            cells.push(line.paper().map_or(NOTHING.into(), published));
            cells.push(self.change(value(&line), dense.as_ref().and_then(value)));
            table.push(cells);
        }
        table
    }

    /// Table of the baselines with the dense (p = 0) score relative to each, of every variant where
    /// the rows have several; `None` without baselines.
    pub fn baseline_table(&self) -> Option<Table> {
        if self.baselines.is_empty() {
            return None;
        }
        let arrow = self.metric.arrow();
        let variants = self.variants();
        let change = match self.metric.difference() {
            Difference::Relative => "relative",
            Difference::Points => "difference",
        };
        let mut heads = vec![
            ("row".into(), Align::Left),
            ("baseline".into(), Align::Left),
            (format!("{} {arrow}", self.metric.label()), Align::Right),
        ];
        heads.extend(variants.iter().map(|variant| {
            let ours = variant.unwrap_or("ours");
            (format!("{ours} at p = 0, {change}"), Align::Right)
        }));
        let mut table = Table::new(heads);
        for (name, group) in &self.baselines {
            let mut cells = vec![
                name.to_string(),
                group.key.condition.description(),
                mean_sd(group.mean, group.sd, group.n, self.metric.decimals()),
            ];
            for variant in &variants {
                let network = RowName {
                    row: name.row.clone(),
                    variant: variant.map(str::to_owned),
                };
                // A dense checkpoint is compared with its own network alone.
                let is_other = name.variant.is_some() && name.variant != network.variant;
                let ours = self.dense(&network).filter(|_| !is_other);
                let ours = ours.and_then(|line| line.dense.group.as_ref());
                let of_both = ours.and_then(|ours| {
                    let runs = [&ours.by_seed()[..], &group.by_seed()];
                    over_shared_seeds(runs)
                });
                cells.push(self.change(of_both.map(|(ours, _)| ours), of_both.map(|(_, of)| of)));
            }
            table.push(cells);
        }
        Some(table)
    }

    /// The variants of its rows, in their order; none where rows have one network each.
    fn variants(&self) -> Vec<Option<&str>> {
        let mut variants: Vec<Option<&str>> = Vec::new();
        for line in &self.lines {
            let variant = line.name.variant.as_deref();
            if !variants.contains(&variant) {
                variants.push(variant);
            }
        }
        match variants.is_empty() {
            true => vec![None],
            false => variants,
        }
    }

    /// The contracted csv: `row,p_nominal,p_effective,mask,metric,value,paper,n_runs,n_seeds,signature`;
    /// `value` is the mean over `n_runs` runs. A row's baselines come first, then p = 0 … under
    /// `ap`, under `ap-uses` and `ap-blocks-N`, then p = 0 … under each further family, such as `random`.
    ///
    /// # Errors
    /// [`crate::ResultsError::Csv`] if the writer fails.
    pub fn csv(&self) -> Result<String> {
        let mut rows: Vec<&str> = Vec::new();
        let lines = self.lines.iter().map(|line| &line.name);
        for name in lines.chain(self.baselines.iter().map(|(name, _)| name)) {
            if !rows.contains(&name.row.as_str()) {
                rows.push(&name.row);
            }
        }
        write_scores(rows.into_iter().flat_map(|row| self.csv_row(row)))
    }

    fn csv_row(&self, row: &str) -> Vec<Vec<String>> {
        let mut cells = Vec::new();
        for (name, group) in self.baselines.iter().filter(|(name, _)| name.row == row) {
            if let Condition::Baseline(baseline) = group.key.condition {
                let mask = baseline.as_str();
                cells.push(score_line(&name.to_string(), None, mask, group, None));
            }
        }
        for name in self.names().into_iter().filter(|name| name.row == row) {
            for column in self.columns() {
                let printed = self.printed().filter(|line| line.row.name == name);
                for line in printed {
                    let (Some(group), Some(family)) = (line.group(column), line.family(column))
                    else {
                        continue;
                    };
                    let p = line.line.p;
                    // At p = 0 there is no mask to differ from the published one.
                    let is_published = family.is_published() || p == Percent::ZERO;
                    let paper = line.paper().filter(|_| is_published);
                    let (name, mask) = (name.to_string(), family.to_string());
                    cells.push(score_line(&name, Some(p), &mask, group, paper));
                }
            }
        }
        cells
    }

    /// Speed and device of each row, in words.
    pub fn speed_notes(&self) -> Vec<String> {
        let mut rows: BTreeMap<&RowName, Vec<&Group>> = BTreeMap::new();
        for line in &self.lines {
            rows.entry(&line.name).or_default().extend(line.groups());
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

    /// How cells read in which the masks of several columns hide different percentages; `None`
    /// where there is one column.
    pub(in crate::render) fn hidden_note(&self) -> Option<String> {
        let columns: Vec<String> = self.columns().iter().map(MaskFamily::to_string).collect();
        let which = match columns.len() {
            0 | 1 => return None,
            2 => "the two masks",
            _ => "the masks",
        };
        Some(format!(
            "Shares as \"{}\" where {which} differ.",
            columns.join(" / ")
        ))
    }

    fn cell(&self, cell: Option<&Cell>) -> String {
        let group = cell.and_then(|cell| cell.group.as_ref());
        let number =
            group.map(|group| mean_sd(group.mean, group.sd, group.n, self.metric.decimals()));
        with_marks(number, cell.map_or(&[], |cell| &cell.missing))
    }

    fn change(&self, value: Option<f64>, of: Option<f64>) -> String {
        match (value, of) {
            (Some(value), Some(of)) => change(self.metric.difference(), value, of),
            (Some(_), None) | (None, Some(_)) | (None, None) => NOTHING.into(),
        }
    }
}

/// A number with the marks of the runs that it waits for.
pub(in crate::render) fn with_marks(number: Option<String>, missing: &[usize]) -> String {
    let marks: String = missing.iter().map(|mark| format!("[{mark}]")).collect();
    match (number, marks.is_empty()) {
        (Some(number), true) => number,
        (Some(number), false) => format!("{number} {marks}"),
        (None, true) => NOTHING.into(),
        (None, false) => format!("missing {marks}"),
    }
}

/// A percentage of hidden cells: one number if the masks of all columns agree in print, else that
/// of each column.
fn hidden(
    line: &Printed<'_>,
    columns: &BTreeSet<MaskFamily>,
    percentage: impl Fn(&Group) -> Option<f64>,
) -> String {
    let text = |&column: &MaskFamily| {
        let found = line.group(column).and_then(&percentage)?;
        Some(format!("{found:.2}"))
    };
    let all: Vec<Option<String>> = columns.iter().map(text).collect();
    let different: BTreeSet<&String> = all.iter().flatten().collect();
    let mut different = different.into_iter();
    match (different.next(), different.next()) {
        (None, _) => NOTHING.into(),
        (Some(only), None) => only.clone(),
        (Some(_), Some(_)) => {
            let cells = all.iter().map(|cell| cell.as_deref().unwrap_or(NOTHING));
            cells.collect::<Vec<_>>().join(" / ")
        }
    }
}
