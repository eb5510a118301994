//! `sparta claims`.

use std::path::PathBuf;

use clap::Args;

use crate::evidence::Claims;

/// Say which claims of both papers hold on runs: holds, does not, or cannot be told
///
/// A claim is a bound on a difference of scores, paired by seed: it holds if the whole 95 % interval (Student's t) is within
/// the bound, does not if the whole interval is beyond it. One seed tells nothing. Claims of figures are those that
/// `sparta analyze` decides in each seed (`--seed N`). Claims without runs print the command that makes them; without a RUN all do.
/// The claims are those of results/data/claims.toml, or of your own file in that form.
#[derive(Debug, Clone, Args)]
pub(super) struct ClaimsOptions {
    /// Run folders, or folders of runs
    #[arg(value_name = "RUN")]
    paths: Vec<PathBuf>,
    /// Claims of your own, as TOML
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// Take runs of several builds together
    #[arg(long)]
    mixed: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Write a page (Markdown) too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl ClaimsOptions {
    /// What is asked.
    pub(super) fn request(self) -> Claims {
        Claims {
            paths: self.paths,
            file: self.claims,
            is_mixed: self.mixed,
            json: self.json,
            out: self.out,
        }
    }
}
