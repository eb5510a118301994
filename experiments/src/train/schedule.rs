//! Learning rate as a function of the step.

use serde::{Deserialize, Serialize};

/// How the learning rate falls after the linear warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleName {
    /// Stays at the peak.
    Constant,
    /// In a straight line, from the peak to 0 after the last step.
    Linear,
    /// Half a cosine, from the peak to 0 at the last step.
    Cosine,
    /// Peak × √(warm-up / step), as for the first Transformer.
    InverseSqrt,
    /// As `InverseSqrt`, with the peak given by the width: factor · (d_model · warm-up)^-½.
    Noam,
}

/// A learning rate for each step of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Shape after the warm-up.
    pub name: ScheduleName,
    /// Largest learning rate.
    pub peak: f64,
    /// Steps of linear rise; 0 starts at the peak.
    pub warmup_steps: u64,
    /// Steps of the whole run.
    pub steps: u64,
}

impl Schedule {
    /// The schedule of a model of width `d_model`: for [`ScheduleName::Noam`], `peak` was a factor.
    #[must_use]
    pub fn for_width(self, d_model: usize) -> Self {
        match self.name {
            ScheduleName::Constant
            | ScheduleName::Linear
            | ScheduleName::Cosine
            | ScheduleName::InverseSqrt => self,
            ScheduleName::Noam => {
                let scale = (d_model as f64 * self.warmup_steps.max(1) as f64).powf(-0.5);
                let peak = self.peak * scale;
                Self { peak, ..self }
            }
        }
    }

    /// Share of the fall that lies behind, `steps` after the warm-up.
    fn fallen(&self, steps: f64) -> f64 {
        let span = (self.steps as f64 - self.warmup_steps as f64).max(1.0);
        (steps / span).clamp(0.0, 1.0)
    }

    /// Learning rate of step `step`, counted from 0.
    #[must_use]
    pub fn at(&self, step: u64) -> f64 {
        let warmup = self.warmup_steps as f64;
        let now = step as f64;
        if step < self.warmup_steps {
            return self.peak * (now + 1.0) / warmup;
        }
        match self.name {
            ScheduleName::Constant => self.peak,
            ScheduleName::Linear => self.peak * (1.0 - self.fallen(now - warmup)),
            ScheduleName::Cosine => {
                let done = self.fallen(now - warmup);
                0.5 * self.peak * (1.0 + (std::f64::consts::PI * done).cos())
            }
            ScheduleName::InverseSqrt | ScheduleName::Noam => {
                let start = warmup.max(1.0);
                self.peak * (start / (now + 1.0).max(start)).sqrt()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(name: ScheduleName) -> Schedule {
        Schedule {
            name,
            peak: 0.1,
            warmup_steps: 10,
            steps: 110,
        }
    }

    #[test]
    fn rises_linearly_then_falls_as_named() {
        for name in [
            ScheduleName::Constant,
            ScheduleName::Linear,
            ScheduleName::Cosine,
            ScheduleName::InverseSqrt,
        ] {
            let s = schedule(name);
            assert!((s.at(0) - 0.01).abs() < 1e-12);
            assert!((s.at(9) - 0.1).abs() < 1e-12);
        }
        assert!((schedule(ScheduleName::Constant).at(100) - 0.1).abs() < 1e-12);
        let linear = schedule(ScheduleName::Linear);
        assert!((linear.at(10) - 0.1).abs() < 1e-12 && (linear.at(60) - 0.05).abs() < 1e-12);
        assert!((linear.at(109) - 0.001).abs() < 1e-12);
        assert!((schedule(ScheduleName::Cosine).at(60) - 0.05).abs() < 1e-12);
        assert!(schedule(ScheduleName::Cosine).at(109) < 1e-4);
        assert!((schedule(ScheduleName::InverseSqrt).at(39) - 0.05).abs() < 1e-12);
    }

    #[test]
    fn noam_is_the_formula_of_vaswani() {
        let s = Schedule {
            name: ScheduleName::Noam,
            peak: 2.0,
            warmup_steps: 8000,
            steps: 100_000,
        }
        .for_width(512);
        for step in [0u64, 100, 7999, 8000, 50_000] {
            let t = step as f64 + 1.0;
            let expected = 2.0 * 512f64.powf(-0.5) * t.powf(-0.5).min(t * 8000f64.powf(-1.5));
            assert!((s.at(step) / expected - 1.0).abs() < 1e-12, "{step}");
        }
    }

    #[test]
    fn no_warmup_starts_at_the_peak() {
        let s = Schedule {
            name: ScheduleName::Cosine,
            peak: 2.5e-4,
            warmup_steps: 0,
            steps: 200_000,
        };
        assert!((s.at(0) - 2.5e-4).abs() < 1e-15);
    }
}
