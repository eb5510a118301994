//! Logs of training: a JSON object a line, numbers by step.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::io::read_text;

/// The lines of a log by step; a step that is there twice, as after a validation, has the fields of both.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    lines: BTreeMap<u64, Map<String, Value>>,
}

impl Log {
    /// Reads a log; one that is not there is empty.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is no object with a step.
    pub(super) fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = read_text(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut log = Self::default();
        let n_lines = text.lines().count();
        for (line, number) in text.lines().zip(1..) {
            let read = serde_json::from_str::<Map<String, Value>>(line).ok();
            let read = read.and_then(|line| Some((line.get("step")?.as_u64()?, line)));
            match read {
                Some((step, line)) => log.lines.entry(step).or_default().extend(line),
                // A run that is at work, or was killed, has written half of its last line.
                None if number == n_lines && !text.ends_with('\n') => {}
                None => anyhow::bail!("line {number} of {} is damaged: {line}", path.display()),
            }
        }
        Ok(log)
    }

    /// The values of a field by step; one that is no finite number, as of a training that diverged, is NaN.
    pub(super) fn numbers(&self, field: &str) -> Vec<(f64, f64)> {
        let of = |(step, line): (&u64, &Map<String, Value>)| {
            let value = line.get(field)?.as_f64().unwrap_or(f64::NAN);
            Some((*step as f64, value))
        };
        self.lines.iter().filter_map(of).collect()
    }

    /// The lists of a field by step.
    pub(super) fn lists(&self, field: &str) -> BTreeMap<u64, Vec<f64>> {
        let of = |(step, line): (&u64, &Map<String, Value>)| {
            let values = line.get(field)?.as_array()?;
            let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
            Some((*step, values.iter().map(number).collect()))
        };
        self.lines.iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_step_are_one_and_half_a_last_line_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        assert!(Log::read(&path).unwrap().numbers("a").is_empty());
        let text = "{\"step\":0,\"alpha/cross/0\":[1.5,1.25]}\n{\"step\":5,\"a\":1.5}\n{\"step\":5,\"b\":\"NaN\"}\n{\"step\":9,\"a";
        std::fs::write(&path, text).unwrap();
        let log = Log::read(&path).unwrap();
        assert_eq!(log.numbers("a"), [(5.0, 1.5)]);
        assert!(log.numbers("b")[0].1.is_nan());
        assert_eq!(log.lists("alpha/cross/0")[&0], [1.5, 1.25]);
        std::fs::write(&path, "no\n").unwrap();
        let error = Log::read(&path).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }
}
