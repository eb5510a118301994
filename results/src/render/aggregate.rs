//! Mean and standard deviation over seeds.

use std::collections::{BTreeMap, BTreeSet};

use crate::condition::{Baseline, Condition, MaskFamily};
use crate::metric::{Difference, Metric};
use crate::record::{PaperReference, RunRecord, Status};
use crate::render::number::difference;

/// A percentage that can be ordered and compared: kept in thousandths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(i64);

impl Percent {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Rounds `percent` to a thousandth.
    pub fn new(percent: f64) -> Self {
        Self((percent * 1000.0).round() as i64)
    }

    /// The percentage.
    pub fn get(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

/// What the runs of a group have in common; scores of different keys are never averaged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    /// Row of the table.
    pub row: String,
    /// Which of the row's networks.
    pub variant: Option<String>,
    /// Hash of the recipe.
    pub recipe_hash: String,
    /// Which score.
    pub metric: Metric,
    /// Its protocol.
    pub signature: String,
    /// Dense, under a mask of some seed, or a baseline. At p = 0 nothing is hidden, so that a run
    /// there is dense, whatever mask it names.
    pub condition: Condition,
    /// Nominal p.
    pub p: Option<Percent>,
    /// What its runs are not taken together with others of their row for, where the row has several: the build that made them,
    /// the data files that they read.
    pub apart: Option<String>,
}

impl GroupKey {
    /// The word of the condition in csv tables, where p = 0 starts the series of AP's masks.
    pub(crate) fn csv_mask(&self) -> String {
        match (self.condition, self.p) {
            (Condition::Dense, Some(_)) => MaskFamily::AP.to_string(),
            (condition, _) => condition.to_string(),
        }
    }
}

/// Completed runs that differ only in their seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What they share.
    pub key: GroupKey,
    /// Number of runs.
    pub n: usize,
    /// Mean of the score.
    pub mean: f64,
    /// Standard deviation over the runs with n − 1; none for one run.
    pub sd: Option<f64>,
    /// Mean effective percentage of legal cells that is hidden.
    pub p_effective: Option<f64>,
    /// Mean token-weighted percentage.
    pub p_token_weighted: Option<f64>,
    /// The published number beside it.
    pub paper: Option<PaperReference>,
    /// Training speed of each run that has one.
    pub tokens_per_second: Vec<f64>,
    /// Number of parameters of the network, where it was noted.
    pub parameters: Option<u64>,
    /// Largest resident memory of training in 10⁹ bytes, of each run that measured it.
    pub peak_gigabytes: Vec<f64>,
    /// What was watched of the mechanism, of each run that has it.
    pub observed: BTreeMap<String, Vec<f64>>,
    /// Devices that trained, with the half type where they computed in one.
    pub devices: BTreeSet<String>,
    /// Seconds from the start of training to the score, of each run that says both.
    pub seconds: Vec<f64>,
    /// When the last run was scored, in seconds since 1970.
    pub finished: Option<u64>,
    /// Commits of the programs that made the runs, of those that name it.
    pub commits: BTreeSet<String>,
    /// Which implementations of attention ran.
    pub attention: BTreeSet<String>,
    /// Version and commit of the programs that made the runs, `sparta 0.1.0, commit 1a2b3c4d5e6f`;
    /// runs that do not name their commit are left out.
    pub builds: BTreeSet<String>,
    /// (seed, mask seed) of each run.
    pub seeds: Vec<(u64, Option<u64>)>,
    /// Score of each run, in the order of `seeds`.
    pub values: Vec<f64>,
    /// (seed, mask seed) of the runs whose score is exactly that of the most frequent class on the same data: a network that
    /// gives every example this class has it.
    pub as_majority: Vec<(u64, Option<u64>)>,
}

impl Group {
    /// The score of each run with its seed.
    pub(crate) fn by_seed(&self) -> Vec<(u64, f64)> {
        let seeds = self.seeds.iter().map(|(seed, _)| *seed);
        seeds.zip(self.values.iter().copied()).collect()
    }
}

