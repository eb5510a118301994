//! Random matrices of mechanisms: drawn when a layer is made, saved with it, not trained.

use burn::module::{Module, Param};
use burn::prelude::*;
use burn::tensor::{Distribution, TensorData};
use sparta_ops::attention::linear::features::{gaussian, orthogonal_gaussian};

use super::upkeep::{Change, change};

/// A seed from the device's generator, whose own seed then decides what is drawn from it.
pub(super) fn drawn_seed(device: &Device) -> u64 {
    let range = Distribution::Uniform(0.0, f64::from(i32::MAX));
    let drawn = Tensor::<1, Int>::random([2], range, &device.clone().inner());
    let halves = drawn.into_data();
    halves
        .iter::<i64>()
        .fold(0, |seed, half| (seed << 32) ^ half as u64)
}

/// A parameter that is saved and not trained.
pub(super) fn frozen<const D: usize>(
    values: Vec<f64>,
    shape: [usize; D],
    device: &Device,
) -> Param<Tensor<D>> {
    let data = TensorData::new(values, shape).convert::<f32>();
    Param::from_tensor(Tensor::from_data(data, device)).set_require_grad(false)
}

/// Draws the random features of every [`super::Favor`] and the rotations of every [`super::Lsh`] of a network anew, each layer's by a seed of its own.
/// Training does so between steps; nothing else does.
///
/// ```
/// use burn::prelude::*;
/// use sparta_model::layer::{MultiHeadAttention, MultiHeadAttentionConfig};
/// use sparta_model::layer::mechanism::{Mechanism, redraw};
/// let config = MultiHeadAttentionConfig::new(8, 2).with_mechanism("favor(m=6)".parse().unwrap());
/// let layer = config.init(&Device::flex());
/// let features = |layer: MultiHeadAttention| match redraw(layer, 1).mechanism {
///     Mechanism::Favor(favor) => favor.projection.val().into_data(),
///     _ => panic!("not FAVOR+"),
/// };
/// assert_eq!(features(layer.clone()), features(layer));
/// ```
pub fn redraw<M: Module>(network: M, seed: u64) -> M {
    change(network, Redraw { seed, n_drawn: 0 })
}

struct Redraw {
    seed: u64,
    n_drawn: u64,
}

impl Change for Redraw {
    fn of<const D: usize>(&mut self, path: &[String], old: Tensor<D>) -> Option<Tensor<D>> {
        let is_at = |place: [&str; 2]| path.ends_with(&place.map(str::to_owned));
        let (features, rotations) = (is_at(["Favor", "projection"]), is_at(["Lsh", "rotations"]));
        if !features && !rotations {
            return None;
        }
        let shape = old.dims();
        let (width, n_rows) = (shape[D - 1], shape[..D - 1].iter().product());
        let seed = self
            .seed
            .wrapping_add(self.n_drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        self.n_drawn += 1;
        let rows = match features {
            true => orthogonal_gaussian(n_rows, width, seed),
            false => gaussian(n_rows * width, seed),
        };
        let data = TensorData::new(rows, shape).convert::<f32>();
        Some(Tensor::from_data(data, &old.device()))
    }
}
