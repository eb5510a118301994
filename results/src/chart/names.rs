//! How pictures name what data name by keys.

/// An attention type in words.
pub(crate) fn attention_name(attention: &str) -> String {
    match attention {
        "encoder-self" => "encoder self-attention".to_owned(),
        "decoder-self" => "decoder self-attention".to_owned(),
        "cross" => "cross-attention".to_owned(),
        other => other.to_owned(),
    }
}

/// A row normaliser in words.
pub(crate) fn variant_name(variant: &str) -> String {
    match variant {
        "alpha-entmax" => "α-entmax, learned α".to_owned(),
        other => other.to_owned(),
    }
}

/// A head, counted from 1 as in the papers, in one word.
pub(crate) fn head_name(layer: usize, head: usize) -> String {
    format!("layer\u{a0}{}, head\u{a0}{}", layer + 1, head + 1)
}
