//! The recipes inside the program, so that it works from any folder.

/// A recipe shipped with the program.
#[derive(Debug, Clone, Copy)]
pub struct Shipped {
    /// Name for `--recipe`: its path under `experiments/recipes` without the extension.
    pub name: &'static str,
    /// The TOML text.
    pub text: &'static str,
}

/// All shipped recipes; the first is the default and the reference for every key.
pub const SHIPPED: &[Shipped] = &[
    Shipped {
        name: "small/lm",
        text: include_str!("../../recipes/small/lm.toml"),
    },
    Shipped {
        name: "lm/wikitext2",
        text: include_str!("../../recipes/lm/wikitext2.toml"),
    },
    Shipped {
        name: "lm/wikitext103-base",
        text: include_str!("../../recipes/lm/wikitext103-base.toml"),
    },
];

/// Finds a shipped recipe by its full name, or by the last part of it (`wikitext2`).
#[must_use]
pub fn find_shipped(name: &str) -> Option<Shipped> {
    let name = name.strip_suffix(".toml").unwrap_or(name);
    SHIPPED
        .iter()
        .find(|s| s.name == name || s.name.rsplit('/').next() == Some(name))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;

    #[test]
    fn every_shipped_recipe_is_valid_and_has_its_own_hash() {
        let mut hashes = Vec::new();
        for shipped in SHIPPED {
            let recipe = Recipe::load(shipped.name, &[]).expect(shipped.name);
            hashes.push(recipe.hash());
        }
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), SHIPPED.len());
    }

    #[test]
    fn a_short_name_finds_the_recipe() {
        assert_eq!(
            find_shipped("wikitext103-base").map(|s| s.name),
            Some("lm/wikitext103-base")
        );
        assert!(find_shipped("wikitext").is_none());
    }
}
