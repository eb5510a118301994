//! The rows of a table, each a model trained again under a mask, and where the models of a variant are.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use sparta_ops::pruning::{self, AttentionPattern, AttentionType, GlobalMask, Scope, Semantics};
use sparta_results::{Condition, MaskFamily, Weighing};

use super::folder::{ArmFolder, ModelFolder, RunFolder};
use super::task::Task;
use super::variant::{Pruned, Variant};
use crate::recipe::{Masks, Recipe, RetrainStart};

/// A variant of one seed, and its folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// What is trained.
    pub variant: Variant,
    /// Where.
    pub folder: ArmFolder,
}

impl Arm {
    /// The variant of a seed in a run folder.
    #[must_use]
    pub fn of<R: Recipe>(run: &RunFolder, recipe: &R, seed: u64, variant: Variant) -> Self {
        let folder = run.arm(recipe, seed, &variant.folder);
        Self { variant, folder }
    }

    /// The model of a row; none is the dense one.
    #[must_use]
    pub fn model(&self, row: Option<&Row>) -> ModelFolder {
        row.map_or_else(|| self.folder.dense(), |row| self.folder.row(&row.name()))
    }

    /// The mask that a model is under, if it has one.
    #[must_use]
    pub fn mask(&self, row: Option<&Row>) -> Option<PathBuf> {
        let row = row.filter(|row| row.mask.is_some())?;
        Some(self.folder.mask(&row.name()))
    }

    /// The mask that a model is under; none where it has none.
    ///
    /// # Errors
    /// As [`Row::load_mask`].
    pub fn load_mask(&self, row: Option<&Row>) -> Result<Option<GlobalMask>> {
        let row = row.filter(|row| row.mask.is_some());
        row.map(|row| row.load_mask(&self.folder)).transpose()
    }
}

/// Every model of a recipe with its arm, in the order in which they are trained; the dense model of an arm has no row.
///
/// # Errors
/// Those of [`Task::variants`].
pub(crate) fn all_models<T: Task>(
    recipe: &T::Recipe,
    folder: &RunFolder,
) -> Result<Vec<(Arm, Option<Row>)>> {
    let mut models = Vec::new();
    for &seed in recipe.seeds() {
        for variant in T::variants(recipe)? {
            let arm = Arm::of(folder, recipe, seed, variant);
            let rows = Row::all(&arm.variant.pruned, recipe.masks()).into_iter();
            let start = recipe.retrain_start();
            let again = rows.filter(|row| row.is_trained_again(start)).map(Some);
            let rows: Vec<Option<Row>> = std::iter::once(None).chain(again).collect();
            models.extend(rows.into_iter().map(|row| (arm.clone(), row)));
        }
    }
    Ok(models)
}

/// One model trained again: which attention is pruned, and by which mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What is pruned; at p = 0, where nothing is, the first of what others prune.
    pub pruned: Pruned,
    /// Nominal fraction in per cent.
    pub p: u32,
    /// How the hidden cells are chosen; none at p = 0: the same steps without a mask.
    pub mask: Option<MaskFamily>,
    /// Number of a random mask, from 1.
    pub number: Option<u32>,
}

impl Row {
    /// All rows of a variant: p = 0 once, then for each set of types, by cells and by uses, and each p the AP mask, its
    /// random masks, and those of blocks.
    #[must_use]
    pub fn all(pruned: &[Pruned], masks: &Masks) -> Vec<Self> {
        let mut rows = Vec::new();
        for (i, pruned) in pruned.iter().enumerate() {
            for (at, of) in masks.weighings().into_iter().enumerate() {
                for (&p, &n_random) in masks.p.iter().zip(&masks.random_masks) {
                    let mut add = |mask: Option<MaskFamily>, number| {
                        rows.push(Self {
                            pruned: pruned.clone(),
                            p,
                            mask: mask.map(|family| family.weighed(of)),
                            number,
                        });
                    };
                    if p == 0 {
                        if (i, at) == (0, 0) {
                            add(None, None);
                        }
                        continue;
                    }
                    add(Some(MaskFamily::AP), None);
                    for number in 1..=n_random {
                        add(Some(MaskFamily::RANDOM), Some(number));
                    }
                    for &size in &masks.block_sizes {
                        add(Some(MaskFamily::blocks(size as u64)), None);
                    }
                }
            }
        }
        rows
    }

