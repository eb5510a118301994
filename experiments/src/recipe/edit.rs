//! `--set key=value`.

use anyhow::{Result, bail};
use toml::{Table, Value};

use super::renamed::Renamed;

/// The key that `key=value` names.
#[must_use]
pub fn key_of(set: &str) -> &str {
    set.split_once('=').map_or(set, |(key, _)| key).trim()
}

/// Sets one dotted key of a recipe table; the value is read as TOML, or as text if it is not.
///
/// `reference` has every key and decides what an unquoted word means: for a key that holds text,
/// `--set model.share=decoder` needs no quotes. A key may have the name that it had in earlier recipes.
///
/// # Errors
/// If there is no `=`, or the path runs through something that is not a section.
pub fn apply_set(
    table: &mut Table,
    set: &str,
    reference: &Table,
    renamed: &[Renamed],
) -> Result<()> {
    let Some((key, value)) = set.split_once('=') else {
        bail!("`--set {set}` has no `=`; write for example `--set train.lr=0.002`");
    };
    if value.contains('\n') {
        bail!(
            "`--set {}` has a line break: give each key a `--set` of its own",
            set.replace('\n', "\\n")
        );
    }
    let old = renamed.iter().find(|old| old.old_path() == key.trim());
    let key = old.map_or_else(|| key.trim().to_owned(), Renamed::path);
    let parts: Vec<&str> = key.split('.').collect();
    let (last, sections) = match parts.split_last() {
        Some((last, sections)) if !last.is_empty() => (*last, sections),
        _ => bail!("`--set {set}` names no key; write for example `--set train.lr=0.002`"),
    };
    let value = read_value(value.trim(), is_text(reference, &parts));
    let value = match old {
        Some(old) => old.today(value),
        None => value,
    };
    let mut at = table;
    for section in sections {
        let entry = at
            .entry((*section).to_owned())
            .or_insert_with(|| Value::Table(Table::new()));
        match entry {
            Value::Table(inner) => at = inner,
            other => bail!(
                "`--set {set}`: `{section}` is {} and not a section",
                super::shape::kind(other)
            ),
        }
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

fn is_text(reference: &Table, path: &[&str]) -> bool {
    let mut at = reference;
    for (i, part) in path.iter().enumerate() {
        match at.get(*part) {
            Some(Value::Table(inner)) => at = inner,
            Some(Value::String(_)) => return i + 1 == path.len(),
            _ => return false,
        }
    }
    false
}

fn read_value(text: &str, wants_text: bool) -> Value {
    let parsed = format!("v = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut t| t.remove("v"));
    match parsed {
        Some(value @ Value::String(_)) => value,
        Some(value) if !wants_text => value,
        Some(_) | None => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_numbers_lists_and_bare_words() {
        let reference: Table = "[a]\nx = 1\nname = \"n\"\nl = [1]".parse().unwrap();
        let mut table = reference.clone();
        for set in ["a.x=2", "a.name = sparsemax", "a.l=[1, 2]"] {
            apply_set(&mut table, set, &reference, &[]).unwrap();
        }
        let expected: Table = "[a]\nx = 2\nname = \"sparsemax\"\nl = [1, 2]"
            .parse()
            .unwrap();
        assert_eq!(table, expected);
    }

    #[test]
    fn a_number_for_a_text_key_stays_text() {
        let reference: Table = "name = \"n\"".parse().unwrap();
        let mut table = reference.clone();
        apply_set(&mut table, "name=7", &reference, &[]).unwrap();
        assert_eq!(table["name"], Value::String("7".into()));
    }

    #[test]
    fn says_what_is_missing() {
        let mut table = Table::new();
        let error = apply_set(&mut table, "train.lr", &Table::new(), &[]).unwrap_err();
        assert!(error.to_string().contains("has no `=`"), "{error}");
    }
}
