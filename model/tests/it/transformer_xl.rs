//! Transformer-XL: memory, masks, lengths, that it learns, and the authors' code.

mod parity;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use rstest::rstest;
use sparta_model::ModelError;
use sparta_model::layer::NormalizerConfig;
use sparta_model::transformer_xl::{
    Lengths, TransformerXl, TransformerXlConfig, TransformerXlInput, TransformerXlOutput,
};

use sparta_ops::attention::Implementation;

use crate::{alone, distance, mask, some_words, values, words};

const VOCAB: usize = 30;
const HEADS: usize = 2;
const D_MODEL: usize = 16;

fn config(n_layers: usize, tgt_len: usize, mem_len: usize) -> TransformerXlConfig {
    TransformerXlConfig::new(VOCAB, n_layers, D_MODEL, HEADS, 8, 32, tgt_len, mem_len)
        .with_dropout(0.0)
        .with_init_std(0.3)
}

/// Reads `segments` one after the other, carrying the memory.
fn read(model: &TransformerXl, segments: &[Vec<i32>], device: &Device) -> Vec<TransformerXlOutput> {
    let mut mems = None;
    let outputs = segments.iter().map(|ids| {
        let mut input = TransformerXlInput::new(words(ids, 1, device)).return_weights();
        input.mems = mems.take();
        let output = model.forward(input);
        mems = Some(output.mems.clone());
        output
    });
    outputs.collect()
}

fn hidden(output: &TransformerXlOutput) -> Vec<f32> {
    values(output.hidden.clone())
}

/// Weights of a layer as `[head][row][column]` of a batch of one.
fn weights(output: &TransformerXlOutput, layer: usize) -> Vec<Vec<Vec<f32>>> {
    let weights = &output.weights.as_ref().expect("asked for")[layer];
    let [_, _, rows, columns] = weights.dims();
    let cells = values(weights.clone());
    (cells.chunks(rows * columns))
        .map(|head| head.chunks(columns).map(<[f32]>::to_vec).collect())
        .collect()
}

#[test]
fn a_later_word_does_not_change_an_earlier_output() {
    let device = Device::flex();
    for normalizer in [NormalizerConfig::Softmax, NormalizerConfig::alpha_entmax()] {
        let model = config(3, 8, 8).with_normalizer(normalizer).init(&device);
        let text = some_words(16, VOCAB, 1);
        let mut other = text.clone();
        other[13] = (other[13] + 1) % VOCAB as i32;
        let run = |text: &[i32]| {
            let segments: Vec<_> = text.chunks(8).map(<[i32]>::to_vec).collect();
            read(&model, &segments, &device)
                .iter()
                .flat_map(hidden)
                .collect::<Vec<f32>>()
        };
        let (a, b) = (run(&text), run(&other));
        assert_eq!(a[..13 * D_MODEL], b[..13 * D_MODEL]);
        assert!(distance(&a[13 * D_MODEL..], &b[13 * D_MODEL..]) > 1e-3);
    }
}

