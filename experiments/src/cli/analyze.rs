//! `sparta analyze`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::analysis::{self, Analyze, FigureName};
use crate::device::{DeviceChoice, SPELLINGS};

/// The previous and the next position.
const OFFSETS: [i64; 2] = [-1, 1];
/// No sequence is longer.
const MAX_OFFSET: i64 = 1 << 20;

#[derive(Debug, Clone, Args)]
pub(super) struct AnalyzeOptions {
    /// Run folder of any program, or the folder of one model in it (RUN/seed-1/NAME/dense, RUN/seed-1/NAME/rows/ROW);
    /// several for `--figure curves`, none for `omega`
    #[arg(value_name = "RUN[/MODEL]|omega")]
    runs: Vec<PathBuf>,
    /// A figure (repeatable, or with commas) [default: all that the run can give]
    #[arg(long = "figure", value_name = "NAME", value_delimiter = ',')]
    figures: Vec<FigureName>,
    /// The seed whose dense models are read [default: the first of the run]; figures go to RUN/seed-N/figures
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Read the first N examples of the validation set (pairs, texts, windows or segments) [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    examples: Option<u64>,
    /// Offsets of positional heads (repeatable, or with commas) [default: -1,1]
    #[arg(long = "offset", value_name = "N,N", value_delimiter = ',', allow_hyphen_values = true,
          value_parser = clap::value_parser!(i64).range(-MAX_OFFSET..=MAX_OFFSET))]
    offsets: Vec<i64>,
    /// Words that ask, instead of the recipe's `interrogatives` or the list for the language (en, de)
    #[arg(long, value_name = "WORD,WORD", value_delimiter = ',')]
    interrogatives: Vec<String>,
    /// Folder with the corpus files as published, where the run reads them again
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of the figures [default: figures in the given folder; of several runs and omega ./figures]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[arg(long, value_name = "DEVICE", help = format!("{SPELLINGS} [default: auto]"))]
    device: Option<DeviceChoice>,
    /// No progress output, and no table of claims
    #[arg(long, short)]
    quiet: bool,
}

impl AnalyzeOptions {
    /// # Errors
    /// A figure in the place of a run.
    fn request(self) -> Result<Analyze> {
        let (mut runs, mut figures) = (Vec::new(), self.figures);
        for run in self.runs {
            let name = run.to_str().filter(|_| !run.is_dir());
            match name.and_then(|name| FigureName::from_str(name, false).ok()) {
                Some(FigureName::Omega) => figures.push(FigureName::Omega),
                Some(figure) => {
                    bail!("`{figure}` is a figure of a run: `sparta analyze RUN --figure {figure}`")
                }
                None => runs.push(run),
            }
        }
        figures.sort_unstable();
        figures.dedup();
        let (mut offsets, mut seen) = (self.offsets, Vec::new());
        if offsets.is_empty() {
            offsets = OFFSETS.to_vec();
        }
        offsets.retain(|offset| {
            let is_new = !seen.contains(offset);
            seen.push(*offset);
            is_new
        });
        Ok(Analyze {
            runs,
            figures,
            seed: self.seed,
            examples: self.examples.map(usize::try_from).transpose()?,
            offsets,
            interrogatives: self.interrogatives,
            data: self.data,
            out: self.out,
            device: self.device.unwrap_or_default(),
            quiet: self.quiet,
        })
    }
}

/// Does what was asked.
///
/// # Errors
/// Those of [`analysis::analyze`].
pub(super) fn analyze(options: AnalyzeOptions) -> Result<()> {
    analysis::analyze(&options.request()?)
}
