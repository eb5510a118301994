//! Which published claims hold on a run: what was measured, as the claims are about.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use sparta_ops::pruning::AttentionType;
use sparta_results::attention::{
    Findings, ModelFindings, PublishedClaim, SeedClaims, claims, claims_table,
};
use sparta_results::figure::TrajectoryFigure;

use super::measure::{Alphas, Measured};
use crate::io::{read_text, write_text};

/// The claims on what was measured, with the trajectories of the learned α and what else a network says of itself.
pub(super) fn of(
    all: &[Measured],
    learned: Option<(&str, &Alphas)>,
    trajectory: Option<(&str, &TrajectoryFigure)>,
) -> Vec<PublishedClaim> {
    let mut findings = Findings::default();
    for measured in all {
        let model = findings
            .normalizers
            .entry(measured.variant.clone())
            .or_default();
        fill(model, measured);
    }
    if let Some((variant, alphas)) = learned {
        let model = findings.normalizers.entry(variant.to_owned()).or_default();
        let of =
            |(kind, layers): (&AttentionType, &Vec<Vec<f64>>)| (kind.to_string(), layers.concat());
        model.alphas = alphas.iter().map(of).collect();
    }
    if let Some((variant, trajectory)) = trajectory {
        let model = findings.normalizers.entry(variant.to_owned()).or_default();
        let heads = trajectory.heads.iter();
        model.trajectories = heads.filter_map(|head| head.trajectory()).collect();
    }
    claims(&findings)
}

fn fill(model: &mut ModelFindings, measured: &Measured) {
    for (kind, types) in &measured.types {
        let layers = || types.layers.iter();
        let diversity: Option<Vec<f64>> = layers().map(|layer| layer.diversity.mean()).collect();
        model
            .diversity
            .insert(kind.to_string(), diversity.unwrap_or_default());
        let density = layers().map(|layer| layer.density.heads()).collect();
        model.density.insert(kind.to_string(), density);
        if *kind == AttentionType::EncoderSelf {
            let n_offsets = layers().next().map_or(0, |layer| layer.positional.len());
            for at in 0..n_offsets {
                let of = layers().map(|layer| &layer.positional[at]);
                let heads = of.clone().map(|of| of.heads()).collect();
                let offset = of.map(|of| of.offset()).next().unwrap_or(0);
                model.positional.insert(offset, heads);
            }
            model.merging = layers().map(|layer| layer.merging.heads()).collect();
            model.interrogation = layers().map(|layer| layer.interrogation.heads()).collect();
        }
    }
}

/// Writes the claims beside the figures, as JSON (with the seed that was read), CSV and Markdown.
///
/// # Errors
/// If the disk refuses.
pub(super) fn save(of_seed: &SeedClaims, folder: &Path) -> Result<Vec<PathBuf>> {
    let table = claims_table(&of_seed.claims);
    let files = [
        ("json", serde_json::to_string_pretty(of_seed)? + "\n"),
        ("csv", table.to_csv()?),
        ("md", table.to_markdown()),
    ];
    // Claims of figures are an object with the seed, or in earlier versions a list of them; they are written first.
    let is_ours = read_text(&folder.join("claims.json")).is_ok_and(|text| {
        let there: Option<serde_json::Value> = serde_json::from_str(&text).ok();
        there.is_some_and(|there| there.is_array() || there.get("claims").is_some())
    });
    let paths = files
        .each_ref()
        .map(|(ending, _)| folder.join(format!("claims.{ending}")));
    let foreign = paths.iter().find(|path| path.exists() && !is_ours);
    if let Some(path) = foreign {
        bail!(
            "{} is there already and is none of claims of figures: move it, or give another folder",
            path.display()
        );
    }
    let mut written = Vec::new();
    for ((_, text), path) in files.into_iter().zip(paths) {
        write_text(&path, &text)?;
        written.push(path);
    }
    Ok(written)
}
