//! Global masks as blocks: fused attention under them is the definition under their cells.

use burn::prelude::*;
use burn::tensor::Gradients;
use rstest::rstest;
use sparta_model::bert::{BertConfig, BertInput};
use sparta_model::seq2seq::{MaskRows, Seq2SeqConfig, Seq2SeqInput, Seq2SeqMasks};
use sparta_model::transformer_xl::{TransformerXlConfig, TransformerXlInput};
use sparta_model::{LayerMask, masks_of};
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, CellRule, GlobalMask, Grid, PatternHeader, Placement, Scope,
    Semantics,
};

use crate::{alone, distance, mask, some_words, values, words};

const HEADS: usize = 2;
const LAYERS: usize = 2;

/// Sparse in blocks, or in single cells.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Cell,
    Block(usize),
}

/// Three quarters of the cells hidden, those of a pattern that falls and rises smoothly.
fn global_mask(grids: &[(AttentionType, [usize; 2], CellRule)], unit: Unit) -> GlobalMask {
    let header = grids.iter().fold(
        PatternHeader::new("words", "model"),
        |header, &(kind, [n_rows, n_cols], rule)| {
            let grid = Grid {
                n_heads: HEADS,
                n_rows,
                n_cols,
                rule,
            };
            header.with_layers(kind, LAYERS, grid)
        },
    );
    let mut pattern = AttentionPattern::new(header);
    for &(kind, [rows, cols], rule) in grids {
        for layer in 0..LAYERS {
            let weight = |cell: usize| {
                let (head, row, col) = (cell / (rows * cols), cell / cols % rows, cell % cols);
                let wave = (row as f32 / 9.0 + head as f32).sin() * (col as f32 / 7.0).cos();
                let noise = (cell * 7919 + layer) % 97;
                match rule.is_legal(row, col) {
                    true => (1.1 + wave + noise as f32 / 200.0) / (3.0 * cols as f32),
                    false => 0.0,
                }
            };
            let weights: Vec<f32> = (0..HEADS * rows * cols).map(weight).collect();
            let shape = [1, HEADS, rows, cols];
            pattern
                .observe(kind, layer, &weights, shape, &Placement::default())
                .unwrap();
        }
    }
    let mask = match unit {
        Unit::Cell => GlobalMask::from_pattern(&pattern, 0.75, Scope::Layer, Semantics::Corrected),
        Unit::Block(size) => GlobalMask::from_pattern_in_blocks(&pattern, 0.75, Scope::Layer, size),
    };
    mask.unwrap()
}

/// Outputs, losses and gradients of the two implementations.
fn agree(run: impl Fn(Implementation) -> Vec<Vec<f32>>) {
    let reference = run(Implementation::Reference);
    let fused = run(Implementation::Fused);
    for (i, (reference, fused)) in reference.iter().zip(&fused).enumerate() {
        let largest = reference.iter().fold(0f32, |most, x| most.max(x.abs()));
        let off = distance(reference, fused);
        assert!(largest > 0.0 && off < 2e-5 * largest.max(1.0), "{i}: {off}");
    }
}

fn gradient<const D: usize>(tensor: &Tensor<D>, gradients: &Gradients) -> Vec<f32> {
    values(tensor.grad(gradients).expect("a gradient"))
}

#[rstest]
fn a_language_model_learns_under_blocks_what_it_learns_under_cells(
    #[values(Unit::Cell, Unit::Block(16))] unit: Unit,
) {
    let (tgt_len, mem_len, vocab) = (40, 48, 30);
    let rule = CellRule::Causal { memory: mem_len };
    let grid = [tgt_len, mem_len + tgt_len];
    let mask = global_mask(&[(AttentionType::DecoderSelf, grid, rule)], unit);
    alone(move || {
        let device = Device::flex().autodiff();
        let kind = AttentionType::DecoderSelf;
        let masks = masks_of(&mask, kind, grid[0], grid[1], &device);
        let masks = masks.unwrap().unwrap();
        agree(|implementation| {
            device.seed(5);
            let model = TransformerXlConfig::new(vocab, LAYERS, 16, HEADS, 8, 32, tgt_len, mem_len)
                .with_dropout(0.0)
                .with_init_std(0.3)
                .with_implementation(implementation)
                .init(&device);
            let text = some_words(2 * tgt_len + 21, vocab, 4);
            let mut mems = None;
            let mut found = Vec::new();
            // The memory is empty, then shorter than it can be, then full; the last segment is short.
            for segment in [
                0..tgt_len,
                tgt_len..2 * tgt_len,
                2 * tgt_len..text.len() - 1,
            ] {
                let targets = &text[segment.start + 1..segment.end + 1];
                let input = TransformerXlInput::new(words(&text[segment.clone()], 1, &device));
                let mut input = input.masks(masks.clone());
                input.mems = mems.take();
                let output = model.forward(input);
                mems = Some(output.mems);
                found.push(values(output.hidden.clone()));
                let loss = model.nll(output.hidden, targets).mean();
                found.push(values(loss.clone()));
                let gradients = loss.backward();
                for layer in &model.layers {
                    found.push(gradient(&layer.attention.query.val(), &gradients));
                    found.push(gradient(
                        &layer.attention.position.as_ref().unwrap().val(),
                        &gradients,
                    ));
                }
            }
            found
        });
    });
}

