//! Learning curves.

use serde::{Deserialize, Serialize};

/// Learning curves of one or several runs: loss, perplexity or BLEU, learning rate, gradient norm,
/// tokens per second, a panel each. File: `curves`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curves {
    /// What stands on the x axis, such as `training step`.
    pub x: String,
    /// The panels.
    pub panels: Vec<CurvePanel>,
}

/// One measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvePanel {
    /// What is measured, with its unit: `perplexity, valid`, `training speed (tokens/s)`.
    pub measure: String,
    /// Whether the y axis is logarithmic; then every value is above 0.
    pub log: bool,
    /// A line for each run.
    pub lines: Vec<CurveLine>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurveLine {
    /// The run; the same run has the same colour in every panel.
    pub run: String,
    /// Places on the x axis, rising.
    pub x: Vec<f64>,
    /// Values; none where training gave none that is finite, a gap in the line.
    pub y: Vec<Option<f64>>,
    /// How many log lines a point is the mean of.
    pub every: u64,
}

impl CurveLine {
    /// The line through `points` (place, value), made shorter to at most `max` points by averaging
    /// neighbours. Values that are not finite leave a gap where a whole group of them is.
    pub fn of(run: impl Into<String>, points: &[(f64, f64)], max: usize) -> Self {
        let every = points.len().div_ceil(max.max(1)).max(1);
        let mean = |values: Vec<f64>| {
            let n = values.len() as f64;
            (n > 0.0).then(|| values.iter().sum::<f64>() / n)
        };
        let x = |of: &[(f64, f64)]| mean(of.iter().map(|point| point.0).collect());
        let y = |of: &[(f64, f64)]| {
            mean(
                (of.iter().map(|point| point.1))
                    .filter(|y| y.is_finite())
                    .collect(),
            )
        };
        let groups = || points.chunks(every);
        Self {
            run: run.into(),
            x: groups().filter_map(x).collect(),
            y: groups().map(y).collect(),
            every: every as u64,
        }
    }
}
