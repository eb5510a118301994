//! Which column a score stands in.

use std::collections::BTreeMap;

use crate::metric::Metric;
use crate::metric::glue::GlueColumn;
use crate::render::aggregate::Group;
use crate::render::expected::Expected;
use crate::render::pivot::{PivotColumn, PivotLayout};

/// Measures of the SQuAD table, in the order of its columns, and whether each has its place although nothing may stand there:
/// of thresholds of no answer only where some questions have none.
const SQUAD_METRICS: [(Metric, bool); 11] = [
    (Metric::ExactMatch, true),
    (Metric::AnswerF1, true),
    (Metric::HasAnswerExact, false),
    (Metric::HasAnswerF1, false),
    (Metric::NoAnswerExact, false),
    (Metric::BestExact, false),
    (Metric::BestExactThreshold, false),
    (Metric::BestF1, false),
    (Metric::BestF1Threshold, false),
    (Metric::Seconds, true),
    (Metric::Gigabytes, true),
];

/// What the scores of a column share; columns stand in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    place: usize,
    /// Printed row of the records; empty where columns are measures.
    pub row: String,
    pub metric: Metric,
    pub signature: String,
}

impl Key {
    /// The column of a group; `None` for further scores, which have none.
    pub(super) fn of(layout: PivotLayout, label: &str, group: &Group) -> Option<Self> {
        let metric = group.key.metric;
        let (place, row) = match layout {
            PivotLayout::Glue => {
                let column = GlueColumn::of_name(&group.key.row);
                if column.is_some_and(|column| column.metric() != metric) {
                    return None;
                }
                (glue_place(column), label.to_owned())
            }
            PivotLayout::Squad | PivotLayout::OwnSquad => {
                let place = SQUAD_METRICS.iter().position(|(of, _)| *of == metric)?;
                (place, String::new())
            }
        };
        Some(Self {
            place,
            row,
            metric,
            signature: group.key.signature.clone(),
        })
    }

    /// The columns that have their place although nothing may stand in them yet: those of tasks
    /// that are waited for, and SQuAD's measures.
    fn places<'a>(layout: PivotLayout, waiting: impl Iterator<Item = &'a str>) -> Vec<Self> {
        let empty = |place, row: &str, metric| Self {
            place,
            row: row.to_owned(),
            metric,
            signature: String::new(),
        };
        match layout {
            PivotLayout::Glue => waiting
                .filter_map(GlueColumn::of_name)
                .map(|column| empty(glue_place(Some(column)), column.name(), column.metric()))
                .collect(),
            PivotLayout::Squad | PivotLayout::OwnSquad => SQUAD_METRICS
                .iter()
                .enumerate()
                .filter(|(_, (_, has_place))| *has_place)
                .map(|(place, (metric, _))| empty(place, "", *metric))
                .collect(),
        }
    }

    /// Whether both stand for the same scores, whatever the protocol.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.row, self.metric) == (&other.row, other.metric)
    }

    /// The task of the column.
    pub(super) fn task(&self) -> Option<GlueColumn> {
        GlueColumn::of_name(&self.row)
    }

    fn head(&self) -> String {
        let name = self
            .row
            .split_once('@')
            .map_or(self.row.as_str(), |(name, _)| name);
        let column = GlueColumn::of_name(name);
        let is_usual = column.is_some_and(|column| column.metric() == self.metric);
        match (self.row.is_empty(), is_usual) {
            (true, _) => self.metric.label().to_owned(),
            (false, true) => self.row.clone(),
            (false, false) => format!("{}, {}", self.row, self.metric.label()),
        }
    }
}

/// The columns of a table, in their order.
pub(super) fn keys(
    layout: PivotLayout,
    groups: &[(String, Group)],
    waiting: &[(&Expected, usize)],
) -> Vec<Key> {
    let of_runs = groups
        .iter()
        .filter_map(|(label, group)| Key::of(layout, label, group));
    let mut keys: Vec<Key> = of_runs.collect();
    for place in Key::places(layout, waiting.iter().map(|(run, _)| run.row.as_str())) {
        if !keys.iter().any(|key| key.is_like(&place)) {
            keys.push(place);
        }
    }
    keys.sort();
    keys.dedup();
    keys
}

/// The columns with their heads; of equal heads the second gets ` #2`, and so on.
pub(super) fn columns(keys: &[Key]) -> Vec<PivotColumn> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let column = |key: &Key| {
        let head = key.head();
        let n = seen.entry(head.clone()).or_default();
        *n += 1;
        PivotColumn {
            name: match *n {
                1 => head,
                n => format!("{head} #{n}"),
            },
            metric: Some(key.metric),
            signature: key.signature.clone(),
        }
    };
    keys.iter().map(column).collect()
}

fn glue_place(column: Option<GlueColumn>) -> usize {
    let place = column.and_then(|column| GlueColumn::ALL.iter().position(|of| *of == column));
    place.unwrap_or(GlueColumn::ALL.len())
}
