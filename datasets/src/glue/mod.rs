//! The nine tasks of GLUE (Wang et al. 2019) from the published TSV folders.
//!
//! The files are tables without quoting: a `"` is a character like any other. Each is held to the
//! header and the columns of the published one, and its number of examples is compared with the
//! published number ([`PartCount`](crate::classification::PartCount)).

mod layout;
mod mrpc;
mod prepare;
mod read;
mod table;

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) use prepare::cached;
pub use prepare::{check_given, locate, prepare};
pub(crate) use read::origins;
pub use read::{read_part, read_task};

use crate::classification::Labels;

/// A task of GLUE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GlueTask {
    /// Corpus of Linguistic Acceptability: is it a grammatical sentence?
    Cola,
    /// Stanford Sentiment Treebank: is the review positive?
    Sst2,
    /// Microsoft Research Paraphrase Corpus: do both say the same?
    Mrpc,
    /// Quora Question Pairs: do both ask the same?
    Qqp,
    /// Semantic Textual Similarity Benchmark: how alike are they, 0 to 5?
    Stsb,
    /// Multi-Genre NLI: does the first entail, contradict or neither the second?
    Mnli,
    /// Question NLI: does the sentence answer the question?
    Qnli,
    /// Recognizing Textual Entailment: does the first entail the second?
    Rte,
    /// Winograd NLI: is the pronoun resolved rightly?
    Wnli,
}

const BINARY: Labels = classes(&[Cow::Borrowed("0"), Cow::Borrowed("1")]);
const ENTAILMENT: Labels = classes(&[Cow::Borrowed("entailment"), Cow::Borrowed("not_entailment")]);
const NLI: Labels = classes(&[
    Cow::Borrowed("contradiction"),
    Cow::Borrowed("entailment"),
    Cow::Borrowed("neutral"),
]);

const fn classes(names: &'static [Cow<'static, str>]) -> Labels {
    Labels::Classes(Cow::Borrowed(names))
}

impl GlueTask {
    /// Every task.
    pub const ALL: [Self; 9] = [
        Self::Cola,
        Self::Sst2,
        Self::Mrpc,
        Self::Qqp,
        Self::Stsb,
        Self::Mnli,
        Self::Qnli,
        Self::Rte,
        Self::Wnli,
    ];

    /// The spelling in recipes and signatures: `cola`, `sst2`, ….
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cola => "cola",
            Self::Sst2 => "sst2",
            Self::Mrpc => "mrpc",
            Self::Qqp => "qqp",
            Self::Stsb => "stsb",
            Self::Mnli => "mnli",
            Self::Qnli => "qnli",
            Self::Rte => "rte",
            Self::Wnli => "wnli",
        }
    }

    /// The published name with the benchmark's: `GLUE SST-2`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Cola => "GLUE CoLA",
            Self::Sst2 => "GLUE SST-2",
            Self::Mrpc => "GLUE MRPC",
            Self::Qqp => "GLUE QQP",
            Self::Stsb => "GLUE STS-B",
            Self::Mnli => "GLUE MNLI",
            Self::Qnli => "GLUE QNLI",
            Self::Rte => "GLUE RTE",
            Self::Wnli => "GLUE WNLI",
        }
    }

    /// The folder of the published files: `SST-2`.
    pub fn folder(self) -> &'static str {
        self.title().trim_start_matches("GLUE ")
    }

    /// What is predicted. Of a binary task class 1 is the positive one of an F1.
    pub const fn labels(self) -> Labels {
        match self {
            Self::Cola | Self::Sst2 | Self::Mrpc | Self::Qqp | Self::Wnli => BINARY,
            Self::Qnli | Self::Rte => ENTAILMENT,
            Self::Mnli => NLI,
            Self::Stsb => Labels::Score,
        }
    }

    /// Whether an example is two texts.
    pub fn is_pair(self) -> bool {
        let files = layout::files(self);
        files.iter().all(|file| file.second.is_some())
    }

    /// The published number of examples of a part.
    pub fn published_examples(self, part: &str) -> Option<usize> {
        let files = layout::files(self);
        let file = files.iter().find(|file| file.part == part);
        file.map(|file| file.n_examples)
    }

    /// The parts that scores are reported on: `dev`, of MNLI `dev-matched` and `dev-mismatched`.
    pub fn dev_parts(self) -> Vec<&'static str> {
        let names = layout::files(self).iter().map(|file| file.part);
        names.filter(|part| part.starts_with("dev")).collect()
    }
}

impl fmt::Display for GlueTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What to do when files are not right.
fn advice(task: GlueTask) -> String {
    let folder = task.folder();
    format!(
        "get the published GLUE data and run `prepare --from DIR` on the folder that holds {folder}/"
    )
}

/// Files of a part, for messages.
fn path_of(dir: &Path, file: &layout::PartFile) -> PathBuf {
    dir.join(file.file)
}
