//! From a table of the right keys to a typed recipe; a value that the type refuses is named by its key.

use anyhow::{Result, bail};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::one_line;

/// Reads `table`, whose keys are those of `reference`.
///
/// # Errors
/// The first key with a value that the type refuses, and why.
pub(super) fn read<R: DeserializeOwned>(table: Table, reference: Table) -> Result<R> {
    let error = match table.clone().try_into() {
        Ok(recipe) => return Ok(recipe),
        Err(error) => error,
    };
    // A section that flattens others in has no places in its errors: put one value after another into
    // a recipe that is right, until it is not.
    let mut one_by_one = reference;
    for (path, value) in values(&table, &[]) {
        insert(&mut one_by_one, &path, value.clone());
        if let Err(error) = one_by_one.clone().try_into::<R>() {
            bail!("`{}`: {}", path.join("."), one_line(&error));
        }
    }
    bail!("{}", one_line(&error))
}

/// Every value that is no section, with its path.
fn values<'a>(table: &'a Table, prefix: &[&'a str]) -> Vec<(Vec<&'a str>, &'a Value)> {
    let of_key = |(key, value): (&'a String, &'a Value)| {
        let path = [prefix, &[key.as_str()]].concat();
        match value {
            Value::Table(inner) => values(inner, &path),
            _ => vec![(path, value)],
        }
    };
    table.iter().flat_map(of_key).collect()
}

fn insert(table: &mut Table, path: &[&str], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert((*key).to_owned(), value);
        }
        [section, rest @ ..] => {
            if let Some(Value::Table(inner)) = table.get_mut(*section) {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::recipe::{LmRecipe, Recipe};

    #[test]
    fn the_first_value_that_is_refused_is_named_also_in_a_flattened_section() {
        for (sets, said) in [
            (
                &["train.warmup_steps=-4"][..],
                "`train.warmup_steps` must be from 0 to 1000000000000; found -4",
            ),
            (
                &["train.schedule=straight", "train.log_every=-1"],
                "`train.log_every` must be from 1 to",
            ),
            (
                &["train.schedule=straight"],
                "`train.schedule`: unknown variant `straight`, expected one of",
            ),
            (
                &["prune.scope=heads"],
                "`prune.scope`: unknown variant `heads`",
            ),
        ] {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let error = format!("{:#}", LmRecipe::load("small/lm", &sets).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }
}
