//! A panel with two axes and what is drawn in it.

use super::axis::Axis;
use super::svg::{Rect, Svg, Text};
use super::text::{fit, text_width, wrap};
use super::{Colour, GREY};

const TICK: f64 = 11.5;
const INK: Colour = Colour(0x55, 0x55, 0x55);

/// The area between two axes.
pub(crate) struct Panel<'a> {
    pub(crate) svg: &'a mut Svg,
    pub(crate) inside: Rect,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}

/// The shape of a series' points, a second channel beside colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    None,
    Circle,
    Square,
    Triangle,
    Diamond,
}

impl Mark {
    /// The mark of the series at a place.
    pub(crate) fn of(at: usize) -> Self {
        [Self::Circle, Self::Square, Self::Triangle, Self::Diamond][at % 4]
    }

    pub(crate) fn draw(self, svg: &mut Svg, (x, y): (f64, f64), size: f64, colour: Colour) {
        let outline = |points: &[(f64, f64)]| {
            let place = |&(dx, dy): &(f64, f64)| {
                format!(
                    "{} {}",
                    super::svg::place(x + size * dx),
                    super::svg::place(y + size * dy)
                )
            };
            let points: Vec<String> = points.iter().map(place).collect();
            format!("M{}z", points.join("L"))
        };
        match self {
            Self::None => {}
            Self::Circle => svg.circle((x, y), size, colour),
            Self::Square => {
                let square = [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)];
                svg.path(&outline(&square), colour);
            }
            Self::Triangle => {
                svg.path(&outline(&[(0.0, -1.2), (1.15, 0.9), (-1.15, 0.9)]), colour);
            }
            Self::Diamond => {
                let diamond = [(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)];
                svg.path(&outline(&diamond), colour);
            }
        }
    }
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    pub(crate) colour: Colour,
    pub(crate) width: f64,
    /// SVG dash pattern; empty for a solid line.
    pub(crate) dash: &'static str,
    pub(crate) mark: Mark,
}

impl Line {
    pub(crate) fn new(colour: Colour, mark: Mark) -> Self {
        Self {
            colour,
            width: 2.0,
            dash: "",
            mark,
        }
    }

    pub(crate) fn dashed(self) -> Self {
        Self {
            dash: "6 4",
            ..self
        }
    }

    pub(crate) fn width(self, width: f64) -> Self {
        Self { width, ..self }
    }
}

/// One bar from 0 (or the axis) to a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bar {
    /// Ends on the x axis.
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) value: f64,
    pub(crate) colour: Colour,
}

impl<'a> Panel<'a> {
    /// Draws title, axes and grid into `frame`. The first line of the title is bold.
    pub(crate) fn new(svg: &'a mut Svg, frame: Rect, title: &str, x: Axis, y: Axis) -> Self {
        let title: Vec<(String, Text)> = (title.lines().enumerate())
            .flat_map(|(at, line)| {
                // Bold letters are wider.
                let (style, wider, most) = match at {
                    0 => (Text::size(13.0).bold(), 1.07, 2),
                    _ => (Text::size(11.5).colour(INK), 1.0, 1),
                };
                let mut lines = wrap(line, frame.width, wider * style.size);
                if lines.len() > most {
                    let rest = lines.split_off(most - 1).join(" ");
                    lines.push(fit(&rest, frame.width, wider * style.size));
                }
                lines.into_iter().map(move |line| (line, style))
            })
            .collect();
        let widest = y.ticks.iter().map(|(_, label)| text_width(label, TICK));
        let labels = widest.fold(0.0, f64::max).min(frame.width / 3.0);
        let named = |axis: &Axis| if axis.name.is_empty() { 0.0 } else { 17.0 };
        let left = labels + 8.0 + named(&y);
        let top = 17.0 * title.len() as f64 + 7.0;
        let inside = frame.inset([left, top, 8.0, 20.0 + named(&x)]);
        for (at, (line, style)) in title.iter().enumerate() {
            // Titles wider than the area begin at the frame.
            let is_wide = inside.x + text_width(line, style.size) > frame.right();
            let left = if is_wide { frame.x } else { inside.x };
            svg.text((left, frame.y + 13.0 + 17.0 * at as f64), line, *style);
        }
        let mut panel = Self { svg, inside, x, y };
        panel.grid(frame);
        panel
    }

