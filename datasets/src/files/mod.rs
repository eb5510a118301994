//! The user's own files: running text, sentence pairs, labelled texts, questions on paragraphs.
//!
//! Published corpora are checked against what was published; here nothing is known beforehand. What is read is
//! remembered by its sha256 ([`Origins`]), which names the corpus in scores, and one file becomes train, validation
//! and test by a hash of its units ([`Fractions`]), so that equal units stay on one side.

mod pairs;
mod questions;
mod read;
mod split;
mod table;
mod text;

pub use pairs::{OwnPairs, PairRule};
pub use questions::{OwnQuestions, QuestionRule};
pub use split::Fractions;
pub use table::{LabelKind, OwnTable, TableRule};
pub use text::{ParagraphReader, Paragraphs, TextRule, Words};

pub use crate::source::{Origin, Origins};
