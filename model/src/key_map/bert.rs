//! BERT's names.

use super::Published;

/// The name of a parameter that is of no mechanism; with `bert.` in front where the path has it.
pub(super) fn published(path: &str) -> Option<Published> {
    let (start, path) = of_encoder(path);
    let found = match path {
        "embeddings.words" => Published::as_is("embeddings.word_embeddings.weight"),
        "embeddings.positions" => Published::as_is("embeddings.position_embeddings.weight"),
        "embeddings.token_types" => Published::as_is("embeddings.token_type_embeddings.weight"),
        "head.bias" => Published::as_is("cls.predictions.bias"),
        _ => {
            let (module, parameter) = path.rsplit_once('.')?;
            Published::of_module(&named(module)?, parameter)
        }
    }?;
    let name = format!("{start}{}", found.name);
    Some(Published { name, ..found })
}

/// The name of the attention of a layer.
pub(super) fn attention(path: &str) -> Option<String> {
    let (start, path) = of_encoder(path);
    let (layer, part) = path.strip_prefix("encoder.")?.split_once('.')?;
    let is_attention = part == "self_attention.attention";
    is_attention.then(|| format!("{start}encoder.layer.{layer}.attention.self"))
}

/// Networks with a head have `bert.` in front of the encoder's parameters, here as there.
fn of_encoder(path: &str) -> (&'static str, &str) {
    match path.strip_prefix("bert.") {
        Some(path) => ("bert.", path),
        None => ("", path),
    }
}

fn named(module: &str) -> Option<String> {
    let name = match module {
        "embeddings.norm" => "embeddings.LayerNorm",
        "pooler" => "pooler.dense",
        "classifier" => "classifier",
        "span_output" => "qa_outputs",
        "head.transform" => "cls.predictions.transform.dense",
        "head.norm" => "cls.predictions.transform.LayerNorm",
        _ => return in_layer(module.strip_prefix("encoder.")?),
    };
    Some(name.to_owned())
}

fn in_layer(path: &str) -> Option<String> {
    let (layer, part) = path.split_once('.')?;
    let part = match part {
        "self_attention.attention.query" => "attention.self.query",
        "self_attention.attention.key" => "attention.self.key",
        "self_attention.attention.value" => "attention.self.value",
        "self_attention.attention.output" => "attention.output.dense",
        "self_attention.norm" => "attention.output.LayerNorm",
        "feed_forward.expand" => "intermediate.dense",
        "feed_forward.reduce" => "output.dense",
        "feed_forward.norm" => "output.LayerNorm",
        _ => return None,
    };
    Some(format!("encoder.layer.{layer}.{part}"))
}
