//! `mlm`: the masked language model's table. `mlm --help` lists stages and options.

use std::process::ExitCode;

fn main() -> ExitCode {
    sparta_experiments::cli::mlm_main(std::env::args_os())
}
