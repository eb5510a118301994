//! LSH attention: a published form worked by hand, two public packages, chunks against the definition, gradients, padding, and
//! queries that see nothing but their own key.

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use serde::Deserialize;
use sparta_ops::attention::lsh::{LshOptions, lsh_attention, lsh_buckets, lsh_columns};
use sparta_ops::attention::{AttentionError, Implementation};
use sparta_ops::testing::{TestDevice, assert_close, devices, gradcheck, normal, tensor, values};

const SHARED: [f64; 16] = [
    1.0, 0.0, 0.8, 0.6, -1.0, 0.2, 0.0, 1.0, 0.9, -0.1, -0.7, -0.7, 0.1, 0.9, 0.5, -1.0,
];
const BOTH: [Implementation; 2] = [Implementation::Reference, Implementation::Auto];

fn ints(numbers: Vec<i64>, shape: [usize; 4], device: &Device) -> Tensor<4, Int> {
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

fn bools<const R: usize>(
    shape: [usize; R],
    device: &Device,
    hidden: impl Fn(usize) -> bool,
) -> Tensor<R, Bool> {
    let cells: Vec<bool> = (0..shape.iter().product()).map(hidden).collect();
    Tensor::from_data(TensorData::new(cells, shape), device)
}

/// The widest type of a device, and how near two ways of computing are in it.
fn wide(device: &TestDevice) -> (DType, f64) {
    match device.has_f64 {
        true => (DType::F64, 1e-12),
        false => (DType::F32, 2e-5),
    }
}

/// Eight vectors in four buckets of two rounds, chunks of two.
#[test]
fn contexts_are_those_worked_by_hand() {
    let device = Device::flex();
    let of = |numbers: &[f64]| tensor::<4>(numbers, [1, 1, 8, 2], DType::F64, &device);
    let value: Vec<f64> = (0..16).map(|x| f64::from(x) / 8.0).collect();
    let rotations = [1.0, 0.0, 0.0, 1.0, 0.6, -0.8, 0.8, 0.6];
    let rotations = tensor::<4>(&rotations, [1, 2, 2, 2], DType::F64, &device);
    let buckets = lsh_buckets(of(&SHARED), rotations.clone(), None, None);
    let found: Vec<i64> = buckets.clone().into_data().iter::<i64>().collect();
    assert_eq!(found, [0, 0, 2, 1, 0, 2, 1, 3, 3, 0, 1, 0, 3, 2, 0, 3]);
    // Lengths do not matter.
    let longer = lsh_buckets(of(&SHARED).mul_scalar(37.0), rotations, None, None);
    assert_eq!(longer.into_data().iter::<i64>().collect::<Vec<_>>(), found);

    let causal = LshOptions::new(2).buckets(buckets.clone()).causal();
    let twice = LshOptions {
        duplicates: true,
        ..causal.clone()
    };
    let both_sides = LshOptions::new(2).buckets(buckets);
    let cases = [
        (
            causal,
            [
                0.0, 0.0, 0.25, 0.161414, 0.219339, 0.388574, 0.601587, 0.767566,
            ],
        ),
        (
            twice,
            [
                0.0, 0.0, 0.25, 0.196170, 0.149807, 0.437301, 0.627253, 0.862631,
            ],
        ),
        (
            both_sides,
            [
                0.720920, 0.337625, 0.956282, 0.363404, 0.631024, 0.973887, 0.601587, 0.767566,
            ],
        ),
    ];
    for (options, expected) in cases {
        for implementation in BOTH {
            let options = options.clone().implementation(implementation);
            let shared = of(&SHARED);
            let output = lsh_attention(shared.clone(), shared, of(&value), options).unwrap();
            let found = values(output.context);
            let first: Vec<f64> = found.chunks(2).map(|row| row[0]).collect();
            assert_close("first components", &first, &expected, 0.0, 1e-6);
            let second: Vec<f64> = found.chunks(2).map(|row| row[1] - 0.125).collect();
            assert_close("second components", &second, &expected, 0.0, 1e-6);
        }
    }
    // Without buckets every earlier key is read.
    let query = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, -1.0, 0.5];
    let value = [1.0, 0.0, 0.0, 1.0, 2.0, -1.0, 0.5, 0.5];
    let of = |numbers: &[f64]| tensor::<4>(numbers, [1, 1, 4, 2], DType::F64, &device);
    let full = LshOptions::new(2).causal();
    let output = lsh_attention(of(&query), of(&query), of(&value), full).unwrap();
    let found = values(output.context);
    let first: Vec<f64> = found.chunks(2).map(|row| row[0]).collect();
    assert_close("full", &first, &[1.0, 1.0, 0.5, 0.651855], 0.0, 1e-6);
}

