//! The plot of a table of mechanisms.

use super::bars::{Bars, Value};
use crate::chart::Page;
use crate::error::{Result, ResultsError};
use crate::render::mechanisms::{MechanismLine, MechanismTable};

/// A bar a mechanism for each score, for the speed of training and for the memory that it took.
///
/// # Errors
/// [`ResultsError::Empty`] if there is no score, [`ResultsError::Plot`] for one that is not finite.
pub fn mechanisms(table: &MechanismTable) -> Result<String> {
    let scores = || {
        table
            .lines
            .iter()
            .flat_map(|line| line.scores.iter().flatten())
    };
    if scores().next().is_none() {
        return Err(ResultsError::Empty);
    }
    if scores().any(|score| !score.mean.is_finite()) {
        return Err(ResultsError::Plot("a score is not finite".into()));
    }
    let several = table.has_several_tasks();
    let mut page = Page::new("Scores of mechanisms, and what they cost");
    let mut draw = |title: String, decimals: usize, value: &dyn Fn(&MechanismLine) -> Value| {
        let shown = table
            .lines
            .iter()
            .map(|line| (line.name.clone(), value(line)));
        let shown: Vec<(String, Value)> = shown.filter(|(_, value)| value.is_some()).collect();
        if shown.is_empty() {
            return;
        }
        let bars = Bars {
            title,
            decimals,
            paper: vec![None; shown.len()],
            corpora: Vec::new(),
            names: shown.iter().map(|(name, _)| name.clone()).collect(),
            ours: shown.into_iter().map(|(_, value)| value).collect(),
        };
        bars.draw(&mut page, bars.names_width());
    };
    for (at, column) in table.columns.iter().enumerate() {
        let (metric, head) = (column.metric, column.head(several));
        let title = format!("{head} {}", metric.arrow());
        draw(title, metric.decimals(), &|line| {
            line.scores[at].as_ref().map(|score| (score.mean, score.sd))
        });
    }
    draw("tokens/s of training ↑".into(), 0, &|line| {
        line.tokens_per_second.map(|of| (of, None))
    });
    draw("memory of training, GB ↓".into(), 2, &|line| {
        line.gigabytes.map(|of| (of, None))
    });
    Ok(page.finish())
}
