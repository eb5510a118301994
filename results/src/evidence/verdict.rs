//! Claims and records → verdicts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::claim::{Bound, Cell, Claim, Quantity, Test, Unit};
use super::interval::Interval;
use crate::record::RunRecord;
use crate::render::aggregate;

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
    /// Hash of the recipe of its run.
    pub recipe_hash: String,
    /// Commit of the program that made its run, where records name it.
    pub commit: Option<String>,
    /// The seed whose models were read.
    pub seed: u64,
    /// The claim.
    pub claim: String,
    /// Whether it holds there; none where that cannot be told.
    pub holds: Option<bool>,
}

/// Which runs count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Hashes of the recipes that ship: of several recipes that have what a claim compares, it is judged by that one.
    pub shipped: BTreeSet<String>,
    /// Runs of several builds of the program are taken together.
    pub is_mixed: bool,
}

/// Judges claims by the completed records of runs, paired by seed. Runs of several recipes are never taken together; of several
/// with the same seeds the one finished last counts.
#[must_use]
pub fn judge<'a>(
    claims: &'a [Claim],
    records: &[RunRecord],
    figures: &[FigureClaim],
    counted: &Counted,
) -> Vec<Judged<'a>> {
    let tables: BTreeSet<&str> = (records.iter().map(|of| &*of.table))
        .chain(figures.iter().map(|of| &*of.table))
        .collect();
    let judged = |claim: &'a Claim| {
        let found = match &claim.test {
            Test::Cells {
                table,
                metric,
                every,
                unit,
                bound,
            } => {
                let of_table = |record: &&RunRecord| record.table == *table;
                let of_table: Vec<&RunRecord> = records.iter().filter(of_table).collect();
                let of_metric = |record: &&RunRecord| record.metric == *metric;
                let mut of_score = aggregate::counted(&of_table, counted.is_mixed);
                of_score.retain(of_metric);
                match of_score.is_empty() {
                    true => {
                        Found::missing(no_score(table, &metric.to_string(), &of_table, &tables))
                    }
                    false => of_cells(&of_score, (every, *unit, *bound), counted),
                }
            }
            Test::Figure { table, figure } => {
                let of_table = figures.iter().filter(|of| of.table == *table).collect();
                of_figure(figure, of_table, counted)
            }
        };
        Judged {
            claim,
            verdict: found.verdict,
            evidence: found.evidence,
            note: Some(found.notes.join("; ")).filter(|notes| !notes.is_empty()),
        }
    };
    claims.iter().map(judged).collect()
}

/// What runs say of a claim.
struct Found {
    verdict: Verdict,
    evidence: Vec<Evidence>,
    notes: Vec<String>,
}

impl Found {
    fn missing(note: String) -> Self {
        Self {
            verdict: Verdict::NoRuns,
            evidence: Vec::new(),
            notes: vec![note],
        }
    }

    /// Which numbers stand, but say nothing together.
    fn untold(evidence: Vec<Evidence>, note: String) -> Self {
        Self {
            verdict: Verdict::CannotBeTold,
            evidence,
            notes: vec![note],
        }
    }
}

/// Why there is no score of a table.
fn no_score(table: &str, metric: &str, of_table: &[&RunRecord], tables: &BTreeSet<&str>) -> String {
    let metrics: BTreeSet<String> = of_table.iter().map(|of| of.metric.to_string()).collect();
    match (metrics.is_empty(), tables.is_empty()) {
        (true, true) => "no runs were named".to_owned(),
        (true, false) => format!(
            "no run is of the table {table}; there are {}",
            words(tables.iter().copied())
        ),
        (false, _) => format!(
            "{table} has no completed score {metric}; it has {}",
            words(metrics.iter().map(String::as_str))
        ),
    }
}

fn words<'a>(of: impl Iterator<Item = &'a str>) -> String {
    of.collect::<Vec<_>>().join(", ")
}

