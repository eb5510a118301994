//! Questions on paragraphs, in SQuAD's JSON.

use std::path::Path;

use super::read::read_exactly;
use super::split::{Fractions, of_folder_with_or_without_test, with_end};
use crate::source::Origins;
use crate::squad::{Article, SquadCorpus, SquadForm, articles_from_json, n_questions};
use crate::{Error, Result, Split};

/// Endings of the files of a folder, SQuAD's own among them.
const ENDS: [&str; 3] = [".json", "-v2.0.json", "-v1.1.json"];

/// How files become questions to train on and questions that are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuestionRule {
    /// Share of a single file's paragraphs that is judged.
    pub valid: f64,
    /// Which ones these are.
    pub seed: u64,
}

/// Questions of the user's own.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnQuestions {
    /// What is trained on, what is watched where that is not judged and, as `dev`, what is judged; of [`Origins::name`].
    pub corpus: SquadCorpus,
    /// Its files.
    pub origins: Origins,
}

impl QuestionRule {
    /// The questions of a file, split by their paragraphs so that equal ones are on one side, or of a folder with train and valid
    /// (or dev), of which valid is judged unless there is a test beside it.
    ///
    /// Texts are as the file has them, to the letter: separators of lines too, which offsets of answers count.
    ///
    /// # Errors
    /// A folder that lacks a file; those of [`articles_from_json`] for [`SquadForm::Own`], which name the question, and of
    /// text that is none; a side without a question.
    pub fn corpus(&self, path: &Path) -> Result<OwnQuestions> {
        let mut origins = Vec::new();
        let mut articles = |path: &Path| {
            let (json, origin) = read_exactly(path)?;
            origins.push(origin);
            articles_from_json(&json, path, SquadForm::Own)
        };
        let ([train, dev], valid) = match path.is_dir() {
            false => (self.halves(articles(path)?), None),
            true => {
                let missing = |name: &str| {
                    Error::WrongFile {
                    path: path.to_owned(),
                    expected: "train.json and valid.json (or dev.json), perhaps with test.json, each also as \
                               .json.gz"
                        .to_owned(),
                    found: format!("no {name}.json"),
                    next: "put it there, or give one file, which is split by itself: `--data FILE`"
                        .to_owned(),
                }
                };
                let find = |start: &Path| with_end(start, &ENDS);
                let ([train, valid], test) = of_folder_with_or_without_test(path, find, missing)?;
                let (train, valid) = (articles(&train)?, articles(&valid)?);
                match test {
                    None => ([train, valid], None),
                    Some(test) => ([train, articles(&test)?], Some(valid)),
                }
            }
        };
        let sides = [("to train on", Some(&train)), ("to judge", Some(&dev))];
        let watched = [("to validate on", valid.as_ref())];
        for (side, articles) in sides.into_iter().chain(watched) {
            if articles.is_some_and(|articles| n_questions(articles) == 0) {
                return Err(Error::WrongFile {
                    path: path.to_owned(),
                    expected: format!("a question {side}"),
                    found: "none".to_owned(),
                    next: match path.is_dir() {
                        true => "put some into that file of the folder, or give one file, which is split by itself: `--data FILE`".to_owned(),
                        false => format!(
                            "what has no splits of its own is split by a hash of its paragraphs ({} of them are judged): give \
                             more, another fraction, or a folder with train.json and valid.json",
                            self.valid
                        ),
                    },
                });
            }
        }
        let origins = Origins(origins);
        let corpus = SquadCorpus {
            name: origins.name().into(),
            train,
            valid: valid.unwrap_or_default(),
            dev,
            counts: Vec::new(),
        };
        Ok(OwnQuestions { corpus, origins })
    }

