//! `tokenizer_config.json` and the small files next to it.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::file::{ADDED, CONFIG, SPECIAL_MAP, bad};
use super::vocab_txt::BertNormalizer;
use crate::source::text_of;
use crate::{Error, Result};

/// What of `tokenizer_config.json` decides how texts are cut.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub do_lower_case: Option<bool>,
    pub strip_accents: Option<bool>,
    pub tokenize_chinese_chars: Option<bool>,
    do_basic_tokenize: Option<bool>,
    never_split: Option<Vec<String>>,
    #[serde(flatten)]
    named: Named,
    added_tokens_decoder: BTreeMap<u32, Added>,
}

/// A token that was added to a vocabulary, in the words of `tokenizer.json`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Added {
    pub content: String,
    #[serde(default)]
    pub single_word: bool,
    #[serde(default)]
    pub lstrip: bool,
    #[serde(default)]
    pub rstrip: bool,
    #[serde(default)]
    pub normalized: bool,
    #[serde(default)]
    pub special: bool,
}

/// The names of special tokens, where a file gives them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub pad_token: Option<String>,
    pub unk_token: Option<String>,
    pub cls_token: Option<String>,
    pub sep_token: Option<String>,
    pub mask_token: Option<String>,
    /// Others.
    pub additional: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    pad_token: Option<Name>,
    unk_token: Option<Name>,
    cls_token: Option<Name>,
    sep_token: Option<Name>,
    mask_token: Option<Name>,
    additional_special_tokens: Option<Vec<Name>>,
}

/// `"[MASK]"`, or `{"content": "[MASK]", …}`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Token { content: String },
}

impl Name {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::Token { content: text } => text,
        }
    }
}

/// What the files next to a tokenizer say.
#[derive(Debug, Default)]
pub(super) struct ConfigFiles {
    pub config: Config,
    pub names: Names,
    /// Added tokens by id.
    pub added: BTreeMap<u32, Added>,
}

impl ConfigFiles {
    /// Reads `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` of a folder,
    /// each of which may be missing.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`] for one that is damaged or asks for what the published tokenizers of
    /// `tokenizer.json` do not do either, [`Error::Io`].
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(CONFIG);
        let mut config: Config = read(&path)?.unwrap_or_default();
        let origin = path.display().to_string();
        if config.do_basic_tokenize == Some(false) {
            return Err(bad(
                &origin,
                "do_basic_tokenize = false, texts that are words already, is not supported"
                    .to_owned(),
            ));
        }
        if config
            .never_split
            .as_ref()
            .is_some_and(|words| !words.is_empty())
        {
            return Err(bad(
                &origin,
                "never_split is not supported; add these words as tokens of tokenizer.json"
                    .to_owned(),
            ));
        }
        let Named {
            pad_token,
            unk_token,
            cls_token,
            sep_token,
            mask_token,
            additional_special_tokens,
        } = std::mem::take(&mut config.named);
        let map: Named = read(&folder.join(SPECIAL_MAP))?.unwrap_or_default();
        let text = |ours: Option<Name>, map: Option<Name>| ours.or(map).map(Name::into_text);
        let additional = additional_special_tokens
            .or(map.additional_special_tokens)
            .unwrap_or_default();
        let names = Names {
            pad_token: text(pad_token, map.pad_token),
            unk_token: text(unk_token, map.unk_token),
            cls_token: text(cls_token, map.cls_token),
            sep_token: text(sep_token, map.sep_token),
            mask_token: text(mask_token, map.mask_token),
            additional: additional.into_iter().map(Name::into_text).collect(),
        };
        let mut added = std::mem::take(&mut config.added_tokens_decoder);
        let older: Option<BTreeMap<String, u32>> = read(&folder.join(ADDED))?;
        for (content, id) in older.into_iter().flatten() {
            added.entry(id).or_insert(Added {
                content,
                single_word: false,
                lstrip: false,
                rstrip: false,
                normalized: true,
                special: false,
            });
        }
        Ok(Self {
            config,
            names,
            added,
        })
    }

    /// That a `tokenizer.json` does not say otherwise than the config next to it.
    ///
    /// # Errors
    /// [`Error::BadTokenizer`] that names the key.
    pub(super) fn check(&self, normalizer: &Value, origin: &str) -> Result<()> {
        let Some(found) = BertNormalizer::of_normalizer(normalizer) else {
            return Ok(());
        };
        for (key, found, config) in [
            ("do_lower_case", found.lowercase, self.config.do_lower_case),
            (
                "strip_accents",
                found.strip_accents(),
                self.config.strip_accents,
            ),
            (
                "tokenize_chinese_chars",
                found.chinese_chars,
                self.config.tokenize_chinese_chars,
            ),
        ] {
            if let Some(expected) = config
                && expected != found
            {
                return Err(bad(
                    origin,
                    format!(
                        "its normalizer has {key} = {found}, but the tokenizer_config.json next to it says {expected}; change the one that is wrong"
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// A file of JSON, `None` when it is not there.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let origin = path.display().to_string();
    match fs::read(path) {
        Ok(bytes) => {
            let text = text_of(bytes).map_err(|no_text| bad(&origin, no_text.to_string()))?;
            let read = serde_json::from_str(&text).map(Some);
            read.map_err(|error| bad(&origin, error.to_string()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}
