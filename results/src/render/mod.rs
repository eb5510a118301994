//! From run records to what people read: [`aggregate()`] averages seeds, [`report()`] lays out a table, [`Table`] prints
//! it, [`svg`] draws it.

mod aggregate;
mod csv;
mod expected;
mod number;
mod report;
mod section;
pub mod svg;
mod table;

pub use aggregate::{Aggregate, Group, GroupKey, Percent, aggregate};
pub use expected::Expected;
pub use report::{Report, ReportOptions, report};
pub use section::{Line, Section};
pub use table::{Align, Column, Table};
