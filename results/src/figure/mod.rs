//! Figures: what attention does, as numbers and as pictures.
//!
//! Each figure is a struct of numbers that whoever measures fills; [`save`] writes it as JSON, CSV and
//! SVG. The picture and the CSV are drawn from the numbers *as the JSON holds them* (rounded), so
//! the three cannot differ. Layers and heads count from 0 in JSON and CSV, from 1 in pictures, as in
//! the papers.
//!
//! Where a figure was published, the struct takes the published numbers too, and the picture
//! shows them as panels of the same axes that name their corpus.

mod alpha;
mod check;
mod curves;
mod density;
mod density_histogram;
mod diversity;
mod grid;
mod head_role;
mod json;
mod layout;
mod omega;
mod overlap;
mod pattern;
mod published;
mod sentence;
mod source;
mod sparsity;
mod table;
mod trajectory;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Result, ResultsError};
use crate::record::write_atomic;

pub use alpha::{AlphaFigure, PublishedAlphas, TypeAlphas};
pub use curves::{CurveLine, CurvePanel, CurvesFigure};
pub use density::{DensityFigure, HeadDensity, PublishedDensity};
pub use density_histogram::{DensityHistogramFigure, PublishedHistogram, VariantHistogram};
pub use diversity::{DiversityFigure, LayerDiversity, PublishedDiversity};
pub use grid::Grid;
pub use head_role::{PublishedScores, Role, RoleFigure, RoleScores};
pub use omega::{OmegaCurve, OmegaFigure, OmegaSurface};
pub use overlap::{OverlapFigure, OverlapMatrix};
pub use pattern::{HeadPattern, PatternFigure};
pub use published::{
    INTERROGATION, MERGING, Published, WITHIN_WORD, measure_of_offset, published_heads,
    published_scores,
};
pub use sentence::SentenceWeights;
pub use source::{Shares, Source};
pub use sparsity::{BlocksLeft, MaskSparsity, SparsityFigure};
pub use trajectory::{HeadTrajectory, PublishedHead, TrajectoryFigure};

/// A figure: its numbers, and how they are written and drawn.
pub trait Figure: Serialize + DeserializeOwned {
    /// Name of its files without their ending, such as `density` or `pattern-encoder-self`.
    fn name(&self) -> String;

    /// Whether the numbers belong together.
    ///
    /// # Errors
    /// [`ResultsError::Figure`] for a number that is not finite, shapes that disagree, or nothing
    /// to draw.
    fn check(&self) -> Result<()>;

    /// The numbers as comma-separated values, one observation a line.
    ///
    /// # Errors
    /// As [`Figure::check`].
    fn csv(&self) -> Result<String>;

    /// The picture, 880 px wide: the same numbers give the same bytes on every machine.
    ///
    /// # Errors
    /// As [`Figure::check`].
    fn svg(&self) -> Result<String>;
}

/// Writes `NAME.json`, `NAME.csv` and `NAME.svg` into `folder` (made if need be), each at once or not
/// at all, and returns the files. CSV and picture are made from the numbers that the JSON holds:
/// six significant digits, three for cells of [`Grid`]s and of sentences.
///
/// # Errors
/// As [`Figure::check`], and nothing is written; [`ResultsError::Occupied`] for a file of that name that is none of such a figure; [`ResultsError::Io`] if the disk refuses.
pub fn save<F: Figure>(figure: &F, folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    figure.check()?;
    let name = figure.name();
    let text = json::write(&name, figure)?;
    let written: F = json::read(&name, &text)?;
    let (csv, svg) = (written.csv()?, written.svg()?);
    let folder = folder.as_ref();
    let file = |end: &str| folder.join(format!("{name}.{end}"));
    let files = [(file("json"), text), (file("csv"), csv), (file("svg"), svg)];
    // Numbers are written first, so that what was interrupted has them.
    if !json::is_figure(&file("json"), &name)
        && let Some((path, _)) = files.iter().find(|(path, _)| path.exists())
    {
        return Err(ResultsError::Occupied(path.clone()));
    }
    files
        .iter()
        .try_for_each(|(path, text)| write_atomic(path, text.as_bytes()))?;
    Ok(files.map(|(path, _)| path).into())
}

/// Reads the figure back that [`save`] wrote.
///
/// # Errors
/// [`ResultsError::Io`] without such a file, [`ResultsError::Figure`] if it holds another figure or
/// was written by another version.
pub fn load<F: Figure>(path: impl AsRef<Path>) -> Result<F> {
    let path = path.as_ref();
    let text =
        std::fs::read_to_string(path).map_err(|source| ResultsError::io("read", path, source))?;
    let figure: F = json::read(&path.display().to_string(), &text)?;
    figure.check()?;
    Ok(figure)
}