/// Which recipe a claim is judged by, of those that have what it compares, and what is said of the others.
fn choose<'a>(hashes: &[&'a str], counted: &Counted) -> Result<(&'a str, Option<String>), String> {
    let short = |hash: &str| hash.chars().take(8).collect::<String>();
    let shipped: Vec<&str> = (hashes.iter().copied())
        .filter(|hash| counted.shipped.contains(*hash))
        .collect();
    match (hashes, shipped.as_slice()) {
        ([hash], _) => Ok((hash, None)),
        (_, [hash]) => {
            let others = hashes.iter().filter(|of| *of != hash);
            let others: Vec<String> = others.map(|of| short(of)).collect();
            let note = format!(
                "runs of changed recipes ({}) are left out beside those of the shipped one",
                others.join(", ")
            );
            Ok((hash, Some(note)))
        }
        (_, _) => {
            let all: Vec<String> = hashes.iter().map(|of| short(of)).collect();
            Err(format!(
                "the runs are of several recipes ({}); name folders of one",
                all.join(", ")
            ))
        }
    }
}

/// Why runs of several builds say nothing together.
fn several_builds(builds: &BTreeSet<String>) -> String {
    let short = |of: &String| of.chars().take(12).collect::<String>();
    let builds: Vec<String> = builds.iter().map(short).collect();
    format!(
        "the runs are of several builds ({}); `--mixed` takes them together",
        builds.join(", ")
    )
}

fn of_cells(
    records: &[&RunRecord],
    (every, unit, bound): (&[Quantity], Unit, Bound),
    counted: &Counted,
) -> Found {
    let mut recipes: BTreeMap<&str, Vec<&RunRecord>> = BTreeMap::new();
    for record in records {
        recipes.entry(&record.recipe_hash).or_default().push(record);
    }
    let (mut pairs, mut missing) = (BTreeMap::new(), None);
    for (hash, records) in &recipes {
        match every.iter().map(|of| Pairs::of(records, of)).collect() {
            Ok(of_recipe) => _ = pairs.insert(*hash, of_recipe),
            Err(note) => missing = Some(note),
        }
    }
    let hashes: Vec<&str> = pairs.keys().copied().collect();
    let (hash, left_out) = match (hashes.is_empty(), choose(&hashes, counted)) {
        (true, _) => return Found::missing(missing.unwrap_or_default()),
        (false, Ok(chosen)) => chosen,
        (false, Err(note)) => return Found::untold(Vec::new(), note),
    };
    let pairs: &Vec<Pairs<'_>> = &pairs[hash];
    let mut evidence = Vec::new();
    for (of, [a, b]) in pairs.iter().zip(every) {
        match of.evidence([a, b], unit) {
            Ok(of) => evidence.push(of),
            Err(note) => return Found::untold(evidence, note),
        }
    }
    let all = || pairs.iter().flat_map(Pairs::records);
    let builds: BTreeSet<String> = all()
        .map(|of| of.commit().unwrap_or("unknown").to_owned())
        .collect();
    if builds.len() > 1 && !counted.is_mixed {
        return Found::untold(evidence, several_builds(&builds));
    }
    let each: Vec<Option<bool>> = evidence
        .iter()
        .map(|of| within(of.interval, bound))
        .collect();
    let one_seed = evidence.iter().any(|of| of.interval.ends.is_none());
    let one_seed = one_seed.then(|| "one seed has no interval".to_owned());
    Found {
        verdict: all_of(&each),
        evidence,
        notes: one_seed.into_iter().chain(left_out).collect(),
    }
}

/// The records of two cells, of the seeds that both have.
struct Pairs<'a>(BTreeMap<u64, [Vec<&'a RunRecord>; 2]>);

impl<'a> Pairs<'a> {
    /// # Errors
    /// No seed that has both, in words.
    fn of(records: &[&'a RunRecord], [a, b]: &Quantity) -> Result<Self, String> {
        let (of_a, mut of_b) = (by_seed(records, a), by_seed(records, b));
        for (cell, of_cell) in [(a, &of_a), (b, &of_b)] {
            if of_cell.is_empty() {
                return Err(format!(
                    "no seed has {cell}; there are {}",
                    there_are(records)
                ));
            }
        }
        let shared = of_a.into_iter();
        let shared = shared.filter_map(|(seed, of_a)| Some((seed, [of_a, of_b.remove(&seed)?])));
        let shared: BTreeMap<_, _> = shared.collect();
        match shared.is_empty() {
            true => Err(format!("no seed has both {a} and {b}")),
            false => Ok(Self(shared)),
        }
    }

    fn records(&self) -> impl Iterator<Item = &'a RunRecord> {
        self.0.values().flatten().flatten().copied()
    }

