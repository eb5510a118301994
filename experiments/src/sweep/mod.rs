//! `sparta sweep`: a recipe at every point of a grid and every seed, one run after the other or as an array of SLURM.
//!
//! ```text
//! SWEEP/
//!   base.toml                        the recipe that was named
//!   sweep.toml                       the plan: program, grid, seeds
//!   train.lr=1e-3/seed-1/            a run folder for each point and seed
//!   sweep.sbatch  logs/<task>.log    of SLURM alone
//!   SWEEP.md  SWEEP.csv  index.html  what `sparta report SWEEP` makes of the runs
//! ```

mod local;
mod plan;
mod slurm;
mod table;

pub use plan::{Axis, Job, Plan};
pub(crate) use table::write_if_sweep;

use std::ffi::OsString;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sparta_ops::attention::Implementation;

use crate::device::DeviceChoice;
use crate::io::print_line;
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

/// What every program is told of where to compute, and what it reads.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The device.
    pub device: Option<DeviceChoice>,
    /// The implementation of attention.
    pub attention: Option<Implementation>,
    /// Corpus files.
    pub data: Option<PathBuf>,
    /// Folder of pretrained weights.
    pub weights: Option<PathBuf>,
    /// No progress output.
    pub quiet: bool,
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
    /// Where.
    pub place: Place,
    /// For SLURM.
    pub scheduler: Scheduler,
    /// Say what would be done, and write nothing.
    pub dry_run: bool,
    /// Go on with a folder that has a sweep.
    pub resume: bool,
    /// Make this one run alone.
    pub task: Option<usize>,
}

impl Place {
    /// As options of a program; paths as they are from any folder.
    fn arguments(&self) -> Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> = Vec::new();
        if let Some(device) = self.device {
            arguments.extend(["--device".into(), device.to_string().into()]);
        }
        if let Some(attention) = self.attention {
            arguments.extend(["--attention-by".into(), attention.as_str().into()]);
        }
        for (flag, path) in [("--data", &self.data), ("--weights", &self.weights)] {
            if let Some(path) = path {
                let path = absolute(path).with_context(|| path.display().to_string())?;
                arguments.extend([flag.into(), path.into()]);
            }
        }
        if self.quiet {
            arguments.push("--quiet".into());
        }
        Ok(arguments)
    }
}

/// Works through a sweep, or hands it to SLURM.
///
/// # Errors
/// A sweep that cannot be, with the point; a folder that holds another one; runs that failed, by name.
pub fn sweep(request: &Sweep) -> Result<()> {
    if let Some(number) = request.task {
        let folder = named(request)?;
        let plan = Plan::load(&folder)?;
        return one(&plan, &folder, number, &request.place);
    }
    let (plan, folder) = match &request.planned {
        Some(planned) => start(request, planned)?,
        None => {
            let folder = named(request)?;
            (Plan::load(&folder)?, folder)
        }
    };
    let jobs = plan.jobs(&folder);
    if request.dry_run {
        return say_what_would_be(request, &plan, &folder, &jobs);
    }
    match request.engine {
        Engine::Local => local::work(&plan, &folder, &jobs, &request.place),
        Engine::Slurm => slurm::submit(&folder, &left(&jobs)?, &request.place, &request.scheduler),
    }
}

/// Plans a sweep and writes the plan.
fn start(request: &Sweep, planned: &Planned) -> Result<(Plan, PathBuf)> {
    ensure!(
        !request.resume,
        "a sweep that goes on has its recipe, grid, `--set` and seeds in its folder: leave them out, \
         `sparta sweep --resume --out DIR`"
    );
    let (plan, text) = Plan::new(
        &planned.recipe,
        planned.grid.clone(),
        planned.sets.clone(),
        planned.seeds.clone(),
    )?;
    let folder = request.out.clone().unwrap_or_else(|| plan.default_folder());
    // What is missing is said before the folder is there.
    let program = program(&plan)?;
    if request.engine == Engine::Slurm && !request.dry_run {
        slurm::find()?;
    }
    if !request.dry_run {
        plan.save(&folder, &text)?;
        note(
            request.place.quiet,
            &format!(
                "sweep of {} runs of `{}` in {}",
                plan.jobs(&folder).len(),
                program.display(),
                folder.display()
            ),
        );
    }
    Ok((plan, folder))
}

/// The folder of a sweep that is there.
fn named(request: &Sweep) -> Result<PathBuf> {
    let Some(folder) = &request.out else {
        bail!("name the folder of the sweep: `--out DIR`");
    };
    Ok(folder.clone())
}

fn say_what_would_be(request: &Sweep, plan: &Plan, folder: &Path, jobs: &[Job]) -> Result<()> {
    let mut lines = vec![format!("{} runs of `{}`:", jobs.len(), plan.program)];
    for (number, job) in jobs.iter().enumerate() {
        lines.push(format!("{number:4}  {job}  →  {}", job.folder.display()));
    }
    if let Some(job) = jobs.first() {
        lines.push(format!(
            "what one of them costs: {} --dry-run",
            slurm::shown(&command_line(plan, folder, job, &request.place)?)
        ));
    }
    if request.engine == Engine::Slurm {
        let all: Vec<usize> = (0..jobs.len()).collect();
        let script = slurm::script(folder, &all, &request.place, &request.scheduler)?;
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
    let is_there = RunFolder::at(job.folder.clone()).recipe().is_file();
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

/// The whole command that makes a run.
fn command_line(plan: &Plan, folder: &Path, job: &Job, place: &Place) -> Result<Vec<OsString>> {
    let mut words = vec![program(plan)?.into_os_string()];
    words.extend(plan.arguments(folder, job));
    words.extend(place.arguments()?);
    Ok(words)
}

fn command(plan: &Plan, folder: &Path, job: &Job, place: &Place) -> Result<Command> {
    let words = command_line(plan, folder, job, place)?;
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(std::process::Stdio::null());
    Ok(command)
}

/// Makes one run, as the process of its program where the system can: signals reach it, and its exit status is this one's.
fn one(plan: &Plan, folder: &Path, number: usize, place: &Place) -> Result<()> {
    let jobs = plan.jobs(folder);
    let Some(job) = jobs.get(number) else {
        bail!(
            "there is no task {number}: the sweep {} has the tasks 0 to {}",
            folder.display(),
            jobs.len().saturating_sub(1)
        );
    };
    note(place.quiet, &format!("task {number}: {job}"));
    local::become_it(command(plan, folder, job, place)?)
}