/// Rotations, buckets and contexts of transformers and reformer-pytorch, on every backend.
#[test]
fn contexts_are_those_of_the_public_packages() {
    #[derive(Deserialize)]
    struct File {
        shape: [usize; 4],
        chunk: usize,
        unpadded: Vec<usize>,
        query: Vec<f64>,
        value: Vec<f64>,
        cases: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        rounds: usize,
        causal: bool,
        padded: bool,
        duplicates: bool,
        same_bucket: bool,
        scaled: bool,
        rotations: Option<Vec<f64>>,
        buckets: Vec<i64>,
        context: Vec<f64>,
    }
    let file: File = serde_json::from_str(include_str!("../../vectors/lsh_vectors.json")).unwrap();
    let shape @ [batch, n_heads, n, width] = file.shape;
    assert_eq!(file.cases.len(), 23);
    let is_padded = |row: usize| row % n >= file.unpadded[row / (n_heads * n)];
    for device in devices() {
        let (dtype, _) = wide(&device);
        let of = |numbers: &[f64]| tensor::<4>(numbers, shape, dtype, &device.device);
        let every = if device.slow { 5 } else { 1 };
        for (i, case) in file.cases.iter().enumerate().step_by(every) {
            let label = format!("{}, case {i}", device.name);
            let buckets = [batch, n_heads, case.rounds, n];
            if let Some(rotations) = &case.rotations {
                let columns = rotations.len() / (n_heads * case.rounds * width);
                let shape = [n_heads, case.rounds, width, columns];
                let rotations = tensor::<4>(rotations, shape, dtype, &device.device);
                let found = lsh_buckets(of(&file.query), rotations, None, None);
                let found: Vec<i64> = found.into_data().iter::<i64>().collect();
                for (place, (found, expected)) in found.iter().zip(&case.buckets).enumerate() {
                    let row = place / (n * case.rounds) * n + place % n;
                    assert!(
                        case.padded && is_padded(row) || found == expected,
                        "{label}"
                    );
                }
            }
            let mut options = LshOptions::new(file.chunk).buckets(ints(
                case.buckets.clone(),
                buckets,
                &device.device,
            ));
            options.causal = case.causal;
            options.duplicates = case.duplicates;
            options.same_bucket = case.same_bucket;
            options.wrap = true;
            if case.scaled {
                options.scale = (width as f64).powf(-0.5);
            }
            options.key_padding = case.padded.then(|| {
                let padded = |cell: usize| cell % n >= file.unpadded[cell / n];
                bools([batch, n], &device.device, padded)
            });
            for implementation in BOTH {
                let options = options.clone().implementation(implementation);
                let (query, value) = (of(&file.query), of(&file.value));
                let output = lsh_attention(query.clone(), query, value, options).unwrap();
                let rows = |numbers: &[f64]| -> Vec<f64> {
                    let rows = numbers.chunks(width).enumerate();
                    let rows = rows.filter(|(row, _)| !(case.padded && is_padded(*row)));
                    rows.flat_map(|(_, row)| row.to_vec()).collect()
                };
                let found = rows(&values(output.context));
                // transformers adds 1e-6 to squares, and files hold six digits.
                assert_close(&label, &found, &rows(&case.context), 0.0, 1e-5);
            }
        }
    }
}

/// A request of random vectors, buckets and masks.
struct Case {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    options: LshOptions,
}

const BATCH: usize = 2;
const HEADS: usize = 2;
const WIDTH: usize = 4;

