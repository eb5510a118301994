//! Diversity of heads.

use sparta_results::figure::{DiversityFigure, LayerDiversity, Published};

use super::{Made, measures, source};
use crate::analysis::measure::Measured;

/// Jensen–Shannon divergence by layer, attention types and normalisers side by side.
pub(in crate::analysis) fn diversity(
    run: &str,
    all: &[Measured],
    published: &Published,
) -> Made<DiversityFigure> {
    let series = measures(all).map(|(of, kind, types)| {
        let layers = types.layers.iter().map(|layer| layer.diversity.mean());
        Some(LayerDiversity {
            attention: kind.to_string(),
            variant: of.variant.clone(),
            layers: layers.collect::<Option<_>>()?,
        })
    });
    let series: Option<Vec<_>> = series.collect();
    let series = series.filter(|series| !series.is_empty());
    Ok(DiversityFigure {
        source: source(run, all),
        series: series.ok_or("no query was read")?,
        published: published.diversity.clone(),
    })
}
