//! Linformer and slots: the published formula by hand, the definition in loops, chunks against the loop, parts
//! against the whole, gradients, padding, and what is refused.

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use sparta_ops::attention::linformer::{
    Projections, SlotOptions, SlotOutput, SlotState, linformer_attention, slot_attention,
};
use sparta_ops::attention::{
    AttentionError, AttentionOptions, Implementation, Normalizer, sparse_attention,
};
use sparta_ops::testing::{assert_close, devices, gradcheck, normal, tensor, values};

pub(super) const QUERY: [f64; 8] = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, -1.0, 0.5];
pub(super) const KEY: [f64; 8] = [0.5, 0.5, 1.0, -1.0, 0.0, 2.0, -0.5, 1.0];
pub(super) const VALUE: [f64; 8] = [1.0, 0.0, 0.0, 1.0, 2.0, -1.0, 0.5, 0.5];

const BATCH: usize = 2;
const N_HEADS: usize = 2;
const D: usize = 3;
const WIDTH: usize = 2;
const RANK: usize = 4;

fn rows(n: usize, width: usize, seed: u64, (device, dtype): (&Device, DType)) -> Tensor<4> {
    let numbers = normal(BATCH * N_HEADS * n * width, seed);
    tensor(&numbers, [BATCH, N_HEADS, n, width], dtype, device)
}

fn projections(n_positions: usize, heads: usize, (device, dtype): (&Device, DType)) -> Projections {
    let drawn = |seed| {
        let numbers = normal(heads * RANK * n_positions, seed);
        tensor::<3>(&numbers, [heads, RANK, n_positions], dtype, device)
    };
    Projections {
        key: drawn(11),
        value: drawn(12),
    }
}

/// Padding on the left of one example and on the right of the other.
fn padding(n: usize, device: &Device) -> Tensor<2, Bool> {
    let hidden = |cell: usize| match cell / n {
        0 => cell % n < 2,
        _ => cell % n + 1 >= n,
    };
    let hidden: Vec<bool> = (0..BATCH * n).map(hidden).collect();
    Tensor::from_data(TensorData::new(hidden, [BATCH, n]), device)
}

fn of_backend(device: &Device, has_f64: bool) -> ((&Device, DType), f64) {
    match has_f64 {
        true => ((device, DType::F64), 1e-12),
        false => ((device, DType::F32), 2e-5),
    }
}

#[test]
fn linformer_gives_the_published_formula() {
    let on = (&Device::flex(), DType::F64);
    let of_four = |numbers: &[f64]| tensor::<4>(numbers, [1, 1, 4, 2], on.1, on.0);
    let matrix = |numbers: &[f64]| tensor::<3>(numbers, [1, 2, 4], on.1, on.0);
    let projections = Projections {
        key: matrix(&[0.5, 0.5, 0.0, 0.0, 0.0, 0.25, 0.25, 0.5]),
        value: matrix(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5]),
    };
    let at = || [&QUERY, &KEY, &VALUE].map(|numbers| of_four(numbers));
    let expected = [1.092610, 1.167440, 1.136020, 1.176907];
    let expected: Vec<f64> = expected.iter().flat_map(|x| [*x, 1.0 - x]).collect();
    let [query, key, value] = at();
    let options = AttentionOptions::default();
    let found = linformer_attention(query, key, value, &projections, options).unwrap();
    assert_close("linformer", &values(found.context), &expected, 0.0, 1e-6);
    let [query, key, value] = at();
    let slots = SlotOptions::default();
    let found = slot_attention(query, key, value, &projections, slots).unwrap();
    assert_close("slots", &values(found.context), &expected, 0.0, 1e-6);
    // The last query sees all keys under a causal mask too.
    let [query, key, value] = at();
    let slots = SlotOptions {
        causal: true,
        ..SlotOptions::default()
    };
    let found = slot_attention(query, key, value, &projections, slots).unwrap();
    assert_close(
        "causal",
        &values(found.context)[6..],
        &expected[6..],
        0.0,
        1e-6,
    );
}

