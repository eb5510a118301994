//! `iwslt`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use sparta_model::decode::SearchMethod;
use sparta_model::layer::Paging;

use super::main_of;
use super::options::{Common, PREPARE, REPORT, TRANSLATE};
use super::program::{Program, Unused};
use crate::protocol::{self, Stage};
use crate::recipe::TranslationRecipe;
use crate::task::translation::{self, Translate};
use crate::version;

/// Sparse attention in an encoder–decoder: the translation tables of both papers, reproduced.
///
/// Without a subcommand the whole table is made: a dense model for each normaliser, and under masks
/// on encoder, decoder and cross attention the same models trained again, each scored by BLEU.
#[derive(Debug, Parser)]
#[command(name = "iwslt", version = version::LONG)]
pub(super) struct Iwslt {
    #[command(subcommand)]
    command: Option<IwsltCommand>,
    #[command(flatten)]
    options: Common,
}

#[derive(Debug, Clone, Subcommand)]
enum IwsltCommand {
    #[command(flatten)]
    Stage(Stage),
    /// Translate the lines of standard input with a trained model
    Translate(TranslateOptions),
}

#[derive(Debug, Clone, Args)]
struct TranslateOptions {
    /// Run folder, or the folder of one model in it (RUN/seed-1/softmax/dense)
    #[arg(long, value_name = "RUN[/MODEL]")]
    model: PathBuf,
    /// Print the N best translations of each line, with their scores
    #[arg(long, value_name = "N", default_value_t = 1)]
    n_best: usize,
    /// Hypotheses kept while searching [default: the recipe's, at least N]
    #[arg(long, value_name = "N")]
    beam: Option<usize>,
    /// How to search: beam, exact (depth-first for the most probable translation, over a sparse output layer), or
    /// exact(prefixes=N), which reads N prefixes of a line at most [default: the recipe's]
    #[arg(long, value_name = "SEARCH")]
    search: Option<SearchMethod>,
    /// Read the decoder's keys by pages of 16, where its attention is α-entmax: exact (all pages that can have weight),
    /// gaussian or top_k=KEYS, the last two also with +fixed or +corrected; says what was read, and the weight dropped
    #[arg(long, value_name = "PAGES")]
    pages: Option<Paging>,
    /// Write the attention weights of each best translation here, one JSON object a line
    #[arg(long, value_name = "FILE")]
    attention: Option<PathBuf>,
}

impl Program for Iwslt {
    type Recipe = TranslationRecipe;
    type Options = Common;
    const UNUSED: &'static [Unused] = &[PREPARE, REPORT, TRANSLATE];

    fn options_mut(&mut self) -> &mut Common {
        &mut self.options
    }
}

/// The whole of the `iwslt` program.
#[must_use]
pub fn iwslt_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    main_of(args, |cli: Iwslt| match cli.command {
        None => protocol::main::<translation::Translation>(&cli.options.request(None)?),
        Some(IwsltCommand::Stage(stage)) => {
            protocol::main::<translation::Translation>(&cli.options.request(Some(stage))?)
        }
        Some(IwsltCommand::Translate(options)) => translation::translate(&Translate {
            model: options.model,
            n_best: options.n_best,
            beam: options.beam,
            search: options.search,
            pages: options.pages,
            attention: options.attention,
            device: cli.options.device(),
            quiet: cli.options.quiet,
        }),
    })
}
