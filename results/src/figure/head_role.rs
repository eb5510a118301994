//! What single heads do: previous and next token, merging of pieces, question marks.

use serde::{Deserialize, Serialize};

use super::Figure;
use super::check::Check;
use super::layout::distinct;
use super::sentence::SentenceWeights;
use super::source::Source;
use super::table::{Lines, optional};
use crate::attention::{HeadScore, best_head, passing_heads, ranked_heads};
use crate::chart::{
    Cell, ColourBar, Page, Rect, SERIES, Svg, Text, attention_name, head_name, heat_map, percent,
    short, variant_name, wrap,
};
use crate::error::Result;

/// A score of every head for one role, the heads that pass and examples (AST, section "Identifying
/// head specializations"). File: `positional`, `merging` or `interrogation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleFigure {
    /// Which role.
    pub role: Role,
    /// What was measured.
    pub source: Source,
    /// The score above which a head counts as having the role.
    pub threshold: f64,
    /// Scores of every head, an entry for each variant, attention type and measure.
    pub scores: Vec<RoleScores>,
    /// Published scores.
    pub published: Vec<PublishedScores>,
    /// Heads on sentences.
    pub examples: Vec<SentenceWeights>,
}

/// What a head may be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Attends to the piece at a fixed offset.
    Positional,
    /// Attends to the other pieces of its word.
    Merging,
    /// Attends from interrogative words to the question mark.
    Interrogation,
}

/// The scores of all heads of one attention type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleScores {
    /// Row normaliser.
    pub variant: String,
    /// Attention type.
    pub attention: String,
    /// Which score of the role: [`measure_of_offset`](super::measure_of_offset),
    /// [`MERGING`](super::MERGING), [`WITHIN_WORD`](super::WITHIN_WORD) or
    /// [`INTERROGATION`](super::INTERROGATION); published scores stand below those of their measure.
    pub measure: String,
    /// How many tokens, clusters or questions the scores are means of; 0 leaves nothing to score.
    pub n: u64,
    /// Scores in \[0, 1\], `[layer][head]`; empty where `n` is 0.
    pub scores: Vec<Vec<f64>>,
    /// α, `[layer][head]`, where it is learned.
    pub alphas: Option<Vec<Vec<f64>>>,
}

/// What was published of one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedScores {
    /// Corpus.
    pub corpus: String,
    /// Row normaliser.
    pub variant: String,
    /// Which score.
    pub measure: String,
    /// In the paper's words, with its numbers: `3 heads, median 93.5 %`.
    pub found: String,
}

impl Role {
    /// Name of the figure.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Positional => "positional",
            Self::Merging => "merging",
            Self::Interrogation => "interrogation",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Positional => "Positional heads: mean weight at a fixed offset",
            Self::Merging => "Merging heads: weight that stays within the pieces of a word",
            Self::Interrogation => {
                "Interrogation heads: weight from interrogative words to the question mark"
            }
        }
    }

    fn counted(self) -> &'static str {
        match self {
            Self::Positional => "tokens",
            Self::Merging => "words",
            Self::Interrogation => "interrogative words",
        }
    }
}

impl RoleScores {
    /// α of a head, where it is learned.
    fn alpha(&self, of: &HeadScore) -> Option<f64> {
        self.alphas.as_ref()?.get(of.layer)?.get(of.head).copied()
    }

    /// What the scores say: the heads that pass, or that none does and which comes nearest.
    fn verdict(&self, threshold: f64) -> String {
        let bar = percent(threshold, 0);
        let write = |of: &HeadScore| {
            let alpha = self
                .alpha(of)
                .map(|alpha| format!(", α = {}", short(alpha, 2)));
            let alpha = alpha.unwrap_or_default();
            format!(
                "{}: {}{alpha}",
                head_name(of.layer, of.head),
                percent(of.score, 1)
            )
        };
        let passing = passing_heads(&self.scores, threshold);
        let passing: Vec<String> = passing.iter().map(write).collect();
        match (passing.as_slice(), best_head(&self.scores)) {
            ([], None) => "Nothing to score.".to_owned(),
            ([], Some(best)) => {
                format!(
                    "No head passes at this size (above {bar}); the best is {}.",
                    write(&best)
                )
            }
            ([only], _) => format!("One head passes (above {bar}): {only}."),
            (some, _) => format!(
                "{} heads pass (above {bar}): {}.",
                some.len(),
                some.join("; ")
            ),
        }
    }
}

