//! Command lines: what was typed → a request → an exit code.

mod analyze;
mod attend;
mod claims;
mod compare;
mod completions;
mod examples;
mod export;
mod glue;
mod iwslt;
mod lm;
mod mask;
mod mlm;
mod options;
mod program;
mod report;
mod sparta;
mod squad;
mod sweep;
#[cfg(test)]
mod tests;

pub use glue::glue_main;
pub use iwslt::iwslt_main;
pub use lm::lm_main;
pub use mlm::mlm_main;
pub use sparta::sparta_main;
pub use squad::squad_main;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::io::{in_one_line, printed, say, with_way_out};
use crate::train::kept;
use crate::train::watch::Interrupted;
use crate::{memory, panics, signals, threads};
use program::Program;

/// Parses, works, and reports.
fn main_of<P: Program>(
    args: impl IntoIterator<Item = OsString>,
    work: impl FnOnce(P) -> Result<()>,
) -> ExitCode {
    memory::keep_freed();
    threads::compute_on_this_one();
    signals::tell_of_files();
    match program::parse::<P>(args) {
        Ok(cli) => report_outcome(panics::catch(|| work(cli))),
        Err(error) => usage(&error),
    }
}

/// Prints what clap says of a command line, help included.
fn usage(error: &clap::Error) -> ExitCode {
    match printed(error.print()) {
        Ok(_) => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
        Err(error) => report_outcome(Ok(Err(error))),
    }
}

/// Prints an error chain in one line and turns the outcome into an exit code.
#[must_use]
pub fn report_outcome(outcome: Result<Result<()>, String>) -> ExitCode {
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            let interrupted = error.chain().any(|e| e.is::<Interrupted>());
            let error = with_way_out(error, "run the command again", None);
            say(format_args!("error: {}", in_one_line(&error)));
            if interrupted {
                ExitCode::from(signals::exit_status())
            } else {
                ExitCode::FAILURE
            }
        }
        Err(panic) => {
            let advice = panics::advice(&panic).map(|advice| format!("; {advice}"));
            say(format_args!(
                "error: the computation failed: {panic}{}",
                advice.unwrap_or_default()
            ));
            say(format_args!(
                "{}; RUST_BACKTRACE=1 shows where it failed",
                match kept() {
                    Some(path) => format!("{} is kept: go on with `--resume`", path.display()),
                    None => "nothing was saved yet".to_owned(),
                }
            ));
            ExitCode::FAILURE
        }
    }
}
