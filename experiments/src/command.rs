//! Commands that are written down, read as a shell reads them.

use anyhow::Result;

use crate::recipe::Recipe;

/// The words of a line, without its comment; none where a quotation mark is left open.
#[must_use]
pub(crate) fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) =
        (Vec::new(), None, None);
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#') if word.is_none() => break,
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    quote.is_none().then_some(words)
}

/// The recipe that the words of a command name, with what they set of it.
///
/// # Errors
/// Those of [`Recipe::load`].
pub(crate) fn recipe_of<R: Recipe>(words: &[String]) -> Result<R> {
    let after = |flag: &str| -> Vec<String> {
        let pairs = words.windows(2).filter(|pair| pair[0] == flag);
        pairs.map(|pair| pair[1].clone()).collect()
    };
    let shipped = || R::SHIPPED[0].name.to_owned();
    let recipe = after("--recipe").pop().unwrap_or_else(shipped);
    let mut sets = after("--set");
    if let Some(tasks) = after("--tasks").pop() {
        sets.push(format!("tasks={:?}", tasks.split(',').collect::<Vec<_>>()));
    }
    if let Some(seeds) = after("--seeds").pop() {
        sets.push(format!("seeds=[{seeds}]"));
    }
    R::load(&recipe, &sets)
}
