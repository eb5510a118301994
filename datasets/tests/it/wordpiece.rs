//! WordPiece against the published tokenizers (`tests/parity/wordpiece.py`).

use std::path::Path;

use serde_json::Value;
use sparta_datasets::embedded::{new_wiki, squad_dev};
use sparta_datasets::source::Sha256Hex;
use sparta_datasets::squad::Article;
use sparta_datasets::tokenize::wordpiece::{Casing, Encoding, Sequence, WordPiece};

const CASINGS: [(&str, Casing); 2] = [("lower", Casing::Lower), ("keep", Casing::Keep)];

fn oracle() -> Value {
    serde_json::from_str(include_str!("../parity/wordpiece.json")).unwrap()
}

fn vocab(oracle: &Value) -> String {
    let pieces = oracle["vocab"].as_array().unwrap().iter();
    pieces
        .map(|piece| format!("{}\n", piece.as_str().unwrap()))
        .collect()
}

/// `id:start-end` of each piece.
fn line(wordpiece: &WordPiece, text: &str) -> String {
    let pieces = wordpiece.pieces(text).unwrap();
    let parts = pieces.ids.iter().zip(&pieces.offsets);
    let parts: Vec<String> = parts
        .map(|(id, (from, to))| format!("{id}:{from}-{to}"))
        .collect();
    parts.join(" ")
}

#[test]
fn odd_lines_are_cut_as_published() {
    let oracle = oracle();
    for (name, casing) in CASINGS {
        let wordpiece = WordPiece::from_vocab(&vocab(&oracle), casing, "fixture").unwrap();
        for case in oracle["texts"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            assert_eq!(line(&wordpiece, text), case[name], "{name}: {text:?}");
        }
    }
}

#[test]
fn pairs_are_cut_and_joined_as_published() {
    let oracle = oracle();
    let wordpiece = WordPiece::from_vocab(&vocab(&oracle), Casing::Lower, "fixture").unwrap();
    let mut n_cut = 0;
    for case in oracle["pairs"].as_array().unwrap() {
        let max_len = case["max_len"].as_u64().unwrap() as usize;
        let (first, second) = (case["first"].as_str().unwrap(), case["second"].as_str());
        let Encoding {
            ids,
            token_types,
            offsets,
            n_first,
            n_second,
            n_cut: cut,
        } = wordpiece.encode(first, second, max_len).unwrap();
        assert_eq!(serde_json::json!(ids), case["ids"], "{case}");
        assert_eq!(serde_json::json!(token_types), case["types"], "{case}");
        assert_eq!(serde_json::json!(offsets), case["offsets"], "{case}");
        assert_eq!(
            n_first + n_second + 2 + usize::from(second.is_some()),
            ids.len()
        );
        n_cut += usize::from(cut > 0);
    }
    assert!((10..40).contains(&n_cut), "{n_cut} cases are cut");
}

#[test]
fn shipped_paragraphs_are_cut_as_published() {
    let oracle = oracle();
    let corpora = [
        ("squaddev_v1.1", squad_dev().unwrap()),
        ("new_wiki_v1.0", new_wiki().unwrap()),
    ];
    for (name, casing) in CASINGS {
        let wordpiece = WordPiece::from_vocab(&vocab(&oracle), casing, "fixture").unwrap();
        for (corpus, articles) in &corpora {
            let mut hasher = Sha256Hex::new();
            let paragraphs = |article: &Article| article.paragraphs.clone();
            let contexts: Vec<String> = articles
                .iter()
                .flat_map(paragraphs)
                .map(|paragraph| paragraph.context)
                .collect();
            for context in &contexts {
                hasher.update(line(&wordpiece, context).as_bytes());
                hasher.update(b"\n");
            }
            let expected = &oracle["corpora"][corpus];
            assert_eq!(contexts.len() as u64, expected["n"].as_u64().unwrap());
            assert_eq!(hasher.finish(), expected[name], "{corpus} {name}");
        }
    }
}

#[test]
#[ignore = "needs SPARTA_WORDPIECE=DIR of tests/parity/wordpiece.py --out and SPARTA_WORDPIECE_MODEL"]
fn wordpiece_of_the_published_vocabulary() {
    let dir = std::env::var("SPARTA_WORDPIECE").unwrap();
    let model = std::env::var("SPARTA_WORDPIECE_MODEL").unwrap();
    let read = |name: &str| std::fs::read_to_string(Path::new(&dir).join(name)).unwrap();
    let text = read("text.txt");
    let json = WordPiece::open(Path::new(&model), None).unwrap();
    for (name, casing) in CASINGS {
        let vocab = Path::new(&model).join("vocab.txt");
        let wordpiece = WordPiece::open(&vocab, Some(casing)).unwrap();
        let mut n_lines = 0;
        for (text, expected) in text.split('\n').zip(read(&format!("{name}.txt")).lines()) {
            assert_eq!(line(&wordpiece, text), expected, "{name}: {text:?}");
            if casing == Casing::Lower {
                assert_eq!(json.pieces(text).unwrap(), wordpiece.pieces(text).unwrap());
            }
            n_lines += 1;
        }
        println!("{name}: {n_lines} lines equal");
        assert!(n_lines > 20_000);
    }
    assert_eq!(json.vocab_size(), 30_522);
}

#[test]
fn a_token_knows_its_text() {
    let wordpiece =
        WordPiece::from_vocab("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n", Casing::Keep, "x").unwrap();
    let encoding = wordpiece.encode("a a", Some("b"), 8).unwrap();
    let belongs: Vec<Sequence> = (0..encoding.len())
        .map(|at| encoding.sequence(at))
        .collect();
    use Sequence::{First, Second, Special};
    assert_eq!(belongs, [Special, First, First, Special, Second, Special]);
    assert_ne!(
        wordpiece.hash(),
        WordPiece::from_vocab("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n", Casing::Lower, "x")
            .unwrap()
            .hash()
    );
}
