//! Printed forms of a pivot table.

use std::path::{Path, PathBuf};

use crate::condition::Condition;
use crate::error::Result;
use crate::metric::{Difference, Metric};
use crate::paper;
use crate::render::aggregate::{Percent, over_shared_seeds};
use crate::render::block::{self, Block};
use crate::render::csv::{score_line, write_scores};
use crate::render::number::{NOTHING, change, mean_sd, short};
use crate::render::pivot::{
    PivotColumn, PivotLayout, PivotLine, PivotTable, SQUAD_KERNELS, published,
};
use crate::render::score_table::{RowName, with_marks};
use crate::render::table::{Align, Table};
use crate::render::{svg, write_tables};

impl PivotTable {
    /// For a terminal of `width` columns; no width, no wrapping.
    pub fn terminal(&self, width: Option<u16>) -> String {
        block::terminal(&self.title, &self.blocks(), width)
    }

    /// Markdown, the content of TABLE.md.
    pub fn markdown(&self) -> String {
        block::markdown(&self.title, &self.blocks())
    }

    /// The table as LaTeX, everything else as its comments.
    pub fn latex(&self) -> String {
        block::latex(&self.title, &self.blocks())
    }

    /// Every score of every run, further ones included, as
    /// `row,p_nominal,p_effective,mask,metric,value,paper,n_runs,n_seeds,signature`; averages over
    /// tasks are not in it.
    ///
    /// # Errors
    /// [`crate::ResultsError::Csv`] if the writer fails.
    pub fn csv(&self) -> Result<String> {
        let lines = self.groups.iter().map(|(label, group)| {
            let key = &group.key;
            let is_papers = match key.condition {
                Condition::Dense => key.p.is_some(),
                Condition::Masked(mask) => mask.family.is_published(),
                Condition::Baseline(_) => false,
            };
            let paper = group.paper.as_ref().filter(|_| is_papers);
            let name = RowName {
                row: label.clone(),
                variant: key.variant.clone(),
            };
            score_line(&name.to_string(), key.p, &key.csv_mask(), group, paper)
        });
        write_scores(lines)
    }

    /// Writes TABLE.md, TABLE.csv and, where there is a score to draw, TABLE.svg into `dir`; returns
    /// the files.
    ///
    /// # Errors
    /// [`crate::ResultsError::Io`] if the disk refuses, [`crate::ResultsError::Plot`] if the plot
    /// cannot be drawn.
    pub fn write(&self, dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let dir = dir.as_ref();
        let mut files = vec![
            (dir.join("TABLE.md"), self.markdown()),
            (dir.join("TABLE.csv"), self.csv()?),
        ];
        if self
            .lines
            .iter()
            .any(|line| line.ours.iter().any(Option::is_some))
        {
            files.push((dir.join("TABLE.svg"), svg::pivot(self)?));
        }
        write_tables(dir, files)
    }

    /// The table: for each condition and p our numbers, their change against p = 0 of the same
    /// column, and below them the paper's.
    pub fn table(&self) -> Table {
        let mut heads = Vec::new();
        if self.layout != PivotLayout::Glue {
            heads.push(("attention".to_owned(), Align::Left));
        }
        if self.has_variants() {
            heads.push(("variant".to_owned(), Align::Left));
        }
        heads.extend([
            ("p %".to_owned(), Align::Right),
            ("mask".to_owned(), Align::Left),
            ("effective %".to_owned(), Align::Right),
            ("token-weighted %".to_owned(), Align::Right),
            (String::new(), Align::Left),
        ]);
        let head = |column: &PivotColumn| {
            let arrow = column.metric.map_or("↑", Metric::arrow);
            (format!("{} {arrow}", column.name), Align::Right)
        };
        heads.extend(self.columns.iter().map(head));
        let mut table = Table::new(heads);
        for line in &self.lines {
            let dense = self.dense(line);
            let is_dense = line.p == Some(Percent::ZERO) || line.p.is_none();
            table.push(self.cells(line, "ours", true, |at| self.ours(line, at)));
            if !is_dense && line.ours.iter().any(Option::is_some) {
                table.push(self.cells(line, "change", false, |at| {
                    let base = dense.and_then(|dense| dense.ours[at].as_ref());
                    let means = line.ours[at]
                        .as_ref()
                        .zip(base)
                        .and_then(|(ours, base)| over_shared_seeds([&ours.runs, &base.runs]));
                    self.change(at, means.map(|of| of.0), means.map(|of| of.1))
                }));
            }
            if line.paper.iter().any(Option::is_some) {
                let published = |at: usize| {
                    line.paper[at].map_or(NOTHING.into(), |value| {
                        format!("{value:.*}", self.decimals(at))
                    })
                };
                table.push(self.cells(line, "paper", false, published));
                if !is_dense {
                    table.push(self.cells(line, "paper's change", false, |at| {
                        self.change(at, line.paper[at], dense.and_then(|dense| dense.paper[at]))
                    }));
                }
            }
        }
        table
    }

    fn has_variants(&self) -> bool {
        self.lines.iter().any(|line| line.variant.is_some())
    }

