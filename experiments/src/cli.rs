//! Command lines: what was typed → a request → an exit code.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use sparta_ops::attention::Implementation;

use crate::doctor;
use crate::memory;
use crate::panics;
use crate::protocol::{Request, Stage};
use crate::recipe::{GlueRecipe, LmRecipe, Recipe, SquadRecipe, TranslationRecipe};
use crate::task::glue::{self, Predict};
use crate::task::lm;
use crate::task::squad::{self, Measure};
use crate::task::translation::{self, Translate};
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

/// Sparse attention in an encoder–decoder: the translation tables of both papers, reproduced.
///
/// Without a subcommand the whole table is made: a dense model for each normaliser, and under masks
/// on encoder, decoder and cross attention the same models trained again, each scored by BLEU.
#[derive(Debug, Parser)]
#[command(name = "iwslt", version)]
struct IwsltCli {
    #[command(subcommand)]
    command: Option<IwsltCommand>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Clone, Subcommand)]
enum IwsltCommand {
    #[command(flatten)]
    Stage(StageCommand),
    /// Translate the lines of standard input with a trained model
    Translate(TranslateOptions),
}

#[derive(Debug, Clone, Args)]
struct TranslateOptions {
    /// Run folder, or the folder of one model in it (RUN/seed-1/softmax/dense)
    #[arg(long, value_name = "RUN[/MODEL]")]
    model: PathBuf,
    /// Print the N best translations of each line, with their scores
    #[arg(long, value_name = "N", default_value_t = 1)]
    n_best: usize,
    /// Hypotheses kept while searching [default: the recipe's, at least N]
    #[arg(long, value_name = "N")]
    beam: Option<usize>,
    /// Write the attention weights of each best translation here, one JSON object a line
    #[arg(long, value_name = "FILE")]
    attention: Option<PathBuf>,
}

/// Attention pruning of a fine-tuned BERT on labelled texts: the GLUE table, reproduced.
///
/// Without a subcommand the whole table is made: fine-tune dense, observe the attention over the
/// training set, prune at each p, fine-tune again from the pretrained weights under each mask, score.
#[derive(Debug, Parser)]
#[command(name = "glue", version)]
struct GlueCli {
    #[command(subcommand)]
    command: Option<GlueCommand>,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    encoder: EncoderOptions,
    /// Tasks instead of the recipe's, e.g. --tasks rte,mrpc
    #[arg(long, global = true, value_name = "TASK,TASK", value_delimiter = ',')]
    tasks: Option<Vec<String>>,
}

#[derive(Debug, Clone, Subcommand)]
enum GlueCommand {
    #[command(flatten)]
    Stage(StageCommand),
    /// Label the lines of standard input (TEXT or TEXT<tab>TEXT) with a trained model
    Predict(PredictOptions),
}

#[derive(Debug, Clone, Args)]
struct PredictOptions {
    /// Run folder, or the folder of one model in it (RUN/seed-1/TASK/dense)
    #[arg(long, value_name = "RUN[/MODEL]")]
    model: PathBuf,
}

/// SQuAD under a global mask: exact match and F1, and the time and memory of training steps.
///
/// Without a subcommand the whole table is made: fine-tune dense, observe the attention over the
/// training set, prune, fine-tune again from the pretrained weights under the mask, answer.
#[derive(Debug, Parser)]
#[command(name = "squad", version)]
struct SquadCli {
    #[command(subcommand)]
    command: Option<SquadCommand>,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    encoder: EncoderOptions,
}

#[derive(Debug, Clone, Subcommand)]
enum SquadCommand {
    #[command(flatten)]
    Stage(StageCommand),
    /// Print time and memory of training steps on made-up tokens, dense or under a mask
    Measure(MeasureOptions),
}

#[derive(Debug, Clone, Args)]
struct MeasureOptions {
    /// A mask of a run (RUN/seed-1/squad/masks/ap-p90.safetensors); none = dense attention
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
}