impl Figure for RoleFigure {
    fn name(&self) -> String {
        self.role.as_str().to_owned()
    }

    fn check(&self) -> Result<()> {
        let check = Check::of(self.name());
        check.that(!self.scores.is_empty(), || "nothing was scored".into())?;
        check.within("the threshold", [self.threshold], 0.0, 1.0)?;
        for of in &self.scores {
            let name = format!("{} of {}, {}", of.measure, of.variant, of.attention);
            if of.n == 0 {
                check.that(of.scores.is_empty(), || {
                    format!("{name}: scores although there was nothing to score")
                })?;
                continue;
            }
            check.heads(&name, &of.scores, (0.0, 1.0))?;
            if let Some(alphas) = &of.alphas {
                check.heads(&format!("α of {name}"), alphas, (1.0, 2.0))?;
                check.alike(&format!("scores and α of {name}"), &of.scores, alphas)?;
            }
        }
        self.examples.iter().try_for_each(|of| of.check(&check))
    }

    fn csv(&self) -> Result<String> {
        let mut lines = Lines::new(&[
            "source",
            "variant",
            "attention",
            "measure",
            "layer",
            "head",
            "score",
            "alpha",
            "passes",
            "n",
        ]);
        for of in &self.scores {
            let mut heads = ranked_heads(&of.scores);
            heads.sort_by_key(|head| (head.layer, head.head));
            for head in heads {
                let passes = head.score > self.threshold;
                let names = ["ours", &of.variant, &of.attention, &of.measure];
                let mut line: Vec<String> = names.map(str::to_owned).into();
                line.extend([head.layer.to_string(), head.head.to_string()]);
                line.extend([head.score.to_string(), optional(of.alpha(&head))]);
                line.extend([passes.to_string(), of.n.to_string()]);
                lines.push(line);
            }
        }
        lines.finish()
    }

    fn svg(&self) -> Result<String> {
        self.check()?;
        let mut page = Page::new(self.role.title());
        page.note(&self.source.line());
        page.note(&format!(
            "A row is a layer, a column a head, a number the score in percent{}. Outlined heads pass: above {}.",
            match self.scores.iter().any(|of| of.alphas.is_some()) {
                true => ", with the head's α below it",
                false => "",
            },
            percent(self.threshold, 0)
        ));
        page.colour_bar(&ColourBar::new("score", 1.0, false));
        for measure in distinct(self.scores.iter().map(|of| &of.measure)) {
            page.heading(measure);
            let of_measure: Vec<&RoleScores> = self
                .scores
                .iter()
                .filter(|of| of.measure == measure)
                .collect();
            // Columns of the widest table.
            let n_heads = |of: &&RoleScores| of.scores.first().map_or(1, Vec::len);
            let widest = of_measure.iter().map(n_heads).max().unwrap_or(1);
            let n_columns = if widest > 8 { 2 } else { 3 };
            for of in of_measure.chunks(n_columns) {
                let height = |of: &&RoleScores| self.height(of, n_columns);
                let height = of.iter().map(height).fold(0.0, f64::max);
                let frames = page.row(n_columns, height, 16.0);
                for (of, frame) in of.iter().zip(frames) {
                    self.draw(&mut page.svg, frame, of);
                }
            }
            for of in self.published.iter().filter(|of| of.measure == measure) {
                let (corpus, variant) = (&of.corpus, variant_name(&of.variant));
                page.note(&format!("paper, {corpus}, {variant}: {}", of.found));
            }
        }
        self.draw_examples(&mut page);
        Ok(page.finish())
    }
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
                let n = format!("Mean over {n} {}.", self.role.counted());
                wrap(&format!("{} {n}", of.verdict(self.threshold)), width, 12.0)
            }
        }
    }

    fn height(&self, of: &RoleScores, n_columns: usize) -> f64 {
        let width = (crate::chart::WIDTH - 60.0) / n_columns as f64;
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
        // Long sentences need the whole width.
        let longest = self
            .examples
            .iter()
            .map(|of| of.keys.len())
            .max()
            .unwrap_or(0);
        let n_columns = if longest > 24 { 1 } else { 2 };
        let width = (crate::chart::WIDTH - 48.0) / n_columns as f64;
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
