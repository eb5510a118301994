//! `iwslt`: the translation tables. `iwslt --help` lists stages and options.

use std::process::ExitCode;

fn main() -> ExitCode {
    sparta_experiments::cli::iwslt_main(std::env::args_os())
}
