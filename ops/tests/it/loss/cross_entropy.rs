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
