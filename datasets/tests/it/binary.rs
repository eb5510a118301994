//! Files that are no text where one is asked for.

use std::fs;

use rstest::rstest;
use sparta_datasets::glue::{GlueTask, read_part};
use sparta_datasets::squad::{SquadForm, read_articles};
use sparta_datasets::tokenize::bpe::BpeCodes;
use sparta_datasets::tokenize::pretrained::Tokenizer;
use sparta_datasets::tokenize::{Dictionary, Vocabulary};

/// Every reader of texts says what a file is, and what to type.
#[rstest]
#[case(
    b"\x1f\x8b\x08\x00\x00\x00",
    "gzip-compressed data (its first bytes are 1f 8b); unpack it: `gunzip FILE`"
)]
#[case(
    b"PK\x03\x04\x14\x00",
    "a zip archive (or weights of PyTorch) (its first bytes are 50 4b 03 04); unpack it: `unzip FILE`"
)]
#[case(b"\xfd7zXZ\x00\x00", "xz-compressed data")]
#[case(b"\x28\xb5\x2f\xfd\x00", "zstd-compressed data")]
#[case(b"\x80\x02}q\x00.", "a pickle of Python")]
#[case(
    b"\xff\xfeg\x00e\x00",
    "UTF-16 text (its first bytes are ff fe); convert it: `iconv -f UTF-16"
)]
#[case(b"SPARTATK\x01\x00\x00\x00", "a token store of this program")]
#[case(
    b"\x08\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}",
    "a safetensors file; give the text file that lies beside the weights"
)]
#[case(b"Gr\xfc\xdfe\n", "another byte at offset 2: fc")]
#[case(b"a\nb\nGr\xfc\xdfe\n", "another byte at offset 6 in line 3: fc")]
fn are_called_what_they_are(#[case] bytes: &[u8], #[case] expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let (text, json, vocab) = (write("dev.tsv"), write("a.json"), write("vocab.txt"));
    let messages = [
        Vocabulary::load(&text).unwrap_err(),
        Dictionary::load(&text).unwrap_err(),
        BpeCodes::load(&text).unwrap_err(),
        read_part(GlueTask::Rte, dir.path(), "dev").unwrap_err(),
        read_articles(&json, SquadForm::V1_1).unwrap_err(),
        Tokenizer::open(&json, None).unwrap_err(),
        Tokenizer::open(&vocab, None).unwrap_err(),
    ]
    .map(|error| error.to_string());
    for message in messages {
        let found = format!("expected UTF-8 text, found {expected}");
        assert!(message.contains(&found), "{message}");
        assert!(message.contains(dir.path().to_str().unwrap()), "{message}");
    }
}

/// A config beside a tokenizer, too.
#[test]
fn configs_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    write("vocab.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n");
    write("tokenizer_config.json", b"\x1f\x8b\x08");
    let message = Tokenizer::open(dir.path(), None).unwrap_err().to_string();
    assert!(
        message.contains("tokenizer_config.json: expected UTF-8 text, found gzip"),
        "{message}"
    );
}
