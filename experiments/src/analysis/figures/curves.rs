//! Learning curves.

use std::path::PathBuf;

use anyhow::Result;
use sparta_results::figure::{CurveLine, CurvePanel, CurvesFigure};

use super::Made;
use crate::analysis::log::Log;
use crate::train::{METRICS, TIMING};

/// Points of a line at most.
const POINTS: usize = 400;

/// What is drawn: the name of the panel, the file and field it is in, and whether its axis is logarithmic.
const PANELS: [(&str, &str, &str, bool); 6] = [
    ("loss, train (nats)", METRICS, "train/nll", false),
    ("perplexity, valid", METRICS, "valid/ppl", true),
    ("BLEU, valid", METRICS, "valid/bleu", false),
    ("learning rate", METRICS, "train/lr", false),
    ("gradient norm", METRICS, "train/grad_norm", true),
    (
        "training speed (tokens/s)",
        TIMING,
        "tokens_per_second",
        false,
    ),
];

/// The curves of models in folders, by their names. Panels that no model has are left out.
///
/// # Errors
/// A log that cannot be read.
pub(in crate::analysis) fn curves(models: &[(String, PathBuf)]) -> Result<Made<CurvesFigure>> {
    let mut logs = Vec::new();
    for (name, folder) in models {
        let [metrics, timing] = [METRICS, TIMING].map(|file| Log::read(&folder.join(file)));
        logs.push((name, metrics?, timing?));
    }
    let panel = |&(measure, file, field, log): &(&str, &str, &str, bool)| {
        let line = |(name, metrics, timing): &(&String, Log, Log)| {
            let of = if file == METRICS { metrics } else { timing };
            let points = of.numbers(field);
            (!points.is_empty()).then(|| CurveLine::of(name.as_str(), &points, POINTS))
        };
        let lines: Vec<CurveLine> = logs.iter().filter_map(line).collect();
        let positive = |line: &CurveLine| line.y.iter().flatten().all(|&y| y > 0.0);
        (!lines.is_empty()).then(|| CurvePanel {
            measure: measure.to_owned(),
            log: log && lines.iter().all(positive),
            lines,
        })
    };
    let panels: Vec<CurvePanel> = PANELS.iter().filter_map(panel).collect();
    if panels.is_empty() {
        let folders = models
            .iter()
            .map(|(_, folder)| folder.display().to_string());
        return Ok(Err(format!(
            "no log of training ({METRICS}) in {}",
            folders.collect::<Vec<_>>().join(", ")
        )));
    }
    Ok(Ok(CurvesFigure {
        x: "training step".to_owned(),
        panels,
    }))
}
