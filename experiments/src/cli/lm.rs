//! `lm`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use super::main_of;
use super::options::{Common, PREPARE, REPORT, SCORE};
use super::program::{Program, Unused};
use crate::protocol::{self, Request, Stage};
use crate::recipe::LmRecipe;
use crate::task::lm;
use crate::version;

/// Attention pruning of a Transformer-XL language model: the paper's table, reproduced.
///
/// Without a subcommand the whole table is made: train dense, observe the attention over the
/// training set, prune at each p, train again under each mask, test.
#[derive(Debug, Parser)]
#[command(name = "lm", version = version::LONG)]
pub(super) struct Lm {
    #[command(subcommand)]
    command: Option<LmCommand>,
    #[command(flatten)]
    options: Common,
}

#[derive(Debug, Clone, Subcommand)]
enum LmCommand {
    #[command(flatten)]
    Stage(Stage),
    /// Say how probable a trained model finds the lines of standard input: −ln p, words and perplexity of each
    Score(ScoreOptions),
}

#[derive(Debug, Clone, Args)]
struct ScoreOptions {
    /// Run folder, or the folder of one model in it (RUN/seed-1/dense)
    #[arg(long, value_name = "RUN[/MODEL]")]
    model: PathBuf,
    /// Print each word on a line of its own, with its −ln p
    #[arg(long)]
    words: bool,
}

impl Program for Lm {
    type Recipe = LmRecipe;
    type Options = Common;
    const UNUSED: &'static [Unused] = &[PREPARE, REPORT, SCORE];

    fn options_mut(&mut self) -> &mut Common {
        &mut self.options
    }
}

impl Lm {
    /// What is asked for of a table: a stage, or all of them.
    pub(super) fn request(self) -> Result<Request<LmRecipe>> {
        let stage = match self.command {
            Some(LmCommand::Stage(stage)) => Some(stage),
            Some(LmCommand::Score(_)) | None => None,
        };
        self.options.request(stage)
    }
}

/// The whole of the `lm` program.
#[must_use]
pub fn lm_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    main_of(args, |cli: Lm| match cli.command {
        None | Some(LmCommand::Stage(_)) => protocol::main::<lm::LanguageModel>(&cli.request()?),
        Some(LmCommand::Score(options)) => lm::score(&lm::Score {
            model: options.model,
            words: options.words,
            device: cli.options.device(),
            quiet: cli.options.quiet,
        }),
    })
}
