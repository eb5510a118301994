//! `sparta sweep`.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::Args;
use sparta_ops::attention::Implementation;

use super::options::implementation;
use crate::device::{DeviceChoice, SPELLINGS};
use crate::memory;
use crate::sweep::{Axis, Engine, Place, Planned, Scheduler, Sweep, sweep};

/// Run a recipe at every point of a grid and every seed, here or as a job array of SLURM
///
/// Each point and seed has a run folder of its own in DIR. What is complete is not made again: a sweep goes on with
/// `sparta sweep --resume --out DIR`, on either engine and with the device, data and weights it began with, unless others are
/// given. `sparta report DIR` makes the tables, and one of the points.
#[derive(Debug, Clone, Args)]
pub(super) struct SweepOptions {
    /// A shipped recipe (`sparta recipes`) or a TOML file
    recipe: Option<String>,
    /// A key with its values, e.g. --grid train.lr=1e-3,2e-3 (repeatable: each with each)
    #[arg(long, value_name = "KEY=A,B")]
    grid: Vec<Axis>,
    /// Change a key at every point (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Seeds of every point [default: the recipe's]
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Folder of the sweep [default: runs/sweep-<program>-<hash>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Who works: local runs one after the other, slurm submits one task a run
    #[arg(long, value_enum, default_value = "local")]
    engine: Engine,
    #[arg(long, value_name = "DEVICE", help = format!("{SPELLINGS} [default: auto]"))]
    device: Option<DeviceChoice>,
    /// The implementation of attention [default: auto]
    #[arg(long, value_name = "WHICH", value_parser = implementation())]
    attention_by: Option<Implementation>,
    /// Corpus files, as for the program
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Folder with pretrained weights, as for glue, squad and mlm
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    /// A line for the script of SLURM, e.g. --sbatch=--time=4:00:00 (repeatable)
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    sbatch: Vec<String>,
    /// Tasks of SLURM at a time [default: as many as there are]
    #[arg(long, value_name = "N")]
    at_a_time: Option<std::num::NonZeroUsize>,
    /// List the runs, and the script of SLURM; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on with the sweep in DIR
    #[arg(long, requires = "out")]
    resume: bool,
    /// Make one run of the sweep in DIR alone, by its number, as the tasks of SLURM do
    #[arg(long, value_name = "N", requires = "out", conflicts_with_all = ["recipe", "grid", "sets", "seeds", "dry_run"])]
    task: Option<usize>,
    /// No progress output
    #[arg(long, short)]
    quiet: bool,
}

/// Sweeps.
pub(super) fn run(options: SweepOptions) -> Result<()> {
    memory::keep_freed();
    let is_planned =
        !options.grid.is_empty() || !options.sets.is_empty() || options.seeds.is_some();
    let planned = match options.recipe {
        Some(recipe) => Some(Planned {
            recipe,
            grid: options.grid,
            sets: options.sets,
            seeds: options.seeds,
        }),
        None if options.task.is_some() => None,
        None => {
            ensure!(
                !(options.resume && is_planned),
                "a sweep that goes on has its grid, `--set` and seeds in its folder: leave them out"
            );
            if !options.resume {
                bail!(
                    "name a recipe: `sparta sweep RECIPE --grid KEY=A,B`; or go on with a sweep: `sparta sweep --resume --out DIR`"
                );
            }
            None
        }
    };
    let is_for_slurm = !options.sbatch.is_empty() || options.at_a_time.is_some();
    ensure!(
        !is_for_slurm || options.engine == Engine::Slurm,
        "`--sbatch` and `--at-a-time` are for `--engine slurm`; add it, or leave them out"
    );
    sweep(&Sweep {
        planned,
        out: options.out,
        engine: options.engine,
        place: Place {
            device: options.device,
            attention: options.attention_by,
            data: options.data,
            weights: options.weights,
        },
        scheduler: Scheduler {
            options: options.sbatch,
            at_a_time: options.at_a_time.map(std::num::NonZeroUsize::get),
        },
        dry_run: options.dry_run,
        resume: options.resume,
        task: options.task,
        quiet: options.quiet,
    })
}
