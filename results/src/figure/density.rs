//! Attention density by layer and head.

use serde::{Deserialize, Serialize};

use super::Figure;
use super::check::Check;
use super::layout::{PanelGrid, Slot, distinct};
use super::source::Source;
use super::table::{Lines, optional};
use crate::chart::{
    Axis, Colour, Key, Line, Mark, Page, Panel, attention_name, variant_colour, variant_name,
};
use crate::error::Result;

/// Share of the keys that a head gives a weight above 0, the heads of each layer sorted by it (AST,
/// figure "Head density per layer"). File: `density`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DensityFigure {
    /// What was measured.
    pub source: Source,
    /// Ours, an entry for each attention type and variant.
    pub panels: Vec<HeadDensity>,
    /// Published ones.
    pub published: Vec<PublishedDensity>,
}

/// The density of one attention type under one row normaliser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadDensity {
    /// Attention type.
    pub attention: String,
    /// Row normaliser, such as `1.5-entmax`.
    pub variant: String,
    /// Density, `[layer][head]`, heads in their own order.
    pub density: Vec<Vec<f64>>,
    /// Share of the keys that at least one head of the layer attends to, by layer.
    pub union: Vec<f64>,
    /// Mean support size: keys with a weight above 0 per query, `[layer][head]`.
    pub support: Vec<Vec<f64>>,
    /// α, `[layer][head]`, where it is learned.
    pub alphas: Option<Vec<Vec<f64>>>,
}

/// A published panel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedDensity {
    /// Corpus.
    pub corpus: String,
    /// Attention type.
    pub attention: String,
    /// Row normaliser.
    pub variant: String,
    /// Density, `[layer][rank]`, rising within a layer (the head of a rank is not published).
    pub density: Vec<Vec<f64>>,
}

const MEAN: Line = Line {
    colour: Colour(0, 0, 0),
    width: 2.4,
    dash: "",
    mark: Mark::None,
};
const UNION: Line = Line {
    colour: Colour(0x55, 0x55, 0x55),
    width: 1.8,
    dash: "5 3",
    mark: Mark::None,
};

impl Figure for DensityFigure {
    fn name(&self) -> String {
        "density".to_owned()
    }

    fn check(&self) -> Result<()> {
        let check = Check::of(self.name());
        check.that(!self.panels.is_empty(), || "nothing was measured".into())?;
        for of in &self.panels {
            let name = format!("{}, {}", of.attention, of.variant);
            check.heads(&format!("density of {name}"), &of.density, (0.0, 1.0))?;
            check.within(
                &format!("union of {name}"),
                of.union.iter().copied(),
                0.0,
                1.0,
            )?;
            check.that(of.union.len() == of.density.len(), || {
                let (layers, found) = (of.density.len(), of.union.len());
                format!("{name}: {layers} layers, but a union of {found}")
            })?;
            check.heads(
                &format!("support of {name}"),
                &of.support,
                (0.0, f64::INFINITY),
            )?;
            check.alike(
                &format!("density and support of {name}"),
                &of.density,
                &of.support,
            )?;
            if let Some(alphas) = &of.alphas {
                check.heads(&format!("α of {name}"), alphas, (1.0, 2.0))?;
                check.alike(&format!("density and α of {name}"), &of.density, alphas)?;
            }
        }
        for of in &self.published {
            let name = format!("density of {}, {}, {}", of.corpus, of.attention, of.variant);
            check.heads(&name, &of.density, (0.0, 1.0))?;
        }
        Ok(())
    }

    fn csv(&self) -> Result<String> {
        let mut lines = Lines::new(&[
            "source",
            "attention",
            "variant",
            "layer",
            "head",
            "rank",
            "density",
            "support",
            "alpha",
            "union",
        ]);
        for of in &self.panels {
            for (layer, heads) in of.density.iter().enumerate() {
                for (head, density) in heads.iter().enumerate() {
                    let is_before = |(at, other): (usize, &f64)| (*other, at) < (*density, head);
                    let rank = heads.iter().enumerate().filter(|of| is_before(*of)).count();
                    let alpha = of.alphas.as_ref().map(|alphas| alphas[layer][head]);
                    let mut line =
                        vec!["ours".to_owned(), of.attention.clone(), of.variant.clone()];
                    line.extend([layer, head, rank].map(|at| at.to_string()));
                    line.extend([density.to_string(), of.support[layer][head].to_string()]);
                    line.extend([optional(alpha), of.union[layer].to_string()]);
                    lines.push(line);
                }
            }
        }
        for of in &self.published {
            for (layer, ranks) in of.density.iter().enumerate() {
                for (rank, density) in ranks.iter().enumerate() {
                    let mut line =
                        vec![of.corpus.clone(), of.attention.clone(), of.variant.clone()];
                    line.extend([layer.to_string(), String::new(), rank.to_string()]);
                    line.extend([
                        density.to_string(),
                        String::new(),
                        String::new(),
                        String::new(),
                    ]);
                    lines.push(line);
                }
            }
        }
        lines.finish()
    }