/// The means of two groups over the seeds that both have, so that a change between them is not one of seeds; a seed with
/// several runs, as of masks drawn at random, counts once. None where they share no seed.
pub(crate) fn over_shared_seeds([ours, base]: [&[(u64, f64)]; 2]) -> Option<(f64, f64)> {
    let (ours, base) = (mean_of_seeds(ours), mean_of_seeds(base));
    let over = |of: &BTreeMap<u64, f64>| {
        let shared = of
            .iter()
            .filter(|(seed, _)| ours.contains_key(seed) && base.contains_key(seed));
        mean(&shared.map(|(_, value)| *value).collect::<Vec<_>>())
    };
    Some((over(&ours)?, over(&base)?))
}

/// The change of a score against another over the seeds that both have, and the standard deviation of the changes of single
/// runs, each against its own seed: what a seed does to both is in neither. 0 of one run.
pub(crate) fn change_over_shared_seeds(
    how: Difference,
    runs: [&[(u64, f64)]; 2],
) -> Option<(f64, f64)> {
    let (mean, base) = over_shared_seeds(runs)?;
    let of_base = mean_of_seeds(runs[1]);
    let changes: Vec<f64> = (runs[0].iter())
        .filter_map(|(seed, value)| Some(difference(how, *value, *of_base.get(seed)?)))
        .collect();
    let sd = standard_deviation(&changes).unwrap_or(0.0);
    Some((difference(how, mean, base), sd))
}

/// The mean of each seed's runs.
pub(crate) fn mean_of_seeds(runs: &[(u64, f64)]) -> BTreeMap<u64, f64> {
    let mut by_seed: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for &(seed, value) in runs {
        by_seed.entry(seed).or_default().push(value);
    }
    let means = by_seed.into_iter();
    means
        .filter_map(|(seed, values)| Some((seed, mean(&values)?)))
        .collect()
}

/// The groups, sorted by key, and what did not reach them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Aggregate {
    /// One group a cell.
    pub groups: Vec<Group>,
    /// `id (status)` of runs that are not completed, or have no finite score.
    pub unfinished: Vec<String>,
    /// Ids of runs that another run of the same key and seeds, finished later, replaces; with the device, where the other
    /// run is of another one.
    pub replaced: Vec<String>,
}

/// Groups completed runs by row, variant, recipe, metric, signature, mask and p, and averages each
/// group.
///
/// Two runs of the same seeds are no evidence of spread: the one finished last counts, whatever its
/// score. The order of `records` does not matter, nor does the mask that a run at p = 0 names.
///
/// Runs of several builds of the program are averaged, and those of a row compared with one another, only if they are asked to be
/// (`is_mixed`), and those that read different data files never: all groups of a row that has several are of one each.
pub fn aggregate(records: &[RunRecord], is_mixed: bool) -> Aggregate {
    let mut result = Aggregate::default();
    let apart = rows_apart(records);
    let mut cells: BTreeMap<GroupKey, BTreeMap<(u64, Option<u64>), &RunRecord>> = BTreeMap::new();
    let mut ordered: Vec<&RunRecord> = records.iter().collect();
    ordered.sort_by_key(|record| (record.finished, record.started, &record.id));
    for record in ordered {
        match record.status {
            Status::Completed if !record.value.is_some_and(f64::is_finite) => {
                result
                    .unfinished
                    .push(format!("{} (no finite value)", record.id));
            }
            Status::Completed => {
                let (mut key, mask_seed) = key(record);
                key.apart = apart
                    .get(&RowKey::of(&key))
                    .and_then(|apart| apart.words(record, is_mixed));
                if let Some(older) = cells
                    .entry(key)
                    .or_default()
                    .insert((record.seed, mask_seed), record)
                {
                    result.replaced.push(match older.device == record.device {
                        true => older.id.clone(),
                        false => format!("{} on {}", older.id, older.device),
                    });
                }
            }
            Status::Running | Status::Diverged => {
                result
                    .unfinished
                    .push(format!("{} ({})", record.id, record.status.as_str()));
            }
        }
    }
    result.unfinished.sort();
    result.replaced.sort();
    let majority: Vec<&RunRecord> = (cells.values())
        .flat_map(|runs| runs.values().copied())
        .filter(|run| run.condition == Baseline::Majority.into())
        .collect();
    result.groups = cells
        .into_iter()
        .filter_map(|(key, runs)| group(key, &runs, &majority))
        .collect();
    result
}

