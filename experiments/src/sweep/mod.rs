//! `sparta sweep`: a recipe at every point of a grid and every seed, one run after the other or as an array of SLURM.
//!
//! ```text
//! SWEEP/
//!   base.toml                        the recipe that was named
//!   sweep.toml                       the plan: program, grid, seeds, where it computes and what it reads
//!   train.lr=1e-3/seed-1/            a run folder for each point and seed
//!   sweep.sbatch  logs/<task>.log    of SLURM alone
//!   SWEEP.md  SWEEP.csv  index.html  what `sparta report SWEEP` makes of the runs
//! ```

mod dense;
mod local;
mod place;
mod plan;
mod slurm;
mod table;

pub use place::Place;
pub use plan::{Axis, Job, Plan};
pub(crate) use table::write_if_sweep;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::io::{print_line, refuse_file};
use crate::protocol::{RunFolder, note};
use crate::runs;

/// Who works through a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// This machine, one run after the other.
    Local,
    /// SLURM, one task of a job array a run.
    Slurm,
}

/// What a sweep is made of.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Shipped recipe or file.
    pub recipe: String,
    /// Keys with their values.
    pub grid: Vec<Axis>,
    /// Keys that are changed everywhere.
    pub sets: Vec<String>,
    /// Seeds instead of the recipe's.
    pub seeds: Option<Vec<u64>>,
}

/// What SLURM is told besides.
#[derive(Debug, Clone, Default)]
pub struct Scheduler {
    /// Options of `sbatch`, a line of the script each.
    pub options: Vec<String>,
    /// Tasks at a time.
    pub at_a_time: Option<usize>,
}

/// What `sparta sweep` asks for.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The sweep; none where the folder has one.
    pub planned: Option<Planned>,
    /// Its folder.
    pub out: Option<PathBuf>,
    /// Who works.
    pub engine: Engine,
    /// Where; of a sweep that is there, in place of what its plan says.
    pub place: Place,
    /// For SLURM.
    pub scheduler: Scheduler,
    /// Say what would be done, and write nothing.
    pub dry_run: bool,
    /// Go on with a folder that has a sweep.
    pub resume: bool,
    /// Make this one run alone.
    pub task: Option<usize>,
    /// No progress output.
    pub quiet: bool,
}

/// Works through a sweep, or hands it to SLURM.
///
/// # Errors
/// A sweep that cannot be, with the point; a folder that holds another one; runs that failed, by name.
pub fn sweep(request: &Sweep) -> Result<()> {
    if let Some(out) = &request.out {
        refuse_file(out, "--out")?;
    }
    let (plan, folder, again) = match &request.planned {
        Some(planned) if request.task.is_none() => start(request, planned)?,
        Some(_) | None => go_on(request)?,
    };
    if let Some(number) = request.task {
        return one(&plan, &folder, number, request.quiet);
    }
    let jobs = plan.jobs(&folder);
    if request.dry_run {
        return say_what_would_be(request, &plan, &folder, &jobs);
    }
    match request.engine {
        Engine::Local => local::work(&plan, &folder, &jobs, &again, request.quiet),
        Engine::Slurm => {
            let tasks = slurm::Tasks {
                folder: &folder,
                numbers: &left(&jobs)?,
                arguments: &arguments(&plan, request.quiet),
            };
            slurm::submit(&tasks, &again, &request.scheduler)
        }
    }
}

/// The command that goes on with a sweep in a place that differs so much from that of its plan.
fn resume(folder: &Path, other: &Place) -> String {
    let mut words = ["sparta", "sweep", "--resume", "--out"]
        .map(OsString::from)
        .to_vec();
    words.push(folder.into());
    words.extend(other.arguments());
    slurm::shown(&words)
}

/// Plans a sweep and writes the plan; with its folder, and the command that goes on with it.
fn start(request: &Sweep, planned: &Planned) -> Result<(Plan, PathBuf, String)> {
    ensure!(
        !request.resume,
        "a sweep that goes on has its recipe, grid, `--set` and seeds in its folder: leave them out, \
         `sparta sweep --resume --out DIR`"
    );
    let (mut plan, text) = Plan::new(
        &planned.recipe,
        planned.grid.clone(),
        planned.sets.clone(),
        planned.seeds.clone(),
    )?;
    plan.place = request.place.with_whole_paths()?;
    let folder = request.out.clone().unwrap_or_else(|| plan.default_folder());
    // What is missing is said before the folder is there.
    let program = program(&plan)?;
    if request.engine == Engine::Slurm && !request.dry_run {
        slurm::find()?;
    }
    if !request.dry_run {
        plan.save(&folder, &text)?;
        note(
            request.quiet,
            &format!(
                "sweep of {} runs of `{}` in {}",
                plan.jobs(&folder).len(),
                program.display(),
                folder.display()
            ),
        );
    }
    let again = resume(&folder, &Place::default());
    Ok((plan, folder, again))
}

