//! `sparta compare`.

use std::path::PathBuf;

use clap::Args;
use sparta_results::significance::Tests;

use crate::compare::Compare;

/// Say whether models differ by more than the choice of the test set explains
///
/// The first path is what the others are compared with: by paired approximate randomisation (BLEU, chrF, F1,
/// correlations), McNemar's exact test (accuracy, exact match), or the block bootstrap over segments of text (perplexity),
/// each with the 95 % interval of the difference by the paired bootstrap, and Holm's correction for several systems.
/// A run folder alone: each row with its dense control, and dense models of several normalisers with softmax. Several run
/// folders: models of the same seed and name. Scores of different signatures are never compared.
#[derive(Debug, Clone, Args)]
pub(super) struct CompareOptions {
    /// Run folders, folders of models in them (RUN/seed-1/dense), or run records (RUN/records/….run.json)
    #[arg(required = true, value_name = "RUN[/MODEL]")]
    paths: Vec<PathBuf>,
    /// Samples of the bootstrap
    #[arg(long, value_name = "N", default_value_t = Tests::default().n_samples)]
    samples: usize,
    /// Trials of the randomisation
    #[arg(long, value_name = "N", default_value_t = Tests::default().n_trials)]
    trials: usize,
    /// Seed of both
    #[arg(long, value_name = "N", default_value_t = Tests::default().seed)]
    seed: u64,
    /// Compare models of several builds of the program
    #[arg(long)]
    mixed: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl CompareOptions {
    /// What is asked.
    pub(super) fn request(self) -> Compare {
        Compare {
            paths: self.paths,
            tests: Tests {
                n_samples: self.samples,
                n_trials: self.trials,
                seed: self.seed,
            },
            is_mixed: self.mixed,
            json: self.json,
        }
    }
}