    /// The differences, seed by seed.
    ///
    /// # Errors
    /// Records that are not of one row or protocol, and a share of 0, in words.
    fn evidence(&self, cells: [&Cell; 2], unit: Unit) -> Result<Evidence, String> {
        for (at, cell) in cells.into_iter().enumerate() {
            let rows: BTreeSet<String> = (self.0.values())
                .flat_map(|of| &of[at])
                .map(|of| match &of.variant {
                    Some(variant) => format!("{} {variant}", of.row),
                    None => of.row.clone(),
                })
                .collect();
            if rows.len() > 1 {
                return Err(format!(
                    "{cell} is of several rows ({}); name one of them in the claim",
                    words(rows.iter().map(String::as_str))
                ));
            }
        }
        let signatures: BTreeSet<&str> = self.records().map(|of| &*of.signature).collect();
        if signatures.len() > 1 {
            return Err(format!(
                "the runs are of several protocols ({}); name folders of one",
                words(signatures.into_iter())
            ));
        }
        let [a, b] = cells;
        let (mut values, mut sums) = (Vec::new(), (0.0, 0.0));
        for [of_a, of_b] in self.0.values() {
            let (x, y) = (mean(of_a), mean(of_b));
            sums = (sums.0 + x, sums.1 + y);
            values.push(match unit {
                Unit::Points => x - y,
                Unit::Percent if y == 0.0 => {
                    return Err(format!("{b} is 0, of which nothing is a percentage"));
                }
                Unit::Percent => 100.0 * (x - y) / y,
            });
        }
        let n = self.0.len() as f64;
        Ok(Evidence {
            of: format!("{a} against {b}"),
            interval: Interval::of(&values).ok_or_else(|| "there is no value".to_owned())?,
            seeds: self.0.keys().copied().collect(),
            means: (sums.0 / n, sums.1 / n),
        })
    }
}

/// The cells that records have, as claims name them.
fn there_are(records: &[&RunRecord]) -> String {
    const MOST: usize = 12;
    let cells: BTreeSet<String> = records.iter().map(|of| Cell::of(of).to_string()).collect();
    let shown = words(cells.iter().take(MOST).map(String::as_str));
    match cells.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
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

/// The records of a cell by seed: one, or several draws of a random mask.
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

fn of_figure(figure: &str, of_table: Vec<&FigureClaim>, counted: &Counted) -> Found {
    if of_table.is_empty() {
        return Found::missing("no analysed seed has it".to_owned());
    }
    let mut recipes: BTreeMap<&str, Vec<&FigureClaim>> = BTreeMap::new();
    for of in of_table.into_iter().filter(|of| of.claim == figure) {
        recipes.entry(&of.recipe_hash).or_default().push(of);
    }
    let hashes: Vec<&str> = recipes.keys().copied().collect();
    let (hash, left_out) = match (hashes.is_empty(), choose(&hashes, counted)) {
        (true, _) => {
            let note = format!(
                "`{figure}` is none of the claims that `sparta analyze` writes to figures/claims.md"
            );
            return Found::missing(note);
        }
        (false, Ok(chosen)) => chosen,
        (false, Err(note)) => return Found::untold(Vec::new(), note),
    };
    // A copy of a run is no other seed.
    let seeds: BTreeMap<u64, Option<bool>> =
        recipes[hash].iter().map(|of| (of.seed, of.holds)).collect();
    let count = |said: bool| seeds.values().filter(|of| **of == Some(said)).count();
    let (yes, no, n) = (count(true), count(false), seeds.len());
    let said = format!("yes in {yes} and no in {no} of {n} seeds");
    let builds: BTreeSet<String> = (recipes[hash].iter())
        .map(|of| of.commit.as_deref().unwrap_or("unknown").to_owned())
        .collect();
    if builds.len() > 1 && !counted.is_mixed {
        return Found::untold(Vec::new(), format!("{said}; {}", several_builds(&builds)));
    }
    let verdict = match (yes, no) {
        (yes, 0) if yes > 1 => Verdict::Holds,
        (0, no) if no > 1 => Verdict::DoesNot,
        _ => Verdict::CannotBeTold,
    };
    Found {
        verdict,
        evidence: Vec::new(),
        notes: std::iter::once(said).chain(left_out).collect(),
    }
}
