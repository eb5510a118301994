//! Claims and records → verdicts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::claim::{Bound, Claim, ClaimTest, Quantity, Unit};
use super::interval::Interval;
use super::pairs::Pairs;
use crate::record::{RunRecord, Status};
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
    /// Hash of the recipe whose runs it is judged by, if there are such.
    pub recipe_hash: Option<String>,
    /// Whether runs are missing: there is none, or of one seed.
    pub is_open: bool,
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
    /// Hash of the recipe that the command of a claim runs, by its name: of several recipes that have what it compares, it is
    /// judged by that one.
    pub own: BTreeMap<String, String>,
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
            ClaimTest::Cells {
                table,
                metric,
                every,
                unit,
                bound,
            } => {
                let of_table = |record: &&RunRecord| record.table == *table;
                let of_table: Vec<&RunRecord> = records.iter().filter(of_table).collect();
                let of_metric = |record: &&RunRecord| record.metric == *metric;
                let of_score: Vec<&RunRecord> =
                    of_table.iter().copied().filter(of_metric).collect();
                let completed = aggregate::counted(&of_score);
                match completed.is_empty() {
                    true => {
                        let metric = metric.to_string();
                        Found::missing(no_score(table, &metric, &of_table, &tables))
                    }
                    false => {
                        let runs = Runs {
                            completed,
                            all: of_table,
                            own: counted.own.get(&claim.id),
                            is_mixed: counted.is_mixed,
                        };
                        of_cells(&runs, (every, *unit, *bound))
                    }
                }
            }
            ClaimTest::Figure { table, figure } => {
                let of_table = figures.iter().filter(|of| of.table == *table).collect();
                let own = counted.own.get(&claim.id);
                of_figure(figure, of_table, own, counted.is_mixed)
            }
        };
        Judged {
            claim,
            verdict: found.verdict,
            evidence: found.evidence,
            recipe_hash: found.recipe_hash,
            is_open: found.is_open,
            note: Some(found.notes.join("; ")).filter(|notes| !notes.is_empty()),
        }
    };
    claims.iter().map(judged).collect()
}

/// What runs say of a claim.
struct Found {
    verdict: Verdict,
    evidence: Vec<Evidence>,
    recipe_hash: Option<String>,
    is_open: bool,
    notes: Vec<String>,
}

impl Found {
    fn missing(note: String) -> Self {
        Self {
            verdict: Verdict::NoRuns,
            evidence: Vec::new(),
            recipe_hash: None,
            is_open: true,
            notes: vec![note],
        }
    }

    /// Whose numbers stand, but say nothing together.
    fn untold(recipe_hash: Option<&str>, evidence: Vec<Evidence>, note: String) -> Self {
        Self {
            verdict: Verdict::CannotBeTold,
            evidence,
            recipe_hash: recipe_hash.map(str::to_owned),
            is_open: false,
            notes: vec![note],
        }
    }
}

