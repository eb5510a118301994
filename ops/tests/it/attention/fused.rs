//! The fused kernels against the f64 reference, over the catalogue.

use burn::tensor::{DType, Device, Tensor};
use sparta_ops::attention::{
    AttentionError, AttentionOptions, BlockMask, Implementation, Normalizer, RelativeTerm,
    sparse_attention, try_sparse_attention,
};
use sparta_ops::testing::attention::{AttentionCase, Terms};
use sparta_ops::testing::{TestDevice, assert_close, devices, normal, tensor, values};

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, x| m.max(x.abs()))
}

/// The largest difference; infinite where something is not finite.
fn off(found: &[f64], exact: &[f64]) -> f64 {
    assert_eq!(found.len(), exact.len());
    let differences = found.iter().zip(exact).map(|(f, e)| (f - e).abs());
    differences.fold(0.0, |m, d| {
        if d <= m {
            m
        } else if d.is_nan() {
            f64::INFINITY
        } else {
            d
        }
    })
}

/// Forward and every gradient: off the f64 reference by no more than twice what the readable
/// definition in the same type is, and a little. Cases without kernels on the device are left out; says how
/// many were not.
fn holds_to_the_reference(
    cases: &[AttentionCase],
    dtype: DType,
    name: &str,
    device: &Device,
) -> usize {
    let epsilon = match dtype {
        DType::F64 => 1e-13,
        DType::F32 => 1e-6,
        DType::F16 => 1e-3,
        DType::BF16 => 8e-3,
        other => panic!("{other:?} is not a type of floats"),
    };
    let mut failures = Vec::new();
    let served = cases.iter().filter(|case| is_served(case, name, device));
    let served: Vec<_> = served.collect();
    for case in &served {
        let exact = case.run(DType::F64, &Device::flex(), Implementation::Reference);
        let plain = case.run(dtype, device, Implementation::Reference);
        let fused = case.run(dtype, device, Implementation::Fused);
        for ((what, exact), (plain, fused)) in exact.iter().zip(plain.iter().zip(&fused)) {
            // Scores are rounded in proportion to their size, and weights follow the scores.
            let slack = 4.0 * epsilon * case.spread * (0.1 + largest(exact));
            let limit = 2.0 * off(&plain.1, exact) + slack;
            let found = off(&fused.1, exact);
            if found > limit {
                let label = case.label();
                failures.push(format!(
                    "{label}: {what} is off by {found:e}, allowed {limit:e}"
                ));
            }
        }
    }
    let n = served.len();
    println!(
        "{name} {dtype:?}: {n} cases, {} failures, {} without a kernel",
        failures.len(),
        cases.len() - n
    );
    assert!(
        failures.is_empty(),
        "{name} {dtype:?}:\n{}",
        failures.join("\n")
    );
    n
}

/// Whether there are kernels for a case: all there are on a CPU; on a GPU none for a relative term and for the
/// gradient of a bias, which is an error by name, and the definition for `auto`.
fn is_served(case: &AttentionCase, name: &str, device: &Device) -> bool {
    let wants = match case.terms {
        Terms::None | Terms::BiasConstant => None,
        Terms::Relative | Terms::Both => Some("a relative term"),
        Terms::Bias | Terms::BiasEach | Terms::Span => Some("the gradient of a bias"),
    };
    let label = case.label();
    match (case.resolve(device, Implementation::Fused), wants) {
        (Ok(found), _) => {
            assert_eq!(found, Implementation::Fused);
            assert!(wants.is_none() || name != "wgpu", "{name}: {label}");
            true
        }
        (Err(error), wants) if name == "wgpu" => {
            let text = error.to_string();
            assert!(matches!(error, AttentionError::NoKernelFor { .. }));
            // A small device does not bind the buffers of every mask and a bias at once.
            let wants = wants.unwrap_or("buffers, as this device binds");
            assert!(
                text.contains(wants) && text.contains("auto or reference"),
                "{text}"
            );
            let auto = case.resolve(device, Implementation::Auto);
            assert_eq!(auto, Ok(Implementation::Reference), "{label}");
            false
        }
        (Err(error), _) => panic!("{name}: {label}: {error}"),
    }
}