/// With linear attention a state takes the place of the memory: earlier segments count, later words do not, and
/// nothing is kept where `mem_len` is 0.
#[test]
fn a_state_goes_from_segment_to_segment() {
    let device = Device::flex();
    for words in [
        "favor(m=32)",
        "favor_relu(m=32)",
        "rfa(m=32)",
        "rfa_gate(m=32)",
    ] {
        let config = config(2, 8, 8).with_mechanism(words.parse().unwrap());
        let model = config.init(&device);
        assert_eq!(config.n_params(), model.num_params(), "{words}");
        let text = some_words(24, VOCAB, 1);
        let run = |model: &TransformerXl, text: &[i32]| {
            let mut mems = None;
            let mut found = Vec::new();
            for segment in text.chunks(8) {
                let mut input = TransformerXlInput::new(crate::words(segment, 1, &device));
                input.mems = mems.take();
                let output = model.forward(input);
                found.extend(hidden(&output));
                mems = Some(output.mems);
            }
            (found, mems.unwrap_or_default())
        };
        let (a, mems) = run(&model, &text);
        assert_eq!(mems.len(), 2);
        for (changed, first_changed) in [(3, 3), (13, 13)] {
            let mut other = text.clone();
            other[changed] = (other[changed] + 1) % VOCAB as i32;
            let (b, _) = run(&model, &other);
            let rows = first_changed * D_MODEL;
            assert_eq!(a[..rows], b[..rows], "{words}");
            // The last segment remembers it.
            assert!(
                distance(&a[16 * D_MODEL..], &b[16 * D_MODEL..]) > 1e-4,
                "{words}"
            );
        }
        let forgetful = model.clone().with_lengths(Lengths {
            mem_len: 0,
            ..model.lengths()
        });
        let (alone, mems) = run(&forgetful, &text);
        assert!(mems.is_empty());
        let (last, _) = run(&model, &text[16..]);
        assert!(distance(&alone[16 * D_MODEL..], &last) < 1e-6, "{words}");
    }
}

/// With keys and no distances, a memory is read by positions: it has those before the segment, and keeps none.
#[test]
fn a_memory_is_read_by_positions_where_there_are_no_distances() {
    let device = Device::flex();
    for words in ["lsh(m=32)", "lsh(m=3,rounds=2)"] {
        let config = config(2, 8, 8).with_mechanism(words.parse().unwrap());
        let model = config.init(&device);
        assert_eq!(config.n_params(), model.num_params(), "{words}");
        let softmax = self::config(2, 8, 8);
        let mechanism = config.mechanism.n_params(sparta_model::layer::HeadShape {
            d_model: 16,
            n_heads: HEADS,
            d_head: 8,
            max_len: Some(16),
        });
        // W_k and W_r of two layers, u and v.
        let missing = 2 * 2 * D_MODEL * HEADS * 8 + 2 * HEADS * 8;
        assert_eq!(
            config.n_params() + missing,
            softmax.n_params() + 2 * mechanism
        );

        let text = some_words(24, VOCAB, 1);
        let segments: Vec<_> = text.chunks(8).map(<[i32]>::to_vec).collect();
        let outputs = read(&model, &segments, &device);
        assert_eq!(outputs[2].mems[0].dims(), [1, 8, D_MODEL]);
        // The first layer's memory is the word embeddings, without positions.
        let vectors = model
            .embedding
            .forward(crate::words(&segments[1], 1, &device));
        assert_eq!(values(outputs[1].mems[0].clone()), values(vectors));
        assert_eq!(weights(&outputs[2], 1)[0][0].len(), 16);
        // What was read before counts, and where it was.
        let run = |model: &TransformerXl, segments: &[Vec<i32>]| {
            hidden(read(model, segments, &device).last().unwrap())
        };
        let mut turned = segments.clone();
        turned[1].swap(2, 5);
        let all = run(&model, &segments);
        for changed in [&segments[2..], &segments[1..], &turned[..]] {
            let off = distance(&all, &run(&model, changed));
            assert!(off > 1e-4, "{words}: {off}");
        }
        // Positions are those from the start of the segment, however long a memory may be.
        let patient = model.clone().with_lengths(Lengths {
            mem_len: 12,
            ..model.lengths()
        });
        assert_eq!(run(&patient, &segments[..2]), run(&model, &segments[..2]));
        assert_ne!(run(&patient, &segments), all);
    }
}

