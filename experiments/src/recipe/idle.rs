//! What would change a run's name and nothing else: refused where a person types it for new runs. Those that are there are gone on with as they are.

use anyhow::{Result, bail};
use sparta_results::paper::{self, PaperTable};

use super::edit::key_of;
use super::nearest;

/// Whether a key is among what was typed.
pub(super) fn is_set(sets: &[String], key: &str) -> bool {
    sets.iter().any(|set| key_of(set) == key)
}

/// That a name is that of a published table with a row, or none.
///
/// # Errors
/// Another name, with the tables that have such a row.
pub(super) fn check_table(key: &str, name: &str, row: &str) -> Result<()> {
    let known = |(_, table): &(&String, &PaperTable)| table.rows.contains_key(row);
    let known = paper::tables().iter().filter(known);
    check_name(
        (key, "table"),
        name,
        known.map(|(name, _)| name.as_str()).collect(),
    )
}

/// That a name is that of a row of a published table.
///
/// # Errors
/// Another name, with the rows of the table.
pub(super) fn check_row(key: &str, name: &str, table: &str) -> Result<()> {
    match paper::tables().get(table) {
        None => Ok(()),
        Some(table) => check_name(
            (key, "row"),
            name,
            table.rows.keys().map(String::as_str).collect(),
        ),
    }
}

fn check_name((key, what): (&str, &str), name: &str, known: Vec<&str>) -> Result<()> {
    let is_none = what == "table" && name.is_empty();
    if is_none || known.contains(&name) {
        return Ok(());
    }
    let hint = nearest(name, known.iter().copied());
    let hint = hint.map(|known| format!("; did you mean `{known}`?"));
    bail!(
        "`{key} = \"{name}\"` is no published {what} that stands beside these scores: use {}{}{}",
        known.join(", "),
        match what {
            "table" => ", or \"\" for none",
            _ => "",
        },
        hint.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use crate::recipe::{GlueRecipe, LmRecipe, Recipe, SquadRecipe, TranslationRecipe};

    fn load<R: Recipe>(sets: &[&str]) -> anyhow::Result<R> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let name = R::SHIPPED[0].name;
        let recipe = R::load(name, &sets)?;
        recipe.check_new(name, &sets)?;
        Ok(recipe)
    }

    fn refused<R: Recipe>(sets: &[&str], words: &[&str]) {
        let error = match load::<R>(sets) {
            Ok(_) => panic!("{sets:?} is accepted"),
            Err(error) => format!("{error:#}"),
        };
        for word in words {
            assert!(error.contains(word), "{sets:?}: {error}");
        }
    }

    #[test]
    fn a_published_table_or_row_that_there_is_not_is_refused() {
        refused::<LmRecipe>(
            &["paper.table=wikitext103_txl"],
            &[
                "`paper.table = \"wikitext103_txl\"`",
                "did you mean `wikitext103_txl_base`?",
            ],
        );
        // It is there, and is of other scores.
        refused::<LmRecipe>(
            &["paper.table=glue_bert_base"],
            &["use wikitext103_txl_base, or"],
        );
        refused::<LmRecipe>(
            &["paper.row=transformer-xl"],
            &[
                "`paper.row = \"transformer-xl\"` is no published row",
                "`transformer-xl-base`?",
            ],
        );
        refused::<LmRecipe>(
            &["paper.table=", "paper.row=transformer-xl-base"],
            &["`paper.row`", "`paper.table`"],
        );
        load::<LmRecipe>(&["paper.table="]).unwrap();
        refused::<GlueRecipe>(
            &["paper.table=glue"],
            &["use glue_bert_base, or \"\" for none"],
        );
        load::<GlueRecipe>(&["paper.table=glue_bert_base"]).unwrap();
        for (key, other, known) in [
            (
                "normalizers",
                "iwslt14_de_en_by_type",
                "ast_bleu_wmt16_ro_en",
            ),
            ("by_type", "ast_bleu_wmt16_ro_en", "iwslt14_de_en_by_type"),
            ("self_only", "iwslt14", "self_attention_only_wmt17_en_de"),
        ] {
            let key = format!("paper.{key}");
            refused::<TranslationRecipe>(
                &[&format!("{key}={other}")],
                &[&format!("`{key} = \"{other}\"`"), known],
            );
            load::<TranslationRecipe>(&[&format!("{key}={known}")]).unwrap();
            load::<TranslationRecipe>(&[&format!("{key}=")]).unwrap();
        }
    }

    /// A file that is named is typed too, and what a run folder has is not.
    #[test]
    fn the_recipe_of_a_run_folder_is_read_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipe.toml");
        let text = LmRecipe::SHIPPED[0]
            .text
            .replace("wikitext103_txl_base", "mine");
        std::fs::write(&path, text).unwrap();
        LmRecipe::open(&path, &["seeds=[7]".to_owned()]).unwrap();
        let named = path.to_str().unwrap();
        let error = LmRecipe::load(named, &[])
            .unwrap()
            .check_new(named, &[])
            .unwrap_err();
        assert!(
            format!("{error:#}").contains("`paper.table = \"mine\"`"),
            "{error:#}"
        );
    }

    #[test]
    fn epochs_that_steps_overrule_are_refused() {
        refused::<GlueRecipe>(
            &["train.epochs=3"],
            &["`train.steps = 600`", "`--set train.steps=0`"],
        );
        refused::<SquadRecipe>(&["train.epochs=3", "train.steps=9"], &["`train.steps = 9`"]);
        let both = load::<GlueRecipe>(&["train.epochs=3", "train.steps=0"]).unwrap();
        assert_eq!(both.train.steps_for(160), 30);
        load::<SquadRecipe>(&["train.epochs=3"]).unwrap();
    }

    #[test]
    fn what_is_kept_needs_something_to_choose_from() {
        for keep in ["best_loss", "best_bleu"] {
            let set = format!("train.keep={keep}");
            refused::<TranslationRecipe>(
                &[&set],
                &[
                    &format!("`train.keep = \"{keep}\"`"),
                    "`--set train.valid_every=N`",
                    "`--set train.keep=last`",
                ],
            );
            load::<TranslationRecipe>(&[&set, "train.valid_every=50"]).unwrap();
        }
        for set in ["train.average=3", "train.average_every=50"] {
            refused::<TranslationRecipe>(
                &[set],
                &[set, "`train.keep = \"last\"`", "`--set train.keep=average`"],
            );
            load::<TranslationRecipe>(&[set, "train.keep=average"]).unwrap();
        }
        // A recipe of a file is read, and a run says what it amounts to.
        let text = TranslationRecipe::SHIPPED[0].text;
        let text = text.replace("keep = \"last\"", "keep = \"best_loss\"");
        let recipe = TranslationRecipe::parse(&text, &[]).unwrap();
        assert!(
            recipe
                .train
                .chooses_nothing()
                .unwrap()
                .contains("the last ones are kept")
        );
    }
}
