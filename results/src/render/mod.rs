//! From run records to what people read: [`aggregate()`] averages seeds, [`report()`] lays out a table, [`Table`] prints
//! it, [`svg`] draws it; [`overview()`] lays out tables whose columns are tasks or measures.

mod aggregate;
mod block;
mod csv;
mod expected;
mod number;
mod overview;
mod report;
mod section;
pub mod svg;
mod table;

pub use aggregate::{Aggregate, Group, GroupKey, Percent, aggregate};
pub use expected::Expected;
pub use overview::{Layout, Ours, Overview, OverviewColumn, OverviewLine, SQUAD_KERNELS, overview};
pub use report::{Report, ReportOptions, report};
pub use section::{Line, Section};
pub use table::{Align, Column, Table};
