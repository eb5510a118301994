//! Tables whose rows are mechanisms: the score of each beside what it costs and what is watched of it.

mod print;

use std::collections::BTreeMap;

use crate::condition::Condition;
use crate::condition::{MaskFamily, MaskRows, Weighing};
use crate::error::{Result, ResultsError};
use crate::metric::Metric;
use crate::record::RunRecord;
use crate::render::aggregate::{Aggregate, Group, GroupKey, Percent, aggregate, mean};
use crate::render::expected::{Expected, unanswered};
use crate::render::number::short;
use crate::render::pivot::MeanScore;
use crate::render::report::{self, ReportOptions, build_notes, labels, left_out, majority_note};

/// A table ready to print.
#[derive(Debug, Clone, PartialEq)]
pub struct MechanismTable {
    /// Heading.
    pub title: String,
    /// One score a column.
    pub columns: Vec<MechanismColumn>,
    /// Mechanisms in the order of the expected runs, baselines after them.
    pub lines: Vec<MechanismLine>,
    /// Commands of missing runs; the mark `[k]` in a cell names the k-th, counted from one.
    pub missing: Vec<String>,
    /// What else must be known.
    pub notes: Vec<String>,
    /// Line and column of each group of runs.
    places: BTreeMap<GroupKey, (usize, usize)>,
}

/// One column of scores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MechanismColumn {
    /// The row of the records where rows are tasks, each with every mechanism; none where they are mechanisms.
    pub task: Option<String>,
    /// Which score.
    pub metric: Metric,
    /// Its protocol.
    pub signature: String,
}

/// One mechanism, dense or under a mask.
#[derive(Debug, Clone, PartialEq)]
pub struct MechanismLine {
    /// Its name in the column `row`.
    pub name: String,
    /// Dense, under a mask, or a baseline.
    pub condition: Condition,
    /// Nominal p; none before further steps, and for baselines.
    pub p: Option<Percent>,
    /// Mean percentage of legal cells that is hidden.
    pub p_effective: Option<f64>,
    /// Mean percentage of their uses that is hidden.
    pub p_token_weighted: Option<f64>,
    /// Our numbers, one a column.
    pub scores: Vec<Option<MeanScore>>,
    /// Marks of missing runs.
    pub missing: Vec<usize>,
    /// Number of parameters of its network.
    pub parameters: Option<u64>,
    /// Mean target tokens per second of training.
    pub tokens_per_second: Option<f64>,
    /// Largest resident memory of training in 10⁹ bytes, the mean over seeds.
    pub gigabytes: Option<f64>,
    /// What is watched of it, the means over seeds.
    pub observed: BTreeMap<String, f64>,
}

/// What the runs of a line share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    base: String,
    condition: Condition,
    p: Option<Percent>,
}

/// The variant, or the row where rows are mechanisms.
fn base(row: &str, variant: Option<&str>, condition: Condition) -> String {
    match condition {
        Condition::Baseline(_) => condition.description(),
        Condition::Dense | Condition::Masked(_) => variant.unwrap_or(row).to_owned(),
    }
}

