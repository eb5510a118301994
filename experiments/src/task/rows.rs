//! The rows of the table: which masks are trained under.

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
    /// As many cells as [`Row::Ap`] of the same p, drawn at random.
    Random {
        /// Nominal share in per cent.
        p: u32,
        /// Number of the mask, from 1.
        number: u32,
    },
}

impl Row {
    /// All rows for some nominal shares: for each p the AP mask, then its random masks.
    #[must_use]
    pub fn all(p: &[u32], random_masks: &[u32]) -> Vec<Self> {
        p.iter()
            .zip(random_masks)
            .flat_map(|(&p, &n)| {
                let first = if p == 0 { Self::Dense } else { Self::Ap { p } };
                std::iter::once(first).chain((1..=n).map(move |number| Self::Random { p, number }))
            })
            .collect()
    }

    /// Nominal share in per cent.
    #[must_use]
    pub fn p(&self) -> u32 {
        match self {
            Self::Dense => 0,
            Self::Ap { p } | Self::Random { p, .. } => *p,
        }
    }

    /// Name in files and messages: `p0`, `ap-p80`, `random-p80-m2`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Dense => "p0".to_owned(),
            Self::Ap { p } => format!("ap-p{p}"),
            Self::Random { p, number } => format!("random-p{p}-m{number}"),
        }
    }

    /// Seed of the random mask, its own for each seed of the run.
    #[must_use]
    pub fn mask_seed(&self, seed: u64) -> Option<u64> {
        match self {
            Self::Dense | Self::Ap { .. } => None,
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
        let rows = Row::all(&prune.p, &prune.random_masks);
        let names: Vec<String> = rows.iter().map(Row::name).collect();
        assert_eq!(names[0], "p0");
        assert_eq!(names.iter().filter(|n| n.starts_with("ap-")).count(), 5);
        for p in [80, 90] {
            let start = format!("random-p{p}-");
            assert_eq!(names.iter().filter(|n| n.starts_with(&start)).count(), 3);
        }
    }
}
