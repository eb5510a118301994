//! Attention density by head and sequence.

use serde::{Deserialize, Serialize};

use super::Figure;
use super::check::Check;
use super::layout::{PanelGrid, distinct};
use super::source::{Shares, Source};
use super::table::Lines;
use crate::chart::{
    Axis, Key, Line, Mark, Page, Panel, attention_name, percent, variant_colour, variant_name,
};
use crate::error::Result;

/// Histogram of attention density, one value for each head and sequence, 15 bins on \[0, 1\] (AST,
/// figure "Distribution of attention densities"). File: `density-histogram`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DensityHistogramFigure {
    /// What was measured.
    pub source: Source,
    /// Ours, an entry for each attention type and variant.
    pub panels: Vec<VariantHistogram>,
    /// Published ones.
    pub published: Vec<PublishedHistogram>,
}

/// One attention type under one row normaliser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantHistogram {
    /// Attention type.
    pub attention: String,
    /// Row normaliser.
    pub variant: String,
    /// Shares by bin.
    pub histogram: Shares,
}

/// A published histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedHistogram {
    /// Corpus.
    pub corpus: String,
    /// Attention type.
    pub attention: String,
    /// Row normaliser.
    pub variant: String,
    /// Shares by bin.
    pub histogram: Shares,
}

/// A share of the values above which a bin leaves the axis.
const FULL: f64 = 0.8;

impl Figure for DensityHistogramFigure {
    fn name(&self) -> String {
        "density-histogram".to_owned()
    }

    fn check(&self) -> Result<()> {
        let check = Check::of(self.name());
        check.that(!self.panels.is_empty(), || "nothing was measured".into())?;
        for of in &self.panels {
            check.histogram(&format!("{}, {}", of.attention, of.variant), &of.histogram)?;
        }
        for of in &self.published {
            let name = format!("{}, {}, {}", of.corpus, of.attention, of.variant);
            check.histogram(&name, &of.histogram)?;
        }
        Ok(())
    }

    fn csv(&self) -> Result<String> {
        let head = [
            "source",
            "attention",
            "variant",
            "bin_low",
            "bin_high",
            "share",
            "n",
        ];
        let mut lines = Lines::new(&head);
        let ours =
            (self.panels.iter()).map(|of| ("ours", &of.attention, &of.variant, &of.histogram));
        let published = (self.published.iter()).map(|of| {
            (
                of.corpus.as_str(),
                &of.attention,
                &of.variant,
                &of.histogram,
            )
        });
        for (source, attention, variant, histogram) in ours.chain(published) {
            for line in histogram.lines() {
                let names = [source.to_owned(), attention.clone(), variant.clone()];
                lines.push(names.into_iter().chain(line).collect());
            }
        }
        lines.finish()
    }

    fn svg(&self) -> Result<String> {
        self.check()?;
        let mut page = Page::new("Distribution of attention density");
        page.note(&self.source.line());
        page.note(
            "One value for each head and sequence: the share of the keys with a weight above 0.",
        );
        let types = distinct(self.panels.iter().map(|of| &of.attention));
        let published = self.published.iter();
        let published: Vec<&PublishedHistogram> = published
            .filter(|of| types.contains(&of.attention.as_str()))
            .collect();
        let corpora = distinct(published.iter().map(|of| &of.corpus));
        let ours = self.panels.iter().map(|of| &of.variant);
        let variants = distinct(ours.chain(published.iter().map(|of| &of.variant)));
        let line = |variant: &str| {
            let at = variants.iter().position(|of| *of == variant).unwrap_or(0);
            let line = Line::new(variant_colour(variant, &variants), Mark::None);
            match at % 2 {
                0 => line,
                _ => Line {
                    dash: "7 2",
                    ..line
                },
            }
        };
        let key = |of: &&str| Key::Line(variant_name(of), line(of));
        page.legend(&variants.iter().map(key).collect::<Vec<_>>());
        let all = || {
            let ours = self.panels.iter().map(|of| &of.histogram);
            ours.chain(published.iter().map(|of| &of.histogram))
        };
        // Softmax has all its values in the last bin, beside which nothing else could be seen.
        let is_flat = |of: &&Shares| of.shares.iter().all(|share| *share < FULL);
        let has_flat = all().any(|of| is_flat(&of));
        let shown = all().filter(|of| !has_flat || is_flat(of));
        let y = Shares::axis(shown, "% of heads × sequences");
        let mut rows = vec![format!("ours, {}", self.source.corpus)];
        rows.extend(corpora.iter().map(|corpus| format!("paper, {corpus}")));
        let grid = PanelGrid {
            columns: types.iter().map(|of| attention_name(of)).collect(),
            rows,
            height: 175.0,
        };
        grid.draw(&mut page, |slot| {
            let of_type = types[slot.column];
            let y = if slot.is_left {
                y.clone()
            } else {
                y.clone().unnamed()
            };
            let x = Axis::linear("density", 0.0, 1.0, 5);
            let mut panel = Panel::new(slot.svg, slot.frame, &slot.title, x, y);
            let mut n_drawn = 0;
            for variant in &variants {
                let histogram = match slot.row.checked_sub(1).map(|at| corpora[at]) {
                    None => (self.panels.iter())
                        .find(|of| of.attention == of_type && of.variant == *variant)
                        .map(|of| &of.histogram),
                    Some(corpus) => (published.iter())
                        .find(|of| {
                            of.attention == of_type && of.variant == *variant && of.corpus == corpus
                        })
                        .map(|of| &of.histogram),
                };
                let Some(histogram) = histogram else { continue };
                n_drawn += 1;
                let steps = histogram.bins().flat_map(|(low, high, share)| {
                    [Some((low, 100.0 * share)), Some((high, 100.0 * share))]
                });
                let ends = [histogram.low, histogram.high].map(|end| Some((end, 0.0)));
                let [start, end] = ends;
                let outline = std::iter::once(start).chain(steps).chain([end]);
                panel.line(&outline.collect::<Vec<_>>(), line(variant));
            }
            if n_drawn == 0 {
                panel.empty(if slot.row == 0 {
                    "not measured"
                } else {
                    "not published"
                });
            }
        });
        let is_full = |of: &&VariantHistogram| has_flat && !is_flat(&&of.histogram);
        let full = self.panels.iter().filter(is_full);
        for variant in distinct(full.map(|of| &of.variant)) {
            page.note(&format!(
                "{}: at least {} of the values stand in one bin, whose line leaves the axis.",
                variant_name(variant),
                percent(FULL, 0)
            ));
        }
        Ok(page.finish())
    }
}
