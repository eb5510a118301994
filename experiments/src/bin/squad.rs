//! `squad`: the SQuAD table. `squad --help` lists stages and options.

use std::process::ExitCode;

fn main() -> ExitCode {
    sparta_experiments::cli::squad_main(std::env::args_os())
}
