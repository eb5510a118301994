//! Printed forms of a table of mechanisms.

use std::path::{Path, PathBuf};

use super::{MechanismColumn, MechanismLine, MechanismTable};
use crate::condition::{Condition, MaskFamily};
use crate::error::Result;
use crate::render::aggregate::{GroupKey, over_shared_seeds};
use crate::render::block::{self, Block};
use crate::render::csv::{SCORE_HEAD, n_seeds, write_csv};
use crate::render::number::{NOTHING, change, grouped, mean_sd, short};
use crate::render::pivot::MeanScore;
use crate::render::score_table::with_marks;
use crate::render::table::{Align, Table};
use crate::render::{svg, write_tables};

/// What the csv has besides the columns of every table of scores.
const COST_HEAD: [&str; 5] = [
    "sd",
    "parameters",
    "tokens_per_second",
    "peak_gigabytes",
    "observed",
];

impl MechanismColumn {
    /// Its head, without an arrow.
    pub(in crate::render) fn head(&self, several: bool) -> String {
        match self.task.as_ref().filter(|_| several) {
            Some(task) => format!("{task}, {}", self.metric.label()),
            None => self.metric.label().to_owned(),
        }
    }
}

impl MechanismTable {
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

    /// Whether the columns are of several tasks.
    pub(in crate::render) fn has_several_tasks(&self) -> bool {
        self.columns
            .windows(2)
            .any(|pair| pair[0].task != pair[1].task)
    }

    /// The line that changes refer to: the first network.
    fn first(&self) -> Option<&MechanismLine> {
        let is_network = |line: &&MechanismLine| !matches!(line.condition, Condition::Baseline(_));
        self.lines.iter().find(is_network)
    }

    /// The score in a column that the change of a line refers to; none for what it would be compared with itself.
    fn base(&self, line: &MechanismLine, column: usize) -> Option<&MeanScore> {
        let first = self.first().filter(|first| *first != line)?;
        first.scores[column].as_ref()
    }

    /// The same for a group of runs of the table.
    pub(crate) fn base_of(&self, group: &GroupKey) -> Option<&MeanScore> {
        let &(line, column) = self.places.get(group)?;
        self.base(self.lines.get(line)?, column)
    }

    /// The head of changes, with what they refer to; none without a network.
    pub(crate) fn change_head(&self) -> Option<String> {
        self.first().map(|first| format!("Δ {}", first.name))
    }

    /// The table: the scores of each mechanism with their change against the first one, its cost, and what is watched.
    pub fn table(&self) -> Table {
        let several = self.has_several_tasks();
        let change_head = self.change_head();
        let mut heads = vec![("row".to_owned(), Align::Left)];
        for column in &self.columns {
            let head = format!("{} {}", column.head(several), column.metric.arrow());
            heads.push((head, Align::Right));
            heads.extend(change_head.clone().map(|head| (head, Align::Right)));
        }
        // Only masks hide anything.
        let is_masked = |line: &MechanismLine| matches!(line.condition, Condition::Masked(_));
        let has_masks = self.lines.iter().any(is_masked);
        if has_masks {
            for head in ["effective %", "token-weighted %"] {
                heads.push((head.to_owned(), Align::Right));
            }
        }
        for head in ["parameters", "tokens/s", "memory, GB"] {
            heads.push((head.to_owned(), Align::Right));
        }
        heads.push(("observed".to_owned(), Align::Left));
        let mut table = Table::new(heads);
        for line in &self.lines {
            let mut cells = vec![line.name.clone()];
            for (at, column) in self.columns.iter().enumerate() {
                let score = line.scores[at].as_ref();
                let number =
                    |of: &MeanScore| mean_sd(of.mean, of.sd, of.n, column.metric.decimals());
                cells.push(with_marks(score.map(number), &line.missing));
                if change_head.is_some() {
                    let means = score
                        .zip(self.base(line, at))
                        .and_then(|(ours, base)| over_shared_seeds([&ours.runs, &base.runs]));
                    let how = column.metric.difference();
                    let change = means.map(|(ours, base)| change(how, ours, base));
                    cells.push(change.unwrap_or(NOTHING.into()));
                }
            }
            let or_nothing = |text: Option<String>| text.unwrap_or(NOTHING.into());
            if has_masks {
                let hidden = [line.p_effective, line.p_token_weighted];
                let of_mask = |p: Option<f64>| p.filter(|_| is_masked(line));
                cells.extend(hidden.map(|p| or_nothing(of_mask(p).map(|p| format!("{p:.2}")))));
            }
            cells.push(or_nothing(line.parameters.map(|n| grouped(n as f64))));
            cells.push(or_nothing(line.tokens_per_second.map(grouped)));
            cells.push(or_nothing(line.gigabytes.map(|of| format!("{of:.2}"))));
            cells.push(match line.observed.is_empty() {
                true => NOTHING.into(),
                false => line.observed_words(),
            });
            table.push(cells);
        }
        table
    }

