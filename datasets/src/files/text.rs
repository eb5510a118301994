//! Running text.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::read::read;
use super::split::{Fractions, of_folder, with_end};
use crate::corpus::Corpus;
use crate::pairs::to_lower;
use crate::source::{Origin, Origins};
use crate::tokenize::Language;
use crate::tokenize::moses::{MosesTokenizer, TokenizerOptions};
use crate::{Error, Result, Split};

/// Endings of the files of a folder.
const ENDS: [&str; 3] = ["", ".txt", ".tokens"];

/// What a paragraph is, the unit that is split and that ends with `<eos>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paragraphs {
    /// A line.
    Lines,
    /// The lines up to the next blank one, as in hard-wrapped books.
    BlankLines,
}

impl Paragraphs {
    /// What finds them in a text that comes line by line.
    pub fn reader(self) -> ParagraphReader {
        ParagraphReader {
            paragraphs: self,
            open: String::new(),
        }
    }
}

/// Lines in, paragraphs out; blank ones are left out.
///
/// ```
/// use sparta_datasets::files::Paragraphs;
///
/// let mut reader = Paragraphs::BlankLines.reader();
/// assert!(reader.line("It was cold").is_none() && reader.line("and late.").is_none());
/// assert_eq!(reader.line("").unwrap().trim(), "It was cold and late.");
/// assert!(reader.line(" ").is_none() && reader.end().is_none());
/// ```
#[derive(Debug, Clone)]
pub struct ParagraphReader {
    paragraphs: Paragraphs,
    /// The lines so far of a paragraph that goes on.
    open: String,
}

impl ParagraphReader {
    /// The paragraph that a line ends, if it ends one.
    pub fn line<'a>(&mut self, line: &'a str) -> Option<Cow<'a, str>> {
        let is_blank = line.trim().is_empty();
        match self.paragraphs {
            Paragraphs::Lines => (!is_blank).then_some(Cow::Borrowed(line)),
            Paragraphs::BlankLines if is_blank => self.end().map(Cow::Owned),
            Paragraphs::BlankLines => {
                self.open.push_str(line);
                self.open.push(' ');
                None
            }
        }
    }

    /// The paragraph that the end of the text ends.
    pub fn end(&mut self) -> Option<String> {
        let paragraph = std::mem::take(&mut self.open);
        (!paragraph.is_empty()).then_some(paragraph)
    }
}

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Words {
    /// What stands between white space.
    Spaces,
    /// What Moses' tokenizer cuts off, punctuation by itself; nothing is escaped.
    Moses,
}

/// How text becomes a corpus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextRule {
    /// What is held out of a single file.
    pub fractions: Fractions,
    /// What a paragraph is.
    pub paragraphs: Paragraphs,
    /// What a word is.
    pub words: Words,
    /// Whose rules Moses follows.
    pub language: Language,
    /// Whether words are brought into lower case.
    pub lowercase: bool,
}

impl TextRule {
    /// The corpus of a file, split by paragraphs, or of a folder with `train.txt`, `valid.txt` (or `dev.txt`) and `test.txt`.
    /// Blank paragraphs are left out. See [`Origins::name`] for its name.
    ///
    /// # Errors
    /// A folder that lacks a file; a split without a paragraph; what cannot be read as text, with its line.
    pub fn corpus(&self, path: &Path) -> Result<(Corpus, Origins)> {
        let mut origins = Vec::new();
        let mut texts = [const { String::new() }; 3];
        let parts = parts(path)?;
        for (path, split) in &parts {
            let (text, origin) = read(path)?;
            origins.push(origin);
            self.each_paragraph(&text, |paragraph| {
                let split = split.unwrap_or_else(|| self.fractions.split_of(paragraph));
                let to = &mut texts[place(split)];
                to.push_str(&self.words_of(paragraph));
                to.push('\n');
            });
        }
        let origins = Origins(origins);
        for split in Split::ALL {
            if texts[place(split)].is_empty() {
                let more =
                    "; where blank lines part paragraphs, `data.files.paragraphs=blank_lines`";
                let what = ("paragraph", split);
                return Err(self.fractions.nothing(path, what, &parts, more));
            }
        }
        let name = origins.name();
        let [train, valid, test] = texts;
        let corpus = Corpus {
            name,
            train,
            valid,
            test,
        };
        Ok((corpus, origins))
    }

    /// What the files of [`TextRule::corpus`] are now.
    ///
    /// # Errors
    /// A folder that lacks a file; [`Error::Io`].
    pub fn origins(&self, path: &Path) -> Result<Origins> {
        let files = parts(path)?.into_iter();
        let origins = files.map(|(path, _)| Origin::of(&path));
        origins.collect::<Result<_>>().map(Origins)
    }

    fn each_paragraph(&self, text: &str, mut with: impl FnMut(&str)) {
        let mut reader = self.paragraphs.reader();
        for line in text.lines() {
            if let Some(paragraph) = reader.line(line) {
                with(&paragraph);
            }
        }
        if let Some(paragraph) = reader.end() {
            with(&paragraph);
        }
    }