/// The definition on the device itself, for the cases that have no kernel there.
fn the_definition_holds_where_there_is_no_kernel(
    cases: &[AttentionCase],
    name: &str,
    device: &Device,
) {
    let unserved = cases.iter().filter(|case| !is_served(case, name, device));
    for case in unserved {
        let exact = case.run(DType::F64, &Device::flex(), Implementation::Reference);
        let auto = case.run(DType::F32, device, Implementation::Auto);
        for ((what, exact), (_, found)) in exact.iter().zip(&auto) {
            let limit = 1e-4 * case.spread * (0.1 + largest(exact));
            let off = off(found, exact);
            assert!(
                off <= limit,
                "{name}: {}: {what} is off by {off:e}",
                case.label()
            );
        }
    }
}

fn on_devices(wanted: impl Fn(&TestDevice) -> bool) {
    for device in devices().into_iter().filter(wanted) {
        if Implementation::Fused.on(&device.device).is_err() {
            println!("{}: no kernels of fused attention", device.name);
            continue;
        }
        let mut cases = match device.slow {
            true => AttentionCase::quick(),
            false => AttentionCase::all(),
        };
        cases.extend(AttentionCase::special());
        let n = holds_to_the_reference(&cases, DType::F32, device.name, &device.device);
        // Of every two cases of the quick tier one has a kernel on a GPU.
        assert!(n > cases.len() / 2, "{}: {n} cases", device.name);
        the_definition_holds_where_there_is_no_kernel(&cases, device.name, &device.device);
        if device.has_f64 {
            holds_to_the_reference(
                &AttentionCase::quick(),
                DType::F64,
                device.name,
                &device.device,
            );
        }
    }
}

#[test]
fn fused_equals_the_reference_on_every_cpu() {
    on_devices(|device| device.name != "wgpu");
}

#[test]
fn fused_equals_the_reference_on_every_gpu() {
    on_devices(|device| device.name == "wgpu");
}

/// ndarray has no half types; WGSL has no bf16, and f16 only as an extension.
#[test]
fn fused_equals_the_reference_in_half_types() {
    for dtype in [DType::F16, DType::BF16] {
        holds_to_the_reference(&AttentionCase::quick(), dtype, "flex", &Device::flex());
        for TestDevice { name, device, .. } in devices() {
            if name == "wgpu" && device.supports_dtype(dtype) {
                let cases: Vec<_> = AttentionCase::quick().into_iter().step_by(9).collect();
                holds_to_the_reference(&cases, dtype, name, &device);
            }
        }
    }
}

#[test]
fn the_quick_tier_is_quick() {
    let n = AttentionCase::quick().len();
    assert!((40..=60).contains(&n), "{n} cases");
}

fn bits(outputs: Vec<(&'static str, Vec<f64>)>) -> Vec<u64> {
    let values = outputs.into_iter().flat_map(|(_, values)| values);
    values.map(f64::to_bits).collect()
}

/// What is divided among threads depends on shapes, and no sum on who is done first.
#[test]
fn the_same_bits_on_any_number_of_threads() {
    let device = Device::flex();
    for case in AttentionCase::all().into_iter().step_by(23) {
        let on = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads);
            let run = || bits(case.run(DType::F32, &device, Implementation::Fused));
            pool.build().expect("threads").install(run)
        };
        let one = on(1);
        for n_threads in [2, 5] {
            assert!(one == on(n_threads), "{n_threads}: {}", case.label());
        }
    }
}

/// The same bits again, after memory has been written to.
#[test]
fn the_same_bits_twice() {
    for TestDevice {
        name, device, slow, ..
    } in devices()
    {
        let step = if slow { 199 } else { 23 };
        let cases = AttentionCase::all().into_iter().step_by(step);
        for case in cases.filter(|case| is_served(case, name, &device)) {
            let run = || bits(case.run(DType::F32, &device, Implementation::Fused));
            let first = run();
            // What is freed next is full of NaN.
            for size in [1 << 10, 1 << 14, 1 << 18] {
                drop(Tensor::<1>::full([size], f32::NAN, &device).into_data());
            }
            assert!(first == run(), "{name}: {}", case.label());
        }
    }
}

