//! `sparta`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use super::analyze::{AnalyzeOptions, analyze};
use super::attend::{self, AttendOptions};
use super::compare::CompareOptions;
use super::mask::{self, MaskOptions};
use super::report::ReportOptions;
use super::{report_outcome, usage};
use crate::io::print_line;
use crate::{compare, doctor, panics, report, version};

/// Look into runs, and around them: figures, attention, tables, what works here.
#[derive(Debug, Parser)]
#[command(name = "sparta", version = version::LONG)]
struct Sparta {
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
    Report(ReportOptions),
    Compare(CompareOptions),
    /// Draw what the attention of trained models does: every figure of the papers, with the published ones beside
    Analyze(AnalyzeOptions),
    /// Show what a trained model attends to in a text, as one HTML page
    Attend(AttendOptions),
    /// Write a pattern of visible cells that no data decides as a file of a global mask
    Mask(MaskOptions),
    /// Draw time and memory of an attention bench against tokens and p, as SVG beside its summary
    Plot {
        /// The summary.csv of `cargo bench --bench attention -- --out DIR`
        summary: PathBuf,
    },
}

/// The whole of the `sparta` program.
#[must_use]
pub fn sparta_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Sparta::try_parse_from(args) {
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
        SpartaCommand::Report(options) => report::report(&options.request()),
        SpartaCommand::Compare(options) => compare::compare(&options.request()),
        SpartaCommand::Analyze(options) => analyze(options),
        SpartaCommand::Attend(options) => attend::run(options),
        SpartaCommand::Mask(options) => mask::run(&options),
        SpartaCommand::Plot { summary } => {
            let files = sparta_results::bench::plot(&summary)
                .with_context(|| summary.display().to_string())?;
            for file in files {
                print_line(file.display())?;
            }
            Ok(())
        }
    }))
}
