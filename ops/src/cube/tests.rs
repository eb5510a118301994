//! The kernels against the reference in f64, under every way of sharing rows.

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Backend, Flex};
use burn::tensor::TensorData;
use burn_cubecl::CubeDevice;

use super::*;
use crate::entmax::reference;
use crate::testing::{SCALE_ROWS as ROWS, assert_close, normal, scores_of_every_scale};

const MAPPINGS: [Mapping; 9] = [
    Mapping::Softmax,
    Mapping::Sparsemax,
    Mapping::Entmax15,
    Mapping::Alpha(1.0),
    Mapping::Alpha(1.02),
    Mapping::Alpha(1.3),
    Mapping::Alpha(2.0),
    Mapping::Alpha(3.1),
    Mapping::Alpha(4.0),
];

fn cube(values: &[f64], shape: [usize; 2]) -> CubeTensor {
    let data = TensorData::new(values.to_vec(), shape).convert::<f32>();
    CubeBackend::float_from_data(data, &CubeDevice::default())
}

fn flex(values: &[f64], shape: [usize; 2]) -> burn::backend::tensor::FloatTensor<Flex> {
    // Rounded as the kernels see them.
    let values: Vec<f64> = values.iter().map(|&x| x as f32 as f64).collect();
    Flex::float_from_data(TensorData::new(values, shape), &Default::default())
}

fn read<B: Backend>(tensor: burn::backend::tensor::FloatTensor<B>) -> Vec<f64> {
    burn::tensor::try_read_sync(B::float_into_data(tensor))
        .expect("a native target reads at once")
        .expect("a tensor that was just computed")
        .iter::<f64>()
        .collect()
}

/// Leaves NaN where the next tensor of this shape will be allocated.
fn poison(shape: [usize; 2]) {
    let junk = cube(&vec![f64::NAN; shape[0] * shape[1]], shape);
    drop(read::<CubeBackend>(junk));
}

/// What the device gets, and ways that other devices get.
fn layouts(n: usize) -> Vec<LaunchConfig> {
    let client = cube(&[0.0], [1, 1]).client;
    // Software devices do not report that their planes exchange values, but they do.
    let plane = client.properties().hardware.plane_size_min as usize;
    let mut layouts = vec![
        LaunchConfig::of(&client, n),
        // No planes: rows meet in shared memory; and rows too long for the registers.
        LaunchConfig::for_rows(n, 1, 64),
        LaunchConfig::for_rows(n, plane, 64),
        LaunchConfig::for_rows(n, 1, 2),
        // Rows that share a plane, or take up one or several.
        LaunchConfig::for_rows(n, plane, 4 * plane),
        LaunchConfig::for_rows(n, plane, plane),
    ];
    layouts.dedup();
    layouts
}