/// Memory holds each layer's input, so segments with enough memory see exactly what one long segment
/// sees, in any number of layers, as long as no position is forgotten.
#[rstest]
#[case::one_layer(1, false, None)]
#[case::three_layers(3, false, None)]
#[case::clamped(2, false, Some(3))]
#[case::normalised_first(2, true, None)]
fn memory_equals_one_long_segment(
    #[case] n_layers: usize,
    #[case] pre_norm: bool,
    #[case] clamp_len: Option<usize>,
) {
    let device = Device::flex();
    let text = some_words(12, VOCAB, 2);
    let model = config(n_layers, 12, 8)
        .with_pre_norm(pre_norm)
        .with_clamp_len(clamp_len)
        .init(&device);
    let long = hidden(&read(&model, std::slice::from_ref(&text), &device)[0]);
    for cuts in [vec![6, 6], vec![4, 4, 4], vec![5, 3, 4]] {
        let mut rest = text.as_slice();
        let segments: Vec<Vec<i32>> = (cuts.iter())
            .map(|n| {
                let (segment, after) = rest.split_at(*n);
                rest = after;
                segment.to_vec()
            })
            .collect();
        let outputs = read(&model, &segments, &device);
        let short: Vec<f32> = outputs.iter().flat_map(hidden).collect();
        assert!(
            distance(&long, &short) < 2e-5,
            "{cuts:?}: {}",
            distance(&long, &short)
        );
    }
}

#[test]
fn memory_keeps_the_last_positions_without_gradient() {
    let device = Device::flex().autodiff();
    let model = config(2, 4, 6).init(&device);
    let text = some_words(12, VOCAB, 4);
    let segments: Vec<_> = text.chunks(4).map(<[i32]>::to_vec).collect();
    let outputs = read(&model, &segments, &device);
    let lengths: Vec<_> = outputs.iter().map(|o| o.mems[0].dims()[1]).collect();
    assert_eq!(lengths, [4, 6, 6]);
    assert_eq!(outputs[2].mems.len(), 2);
    assert_eq!(weights(&outputs[2], 0)[0][0].len(), 6 + 4);

    // The first layer's memory is the word embeddings: the last 6 of 8 after two segments.
    let vectors = model.embedding.forward(words(&text[2..8], 1, &device));
    assert_eq!(values(outputs[1].mems[0].clone()), values(vectors));
    assert!(!outputs[2].mems[1].is_require_grad());

    let forgetful = config(2, 4, 0).init(&device);
    assert!(read(&forgetful, &segments, &device)[1].mems.is_empty());
}

#[test]
fn a_mask_that_hides_nothing_changes_no_bit() {
    let device = Device::flex();
    let text = some_words(12, VOCAB, 5);
    let normalizers = [
        NormalizerConfig::Softmax,
        NormalizerConfig::Entmax15,
        NormalizerConfig::alpha_entmax(),
    ];
    for normalizer in normalizers {
        let model = config(2, 4, 4).with_normalizer(normalizer).init(&device);
        let nothing = vec![mask([HEADS, 4, 8], &device, |_, _, _| false); 2];
        let mut mems = (None, None);
        for segment in text.chunks(4) {
            let mut dense = TransformerXlInput::new(words(segment, 1, &device));
            let mut masked = dense.clone().masks(nothing.clone());
            (dense.mems, masked.mems) = mems;
            let (dense, masked) = (model.forward(dense), model.forward(masked));
            assert_eq!(hidden(&dense), hidden(&masked), "{normalizer:?}");
            mems = (Some(dense.mems), Some(masked.mems));
        }
    }
}

/// Column `mem_len + i − d` of row i is the key at distance d, however much memory there is yet.
#[test]
fn a_mask_hides_the_same_distances_while_the_memory_is_short() {
    let device = Device::flex();
    let (tgt_len, mem_len) = (4, 6);
    let model = config(2, tgt_len, mem_len).init(&device);
    let text = some_words(14, VOCAB, 6);
    let masks: Vec<_> = (0..2)
        .map(|layer| {
            let hide = move |head: usize, i: usize, j: usize| {
                mem_len + i == j + 2 + head + layer // distance 2 + head + layer
            };
            mask([HEADS, tgt_len, mem_len + tgt_len], &device, hide)
        })
        .collect();

    let mut mems = None;
    for (segment, mlen) in text.chunks(tgt_len).zip([0, 4, 6, 6]) {
        let input = TransformerXlInput::new(words(segment, 1, &device));
        let mut input = input.masks(masks.clone()).return_weights();
        input.mems = mems.take();
        let output = model.forward(input);
        for layer in 0..2 {
            for (head, rows) in weights(&output, layer).iter().enumerate() {
                for (i, row) in rows.iter().enumerate() {
                    assert_eq!(row.len(), mlen + segment.len());
                    for (j, weight) in row.iter().enumerate() {
                        let distance = (mlen + i).checked_sub(j);
                        let hidden = distance.is_none_or(|d| d == 2 + head + layer);
                        let place = (mlen, layer, head, i, j);
                        assert_eq!(*weight == 0.0, hidden, "{place:?}: {weight}");
                    }
                }
            }
        }
        mems = Some(output.mems);
    }
}

