//! Learned α by attention type.

use serde::{Deserialize, Serialize};

use super::Figure;
use super::check::Check;
use super::layout::{PanelGrid, Slot, distinct};
use super::source::{Shares, Source};
use super::table::Lines;
use crate::chart::{Axis, Bar, Colour, PAPER, Page, Panel, SERIES, Text, attention_name};
use crate::error::Result;

/// Histogram of the α that heads have learned, one panel for each attention type (AST, figure
/// "Distribution of learned α values per attention block": 15 bins on \[1, 2\]). File: `alpha`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlphaFigure {
    /// What was measured.
    pub source: Source,
    /// Ours, an entry for each attention type.
    pub types: Vec<TypeAlphas>,
    /// Published ones, of any of these attention types.
    pub published: Vec<PublishedAlphas>,
}

/// The learned α of one attention type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeAlphas {
    /// Attention type, such as `encoder-self`.
    pub attention: String,
    /// α, `[layer][head]`.
    pub alphas: Vec<Vec<f64>>,
    /// The same in bins on \[1, 2\].
    pub histogram: Shares,
}

/// A published histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedAlphas {
    /// Corpus, such as `IWSLT17 de-en`.
    pub corpus: String,
    /// Attention type.
    pub attention: String,
    /// Shares by bin.
    pub histogram: Shares,
}

impl Figure for AlphaFigure {
    fn name(&self) -> String {
        "alpha".to_owned()
    }

    fn check(&self) -> Result<()> {
        let check = Check::of(self.name());
        check.that(!self.types.is_empty(), || {
            "no attention type with a learned α; train one with the normaliser `alpha-entmax`"
                .into()
        })?;
        for of in &self.types {
            let n_heads: usize = of.alphas.iter().map(Vec::len).sum();
            check.heads(&format!("α of {}", of.attention), &of.alphas, (1.0, 2.0))?;
            check.histogram(&of.attention, &of.histogram)?;
            check.that(of.histogram.n == Some(n_heads as u64), || {
                let found = of.histogram.n.unwrap_or(0);
                format!(
                    "{} has {n_heads} heads, its histogram {found}",
                    of.attention
                )
            })?;
        }
        for of in &self.published {
            check.histogram(&format!("{}, {}", of.corpus, of.attention), &of.histogram)?;
        }
        Ok(())
    }

    fn csv(&self) -> Result<String> {
        let head = ["source", "attention", "bin_low", "bin_high", "share", "n"];
        let mut lines = Lines::new(&head);
        let ours = (self.types.iter()).map(|of| ("ours", &of.attention, &of.histogram));
        let published = self.published.iter();
        let published = published.map(|of| (of.corpus.as_str(), &of.attention, &of.histogram));
        for (source, attention, histogram) in ours.chain(published) {
            for line in histogram.lines() {
                let names = [source.to_owned(), attention.clone()];
                lines.push(names.into_iter().chain(line).collect());
            }
        }
        lines.finish()
    }

    fn svg(&self) -> Result<String> {
        self.check()?;
        let mut page = Page::new("Learned α by attention type");
        page.note(&self.source.line());
        page.note(
            "Share of the heads in each bin of α, number of heads above the bar. α = 1 is softmax, α = 2 \
             sparsemax.",
        );
        let types: Vec<&str> = distinct(self.types.iter().map(|of| &of.attention));
        let shown = |of: &&PublishedAlphas| types.contains(&of.attention.as_str());
        let published: Vec<&PublishedAlphas> = self.published.iter().filter(shown).collect();
        let corpora = distinct(published.iter().map(|of| &of.corpus));
        let mut rows = vec![format!("ours, {}", self.source.run)];
        rows.extend(corpora.iter().map(|corpus| format!("paper, {corpus}")));
        let all = || {
            let ours = self.types.iter().map(|of| &of.histogram);
            ours.chain(published.iter().map(|of| &of.histogram))
        };
        let grid = PanelGrid {
            columns: types.iter().map(|of| attention_name(of)).collect(),
            rows,
            height: 165.0,
        };
        let y = Shares::axis(all(), "% of heads");
        grid.draw(&mut page, |slot| {
            let of_type = types[slot.column];
            let histogram = match slot.row.checked_sub(1).map(|at| corpora[at]) {
                None => (self.types.iter().find(|of| of.attention == of_type))
                    .map(|of| (&of.histogram, SERIES[0])),
                Some(corpus) => published
                    .iter()
                    .find(|of| of.attention == of_type && of.corpus == corpus)
                    .map(|of| (&of.histogram, PAPER)),
            };
            draw(slot, y.clone(), histogram);
        });
        Ok(page.finish())
    }
}

fn draw(slot: Slot<'_>, y: Axis, histogram: Option<(&Shares, Colour)>) {
    let y = if slot.is_left { y } else { y.unnamed() };
    let x = Axis::linear("α", 1.0, 2.0, 5);
    let mut panel = Panel::new(slot.svg, slot.frame, &slot.title, x, y);
    let Some((histogram, colour)) = histogram else {
        panel.empty("not published");
        return;
    };
    let bar = |(from, to, share): (f64, f64, f64)| Bar {
        from,
        to,
        value: 100.0 * share,
        colour,
    };
    let bars: Vec<Bar> = histogram.bins().map(bar).collect();
    panel.bars(&bars);
    let Some(n) = histogram.n else { return };
    for bar in bars.iter().filter(|bar| bar.value > 0.0) {
        let count = (bar.value / 100.0 * n as f64).round();
        let (x, y) = panel.place((bar.from + bar.to) / 2.0, bar.value);
        let style = Text::size(10.5).middle();
        panel.svg.text((x, y - 3.0), &count.to_string(), style);
    }
}
