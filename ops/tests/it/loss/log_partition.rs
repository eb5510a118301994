//! log Σexp of rows against sums in f64, forward and gradient, on every backend.

use burn::tensor::{DType, Device, Tensor};
use sparta_ops::loss::{cross_entropy, log_partition};
use sparta_ops::testing::{assert_close, devices, gradcheck, normal, tensor, values};

#[test]
fn equals_the_logarithm_of_the_sum_on_every_backend() {
    for device in devices() {
        for (rows, n) in [(1, 1), (5, 63), (33, 200)] {
            let scores: Vec<f64> = (normal(rows * n, 8).iter())
                .map(|z| (5.0 * z) as f32 as f64)
                .collect();
            let upstream = normal(rows, 9);
            let sums: Vec<f64> = (scores.chunks(n))
                .map(|row| row.iter().map(|z| z.exp()).sum::<f64>().ln())
                .collect();
            let grads: Vec<f64> = (scores.iter().enumerate())
                .map(|(i, z)| upstream[i / n] * (z - sums[i / n]).exp())
                .collect();

            let autodiff = device.device.clone().autodiff();
            let z = tensor(&scores, [rows, n], DType::F32, &autodiff).require_grad();
            let u: Tensor<1> = tensor(&upstream, [rows], DType::F32, &autodiff);
            let found = log_partition(z.clone());
            let label = format!("{} {rows}x{n}", device.name);
            assert_close(&label, &values(found.clone().inner()), &sums, 1e-6, 1e-6);
            let of_z = z.grad(&(found * u).sum().backward());
            let of_z = values(of_z.expect("a gradient"));
            assert_close(&label, &of_z, &grads, 1e-4, 1e-6);
        }
    }
}

#[test]
fn its_gradient_is_that_of_finite_differences() {
    let scores = normal(3 * 17, 3);
    gradcheck("log_partition", &[(scores, [3, 17])], |inputs| {
        log_partition(inputs[0].clone())
    });
}

/// Of no score it is −∞; no row without a class has a loss.
#[test]
fn rows_without_a_score_have_none() {
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        for rows in [0, 3] {
            let scores = Tensor::<2>::zeros([rows, 0], &autodiff).require_grad();
            let sums = values(log_partition(scores.clone()).inner());
            assert_eq!(sums, vec![f64::NEG_INFINITY; rows], "{}", device.name);
            let ignored = Tensor::full([rows], -1, &autodiff);
            let losses = cross_entropy(scores.clone(), ignored);
            let grads = losses.clone().sum().backward();
            assert_eq!(values(losses.inner()), vec![0.0; rows], "{}", device.name);
            assert_eq!(scores.grad(&grads).map(|grad| grad.dims()), Some([rows, 0]));
        }
        let none = Tensor::<2>::zeros([0, 4], &device.device);
        assert_eq!(log_partition(none).dims(), [0]);
    }
}

#[test]
#[should_panic(expected = "cross_entropy: a target in rows without a class")]
fn a_target_needs_a_class() {
    let device = Device::flex();
    let _ = cross_entropy(
        Tensor::zeros([2, 0], &device),
        Tensor::from_ints([-1, 0], &device),
    );
}

/// Neither large scores nor a target far below the others cancel.
#[test]
fn large_scores_keep_their_digits() {
    let device = Device::flex();
    let scores = Tensor::<2>::from_floats([[-3e4, 1e4, 1e4], [80.0, -80.0, 0.0]], &device);
    let sums = values(log_partition(scores.clone()));
    assert_close("sums", &sums, &[1e4 + 2f64.ln(), 80.0], 1e-7, 0.0);
    let targets = Tensor::from_ints([1, 0], &device);
    let losses = values(cross_entropy(scores, targets));
    assert_close("losses", &losses, &[2f64.ln(), 0.0], 1e-6, 1e-6);
}