#[test]
fn same_length_shows_every_query_mem_len_keys() {
    let device = Device::flex();
    let (tgt_len, mem_len) = (3, 5);
    let model = config(2, tgt_len, mem_len)
        .with_same_length(true)
        .init(&device);
    let text = some_words(12, VOCAB, 7);
    let segments: Vec<_> = text.chunks(tgt_len).map(<[i32]>::to_vec).collect();
    let outputs = read(&model, &segments, &device);
    for (n, output) in outputs.iter().enumerate() {
        let mlen = (n * tgt_len).min(mem_len);
        for rows in weights(output, 1) {
            for (i, row) in rows.iter().enumerate() {
                let visible: Vec<usize> = (0..row.len()).filter(|j| row[*j] > 0.0).collect();
                let last = mlen + i;
                let first = (last + 1).saturating_sub(mem_len);
                assert_eq!(visible, (first..=last).collect::<Vec<_>>(), "{n} {i}");
            }
        }
    }
}

#[test]
fn clamp_len_changes_only_queries_that_look_further() {
    let device = Device::flex();
    let model = config(1, 8, 0).init(&device);
    let clamped = |clamp_len| {
        let lengths = Lengths {
            clamp_len,
            ..model.lengths()
        };
        let model = model.clone().with_lengths(lengths);
        let text = some_words(8, VOCAB, 8);
        hidden(&read(&model, &[text], &device)[0])
    };
    let (free, clamped, wide) = (clamped(None), clamped(Some(3)), clamped(Some(7)));
    assert_eq!(
        free[..4 * D_MODEL],
        clamped[..4 * D_MODEL],
        "distances 0 to 3"
    );
    assert!(distance(&free[4 * D_MODEL..], &clamped[4 * D_MODEL..]) > 1e-4);
    assert_eq!(free, wide);
}

