//! The tables as text: for a terminal, markdown, LaTeX, csv, JSON.

use serde::Serialize;

use super::{MissingRun, Overview, RunFolderLinks, ScoreLine, TableOverview, View};
use crate::error::{Result, ResultsError};
use crate::render::{n_seeds, short, write_csv};

/// Version of the JSON format.
const FORMAT: u32 = 1;
/// Heads of the csv.
pub(super) const CSV_HEAD: [&str; 26] = [
    "table",
    "recipe_hash",
    "row",
    "variant",
    "p_nominal",
    "p_effective",
    "p_token_weighted",
    "mask",
    "metric",
    "value",
    "sd",
    "n_runs",
    "n_seeds",
    "change",
    "paper",
    "paper_corpus",
    "paper_change",
    "signature",
    "seconds",
    "tokens_per_second",
    "devices",
    "attention",
    "commits",
    "parameters",
    "peak_gigabytes",
    "observed",
];

/// How many of the heads the csv of every version begins with.
pub(super) const COMMON_HEADS: usize = 11;

#[derive(Serialize)]
struct Json<'a> {
    made_by: &'static str,
    format: u32,
    tables: Vec<JsonTable<'a>>,
    waiting: &'a [String],
}

#[derive(Serialize)]
struct JsonTable<'a> {
    table: &'a str,
    title: &'a str,
    recipe_hash: &'a str,
    runs: &'a [RunFolderLinks],
    scores: &'a [ScoreLine],
    missing: &'a [MissingRun],
    notes: &'a [String],
}

impl Overview {
    /// For a terminal of `width` columns; no width, no wrapping.
    pub fn terminal(&self, width: Option<u16>) -> String {
        self.joined(|table| match &table.view {
            View::Scores(report) => report.terminal(width),
            View::Pivot(pivot) => pivot.terminal(width),
            View::Mechanisms(table) => table.terminal(width),
        })
    }

    /// Markdown, one table after the other.
    pub fn markdown(&self) -> String {
        let tables = self.joined(|table| match &table.view {
            View::Scores(report) => report.markdown(),
            View::Pivot(pivot) => pivot.markdown(),
            View::Mechanisms(table) => table.markdown(),
        });
        format!("<!-- {} -->\n\n{tables}", super::files::MADE_BY)
    }

    /// LaTeX `tabular`s with the rules of the package `booktabs`, everything else as comments.
    pub fn latex(&self) -> String {
        let tables = self.joined(|table| match &table.view {
            View::Scores(report) => report.latex(),
            View::Pivot(pivot) => pivot.latex(),
            View::Mechanisms(table) => table.latex(),
        });
        format!(
            "% {}\n% needs \\usepackage{{booktabs}}\n\n{tables}",
            super::files::MADE_BY
        )
    }

    fn joined(&self, print: impl Fn(&TableOverview) -> String) -> String {
        let mut parts: Vec<String> = self
            .tables
            .iter()
            .map(|table| print(table).trim_end().to_owned())
            .collect();
        parts.push(String::new());
        parts.join("\n\n").trim_end().to_owned() + "\n"
    }

    /// Every score of every table as one csv, a line each.
    ///
    /// # Errors
    /// [`ResultsError::Csv`] if the writer fails.
    pub fn csv(&self) -> Result<String> {
        let head = CSV_HEAD.map(String::from).to_vec();
        let lines = self
            .tables
            .iter()
            .flat_map(|table| table.scores.iter().map(move |line| csv_line(table, line)));
        write_csv(std::iter::once(head).chain(lines))
    }

    /// Every score, missing run and picture as JSON.
    ///
    /// # Errors
    /// [`ResultsError::Render`] for a number that JSON cannot write.
    pub fn json(&self) -> Result<String> {
        fn table(of: &TableOverview) -> JsonTable<'_> {
            let TableOverview {
                table,
                recipe_hash,
                runs,
                scores,
                missing,
                view,
                notes,
            } = of;
            JsonTable {
                table,
                title: view.title(),
                recipe_hash,
                runs,
                scores,
                missing,
                notes,
            }
        }
        let json = Json {
            made_by: super::files::MADE_BY,
            format: FORMAT,
            tables: self.tables.iter().map(table).collect(),
            waiting: &self.waiting,
        };
        let text = serde_json::to_string_pretty(&json)
            .map_err(|error| ResultsError::Render(error.to_string()))?;
        Ok(text + "\n")
    }
}

fn csv_line(table: &TableOverview, line: &ScoreLine) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or(String::new(), |value| short(value, 6));
    let mean = |values: &[f64]| {
        let sum: f64 = values.iter().sum();
        (!values.is_empty()).then(|| sum / values.len() as f64)
    };
    let all =
        |of: &std::collections::BTreeSet<String>| of.iter().cloned().collect::<Vec<_>>().join("; ");
    let paper = line.paper.as_ref();
    let observed = line.observed.iter();
    let observed = observed.map(|(name, values)| format!("{name}={}", number(mean(values))));
    vec![
        table.table.clone(),
        table.recipe_hash.clone(),
        line.row.clone(),
        line.variant.clone().unwrap_or_default(),
        number(line.p_nominal),
        number(line.p_effective),
        number(line.p_token_weighted),
        line.mask.clone(),
        line.metric.to_string(),
        short(line.mean, 6),
        number(line.sd),
        line.n.to_string(),
        n_seeds(line.seeds.iter().map(|(seed, _)| *seed)).to_string(),
        number(line.change),
        number(paper.map(|paper| paper.value)),
        paper.map_or(String::new(), |paper| paper.corpus.clone()),
        number(line.paper_change),
        line.signature.clone(),
        number(mean(&line.seconds)),
        number(mean(&line.tokens_per_second)),
        all(&line.devices),
        all(&line.attention),
        all(&line.commits),
        (line.parameters).map_or(String::new(), |n| n.to_string()),
        number(mean(&line.peak_gigabytes)),
        observed.collect::<Vec<_>>().join("; "),
    ]
}
