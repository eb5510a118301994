//! What each dense model of a seed stands for, and what of it masks can prune.

use anyhow::{Result, bail};
use sparta_model::layer::{Abilities, MechanismConfig, MechanismsByType};
use sparta_ops::pruning::AttentionType;

use super::rows::Row;
use crate::recipe::{Masks, RetrainStart};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Weigh;

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