    /// What is trained on and what is judged of one file.
    fn halves(&self, articles: Vec<Article>) -> [Vec<Article>; 2] {
        let fractions = Fractions {
            valid: self.valid,
            test: 0.0,
            seed: self.seed,
        };
        let [mut train, mut dev] = [const { Vec::new() }; 2];
        for Article { title, paragraphs } in articles {
            let is_judged = |context: &str| match fractions.split_of(context) {
                Split::Train => false,
                Split::Valid | Split::Test => true,
            };
            let (judged, learned) =
                (paragraphs.into_iter()).partition(|paragraph| is_judged(&paragraph.context));
            for (side, paragraphs) in [(&mut train, learned), (&mut dev, judged)] {
                side.push(Article {
                    title: title.clone(),
                    paragraphs,
                });
            }
        }
        for side in [&mut train, &mut dev] {
            side.retain(|article| !article.paragraphs.is_empty());
        }
        [train, dev]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::io::Write;

    use super::*;

    const RULE: QuestionRule = QuestionRule {
        valid: 0.25,
        seed: 1,
    };

    /// Paragraphs of which every third is there twice, with a question that has an answer and one that has none.
    fn json(n: usize) -> String {
        let paragraph = |i: usize| {
            let context = format!("Ü\u{2028}Room {} is closed.", i - i % 3 / 2);
            serde_json::json!({"context": context, "note": [1], "qas": [
                {"id": format!("a{i}"), "question": "What is closed?", "is_impossible": false,
                 "answers": [{"text": "Room", "answer_start": 2, "by": "me"}]},
                {"id": i, "question": "Who closed it?", "is_impossible": true, "answers": [],
                 "plausible_answers": [{"text": "Room", "answer_start": 2}]},
            ]})
        };
        let paragraphs: Vec<_> = (0..n).map(paragraph).collect();
        serde_json::json!({"version": 2.0, "data": [{"paragraphs": paragraphs}, {"title": "A", "paragraphs": []}]})
            .to_string()
    }

    #[test]
    fn one_file_is_split_by_its_paragraphs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.json");
        fs::write(
            &path,
            format!(
                "\u{feff}{}\r\n",
                json(120).replace(",{\"context\"", ",\r\n{\"context\"")
            ),
        )
        .unwrap();
        let own = RULE.corpus(&path).unwrap();
        let SquadCorpus {
            name, train, dev, ..
        } = &own.corpus;
        assert!(name.starts_with("files-") && own.corpus.has_impossible());
        let contexts = |articles: &[Article]| -> BTreeSet<String> {
            let paragraphs = articles.iter().flat_map(|article| &article.paragraphs);
            paragraphs.map(|of| of.context.clone()).collect()
        };
        assert!(contexts(train).is_disjoint(&contexts(dev)));
        assert_eq!(contexts(train).len() + contexts(dev).len(), 80);
        assert_eq!(
            (n_questions(train) + n_questions(dev), train.len()),
            (240, 1)
        );
        assert!((10..32).contains(&contexts(dev).len()));
        let question = &train[0].paragraphs[0].questions;
        assert_eq!(question[0].answers[0].span(), Some((5, 9)));
        assert!(question[1].is_impossible && question[1].answers.is_empty());
        assert!(question[1].id.parse::<usize>().is_ok());
        // Another seed is another split; the same bytes, packed, are other bytes of the same questions.
        let other = QuestionRule { seed: 2, ..RULE }.corpus(&path).unwrap();
        assert_ne!(contexts(&other.corpus.dev), contexts(dev));
        let packed = dir.path().join("mine.json.gz");
        let file = fs::File::create(&packed).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(&fs::read(&path).unwrap()).unwrap();
        gzip.finish().unwrap();
        let packed = RULE.corpus(&packed).unwrap();
        assert_eq!(packed.corpus.dev, *dev);
        assert_ne!(packed.corpus.name, *name);
    }

    #[test]
    fn a_folder_has_its_sides() {
        let dir = tempfile::tempdir().unwrap();
        let error = RULE.corpus(dir.path()).unwrap_err().to_string();
        assert!(error.contains("found no train.json"), "{error}");
        fs::write(dir.path().join("train-v2.0.json"), json(9)).unwrap();
        let error = RULE.corpus(dir.path()).unwrap_err().to_string();
        assert!(error.contains("found no valid.json"), "{error}");
        fs::write(dir.path().join("dev.json"), json(3)).unwrap();
        let own = RULE.corpus(dir.path()).unwrap();
        let n = [&own.corpus.train, &own.corpus.dev].map(|articles| n_questions(articles));
        assert_eq!((n, own.origins.0.len()), ([18, 6], 2));
        assert!(own.corpus.valid.is_empty());
        // A test set beside it is what is judged, by its name of any kind; two of them are none.
        fs::write(dir.path().join("test-v2.0.json"), json(6)).unwrap();
        let own = RULE.corpus(dir.path()).unwrap().corpus;
        let n = [&own.train, &own.valid, &own.dev].map(|articles| n_questions(articles));
        assert_eq!(n, [18, 6, 12]);
        fs::write(dir.path().join("test.json"), json(6)).unwrap();
        let error = RULE.corpus(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("`test.json` and `test-v2.0.json`"),
            "{error}"
        );
        for test in ["test.json", "test-v2.0.json"] {
            fs::remove_file(dir.path().join(test)).unwrap();
        }
        fs::write(dir.path().join("dev.json"), "{\"data\": []}").unwrap();
        let error = RULE.corpus(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("a question to judge, found none; put some into that file"),
            "{error}"
        );
    }

