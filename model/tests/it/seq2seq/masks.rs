//! Global masks of each attention type.

use burn::prelude::*;
use rstest::rstest;
use sparta_model::ModelError;
use sparta_model::seq2seq::{MaskRows, Seq2SeqInput, Seq2SeqMasks, Seq2SeqWeights};
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, CellRule, GlobalMask, Grid, PatternHeader, Placement, Scope,
    Semantics,
};

use super::{ALL, HEADS, config, source, target};
use crate::{mask, values};

const SOURCE_LEN: usize = 7;
const TARGET_LEN: usize = 5;

fn shape(kind: AttentionType) -> [usize; 3] {
    match kind {
        AttentionType::EncoderSelf => [HEADS, SOURCE_LEN, SOURCE_LEN],
        AttentionType::DecoderSelf => [HEADS, TARGET_LEN, TARGET_LEN],
        AttentionType::Cross => [HEADS, TARGET_LEN, SOURCE_LEN],
    }
}

/// The masks of one type, hidden where the function of layer, head, row and column says.
fn masks_of(
    kind: AttentionType,
    device: &Device,
    hidden: impl Fn(usize, usize, usize, usize) -> bool,
) -> Seq2SeqMasks {
    let layers = (0..2)
        .map(|layer| mask(shape(kind), device, |h, i, j| hidden(layer, h, i, j)))
        .collect();
    let mut masks = Seq2SeqMasks::default();
    match kind {
        AttentionType::EncoderSelf => masks.encoder_self = Some(layers),
        AttentionType::DecoderSelf => masks.decoder_self = Some(layers),
        AttentionType::Cross => masks.cross = Some(layers),
    }
    masks
}

fn input(device: &Device) -> Seq2SeqInput {
    Seq2SeqInput::new(
        source(SOURCE_LEN, 2, 1, device),
        target(TARGET_LEN, 2, 2, device),
    )
    .return_weights()
}

fn is_zero(weights: &Seq2SeqWeights, kind: AttentionType) -> Vec<Vec<bool>> {
    let layers = weights.of(kind).iter();
    layers
        .map(|layer| values(layer.clone()).iter().map(|w| *w == 0.0).collect())
        .collect()
}

/// With softmax a weight is zero exactly where it is masked, in its own attention type only.
#[rstest]
fn a_mask_hides_its_cells_of_its_type(
    #[values(
        AttentionType::EncoderSelf,
        AttentionType::DecoderSelf,
        AttentionType::Cross
    )]
    masked: AttentionType,
) {
    let device = Device::flex();
    let model = config().init(&device);
    let hide =
        |layer: usize, h: usize, i: usize, j: usize| (layer + h + i + 2 * j).is_multiple_of(3);
    let output = model.forward(input(&device).masks(masks_of(masked, &device, hide)));
    let weights = output.weights.expect("asked for");
    for kind in AttentionType::ALL {
        let [_, rows, columns] = shape(kind);
        for (layer, cells) in is_zero(&weights, kind).into_iter().enumerate() {
            assert_eq!(cells.len(), 2 * HEADS * rows * columns);
            for (cell, zero) in cells.into_iter().enumerate() {
                let (h, i, j) = (
                    cell / (rows * columns) % HEADS,
                    cell / columns % rows,
                    cell % columns,
                );
                let future = kind == AttentionType::DecoderSelf && j > i;
                let expected = future || (kind == masked && hide(layer, h, i, j));
                assert_eq!(zero, expected, "{kind}, layer {layer}, {h} {i} {j}");
            }
        }
    }
}

#[test]
fn masks_that_hide_nothing_change_no_bit() {
    let device = Device::flex();
    let nothing = |kind| masks_of(kind, &device, |_, _, _, _| false);
    let nothing = Seq2SeqMasks {
        encoder_self: nothing(AttentionType::EncoderSelf).encoder_self,
        decoder_self: nothing(AttentionType::DecoderSelf).decoder_self,
        cross: nothing(AttentionType::Cross).cross,
        rows: MaskRows::True,
    };
    for normalizer in ALL {
        let model = config().with_normalizer(normalizer).init(&device);
        let dense = model.forward(input(&device));
        let masked = model.forward(input(&device).masks(nothing.clone()));
        assert_eq!(
            values(dense.hidden),
            values(masked.hidden),
            "{normalizer:?}"
        );
    }
}

/// The pattern of uniform attention over sentences of 4 and 3 tokens at most, with a peak at cell (0, 0).
fn pattern() -> AttentionPattern {
    let grid = |n_rows, n_cols, rule| Grid {
        n_heads: HEADS,
        n_rows,
        n_cols,
        rule,
    };
    let causal = CellRule::Causal { memory: 0 };
    let types = [
        (AttentionType::EncoderSelf, grid(4, 4, CellRule::Full)),
        (AttentionType::DecoderSelf, grid(3, 3, causal)),
        (AttentionType::Cross, grid(3, 4, CellRule::Full)),
    ];
    let mut header = PatternHeader::new("c", "m");
    for (kind, grid) in types {
        header = header.with_layers(kind, 2, grid);
    }
    let mut pattern = AttentionPattern::new(header);
    for (kind, grid) in types {
        for layer in 0..2 {
            let weights: Vec<f32> = (0..HEADS * grid.n_rows * grid.n_cols)
                .map(|cell| {
                    let (i, j) = (cell / grid.n_cols % grid.n_rows, cell % grid.n_cols);
                    let future = kind == AttentionType::DecoderSelf && j > i;
                    if future {
                        0.0
                    } else {
                        1.0 / (1 + i + j + layer) as f32
                    }
                })
                .collect();
            let shape = [1, HEADS, grid.n_rows, grid.n_cols];
            let placement = Placement::default();
            pattern
                .observe(kind, layer, &weights, shape, &placement)
                .unwrap();
        }
    }
    pattern
}

