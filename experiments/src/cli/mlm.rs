//! `mlm`.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser};

use super::main_of;
use super::options::{Common, Encoder, PREPARE, REPORT};
use super::program::{self, Program, Unused};
use crate::protocol::{self, Request, Stage};
use crate::recipe::MlmRecipe;
use crate::task::mlm::MaskedLanguageModel;
use crate::version;

/// Attention pruning of a masked language model: a BERT that predicts masked word pieces.
///
/// Without a subcommand the whole table is made: train dense, observe the attention over the
/// training set, prune at each p, train again under each mask, test by accuracy and pseudo-perplexity.
#[derive(Debug, Parser)]
#[command(name = "mlm", version = version::LONG)]
pub(super) struct Mlm {
    #[command(subcommand)]
    stage: Option<Stage>,
    #[command(flatten)]
    options: MlmOptions,
}

#[derive(Debug, Clone, Args)]
pub(super) struct MlmOptions {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    encoder: Encoder,
}

impl Program for Mlm {
    type Recipe = MlmRecipe;
    type Options = MlmOptions;
    const UNUSED: &'static [Unused] = &[PREPARE, REPORT];

    fn options_mut(&mut self) -> &mut MlmOptions {
        &mut self.options
    }
}

impl program::Options for MlmOptions {
    fn with(self, after: Self) -> Result<Self, &'static str> {
        Ok(Self {
            common: self.common.with(after.common)?,
            encoder: self.encoder.with(after.encoder)?,
        })
    }
}

impl MlmOptions {
    fn request(self, stage: Option<Stage>) -> Result<Request<MlmRecipe>> {
        let mut request: Request<MlmRecipe> = self.common.request(stage)?;
        request.weights = self.encoder.weights;
        Ok(request)
    }
}

/// The whole of the `mlm` program.
#[must_use]
pub fn mlm_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    main_of(args, |cli: Mlm| {
        protocol::main::<MaskedLanguageModel>(&cli.options.request(cli.stage)?)
    })
}
