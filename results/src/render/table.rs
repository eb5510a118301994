//! A table of text cells and its printed forms.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement};

use crate::error::Result;
use crate::render::csv::write_csv;

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Head of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The text of the head.
    pub name: String,
    /// Where cells stand.
    pub align: Align,
}

/// Rows of text under named columns, with notes below.
///
/// ```
/// use sparta_results::render::{Align, Table};
/// let mut table = Table::new([("p", Align::Right), ("perplexity", Align::Right)]);
/// table.push(["0", "24.157"]);
/// assert_eq!(table.to_markdown(), "| p | perplexity |\n|--:|-----------:|\n| 0 |     24.157 |\n");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// The heads.
    pub columns: Vec<Column>,
    /// The cells, as many a row as there are columns.
    pub rows: Vec<Vec<String>>,
    /// Lines below the table.
    pub notes: Vec<String>,
}

impl Table {
    /// An empty table with these heads.
    pub fn new<N: Into<String>>(columns: impl IntoIterator<Item = (N, Align)>) -> Self {
        let columns = columns
            .into_iter()
            .map(|(name, align)| Column {
                name: name.into(),
                align,
            })
            .collect();
        Self {
            columns,
            ..Self::default()
        }
    }

    /// Adds a row; missing cells stay empty, cells beyond the last column are left out.
    pub fn push<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// GitHub markdown, columns padded so that it reads as plain text too.
    pub fn to_markdown(&self) -> String {
        let escape = |text: &str| {
            text.replace('\\', "\\\\")
                .replace('|', "\\|")
                .replace('\n', " ")
        };
        let head: Vec<String> = self
            .columns
            .iter()
            .map(|column| escape(&column.name))
            .collect();
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| escape(cell)).collect())
            .collect();
        let widths: Vec<usize> = (0..head.len())
            .map(|at| {
                let cells = rows.iter().map(|row| row[at].chars().count());
                cells
                    .chain([head[at].chars().count(), 1])
                    .max()
                    .unwrap_or(1)
            })
            .collect();

        let line = |cells: &[String]| {
            let padded =
                cells
                    .iter()
                    .zip(&widths)
                    .zip(&self.columns)
                    .map(|((cell, &width), column)| match column.align {
                        Align::Left => format!(" {cell:<width$} |"),
                        Align::Right => format!(" {cell:>width$} |"),
                    });
            format!("|{}\n", padded.collect::<String>())
        };
        let rule = widths
            .iter()
            .zip(&self.columns)
            .map(|(&width, column)| match column.align {
                Align::Left => format!("{}|", "-".repeat(width + 2)),
                Align::Right => format!("{}:|", "-".repeat(width + 1)),
            });

        let mut text = line(&head);
        text.push_str(&format!("|{}\n", rule.collect::<String>()));
        rows.iter().for_each(|row| text.push_str(&line(row)));
        for note in &self.notes {
            text.push_str(&format!("\n{note}\n"));
        }
        text
    }

    /// Comma-separated values, heads first, without the notes.
    ///
    /// # Errors
    /// [`crate::ResultsError::Csv`] if the writer fails.
    pub fn to_csv(&self) -> Result<String> {
        let head = self.columns.iter().map(|column| column.name.as_str());
        write_csv(
            std::iter::once(head.collect::<Vec<_>>()).chain(
                self.rows
                    .iter()
                    .map(|row| row.iter().map(String::as_str).collect()),
            ),
        )
    }

    /// A LaTeX `tabular` with the rules of the package `booktabs`; notes follow as comments.
    pub fn to_latex(&self) -> String {
        let spec: String = self
            .columns
            .iter()
            .map(|column| match column.align {
                Align::Left => 'l',
                Align::Right => 'r',
            })
            .collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            format!(
                "{} \\\\\n",
                cells.map(latex).collect::<Vec<_>>().join(" & ")
            )
        };
        let mut text = format!("\\begin{{tabular}}{{{spec}}}\n\\toprule\n");
        text.push_str(&line(
            &mut self.columns.iter().map(|column| column.name.as_str()),
        ));
        text.push_str("\\midrule\n");
        self.rows
            .iter()
            .for_each(|row| text.push_str(&line(&mut row.iter().map(String::as_str))));
        text.push_str("\\bottomrule\n\\end{tabular}\n");
        for note in &self.notes {
            text.push_str(&format!("% {}\n", note.replace('\n', " ")));
        }
        text
    }

    /// For a terminal of `width` columns; cells wrap where they must. No width, no wrapping.
    pub fn to_terminal(&self, width: Option<u16>) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        if let Some(width) = width {
            table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
        }
        table.set_header(self.columns.iter().map(|column| &column.name));
        self.rows.iter().for_each(|row| {
            table.add_row(row);
        });
        for (at, column) in self.columns.iter().enumerate() {
            if let Some(shown) = table.column_mut(at) {
                shown.set_cell_alignment(match column.align {
                    Align::Left => CellAlignment::Left,
                    Align::Right => CellAlignment::Right,
                });
            }
        }
        let mut text = format!("{table}\n");
        self.notes
            .iter()
            .for_each(|note| text.push_str(&format!("{note}\n")));
        text
    }
}

/// Text with the characters that LaTeX reads as commands, and ours that its fonts lack, written as
/// it wants them.
fn latex(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '|' => out.push_str("\\textbar{}"),
            '±' => out.push_str("$\\pm$"),
            'Δ' => out.push_str("$\\Delta$"),
            'α' => out.push_str("$\\alpha$"),
            '↓' => out.push_str("$\\downarrow$"),
            '↑' => out.push_str("$\\uparrow$"),
            '–' => out.push_str("--"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new([("row", Align::Left), ("Δ %", Align::Right)]);
        table.push(["a|b_1", "+1.00 %"]);
        table.push(["c"]);
        table.notes.push("100 % ours".into());
        table
    }

    #[test]
    fn markdown() {
        insta::assert_snapshot!(sample().to_markdown(), @r"
        | row    |     Δ % |
        |--------|--------:|
        | a\|b_1 | +1.00 % |
        | c      |         |

        100 % ours
        ");
    }

    #[test]
    fn latex_and_csv() {
        insta::assert_snapshot!(sample().to_latex(), @r"
        \begin{tabular}{lr}
        \toprule
        row & $\Delta$ \% \\
        \midrule
        a\textbar{}b\_1 & +1.00 \% \\
        c &  \\
        \bottomrule
        \end{tabular}
        % 100 % ours
        ");
        assert_eq!(sample().to_csv().unwrap(), "row,Δ %\na|b_1,+1.00 %\nc,\n");
    }

    #[test]
    fn terminal() {
        insta::assert_snapshot!(sample().to_terminal(None), @r"
        ┌───────┬─────────┐
        │ row   ┆     Δ % │
        ╞═══════╪═════════╡
        │ a|b_1 ┆ +1.00 % │
        │ c     ┆         │
        └───────┴─────────┘
        100 % ours
        ");
    }
}
