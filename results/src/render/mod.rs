//! From run records to what people read: [`aggregate()`] averages seeds; [`report()`] lays out
//! scores against p, [`pivot()`] tables whose columns are tasks or measures, and [`mechanisms()`] what
//! mechanisms cost beside their scores; [`Table`] prints them and [`svg`] draws them.

use std::path::{Path, PathBuf};

use crate::error::{Result, ResultsError};
use crate::record::write_atomic;

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

pub(crate) use csv::{n_seeds, write_csv};

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

/// Writes the files of a table, and removes those of an earlier one that this one has not: `TABLE.svg`, `TABLE-2.csv`, ….
fn write_tables(dir: &Path, files: Vec<(PathBuf, String)>) -> Result<Vec<PathBuf>> {
    files
        .iter()
        .try_for_each(|(path, text)| write_atomic(path, text.as_bytes()))?;
    let written: Vec<PathBuf> = files.into_iter().map(|(path, _)| path).collect();
    let failed = |action, cause| ResultsError::io(action, dir, cause);
    for entry in std::fs::read_dir(dir).map_err(|cause| failed("read", cause))? {
        let path = entry.map_err(|cause| failed("read", cause))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(".csv").or(name.strip_suffix(".svg"));
        let number = stem.and_then(|stem| stem.strip_prefix("TABLE"));
        let is_of_table = number.is_some_and(|number| {
            let digits = number.strip_prefix('-').unwrap_or("");
            number.is_empty() || (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        });
        if is_of_table && !written.contains(&path) {
            std::fs::remove_file(&path)
                .map_err(|cause| ResultsError::io("remove", &path, cause))?;
        }
    }
    Ok(written)
}

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
