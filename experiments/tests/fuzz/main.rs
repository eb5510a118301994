//! The fuzzer of the readers of outside data, run by hand:
//!
//! ```text
//! cargo test --release -p sparta-experiments --test fuzz -- [--target NAME] [--inputs N] [--seconds S] [--seed K]
//! ```
//!
//! Without `--target` it takes all of them, one after the other. A fault is printed with the line that shows it again,
//! and the program fails. Give a folder in memory (`--work /dev/shm`): every input is a file. Where the process itself
//! dies (a stack that overflows), `sparta-fuzz-PID-NAME/0.at` there has the number of the input, and `--keep DIR
//! --first NUMBER --inputs 1` writes it to a file.

mod campaign;

use std::path::PathBuf;
use std::process::ExitCode;

use campaign::{Counts, Limits, TARGETS, altered, run};
use clap::Parser;

/// Feeds altered files to the readers of outside data.
#[derive(Parser)]
struct Options {
    /// Only this reader; `--list` prints their names.
    #[arg(long)]
    target: Vec<String>,
    /// Inputs a target.
    #[arg(long, default_value_t = 1_000_000)]
    inputs: u64,
    /// Seconds a target.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Another seed gives other inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of the first input.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Where files are written.
    #[arg(long)]
    work: Option<PathBuf>,
    /// Writes each input that shows a fault into this folder.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Prints the names of the readers.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        TARGETS
            .iter()
            .for_each(|target| println!("{}", target.name));
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = options
        .target
        .iter()
        .find(|&name| TARGETS.iter().all(|target| target.name != *name))
    {
        eprintln!("no target `{unknown}`; `--list` prints those there are");
        return ExitCode::FAILURE;
    }
    let work = options.work.unwrap_or_else(std::env::temp_dir);
    let limits = Limits {
        inputs: options.inputs,
        seconds: options.seconds,
        seed: options.seed,
        first: options.first,
    };
    let is_asked =
        |name: &str| options.target.is_empty() || options.target.iter().any(|asked| asked == name);
    let mut n_faults = 0;
    for target in TARGETS.iter().filter(|target| is_asked(target.name)) {
        if let (Some(keep), 1) = (&options.keep, limits.inputs) {
            // Also of an input that the process does not survive.
            let path = keep.join(target.name);
            let bytes = altered(limits.seed, target.name, limits.first, &(target.corpus)());
            if let Err(error) =
                std::fs::create_dir_all(keep).and_then(|()| std::fs::write(&path, bytes))
            {
                eprintln!("cannot write {}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
        let counts: Counts = run(target, &limits, &work, options.keep.as_deref());
        println!("{counts}");
        n_faults += counts.n_faults();
    }
    match n_faults {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