/// The sweep that is there, in the place of its plan but for what is asked; with its folder, and the command that goes on with it so.
fn go_on(request: &Sweep) -> Result<(Plan, PathBuf, String)> {
    let Some(folder) = &request.out else {
        bail!("name the folder of the sweep: `--out DIR`");
    };
    let mut plan = Plan::load(folder)?;
    let other = request.place.with_whole_paths()?.unlike(&plan.place);
    for said in other.in_place_of(&plan.place) {
        note(request.quiet, &said);
    }
    let again = resume(folder, &other);
    plan.place = other.or(plan.place);
    Ok((plan, folder.clone(), again))
}

fn say_what_would_be(request: &Sweep, plan: &Plan, folder: &Path, jobs: &[Job]) -> Result<()> {
    let mut lines = vec![format!("{} runs of `{}`:", jobs.len(), plan.program)];
    for (number, job) in jobs.iter().enumerate() {
        lines.push(format!("{number:4}  {job}  →  {}", job.folder.display()));
    }
    if let Some(job) = jobs.first() {
        // A sweep that is not begun has no recipe of its own yet.
        let named = request.planned.as_ref();
        let recipe = named.map_or_else(|| Plan::base_of(folder), |of| of.recipe.clone().into());
        let mut words = vec![program(plan)?.into_os_string()];
        words.extend(plan.arguments_with(recipe, job));
        words.extend(arguments(plan, request.quiet));
        lines.push(format!(
            "what one of them costs: {} --dry-run",
            slurm::shown(&words)
        ));
    }
    if request.engine == Engine::Slurm {
        let all: Vec<usize> = (0..jobs.len()).collect();
        let tasks = slurm::Tasks {
            folder,
            numbers: &all,
            arguments: &arguments(plan, request.quiet),
        };
        let script = slurm::script(&tasks, &request.scheduler)?;
        lines.push(format!("the script for sbatch:\n{}", script.trim_end()));
    }
    print_line(lines.join("\n"))?;
    Ok(())
}

/// The numbers of the runs that are not complete.
fn left(jobs: &[Job]) -> Result<Vec<usize>> {
    let mut left = Vec::new();
    for (number, job) in jobs.iter().enumerate() {
        if !is_complete(job)? {
            left.push(number);
        }
    }
    Ok(left)
}

fn is_complete(job: &Job) -> Result<bool> {
    let is_there = RunFolder::at(job.folder.clone()).is_run();
    Ok(is_there && runs::state(&job.folder)?.state == runs::State::Complete)
}

/// The program of a plan, which stands beside this one.
fn program(plan: &Plan) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let name = format!("{}{}", plan.program, std::env::consts::EXE_SUFFIX);
    let program = own.with_file_name(&name);
    ensure!(
        program.is_file(),
        "{} is not there: sweeps run `{}`, which must stand beside `sparta`; build both with `cargo build --release` (and \
         the `--features` that `sparta` was built with)",
        program.display(),
        plan.program
    );
    Ok(program)
}

/// What every run is given, of whichever point and seed.
fn arguments(plan: &Plan, quiet: bool) -> Vec<OsString> {
    let mut arguments = plan.place.arguments();
    if quiet {
        arguments.push("--quiet".into());
    }
    arguments
}

/// The whole command that makes a run.
fn command_line(plan: &Plan, folder: &Path, job: &Job, quiet: bool) -> Result<Vec<OsString>> {
    let mut words = vec![program(plan)?.into_os_string()];
    words.extend(plan.arguments(folder, job));
    words.extend(arguments(plan, quiet));
    Ok(words)
}

fn command(plan: &Plan, folder: &Path, job: &Job, quiet: bool) -> Result<Command> {
    let words = command_line(plan, folder, job, quiet)?;
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(std::process::Stdio::null());
    Ok(command)
}

/// Makes one run, as the process of its program where the system can: signals reach it, and its exit status is this one's.
fn one(plan: &Plan, folder: &Path, number: usize, quiet: bool) -> Result<()> {
    let jobs = plan.jobs(folder);
    let Some(job) = jobs.get(number) else {
        bail!(
            "there is no task {number}: the sweep {} has the tasks 0 to {}",
            folder.display(),
            jobs.len().saturating_sub(1)
        );
    };
    note(quiet, &format!("task {number}: {job}"));
    local::become_it(command(plan, folder, job, quiet)?)
}
