//! Density of attention.

use sparta_ops::pruning::AttentionType;
use sparta_results::figure::{
    DensityFigure, DensityHistogramFigure, HeadDensity, Published, VariantHistogram,
};

use super::{Made, measures, merged, source};
use crate::analysis::measure::{Measured, TypeMeasures};

/// Why there is no density.
const NOTHING: &str = "no query was read";

/// Density, union density and support size of each head.
pub(in crate::analysis) fn density(
    run: &str,
    all: &[Measured],
    published: &Published,
) -> Made<DensityFigure> {
    let panel = |(of, kind, types): (&Measured, AttentionType, &TypeMeasures)| {
        let layers = || types.layers.iter().map(|layer| &layer.density);
        Some(HeadDensity {
            attention: kind.to_string(),
            variant: of.variant.clone(),
            density: layers().map(|of| of.heads()).collect(),
            union: layers().map(|of| of.union()).collect::<Option<_>>()?,
            support: layers().map(|of| of.support_sizes()).collect(),
            alphas: types.alphas.clone(),
        })
    };
    let panels: Option<Vec<_>> = measures(all).map(panel).collect();
    let panels = panels.filter(|panels| !panels.is_empty());
    Ok(DensityFigure {
        source: source(run, all),
        panels: panels.ok_or(NOTHING)?,
        published: published.density.clone(),
    })
}

/// Density of single sequences.
pub(in crate::analysis) fn density_histogram(
    run: &str,
    all: &[Measured],
    published: &Published,
) -> Made<DensityHistogramFigure> {
    let panels: Option<Vec<_>> = measures(all)
        .map(|(of, kind, types)| {
            let layers = types.layers.iter();
            let histogram = merged(layers.map(|layer| layer.density.histogram().clone()))?;
            (histogram.total() > 0).then(|| VariantHistogram {
                attention: kind.to_string(),
                variant: of.variant.clone(),
                histogram: (&histogram).into(),
            })
        })
        .collect();
    let panels = panels.filter(|panels| !panels.is_empty());
    Ok(DensityHistogramFigure {
        source: source(run, all),
        panels: panels.ok_or(NOTHING)?,
        published: published.density_histogram.clone(),
    })
}