impl Case {
    /// `seq_q` queries behind `n` keys, of which the second example pads three.
    fn new([seq_q, n]: [usize; 2], chunk: usize, rounds: usize, on: (&Device, DType)) -> Self {
        let of = |n: usize, seed| {
            let numbers: Vec<f64> = (normal(BATCH * HEADS * n * WIDTH, seed).iter())
                .map(|x| 2.0 * x)
                .collect();
            tensor::<4>(&numbers, [BATCH, HEADS, n, WIDTH], on.1, on.0)
        };
        let padding = bools([BATCH, n], on.0, |cell| cell >= 2 * n - 3 && n > 3);
        let key = of(n, 1);
        let rotations = normal(HEADS * rounds * WIDTH * 4, 7);
        let shape = [HEADS, rounds, WIDTH, 4];
        let rotations = tensor::<4>(&rotations, shape, on.1, on.0);
        let buckets = lsh_buckets(key.clone(), rotations, Some(chunk), Some(padding.clone()));
        Self {
            query: match seq_q == n {
                true => key.clone(),
                false => of(seq_q, 2),
            },
            key,
            value: of(n, 3),
            options: LshOptions::new(chunk).buckets(buckets).key_padding(padding),
        }
    }

    fn context(&self, options: LshOptions) -> Vec<f64> {
        let [query, key, value] = [&self.query, &self.key, &self.value].map(Clone::clone);
        values(lsh_attention(query, key, value, options).unwrap().context)
    }
}

#[test]
fn chunks_give_what_the_definition_gives_on_every_backend() {
    for device in devices() {
        let (dtype, limit) = wide(&device);
        let lengths: &[[usize; 2]] = match device.slow {
            true => &[[11, 11]],
            false => &[[11, 11], [16, 16], [5, 11], [1, 9], [3, 3]],
        };
        for &lengths in lengths {
            let chunks: &[usize] = if device.slow { &[4] } else { &[2, 4, 64] };
            for &chunk in chunks {
                for rounds in (1..=4).step_by(if device.slow { 2 } else { 1 }) {
                    let case = Case::new(lengths, chunk, rounds, (&device.device, dtype));
                    let [seq_q, n] = lengths;
                    let mask = bools([HEADS, seq_q, n], &device.device, |cell| cell % 3 == 1);
                    for variant in (0..16).step_by(if device.slow { 5 } else { 1 }) {
                        let is = |bit: usize| variant >> bit & 1 == 1;
                        let mut options = case.options.clone();
                        options.causal = is(0);
                        options.duplicates = is(1);
                        options.same_bucket = is(2);
                        options.wrap = is(3);
                        options.mask = is(0).then(|| mask.clone());
                        let label =
                            format!("{} {lengths:?} {chunk} {rounds} {variant}", device.name);
                        let of = |by| case.context(options.clone().implementation(by));
                        let definition = of(Implementation::Reference);
                        let chunks = of(Implementation::Fused);
                        assert_close(&label, &chunks, &definition, limit, limit);
                    }
                }
            }
        }
    }
}

/// Softmax over scores by hand, with its own key hidden unless nothing else is there.
fn softmax_over(case: &Case, visible: impl Fn(usize, usize, usize, usize) -> bool) -> Vec<f64> {
    let [_, _, seq_q, _] = case.query.dims();
    let n = case.key.dims()[2];
    let [query, key, value] = [&case.query, &case.key, &case.value].map(|t| values(t.clone()));
    let mut contexts = Vec::new();
    for list in 0..BATCH * HEADS {
        for i in 0..seq_q {
            let q = &query[(list * seq_q + i) * WIDTH..][..WIDTH];
            let own = i + n - seq_q;
            let mut weights: Vec<f64> = (0..n)
                .map(|j| {
                    let k = &key[(list * n + j) * WIDTH..][..WIDTH];
                    let length = k.iter().map(|x| x * x).sum::<f64>().sqrt();
                    let dot: f64 = q.iter().zip(k).map(|(q, k)| q * k).sum();
                    let seen = j != own && visible(list / HEADS, list % HEADS, own, j);
                    if seen { (dot / length).exp() } else { 0.0 }
                })
                .collect();
            if weights.iter().all(|w| *w == 0.0) && visible(list / HEADS, list % HEADS, own, own) {
                weights[own] = 1.0;
            }
            let sum: f64 = weights.iter().sum::<f64>().max(1e-300);
            contexts.extend((0..WIDTH).map(|c| {
                let of = |j: usize| weights[j] * value[(list * n + j) * WIDTH + c];
                (0..n).map(of).sum::<f64>() / sum
            }));
        }
    }
    contexts
}