    /// One paragraph with these members of its only question.
    fn asked(members: &str) -> String {
        format!(
            r#"{{"data":[{{"paragraphs":[{{"context":"Zürich – größer.","qas":[{{"id":"7","question":"Was?",{members}}}]}}]}}]}}"#
        )
    }

    #[test]
    fn what_is_wrong_is_named_with_its_question() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.json");
        let answer = |text: &str, at: i64| {
            asked(&format!(
                r#""answers":[{{"text":"{text}","answer_start":{at}}}]"#
            ))
        };
        for (text, words) in [
            // Counted in bytes.
            (
                answer("größer", 12),
                &[
                    "expected the answer `größer` of question 7 at character 12 of its context, found `ßer.`",
                    "it stands at character 9",
                ][..],
            ),
            (answer("größer", 99), &["found a context of 16 characters"]),
            (answer("größer", -1), &["at character -1"]),
            (
                answer("grösser", 9),
                &["found `größer.`", "the context does not have it anywhere"],
            ),
            (
                answer(" ", 6),
                &[
                    "a text for every answer, found question 7, whose answer at character 6 has none",
                ],
            ),
            (
                asked(r#""answers":[{"text":"Zürich"}]"#),
                &[
                    "`answer_start` of every answer, found question 7, whose answer `Zürich` has none",
                ],
            ),
            (
                asked(r#""answers":[]"#),
                &["an answer for every question, or `\"is_impossible\": true`, found question 7"],
            ),
            (
                asked(r#""is_impossible":true,"answers":[{"text":"Zürich","answer_start":0}]"#),
                &[
                    "no answer to a question that has `\"is_impossible\": true`, found 1 to question 7",
                ],
            ),
            (
                asked(r#""answers":[{"text":"Zürich","answer_start":"0"}]"#),
                &[
                    "SQuAD's JSON, found invalid type: string \"0\"",
                    "line 1 column",
                ],
            ),
            (
                answer("Zürich", 0).replace("Was?", " "),
                &["a text for every question, found question 7"],
            ),
            (
                answer("Zürich", 0).replace(r#"{"id":"7""#, r#"{"id":{"a":1}"#),
                &["invalid type: map, expected a text or a number at line 1 column"],
            ),
            (
                answer("Zürich", 0).replace(
                    r#""qas":["#,
                    r#""qas":[{"id":7,"question":"Wo?","is_impossible":true},"#,
                ),
                &["an id of its own for every question, found question 7 twice"],
            ),
            (
                answer("Zürich", 0).replace("Was", "W\0s"),
                &["line 1: expected text, found a NUL character"],
            ),
            (
                "{\n\"data\":\n".to_owned(),
                &["EOF while parsing a value at line 3"],
            ),
            (
                "[1]".to_owned(),
                &["SQuAD's JSON, found", "write it as SQuAD's files are"],
            ),
            (answer("Zürich", 0), &["a question to judge, found none"]),
        ] {
            fs::write(&path, &text).unwrap();
            let rule = QuestionRule { valid: 0.0, ..RULE };
            let error = rule.corpus(&path).unwrap_err().to_string();
            for words in words {
                assert!(error.contains(words), "{text}: {error}");
            }
            assert!(error.contains("mine.json"), "{error}");
        }
        let latin: Vec<u8> = answer("Zürich", 0)
            .chars()
            .map(|c| c as u32 as u8)
            .collect();
        fs::write(&path, latin).unwrap();
        let error = RULE.corpus(&path).unwrap_err().to_string();
        assert!(
            error.contains("line 1: expected UTF-8, found byte 0xfc"),
            "{error}"
        );
    }
}
