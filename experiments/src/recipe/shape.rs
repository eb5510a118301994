//! Comparison of a recipe with the reference: unknown, missing and mistyped keys by full path.

use anyhow::{Result, bail};
use toml::{Table, Value};

use super::nearest;
use super::sections::{ADD_RUNS, DRAWN, IN_EVERY, LATER};

/// Checks that `table` has exactly the keys of `reference`, each with a value of its type (an
/// integer may stand for a float); those that only add runs, choose what is drawn, or came later
/// may be missing.
///
/// `name` is the reference's name among the shipped recipes.
///
/// # Errors
/// The first key that does not fit, with its dotted path; an unknown one with the nearest known.
pub fn check_shape(table: &Table, reference: &Table, name: &str) -> Result<()> {
    let known = Known {
        keys: keys(reference, ""),
        name,
    };
    walk(table, reference, "", &known)
}

fn may_be_missing(path: &str) -> bool {
    [&ADD_RUNS[..], &DRAWN, &LATER].concat().contains(&path)
}

/// The keys of the reference recipe.
struct Known<'a> {
    keys: Vec<String>,
    name: &'a str,
}

fn walk(table: &Table, reference: &Table, prefix: &str, known: &Known<'_>) -> Result<()> {
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        let Some(expected) = reference.get(key) else {
            if IN_EVERY.contains(&path.as_str()) {
                continue;
            }
            let hint = suggest(&path, known);
            bail!("unknown key `{path}`{hint}");
        };
        match (value, expected) {
            (Value::Table(inner), Value::Table(inner_reference)) => {
                walk(inner, inner_reference, &format!("{path}."), known)?;
            }
            _ => same_kind(&path, value, expected)?,
        }
    }
    for (key, expected) in reference {
        let path = format!("{prefix}{key}");
        if !table.contains_key(key) && !may_be_missing(&path) {
            bail!(
                "missing {} `{path}`; every number of a recipe is explicit, e.g. `{path} = {}`",
                if expected.is_table() {
                    "section"
                } else {
                    "key"
                },
                if expected.is_table() {
                    "…".to_owned()
                } else {
                    expected.to_string()
                },
            );
        }
    }
    Ok(())
}

fn same_kind(path: &str, value: &Value, expected: &Value) -> Result<()> {
    let fits = match (value, expected) {
        (Value::Integer(_), Value::Float(_)) => true,
        (Value::Array(items), Value::Array(reference)) => {
            if let Some(first) = reference.first() {
                for (i, item) in items.iter().enumerate() {
                    same_kind(&format!("{path}[{i}]"), item, first)?;
                }
            }
            true
        }
        _ => kind(value) == kind(expected),
    };
    if !fits {
        bail!(
            "`{path}` must be {}, e.g. {expected}; found {} {value}",
            kind(expected),
            kind(value)
        );
    }
    Ok(())
}

/// A word for the type of a TOML value, with its article.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section",
    }
}

fn keys(table: &Table, prefix: &str) -> Vec<String> {
    table
        .iter()
        .flat_map(|(key, value)| {
            let path = format!("{prefix}{key}");
            match value {
                Value::Table(inner) => keys(inner, &format!("{path}.")),
                _ => vec![path],
            }
        })
        .collect()
}

/// The nearest key, compared inside the same section first, then by its last word anywhere; else what the section has.
fn suggest(path: &str, known: &Known<'_>) -> String {
    let Known { keys: known, name } = known;
    let section = path.rfind('.').map_or("", |i| &path[..=i]);
    let within = || {
        known.iter().map(String::as_str).filter(|k| {
            k.strip_prefix(section)
                .is_some_and(|rest| !rest.contains('.'))
        })
    };
    let last = |k: &str| k.rsplit('.').next().unwrap_or_default().to_owned();
    let word = last(path);
    let best = nearest_by(&word, within(), &last)
        .or_else(|| nearest_by(&word, known.iter().map(String::as_str), &last));
    if let Some(key) = best {
        return format!("; did you mean `{key}`?");
    }
    let siblings: Vec<String> = within().map(|key| format!("`{}`", last(key))).collect();
    if !section.is_empty() && !siblings.is_empty() {
        let section = section.trim_end_matches('.');
        return format!("; `[{section}]` has {}", siblings.join(", "));
    }
    match nearest(path, known.iter().map(String::as_str)) {
        Some(key) => format!("; did you mean `{key}`?"),
        None => format!("; recipes/{name}.toml lists every key"),
    }
}

fn nearest_by<'a>(
    word: &str,
    known: impl Iterator<Item = &'a str>,
    last: &impl Fn(&str) -> String,
) -> Option<String> {
    known
        .map(|k| (strsim::jaro_winkler(word, &last(k)), k))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::recipe::{LmRecipe, Recipe};

    fn error(sets: &[&str]) -> String {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        format!(
            "{:#}",
            LmRecipe::parse(LmRecipe::SHIPPED[0].text, &sets).unwrap_err()
        )
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest() {
        let e = error(&["train.warmup=3"]);
        assert!(
            e.contains("unknown key `train.warmup`; did you mean `train.warmup_steps`?"),
            "{e}"
        );
        let e = error(&["learning_rate=3"]);
        assert!(e.contains("unknown key `learning_rate`"), "{e}");
        let e = error(&["model.lr=3"]);
        assert!(
            e.contains("`train.lr`") || e.contains("`retrain.lr`"),
            "{e}"
        );
    }

    #[test]
    fn a_key_of_another_program_is_unknown() {
        for (key, value) in [
            ("prune.others", "[\"cross\"]"),
            ("eval.search", "exact"),
            ("eval.null_threshold", "1"),
        ] {
            let e = error(&[&format!("{key}={value}")]);
            assert!(e.contains(&format!("unknown key `{key}`")), "{e}");
        }
        let lm = LmRecipe::SHIPPED[0].text;
        for later in ["layout=mechanism", "prune.weigh=uses"] {
            LmRecipe::parse(lm, &[later.to_owned()]).unwrap();
        }
    }

    #[test]
    fn a_key_near_to_none_is_answered_with_its_section() {
        let e = error(&["prune.kinds=[1]"]);
        assert!(
            e.contains("unknown key `prune.kinds`; `[prune]` has")
                && e.contains("`random_masks`")
                && !e.contains("`lr`"),
            "{e}"
        );
    }

    #[test]
    fn a_wrong_type_is_named_with_its_path() {
        let e = error(&["train.steps=many"]);
        assert!(
            e.contains("`train.steps` must be an integer") && e.contains("many"),
            "{e}"
        );
        let e = error(&["prune.p=[0, 0.5]"]);
        assert!(e.contains("`prune.p[1]` must be an integer"), "{e}");
        let e = error(&["model.normalizer=entmax2"]);
        assert!(
            e.contains("model.normalizer") && e.contains("sparsemax"),
            "{e}"
        );
        let e = error(&["train.steps=-4"]);
        assert!(e.contains("train.steps"), "{e}");
    }

    #[test]
    fn a_missing_key_is_named() {
        let text = LmRecipe::SHIPPED[0].text.replace("clip = 0.25", "");
        let e = format!("{:#}", LmRecipe::parse(&text, &[]).unwrap_err());
        assert!(e.contains("missing key `train.clip`"), "{e}");
        let text = LmRecipe::SHIPPED[0].text.replace("block_sizes = []", "");
        assert!(
            LmRecipe::parse(&text, &[])
                .unwrap()
                .prune
                .masks
                .block_sizes
                .is_empty()
        );
    }
}
