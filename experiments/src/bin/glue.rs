//! `glue`: the GLUE table. `glue --help` lists stages and options.

use std::process::ExitCode;

fn main() -> ExitCode {
    sparta_experiments::cli::glue_main(std::env::args_os())
}
