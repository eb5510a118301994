//! A `vocab.txt` of BERT as the `tokenizer.json` that it stands for.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::config::{Added, Names};
use super::file::bad;
use crate::Result;

/// What happens to upper case before words are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Casing {
    /// Lower case, and without accents where nothing else is said: the `uncased` models.
    Lower,
    /// As written: the `cased` models.
    Keep,
}

/// How BERT normalizes a text before it is cut into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BertNormalizer {
    pub lowercase: bool,
    /// `None`: as `lowercase`.
    pub strip_accents: Option<bool>,
    pub chinese_chars: bool,
}

impl BertNormalizer {
    pub(super) const fn of(casing: Casing) -> Self {
        Self {
            lowercase: match casing {
                Casing::Lower => true,
                Casing::Keep => false,
            },
            strip_accents: None,
            chinese_chars: true,
        }
    }

    /// Of the normalizer of a `tokenizer.json`; `None` when that is not BERT's.
    pub(super) fn of_normalizer(normalizer: &Value) -> Option<Self> {
        let flag = |key: &str| normalizer.get(key).and_then(Value::as_bool);
        (normalizer.get("type")?.as_str()? == "BertNormalizer").then(|| Self {
            lowercase: flag("lowercase").unwrap_or(true),
            strip_accents: flag("strip_accents"),
            chinese_chars: flag("handle_chinese_chars").unwrap_or(true),
        })
    }

    pub(super) fn strip_accents(self) -> bool {
        self.strip_accents.unwrap_or(self.lowercase)
    }
}

/// One token per line, its id the line's number from 0.
///
/// # Errors
/// [`crate::Error::BadTokenizer`] when a special token is missing or a token is there twice.
pub(super) fn tokenizer_json(
    vocab: &str,
    normalizer: BertNormalizer,
    names: &Names,
    added: &BTreeMap<u32, Added>,
    origin: &str,
) -> Result<Value> {
    let mut ids: HashMap<&str, u32> = HashMap::new();
    for (token, id) in vocab.lines().zip(0_u32..) {
        if let Some(before) = ids.insert(token, id) {
            let lines = (before + 1, id + 1);
            return Err(bad(
                origin,
                format!("lines {} and {} are both `{token}`", lines.0, lines.1),
            ));
        }
    }
    let name = |name: &Option<String>, usual: &str| name.clone().unwrap_or(usual.to_owned());
    let [pad, unk, cls, sep, mask] = [
        name(&names.pad_token, "[PAD]"),
        name(&names.unk_token, "[UNK]"),
        name(&names.cls_token, "[CLS]"),
        name(&names.sep_token, "[SEP]"),
        name(&names.mask_token, "[MASK]"),
    ];
    let id = |token: &str| {
        let missing = || bad(origin, format!("it has no token {token}"));
        ids.get(token).copied().ok_or_else(missing)
    };
    id(&pad)?;
    id(&unk)?;
    let ends = [json!([sep, id(&sep)?]), json!([cls, id(&cls)?])];
    let named = [pad, unk.clone(), cls, sep, mask];
    let in_vocab = |token: &&String| ids.contains_key(token.as_str());
    let mut tokens: Vec<Value> = named
        .iter()
        .chain(&names.additional)
        .filter(in_vocab)
        .map(|token| added_json(ids[token.as_str()], &special(token)))
        .collect();
    let is_new = |token: &Added| !named.contains(&token.content);
    let new = added.iter().filter(|(_, token)| is_new(token));
    tokens.extend(new.map(|(&id, token)| added_json(id, token)));
    Ok(json!({
        "added_tokens": tokens,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": normalizer.chinese_chars,
            "strip_accents": normalizer.strip_accents,
            "lowercase": normalizer.lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ends[0], "cls": ends[1]},
        "model": {
            "type": "WordPiece",
            "unk_token": unk,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }))
}

/// A special token, which texts may hold as it stands.
fn special(token: &str) -> Added {
    Added {
        content: token.to_owned(),
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
    }
}

fn added_json(id: u32, token: &Added) -> Value {
    json!({
        "id": id,
        "content": token.content,
        "single_word": token.single_word,
        "lstrip": token.lstrip,
        "rstrip": token.rstrip,
        "normalized": token.normalized,
        "special": token.special,
    })
}