    /// A paragraph as words between single spaces, as the corpus has them.
    pub fn words_of(&self, paragraph: &str) -> String {
        let paragraph = match self.words {
            Words::Spaces => paragraph.to_owned(),
            Words::Moses => {
                let options = TokenizerOptions {
                    escape: false,
                    ..TokenizerOptions::default()
                };
                MosesTokenizer::with_options(self.language, options).tokenize(paragraph)
            }
        };
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        let line = words.join(" ");
        match self.lowercase {
            true => to_lower(&line),
            false => line,
        }
    }
}

/// The files of a path, each with its split, or one that is to be split.
fn parts(path: &Path) -> Result<Vec<(PathBuf, Option<Split>)>> {
    match path.is_dir() {
        false => Ok(vec![(path.to_owned(), None)]),
        true => of_folder(
            path,
            |start| with_end(start, &ENDS),
            |name| missing(path, name),
        ),
    }
}

fn place(split: Split) -> usize {
    match split {
        Split::Train => 0,
        Split::Valid => 1,
        Split::Test => 2,
    }
}

fn missing(dir: &Path, name: &str) -> Error {
    Error::WrongFile {
        path: dir.to_owned(),
        expected: "train.txt, valid.txt and test.txt".to_owned(),
        found: format!("no {name}.txt"),
        next: "put it there, or give one file, which is split by itself: `--data FILE`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn rule() -> TextRule {
        TextRule {
            fractions: Fractions {
                valid: 0.2,
                test: 0.2,
                seed: 1,
            },
            paragraphs: Paragraphs::Lines,
            words: Words::Spaces,
            language: Language::En,
            lowercase: false,
        }
    }

    #[test]
    fn one_file_is_split_by_paragraphs_and_equal_ones_stay_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.txt");
        let lines: Vec<String> = (0..200).map(|i| format!("line  {}", i % 50)).collect();
        fs::write(&path, lines.join("\r\n")).unwrap();
        let (corpus, origins) = rule().corpus(&path).unwrap();
        let words = |split| {
            corpus
                .text(split)
                .lines()
                .collect::<std::collections::BTreeSet<_>>()
        };
        let [train, valid, test] = Split::ALL.map(words);
        assert_eq!(train.len() + valid.len() + test.len(), 50);
        assert!(train.is_disjoint(&valid) && train.is_disjoint(&test) && valid.is_disjoint(&test));
        let n_lines = Split::ALL.map(|split| corpus.text(split).lines().count());
        assert_eq!(n_lines.iter().sum::<usize>(), 200);
        assert!(
            train
                .iter()
                .all(|line| line.starts_with("line ") && !line.contains("  "))
        );
        assert_eq!((corpus.name.len(), origins.0.len()), (18, 1));
        // The name is that of the bytes.
        let other = dir.path().join("other.txt");
        fs::copy(&path, &other).unwrap();
        assert_eq!(rule().corpus(&other).unwrap().0, corpus);
        fs::write(&other, "line 1\n").unwrap();
        let error = rule().corpus(&other).unwrap_err().to_string();
        assert!(
            error.contains("a paragraph for the") && error.contains("found none"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_has_its_splits_and_says_what_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("train.txt", "Hello, World!\n\nIt's (so).\n");
        write("dev.txt", "b\n");
        let error = rule().corpus(dir.path()).unwrap_err().to_string();
        assert!(error.contains("found no test.txt; put"), "{error}");
        write("Test.txt", "c\n");
        let error = rule().corpus(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("found no test.txt, but `Test.txt`: names are in lower case"),
            "{error}"
        );
        fs::remove_file(dir.path().join("Test.txt")).unwrap();
        write("test.TXT", "c\n");
        let of = |rule: TextRule| rule.corpus(dir.path()).unwrap();
        let (corpus, origins) = of(rule());
        assert_eq!(corpus.train, "Hello, World!\nIt's (so).\n");
        assert_eq!(
            (corpus.valid.as_str(), corpus.test.as_str()),
            ("b\n", "c\n")
        );
        assert_eq!(origins.0.len(), 3);
        let moses = TextRule {
            words: Words::Moses,
            lowercase: true,
            ..rule()
        };
        assert_eq!(of(moses).0.train, "hello , world !\nit 's ( so ) .\n");
    }

    #[test]
    fn an_empty_file_of_a_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("train.txt", "a\n");
        write("valid.txt", "b\n");
        for (text, words) in [
            ("", "found none in `test.txt`, which is empty; put some"),
            ("\n \n", "found none in `test.txt`; put some"),
        ] {
            write("test.txt", text);
            let error = rule().corpus(dir.path()).unwrap_err().to_string();
            assert!(
                error.contains(words) && !error.contains("by a hash"),
                "{error}"
            );
        }
    }

    #[test]
    fn wrapped_paragraphs_end_at_blank_lines() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["train.txt", "valid.txt", "test.txt"] {
            fs::write(dir.path().join(name), "\n\none\ntwo\n \n\nthree\n").unwrap();
        }
        let wrapped = TextRule {
            paragraphs: Paragraphs::BlankLines,
            ..rule()
        };
        assert_eq!(
            wrapped.corpus(dir.path()).unwrap().0.test,
            "one two\nthree\n"
        );
    }
}
