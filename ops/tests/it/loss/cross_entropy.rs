//! Cross-entropy against its definition, forward and gradient, on every backend.

use burn::tensor::{DType, Device, Int, Tensor, activation::log_softmax};
use sparta_ops::loss::cross_entropy;
use sparta_ops::testing::{assert_close, devices, normal, tensor, values};

#[test]
fn equals_log_softmax_on_every_backend() {
    let flex = Device::flex().autodiff();
    for device in devices() {
        let sizes: &[(usize, usize)] = if device.slow {
            &[(5, 63)]
        } else {
            &[(1, 1), (5, 63), (33, 1001)]
        };
        for &(rows, n) in sizes {
            let logits: Vec<f64> = normal(rows * n, 8)
                .iter()
                .map(|z| (5.0 * z) as f32 as f64)
                .collect();
            let targets: Vec<i32> = (0..rows)
                .map(|i| if i % 4 == 3 { -1 } else { (i * 7 % n) as i32 })
                .collect();
            let upstream = normal(rows, 9);

            let z = tensor(&logits, [rows, n], DType::F64, &flex).require_grad();
            let mut chosen = vec![0.0; rows * n];
            for (i, &t) in targets.iter().enumerate().filter(|(_, t)| **t >= 0) {
                chosen[i * n + t as usize] = -upstream[i];
            }
            let chosen = tensor(&chosen, [rows, n], DType::F64, &flex);
            let expected_loss = (log_softmax(z.clone(), 1) * chosen).sum();
            let grads = expected_loss.clone().backward();
            let expected_grad = values(z.grad(&grads).expect("a gradient"));

            let autodiff = device.device.clone().autodiff();
            let z = tensor(&logits, [rows, n], DType::F32, &autodiff).require_grad();
            let t = Tensor::<1, Int>::from_ints(targets.as_slice(), &autodiff);
            let u = tensor(&upstream, [rows], DType::F32, &autodiff);
            let loss = (cross_entropy(z.clone(), t) * u).sum();
            let grads = loss.clone().backward();
            let label = format!("{} {rows}x{n}", device.name);
            assert_close(
                &label,
                &values(loss.inner()),
                &values(expected_loss.inner()),
                1e-5,
                1e-5,
            );
            let grad = values(z.grad(&grads).expect("a gradient"));
            assert_close(&label, &grad, &expected_grad, 1e-4, 1e-6);
        }
    }
}

/// `softmax(z) − e_target` of one row, in f64.
fn exact(logits: &[f64], target: usize) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|z| (z - largest).exp()).sum();
    let mut grad: Vec<f64> = (logits.iter().map(|z| (z - largest).exp() / sum)).collect();
    grad[target] -= 1.0;
    grad
}

fn gradient(logits: &[f64], targets: &[i32], dtype: DType, device: &Device) -> Vec<f64> {
    let rows = targets.len();
    let shape = [rows, logits.len() / rows];
    let z: Tensor<2> = tensor(logits, shape, dtype, &device.clone().autodiff()).require_grad();
    let targets = Tensor::<1, Int>::from_ints(targets, &z.device());
    let grads = cross_entropy(z.clone(), targets).sum().backward();
    values(z.grad(&grads).expect("a gradient"))
}

/// The softmax in the gradient does not come from a loss whose last digit is as large as the row's scores, or which
/// is infinite.
#[test]
fn gradients_of_large_losses_keep_their_digits() {
    let rows: [([f64; 3], usize); 6] = [
        ([5.0, 3.0, -1e8], 2),
        ([5.0, 3.0, -1e30], 2),
        ([5.0, 3.0, f64::NEG_INFINITY], 2),
        ([0.5, -99.25, 0.25], 1),
        ([31.0, 0.0, 30.0], 1),
        ([2.0, 1.0, 0.0], 0),
    ];
    let logits = rows.map(|(z, _)| z);
    let targets = rows.map(|(_, target)| target as i32);
    let expected: Vec<f64> = (rows.iter())
        .flat_map(|(z, target)| exact(z, *target))
        .collect();
    for device in devices() {
        let mut types = vec![(DType::F32, 1e-6)];
        if device.has_f64 {
            types.push((DType::F64, 2e-14));
        }
        for (dtype, limit) in types {
            let found = gradient(logits.as_flattened(), &targets, dtype, &device.device);
            let label = format!("{} {dtype:?}", device.name);
            assert_close(&label, &found, &expected, 0.0, limit);
        }
    }
}

/// Gradients in a half type are off by its rounding of them, not by that of the loss.
#[test]
fn gradients_in_half_types_are_computed_wide() {
    let (rows, n) = (8, 63);
    for (dtype, limit, smallest) in [(DType::BF16, 4e-3, 0.0), (DType::F16, 5e-4, 6e-8)] {
        for device in devices() {
            if device.name == "ndarray" || !device.device.supports_dtype(dtype) {
                continue;
            }
            let z: Vec<f64> = normal(rows * n, 8).iter().map(|z| 5.0 * z).collect();
            // What the type holds.
            let z = values(tensor::<1>(&z, [rows * n], dtype, &device.device));
            let targets: Vec<i32> = (0..rows as i32).map(|i| i * 7).collect();
            let expected: Vec<f64> = (z.chunks(n).zip(&targets))
                .flat_map(|(z, target)| exact(z, *target as usize))
                .collect();
            let found = gradient(&z, &targets, dtype, &device.device);
            let label = format!("{} {dtype:?}", device.name);
            assert_close(&label, &found, &expected, limit, smallest);
        }
    }
}

#[test]
fn targets_that_are_not_one_a_row_are_named() {
    let logits = Tensor::<2>::zeros([3, 5], &Device::flex());
    let targets = Tensor::<1, Int>::zeros([2], &Device::flex());
    let panic = std::panic::catch_unwind(|| cross_entropy(logits, targets));
    let message = panic.expect_err("two targets for three rows");
    let message = message.downcast_ref::<String>().expect("a message");
    assert!(
        message.starts_with("cross_entropy: targets of shape [2]"),
        "{message}"
    );
    assert!(message.contains("they need [3]"), "{message}");
}
