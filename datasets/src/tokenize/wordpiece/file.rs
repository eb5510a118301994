//! Reading published tokenizers: `tokenizer.json`, or `vocab.txt` with a casing.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{Casing, Cleaning, WordPiece};
use crate::{Error, Result};

/// Special tokens that a `vocab.txt` may hold; they are recognised in running text.
const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// The parts of a `tokenizer.json` that decide how texts are cut.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Normalizer,
    pre_tokenizer: Kind,
    #[serde(default)]
    post_processor: Option<Kind>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
}

#[derive(Deserialize)]
struct Kind {
    r#type: String,
}

#[derive(Deserialize)]
struct Normalizer {
    r#type: String,
    #[serde(default = "yes")]
    clean_text: bool,
    #[serde(default = "yes")]
    handle_chinese_chars: bool,
    #[serde(default)]
    strip_accents: Option<bool>,
    #[serde(default = "yes")]
    lowercase: bool,
}

#[derive(Deserialize)]
struct Model {
    /// Older files leave it out.
    #[serde(default)]
    r#type: Option<String>,
    unk_token: String,
    continuing_subword_prefix: String,
    max_input_chars_per_word: usize,
    vocab: HashMap<String, u32>,
}

const fn yes() -> bool {
    true
}

impl WordPiece {
    /// Reads a `tokenizer.json`, a `vocab.txt`, or a folder that holds one of them.
    ///
    /// A `vocab.txt` does not say whether it is cased: `casing` does, or `do_lower_case` of the
    /// `tokenizer_config.json` beside it. For a `tokenizer.json`, `casing` may be `None`; another
    /// than the file's is an error.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`] for a file that is no WordPiece tokenizer of BERT's kind,
    /// [`Error::Io`].
    pub fn open(path: &Path, casing: Option<Casing>) -> Result<Self> {
        let file = if path.is_dir() {
            let json = path.join("tokenizer.json");
            if json.is_file() {
                json
            } else {
                path.join("vocab.txt")
            }
        } else {
            path.to_owned()
        };
        let text = fs::read_to_string(&file).map_err(Error::io("read", &file))?;
        let origin = file.display().to_string();
        if file.extension().is_none_or(|extension| extension != "json") {
            let casing = match casing {
                Some(casing) => casing,
                None => configured_casing(&file)?,
            };
            return Self::from_vocab(&text, casing, &origin);
        }
        let wordpiece = Self::from_json(&text, &origin)?;
        match casing {
            Some(casing) if Cleaning::of(casing).lowercase != wordpiece.cleaning.lowercase => {
                let lowercase = wordpiece.cleaning.lowercase;
                Err(bad(
                    &origin,
                    format!("it has lowercase = {lowercase}, {casing:?} was asked"),
                ))
            }
            Some(_) | None => Ok(wordpiece),
        }
    }

    /// A `tokenizer.json` from memory; `origin` is named in errors.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`] when it is not WordPiece with BERT's cleaning and BERT's words.
    pub fn from_json(json: &str, origin: &str) -> Result<Self> {
        let file: File =
            serde_json::from_str(json).map_err(|error| bad(origin, error.to_string()))?;
        let model = file.model.r#type.as_deref().unwrap_or("WordPiece");
        let post = file
            .post_processor
            .map_or("BertProcessing".to_owned(), |kind| kind.r#type);
        for (part, found, expected) in [
            ("model", model, &["WordPiece"][..]),
            ("normalizer", &file.normalizer.r#type, &["BertNormalizer"]),
            (
                "pre_tokenizer",
                &file.pre_tokenizer.r#type,
                &["BertPreTokenizer"],
            ),
            (
                "post_processor",
                &post,
                &["TemplateProcessing", "BertProcessing"],
            ),
        ] {
            if !expected.contains(&found) {
                let expected = expected.join(" or ");
                return Err(bad(
                    origin,
                    format!("its {part} is {found}, expected {expected}"),
                ));
            }
        }
        if file.model.unk_token != "[UNK]" {
            let found = file.model.unk_token;
            return Err(bad(
                origin,
                format!("its unk_token is {found}, expected [UNK]"),
            ));
        }
        let mut vocab: Vec<(String, u32)> = file.model.vocab.into_iter().collect();
        let mut literal = Vec::new();
        for added in file.added_tokens {
            if added.single_word || added.lstrip || added.rstrip || added.normalized {
                let content = added.content;
                return Err(bad(
                    origin,
                    format!(
                        "added token {content} has single_word, lstrip, rstrip or normalized on, which is not supported"
                    ),
                ));
            }
            if !vocab.iter().any(|(_, id)| *id == added.id) {
                vocab.push((added.content.clone(), added.id));
            }
            literal.push((added.content, added.id));
        }
        vocab.sort_by_key(|(_, id)| *id);
        if let Some(at) = (0..vocab.len()).find(|&at| vocab[at].1 as usize != at) {
            return Err(bad(
                origin,
                format!("no token, or two tokens, have id {at}"),
            ));
        }
        let normalizer = file.normalizer;
        let cleaning = Cleaning {
            clean_text: normalizer.clean_text,
            chinese_chars: normalizer.handle_chinese_chars,
            strip_accents: normalizer.strip_accents.unwrap_or(normalizer.lowercase),
            lowercase: normalizer.lowercase,
        };
        Self::new(
            vocab.into_iter().map(|(token, _)| token).collect(),
            cleaning,
            literal,
            &file.model.continuing_subword_prefix,
            file.model.max_input_chars_per_word,
            origin,
        )
    }

    /// A `vocab.txt` from memory, one token a line, its id the line's number from 0; `origin` is
    /// named in errors.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`] when a special token is missing or a token is there twice.
    pub fn from_vocab(vocab: &str, casing: Casing, origin: &str) -> Result<Self> {
        let tokens: Vec<String> = vocab.lines().map(str::to_owned).collect();
        let mut ids = HashMap::with_capacity(tokens.len());
        for (token, id) in tokens.iter().zip(0_u32..) {
            if let Some(before) = ids.insert(token.as_str(), id) {
                let lines = (before + 1, id + 1);
                return Err(bad(
                    origin,
                    format!("lines {} and {} are both `{token}`", lines.0, lines.1),
                ));
            }
        }
        let literal = SPECIAL
            .into_iter()
            .filter_map(|token| Some((token.to_owned(), *ids.get(token)?)))
            .collect();
        Self::new(tokens, Cleaning::of(casing), literal, "##", 100, origin)
    }
}

/// What the `tokenizer_config.json` beside a `vocab.txt` says.
fn configured_casing(vocab: &Path) -> Result<Casing> {
    let path = vocab.with_file_name("tokenizer_config.json");
    let lower = fs::read_to_string(&path)
        .ok()
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        .and_then(|config| config.get("do_lower_case")?.as_bool());
    match lower {
        Some(true) => Ok(Casing::Lower),
        Some(false) => Ok(Casing::Keep),
        None => Err(bad(
            &vocab.display().to_string(),
            format!(
                "it does not say whether it is cased, and {} has no do_lower_case; name the casing",
                path.display()
            ),
        )),
    }
}

fn bad(origin: &str, problem: String) -> Error {
    Error::BadTokenizer {
        origin: origin.to_owned(),
        problem,
    }
}
