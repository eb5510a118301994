//! Gradients against central differences in f64 on flex, and every backend against flex.

use burn::tensor::{DType, Device, Tensor};
use rstest::rstest;
use sparta_ops::testing::{assert_close, devices, gradcheck, normal, tensor, values};
use sparta_ops::{fusedmax, oscarmax};

use super::{MAPS, Map};

fn along(map: Map, z: Tensor<2>, lambda: f64, dim: i32) -> Tensor<2> {
    match map {
        Map::Fused => fusedmax(z, lambda, dim),
        Map::Oscar => oscarmax(z, lambda, dim),
    }
}

/// From few groups to many, along both dimensions.
#[rstest]
fn gradients_are_the_slopes(#[values(1e-3, 0.05, 0.2, 1.0)] lambda: f64, #[values(0, 1)] dim: i32) {
    for map in MAPS {
        let inputs = [(normal(96, 21), [8, 12]), (normal(96, 22), [8, 12])];
        let label = format!("{map:?} λ {lambda} dim {dim}");
        let found = gradcheck(&label, &inputs, |x| {
            (along(map, x[0].clone(), lambda, dim) * x[1].clone()).sum()
        });
        assert!(
            found[1].iter().any(|g| *g > 1e-2),
            "{label}: the check is not vacuous"
        );
        if lambda < 0.1 {
            assert!(
                found[0].iter().any(|g| g.abs() > 1e-2),
                "{label}: the check is not vacuous"
            );
        }
    }
}

/// Where the weights of a run are equal, so are the gradients in its scores.
#[test]
fn a_group_shares_its_gradient() {
    let device = Device::flex().autodiff();
    let z: Tensor<1> = tensor(&super::SIX, [6], DType::F64, &device).require_grad();
    let upstream = tensor(&[6.0, 1.0, 2.0, 9.0, 3.0, 5.0], [6], DType::F64, &device);
    let grads = (fusedmax(z.clone(), 0.2, 0) * upstream).sum().backward();
    // Weights 0.05, 2 × 0.3, 0, 2 × 0.175: the mean over the support is 17/5.
    let found = values(z.grad(&grads).expect("a gradient"));
    let expected = [6.0, 1.5, 1.5, 3.4, 4.0, 4.0].map(|mean| mean - 3.4);
    assert_close("fusedmax", &found, &expected, 0.0, 1e-12);
}

/// Every backend and type, holes and a hidden row included, from a tensor that does not lie in order.
#[test]
fn gradients_on_every_backend() {
    let (rows, n) = (9, 30);
    let mut scores = normal(rows * n, 31);
    for (i, z) in scores.iter_mut().enumerate() {
        if i / n == 4 || i % 7 == 3 {
            *z = f64::NEG_INFINITY;
        }
    }
    let upstream = normal(rows * n, 32);
    let run = |map: Map, lambda: f64, dtype: DType, device: &Device| {
        let device = device.clone().autodiff();
        let z: Tensor<2> = tensor(&scores, [rows, n], dtype, &device).require_grad();
        let upstream: Tensor<2> = tensor(&upstream, [rows, n], dtype, &device);
        let turned = z.clone().swap_dims(0, 1);
        let p = along(map, turned, lambda, 0).swap_dims(0, 1);
        let grads = (p * upstream).sum().backward();
        values(z.grad(&grads).expect("a gradient"))
    };
    for (map, lambda) in [(Map::Fused, 0.2), (Map::Oscar, 0.02)] {
        let expected = run(map, lambda, DType::F64, &Device::flex());
        for (i, grad) in expected.iter().enumerate() {
            assert!(scores[i].is_finite() || *grad == 0.0);
        }
        for device in devices() {
            let found = run(map, lambda, DType::F32, &device.device);
            let label = format!("{} {map:?}", device.name);
            assert_close(&label, &found, &expected, 1e-6, 0.0);
            if device.has_f64 {
                let found = run(map, lambda, DType::F64, &device.device);
                assert_close(&label, &found, &expected, 1e-14, 0.0);
            }
        }
    }
}
