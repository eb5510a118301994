//! The picture of a role: a table of scores for each variant, and sentences.

use super::{PublishedScores, RoleFigure, RoleScores, SentenceWeights};
use crate::attention::{HeadScore, passing_heads, ranked_heads};
use crate::chart::{
    Cell, ColourBar, Page, Rect, SERIES, Svg, Text, WIDTH, attention_name, heat_map, percent,
    short, significant, variant_name, wrap,
};
use crate::figure::layout::distinct;

/// The whole picture of numbers that were checked.
pub(super) fn picture(figure: &RoleFigure) -> String {
    let mut page = Page::new(figure.role.title());
    page.note(&figure.source.line());
    page.note(&format!(
            "A row is a layer, a column a head, a number the score in percent{}. Outlined heads pass: above {}.",
            match figure.scores.iter().any(|of| of.alphas.is_some()) {
                true => ", with the head's α below it",
                false => "",
            },
            percent(figure.threshold, 0)
        ));
    page.colour_bar(&ColourBar::new("score", 1.0, false));
    for measure in distinct(figure.scores.iter().map(|of| &of.measure)) {
        page.heading(measure);
        let of_measure: Vec<&RoleScores> = figure
            .scores
            .iter()
            .filter(|of| of.measure == measure)
            .collect();
        // Columns of the widest table.
        let n_heads = |of: &&RoleScores| of.scores.first().map_or(1, Vec::len);
        let widest = of_measure.iter().map(n_heads).max().unwrap_or(1);
        let n_columns = if widest > 8 { 2 } else { 3 };
        for of in of_measure.chunks(n_columns) {
            let height = |of: &&RoleScores| figure.height(of, n_columns);
            let height = of.iter().map(height).fold(0.0, f64::max);
            let frames = page.row(n_columns, height, 16.0);
            for (of, frame) in of.iter().zip(frames) {
                figure.draw(&mut page.svg, frame, of);
            }
        }
        let mut published: Vec<&PublishedScores> = (figure.published.iter())
            .filter(|of| of.measure == measure)
            .collect();
        published.sort_by_key(|of| {
            figure
                .scores
                .iter()
                .position(|ours| ours.variant == of.variant)
        });
        for of in published {
            let (corpus, variant) = (&of.corpus, variant_name(&of.variant));
            page.note(&format!("paper, {corpus}, {variant}: {}", of.found));
        }
    }
    figure.draw_examples(&mut page);
    page.finish()
}

const CELL: f64 = 28.0;
const SMALL_CELL: f64 = 20.0;
const LINE: f64 = 15.0;

impl RoleFigure {
    /// Lines below a table, in a column of the page.
    fn words(&self, of: &RoleScores, width: f64) -> Vec<String> {
        match of.n {
            0 => wrap(
                &format!("Nothing to score: no {} here.", self.role.counted()),
                width,
                12.0,
            ),
            n => {
                let n = match n {
                    1 => format!("One {}.", self.role.counted().trim_end_matches('s')),
                    n => format!(
                        "Mean over {} {}.",
                        significant(n as f64, 12),
                        self.role.counted()
                    ),
                };
                wrap(&format!("{} {n}", of.verdict(self.threshold)), width, 12.0)
            }
        }
    }

    fn height(&self, of: &RoleScores, n_columns: usize) -> f64 {
        let width = (WIDTH - 60.0) / n_columns as f64;
        let words = self.words(of, width).len() as f64;
        let cell = if of.alphas.is_some() {
            CELL
        } else {
            SMALL_CELL
        };
        54.0 + cell * of.scores.len() as f64 + LINE * words
    }

    fn draw(&self, svg: &mut Svg, frame: Rect, of: &RoleScores) {
        let title = variant_name(&of.variant);
        svg.text((frame.x, frame.y + 13.0), &title, Text::size(13.0).bold());
        let attention = attention_name(&of.attention);
        svg.text((frame.x, frame.y + 29.0), &attention, Text::size(12.0));
        let height = if of.alphas.is_some() {
            CELL
        } else {
            SMALL_CELL
        };
        let n_heads = of.scores.first().map_or(0, Vec::len);
        let area = Rect {
            x: frame.x + 16.0,
            y: frame.y + 50.0,
            width: (frame.width - 16.0).min(44.0 * n_heads as f64),
            height: height * of.scores.len() as f64,
        };
        if n_heads > 0 {
            self.table(svg, area, of);
        }
        let words = self.words(of, frame.width);
        for (at, line) in words.iter().enumerate() {
            let place = (frame.x, area.bottom() + 17.0 + LINE * at as f64);
            svg.text(place, line, Text::size(12.0));
        }
    }

