//! Opening published tokenizers.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde_json::{Value, json};

use super::Tokenizer;
use super::config::{ConfigFiles, Names};
use super::frame::Frame;
use super::hash::hash;
use super::special::SpecialIds;
use super::vocab_txt::{BertNormalizer, Casing, tokenizer_json};
use crate::source::text_of;
use crate::{Error, Result};

const JSON: &str = "tokenizer.json";
const VOCAB: &str = "vocab.txt";
/// What may stand next to either.
pub(super) const CONFIG: &str = "tokenizer_config.json";
pub(super) const SPECIAL_MAP: &str = "special_tokens_map.json";
pub(super) const ADDED: &str = "added_tokens.json";

impl Tokenizer {
    /// Names of the files that [`Tokenizer::open`] reads of a folder; a folder with copies of them
    /// opens as the same tokenizer.
    pub fn files_of(folder: &Path) -> Vec<&'static str> {
        let is_there = |name: &&str| folder.join(name).is_file();
        let vocabulary = if is_there(&JSON) { JSON } else { VOCAB };
        let names = [vocabulary, CONFIG, SPECIAL_MAP, ADDED];
        names.into_iter().filter(is_there).collect()
    }

    /// Reads a `tokenizer.json`, a `vocab.txt`, or a folder that holds one of them.
    ///
    /// The `tokenizer_config.json` next to a `vocab.txt` is obeyed: `do_lower_case`, `strip_accents`,
    /// `tokenize_chinese_chars`, names of special tokens and added tokens (also those of
    /// `special_tokens_map.json` and `added_tokens.json`). `casing` takes the place of
    /// `do_lower_case`, and has to be given where the config does not say. For a `tokenizer.json`,
    /// `casing` may be `None`, and another than the file's is an error; so is a config that says
    /// otherwise than the file.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`] for a file that is no tokenizer of an encoder, [`Error::Io`].
    pub fn open(path: &Path, casing: Option<Casing>) -> Result<Self> {
        let file = if path.is_dir() {
            let json = path.join(JSON);
            if json.is_file() {
                json
            } else {
                path.join(VOCAB)
            }
        } else {
            path.to_owned()
        };
        let origin = file.display().to_string();
        let bytes = fs::read(&file).map_err(Error::io("read", &file))?;
        let text = text_of(bytes).map_err(|no_text| bad(&origin, no_text.to_string()))?;
        let files = ConfigFiles::read(file.parent().unwrap_or(Path::new(".")))?;
        if file
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let json = parse(&text, &origin)?;
            let normalizer = json.get("normalizer").unwrap_or(&Value::Null);
            files.check(normalizer, &origin)?;
            if let Some(casing) = casing {
                check_casing(normalizer, casing, &origin)?;
            }
            return Self::build(&json, &files.names, &origin);
        }
        let config = &files.config;
        let casing = match (casing, config.do_lower_case) {
            (Some(casing), _) => casing,
            (None, Some(true)) => Casing::Lower,
            (None, Some(false)) => Casing::Keep,
            (None, None) => {
                let path = file.with_file_name(CONFIG);
                return Err(bad(
                    &origin,
                    format!(
                        "it does not say whether it is cased, and {} has no do_lower_case; write {{\"do_lower_case\": true}} there for an uncased vocabulary, or false for a cased one",
                        path.display()
                    ),
                ));
            }
        };
        let normalizer = BertNormalizer {
            strip_accents: config.strip_accents,
            chinese_chars: config.tokenize_chinese_chars.unwrap_or(true),
            ..BertNormalizer::of(casing)
        };
        let json = tokenizer_json(&text, normalizer, &files.names, &files.added, &origin)?;
        Self::build(&json, &files.names, &origin)
    }

    /// A `tokenizer.json` from memory; `origin` is named in errors.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`] when it is no tokenizer of an encoder.
    pub fn from_json(json: &str, origin: &str) -> Result<Self> {
        Self::build(&parse(json, origin)?, &Names::default(), origin)
    }

    /// A `vocab.txt` from memory, one token per line, its id the line's number from 0; `origin` is
    /// named in errors.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`] when a special token is missing or a token is there twice.
    pub fn from_vocab(vocab: &str, casing: Casing, origin: &str) -> Result<Self> {
        let names = Names::default();
        let json = tokenizer_json(
            vocab,
            BertNormalizer::of(casing),
            &names,
            &[].into(),
            origin,
        )?;
        Self::build(&json, &names, origin)
    }

    fn build(json: &Value, names: &Names, origin: &str) -> Result<Self> {
        check_model(json, origin)?;
        check_lengths(json, origin)?;
        let mut json = json.clone();
        if json.get("post_processor").is_none_or(Value::is_null) {
            json["post_processor"] = bert_processing(&json, names, origin)?;
        }
        // From a text: its reader is compiled in the `tokenizers` crate and not once more here.
        let text = json.to_string();
        let mut inner = guarded(|| text.parse::<tokenizers::Tokenizer>())
            .map_err(|problem| bad(origin, problem))?;
        // Lengths are those of a recipe.
        inner
            .with_truncation(None)
            .map_err(|error| bad(origin, error.to_string()))?;
        inner.with_padding(None);
        let tokens = tokens(&inner, origin)?;
        check_added(&json, &inner, origin)?;
        let frames = [Frame::of(&inner, 1, origin)?, Frame::of(&inner, 2, origin)?];
        if let Some(id) = (frames.iter().flat_map(Frame::ids)).find(|id| !tokens.contains_key(id)) {
            let problem =
                format!("its post_processor puts id {id} around texts, which no token has");
            return Err(bad(origin, problem));
        }
        let model = json.get("model").unwrap_or(&Value::Null);
        let special = SpecialIds::of(&inner, model, &frames[0], names, origin)?;
        let mut special_ids: Vec<u32> = special.all().collect();
        let added = inner.get_added_tokens_decoder();
        special_ids.extend(
            added
                .iter()
                .filter(|(_, token)| token.special)
                .map(|(&id, _)| id),
        );
        special_ids.sort_unstable();
        special_ids.dedup();
        Ok(Self {
            hash: hash(&json, &tokens),
            inner,
            tokens,
            special,
            special_ids,
            frames,
            origin: origin.to_owned(),
        })
    }
}