/// A completed run that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    pub(crate) record: &'a RunRecord,
    /// Whether an earlier run of the same build and seeds has another score.
    pub(crate) is_contradicted: bool,
}

/// Of several completed runs of a build with the same seeds the one finished last.
pub(crate) fn counted<'a>(records: &[&'a RunRecord]) -> Vec<Counted<'a>> {
    let mut ordered = records.to_vec();
    ordered.retain(|of| of.status == Status::Completed && of.value.is_some_and(f64::is_finite));
    // Never the order in which they were named.
    let value = |of: &RunRecord| of.value.unwrap_or_default().to_bits();
    ordered.sort_by_key(|of| (of.finished, of.started, of.id.clone(), value(of)));
    // Of one build and seed several only where they read other data, which is for the reader to refuse.
    let mut counted: BTreeMap<_, Vec<Counted<'a>>> = BTreeMap::new();
    for record in ordered {
        let (mut key, mask_seed) = key(record);
        key.apart = Some(build_words(record));
        let runs = counted.entry((key, record.seed, mask_seed)).or_default();
        let earlier = (runs.iter_mut()).find(|of| of.record.reads_other(record).is_none());
        match earlier {
            Some(of) => {
                of.is_contradicted |= of.record.value != record.value;
                of.record = record;
            }
            None => runs.push(Counted {
                record,
                is_contradicted: false,
            }),
        }
    }
    counted.into_values().flatten().collect()
}

/// What the groups of a row share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RowKey {
    row: String,
    variant: Option<String>,
    recipe_hash: String,
    metric: Metric,
    signature: String,
}

impl RowKey {
    fn of(key: &GroupKey) -> Self {
        Self {
            row: key.row.clone(),
            variant: key.variant.clone(),
            recipe_hash: key.recipe_hash.clone(),
            metric: key.metric,
            signature: key.signature.clone(),
        }
    }
}

/// What the runs of a row differ in that are not taken together.
#[derive(Debug, Default)]
struct Apart {
    builds: BTreeSet<String>,
    /// The hashes of each data file, by its name.
    data: BTreeMap<String, BTreeSet<String>>,
}

impl Apart {
    fn add(&mut self, record: &RunRecord) {
        // A baseline is what its data are, whatever scored it.
        if !matches!(record.condition, Condition::Baseline(_)) {
            self.builds.insert(build_words(record));
        }
        for (name, hash) in &record.data {
            self.data
                .entry(name.clone())
                .or_default()
                .insert(hash.clone());
        }
    }