/// As many slots as keys, one each: attention to every key, with any normaliser and implementation.
#[test]
fn the_identity_gives_attention_to_every_key_on_every_backend() {
    let n = 6;
    for device in devices() {
        let (on, limit) = of_backend(&device.device, device.has_f64);
        let eye = Tensor::<2>::eye(n, on.0).cast(on.1).unsqueeze_dim::<3>(0);
        let projections = Projections {
            key: eye.clone(),
            value: eye,
        };
        let at = || [rows(5, D, 1, on), rows(n, D, 2, on), rows(n, WIDTH, 3, on)];
        for normalizer in [Normalizer::Softmax, Normalizer::Entmax15] {
            let options = || AttentionOptions::new(normalizer.clone()).scale(0.7);
            let [query, key, value] = at();
            let expected = values(sparse_attention(query, key, value, options()).context);
            let [query, key, value] = at();
            let found = linformer_attention(query, key, value, &projections, options()).unwrap();
            let label = format!("{} {normalizer:?}", device.name);
            assert_close(&label, &values(found.context), &expected, limit, limit);
        }
    }
}

/// One head of a projection, as rows of columns.
fn column(projection: &[f64], heads: usize, n: usize, head: usize, j: usize) -> Vec<f64> {
    let head = if heads == 1 { 0 } else { head };
    (0..RANK)
        .map(|c| projection[(head * RANK + c) * n + j % n])
        .collect()
}

/// The definition of slots in loops over numbers: context and state, from positions `start` of each example on.
struct Loops {
    context: Vec<f64>,
    keys: Vec<f64>,
    values: Vec<f64>,
}

fn loops(
    [query, key, value]: [&[f64]; 3],
    [seq_q, seq_kv]: [usize; 2],
    (projections, heads, n_positions): (&[Vec<f64>; 2], usize, usize),
    state: [&[f64]; 2],
    start: [usize; BATCH],
    hidden: impl Fn(usize, usize) -> bool,
) -> Loops {
    let (mut context, mut keys, mut slots) = (Vec::new(), Vec::new(), Vec::new());
    for (b, first) in start.into_iter().enumerate() {
        for h in 0..N_HEADS {
            let of = |numbers: &[f64], n: usize, width: usize| {
                let size = n * width;
                let at = (b * N_HEADS + h) * size;
                numbers[at..at + size].to_vec()
            };
            let (q, k, v) = (
                of(query, seq_q, D),
                of(key, seq_kv, D),
                of(value, seq_kv, WIDTH),
            );
            let (mut k_bar, mut v_bar) = (of(state[0], RANK, D), of(state[1], RANK, WIDTH));
            let read = |q: &[f64], k_bar: &[f64], v_bar: &[f64]| {
                let score = |c: usize| {
                    let dot: f64 = (0..D).map(|i| q[i] * k_bar[c * D + i]).sum();
                    (dot / (D as f64).sqrt()).exp()
                };
                let weights: Vec<f64> = (0..RANK).map(score).collect();
                let sum: f64 = weights.iter().sum();
                (0..WIDTH)
                    .map(|i| {
                        (0..RANK)
                            .map(|c| weights[c] / sum * v_bar[c * WIDTH + i])
                            .sum::<f64>()
                    })
                    .collect::<Vec<f64>>()
            };
            // Queries before the first key read what the state holds.
            for i in 0..seq_q.saturating_sub(seq_kv) {
                context.extend(read(&q[i * D..(i + 1) * D], &k_bar, &v_bar));
            }
            for j in 0..seq_kv {
                if (first + j) % n_positions == 0 {
                    k_bar.fill(0.0);
                    v_bar.fill(0.0);
                }
                if !hidden(b, j) {
                    let [e, f] = [0, 1]
                        .map(|m: usize| column(&projections[m], heads, n_positions, h, first + j));
                    for c in 0..RANK {
                        (0..D).for_each(|i| k_bar[c * D + i] += e[c] * k[j * D + i]);
                        (0..WIDTH).for_each(|i| v_bar[c * WIDTH + i] += f[c] * v[j * WIDTH + i]);
                    }
                }
                if j + seq_q >= seq_kv {
                    let i = j + seq_q - seq_kv;
                    context.extend(read(&q[i * D..(i + 1) * D], &k_bar, &v_bar));
                }
            }
            keys.extend(k_bar);
            slots.extend(v_bar);
        }
    }
    Loops {
        context,
        keys,
        values: slots,
    }
}

