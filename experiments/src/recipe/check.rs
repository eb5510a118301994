//! Checks of numbers, each of which names the key that fails it.

use anyhow::{Result, ensure};

/// Each of some counts of a section must be at least 1.
pub(super) fn at_least_one(section: &str, counts: &[(&str, usize)]) -> Result<()> {
    for (key, value) in counts {
        ensure!(*value > 0, "`{section}.{key}` must be at least 1");
    }
    Ok(())
}

/// Each of some fractions of a section must be in 0..1.
pub(super) fn in_unit_interval(section: &str, fractions: &[(&str, f64)]) -> Result<()> {
    for (key, value) in fractions {
        ensure!(
            (0.0..1.0).contains(value),
            "`{section}.{key}` must be in 0..1; found {value}"
        );
    }
    Ok(())
}

/// Each of some numbers of a section must be positive and finite.
pub(super) fn positive(section: &str, numbers: &[(&str, f64)]) -> Result<()> {
    for (key, value) in numbers {
        ensure!(
            *value > 0.0 && value.is_finite(),
            "`{section}.{key}` must be positive; found {value}"
        );
    }
    Ok(())
}

/// Each of some numbers of a section must be 0 or positive, and finite.
pub(super) fn not_negative(section: &str, numbers: &[(&str, f64)]) -> Result<()> {
    for (key, value) in numbers {
        ensure!(
            *value >= 0.0 && value.is_finite(),
            "`{section}.{key}` must be 0 or more; found {value}"
        );
    }
    Ok(())
}
