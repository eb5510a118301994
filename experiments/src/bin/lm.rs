//! `lm`: the language-model table. `lm --help` lists stages and options.

use std::process::ExitCode;

fn main() -> ExitCode {
    sparta_experiments::cli::lm_main(std::env::args_os())
}