/// score(i, j) = ((q_i + u)·k_j + (q_i + v)·r_{i−j}) / √d_head, in plain loops.
#[test]
fn attention_weights_equal_the_formula() {
    let device = Device::flex();
    let (d_head, mlen, seq_q) = (8usize, 2usize, 3usize);
    let model = config(1, seq_q, mlen).init(&device);
    let text = some_words(mlen + seq_q, VOCAB, 9);
    let segments = [text[..mlen].to_vec(), text[mlen..].to_vec()];
    let found = weights(&read(&model, &segments, &device)[1], 0);

    let layer = &model.layers[0].attention;
    let x = model
        .embedding
        .forward(words(&text, 1, &device))
        .squeeze_dim::<2>(0);
    let rows = |tensor: Tensor<2>| -> Vec<Vec<f32>> {
        let columns = tensor.dims()[1];
        values(tensor)
            .chunks(columns)
            .map(<[f32]>::to_vec)
            .collect()
    };
    let query = rows(x.clone().matmul(layer.query.val()));
    let key = rows(x.matmul(layer.key.as_ref().unwrap().val()));
    let sinusoids: Vec<f32> = (0..mlen + seq_q)
        .flat_map(|distance| {
            let angle =
                move |i: usize| distance as f32 / 10000f32.powf(2.0 * i as f32 / D_MODEL as f32);
            let half = D_MODEL / 2;
            (0..half)
                .map(move |i| angle(i).sin())
                .chain((0..half).map(move |i| angle(i).cos()))
        })
        .collect();
    let sinusoids = burn::tensor::TensorData::new(sinusoids, [mlen + seq_q, D_MODEL]);
    let sinusoids = Tensor::<2>::from_data(sinusoids, &device);
    let position = rows(sinusoids.matmul(layer.position.as_ref().unwrap().val()));
    let (u, v) = (
        rows(model.content_bias.as_ref().unwrap().val()),
        rows(model.position_bias.as_ref().unwrap().val()),
    );

    for head in 0..HEADS {
        for i in 0..seq_q {
            let scores: Vec<f32> = (0..=mlen + i)
                .map(|j| {
                    let dot = |offset: &[f32], other: &[f32]| -> f32 {
                        (0..d_head)
                            .map(|c| {
                                let at = head * d_head + c;
                                (query[mlen + i][at] + offset[c]) * other[at]
                            })
                            .sum()
                    };
                    let score = dot(&u[head], &key[j]) + dot(&v[head], &position[mlen + i - j]);
                    (score / (d_head as f32).sqrt()).exp()
                })
                .collect();
            let sum: f32 = scores.iter().sum();
            let expected: Vec<f32> = scores.iter().map(|score| score / sum).collect();
            assert!(distance(&found[head][i][..=mlen + i], &expected) < 1e-5);
        }
    }
}

#[rstest]
#[case::softmax(NormalizerConfig::Softmax, vec![])]
#[case::alpha_entmax_and_clusters(NormalizerConfig::alpha_entmax(), vec![10, 20])]
fn overfits_one_batch(#[case] normalizer: NormalizerConfig, #[case] cutoffs: Vec<usize>) {
    alone(|| overfit(normalizer, cutoffs));
}

fn overfit(normalizer: NormalizerConfig, cutoffs: Vec<usize>) {
    let device = Device::flex().autodiff();
    device.seed(1);
    let mut model = config(2, 8, 8)
        .with_normalizer(normalizer)
        .with_cutoffs(cutoffs)
        .with_init_std(0.1)
        .init(&device);
    let mut adam = AdamConfig::new().init();
    let text = some_words(2 * 9, VOCAB, 10);
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for row in text.chunks(9) {
        inputs.extend(&row[..8]);
        targets.extend(&row[1..]);
    }
    let mut losses = Vec::new();
    for _ in 0..300 {
        let output = model.forward(TransformerXlInput::new(words(&inputs, 2, &device)));
        let loss = model.nll(output.hidden, &targets).mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = adam.step(5e-3, model, gradients);
    }
    assert!(losses[0] > 2.5, "{}", losses[0]);
    assert!(losses[299] < 0.1, "{}", losses[299]);
}

#[test]
fn every_parameter_gets_a_gradient() {
    let device = Device::flex().autodiff();
    let model = config(2, 8, 8)
        .with_normalizer(NormalizerConfig::alpha_entmax())
        .with_cutoffs(vec![10, 20])
        .with_div_val(2)
        .init(&device);
    let text = some_words(17, VOCAB, 11);
    let output = model.forward(TransformerXlInput::new(words(&text[..16], 2, &device)));
    let mut second = TransformerXlInput::new(words(&text[1..], 2, &device));
    second.mems = Some(output.mems);
    let targets: Vec<i32> = (0..16).map(|i| i * 2 % VOCAB as i32).collect();
    let loss = model.nll(model.forward(second).hidden, &targets).mean();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    assert_eq!(gradients.len(), burn::module::list_param_ids(&model).len());
}

#[rstest]
#[case(config(2, 4, 4))]
#[case(config(1, 4, 4).with_cutoffs(vec![10, 20]).with_div_val(2))]
#[case(config(3, 4, 4).with_normalizer(NormalizerConfig::alpha_entmax()).with_tie_weights(false))]
fn parameters_are_counted_without_making_them(#[case] config: TransformerXlConfig) {
    let model = config.init(&Device::flex());
    assert_eq!(config.n_params(), model.num_params());
}

