//! Every reference vector, on every backend compiled in: value, Jacobian, derivative in α.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor};
use sparta_ops::testing::{
    EntmaxVector, TestDevice, assert_close, devices, entmax_vectors, tensor, values,
};
use sparta_ops::{entmax, entmax15, softmax, sparsemax};

/// Vectors of one row length, so that one call runs them all, each row with its own α.
fn by_length() -> BTreeMap<usize, Vec<EntmaxVector>> {
    let mut groups = BTreeMap::<usize, Vec<EntmaxVector>>::new();
    for vector in entmax_vectors() {
        groups.entry(vector.z.len()).or_default().push(vector);
    }
    groups
}

fn with_f64() -> Vec<TestDevice> {
    devices().into_iter().filter(|d| d.has_f64).collect()
}

fn scores(vectors: &[EntmaxVector], dtype: DType, device: &Device) -> Tensor<2> {
    let flat: Vec<f64> = vectors.iter().flat_map(|v| v.z.clone()).collect();
    tensor(&flat, [vectors.len(), vectors[0].z.len()], dtype, device)
}

fn alphas(vectors: &[EntmaxVector], dtype: DType, device: &Device) -> Tensor<2> {
    let flat: Vec<f64> = vectors.iter().map(|v| v.alpha).collect();
    tensor(&flat, [vectors.len(), 1], dtype, device)
}

fn rounded(vectors: &[EntmaxVector]) -> Vec<EntmaxVector> {
    let round = |v: &EntmaxVector| EntmaxVector {
        z: v.z.iter().map(|&z| z as f32 as f64).collect(),
        alpha: v.alpha as f32 as f64,
        ..v.clone()
    };
    vectors.iter().map(round).collect()
}

/// The tolerance on p in f32.
fn value_limit(alpha: f64) -> f64 {
    if alpha < 1.25 { 2e-5 } else { 2e-6 }
}

/// Value, Jacobian and dp/dα of every vector: `n` copies of each row, copy i weighted by `e_i`, so
/// that its gradients are the i-th row of the Jacobian and dp_i/dα.
struct Derivatives {
    p: Vec<f64>,
    jacobian: Vec<f64>,
    d_alpha: Vec<f64>,
}

fn derivatives(vectors: &[EntmaxVector], dtype: DType, device: &Device) -> Derivatives {
    let n = vectors[0].z.len();
    let device = device.clone().autodiff();
    let rows = vectors.len() * n;
    let z = scores(vectors, dtype, &device)
        .reshape([vectors.len(), 1, n])
        .repeat_dim(1, n)
        .reshape([rows, n])
        .require_grad();
    let alpha = alphas(vectors, dtype, &device)
        .repeat_dim(1, n)
        .reshape([rows, 1])
        .require_grad();
    let unit: Vec<f64> = (0..rows * n)
        .map(|i| f64::from(u8::from((i / n) % n == i % n)))
        .collect();
    let unit = tensor(&unit, [rows, n], dtype, &device);
    let p = entmax(z.clone(), alpha.clone(), 1);
    let grads = (p.clone() * unit).sum().backward();
    Derivatives {
        p: values(p.inner()),
        jacobian: values(z.grad(&grads).expect("scores have a gradient")),
        d_alpha: values(alpha.grad(&grads).expect("alpha has a gradient")),
    }
}

#[test]
fn f64_values_equal_the_vectors() {
    for device in with_f64() {
        for (n, vectors) in by_length() {
            let z = scores(&vectors, DType::F64, &device.device);
            let p = values(entmax(z, alphas(&vectors, DType::F64, &device.device), 1));
            for (row, vector) in vectors.iter().enumerate() {
                let label = format!("{} {} alpha {}", device.name, vector.name, vector.alpha);
                let found = &p[row * n..][..n];
                assert_close(&label, found, &vector.p, 0.0, 1e-12);
                if !vector.on_support_change() {
                    // The vectors count weights above 1e-45: softmax has no zeros.
                    let support = found.iter().filter(|&&p| p > 1e-45).count();
                    assert_eq!(support, vector.support, "{label}: support size");
                }
            }
        }
    }
}

#[test]
fn f64_number_alpha_and_exact_algorithms_equal_the_vectors() {
    for device in with_f64() {
        for vector in entmax_vectors() {
            let z = tensor(&vector.z, [vector.z.len()], DType::F64, &device.device);
            let label = format!("{} {} alpha {}", device.name, vector.name, vector.alpha);
            let p = values(entmax(z.clone(), vector.alpha, 0));
            assert_close(&label, &p, &vector.p, 0.0, 1e-12);
            let exact = match vector.alpha {
                1.0 => softmax(z, 0),
                1.5 => entmax15(z, 0),
                2.0 => sparsemax(z, 0),
                _ => continue,
            };
            assert_close(
                &format!("{label}, exact"),
                &values(exact),
                &vector.p,
                0.0,
                1e-12,
            );
        }
    }
}

