//! SQuAD's JSON → articles.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Deserializer, de};

use super::{Answer, Article, Paragraph, Question};
use crate::source::read_utf8;
use crate::{Error, Result};

/// What a file of questions has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SquadForm {
    /// That of SQuAD v1.1, as published: an answer for every question. One that is not where the file says is scored
    /// against, and not trained on.
    V1_1,
    /// That of SQuAD v2.0, as published: an answer, or `is_impossible`.
    V2_0,
    /// That of either version, of the user's own: answers stand where the file says, and ids are given once.
    Own,
    /// Questions to be answered: what answers they have is not looked at.
    Asked,
}

impl SquadForm {
    /// What to do about another file.
    const fn next(self) -> &'static str {
        match self {
            Self::V1_1 => {
                "get train-v1.1.json and dev-v1.1.json of SQuAD, or files in their format"
            }
            Self::V2_0 => {
                "get train-v2.0.json and dev-v2.0.json of SQuAD, or files in their format"
            }
            Self::Own | Self::Asked => {
                "write it as SQuAD's files are: {\"data\": [{\"paragraphs\": [{\"context\": TEXT, \"qas\": [{\"id\": TEXT, \
                 \"question\": TEXT, \"answers\": [{\"text\": TEXT, \"answer_start\": NUMBER}]}]}]}]}, with \
                 \"is_impossible\": true for a question without an answer"
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::V1_1 => "SQuAD v1.1's JSON",
            Self::V2_0 => "SQuAD v2.0's JSON",
            Self::Own | Self::Asked => "SQuAD's JSON",
        }
    }
}

#[derive(Deserialize)]
struct File {
    /// A text as published, or a number as people write it.
    #[serde(default)]
    version: Option<TextOrNumber>,
    data: Vec<FileArticle>,
}

#[derive(Deserialize)]
struct FileArticle {
    #[serde(default)]
    title: String,
    paragraphs: Vec<FileParagraph>,
}

#[derive(Deserialize)]
struct FileParagraph {
    context: String,
    qas: Vec<FileQuestion>,
}

/// `plausible_answers`, which v2.0 gives where there is no answer, are neither trained on nor scored, and not read.
#[derive(Deserialize)]
struct FileQuestion {
    id: TextOrNumber,
    question: String,
    #[serde(default)]
    answers: Vec<FileAnswer>,
    #[serde(default)]
    is_impossible: Option<bool>,
}

#[derive(Deserialize)]
struct FileAnswer {
    #[serde(default)]
    text: String,
    /// In characters, as Python counts.
    #[serde(default)]
    answer_start: Option<i64>,
}

/// A text, or a number as one; nothing else is built, however large it is.
struct TextOrNumber(String);

impl<'de> Deserialize<'de> for TextOrNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfEither;

        impl de::Visitor<'_> for OfEither {
            type Value = String;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
                Ok(text.to_owned())
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
                Ok(number.to_string())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
                Ok(number.to_string())
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<String, E> {
                Ok(number.to_string())
            }
        }

        deserializer.deserialize_any(OfEither).map(Self)
    }
}

/// Reads a file in SQuAD's format: `train-v1.1.json`, `dev-v2.0.json`, SQuADShifts.
///
/// # Errors
/// [`Error::WrongFile`] for JSON of another shape or form, with the question that is not as it has to be; [`Error::Io`].
pub fn read_articles(path: &Path, form: SquadForm) -> Result<Vec<Article>> {
    let json = read_utf8(path, || form.next().to_owned())?;
    articles_from_json(&json, path, form)
}

/// As [`read_articles`], from memory; `origin` is named in errors.
///
/// # Errors
/// As [`read_articles`].
pub fn articles_from_json(json: &str, origin: &Path, form: SquadForm) -> Result<Vec<Article>> {
    let json = json.strip_prefix('\u{feff}').unwrap_or(json);
    let reader = Reader { origin, form };
    let file: File = serde_json::from_str(json)
        .map_err(|error| reader.wrong(form.name(), error.to_string(), form.next()))?;
    let version = file.version.map_or_else(String::new, |version| version.0);
    if form == SquadForm::V1_1 && version.trim_start_matches('v').starts_with('2') {
        return Err(reader.wrong(
            "version 1.1, where every question has an answer",
            format!("version {version}"),
            form.next(),
        ));
    }
    let article = |article: FileArticle| {
        let paragraphs = article.paragraphs.into_iter();
        Ok(Article {
            title: article.title,
            paragraphs: paragraphs
                .map(|paragraph| reader.paragraph(paragraph))
                .collect::<Result<_>>()?,
        })
    };
    let articles: Vec<Article> = (file.data.into_iter())
        .map(article)
        .collect::<Result<_>>()?;
    if matches!(form, SquadForm::Own | SquadForm::Asked) {
        reader.check_ids(&articles)?;
    }
    Ok(articles)
}

/// Longest text in a message.
const SHOWN: usize = 60;

/// A text as messages show it.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => format!("`{text}`"),
        Some((at, _)) => format!("`{}…`", &text[..at]),
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    origin: &'a Path,
    form: SquadForm,
}

