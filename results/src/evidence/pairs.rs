//! Records of two cells, paired by seed within one build.

use std::collections::{BTreeMap, BTreeSet};

use super::claim::{ClaimCell, Quantity, Unit};
use super::interval::Interval;
use super::verdict::{Evidence, build_of, words};
use crate::record::RunRecord;
use crate::render::aggregate;

/// The records of two cells, of the seeds that one build has both of.
pub(super) struct Pairs<'a> {
    seeds: BTreeMap<u64, [Vec<aggregate::Counted<'a>>; 2]>,
    /// The builds that have both of some seed.
    pub(super) builds: BTreeSet<&'a str>,
    /// Which seeds have one of them alone.
    pub(super) left_out: Vec<String>,
}

impl<'a> Pairs<'a> {
    /// # Errors
    /// No seed that has both, in words.
    pub(super) fn of(
        records: &[aggregate::Counted<'a>],
        [a, b]: &Quantity,
    ) -> Result<Self, String> {
        let mut found: BTreeMap<(u64, &'a str), [Vec<aggregate::Counted<'a>>; 2]> = BTreeMap::new();
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
        // Of several builds that have both, the one that was finished last.
        let finished = |of: &[Vec<aggregate::Counted<'_>>; 2]| {
            of.iter()
                .flatten()
                .filter_map(|of| of.record.finished)
                .max()
        };
        let mut seeds: BTreeMap<u64, [Vec<aggregate::Counted<'a>>; 2]> = BTreeMap::new();
        let mut lacks: BTreeMap<u64, &ClaimCell> = BTreeMap::new();
        let mut builds = BTreeSet::new();
        for ((seed, build), of) in found {
            match [of[0].is_empty(), of[1].is_empty()] {
                [false, false] => {
                    builds.insert(build);
                    let later = |then: &[Vec<_>; 2]| finished(&of) > finished(then);
                    if seeds.get(&seed).is_none_or(later) {
                        seeds.insert(seed, of);
                    }
                }
                [true, _] => _ = lacks.insert(seed, a),
                [false, true] => _ = lacks.insert(seed, b),
            }
        }
        if seeds.is_empty() {
            return Err(format!("no seed has both {a} and {b} by one build"));
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

    pub(super) fn records(&self) -> impl Iterator<Item = aggregate::Counted<'a>> {
        self.seeds.values().flatten().flatten().copied()
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
