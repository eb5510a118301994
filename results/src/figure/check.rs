//! Whether the numbers of a figure belong together.

use super::source::Shares;
use crate::error::{Result, ResultsError};

/// Checks in the name of one figure.
pub(super) struct Check {
    pub(super) figure: String,
}

impl Check {
    pub(super) fn of(figure: impl Into<String>) -> Self {
        Self {
            figure: figure.into(),
        }
    }

    pub(super) fn fail(&self, problem: impl Into<String>) -> ResultsError {
        ResultsError::figure(&self.figure, problem)
    }

    /// Fails with `problem` unless `is_so`.
    pub(super) fn that(&self, is_so: bool, problem: impl FnOnce() -> String) -> Result<()> {
        match is_so {
            true => Ok(()),
            false => Err(self.fail(problem())),
        }
    }

    /// Every value is finite.
    pub(super) fn finite(&self, what: &str, values: impl IntoIterator<Item = f64>) -> Result<()> {
        self.within(what, values, f64::NEG_INFINITY, f64::INFINITY)
    }

    /// Every value is finite and between two bounds, but for rounding.
    pub(super) fn within(
        &self,
        what: &str,
        values: impl IntoIterator<Item = f64>,
        low: f64,
        high: f64,
    ) -> Result<()> {
        for value in values {
            self.that(value.is_finite(), || {
                format!("{what} holds {value}; every number must be finite")
            })?;
            self.that((low - 1e-4..=high + 1e-4).contains(&value), || {
                format!("{what} holds {value}; expected {low} to {high}")
            })?;
        }
        Ok(())
    }

    /// `[layer][head]`: at least one of each, every layer with as many heads, every value within the
    /// bounds.
    pub(super) fn heads(
        &self,
        what: &str,
        values: &[Vec<f64>],
        (low, high): (f64, f64),
    ) -> Result<()> {
        let n_heads = values.first().map_or(0, Vec::len);
        self.that(n_heads > 0, || format!("{what} has no layer or no head"))?;
        for (layer, heads) in values.iter().enumerate() {
            self.that(heads.len() == n_heads, || {
                let found = heads.len();
                format!("{what} has {n_heads} heads in layer 0 and {found} in layer {layer}")
            })?;
            self.within(what, heads.iter().copied(), low, high)?;
        }
        Ok(())
    }

    /// Whether `[layer][head]` of two measures agree.
    pub(super) fn alike(&self, what: &str, a: &[Vec<f64>], b: &[Vec<f64>]) -> Result<()> {
        let shape = |of: &[Vec<f64>]| of.iter().map(Vec::len).collect::<Vec<_>>();
        self.that(shape(a) == shape(b), || {
            format!("{what} have different layers or heads")
        })
    }

    /// Rows of the same length as there should be.
    pub(super) fn matrix<T>(
        &self,
        what: &str,
        rows: &[Vec<T>],
        n_rows: usize,
        n_columns: usize,
    ) -> Result<()> {
        let is_whole = rows.len() == n_rows && rows.iter().all(|row| row.len() == n_columns);
        self.that(is_whole && n_rows > 0 && n_columns > 0, || {
            let columns = rows.first().map_or(0, Vec::len);
            format!(
                "{what} has {} rows, the first of {columns}; expected {n_rows} of {n_columns}",
                rows.len()
            )
        })
    }

    pub(super) fn rising(&self, what: &str, values: &[f64]) -> Result<()> {
        self.finite(what, values.iter().copied())?;
        let is_rising = values.windows(2).all(|pair| pair[0] < pair[1]);
        self.that(is_rising, || format!("{what} must rise"))
    }

    pub(super) fn histogram(&self, what: &str, histogram: &Shares) -> Result<()> {
        let Shares {
            low,
            high,
            shares,
            n,
        } = histogram;
        self.finite(what, [*low, *high])?;
        self.that(low < high && !shares.is_empty(), || {
            format!("{what}: a histogram needs bins between two different bounds")
        })?;
        self.within(what, shares.iter().copied(), 0.0, 1.0)?;
        let sum: f64 = shares.iter().sum();
        self.that((sum - 1.0).abs() < 0.01 || *n == Some(0), || {
            format!("{what}: the shares of its bins sum to {sum:.3}, expected 1")
        })
    }
}