    fn grid(&mut self, frame: Rect) {
        let inside = self.inside;
        for (value, label) in &self.y.ticks {
            let y = inside.bottom() - self.y.part(*value) * inside.height;
            if self.y.has_grid {
                self.svg
                    .line(&[(inside.x, y), (inside.right(), y)], GREY, 1.0, "");
            }
            let style = Text::size(TICK).end().colour(INK);
            if !label.is_empty() {
                self.svg.text((inside.x - 5.0, y + 4.0), label, style);
            }
        }
        let width = inside.width / self.x.ticks.len().max(1) as f64;
        for (value, label) in &self.x.ticks {
            let x = inside.x + self.x.part(*value) * inside.width;
            if self.x.has_grid {
                self.svg
                    .line(&[(x, inside.y), (x, inside.bottom())], GREY, 1.0, "");
            }
            let style = Text::size(TICK).middle().colour(INK);
            let label = fit(label, width.max(24.0), TICK);
            self.svg.text((x, inside.bottom() + 15.0), &label, style);
        }
        self.svg
            .rect(inside, None, Some((Colour(0x99, 0x99, 0x99), 1.0)));
        let style = Text::size(12.0).middle().colour(INK);
        if !self.x.name.is_empty() {
            let place = (inside.center_x(), inside.bottom() + 31.0);
            let name = fit(&self.x.name, inside.width, 12.0);
            self.svg.text(place, &name, style);
        }
        if !self.y.name.is_empty() {
            let place = (frame.x + 10.0, inside.center_y());
            let name = fit(&self.y.name, frame.height, 12.0);
            self.svg.text(place, &name, style.turn(-90.0));
        }
    }

    /// Where a point lies, in pixels.
    pub(crate) fn place(&self, x: f64, y: f64) -> (f64, f64) {
        (
            self.inside.x + self.x.part(x) * self.inside.width,
            self.inside.bottom() - self.y.part(y) * self.inside.height,
        )
    }

    /// A line through points; none is a gap.
    pub(crate) fn line(&mut self, points: &[Option<(f64, f64)>], line: Line) {
        for part in points.split(Option::is_none) {
            let part: Vec<(f64, f64)> = (part.iter().flatten())
                .map(|&(x, y)| self.place(x, y))
                .collect();
            self.svg.line(&part, line.colour, line.width, line.dash);
            // A point between two gaps is no line.
            if let (&[only], Mark::None) = (part.as_slice(), line.mark) {
                self.svg.circle(only, 3.0, line.colour);
            }
            for &point in &part {
                line.mark.draw(self.svg, point, 3.4, line.colour);
            }
        }
    }

    /// Bars, each from the low end of the y axis.
    pub(crate) fn bars(&mut self, bars: &[Bar]) {
        for bar in bars {
            let (left, top) = self.place(bar.from, bar.value);
            let (right, _) = self.place(bar.to, bar.value);
            let rect = Rect {
                x: left,
                y: top,
                width: right - left,
                height: self.inside.bottom() - top,
            };
            if rect.height > 0.0 {
                self.svg
                    .rect(rect, Some(bar.colour), Some((Colour(255, 255, 255), 0.7)));
            }
        }
    }

    /// `value ± sd` as an upright with caps.
    pub(crate) fn error_bar(&mut self, x: f64, value: f64, sd: f64, colour: Colour) {
        let ((x, low), (_, high)) = (self.place(x, value - sd), self.place(x, value + sd));
        for ends in [
            [(x, low), (x, high)],
            [(x - 3.5, low), (x + 3.5, low)],
            [(x - 3.5, high), (x + 3.5, high)],
        ] {
            self.svg.line(&ends, colour, 1.2, "");
        }
    }

    /// A panel without data, which says why.
    pub(crate) fn empty(&mut self, why: &str) {
        let lines = wrap(why, self.inside.width - 10.0, 12.0);
        let top = self.inside.center_y() - 8.0 * (lines.len() as f64 - 1.0) + 4.0;
        for (at, line) in lines.iter().enumerate() {
            let place = (self.inside.center_x(), top + 16.0 * at as f64);
            self.svg
                .text(place, line, Text::size(12.0).middle().colour(INK));
        }
    }
}