/// A mask observed on short sentences: longer ones see what is beyond it under `corrected` and do not
/// under `paper`.
#[rstest]
#[case(Semantics::Corrected)]
#[case(Semantics::Paper)]
fn beyond_the_mask_corrected_sees_and_paper_does_not(#[case] semantics: Semantics) {
    let device = Device::flex();
    let model = config().init(&device);
    let mask = GlobalMask::from_pattern(&pattern(), 0.4, Scope::Layer, semantics).unwrap();
    let masks = Seq2SeqMasks::new(&mask, SOURCE_LEN, TARGET_LEN, MaskRows::True, &device).unwrap();
    let output = model.forward(input(&device).masks(masks));
    let weights = output.weights.expect("asked for");
    for kind in AttentionType::ALL {
        let [_, rows, columns] = shape(kind);
        let known = match kind {
            AttentionType::EncoderSelf => (4, 4),
            AttentionType::DecoderSelf => (3, 3),
            AttentionType::Cross => (3, 4),
        };
        for (layer, cells) in is_zero(&weights, kind).into_iter().enumerate() {
            let mut n_hidden = 0;
            for (cell, zero) in cells.into_iter().enumerate() {
                let (h, i, j) = (
                    cell / (rows * columns) % HEADS,
                    cell / columns % rows,
                    cell % columns,
                );
                let future = kind == AttentionType::DecoderSelf && j > i;
                let expected = match i < known.0 && j < known.1 {
                    true => mask.hidden(kind, layer, h, i, j).unwrap(),
                    false => semantics == Semantics::Paper,
                };
                n_hidden += usize::from(expected && i < known.0 && j < known.1);
                assert_eq!(
                    zero,
                    future || expected,
                    "{kind}, layer {layer}, {h} {i} {j}"
                );
            }
            assert!(n_hidden > 0, "{kind}: the mask hides something");
        }
    }
}

#[test]
fn masks_are_made_for_the_types_that_have_one() {
    let device = Device::flex();
    let mask =
        GlobalMask::from_pattern(&pattern(), 0.4, Scope::Layer, Semantics::Corrected).unwrap();
    let masks = Seq2SeqMasks::new(&mask, 6, 5, MaskRows::PaperFaithful, &device).unwrap();
    let dims = |kind| masks.of(kind).unwrap()[1].dims();
    assert_eq!(dims(AttentionType::EncoderSelf), [HEADS, 6, 6]);
    assert_eq!(dims(AttentionType::DecoderSelf), [HEADS, 7, 5]);
    assert_eq!(dims(AttentionType::Cross), [HEADS, 8, 6]);
    assert_eq!(config().init(&device).check_masks(&masks, 6, 5), Ok(()));

    let header = PatternHeader::new("c", "m").with_layers(
        AttentionType::Cross,
        1,
        Grid {
            n_heads: 1,
            n_rows: 1,
            n_cols: 1,
            rule: CellRule::Full,
        },
    );
    let mut only_cross = AttentionPattern::new(header);
    only_cross
        .observe(
            AttentionType::Cross,
            0,
            &[1.0],
            [1, 1, 1, 1],
            &Placement::default(),
        )
        .unwrap();
    let mask =
        GlobalMask::from_pattern(&only_cross, 0.0, Scope::Layer, Semantics::Corrected).unwrap();
    let masks = Seq2SeqMasks::new(&mask, 3, 3, MaskRows::True, &device).unwrap();
    assert!(masks.encoder_self.is_none() && masks.decoder_self.is_none());
    assert_eq!(masks.cross.unwrap().len(), 1);
}

#[test]
fn masks_that_do_not_fit_are_named() {
    let device = Device::flex();
    let model = config().init(&device);
    let nothing = |_, _, _, _| false;
    let mut masks = masks_of(AttentionType::Cross, &device, nothing);
    assert_eq!(model.check_masks(&masks, SOURCE_LEN, TARGET_LEN), Ok(()));
    assert_eq!(model.check_masks(&masks, SOURCE_LEN - 1, 1), Ok(()));
    let error = model
        .check_masks(&masks, SOURCE_LEN, TARGET_LEN + 1)
        .unwrap_err();
    assert_eq!(
        error,
        ModelError::AttentionMaskShape {
            attention_type: AttentionType::Cross,
            layer: 0,
            expected: [HEADS, TARGET_LEN + 1, SOURCE_LEN],
            found: [HEADS, TARGET_LEN, SOURCE_LEN],
        }
    );
    assert!(
        error.to_string().contains("cross mask of layer 0"),
        "{error}"
    );
    masks.rows = MaskRows::PaperFaithful;
    assert!(model.check_masks(&masks, SOURCE_LEN, TARGET_LEN).is_err());
    masks.cross = masks.cross.map(|mut layers| {
        layers.truncate(1);
        layers
    });
    assert_eq!(
        model.check_masks(&masks, SOURCE_LEN, TARGET_LEN),
        Err(ModelError::AttentionMaskCount {
            attention_type: AttentionType::Cross,
            expected: 2,
            found: 1
        })
    );
}
