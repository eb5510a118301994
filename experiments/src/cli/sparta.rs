//! `sparta`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::analyze::{AnalyzeOptions, analyze};
use super::attend::{self, AttendOptions};
use super::claims::ClaimsOptions;
use super::compare::CompareOptions;
use super::completions::{self, CompletionsOptions};
use super::examples::with_examples;
use super::export::{self, ExportOptions};
use super::mask::{self, MaskOptions};
use super::report::ReportOptions;
use super::sweep::{self, SweepOptions};
use super::{report_outcome, usage};
use crate::io::print_line;
use crate::recipe::{ALL_SHIPPED, find_shipped, nearest};
use crate::runs::{self, Runs};
use crate::{compare, doctor, evidence, panics, report, signals, version};

/// Look into runs, and around them: figures, attention, tables, what works here.
#[derive(Debug, Parser)]
#[command(name = "sparta", version = version::LONG)]
pub(super) struct Sparta {
    #[command(subcommand)]
    command: SpartaCommand,
}

#[derive(Debug, Subcommand)]
enum SpartaCommand {
    /// Say which devices, recipes, corpora and weights this program can use here
    Doctor {
        /// As JSON, to paste in a report
        #[arg(long)]
        json: bool,
    },
    /// List the recipes that ship with the programs, or print one with its comments
    Recipes {
        /// The recipe to print, e.g. small/lm
        name: Option<String>,
    },
    /// List runs: how many models are trained, the score, whether somebody works there, and how long the rest takes
    Runs {
        /// Run folders, or folders of runs
        #[arg(value_name = "RUN", default_value = "runs")]
        paths: Vec<PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    Sweep(SweepOptions),
    Report(ReportOptions),
    Compare(CompareOptions),
    Claims(ClaimsOptions),
    /// Draw what the attention of trained models does: every figure of the papers, with the published ones beside
    Analyze(AnalyzeOptions),
    /// Show what a trained model attends to in a text, as one HTML page
    Attend(AttendOptions),
    /// Write a trained model as files of PyTorch: safetensors, config.json, tokenizer, masks
    Export(ExportOptions),
    /// Write a pattern of visible cells that no data decides as a file of a global mask
    Mask(MaskOptions),
    /// Draw time and memory of an attention bench against tokens and p, as SVG beside its summary
    Plot {
        /// The summary.csv of `cargo bench --bench attention -- --out DIR`
        summary: PathBuf,
    },
    /// Print the script that completes a program's words in a shell, or write those of all programs
    Completions(CompletionsOptions),
}

/// The whole of the `sparta` program.
#[must_use]
pub fn sparta_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    signals::tell_of_files();
    let command = with_examples(Sparta::command());
    let matches = command.try_get_matches_from(args);
    let cli = match matches.and_then(|matches| Sparta::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    report_outcome(panics::catch(|| match cli.command {
        SpartaCommand::Doctor { json } => {
            let diagnosis = doctor::diagnose();
            let text = if json {
                serde_json::to_string_pretty(&diagnosis)?
            } else {
                diagnosis.to_text()
            };
            print_line(text)?;
            Ok(())
        }
        SpartaCommand::Recipes { name } => recipes(name.as_deref()),
        SpartaCommand::Runs { paths, json } => runs::runs(&Runs { paths, json }),
        SpartaCommand::Sweep(options) => sweep::run(options),
        SpartaCommand::Report(options) => report::report(&options.request()),
        SpartaCommand::Compare(options) => compare::compare(&options.request()),
        SpartaCommand::Claims(options) => evidence::claims(&options.request()),
        SpartaCommand::Analyze(options) => analyze(options),
        SpartaCommand::Attend(options) => attend::run(options),
        SpartaCommand::Export(options) => export::run(options),
        SpartaCommand::Mask(options) => mask::run(&options),
        SpartaCommand::Plot { summary } => {
            let files = sparta_results::bench::plot(&summary)
                .with_context(|| summary.display().to_string())?;
            for file in files {
                print_line(file.display())?;
            }
            Ok(())
        }
        SpartaCommand::Completions(options) => completions::run(&options),
    }))
}

/// Lists the shipped recipes, or prints one.
fn recipes(name: Option<&str>) -> Result<()> {
    if let Some(name) = name {
        let found = (ALL_SHIPPED.iter()).find_map(|of| find_shipped(of.shipped, name));
        let shipped = found.ok_or_else(|| {
            let names = ALL_SHIPPED
                .iter()
                .flat_map(|of| of.shipped)
                .map(|shipped| shipped.name);
            let hint = nearest(name, names).map(|near| format!("; did you mean `{near}`?"));
            anyhow!(
                "no recipe `{name}` ships with the programs{}; `sparta recipes` lists them",
                hint.unwrap_or_default()
            )
        })?;
        print_line(shipped.text.trim_end())?;
        return Ok(());
    }
    let mut lines = Vec::new();
    for of in ALL_SHIPPED {
        for (i, shipped) in of.shipped.iter().enumerate() {
            let default = if i == 0 { " (default)" } else { "" };
            // What a recipe is for is its first sentence, without the command.
            let comment = shipped
                .text
                .lines()
                .map_while(|line| line.strip_prefix('#'));
            let comment: Vec<&str> = comment.map(str::trim).collect();
            let comment = comment.join(" ");
            let ends = [". ", ": ", " (`", "; "];
            let end = ends.iter().filter_map(|end| comment.find(end)).min();
            let what = &comment[..end.unwrap_or(comment.len())];
            lines.push(format!(
                "{:<6} --recipe {:<24} {what}{default}",
                of.program, shipped.name
            ));
        }
    }
    print_line(lines.join("\n"))?;
    Ok(())
}
