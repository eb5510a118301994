//! Sentences and their translations.

use std::path::{Path, PathBuf};

use super::read::read;
use super::split::{Fractions, Named, folder_of, of_folder, the_one, with_end};
use super::text::Words;
use crate::pairs::{ParallelCorpus, SentencePair, to_lower};
use crate::source::{Origin, Origins};
use crate::tokenize::Language;
use crate::{Error, Result, Split};

/// How files become a parallel corpus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairRule {
    /// What is held out of files that have no split of their own.
    pub fractions: Fractions,
    /// Language that is translated from.
    pub source: Language,
    /// Language that is translated to.
    pub target: Language,
    /// What a word is.
    pub words: Words,
    /// Whether words are brought into lower case.
    pub lowercase: bool,
}

/// A parallel corpus of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPairs {
    /// Its pairs, tokenised; of [`Origins::name`].
    pub corpus: ParallelCorpus,
    /// Its files.
    pub origins: Origins,
    /// Pairs that were left out because one side, or both, had no word.
    pub n_without_words: usize,
}

/// The files with the two sides of a split, or of everything.
enum Sides {
    /// One sentence a line in each.
    Two(PathBuf, PathBuf),
    /// Source, tab, target.
    Tsv(PathBuf),
}

impl PairRule {
    /// The corpus at a path, which is
    /// - a file: `source⇥target` on each line;
    /// - the beginning of two files' names, `corpus` for `corpus.de` and `corpus.en`;
    /// - a folder: `train.de`, `train.en`, `valid.de` (or `dev.de`), …, `test.en`, or `train.tsv`, `valid.tsv`, `test.tsv`.
    ///
    /// Without splits of its own it is split by a hash of the source sentences, so that equal ones stay on one side.
    ///
    /// # Errors
    /// What is missing; sides of different lengths, with both; a line without its tab, by its number; a split without a pair;
    /// what cannot be read as text.
    pub fn corpus(&self, path: &Path) -> Result<OwnPairs> {
        let mut corpus = ParallelCorpus::empty("", self.source, self.target);
        let (mut origins, mut n_without_words) = (Vec::new(), 0);
        let parts = self.parts(path)?;
        for (sides, split) in &parts {
            for pair in sides.read(&mut origins)? {
                if pair.0.trim().is_empty() || pair.1.trim().is_empty() {
                    n_without_words += 1;
                    continue;
                }
                let split = split.unwrap_or_else(|| self.fractions.split_of(&pair.0));
                corpus.split_mut(split).push(pair);
            }
        }
        for split in Split::ALL {
            if corpus.pairs(split).is_empty() {
                let what = ("sentence pair", split);
                return Err(self.fractions.nothing(path, what, &parts, ""));
            }
        }
        let origins = Origins(origins);
        corpus.name = origins.name();
        let corpus = match self.words {
            Words::Moses => corpus.tokenized(self.lowercase),
            Words::Spaces => {
                let side = |line: &str| {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let line = words.join(" ");
                    if self.lowercase {
                        to_lower(&line)
                    } else {
                        line
                    }
                };
                corpus.map(side, side)
            }
        };
        Ok(OwnPairs {
            corpus,
            origins,
            n_without_words,
        })
    }

    /// What the files of [`PairRule::corpus`] are now.
    ///
    /// # Errors
    /// What is missing; [`Error::Io`].
    pub fn origins(&self, path: &Path) -> Result<Origins> {
        let mut origins = Vec::new();
        for (sides, _) in self.parts(path)? {
            match &sides {
                Sides::Two(source, target) => {
                    origins.extend([Origin::of(source)?, Origin::of(target)?]);
                }
                Sides::Tsv(both) => origins.push(Origin::of(both)?),
            }
        }
        Ok(Origins(origins))
    }

    fn parts(&self, path: &Path) -> Result<Vec<(Sides, Option<Split>)>> {
        if path.is_file() {
            return Ok(vec![(Sides::Tsv(path.to_owned()), None)]);
        }
        if path.is_dir() {
            return of_folder(
                path,
                |start| self.sides(start),
                |name| self.missing(path, name),
            );
        }
        match the_one(folder_of(path), "the pairs", self.sides(path))? {
            Some(sides) => Ok(vec![(sides, None)]),
            None => Err(self.missing(path, "")),
        }
    }

    /// The two files that begin so, and the one with both sides.
    fn sides(&self, start: &Path) -> Vec<Sides> {
        let with = |end: &str| with_end(start, &[&format!(".{end}")]);
        let (sources, targets) = (with(self.source.code()), with(self.target.code()));
        let two = sources.iter().flat_map(|source| {
            let both = |target: &PathBuf| Sides::Two(source.clone(), target.clone());
            targets.iter().map(both)
        });
        two.chain(with("tsv").into_iter().map(Sides::Tsv)).collect()
    }

    fn missing(&self, path: &Path, name: &str) -> Error {
        let (source, target) = (self.source, self.target);
        let (expected, found) = match name {
            "" => (
                format!("a file, a folder, or the beginning of FILE.{source} and FILE.{target}"),
                "nothing of that name".to_owned(),
            ),
            name => (
                format!("train, valid and test, each as .{source} and .{target} or as .tsv"),
                format!("neither {name}.{source} with {name}.{target} nor {name}.tsv"),
            ),
        };
        Error::WrongFile {
            path: path.to_owned(),
            expected,
            found,
            next: "one file with a tab between the sides of each line is split by itself: `--data FILE.tsv`; the languages are \
                   `data.files.source` and `data.files.target`"
                .to_owned(),
        }
    }
}

