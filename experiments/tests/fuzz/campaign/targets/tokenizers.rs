//! Tokenizers as they are published with models.

use std::fs;

use serde_json::Value;
use sparta_datasets::tokenize::pretrained::{Casing, Tokenizer};

use super::super::{Corpus, Target};

const TEXTS: [&str; 4] = [
    "",
    "The cats, it says: 1,250 Zürich größer 漢字 \u{301}\0 cool-token",
    "</s> [MASK] <mask> x",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

fn use_it(tokenizer: &Tokenizer) {
    for text in TEXTS {
        if let Ok(encoding) = tokenizer.encode(text, Some("b c"), 64) {
            assert_eq!(encoding.ids.len(), encoding.token_types.len());
            assert!(
                encoding
                    .ids
                    .iter()
                    .all(|&id| (id as usize) < tokenizer.vocab_size()),
                "an id beyond the vocabulary"
            );
            assert!(encoding.len() <= 64);
        }
        if let Ok(pieces) = tokenizer.pieces(text) {
            assert!(
                pieces
                    .offsets
                    .iter()
                    .all(|&(start, end)| start <= end && text.get(start..end).is_some()),
                "an offset within a character"
            );
        }
    }
    let _ = (
        tokenizer.hash(),
        tokenizer.special(),
        tokenizer.token(0),
        tokenizer.mask().is_ok(),
    );
}

/// `tokenizer.json`.
pub const TOKENIZER_JSON: Target = Target {
    name: "tokenizer-json",
    corpus: || {
        let oracle: Value = serde_json::from_str(include_str!(
            "../../../../../datasets/tests/parity/pretrained.json"
        ))
        .expect("JSON");
        let files =
            ["roberta", "albert", "distilbert"].map(|kind| oracle[kind]["file"].to_string());
        let added = include_str!(
            "../../../../../datasets/tests/cases/tokenizer-with-added-token/tokenizer.json"
        )
        .to_owned();
        Corpus::of(files.into_iter().chain([added])).with_words(&[
            "\"type\":\"Sequence\"", "\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"", "\"unk_id\":9", "\"content\":\"\"",
            "\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(a+)+$\"},\"content\":\"\"", "\"type\":\"Split\",\"pattern\":{\"String\":\"\"},\"behavior\":\"Isolated\",\"invert\":false",
            "\"type\":\"WordLevel\"", "\"type\":\"Unigram\"", "\"byte_fallback\":true", "\"dropout\":0.5", "\"fuse_unk\":true", "\"max_input_chars_per_word\":0",
            "\"normalized\":true", "\"special\":true", "\"single_word\":true", "\"lstrip\":true", "\"id\":4294967295", "\"id\":16777215", "\"truncation\":{\"max_length\":0,\"strategy\":\"LongestFirst\",\"stride\":9,\"direction\":\"Right\"}",
            "\"merges\":[[\"a\",\"b\"]]", "\"vocab\":{}", "\"vocab\":[]", "\"continuing_subword_prefix\":\"\"", "\"type_id\":300", "\"replacement\":\"\"",
        ])
    },
    open: |folder| {
        let path = folder.join("tokenizer.json");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let read = Tokenizer::open(&path, None).map_err(|error| error.to_string());
            read.is_ok_and(|tokenizer| {
                use_it(&tokenizer);
                true
            })
        })
    },
};

const VOCAB: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\n##s\n.\nö\n##au\n";

/// `vocab.txt`.
pub const VOCAB_TXT: Target = Target {
    name: "vocab-txt",
    corpus: || Corpus::of([VOCAB]).with_words(&["##", "[UNK]\n", "\n", "\r\n", "##a\n", " \n"]),
    open: |folder| {
        let path = folder.join("vocab.txt");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let read =
                Tokenizer::open(&path, Some(Casing::Lower)).map_err(|error| error.to_string());
            read.is_ok_and(|tokenizer| {
                use_it(&tokenizer);
                true
            })
        })
    },
};

/// `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`, a line each.
pub const CONFIGS: Target = Target {
    name: "tokenizer-config",
    corpus: || {
        Corpus::of([
            "{\"do_lower_case\": true, \"strip_accents\": false, \"tokenize_chinese_chars\": true, \"model_max_length\": 512}\n{}\n{}",
            "{\"do_lower_case\": false, \"unk_token\": \"[UNK]\", \"mask_token\": {\"content\": \"[MASK]\"}, \"added_tokens_decoder\": {\"11\": {\"content\": \"new\", \"normalized\": true}}}\n{\"pad_token\": \"[PAD]\", \"additional_special_tokens\": [\"[X]\"]}\n{\"other\": 12}",
        ])
        .with_words(&["\"added_tokens_decoder\":", "\"4294967295\":{\"content\":\"x\"}", "\"16777214\":{\"content\":\"\"}", "\"unk_token\":\"nobody\"", "\"never_split\":[\"a\"]", "\"special\":true", "\"lstrip\":true", "\"do_basic_tokenize\":false"])
    },
    open: |folder| {
        fs::write(folder.join("vocab.txt"), VOCAB).expect("written");
        let paths = [
            "tokenizer_config.json",
            "special_tokens_map.json",
            "added_tokens.json",
        ]
        .map(|name| folder.join(name));
        let folder = folder.to_owned();
        Box::new(move |bytes| {
            let mut parts = bytes.splitn(3, |&byte| byte == b'\n');
            for path in &paths {
                fs::write(path, parts.next().unwrap_or(b"{}")).expect("written");
            }
            let read = Tokenizer::open(&folder, None).map_err(|error| error.to_string());
            read.is_ok_and(|tokenizer| {
                use_it(&tokenizer);
                true
            })
        })
    },
};
