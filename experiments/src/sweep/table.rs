//! What a sweep shows: each point with its validation loss and score over the seeds.

use std::path::{Path, PathBuf};

use anyhow::Result;
use sparta_results::evidence::Interval;
use sparta_results::render::{Align, Table};

use super::Plan;
use super::plan::{PLAN, Point};
use crate::io::write_text;
use crate::protocol::RunFolder;
use crate::runs;

/// A point with what its runs have.
struct Line {
    point: Point,
    trained: usize,
    seeds: usize,
    losses: Vec<f64>,
    scores: Vec<f64>,
    metric: Option<String>,
}

/// The table of a folder that holds a sweep, which is also written there; none of another folder.
///
/// # Errors
/// A plan or run that cannot be read; a disk that refuses.
pub(crate) fn write_if_sweep(folder: &Path) -> Result<Option<(String, Vec<PathBuf>)>> {
    if !folder.join(PLAN).is_file() {
        return Ok(None);
    }
    let plan = Plan::load(folder)?;
    let lines = lines(&plan, folder)?;
    let table = table(&plan, &lines);
    let words = words(&lines);
    let [md, csv] = ["SWEEP.md", "SWEEP.csv"].map(|name| folder.join(name));
    write_text(
        &md,
        &format!("# Sweep\n\n{}\n{words}\n", table.to_markdown()),
    )?;
    write_text(&csv, &table.to_csv()?)?;
    let text = format!("{}\n{words}", table.to_terminal(None));
    Ok(Some((text, vec![md, csv])))
}

fn lines(plan: &Plan, folder: &Path) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    for job in plan.jobs(folder) {
        if lines.last().is_none_or(|line| line.point != job.point) {
            lines.push(Line {
                point: job.point.clone(),
                trained: 0,
                seeds: 0,
                losses: Vec::new(),
                scores: Vec::new(),
                metric: None,
            });
        }
        let Some(line) = lines.last_mut() else {
            continue;
        };
        line.seeds += 1;
        if !RunFolder::at(job.folder.clone()).is_run() {
            continue;
        }
        let state = runs::state(&job.folder)?;
        line.losses.extend(state.valid_loss);
        line.trained += usize::from(state.valid_loss.is_some());
        if let Some((metric, score)) = state.score {
            line.scores.push(score);
            line.metric = Some(metric);
        }
    }
    Ok(lines)
}

fn table(plan: &Plan, lines: &[Line]) -> Table {
    let metric = lines.iter().find_map(|line| line.metric.clone());
    let keys = plan.grid.iter().map(|axis| (axis.key.clone(), Align::Left));
    let score = metric.unwrap_or_else(|| "score".to_owned());
    let rest = [
        ("seeds".to_owned(), Align::Right),
        ("validation loss".to_owned(), Align::Right),
        (score, Align::Right),
    ];
    let mut table = Table::new(keys.chain(rest));
    for line in lines {
        let values = line.point.0.iter().map(|set| {
            let value = set.split_once('=').map_or("", |(_, value)| value);
            value.to_owned()
        });
        let rest = [
            format!("{}/{}", line.trained, line.seeds),
            spread(&line.losses, 4),
            spread(&line.scores, 2),
        ];
        table.push(values.chain(rest).collect::<Vec<String>>());
    }
    table
}

/// Mean ± standard deviation (n − 1).
fn spread(values: &[f64], digits: usize) -> String {
    match Interval::of(values).map(|of| (of.mean, of.sd)) {
        None => "–".to_owned(),
        Some((mean, None)) => format!("{mean:.digits$}"),
        Some((mean, Some(sd))) => format!("{mean:.digits$} ± {sd:.digits$}"),
    }
}

/// Which point the validation data choose; scores of test data choose nothing.
fn words(lines: &[Line]) -> String {
    let mean = |line: &Line| line.losses.iter().sum::<f64>() / line.losses.len() as f64;
    let complete = lines.iter().filter(|line| line.trained == line.seeds);
    let best = complete.min_by(|a, b| mean(a).total_cmp(&mean(b)));
    let waiting = lines
        .iter()
        .map(|line| line.seeds - line.trained)
        .sum::<usize>();
    let all: usize = lines.iter().map(|line| line.seeds).sum();
    let left = match waiting {
        0 => String::new(),
        n => format!(" {n} of {all} dense models are not trained yet."),
    };
    match best {
        Some(line) => format!(
            "Dense models; least validation loss (which may choose, as the score may not): {}.{left}",
            line.point
        ),
        None => format!("Dense models; no point has all its seeds yet.{left}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        assert_eq!(spread(&[1.0, 2.0, 3.0], 2), "2.00 ± 1.00");
        assert_eq!(spread(&[1.5], 4), "1.5000");
        assert_eq!(spread(&[], 4), "–");
    }

    #[test]
    fn validation_chooses_among_points_with_all_their_seeds() {
        let line = |name: &str, losses: &[f64], scores: &[f64]| Line {
            point: Point(vec![format!("train.lr={name}")]),
            trained: losses.len(),
            seeds: 2,
            losses: losses.to_vec(),
            scores: scores.to_vec(),
            metric: Some("PPL".to_owned()),
        };
        let lines = [
            line("1", &[3.0, 4.0], &[9.0, 9.0]),
            line("2", &[3.5, 3.6], &[1.0, 1.0]),
            line("3", &[1.0], &[0.5]),
        ];
        assert!(words(&lines).contains("train.lr=1"), "{}", words(&lines));
        let said = words(&lines);
        assert!(said.contains("1 of 6 dense models"), "{said}");
        assert!(words(&lines[2..]).contains("no point has all"));
    }
}
