//! Checks of settings that several configurations have.

use crate::error::ModelError;

/// [`ModelError::Config`] unless `ok`.
pub(crate) fn check(
    ok: bool,
    field: &str,
    found: &dyn std::fmt::Debug,
    expected: &str,
) -> Result<(), ModelError> {
    match ok {
        true => Ok(()),
        false => Err(ModelError::Config {
            field: field.to_owned(),
            found: format!("{found:?}"),
            expected: expected.to_owned(),
        }),
    }
}

pub(crate) fn check_size(field: &str, size: usize) -> Result<(), ModelError> {
    check(size > 0, field, &size, "at least 1")
}

/// A probability that dropout can have.
pub(crate) fn check_dropout(field: &str, dropout: f64) -> Result<(), ModelError> {
    check((0.0..1.0).contains(&dropout), field, &dropout, "in [0, 1)")
}
