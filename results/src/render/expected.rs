//! Runs a table should have, and the commands that make those it lacks.

use crate::condition::Condition;
use crate::record::{RunRecord, Status};
use crate::render::aggregate::Percent;
use crate::render::score_table::{RowName, ScoreTable};

/// A run that a table should have; where it is missing, the table says which command makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// Row of the table.
    pub row: String,
    /// Which of the row's networks, where it has several.
    pub variant: Option<String>,
    /// Dense, under a mask, or a baseline. At p = 0 any dense run will do.
    pub condition: Condition,
    /// Nominal p in percent; none for baselines.
    pub p: Option<f64>,
    /// Training seed.
    pub seed: u64,
    /// What to type to make it.
    pub command: String,
}

impl Expected {
    /// Whether `record` is this run, completed.
    pub fn answered_by(&self, record: &RunRecord) -> bool {
        let p = self.p.map(Percent::new);
        record.status == Status::Completed
            && record.row == self.row
            && record.variant == self.variant
            && record.seed == self.seed
            && record.p_nominal.map(Percent::new) == p
            && (p == Some(Percent::ZERO) || record.condition == self.condition)
    }
}

/// The expected runs that no record answers, each with the number of its command, counted from one,
/// and the commands, each once.
pub(super) fn unanswered<'a>(
    records: &[RunRecord],
    expected: &'a [Expected],
) -> (Vec<(&'a Expected, usize)>, Vec<String>) {
    let mut commands: Vec<String> = Vec::new();
    let mut runs = Vec::new();
    for run in expected
        .iter()
        .filter(|run| !records.iter().any(|record| run.answered_by(record)))
    {
        let at = commands
            .iter()
            .position(|command| *command == run.command)
            .unwrap_or_else(|| {
                commands.push(run.command.clone());
                commands.len() - 1
            });
        runs.push((run, at + 1));
    }
    (runs, commands)
}

/// Marks the cells of the expected runs that no record answers, and returns their commands: `[k]`
/// in a cell names the k-th, counted from one.
pub(super) fn mark_missing(
    table: &mut ScoreTable,
    records: &[RunRecord],
    expected: &[Expected],
) -> Vec<String> {
    let (runs, commands) = unanswered(records, expected);
    for (run, mark) in runs {
        let name = RowName {
            row: run.row.clone(),
            variant: run.variant.clone(),
        };
        let Some(cell) =
            (run.p).and_then(|p| table.cell_mut(&name, run.condition, Percent::new(p)))
        else {
            continue;
        };
        if !cell.missing.contains(&mark) {
            cell.missing.push(mark);
        }
    }
    commands
}
