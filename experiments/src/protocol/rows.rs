//! The models of a table: variants, each trained dense, and rows, each trained again under a mask.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use sparta_model::layer::{Abilities, MechanismConfig, MechanismsByType};
use sparta_ops::pruning::{self, AttentionPattern, AttentionType, GlobalMask, Scope, Semantics};
use sparta_results::{Condition, MaskFamily, Weighing};

use super::folder::{ArmFolder, ModelFolder, RunFolder};
use super::task::Task;
use crate::recipe::{Masks, Recipe, RetrainStart};
use crate::train::short;

/// Attention types that are pruned together; the others stay whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// Name in files; empty where a network has only one type.
    pub name: &'static str,
    /// The types.
    pub types: Vec<AttentionType>,
}

impl Pruned {
    /// The only type of attention that a network has.
    #[must_use]
    pub fn only(kind: AttentionType) -> Self {
        Self {
            name: "",
            types: vec![kind],
        }
    }
}

/// What masks take: they are made of weights, and hide single cells.
const PRUNING: Abilities = Abilities {
    weights: true,
    global_mask: true,
    ..Abilities::NONE
};

/// What one dense model of a seed stands for: how attention weights come from scores, and where a table has
/// several data sets, for which of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Name in folders; empty where a seed has one dense model.
    pub folder: String,
    /// The mechanism of each type of attention that its network has.
    pub mechanisms: MechanismsByType,
    /// Whether the table holds other mechanisms too, so that lines must say which.
    pub is_one_of_several: bool,
    /// Place of the data set among those of the recipe.
    pub dataset: usize,
    /// What is pruned, each set in rows of its own; empty = dense only.
    pub pruned: Vec<Pruned>,
}

impl Variant {
    /// One variant a mechanism, in folders of their names where there are several. Attention that has no weights, or that no
    /// mask can prune, stays whole: where that is all of it, or the mechanism is not to be pruned, there is a dense model
    /// alone.
    #[must_use]
    pub fn each(
        mechanisms: &[MechanismConfig],
        (dataset, folder): (usize, &str),
        (pruned, is_pruned): (&[Pruned], impl Fn(MechanismConfig) -> bool),
    ) -> Vec<Self> {
        let several = mechanisms.len() > 1;
        let variant = |&mechanism: &MechanismConfig| {
            let mechanisms = mechanism.into();
            let pruned = if is_pruned(mechanism) { pruned } else { &[] };
            Self {
                folder: match (several, folder) {
                    (false, folder) => folder.to_owned(),
                    (true, "") => folder_name(mechanisms),
                    (true, folder) => format!("{folder}/{}", folder_name(mechanisms)),
                },
                mechanisms,
                is_one_of_several: several,
                dataset,
                pruned: prunable(mechanisms, pruned),
            }
        };
        mechanisms.iter().map(variant).collect()
    }

    /// The mechanism of a type of attention.
    #[must_use]
    pub const fn mechanism(&self, kind: AttentionType) -> MechanismConfig {
        self.mechanisms.of(kind)
    }

    /// What keeps all of its attention from being pruned, in words.
    #[must_use]
    pub(crate) fn is_dense_alone(&self) -> Option<String> {
        let reasons = AttentionType::ALL.map(|kind| is_whole(self.mechanism(kind)));
        match reasons {
            [Some(first), Some(_), Some(_)] => Some(first),
            _ => None,
        }
    }

    /// What keeps all of its attention from being looked at, in words.
    #[must_use]
    pub(crate) fn has_no_weights(&self) -> Option<String> {
        const LOOKED_AT: Abilities = Abilities {
            weights: true,
            ..Abilities::NONE
        };
        let reasons = AttentionType::ALL.map(|kind| {
            let mechanism = self.mechanism(kind);
            let lacks = mechanism.abilities().lacks(LOOKED_AT)?;
            Some(format!("{mechanism} cannot {lacks}"))
        });
        match reasons {
            [Some(first), Some(_), Some(_)] => Some(first),
            _ => None,
        }
    }

    /// That there is attention to look at.
    ///
    /// # Errors
    /// What its mechanism cannot do.
    pub(crate) fn check_weights(&self) -> Result<()> {
        match self.has_no_weights() {
            None => Ok(()),
            Some(reason) => bail!(
                "there is nothing to look at: {reason}; give the model of another row ({} is of {})",
                self.words(),
                self.mechanisms
            ),
        }
    }

    /// What keeps attention from being pruned that should be, in words.
    fn is_not_prunable(&self) -> Option<String> {
        let types = self.pruned.iter().flat_map(|set| &set.types);
        types
            .copied()
            .find_map(|kind| is_whole(self.mechanism(kind)))
    }

    /// The p that a model of it stands at. A dense model is p = 0 where nothing else is: where the models of other rows
    /// are not trained further from it, or there are none.
    #[must_use]
    pub(crate) fn p_of(&self, row: Option<&Row>, start: RetrainStart) -> Option<f64> {
        match (row, start) {
            (Some(row), _) => Some(f64::from(row.p)),
            (None, RetrainStart::Pretrained) => Some(0.0),
            (None, RetrainStart::Dense | RetrainStart::Scratch) => {
                self.pruned.is_empty().then_some(0.0)
            }
        }
    }

    /// Whether published values can stand beside it: where there are several mechanisms, they are softmax's.
    #[must_use]
    pub fn has_published(&self) -> bool {
        !self.is_one_of_several || self.mechanisms == MechanismsByType::SOFTMAX
    }

    /// The mechanism where lines must say which.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        self.is_one_of_several.then(|| self.mechanisms.to_string())
    }

    /// Name in messages.
    #[must_use]
    pub fn words(&self) -> String {
        match self.folder.as_str() {
            "" => self.mechanisms.to_string(),
            folder => folder.to_owned(),
        }
    }
}

