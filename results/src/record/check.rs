//! What a record may say.

use super::{RunRecord, THEN, TRAINED_BY};
use crate::condition::Condition;
use crate::error::{Result, ResultsError};
use crate::metric::without_rounding;
use crate::record::Status;

/// The percentages that are possible.
const PERCENTAGES: std::ops::RangeInclusive<f64> = 0.0..=100.0;

/// Characters of an id: with what the name of its file has besides, as many as file systems take.
const LONGEST_ID: usize = 240;

/// The commit of a program that was not built from a git checkout.
const UNKNOWN: &str = "unknown";

impl RunRecord {
    /// The record, its score and percentages without rounding error beyond the bounds of their ranges.
    pub(super) fn without_rounding(&self) -> Self {
        let percentage = |p: Option<f64>| p.map(|p| without_rounding(&PERCENTAGES, p));
        let range = self.metric.range();
        Self {
            p_nominal: percentage(self.p_nominal),
            p_effective: percentage(self.p_effective),
            p_token_weighted: percentage(self.p_token_weighted),
            value: self.value.map(|value| without_rounding(&range, value)),
            ..self.clone()
        }
    }

    /// Checks what the types cannot.
    pub(super) fn validate(&self) -> Result<()> {
        let checks = [
            self.check_names(),
            self.check_condition(),
            self.check_precision(),
            self.check_numbers(),
            self.check_data(),
        ];
        let problem = checks.into_iter().find_map(std::result::Result::err);
        match problem {
            None => Ok(()),
            Some(problem) => Err(ResultsError::Invalid {
                id: self.id.clone(),
                problem,
            }),
        }
    }

    fn check_names(&self) -> std::result::Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._=+-".contains(c);
        if self.id.is_empty() || self.id.starts_with('.') || !self.id.chars().all(plain) {
            return Err(
                "an id is made of letters, digits and `._=+-` and starts with no dot".into(),
            );
        }
        if self.id.len() > LONGEST_ID {
            return Err(format!(
                "an id has at most {LONGEST_ID} characters, which a file's name can hold, and this one has {}",
                self.id.len()
            ));
        }
        let trained = self.versions.get(TRAINED_BY);
        let trained = trained.into_iter().flat_map(|of| of.split(THEN));
        match self
            .commit()
            .into_iter()
            .chain(trained)
            .find(|of| !is_commit(of))
        {
            Some(commit) => Err(format!(
                "commit is `{commit}`; give 7 to 40 hexadecimal digits, `-dirty` after them if the \
                 checkout had changes, or `{UNKNOWN}`"
            )),
            None => Ok(()),
        }
    }

    fn check_condition(&self) -> std::result::Result<(), String> {
        let (condition, p) = (self.condition, self.p_nominal);
        let fits = match condition {
            Condition::Dense => p.is_none_or(|p| p == 0.0),
            Condition::Masked(_) => p.is_some(),
            Condition::Baseline(_) => p.is_none(),
        };
        if !fits {
            return Err(format!(
                "mask `{condition}` with p_nominal {p:?}; masks need one, `none` has 0 or none, \
                 baselines have none"
            ));
        }
        let is_network = !matches!(condition, Condition::Baseline(_));
        match self.variant.as_deref() {
            Some(name) if name.is_empty() || !is_network => Err(format!(
                "mask `{condition}` with variant `{name}`; a network's variant has a name, baselines \
                 have none"
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn check_precision(&self) -> std::result::Result<(), String> {
        match (self.precision.as_deref(), self.condition) {
            (None, _) | (Some("bf16" | "f16"), Condition::Dense | Condition::Masked(_)) => Ok(()),
            (Some(precision), condition) => Err(format!(
                "mask `{condition}` with precision `{precision}`; that of a network is bf16 or f16, and left out where it \
                 is f32 or of a baseline"
            )),
        }
    }

    fn check_data(&self) -> std::result::Result<(), String> {
        let is_sha256 =
            |hash: &str| hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit());
        match self.data.iter().find(|(_, hash)| !is_sha256(hash)) {
            Some((name, hash)) => Err(format!(
                "data has `{hash}` for `{name}`; a sha256 has 64 hexadecimal digits"
            )),
            None => Ok(()),
        }
    }

    fn check_numbers(&self) -> std::result::Result<(), String> {
        for (name, percentage) in [
            ("p_nominal", self.p_nominal),
            ("p_effective", self.p_effective),
            ("p_token_weighted", self.p_token_weighted),
        ] {
            if percentage.is_some_and(|p| !PERCENTAGES.contains(&p)) {
                return Err(format!(
                    "{name} is {percentage:?}, expected 0 to 100 percent"
                ));
            }
        }
        let paper = self.paper.as_ref().map(|paper| paper.value);
        let numbers = [
            self.value,
            self.tokens_per_second,
            self.peak_gigabytes,
            paper,
        ];
        let mut numbers = (numbers.into_iter().flatten()).chain(self.observed.values().copied());
        if numbers.any(|number| !number.is_finite()) {
            return Err(
                "value, tokens_per_second, peak_gigabytes, observed and paper must be finite; leave a \
                 value out and say `diverged`"
                    .into(),
            );
        }
        let range = self.metric.range();
        match self.value {
            Some(value) if !range.contains(&value) => Err(format!(
                "value is {value:?}, but {} is {} to {}",
                self.metric.label(),
                range.start(),
                range.end()
            )),
            None if self.status == Status::Completed => {
                Err("completed without a value; score it, or give another status".into())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether `text` names a git commit, or says that it is unknown.
fn is_commit(text: &str) -> bool {
    let hash = text.strip_suffix("-dirty").unwrap_or(text);
    let is_hash = (7..=40).contains(&hash.len()) && hash.chars().all(|c| c.is_ascii_hexdigit());
    is_hash || text == UNKNOWN
}
