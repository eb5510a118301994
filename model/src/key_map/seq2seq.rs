//! The encoder–decoder's names.

use super::Published;

/// The name of a parameter that is of no mechanism.
pub(super) fn published(path: &str) -> Option<Published> {
    match path {
        "source_embedding" => return Published::as_is("encoder.embed_tokens.weight"),
        "target_embedding" => return Published::as_is("decoder.embed_tokens.weight"),
        "output_weight" => return Published::as_is("decoder.output_projection.weight"),
        _ => {}
    }
    let (module, parameter) = path.rsplit_once('.')?;
    let module = match module {
        "encoder_norm" => "encoder.layer_norm".to_owned(),
        "decoder_norm" => "decoder.layer_norm".to_owned(),
        _ => in_layer(module)?,
    };
    Published::of_module(&module, parameter)
}

/// The name of an attention of a layer.
pub(super) fn attention(path: &str) -> Option<String> {
    let (stack, layer, part) = layer(path)?;
    let name = of_block(part.strip_suffix(".attention")?)?;
    Some(format!("{stack}.layers.{layer}.{name}"))
}

/// `encoder` or `decoder`, the number of the layer, and the rest of a path.
fn layer(path: &str) -> Option<(&str, &str, &str)> {
    let (stack, path) = path.split_once('.')?;
    let (layer, part) = path.split_once('.')?;
    matches!(stack, "encoder" | "decoder").then_some((stack, layer, part))
}

fn of_block(block: &str) -> Option<&'static str> {
    match block {
        "self_attention" => Some("self_attn"),
        "cross_attention" => Some("encoder_attn"),
        _ => None,
    }
}

fn in_layer(path: &str) -> Option<String> {
    let (stack, layer, part) = layer(path)?;
    let (block, part) = part.split_once('.')?;
    let part = match (block, part) {
        ("feed_forward", "expand") => "fc1".to_owned(),
        ("feed_forward", "reduce") => "fc2".to_owned(),
        ("feed_forward", "norm") => "final_layer_norm".to_owned(),
        (block, "norm") => format!("{}_layer_norm", of_block(block)?),
        (block, part) => {
            let map = match part {
                "attention.query" => "q_proj",
                "attention.key" => "k_proj",
                "attention.value" => "v_proj",
                "attention.output" => "out_proj",
                _ => return None,
            };
            format!("{}.{map}", of_block(block)?)
        }
    };
    Some(format!("{stack}.layers.{layer}.{part}"))
}
