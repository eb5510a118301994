//! Token stores: what is written is read, and every kind of damage is told apart.

use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;
use sparta_datasets::store::{TokenStore, store_path};
use sparta_datasets::tokenize::Vocabulary;
use sparta_datasets::{Error, Split};

struct Fixture {
    _dir: tempfile::TempDir,
    path: PathBuf,
    hash: String,
}

fn fixture(ids: impl IntoIterator<Item = u32>) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.tokens");
    let hash = Vocabulary::from_text("a b c\n", None, 1).unwrap().hash();
    TokenStore::create(&path, ids, &hash).unwrap();
    Fixture {
        _dir: dir,
        path,
        hash,
    }
}

#[test]
fn ids_in_memory_read_as_those_of_a_file() {
    let ids: Vec<u32> = (0..1000).map(|i| i * 7919 % 503).collect();
    let Fixture { path, hash, _dir } = fixture(ids.iter().copied());
    let (held, stored) = (
        TokenStore::in_memory(&ids, &hash).unwrap(),
        TokenStore::open(&path, &hash).unwrap(),
    );
    assert_eq!(held.tokens(), stored.tokens());
    assert_eq!(held.tokenizer_hash(), stored.tokenizer_hash());
    assert!(TokenStore::in_memory(&[], &hash).unwrap().is_empty());
    assert!(TokenStore::in_memory(&ids, "no hash").is_err());
}

#[test]
fn reads_what_was_written() {
    let ids: Vec<u32> = (0..100_000).map(|i| i * 7919 % 50_021).collect();
    let Fixture { path, hash, _dir } = fixture(ids.iter().copied());
    let store = TokenStore::open(&path, &hash).unwrap();
    assert_eq!(store.tokens(), ids);
    assert_eq!(
        (store.len(), store.tokenizer_hash(), store.path()),
        (100_000, hash, path.as_path())
    );
    let names: Vec<_> = fs::read_dir(_dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["train.tokens"], "a temporary file was left behind");
}

#[test]
fn each_tokenizer_has_its_own_file() {
    let path = |hash: &str| store_path("cache".as_ref(), "sotu", Split::Valid, hash);
    assert_eq!(
        path(&"ab".repeat(32)),
        Path::new("cache/sotu-valid-abababababab.tokens")
    );
    assert_ne!(path(&"ab".repeat(32)), path(&"ac".repeat(32)));
}

#[test]
fn an_empty_store_is_a_store() {
    let Fixture { path, hash, _dir } = fixture([]);
    assert!(TokenStore::open(&path, &hash).unwrap().is_empty());
}

#[rstest]
#[case::cut(-4, "is truncated: its header says 1000 tokens, the file holds 999")]
#[case::cut_inside_a_token(-1, "the file holds 999")]
#[case::cut_to_the_header(-4000, "the file holds 0")]
#[case::longer(4, "the file holds 1001")]
fn a_wrong_length_is_told(#[case] change: i64, #[case] message: &str) {
    let Fixture { path, hash, _dir } = fixture(0..1000);
    let length = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(length.checked_add_signed(change).unwrap())
        .unwrap();
    let error = TokenStore::open(&path, &hash).unwrap_err();
    assert!(
        matches!(error, Error::TruncatedTokenStore { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(message), "{error}");
    assert!(
        error
            .to_string()
            .ends_with("delete it and run `prepare` again"),
        "{error}"
    );
}

#[rstest]
#[case::payload(128 + 5, "was altered: payload sha256 is ")]
#[case::checksum(60, "was altered: payload sha256 is ")]
#[case::count(16, "is truncated: ")]
#[case::tokenizer(30, "was made by tokenizer ")]
#[case::version(8, "is not a token store of version 1 (version ")]
#[case::magic(0, "(another kind of file)")]
fn any_altered_byte_is_told(#[case] at: usize, #[case] message: &str) {
    let Fixture { path, hash, _dir } = fixture(0..1000);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 0x40;
    fs::write(&path, bytes).unwrap();
    let error = TokenStore::open(&path, &hash).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
    assert!(
        error.contains("delete it and run `prepare` again"),
        "{error}"
    );
}

#[test]
fn other_files_are_told() {
    let Fixture { path, hash, _dir } = fixture(0..10);
    fs::write(&path, "").unwrap();
    assert!(matches!(
        TokenStore::open(&path, &hash),
        Err(Error::NotATokenStore { .. })
    ));
    fs::write(&path, b"SPARTATK half a header").unwrap();
    let error = TokenStore::open(&path, &hash).unwrap_err().to_string();
    assert!(error.contains("only 22 bytes of the header"), "{error}");
    let error = TokenStore::open(&path.with_file_name("none"), &hash)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("cannot open "), "{error}");
}

#[test]
fn another_tokenizer_is_told_with_both_hashes() {
    let Fixture { path, hash, _dir } = fixture(0..10);
    let other = Vocabulary::from_text("a c b b\n", None, 1).unwrap().hash();
    let error = TokenStore::open(&path, &other).unwrap_err();
    assert!(
        matches!(&error, Error::OtherTokenizer { expected, found, .. }
        if *expected == other && *found == hash)
    );
    assert!(matches!(
        TokenStore::open(&path, "abc"),
        Err(Error::BadTokenizerHash { .. })
    ));
    let not_ascii = "é".repeat(32);
    assert!(matches!(
        TokenStore::open(&path, &not_ascii),
        Err(Error::BadTokenizerHash { .. })
    ));
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let Fixture { path, hash, _dir } = fixture(0..10);
    let blocked = path.join("below-a-file");
    let error = TokenStore::create(&blocked, 0..3, &hash).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(TokenStore::open(&path, &hash).unwrap().len(), 10);
}