/// That masks are asked for only where a mechanism can be pruned.
///
/// # Errors
/// A mechanism that is pruned and cannot be, or masks of which no mechanism can have any.
pub(crate) fn check_masks(variants: &[Variant], masks: &Masks) -> Result<()> {
    let asked: Vec<u32> = masks.p.iter().copied().filter(|&p| p > 0).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let none_can = variants.iter().all(|of| of.is_dense_alone().is_some());
    let refused = match none_can {
        true => variants.first().and_then(Variant::is_dense_alone),
        false => variants.iter().find_map(Variant::is_not_prunable),
    };
    if let Some(cannot) = refused {
        bail!(
            "`prune.p` asks for masks that hide {asked:?} per cent, but {cannot}: set `prune.p = [0]` and \
             `prune.random_masks = [0]`, or name a mechanism that can in `model.normalizers`"
        );
    }
    Ok(())
}

/// Longest name of mechanisms: the names of records are longer by a table, a seed and a row, and file systems have 255 bytes.
const LONGEST: usize = 100;

/// The words of mechanisms without what shells and file systems mind: `entmax-1.3`, `decoder-rfa-m-32_cross-rfa-m-32`; of
/// very many the beginning and a hash.
pub(crate) fn folder_name(mechanisms: MechanismsByType) -> String {
    let words = mechanisms.to_string();
    let name = words
        .replace(')', "")
        .replace(['(', '=', ','], "-")
        .replace(' ', "_");
    match name.len() <= LONGEST {
        true => name,
        false => {
            let hash = sparta_datasets::source::sha256(words.as_bytes());
            format!("{}-{}", &name[..LONGEST - 9], short(&hash))
        }
    }
}

/// What keeps a mechanism from being pruned, in words.
pub(crate) fn is_whole(mechanism: MechanismConfig) -> Option<String> {
    let lacks = mechanism.abilities().lacks(PRUNING)?;
    Some(format!("{mechanism} cannot {lacks}"))
}

/// The sets of types that masks can prune with these mechanisms.
pub(crate) fn prunable(mechanisms: MechanismsByType, pruned: &[Pruned]) -> Vec<Pruned> {
    let can = |set: &&Pruned| {
        set.types
            .iter()
            .all(|&kind| is_whole(mechanisms.of(kind)).is_none())
    };
    pruned.iter().filter(can).cloned().collect()
}

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

    #[test]
    fn variants_have_folders_of_their_own_where_there_are_several() {
        let [softmax, sparsemax, entmax] =
            ["softmax", "sparsemax", "entmax(1.3)"].map(|words| words.parse().unwrap());
        let folders = |normalizers: &[MechanismConfig], folder| -> Vec<String> {
            let variants = Variant::each(normalizers, (0, folder), (&[], |_| true));
            variants.into_iter().map(|variant| variant.folder).collect()
        };
        assert_eq!(folders(&[softmax], ""), [""]);
        assert_eq!(folders(&[softmax], "rte"), ["rte"]);
        assert_eq!(folders(&[softmax, sparsemax], ""), ["softmax", "sparsemax"]);
        assert_eq!(
            folders(&[softmax, entmax], "rte"),
            ["rte/softmax", "rte/entmax-1.3"]
        );
        let favor = "favor(m=16,redraw=0)".parse().unwrap();
        assert_eq!(
            folders(&[softmax, favor], ""),
            ["softmax", "favor-m-16-redraw-0"]
        );
        let by_type = |words: &str| folder_name(words.parse().unwrap());
        assert_eq!(
            by_type("decoder=rfa(m=32) cross=rfa(m=32)"),
            "decoder-rfa-m-32_cross-rfa-m-32"
        );
        assert_eq!(by_type("encoder=entmax15"), "encoder-entmax15");
        // Names of records must not be longer than file systems take.
        let long = |seed: u64| {
            let of = format!("random(keep=0.25,seed={seed},first=visible)");
            let words = format!("encoder=softmax+{of} decoder=softmax+{of} cross=entmax15");
            let name = by_type(&words);
            assert_eq!(name.len(), LONGEST, "{name}");
            name
        };
        assert_ne!(long(1), long(2));
    }

    #[test]
    fn a_mechanism_without_weights_has_its_dense_model_alone() {
        let [softmax, favor] = ["softmax", "favor(m=16)"].map(|words| words.parse().unwrap());
        let pruned = [Pruned::only(AttentionType::DecoderSelf)];
        let variants = |of: &[MechanismConfig]| Variant::each(of, (0, ""), (&pruned, |_| true));
        let masks = |p: &[u32]| Masks {
            p: p.to_vec(),
            random_masks: vec![0; p.len()],
            block_sizes: Vec::new(),
            weigh: Weigh::default(),
        };
        let both = variants(&[softmax, favor]);
        assert_eq!(both[0].pruned, pruned);
        assert!(both[1].pruned.is_empty());
        assert!(Row::all(&both[1].pruned, &masks(&[0, 40])).is_empty());
        assert!(check_masks(&both, &masks(&[0, 40])).is_ok());
        let alone = variants(&[favor]);
        assert!(check_masks(&alone, &masks(&[0])).is_ok());
        let error = check_masks(&alone, &masks(&[0, 40]))
            .unwrap_err()
            .to_string();
        for word in [
            "favor(m=16) cannot return its weights",
            "[40]",
            "prune.p = [0]",
        ] {
            assert!(error.contains(word), "{error}");
        }
        // A task that prunes it all the same is refused too.
        let mut forced = both;
        forced[1].pruned = pruned.to_vec();
        let error = check_masks(&forced, &masks(&[0, 40]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("favor(m=16)"), "{error}");
    }
}