/// One chunk that holds every key is attention to all of them; several, each pair counted once, to those that some round puts
/// near.
#[test]
fn it_is_one_softmax_over_what_any_round_finds() {
    let device = Device::flex();
    let n = 13;
    for rounds in 1..=4 {
        for causal in [false, true] {
            for chunk in [n, 3] {
                let case = Case::new([n, n], chunk, rounds, (&device, DType::F64));
                let buckets: Vec<i64> = case
                    .options
                    .buckets
                    .clone()
                    .unwrap()
                    .into_data()
                    .iter()
                    .collect();
                let is_padded = |batch: usize, j: usize| batch == 1 && j >= n - 3;
                // Chunks from counting who comes before.
                let chunk_of = |list: usize, round: usize, i: usize| {
                    let by = |j: usize| match is_padded(list / HEADS, j) {
                        false => (false, buckets[(list * rounds + round) * n + j], j),
                        true => (true, 0, j),
                    };
                    (0..n).filter(|&j| by(j) < by(i)).count() / chunk
                };
                let near = |batch: usize, head: usize, i: usize, j: usize| {
                    (0..rounds).any(|round| {
                        let of = |place| chunk_of(batch * HEADS + head, round, place);
                        of(i) == of(j) || of(i) == of(j) + 1
                    })
                };
                let expected = softmax_over(&case, |batch, head, i, j| {
                    !is_padded(batch, j) && (!causal || j <= i) && near(batch, head, i, j)
                });
                for implementation in BOTH {
                    let mut options = case.options.clone().implementation(implementation);
                    options.causal = causal;
                    let found = case.context(options.clone());
                    let label = format!("{rounds} {causal} {chunk}");
                    assert_close(&label, &found, &expected, 1e-12, 1e-12);
                    if chunk == n {
                        options.buckets = None;
                        let full = case.context(options);
                        assert_close(&label, &full, &expected, 1e-12, 1e-12);
                    }
                }
            }
        }
    }
}

/// An example gets the same however far it is padded, on either side, and by vectors of any size.
#[test]
fn padding_moves_nothing() {
    let (device, n, chunk, rounds) = (Device::flex(), 13, 3, 3);
    let of = |n: usize, seed| {
        let shape = [BATCH, HEADS, n, WIDTH];
        tensor::<4>(
            &normal(shape.iter().product(), seed),
            shape,
            DType::F64,
            &device,
        )
    };
    let rotations = normal(HEADS * rounds * WIDTH * 8, 7);
    let rotations = tensor::<4>(&rotations, [HEADS, rounds, WIDTH, 8], DType::F64, &device);
    let [shared, value] = [of(n, 1), of(n, 2)];
    for causal in [false, true] {
        for implementation in BOTH {
            let run = |shared: Tensor<4>, value: Tensor<4>, padding: Tensor<2, Bool>| {
                let buckets = lsh_buckets(
                    shared.clone(),
                    rotations.clone(),
                    Some(chunk),
                    Some(padding.clone()),
                );
                let mut options = LshOptions::new(chunk).buckets(buckets).key_padding(padding);
                options.causal = causal;
                options.implementation = implementation;
                lsh_attention(shared.clone(), shared, value, options)
                    .unwrap()
                    .context
            };
            let none = bools([BATCH, n], &device, |_| false);
            let alone = values(run(shared.clone(), value.clone(), none));
            for extra in [1, 7, 20] {
                for ahead in [false, true] {
                    let around = |rows: &Tensor<4>, seed| {
                        let padding = of(extra, seed).mul_scalar(1e3);
                        let parts = match ahead {
                            true => vec![padding, rows.clone()],
                            false => vec![rows.clone(), padding],
                        };
                        Tensor::cat(parts, 2)
                    };
                    let first = if ahead { extra } else { 0 };
                    let wide = n + extra;
                    let padding = bools([BATCH, wide], &device, |cell| {
                        !(first..first + n).contains(&(cell % wide))
                    });
                    let found = run(around(&shared, 8), around(&value, 9), padding);
                    let found = found.slice([0..BATCH, 0..HEADS, first..first + n]);
                    assert_close("padded", &values(found), &alone, 1e-12, 1e-12);
                }
            }
        }
    }
}