    /// What tells a run from others of its row; none where nothing does.
    fn words(&self, record: &RunRecord, is_mixed: bool) -> Option<String> {
        let build = (self.builds.len() > 1 && !is_mixed).then(|| build_words(record));
        let several = self.data.iter().filter(|(_, hashes)| hashes.len() > 1);
        let file = |name: &String| match record.data.get(name) {
            Some(hash) => format!("{name} {}", hash.get(..8).unwrap_or(hash)),
            None => format!("no {name}"),
        };
        let files = several.map(|(name, _)| file(name));
        let words: Vec<String> = build.into_iter().chain(files).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// What the runs of each row differ in.
fn rows_apart(records: &[RunRecord]) -> BTreeMap<RowKey, Apart> {
    let mut cells: BTreeMap<GroupKey, Apart> = BTreeMap::new();
    for record in records {
        if record.status == Status::Completed && record.value.is_some_and(f64::is_finite) {
            cells.entry(key(record).0).or_default().add(record);
        }
    }
    let mut rows: BTreeMap<RowKey, Apart> = BTreeMap::new();
    for (key, cell) in &cells {
        let row = rows.entry(RowKey::of(key)).or_default();
        // A change from p = 0 is none of the mask where each p was made by a build, or read data, of its own.
        row.builds.extend(cell.builds.iter().cloned());
        for (name, hashes) in &cell.data {
            row.data
                .entry(name.clone())
                .or_default()
                .extend(hashes.iter().cloned());
        }
    }
    rows
}

/// Key and mask seed of a record.
fn key(record: &RunRecord) -> (GroupKey, Option<u64>) {
    let p = record.p_nominal.map(Percent::new);
    let condition = match (record.condition, p) {
        (Condition::Masked(_), Some(Percent::ZERO)) => Condition::Dense,
        (condition, _) => condition,
    };
    let key = GroupKey {
        row: record.row.clone(),
        variant: record.variant.clone(),
        recipe_hash: record.recipe_hash.clone(),
        metric: record.metric,
        signature: record.signature.clone(),
        condition: condition.without_seed(),
        p,
        apart: None,
    };
    (key, condition.mask_seed())
}

fn group(
    key: GroupKey,
    runs: &BTreeMap<(u64, Option<u64>), &RunRecord>,
    majority: &[&RunRecord],
) -> Option<Group> {
    let values: Vec<f64> = runs.values().filter_map(|run| run.value).collect();
    let scores_as_majority = |run: &RunRecord| majority.iter().any(|of| is_as(run, of));
    Some(Group {
        key,
        n: values.len(),
        mean: mean(&values)?,
        sd: standard_deviation(&values),
        p_effective: mean(
            &runs
                .values()
                .filter_map(|run| run.p_effective)
                .collect::<Vec<_>>(),
        ),
        p_token_weighted: mean(
            &runs
                .values()
                .filter_map(|run| run.p_token_weighted)
                .collect::<Vec<_>>(),
        ),
        paper: runs.values().find_map(|run| run.paper.clone()),
        tokens_per_second: runs
            .values()
            .filter_map(|run| run.tokens_per_second)
            .collect(),
        parameters: runs.values().find_map(|run| run.parameters),
        peak_gigabytes: (runs.values())
            .filter_map(|run| run.peak_gigabytes)
            .collect(),
        observed: observed(runs.values().copied()),
        devices: (runs.values())
            .map(|run| run.device_and_precision())
            .collect(),
        seconds: runs.values().filter_map(|run| seconds(run)).collect(),
        finished: runs.values().filter_map(|run| run.finished).max(),
        commits: (runs.values()).filter_map(|run| run.build()).collect(),
        attention: (runs.values())
            .filter_map(|run| run.attention.clone())
            .collect(),
        builds: runs.values().filter_map(|run| build(run)).collect(),
        seeds: runs.keys().copied().collect(),
        values,
        as_majority: (runs.iter())
            .filter(|(_, run)| scores_as_majority(run))
            .map(|(seeds, _)| *seeds)
            .collect(),
    })
}

/// Whether a network has exactly the score that a baseline has of the same row, metric and data.
fn is_as(run: &RunRecord, baseline: &RunRecord) -> bool {
    let of_row = |of: &RunRecord| RowKey {
        variant: None,
        ..RowKey::of(&key(of).0)
    };
    !matches!(run.condition, Condition::Baseline(_))
        && run.value == baseline.value
        && of_row(run) == of_row(baseline)
        && run.reads_other(baseline).is_none()
}

/// The values of each quantity that was watched.
fn observed<'a>(runs: impl Iterator<Item = &'a RunRecord>) -> BTreeMap<String, Vec<f64>> {
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, value) in runs.flat_map(|run| &run.observed) {
        all.entry(name.clone()).or_default().push(*value);
    }
    all
}