    /// Name in files and messages: `p0`, `ap-p80`, `encoder-self-blocks64-p80`, `random-p80-m2`, `ap-uses-p80`.
    #[must_use]
    pub fn name(&self) -> String {
        let p = self.p;
        let Some(family) = self.mask else {
            return "p0".to_owned();
        };
        let p = match family.weighing() {
            Weighing::Cells => format!("p{p}"),
            Weighing::Uses => format!("uses-p{p}"),
        };
        let mask = match family {
            MaskFamily::Ap { .. } => format!("ap-{p}"),
            MaskFamily::ApBlocks { block_size, .. } => format!("blocks{block_size}-{p}"),
            MaskFamily::Random { .. } => format!("random-{p}-m{}", self.number.unwrap_or(1)),
        };
        match self.pruned.name {
            "" => mask,
            types => format!("{types}-{mask}"),
        }
    }

    /// Whether the row has a model of its own. Fine-tuning again from the same pretrained weights without a mask would
    /// give the dense model again: that is p = 0.
    #[must_use]
    pub fn is_trained_again(&self, start: RetrainStart) -> bool {
        match start {
            RetrainStart::Pretrained => self.mask.is_some(),
            RetrainStart::Dense | RetrainStart::Scratch => true,
        }
    }

    /// Its mask, of the models of a folder.
    ///
    /// # Errors
    /// One that is missing or damaged, of another model, or of another row.
    pub fn load_mask(&self, of: &ArmFolder) -> Result<GlobalMask> {
        let mask = GlobalMask::load(of.mask(&self.name()))?;
        self.check_mask(&mask, of)?;
        Ok(mask)
    }