/// Padding is behind everything, however large the numbers are by which places are sorted.
#[test]
fn padding_of_a_long_sequence_is_behind_it() {
    let (device, n, chunk) = (Device::flex(), 100_000, 16);
    let run = |n_padded: usize| {
        let wide = n + n_padded;
        let of = |seed| {
            let mut numbers = normal(n, seed);
            numbers.resize(wide, 50.0);
            tensor::<4>(&numbers, [1, 1, wide, 1], DType::F32, &device)
        };
        // Of 12,500 buckets the last ones have the most places.
        let buckets = (0..wide).map(|place| (place.max(n / 2) * 31 % 12_500) as i64);
        let options = LshOptions::new(chunk)
            .buckets(ints(buckets.collect(), [1, 1, 1, wide], &device))
            .key_padding(bools([1, wide], &device, |place| place >= n));
        let context = lsh_attention(of(1), of(1), of(2), options).unwrap().context;
        values(context.slice([0..1, 0..1, 0..n, 0..1]))
    };
    assert_eq!(run(40), run(0));
}

/// Where whole numbers have 32 bits.
#[test]
fn buckets_that_cannot_be_sorted_are_named() {
    for TestDevice { name, device, .. } in devices() {
        let n = 1 << 15;
        let x = Tensor::<4>::ones([1, 1, n, 1], &device);
        let mut buckets = vec![0; n];
        buckets[7] = 70_000;
        let options = LshOptions::new(64).buckets(ints(buckets, [1, 1, 1, n], &device));
        if options.buckets.as_ref().unwrap().dtype() == DType::I64 {
            continue;
        }
        let error = lsh_attention(x.clone(), x.clone(), x, options).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("32768 places in 70001 buckets"),
            "{name}: {text}"
        );
    }
}

/// A later value never reaches an earlier query; a later key, its bucket being the same, neither.
#[test]
fn no_query_reads_a_later_key() {
    let device = Device::flex();
    let n = 11;
    let case = Case::new([n, n], 3, 4, (&device, DType::F32));
    for implementation in BOTH {
        let run = |changed: bool| {
            let last = |rows: &Tensor<4>| {
                let others = rows.clone().slice([0..BATCH, 0..HEADS, 0..n - 1]);
                let last = rows.clone().slice([0..BATCH, 0..HEADS, n - 1..n]);
                let factor = if changed { -3.0 } else { 1.0 };
                Tensor::cat(vec![others, last.add_scalar(0.5).mul_scalar(factor)], 2)
            };
            let mut options = case.options.clone().implementation(implementation).causal();
            options.key_padding = None;
            let shared = last(&case.key);
            let output = lsh_attention(shared.clone(), shared, last(&case.value), options);
            let context = output.unwrap().context;
            let rows = |rows| values(context.clone().slice([0..BATCH, 0..HEADS, rows]));
            (rows(0..n - 1), rows(n - 1..n))
        };
        let ((before, last), (before_too, last_too)) = (run(false), run(true));
        assert_eq!(before, before_too);
        assert_ne!(last, last_too);
    }
}

