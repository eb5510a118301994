//! The exact gelu against arithmetic of its own, forward and gradient, on every backend.

use burn::tensor::{DType, Tensor};
use sparta_ops::gelu;
use sparta_ops::testing::{assert_close, devices, gradcheck, normal, tensor, values};

/// `Φ(x)` by the series of its integral, all of whose terms have one sign: nothing cancels.
fn distribution(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    let mut n = 1.0;
    while term.abs() > 1e-18 * sum.abs() {
        n += 2.0;
        term *= x * x / n;
        sum += term;
    }
    0.5 + density(x) * sum
}

fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// Every region of the function: both tails, the neighbourhood of 0, and beyond.
fn inputs() -> Vec<f64> {
    let mut inputs: Vec<f64> = (-1400..=1400).map(|i| f64::from(i) * 0.005).collect();
    inputs.extend(normal(199, 5).iter().map(|x| 1e-3 * x));
    inputs.extend([-30.0, -12.0, 12.0, 30.0]);
    inputs.into_iter().map(|x| f64::from(x as f32)).collect()
}

#[test]
fn value_and_gradient_equal_the_definition_on_every_backend() {
    let x = inputs();
    let n = x.len();
    let upstream: Vec<f64> = normal(n, 6).iter().map(|g| f64::from(*g as f32)).collect();
    let expected: Vec<f64> = x.iter().map(|&x| x * distribution(x)).collect();
    let slope = |x: f64| distribution(x) + x * density(x);
    let expected_grad: Vec<f64> = x
        .iter()
        .zip(&upstream)
        .map(|(&x, g)| g * slope(x))
        .collect();
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        let mut types = vec![(DType::F32, 2e-7, 4e-7)];
        if device.has_f64 {
            types.push((DType::F64, 1e-13, 1e-13));
        }
        for (dtype, relative, tight) in types {
            let input = tensor(&x, [4, n / 4], dtype, &autodiff).require_grad();
            let output = gelu(input.clone());
            let weighted = output.clone() * tensor(&upstream, [4, n / 4], dtype, &autodiff);
            let grads = weighted.sum().backward();
            let label = format!("{} {dtype:?}", device.name);
            let found = values(output.inner());
            for (found, (expected, x)) in found.iter().zip(expected.iter().zip(&x)) {
                let limit = relative * x.abs().max(1.0);
                assert!(
                    (found - expected).abs() <= limit,
                    "{label}: {found} for {expected} at {x}"
                );
            }
            let grad = values(input.grad(&grads).expect("a gradient"));
            assert_close(&label, &grad, &expected_grad, tight, tight);
        }
    }
}

#[test]
fn any_shape_and_a_part_of_a_tensor_will_do() {
    for device in devices() {
        let x: Tensor<3> = tensor(&normal(2 * 5 * 7, 2), [2, 5, 7], DType::F32, &device.device);
        let part = x.swap_dims(0, 1).slice([1..4, 0..2, 2..6]);
        let expected: Vec<f64> = values(part.clone())
            .iter()
            .map(|&x| x * distribution(x))
            .collect();
        let found = gelu(part);
        assert_eq!(found.dims(), [3, 2, 4]);
        assert_close(device.name, &values(found), &expected, 0.0, 1e-6);
        let none: Tensor<2> = Tensor::zeros([0, 3], &device.device);
        assert_eq!(gelu(none).dims(), [0, 3]);
    }
}

#[test]
fn the_gradient_is_that_of_the_value() {
    let inputs = [(normal(12, 3), [3, 4])];
    let grads = gradcheck("gelu", &inputs, |x| gelu(x[0].clone()).sum());
    assert!(grads[0].iter().any(|g| g.abs() > 0.1));
}

#[test]
fn a_nan_stays_one_and_infinity_passes() {
    for device in devices().into_iter().filter(|device| device.name != "wgpu") {
        let x = [f64::NAN, f64::INFINITY, 1e30];
        let found = values(gelu(tensor(&x, [1, 3], DType::F32, &device.device)));
        assert!(found[0].is_nan(), "{}: {found:?}", device.name);
        assert_eq!(found[1], f64::INFINITY, "{}", device.name);
        assert!((found[2] / 1e30 - 1.0).abs() < 1e-6, "{}", device.name);
    }
}
