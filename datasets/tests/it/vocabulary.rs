//! Word vocabulary: order, special words, files.

use proptest::prelude::*;
use sparta_datasets::Error;
use sparta_datasets::tokenize::{EOS, UNK, Vocabulary, count_tokens};

const TEXT: &str = "b a b c <unk> a b\n\nd c a\n";

#[test]
fn order_is_count_then_spelling_and_special_words_come_first() {
    let vocabulary = Vocabulary::from_text(TEXT, None, 1).unwrap();
    let words: Vec<&str> = (0..6).map(|id| vocabulary.word(id).unwrap()).collect();
    assert_eq!(words, ["<unk>", "<eos>", "a", "b", "c", "d"]);
    let counts: Vec<u64> = (0..6).map(|id| vocabulary.count(id).unwrap()).collect();
    assert_eq!(counts, [1, 3, 3, 3, 2, 1]);
    assert_eq!(vocabulary.word(6), None);
    assert!(!vocabulary.is_empty());
}

#[test]
fn words_beyond_the_limit_become_unk_and_are_counted_there() {
    let vocabulary = Vocabulary::from_text(TEXT, Some(4), 1).unwrap();
    assert_eq!(vocabulary.len(), 4);
    assert_eq!(vocabulary.count(UNK), Some(1 + 2 + 1));
    assert_eq!(vocabulary.encode_line("a c b"), [2, UNK, 3, EOS]);
    let frequent = Vocabulary::from_text(TEXT, None, 3).unwrap();
    assert_eq!(frequent.len(), 4);
    let ids = vocabulary.encode_text(TEXT);
    let n_unk = ids.iter().filter(|&&id| id == UNK).count() as u64;
    assert_eq!(vocabulary.count(UNK), Some(n_unk));
}

#[test]
fn too_small_a_limit_is_an_error() {
    let error = Vocabulary::from_text(TEXT, Some(2), 1).unwrap_err();
    assert!(
        matches!(error, Error::VocabularyTooSmall { max_size: 2 }),
        "{error}"
    );
}

#[test]
fn an_id_from_elsewhere_does_not_decode() {
    let vocabulary = Vocabulary::from_text(TEXT, None, 1).unwrap();
    assert_eq!(vocabulary.decode(&[3, 2, EOS, EOS, 4]).unwrap(), "b a\n\nc");
    let error = vocabulary.decode(&[2, 60]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("token id 60 is outside the vocabulary of 6"),
        "{error}"
    );
}

#[test]
fn hash_depends_on_words_and_order_only() {
    let hash = |text| Vocabulary::from_text(text, None, 1).unwrap().hash();
    assert_eq!(hash("a a b\n"), hash("a b a a b\n"));
    assert_ne!(hash("a a b\n"), hash("a b b\n"));
    assert_ne!(hash("ab c\n"), hash("a bc\n"));
    assert_eq!(hash("a").len(), 64);
}

#[test]
fn saves_and_loads_and_notices_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/vocabulary.tsv");
    let vocabulary = Vocabulary::from_text(TEXT, None, 1).unwrap();
    vocabulary.save(&path).unwrap();
    assert_eq!(Vocabulary::load(&path).unwrap(), vocabulary);

    let text = std::fs::read_to_string(&path).unwrap();
    for (altered, problem) in [
        (text.replace("\nb\t", "\nB\t"), "its words have sha256"),
        (
            text.replace("\nb\t3", "\nb 3"),
            "line 5: expected `word TAB count`, found `b 3`",
        ),
        (text.replace("# sparta", "# other"), "expected a first line"),
    ] {
        std::fs::write(&path, altered).unwrap();
        let message = Vocabulary::load(&path).unwrap_err().to_string();
        assert!(message.contains(problem), "{message}");
        assert!(
            message.ends_with("delete it and run `prepare` again"),
            "{message}"
        );
    }
}

proptest! {
    /// Encoding then decoding gives the text back, and the length is the counted one.
    #[test]
    fn round_trip(lines in prop::collection::vec(prop::collection::vec("[a-e]{1,2}", 0..6), 0..6)) {
        let text: String = lines.iter().map(|words| words.join(" ") + "\n").collect();
        let vocabulary = Vocabulary::from_text(&text, None, 1).unwrap();
        let ids = vocabulary.encode_text(&text);
        prop_assert_eq!(ids.len() as u64, count_tokens(&text));
        prop_assert_eq!(vocabulary.decode(&ids).unwrap(), text);
    }
}

/// A vocabulary whose first words are others gives ids to words that every reader takes for `<unk>` and `<eos>`.
#[test]
fn a_vocabulary_without_its_special_words_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vocab");
    for words in ["", "the\t3\ncat\t2\n"] {
        let names = words.lines().map(|line| line.split('\t').next().unwrap());
        let hashed: String = names.map(|name| format!("{name}\n")).collect();
        let hash = sparta_datasets::source::sha256(format!("sparta word 1\n{hashed}").as_bytes());
        std::fs::write(
            &path,
            format!("# sparta word vocabulary 1, sha256 {hash}\n{words}"),
        )
        .unwrap();
        let message = Vocabulary::load(&path).unwrap_err().to_string();
        assert!(message.contains("not `<unk> <eos>`"), "{message}");
    }
}
