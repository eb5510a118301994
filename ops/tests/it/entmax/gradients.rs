//! Gradients against central differences in f64 on flex.

use burn::tensor::{DType, Device, Tensor};
use rstest::rstest;
use sparta_ops::testing::{assert_close, central_differences, normal, tensor, values};
use sparta_ops::{entmax, entmax15, softmax, sparsemax};

const SHAPE: [usize; 2] = [4, 6];

fn upstream(device: &Device) -> Tensor<2> {
    tensor(&normal(24, 99), SHAPE, DType::F64, device)
}

fn check(label: &str, scores: &[f64], map: impl Fn(Tensor<2>) -> Tensor<2>) {
    let plain = Device::flex();
    let value = |z: &[f64]| {
        let z = tensor(z, SHAPE, DType::F64, &plain);
        values((map(z) * upstream(&plain)).sum())[0]
    };
    let device = plain.clone().autodiff();
    let z = tensor(scores, SHAPE, DType::F64, &device).require_grad();
    let grads = (map(z.clone()) * upstream(&device)).sum().backward();
    let found = values(z.grad(&grads).expect("a gradient"));
    let expected = central_differences(scores, 1e-5, value);
    assert_close(label, &found, &expected, 1e-5, 1e-8);
}

/// Every mapping, along both dimensions.
#[rstest]
#[case::softmax("softmax", softmax::<2>)]
#[case::sparsemax("sparsemax", sparsemax::<2>)]
#[case::entmax15("entmax15", entmax15::<2>)]
fn named_mappings(#[case] name: &str, #[case] map: fn(Tensor<2>, i32) -> Tensor<2>) {
    for dim in [0, 1, -1, -2] {
        check(&format!("{name} dim {dim}"), &normal(24, 3), |z| {
            map(z, dim)
        });
    }
}

/// The peer's list of α from 1 on, and α where its formula has no digits left.
#[rstest]
fn number_alpha(#[values(1.0, 1.0001, 1.01, 1.2, 1.5, 1.75, 2.0, 2.25, 3.0)] alpha: f64) {
    check(&format!("alpha {alpha}"), &normal(24, 5), |z| {
        entmax(z, alpha, 1)
    });
}

/// In the scores and in a per-row α at once (the peer's `test_entmax_grad_multiple_alphas`).
#[test]
fn alpha_per_row_in_both_arguments() {
    let plain = Device::flex();
    let scores = normal(24, 7);
    let alpha = [1.0 + 1e-4, 1.2, 1.6, 2.4];
    let loss = |z: &[f64], a: &[f64]| {
        let z = tensor(z, SHAPE, DType::F64, &plain);
        let a = tensor(a, [4, 1], DType::F64, &plain);
        values((entmax(z, a, 1) * upstream(&plain)).sum())[0]
    };
    let device = plain.clone().autodiff();
    let z = tensor(&scores, SHAPE, DType::F64, &device).require_grad();
    let a = tensor(&alpha, [4, 1], DType::F64, &device).require_grad();
    let grads = (entmax(z.clone(), a.clone(), 1) * upstream(&device))
        .sum()
        .backward();
    let expected = central_differences(&scores, 1e-5, |z| loss(z, &alpha));
    let found = values(z.grad(&grads).expect("a gradient"));
    assert_close("scores", &found, &expected, 1e-5, 1e-8);
    let expected = central_differences(&alpha, 2e-5, |a| loss(&scores, a));
    let found = values(a.grad(&grads).expect("a gradient"));
    assert_close("alpha", &found, &expected, 1e-5, 1e-7);
}

/// A gradient check along every dimension with an α per slice. The peer's test of this name makes
/// its scores size 1 along the normalised dimension, so that it checks a constant.
#[test]
fn arbitrary_dimension_with_alpha_per_slice() {
    let shape = [3, 4, 2, 5];
    let scores = normal(120, 11);
    let weights = normal(120, 12);
    for dim in 0..4 {
        let mut alpha_shape = shape;
        alpha_shape[dim] = 1;
        let count = 120 / shape[dim];
        let alpha: Vec<f64> = normal(count, 13)
            .iter()
            .map(|x| 1.5 + 0.4 * x.tanh())
            .collect();
        let run = |z: &[f64], a: &[f64], device: &Device| {
            let (mut z, mut a) = (
                tensor(z, shape, DType::F64, device),
                tensor(a, alpha_shape, DType::F64, device),
            );
            if device.is_autodiff() {
                (z, a) = (z.require_grad(), a.require_grad());
            }
            let g = tensor(&weights, shape, DType::F64, device);
            ((entmax(z.clone(), a.clone(), dim) * g).sum(), z, a)
        };
        let (loss, z, a) = run(&scores, &alpha, &Device::flex().autodiff());
        let grads = loss.backward();
        let plain = Device::flex();
        let expected = central_differences(&scores, 1e-5, |z| values(run(z, &alpha, &plain).0)[0]);
        let found = values(z.grad(&grads).expect("a gradient"));
        assert!(
            found.iter().any(|g| g.abs() > 1e-3),
            "the check is not vacuous"
        );
        assert_close(&format!("scores, dim {dim}"), &found, &expected, 1e-5, 1e-8);
        let expected = central_differences(&alpha, 1e-5, |a| values(run(&scores, a, &plain).0)[0]);
        let found = values(a.grad(&grads).expect("a gradient"));
        assert_close(&format!("alpha, dim {dim}"), &found, &expected, 1e-5, 1e-7);
    }
}