/// Of queries, of keys (through their lengths) and of values, with buckets that stay: against differences, in f64.
#[test]
fn gradients_are_the_differences_of_every_input() {
    let n = 7;
    let shape = [BATCH, HEADS, n, WIDTH];
    let size = shape.iter().product();
    let upstream = normal(size, 9);
    for (variant, implementation) in (0..4).flat_map(|variant| BOTH.map(|by| (variant, by))) {
        let case = Case::new([n, n], 2, 3, (&Device::flex(), DType::F64));
        let buckets: Vec<i64> = case
            .options
            .buckets
            .clone()
            .unwrap()
            .into_data()
            .iter()
            .collect();
        let inputs = [
            (normal(size, 1), shape),
            (normal(size, 2), shape),
            (normal(size, 3), shape),
        ];
        let found = gradcheck(&format!("{variant} {implementation:?}"), &inputs, |of| {
            let [query, key, value] = of else {
                panic!("three inputs")
            };
            let device = query.device();
            let mut options = case.options.clone().implementation(implementation);
            options.buckets = Some(ints(buckets.clone(), [BATCH, HEADS, 3, n], &device));
            options.causal = variant % 2 == 1;
            options.duplicates = variant / 2 == 1;
            options.key_padding = Some(bools([BATCH, n], &device, |cell| cell >= 2 * n - 2));
            options.mask = Some(bools([1, n, n], &device, |cell| cell % 5 == 2));
            let [query, key, value] = [query, key, value].map(Clone::clone);
            let output = lsh_attention(query, key, value, options).unwrap();
            let upstream = tensor::<4>(&upstream, shape, DType::F64, &output.context.device());
            (output.context * upstream).sum()
        });
        for gradient in found {
            assert!(gradient.iter().any(|g| g.abs() > 1e-2), "{variant}");
        }
    }
}

/// Rows with nothing but their own key read its value, exactly, however many rounds there are, unless that is hidden too.
#[test]
fn a_query_alone_reads_its_own_value_and_one_without_any_gets_zeros() {
    let device = Device::flex().autodiff();
    let n = 6;
    let all = |seed| {
        let numbers = normal(n * WIDTH, seed);
        tensor::<4>(&numbers, [1, 1, n, WIDTH], DType::F32, &device).require_grad()
    };
    // Query 0 sees itself, 1 nothing, 2 another; 5 is padded.
    let mask = bools([1, n, n], &device, |cell| {
        let (i, j) = (cell / n, cell % n);
        (i < 2 && i != j) || (i, j) == (1, 1)
    });
    for implementation in BOTH {
        let [shared, value] = [all(1), all(2)];
        let buckets = ints(
            (0..4 * n as i64).map(|x| x % 3).collect(),
            [1, 1, 4, n],
            &device,
        );
        let options = LshOptions::new(2)
            .buckets(buckets)
            .mask(mask.clone())
            .key_padding(bools([1, n], &device, |cell| cell == 5))
            .implementation(implementation);
        let output = lsh_attention(shared.clone(), shared.clone(), value.clone(), options).unwrap();
        let context = values(output.context.clone());
        let expected = values(value.clone());
        assert_eq!(context[..WIDTH], expected[..WIDTH]);
        assert_eq!(context[WIDTH..2 * WIDTH], [0.0; WIDTH]);
        assert!(context[2 * WIDTH..3 * WIDTH].iter().all(|x| *x != 0.0));
        // Of the second row alone nothing comes back.
        let row = output.context.slice([0..1, 0..1, 1..2]);
        let gradients = row.add_scalar(1.0).square().sum().backward();
        for input in [&shared, &value] {
            if let Some(gradient) = input.grad(&gradients) {
                assert!(
                    values(gradient).iter().all(|g| *g == 0.0),
                    "{implementation:?}"
                );
            }
        }
    }
}

