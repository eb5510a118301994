//! Comma-separated values.

use std::collections::BTreeSet;

use crate::error::{Result, ResultsError};
use crate::record::PaperReference;
use crate::render::aggregate::{Group, Percent};
use crate::render::number::short;

/// Joins rows of cells to csv text with `\n` line ends, quoting where needed.
pub(crate) fn write_csv<R, C>(rows: impl IntoIterator<Item = R>) -> Result<String>
where
    R: IntoIterator<Item = C>,
    C: AsRef<[u8]>,
{
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| ResultsError::Csv(error.into_error().into()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The columns of every table of scores; each line is one of [`score_line`].
pub(super) const SCORE_HEAD: [&str; 10] = [
    "row",
    "p_nominal",
    "p_effective",
    "mask",
    "metric",
    "value",
    "paper",
    "n_runs",
    "n_seeds",
    "signature",
];

/// A table of scores as csv text.
pub(super) fn write_scores(lines: impl IntoIterator<Item = Vec<String>>) -> Result<String> {
    write_csv(std::iter::once(SCORE_HEAD.map(String::from).to_vec()).chain(lines))
}

/// The number of seeds that runs are of; one seed has several runs where masks are drawn at random.
pub(crate) fn n_seeds(seeds: impl Iterator<Item = u64>) -> usize {
    seeds.collect::<BTreeSet<_>>().len()
}

/// One score: the mean of a group.
pub(super) fn score_line(
    row: &str,
    p: Option<Percent>,
    mask: &str,
    group: &Group,
    paper: Option<&PaperReference>,
) -> Vec<String> {
    vec![
        row.to_string(),
        p.map_or(String::new(), |p| short(p.get(), 3)),
        group
            .p_effective
            .filter(|_| p.is_some())
            .map_or(String::new(), |p| short(p, 6)),
        mask.to_owned(),
        group.key.metric.to_string(),
        short(group.mean, 6),
        paper.map_or(String::new(), |paper| short(paper.value, 6)),
        group.n.to_string(),
        n_seeds(group.seeds.iter().map(|(seed, _)| *seed)).to_string(),
        group.key.signature.clone(),
    ]
}