/// Why there is no score of a table.
fn no_score(table: &str, metric: &str, of_table: &[&RunRecord], tables: &BTreeSet<&str>) -> String {
    let metrics: BTreeSet<String> = of_table.iter().map(|of| of.metric.to_string()).collect();
    match (metrics.is_empty(), tables.is_empty()) {
        (true, true) => "no runs were named".to_owned(),
        // Many runs are no sign of a name that was mistyped.
        (true, false) if tables.len() > 4 => format!("no run is of the table {table}"),
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

/// Words with commas between them; of many only the first ones.
pub(super) fn words<'a>(of: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 8;
    let all: Vec<&str> = of.collect();
    let shown = all[..all.len().min(MOST)].join(", ");
    match all.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Which recipe a claim is judged by, of those that have what it compares, and what is said of it and the others.
fn choose<'a>(
    hashes: &[&'a str],
    own: Option<&String>,
) -> Result<(&'a str, Option<String>), String> {
    let all = |of: &[&str]| {
        let short: Vec<String> = of.iter().map(|hash| start(hash, 8)).collect();
        words(short.iter().map(String::as_str))
    };
    let is_own = |hash: &&&str| own.is_some_and(|own| own == **hash);
    match (hashes, hashes.iter().find(is_own)) {
        ([hash], Some(_)) => Ok((hash, None)),
        (_, Some(hash)) => {
            let others: Vec<&str> = hashes.iter().copied().filter(|of| of != hash).collect();
            let note = format!(
                "runs of changed recipes ({}) are left out beside those of its command",
                all(&others)
            );
            Ok((hash, Some(note)))
        }
        ([hash], None) => {
            let other = || format!("by another recipe ({}) than its command's", all(&[hash]));
            Ok((hash, own.map(|_| other())))
        }
        (_, None) => Err(format!(
            "the runs are of several recipes ({}); name folders of one",
            all(hashes)
        )),
    }
}

/// The first characters of a hash.
fn start(hash: &str, n: usize) -> String {
    hash.chars().take(n).collect()
}

/// Why runs of several builds say nothing together.
fn several_builds(builds: BTreeSet<&str>) -> String {
    format!(
        "the runs are of several builds ({}); `--mixed` takes them together",
        words(builds.into_iter())
    )
}

/// The runs of a table that have a claim's score.
struct Runs<'a> {
    completed: Vec<aggregate::Counted<'a>>,
    /// All of the table, with those that did not end well: one that diverged has one record, of whichever score.
    all: Vec<&'a RunRecord>,
    /// The recipe of the claim's command.
    own: Option<&'a String>,
    is_mixed: bool,
}

/// The build that made a record.
pub(super) fn build_of(record: &RunRecord) -> String {
    record.build().unwrap_or_else(|| "unknown".to_owned())
}

fn of_cells(runs: &Runs<'_>, (every, unit, bound): (&[Quantity], Unit, Bound)) -> Found {
    let mut recipes: BTreeMap<&str, Vec<aggregate::Counted<'_>>> = BTreeMap::new();
    for of in &runs.completed {
        recipes.entry(&of.record.recipe_hash).or_default().push(*of);
    }
    let (mut pairs, mut missing) = (BTreeMap::new(), None);
    for (hash, records) in &recipes {
        match (every.iter().map(|of| Pairs::of(records, of, runs.is_mixed))).collect() {
            Ok(of_recipe) => _ = pairs.insert(*hash, of_recipe),
            Err(note) => missing = Some(note),
        }
    }
    let hashes: Vec<&str> = pairs.keys().copied().collect();
    let (hash, said) = match (hashes.is_empty(), choose(&hashes, runs.own)) {
        (true, _) => return Found::missing(missing.unwrap_or_default()),
        (false, Ok(chosen)) => chosen,
        (false, Err(note)) => return Found::untold(None, Vec::new(), note),
    };
    let pairs: &Vec<Pairs<'_>> = &pairs[hash];
    let mut evidence = Vec::new();
    for (of, [a, b]) in pairs.iter().zip(every) {
        match of.evidence([a, b], unit) {
            Ok(of) => evidence.push(of),
            Err(note) => return Found::untold(Some(hash), evidence, note),
        }
    }
    let records = || pairs.iter().flat_map(Pairs::records);
    let builds: BTreeSet<&str> = pairs
        .iter()
        .flat_map(|of| of.builds.iter().map(String::as_str))
        .collect();
    if builds.len() > 1 && !runs.is_mixed {
        let note = several_builds(builds);
        return Found::untold(Some(hash), evidence, note);
    }
    let mut notes = Vec::new();
    let is_open = evidence.iter().any(|of| of.interval.ends.is_none());
    notes.extend(is_open.then(|| "one seed has no interval".to_owned()));
    notes.extend(pairs.iter().flat_map(|of| of.left_out.iter().cloned()));
    // Seeds that diverge are not left out by chance: what remains is not what was to be compared. Of a model that diverged there
    // is one record, of one of its rows, and none of those that are made from it.
    let lacks = |seed: u64| pairs.iter().any(|of| !of.has(seed));
    let diverged: Vec<&&RunRecord> = (runs.all.iter())
        .filter(|of| of.recipe_hash == hash && of.status == Status::Diverged)
        .filter(|of| lacks(of.seed))
        .collect();
    let said_of = |of: &&&RunRecord| format!("seed {} diverged ({})", of.seed, of.id);
    notes.extend(diverged.iter().map(said_of));
    notes.extend(pairs.iter().flat_map(Pairs::over_devices));
    let contradicted: BTreeSet<u64> = records()
        .filter(|of| of.is_contradicted)
        .map(|of| of.record.seed)
        .collect();
    for seed in contradicted {
        notes.push(format!(
            "seed {seed} has runs of different scores, of which the later counts"
        ));
    }
    notes.extend(said);
    notes.sort();
    notes.dedup();
    let each: Vec<Option<bool>> = evidence
        .iter()
        .map(|of| within(of.interval, bound))
        .collect();
    Found {
        verdict: match diverged.is_empty() {
            true => all_of(&each),
            false => Verdict::CannotBeTold,
        },
        evidence,
        recipe_hash: Some(hash.to_owned()),
        is_open,
        notes,
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

fn of_figure(
    figure: &str,
    of_table: Vec<&FigureClaim>,
    own: Option<&String>,
    is_mixed: bool,
) -> Found {
    if of_table.is_empty() {
        return Found::missing("no analysed seed has it".to_owned());
    }
    let mut recipes: BTreeMap<&str, Vec<&FigureClaim>> = BTreeMap::new();
    for of in of_table.into_iter().filter(|of| of.claim == figure) {
        recipes.entry(&of.recipe_hash).or_default().push(of);
    }
    let hashes: Vec<&str> = recipes.keys().copied().collect();
    let (hash, said) = match (hashes.is_empty(), choose(&hashes, own)) {
        (true, _) => {
            let note = format!(
                "`{figure}` is none of the claims that `sparta analyze` writes to figures/claims.md"
            );
            return Found::missing(note);
        }
        (false, Ok(chosen)) => chosen,
        (false, Err(note)) => return Found::untold(None, Vec::new(), note),
    };
    // A copy of a run is no other seed; copies that disagree say nothing.
    let mut seeds: BTreeMap<u64, BTreeSet<Option<bool>>> = BTreeMap::new();
    for of in &recipes[hash] {
        seeds.entry(of.seed).or_default().insert(of.holds);
    }
    let differ = seeds.iter().filter(|(_, of)| of.len() > 1);
    let mut notes: Vec<String> = differ
        .map(|(seed, _)| format!("runs of seed {seed} contradict each other"))
        .collect();
    let count = |said: bool| {
        let only = BTreeSet::from([Some(said)]);
        seeds.values().filter(|of| **of == only).count()
    };
    let (yes, no, n) = (count(true), count(false), seeds.len());
    notes.insert(0, format!("yes in {yes} and no in {no} of {n} seeds"));
    let builds = (recipes[hash].iter()).map(|of| of.commit.as_deref().unwrap_or("unknown"));
    let builds: BTreeSet<&str> = builds.collect();
    if builds.len() > 1 && !is_mixed {
        notes.push(several_builds(builds));
        return Found::untold(Some(hash), Vec::new(), notes.join("; "));
    }
    notes.extend(said);
    Found {
        verdict: match (yes, no) {
            // A seed that says nothing, or two things, is one of those that must say so.
            (yes, 0) if yes > 1 && yes == n => Verdict::Holds,
            (0, no) if no > 1 && no == n => Verdict::DoesNot,
            _ => Verdict::CannotBeTold,
        },
        evidence: Vec::new(),
        recipe_hash: Some(hash.to_owned()),
        is_open: n < 2,
        notes,
    }
}