#[test]
fn slots_in_chunks_of_any_size_and_one_by_one_are_their_definition_on_every_backend() {
    const POSITIONS: usize = 5;
    for device in devices() {
        let (on, limit) = of_backend(&device.device, device.has_f64);
        for (lengths, heads) in [
            ([11, 11], 1),
            ([4, 11], N_HEADS),
            ([11, 4], 1),
            ([1, 11], 1),
        ] {
            if device.slow && lengths != [11, 11] {
                continue; // the quick tier
            }
            let [seq_q, seq_kv] = lengths;
            let start = [3, 1];
            let projections = projections(POSITIONS, heads, on);
            let state = || SlotState {
                keys: rows(RANK, D, 4, on),
                values: rows(RANK, WIDTH, 5, on),
                position: Tensor::from_ints([3, 1], on.0),
            };
            let at = || {
                [
                    rows(seq_q, D, 1, on),
                    rows(seq_kv, D, 2, on),
                    rows(seq_kv, WIDTH, 3, on),
                ]
            };
            let hidden = padding(seq_kv, on.0);
            let is_hidden: Vec<bool> = hidden.to_data().iter::<bool>().collect();
            let [query, key, value] = at().map(values);
            let matrices = [&projections.key, &projections.value].map(|m| values(m.clone()));
            let [k_bar, v_bar] = [state().keys, state().values].map(values);
            let expected = loops(
                [&query, &key, &value],
                lengths,
                (&matrices, heads, POSITIONS),
                [&k_bar, &v_bar],
                start,
                |b, j| is_hidden[b * seq_kv + j],
            );
            for (chunk, implementation) in [
                (1, Implementation::Fused),
                (3, Implementation::Auto),
                (11, Implementation::Auto),
                (64, Implementation::Auto),
                (64, Implementation::Reference),
            ] {
                let label = format!("{} {lengths:?} {chunk} {implementation:?}", device.name);
                let [query, key, value] = at();
                let options = SlotOptions {
                    causal: true,
                    key_padding: Some(hidden.clone()),
                    state: Some(state()),
                    chunk,
                    implementation,
                    ..SlotOptions::default()
                };
                let found = slot_attention(query, key, value, &projections, options).unwrap();
                let SlotState {
                    keys,
                    values: slots,
                    position,
                } = found.state;
                assert_close(
                    &label,
                    &values(found.context),
                    &expected.context,
                    limit,
                    limit,
                );
                assert_close(&label, &values(keys), &expected.keys, limit, limit);
                assert_close(&label, &values(slots), &expected.values, limit, limit);
                let next: Vec<i64> = position.to_data().iter::<i64>().collect();
                let counted = start.map(|first| ((first + seq_kv) % POSITIONS) as i64);
                assert_eq!(next, counted, "{label}");
            }
        }
    }
}

/// The columns of a text that starts are those of one that goes on from position 0.
#[test]
fn the_first_position_is_0_also_where_positions_wrap() {
    let on = (&Device::flex(), DType::F64);
    for (n, n_positions) in [(4, 5), (11, 5)] {
        let projections = projections(n_positions, 1, on);
        let run = |state: Option<SlotState>| {
            let options = SlotOptions {
                causal: true,
                state,
                ..SlotOptions::default()
            };
            let at = [rows(n, D, 1, on), rows(n, D, 2, on), rows(n, WIDTH, 3, on)];
            let [query, key, value] = at;
            slot_attention(query, key, value, &projections, options).unwrap()
        };
        let none = |width| Tensor::zeros([BATCH, N_HEADS, RANK, width], on);
        let empty = SlotState {
            keys: none(D),
            values: none(WIDTH),
            position: Tensor::zeros([BATCH], on.0),
        };
        let [first, other] = [run(None), run(Some(empty))].map(|output| values(output.context));
        assert_close("first", &first, &other, 1e-14, 1e-14);
    }
}