#[test]
fn a_seed_decides_the_weights() {
    alone(|| {
        let device = Device::flex();
        let table = |seed| {
            device.seed(seed);
            values(config(1, 4, 4).init(&device).embedding.tables[0].val())
        };
        assert_eq!(table(7), table(7));
        assert_ne!(table(7), table(8));
    });
}

#[test]
fn weights_start_as_published() {
    let device = Device::flex();
    let config = TransformerXlConfig::new(500, 1, 64, 4, 16, 256, 4, 4).with_d_embed(Some(32));
    let model = config.init(&device);
    let check = |name: &str, tensor: Vec<f32>, mean: f32, std: f32| {
        let n = tensor.len() as f32;
        let found = tensor.iter().sum::<f32>() / n;
        let variance = tensor.iter().map(|x| (x - found).powi(2)).sum::<f32>() / n;
        assert!(
            (found - mean).abs() < 5.0 * std / n.sqrt(),
            "{name}: mean {found}"
        );
        assert!(
            (variance.sqrt() - std).abs() < 0.4 * std,
            "{name}: {variance}"
        );
    };
    let layer = &model.layers[0];
    let gamma = layer.attention.norm.gamma.val();
    check(
        "word embeddings",
        values(model.embedding.tables[0].val()),
        0.0,
        0.02,
    );
    check(
        "projection",
        values(model.embedding.projections[0].val()),
        0.0,
        0.01,
    );
    check("query", values(layer.attention.query.val()), 0.0, 0.02);
    check(
        "feed-forward",
        values(layer.feed_forward.expand.weight.val()),
        0.0,
        0.02,
    );
    check(
        "u",
        values(model.content_bias.as_ref().unwrap().val()),
        0.0,
        0.02,
    );
    check("norm scale", values(gamma), 1.0, 0.02);
    assert!(
        values(model.softmax.biases[0].val())
            .iter()
            .all(|bias| *bias == 0.0)
    );
}

#[test]
fn masks_of_another_shape_are_named() {
    let device = Device::flex();
    let model = config(2, 4, 4).init(&device);
    let good = mask([HEADS, 4, 8], &device, |_, _, _| false);
    let bad = mask([HEADS, 4, 9], &device, |_, _, _| false);
    assert_eq!(model.check_masks(&[good.clone(), good.clone()]), Ok(()));
    assert_eq!(
        model.check_masks(std::slice::from_ref(&good)),
        Err(ModelError::MaskCount {
            expected: 2,
            found: 1
        })
    );
    let error = model.check_masks(&[good, bad]).unwrap_err();
    assert_eq!(
        error,
        ModelError::MaskShape {
            layer: 1,
            expected: [HEADS, 4, 8],
            found: [HEADS, 4, 9]
        }
    );
    assert!(error.to_string().contains("[2, 4, 9]"));
}

#[rstest]
#[case(config(0, 4, 4), "n_layers")]
#[case(config(1, 0, 4), "tgt_len")]
#[case(config(1, 4, 4).with_dropout(1.0), "dropout")]
#[case(config(1, 4, 4).with_cutoffs(vec![10, 5]), "cutoffs")]
#[case(config(1, 4, 4).with_cutoffs(vec![30]), "cutoffs")]
#[case(config(1, 4, 4).with_cutoffs(vec![5, 10, 20]).with_div_val(4), "div_val")]
#[case(config(1, 4, 4).with_normalizer(NormalizerConfig::Entmax { alpha: 0.5 }), "alpha")]
#[case(config(1, 4, 0).with_same_length(true), "mem_len")]
#[case(TransformerXlConfig::new(9, 1, 7, 1, 7, 7, 4, 4), "d_model")]
#[case(TransformerXlConfig::new(0, 1, 8, 1, 7, 7, 4, 4), "vocab_size")]
fn a_setting_out_of_range_is_named(#[case] config: TransformerXlConfig, #[case] field: &str) {
    let error = config.validate().unwrap_err().to_string();
    assert!(error.contains(field), "{error}");
}