/// A block mask that hides nothing, and one that hides what causality hides, change nothing.
#[test]
fn a_block_mask_of_visible_blocks_is_dense() {
    for device in devices() {
        let device = &device.device;
        let x = |seed| {
            tensor(
                &normal(2 * 70 * 16, seed),
                [1, 2, 70, 16],
                DType::F32,
                device,
            )
        };
        let run =
            |options: AttentionOptions| values(sparse_attention(x(1), x(2), x(3), options).context);
        let dense = AttentionOptions::new(Normalizer::Entmax15);
        let all = BlockMask::new(32, [1, 70, 70], |_, _, _| false, device).unwrap();
        assert_eq!(all.fraction_hidden(), 0.0);
        assert_close(
            "visible",
            &run(dense.clone().block_mask(all)),
            &run(dense.clone()),
            0.0,
            1e-6,
        );
        let causal = BlockMask::new(32, [1, 70, 70], |_, i, j| j > i, device).unwrap();
        assert!(causal.fraction_hidden() > 0.3);
        let cells = values(causal.to_tensor().int().float());
        assert!((0..70 * 70).all(|c| (cells[c] > 0.5) == (c % 70 > c / 70)));
        let found = run(dense.clone().block_mask(causal));
        assert_close("causal", &found, &run(dense.causal()), 0.0, 1e-6);
    }
}

#[test]
fn what_fused_cannot_do_is_an_error_or_the_reference() {
    let x: Tensor<4> = Tensor::ones([1, 1, 3, 2], &Device::flex());
    let options = AttentionOptions::default().return_weights();
    let output = sparse_attention(x.clone(), x.clone(), x.clone(), options.clone());
    assert_eq!(output.implementation, Implementation::Reference);
    assert!(output.weights.is_some());
    let fused = options.implementation(Implementation::Fused);
    let error = try_sparse_attention(x.clone(), x.clone(), x.clone(), fused).err();
    assert_eq!(error, Some(AttentionError::FusedWeights));
    let auto = |x: Tensor<4>| {
        sparse_attention(x.clone(), x.clone(), x, AttentionOptions::default()).implementation
    };
    assert_eq!(auto(x), Implementation::Reference);
    let long = Tensor::ones([1, 1, 400, 2], &Device::flex());
    assert_eq!(auto(long), Implementation::Fused);
    for device in devices() {
        let found = Implementation::Auto.on(&device.device);
        let measured = match device.name {
            "wgpu" => Implementation::Reference,
            _ => Implementation::Fused,
        };
        assert_eq!(found, Ok(measured), "{}", device.name);
        let fused = Implementation::Fused.on(&device.device);
        assert_eq!(fused, Ok(Implementation::Fused));
    }
    let no_width: Tensor<4> = Tensor::ones([1, 1, 3, 0], &Device::flex());
    let error = try_sparse_attention(
        no_width.clone(),
        no_width.clone(),
        no_width,
        AttentionOptions::default(),
    );
    let error = error.expect_err("no scores").to_string();
    assert!(error.contains("d_head must be at least 1"), "{error}");
    let error = "fast".parse::<Implementation>().unwrap_err().to_string();
    assert!(error.contains("auto, reference or fused"), "{error}");
    assert_eq!("fused".parse(), Ok(Implementation::Fused));
}

/// A row of fusedmax or oscarmax cannot be solved tile by tile: asking for that is an error by name on every
/// device, and `auto` takes the definition where it would have taken kernels.
#[test]
fn fused_refuses_the_normalizers_without_kernels() {
    for TestDevice { name, device, .. } in devices() {
        for (normalizer, word) in [
            (Normalizer::Fusedmax { lambda: 0.1 }, "fusedmax"),
            (Normalizer::Oscarmax { lambda: 0.01 }, "oscarmax"),
        ] {
            let x: Tensor<4> = Tensor::ones([1, 1, 160, 2], &device);
            let options = AttentionOptions::new(normalizer);
            let auto = sparse_attention(x.clone(), x.clone(), x.clone(), options.clone());
            assert_eq!(auto.implementation, Implementation::Reference, "{name}");
            let fused = options.implementation(Implementation::Fused);
            let error = try_sparse_attention(x.clone(), x.clone(), x, fused);
            let error = error.expect_err("no kernels").to_string();
            let expected =
                format!("for the row normaliser {word}: ask for the implementation auto");
            assert!(error.contains(&expected), "{name}: {error}");
        }
    }
}

