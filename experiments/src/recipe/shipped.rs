//! The recipes inside the program, so that it works from any folder.

use anyhow::Result;

use super::{GlueRecipe, LmRecipe, MlmRecipe, Needs, Recipe, SquadRecipe, TranslationRecipe};

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
pub(super) const LM: &[Shipped] = shipped![
    "small/lm",
    "toy/lm",
    "lm/wikitext2",
    "lm/wikitext103-base",
    "related/lm",
];

/// Translation; the first is the default and the reference for every key.
pub(super) const TRANSLATION: &[Shipped] = shipped![
    "small/iwslt",
    "toy/iwslt",
    "iwslt/multi30k",
    "iwslt/iwslt14-de-en",
    "iwslt/iwslt17-de-en",
    "wmt/wmt17-en-de",
    "wmt/wmt16-ro-en",
    "wmt/wmt14-en-de",
    "wmt/kftt-ja-en",
    "related/iwslt",
];

/// Labelled texts; the first is the default and the reference for every key.
pub(super) const GLUE: &[Shipped] = shipped![
    "small/glue",
    "toy/glue",
    "glue/minilm-l6",
    "glue/bert-base",
    "related/glue",
];

/// Answers in paragraphs; the first is the default and the reference for every key.
pub(super) const SQUAD: &[Shipped] = shipped!["small/squad", "squad/minilm-l6", "squad/bert-base"];

/// Masked language models; the first is the default and the reference for every key.
pub(super) const MLM: &[Shipped] = shipped!["small/mlm", "mlm/bert-base"];

/// The recipes of a program.
#[derive(Debug, Clone, Copy)]
pub struct ProgramRecipes {
    /// The program.
    pub program: &'static str,
    /// Its recipes.
    pub shipped: &'static [Shipped],
    /// Reads the text of one, and says what it needs.
    pub read: fn(&str) -> Result<Needs>,
}

impl ProgramRecipes {
    const fn of<R: Recipe>() -> Self {
        Self {
            program: R::PROGRAM,
            shipped: R::SHIPPED,
            read: |text| R::parse(text, &[])?.needs(),
        }
    }
}

