//! Multi-head attention: what masks hide, what normalisers give, what learns.

use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttentionConfig as BurnConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use rstest::rstest;
use sparta_model::layer::{
    AttentionInput, HeadShape, MechanismConfig, MultiHeadAttention, MultiHeadAttentionConfig,
    NormalizerConfig, RelativeAttentionConfig,
};

use crate::{distance, mask, refusal, values};

const BATCH: usize = 2;
const D_MODEL: usize = 16;
const HEADS: usize = 4;

fn random(seq: usize, device: &Device) -> Tensor<3> {
    Tensor::random(
        [BATCH, seq, D_MODEL],
        Distribution::Normal(0.0, 1.0),
        device,
    )
}

fn layer(normalizer: NormalizerConfig, device: &Device) -> MultiHeadAttention {
    MultiHeadAttentionConfig::new(D_MODEL, HEADS)
        .with_normalizer(normalizer)
        .with_dropout(0.0)
        .init(device)
}

const ALL: [NormalizerConfig; 5] = [
    NormalizerConfig::Softmax,
    NormalizerConfig::Sparsemax,
    NormalizerConfig::Entmax15,
    NormalizerConfig::Entmax { alpha: 1.25 },
    NormalizerConfig::AlphaEntmax { alpha_min: None },
];

#[test]
fn softmax_equals_the_attention_of_burn() {
    let device = Device::flex();
    let ours = layer(NormalizerConfig::Softmax, &device);
    let mut theirs = BurnConfig::new(D_MODEL, HEADS).init(&device);
    theirs.query = ours.query.clone();
    theirs.key = ours.key.clone().expect("a key map");
    theirs.value = ours.value.clone();
    theirs.output = ours.output.clone();

    let (x, memory) = (random(5, &device), random(7, &device));
    let output = ours.forward(AttentionInput::cross(x.clone(), memory.clone()).return_weights());
    let expected = theirs.forward(MhaInput::new(x, memory.clone(), memory));
    let weights = output.weights.expect("asked for");
    assert!(distance(&values(weights), &values(expected.weights)) < 1e-6);
    assert!(distance(&values(output.context), &values(expected.context)) < 1e-5);
}

/// Fewer causal queries than keys are the last positions, of a global mask too.
#[test]
fn the_last_queries_see_what_they_see_among_all() {
    let device = Device::flex();
    let layer = layer(NormalizerConfig::Softmax, &device);
    let x = random(6, &device);
    let hide = |head: usize, i: usize, j: usize| i != j && (head + 2 * i + j).is_multiple_of(3);
    // That of a longer sequence.
    let mask = mask([HEADS, 8, 9], &device, hide);
    let of = |query: Tensor<3>| {
        let input = AttentionInput::new(query, x.clone(), x.clone());
        let input = input.causal().global_mask(mask.clone());
        layer.forward(input).context
    };
    let all = of(x.clone());
    for n in 1..6 {
        let last = of(x.clone().narrow(1, 6 - n, n));
        let expected = all.clone().narrow(1, 6 - n, n);
        assert!(distance(&values(last), &values(expected)) < 1e-6, "{n}");
    }
}

#[test]
fn every_normalizer_gives_rows_of_sum_one_and_hidden_cells_weight_zero() {
    let device = Device::flex();
    let x = random(6, &device).mul_scalar(3.0);
    let hide = |head: usize, i: usize, j: usize| (head + i + 2 * j).is_multiple_of(3);
    for normalizer in ALL {
        let input = AttentionInput::self_attention(x.clone())
            .global_mask(mask([HEADS, 6, 6], &device, hide))
            .return_weights();
        let weights = layer(normalizer, &device).forward(input).weights;
        let weights = values(weights.expect("asked for"));
        for (row, cells) in weights.chunks(6).enumerate() {
            let (head, i) = (row / 6 % HEADS, row % 6);
            let sum: f32 = cells.iter().sum();
            assert!(
                (sum - 1.0).abs() < 1e-5,
                "{normalizer:?}: a row sums to {sum}"
            );
            for (j, weight) in cells.iter().enumerate() {
                assert!(
                    !hide(head, i, j) || *weight == 0.0,
                    "{normalizer:?}: {weight}"
                );
            }
        }
    }
}