impl Named for Sides {
    fn name(&self) -> String {
        match self {
            Self::Two(source, target) => format!("{} with {}", source.name(), target.name()),
            Self::Tsv(both) => both.name(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Two(source, target) => source.is_empty() || target.is_empty(),
            Self::Tsv(both) => both.is_empty(),
        }
    }
}

impl Sides {
    fn read(&self, origins: &mut Vec<Origin>) -> Result<Vec<SentencePair>> {
        let mut lines = |path: &Path| -> Result<Vec<String>> {
            let (text, origin) = read(path)?;
            origins.push(origin);
            Ok(text.lines().map(str::to_owned).collect())
        };
        match self {
            Self::Two(source, target) => {
                let (sources, targets) = (lines(source)?, lines(target)?);
                if sources.len() != targets.len() {
                    return Err(Error::UnequalSides {
                        left: source.clone(),
                        n_left: sources.len(),
                        right: target.clone(),
                        n_right: targets.len(),
                    });
                }
                Ok(sources.into_iter().zip(targets).collect())
            }
            Self::Tsv(path) => {
                let pair = |(i, line): (usize, String)| {
                    let mut columns = line.split('\t');
                    match (columns.next(), columns.next(), columns.next()) {
                        (Some(source), Some(target), None) => {
                            Ok((source.to_owned(), target.to_owned()))
                        }
                        (Some(""), None, None) => Ok((String::new(), String::new())),
                        _ => Err(Error::WrongRow {
                            path: path.clone(),
                            line: i + 1,
                            expected: "a sentence, a tab, and its translation".to_owned(),
                            found: match line.split('\t').count() {
                                1 => "no tab".to_owned(),
                                n => format!("{n} columns"),
                            },
                            next: "keep the two columns of your languages, e.g. by `cut -f1,2`"
                                .to_owned(),
                        }),
                    }
                };
                lines(path)?.into_iter().enumerate().map(pair).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn rule(words: Words) -> PairRule {
        PairRule {
            fractions: Fractions {
                valid: 0.2,
                test: 0.2,
                seed: 1,
            },
            source: "nl".parse().unwrap(),
            target: Language::En,
            words,
            lowercase: true,
        }
    }

    #[test]
    fn one_table_is_split_by_source_sentences() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.tsv");
        let mut lines: Vec<String> = (0..100)
            .map(|i| format!("Zin {}.\tSentence {i}.", i % 30))
            .collect();
        lines.extend([String::new(), "\talone".to_owned()]);
        fs::write(&path, "\u{feff}".to_owned() + &lines.join("\r\n")).unwrap();
        let own = rule(Words::Moses).corpus(&path).unwrap();
        assert_eq!(own.n_without_words, 2);
        let sources = Split::ALL.map(|split| {
            let pairs = own.corpus.pairs(split).iter();
            pairs
                .map(|pair| pair.0.clone())
                .collect::<std::collections::BTreeSet<_>>()
        });
        assert_eq!(
            sources
                .iter()
                .map(std::collections::BTreeSet::len)
                .sum::<usize>(),
            30
        );
        assert!(
            own.corpus
                .train
                .iter()
                .all(|pair| pair.0.starts_with("zin ") && pair.1.ends_with(" ."))
        );
        assert_eq!(own.origins.name(), own.corpus.name);
        assert_eq!(
            rule(Words::Moses).origins(&path).unwrap().name(),
            own.corpus.name
        );
        fs::write(&path, "a\tb\nc\n").unwrap();
        let error = rule(Words::Spaces).corpus(&path).unwrap_err().to_string();
        assert!(
            error.contains("line 2: expected a sentence, a tab") && error.contains("found no tab"),
            "{error}"
        );
        fs::write(&path, "a\tb\tc\n").unwrap();
        let error = rule(Words::Spaces).corpus(&path).unwrap_err().to_string();
        assert!(error.contains("found 3 columns"), "{error}");
    }

    #[test]
    fn two_files_belong_together_by_their_names_and_lengths() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        let start = dir.path().join("corpus");
        let error = rule(Words::Spaces).corpus(&start).unwrap_err().to_string();
        assert!(error.contains("FILE.nl and FILE.en"), "{error}");
        write("corpus.nl", "een\ntwee\ndrie\n");
        write("corpus.en", "one\ntwo\n");
        let error = rule(Words::Spaces).corpus(&start).unwrap_err().to_string();
        assert!(
            error.contains("corpus.nl has 3 lines") && error.contains("corpus.en has 2"),
            "{error}"
        );
        for name in ["train", "dev", "test"] {
            write(&format!("{name}.nl"), "Een  A\n");
            write(&format!("{name}.en"), "One\u{2028}B\n");
        }
        let own = rule(Words::Spaces).corpus(dir.path()).unwrap();
        assert_eq!(own.corpus.valid, [("een a".to_owned(), "one b".to_owned())]);
        assert_eq!(own.origins.0.len(), 6);
        write("test.nl", "");
        write("test.en", "");
        let error = rule(Words::Spaces).corpus(dir.path()).unwrap_err();
        let words = "found none in `test.nl with test.en`, which is empty";
        assert!(error.to_string().contains(words), "{error}");
        fs::remove_file(dir.path().join("test.en")).unwrap();
        let error = rule(Words::Spaces)
            .corpus(dir.path())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("neither test.nl with test.en nor test.tsv"),
            "{error}"
        );
    }
}
