//! Every score of a table with where it comes from.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::View;
use crate::condition::Condition;
use crate::metric::{Difference, Metric};
use crate::record::PaperReference;
use crate::render::{Group, Percent, RowName, SQUAD_KERNELS, difference, label, over_shared_seeds};

/// One score: the mean over runs that differ only in their seeds, and where they come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreLine {
    /// Row of the table, `row@hash` where one row has several recipes.
    pub row: String,
    /// Which of the row's networks, where there are several.
    pub variant: Option<String>,
    /// `ap`, `random`, … , `none`, or a baseline.
    pub mask: String,
    /// Nominal p in percent; none for baselines and dense checkpoints.
    pub p_nominal: Option<f64>,
    /// Percentage of legal cells hidden.
    pub p_effective: Option<f64>,
    /// The same, weighted by use.
    pub p_token_weighted: Option<f64>,
    /// Which score.
    pub metric: Metric,
    /// Its protocol.
    pub signature: String,
    /// Mean over runs.
    pub mean: f64,
    /// Standard deviation over runs, of several.
    pub sd: Option<f64>,
    /// Number of runs.
    pub n: usize,
    /// Score of each run.
    pub values: Vec<f64>,
    /// Seed and mask seed of each run.
    pub seeds: Vec<(u64, Option<u64>)>,
    /// Change against p = 0, or in a table of mechanisms against its first one; in percent or, of scores that are percentages, in
    /// points.
    pub change: Option<f64>,
    /// The published number.
    pub paper: Option<PaperReference>,
    /// Its change against the published p = 0.
    pub paper_change: Option<f64>,
    /// Mean less the published number.
    pub less_paper: Option<f64>,
    /// Seconds from the start of training to the score, of each run.
    pub seconds: Vec<f64>,
    /// When the last run was scored, in seconds since 1970.
    pub finished: Option<u64>,
    /// Target tokens per second of training, of each run that has them.
    pub tokens_per_second: Vec<f64>,
    /// Number of parameters of the network, where it was noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// Largest resident memory of training in 10⁹ bytes, of each run that measured it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peak_gigabytes: Vec<f64>,
    /// What was watched of the mechanism, of each run that has it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub observed: BTreeMap<String, Vec<f64>>,
    /// Devices that trained.
    pub devices: BTreeSet<String>,
    /// Which implementations of attention ran.
    pub attention: BTreeSet<String>,
    /// Commits of the programs that made the runs.
    pub commits: BTreeSet<String>,
    #[serde(skip)]
    condition: Condition,
}

impl ScoreLine {
    /// Row, variant and what it stands for: `transformer-xl, ap`.
    pub(super) fn name(&self) -> String {
        let row = RowName {
            row: self.row.clone(),
            variant: self.variant.clone(),
        };
        row.to_string()
    }

    /// What it is, in words: `ap`, `dense`, `unigram, add one`.
    pub(super) fn mask_words(&self) -> String {
        match (self.condition, self.p_nominal) {
            (Condition::Dense, Some(_)) => "dense".to_owned(),
            (condition, _) => condition.description(),
        }
    }

    /// Whether changes are in percent.
    pub(super) fn difference(&self) -> Difference {
        self.metric.difference()
    }
}

/// The lines of some groups, in the order of tables: by metric and signature, networks by row and p before baselines.
pub(super) fn lines(
    groups: &[Group],
    labels: &BTreeMap<(String, String), String>,
    view: &View,
) -> Vec<ScoreLine> {
    let mut lines: Vec<(&Group, ScoreLine)> = groups
        .iter()
        .map(|group| (group, line(group, groups, labels, view)))
        .collect();
    lines.sort_by_cached_key(|(group, line)| {
        let key = &group.key;
        let is_baseline = matches!(key.condition, Condition::Baseline(_));
        (
            (key.metric, key.signature.clone(), is_baseline),
            (line.row.clone(), key.variant.clone()),
            (key.p.is_none(), key.condition, key.p),
        )
    });
    lines.into_iter().map(|(_, line)| line).collect()
}

fn line(
    group: &Group,
    groups: &[Group],
    labels: &BTreeMap<(String, String), String>,
    view: &View,
) -> ScoreLine {
    let key = &group.key;
    let how = key.metric.difference();
    let dense = dense(group, groups);
    let paper = group.paper.as_ref().filter(|_| is_papers(key.condition));
    let paper_of = |of: &Group| of.paper.as_ref().map(|paper| paper.value);
    let change = |value: Option<f64>, base: Option<f64>| {
        let change = difference(how, value?, base?);
        change.is_finite().then_some(change)
    };
    let base = match view {
        View::Mechanisms(table) => table.base_of(key).map(|base| base.runs.clone()),
        View::Scores(_) | View::Pivot(_) => dense.map(Group::by_seed),
    };
    let means = base.and_then(|base| over_shared_seeds([&group.by_seed(), &base]));
    ScoreLine {
        row: label(labels, key),
        variant: key.variant.clone(),
        mask: key.csv_mask(),
        p_nominal: key.p.map(Percent::get),
        p_effective: group.p_effective.filter(|_| key.p.is_some()),
        p_token_weighted: group.p_token_weighted.filter(|_| key.p.is_some()),
        metric: key.metric,
        signature: key.signature.clone(),
        mean: group.mean,
        sd: group.sd,
        n: group.n,
        values: group.values.clone(),
        seeds: group.seeds.clone(),
        change: means.and_then(|(ours, base)| change(Some(ours), Some(base))),
        paper: paper.cloned(),
        paper_change: change(paper.map(|paper| paper.value), dense.and_then(paper_of)),
        less_paper: paper.map(|paper| group.mean - paper.value),
        seconds: group.seconds.clone(),
        finished: group.finished,
        tokens_per_second: group.tokens_per_second.clone(),
        parameters: group.parameters,
        peak_gigabytes: group.peak_gigabytes.clone(),
        observed: group.observed.clone(),
        devices: group.devices.clone(),
        attention: group.attention.clone(),
        commits: group.commits.clone(),
        condition: key.condition,
    }
}

/// Whether the published numbers were made under this condition.
fn is_papers(condition: Condition) -> bool {
    match condition {
        Condition::Dense => true,
        Condition::Masked(mask) => mask.family.is_published(),
        Condition::Baseline(_) => false,
    }
}

/// The runs at p = 0 that a group's change refers to: of its row, or of the kernel without masks. Of a baseline or a dense
/// checkpoint, which have no p, it would say nothing.
fn dense<'a>(group: &Group, groups: &'a [Group]) -> Option<&'a Group> {
    let key = &group.key;
    key.p?;
    let of_row = |row: &str| {
        groups.iter().find(|of| {
            let other = &of.key;
            (other.p, other.condition) == (Some(Percent::ZERO), Condition::Dense)
                && (&other.recipe_hash, &other.variant) == (&key.recipe_hash, &key.variant)
                && (other.metric, &other.signature) == (key.metric, &key.signature)
                && (other.row == row && other.apart == key.apart)
        })
    };
    of_row(&key.row).or_else(|| of_row(SQUAD_KERNELS[0]))
}