#[test]
fn f64_derivatives_equal_the_vectors() {
    for device in with_f64() {
        for (n, vectors) in by_length() {
            let found = derivatives(&vectors, DType::F64, &device.device);
            for (row, vector) in vectors.iter().enumerate() {
                if vector.on_support_change() {
                    continue;
                }
                let label = format!("{} {} alpha {}", device.name, vector.name, vector.alpha);
                let jacobian = vector.jac.clone().expect("a Jacobian").concat();
                let d_alpha = vector.dp_dalpha.clone().expect("dp/dalpha");
                let block = &found.jacobian[row * n * n..][..n * n];
                assert_close(&format!("{label} jacobian"), block, &jacobian, 1e-9, 1e-12);
                let block = &found.d_alpha[row * n..][..n];
                assert_close(&format!("{label} dp/dalpha"), block, &d_alpha, 1e-8, 1e-12);
            }
        }
    }
}

/// f32 against the reference in f64 on the f32-rounded scores: what is held to account is the
/// arithmetic, not the rounding of the input.
#[test]
fn f32_values_and_derivatives_on_every_backend() {
    let flex = devices().remove(0);
    for device in devices() {
        for (n, vectors) in by_length() {
            let vectors = rounded(&vectors);
            let expected = derivatives(&vectors, DType::F64, &flex.device);
            let found = derivatives(&vectors, DType::F32, &device.device);
            for (row, vector) in vectors.iter().enumerate() {
                if vector.on_support_change() {
                    continue;
                }
                let label = format!("{} {} alpha {}", device.name, vector.name, vector.alpha);
                let block = |all: &[f64], size: usize| all[row * size..][..size].to_vec();
                let limit = value_limit(vector.alpha);
                assert_close(
                    &label,
                    &block(&found.p, n * n),
                    &block(&expected.p, n * n),
                    0.0,
                    limit,
                );
                for (what, found, expected, size) in [
                    ("jacobian", &found.jacobian, &expected.jacobian, n * n),
                    ("dp/dalpha", &found.d_alpha, &expected.d_alpha, n),
                ] {
                    let label = format!("{label} {what}");
                    assert_close(
                        &label,
                        &block(found, size),
                        &block(expected, size),
                        1e-4,
                        1e-6,
                    );
                }
            }
        }
    }
}

#[test]
fn f32_exact_algorithms_on_every_backend() {
    let flex = devices().remove(0);
    for device in devices() {
        for (_, vectors) in by_length() {
            let vectors = rounded(&vectors);
            let of = |alpha: f64| -> Vec<EntmaxVector> {
                vectors
                    .iter()
                    .filter(|v| v.alpha == alpha)
                    .cloned()
                    .collect()
            };
            type Map = fn(Tensor<2>, i32) -> Tensor<2>;
            let maps: [(f64, Map); 3] = [
                (1.0, softmax::<2>),
                (1.5, entmax15::<2>),
                (2.0, sparsemax::<2>),
            ];
            for (alpha, map) in maps {
                let vectors = of(alpha);
                let expected = derivatives(&vectors, DType::F64, &flex.device);
                let autodiff = device.device.clone().autodiff();
                let z = scores(&vectors, DType::F32, &autodiff).require_grad();
                let p = map(z.clone(), -1);
                let n = z.dims()[1];
                let weights: Vec<f64> = (0..n).map(|j| j as f64 - 0.7).collect();
                let upstream = tensor(&weights, [1, n], DType::F32, &autodiff);
                let grads = (p.clone() * upstream).sum().backward();
                let grad = values(z.grad(&grads).expect("scores have a gradient"));
                let p = values(p.inner());
                for (row, vector) in vectors.iter().enumerate() {
                    let label = format!("{} {} alpha {alpha}", device.name, vector.name);
                    let first = &expected.p[row * n * n..][..n];
                    assert_close(&label, &p[row * n..][..n], first, 0.0, 2e-6);
                    let jacobian = &expected.jacobian[row * n * n..][..n * n];
                    let product: Vec<f64> = (0..n)
                        .map(|j| (0..n).map(|i| weights[i] * jacobian[i * n + j]).sum())
                        .collect();
                    let label = format!("{label} gradient");
                    assert_close(&label, &grad[row * n..][..n], &product, 1e-4, 1e-6);
                }
            }
        }
    }
}