/// NaN, +∞ or an α that is none makes rows NaN, forward and in the gradient of the bias, and no other row.
#[test]
fn nan_stays_in_its_row_of_the_bias_gradient() {
    let (n_heads, seq_q, seq_kv, d) = (2, 3, 70, 4);
    for TestDevice { name, device, .. } in devices() {
        if name == "wgpu" {
            continue; // there are no kernels for the gradient of a bias
        }
        let device = device.autodiff();
        let run = |bad: f64, alphas: [f64; 2], implementation| {
            let of = |n: usize, seed| normal(n_heads * n * d, seed);
            let mut query = of(seq_q, 1);
            query[d + 2] = bad;
            let query: Tensor<4> = tensor(&query, [1, n_heads, seq_q, d], DType::F32, &device);
            let [key, value] = [2, 3].map(|seed| {
                tensor(
                    &of(seq_kv, seed),
                    [1, n_heads, seq_kv, d],
                    DType::F32,
                    &device,
                )
            });
            let shape = [1, n_heads, seq_q, seq_kv];
            let bias = tensor::<4>(
                &vec![0.0; n_heads * seq_q * seq_kv],
                shape,
                DType::F32,
                &device,
            );
            let bias = bias.require_grad();
            let alpha = tensor(&alphas, [n_heads], DType::F32, &device);
            let options = AttentionOptions::new(Normalizer::Entmax(alpha))
                .bias(bias.clone())
                .implementation(implementation);
            let context = sparse_attention(query, key, value, options).context;
            let grads = context.square().sum().backward();
            values(bias.grad(&grads).expect("a gradient"))
        };
        let infinity = f64::INFINITY;
        for alpha in [1.0, 1.3, 1.5, 2.0, 3.0, 10.0] {
            for (bad, alphas) in [
                (f64::NAN, [alpha; 2]),
                (infinity, [alpha; 2]),
                (0.5, [infinity, alpha]),
                (0.5, [f64::NAN, alpha]),
            ] {
                let found = run(bad, alphas, Implementation::Fused);
                let fine = run(0.5, [alpha; 2], Implementation::Reference);
                for (row, (found, fine)) in
                    found.chunks(seq_kv).zip(fine.chunks(seq_kv)).enumerate()
                {
                    let label = format!("{name} {bad} {alphas:?} row {row}");
                    let is_bad = match bad.is_finite() {
                        true => row < seq_q,
                        false => row == 1,
                    };
                    match is_bad {
                        true => assert!(found.iter().all(|g| g.is_nan()), "{label}: {found:?}"),
                        false => assert_close(&label, found, fine, 1e-4, 1e-5),
                    }
                }
            }
        }
    }
}

/// Of inputs in several types, read in the query's: the definition panicked where they were not of one.
#[test]
fn gradients_have_the_types_of_their_inputs() {
    let [plain, fused] = [Implementation::Reference, Implementation::Fused].map(in_several_types);
    assert_close("context", &fused, &plain, 1e-5, 1e-6);
}

/// The context of an implementation.
fn in_several_types(implementation: Implementation) -> Vec<f64> {
    let device = Device::flex().autodiff();
    let of = |shape: [usize; 4], seed, dtype| {
        tensor::<4>(&normal(shape.iter().product(), seed), shape, dtype, &device).require_grad()
    };
    let query = of([1, 2, 5, 4], 1, DType::F32);
    let key = of([1, 2, 6, 4], 2, DType::BF16);
    let value = of([1, 2, 6, 4], 3, DType::F16);
    let bias = of([1, 2, 5, 6], 4, DType::F64);
    let relative = of([1, 2, 5, 4], 5, DType::BF16);
    let positions = of([1, 2, 11, 4], 6, DType::F16);
    let options = AttentionOptions::default()
        .bias(bias.clone())
        .relative(RelativeTerm {
            query: relative.clone(),
            positions: positions.clone().squeeze_dim(0),
        })
        .implementation(implementation);
    let context = sparse_attention(query.clone(), key.clone(), value.clone(), options).context;
    assert_eq!(context.dtype(), DType::F32);
    let grads = context.clone().sum().backward();
    for input in [query, key, value, bias, relative, positions] {
        let grad = input.grad(&grads).expect("a gradient");
        assert_eq!(grad.dtype(), input.dtype());
        assert_eq!(grad.dims(), input.dims());
    }
    values(context.inner())
}

