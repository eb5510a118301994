//! The recipes inside the program, so that it works from any folder.

/// A recipe shipped with the program.
#[derive(Debug, Clone, Copy)]
pub struct Shipped {
    /// Name for `--recipe`: its path under `experiments/recipes` without the extension.
    pub name: &'static str,
    /// The TOML text.
    pub text: &'static str,
}

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        &[$(Shipped {
            name: $name,
            text: include_str!(concat!("../../recipes/", $name, ".toml")),
        }),+]
    };
}

/// Language models; the first is the default and the reference for every key.
pub(super) const LM: &[Shipped] = shipped!["small/lm", "lm/wikitext2", "lm/wikitext103-base"];

/// Translation; the first is the default and the reference for every key.
pub(super) const TRANSLATION: &[Shipped] = shipped![
    "small/iwslt",
    "iwslt/multi30k",
    "iwslt/iwslt14-de-en",
    "iwslt/iwslt17-de-en",
    "wmt/wmt17-en-de",
    "wmt/wmt16-ro-en",
    "wmt/wmt14-en-de",
    "wmt/kftt-ja-en",
];

/// Labelled texts; the first is the default and the reference for every key.
pub(super) const GLUE: &[Shipped] = shipped!["small/glue", "glue/minilm-l6", "glue/bert-base"];

/// Answers in paragraphs; the first is the default and the reference for every key.
pub(super) const SQUAD: &[Shipped] = shipped!["small/squad", "squad/minilm-l6", "squad/bert-base"];

/// The recipes of every program.
pub const ALL_SHIPPED: &[(&str, &[Shipped])] = &[
    ("lm", LM),
    ("iwslt", TRANSLATION),
    ("glue", GLUE),
    ("squad", SQUAD),
];

/// Finds a recipe of a list by its full name, or by the last part of it (`wikitext2`).
#[must_use]
pub fn find_shipped(list: &[Shipped], name: &str) -> Option<Shipped> {
    let name = name.strip_suffix(".toml").unwrap_or(name);
    list.iter()
        .find(|s| s.name == name || s.name.rsplit('/').next() == Some(name))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{GlueRecipe, LmRecipe, Recipe, SquadRecipe, TranslationRecipe};

    fn hashes<R: Recipe>() -> Vec<String> {
        let load = |s: &Shipped| R::load(s.name, &[]).expect(s.name).hash();
        R::SHIPPED.iter().map(load).collect()
    }

    #[test]
    fn every_shipped_recipe_is_valid_and_has_its_own_hash() {
        let mut all = [
            hashes::<LmRecipe>(),
            hashes::<TranslationRecipe>(),
            hashes::<GlueRecipe>(),
            hashes::<SquadRecipe>(),
        ]
        .concat();
        let n = all.len();
        let shipped: usize = ALL_SHIPPED.iter().map(|(_, list)| list.len()).sum();
        assert_eq!(n, shipped);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), n);
    }

    /// A published run is entered by its hash; a change here would orphan it.
    #[test]
    fn the_hash_of_the_published_small_table_stays() {
        assert!(hashes::<LmRecipe>()[0].starts_with("19aa4da2"));
    }

    #[test]
    fn a_short_name_finds_the_recipe() {
        assert_eq!(
            find_shipped(LM, "wikitext103-base").map(|s| s.name),
            Some("lm/wikitext103-base")
        );
        assert!(find_shipped(LM, "wikitext").is_none());
        assert!(find_shipped(LM, "multi30k").is_none());
    }
}
