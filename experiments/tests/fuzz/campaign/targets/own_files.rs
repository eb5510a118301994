//! Files of the user's own: running text, sentence pairs, labelled tables.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use sparta_datasets::Split;
use sparta_datasets::classification::Labels;
use sparta_datasets::files::{
    Fractions, LabelKind, PairRule, Paragraphs, QuestionRule, TableRule, TextRule, Words,
};
use sparta_datasets::squad::{WindowOptions, windows};
use sparta_datasets::tokenize::Language;
use sparta_datasets::tokenize::wordpiece::{Casing, WordPiece};

use super::super::{Corpus, Target};

const FRACTIONS: Fractions = Fractions {
    valid: 0.3,
    test: 0.3,
    seed: 1,
};

/// So many lines that each split has some.
fn lines(line: impl Fn(usize) -> String) -> Vec<u8> {
    (0..24)
        .map(|i| line(i) + "\n")
        .collect::<String>()
        .into_bytes()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).expect("packed");
    gzip.finish().expect("packed")
}

/// Running text.
pub const TEXT: Target = Target {
    name: "own-text",
    corpus: || {
        let text = lines(|i| format!("It's paragraph {i}, \u{201e}of\u{201c} 3,5 words."));
        let wrapped = [b"\xef\xbb\xbf".as_slice(), &text].concat();
        Corpus::of([packed(&text), wrapped, text])
            .with_words(&["\r\n", "\n\n", "\u{2028}", "\0", "\u{feff}"])
    },
    open: |folder| {
        let path = folder.join("mine.txt");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let mut accepted = false;
            for (paragraphs, words) in [
                (Paragraphs::Lines, Words::Moses),
                (Paragraphs::BlankLines, Words::Spaces),
            ] {
                let rule = TextRule {
                    fractions: FRACTIONS,
                    paragraphs,
                    words,
                    language: Language::De,
                    lowercase: words == Words::Spaces,
                };
                if let Ok((corpus, origins)) = rule.corpus(&path) {
                    assert!(Split::ALL.iter().all(|&split| corpus.n_tokens(split) > 0));
                    assert_eq!(rule.origins(&path).expect("there"), origins);
                    accepted = true;
                }
            }
            accepted
        })
    },
};

/// Sentence pairs of one file.
pub const PAIRS: Target = Target {
    name: "own-pairs",
    corpus: || {
        let pairs = lines(|i| format!("Satz {i}.\tSentence \"{i}\"."));
        Corpus::of([packed(&pairs), pairs]).with_words(&["\t", "\t\t", "\n\t\n", "\r"])
    },
    open: |folder| {
        let path = folder.join("mine.tsv");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let rule = PairRule {
                fractions: FRACTIONS,
                source: Language::De,
                target: "nl".parse().expect("a language"),
                words: Words::Moses,
                lowercase: true,
            };
            rule.corpus(&path).is_ok_and(|own| {
                let all = Split::ALL.map(|split| own.corpus.pairs(split));
                all.iter().all(|pairs| !pairs.is_empty())
            })
        })
    },
};

/// Labelled tables, each file read in every form.
pub const TABLE: Target = Target {
    name: "own-table",
    corpus: || {
        let label = |i: usize| ["good", "bad", "3"][i % 3];
        let head = |head: &str, rows: Vec<u8>| [head.as_bytes(), &rows].concat();
        let tsv = head(
            "id\ttext\tlabel\n",
            lines(|i| format!("{i}\ttext {i}\t{}", label(i))),
        );
        let csv = head(
            "label,text\n",
            lines(|i| format!("{},\"text, \"\"{i}\"\"\"", label(i))),
        );
        let json = lines(|i| format!("{{\"text\": \"text {i}\", \"label\": \"{}\"}}", label(i)));
        Corpus::of([tsv, csv, json]).with_words(&[
            "\t",
            "\"\"",
            ",",
            "\n\n",
            "null",
            "[]",
            "\"label\":",
        ])
    },
    open: |folder| {
        let paths = ["tsv", "csv", "jsonl"].map(|end| folder.join(format!("mine.{end}")));
        Box::new(move |bytes| {
            let mut accepted = false;
            for path in &paths {
                fs::write(path, bytes).expect("written");
                let rule = TableRule {
                    fractions: FRACTIONS,
                    first: "text".to_owned(),
                    second: None,
                    label: "label".to_owned(),
                    kind: LabelKind::Classes,
                };
                if let Ok(own) = rule.corpus(path) {
                    assert!(matches!(own.corpus.labels, Labels::Classes(names) if names.len() > 1));
                    accepted = true;
                }
            }
            accepted
        })
    },
};

/// Questions on paragraphs, of both versions.
pub const QUESTIONS: Target = Target {
    name: "own-questions",
    corpus: || {
        let paragraph = |i: usize| {
            serde_json::json!({"context": format!("Ü\u{2028}the cat {i} sat."), "qas": [
                {"id": format!("a{i}"), "question": "What sat?", "answers": [{"text": "cat", "answer_start": 6}]},
                {"id": i, "question": "Who?", "is_impossible": true, "answers": [], "plausible_answers": []},
            ]})
        };
        let of = |version: serde_json::Value, n| {
            let paragraphs: Vec<_> = (0..n).map(paragraph).collect();
            serde_json::json!({"version": version, "data": [{"title": "A", "paragraphs": paragraphs}]})
                .to_string()
        };
        Corpus::of([
            of("v2.0".into(), 24),
            format!("\u{feff}{}\r\n", of(1.1.into(), 20)),
        ])
        .with_words(&[
            "\"is_impossible\":true",
            "\"answers\":[]",
            "\"answer_start\":-1",
            "\"answer_start\":9223372036854775807",
            "\"context\":\"\"",
            "\\ud83d\\ude00",
            "\\u0000",
            "null",
        ])
    },
    open: |folder| {
        let path = folder.join("mine.json");
        let vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\ncat\n##s\n.\nsat\n";
        let tokenizer = WordPiece::from_vocab(vocab, Casing::Lower, "fuzz").expect("a tokenizer");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let rule = QuestionRule {
                valid: 0.3,
                seed: 1,
            };
            let Ok(own) = rule.corpus(&path) else {
                return false;
            };
            let options = WindowOptions {
                max_len: 12,
                stride: 2,
                max_question: 4,
            };
            for articles in [&own.corpus.train, &own.corpus.valid, &own.corpus.dev] {
                for window in windows(articles, &tokenizer, &options).expect("texts") {
                    let (paragraph, question) = window.place.of(articles);
                    assert_eq!(question.is_impossible, question.answers.is_empty());
                    for answer in &question.answers {
                        let (start, end) = answer.span().expect("a place");
                        assert_eq!(paragraph.context[start..end], answer.text);
                    }
                }
            }
            true
        })
    },
};
