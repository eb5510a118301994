//! `sparta report`.

use std::path::PathBuf;

use clap::Args;
use sparta_results::overview::Format;

use crate::report::Report;

/// Make the tables of one run, or of a folder of runs, from their records alone
///
/// Prints every table, and writes index.html: each table with the paper's values, ours as mean ± sd (n), changes,
/// signature, time, device and commit, the run's pictures, and the command that makes a missing run. Neither models nor
/// data are read (but for --all-scores). Runs of one recipe (other seeds, other devices) are joined; runs of different
/// recipes, and scores of different signatures, never share a column, and runs of several builds are averaged by --mixed alone.
#[derive(Debug, Clone, Args)]
pub(super) struct ReportOptions {
    /// Run folders, or folders of runs
    #[arg(value_name = "RUN", default_value = "runs")]
    paths: Vec<PathBuf>,
    /// Folder of the files [default: the RUN]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write REPORT.md too
    #[arg(long)]
    markdown: bool,
    /// Write REPORT.tex too: tables with the rules of the package booktabs
    #[arg(long)]
    latex: bool,
    /// Write REPORT.csv too: every score, a line each
    #[arg(long)]
    csv: bool,
    /// Write REPORT.json too: every score, missing run and picture
    #[arg(long)]
    json: bool,
    /// Score kept translations by chrF and tokenised BLEU too; reads the references in RUN/data
    #[arg(long)]
    all_scores: bool,
    /// Average runs of several builds of the program
    #[arg(long)]
    mixed: bool,
}

impl ReportOptions {
    /// What is asked.
    pub(super) fn request(self) -> Report {
        let asked = [
            (self.markdown, Format::Markdown),
            (self.latex, Format::Latex),
            (self.csv, Format::Csv),
            (self.json, Format::Json),
        ];
        let formats = asked.into_iter().filter(|(is_asked, _)| *is_asked);
        Report {
            paths: self.paths,
            out: self.out,
            formats: formats.map(|(_, format)| format).collect(),
            all_scores: self.all_scores,
            is_mixed: self.mixed,
        }
    }
}
