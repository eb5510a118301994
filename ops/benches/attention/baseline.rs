//! An earlier summary.csv, which times are compared with.

use std::path::Path;

use serde::Deserialize;

use crate::arguments::refuse;
use crate::report::Row;

/// What is read of a line of a summary; the other columns are of no use here.
#[derive(Deserialize)]
struct Line {
    case: String,
    shape: String,
    p: String,
    dtype: String,
    device: String,
    ours_ms: f64,
}

/// The lines of an earlier summary.
pub struct Baseline(Vec<Line>);

impl Baseline {
    /// Reads a summary.csv; ends the bench where it is none.
    pub fn read(path: &Path) -> Self {
        let lines = csv::Reader::from_path(path).and_then(|file| file.into_deserialize().collect());
        Self(lines.unwrap_or_else(|error| {
            let path = path.display();
            refuse(format!(
                "--baseline {path}: {error}; give the summary.csv that an earlier --out got"
            ))
        }))
    }

    /// Milliseconds of a row's case: the fastest, of one that stands there beside several peers.
    pub fn of(&self, row: &Row) -> Option<f64> {
        let key = row.key();
        let is_of = |line: &&Line| {
            [&line.case, &line.shape, &line.p, &line.dtype, &line.device] == key.each_ref()
        };
        let times = self.0.iter().filter(is_of).map(|line| line.ours_ms);
        times.reduce(f64::min)
    }
}
