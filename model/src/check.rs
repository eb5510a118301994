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

/// The most features, projected keys, landmarks or places of a chunk that a mechanism may ask for: far above what pays,
/// and below what a machine cannot hold.
pub(crate) const MOST: usize = 1 << 16;

/// A number that memory or time grows with.
pub(crate) fn check_up_to(field: &str, size: usize, most: usize) -> Result<(), ModelError> {
    let expected = format!("at least 1 and at most {most}");
    check((1..=most).contains(&size), field, &size, &expected)
}

/// A probability that dropout can have.
pub(crate) fn check_dropout(field: &str, dropout: f64) -> Result<(), ModelError> {
    check((0.0..1.0).contains(&dropout), field, &dropout, "in [0, 1)")
}
