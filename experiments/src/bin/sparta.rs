//! `sparta`: help around the experiments. `sparta doctor [--json]` says what works here.

use std::process::ExitCode;

fn main() -> ExitCode {
    sparta_experiments::cli::sparta_main(std::env::args_os())
}