#[rstest]
fn an_encoder_reads_every_length_under_blocks_as_under_cells(
    #[values(Unit::Cell, Unit::Block(32))] unit: Unit,
) {
    let max_len = 96;
    let kind = AttentionType::EncoderSelf;
    let mask = global_mask(&[(kind, [max_len; 2], CellRule::Full)], unit);
    alone(move || {
        let device = Device::flex().autodiff();
        let masks = masks_of(&mask, kind, max_len, max_len, &device).unwrap();
        agree(|implementation| {
            device.seed(5);
            let model = BertConfig::new(20, 16, HEADS, 24, LAYERS)
                .with_max_len(max_len)
                .with_dropout(0.0)
                .with_attention_dropout(0.0)
                .with_implementation(implementation)
                .init(&device);
            let mut found = Vec::new();
            for seq in [96, 70, 12] {
                let tokens = words(&some_words(2 * seq, 20, 3), 2, &device);
                let input = BertInput::new(tokens).masks(masks.clone());
                let hidden = model.forward(input).hidden;
                found.push(values(hidden.clone()));
                let gradients = hidden.square().slice([0..2, 0..seq, 0..5]).sum().backward();
                found.push(gradient(&model.embeddings.words.val(), &gradients));
            }
            found
        });
    });
}

#[rstest]
fn an_encoder_decoder_translates_under_blocks_as_under_cells(
    #[values(Unit::Cell, Unit::Block(16))] unit: Unit,
) {
    let (source_len, target_len) = (40, 36);
    let causal = CellRule::Causal { memory: 0 };
    let grids = [
        (AttentionType::EncoderSelf, [source_len; 2], CellRule::Full),
        (AttentionType::DecoderSelf, [target_len; 2], causal),
        (
            AttentionType::Cross,
            [target_len, source_len],
            CellRule::Full,
        ),
    ];
    let mask = global_mask(&grids, unit);
    alone(move || {
        let device = Device::flex().autodiff();
        let masks = Seq2SeqMasks::new(&mask, source_len, target_len, MaskRows::True, &device);
        let masks = masks.unwrap();
        agree(|implementation| {
            device.seed(5);
            let model = Seq2SeqConfig::new(20, 15, 16, HEADS, 32, LAYERS, LAYERS)
                .with_dropout(0.0)
                .with_max_len(64)
                .with_implementation(implementation)
                .init(&device);
            let mut found = Vec::new();
            for [source_len, target_len] in [[source_len, target_len], [33, 20]] {
                let source = words(&some_words(2 * source_len, 20, 3), 2, &device);
                let target = words(&some_words(2 * target_len, 15, 4), 2, &device);
                let input = Seq2SeqInput::new(source, target).masks(masks.clone());
                let logits = model.logits(model.forward(input).hidden);
                found.push(values(logits.clone()));
                let gradients = logits.square().mean().backward();
                found.push(gradient(&model.target_embedding.val(), &gradients));
            }
            found
        });
    });
}

/// What a causal mask hides anyway counts as hidden: a block is skipped if nothing of it can be seen.
#[test]
fn blocks_have_the_cells_of_their_mask() {
    let device = Device::flex();
    let hide = |head: usize, i: usize, j: usize| head == 1 || i < 32 && j + 16 > i || i + j == 70;
    let shape = [HEADS, 48, 80];
    let whole = mask(shape, &device, hide);
    let cells = |mask: Tensor<3, Bool>| -> Vec<bool> { mask.into_data().iter::<bool>().collect() };
    let all = [0..48, 0..80];
    let corner = [0..17, 0..33];
    let behind = [16..48, 32..80];
    for [rows, columns] in [all, corner, behind] {
        let part = whole.part(rows.clone(), columns.clone());
        let [_, n_rows, n_columns] = part.dims();
        let expected = |i: usize| {
            let (head, cell) = (i / (n_rows * n_columns), i % (n_rows * n_columns));
            let (row, column) = (cell / n_columns, cell % n_columns);
            (
                hide(head, rows.start + row, columns.start + column),
                column + n_rows > row + n_columns, // after the query
            )
        };
        let (exact, causal) = (part.blocks(false), part.blocks(true));
        let found = cells(exact.to_tensor());
        assert_eq!(found, cells(part.cells()));
        for (i, (found, causal)) in found.iter().zip(cells(causal.to_tensor())).enumerate() {
            let (is_hidden, is_after) = expected(i);
            assert_eq!(*found, is_hidden);
            assert_eq!(causal || is_after, is_hidden || is_after, "{i}");
        }
        assert!(exact.fraction_hidden() >= 0.5);
        assert!(causal.fraction_hidden() >= exact.fraction_hidden());
    }
}

/// Blocks of a mask that was made of blocks are those blocks.
#[test]
fn a_mask_of_blocks_is_cut_where_it_was_made() {
    let device = Device::flex();
    let kind = AttentionType::EncoderSelf;
    let grids = [(kind, [96; 2], CellRule::Full)];
    for (unit, size) in [
        (Unit::Block(16), 16),
        (Unit::Block(32), 32),
        (Unit::Cell, 64),
    ] {
        let mask = global_mask(&grids, unit);
        let mask = LayerMask::new(&mask, kind, 1, [96, 96], &device).unwrap();
        let blocks = mask.blocks(false);
        assert_eq!(blocks.block_size(), size, "{unit:?}");
        let share = blocks.fraction_hidden();
        match unit {
            Unit::Cell => assert_eq!(share, 0.0),
            Unit::Block(_) => assert!((share - 0.75).abs() < 0.06, "{unit:?}: {share}"),
        }
    }
}