/// The recipes of every program.
pub const ALL_SHIPPED: &[ProgramRecipes] = &[
    ProgramRecipes::of::<LmRecipe>(),
    ProgramRecipes::of::<TranslationRecipe>(),
    ProgramRecipes::of::<GlueRecipe>(),
    ProgramRecipes::of::<SquadRecipe>(),
    ProgramRecipes::of::<MlmRecipe>(),
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
    use std::path::Path;

    use super::*;

    /// The hash of every shipped recipe. A run folder and its records are entered by it: one that changes
    /// orphans every run that was made with the recipe. Change a number here only together with the numbers
    /// of the recipe itself.
    const PINNED: [(&str, &str); 25] = [
        (
            "small/lm",
            "d5e2ca3b21b0c5caca3b7feaef58bd622423cdc7cae172584363ca9b2d099e0d",
        ),
        (
            "toy/lm",
            "be472c746a047fa607a7c35745675dafcb07af781650fec22f274b3a820a0155",
        ),
        (
            "lm/wikitext2",
            "c7378154b2347f5923e105d899b0165152798608250aacf90f01c037936d9acf",
        ),
        (
            "lm/wikitext103-base",
            "4771e0e42ca3495fa1773736863210e81d4c0b19fb2cbf573435f88b4842bd6c",
        ),
        (
            "related/lm",
            "319bbc148e1650bd686dcef493228c3e7732114dc26a3b149a78eb98309936b1",
        ),
        (
            "small/iwslt",
            "8ea458d2d1d3823a3840b9ec434288eefed52d998201eb873a26ee1f79ce8eaa",
        ),
        (
            "toy/iwslt",
            "33f72a9f8bc0e2a00a5eda2f86dc4c8f46ca0dd0520f207b16fb7dfaa3a7871f",
        ),
        (
            "iwslt/multi30k",
            "b84022612c521b4bb0fdb9744c11c746a6503f122fc33187a521805b69b31d3e",
        ),
        (
            "iwslt/iwslt14-de-en",
            "b434799866ec5fc0bf8880507912884792cc7f4b6b669addb72bfd3f8f602268",
        ),
        (
            "iwslt/iwslt17-de-en",
            "38f1d908a1966ea85742f8e83633e6b12a7317ea9d16a35ff2682b17ccbdb13c",
        ),
        (
            "wmt/wmt17-en-de",
            "1f63d4fae98b5b119d1400542c08abb267fd06cbb63ee91f1bdae293ee2e4ae7",
        ),
        (
            "wmt/wmt16-ro-en",
            "e7b0253930de5b684ac0baa398f236404b5bd3d5e066c85394050eceda7a4ee1",
        ),
        (
            "wmt/wmt14-en-de",
            "b5ea204254b0f9a2158e12f7dfb3ceb4295bcc4b45f6e5f51949a77eac123174",
        ),
        (
            "wmt/kftt-ja-en",
            "cbf1234130aef4ada79501dc0fbefe94283213d036cb1501f6d1209275d4bcad",
        ),
        (
            "related/iwslt",
            "0475a9c6196cce281eeebe2c1d2fd01e7ce02d933c0a2ea8093e465e354a5b0b",
        ),
        (
            "small/glue",
            "c9742330b0094ac5ae34b4df00d11212405faa7cd55f180cbe2c1ad18ade181a",
        ),
        (
            "toy/glue",
            "26b7077bc79589fca853cb32414c3fcd0dd87aa76809ceef3b4ebf9aa38ab80e",
        ),
        (
            "glue/minilm-l6",
            "33c31f42d7b40e062868a052ac953779a94f2815336a731a234abf43f33b579e",
        ),
        (
            "glue/bert-base",
            "8420254acbda742963aaa388ee1806eeae7b6d80478daa005a5edc14b73857fc",
        ),
        (
            "related/glue",
            "cb2b83fc04918910ce6aaa0ec547fa3f4989e86f1d043013acaca094cca3d547",
        ),
        (
            "small/squad",
            "492d8ac73081fb66c8eaf3bce3ff79d2294fbab8c7e426835f9df551eedeeaa3",
        ),
        (
            "squad/minilm-l6",
            "29858cbb75a90ca3e4dc031b58c1dfbdd7ab82051f5f47294aff03995ffdc326",
        ),
        (
            "squad/bert-base",
            "6396e5625d6f80222dd30cb1e9bd7274c11d3d0bb7186d9cd893039c24f1e336",
        ),
        (
            "small/mlm",
            "9e9c10ba556d25f8f5e31e875d108fd0f602954f7c86b8aa2ff24853eb6c555a",
        ),
        (
            "mlm/bert-base",
            "94e3631608e1cb103d3cf7b544d190831e8d4da44eb645a5084936d5192bf2c2",
        ),
    ];

    fn hashes<R: Recipe>() -> Vec<(&'static str, String)> {
        let load = |s: &Shipped| (s.name, R::load(s.name, &[]).expect(s.name).hash());
        R::SHIPPED.iter().map(load).collect()
    }

    #[test]
    fn every_shipped_recipe_keeps_its_hash() {
        let all = [
            hashes::<LmRecipe>(),
            hashes::<TranslationRecipe>(),
            hashes::<GlueRecipe>(),
            hashes::<SquadRecipe>(),
            hashes::<MlmRecipe>(),
        ]
        .concat();
        let shipped: usize = ALL_SHIPPED.iter().map(|of| of.shipped.len()).sum();
        assert_eq!(all.len(), shipped);
        let pinned = PINNED.map(|(name, hash)| (name, hash.to_owned()));
        assert_eq!(all, pinned);
    }

    /// Edited keys too: what `--set` makes is as much the name of a run as what ships.
    #[test]
    fn an_edited_recipe_keeps_its_hash() {
        fn hash<R: Recipe>(sets: &[&str]) -> String {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            R::load(R::SHIPPED[0].name, &sets).unwrap().hash()
        }
        assert_eq!(
            [
                hash::<LmRecipe>(&[
                    "train.warmup_steps=100",
                    "train.lr=0.5",
                    "retrain.mode=scratch"
                ]),
                hash::<TranslationRecipe>(&[
                    "train.clip=0",
                    "train.steps=10",
                    "model.share=decoder"
                ]),
                hash::<GlueRecipe>(&["train.clip=0", "retrain.start=dense"]),
                hash::<SquadRecipe>(&["train.epsilon=1e-6", "train.warmup=0.5"]),
            ],
            [
                "41e18442499c6c40c8fef74d357a363a0ffe9ae558544638b0ea02aa4ea2c8c4",
                "5020a22ab2e02565d81a8ad3eaeb8578221cb2a477ca639bf1fad8e752613cbd",
                "35200a066f7358835883ab27d903f26743c6b889dd4e986086d5fa8d8ecceb0b",
                "77bb775014e4b79d9f7744a79745e6d94f334dfc9bd59122bc0642805e53de58",
            ]
        );
    }

    /// What a record of a published run says of its recipe is still read, and still the recipe of that run.
    #[test]
    fn the_recipe_of_every_published_run_reads_back_to_its_hash() {
        let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/published");
        let mut n_runs = 0;
        for table in std::fs::read_dir(published).unwrap() {
            let Ok(records) = std::fs::read_dir(table.unwrap().path().join("records")) else {
                continue;
            };
            n_runs += 1;
            for record in records {
                let path = record.unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                let record: serde_json::Value = serde_json::from_str(&text).unwrap();
                let hash = match record["recipe"].as_str().unwrap() {
                    text if text.contains("[head]") => GlueRecipe::parse(text, &[]).unwrap().hash(),
                    text if text.contains("[cost]") => {
                        SquadRecipe::parse(text, &[]).unwrap().hash()
                    }
                    text if text.contains("tgt_len") => LmRecipe::parse(text, &[]).unwrap().hash(),
                    text => TranslationRecipe::parse(text, &[]).unwrap().hash(),
                };
                assert_eq!(record["recipe_hash"], hash, "{}", path.display());
            }
        }
        assert!(n_runs >= 10, "{n_runs} published tables");
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
