//! Records of two cells, paired by seed within one build.

use std::collections::{BTreeMap, BTreeSet};

use super::claim::{ClaimCell, Quantity, Unit};
use super::interval::Interval;
use super::verdict::{Evidence, build_of, words};
use crate::record::RunRecord;
use crate::render::aggregate;

/// The records of each of two cells.
type Pair<'a> = [Vec<aggregate::Counted<'a>>; 2];
/// Those of a build that has one of the cells alone.
type OfBuild<'a> = (String, Pair<'a>);

/// The records of two cells, of the seeds that have both: by one build, unless builds are mixed.
pub(super) struct Pairs<'a> {
    seeds: BTreeMap<u64, Pair<'a>>,
    /// The builds that have both of some seed.
    pub(super) builds: BTreeSet<String>,
    /// Which seeds have one of them alone.
    pub(super) left_out: Vec<String>,
}

impl<'a> Pairs<'a> {
    /// # Errors
    /// No seed that has both, in words.
    pub(super) fn of(
        records: &[aggregate::Counted<'a>],
        [a, b]: &Quantity,
        is_mixed: bool,
    ) -> Result<Self, String> {
        let mut found: BTreeMap<(u64, String), Pair<'a>> = BTreeMap::new();
        for of in records {
            for (at, cell) in [a, b].into_iter().enumerate() {
                if cell.has(of.record) {
                    let key = (of.record.seed, build_of(of.record));
                    found.entry(key).or_default()[at].push(*of);
                }
            }
        }
        for (at, cell) in [a, b].into_iter().enumerate() {
            if found.values().all(|of| of[at].is_empty()) {
                let records = records.iter().map(|of| of.record);
                return Err(format!(
                    "no seed has {cell}; there are {}",
                    there_are(records)
                ));
            }
        }
        let mut seeds: BTreeMap<u64, Pair<'a>> = BTreeMap::new();
        let mut lacks: BTreeMap<u64, &ClaimCell> = BTreeMap::new();
        let mut builds = BTreeSet::new();
        let mut parts: BTreeMap<u64, Vec<OfBuild<'_>>> = BTreeMap::new();
        for ((seed, build), of) in found {
            match [of[0].is_empty(), of[1].is_empty()] {
                [false, false] => {
                    builds.insert(build);
                    // Of several builds that have both, the one that was finished last.
                    let at = finished(of.iter().flatten());
                    let later = |then: &Pair<'_>| at > finished(then.iter().flatten());
                    if seeds.get(&seed).is_none_or(later) {
                        seeds.insert(seed, of);
                    }
                }
                [has_no_a, _] => {
                    lacks.insert(seed, if has_no_a { a } else { b });
                    parts.entry(seed).or_default().push((build, of));
                }
            }
        }
        if is_mixed {
            parts.retain(|seed, _| !seeds.contains_key(seed));
            for (seed, of) in parts {
                if let Some((of_builds, pair)) = of_several(of) {
                    builds.extend(of_builds);
                    seeds.insert(seed, pair);
                }
            }
        }
        if seeds.is_empty() {
            let by = if is_mixed { "" } else { " by one build" };
            return Err(format!("no seed has both {a} and {b}{by}"));
        }
        let left_out = lacks
            .into_iter()
            .filter(|(seed, _)| !seeds.contains_key(seed));
        let left_out =
            left_out.map(|(seed, cell)| format!("seed {seed} is left out: it has no {cell}"));
        Ok(Self {
            left_out: left_out.collect(),
            builds,
            seeds,
        })
    }

    /// Whether a seed has both.
    pub(super) fn has(&self, seed: u64) -> bool {
        self.seeds.contains_key(&seed)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = aggregate::Counted<'a>> {
        self.seeds.values().flatten().flatten().copied()
    }

    /// The seeds whose cells were trained on different devices, in words.
    pub(super) fn over_devices(&self) -> Vec<String> {
        let devices = |of: &[aggregate::Counted<'_>]| -> BTreeSet<String> {
            of.iter().map(|of| of.record.device.clone()).collect()
        };
        let differ = self.seeds.iter().filter_map(|(seed, [a, b])| {
            let (a, b) = (devices(a), devices(b));
            let all = words(a.union(&b).map(String::as_str));
            (a != b).then(|| format!("seed {seed} compares runs of different devices ({all})"))
        });
        differ.collect()
    }

    /// The differences, seed by seed.
    ///
    /// # Errors
    /// Records that are not of one row or protocol, cells that are the same runs, and a share of 0, in words.
    pub(super) fn evidence(&self, cells: [&ClaimCell; 2], unit: Unit) -> Result<Evidence, String> {
        let [a, b] = cells;
        for (at, cell) in cells.into_iter().enumerate() {
            let rows: BTreeSet<String> = (self.seeds.values())
                .flat_map(|of| &of[at])
                .map(|of| match &of.record.variant {
                    Some(variant) => format!("{} {variant}", of.record.row),
                    None => of.record.row.clone(),
                })
                .collect();
            if rows.len() > 1 {
                return Err(format!(
                    "{cell} is of several rows ({}); name one of them in the claim",
                    words(rows.iter().map(String::as_str))
                ));
            }
        }
        let signatures: BTreeSet<&str> = self.records().map(|of| &*of.record.signature).collect();
        if signatures.len() > 1 {
            return Err(format!(
                "the runs are of several protocols ({}); name folders of one",
                words(signatures.into_iter())
            ));
        }
        let mut data: BTreeMap<&str, &str> = BTreeMap::new();
        let of_records = self.records().flat_map(|of| &of.record.data);
        let other = of_records
            .filter(|(name, hash)| *data.entry(name.as_str()).or_insert(hash.as_str()) != **hash)
            .map(|(name, _)| name.as_str())
            .next();
        if let Some(name) = other {
            return Err(format!(
                "the runs read different data (`{name}` is not of one sha256); name folders of one"
            ));
        }
        let ids = |of: &[aggregate::Counted<'_>]| -> Vec<String> {
            of.iter().map(|of| of.record.id.clone()).collect()
        };
        if self
            .seeds
            .values()
            .all(|[of_a, of_b]| ids(of_a) == ids(of_b))
        {
            return Err(format!("{a} and {b} are the same runs"));
        }
        let (mut values, mut sums) = (Vec::new(), (0.0, 0.0));
        for [of_a, of_b] in self.seeds.values() {
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
        let n = self.seeds.len() as f64;
        Ok(Evidence {
            of: format!("{a} against {b}"),
            interval: Interval::of(&values).ok_or_else(|| "there is no value".to_owned())?,
            seeds: self.seeds.keys().copied().collect(),
            means: (sums.0 / n, sums.1 / n),
        })
    }
}

/// When the last of some records was finished.
fn finished<'a>(of: impl Iterator<Item = &'a aggregate::Counted<'a>>) -> Option<u64> {
    of.filter_map(|of| of.record.finished).max()
}

/// The two cells of a seed by several builds, each by the one that finished it last; with these builds.
fn of_several<'a>(parts: Vec<OfBuild<'a>>) -> Option<([String; 2], Pair<'a>)> {
    let last = |at: usize| {
        let of_cell = parts.iter().filter(|(_, of)| !of[at].is_empty());
        let last = of_cell.max_by_key(|(_, of)| finished(of[at].iter()));
        last.map(|(build, of)| (build.clone(), of[at].clone()))
    };
    let ((build_of_a, a), (build_of_b, b)) = (last(0)?, last(1)?);
    Some(([build_of_a, build_of_b], [a, b]))
}

/// The cells that records have, as claims name them.
fn there_are<'a>(records: impl Iterator<Item = &'a RunRecord>) -> String {
    let cells: BTreeSet<String> = records.map(|of| ClaimCell::of(of).to_string()).collect();
    words(cells.iter().map(String::as_str))
}

/// Of one record, or several draws of a random mask.
fn mean(records: &[aggregate::Counted<'_>]) -> f64 {
    let values = records.iter().filter_map(|of| of.record.value);
    values.sum::<f64>() / records.len() as f64
}
