//! The shipped question–sentence pairs: split by article, balanced, each question once.

use std::collections::HashSet;

use sparta_datasets::Split;
use sparta_datasets::classification::Label;
use sparta_datasets::embedded::{new_wiki, question_sentence, squad_dev};
use sparta_datasets::question_sentence::{sentences, split_of_title};
use sparta_datasets::squad::n_questions;

#[test]
fn splits_are_those_of_the_readme_and_share_no_article() {
    let (dev, wiki) = (squad_dev().unwrap(), new_wiki().unwrap());
    assert_eq!((dev.len(), n_questions(&dev)), (48, 10_565));
    assert_eq!((wiki.len(), n_questions(&wiki)), (48, 7_936));
    let corpus = question_sentence().unwrap();
    let readme = include_str!("../../data/README.md");
    for split in Split::ALL {
        let part = corpus.part(split.name()).unwrap();
        let (class, share) = sparta_datasets::baseline::majority(&part.examples).unwrap();
        let titles = dev
            .iter()
            .chain(&wiki)
            .map(|article| article.title.as_str());
        let titles: HashSet<&str> = titles
            .filter(|title| split_of_title(title) == split)
            .collect();
        let n = part.examples.len();
        let row = format!(
            "| {split} | {} | {n} | {:.1} % |",
            titles.len(),
            100.0 * share
        );
        println!("{row} class {class}");
        assert!(
            readme.contains(&row),
            "datasets/data/README.md lacks `{row}`"
        );
        assert!((0.5..0.55).contains(&share));
    }
    assert!(corpus.part("test").unwrap().examples.len() >= 1_000);
    assert!(
        corpus
            .part("dev")
            .unwrap_err()
            .to_string()
            .contains("it has train, valid, test")
    );
}

#[test]
fn the_sentence_holds_the_answer_or_none() {
    let corpus = question_sentence().unwrap();
    let articles = [squad_dev().unwrap(), new_wiki().unwrap()].concat();
    for split in Split::ALL {
        let mut pairs = corpus.part(split.name()).unwrap().examples.iter();
        let mut next = pairs.next();
        for article in articles
            .iter()
            .filter(|article| split_of_title(&article.title) == split)
        {
            for paragraph in &article.paragraphs {
                for question in &paragraph.questions {
                    // Left-out questions do not match; the order is the articles'.
                    let Some(pair) = next.filter(|pair| pair.first == question.text.trim()) else {
                        continue;
                    };
                    let sentence = pair.second.as_deref().unwrap();
                    if !paragraph.context.contains(sentence) {
                        continue;
                    }
                    let holds = question.answers.iter().any(|a| sentence.contains(&a.text));
                    assert_eq!(
                        pair.label,
                        Some(Label::Class(usize::from(holds))),
                        "{pair:?}"
                    );
                    next = pairs.next();
                }
            }
        }
        assert_eq!(next, None, "{split}: a pair belongs to no question");
    }
}

#[test]
fn sentences_cover_the_text_and_nothing_else() {
    for article in squad_dev().unwrap() {
        for paragraph in article.paragraphs {
            let text = paragraph.context;
            let mut end = 0;
            for (from, to) in sentences(&text) {
                assert!(text[end..from].chars().all(char::is_whitespace));
                assert!(!text[from..to].trim().is_empty());
                end = to;
            }
            assert!(text[end..].trim().is_empty());
        }
    }
    assert_eq!(sentences("  "), []);
}