#[test]
fn kernels_equal_the_reference_under_every_layout() {
    for n in [1, 2, 15, 17, 63, 100, 1000] {
        let shape = [ROWS, n];
        let z = scores_of_every_scale(n);
        let g = normal(ROWS * n, 77);
        for config in layouts(n) {
            let check = |what: &str, fast: CubeTensor, slow: &[f64], relative: f64| {
                let label = format!("n {n} {config:?} {what}");
                assert_close(&label, &read::<CubeBackend>(fast), slow, relative, 4e-6);
            };
            for mapping in MAPPINGS {
                let name = format!("{mapping:?}");
                let (family, alpha) = match family(mapping) {
                    Ok(family) => (family, 1.0),
                    Err(alpha) => (Family::of_alpha(alpha), alpha),
                };
                let alpha = || cube(&[alpha; ROWS], [ROWS, 1]);
                let slow = reference::forward::<Flex>(flex(&z, shape), mapping);
                poison(shape);
                let fast = forward(cube(&z, shape), alpha(), family, Some(config));
                check(&name, fast, &read::<Flex>(slow.clone()), 0.0);

                let p = read::<Flex>(slow.clone());
                let slow = reference::backward::<Flex>(flex(&p, shape), flex(&g, shape), mapping);
                poison(shape);
                let (p, g) = (cube(&p, shape), cube(&g, shape));
                let fast = backward(p, g, alpha(), family, false, Some(config)).0;
                check(&format!("{name} backward"), fast, &read::<Flex>(slow), 1e-5);
            }
            let alphas = [1.0, 4.0, 1.1, 1.3, 1.5, 1.7, 3.0, 1.4, 0.6];
            let alpha = || cube(&alphas, [ROWS, 1]);
            let slow = reference::forward_rows::<Flex>(flex(&z, shape), flex(&alphas, [ROWS, 1]));
            let p = read::<Flex>(slow);
            poison(shape);
            let fast = forward(cube(&z, shape), alpha(), Family::AnyAlpha, Some(config));
            check("rows", fast, &p, 0.0);
            let slow = reference::backward_rows::<Flex>(
                flex(&p, shape),
                flex(&g, shape),
                flex(&alphas, [ROWS, 1]),
            );
            poison(shape);
            let (p, g) = (cube(&p, shape), cube(&g, shape));
            let fast = backward(p, g, alpha(), Family::AnyAlpha, true, Some(config));
            check("rows backward", fast.0, &read::<Flex>(slow.0), 1e-5);
            check(
                "rows backward in alpha",
                fast.1,
                &read::<Flex>(slow.1),
                1e-5,
            );
        }
    }
}

/// Rows that no register file holds, read again in every pass, and more rows than a cube.
#[test]
fn long_rows_and_many_rows_equal_the_reference() {
    for [rows, n] in [[2, 40_000], [1000, 7]] {
        let shape = [rows, n];
        let z = normal(rows * n, 5);
        for mapping in [Mapping::Softmax, Mapping::Entmax15, Mapping::Alpha(1.3)] {
            let slow = reference::forward::<Flex>(flex(&z, shape), mapping);
            poison(shape);
            let fast = CubeBackend::entmax_forward(cube(&z, shape), mapping);
            let label = format!("{rows} x {n} {mapping:?}");
            assert_close(
                &label,
                &read::<CubeBackend>(fast),
                &read::<Flex>(slow),
                0.0,
                4e-6,
            );
        }
    }
}

/// A short row takes part of a plane, a long one a cube; what does not fit stays in memory.
#[test]
fn layouts_fit_rows_to_planes_and_cubes() {
    let of = |n| LaunchConfig::for_rows(n, 32, 1024);
    let config = |units, rows, items| LaunchConfig {
        units,
        rows,
        plane: 32,
        items,
    };
    assert_eq!(of(1), config(1, 128, 1));
    assert_eq!(of(30), config(32, 4, 1));
    assert_eq!(of(512), config(32, 4, 16));
    assert_eq!(of(513), config(256, 1, 4));
    assert_eq!(of(4096), config(1024, 1, 4));
    assert_eq!(of(16_384), config(1024, 1, 16));
    assert_eq!(of(128_000), config(1024, 1, 0));
    assert_eq!(LaunchConfig::for_rows(30, 1, 256).rows, 1);
}

/// NaN comes out as NaN, not as a weight; so does an α that is none.
#[test]
fn nan_and_bad_alphas_give_nan() {
    for mapping in MAPPINGS {
        for n in [3, 70] {
            let mut z = normal(n, 3);
            z[1] = f64::NAN;
            let p = read::<CubeBackend>(CubeBackend::entmax_forward(cube(&z, [1, n]), mapping));
            assert!(p.iter().all(|p| p.is_nan()), "{mapping:?} {p:?}");
        }
    }
    let z = cube(&normal(4 * 20, 3), [4, 20]);
    let alpha = cube(&[0.0, -1.5, f64::NAN, 1.5], [4, 1]);
    let p = read::<CubeBackend>(CubeBackend::entmax_rows_forward(z, alpha));
    assert!(p[..60].iter().all(|p| p.is_nan()), "{p:?}");
    assert!((p[60..].iter().sum::<f64>() - 1.0).abs() < 1e-6, "{p:?}");
}