/// What programs for a pretrained encoder are asked besides.
#[derive(Debug, Clone, Args)]
struct EncoderOptions {
    /// Folder with pretrained weights: config.json, model.safetensors or pytorch_model.bin, and
    /// tokenizer.json or vocab.txt
    #[arg(long, global = true, value_name = "DIR")]
    weights: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum StageCommand {
    /// Read the corpus, build the vocabulary, write the token stores
    Prepare,
    /// Train dense models
    Train,
    /// Average their attention over the training set
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
    // Default and help are those of the program; see `parse`.
    #[arg(long, global = true, value_name = "NAME|FILE", default_value = "")]
    recipe: String,
    /// auto, flex, ndarray, wgpu, vulkan, metal, cuda[:N], rocm[:N], tch[:cpu|:cuda:N]
    #[arg(long, global = true, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// Who computes attention: auto, reference (holds all scores), fused (skips what is zero)
    #[arg(long, global = true, value_name = "WHO", default_value = "auto")]
    attention_by: Implementation,
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

impl Options {
    fn request<R: Recipe>(self, stage: Option<StageCommand>) -> Result<Request<R>> {
        let Self {
            recipe,
            device,
            attention_by,
            sets,
            seeds,
            dry_run,
            resume,
            out,
            data,
            quiet,
        } = self;
        let mut recipe = R::load(&recipe, &sets)?;
        if let Some(seeds) = seeds {
            recipe.set_seeds(seeds);
        }
        Ok(Request {
            stage: stage.into(),
            recipe,
            device: device.parse().map_err(anyhow::Error::msg)?,
            attention: attention_by,
            dry_run,
            resume,
            out,
            data,
            weights: None,
            quiet,
        })
    }
}

/// Reads the command line of a program whose recipes are `R`.
fn parse<C: CommandFactory + FromArgMatches, R: Recipe>(
    args: impl IntoIterator<Item = OsString>,
) -> Result<C, clap::Error> {
    let names: Vec<&str> = R::SHIPPED.iter().map(|s| s.name).collect();
    let help = format!("A shipped recipe ({}) or a TOML file", names.join(", "));
    let command = C::command().mut_arg("recipe", |arg| {
        arg.default_value(R::SHIPPED[0].name).help(help)
    });
    C::from_arg_matches(&command.try_get_matches_from(args)?)
}

/// Parses, works, and reports.
fn main_of<C: CommandFactory + FromArgMatches, R: Recipe>(
    args: impl IntoIterator<Item = OsString>,
    work: impl FnOnce(C) -> Result<()>,
) -> ExitCode {
    memory::keep_freed();
    match parse::<C, R>(args) {
        Ok(cli) => report_outcome(panics::catch(|| work(cli))),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}

/// The whole of the `lm` program.
#[must_use]
pub fn lm_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    main_of::<LmCli, LmRecipe>(args, |cli| lm::run(&cli.options.request(cli.stage)?))
}

/// The whole of the `iwslt` program.
#[must_use]
pub fn iwslt_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    main_of::<IwsltCli, TranslationRecipe>(args, |cli| match cli.command {
        None => translation::run(&cli.options.request(None)?),
        Some(IwsltCommand::Stage(stage)) => translation::run(&cli.options.request(Some(stage))?),
        Some(IwsltCommand::Translate(options)) => translation::translate(&Translate {
            model: options.model,
            n_best: options.n_best,
            beam: options.beam,
            attention: options.attention,
            device: cli.options.device.parse().map_err(anyhow::Error::msg)?,
            quiet: cli.options.quiet,
        }),
    })
}

impl GlueCli {
    fn request(self, stage: Option<StageCommand>) -> Result<Request<GlueRecipe>> {
        let mut request: Request<GlueRecipe> = self.options.request(stage)?;
        request.weights = self.encoder.weights;
        if let Some(tasks) = self.tasks {
            request.recipe.tasks = tasks;
            request.recipe.validate()?;
        }
        Ok(request)
    }
}

/// The whole of the `glue` program.
#[must_use]
pub fn glue_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    main_of::<GlueCli, GlueRecipe>(args, |cli| match cli.command.clone() {
        None => glue::run(&cli.request(None)?),
        Some(GlueCommand::Stage(stage)) => glue::run(&cli.request(Some(stage))?),
        Some(GlueCommand::Predict(options)) => glue::predict(&Predict {
            model: options.model,
            device: cli.options.device.parse().map_err(anyhow::Error::msg)?,
            quiet: cli.options.quiet,
        }),
    })
}

/// The whole of the `squad` program.
#[must_use]
pub fn squad_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    main_of::<SquadCli, SquadRecipe>(args, |cli| {
        let (stage, measure) = match cli.command {
            None => (None, None),
            Some(SquadCommand::Stage(stage)) => (Some(stage), None),
            Some(SquadCommand::Measure(options)) => (None, Some(options)),
        };
        let mut request: Request<SquadRecipe> = cli.options.request(stage)?;
        request.weights = cli.encoder.weights;
        match measure {
            None => squad::run(&request),
            Some(options) => squad::measure(&Measure {
                recipe: request.recipe,
                device: request.device,
                attention: request.attention,
                mask: options.mask,
                weights: request.weights,
            }),
        }
    })
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
    /// Draw time and memory of an attention bench against tokens and p, as SVG beside its summary
    Plot {
        /// The summary.csv of `cargo bench --bench attention -- --out DIR`
        summary: PathBuf,
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
        SpartaCommand::Plot { summary } => {
            let files = sparta_results::bench::plot(&summary)
                .with_context(|| summary.display().to_string())?;
            for file in files {
                let _ = writeln!(std::io::stdout(), "{}", file.display());
            }
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

    #[test]
    fn the_command_lines_are_consistent() {
        LmCli::command().debug_assert();
        IwsltCli::command().debug_assert();
        GlueCli::command().debug_assert();
        SquadCli::command().debug_assert();
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn options_stand_before_or_after_the_stage() {
        let parse = |line: &str| {
            let cli = parse::<LmCli, LmRecipe>(words(line)).unwrap();
            cli.options.request::<LmRecipe>(cli.stage).unwrap()
        };
        let request = parse("lm train --seeds 3,4 --set train.lr=0.5 --device cuda:1");
        assert_eq!(request.stage, Stage::Train);
        assert_eq!(request.recipe.seeds(), [3, 4]);
        assert_eq!(request.attention, Implementation::Auto);
        let fused = parse("lm --attention-by fused");
        assert_eq!(fused.attention, Implementation::Fused);
        assert_eq!(parse("lm --resume").stage, Stage::Reproduce);
        assert!(parse("lm --resume observe").resume);
    }

    #[test]
    fn each_program_has_its_recipes_and_translate_its_options() {
        let iwslt = |line| parse::<IwsltCli, TranslationRecipe>(words(line)).unwrap();
        assert_eq!(iwslt("iwslt prune").options.recipe, "small/iwslt");
        let cli = iwslt("iwslt translate --model runs/x --n-best 3 --device flex");
        match cli.command {
            Some(IwsltCommand::Translate(options)) => assert_eq!(options.n_best, 3),
            other => panic!("{other:?}"),
        }
        let help = parse::<LmCli, LmRecipe>(words("lm --help")).unwrap_err();
        assert!(help.to_string().contains("lm/wikitext103-base"), "{help}");
    }
}
