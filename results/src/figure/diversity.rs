//! How much heads of a layer differ.

use serde::{Deserialize, Serialize};

use super::Figure;
use super::check::Check;
use super::layout::{PanelGrid, distinct};
use super::source::Source;
use super::table::Lines;
use crate::chart::{
    Axis, Key, Line, Mark, Page, Panel, attention_name, variant_colour, variant_name,
};
use crate::error::Result;

/// Jensen–Shannon divergence of the heads of each layer, 0 (all alike) to 1 (no key shared), by
/// attention type, row normalisers side by side (AST, figure "Jensen-Shannon Divergence between
/// heads at each layer"). File: `diversity`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiversityFigure {
    /// What was measured.
    pub source: Source,
    /// Ours, an entry for each attention type and variant.
    pub series: Vec<LayerDiversity>,
    /// Published ones.
    pub published: Vec<PublishedDiversity>,
}

/// One attention type under one row normaliser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerDiversity {
    /// Attention type.
    pub attention: String,
    /// Row normaliser.
    pub variant: String,
    /// Divergence by layer.
    pub layers: Vec<f64>,
}

/// A published line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedDiversity {
    /// Corpus.
    pub corpus: String,
    /// Attention type.
    pub attention: String,
    /// Row normaliser.
    pub variant: String,
    /// Divergence by layer.
    pub layers: Vec<f64>,
}

impl Figure for DiversityFigure {
    fn name(&self) -> String {
        "diversity".to_owned()
    }

    fn check(&self) -> Result<()> {
        let check = Check::of(self.name());
        check.that(!self.series.is_empty(), || "nothing was measured".into())?;
        for (_, attention, variant, layers) in self.all() {
            let name = format!("divergence of {attention}, {variant}");
            check.that(!layers.is_empty(), || format!("{name} has no layer"))?;
            check.within(&name, layers.iter().copied(), 0.0, 1.0)?;
        }
        Ok(())
    }

    fn csv(&self) -> Result<String> {
        let head = ["source", "attention", "variant", "layer", "divergence"];
        let mut lines = Lines::new(&head);
        for (corpus, attention, variant, layers) in self.all() {
            for (layer, value) in layers.iter().enumerate() {
                let names = [corpus.unwrap_or("ours"), attention, variant].map(str::to_owned);
                let numbers = [layer.to_string(), value.to_string()];
                lines.push(names.into_iter().chain(numbers).collect());
            }
        }
        lines.finish()
    }

    fn svg(&self) -> Result<String> {
        self.check()?;
        let mut page = Page::new("Diversity of heads: Jensen–Shannon divergence by layer");
        page.note(&self.source.line());
        page.note(
            "0: all heads of the layer attend alike; 1: no two of them share a key. Below the title of a panel: mean \
             over its layers, in the order of the legend.",
        );
        let types = distinct(self.series.iter().map(|of| &of.attention));
        let all: Vec<_> = (self.all())
            .filter(|(_, attention, ..)| types.contains(attention))
            .collect();
        let mut variants: Vec<&str> = Vec::new();
        let mut whose: Vec<Option<&str>> = vec![None];
        for (corpus, _, variant, _) in &all {
            if !variants.contains(variant) {
                variants.push(variant);
            }
            if !whose.contains(corpus) {
                whose.push(*corpus);
            }
        }
        let line = |at: usize| Line::new(variant_colour(variants[at], &variants), Mark::of(at));
        let key = |(at, of): (usize, &&str)| Key::Line(variant_name(of), line(at));
        page.legend(&variants.iter().enumerate().map(key).collect::<Vec<_>>());
        let values = all.iter().flat_map(|(.., layers)| layers.iter().copied());
        let highest = values.fold(0.05, f64::max);
        let heading = |corpus: &Option<&str>| match corpus {
            None => format!("ours, {}", self.source.corpus),
            Some(corpus) => format!("paper, {corpus}"),
        };
        let grid = PanelGrid {
            columns: types.iter().map(|of| attention_name(of)).collect(),
            rows: whose.iter().map(heading).collect(),
            height: 205.0,
        };
        grid.draw(&mut page, |slot| {
            let (of_type, corpus) = (types[slot.column], whose[slot.row]);
            let series: Vec<_> = (all.iter())
                .filter(|(of, attention, ..)| *of == corpus && *attention == of_type)
                .collect();
            let n_layers = series.iter().map(|(.., layers)| layers.len()).max();
            let y = Axis::linear(
                if slot.is_left { "divergence" } else { "" },
                0.0,
                1.08 * highest,
                6,
            );
            let x = Axis::layers(n_layers.unwrap_or(1));
            let mean = |of: &&str| {
                let layers = series.iter().find(|(.., variant, _)| variant == of);
                layers.map_or("–".to_owned(), |(.., layers)| {
                    format!("{:.3}", layers.iter().sum::<f64>() / layers.len() as f64)
                })
            };
            let means: Vec<String> = variants.iter().map(mean).collect();
            let title = format!(
                "{}
mean {}",
                slot.title,
                means.join(" · ")
            );
            let mut panel = Panel::new(slot.svg, slot.frame, &title, x, y);
            if series.is_empty() {
                panel.empty("not published");
            }
            for (.., variant, layers) in series {
                let at = variants.iter().position(|of| of == variant).unwrap_or(0);
                let points = layers.iter().enumerate();
                let points: Vec<_> = points
                    .map(|(layer, value)| Some((layer as f64, *value)))
                    .collect();
                panel.line(&points, line(at));
            }
        });
        Ok(page.finish())
    }
}

impl DiversityFigure {
    /// Corpus (none for ours), attention type, variant, and layers.
    fn all(&self) -> impl Iterator<Item = (Option<&str>, &str, &str, &[f64])> {
        let ours = self.series.iter().map(|of| {
            let (attention, variant) = (of.attention.as_str(), of.variant.as_str());
            (None, attention, variant, of.layers.as_slice())
        });
        let published = self.published.iter().map(|of| {
            let (attention, variant) = (of.attention.as_str(), of.variant.as_str());
            (
                Some(of.corpus.as_str()),
                attention,
                variant,
                of.layers.as_slice(),
            )
        });
        ours.chain(published)
    }
}
