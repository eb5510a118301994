//! How far the masks of a run hide the same cells.

use std::collections::BTreeMap;

use anyhow::Result;
use sparta_ops::pruning::{AttentionType, MaskKind, MaskOverlap, Weighing};
use sparta_results::figure::OverlapMatrix;

use super::pattern::{MaskFile, Observed, SHOWN_P};

/// A mask with everything that masks of a run differ in.
struct Placed {
    seed: u64,
    dataset: String,
    variant: String,
    file: MaskFile,
}

/// Matrices between seeds, tasks and normalisers at the p that is shown, and between all p.
pub(super) fn overlaps(all: &[Observed]) -> Result<Vec<OverlapMatrix>> {
    let mut placed = Vec::new();
    for of in all {
        // Tasks are compared under one normaliser, whose name in figures says the task too.
        let task = format!("{}, ", of.dataset);
        let variant = of.variant.strip_prefix(&task).unwrap_or(&of.variant);
        placed.extend(MaskFile::all(&of.arm)?.into_iter().map(|file| Placed {
            seed: of.arm.folder.seed(),
            dataset: of.dataset.clone(),
            variant: variant.to_owned(),
            file,
        }));
    }
    placed.retain(|of| of.file.mask.kind() == MaskKind::Ap);
    let mut sets: Vec<(Weighing, Vec<AttentionType>)> = placed
        .iter()
        .map(|of| (of.file.mask.weighing(), of.file.types.clone()))
        .collect();
    sets.sort_by_key(|(weighing, types)| (*weighing, types.len(), types.clone()));
    sets.dedup();
    let mut matrices = Vec::new();
    for (weighing, types) in &sets {
        let is_of_set = |of: &&Placed| of.file.is_ap_of(types, *weighing);
        let of_set: Vec<&Placed> = placed.iter().filter(is_of_set).collect();
        let names: Vec<&str> = types.iter().map(|kind| kind.as_str()).collect();
        let names = match weighing {
            Weighing::Cells => names.join(" and "),
            Weighing::Uses => format!("{}, by uses", names.join(" and ")),
        };
        let mut ps: Vec<f64> = of_set.iter().map(|of| of.file.mask.p()).collect();
        ps.sort_by(f64::total_cmp);
        let mut below = ps.iter().copied().filter(|&p| p <= SHOWN_P + 1e-9);
        let Some(p) = below.next_back().or(ps.first().copied()) else {
            continue;
        };
        let at_p: Vec<&Placed> = of_set
            .iter()
            .copied()
            .filter(|of| (of.file.mask.p() - p).abs() < 1e-9)
            .collect();
        let percent = 100.0 * p;
        type Name = fn(&Placed) -> String;
        // What is compared, which masks, at which p, what they have in common, and the name of each.
        type Group<'a> = (&'static str, &'a [&'a Placed], String, [Name; 2], Name);
        let seed: Name = |of| format!("seed {}", of.seed);
        let dataset: Name = |of| of.dataset.clone();
        let variant: Name = |of| of.variant.clone();
        let nominal: Name = |of| format!("p = {:.0} %", 100.0 * of.file.mask.p());
        let groups: [Group<'_>; 4] = [
            (
                "seeds",
                &at_p,
                format!(", p = {percent:.0} %"),
                [dataset, variant],
                seed,
            ),
            (
                "tasks",
                &at_p,
                format!(", p = {percent:.0} %"),
                [seed, variant],
                dataset,
            ),
            (
                "normalisers",
                &at_p,
                format!(", p = {percent:.0} %"),
                [seed, dataset],
                variant,
            ),
            ("p", &of_set, String::new(), [seed, variant], nominal),
        ];
        for (what, masks, p, same, label) in groups {
            // Masks of p are compared within one data set too.
            let within = |of: &Placed| match what {
                "p" => format!("{}, {}", same.map(|name| name(of)).join(", "), of.dataset),
                _ => same.map(|name| name(of)).join(", "),
            };
            let mut groups: BTreeMap<String, Vec<&Placed>> = BTreeMap::new();
            for of in masks {
                groups.entry(within(of)).or_default().push(of);
            }
            for (group, masks) in groups.iter().filter(|(_, masks)| masks.len() > 1) {
                let group = group.trim_matches([',', ' ']);
                let title = format!("between {what}: {names}{p}; {group}");
                matrices.push(matrix(title, masks, label)?);
            }
        }
    }
    Ok(matrices)
}

fn matrix(title: String, masks: &[&Placed], label: fn(&Placed) -> String) -> Result<OverlapMatrix> {
    let mut expected = Vec::new();
    let mut overlap = vec![vec![None; masks.len()]; masks.len()];
    for (i, a) in masks.iter().enumerate() {
        for (j, b) in masks.iter().enumerate() {
            // Grids of data sets of other lengths cannot be compared.
            let found = match MaskOverlap::new(&a.file.mask, &b.file.mask) {
                Ok(found) => found.total,
                Err(_) => continue,
            };
            overlap[i][j] = found.jaccard();
            expected.extend(found.expected().filter(|_| i < j));
        }
    }
    // Masks that hide different shares have no one number.
    let low = expected.iter().copied().fold(f64::INFINITY, f64::min);
    let high = expected.iter().copied().fold(0.0, f64::max);
    Ok(OverlapMatrix {
        title,
        labels: masks.iter().map(|of| label(of)).collect(),
        overlap,
        by_chance: (!expected.is_empty() && high - low < 0.01).then_some((low + high) / 2.0),
    })
}
