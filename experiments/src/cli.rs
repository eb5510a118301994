//! Command lines: what was typed → a request → an exit code.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::doctor;
use crate::memory;
use crate::panics;
use crate::recipe::{Recipe, SHIPPED};
use crate::task::lm::{self, Request, Stage};
use crate::train::watch::{INTERRUPTED, Interrupted};

/// Attention pruning of a Transformer-XL language model: the paper's table, reproduced.
///
/// Without a subcommand the whole table is made: train dense, observe the attention over the
/// training set, prune at each p, train again under each mask, test.
#[derive(Debug, Parser)]
#[command(name = "lm", version)]
struct LmCli {
    #[command(subcommand)]
    stage: Option<StageCommand>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum StageCommand {
    /// Read the corpus, build the vocabulary, write the token stores
    Prepare,
    /// Train the dense model
    Train,
    /// Average its attention over the training set
    Observe,
    /// Make the masks and train again under each
    Prune,
    /// Test every trained model and write run records
    Eval,
    /// Make the table from the run records
    Report,
    /// All stages in order (the default)
    Reproduce,
}

impl From<Option<StageCommand>> for Stage {
    fn from(command: Option<StageCommand>) -> Self {
        match command {
            Some(StageCommand::Prepare) => Self::Prepare,
            Some(StageCommand::Train) => Self::Train,
            Some(StageCommand::Observe) => Self::Observe,
            Some(StageCommand::Prune) => Self::Prune,
            Some(StageCommand::Eval) => Self::Eval,
            Some(StageCommand::Report) => Self::Report,
            Some(StageCommand::Reproduce) | None => Self::Reproduce,
        }
    }
}

#[derive(Debug, Args)]
struct Options {
    /// A shipped recipe (small/lm, lm/wikitext2, lm/wikitext103-base) or a TOML file
    #[arg(long, global = true, value_name = "NAME|FILE", default_value = SHIPPED[0].name)]
    recipe: String,
    /// auto, flex, ndarray, wgpu, vulkan, metal, cuda[:N], rocm[:N], tch[:cpu|:cuda:N]
    #[arg(long, global = true, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// Change a key of the recipe, e.g. --set train.lr=0.002 (repeatable)
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Seeds instead of the recipe's, e.g. --seeds 1,2,3
    #[arg(long, global = true, value_name = "N,N", value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Resolve, open the device, try two batches, print the cost; write nothing
    #[arg(long, global = true)]
    dry_run: bool,
    /// Go on with a run folder that exists; what is finished is kept
    #[arg(long, global = true)]
    resume: bool,
    /// Run folder [default: runs/<table>-<recipe hash>]
    #[arg(long, global = true, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder with the corpus files as published
    #[arg(long, global = true, alias = "from", value_name = "DIR")]
    data: Option<PathBuf>,
    /// No progress output
    #[arg(long, short, global = true)]
    quiet: bool,
}

impl LmCli {
    fn request(self) -> Result<Request> {
        let Options {
            recipe,
            device,
            sets,
            seeds,
            dry_run,
            resume,
            out,
            data,
            quiet,
        } = self.options;
        let mut recipe = Recipe::load(&recipe, &sets)?;
        if let Some(seeds) = seeds {
            recipe.seeds = seeds;
        }
        Ok(Request {
            stage: self.stage.into(),
            recipe,
            device: device.parse().map_err(anyhow::Error::msg)?,
            dry_run,
            resume,
            out,
            data,
            quiet,
        })
    }
}

/// The whole of the `lm` program.
#[must_use]
pub fn lm_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    memory::keep_freed();
    let cli = match LmCli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    report_outcome(panics::catch(|| {
        cli.request().and_then(|request| lm::run(&request))
    }))
}

/// Help around the experiments.
#[derive(Debug, Parser)]
#[command(name = "sparta", version)]
struct SpartaCli {
    #[command(subcommand)]
    command: SpartaCommand,
}

#[derive(Debug, Subcommand)]
enum SpartaCommand {
    /// Say which devices, recipes and folders this program can use here
    Doctor {
        /// As JSON, to paste in a report
        #[arg(long)]
        json: bool,
    },
}

/// The whole of the `sparta` program.
#[must_use]
pub fn sparta_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match SpartaCli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    report_outcome(panics::catch(|| match cli.command {
        SpartaCommand::Doctor { json } => {
            let diagnosis = doctor::diagnose();
            let text = if json {
                serde_json::to_string_pretty(&diagnosis)?
            } else {
                diagnosis.to_text()
            };
            // A closed pipe is the reader's choice and no error.
            let _ = writeln!(std::io::stdout(), "{text}");
            Ok(())
        }
    }))
}

/// Prints an error chain in one line and turns the outcome into an exit code.
#[must_use]
pub fn report_outcome(outcome: Result<Result<()>, String>) -> ExitCode {
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: {error:#}");
            let interrupted = error.chain().any(|e| e.is::<Interrupted>());
            if interrupted {
                ExitCode::from(INTERRUPTED as u8)
            } else {
                ExitCode::FAILURE
            }
        }
        Err(panic) => {
            eprintln!("error: the computation failed: {panic}");
            eprintln!(
                "checkpoints are intact: go on with `--resume`; RUST_BACKTRACE=1 shows where it failed"
            );
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        LmCli::command().debug_assert();
    }

    #[test]
    fn options_stand_before_or_after_the_stage() {
        let parse = |line: &str| {
            LmCli::try_parse_from(line.split(' '))
                .unwrap()
                .request()
                .unwrap()
        };
        let request = parse("lm train --seeds 3,4 --set train.lr=0.5 --device cuda:1");
        assert_eq!(request.stage, Stage::Train);
        assert_eq!(request.recipe.seeds, [3, 4]);
        assert_eq!(parse("lm --resume").stage, Stage::Reproduce);
        assert!(parse("lm --resume observe").resume);
    }
}
