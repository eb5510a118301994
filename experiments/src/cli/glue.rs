//! `glue`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use super::main_of;
use super::options::{Common, Encoder, PREDICT, PREPARE, REPORT};
use super::program::{self, Program, Unused, once};
use crate::protocol::{self, Request, Stage};
use crate::recipe::{GlueRecipe, Source};
use crate::task::glue::{self, Predict};
use crate::version;

/// Attention pruning of a fine-tuned BERT on labelled texts: the GLUE table, reproduced.
///
/// Without a subcommand the whole table is made: fine-tune dense, observe the attention over the
/// training set, prune at each p, fine-tune again from the pretrained weights under each mask, score.
#[derive(Debug, Parser)]
#[command(name = "glue", version = version::LONG)]
pub(super) struct Glue {
    #[command(subcommand)]
    command: Option<GlueCommand>,
    #[command(flatten)]
    options: GlueOptions,
}

#[derive(Debug, Clone, Args)]
pub(super) struct GlueOptions {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    encoder: Encoder,
    /// Tasks instead of the recipe's, e.g. --tasks rte,mrpc; `files` is a table of your own, `--data FILE`
    #[arg(long, value_name = "TASK,TASK", value_delimiter = ',', value_parser = tasks())]
    tasks: Option<Vec<String>>,
}

/// Names of tasks, as they are spelled in recipes.
fn tasks() -> PossibleValuesParser {
    PossibleValuesParser::new(Source::tasks().map(Source::name))
}

#[derive(Debug, Clone, Subcommand)]
enum GlueCommand {
    #[command(flatten)]
    Stage(Stage),
    /// Label the lines of standard input (TEXT or TEXT<tab>TEXT) with a trained model
    Predict(PredictOptions),
}

#[derive(Debug, Clone, Args)]
struct PredictOptions {
    /// Run folder, or the folder of one model in it (RUN/seed-1/TASK/dense)
    #[arg(long, value_name = "RUN[/MODEL]")]
    model: PathBuf,
}

impl Program for Glue {
    type Recipe = GlueRecipe;
    type Options = GlueOptions;
    const UNUSED: &'static [Unused] = &[PREPARE, REPORT, PREDICT];

    fn options_mut(&mut self) -> &mut GlueOptions {
        &mut self.options
    }
}

impl program::Options for GlueOptions {
    fn with(self, after: Self) -> Result<Self, &'static str> {
        Ok(Self {
            common: self.common.with(after.common)?,
            encoder: self.encoder.with(after.encoder)?,
            tasks: once("--tasks", self.tasks, after.tasks)?,
        })
    }
}

impl GlueOptions {
    fn request(mut self, stage: Option<Stage>) -> Result<Request<GlueRecipe>> {
        if let Some(tasks) = self.tasks {
            self.common.refuse_twice("tasks")?;
            self.common.sets.push(format!("tasks={tasks:?}"));
        }
        let mut request: Request<GlueRecipe> = self.common.request(stage)?;
        request.weights = self.encoder.weights;
        Ok(request)
    }
}

/// The whole of the `glue` program.
#[must_use]
pub fn glue_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    main_of(args, |cli: Glue| match cli.command {
        None => protocol::main::<glue::Glue>(&cli.options.request(None)?),
        Some(GlueCommand::Stage(stage)) => {
            protocol::main::<glue::Glue>(&cli.options.request(Some(stage))?)
        }
        Some(GlueCommand::Predict(options)) => glue::predict(&Predict {
            model: options.model,
            device: cli.options.common.device(),
            quiet: cli.options.common.quiet,
        }),
    })
}
