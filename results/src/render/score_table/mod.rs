//! The table of scores against p that share one signature.

mod print;

pub(super) use print::with_marks;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::condition::{Condition, MaskFamily, OwnRows, Place};
use crate::metric::Metric;
use crate::record::PaperReference;
use crate::render::aggregate::{Group, Percent};

/// All p of all rows under one metric and signature.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreTable {
    /// Which score.
    pub metric: Metric,
    /// Its protocol.
    pub signature: String,
    /// One line a row and p; p rises within a row.
    pub lines: Vec<Line>,
    /// Baselines and dense checkpoints by row, in the order of their kinds.
    pub baselines: Vec<(RowName, Group)>,
}

/// A row of a table, and which of its networks where it has several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowName {
    /// The row; `row@hash` where runs of one row have different recipes.
    pub row: String,
    /// The variant of its network.
    pub variant: Option<String>,
}

impl fmt::Display for RowName {
    /// `transformer-xl`, `transformer-xl, entmax15`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.variant {
            Some(variant) => f.pad(&format!("{}, {variant}", self.row)),
            None => f.pad(&self.row),
        }
    }
}

/// One p of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The row.
    pub name: RowName,
    /// Nominal p.
    pub p: Percent,
    /// The dense runs, from which every family of masks starts; at p = 0 only.
    pub dense: Cell,
    /// The runs under masks; at other p only.
    pub cells: BTreeMap<MaskFamily, Cell>,
}

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cell {
    /// Our runs.
    pub group: Option<Group>,
    /// Marks of missing runs, such as `[1]`.
    pub missing: Vec<usize>,
}

impl Cell {
    /// Whether nothing was run and nothing is waited for.
    fn is_empty(&self) -> bool {
        self.group.is_none() && self.missing.is_empty()
    }
}

/// The masks that are printed as one row: those of the families with columns, or those that have rows of
/// their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row<'a> {
    pub(super) name: &'a RowName,
    own: Option<OwnRows>,
}

/// One printed line of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Printed<'a> {
    pub(super) row: Row<'a>,
    pub(super) line: &'a Line,
    table: &'a ScoreTable,
}

impl ScoreTable {
    /// The p = 0 line of `name`, which relative changes refer to.
    pub fn dense(&self, name: &RowName) -> Option<&Line> {
        let is_dense = |line: &&Line| line.name == *name && line.p == Percent::ZERO;
        self.lines.iter().find(is_dense)
    }

    /// The cell of `name` under a condition at `p`, made in its place if it is not there; `None`
    /// for a baseline, or something dense at another p than 0.
    pub(super) fn cell_mut(
        &mut self,
        name: &RowName,
        condition: Condition,
        p: Percent,
    ) -> Option<&mut Cell> {
        let family = match condition {
            Condition::Dense | Condition::Masked(_) if p == Percent::ZERO => None,
            Condition::Masked(mask) => Some(mask.family),
            Condition::Dense | Condition::Baseline(_) => return None,
        };
        let place = |line: &Line| (&line.name, line.p).cmp(&(name, p));
        let at = self.lines.partition_point(|line| place(line).is_lt());
        if self.lines.get(at).is_none_or(|line| place(line).is_ne()) {
            let line = Line {
                name: name.clone(),
                p,
                dense: Cell::default(),
                cells: BTreeMap::new(),
            };
            self.lines.insert(at, line);
        }
        let line = &mut self.lines[at];
        Some(match family {
            Some(family) => line.cells.entry(family).or_default(),
            None => &mut line.dense,
        })
    }

    /// The families of a row's masks that have runs or wait for some.
    fn families(&self, name: &RowName) -> BTreeSet<MaskFamily> {
        let lines = self.lines.iter().filter(|line| line.name == *name);
        let cells = lines.flat_map(|line| &line.cells);
        cells.map(|(&family, _)| family).collect()
    }

    /// The families that have a column: AP's, and what else was run or is waited for.
    pub(super) fn columns(&self) -> BTreeSet<MaskFamily> {
        let families = self.lines.iter().flat_map(|line| line.cells.keys());
        let columns = families.map(|family| family.column());
        columns.chain([MaskFamily::AP]).collect()
    }

