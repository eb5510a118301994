//! The average over tasks.

use std::collections::{BTreeMap, BTreeSet};

use crate::condition::Condition;
use crate::metric::glue::GlueColumn;
use crate::paper;
use crate::render::aggregate::{mean, mean_of_seeds, standard_deviation};
use crate::render::number::short;
use crate::render::pivot::key::Key;
use crate::render::pivot::{MeanScore, PivotColumn, PivotLine, PivotTable};

/// Adds the last column of GLUE's table, where at least two columns can be averaged, and says which seeds are not in it.
pub(super) fn add(table: &mut PivotTable, keys: &[Key]) {
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
        line.ours.push(ours(line, &averaged));
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
    let name = match is_whole {
        true => "average".to_owned(),
        false => format!("average of {}", averaged.len()),
    };
    let notes = seed_notes(&name, &table.lines, &averaged);
    table.notes.extend(notes);
    table.columns.push(PivotColumn {
        name,
        metric: None,
        signature: String::new(),
    });
}

/// The mean over tasks of each seed that every task has: its mean and spread over these seeds, and they by themselves for what it
/// changes from.
fn ours(line: &PivotLine, averaged: &[usize]) -> Option<MeanScore> {
    let tasks = tasks(line, averaged)?;
    let of_all = |seed: &u64| -> Option<(u64, f64)> {
        let values: Option<Vec<f64>> = tasks.iter().map(|task| task.get(seed).copied()).collect();
        Some((*seed, mean(&values?)?))
    };
    let runs: Vec<(u64, f64)> = tasks.first()?.keys().filter_map(of_all).collect();
    let values: Vec<f64> = runs.iter().map(|(_, value)| *value).collect();
    Some(MeanScore {
        mean: mean(&values)?,
        sd: standard_deviation(&values),
        n: values.len(),
        runs,
    })
}

/// The score of each seed, task by task; none where a task has no number.
fn tasks(line: &PivotLine, averaged: &[usize]) -> Option<Vec<BTreeMap<u64, f64>>> {
    let task = |&at: &usize| Some(mean_of_seeds(&line.ours[at].as_ref()?.runs));
    averaged.iter().map(task).collect()
}

/// Which seeds an average is over, in words, where some of its columns have others too.
fn seed_notes(name: &str, lines: &[PivotLine], averaged: &[usize]) -> Vec<String> {
    // Places by the seeds of all columns, and of some alone.
    let mut places: BTreeMap<(Vec<u64>, Vec<u64>), Vec<String>> = BTreeMap::new();
    for line in lines {
        let Some(tasks) = tasks(line, averaged) else {
            continue;
        };
        let seeds: BTreeSet<u64> = tasks.iter().flat_map(BTreeMap::keys).copied().collect();
        let is_shared = |seed: &u64| tasks.iter().all(|task| task.contains_key(seed));
        let key = seeds.into_iter().partition(is_shared);
        places.entry(key).or_default().push(place(line));
    }
    let is_everywhere = places.len() == 1;
    let note = |((shared, others), places): ((Vec<u64>, Vec<u64>), Vec<String>)| {
        let (n, n_all) = (shared.len(), shared.len() + others.len());
        let seeds: Vec<String> = shared.iter().map(u64::to_string).collect();
        let of = match is_everywhere {
            true => name.to_owned(),
            false => format!("{name} ({})", places.join("; ")),
        };
        match n {
            0 => format!("There is no {of}: its columns share no seed."),
            _ => format!(
                "The {of} is over {n} of {n_all} seeds ({}): those that all of its columns have.",
                seeds.join(", ")
            ),
        }
    };
    let differ = places
        .into_iter()
        .filter(|((_, others), _)| !others.is_empty());
    differ.map(note).collect()
}

/// The line in words: `entmax15, p = 60 %, ap`.
fn place(line: &PivotLine) -> String {
    let p = line.p.map(|p| format!("p = {} %", short(p.get(), 3)));
    let mask = match (line.condition, line.p) {
        (Condition::Dense, Some(_)) => None,
        (condition, _) => Some(condition.description()),
    };
    let parts = [line.variant.clone(), p, mask];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
