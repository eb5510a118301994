//! Adam against its formula in f64 and against Burn's, bit by bit.

use burn::tensor::{DType, Tensor};
use sparta_ops::optimizer::{AdamStep, adam, sum_of_squares};
use sparta_ops::testing::{assert_close, devices, normal, tensor, values};

fn step(time: usize, weight_decay: f64) -> AdamStep {
    AdamStep {
        rate: 0.01,
        beta_1: 0.9,
        beta_2: 0.98,
        epsilon: 1e-8,
        time,
        weight_decay,
    }
}

/// Weights and moments after updates by these gradients, in f64.
fn by_formula(
    weights: &[f64],
    gradients: &[Vec<f64>],
    scale: f64,
    weight_decay: f64,
) -> [Vec<f64>; 3] {
    let n = weights.len();
    let (mut w, mut m, mut v) = (weights.to_vec(), vec![0.0; n], vec![0.0; n]);
    for (i, gradient) in gradients.iter().enumerate() {
        let time = i as i32 + 1;
        for j in 0..n {
            let g = gradient[j] * scale;
            m[j] = 0.9 * m[j] + 0.1 * g;
            v[j] = 0.98 * v[j] + 0.02 * g * g;
            let (mean, square) = (
                m[j] / (1.0 - 0.9f64.powi(time)),
                v[j] / (1.0 - 0.98f64.powi(time)),
            );
            w[j] -= 0.01 * mean / (square.sqrt() + 1e-8) + 0.01 * weight_decay * w[j];
        }
    }
    [w, m, v]
}

#[test]
fn three_updates_equal_the_formula_on_every_backend() {
    // More than a task, and not a multiple of anything.
    let n = 40_003;
    let weights = normal(n, 1);
    let gradients: Vec<_> = (2..5).map(|seed| normal(n, seed)).collect();
    for device in devices() {
        for weight_decay in [0.0, 0.5] {
            let on =
                |values: &[f64]| -> Tensor<1> { tensor(values, [n], DType::F32, &device.device) };
            let zeros = || Tensor::<1>::zeros([n], &device.device);
            let scale: Tensor<1> = tensor(&[0.25], [1], DType::F32, &device.device);
            let (mut w, mut moments) = (on(&weights), [zeros(), zeros()]);
            for (i, gradient) in gradients.iter().enumerate() {
                // Somebody else holds what is to be updated: it must not change.
                let held = (i == 1).then(|| (w.clone(), values(w.clone())));
                let step = step(i + 1, weight_decay);
                (w, moments) = adam(w, on(gradient), moments, scale.clone(), step);
                if let Some((tensor, before)) = held {
                    assert_eq!(values(tensor), before, "{}", device.name);
                }
            }
            let [first, second] = moments;
            let expected = by_formula(&weights, &gradients, 0.25, weight_decay);
            for (what, (found, expected)) in ["weight", "m", "v"]
                .iter()
                .zip([w, first, second].into_iter().zip(&expected))
            {
                let label = format!("{} {what}, decay {weight_decay}", device.name);
                assert_close(&label, &values(found), expected, 3e-6, 1e-7);
            }
        }
    }
}

#[cfg(feature = "flex")]
#[test]
fn the_bits_are_those_of_burns_adam() {
    use burn::module::{Module, Param};
    use burn::optim::{AdamConfig, GradientsParams};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Weights {
        w: Param<Tensor<1>>,
    }

    let (n, rate) = (1003, 0.01);
    let device = Device::flex();
    let tracked = device.clone().autodiff();
    let start: Tensor<1> = tensor(&normal(n, 1), [n], DType::F32, &tracked);
    let mut burns = Weights {
        w: Param::from_tensor(start.clone()),
    };
    let config = AdamConfig::new().with_beta_2(0.98).with_epsilon(1e-8);
    let mut optimizer = config.init();
    let mut ours = start.inner();
    let mut moments = [Tensor::zeros([n], &device), Tensor::zeros([n], &device)];
    for time in 1..6 {
        let gradient: Tensor<1> = tensor(&normal(n, 10 + time as u64), [n], DType::F32, &tracked);
        let loss = (burns.w.val() * gradient.clone()).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &burns);
        burns = optimizer.step(rate, burns, gradients);
        let one = Tensor::ones([1], &device);
        (ours, moments) = adam(ours, gradient.inner(), moments, one, step(time, 0.0));
        assert_eq!(
            values(ours.clone()),
            values(burns.w.val().inner()),
            "after {time}"
        );
    }
}

#[test]
fn squares_are_summed_in_one_order() {
    for n in [1, 63, 64, 40_003] {
        let x: Vec<f64> = normal(n, 3).iter().map(|x| f64::from(*x as f32)).collect();
        let expected: f64 = x.iter().map(|x| x * x).sum();
        for device in devices() {
            let on: Tensor<1> = tensor(&x, [n], DType::F32, &device.device);
            let found = sum_of_squares(on);
            assert_eq!(found.dims(), [1]);
            // Burn's own sum on a GPU adds one after the other in f32.
            let relative = if device.name == "wgpu" { 1e-4 } else { 2e-6 };
            assert_close(device.name, &values(found), &[expected], relative, 0.0);
        }
    }
}

/// A gradient may be a transposed view.
#[test]
fn squares_of_a_view_are_summed() {
    for device in devices() {
        let x: Tensor<2> = tensor(&normal(35, 3), [5, 7], DType::F32, &device.device);
        let view = x.transpose().slice([1..4, 0..5]);
        let expected: f64 = values(view.clone()).iter().map(|x| x * x).sum();
        assert_close(
            device.name,
            &values(sum_of_squares(view)),
            &[expected],
            1e-6,
            0.0,
        );
    }
}
