//! Which line a score stands in.

use std::collections::BTreeMap;

use super::key::Key;
use super::published;
use super::{MeanScore, PivotLayout, PivotLine, SQUAD_KERNELS};
use crate::condition::Condition;
use crate::render::aggregate::{Group, Percent};
use crate::render::expected::Expected;

/// What the cells of a line share; lines stand in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct LineKey {
    /// Place of the kernel among [`SQUAD_KERNELS`].
    kernel: usize,
    row: String,
    /// Baselines come after the networks.
    is_baseline: bool,
    /// Place of the variant among those of the expected runs.
    variant_place: usize,
    variant: Option<String>,
    /// Dense checkpoints come after what has a p.
    has_no_p: bool,
    condition: Condition,
    p: Option<Percent>,
}

/// The lines under construction.
struct Lines<'a> {
    layout: PivotLayout,
    keys: &'a [Key],
    expected: &'a [Expected],
    lines: BTreeMap<LineKey, PivotLine>,
}

/// The lines of a table with a column for each of `keys`: those of the runs, of the runs that it
/// waits for (each with its mark), and those that keep their place beside published numbers.
pub(super) fn lines(
    layout: PivotLayout,
    keys: &[Key],
    groups: &[(String, Group)],
    waiting: &[(&Expected, usize)],
    expected: &[Expected],
) -> Vec<PivotLine> {
    let mut lines = Lines {
        layout,
        keys,
        expected,
        lines: BTreeMap::new(),
    };
    for (label, group) in groups {
        lines.add_group(label, group);
    }
    for &(run, mark) in waiting {
        lines.add_mark(run, mark);
    }
    let has_variants = groups.iter().any(|(_, group)| group.key.variant.is_some());
    for (row, condition, p) in published::places(layout) {
        let variant = has_variants.then(|| published::VARIANT.to_owned());
        lines.line(row, variant.as_ref(), condition, Some(p));
    }
    lines.lines.into_values().collect()
}

impl Lines<'_> {
    fn add_group(&mut self, label: &str, group: &Group) {
        let column = Key::of(self.layout, label, group)
            .and_then(|key| self.keys.iter().position(|other| *other == key));
        let Some(at) = column else {
            return;
        };
        let key = &group.key;
        let line = self.line(label, key.variant.as_ref(), key.condition, key.p);
        line.ours[at] = Some(MeanScore {
            mean: group.mean,
            sd: group.sd,
            n: group.n,
            runs: group.by_seed(),
        });
        for (range, found) in [
            (&mut line.p_effective, group.p_effective),
            (&mut line.p_token_weighted, group.p_token_weighted),
        ] {
            if let Some(p) = found {
                let (least, most) = range.unwrap_or((p, p));
                *range = Some((least.min(p), most.max(p)));
            }
        }
    }

    fn add_mark(&mut self, run: &Expected, mark: usize) {
        let p = run.p.map(Percent::new);
        let condition = match p {
            Some(Percent::ZERO) => Condition::Dense,
            Some(_) | None => run.condition.without_seed(),
        };
        let (layout, keys) = (self.layout, self.keys);
        let line = self.line(&run.row, run.variant.as_ref(), condition, p);
        for (cell, key) in line.missing.iter_mut().zip(keys) {
            let waits = match layout {
                PivotLayout::Glue => key.row == run.row,
                PivotLayout::Squad | PivotLayout::OwnSquad => true,
            };
            if waits && !cell.contains(&mark) {
                cell.push(mark);
            }
        }
    }

    /// The line of a kernel, variant, condition and p, made if it is not there.
    fn line(
        &mut self,
        label: &str,
        variant: Option<&String>,
        condition: Condition,
        p: Option<Percent>,
    ) -> &mut PivotLine {
        let row = match self.layout {
            PivotLayout::Glue => String::new(),
            PivotLayout::Squad | PivotLayout::OwnSquad => label.to_owned(),
        };
        let name = row.split_once('@').map_or(row.as_str(), |(name, _)| name);
        let kernel = SQUAD_KERNELS.iter().position(|kernel| *kernel == name);
        let mut variants = self.expected.iter().map(|run| run.variant.as_ref());
        let variant_place = variants.position(|of| of == variant);
        let key = LineKey {
            kernel: kernel.unwrap_or(SQUAD_KERNELS.len()),
            row: row.clone(),
            is_baseline: matches!(condition, Condition::Baseline(_)),
            variant_place: variant_place.unwrap_or(self.expected.len()),
            variant: variant.cloned(),
            has_no_p: p.is_none(),
            condition,
            p,
        };
        let n = self.keys.len();
        self.lines.entry(key).or_insert_with(|| PivotLine {
            row,
            variant: variant.cloned(),
            condition,
            p,
            p_effective: None,
            p_token_weighted: None,
            ours: vec![None; n],
            paper: vec![None; n],
            missing: vec![Vec::new(); n],
        })
    }
}
