//! Tokenizers as they are published with models, of every kind (`tests/parity/pretrained.py`).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sparta_datasets::Error;
use sparta_datasets::squad::{WindowOptions, windows};
use sparta_datasets::tokenize::pretrained::{Casing, Encoding, Tokenizer};

const VOCAB: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";

fn oracle() -> Value {
    serde_json::from_str(include_str!("../parity/pretrained.json")).unwrap()
}

fn of(oracle: &Value, kind: &str) -> Tokenizer {
    Tokenizer::from_json(&oracle[kind]["file"].to_string(), kind).unwrap()
}

fn bert_json(part: &str, value: Value) -> String {
    let mut file = oracle()["distilbert"]["file"].clone();
    *file.pointer_mut(part).unwrap() = value;
    file.to_string()
}

fn error_of(json: &str) -> String {
    let error = Tokenizer::from_json(json, "a.json").unwrap_err();
    assert!(matches!(error, Error::BadTokenizer { .. }), "{error}");
    error.to_string()
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

#[test]
fn byte_level_bpe_unigram_and_added_tokens_are_read_as_published() {
    let oracle = oracle();
    for (kind, of_kind) in oracle.as_object().unwrap() {
        let tokenizer = of(&oracle, kind);
        let cases = of_kind["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 7);
        for case in cases {
            let (first, second) = (case["first"].as_str().unwrap(), case["second"].as_str());
            let max_len = case["max_len"].as_u64().unwrap() as usize;
            let found = tokenizer.encode(first, second, max_len).unwrap();
            assert_eq!(json!(found.ids), case["ids"], "{kind}: {case}");
            assert_eq!(json!(found.token_types), case["types"], "{kind}: {case}");
            assert_eq!(json!(found.offsets), case["offsets"], "{kind}: {case}");
            for (text, places) in [
                (first, found.first()),
                (second.unwrap_or(""), found.second()),
            ] {
                let offsets = &found.offsets[places];
                assert!(
                    offsets
                        .iter()
                        .all(|&(from, to)| text.get(from..to).is_some())
                );
            }
        }
    }
}

#[test]
fn special_tokens_are_found_whatever_they_are_called() {
    let oracle = oracle();
    let special = |kind: &str| of(&oracle, kind).special();
    let roberta = special("roberta");
    assert_eq!((roberta.cls, roberta.pad, roberta.sep), (0, 1, 2));
    // A byte-level vocabulary needs no unknown token, though this one holds a `<unk>`.
    assert_eq!((roberta.unk, roberta.mask), (None, Some(4)));
    let albert = special("albert");
    assert_eq!((albert.pad, albert.cls, albert.sep), (0, 2, 3));
    assert_eq!((albert.unk, albert.mask), (Some(1), Some(4)));
    let tokenizer = of(&oracle, "distilbert");
    let added = tokenizer.id("COOL-Token").unwrap();
    assert_eq!(tokenizer.vocab_size() as u32, added + 2);
    assert_eq!(tokenizer.token(added), Some("COOL-Token"));
    assert!(!tokenizer.is_special(added) && tokenizer.is_special(4));
    assert_eq!(tokenizer.token(added + 2), None);
}

#[test]
fn windows_of_roberta_know_its_four_special_tokens() {
    let oracle = oracle();
    let tokenizer = of(&oracle, "roberta");
    let articles = sparta_datasets::embedded::new_wiki().unwrap();
    let options = WindowOptions {
        max_len: 69,
        stride: 32,
        max_question: 64,
    };
    let found = windows(&articles[..1], &tokenizer, &options).unwrap();
    let fits = |window: &Encoding| window.len() <= 69;
    assert!(found.iter().all(|window| fits(&window.encoding)));
    let mut n_answers = 0;
    for window in &found {
        if let Some((from, to)) = window.target.filter(|&(from, _)| from > 0) {
            let (paragraph, question) = window.place.of(&articles);
            let offsets = &window.encoding.offsets;
            let shown = &paragraph.context[offsets[from].0..offsets[to].1];
            assert!(shown.contains(&question.answers[0].text), "{shown}");
            n_answers += 1;
        }
    }
    assert!(n_answers > 10, "{n_answers}");
    let options = WindowOptions {
        max_len: 68,
        ..options
    };
    let error = windows(&articles, &tokenizer, &options).unwrap_err();
    assert!(error.to_string().contains("max_question + 4"), "{error}");
}

/// huggingface/transformers#1545: a token of `add_tokens` is found whatever its case in the text.
#[test]
fn a_token_that_a_user_added_is_one_token() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/tokenizer-with-added-token");
    let tokenizer = Tokenizer::open(&dir, None).unwrap();
    let found = tokenizer
        .encode("SenTenCE wIth cOOl-token.", None, 64)
        .unwrap();
    assert_eq!(found.ids, [2, 5, 6, 11, 10, 3]);
}

/// dbmdz/berts#13, huggingface/transformers#2742: an uncased German vocabulary keeps its umlauts.
#[test]
fn the_config_beside_a_vocabulary_is_obeyed() {
    let vocab = format!(
        "{VOCAB}o\n##au\n##a\n##u\nö\n##ä\n##ü\nß\n##ß\n##aß\nmochte\nmöchte\n?\n日\n##本\n日本\n"
    );
    let ids = |config: &str, text: &str| {
        let dir = folder(&[("vocab.txt", &vocab), ("tokenizer_config.json", config)]);
        let tokenizer = Tokenizer::open(dir.path(), None).unwrap();
        tokenizer.encode(text, None, 64).unwrap().ids
    };
    let keeps = r#"{"do_lower_case": true, "strip_accents": false, "tokenize_chinese_chars": true, "model_max_length": 512}"#;
    assert_eq!(ids(keeps, "ÖÄÜ möchte"), [2, 9, 10, 11, 16, 3]);
    assert_eq!(ids(keeps, "öäü?"), [2, 9, 10, 11, 17, 3]);
    for strips in [
        r#"{"do_lower_case": true, "tokenize_chinese_chars": true}"#,
        r#"{"do_lower_case": true, "strip_accents": null}"#,
    ] {
        assert_eq!(ids(strips, "ÖÄÜ möchte"), [2, 5, 6, 15, 3]);
        assert_eq!(ids(strips, "öäü?"), [2, 5, 6, 17, 3]);
        assert_eq!(ids(strips, "日本"), [2, 18, 1, 3]);
    }
    let whole = r#"{"do_lower_case": false, "tokenize_chinese_chars": false}"#;
    assert_eq!(ids(whole, "日本"), [2, 20, 3]);
    // Cased, and accents stripped all the same.
    let cased = r#"{"do_lower_case": false, "strip_accents": true}"#;
    assert_eq!(ids(cased, "möchte Möchte"), [2, 15, 1, 3]);
}

#[test]
fn names_and_added_tokens_beside_a_vocabulary_are_read() {
    let vocab = "<pad>\n<unk>\n<s>\n</s>\n<mask>\na\nb\n[X]\n";
    let config = r#"{"do_lower_case": true, "pad_token": "<pad>", "unk_token": {"content": "<unk>"},
        "additional_special_tokens": ["[X]"], "added_tokens_decoder":
        {"2": {"content": "<s>", "special": true}, "8": {"content": "A-B", "normalized": true}}}"#;
    let map = r#"{"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}"#;
    let files = [
        ("vocab.txt", vocab),
        ("tokenizer_config.json", config),
        ("special_tokens_map.json", map),
        ("added_tokens.json", r#"{"zz top": 9}"#),
    ];
    let dir = folder(&files);
    let tokenizer = Tokenizer::open(dir.path(), None).unwrap();
    let found = tokenizer
        .encode("a [X] a-B zz top <mask> c", None, 64)
        .unwrap();
    assert_eq!(found.ids, [2, 5, 7, 8, 9, 4, 1, 3]);
    let special: Vec<u32> = (0..10).filter(|&id| tokenizer.is_special(id)).collect();
    assert_eq!(special, [0, 1, 2, 3, 4, 7]);
    assert_eq!(tokenizer.mask().unwrap(), 4);
    assert_eq!(Tokenizer::files_of(dir.path()), files.map(|(name, _)| name));
    // Another tokenizer than the same vocabulary without these.
    let plain = folder(&[
        files[0],
        files[2],
        (
            "tokenizer_config.json",
            r#"{"do_lower_case": true, "pad_token": "<pad>", "unk_token": "<unk>"}"#,
        ),
    ]);
    assert_ne!(
        tokenizer.hash(),
        Tokenizer::open(plain.path(), None).unwrap().hash()
    );
}

#[test]
fn a_config_that_contradicts_or_is_damaged_is_named() {
    let vocab = format!("{VOCAB}a\n");
    let message = |files: &[(&str, &str)]| {
        Tokenizer::open(folder(files).path(), None)
            .unwrap_err()
            .to_string()
    };
    let with = |config: &str| message(&[("vocab.txt", &vocab), ("tokenizer_config.json", config)]);
    assert!(with(r#"{"strip_accents": false}"#).contains("for an uncased vocabulary"));
    assert!(with(r#"{"do_lower_case": "yes"}"#).contains("tokenizer_config.json: invalid type"));
    assert!(with(r#"{"do_lower_case": true"#).contains("tokenizer_config.json: EOF"));
    let no_words = with(r#"{"do_lower_case": true, "do_basic_tokenize": false}"#);
    assert!(no_words.contains("do_basic_tokenize = false"), "{no_words}");
    let kept = with(r#"{"do_lower_case": true, "never_split": ["a-b"]}"#);
    assert!(kept.contains("never_split is not supported"), "{kept}");
    let far = with(r#"{"do_lower_case": true, "added_tokens_decoder": {"9": {"content": "x"}}}"#);
    assert!(
        far.contains("added token `x` is said to have id 9, but its place is 6"),
        "{far}"
    );

    let json = oracle()["distilbert"]["file"].to_string();
    let config = |text| {
        [
            ("tokenizer.json", json.as_str()),
            ("tokenizer_config.json", text),
        ]
    };
    let agrees = folder(&config(r#"{"do_lower_case": true, "strip_accents": null}"#));
    Tokenizer::open(agrees.path(), Some(Casing::Lower)).unwrap();
    let error = Tokenizer::open(agrees.path(), Some(Casing::Keep)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it has lowercase = true, Keep was asked"),
        "{error}"
    );
    let error = message(&config(
        r#"{"do_lower_case": true, "strip_accents": false}"#,
    ));
    assert!(
        error.contains(
            "has strip_accents = true, but the tokenizer_config.json next to it says false"
        ),
        "{error}"
    );
}

#[test]
fn the_hash_of_bert_tokenizers_stays() {
    let model: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "..",
        "experiments",
        "data",
        "minilm-l3",
        "tokenizer.json",
    ]
    .iter()
    .collect();
    let shipped = Tokenizer::open(&model, None).unwrap();
    assert_eq!(shipped.vocab_size(), 30_522);
    assert_eq!(
        shipped.hash(),
        "e2fba98426b7b1c34b9e4473626873b0a3bc0c02a6a40df15f465b65e21ec68c"
    );
    // Of a vocab.txt as of the tokenizer.json that says the same.
    let text = std::fs::read_to_string(&model).unwrap();
    let vocab: String = (0..30_522)
        .map(|id| format!("{}\n", shipped.token(id).unwrap()))
        .collect();
    let from_vocab = Tokenizer::from_vocab(&vocab, Casing::Lower, "x").unwrap();
    assert_eq!(from_vocab.hash(), shipped.hash());
    // Lengths are not part of it, cleaning is.
    let mut json: Value = serde_json::from_str(&text).unwrap();
    json["truncation"] = Value::Null;
    assert_eq!(
        Tokenizer::from_json(&json.to_string(), "x").unwrap().hash(),
        shipped.hash()
    );
    json["normalizer"]["strip_accents"] = json!(false);
    assert_ne!(
        Tokenizer::from_json(&json.to_string(), "x").unwrap().hash(),
        shipped.hash()
    );
}

/// Of the other kinds the file is hashed, whatever the order of its keys.
#[test]
fn the_hash_of_other_tokenizers_stays() {
    let oracle = oracle();
    let text = oracle["roberta"]["file"].to_string();
    let hash = of(&oracle, "roberta").hash();
    assert_eq!(
        hash,
        "342ddef0f51ff4b13421d6ab640ff7263b753181713923e3cb92996490bdaf1c"
    );
    let rest = text.strip_suffix(r#","version":"1.0"}"#).unwrap();
    let turned = format!(r#"{{"version":"1.0",{}}}"#, &rest[1..]);
    assert_ne!(turned, text);
    assert_eq!(Tokenizer::from_json(&turned, "x").unwrap().hash(), hash);
}

#[test]
fn lengths_of_the_file_cut_and_pad_nothing() {
    let mut file = oracle()["distilbert"]["file"].clone();
    file["truncation"] =
        json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    file["padding"] = json!({"strategy": {"Fixed": 40}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"});
    let tokenizer = Tokenizer::from_json(&file.to_string(), "x").unwrap();
    assert_eq!(tokenizer.encode("a b c d e", None, 64).unwrap().len(), 7);
}

#[test]
fn a_tokenizer_without_the_tokens_of_an_encoder_is_named() {
    // GPT-2's kind: no token before or after a text.
    let mut gpt = oracle()["roberta"]["file"].clone();
    gpt["post_processor"] = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    let error = error_of(&gpt.to_string());
    assert!(
        error.contains("a.json: it has no cls and sep token") && error.contains("become `text`"),
        "{error}"
    );
    // XLNet's: both at the end.
    let error = error_of(&bert_json(
        "/post_processor",
        json!({"type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"SpecialToken": {"id": "[CLS]", "type_id": 2}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[CLS]", "type_id": 2}}],
        "special_tokens": {"[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}, "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}}}),
    ));
    assert!(
        error.contains("1 text(s) become `text [SEP] [CLS]`"),
        "{error}"
    );
    let none = bert_json("/post_processor", Value::Null);
    Tokenizer::from_json(&none, "a.json").unwrap();
    let error = error_of(&none.replace("[CLS]", "[BEGIN]"));
    assert!(
        error.contains("no post_processor, and no token [CLS]"),
        "{error}"
    );
    let error = error_of(&bert_json("/model/unk_token", json!("<unk>")));
    assert!(
        error.contains("it has no token <unk>, its unk_token"),
        "{error}"
    );
    let error = error_of(
        &oracle()["distilbert"]["file"]
            .to_string()
            .replace("[PAD]", "[FILL]"),
    );
    assert!(error.contains("it has no pad token"), "{error}");
    let no_mask = oracle()["distilbert"]["file"]
        .to_string()
        .replace("[MASK]", "[HIDDEN]");
    let tokenizer = Tokenizer::from_json(&no_mask, "a.json").unwrap();
    let error = tokenizer.mask().unwrap_err().to_string();
    assert!(
        error.contains("a.json has no mask token, which masked language modelling needs"),
        "{error}"
    );
}

#[test]
fn a_damaged_tokenizer_is_named() {
    assert!(error_of("{").contains("a.json: EOF"));
    assert!(error_of("{}").contains("a.json: "));
    let error = error_of(&bert_json("/model/type", json!("Morphemes")));
    assert!(
        error.contains("its model is Morphemes, expected one of WordPiece,"),
        "{error}"
    );
    let mut vocab = oracle()["distilbert"]["file"]["model"]["vocab"].clone();
    vocab["twice"] = json!(7);
    let error = error_of(&bert_json("/model/vocab", vocab));
    assert!(
        error.contains("`twice`") && error.contains("both have id 7"),
        "{error}"
    );
    let mut vocab = oracle()["distilbert"]["file"]["model"]["vocab"].clone();
    vocab["far"] = json!(4_000_000_000_u32);
    let error = error_of(&bert_json("/model/vocab", vocab));
    assert!(error.contains("its greatest id is 4000000000"), "{error}");
    // Unigram without an unknown token meets a character that it does not have.
    let mut albert = oracle()["albert"]["file"].clone();
    albert["model"]["unk_id"] = Value::Null;
    let tokenizer = Tokenizer::from_json(&albert.to_string(), "a.json").unwrap();
    let error = tokenizer.pieces("日").unwrap_err().to_string();
    assert!(error.contains("a.json: it cannot cut `日`"), "{error}");

    let twice = Tokenizer::from_vocab("[PAD]\na\na\n", Casing::Keep, "v.txt").unwrap_err();
    assert!(
        twice
            .to_string()
            .contains("v.txt: lines 2 and 3 are both `a`"),
        "{twice}"
    );
    let error =
        Tokenizer::from_vocab("[PAD]\n[UNK]\n[SEP]\na\n", Casing::Keep, "v.txt").unwrap_err();
    assert!(
        error.to_string().contains("v.txt: it has no token [CLS]"),
        "{error}"
    );
    let tokenizer = Tokenizer::from_vocab(VOCAB, Casing::Keep, "v.txt").unwrap();
    let error = tokenizer.encode("A", Some("A"), 2).unwrap_err();
    assert!(
        error.to_string().contains("3 are taken by [CLS] and [SEP]"),
        "{error}"
    );
}

#[test]
fn a_casing_that_is_given_takes_the_place_of_the_config() {
    let vocab = format!("{VOCAB}a\nA\n");
    let dir = folder(&[
        ("vocab.txt", &vocab),
        ("tokenizer_config.json", r#"{"do_lower_case": false}"#),
    ]);
    let ids = |casing| {
        Tokenizer::open(dir.path(), casing)
            .unwrap()
            .pieces("A")
            .unwrap()
            .ids
    };
    assert_eq!(ids(None), [6]);
    assert_eq!(ids(Some(Casing::Lower)), [5]);
}

/// The `tokenizers` crate keeps the tokens of a Unigram model in a tree, a level for each byte, and overflowed the stack
/// when it left one of 40,000: the process died.
#[test]
fn a_token_without_an_end_is_refused() {
    let oracle = oracle();
    let mut albert = oracle["albert"]["file"].clone();
    let opens = |albert: &Value| Tokenizer::from_json(&albert.to_string(), "a.json");
    for n in [2_000, 100_000] {
        albert["model"]["vocab"][95][0] = "a".repeat(n).into();
        let message = opens(&albert).map_or_else(|error| error.to_string(), |_| String::new());
        match n {
            2_000 => assert_eq!(message, ""),
            _ => assert!(
                message.contains("a token of it has 100000 bytes"),
                "{message}"
            ),
        }
    }
}

/// An id far from all others is a token like them, and costs no memory for those between.
#[test]
fn ids_may_have_holes() {
    let oracle = oracle();
    let mut file = oracle["distilbert"]["file"].clone();
    let far = (1 << 24) - 1;
    // The token that a user added has the place behind all others.
    let added = file["added_tokens"].as_array_mut().unwrap();
    added.retain(|token| token["content"] != "COOL-Token");
    file["model"]["vocab"]["zebra"] = far.into();
    let tokenizer = Tokenizer::from_json(&file.to_string(), "a.json").unwrap();
    assert_eq!(tokenizer.vocab_size(), 1 << 24);
    assert_eq!(tokenizer.token(far), Some("zebra"));
    assert_eq!(tokenizer.token(far - 1), None);
    file["model"]["vocab"]["zebra"] = (far + 1).into();
    let error = Tokenizer::from_json(&file.to_string(), "a.json").unwrap_err();
    assert!(
        error.to_string().contains("its greatest id is 16777216"),
        "{error}"
    );
}

/// A special token that is in no vocabulary was given to the model, whose table of embeddings has no row for it.
#[test]
fn special_tokens_around_texts_are_in_the_vocabulary() {
    let oracle = oracle();
    let mut file = oracle["distilbert"]["file"].clone();
    file["post_processor"]["sep"] = json!(["[SEP]", 70_000]);
    let error = Tokenizer::from_json(&file.to_string(), "a.json").unwrap_err();
    assert!(
        error.to_string().contains("puts id 70000 around texts"),
        "{error}"
    );
}
