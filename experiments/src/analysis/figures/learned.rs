//! The learned α: where it ends, and how it got there.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use sparta_ops::pruning::AttentionType;
use sparta_results::attention::{ALPHA_BINS, Histogram};
use sparta_results::figure::{
    AlphaFigure, HeadTrajectory, Published, Source, TrajectoryFigure, TypeAlphas, published_heads,
};

use super::Made;
use crate::analysis::log::Log;

/// Why a network has no α.
pub(in crate::analysis) const NO_ALPHA: &str = "no network of this run learns α; train one with \
     `--set 'model.normalizers=[\"softmax\", \"entmax15\", \"alpha_entmax\"]'` in a new run folder";

/// Histogram of the α of one network.
pub(in crate::analysis) fn alpha(
    source: Source,
    alphas: &BTreeMap<AttentionType, Vec<Vec<f64>>>,
    published: &Published,
) -> Made<AlphaFigure> {
    if alphas.is_empty() {
        return Err(NO_ALPHA.to_owned());
    }
    let of_type = |(kind, layers): (&AttentionType, &Vec<Vec<f64>>)| {
        let values = layers.iter().flatten().copied();
        TypeAlphas {
            attention: kind.to_string(),
            alphas: layers.clone(),
            histogram: (&Histogram::of(ALPHA_BINS, values)).into(),
        }
    };
    Ok(AlphaFigure {
        source,
        types: alphas.iter().map(of_type).collect(),
        published: published.alphas.clone(),
    })
}

/// The α of every head over the training of the model in a folder.
///
/// # Errors
/// A log that cannot be read.
pub(in crate::analysis) fn trajectory(
    source: Source,
    folder: &Path,
) -> Result<Made<TrajectoryFigure>> {
    let log = Log::read(&folder.join(crate::train::METRICS))?;
    let mut by_layer: Vec<(AttentionType, usize, BTreeMap<u64, Vec<f64>>)> = Vec::new();
    for kind in AttentionType::ALL {
        let layers = (0..).map(|layer| log.lists(&format!("alpha/{kind}/{layer}")));
        let layers = layers.take_while(|steps| !steps.is_empty()).enumerate();
        by_layer.extend(layers.map(|(layer, steps)| (kind, layer, steps)));
    }
    let Some((_, _, first)) = by_layer.first() else {
        return Ok(Err(format!(
            "the log of {} has no α: earlier versions wrote none; train it again in a new run folder (`--out DIR`)",
            folder.display()
        )));
    };
    // A line has every layer.
    let steps: Vec<u64> = first.keys().copied().collect();
    let mut heads = Vec::new();
    for (kind, layer, by_step) in &by_layer {
        let rows: Option<Vec<&Vec<f64>>> = steps.iter().map(|step| by_step.get(step)).collect();
        let n_heads = rows.iter().flatten().map(|row| row.len()).min();
        let (Some(rows), Some(n_heads)) = (rows, n_heads) else {
            return Ok(Err(format!(
                "the log of {} lacks α of {kind} layer {layer} at some steps",
                folder.display()
            )));
        };
        heads.extend((0..n_heads).map(|head| HeadTrajectory {
            attention: kind.to_string(),
            layer: *layer,
            head,
            alphas: rows.iter().map(|row| row[head]).collect(),
        }));
    }
    Ok(Ok(TrajectoryFigure {
        source,
        steps,
        heads,
        published: published_heads(),
    }))
}
