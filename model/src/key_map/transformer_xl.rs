//! Transformer-XL's names. The released code has queries, keys and values in one `qkv_net`; here they are three.

use super::Published;

/// The name of a parameter that is of no mechanism.
pub(super) fn published(path: &str) -> Option<Published> {
    match path {
        "content_bias" => return Published::as_is("r_w_bias"),
        "position_bias" => return Published::as_is("r_r_bias"),
        "softmax.cluster_weight" => return Published::as_is("crit.cluster_weight"),
        "softmax.cluster_bias" => return Published::as_is("crit.cluster_bias"),
        _ => {}
    }
    let (module, last) = path.rsplit_once('.')?;
    match module {
        "embedding.tables" => Published::as_is(format!("word_emb.emb_layers.{last}.weight")),
        "embedding.projections" => Published::as_is(format!("word_emb.emb_projs.{last}")),
        "softmax.weights" => Published::as_is(format!("crit.out_layers.{last}.weight")),
        "softmax.biases" => Published::as_is(format!("crit.out_layers.{last}.bias")),
        "softmax.projections" => Published::as_is(format!("crit.out_projs.{last}")),
        _ => in_layer(module, last),
    }
}

/// The name of the attention of a layer.
pub(super) fn attention(path: &str) -> Option<String> {
    let (layer, part) = path.strip_prefix("layers.")?.split_once('.')?;
    (part == "attention").then(|| format!("layers.{layer}.dec_attn"))
}

fn in_layer(module: &str, parameter: &str) -> Option<Published> {
    let (layer, part) = module.strip_prefix("layers.")?.split_once('.')?;
    let module = |part: &str| format!("layers.{layer}.{part}");
    let of_attention = |map: &str| Published::transposed(module(&format!("dec_attn.{map}.weight")));
    match (part, parameter) {
        ("attention", "query") => of_attention("q_net"),
        ("attention", "key") => of_attention("k_net"),
        ("attention", "value") => of_attention("v_net"),
        ("attention", "position") => of_attention("r_net"),
        ("attention", "output") => of_attention("o_net"),
        ("attention.norm", _) => Published::of_module(&module("dec_attn.layer_norm"), parameter),
        ("feed_forward.expand", _) => Published::of_module(&module("pos_ff.CoreNet.0"), parameter),
        ("feed_forward.reduce", _) => Published::of_module(&module("pos_ff.CoreNet.3"), parameter),
        ("feed_forward.norm", _) => Published::of_module(&module("pos_ff.layer_norm"), parameter),
        _ => None,
    }
}