    /// Each name of a line once, in their order.
    fn names(&self) -> Vec<&RowName> {
        let mut names: Vec<&RowName> = self.lines.iter().map(|line| &line.name).collect();
        names.dedup();
        names
    }

    /// The printed rows: of each name first the masks that have columns, then families with rows of
    /// their own.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        let of_name = |name| {
            let own = |family: MaskFamily| match family.place() {
                Place::Column => None,
                Place::Rows { rows, .. } => Some(rows),
            };
            let families = self.families(name).into_iter();
            let own: BTreeSet<OwnRows> = families.filter_map(own).collect();
            let rows = std::iter::once(None).chain(own.into_iter().map(Some));
            rows.map(move |own| Row { name, own })
        };
        let rows = self.names().into_iter().flat_map(of_name);
        rows.filter(|row| self.printed_row(row).next().is_some())
            .collect()
    }

    /// The lines of a printed row by rising p.
    pub(super) fn printed_row<'a>(&'a self, row: &Row<'a>) -> impl Iterator<Item = Printed<'a>> {
        let row = *row;
        let lines = self.lines.iter().filter(move |line| line.name == *row.name);
        lines
            .map(move |line| Printed {
                row,
                line,
                table: self,
            })
            .filter(Printed::has_cells)
    }

    /// All printed lines.
    pub(super) fn printed(&self) -> impl Iterator<Item = Printed<'_>> {
        let rows = self.rows().into_iter();
        rows.flat_map(|row| self.printed_row(&row).collect::<Vec<_>>())
    }

    /// Whether a p other than 0 was run or is waited for.
    pub(super) fn is_sweep(&self) -> bool {
        self.lines.iter().any(|line| line.p > Percent::ZERO)
    }

    /// Whether there is a score to draw.
    pub(super) fn has_scores(&self) -> bool {
        let has = |line: &Line| line.groups().next().is_some();
        self.lines.iter().any(has)
    }
}

impl Line {
    /// All runs of the line.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        let cells = std::iter::once(&self.dense).chain(self.cells.values());
        cells.filter_map(|cell| cell.group.as_ref())
    }
}

impl fmt::Display for Row<'_> {
    /// `transformer-xl, blocks of 16`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.own {
            Some(rows) => write!(f, "{}, {rows}", self.name),
            None => self.name.fmt(f),
        }
    }
}

impl<'a> Printed<'a> {
    fn has_cells(&self) -> bool {
        let columns = self.table.columns();
        columns
            .into_iter()
            .any(|column| self.cell(column).is_some())
    }

    /// The cell in a column: the dense runs at p = 0 in each column that the row has, else those
    /// under the column's masks.
    pub(super) fn cell(&self, column: MaskFamily) -> Option<&'a Cell> {
        let has_column = || {
            let families = self.table.families(&self.line.name).into_iter();
            column == MaskFamily::AP || families.map(MaskFamily::column).any(|of| of == column)
        };
        if self.row.own.is_none() && self.line.p == Percent::ZERO {
            let dense = Some(&self.line.dense);
            return dense.filter(|dense| !dense.is_empty() && has_column());
        }
        self.line.cells.get(&self.family(column)?)
    }

    /// Our runs in a column.
    pub(super) fn group(&self, column: MaskFamily) -> Option<&'a Group> {
        self.cell(column)?.group.as_ref()
    }

    /// The published number beside the line.
    pub(super) fn paper(&self) -> Option<&'a PaperReference> {
        let columns = self.table.columns();
        let groups = columns.into_iter().filter_map(|column| self.group(column));
        groups.into_iter().find_map(|group| group.paper.as_ref())
    }

    /// The family of the row's masks in a column.
    pub(super) fn family(&self, column: MaskFamily) -> Option<MaskFamily> {
        let Some(rows) = self.row.own else {
            return Some(column);
        };
        let mut families = self.line.cells.keys().copied();
        families.find(|family| family.place() == Place::Rows { column, rows })
    }

    /// The line at p = 0 that its changes refer to.
    pub(super) fn dense(&self) -> Option<Printed<'a>> {
        let row = Row {
            name: self.row.name,
            own: None,
        };
        let line = self.table.dense(self.row.name)?;
        Some(Printed {
            row,
            line,
            table: self.table,
        })
    }
}