/// Lays out the records of one table with mechanisms in rows.
///
/// Seeds are averaged as [`aggregate()`] does; scores of different signatures never share a column. What is not of a
/// score, such as parameters, is taken from every run of a line.
///
/// # Errors
/// [`ResultsError::Empty`] if no record is completed.
pub fn mechanisms(records: &[RunRecord], options: &ReportOptions) -> Result<MechanismTable> {
    let Aggregate {
        groups,
        unfinished,
        replaced,
    } = aggregate(records, options.is_mixed);
    if groups.is_empty() {
        return Err(ResultsError::Empty);
    }
    let mut notes = left_out(&unfinished, &replaced);
    notes.extend(majority_note(&groups));
    notes.extend(build_notes(&groups));
    let labels = labels(&groups);
    let label = |group: &Group| report::label(&labels, &group.key);
    let rows_are_tasks = groups.iter().any(|group| group.key.variant.is_some());
    let column = |group: &Group| MechanismColumn {
        task: rows_are_tasks.then(|| label(group)),
        metric: group.key.metric,
        signature: group.key.signature.clone(),
    };
    let mut columns: Vec<MechanismColumn> = groups.iter().map(column).collect();
    columns.sort();
    columns.dedup();
    let (waiting, missing) = unanswered(records, &options.expected);

    let mut lines: BTreeMap<Key, Vec<&Group>> = BTreeMap::new();
    for group in &groups {
        let key = &group.key;
        let key = Key {
            base: base(&label(group), key.variant.as_deref(), key.condition),
            condition: key.condition,
            p: key.p,
        };
        lines.entry(key).or_default().push(group);
    }
    let mut marks: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (run, mark) in waiting {
        let key = expected_key(run);
        lines.entry(key.clone()).or_default();
        let marks = marks.entry(key).or_default();
        if !marks.contains(&mark) {
            marks.push(mark);
        }
    }
    let keys: Vec<Key> = lines.keys().cloned().collect();
    let place = |key: &Key| {
        // A row of a part of its attention, `softmax, cross-attention`, stands behind its mechanism.
        let is_of = |base: &str| {
            let rest = key.base.strip_prefix(base);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(", "))
        };
        let at = (options.expected.iter()).position(|run| is_of(&expected_key(run).base));
        let is_baseline = matches!(key.condition, Condition::Baseline(_));
        (
            is_baseline,
            at.unwrap_or(options.expected.len()),
            key.clone(),
        )
    };
    let mut lines: Vec<(Key, Vec<&Group>)> = lines.into_iter().collect();
    lines.sort_by_cached_key(|(key, _)| place(key));
    let places = lines.iter().enumerate().flat_map(|(line, (_, groups))| {
        let of = |group: &&Group| columns.iter().position(|of| *of == column(group));
        let place = move |group: &&Group| Some((group.key.clone(), (line, of(group)?)));
        groups.iter().filter_map(place)
    });
    let places = places.collect();
    let lines = lines.into_iter().map(|(key, groups)| {
        let scores = columns.iter().map(|of| {
            let group = groups.iter().find(|group| column(group) == *of)?;
            Some(MeanScore {
                mean: group.mean,
                sd: group.sd,
                n: group.n,
                runs: group.by_seed(),
            })
        });
        MechanismLine {
            name: name(&key, &keys),
            scores: scores.collect(),
            missing: marks.remove(&key).unwrap_or_default(),
            p_effective: shared_percent(groups.iter().map(|group| group.p_effective)),
            p_token_weighted: shared_percent(groups.iter().map(|group| group.p_token_weighted)),
            parameters: shared(groups.iter().map(|group| group.parameters)),
            tokens_per_second: mean(&all(&groups, |group| &group.tokens_per_second)),
            gigabytes: mean(&all(&groups, |group| &group.peak_gigabytes)),
            observed: observed(&groups),
            condition: key.condition,
            p: key.p,
        }
    });
    Ok(MechanismTable {
        title: options.title_of(records),
        lines: lines.collect(),
        columns,
        missing,
        notes,
        places,
    })
}

/// What all of a line that say it say alike; none where tasks differ.
fn shared<T: PartialEq>(values: impl Iterator<Item = Option<T>>) -> Option<T> {
    let mut values = values.flatten();
    let first = values.next()?;
    values.all(|other| other == first).then_some(first)
}

/// The same of percentages, which means over other seeds may give with other last digits.
fn shared_percent(values: impl Iterator<Item = Option<f64>> + Clone) -> Option<f64> {
    shared(values.clone().map(|value| value.map(Percent::new)))?;
    values.flatten().next()
}

/// The line of an expected run.
fn expected_key(run: &Expected) -> Key {
    let p = run.p.map(Percent::new);
    let condition = match p {
        Some(Percent::ZERO) => Condition::Dense,
        Some(_) | None => run.condition.without_seed(),
    };
    Key {
        base: base(&run.row, run.variant.as_deref(), condition),
        condition,
        p,
    }
}

/// What a line is called: the mechanism, with what else was done to it.
fn name(key: &Key, all: &[Key]) -> String {
    let base = &key.base;
    let is_before = |other: &Key| other.base == *base && other.p.is_none();
    match (key.condition, key.p) {
        (Condition::Masked(mask), Some(p)) => {
            let family = match mask.family {
                MaskFamily::Ap { .. } => "AP".to_owned(),
                MaskFamily::ApBlocks { block_size, .. } => format!("AP in blocks of {block_size}"),
                MaskFamily::Random { .. } => "random cells".to_owned(),
            };
            let of = match mask.family.weighing() {
                Weighing::Cells => "",
                Weighing::Uses => " of the uses",
            };
            let rows = match mask.family.rows() {
                MaskRows::True => "",
                MaskRows::Paper => ", rows of the released code",
            };
            format!("{base}, {family} p = {} %{of}{rows}", short(p.get(), 3))
        }
        // Where models under masks are trained on from a dense one, so is their control.
        (Condition::Dense, Some(_)) if all.iter().any(is_before) => {
            format!("{base}, trained on without a mask")
        }
        (Condition::Masked(_), None) | (Condition::Dense | Condition::Baseline(_), _) => {
            base.clone()
        }
    }
}

fn all(groups: &[&Group], numbers: impl Fn(&Group) -> &Vec<f64>) -> Vec<f64> {
    groups
        .iter()
        .flat_map(|group| numbers(group).clone())
        .collect()
}

/// The means of what was watched, each over the runs that have it.
fn observed(groups: &[&Group]) -> BTreeMap<String, f64> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for group in groups {
        for (name, found) in &group.observed {
            values.entry(name.clone()).or_default().extend(found);
        }
    }
    let means = values
        .into_iter()
        .filter_map(|(name, of)| Some((name, mean(&of)?)));
    means.collect()
}
