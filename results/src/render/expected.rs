//! Runs a table should have, and the commands that make those it lacks.

use crate::record::{MaskKind, RunRecord, Status};
use crate::render::aggregate::Percent;
use crate::render::section::{Line, Section};

/// A run that a table should have; where it is missing, the table says which command makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// Row of the table.
    pub row: String,
    /// What hides attention cells, or the kind of a baseline. At p = 0 any dense run will do.
    pub mask: MaskKind,
    /// Edge of a mask's blocks, where it has some.
    pub block_size: Option<u64>,
    /// Nominal p in percent; none for baselines.
    pub p: Option<f64>,
    /// Training seed.
    pub seed: u64,
    /// Seed of a random mask.
    pub mask_seed: Option<u64>,
    /// What to type to make it.
    pub command: String,
}

impl Expected {
    /// Whether `record` is this run, completed.
    pub fn answered_by(&self, record: &RunRecord) -> bool {
        let p = self.p.map(Percent::new);
        let is_dense = p == Some(Percent::new(0.0));
        record.status == Status::Completed
            && record.row == self.row
            && record.seed == self.seed
            && record.p_nominal.map(Percent::new) == p
            && (is_dense
                || (record.mask == self.mask
                    && record.mask_block_size == self.block_size
                    && record.mask_seed == self.mask_seed))
    }

    /// Marks the cells of `line` that wait for this run.
    fn mark(&self, line: &mut Line, mark: usize) {
        let is_dense = line.p == Percent::new(0.0);
        let (ap, random) = match self.mask {
            MaskKind::Ap | MaskKind::ApBlocks => (true, is_dense),
            MaskKind::Random => (is_dense, true),
            MaskKind::None => (is_dense, is_dense),
            MaskKind::Unigram | MaskKind::Bigram | MaskKind::Trigram => (false, false),
            MaskKind::CopySource | MaskKind::WordTranslation => (false, false),
            MaskKind::Majority | MaskKind::WordOverlap => (false, false),
        };
        for (cell, waits) in line.missing.iter_mut().zip([ap, random]) {
            if waits && !cell.contains(&mark) {
                cell.push(mark);
            }
        }
    }
}

/// The expected runs that no record answers, each with the number of its command, counted from one, and the commands,
/// each once.
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

/// Marks the cells of the expected runs that no record answers, and returns their commands: `[k]` in a cell names the
/// k-th, counted from one.
pub(super) fn mark_missing(
    section: &mut Section,
    records: &[RunRecord],
    expected: &[Expected],
) -> Vec<String> {
    let (runs, commands) = unanswered(records, expected);
    for (run, mark) in runs {
        if let Some(p) = run.p {
            run.mark(
                section.line_mut(&run.row, run.block_size, Percent::new(p)),
                mark,
            );
        }
    }
    commands
}
