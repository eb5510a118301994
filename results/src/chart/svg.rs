//! SVG elements.

use std::fmt::Write as _;

use super::Colour;

const FONT: &str = "system-ui,-apple-system,'Segoe UI','DejaVu Sans',Helvetica,Arial,sans-serif";

/// A rectangle, in pixels from the upper left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Rect {
    pub(crate) fn right(&self) -> f64 {
        self.x + self.width
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.y + self.height
    }

    pub(crate) fn center_x(&self) -> f64 {
        self.x + self.width / 2.0
    }

    pub(crate) fn center_y(&self) -> f64 {
        self.y + self.height / 2.0
    }

    /// Without a margin on the left, top, right and bottom.
    pub(crate) fn inset(&self, [left, top, right, bottom]: [f64; 4]) -> Self {
        Self {
            x: self.x + left,
            y: self.y + top,
            width: (self.width - left - right).max(1.0),
            height: (self.height - top - bottom).max(1.0),
        }
    }

    /// A left and a right rectangle, the left one taking `share` of the width beside the gap.
    pub(crate) fn split(&self, share: f64, gap: f64) -> [Self; 2] {
        let width = share * (self.width - gap);
        let left = Self { width, ..*self };
        let right = self.inset([width + gap, 0.0, 0.0, 0.0]);
        [left, right]
    }

    /// `n` rectangles of the same width beside each other, the first one wider by `first`, where the
    /// left panel has what the others do without.
    pub(crate) fn columns(&self, n: usize, gap: f64, first: f64) -> Vec<Self> {
        let n = n.max(1);
        let width = (self.width - first - gap * (n - 1) as f64) / n as f64;
        let column = |at: usize| Self {
            x: self.x + at as f64 * (width + gap) + if at == 0 { 0.0 } else { first },
            width: width + if at == 0 { first } else { 0.0 },
            ..*self
        };
        (0..n).map(column).collect()
    }
}

/// Where a text stands against its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Text {
    pub(crate) size: f64,
    pub(crate) anchor: Anchor,
    pub(crate) bold: bool,
    pub(crate) colour: Colour,
    /// Degrees, clockwise around its place.
    pub(crate) turn: f64,
}

impl Text {
    pub(crate) fn size(size: f64) -> Self {
        Self {
            size,
            anchor: Anchor::Start,
            bold: false,
            colour: Colour(0x22, 0x22, 0x22),
            turn: 0.0,
        }
    }

    pub(crate) fn middle(self) -> Self {
        Self {
            anchor: Anchor::Middle,
            ..self
        }
    }

    pub(crate) fn end(self) -> Self {
        Self {
            anchor: Anchor::End,
            ..self
        }
    }

    pub(crate) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(crate) fn colour(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    pub(crate) fn turn(self, turn: f64) -> Self {
        Self { turn, ..self }
    }
}

/// The body of a picture.
#[derive(Debug, Default)]
pub(crate) struct Svg {
    body: String,
}

impl Svg {
    /// The whole file. `title` is what screen readers say.
    pub(crate) fn finish(self, width: f64, height: f64, title: &str) -> String {
        let (width, height, title) = (place(width), place(height), escape(title));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" font-family=\"{FONT}\">\n<title>{title}</title>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{}</svg>\n",
            self.body
        )
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    pub(crate) fn rect(&mut self, rect: Rect, fill: Option<Colour>, stroke: Option<(Colour, f64)>) {
        let fill = fill.map_or("none".to_owned(), |colour| colour.to_string());
        let stroke = stroke.map_or(String::new(), |(colour, width)| {
            format!(" stroke=\"{colour}\" stroke-width=\"{}\"", place(width))
        });
        self.add(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\"{stroke}/>",
            place(rect.x),
            place(rect.y),
            place(rect.width),
            place(rect.height)
        ));
    }

    /// A line through `points`; `dash` is an SVG dash pattern, empty for a solid line.
    pub(crate) fn line(&mut self, points: &[(f64, f64)], colour: Colour, width: f64, dash: &str) {
        if points.len() < 2 {
            return;
        }
        let dash = match dash.is_empty() {
            true => String::new(),
            false => format!(" stroke-dasharray=\"{dash}\""),
        };
        let points = points
            .iter()
            .map(|&(x, y)| format!("{},{}", place(x), place(y)));
        self.add(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\" stroke-linejoin=\"round\"{dash}/>",
            points.collect::<Vec<_>>().join(" "),
            place(width)
        ));
    }

    /// A filled outline, as SVG path commands.
    pub(crate) fn path(&mut self, commands: &str, fill: Colour) {
        self.add(format_args!("<path d=\"{commands}\" fill=\"{fill}\"/>"));
    }

    pub(crate) fn circle(&mut self, (x, y): (f64, f64), radius: f64, fill: Colour) {
        self.add(format_args!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{fill}\"/>",
            place(x),
            place(y),
            place(radius)
        ));
    }

    /// Opens a group whose units are `scale` pixels wide and high, its origin at (x, y), without
    /// smoothed edges.
    pub(crate) fn open_cells(&mut self, (x, y): (f64, f64), scale: (f64, f64)) {
        self.add(format_args!(
            "<g transform=\"translate({} {}) scale({} {})\" shape-rendering=\"crispEdges\">",
            place(x),
            place(y),
            fine(scale.0),
            fine(scale.1)
        ));
    }

    pub(crate) fn close(&mut self) {
        self.add(format_args!("</g>"));
    }

    pub(crate) fn text(&mut self, (x, y): (f64, f64), text: &str, style: Text) {
        let anchor = match style.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let bold = match style.bold {
            true => " font-weight=\"600\"",
            false => "",
        };
        let turn = match style.turn == 0.0 {
            true => String::new(),
            false => format!(
                " transform=\"rotate({} {} {})\"",
                place(style.turn),
                place(x),
                place(y)
            ),
        };
        self.add(format_args!(
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{}\"{anchor}{bold}{turn}>{}</text>",
            place(x),
            place(y),
            place(style.size),
            style.colour,
            escape(text)
        ));
    }
}

/// At most two decimals.
pub(super) fn place(value: f64) -> String {
    trimmed(format!("{value:.2}"))
}

fn fine(value: f64) -> String {
    trimmed(format!("{value:.5}"))
}

fn trimmed(text: String) -> String {
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    match text {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

/// Text as XML; control characters, which XML 1.0 does not have, become U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short() {
        assert_eq!(
            [place(1.0), place(0.126), place(-0.001), place(100.0)],
            ["1", "0.13", "0", "100"].map(str::to_owned)
        );
    }

    #[test]
    fn hostile_text_is_escaped() {
        let mut svg = Svg::default();
        svg.text((0.0, 0.0), "<&\">\u{1}\n", Text::size(12.0));
        let text = svg.finish(10.0, 10.0, "</title><script>");
        assert!(
            text.contains(">&lt;&amp;&quot;&gt;\u{fffd} </text>"),
            "{text}"
        );
        assert!(text.contains("<title>&lt;/title&gt;&lt;script&gt;</title>"));
    }
}
