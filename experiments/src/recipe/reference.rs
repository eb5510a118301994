//! The reference recipes say every word that their keys take.

use sparta_datasets::squad::SquadSet;
use toml::{Table, Value};

use super::{GlueRecipe, LmRecipe, MlmRecipe, Recipe, Source, SquadRecipe, TranslationRecipe};

/// No word of any key.
const NONE: &str = "no-such-word";

/// The section and name of every key that holds text.
fn keys(reference: &Table) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for (name, value) in reference {
        match value {
            Value::String(_) => keys.push((String::new(), name.clone())),
            Value::Table(section) => {
                let texts = section.iter().filter(|(_, value)| value.is_str());
                keys.extend(texts.map(|(key, _)| (name.clone(), key.clone())));
            }
            _ => {}
        }
    }
    keys
}

/// The reference with another word in a key, read; what is refused is said.
fn with<R: Recipe>(
    reference: &Table,
    (section, key): &(String, String),
    word: &str,
) -> Result<(), String> {
    let mut table = reference.clone();
    let at = match section.as_str() {
        "" => &mut table,
        _ => match table.get_mut(section) {
            Some(Value::Table(inner)) => inner,
            _ => panic!("no section {section}"),
        },
    };
    at.insert(key.clone(), Value::String(word.to_owned()));
    match R::parse(&table.to_string(), &[]) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// What stands beside a key: after it, in the lines below that go on with it, and in those above that are comments alone.
fn comment(text: &str, (section, key): &(String, String)) -> String {
    let mut at = String::new();
    let lines: Vec<&str> = text.lines().collect();
    let line = lines.iter().position(|line| {
        if let Some(name) = line.strip_prefix('[') {
            at = name.trim_end_matches(']').to_owned();
        }
        at == *section && line.starts_with(&format!("{key} = "))
    });
    let line = line.unwrap_or_else(|| panic!("no line of {section}.{key}"));
    let above = lines[..line]
        .iter()
        .rev()
        .take_while(|line| line.starts_with('#'));
    let below = lines[line + 1..]
        .iter()
        .take_while(|line| line.starts_with(' '));
    let own = lines[line]
        .split_once('#')
        .map_or("", |(_, comment)| comment);
    let all: Vec<&str> = above.chain(below).copied().chain([own]).collect();
    all.join("\n")
}

/// Whether a text has a word, and not only a longer one.
fn has(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_-".contains(c));
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !is_part(before.chars().next_back()) && !is_part(after.chars().next())
    })
}

fn check<R: Recipe>(more: &[(&str, &str, Vec<String>)]) -> usize {
    let text = R::SHIPPED[0].text;
    let reference: Table = text.parse().unwrap();
    let mut of_keys: Vec<((String, String), Vec<String>)> = Vec::new();
    for key in keys(&reference) {
        // What serde expects instead is every word there is; a key that takes any text refuses none.
        let Err(error) = with::<R>(&reference, &key, NONE) else {
            continue;
        };
        let expected = error.split_once("expected").map_or("", |(_, words)| words);
        let words = expected.split('`').skip(1).step_by(2).map(str::to_owned);
        // Some belong to other programs, or to other keys beside.
        let words: Vec<String> = words
            .filter(|word| with::<R>(&reference, &key, word).is_ok())
            .collect();
        of_keys.push((key, words));
    }
    for (section, key, words) in more {
        of_keys.push((((*section).to_owned(), (*key).to_owned()), words.clone()));
    }
    let mut n_words = 0;
    for ((section, key), words) in of_keys {
        let mut said = comment(text, &(section.clone(), key.clone()));
        if said.contains("as in [train]") {
            said = comment(text, &("train".to_owned(), key.clone()));
        }
        // Of one word there is no choice.
        for word in words.iter().filter(|_| words.len() > 1) {
            assert!(
                has(&said, word),
                "{}: `{section}.{key}` takes `{word}`, and its comment says: {said}",
                R::PROGRAM
            );
            n_words += 1;
        }
    }
    n_words
}

#[test]
fn every_word_of_a_key_stands_beside_it() {
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    let output = words(&["softmax", "sparsemax", "entmax15", "entmax(1.3)"]);
    let search = words(&["beam", "exact", "exact(prefixes=10000)"]);
    let sets: Vec<String> = SquadSet::ALL.iter().map(ToString::to_string).collect();
    let sets = [sets, words(&["files"])].concat();
    let tasks: Vec<String> = Source::tasks().map(|task| task.name().to_owned()).collect();
    let n_words = [
        check::<LmRecipe>(&[]),
        check::<TranslationRecipe>(&[("model", "output", output), ("eval", "search", search)]),
        check::<GlueRecipe>(&[("", "tasks", tasks)]),
        check::<SquadRecipe>(&[("data", "corpus", sets)]),
        check::<MlmRecipe>(&[]),
    ];
    // Corpora, schedules, precisions, scopes, semantics, starts and layouts at least.
    assert!(n_words.iter().all(|&n| n >= 20), "{n_words:?}");
}