    /// The p = 0 line that a line's changes refer to.
    pub(in crate::render) fn dense(&self, line: &PivotLine) -> Option<&PivotLine> {
        let dense = |row: &str| {
            self.lines.iter().find(|other| {
                (other.row.as_str(), &other.variant, other.p)
                    == (row, &line.variant, Some(Percent::ZERO))
            })
        };
        // A mask changes nothing in a dense kernel at p = 0: its dense run is that of the kernel
        // without masks.
        dense(&line.row).or_else(|| dense(SQUAD_KERNELS[0]))
    }

    /// Where the published numbers of a column were taken.
    pub(in crate::render) fn corpora(&self, at: usize) -> Vec<String> {
        let has_some = self.lines.iter().any(|line| line.paper[at].is_some());
        let source = published::source(self, at).filter(|_| has_some);
        let table = source.and_then(|source| paper::tables().get(source));
        table
            .map(|table| table.corpus.clone())
            .into_iter()
            .collect()
    }

    fn cells(
        &self,
        line: &PivotLine,
        what: &str,
        with_names: bool,
        cell: impl Fn(usize) -> String,
    ) -> Vec<String> {
        let name = |text: String| if with_names { text } else { String::new() };
        let mask = match (line.condition, line.p) {
            (Condition::Dense, Some(_)) => NOTHING.to_owned(),
            (condition, _) => condition.description(),
        };
        let range = |of: Option<(f64, f64)>| match of {
            Some((least, most)) if format!("{least:.2}") != format!("{most:.2}") => {
                format!("{least:.2} to {most:.2}")
            }
            Some((least, _)) => format!("{least:.2}"),
            None => NOTHING.into(),
        };
        let p = line.p.map_or(NOTHING.into(), |p| short(p.get(), 3));
        let mut cells = Vec::new();
        if self.layout != PivotLayout::Glue {
            cells.push(name(line.row.clone()));
        }
        if self.has_variants() {
            cells.push(name(line.variant.clone().unwrap_or(NOTHING.into())));
        }
        cells.extend([name(p), name(mask)]);
        let hidden = [line.p_effective, line.p_token_weighted];
        cells.extend(hidden.map(|of| name(range(of.filter(|_| line.p.is_some())))));
        cells.push(what.to_owned());
        cells.extend((0..self.columns.len()).map(cell));
        cells
    }

    fn ours(&self, line: &PivotLine, at: usize) -> String {
        let number = line.ours[at].as_ref();
        let number = number.map(|ours| mean_sd(ours.mean, ours.sd, ours.n, self.decimals(at)));
        with_marks(number, &line.missing[at])
    }

    fn change(&self, at: usize, value: Option<f64>, dense: Option<f64>) -> String {
        let how = self.columns[at]
            .metric
            .map_or(Difference::Points, Metric::difference);
        match (value, dense) {
            (Some(value), Some(dense)) => change(how, value, dense),
            (Some(_), None) | (None, Some(_)) | (None, None) => NOTHING.into(),
        }
    }

    fn decimals(&self, at: usize) -> usize {
        self.columns[at].metric.map_or(2, Metric::decimals)
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = vec![Block::Table(self.table())];
        for column in self
            .columns
            .iter()
            .filter(|column| !column.signature.is_empty())
        {
            let (name, signature) = (&column.name, &column.signature);
            let label = column
                .metric
                .map(Metric::label)
                .filter(|label| !name.ends_with(label));
            let label = label.map(|label| format!(": {label}")).unwrap_or_default();
            blocks.push(Block::Text(format!(
                "{name}{label}; signature of our values `{signature}`"
            )));
        }
        blocks.extend(block::commands(&self.missing));
        blocks.extend(self.notes.iter().cloned().map(Block::Text));
        let sources = published::sources(self).into_iter();
        for table in sources.filter_map(|table| paper::tables().get(table)) {
            let (corpus, metric, note, source) =
                (&table.corpus, &table.metric, &table.note, &table.source);
            blocks.push(Block::Text(format!(
                "The paper's values are those of {corpus} ({metric}; {note}; {source}); compare the \
                 changes, not the values."
            )));
        }
        let is_empty = |line: &PivotLine| line.ours.iter().all(Option::is_none);
        let mut block_sparse = self
            .lines
            .iter()
            .filter(|line| line.row == SQUAD_KERNELS[2]);
        if self.layout == PivotLayout::Squad && block_sparse.all(is_empty) {
            blocks.push(Block::Text(
                "No block-sparse kernel has run yet; its lines keep their place.".into(),
            ));
        }
        let average = match self.columns.last() {
            Some(column) if column.metric.is_none() => {
                " The average is the plain mean of the columns that the paper averages (not WNLI), ours \
                 and the paper's over the same columns; ours, its spread (number of seeds) and its change \
                 are over the seeds that all of them have."
            }
            Some(_) | None => "",
        };
        blocks.push(Block::Text(format!(
            "Mean ± standard deviation (number of runs) where there are several. Change: against p = 0 of \
             the same column, in points where it has no percent sign.{average}"
        )));
        blocks
    }
}
