//! `lm`.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use super::main_of;
use super::options::{Common, PREPARE, REPORT};
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
    stage: Option<Stage>,
    #[command(flatten)]
    options: Common,
}

impl Program for Lm {
    type Recipe = LmRecipe;
    type Options = Common;
    const UNUSED: &'static [Unused] = &[PREPARE, REPORT];

    fn options_mut(&mut self) -> &mut Common {
        &mut self.options
    }
}

impl Lm {
    pub(super) fn request(self) -> Result<Request<LmRecipe>> {
        self.options.request(self.stage)
    }
}

/// The whole of the `lm` program.
#[must_use]
pub fn lm_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    main_of(args, |cli: Lm| {
        protocol::main::<lm::LanguageModel>(&cli.request()?)
    })
}