impl Reader<'_> {
    fn wrong(&self, expected: &str, found: String, next: &str) -> Error {
        Error::WrongFile {
            path: self.origin.to_owned(),
            expected: expected.to_owned(),
            found,
            next: next.to_owned(),
        }
    }

    fn check_ids(&self, articles: &[Article]) -> Result<()> {
        let paragraphs = articles.iter().flat_map(|article| &article.paragraphs);
        let mut seen = HashSet::new();
        for question in paragraphs.flat_map(|paragraph| &paragraph.questions) {
            if !seen.insert(&question.id) {
                return Err(self.wrong(
                    "an id of its own for every question",
                    format!("question {} twice", question.id),
                    "answers are filed by it: give one of them another",
                ));
            }
        }
        Ok(())
    }

    fn paragraph(&self, paragraph: FileParagraph) -> Result<Paragraph> {
        let context = Context::of(paragraph.context);
        let questions = paragraph.qas.into_iter();
        let questions = questions.map(|question| self.question(question, &context));
        Ok(Paragraph {
            questions: questions.collect::<Result<_>>()?,
            context: context.text,
        })
    }

    fn question(&self, question: FileQuestion, context: &Context) -> Result<Question> {
        let FileQuestion {
            id: TextOrNumber(id),
            question: text,
            answers,
            is_impossible,
        } = question;
        let (n, is_marked) = (answers.len(), is_impossible == Some(true));
        let is_own = matches!(self.form, SquadForm::Own | SquadForm::Asked);
        if is_own && text.trim().is_empty() {
            return Err(self.wrong(
                "a text for every question",
                format!("question {id} without one"),
                "write it, or take the question out",
            ));
        }
        match self.form {
            SquadForm::Asked => {
                return Ok(Question {
                    id,
                    text,
                    answers: Vec::new(),
                    is_impossible: false,
                });
            }
            SquadForm::V1_1 if n == 0 || is_marked => Err(self.wrong(
                "an answer for every question",
                format!("question {id} without one"),
                self.form.next(),
            )),
            SquadForm::V2_0 | SquadForm::Own if n == 0 && !is_marked => Err(self.wrong(
                "an answer for every question, or `\"is_impossible\": true`",
                format!("question {id} without either"),
                "give one of them",
            )),
            SquadForm::V2_0 | SquadForm::Own if n > 0 && is_marked => Err(self.wrong(
                "no answer to a question that has `\"is_impossible\": true`",
                format!("{n} to question {id}"),
                "what may be taken for an answer is in `plausible_answers`; one that has an answer is not impossible",
            )),
            SquadForm::V1_1 | SquadForm::V2_0 | SquadForm::Own => Ok(()),
        }?;
        let answers = answers
            .into_iter()
            .map(|answer| self.answer(answer, &id, context));
        Ok(Question {
            answers: answers.collect::<Result<_>>()?,
            is_impossible: is_marked,
            id,
            text,
        })
    }

    fn answer(&self, answer: FileAnswer, id: &str, context: &Context) -> Result<Answer> {
        let FileAnswer { text, answer_start } = answer;
        let Some(at) = answer_start else {
            return Err(self.wrong(
                "`answer_start` of every answer",
                format!("question {id}, whose answer {} has none", shown(&text)),
                "say at which character of the context it starts, from 0",
            ));
        };
        let start = context.place(at).filter(|start| {
            let is_there = context.text[*start..].starts_with(&text);
            !text.is_empty() && is_there
        });
        match self.form {
            SquadForm::Own if text.trim().is_empty() => Err(self.wrong(
                "a text for every answer",
                format!("question {id}, whose answer at character {at} has none"),
                "write it, or, for a question without an answer, `\"answers\": []` with `\"is_impossible\": true`",
            )),
            SquadForm::Own if start.is_none() => Err(self.misplaced(&text, at, id, context)),
            SquadForm::V1_1 | SquadForm::V2_0 | SquadForm::Own | SquadForm::Asked => {
                Ok(Answer { text, start })
            }
        }
    }

    /// An answer that does not stand where the file says.
    fn misplaced(&self, text: &str, at: i64, id: &str, context: &Context) -> Error {
        let there = context.place(at).map(|start| {
            let there = context.text[start..].chars().take(text.chars().count());
            shown(&there.collect::<String>())
        });
        let n = context.starts.len() - 1;
        let found = there.unwrap_or_else(|| format!("a context of {n} characters"));
        let nearest = context.nearest(text, at);
        let next = match nearest {
            Some(place) => format!(
                "it stands at character {place}: count `answer_start` in characters from 0, as Python does, not in bytes or \
                 UTF-16 units"
            ),
            None => "the context does not have it anywhere: an answer is a part of its context, to the letter".to_owned(),
        };
        self.wrong(
            &format!(
                "the answer {} of question {id} at character {at} of its context",
                shown(text)
            ),
            found,
            &next,
        )
    }
}

/// A paragraph's text with its characters.
struct Context {
    text: String,
    /// Bytes at which characters start; one more for the end.
    starts: Vec<usize>,
}

impl Context {
    fn of(text: String) -> Self {
        let starts = text.char_indices().map(|(at, _)| at);
        Self {
            starts: starts.chain([text.len()]).collect(),
            text,
        }
    }

    /// The byte of a character.
    fn place(&self, character: i64) -> Option<usize> {
        let character = usize::try_from(character).ok()?;
        self.starts.get(character).copied()
    }

    /// The character nearest to `at` at which a text starts.
    fn nearest(&self, text: &str, at: i64) -> Option<usize> {
        let found = self.text.match_indices(text).map(|(byte, _)| byte);
        let places = found.filter_map(|byte| self.starts.binary_search(&byte).ok());
        places.min_by_key(|&place| (place as i64).abs_diff(at))
    }
}
