//! What the attention of trained models does: `sparta analyze`.
//!
//! ```text
//! path ─► open (which program) ─► run (its models, its task opened to be read)
//!   ─► measure (one pass over the validation set: sums by attention type and layer, a few sentences)
//!   ─► figures (filled from the sums, or from logs, patterns and masks of the run) ─► RUN/figures/NAME.{svg,json,csv}
//! ```
//!
//! Models are read in evaluation mode, decoders with the targets given (teacher forcing), as in the papers. The
//! definitions are those of `sparta_results::attention`, the pictures those of `sparta_results::figure`.

mod claims;
mod figures;
mod log;
mod measure;
mod models;
pub mod open;
mod request;
mod run;
mod sentence;
mod tokens;
mod words;

pub(crate) use open::program_of_text;
pub use open::{ProgramName, program_of, run_folder_of};
pub use request::{Analyze, FigureName};
pub use tokens::Tokens;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use sparta_results::attention::claims_table;

use crate::io::{print_line, refuse_file, terminal_width};
use crate::protocol::note;
use crate::protocol::program::with_task;
use crate::train::watch;
use crate::{device, memory};
use run::Outcome;

/// Where figures go that are not of one run.
const ALONE: &str = "figures";

/// Makes figures, prints the files, and says of the others why there are none.
///
/// # Errors
/// No run or model, files that are damaged, Ctrl-C, or no figure at all of those that were asked for.
pub fn analyze(request: &Analyze) -> Result<()> {
    memory::keep_freed();
    watch::listen()?;
    if let Some(out) = &request.out {
        refuse_file(out, "--out")?;
    }
    let mut outcome = Outcome::default();
    if request.asks(FigureName::Omega) {
        let on = device::open(request.device, "sparta")?;
        let figure = figures::omega(&on.device)?;
        let folder = match (&request.out, request.runs.as_slice()) {
            (Some(out), _) => out.clone(),
            (None, [run]) => run_folder_of(run)?.0.root().join(ALONE),
            (None, _) => PathBuf::from(ALONE),
        };
        outcome.take(FigureName::Omega, Ok(figure), &folder)?;
    }
    let of_runs = |figure| request.asks(figure);
    let needs_run = FigureName::OF_RUNS.into_iter().any(of_runs);
    match request.runs.as_slice() {
        [] => ensure!(
            !needs_run,
            "give a run folder (runs/…) or the folder of a model in it, e.g. `sparta analyze runs/NAME`; \
             `sparta analyze omega` alone needs none"
        ),
        [run] if needs_run => {
            let of = one(run, request)?;
            outcome.files.extend(of.files);
            outcome.absent.extend(of.absent);
            outcome.claims = of.claims;
        }
        [_] => {}
        several => {
            ensure!(
                request
                    .figures
                    .iter()
                    .all(|of| matches!(of, FigureName::Curves | FigureName::Omega)),
                "of several runs there is one figure, their curves: give `--figure curves`, or one run"
            );
            let folder = request.out.clone().unwrap_or_else(|| PathBuf::from(ALONE));
            let made = figures::curves(&logs(several, request)?)?;
            outcome.take(FigureName::Curves, made, &folder)?;
        }
    }
    tell(request, &outcome)
}

/// Prints what there is, and says what there is not.
fn tell(request: &Analyze, outcome: &Outcome) -> Result<()> {
    for file in &outcome.files {
        print_line(file.display())?;
    }
    let mut said: Vec<&str> = Vec::new();
    for (figure, reason) in &outcome.absent {
        // One reason may stand for several figures.
        match said.contains(&reason.as_str()) {
            true => note(false, &format!("no {figure}: for the same reason")),
            false => note(false, &format!("no {figure}: {reason}")),
        }
        said.push(reason);
    }
    let told = outcome.claims.iter().filter(|of| of.holds.is_some());
    let told: Vec<_> = told.cloned().collect();
    if !outcome.claims.is_empty() {
        let held = told.iter().filter(|of| of.holds == Some(true)).count();
        let n = told.len();
        let all = outcome.claims.len();
        let words = match n {
            0 => format!("none of the {all} published claims can be told from this"),
            _ => format!(
                "published claims: {held} of the {n} that can be told hold, of {all} in all"
            ),
        };
        note(request.quiet, &words);
        if !request.quiet && n > 0 {
            print_line(claims_table(&told).to_terminal(terminal_width()))?;
        }
    }
    ensure!(
        !outcome.files.is_empty(),
        "no figure was made; the reasons are above"
    );
    Ok(())
}

/// The figures of a run of any program.
fn one(path: &Path, request: &Analyze) -> Result<Outcome> {
    let (run, path) = run_folder_of(path)?;
    with_task!(program_of(run.root())?, T => run::analyze::<T>(&path, request))
}

/// The logs of several runs, named apart.
fn logs(paths: &[PathBuf], request: &Analyze) -> Result<Vec<(String, PathBuf)>> {
    let mut logs = Vec::new();
    for path in paths {
        let (run, path) = run_folder_of(path)?;
        let name = run.root().file_name().map(|name| name.to_string_lossy());
        let name = name.unwrap_or_default();
        let of = with_task!(program_of(run.root())?, T => models::logs::<T>(&path, request, &name));
        logs.extend(of?);
    }
    for (at, (name, folder)) in logs.iter().enumerate() {
        if let Some((_, other)) = logs[..at].iter().find(|(before, _)| before == name) {
            bail!(
                "{} and {} have the same name; rename one of the run folders",
                folder.display(),
                other.display()
            );
        }
    }
    Ok(logs)
}