    /// Every score as `row,p_nominal,p_effective,mask,metric,value,paper,n_runs,n_seeds,signature`, with its spread, what
    /// the mechanism costs and what is watched of it behind; `row` is the mechanism.
    ///
    /// # Errors
    /// [`crate::ResultsError::Csv`] if the writer fails.
    pub fn csv(&self) -> Result<String> {
        let head = SCORE_HEAD.iter().chain(&COST_HEAD);
        let head: Vec<String> = head.map(|head| (*head).to_owned()).collect();
        let lines = self.lines.iter().flat_map(|line| {
            let scores = self.columns.iter().zip(&line.scores);
            scores.filter_map(|(column, score)| Some(line.csv(column, score.as_ref()?)))
        });
        write_csv(std::iter::once(head).chain(lines))
    }

    /// Writes TABLE.md, TABLE.csv and, where there is a score to draw, TABLE.svg into `dir`; returns the files.
    ///
    /// # Errors
    /// [`crate::ResultsError::Io`] if the disk refuses, [`crate::ResultsError::Plot`] if the plot cannot be drawn.
    pub fn write(&self, dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let dir = dir.as_ref();
        let mut files = vec![
            (dir.join("TABLE.md"), self.markdown()),
            (dir.join("TABLE.csv"), self.csv()?),
        ];
        if self
            .lines
            .iter()
            .any(|line| line.scores.iter().any(Option::is_some))
        {
            files.push((dir.join("TABLE.svg"), svg::mechanisms(self)?));
        }
        write_tables(dir, files)
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = vec![Block::Table(self.table())];
        let several = self.has_several_tasks();
        for column in &self.columns {
            let (head, signature) = (column.head(several), &column.signature);
            blocks.push(Block::Text(format!("Signature of {head}: `{signature}`")));
        }
        blocks.extend(block::commands(&self.missing));
        blocks.extend(self.notes.iter().cloned().map(Block::Text));
        blocks.push(Block::Text(
            "Mean ± standard deviation (number of runs) where there are several seeds. Tokens a second are target tokens \
             of training; memory is the largest resident memory of the process while it trained. Observed: means over \
             layers, heads and queries of the first test examples, read one at a time."
                .to_owned(),
        ));
        blocks
    }
}

impl MechanismLine {
    /// `groups 3.10, support 5.20`.
    fn observed_words(&self) -> String {
        let observed = self.observed.iter();
        let words = observed.map(|(name, value)| match name.strip_suffix(" %") {
            Some(name) => format!("{name} {} %", short(*value, 1)),
            None => format!("{name} {}", short(*value, 3)),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    fn csv(&self, column: &MechanismColumn, score: &MeanScore) -> Vec<String> {
        let mask = match (self.condition, self.p) {
            (Condition::Dense, Some(_)) => MaskFamily::AP.to_string(),
            (condition, _) => condition.to_string(),
        };
        let number = |value: Option<f64>| value.map_or(String::new(), |value| short(value, 6));
        vec![
            self.name.clone(),
            self.p.map_or(String::new(), |p| short(p.get(), 3)),
            number(self.p_effective.filter(|_| self.p.is_some())),
            mask,
            column.metric.to_string(),
            short(score.mean, 6),
            String::new(),
            score.n.to_string(),
            n_seeds(score.runs.iter().map(|(seed, _)| *seed)).to_string(),
            column.signature.clone(),
            number(score.sd),
            self.parameters.map_or(String::new(), |n| n.to_string()),
            number(self.tokens_per_second),
            number(self.gigabytes),
            self.observed
                .iter()
                .map(|(name, value)| format!("{name}={}", short(*value, 6)))
                .collect::<Vec<_>>()
                .join("; "),
        ]
    }
}
