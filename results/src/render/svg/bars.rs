//! Scores that have no p to stand against, as horizontal bars from 0.

use crate::chart::{Colour, GREY, PAPER, Page, Rect, SERIES, Svg, Text, WIDTH, fit, text_width};

/// A value with its standard deviation, where there are several runs.
pub(super) type Value = Option<(f64, Option<f64>)>;

/// One score of several rows, ours beside the published ones.
pub(super) struct Bars {
    /// Heading of ours: the score with its arrow.
    pub(super) title: String,
    /// Decimals of printed numbers.
    pub(super) decimals: usize,
    pub(super) names: Vec<String>,
    pub(super) ours: Vec<Value>,
    /// Published values; none where the paper has none.
    pub(super) paper: Vec<Option<f64>>,
    /// Where they were taken.
    pub(super) corpora: Vec<String>,
}

const ROW: f64 = 22.0;
const LABEL: f64 = 12.0;

impl Bars {
    /// Room that the names need.
    pub(super) fn names_width(&self) -> f64 {
        let names = self.names.iter().map(|name| text_width(name, LABEL));
        names.fold(0.0, f64::max).min(0.36 * WIDTH)
    }

    /// Draws, beside names `names` pixels wide, ours on the left, and on the right the published values on a scale of their own,
    /// because their corpus is another.
    pub(super) fn draw(&self, page: &mut Page, names: f64) {
        let height = 24.0 + ROW * self.names.len() as f64;
        page.space(6.0);
        let frames = page.row(1, height, 0.0);
        // The names stand on the left of ours, and the published values in the same rows.
        let frames = frames
            .iter()
            .flat_map(|row| row.split(0.5 + 0.5 * names / WIDTH, 24.0));
        let paper: Vec<Value> = self.paper.iter().map(|of| Some(((*of)?, None))).collect();
        let title = format!("paper, {}", self.corpora.join(", "));
        let panels = [
            (&self.title, &self.ours, SERIES[0], names),
            (&title, &paper, PAPER, 0.0),
        ];
        for ((title, values, colour, names), frame) in panels.into_iter().zip(frames) {
            if values.iter().any(Option::is_some) {
                let title = (title.as_str(), colour);
                self.panel(&mut page.svg, frame, title, values, names);
            }
        }
    }

    fn panel(
        &self,
        svg: &mut Svg,
        frame: Rect,
        (title, colour): (&str, Colour),
        values: &[Value],
        names: f64,
    ) {
        svg.text((frame.x, frame.y + 13.0), title, Text::size(13.0).bold());
        let number = |&(value, sd): &(f64, Option<f64>)| {
            let spread = sd.map(|sd| format!(" ± {sd:.*}", self.decimals));
            format!("{value:.*}{}", self.decimals, spread.unwrap_or_default()).replace('-', "−")
        };
        let numbers = values
            .iter()
            .flatten()
            .map(|of| text_width(&number(of), LABEL));
        let room = numbers.fold(0.0, f64::max) + 12.0;
        let area = Rect {
            x: frame.x + names + 8.0,
            y: frame.y + 21.0,
            width: (frame.width - names - 8.0 - room).max(10.0),
            height: ROW * self.names.len() as f64,
        };
        let ends = values.iter().flatten().flat_map(|&(value, sd)| {
            let sd = sd.unwrap_or(0.0);
            [value - sd, value + sd]
        });
        let (low, high) = ends.fold((0.0, 0.0), |(low, high): (f64, f64), end| {
            (low.min(end), high.max(end))
        });
        let place = |value: f64| area.x + (value - low) / (high - low).max(1e-12) * area.width;
        for (at, (name, value)) in self.names.iter().zip(values).enumerate() {
            let middle = area.y + ROW * (at as f64 + 0.5);
            let label = fit(name, names + 1.0, LABEL);
            if names > 0.0 {
                let place = (area.x - 6.0, middle + 4.0);
                svg.text(place, &label, Text::size(LABEL).end());
            }
            let Some((mean, sd)) = value else {
                svg.text((place(0.0) + 5.0, middle + 4.0), "–", Text::size(LABEL));
                continue;
            };
            let (from, to) = (place(mean.min(0.0)), place(mean.max(0.0)));
            let bar = Rect {
                x: from,
                y: middle - 0.36 * ROW,
                width: to - from,
                height: 0.72 * ROW,
            };
            svg.rect(bar, Some(colour), None);
            let mut right = to;
            if let Some(sd) = sd {
                let ends = [(place(mean - sd), middle), (place(mean + sd), middle)];
                svg.line(&ends, Colour(0x22, 0x22, 0x22), 1.4, "");
                right = right.max(ends[1].0);
            }
            let text = number(&(*mean, *sd));
            svg.text((right + 6.0, middle + 4.0), &text, Text::size(LABEL));
        }
        let zero = place(0.0);
        svg.line(&[(zero, area.y), (zero, area.bottom())], GREY, 1.0, "");
    }
}