    fn svg(&self) -> Result<String> {
        self.check()?;
        let mut page = Page::new("Attention density: share of the keys with a weight above 0");
        page.note(&self.source.line());
        let types = distinct(self.panels.iter().map(|of| &of.attention));
        let variants = distinct(self.panels.iter().map(|of| &of.variant));
        let published = self.published.iter();
        let published: Vec<&PublishedDensity> = published
            .filter(|of| types.contains(&of.attention.as_str()))
            .collect();
        // A variant without zeros needs no panels beside others.
        let (full, sparse): (Vec<&str>, Vec<&str>) =
            variants.iter().partition(|of| self.is_full(of));
        let (unseen, variants) = match sparse.is_empty() {
            true => (sparse, full),
            false => (full, sparse),
        };
        // A row for each variant of ours, then for each corpus and variant.
        let mut rows: Vec<(Option<&str>, &str)> = variants.iter().map(|of| (None, *of)).collect();
        for corpus in distinct(published.iter().map(|of| &of.corpus)) {
            let of_corpus = published.iter().filter(|of| of.corpus == corpus);
            let variants = distinct(of_corpus.map(|of| &of.variant));
            rows.extend(variants.into_iter().map(|of| (Some(corpus), of)));
        }
        let all: Vec<&str> = rows.iter().map(|row| row.1).collect();
        let thin = |variant: &str| Line {
            width: 1.3,
            ..Line::new(variant_colour(variant, &all), Mark::None)
        };
        let mut shown: Vec<&str> = Vec::new();
        for variant in &all {
            if !shown.contains(variant) {
                shown.push(variant);
            }
        }
        let mut keys: Vec<Key> = (shown.iter())
            .map(|of| {
                Key::Line(
                    format!("{}: one rank of the sorted heads", variant_name(of)),
                    thin(of),
                )
            })
            .collect();
        keys.push(Key::Line("mean of the heads".to_owned(), MEAN));
        keys.push(Key::Line(
            "keys that any head attends to (union; ours)".to_owned(),
            UNION,
        ));
        page.legend(&keys);
        let heading = |(corpus, variant): &(Option<&str>, &str)| {
            let whose = match corpus {
                None => format!("ours, {}", self.source.corpus),
                Some(corpus) => format!("paper, {corpus}"),
            };
            format!("{}: {whose}", variant_name(variant))
        };
        let grid = PanelGrid {
            columns: types.iter().map(|of| attention_name(of)).collect(),
            rows: rows.iter().map(heading).collect(),
            height: 185.0,
        };
        grid.draw(&mut page, |slot| {
            let (of_type, (corpus, variant)) = (types[slot.column], rows[slot.row]);
            let line = thin(variant);
            match corpus {
                None => {
                    let is_it =
                        |of: &&HeadDensity| of.attention == of_type && of.variant == variant;
                    let found = self.panels.iter().find(is_it);
                    let density = found.map(|of| (of.density.as_slice(), Some(of)));
                    draw(slot, line, density, "not measured");
                }
                Some(corpus) => {
                    let is_it = |of: &&&PublishedDensity| {
                        (of.attention == of_type && of.variant == variant) && of.corpus == corpus
                    };
                    let found = published.iter().find(is_it);
                    let density = found.map(|of| (of.density.as_slice(), None));
                    draw(slot, line, density, "not published");
                }
            }
        });
        for variant in unseen {
            page.note(&format!(
                "{} is not drawn: every head gives every key a weight above 0.",
                variant_name(variant)
            ));
        }
        Ok(page.finish())
    }
}

impl DensityFigure {
    /// Whether no head of a variant of ours has a zero, but for rounding.
    fn is_full(&self, variant: &str) -> bool {
        let of_variant = self.panels.iter().filter(|of| of.variant == variant);
        let mut density = of_variant.flat_map(|of| of.density.iter().flatten());
        density.all(|share| *share > 0.9995)
    }
}

/// Mean over all heads of all layers.
fn mean_of(values: &[Vec<f64>]) -> f64 {
    let n: usize = values.iter().map(Vec::len).sum();
    values.iter().flatten().sum::<f64>() / n.max(1) as f64
}

fn draw(
    slot: Slot<'_>,
    line: Line,
    density: Option<(&[Vec<f64>], Option<&HeadDensity>)>,
    why: &str,
) {
    let y = Axis::linear(if slot.is_left { "density" } else { "" }, 0.0, 1.0, 5);
    let n_layers = density.map_or(1, |(density, _)| density.len());
    let title = match density {
        None => slot.title,
        Some((density, ours)) => {
            let support = ours.map(|of| format!(", {:.1} keys a query", mean_of(&of.support)));
            let mean = mean_of(density);
            format!(
                "{}
mean {mean:.3}{}",
                slot.title,
                support.unwrap_or_default()
            )
        }
    };
    let mut panel = Panel::new(slot.svg, slot.frame, &title, Axis::layers(n_layers), y);
    let Some((density, ours)) = density else {
        panel.empty(why);
        return;
    };
    let sorted: Vec<Vec<f64>> = density
        .iter()
        .map(|heads| {
            let mut heads = heads.clone();
            heads.sort_by(f64::total_cmp);
            heads
        })
        .collect();
    let mut lines = |values: Vec<f64>, line: Line| {
        let points = values.into_iter().enumerate();
        let points: Vec<_> = points.map(|(at, value)| Some((at as f64, value))).collect();
        panel.line(&points, line);
    };
    for rank in 0..sorted.first().map_or(0, Vec::len) {
        lines(sorted.iter().map(|heads| heads[rank]).collect(), line);
    }
    if let Some(of) = ours {
        lines(of.union.clone(), UNION);
    }
    let mean = |heads: &Vec<f64>| heads.iter().sum::<f64>() / heads.len().max(1) as f64;
    lines(density.iter().map(mean).collect(), MEAN);
}
