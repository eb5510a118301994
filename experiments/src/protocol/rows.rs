//! The rows of the table: which masks are trained under.

use crate::recipe::Masks;

/// One model trained again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// p = 0: the same extra steps without a mask.
    Dense,
    /// The mask of the smallest mean attention.
    Ap {
        /// Nominal share in per cent.
        p: u32,
    },
    /// The mask of the blocks of smallest mean attention.
    Blocks {
        /// Nominal share in per cent.
        p: u32,
        /// Edge of a block in cells.
        size: usize,
    },
    /// As many cells as [`Row::Ap`] of the same p, drawn at random.
    Random {
        /// Nominal share in per cent.
        p: u32,
        /// Number of the mask, from 1.
        number: u32,
    },
}

impl Row {
    /// All rows of a table: for each p the AP mask, its random masks, then the masks of blocks.
    #[must_use]
    pub fn all(masks: &Masks) -> Vec<Self> {
        let block_sizes = masks.block_sizes.as_slice();
        masks
            .p
            .iter()
            .zip(&masks.random_masks)
            .flat_map(|(&p, &n)| {
                let first = if p == 0 { Self::Dense } else { Self::Ap { p } };
                let random = (1..=n).map(move |number| Self::Random { p, number });
                let sizes = if p == 0 { &[] } else { block_sizes };
                let blocks = sizes.iter().map(move |&size| Self::Blocks { p, size });
                std::iter::once(first).chain(random).chain(blocks)
            })
            .collect()
    }

    /// Nominal share in per cent.
    #[must_use]
    pub fn p(&self) -> u32 {
        match self {
            Self::Dense => 0,
            Self::Ap { p } | Self::Blocks { p, .. } | Self::Random { p, .. } => *p,
        }
    }

    /// Name in files and messages: `p0`, `ap-p80`, `blocks64-p80`, `random-p80-m2`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Dense => "p0".to_owned(),
            Self::Ap { p } => format!("ap-p{p}"),
            Self::Blocks { p, size } => format!("blocks{size}-p{p}"),
            Self::Random { p, number } => format!("random-p{p}-m{number}"),
        }
    }

    /// Edge of the mask's blocks.
    #[must_use]
    pub fn block_size(&self) -> Option<u64> {
        match self {
            Self::Dense | Self::Ap { .. } | Self::Random { .. } => None,
            Self::Blocks { size, .. } => Some(*size as u64),
        }
    }

    /// Seed of the random mask, its own for each seed of the run.
    #[must_use]
    pub fn mask_seed(&self, seed: u64) -> Option<u64> {
        match self {
            Self::Dense | Self::Ap { .. } | Self::Blocks { .. } => None,
            Self::Random { number, .. } => {
                Some(seed.wrapping_mul(1000).wrapping_add(u64::from(*number)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{LmRecipe, Recipe};

    #[test]
    fn the_small_table_has_six_p_and_three_random_masks_where_it_matters() {
        let prune = LmRecipe::load("small/lm", &[]).unwrap().prune;
        let rows = Row::all(&prune.masks);
        let names: Vec<String> = rows.iter().map(Row::name).collect();
        assert_eq!(names[0], "p0");
        assert_eq!(names.iter().filter(|n| n.starts_with("ap-")).count(), 5);
        for p in [80, 90] {
            let start = format!("random-p{p}-");
            assert_eq!(names.iter().filter(|n| n.starts_with(&start)).count(), 3);
        }
    }

    #[test]
    fn masks_of_blocks_come_after_those_of_cells_wherever_something_is_hidden() {
        let rows = Row::all(&Masks {
            p: vec![0, 80],
            random_masks: vec![0, 1],
            block_sizes: vec![16, 64],
        });
        let names: Vec<String> = rows.iter().map(Row::name).collect();
        let expected = [
            "p0",
            "ap-p80",
            "random-p80-m1",
            "blocks16-p80",
            "blocks64-p80",
        ];
        assert_eq!(names, expected);
        let sizes: Vec<_> = rows.iter().filter_map(Row::block_size).collect();
        assert_eq!(sizes, [16, 64]);
    }
}