/// What the `tokenizers` crate does, its panics as errors: of files that contradict themselves it finds some only
/// when it uses them.
pub(super) fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(payload) => {
            let said = payload.downcast_ref::<&str>().copied();
            let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            let said = said.unwrap_or("no reason is given");
            Err(format!("its rules contradict themselves ({said})"))
        }
    }
}

/// Models whose files are read; older files do not say which theirs is.
const MODELS: [&str; 4] = ["WordPiece", "BPE", "Unigram", "WordLevel"];

fn check_model(json: &Value, origin: &str) -> Result<()> {
    match json.pointer("/model/type").and_then(Value::as_str) {
        Some(found) if !MODELS.contains(&found) => {
            let known = MODELS.join(", ");
            Err(bad(
                origin,
                format!("its model is {found}, expected one of {known}"),
            ))
        }
        Some(_) | None => Ok(()),
    }
}

/// Bytes of a token at most. Published ones have a few hundred; the `tokenizers` crate keeps those of a Unigram model in
/// a tree of a level for each byte, which it leaves by a call for each level.
const LONGEST: usize = 2000;

fn check_lengths(json: &Value, origin: &str) -> Result<()> {
    let vocab = json.pointer("/model/vocab");
    let of_object = vocab.and_then(Value::as_object).into_iter();
    let of_list = vocab.and_then(Value::as_array).into_iter().flatten();
    let of_list = of_list.filter_map(|entry| entry.get(0)?.as_str());
    let mut tokens = (of_object.flat_map(|vocab| vocab.keys().map(String::as_str))).chain(of_list);
    match tokens.find(|token| token.len() > LONGEST) {
        Some(token) => Err(bad(
            origin,
            format!(
                "a token of it has {} bytes, more than {LONGEST}",
                token.len()
            ),
        )),
        None => Ok(()),
    }
}

fn parse(text: &str, origin: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| bad(origin, error.to_string()))
}

/// `[CLS] a [SEP] b [SEP]`, for files that leave it out.
fn bert_processing(json: &Value, names: &Names, origin: &str) -> Result<Value> {
    let end = |name: &Option<String>, usual: &str| {
        let token = name.as_deref().unwrap_or(usual);
        let id = json
            .pointer("/model/vocab")
            .and_then(|vocab| vocab.get(token));
        let missing = || {
            bad(
                origin,
                format!("it has no post_processor, and no token {token} to put around a text"),
            )
        };
        id.map(|id| json!([token, id])).ok_or_else(missing)
    };
    Ok(json!({
        "type": "BertProcessing",
        "cls": end(&names.cls_token, "[CLS]")?,
        "sep": end(&names.sep_token, "[SEP]")?,
    }))
}

/// The token of each id.
fn tokens(inner: &tokenizers::Tokenizer, origin: &str) -> Result<BTreeMap<u32, String>> {
    let vocab = inner.get_vocab(true);
    // Far beyond any vocabulary, so that a wrong id is an error and not the memory of the machine.
    const MOST: u32 = 1 << 24;
    if let Some(greatest) = vocab.values().max().filter(|&&id| id >= MOST) {
        return Err(bad(origin, format!("its greatest id is {greatest}")));
    }
    let mut tokens = BTreeMap::new();
    for (token, id) in vocab {
        if let Some(other) = tokens.insert(id, token.clone()) {
            return Err(bad(
                origin,
                format!("`{other}` and `{token}` both have id {id}"),
            ));
        }
    }
    Ok(tokens)
}

/// That added tokens have the ids their file says.
fn check_added(json: &Value, inner: &tokenizers::Tokenizer, origin: &str) -> Result<()> {
    let added = json.get("added_tokens").and_then(Value::as_array);
    for token in added.into_iter().flatten() {
        let (Some(content), Some(id)) = (
            token.get("content").and_then(Value::as_str),
            token.get("id").and_then(Value::as_u64),
        ) else {
            continue; // read above, or an error there
        };
        let found = inner.token_to_id(content).map(u64::from);
        if found != Some(id) {
            let found = found.map_or("none".to_owned(), |id| id.to_string());
            return Err(bad(
                origin,
                format!(
                    "added token `{content}` is said to have id {id}, but its place is {found}"
                ),
            ));
        }
    }
    Ok(())
}

fn check_casing(normalizer: &Value, casing: Casing, origin: &str) -> Result<()> {
    let problem = match BertNormalizer::of_normalizer(normalizer) {
        Some(found) if found.lowercase == BertNormalizer::of(casing).lowercase => return Ok(()),
        Some(found) => format!(
            "it has lowercase = {}, {casing:?} was asked",
            found.lowercase
        ),
        None => format!("its normalizer is not BERT's, and {casing:?} was asked; name no casing"),
    };
    Err(bad(origin, problem))
}

pub(super) fn bad(origin: &str, problem: String) -> Error {
    Error::BadTokenizer {
        origin: origin.to_owned(),
        problem,
    }
}
