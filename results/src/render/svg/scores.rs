//! Plots of tables with a line per row and p.

use super::bars::Bars;
use super::series::{Series, finite, ours, paper};
use super::sweep::{Sweep, legend};
use crate::chart::Page;
use crate::condition::MaskFamily;
use crate::error::{Result, ResultsError};
use crate::render::aggregate::change_over_shared_seeds;
use crate::render::score_table::{Printed, Row, ScoreTable};

/// Score against nominal p: our values under the masks of each family, with bars of one standard
/// deviation; their change against p = 0, in percent or in points; and on the same axes the
/// published change, because its corpus is another. Rows that have nothing but a dense run stand below
/// as bars.
///
/// # Errors
/// [`ResultsError::Empty`] if the table has no line with a score, [`ResultsError::Plot`] for a score
/// that is not finite.
pub fn p_sweep(table: &ScoreTable) -> Result<String> {
    let values = ours(table, |group, _| {
        Some((group.mean, group.sd.unwrap_or(0.0)))
    });
    if values.is_empty() {
        return Err(ResultsError::Empty);
    }
    finite(&values)?;
    let metric = table.metric;
    let (how, label, arrow) = (metric.difference(), metric.label(), metric.arrow());
    let mut changes = ours(table, |group, dense| {
        let dense = dense?;
        let runs = [&group.by_seed()[..], &dense.by_seed()];
        change_over_shared_seeds(how, runs)
    });
    let (mut published, corpora) = paper(table);
    for changes in [&mut changes, &mut published] {
        changes.retain(|series| series.points.len() > 1 && !series.is_dense());
        finite(changes.iter())?;
    }
    let mut page = Page::new(&format!(
        "{label} {arrow} against the share of attention cells hidden"
    ));
    let values: Vec<Series> = values
        .into_iter()
        .filter(|series| !series.is_dense())
        .collect();
    let is_dense = |row: &Row<'_>| {
        table.printed_row(row).all(|line| {
            let columns = table.columns();
            let has_score = columns
                .into_iter()
                .any(|column| line.group(column).is_some());
            line.line.p.get() == 0.0 || !has_score
        })
    };
    let dense: Vec<Row<'_>> = table.rows().into_iter().filter(is_dense).collect();
    let bars = bars(table, |line| dense.contains(&line.row));
    if !values.is_empty() {
        legend(&mut page, values.iter());
        let sweep = Sweep {
            title: format!("{label} {arrow} on our corpus"),
            how,
            values,
            changes,
            paper: published,
            corpora,
        };
        sweep.draw(&mut page);
        if !bars.names.is_empty() {
            page.heading("Dense models");
        }
    }
    if !bars.names.is_empty() {
        bars.draw(&mut page, bars.names_width());
    }
    Ok(page.finish())
}

/// Scores of rows that have no p but 0, a bar a row: ours, and the published ones on their own
/// scale, because their corpus is another.
///
/// # Errors
/// As [`p_sweep`].
pub fn by_row(table: &ScoreTable) -> Result<String> {
    let bars = bars(table, |_| true);
    if bars.names.is_empty() {
        return Err(ResultsError::Empty);
    }
    let is_finite = bars
        .ours
        .iter()
        .flatten()
        .all(|(value, _)| value.is_finite());
    if !is_finite {
        return Err(ResultsError::Plot("a score is not finite".into()));
    }
    let (label, arrow) = (table.metric.label(), table.metric.arrow());
    let mut page = Page::new(&format!("{label} {arrow} of dense models"));
    bars.draw(&mut page, bars.names_width());
    Ok(page.finish())
}

/// The dense runs of the printed lines that `is_shown` wants.
fn bars(table: &ScoreTable, is_shown: impl Fn(&Printed<'_>) -> bool) -> Bars {
    let (label, arrow) = (table.metric.label(), table.metric.arrow());
    let mut bars = Bars {
        title: format!("{label} {arrow} on our corpus"),
        decimals: table.metric.decimals(),
        names: Vec::new(),
        ours: Vec::new(),
        paper: Vec::new(),
        corpora: Vec::new(),
    };
    for line in table.printed().filter(is_shown) {
        let Some(group) = line.group(MaskFamily::AP) else {
            continue;
        };
        let paper = line.paper();
        bars.names.push(line.row.to_string());
        bars.ours.push(Some((group.mean, group.sd)));
        bars.paper.push(paper.map(|paper| paper.value));
        if let Some(paper) = paper.filter(|paper| !bars.corpora.contains(&paper.corpus)) {
            bars.corpora.push(paper.corpus.clone());
        }
    }
    bars
}