/// Without a key queries read the slots as they are, which stay; without a query keys are written.
#[test]
fn no_keys_and_no_queries_leave_slots_that_can_be_read() {
    let on = (&Device::flex(), DType::F64);
    let projections = projections(4, 1, on);
    for causal in [false, true] {
        for implementation in [Implementation::Reference, Implementation::Auto] {
            let run = |[seq_q, seq_kv]: [usize; 2], state| -> SlotOutput {
                let options = SlotOptions {
                    causal,
                    state,
                    implementation,
                    ..SlotOptions::default()
                };
                let query = rows(seq_q, D, 1, on);
                let (key, value) = (rows(seq_kv, D, 2, on), rows(seq_kv, WIDTH, 3, on));
                slot_attention(query, key, value, &projections, options).unwrap()
            };
            let full = run([3, 3], None);
            let unread = run([0, 3], None);
            assert_eq!(unread.context.dims()[2], 0);
            let [keys, slots] = [full.state.keys.clone(), full.state.values.clone()].map(values);
            assert_close("keys", &values(unread.state.keys), &keys, 1e-12, 1e-12);
            assert_close("values", &values(unread.state.values), &slots, 1e-12, 1e-12);
            let read = run([3, 0], Some(full.state.clone()));
            assert_eq!(values(read.state.keys), keys);
            assert_eq!(values(read.state.values), slots);
            // The last query of either kind read every key.
            let last = |context: Tensor<4>| values(context.narrow(2, 2, 1));
            assert_close(
                "read",
                &last(read.context),
                &last(full.context),
                1e-12,
                1e-12,
            );
            let none = run([0, 0], Some(full.state));
            assert_eq!(values(none.state.values), slots);
        }
    }
}

#[test]
fn slots_go_on_token_by_token_and_row_by_row() {
    let on = (&Device::flex(), DType::F64);
    let n = 9;
    let projections = projections(4, 1, on);
    let at = [rows(n, D, 1, on), rows(n, D, 2, on), rows(n, WIDTH, 3, on)];
    let run = |[query, key, value]: [Tensor<4>; 3], state| -> SlotOutput {
        let options = SlotOptions {
            causal: true,
            state,
            ..SlotOptions::default()
        };
        slot_attention(query, key, value, &projections, options).unwrap()
    };
    let whole = run(at.clone(), None);
    let (mut contexts, mut state) = (Vec::new(), None);
    for i in 0..n {
        let part = |t: &Tensor<4>| t.clone().narrow(2, i, 1);
        let one = run([part(&at[0]), part(&at[1]), part(&at[2])], state);
        contexts.push(one.context);
        state = Some(one.state);
    }
    let found = values(Tensor::cat(contexts, 2));
    assert_close("tokens", &found, &values(whole.context), 1e-12, 1e-12);

    // A beam takes the rows in another order, one of them twice; they may be at different positions.
    let mut state = state.unwrap();
    state.position = Tensor::from_ints([1, 2], on.0);
    let order = Tensor::<1, Int>::from_ints([1, 1, 0], on.0);
    let next = at.map(|tensor| tensor.narrow(2, 0, 1));
    let later = run(next.clone(), Some(state.clone()));
    let later = later.context.select(0, order.clone());
    let rows = next.map(|tensor| tensor.select(0, order.clone()));
    let sooner = run(rows, Some(state.select(order))).context;
    assert_close("rows", &values(sooner), &values(later), 1e-14, 1e-14);
}

#[test]
fn a_later_key_changes_no_earlier_row() {
    let on = (&Device::flex(), DType::F32);
    let n = 70;
    let projections = projections(80, N_HEADS, on);
    let run = |last: u64| {
        let with = |width, seed| {
            let last = rows(1, width, last, on).mul_scalar(1e3);
            Tensor::cat(vec![rows(n - 1, width, seed, on), last], 2)
        };
        let options = SlotOptions {
            causal: true,
            ..SlotOptions::default()
        };
        let found = slot_attention(
            rows(n, D, 1, on),
            with(D, 2),
            with(WIDTH, 3),
            &projections,
            options,
        );
        let context = found.unwrap().context;
        [0..n - 1, n - 1..n].map(|part| values(context.clone().slice([0..BATCH, 0..N_HEADS, part])))
    };
    let [[before, last], [same, other]] = [run(7), run(8)];
    assert_eq!(before, same);
    assert_ne!(last, other);
}

