//! SQuAD's JSON → articles.

use std::path::Path;

use serde::Deserialize;

use super::{Answer, Article, Paragraph, Question};
use crate::source::read_utf8;
use crate::{Error, Result};

/// What to do about another file.
const NEXT: &str = "get train-v1.1.json and dev-v1.1.json of SQuAD, or files in their format";

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    version: Option<String>,
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

#[derive(Deserialize)]
struct FileQuestion {
    id: String,
    question: String,
    answers: Vec<FileAnswer>,
}

#[derive(Deserialize)]
struct FileAnswer {
    text: String,
    /// In characters, as Python counts.
    answer_start: usize,
}

/// Reads a file in SQuAD v1.1's format: `train-v1.1.json`, `dev-v1.1.json`, SQuADShifts.
///
/// # Errors
/// [`Error::WrongFile`] for JSON of another shape, for SQuAD v2 and for a question without an
/// answer, [`Error::Io`].
pub fn read_articles(path: &Path) -> Result<Vec<Article>> {
    let json = read_utf8(path, || NEXT.to_owned())?;
    articles_from_json(&json, path)
}

/// As [`read_articles`], from memory; `origin` is named in errors.
///
/// # Errors
/// As [`read_articles`].
pub fn articles_from_json(json: &str, origin: &Path) -> Result<Vec<Article>> {
    let wrong = |expected: &str, found: String| Error::WrongFile {
        path: origin.to_owned(),
        expected: expected.to_owned(),
        found,
        next: NEXT.to_owned(),
    };
    let file: File = serde_json::from_str(json)
        .map_err(|error| wrong("SQuAD v1.1's JSON", error.to_string()))?;
    if let Some(version) = file.version.filter(|version| version.contains("2.0")) {
        return Err(wrong(
            "version 1.1, where every question has an answer",
            format!("version {version}"),
        ));
    }
    let article = |article: FileArticle| {
        let paragraphs = article.paragraphs.into_iter().map(paragraph);
        Article {
            title: article.title,
            paragraphs: paragraphs.collect(),
        }
    };
    let articles: Vec<Article> = file.data.into_iter().map(article).collect();
    let mut questions = articles
        .iter()
        .flat_map(|article| &article.paragraphs)
        .flat_map(|paragraph| &paragraph.questions);
    match questions.find(|question| question.answers.is_empty()) {
        Some(question) => Err(wrong(
            "an answer for every question",
            format!("question {} without one", question.id),
        )),
        None => Ok(articles),
    }
}

fn paragraph(paragraph: FileParagraph) -> Paragraph {
    let context = paragraph.context;
    // Bytes at which characters start; one more for the end.
    let starts: Vec<usize> = context
        .char_indices()
        .map(|(at, _)| at)
        .chain([context.len()])
        .collect();
    let answer = |answer: FileAnswer| {
        let start = starts.get(answer.answer_start).copied();
        let is_there = |start: &usize| context[*start..].starts_with(&answer.text);
        Answer {
            start: start.filter(|start| !answer.text.is_empty() && is_there(start)),
            text: answer.text,
        }
    };
    let question = |question: FileQuestion| Question {
        id: question.id,
        text: question.question,
        answers: question.answers.into_iter().map(answer).collect(),
    };
    let questions = paragraph.qas.into_iter().map(question).collect();
    Paragraph { context, questions }
}
