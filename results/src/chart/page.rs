//! A picture from top to bottom: title, legend, rows of panels, notes.

use super::svg::{Rect, Svg, Text};
use super::text::{fit, text_width, wrap};
use super::{Colour, ColourBar, Line};

/// Width of every picture: what a README shows without making it smaller.
pub(crate) const WIDTH: f64 = 880.0;
const MARGIN: f64 = 14.0;
const INK: Colour = Colour(0x55, 0x55, 0x55);

/// An entry of a legend.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Key {
    /// A line of a chart.
    Line(String, Line),
    /// An area.
    Area(String, Colour),
}

/// The page under construction.
pub(crate) struct Page {
    pub(crate) svg: Svg,
    title: String,
    /// Where the next thing goes.
    y: f64,
}

impl Page {
    pub(crate) fn new(title: &str) -> Self {
        let mut page = Self {
            svg: Svg::default(),
            title: title.to_owned(),
            y: 12.0,
        };
        page.lines(title, Text::size(17.0).bold(), 22.0);
        page
    }

    /// Text below what is there, over the whole width.
    pub(crate) fn note(&mut self, text: &str) {
        self.lines(text, Text::size(12.5).colour(INK), 17.0);
        self.y += 3.0;
    }

    /// The heading of a part.
    pub(crate) fn heading(&mut self, text: &str) {
        self.y += 6.0;
        self.lines(text, Text::size(14.0).bold(), 19.0);
        self.y += 2.0;
    }

    fn lines(&mut self, text: &str, style: Text, height: f64) {
        let wider = if style.bold { 1.07 } else { 1.0 };
        for line in wrap(text, WIDTH - 2.0 * MARGIN, wider * style.size) {
            self.svg.text((MARGIN, self.y + style.size), &line, style);
            self.y += height;
        }
    }

    /// Room between what is there and what follows.
    pub(crate) fn space(&mut self, height: f64) {
        self.y += height;
    }

    /// Entries beside each other, as many lines as they need.
    pub(crate) fn legend(&mut self, keys: &[Key]) {
        if keys.is_empty() {
            return;
        }
        let (mut x, size) = (MARGIN, 12.5);
        self.y += 4.0;
        for key in keys {
            let (Key::Line(name, _) | Key::Area(name, _)) = key;
            let name = &fit(name, WIDTH - 2.0 * MARGIN - 34.0, size);
            let width = 34.0 + text_width(name, size) + 20.0;
            if x > MARGIN && x + width - 20.0 > WIDTH - MARGIN {
                (x, self.y) = (MARGIN, self.y + 19.0);
            }
            let middle = self.y + 8.0;
            match key {
                Key::Line(_, line) => {
                    let ends = [(x, middle), (x + 28.0, middle)];
                    self.svg.line(&ends, line.colour, line.width, line.dash);
                    line.mark
                        .draw(&mut self.svg, (x + 14.0, middle), 3.4, line.colour);
                }
                Key::Area(_, colour) => {
                    let rect = Rect {
                        x: x + 4.0,
                        y: middle - 6.0,
                        width: 22.0,
                        height: 12.0,
                    };
                    self.svg.rect(rect, Some(*colour), None);
                }
            }
            self.svg
                .text((x + 34.0, middle + 4.5), name, Text::size(size));
            x += width;
        }
        self.y += 24.0;
    }

    pub(crate) fn colour_bar(&mut self, bar: &ColourBar) {
        self.y += 5.0;
        bar.draw(&mut self.svg, (MARGIN, self.y));
        self.y += 36.0;
    }

    /// A row of `height` pixels, divided into columns.
    pub(crate) fn row(&mut self, n_columns: usize, height: f64, gap: f64) -> Vec<Rect> {
        self.panels(n_columns, height, gap, 0.0)
    }

    /// The same with a first column that is wider by `first`.
    pub(crate) fn panels(
        &mut self,
        n_columns: usize,
        height: f64,
        gap: f64,
        first: f64,
    ) -> Vec<Rect> {
        let row = Rect {
            x: MARGIN,
            y: self.y,
            width: WIDTH - 2.0 * MARGIN,
            height,
        };
        self.y += height + 8.0;
        row.columns(n_columns, gap, first)
    }

    /// The file.
    pub(crate) fn finish(self) -> String {
        self.svg.finish(WIDTH, self.y + 8.0, &self.title)
    }
}