/// From the start of training to the score.
fn seconds(run: &RunRecord) -> Option<f64> {
    Some(run.finished?.saturating_sub(run.started) as f64)
}

/// The program that made a run, where the run names its commit.
fn build(run: &RunRecord) -> Option<String> {
    let version = run.versions.get("sparta").map(String::as_str);
    let build = run.build()?;
    Some(format!(
        "sparta {}, commit {build}",
        version.unwrap_or("of unknown version")
    ))
}

/// What tells the build of a run from others, in words: `commit 1a2b3c4d5e6f`.
fn build_words(run: &RunRecord) -> String {
    let version = run.versions.get("sparta");
    let version = version.map_or_else(String::new, |version| format!(" of {version}"));
    match run.build().as_deref() {
        Some("unknown") | None => format!("unknown commit{version}"),
        Some(build) => format!("commit {build}"),
    }
}

pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// `√(Σ (x − mean)² / (n − 1))`; none below two values.
pub(super) fn standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sd_divides_by_n_minus_one() {
        assert_eq!(standard_deviation(&[2.0, 4.0, 9.0]), Some(13f64.sqrt()));
        assert_eq!(standard_deviation(&[2.0]), None);
        assert_eq!(mean(&[]), None);
    }

    #[test]
    fn changes_are_over_the_seeds_that_both_have() {
        let base = [(1, 10.0), (2, 300.0)];
        let shared = |ours: &[(u64, f64)]| over_shared_seeds([ours, &base]);
        // Seed 2 has no such run: it must not make the change.
        assert_eq!(shared(&[(1, 11.0)]), Some((11.0, 10.0)));
        // Several masks of one seed.
        assert_eq!(shared(&[(1, 11.0), (1, 13.0)]), Some((12.0, 10.0)));
        assert_eq!(shared(&[(2, 1.0), (1, 3.0)]), Some((2.0, 155.0)));
        // 10 % more in each seed, of which one has more masks than the other.
        let ours = [(1, 11.0), (1, 11.0), (1, 11.0), (2, 330.0)];
        let (mean, base) = shared(&ours).unwrap();
        assert!((mean / base - 1.1).abs() < 1e-12, "{mean} {base}");
        assert_eq!(shared(&[(3, 11.0)]), None);
    }

    /// Seeds that differ by much and change by the same.
    #[test]
    fn a_change_spreads_as_the_changes_of_seeds() {
        let base = [(1, 10.0), (2, 300.0), (3, 50.0)];
        let spread =
            |how, ours: &[(u64, f64)]| change_over_shared_seeds(how, [ours, &base]).unwrap();
        let (change, sd) = spread(Difference::Points, &[(1, 11.0), (2, 301.0), (3, 51.0)]);
        assert_eq!((change, sd), (1.0, 0.0));
        let (change, sd) = spread(Difference::Relative, &[(1, 11.0), (2, 330.0), (3, 55.0)]);
        assert!((change - 10.0).abs() < 1e-9 && sd < 1e-9, "{change} {sd}");
        // Of 1, 2 and 3 points, the last of two masks.
        let ours = [(1, 11.0), (2, 302.0), (3, 52.0), (3, 54.0)];
        let of_runs = standard_deviation(&[1.0, 2.0, 2.0, 4.0]).unwrap();
        assert_eq!(spread(Difference::Points, &ours), (2.0, of_runs));
        assert_eq!(spread(Difference::Points, &[(1, 12.0)]), (2.0, 0.0));
    }

    #[test]
    fn percent_orders_like_numbers() {
        assert!(Percent::new(9.0) < Percent::new(20.0));
        assert_eq!(Percent::new(0.1 + 0.2), Percent::new(0.3));
        assert_eq!(Percent::new(46.81).get(), 46.81);
    }
}
