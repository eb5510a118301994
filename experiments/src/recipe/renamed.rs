//! Keys that had another name in earlier recipes: read by both names, hashed by the earlier one, so that a run
//! keeps its folder and its records.

use anyhow::{Result, bail};
use toml::{Table, Value};

/// A key with words for values, and what both were called before.
#[derive(Debug, Clone, Copy)]
pub struct Renamed {
    /// The section.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// What it was called.
    pub old_key: &'static str,
    /// Its words beside what they were called.
    pub words: &'static [(&'static str, &'static str)],
}

impl Renamed {
    /// Gives the key of a table, where it has the old one, the name of today.
    ///
    /// # Errors
    /// A table that has both.
    pub(super) fn read(&self, table: &mut Table) -> Result<()> {
        let Some(Value::Table(inner)) = table.get_mut(self.section) else {
            return Ok(());
        };
        let Some(value) = inner.remove(self.old_key) else {
            return Ok(());
        };
        if inner.contains_key(self.key) {
            bail!(
                "`{}` is the old name of `{}`: leave one of them out",
                self.old_path(),
                self.path()
            );
        }
        inner.insert(self.key.to_owned(), self.todays_word(value));
        Ok(())
    }

    /// The whole name of today.
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// The whole old name.
    pub(super) fn old_path(&self) -> String {
        format!("{}.{}", self.section, self.old_key)
    }

    /// A value in the words of today.
    pub(super) fn todays_word(&self, value: Value) -> Value {
        let of_today =
            |(word, old): &(&str, &str)| (value.as_str() == Some(*old)).then(|| Value::from(*word));
        self.words.iter().find_map(of_today).unwrap_or(value)
    }

    /// A resolved recipe as it was written before the key got its name.
    pub(super) fn write_as_before(&self, text: &str) -> String {
        let mut here = false;
        let mut lines = String::with_capacity(text.len());
        for line in text.lines() {
            if let Some(section) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                here = section == self.section;
            }
            let before = |(word, old): &(&str, &str)| {
                let (key, old_key) = (self.key, self.old_key);
                (here && line == format!("{key} = \"{word}\""))
                    .then(|| format!("{old_key} = \"{old}\""))
            };
            match self.words.iter().find_map(before) {
                Some(before) => lines.push_str(&before),
                None => lines.push_str(line),
            }
            lines.push('\n');
        }
        lines
    }
}

/// Where training again starts, as language models and translation called it.
pub(super) const RETRAIN_MODE: Renamed = Renamed {
    section: "retrain",
    key: "start",
    old_key: "mode",
    words: &[("dense", "finetune"), ("scratch", "scratch")],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{LmRecipe, Recipe};

    #[test]
    fn a_text_is_hashed_as_before_and_reads_back() {
        let today = "start = \"dense\"\n\n[retrain]\nstart = \"dense\"\nsteps = 3\n";
        let before = RETRAIN_MODE.write_as_before(today);
        assert_eq!(
            before,
            "start = \"dense\"\n\n[retrain]\nmode = \"finetune\"\nsteps = 3\n"
        );
        let mut table: Table = before.parse().unwrap();
        RETRAIN_MODE.read(&mut table).unwrap();
        assert_eq!(table, today.parse().unwrap());
    }

    #[test]
    fn both_names_are_one_key() {
        let hash = |set: &str| {
            LmRecipe::load("small/lm", &[set.to_owned()])
                .unwrap()
                .hash()
        };
        assert_eq!(hash("retrain.mode=scratch"), hash("retrain.start=scratch"));
        assert_eq!(hash("retrain.mode=finetune"), hash("retrain.start=dense"));
        assert_ne!(hash("retrain.start=scratch"), hash("retrain.start=dense"));
        let text = LmRecipe::SHIPPED[0]
            .text
            .replace("[retrain]", "[retrain]\nmode = \"scratch\"");
        let error = LmRecipe::parse(&text, &[]).unwrap_err().to_string();
        assert!(error.contains("old name of `retrain.start`"), "{error}");
    }
}