#[test]
fn gradients_are_the_differences_of_every_input() {
    const N: usize = 5;
    let size = BATCH * N_HEADS * N;
    let weights = normal(size * WIDTH, 9);
    // Three columns are used up, and the slots start anew; of seven the second example uses the first, too.
    let inputs = |n_positions| {
        vec![
            (normal(size * D, 1), [BATCH, N_HEADS, N, D]),
            (normal(size * D, 2), [BATCH, N_HEADS, N, D]),
            (normal(size * WIDTH, 3), [BATCH, N_HEADS, N, WIDTH]),
            (normal(RANK * n_positions, 4), [1, 1, RANK, n_positions]),
            (
                normal(N_HEADS * RANK * n_positions, 5),
                [1, N_HEADS, RANK, n_positions],
            ),
            (
                normal(BATCH * N_HEADS * RANK * D, 6),
                [BATCH, N_HEADS, RANK, D],
            ),
            (
                normal(BATCH * N_HEADS * RANK * WIDTH, 7),
                [BATCH, N_HEADS, RANK, WIDTH],
            ),
        ]
    };
    let weighted = |context: Tensor<4>| {
        let device = context.device();
        let weights = tensor::<4>(&weights, context.dims(), DType::F64, &device);
        (context * weights).sum()
    };
    for (causal, n_positions, chunk, implementation) in [
        (true, 3, 2, Implementation::Fused),
        (true, 3, 64, Implementation::Fused),
        (true, 7, 64, Implementation::Fused),
        (true, 3, 64, Implementation::Reference),
        (false, 7, 64, Implementation::Auto),
    ] {
        let label = format!("slots, causal {causal}, {n_positions}, {chunk}, {implementation:?}");
        let found = gradcheck(&label, &inputs(n_positions), |of| {
            let [query, key, value, e, f, keys, slots] = of else {
                panic!("seven inputs");
            };
            let projections = Projections {
                key: e.clone().reshape([1, RANK, n_positions]),
                value: f.clone().reshape([N_HEADS, RANK, n_positions]),
            };
            let device = query.device();
            let options = SlotOptions {
                causal,
                chunk,
                implementation,
                key_padding: Some(padding(N, &device)),
                state: Some(SlotState {
                    keys: keys.clone(),
                    values: slots.clone(),
                    position: Tensor::from_ints([2, 0], &device),
                }),
                ..SlotOptions::default()
            };
            let [query, key, value] = [query, key, value].map(Clone::clone);
            weighted(
                slot_attention(query, key, value, &projections, options)
                    .unwrap()
                    .context,
            )
        });
        assert!(
            found.iter().all(|of| of.iter().any(|g| g.abs() > 1e-3)),
            "{label}"
        );
    }
    let found = gradcheck("linformer", &inputs(N + 2)[..5], |of| {
        let [query, key, value, e, f] = of else {
            panic!("five inputs");
        };
        // E has one matrix for the heads.
        let projections = Projections {
            key: e.clone().reshape([1, RANK, N + 2]),
            value: f.clone().reshape([N_HEADS, RANK, N + 2]),
        };
        let options = AttentionOptions::default().key_padding(padding(N, &query.device()));
        let [query, key, value] = [query, key, value].map(Clone::clone);
        weighted(
            linformer_attention(query, key, value, &projections, options)
                .unwrap()
                .context,
        )
    });
    assert!(found.iter().all(|of| of.iter().any(|g| g.abs() > 1e-3)));
}

