//! `squad`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use super::main_of;
use super::options::{ANSWER, Common, Encoder, MEASURE, PREPARE, REPORT};
use super::program::{self, Program, Unused};
use crate::protocol::{self, Request, Stage};
use crate::recipe::SquadRecipe;
use crate::task::squad::{self, AnswerRequest, Measure};
use crate::version;

/// SQuAD under a global mask: exact match and F1, and the time and memory of training steps.
///
/// Without a subcommand the whole table is made: fine-tune dense, observe the attention over the
/// training set, prune, fine-tune again from the pretrained weights under the mask, answer.
#[derive(Debug, Parser)]
#[command(name = "squad", version = version::LONG)]
pub(super) struct Squad {
    #[command(subcommand)]
    command: Option<SquadCommand>,
    #[command(flatten)]
    options: SquadOptions,
}

#[derive(Debug, Clone, Args)]
pub(super) struct SquadOptions {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    encoder: Encoder,
}

#[derive(Debug, Clone, Subcommand)]
enum SquadCommand {
    #[command(flatten)]
    Stage(Stage),
    /// Print time and memory of training steps on synthetic tokens, dense or under a mask
    Measure(MeasureOptions),
    /// Answer questions (SQuAD's JSON, standard input → standard output) with a trained model, under its mask if it has one
    Answer(AnswerOptions),
}

#[derive(Debug, Clone, Args)]
struct AnswerOptions {
    /// Run folder, or the folder of one model in it (RUN/seed-1/squad/dense)
    #[arg(long, value_name = "RUN[/MODEL]")]
    model: PathBuf,
    /// Give no answer where that is likelier than one by more than this [default: as the model was scored]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    null_threshold: Option<f64>,
    /// Write how much likelier no answer is than one, for each question
    #[arg(long, value_name = "FILE")]
    null_odds: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
struct MeasureOptions {
    /// A mask of a run (RUN/seed-1/squad/masks/ap-p90.safetensors); none = dense attention
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
}

impl Program for Squad {
    type Recipe = SquadRecipe;
    type Options = SquadOptions;
    const UNUSED: &'static [Unused] = &[PREPARE, REPORT, MEASURE, ANSWER];

    fn options_mut(&mut self) -> &mut SquadOptions {
        &mut self.options
    }
}

impl program::Options for SquadOptions {
    fn with(self, after: Self) -> Result<Self, &'static str> {
        Ok(Self {
            common: self.common.with(after.common)?,
            encoder: self.encoder.with(after.encoder)?,
        })
    }
}

impl SquadOptions {
    fn request(self, stage: Option<Stage>) -> Result<Request<SquadRecipe>> {
        let mut request: Request<SquadRecipe> = self.common.request(stage)?;
        request.weights = self.encoder.weights;
        Ok(request)
    }
}

/// The whole of the `squad` program.
#[must_use]
pub fn squad_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    main_of(args, |cli: Squad| match cli.command {
        None => protocol::main::<squad::Squad>(&cli.options.request(None)?),
        Some(SquadCommand::Stage(stage)) => {
            protocol::main::<squad::Squad>(&cli.options.request(Some(stage))?)
        }
        Some(SquadCommand::Answer(options)) => squad::answer(&AnswerRequest {
            model: options.model,
            device: cli.options.common.device(),
            null_threshold: options.null_threshold,
            null_odds: options.null_odds,
            quiet: cli.options.common.quiet,
        }),
        Some(SquadCommand::Measure(options)) => {
            let request = cli.options.request(None)?;
            squad::measure(&Measure {
                recipe: request.recipe,
                device: request.device,
                attention: request.attention,
                mask: options.mask,
                weights: request.weights,
            })
        }
    })
}