#[test]
fn weights_are_given_by_the_definition() {
    let case = Case::new([9, 9], 2, 3, (&Device::flex(), DType::F64));
    let options = case.options.clone().causal().return_weights();
    let [query, key, value] = [&case.query, &case.key, &case.value].map(Clone::clone);
    let output = lsh_attention(query, key, value.clone(), options.clone()).unwrap();
    let weights = output.weights.unwrap();
    assert_eq!(weights.dims(), [BATCH, HEADS, 9, 9]);
    let sums = values(weights.clone().sum_dim(3));
    // Padded queries may stand among padding alone.
    let is_padded = |row: usize| row >= HEADS * 9 && row % 9 >= 6;
    for (row, sum) in sums.iter().enumerate() {
        let is_nothing = is_padded(row) && *sum == 0.0;
        assert!((sum - 1.0).abs() < 1e-12 || is_nothing, "{row}: {sum}");
    }
    let product = values(weights.matmul(value));
    assert_close("context", &product, &values(output.context), 1e-12, 1e-12);
    let chunks = case.context(case.options.clone().causal());
    assert_close("chunks", &product, &chunks, 1e-12, 1e-12);
}

/// Dropped weights leave the mean as it is, and a seed decides.
#[test]
fn dropout_keeps_the_mean() {
    let case = Case::new([9, 9], 2, 2, (&Device::flex(), DType::F64));
    let whole = case.context(case.options.clone());
    for implementation in BOTH {
        let run = |seed: u64| {
            let mut options = case.options.clone().implementation(implementation);
            options.dropout = 0.3;
            options.dropout_seed = Some(seed);
            case.context(options)
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
        let n = 4000;
        let mut mean = vec![0.0; whole.len()];
        for seed in 0..n {
            for (mean, x) in mean.iter_mut().zip(run(seed)) {
                *mean += x / n as f64;
            }
        }
        assert_close("mean", &mean, &whole, 0.0, 0.12);
    }
}

#[test]
fn buckets_of_half_types_and_of_many_keys_fit() {
    let device = Device::flex();
    let case = Case::new([12, 12], 3, 2, (&device, DType::F32));
    let exact = case.context(case.options.clone());
    let half = |t: &Tensor<4>| t.clone().cast(DType::F16);
    let [query, key, value] = [&case.query, &case.key, &case.value].map(half);
    let output = lsh_attention(query, key, value, case.options.clone()).unwrap();
    assert_eq!(output.context.dtype(), DType::F16);
    assert_close("f16", &values(output.context), &exact, 0.0, 1e-2);
    // 2·⌊n/m⌋ buckets, as far as there are columns.
    for (n, expected) in [(2, 2), (6, 4), (30, 16), (100, 16)] {
        let x = normal(n * WIDTH, 3);
        let x = tensor::<4>(&x, [1, 1, n, WIDTH], DType::F32, &device);
        let rotations = tensor::<4>(&normal(200 * 8, 4), [1, 50, WIDTH, 8], DType::F32, &device);
        let buckets = lsh_buckets(x, rotations, Some(3), None);
        let most = buckets.into_data().iter::<i64>().max().unwrap();
        assert_eq!(most, expected - 1, "{n}");
    }
}

/// `argmax([xR; −xR])` of some columns of R, `[WIDTH, columns]`, by its definition.
fn most_of(x: &[f64], rotations: &[f64], used: std::ops::Range<usize>) -> usize {
    let columns = rotations.len() / WIDTH;
    let rotated = |column: usize| -> f64 {
        let of_width = |k: usize| x[k] * rotations[k * columns + column];
        (0..WIDTH).map(of_width).sum()
    };
    let len = used.len();
    let side = |place: usize| match place < len {
        true => rotated(used.start + place),
        false => -rotated(used.start + place - len),
    };
    let all = 0..2 * len;
    all.reduce(|a, b| if side(b) > side(a) { b } else { a })
        .expect("a column")
}

/// Of examples with 40 and with 200 pairs in one batch, by their definition, on every backend.
#[test]
fn more_buckets_than_one_argmax_finds_are_two_numbers() {
    assert_eq!([1, 64, 65, 200, 4096].map(lsh_columns), [1, 64, 64, 64, 91]);
    let (n, rounds, columns) = (200, 2, lsh_columns(200));
    let x = normal(2 * n * WIDTH, 11);
    let rotations = normal(rounds * WIDTH * columns, 12);
    let most = |example: usize, i: usize, round: usize, from: usize, len: usize| {
        let rotations = &rotations[round * WIDTH * columns..][..WIDTH * columns];
        most_of(
            &x[(example * n + i) * WIDTH..][..WIDTH],
            rotations,
            from..from + len,
        )
    };
    let mut expected = Vec::new();
    for (example, kept) in [(0, 40), (1, n)] {
        for round in 0..rounds {
            for i in 0..n {
                // 200 pairs are 2 · 10 times 2 · 10 buckets.
                expected.push(match kept {
                    40 => most(example, i, round, 0, 40),
                    _ => most(example, i, round, 0, 10) + 20 * most(example, i, round, 10, 10),
                } as f64);
            }
        }
    }
    for device in devices() {
        let (dtype, _) = wide(&device);
        let x = tensor::<4>(&x, [2, 1, n, WIDTH], dtype, &device.device);
        let shape = [1, rounds, WIDTH, columns];
        let rotations = tensor::<4>(&rotations, shape, dtype, &device.device);
        let padding = bools([2, n], &device.device, |cell| (40..n).contains(&cell));
        let found = lsh_buckets(x.clone(), rotations.clone(), Some(1), Some(padding));
        let found: Vec<f64> = found.into_data().iter::<i64>().map(|b| b as f64).collect();
        assert_eq!(found, expected, "{}", device.name);
        let second = x.slice([1..2, 0..1, 0..n, 0..WIDTH]);
        let alone = lsh_buckets(second, rotations, Some(1), None);
        let alone: Vec<f64> = alone.into_data().iter::<i64>().map(|b| b as f64).collect();
        assert_eq!(alone, expected[rounds * n..], "{}", device.name);
    }
}

/// More pairs than the columns of R are for: each of the two numbers has half of them.
#[test]
fn pairs_beyond_the_columns_share_them() {
    let device = Device::flex();
    let (n, numbers, rotations) = (9_000, normal(9_000 * WIDTH, 3), normal(64 * WIDTH, 4));
    let x = tensor::<4>(&numbers, [1, 1, n, WIDTH], DType::F64, &device);
    let r = tensor::<4>(&rotations, [1, 1, WIDTH, 64], DType::F64, &device);
    let expected: Vec<i64> = numbers
        .chunks(WIDTH)
        .map(|x| (most_of(x, &rotations, 0..32) + 64 * most_of(x, &rotations, 32..64)) as i64)
        .collect();
    for padding in [None, Some(bools([1, n], &device, |_| false))] {
        let found = lsh_buckets(x.clone(), r.clone(), Some(1), padding);
        let found: Vec<i64> = found.into_data().iter::<i64>().collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let device = Device::flex();
    let case = Case::new([6, 6], 2, 2, (&device, DType::F32));
    let error = |change: &dyn Fn(&mut LshOptions)| {
        let mut options = case.options.clone();
        change(&mut options);
        let [query, key, value] = [&case.query, &case.key, &case.value].map(Clone::clone);
        lsh_attention(query, key, value, options).unwrap_err()
    };
    assert_eq!(error(&|o| o.chunk = 0), AttentionError::NoChunk);
    assert_eq!(error(&|o| o.dropout = 1.0), AttentionError::Dropout(1.0));
    let few = ints(vec![0; 20], [BATCH, HEADS, 1, 5], &device);
    let found = error(&|o| o.buckets = Some(few.clone())).to_string();
    assert!(
        found.contains("buckets") && found.contains("[2, 2, 1, 6]"),
        "{found}"
    );
    let found = error(&|o| o.mask = Some(bools([3, 6, 6], &device, |_| false))).to_string();
    assert!(found.contains("mask"), "{found}");
    let weights = error(&|o| {
        o.return_weights = true;
        o.implementation = Implementation::Fused;
    });
    assert_eq!(weights, AttentionError::FusedWeights);
    let part = |t: &Tensor<4>, n| t.clone().slice([0..BATCH, 0..HEADS, 0..n]);
    let found = lsh_attention(
        case.query.clone(),
        part(&case.key, 5),
        part(&case.value, 5),
        LshOptions::new(2),
    );
    let found = found.unwrap_err().to_string();
    assert!(found.contains("6 places and key 5"), "{found}");
}