    fn table(&self, svg: &mut Svg, area: Rect, of: &RoleScores) {
        let rows: Vec<Vec<Cell>> = (of.scores.iter())
            .map(|heads| heads.iter().map(|&score| Cell::Value(score)).collect())
            .collect();
        heat_map(svg, area, &rows);
        let n_heads = of.scores.first().map_or(1, Vec::len);
        let cell = (
            area.width / n_heads as f64,
            area.height / of.scores.len() as f64,
        );
        let small = Text::size(11.0).middle();
        for head in 0..n_heads {
            let place = (area.x + cell.0 * (head as f64 + 0.5), area.y - 4.0);
            svg.text(place, &(head + 1).to_string(), small);
        }
        for layer in 0..of.scores.len() {
            let place = (area.x - 8.0, area.y + cell.1 * (layer as f64 + 0.5) + 4.0);
            svg.text(place, &(layer + 1).to_string(), small);
        }
        let place = |head: &HeadScore| {
            (
                area.x + cell.0 * head.head as f64,
                area.y + cell.1 * head.layer as f64,
            )
        };
        let ranked = ranked_heads(&of.scores);
        for head in &ranked {
            let (x, y) = place(head);
            let ink = Cell::Value(head.score).ink();
            let passes = head.score > self.threshold;
            let alpha = of.alpha(head);
            let score = Text::size(11.0).middle().colour(ink);
            let score = if passes { score.bold() } else { score };
            let middle = x + cell.0 / 2.0;
            let number = short(100.0 * head.score, 0);
            let first = if alpha.is_some() {
                12.0
            } else {
                cell.1 / 2.0 + 4.0
            };
            svg.text((middle, y + first), &number, score);
            if let Some(alpha) = alpha {
                // Twelve heads leave room for one decimal only.
                let alpha = short_alpha(alpha, cell.0);
                let style = Text::size(10.0).middle().colour(ink);
                svg.text((middle, y + 24.0), &alpha, style);
            }
        }
        for head in passing_heads(&of.scores, self.threshold) {
            let (x, y) = place(&head);
            let rect = Rect {
                x,
                y,
                width: cell.0,
                height: cell.1,
            };
            svg.rect(rect, None, Some((SERIES[1], 2.6)));
        }
    }

    fn draw_examples(&self, page: &mut Page) {
        if self.examples.is_empty() {
            return;
        }
        page.heading("Examples");
        page.note(
            "Rows are queries, columns keys. Outlined cells are those that the score counts.",
        );
        let max = self
            .examples
            .iter()
            .map(SentenceWeights::max)
            .fold(0.0, f64::max);
        let cells = || {
            self.examples
                .iter()
                .flat_map(|of| of.weights.iter().flatten())
        };
        let mut bar = ColourBar::new("weight", max, false);
        bar.zero = cells()
            .any(|of| *of == Some(0.0))
            .then(|| "exactly 0".to_owned());
        bar.hidden = cells()
            .any(Option::is_none)
            .then(|| "not visible to the query".to_owned());
        page.colour_bar(&bar);
        // Short sentences stand side by side, long ones need the whole width.
        let widest = self.examples.iter().map(SentenceWeights::width);
        let widest = widest.fold(1.0, f64::max);
        let n_columns = ((WIDTH - 32.0) / (widest + 16.0)).floor().clamp(1.0, 4.0) as usize;
        let width = (WIDTH - 32.0) / n_columns as f64 - 16.0;
        for of in self.examples.chunks(n_columns) {
            let height = of.iter().map(|of| of.height(width)).fold(0.0, f64::max);
            let frames = page.row(n_columns, height, 16.0);
            for (of, frame) in of.iter().zip(frames) {
                of.draw(&mut page.svg, frame, max);
            }
        }
    }
}

fn short_alpha(alpha: f64, width: f64) -> String {
    match width < 25.0 {
        true => format!("{alpha:.1}"),
        false => format!("{alpha:.2}"),
    }
}
