//! Dropout of values on every backend.

use burn::backend::Dispatch;
use burn::tensor::{DType, Tensor};
use sparta_ops::attention::Dropout;
use sparta_ops::testing::{devices, normal, tensor, values};
use sparta_ops::{SpartaBackend, dropout};

#[test]
fn drops_at_the_rate_and_keeps_the_mean() {
    for device in devices() {
        let found = values(dropout(
            Tensor::<3>::ones([10, 20, 50], &device.device),
            0.25,
        ));
        let zeros = found.iter().filter(|x| **x == 0.0).count();
        // 2,500 ± 43 of 10,000.
        assert!((2250..2750).contains(&zeros), "{}: {zeros}", device.name);
        let others = found.iter().filter(|x| **x != 0.0);
        for x in others {
            assert!((x - 4.0 / 3.0).abs() < 1e-6, "{}: {x}", device.name);
        }
    }
}

#[test]
fn values_and_gradient_are_those_of_the_mask_on_every_backend() {
    let by = Dropout {
        probability: 0.4,
        seed: 0x0123_4567_89ab_cdef,
    };
    // Rows of more than one task.
    let (rows, n) = (70, 301);
    let x = normal(rows * n, 1);
    let mut masks = Vec::new();
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        let x: Tensor<2> = tensor(&x, [rows, n], DType::F32, &autodiff).require_grad();
        let mask = <Dispatch as SpartaBackend>::dropout_mask(x.clone().inner().into_dispatch(), by);
        let mask = values(Tensor::<2>::from_dispatch(mask));
        let kept = <Dispatch as SpartaBackend>::drop_values(x.clone().into_dispatch(), by);
        let kept = Tensor::<2>::from_dispatch(kept);
        let grads = kept.clone().sum().backward();
        let expected = values(x.clone().inner()).into_iter().zip(&mask);
        for ((x, mask), found) in expected.zip(values(kept.inner())) {
            assert!(
                (found - x * mask).abs() <= 1e-6 * x.abs(),
                "{}: {found}",
                device.name
            );
        }
        let gradient = values(x.grad(&grads).expect("a gradient"));
        assert_eq!(gradient, mask, "{}", device.name);
        masks.push(mask);
    }
    assert!(masks.iter().all(|mask| *mask == masks[0]));
}

#[test]
fn nothing_is_dropped_at_0_and_of_nothing() {
    for device in devices() {
        let x: Tensor<2> = tensor(&normal(6, 1), [2, 3], DType::F32, &device.device);
        assert_eq!(values(dropout(x.clone(), 0.0)), values(x));
        let none: Tensor<2> = Tensor::zeros([0, 3], &device.device);
        assert_eq!(dropout(none, 0.5).dims(), [0, 3]);
    }
}

#[test]
#[should_panic(expected = "in [0, 1)")]
fn a_probability_of_1_is_refused() {
    let device = devices().remove(0).device;
    dropout(Tensor::<1>::ones([1], &device), 1.0);
}