#[test]
fn sparsemax_gives_zeros_where_softmax_does_not() {
    let device = Device::flex();
    let x = random(12, &device).mul_scalar(4.0);
    let zeros = |normalizer| {
        let input = AttentionInput::self_attention(x.clone()).return_weights();
        let weights = layer(normalizer, &device).forward(input).weights;
        let weights = values(weights.expect("asked for"));
        weights.iter().filter(|weight| **weight == 0.0).count()
    };
    assert_eq!(zeros(NormalizerConfig::Softmax), 0);
    assert!(zeros(NormalizerConfig::Sparsemax) > BATCH * HEADS * 12);
}

#[test]
fn a_mask_that_hides_nothing_changes_no_bit() {
    let device = Device::flex();
    let x = random(6, &device);
    for normalizer in ALL {
        let layer = layer(normalizer, &device);
        let dense = layer.forward(AttentionInput::self_attention(x.clone()).causal());
        let nothing = mask([HEADS, 6, 6], &device, |_, _, _| false);
        let input = AttentionInput::self_attention(x.clone()).causal();
        let masked = layer.forward(input.global_mask(nothing));
        assert_eq!(
            values(dense.context),
            values(masked.context),
            "{normalizer:?}"
        );
    }
}

#[test]
fn a_longer_mask_is_used_from_its_top_left_corner() {
    let device = Device::flex();
    let layer = layer(NormalizerConfig::Entmax15, &device);
    let x = random(4, &device);
    let hide = |head: usize, i: usize, j: usize| (head + i * j).is_multiple_of(2);
    let with = |shape| {
        let input = AttentionInput::self_attention(x.clone());
        values(
            layer
                .forward(input.global_mask(mask(shape, &device, hide)))
                .context,
        )
    };
    assert_eq!(with([HEADS, 4, 4]), with([HEADS, 9, 7]));
}

#[rstest]
#[case::right([false, false, false, true, true])]
#[case::left([true, true, false, false, false])]
fn padding_keys_have_no_influence_on_either_side(#[case] padding: [bool; 5]) {
    let device = Device::flex();
    let query = random(3, &device);
    let memory = random(5, &device);
    let padding: Vec<bool> = padding.repeat(BATCH);
    let padding =
        Tensor::<2, Bool>::from_data(burn::tensor::TensorData::new(padding, [BATCH, 5]), &device);
    let noise = random(5, &device).mul_scalar(10.0);
    let cells = padding
        .clone()
        .unsqueeze_dim::<3>(2)
        .expand([BATCH, 5, D_MODEL]);
    let other = memory.clone().mask_where(cells, noise);
    for normalizer in ALL {
        let layer = layer(normalizer, &device);
        let attend = |memory: Tensor<3>| {
            let input = AttentionInput::cross(query.clone(), memory).key_padding(padding.clone());
            values(layer.forward(input).context)
        };
        assert_eq!(
            attend(memory.clone()),
            attend(other.clone()),
            "{normalizer:?}"
        );
    }
}

#[test]
fn causal_attention_does_not_see_the_future() {
    let device = Device::flex();
    let layer = layer(NormalizerConfig::AlphaEntmax { alpha_min: None }, &device);
    let x = random(6, &device);
    let changed = x
        .clone()
        .slice_assign([0..BATCH, 4..6, 0..D_MODEL], random(2, &device));
    let past = |x: Tensor<3>| {
        let output = layer.forward(AttentionInput::self_attention(x).causal());
        values(output.context.slice([0..BATCH, 0..4, 0..D_MODEL]))
    };
    assert_eq!(past(x), past(changed));
}

#[test]
fn a_query_with_every_key_hidden_gets_the_bias_alone() {
    let device = Device::flex();
    let layer = layer(NormalizerConfig::Softmax, &device);
    let hide = |_: usize, i: usize, _: usize| i == 1;
    let input = AttentionInput::self_attention(random(3, &device));
    let output = layer.forward(input.global_mask(mask([HEADS, 3, 3], &device, hide)));
    let row = values(output.context.slice([0..1, 1..2, 0..D_MODEL]));
    let bias = layer.output.bias.as_ref().expect("bias is the default");
    assert_eq!(row, values(bias.val()));
}

#[test]
fn learned_alpha_starts_between_one_and_two_and_gets_a_gradient() {
    let device = Device::flex().autodiff();
    let layer = layer(NormalizerConfig::alpha_entmax(), &device);
    let alpha = values(layer.alpha().expect("it has one"));
    assert_eq!(alpha.len(), HEADS);
    assert!(alpha.iter().all(|alpha| (1.0..2.0).contains(alpha)));
    assert!(distance(&alpha, &[alpha[0]; HEADS]) > 0.0, "one α per head");

    let x = random(6, &device);
    let output = layer.forward(AttentionInput::self_attention(x));
    let gradients = output.context.powi_scalar(2).sum().backward();
    let normalizer = layer.mechanism.normalizer().expect("it has one");
    let raw = normalizer.raw_alpha.as_ref().expect("it is learned");
    let gradient = values(raw.val().grad(&gradients).expect("a gradient"));
    assert!(
        gradient.iter().all(|g| g.is_finite() && *g != 0.0),
        "{gradient:?}"
    );
}

