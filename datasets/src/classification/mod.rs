//! Texts and pairs of texts with a class or a score: what sentence classifiers are trained on.

mod loaded;
mod name;

pub use loaded::{LoadedTask, PartCount};
pub use name::ClassificationTask;

use std::borrow::Cow;

use crate::{Error, Result};

/// What a model predicts of an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Labels {
    /// One of these classes; a class is its place in the list.
    Classes(Cow<'static, [Cow<'static, str>]>),
    /// A number; in GLUE one in 0 to 5, as people rated it.
    Score,
}

impl Labels {
    /// Width of the model's output: the number of classes, 1 for a score.
    pub fn n_outputs(&self) -> usize {
        match self {
            Self::Classes(names) => names.len(),
            Self::Score => 1,
        }
    }

    /// The label as files spell it.
    ///
    /// # Errors
    /// What was expected instead, in words.
    pub(crate) fn parse(&self, text: &str) -> Result<Label, String> {
        match self {
            Self::Classes(names) => match names.iter().position(|name| name == text) {
                Some(class) => Ok(Label::Class(class)),
                None => Err(format!("a label of {}", names.join(", "))),
            },
            Self::Score => match text.parse::<f32>() {
                Ok(score) if (0.0..=5.0).contains(&score) => Ok(Label::Score(score)),
                Ok(_) | Err(_) => Err("a score from 0 to 5".to_owned()),
            },
        }
    }

    /// What people call a label: the class's name, or the score.
    pub fn spell(&self, label: Label) -> String {
        match (self, label) {
            (Self::Classes(names), Label::Class(class)) => names
                .get(class)
                .map_or(class.to_string(), |name| name.clone().into_owned()),
            (Self::Score, Label::Class(class)) => class.to_string(),
            (Self::Classes(_) | Self::Score, Label::Score(score)) => format!("{score:.3}"),
        }
    }
}

/// The label of one example.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Label {
    /// A class, counted from 0 in [`Labels::Classes`].
    Class(usize),
    /// A score.
    Score(f32),
}

/// One text or a pair, with its label if that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct TextExample {
    /// The only or the first text.
    pub first: String,
    /// The second text of a pair.
    pub second: Option<String>,
    /// The label; `None` in test files that were published without.
    pub label: Option<Label>,
}

/// A part of a corpus under the name that a score's signature gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// `train`, `dev`, `dev-matched`, `test`, ….
    pub name: &'static str,
    /// Its examples in the order of the file.
    pub examples: Vec<TextExample>,
}

/// A task in its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassificationCorpus {
    /// Short name, as in a score's signature: `question-sentence`, `rte`, ….
    pub name: Cow<'static, str>,
    /// What is predicted.
    pub labels: Labels,
    /// Its parts; `train` first.
    pub parts: Vec<Part>,
}

impl ClassificationCorpus {
    /// The part of a name.
    ///
    /// # Errors
    /// [`Error::UnknownPart`] with the names that exist.
    pub fn part(&self, name: &str) -> Result<&Part> {
        self.parts
            .iter()
            .find(|part| part.name == name)
            .ok_or_else(|| Error::UnknownPart {
                corpus: self.name.clone().into_owned(),
                name: name.to_owned(),
                known: self
                    .parts
                    .iter()
                    .map(|part| part.name)
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }
}
