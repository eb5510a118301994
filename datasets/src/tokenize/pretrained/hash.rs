//! What a model is tied to: the hash of the rules that texts are cut by.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::source::Sha256Hex;

/// sha256 of a `tokenizer.json` without what it says of lengths, in hexadecimal.
///
/// BERT's own kind, with no token added but special ones, has the hash that version 0.1 gave it, so
/// that run folders of then resume.
pub(super) fn hash(json: &Value, tokens: &BTreeMap<u32, String>) -> String {
    let mut hasher = Sha256Hex::new();
    match bert_rules(json) {
        Some(rules) if tokens.keys().copied().eq(0..tokens.len() as u32) => {
            hasher.update(format!("wordpiece 1 {rules}").as_bytes());
            for token in tokens.values() {
                hasher.update(token.as_bytes());
                hasher.update(b"\n");
            }
        }
        Some(_) | None => {
            // Keys are sorted: `Value` is a `BTreeMap`, which a test holds.
            let mut json = json.clone();
            if let Some(parts) = json.as_object_mut() {
                parts.remove("truncation");
                parts.remove("padding");
            }
            hasher.update(b"tokenizer.json 1 ");
            hasher.update(json.to_string().as_bytes());
        }
    }
    hasher.finish()
}

/// The rules of a tokenizer of BERT's kind in the words of version 0.1; `None` for others.
fn bert_rules(json: &Value) -> Option<String> {
    let kind = |part: &str| json.get(part)?.get("type")?.as_str();
    let model = json.get("model")?;
    let is_wordpiece = matches!(kind("model"), None | Some("WordPiece"))
        && model.get("unk_token")?.as_str() == Some("[UNK]")
        && model.get("continuing_subword_prefix")?.as_str() == Some("##");
    let is_bert = kind("normalizer") == Some("BertNormalizer")
        && kind("pre_tokenizer") == Some("BertPreTokenizer")
        && matches!(
            kind("post_processor"),
            None | Some("TemplateProcessing" | "BertProcessing")
        );
    if !is_wordpiece || !is_bert {
        return None;
    }
    let mut literal = Vec::new();
    for token in json
        .get("added_tokens")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let is_on = |key: &str| token.get(key).and_then(Value::as_bool) == Some(true);
        if ["single_word", "lstrip", "rstrip", "normalized"]
            .into_iter()
            .any(is_on)
        {
            return None;
        }
        literal.push((token.get("content")?.as_str()?, token.get("id")?.as_u64()?));
    }
    let normalizer = json.get("normalizer")?;
    let flag = |key: &str| normalizer.get(key).and_then(Value::as_bool);
    let lowercase = flag("lowercase").unwrap_or(true);
    let strip_accents = flag("strip_accents").unwrap_or(lowercase);
    let clean_text = flag("clean_text").unwrap_or(true);
    let chinese_chars = flag("handle_chinese_chars").unwrap_or(true);
    let max_word_chars = model.get("max_input_chars_per_word")?.as_u64()?;
    Some(format!(
        "(Cleaning {{ clean_text: {clean_text}, chinese_chars: {chinese_chars}, \
         strip_accents: {strip_accents}, lowercase: {lowercase} }}, {literal:?}, {max_word_chars})"
    ))
}