#[rstest]
#[case(NormalizerConfig::Softmax, 1.0)]
#[case(NormalizerConfig::Sparsemax, 2.0)]
#[case(NormalizerConfig::Entmax15, 1.5)]
#[case(NormalizerConfig::Entmax { alpha: 1.25 }, 1.25)]
fn a_fixed_alpha_can_be_read(#[case] normalizer: NormalizerConfig, #[case] alpha: f32) {
    let device = Device::flex();
    assert_eq!(
        values(layer(normalizer, &device).alpha().expect("it has one")),
        [alpha; HEADS]
    );
}

#[test]
fn alpha_min_clamps_alpha() {
    let device = Device::flex();
    let normalizer = NormalizerConfig::AlphaEntmax {
        alpha_min: Some(1.9),
    };
    let alpha = values(layer(normalizer, &device).alpha().expect("it has one"));
    assert!(
        alpha.iter().all(|alpha| (1.9..2.0).contains(alpha)),
        "{alpha:?}"
    );
}

/// What networks refuse in `validate` a layer by itself refuses when it is made.
#[rstest]
#[case(
    "entmax(-1)",
    4,
    "`mechanism.alpha` is -1.0 in `entmax(-1)`, but it must be at least 1"
)]
#[case("entmax(0.5)", 4, "`mechanism.alpha` is 0.5")]
#[case("rfa(tau=0)", 4, "`mechanism.tau` is 0.0 in `rfa(tau=0)`")]
#[case("softmax+span(s=9,r=0)", 4, "`mechanism.span.r` is 0.0")]
#[case(
    "softmax+strided(l=16)",
    1,
    "`n_heads` is 1, but it must be at least 2"
)]
#[case("softmax+span", 4, "write span(s=…)")]
#[case("linformer(k=4)", 4, "give the layer its max_len")]
fn layers_refuse_what_their_mechanism_cannot_be(
    #[case] words: &str,
    #[case] n_heads: usize,
    #[case] said: &str,
) {
    let device = Device::flex();
    let mechanism: MechanismConfig = words.parse().unwrap();
    let plain = MultiHeadAttentionConfig::new(D_MODEL, n_heads).with_mechanism(mechanism);
    let relative = RelativeAttentionConfig::new(D_MODEL, n_heads, 4).with_mechanism(mechanism);
    let shape = HeadShape {
        d_model: D_MODEL,
        n_heads,
        d_head: 4,
        max_len: None,
    };
    for found in [
        refusal(|| drop(plain.init(&device))),
        refusal(|| drop(relative.init(&device))),
        refusal(|| drop(mechanism.init(shape, &device))),
    ] {
        assert!(found.contains(said), "{found}");
    }
}

#[test]
fn a_normaliser_out_of_range_is_refused() {
    let normalizer = NormalizerConfig::Entmax { alpha: f64::NAN };
    let found = refusal(|| drop(normalizer.init(HEADS, &Device::flex())));
    assert!(found.contains("`normalizer.alpha` is NaN"), "{found}");
}

#[test]
fn the_configuration_survives_json() {
    let config = MultiHeadAttentionConfig::new(64, 8)
        .with_normalizer(NormalizerConfig::Entmax { alpha: 1.3 });
    let json = serde_json::to_string(&config).unwrap();
    let back: MultiHeadAttentionConfig = serde_json::from_str(&json).unwrap();
    assert_eq!(back.mechanism, config.mechanism);
    assert_eq!(back.n_heads, 8);
}

#[test]
fn dropout_acts_in_training_only() {
    let device = Device::flex().autodiff();
    let layer = MultiHeadAttentionConfig::new(D_MODEL, HEADS)
        .with_dropout(0.5)
        .init(&device);
    let x = random(6, &device);
    let train = || {
        values(
            layer
                .forward(AttentionInput::self_attention(x.clone()))
                .context,
        )
    };
    assert!(distance(&train(), &train()) > 0.0);

    let valid = layer.valid();
    let x = x.clone().inner();
    let eval = || {
        values(
            valid
                .forward(AttentionInput::self_attention(x.clone()))
                .context,
        )
    };
    assert_eq!(eval(), eval());
}