    /// That a mask that was read is its own.
    ///
    /// # Errors
    /// One of another model, or of another row.
    pub(crate) fn check_mask(&self, mask: &GlobalMask, of: &ArmFolder) -> Result<()> {
        let path = of.mask(&self.name());
        let again = "put back the one that belongs there, or delete it and make it again with the subcommand `prune`";
        ensure!(
            mask.model() == of.model_name(),
            "{} was made from another model: {again}",
            path.display()
        );
        let types: BTreeSet<AttentionType> = mask.layers().map(|(kind, _)| kind).collect();
        let wanted: BTreeSet<AttentionType> = self.pruned.types.iter().copied().collect();
        let p = (100.0 * mask.p()).round();
        let of = self.mask.map(|family| in_ops(family.weighing()));
        ensure!(
            types == wanted && p == f64::from(self.p) && of == Some(mask.weighing()),
            "{} is the mask of another row, which hides {p} % of the {} of {}: {again}",
            path.display(),
            mask.weighing(),
            types
                .iter()
                .map(AttentionType::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        );
        Ok(())
    }

    /// Seed of the random mask, its own for each seed of the run.
    #[must_use]
    pub fn mask_seed(&self, seed: u64) -> Option<u64> {
        self.number
            .map(|number| seed.wrapping_mul(1000).wrapping_add(u64::from(number)))
    }

    /// What the mask is in records.
    #[must_use]
    pub fn condition(&self, seed: u64) -> Condition {
        match self.mask {
            None => Condition::Dense,
            Some(family) => Condition::masked(family, self.mask_seed(seed)),
        }
    }

    /// Whether published values can stand beside ours: published masks are of cells, each counted once.
    #[must_use]
    pub fn has_published(&self) -> bool {
        match self.mask {
            None => true,
            Some(MaskFamily::Ap { of, .. } | MaskFamily::Random { of, .. }) => {
                of == Weighing::Cells
            }
            Some(MaskFamily::ApBlocks { .. }) => false,
        }
    }

    /// The mask of the row, none at p = 0; `pattern` is of the pruned types, and `ap` the AP mask of the same types,
    /// weighing and p, which comes first.
    ///
    /// # Errors
    /// A pattern that cannot be thresholded so.
    pub(crate) fn make_mask(
        &self,
        pattern: &AttentionPattern,
        ap: Option<&GlobalMask>,
        (scope, semantics): (Scope, Semantics),
        seed: u64,
    ) -> Result<Option<GlobalMask>> {
        let p = f64::from(self.p) / 100.0;
        let Some(family) = self.mask else {
            return Ok(None);
        };
        Ok(Some(match family {
            MaskFamily::Ap { of, .. } => match of {
                Weighing::Cells => GlobalMask::from_pattern(pattern, p, scope, semantics)?,
                Weighing::Uses => GlobalMask::from_pattern_by_uses(pattern, p, scope)?,
            },
            MaskFamily::ApBlocks { block_size, of, .. } => {
                let make = match of {
                    Weighing::Cells => GlobalMask::from_pattern_in_blocks,
                    Weighing::Uses => GlobalMask::from_pattern_in_blocks_by_uses,
                };
                make(pattern, p, scope, block_size as usize)?
            }
            MaskFamily::Random { of, .. } => {
                let ap = ap.with_context(|| format!("{} has no AP mask before it", self.name()))?;
                let seed = self.mask_seed(seed).unwrap_or(seed);
                match of {
                    Weighing::Cells => GlobalMask::random_like(ap, seed),
                    Weighing::Uses => GlobalMask::random_like_by_uses(ap, pattern, seed)?,
                }
            }
        }))
    }
}

/// The same as masks say it.
const fn in_ops(of: Weighing) -> pruning::Weighing {
    match of {
        Weighing::Cells => pruning::Weighing::Cells,
        Weighing::Uses => pruning::Weighing::Uses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Weigh;

    fn names(
        pruned: &[Pruned],
        (p, random_masks): (&[u32], &[u32]),
        block_sizes: &[usize],
    ) -> Vec<String> {
        let masks = Masks {
            p: p.to_vec(),
            random_masks: random_masks.to_vec(),
            block_sizes: block_sizes.to_vec(),
            weigh: Weigh::default(),
        };
        Row::all(pruned, &masks).iter().map(Row::name).collect()
    }

    #[test]
    fn masks_by_uses_come_after_those_by_cells_or_stand_alone() {
        let only = [Pruned::only(AttentionType::DecoderSelf)];
        let names = |weigh: &[pruning::Weighing]| -> Vec<String> {
            let masks = Masks {
                p: vec![0, 40, 80],
                random_masks: vec![0, 0, 1],
                block_sizes: vec![16],
                weigh: Weigh(weigh.to_vec()),
            };
            Row::all(&only, &masks).iter().map(Row::name).collect()
        };
        let cells = [
            "ap-p40",
            "blocks16-p40",
            "ap-p80",
            "random-p80-m1",
            "blocks16-p80",
        ];
        let uses = [
            "ap-uses-p40",
            "blocks16-uses-p40",
            "ap-uses-p80",
            "random-uses-p80-m1",
            "blocks16-uses-p80",
        ];
        let (by_cells, by_uses) = (pruning::Weighing::Cells, pruning::Weighing::Uses);
        assert_eq!(names(&[by_cells]), [&["p0"][..], &cells].concat());
        assert_eq!(names(&[by_uses]), [&["p0"][..], &uses].concat());
        let both = [&["p0"][..], &cells, &uses].concat();
        assert_eq!(names(&[by_cells, by_uses]), both);
    }

    #[test]
    fn masks_of_blocks_come_after_those_of_cells_wherever_something_is_hidden() {
        let only = [Pruned::only(AttentionType::DecoderSelf)];
        let names = names(&only, (&[0, 80], &[0, 1]), &[16, 64]);
        let expected = [
            "p0",
            "ap-p80",
            "random-p80-m1",
            "blocks16-p80",
            "blocks64-p80",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn each_set_of_types_has_its_masks_and_all_have_one_control() {
        let set = |name, kind| Pruned {
            name,
            types: vec![kind],
        };
        let sets = [
            set("encoder-self", AttentionType::EncoderSelf),
            set("cross", AttentionType::Cross),
        ];
        let names = names(&sets, (&[0, 40], &[0, 0]), &[16]);
        let expected = [
            "p0",
            "encoder-self-ap-p40",
            "encoder-self-blocks16-p40",
            "cross-ap-p40",
            "cross-blocks16-p40",
        ];
        assert_eq!(names, expected);
    }
}