/// A sequence gets the same however far its batch is padded, and an example without a key zeros and no gradient.
#[test]
fn padding_adds_nothing() {
    let device = Device::flex().autodiff();
    let on = (&device, DType::F64);
    let (n, wide) = (5, 9);
    let projections = projections(wide, 1, on);
    let grown = |tensor: Tensor<4>, width| {
        let far = rows(wide - n, width, 8, on).mul_scalar(1e3);
        Tensor::cat(vec![tensor, far], 2)
    };
    // The second example has no key at all.
    let hidden: Vec<bool> = (0..BATCH * wide).map(|cell| cell >= n).collect();
    let hidden = Tensor::<2, Bool>::from_data(TensorData::new(hidden, [BATCH, wide]), &device);
    for causal in [false, true] {
        let at = [rows(n, D, 1, on), rows(n, D, 2, on), rows(n, WIDTH, 3, on)];
        let inputs = [
            grown(at[0].clone(), D),
            grown(at[1].clone(), D),
            grown(at[2].clone(), WIDTH),
        ]
        .map(Tensor::require_grad);
        let run = |[query, key, value]: [Tensor<4>; 3], hidden| match causal {
            true => {
                let options = SlotOptions {
                    causal,
                    key_padding: hidden,
                    ..SlotOptions::default()
                };
                slot_attention(query, key, value, &projections, options)
                    .unwrap()
                    .context
            }
            false => {
                let options = AttentionOptions {
                    key_padding: hidden,
                    ..AttentionOptions::default()
                };
                let found = linformer_attention(query, key, value, &projections, options);
                found.unwrap().context
            }
        };
        let alone = values(run(at, None).narrow(0, 0, 1));
        let padded = run(inputs.clone(), Some(hidden.clone()));
        let found = values(padded.clone().narrow(0, 0, 1).narrow(2, 0, n));
        assert_close("padded", &found, &alone, 1e-12, 1e-12);
        let without = padded.clone().narrow(0, 1, 1);
        assert!(values(without).iter().all(|x| *x == 0.0));
        let gradients = padded.square().sum().backward();
        for input in &inputs {
            let gradient = input.grad(&gradients).expect("a gradient");
            let of = |example| values(gradient.clone().narrow(0, example, 1));
            assert!(of(1).iter().all(|g| *g == 0.0) && of(0).iter().any(|g| *g != 0.0));
        }
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let on = (&Device::flex(), DType::F32);
    let at = || [rows(5, D, 1, on), rows(5, D, 2, on), rows(5, WIDTH, 3, on)];
    let error = |n_positions, options| -> AttentionError {
        let [query, key, value] = at();
        let projections = projections(n_positions, 1, on);
        linformer_attention(query, key, value, &projections, options).unwrap_err()
    };
    let default = AttentionOptions::default;
    let found = error(4, default());
    let expected = AttentionError::Positions {
        n_keys: 5,
        n_positions: 4,
    };
    assert_eq!(found, expected);
    assert!(found.to_string().contains("5 keys"), "{found}");
    let mask = Tensor::<3, Bool>::tril_mask([1, 5, 5], 0, on.0);
    for (options, request) in [
        (default().causal(), "a causal mask"),
        (default().global_mask(mask), "a global mask"),
        (default().return_weights(), "returning weights"),
    ] {
        let found = error(5, options);
        let mechanism = "Linformer";
        assert_eq!(found, AttentionError::Unserved { mechanism, request });
        assert!(found.to_string().contains("sparse_attention"), "{found}");
    }
    let slots = |change: &dyn Fn(&mut SlotOptions, &mut Projections)| {
        let [query, key, value] = at();
        let (mut options, mut projections) = (SlotOptions::default(), projections(5, 1, on));
        change(&mut options, &mut projections);
        slot_attention(query, key, value, &projections, options).unwrap_err()
    };
    assert_eq!(
        slots(&|options, _| options.chunk = 0),
        AttentionError::NoChunk
    );
    let wrong = slots(&|_, projections| projections.value = Tensor::zeros([3, RANK, 5], on.0));
    assert!(wrong.to_string().contains("projections.value"), "{wrong}");
    let wrong = slots(&|options, _| {
        options.state = Some(SlotState {
            keys: rows(RANK, D, 1, on),
            values: rows(RANK, D, 1, on),
            position: Tensor::zeros([BATCH], on.0),
        });
    });
    assert!(wrong.to_string().contains("state.values"), "{wrong}");
}
