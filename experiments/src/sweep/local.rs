//! One run after the other, each a process of its own: what ends one of them does not end the others.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Job, Plan, command, is_complete};
use crate::io::in_one_line;
use crate::protocol::note;
use crate::report::{Report, report};
use crate::signals;
use crate::train::watch::{Interrupted, is_interrupted, listen};

/// Makes every run that is not complete, and the report of all; `again` is the command that goes on.
///
/// # Errors
/// Runs that failed, by name, after all others, or else those of the report; [`Interrupted`] after Ctrl-C.
pub(super) fn work(
    plan: &Plan,
    folder: &Path,
    jobs: &[Job],
    again: &str,
    quiet: bool,
) -> Result<()> {
    listen()?;
    let mut failed = Vec::new();
    for (number, job) in jobs.iter().enumerate() {
        let which = format!("run {} of {}: {job}", number + 1, jobs.len());
        if is_complete(job)? {
            note(quiet, &format!("{which}: complete"));
            continue;
        }
        note(quiet, &which);
        let mut command = command(plan, folder, job, quiet)?;
        // Its table is in its folder, and the tables of all runs are printed at the end.
        command.stdout(Stdio::null());
        let status = wait(command)?;
        if is_interrupted() || is_asked(status) {
            let resume = format!("go on with `{again}`");
            return Err(Interrupted { resume }.into());
        }
        if !status.success() {
            failed.push(format!("{job} ({status})"));
        }
    }
    let reported = match failed.len() < jobs.len() {
        true => report_of(folder),
        false => Ok(()),
    };
    if failed.is_empty() {
        return reported;
    }
    if let Err(error) = reported {
        note(false, &in_one_line(&error));
    }
    bail!(
        "{} of {} runs failed: {}; each said why above; try them again with `{again}`",
        failed.len(),
        jobs.len(),
        failed.join("; ")
    )
}

/// The report of all runs.
fn report_of(folder: &Path) -> Result<()> {
    report(&Report {
        paths: vec![folder.to_owned()],
        out: None,
        formats: Vec::new(),
        all_scores: false,
        is_mixed: false,
    })
}

/// Whether a process ended because it was asked to, by a signal or in the form that our programs give it.
fn is_asked(status: ExitStatus) -> bool {
    const ASKED: [i32; 3] = [128 + 1, 128 + 2, 128 + 15];
    signals::is_stopped(status) || status.code().is_some_and(|code| ASKED.contains(&code))
}

/// Waits for a process, which is asked to stop when this one is.
fn wait(mut command: Command) -> Result<ExitStatus> {
    let name = PathBuf::from(command.get_program());
    // Ctrl-C of a terminal reaches this process alone, which hands on one signal: a second would end the run at once.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child: Child = command
        .spawn()
        .with_context(|| format!("cannot start {}", name.display()))?;
    let mut is_told = false;
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a run")? {
            return Ok(status);
        }
        if is_interrupted() && !is_told {
            signals::ask_to_stop(&child);
            is_told = true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Becomes the process of a command.
#[cfg(unix)]
pub(super) fn become_it(mut command: Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let name = PathBuf::from(command.get_program());
    Err(command.exec()).with_context(|| format!("cannot start {}", name.display()))
}

/// Runs a command, and ends as it does.
#[cfg(not(unix))]
pub(super) fn become_it(mut command: Command) -> Result<()> {
    let name = PathBuf::from(command.get_program());
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", name.display()))?;
    std::process::exit(status.code().unwrap_or(1));
}
