//! Printed forms of an overview.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::metric::{Difference, Metric};
use crate::paper;
use crate::record::{MaskKind, write_atomic};
use crate::render::aggregate::Percent;
use crate::render::block::{self, Block};
use crate::render::csv::write_csv;
use crate::render::number::{NOTHING, change, mean_sd, short};
use crate::render::overview::{Layout, Overview, OverviewColumn, OverviewLine, SQUAD_KERNELS};
use crate::render::section::{CSV_HEAD, baseline_name, csv_line};
use crate::render::table::{Align, Table};

impl Overview {
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

    /// Every score of every run, further ones included, as `row,p_nominal,p_effective,mask,metric,value,paper,n_seeds,signature`;
    /// averages over tasks are not in it.
    ///
    /// # Errors
    /// [`crate::ResultsError::Csv`] if the writer fails.
    pub fn csv(&self) -> Result<String> {
        let lines = self.groups.iter().map(|(label, group)| {
            let key = &group.key;
            let is_dense = key.p == Some(Percent::new(0.0));
            let is_papers = key.mask == MaskKind::Ap || is_dense;
            let paper = group.paper.as_ref().filter(|_| is_papers);
            let mask = key.mask.label(key.block_size);
            csv_line(label, key.p, &mask, group, paper)
        });
        write_csv(std::iter::once(CSV_HEAD.map(String::from).to_vec()).chain(lines))
    }

    /// Writes TABLE.md and TABLE.csv into `dir`; returns the files.
    ///
    /// # Errors
    /// [`crate::ResultsError::Io`] if the disk refuses.
    pub fn write(&self, dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let dir = dir.as_ref();
        let files = [
            (dir.join("TABLE.md"), self.markdown()),
            (dir.join("TABLE.csv"), self.csv()?),
        ];
        files
            .iter()
            .try_for_each(|(path, text)| write_atomic(path, text.as_bytes()))?;
        Ok(files.map(|(path, _)| path).into())
    }

    /// The table: for each mask and p our numbers, their change against p = 0 of the same column, and below them the
    /// paper's.
    pub fn table(&self) -> Table {
        let mut heads = vec![
            ("p %".to_owned(), Align::Right),
            ("mask".to_owned(), Align::Left),
            ("effective %".to_owned(), Align::Right),
            (String::new(), Align::Left),
        ];
        if self.layout == Layout::Squad {
            heads.insert(0, ("attention".to_owned(), Align::Left));
        }
        let head = |column: &OverviewColumn| {
            let arrow = column.metric.map_or("↑", Metric::arrow);
            (format!("{} {arrow}", column.name), Align::Right)
        };
        heads.extend(self.columns.iter().map(head));
        let mut table = Table::new(heads);
        for line in &self.lines {
            let dense = self.dense(line);
            let is_dense = line.p == Some(Percent::new(0.0)) || line.p.is_none();
            table.push(self.cells(line, "ours", true, |at| self.ours(line, at)));
            if !is_dense && line.ours.iter().any(Option::is_some) {
                table.push(self.cells(line, "change", false, |at| {
                    let mean = |line: &OverviewLine| line.ours[at].as_ref().map(|ours| ours.mean);
                    self.change(at, mean(line), dense.and_then(mean))
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

    /// The p = 0 line that a line's changes refer to.
    fn dense(&self, line: &OverviewLine) -> Option<&OverviewLine> {
        let zero = Some(Percent::new(0.0));
        let dense = |row: &str| {
            self.lines
                .iter()
                .find(|other| other.row == row && other.p == zero)
        };
        // A mask changes nothing in a dense kernel at p = 0: its dense run is that of the kernel without masks.
        dense(&line.row).or_else(|| dense(SQUAD_KERNELS[0]))
    }

    fn cells(
        &self,
        line: &OverviewLine,
        what: &str,
        with_names: bool,
        cell: impl Fn(usize) -> String,
    ) -> Vec<String> {
        let name = |text: String| if with_names { text } else { String::new() };
        let mask = match (line.mask, line.p) {
            (mask, Some(p)) if p == Percent::new(0.0) && !mask.is_baseline() => NOTHING.to_owned(),
            (mask, Some(_)) => mask.label(line.block_size),
            (mask, None) => baseline_name(mask).to_owned(),
        };
        let effective = match line.p_effective {
            Some((least, most)) if format!("{least:.2}") != format!("{most:.2}") => {
                format!("{least:.2} to {most:.2}")
            }
            Some((least, _)) => format!("{least:.2}"),
            None => NOTHING.into(),
        };
        let p = line.p.map_or(NOTHING.into(), |p| short(p.get(), 3));
        let mut cells = vec![name(p), name(mask), name(effective), what.to_owned()];
        if self.layout == Layout::Squad {
            cells.insert(0, name(line.row.clone()));
        }
        cells.extend((0..self.columns.len()).map(cell));
        cells
    }

    fn ours(&self, line: &OverviewLine, at: usize) -> String {
        let marks: String = line.missing[at]
            .iter()
            .map(|mark| format!("[{mark}]"))
            .collect();
        let number = line.ours[at].as_ref();
        let number = number.map(|ours| mean_sd(ours.mean, ours.sd, ours.n, self.decimals(at)));
        match (number, marks.is_empty()) {
            (Some(number), true) => number,
            (Some(number), false) => format!("{number} {marks}"),
            (None, true) => NOTHING.into(),
            (None, false) => format!("missing {marks}"),
        }
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

    fn blocks(&self) -> Vec<Block> {
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
        let tables: &[&str] = match self.layout {
            Layout::Glue => &[paper::GLUE],
            Layout::Squad => &[paper::SQUAD, paper::SQUAD_TIME, paper::SQUAD_MEMORY],
        };
        for table in tables
            .iter()
            .filter_map(|table| paper::tables().get(*table))
        {
            let (corpus, metric, note, source) =
                (&table.corpus, &table.metric, &table.note, &table.source);
            blocks.push(Block::Text(format!(
                "The paper's values are those of {corpus} ({metric}; {note}; {source}); compare the changes, not the values."
            )));
        }
        let is_empty = |line: &OverviewLine| line.ours.iter().all(Option::is_none);
        let mut block_sparse = self
            .lines
            .iter()
            .filter(|line| line.row == SQUAD_KERNELS[2]);
        if self.layout == Layout::Squad && block_sparse.all(is_empty) {
            blocks.push(Block::Text(
                "No block-sparse kernel has run yet; its lines keep their place.".into(),
            ));
        }
        let average = match self.columns.last() {
            Some(column) if column.metric.is_none() => {
                " The average is the plain mean of the columns that the paper averages (not WNLI), ours and the paper's over the same \
                 columns; its spread is over seeds that all of them have."
            }
            Some(_) | None => "",
        };
        blocks.push(Block::Text(format!(
            "Mean ± standard deviation (number of runs) where there are several. Change: against p = 0 of the same column, in points \
             where it has no percent sign.{average}"
        )));
        blocks
    }
}
