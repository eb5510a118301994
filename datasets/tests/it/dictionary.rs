//! Dictionaries as fairseq orders and writes them, and tokenizers made of merges and dictionary.

use rstest::rstest;
use sparta_datasets::Error;
use sparta_datasets::tokenize::bpe::{BpeVocabulary, LearnOptions, learn};
use sparta_datasets::tokenize::{Dictionary, DictionaryOptions, Language};

const UNFILLED: DictionaryOptions = DictionaryOptions {
    max_size: None,
    min_count: 0,
    multiple_of: 1,
};

fn symbols(dictionary: &Dictionary) -> Vec<&str> {
    dictionary.symbols().iter().map(String::as_str).collect()
}

#[test]
fn order_is_special_then_count_then_spelling_then_filling() {
    let lines = ["b a b", "é a </s> c"];
    let dictionary = Dictionary::build(lines, &DictionaryOptions::default()).unwrap();
    assert_eq!(
        symbols(&dictionary),
        ["<s>", "<pad>", "</s>", "<unk>", "a", "b", "c", "é"]
    );
    let dictionary = Dictionary::build(["b a b"], &DictionaryOptions::default()).unwrap();
    assert_eq!(
        symbols(&dictionary)[4..],
        ["b", "a", "madeupword0000", "madeupword0001"]
    );
    assert_eq!(
        (dictionary.count(4), dictionary.count(7)),
        (Some(2), Some(0))
    );
}

#[test]
fn limits_keep_the_frequent() {
    let lines = ["a a a b b c"];
    let options = DictionaryOptions {
        max_size: Some(6),
        ..UNFILLED
    };
    let dictionary = Dictionary::build(lines, &options).unwrap();
    assert_eq!(symbols(&dictionary)[4..], ["a", "b"]);
    let options = DictionaryOptions {
        min_count: 3,
        ..UNFILLED
    };
    assert_eq!(Dictionary::build(lines, &options).unwrap().len(), 5);
    let options = DictionaryOptions {
        max_size: Some(4),
        ..UNFILLED
    };
    let error = Dictionary::build(lines, &options).unwrap_err();
    assert!(
        matches!(error, Error::DictionaryTooSmall { max_size: 4 }),
        "{error}"
    );
}

#[test]
fn a_sentence_ends_once_whatever_it_says() {
    let dictionary = Dictionary::build(["a b </s> <pad>"], &UNFILLED).unwrap();
    let ids = dictionary.encode_line(" b </s> <pad> zzz a ");
    let (unk, eos) = (Dictionary::UNK, Dictionary::EOS);
    assert_eq!(ids, [5, unk, unk, unk, 4, eos]);
    assert_eq!(dictionary.decode(&ids).unwrap(), "b <unk> <unk> <unk> a");
    let message = dictionary.decode(&[4, 99]).unwrap_err().to_string();
    assert!(message.starts_with("token id 99 is outside"), "{message}");
}

#[rstest]
#[case("a 3\nb\n", "line 2: expected `symbol count`, found `b`")]
#[case("a 3\nb 2\na 1\n", "`a` stands in lines 1 and 3")]
#[case("</s> 3\n", "line 1: `</s>` has its place already")]
fn wrong_dictionaries_are_told(#[case] text: &str, #[case] problem: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dict.de.txt");
    std::fs::write(&path, text).unwrap();
    let message = Dictionary::load(&path).unwrap_err().to_string();
    assert!(message.contains(problem), "{message}");
}

#[test]
fn a_tokenizer_reads_back_and_knows_itself() {
    let lines = ["low lower lowest", "new newer newest"];
    let codes = learn(lines, &LearnOptions::merges(5)).unwrap();
    let vocabulary =
        BpeVocabulary::from_lines(codes, lines, &DictionaryOptions::default()).unwrap();
    assert_eq!(vocabulary.len() % 8, 0);
    for line in lines {
        let ids = vocabulary.encode(line);
        assert_eq!(ids.last(), Some(&Dictionary::EOS));
        assert_eq!(vocabulary.decode(&ids).unwrap(), line);
    }
    let all: Vec<Vec<u32>> = lines.iter().map(|line| vocabulary.encode(line)).collect();
    assert_eq!(vocabulary.encode_all(lines), all);

    let dir = tempfile::tempdir().unwrap();
    let (codes, dict) = (dir.path().join("codes"), dir.path().join("dict"));
    vocabulary.save(&codes, &dict).unwrap();
    assert!(std::fs::read_to_string(&dict).unwrap().lines().count() == vocabulary.len() - 4);
    let again = BpeVocabulary::load(&codes, &dict).unwrap();
    assert_eq!(again.hash(), vocabulary.hash());
    assert_eq!(again.dictionary(), vocabulary.dictionary());

    let fewer = learn(lines, &LearnOptions::merges(4)).unwrap();
    let other = BpeVocabulary::new(fewer, vocabulary.dictionary().clone());
    assert_ne!(other.hash(), vocabulary.hash());
}

/// facebookresearch/fairseq#3064: the dictionaries of CamemBERT and XLM-R name the special symbols.
#[test]
fn an_entry_that_overwrites_is_read_as_fairseq_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dict.txt");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Dictionary::load(&path).unwrap()
    };
    let plain = load("ie 5\nna 4\n");
    assert_eq!((plain.len(), plain.id("ie"), plain.id("na")), (6, 4, 5));
    let text = "<s> 0 #fairseq:overwrite\n</s> 0 #fairseq:overwrite\n<pad> 0 #fairseq:overwrite\n\
                <unk> 0 #fairseq:overwrite\nie 5\nna 4\n";
    let marked = load(text);
    assert_eq!((marked.len(), marked.id("ie"), marked.id("na")), (10, 8, 9));
    assert_eq!(marked.id("<s>"), 4);
    assert_eq!(marked.encode_line("ie"), [8, Dictionary::EOS]);
    // Written as it was read, and an ordinary symbol may be overwritten too.
    marked.save(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let twice = load("a 3\na 2 #fairseq:overwrite\n");
    assert_eq!(
        (twice.len(), twice.id("a"), twice.count(5)),
        (6, 5, Some(2))
    );
}

#[test]
fn languages_parse() {
    for language in Language::ALL {
        assert_eq!(language.code().parse::<Language>().unwrap(), language);
    }
    assert_eq!(
        "xx".parse::<Language>().unwrap_err().to_string(),
        "unknown language `xx`: use two letters of ISO 639-1, such as `nl`; those with rules of their own are cs, de, en, fr, ro"
    );
}
