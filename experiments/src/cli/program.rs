//! What the command lines of all programs have in common: options before or after the subcommand, and none
//! that the subcommand does not use.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches, Parser};

use super::examples::with_examples;
use crate::recipe::Recipe;

/// A program that works by a recipe.
pub(super) trait Program: Parser {
    /// Its recipes.
    type Recipe: Recipe;
    /// Its options, which stand before the subcommand, or after it, or are given without one.
    type Options: Options;
    /// Which of them a subcommand does not use.
    const UNUSED: &'static [Unused];

    /// The options of the command line; those before the subcommand, when clap has read it.
    fn options_mut(&mut self) -> &mut Self::Options;
}

/// Options that may stand before and after the subcommand.
pub(super) trait Options: Args + Clone {
    /// Both together.
    ///
    /// # Errors
    /// The flag of an option that is given twice and has one value.
    fn with(self, after: Self) -> Result<Self, &'static str>;
}

/// Options of a program that one of its subcommands has no use for.
pub(super) struct Unused {
    /// The subcommand.
    pub(super) subcommand: &'static str,
    /// The options by the names of their fields.
    pub(super) options: &'static [&'static str],
    /// What the subcommand does instead.
    pub(super) because: &'static str,
}

/// An option with one value, given before the subcommand or after it.
pub(super) fn once<T>(
    flag: &'static str,
    before: Option<T>,
    after: Option<T>,
) -> Result<Option<T>, &'static str> {
    match (before, after) {
        (Some(_), Some(_)) => Err(flag),
        (before, after) => Ok(after.or(before)),
    }
}

/// The command line of a program, each subcommand with the options that it uses.
pub(super) fn command<P: Program>() -> Command {
    let shipped: Vec<&str> = P::Recipe::SHIPPED.iter().map(|s| s.name).collect();
    let help = format!(
        "A shipped recipe ({}) or a TOML file [default: that of the run folder `--out`, else {}]",
        shipped.join(", "),
        shipped[0]
    );
    let with_help = |command: Command| command.mut_arg("recipe", |arg| arg.help(help.clone()));
    let command = with_help(P::command()).mut_subcommands(|subcommand| {
        // What the options say of themselves would stand in the place of what the subcommand does.
        let about = subcommand.get_about().cloned();
        let long_about = subcommand.get_long_about().cloned();
        let subcommand = with_help(P::Options::augment_args(subcommand))
            .about(Resettable::from(about))
            .long_about(Resettable::from(long_about));
        let subcommand = match subcommand.get_name() {
            "prepare" => {
                let has_weights = subcommand
                    .get_arguments()
                    .any(|arg| arg.get_id() == "weights");
                subcommand.after_help(prepare_help(has_weights))
            }
            _ => subcommand,
        };
        let unused = unused::<P>(subcommand.get_name());
        subcommand.mut_args(|arg| {
            let is_unused =
                unused.is_some_and(|unused| unused.options.contains(&arg.get_id().as_str()));
            arg.hide(is_unused)
        })
    });
    with_examples(command)
}

/// What `prepare --help` says of downloads.
fn prepare_help(has_weights: bool) -> String {
    let (what, of_weights, more) = match has_weights {
        true => (
            "The corpus of a recipe and the weights of its network are downloaded where they are not at hand",
            ";\n                      of weights DIR/NAME, by their NAME on the Hugging Face hub",
            "\n  HF_ENDPOINT=URL     where weights come from [default: https://huggingface.co]",
        ),
        false => (
            "The corpus of a recipe is downloaded where it is not at hand",
            "",
            "",
        ),
    };
    format!(
        "{what}, and checked; size, licence and sha256 are said. A hash that was not \
         published is recorded at the first download, and another one is refused later.\n\n\
         Without a network:\n  \
         --from DIR          the folder has the published files, as archives or unpacked{of_weights}\n  \
         SPARTA_CACHE=DIR    the folder that downloads go to, e.g. a copy of another machine's \
         [default: ~/.cache/sparta]{more}"
    )
}

fn unused<P: Program>(subcommand: &str) -> Option<&'static Unused> {
    P::UNUSED
        .iter()
        .find(|unused| unused.subcommand == subcommand)
}

/// Reads the command line of a program.
pub(super) fn parse<P: Program>(
    args: impl IntoIterator<Item = OsString>,
) -> Result<P, clap::Error> {
    let mut command = command::<P>();
    let matches = command.try_get_matches_from_mut(args)?;
    let mut program = P::from_arg_matches(&matches)?;
    let Some((subcommand, after)) = matches.subcommand() else {
        return Ok(program);
    };
    if let Some(unused) = unused::<P>(subcommand) {
        for id in unused.options {
            if is_given(&matches, id) || is_given(after, id) {
                let flag = flag(&command, id);
                let message = format!(
                    "`{} {subcommand}` does not use `{flag}`: {}; leave it out",
                    command.get_name(),
                    unused.because
                );
                return Err(command.error(ErrorKind::ArgumentConflict, message));
            }
        }
    }
    let after = P::Options::from_arg_matches(after)?;
    let options = program.options_mut();
    match options.clone().with(after) {
        Ok(both) => *options = both,
        Err(flag) => {
            let message = format!("`{flag}` is given twice, before and after `{subcommand}`");
            return Err(command.error(ErrorKind::ArgumentConflict, message));
        }
    }
    Ok(program)
}

/// Whether an option was typed; of a program without it, it was not.
fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches.try_contains_id(id).is_ok()
        && matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// How an option is typed.
fn flag(command: &Command, id: &str) -> String {
    let arg = command.get_arguments().find(|arg| arg.get_id() == id);
    let long = arg.and_then(|arg| arg.get_long()).unwrap_or(id);
    format!("--{long}")
}
