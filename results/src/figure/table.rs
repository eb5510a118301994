//! Lines of a figure's CSV.

use crate::error::Result;
use crate::render::write_csv;

/// Lines of comma-separated values under a head.
pub(super) struct Lines {
    lines: Vec<Vec<String>>,
}

impl Lines {
    pub(super) fn new(head: &[&str]) -> Self {
        Self {
            lines: vec![head.iter().map(|name| (*name).to_owned()).collect()],
        }
    }

    pub(super) fn push(&mut self, cells: Vec<String>) {
        self.lines.push(cells);
    }

    pub(super) fn finish(self) -> Result<String> {
        write_csv(self.lines)
    }
}

/// A number, empty where there is none.
pub(super) fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}
