//! Dropout by the operation of [`sparta_ops::dropout`].

use burn::nn::Dropout;
use burn::prelude::*;

/// Drops values in training, like `Dropout::forward`, with numbers that cost less.
pub(crate) fn drop_values<const D: usize>(dropout: &Dropout, input: Tensor<D>) -> Tensor<D> {
    let rate = rate_now(dropout, &input.device());
    sparta_ops::dropout(input, rate)
}

/// The probability of dropout now: 0 outside training.
pub(crate) fn rate_now(dropout: &Dropout, device: &Device) -> f64 {
    match dropout.training.is_enabled() && device.is_autodiff() {
        true => dropout.prob,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::DropoutConfig;
    use burn::tensor::DType;

    #[test]
    fn drops_at_the_rate_and_keeps_the_mean_in_training_only() {
        let dropout = DropoutConfig::new(0.25).init();
        let device = Device::flex();
        let ones = |device: &Device| Tensor::<2>::ones([100, 100], device);
        let values = |x: Tensor<2>| x.into_data().try_to_vec::<f32>().unwrap();
        let training = values(drop_values(&dropout, ones(&device.clone().autodiff())));
        let zeros = training.iter().filter(|x| **x == 0.0).count();
        assert!((2200..2800).contains(&zeros), "{zeros}");
        assert!(
            training
                .iter()
                .all(|x| *x == 0.0 || (x - 4.0 / 3.0).abs() < 1e-6)
        );
        let half = ones(&device.clone().autodiff()).cast(DType::BF16);
        let half = drop_values(&dropout, half);
        assert_eq!(half.dtype(), DType::BF16);
        let zeros = values(half.cast(DType::F32));
        let zeros = zeros.iter().filter(|x| **x == 0.0).count();
        assert!((2200..2800).contains(&zeros), "{zeros}");
        assert!(
            values(drop_values(&dropout, ones(&device)))
                .iter()
                .all(|x| *x == 1.0)
        );
    }
}
