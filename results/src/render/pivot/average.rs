//! The average over tasks.

use std::collections::BTreeMap;

use crate::metric::glue::GlueColumn;
use crate::paper;
use crate::render::aggregate::{Group, mean, mean_of_seeds, standard_deviation};
use crate::render::pivot::key::Key;
use crate::render::pivot::{MeanScore, PivotColumn, PivotLine, PivotTable};

/// Adds the last column of GLUE's table, where at least two columns can be averaged.
pub(super) fn add(table: &mut PivotTable, keys: &[Key], groups: &[(String, Group)]) {
    let averaged: Vec<usize> = (0..keys.len())
        .filter(|&at| keys[at].task().is_some_and(GlueColumn::is_averaged))
        .collect();
    // A task of two signatures has no one score to take.
    let is_unclear = averaged
        .windows(2)
        .any(|pair| keys[pair[0]].is_like(&keys[pair[1]]));
    if averaged.len() < 2 || is_unclear {
        return;
    }
    let all = GlueColumn::ALL
        .into_iter()
        .filter(|column| column.is_averaged());
    let is_whole = averaged.len() == all.count();
    for line in &mut table.lines {
        let ours = ours(line, keys, &averaged, groups);
        line.ours.push(ours);
        let paper: Option<Vec<f64>> = averaged.iter().map(|&at| line.paper[at]).collect();
        let published = line
            .p
            .and_then(|p| paper::value(paper::GLUE, paper::GLUE_AVERAGE, p.get()));
        line.paper.push(match is_whole {
            true => published.filter(|_| paper.is_some()),
            false => paper.and_then(|values| mean(&values)),
        });
        line.missing.push(Vec::new());
    }
    table.columns.push(PivotColumn {
        name: match is_whole {
            true => "average".to_owned(),
            false => format!("average of {}", averaged.len()),
        },
        metric: None,
        signature: String::new(),
    });
}

/// The mean over tasks where all have a number, with its spread over seeds where every task has the same seeds; what it
/// changes from is told by the seeds that every task has.
fn ours(
    line: &PivotLine,
    keys: &[Key],
    averaged: &[usize],
    groups: &[(String, Group)],
) -> Option<MeanScore> {
    let means: Option<Vec<f64>> = averaged
        .iter()
        .map(|&at| Some(line.ours[at].as_ref()?.mean))
        .collect();
    let cell = |at: usize| {
        let is_cell = |(label, group): &&(String, Group)| {
            let (wanted, key) = (&keys[at], &group.key);
            *label == wanted.row
                && (key.metric, &key.signature) == (wanted.metric, &wanted.signature)
                && (&key.variant, key.condition, key.p) == (&line.variant, line.condition, line.p)
        };
        groups.iter().find(is_cell).map(|(_, group)| group)
    };
    let runs: Vec<&Group> = averaged.iter().filter_map(|&at| cell(at)).collect();
    let first = runs.first()?;
    let is_alike = runs.len() == averaged.len() && runs.iter().all(|run| run.seeds == first.seeds);
    let of_seed = |at: usize| mean(&runs.iter().map(|run| run.values[at]).collect::<Vec<_>>());
    let by_seed: Vec<f64> = match is_alike {
        true => (0..first.n).filter_map(of_seed).collect(),
        false => Vec::new(),
    };
    let tasks: Vec<BTreeMap<u64, f64>> = (runs.iter())
        .map(|run| mean_of_seeds(&run.by_seed()))
        .collect();
    let of_all = |seed: &u64| -> Option<(u64, f64)> {
        let values: Option<Vec<f64>> = tasks.iter().map(|task| task.get(seed).copied()).collect();
        Some((*seed, mean(&values?)?))
    };
    Some(MeanScore {
        mean: mean(&means?)?,
        sd: standard_deviation(&by_seed),
        n: by_seed.len().max(1),
        runs: match runs.len() == averaged.len() {
            true => tasks.first()?.keys().filter_map(of_all).collect(),
            false => Vec::new(),
        },
    })
}
