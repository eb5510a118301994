//! Keys that had another name in earlier recipes: read by both names, hashed by the earlier one, so that a run
//! keeps its folder and its records.

use anyhow::{Result, bail};
use toml::{Table, Value};

/// A key, and how it was written before.
#[derive(Debug, Clone, Copy)]
pub struct Renamed {
    /// The section.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// What it was called.
    pub old_key: &'static str,
    /// What its values were.
    pub values: OldValues,
}

/// What the values of a renamed key were.
#[derive(Debug, Clone, Copy)]
pub enum OldValues {
    /// Other words: those of today beside those of then.
    Words(&'static [(&'static str, &'static str)]),
    /// One word, where a list is today.
    One,
}

/// Where training again starts, as language models and translation called it.
pub(super) const RETRAIN_MODE: Renamed = Renamed {
    section: "retrain",
    key: "start",
    old_key: "mode",
    values: OldValues::Words(&[("dense", "finetune"), ("scratch", "scratch")]),
};

/// The row normaliser, when language models and encoders had one.
pub(super) const NORMALIZER: Renamed = Renamed {
    section: "model",
    key: "normalizers",
    old_key: "normalizer",
    values: OldValues::One,
};

impl OldValues {
    /// A value of then as it is today; others stay, for the type to refuse them.
    fn today(self, old: Value) -> Value {
        match (self, &old) {
            (Self::Words(words), Value::String(old_word)) => words
                .iter()
                .find(|(_, then)| then == old_word)
                .map_or_else(|| old.clone(), |(today, _)| Value::from(*today)),
            (Self::One, Value::String(_)) => Value::Array(vec![old]),
            _ => old,
        }
    }

    /// A value of today as it was then, if there was such.
    fn then(self, today: &Value) -> Option<Value> {
        match (self, today) {
            (Self::Words(words), Value::String(word)) => words
                .iter()
                .find(|(today, _)| today == word)
                .map(|(_, then)| Value::from(*then)),
            (Self::One, Value::Array(list)) => match list.as_slice() {
                [one] => Some(one.clone()),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Renamed {
    /// The whole name.
    pub(crate) fn path(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// The whole old name.
    pub(crate) fn old_path(&self) -> String {
        format!("{}.{}", self.section, self.old_key)
    }

    /// A value of then as it is today.
    pub(super) fn today(&self, old: Value) -> Value {
        self.values.today(old)
    }

    /// Gives the key of a table, where it has the old one, the name of today.
    ///
    /// # Errors
    /// A table that has both.
    pub(super) fn read(&self, table: &mut Table) -> Result<()> {
        let Some(Value::Table(inner)) = table.get_mut(self.section) else {
            return Ok(());
        };
        let Some(old) = inner.remove(self.old_key) else {
            return Ok(());
        };
        if inner.contains_key(self.key) {
            bail!(
                "`{}` is the old name of `{}`: leave one of them out",
                self.old_path(),
                self.path()
            );
        }
        inner.insert(self.key.to_owned(), self.today(old));
        Ok(())
    }

    /// A resolved recipe as it was written before, where it could be.
    pub(super) fn write_as_before(&self, text: &str) -> String {
        let mut here = false;
        let mut lines = String::with_capacity(text.len());
        for line in text.lines() {
            if let Some(section) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                here = section == self.section;
            }
            let old = match here {
                true => self.line_before(line),
                false => None,
            };
            lines.push_str(old.as_deref().unwrap_or(line));
            lines.push('\n');
        }
        lines
    }

    fn line_before(&self, line: &str) -> Option<String> {
        let today = line.parse::<Table>().ok()?.remove(self.key)?;
        let then = self.values.then(&today)?;
        Some(format!("{} = {then}", self.old_key))
    }
}

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
    fn a_list_of_one_is_hashed_as_the_one_and_several_as_they_are() {
        let before = |text: &str| NORMALIZER.write_as_before(text);
        assert_eq!(
            before("[model]\nnormalizers = [\"softmax\"]\n"),
            "[model]\nnormalizer = \"softmax\"\n"
        );
        let several = "[model]\nnormalizers = [\"softmax\", \"sparsemax\"]\n";
        assert_eq!(before(several), several);
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
        let one = hash("model.normalizers=[\"sparsemax\"]");
        assert_eq!(hash("model.normalizer=sparsemax"), one);
        let text = LmRecipe::SHIPPED[0]
            .text
            .replace("[retrain]", "[retrain]\nmode = \"scratch\"");
        let error = LmRecipe::parse(&text, &[]).unwrap_err().to_string();
        assert!(error.contains("old name of `retrain.start`"), "{error}");
    }
}
