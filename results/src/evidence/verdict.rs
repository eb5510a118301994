//! Claims and records → verdicts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::claim::{Bound, Cell, Claim, Quantity, Test, Unit};
use super::interval::Interval;
use crate::record::{RunRecord, Status};

/// Whether a claim holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval is within the bound.
    Holds,
    /// The whole interval is beyond the bound.
    DoesNot,
    /// The interval has the bound in it, or there is none.
    CannotBeTold,
    /// There is no run of it.
    NoRuns,
}

impl Verdict {
    /// As it is printed.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::DoesNot => "does not",
            Self::CannotBeTold => "cannot be told",
            Self::NoRuns => "no runs",
        }
    }
}

/// One quantity of a claim, as it was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// What is compared with what.
    pub of: String,
    /// The quantity over the seeds that both cells have.
    pub interval: Interval,
    /// These seeds.
    pub seeds: Vec<u64>,
    /// Means of both cells over these seeds.
    pub means: (f64, f64),
}

/// A claim with what runs say of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged<'a> {
    /// The claim.
    pub claim: &'a Claim,
    /// What follows.
    pub verdict: Verdict,
    /// The numbers.
    pub evidence: Vec<Evidence>,
    /// Why nothing can be told, or what is missing.
    pub note: Option<String>,
}

/// What `sparta analyze` said of a claim on one seed of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FigureClaim {
    /// The table of its run.
    pub table: String,
    /// The claim.
    pub claim: String,
    /// Whether it holds there; none where that cannot be told.
    pub holds: Option<bool>,
}

/// Judges claims by the completed records of runs, paired by seed; `is_mixed` takes runs of several builds together.
#[must_use]
pub fn judge<'a>(
    claims: &'a [Claim],
    records: &[RunRecord],
    figures: &[FigureClaim],
    is_mixed: bool,
) -> Vec<Judged<'a>> {
    claims
        .iter()
        .map(|claim| match &claim.test {
            Test::Cells {
                table,
                metric,
                every,
                unit,
                bound,
            } => {
                let of_table = |record: &&RunRecord| {
                    record.table == *table
                        && record.metric == *metric
                        && record.status == Status::Completed
                        && record.value.is_some_and(f64::is_finite)
                };
                let records: Vec<&RunRecord> = records.iter().filter(of_table).collect();
                of_cells(claim, &records, (every, *unit, *bound), is_mixed)
            }
            Test::Figure { table, figure } => {
                let said = |of: &&FigureClaim| of.table == *table && of.claim == *figure;
                let said: Vec<Option<bool>> =
                    figures.iter().filter(said).map(|of| of.holds).collect();
                of_figure(claim, &said)
            }
        })
        .collect()
}

fn of_cells<'a>(
    claim: &'a Claim,
    records: &[&RunRecord],
    (every, unit, bound): (&[Quantity], Unit, Bound),
    is_mixed: bool,
) -> Judged<'a> {
    let judged = |verdict, evidence, note| Judged {
        claim,
        verdict,
        evidence,
        note,
    };
    let (mut evidence, mut builds, mut recipes) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let mut is_one_protocol = true;
    for [a, b] in every {
        let (of_a, of_b) = (by_seed(records, a), by_seed(records, b));
        let shared: Vec<u64> = of_a
            .keys()
            .filter(|seed| of_b.contains_key(seed))
            .copied()
            .collect();
        if shared.is_empty() {
            let missing = if of_a.is_empty() { a } else { b };
            return judged(
                Verdict::NoRuns,
                Vec::new(),
                Some(format!("no seed has {missing}")),
            );
        }
        let mut values = Vec::new();
        let mut sums = (0.0, 0.0);
        for seed in &shared {
            let (x, y) = (mean(&of_a[seed]), mean(&of_b[seed]));
            sums = (sums.0 + x, sums.1 + y);
            values.push(match unit {
                Unit::Points => x - y,
                Unit::Percent => 100.0 * (x - y) / y,
            });
            for record in of_a[seed].iter().chain(&of_b[seed]) {
                builds.insert(record.commit().unwrap_or("unknown").to_owned());
                recipes.insert(&record.recipe_hash);
                is_one_protocol &= record.signature == of_a[seed][0].signature;
            }
        }
        let n = shared.len() as f64;
        if let Some(interval) = Interval::of(&values) {
            evidence.push(Evidence {
                of: format!("{a} against {b}"),
                interval,
                seeds: shared,
                means: (sums.0 / n, sums.1 / n),
            });
        }
    }
    if recipes.len() > 1 || !is_one_protocol {
        let note = "the runs are of several recipes or protocols; name folders of one".to_owned();
        return judged(Verdict::CannotBeTold, evidence, Some(note));
    }
    if builds.len() > 1 && !is_mixed {
        let builds: Vec<String> = builds
            .into_iter()
            .map(|of| of.chars().take(12).collect())
            .collect();
        let note = format!(
            "the runs are of several builds ({}); `--mixed` takes them together",
            builds.join(", ")
        );
        return judged(Verdict::CannotBeTold, evidence, Some(note));
    }
    let each: Vec<Option<bool>> = evidence
        .iter()
        .map(|of| within(of.interval, bound))
        .collect();
    let one_seed = evidence.iter().any(|of| of.interval.ends.is_none());
    let note = one_seed.then(|| "one seed has no interval".to_owned());
    judged(all_of(&each), evidence, note)
}

/// Whether an interval is on one side of a bound.
fn within(interval: Interval, bound: Bound) -> Option<bool> {
    let (low, high) = interval.ends?;
    let (is_in, is_out) = match bound {
        Bound::AtLeast(x) => (low >= x, high < x),
        Bound::AtMost(x) => (high <= x, low > x),
    };
    match (is_in, is_out) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        (false, false) => None,
    }
}

/// All must hold; one that does not is enough.
fn all_of(each: &[Option<bool>]) -> Verdict {
    match (
        each.contains(&Some(false)),
        each.iter().all(|of| *of == Some(true)),
    ) {
        (true, _) => Verdict::DoesNot,
        (_, true) => Verdict::Holds,
        (false, false) => Verdict::CannotBeTold,
    }
}

/// The records of a cell by seed: one, or several draws of a random mask, or models of several rows that share a condition.
fn by_seed<'a>(records: &[&'a RunRecord], cell: &Cell) -> BTreeMap<u64, Vec<&'a RunRecord>> {
    let mut seeds: BTreeMap<u64, Vec<&RunRecord>> = BTreeMap::new();
    for &record in records.iter().filter(|record| cell.has(record)) {
        seeds.entry(record.seed).or_default().push(record);
    }
    seeds
}

fn mean(records: &[&RunRecord]) -> f64 {
    let values = records.iter().filter_map(|record| record.value);
    values.sum::<f64>() / records.len() as f64
}

fn of_figure<'a>(claim: &'a Claim, said: &[Option<bool>]) -> Judged<'a> {
    let (yes, no) = (
        said.iter().filter(|of| **of == Some(true)).count(),
        said.iter().filter(|of| **of == Some(false)).count(),
    );
    let verdict = match (said.len(), yes, no) {
        (0, ..) => Verdict::NoRuns,
        (_, yes, 0) if yes > 1 => Verdict::Holds,
        (_, 0, no) if no > 1 => Verdict::DoesNot,
        _ => Verdict::CannotBeTold,
    };
    let note = match said.len() {
        0 => "no analysed seed has it".to_owned(),
        n => format!("yes in {yes} and no in {no} of {n} seeds"),
    };
    Judged {
        claim,
        verdict,
        evidence: Vec::new(),
        note: Some(note),
    }
}
