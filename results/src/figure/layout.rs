//! The layout that most figures have: a column for each attention type, a row for ours and for each
//! published corpus.

use super::source::Source;
use crate::chart::{Page, Rect, Svg, significant};

/// Panels in rows and columns.
pub(super) struct PanelGrid {
    /// Titles of columns.
    pub(super) columns: Vec<String>,
    /// Headings of rows.
    pub(super) rows: Vec<String>,
    /// Height of a panel in pixels.
    pub(super) height: f64,
}

/// Where a panel goes.
pub(super) struct Slot<'a> {
    pub(super) svg: &'a mut Svg,
    pub(super) frame: Rect,
    pub(super) title: String,
    pub(super) row: usize,
    pub(super) column: usize,
    /// Whether it stands on the left, where the y axis has its name.
    pub(super) is_left: bool,
}

impl PanelGrid {
    /// Calls `draw` for every panel. Rows of one column stand beside each other.
    pub(super) fn draw(&self, page: &mut Page, mut draw: impl FnMut(Slot<'_>)) {
        const GAP: f64 = 14.0;
        /// Room for the name of the y axis.
        const NAME: f64 = 17.0;
        if let [_] = self.columns.as_slice() {
            let n_columns = self.rows.len().clamp(2, 3);
            for (line, rows) in self.rows.chunks(n_columns).enumerate() {
                let frames = page.panels(n_columns, self.height + 20.0, GAP, NAME);
                for (at, (title, frame)) in rows.iter().zip(frames).enumerate() {
                    draw(Slot {
                        svg: &mut page.svg,
                        frame,
                        // What follows a colon stands on a line of its own.
                        title: title.replacen(": ", "\n", 1),
                        row: line * n_columns + at,
                        column: 0,
                        is_left: at == 0,
                    });
                }
            }
            return;
        }
        for (row, heading) in self.rows.iter().enumerate() {
            page.heading(heading);
            let frames = page.panels(self.columns.len(), self.height, GAP, NAME);
            for (column, (title, frame)) in self.columns.iter().zip(frames).enumerate() {
                draw(Slot {
                    svg: &mut page.svg,
                    frame,
                    title: title.clone(),
                    row,
                    column,
                    is_left: column == 0,
                });
            }
        }
    }
}

impl Source {
    /// The line below a title.
    pub(super) fn line(&self) -> String {
        let mut line = format!("{} · {}", self.run, self.corpus);
        if let Some(n) = self.n_sequences {
            line += &format!(" · {} sequences", significant(n as f64, 12));
        }
        line
    }
}

/// Each item once, in the order in which they come first.
pub(super) fn distinct<'a>(items: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    let mut distinct: Vec<&str> = Vec::new();
    for item in items {
        if !distinct.contains(&item.as_str()) {
            distinct.push(item);
        }
    }
    distinct
}

/// A part of a file name: letters, digits, `.`, `_` and `-`.
pub(super) fn file_part(text: &str) -> String {
    let safe = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => character,
        _ => '-',
    };
    text.chars().map(safe).collect()
}
