//! Checks of settings that several configurations have.

use crate::error::ModelError;
use crate::layer::NormalizerConfig;

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

/// A share that dropout can drop.
pub(crate) fn check_share(field: &str, share: f64) -> Result<(), ModelError> {
    check((0.0..1.0).contains(&share), field, &share, "in [0, 1)")
}

pub(crate) fn check_normalizer(
    field: &str,
    normalizer: &NormalizerConfig,
) -> Result<(), ModelError> {
    match *normalizer {
        NormalizerConfig::Softmax | NormalizerConfig::Sparsemax | NormalizerConfig::Entmax15 => {
            Ok(())
        }
        NormalizerConfig::Entmax { alpha } => check(
            alpha >= 1.0,
            &format!("{field}.alpha"),
            &alpha,
            "at least 1",
        ),
        NormalizerConfig::AlphaEntmax { alpha_min: None } => Ok(()),
        NormalizerConfig::AlphaEntmax {
            alpha_min: Some(min),
        } => {
            let ok = (1.0..=2.0).contains(&min);
            check(ok, &format!("{field}.alpha_min"), &min, "in [1, 2]")
        }
    }
}
