//! The tokens that have a meaning of their own.

use serde_json::Value;

use super::config::Names;
use super::file::bad;
use super::frame::Frame;
use crate::Result;

/// Ids of the tokens that have a meaning of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialIds {
    /// `[PAD]` or `<pad>`.
    pub pad: u32,
    /// `[CLS]` or `<s>`, the first token.
    pub cls: u32,
    /// `[SEP]` or `</s>`, the last token.
    pub sep: u32,
    /// `[UNK]` or `<unk>`, what cannot be cut into pieces; byte-level tokenizers have none.
    pub unk: Option<u32>,
    /// `[MASK]` or `<mask>`, in the place of a hidden token.
    pub mask: Option<u32>,
}

impl SpecialIds {
    /// `cls` and `sep` from the special tokens around one text, `unk` from the model, `pad` and
    /// `mask` by the names of `tokenizer_config.json`, else by those of BERT, else of RoBERTa.
    ///
    /// # Errors
    /// [`crate::Error::BadTokenizer`] without a padding token, or with a model whose `unk_token` is
    /// not in its vocabulary.
    pub(super) fn of(
        inner: &tokenizers::Tokenizer,
        model: &Value,
        single: &Frame,
        names: &Names,
        origin: &str,
    ) -> Result<Self> {
        let id = |name: &Option<String>, usual: [&str; 2]| match name {
            Some(name) => inner.token_to_id(name),
            None => usual.iter().find_map(|token| inner.token_to_id(token)),
        };
        let pad = id(&names.pad_token, ["[PAD]", "<pad>"]).ok_or_else(|| {
            let names = names.pad_token.as_deref().unwrap_or("[PAD] nor <pad>");
            bad(
                origin,
                format!("it has no pad token to fill batches with, neither {names}"),
            )
        })?;
        Ok(Self {
            pad,
            cls: single.before[0].0,
            sep: single.after[0].0,
            unk: unknown(model, origin)?,
            mask: id(&names.mask_token, ["[MASK]", "<mask>"]),
        })
    }

    pub(super) fn all(self) -> impl Iterator<Item = u32> {
        let Self {
            pad,
            cls,
            sep,
            unk,
            mask,
        } = self;
        [Some(pad), Some(cls), Some(sep), unk, mask]
            .into_iter()
            .flatten()
    }
}

/// The unknown token of a model, which the model looks for only when it meets one.
fn unknown(model: &Value, origin: &str) -> Result<Option<u32>> {
    if let Some(id) = model.get("unk_id").and_then(Value::as_u64) {
        return Ok(u32::try_from(id).ok());
    }
    match model.get("unk_token").and_then(Value::as_str) {
        Some(token) => match model.pointer("/vocab").and_then(|vocab| vocab.get(token)) {
            Some(id) => Ok(id.as_u64().and_then(|id| u32::try_from(id).ok())),
            None => Err(bad(
                origin,
                format!("it has no token {token}, its unk_token"),
            )),
        },
        None => Ok(None),
    }
}
