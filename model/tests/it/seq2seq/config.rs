//! Settings, parameter counts and initial values.

use burn::module::Module;
use burn::prelude::*;
use rstest::rstest;
use sparta_model::layer::{NormalizerConfig, OutputMap};
use sparta_model::seq2seq::{Seq2SeqConfig, Sharing};

use super::config;
use crate::values;

fn sized(
    target_vocab_size: usize,
    d_model: usize,
    n_heads: usize,
    n_decoder_layers: usize,
) -> Seq2SeqConfig {
    Seq2SeqConfig::new(
        20,
        target_vocab_size,
        d_model,
        n_heads,
        32,
        2,
        n_decoder_layers,
    )
}

#[rstest]
#[case(config())]
#[case(config().with_pre_norm(true).with_sharing(Sharing::None))]
#[case(sized(20, 16, 2, 3).with_sharing(Sharing::All))]
#[case(config().with_normalizer(NormalizerConfig::alpha_entmax()))]
#[case(sized(15, 16, 2, 3).with_cross(NormalizerConfig::alpha_entmax().into()))]
fn parameters_are_counted_without_making_them(#[case] config: Seq2SeqConfig) {
    assert_eq!(config.n_params(), config.init(&Device::flex()).num_params());
}

#[rstest]
#[case(sized(15, 15, 1, 2), "d_model")]
#[case(sized(15, 16, 3, 2), "n_heads")]
#[case(sized(15, 16, 2, 0), "n_decoder_layers")]
#[case(config().with_dropout(1.0), "dropout")]
#[case(config().with_activation_dropout(-0.1), "activation_dropout")]
#[case(config().with_cross(NormalizerConfig::Entmax { alpha: 0.5 }.into()), "cross.alpha")]
#[case(config().with_decoder_self(NormalizerConfig::AlphaEntmax { alpha_min: Some(3.0) }.into()), "decoder_self.alpha_min")]
#[case(config().with_output(OutputMap::Entmax { alpha: 0.9 }), "output.alpha")]
#[case(config().with_output(OutputMap::Entmax { alpha: f64::INFINITY }), "output.alpha")]
#[case(config().with_output(OutputMap::Entmax { alpha: f64::NAN }), "output.alpha")]
#[case(config().with_sharing(Sharing::All), "target_vocab_size")]
fn a_setting_out_of_range_is_named(#[case] config: Seq2SeqConfig, #[case] field: &str) {
    let error = config.validate().unwrap_err().to_string();
    assert!(error.contains(&format!("`{field}`")), "{error}");
}

#[test]
fn the_configuration_survives_json() {
    let config = config()
        .with_sharing(Sharing::None)
        .with_cross(NormalizerConfig::alpha_entmax().into())
        .with_output(OutputMap::Entmax { alpha: 1.3 });
    let json = serde_json::to_string(&config).unwrap();
    let back: Seq2SeqConfig = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
    assert_eq!(back.output, OutputMap::Entmax { alpha: 1.3 });
    assert_eq!(back.sharing, Sharing::None);
}

#[test]
fn weights_start_as_published() {
    let device = Device::flex();
    let d = 64;
    let model = Seq2SeqConfig::new(500, 400, d, 4, 256, 1, 1).init(&device);
    let uniform = |name: &str, tensor: Vec<f32>, bound: f64| {
        let (bound, n) = (bound as f32, tensor.len() as f32);
        let largest = tensor.iter().fold(0f32, |a, x| a.max(x.abs()));
        assert!(
            largest <= bound && largest > 0.9 * bound,
            "{name}: {largest}"
        );
        let variance = tensor.iter().map(|x| x * x).sum::<f32>() / n;
        let expected = bound * bound / 3.0;
        assert!(
            (variance / expected - 1.0).abs() < 4.0 / n.sqrt(),
            "{name}: {variance}"
        );
    };
    let attention = &model.decoder[0].cross_attention.attention;
    let key = attention.key.as_ref().expect("a key map");
    for map in [&attention.query, key, &attention.value] {
        let bound = (0.5 * 6.0 / (2 * d) as f64).sqrt();
        uniform("query, key, value", values(map.weight.val()), bound);
        let bias = map.bias.as_ref().unwrap();
        uniform("their biases", values(bias.val()), (d as f64).powf(-0.5));
    }
    uniform(
        "output",
        values(attention.output.weight.val()),
        (6.0 / (2 * d) as f64).sqrt(),
    );
    let zero = |x: Vec<f32>| x.iter().all(|x| *x == 0.0);
    assert!(zero(values(attention.output.bias.as_ref().unwrap().val())));

    let feed_forward = &model.encoder[0].feed_forward;
    let bound = (6.0 / (d + 256) as f64).sqrt();
    uniform("expand", values(feed_forward.expand.weight.val()), bound);
    uniform("reduce", values(feed_forward.reduce.weight.val()), bound);
    assert!(zero(values(
        feed_forward.expand.bias.as_ref().unwrap().val()
    )));
    assert!(
        values(feed_forward.norm.gamma.val())
            .iter()
            .all(|x| *x == 1.0)
    );

    let table = values(model.target_embedding.val());
    let variance = table.iter().map(|x| x * x).sum::<f32>() / table.len() as f32;
    assert!((variance * d as f32 - 1.0).abs() < 0.05, "{variance}");
}

/// fairseq prints 39,469,056 parameters for the IWSLT recipe with 8848 and 6632 words.
#[test]
fn the_published_recipes_have_the_published_size() {
    let iwslt = Seq2SeqConfig::new(8848, 6632, 512, 4, 1024, 6, 6);
    assert_eq!(iwslt.validate(), Ok(()));
    assert_eq!(iwslt.n_params(), 39_469_056);
    let base = Seq2SeqConfig::new(37_000, 37_000, 512, 8, 2048, 6, 6).with_sharing(Sharing::All);
    assert_eq!(base.validate(), Ok(()));
    assert_eq!(base.n_params(), 63_082_496);
}
