//! Scales and their ticks.

use super::number::{short, significant};

/// One side of a panel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    pub(crate) name: String,
    low: f64,
    high: f64,
    is_log: bool,
    pub(crate) ticks: Vec<(f64, String)>,
    /// Whether ticks have grid lines.
    pub(crate) has_grid: bool,
}

impl Axis {
    /// Values from `low` to `high`, about `n` ticks.
    pub(crate) fn linear(name: &str, low: f64, high: f64, n: usize) -> Self {
        let step = nice_step((high - low) / n.max(1) as f64);
        let places = decimals(step);
        let (from, to) = (
            (low / step - 1e-9).ceil() as i64,
            (high / step + 1e-9).floor() as i64,
        );
        let tick = |at: i64| {
            let value = at as f64 * step;
            let label = match value.abs() {
                _ if !(1e-5..1e9).contains(&step) => significant(value, 2),
                10_000.0.. => thousands(value, step),
                _ => short_fixed(value, places),
            };
            (value, label)
        };
        Self {
            name: name.to_owned(),
            low,
            high,
            is_log: false,
            ticks: (from..=to).map(tick).collect(),
            has_grid: true,
        }
    }

    /// All `values` with a margin, about `n` ticks; from 0 to 1 without values.
    pub(crate) fn around(name: &str, values: impl IntoIterator<Item = f64>, n: usize) -> Self {
        let (low, high) = range(values).unwrap_or((0.0, 1.0));
        let margin = (0.06 * (high - low)).max(0.005 * high.abs()).max(1e-9);
        // Room below 0 would look as if there were values.
        let floor = match low >= 0.0 && low - margin < 0.0 {
            true => 0.0,
            false => low - margin,
        };
        Self::linear(name, floor, high + margin, n)
    }

    /// Positive values on a logarithmic scale.
    pub(crate) fn log(name: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) =
            range(values.into_iter().filter(|value| *value > 0.0)).unwrap_or((1.0, 10.0));
        let room = (high / low).powf(0.05).max(1.02);
        let (low, high) = (low / room, high * room);
        let decades = (high / low).log10();
        let parts: &[f64] = match decades {
            d if d > 3.0 => &[1.0],
            d if d > 1.2 => &[1.0, 2.0, 5.0],
            d if d > 0.5 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            _ => &[],
        };
        let (from, to) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let tick = |value: f64| (value, significant(value, 2));
        let mut ticks: Vec<(f64, String)> = (from..=to)
            .flat_map(|power| parts.iter().map(move |part| part * 10f64.powi(power)))
            .filter(|value| (low..=high).contains(value))
            .map(tick)
            .collect();
        if parts.is_empty() {
            ticks = Self::linear("", low, high, 6).ticks;
        }
        Self {
            name: name.to_owned(),
            low,
            high,
            is_log: true,
            ticks,
            has_grid: true,
        }
    }

    /// Powers of two on a logarithmic scale, a tick for each that lies within the values.
    pub(crate) fn powers_of_two(name: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let axis = Self::log(name, values);
        let (from, to) = (
            axis.low.log2().ceil() as i32,
            axis.high.log2().floor() as i32,
        );
        let tick = |power: i32| {
            let value = 2f64.powi(power);
            (value, short(value, 3))
        };
        Self {
            ticks: (from..=to).map(tick).collect(),
            ..axis
        }
    }

    /// A place for each name, at 0, 1, …
    pub(crate) fn places(name: &str, names: impl IntoIterator<Item = String>) -> Self {
        let tick = |(at, name): (usize, String)| (at as f64, name);
        let ticks: Vec<_> = names.into_iter().enumerate().map(tick).collect();
        Self {
            name: name.to_owned(),
            low: -0.5,
            high: ticks.len().max(1) as f64 - 0.5,
            is_log: false,
            ticks,
            has_grid: false,
        }
    }

    /// Layers, counted from 1.
    pub(crate) fn layers(n: usize) -> Self {
        Self::places("layer", (1..=n).map(|layer| layer.to_string()))
    }

    /// Without a name.
    pub(crate) fn unnamed(self) -> Self {
        Self {
            name: String::new(),
            ..self
        }
    }

    /// With ticks but without their numbers, for a panel beside one that has them.
    pub(crate) fn unlabelled(mut self) -> Self {
        self.ticks.iter_mut().for_each(|(_, label)| label.clear());
        self.unnamed()
    }

    /// Where a value lies, 0 at the low end and 1 at the high one.
    pub(crate) fn part(&self, value: f64) -> f64 {
        let (low, high, value) = match self.is_log {
            true => (self.low.ln(), self.high.ln(), value.max(self.low).ln()),
            false => (self.low, self.high, value),
        };
        match high > low {
            true => ((value - low) / (high - low)).clamp(0.0, 1.0),
            false => 0.5,
        }
    }
}

fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// The next step of 1, 2, 2.5 or 5 times a power of ten.
fn nice_step(step: f64) -> f64 {
    if !(step.is_finite() && step > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(step.log10().floor());
    let parts = [1.0, 2.0, 2.5, 5.0, 10.0];
    let part = parts.into_iter().find(|part| part * power >= step * 0.999);
    part.unwrap_or(10.0) * power
}

fn short_fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let is_zero = text.trim_matches(['-', '0', '.']).is_empty();
    match is_zero {
        true => "0".to_owned(),
        false => text.replace('-', "−"),
    }
}

/// In thousands or millions, with the decimals that tell ticks a `step` apart.
fn thousands(value: f64, step: f64) -> String {
    let (unit, name) = match value.abs() >= 1e6 {
        true => (1e6, "M"),
        false => (1e3, "k"),
    };
    format!("{}{name}", short(value / unit, decimals(step / unit)))
}

/// The decimals of a step.
fn decimals(step: f64) -> usize {
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    // A step of 2.5 has a digit more.
    decimals + usize::from((step * 10f64.powi(decimals as i32)).fract() > 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        let axis = Axis::linear("", 0.0, 1.0, 5);
        assert_eq!(labels(&axis), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        let axis = Axis::linear("", -0.3, 0.2, 5);
        assert_eq!(labels(&axis), ["−0.3", "−0.2", "−0.1", "0", "0.1", "0.2"]);
        let axis = Axis::linear("", 0.0, 30_000.0, 3);
        assert_eq!(labels(&axis), ["0", "10k", "20k", "30k"]);
        let axis = Axis::linear("", 0.0, 2e-7, 2);
        assert_eq!(labels(&axis), ["0", "1.0e−7", "2.0e−7"]);
        let axis = Axis::linear("", 0.0, 0.1, 4);
        assert_eq!(labels(&axis), ["0", "0.025", "0.050", "0.075", "0.100"]);
    }

    /// Of ticks near together no two have one label.
    #[test]
    fn thousands_have_the_decimals_of_the_step() {
        let axis = Axis::linear("", 14_000.0, 14_200.0, 4);
        assert_eq!(labels(&axis), ["14k", "14.05k", "14.1k", "14.15k", "14.2k"]);
        let axis = Axis::linear("", 10_000.0, 11_000.0, 4);
        assert_eq!(labels(&axis), ["10k", "10.25k", "10.5k", "10.75k", "11k"]);
        let axis = Axis::linear("", 12_345.0, 12_349.0, 4);
        assert_eq!(
            labels(&axis),
            ["12.345k", "12.346k", "12.347k", "12.348k", "12.349k"]
        );
        let axis = Axis::linear("", 990_000.0, 1_010_000.0, 4);
        assert_eq!(labels(&axis), ["990k", "995k", "1M", "1.005M", "1.01M"]);
        let axis = Axis::linear("", 5_000.0, 15_000.0, 4);
        assert_eq!(labels(&axis), ["5000", "7500", "10k", "12.5k", "15k"]);
    }

    #[test]
    fn values_of_one_size_have_room() {
        let axis = Axis::around("", [5.0, 5.0], 4);
        assert!(axis.ticks.len() >= 2, "{axis:?}");
        assert_eq!(axis.part(5.0), 0.5);
        assert_eq!(Axis::around("", [f64::NAN], 4), Axis::around("", [], 4));
    }

    #[test]
    fn logarithms() {
        let axis = Axis::log("", [1.0, 1000.0]);
        let part = |value| (axis.part(value) * 100.0).round();
        assert_eq!(part(10.0f64.powf(1.5)), 50.0);
        assert!(labels(&axis).contains(&"100"));
    }
}