/// Lengths that a network could not have been made with.
#[rstest]
#[case("softmax", |lengths: &mut Lengths| lengths.tgt_len = 0, "`tgt_len` is 0")]
#[case("softmax", |lengths: &mut Lengths| (lengths.mem_len, lengths.same_length) = (0, true), "`mem_len` is 0")]
#[case("softmax+fixed(l=4,c=1)", |lengths: &mut Lengths| lengths.tgt_len = 6, "a multiple of l = 4")]
#[case("favor(m=8)", |lengths: &mut Lengths| lengths.same_length = true, "`same_length` is true")]
#[case("favor(m=8)", |lengths: &mut Lengths| lengths.clamp_len = Some(3), "`clamp_len` is Some(3)")]
fn lengths_that_a_network_cannot_have_are_refused(
    #[case] mechanism: &str,
    #[case] change: fn(&mut Lengths),
    #[case] words: &str,
) {
    let config = config(1, 8, 8).with_mechanism(mechanism.parse().unwrap());
    let model = config.init(&Device::flex());
    let mut lengths = model.lengths();
    assert_eq!(model.check_lengths(lengths), Ok(()));
    change(&mut lengths);
    let error = model.check_lengths(lengths).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
    let change = std::panic::AssertUnwindSafe(|| model.with_lengths(lengths));
    let panic = std::panic::catch_unwind(change).expect_err("lengths that cannot be");
    assert_eq!(panic.downcast_ref::<String>(), Some(&error));
}

#[test]
fn the_published_wikitext103_base_has_the_published_size() {
    let config = TransformerXlConfig::new(267_735, 16, 410, 10, 41, 2100, 150, 150)
        .with_cutoffs(vec![20_000, 40_000, 200_000]);
    assert_eq!(config.validate(), Ok(()));
    assert_eq!(config.n_params(), 151_107_538);
}

/// The same curve whoever computes attention: memory, relative term, a global mask and dropped weights
/// included.
#[test]
fn fused_attention_learns_the_same() {
    alone(|| {
        let device = Device::flex().autodiff();
        for normalizer in [NormalizerConfig::Softmax, NormalizerConfig::alpha_entmax()] {
            let curve = |implementation| {
                device.seed(3);
                let mut model = config(2, 12, 10)
                    .with_normalizer(normalizer)
                    .with_init_std(0.1)
                    .with_dropatt(0.2)
                    .with_implementation(implementation)
                    .init(&device);
                let hidden = mask([HEADS, 12, 22], &device, |h, i, j| (i + 2 * j + h) % 5 == 0);
                let mut adam = AdamConfig::new().init();
                let text = some_words(25, VOCAB, 12);
                let mut losses = Vec::new();
                for _ in 0..8 {
                    let first = TransformerXlInput::new(words(&text[..12], 1, &device));
                    let mems = model.forward(first).mems;
                    let mut input = TransformerXlInput::new(words(&text[12..24], 1, &device));
                    input.mems = Some(mems);
                    input.masks = Some(vec![hidden.clone(); 2]);
                    let output = model.forward(input);
                    let loss = model.nll(output.hidden, &text[13..]).mean();
                    losses.push(loss.clone().into_scalar::<f32>());
                    let gradients = GradientsParams::from_grads(loss.backward(), &model);
                    model = adam.step(5e-3, model, gradients);
                }
                losses
            };
            let reference = curve(Implementation::Reference);
            let fused = curve(Implementation::Fused);
            assert!(reference[7] < 0.8 * reference[0], "{reference:?}");
            let off = distance(&reference, &fused);
            assert!(off < 2e-3, "{off}: {reference:?} and {fused:?}");
        }
    });
}
