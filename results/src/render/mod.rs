//! From run records to what people read: [`aggregate()`] averages seeds; [`report()`] lays out
//! scores against p, [`pivot()`] tables whose columns are tasks or measures, and [`mechanisms()`] what
//! mechanisms cost beside their scores; [`Table`] prints them and [`svg`] draws them.

pub(crate) mod aggregate;
mod block;
mod csv;
mod expected;
mod mechanisms;
mod number;
mod pivot;
mod report;
mod score_table;
pub mod svg;
mod table;

pub(crate) use csv::write_csv;

pub(crate) use aggregate::over_shared_seeds;
pub use aggregate::{Aggregate, Group, GroupKey, Percent, aggregate};
pub(crate) use block::Block;
pub use expected::Expected;
pub use mechanisms::{MechanismColumn, MechanismLine, MechanismTable, mechanisms};
pub(crate) use number::{NOTHING, change, difference, grouped, mean_sd, short, signed};
pub use pivot::{MeanScore, PivotColumn, PivotLayout, PivotLine, PivotTable, SQUAD_KERNELS, pivot};
pub use report::{Report, ReportOptions, report};
pub(crate) use report::{label, labels};
pub use score_table::{Cell, Line, RowName, ScoreTable};
pub use table::{Align, Column, Table};

/// How a table is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Scores against p, see [`report()`].
    #[default]
    P,
    /// Tasks or measures in columns, see [`pivot()`].
    Pivot(PivotLayout),
    /// Mechanisms in rows, see [`mechanisms()`].
    Mechanisms,
}