/// A product of 90,000 is no number of f16, in which the definition computes; kernels compute in f32.
#[test]
fn scores_of_kernels_may_be_wider_than_half_types() {
    for TestDevice { name, device, .. } in devices() {
        for dtype in [DType::F16, DType::BF16] {
            let is_tried = name == "flex" || (name != "ndarray" && dtype == DType::F16);
            if !is_tried || !device.supports_dtype(dtype) {
                continue;
            }
            let of =
                |numbers: &[f64]| tensor::<4>(numbers, [1, 1, numbers.len(), 1], dtype, &device);
            let (query, key) = (of(&[300.0]), of(&[300.0, 1.0]));
            let options = AttentionOptions::default().implementation(Implementation::Fused);
            let context = sparse_attention(query, key, of(&[2.0, 4.0]), options).context;
            assert_eq!(context.dtype(), dtype);
            assert_eq!(values(context), [2.0], "{name} {dtype:?}");
        }
    }
}

/// f16's minimum in a bias hides its cell whatever score it is added to, in both implementations.
#[test]
fn the_minimum_of_f16_hides_in_a_bias() {
    let lowest = f64::from(f32::from(burn::tensor::f16::MIN));
    for TestDevice { name, device, .. } in devices() {
        if name == "ndarray" || !device.supports_dtype(DType::F16) {
            continue;
        }
        let ones = |n| Tensor::<4>::ones([1, 1, n, 1], (&device, DType::F16));
        let key: Tensor<4> = tensor(&[30.0, -30.0, 0.0], [1, 1, 3, 1], DType::F16, &device);
        let value: Tensor<4> = tensor(&[1.0, 2.0, 4.0], [1, 1, 3, 1], DType::F16, &device);
        let rows = [
            [lowest, lowest, lowest],
            [lowest, lowest, -500.0],
            [f64::NEG_INFINITY, 1.0, lowest],
        ];
        // A bias in another type is read in that of the queries.
        for of_bias in [DType::F16, DType::F32] {
            let bias: Tensor<4> = tensor(rows.as_flattened(), [1, 1, 3, 3], of_bias, &device);
            for normalizer in [Normalizer::Softmax, Normalizer::Sparsemax] {
                for implementation in [Implementation::Reference, Implementation::Fused] {
                    let options = AttentionOptions::new(normalizer.clone())
                        .bias(bias.clone())
                        .implementation(implementation);
                    let output = sparse_attention(ones(3), key.clone(), value.clone(), options);
                    let label = format!("{name} {normalizer:?} {implementation:?} {of_bias:?}");
                    assert_eq!(values(output.context), [0.0, 4.0, 2.0], "{label}");
                }
            }
        }
    }
}

/// No query reads anything, and nothing that could be read has a gradient.
#[test]
fn without_queries_gradients_are_zero() {
    for TestDevice { name, device, .. } in devices() {
        let device = device.autodiff();
        for implementation in [Implementation::Reference, Implementation::Fused] {
            if name == "wgpu" && implementation == Implementation::Fused {
                continue; // no kernel has a relative term
            }
            let query = Tensor::<4>::ones([2, 4, 0, 3], &device).require_grad();
            let key = Tensor::<4>::ones([2, 2, 5, 3], &device).require_grad();
            let positions = Tensor::<3>::ones([4, 6, 3], &device);
            let options = AttentionOptions::new(Normalizer::Entmax15)
                .causal()
                .relative(RelativeTerm {
                    query: query.clone(),
                    positions,
                })
                .implementation(implementation);
            let context =
                sparse_attention(query.clone(), key.clone(), key.clone(), options).context;
            assert_eq!(context.dims(), [2, 4, 0, 3]);
            let grads = (context.sum() + key.clone().sum()).backward();
            let grad = values(key.grad(&grads).expect("a gradient"));
            assert_eq!(grad, [1.0; 60], "{name} {implementation:?}");
        }
    }
}

/// Nothing to see is nothing to add: every implementation gives zeros, and zero gradients.
#[test]
fn without_keys_the_context_is_zero() {
    for TestDevice { name, device, .. } in devices() {
        let device = device.autodiff();
        for implementation in [Implementation::Reference, Implementation::Fused] {
            let query = Tensor::<4>::ones([2, 2, 3, 4], &device).require_grad();
            let none = Tensor::<4>::zeros([2, 2, 0, 4], &device);
            let options = AttentionOptions::default().implementation(implementation);
            let context = sparse_attention(query.clone(), none.clone(), none, options).context;
            let grads = context.clone().sum().backward();
            assert_eq!(
                values(context.inner()),
                [0.0; 48],
                "{name} {implementation:?}"
            );
            let grad = values(query.grad(&grads).expect("a gradient"));
            assert_eq!(grad, [0.0; 48], "{name} {implementation:?}");
        }
    }
}
