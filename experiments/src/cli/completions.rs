//! `sparta completions`.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::builder::Resettable;
use clap::{Args, Command, CommandFactory, ValueEnum};
use clap_complete::{Generator, Shell, generate};

use super::examples::with_examples;
use super::glue::Glue;
use super::iwslt::Iwslt;
use super::lm::Lm;
use super::mlm::Mlm;
use super::program::command;
use super::sparta::Sparta;
use super::squad::Squad;
use crate::io::{print_line, read_text, refuse_file, write_text};
use crate::version;

/// For which shell, and of which program.
#[derive(Debug, Args)]
pub(super) struct CompletionsOptions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
    /// The program [default: sparta, or with --out all of them]
    #[arg(value_enum)]
    program: Option<ProgramName>,
    /// Write a script of each program here, under the names that the shell looks for, instead of printing one
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A program of this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgramName {
    /// Language modelling
    Lm,
    /// Translation
    Iwslt,
    /// Labelled texts
    Glue,
    /// Answers in paragraphs
    Squad,
    /// Masked language modelling
    Mlm,
    /// Around them
    Sparta,
}

impl ProgramName {
    /// Its command line.
    pub(super) fn command(self) -> Command {
        match self {
            Self::Lm => command::<Lm>(),
            Self::Iwslt => command::<Iwslt>(),
            Self::Glue => command::<Glue>(),
            Self::Squad => command::<Squad>(),
            Self::Mlm => command::<Mlm>(),
            Self::Sparta => with_examples(Sparta::command()),
        }
    }
}

/// The script that completes a program in a shell.
pub(super) fn script(shell: Shell, program: ProgramName) -> String {
    let mut command = used(&program.command()).version(version::VERSION);
    let name = command.get_name().to_owned();
    let mut bytes = Vec::new();
    generate(shell, &mut command, name, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A command line without the options that its subcommands do not use: scripts name hidden ones too.
fn used(command: &Command) -> Command {
    // A name that lives as long as clap asks for: a script is made once in a process.
    let name: &'static str = command.get_name().to_owned().leak();
    let arguments = command.get_arguments().filter(|arg| !arg.is_hide_set());
    Command::new(name)
        .about(Resettable::from(command.get_about().cloned()))
        .args(arguments.cloned())
        .subcommands(command.get_subcommands().map(used))
}

/// Whether nothing is at a path, or a script as an earlier version wrote it: one whose first lines are this one's, of which
/// other programs' scripts may share the very first.
fn is_ours(path: &Path, script: &str) -> bool {
    let first = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.take(3).map(str::to_owned).collect()
    };
    !path.exists() || read_text(path).is_ok_and(|there| first(&there) == first(script))
}

/// Prints a script, or writes those that are asked for and prints their paths.
///
/// # Errors
/// A folder that cannot be written to, or a file that is none of ours.
pub(super) fn run(options: &CompletionsOptions) -> Result<()> {
    let CompletionsOptions {
        shell,
        program,
        out,
    } = options;
    let Some(out) = out else {
        let program = program.unwrap_or(ProgramName::Sparta);
        print_line(script(*shell, program).trim_end())?;
        return Ok(());
    };
    refuse_file(out, "--out")?;
    let all = ProgramName::value_variants();
    for program in program.as_ref().map_or(all, std::slice::from_ref) {
        let path = out.join(shell.file_name(program.command().get_name()));
        let is_folder = path.is_dir();
        ensure!(
            !is_folder,
            "{} is a folder: delete it, or give another `--out`",
            path.display()
        );
        let script = script(*shell, *program);
        ensure!(
            is_ours(&path, &script),
            "{} is there already and is no such script: move it, or give another `--out`",
            path.display()
        );
        write_text(&path, &script)?;
        print_line(path.display())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_of_ours_are_written_over() {
        let folder = tempfile::tempdir().unwrap();
        for shell in [
            Shell::Bash,
            Shell::Zsh,
            Shell::Fish,
            Shell::Elvish,
            Shell::PowerShell,
        ] {
            let options = CompletionsOptions {
                shell,
                program: Some(ProgramName::Lm),
                out: Some(folder.path().to_owned()),
            };
            run(&options).unwrap();
            run(&options).unwrap();
            let path = folder.path().join(shell.file_name("lm"));
            let earlier = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, format!("{earlier}# of an earlier version")).unwrap();
            run(&options).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), earlier);
            for foreign in [
                "precious",
                "#compdef lm\n_files",
                "_lm() {\n  echo\n}",
                "use builtin;",
            ] {
                std::fs::write(&path, foreign).unwrap();
                let error = run(&options).unwrap_err().to_string();
                assert!(error.contains("is no such script"), "{error}");
                assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
            }
        }
    }
}
