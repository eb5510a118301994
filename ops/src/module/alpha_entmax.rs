//! α-entmax with a learned α.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Distribution, Tensor};

use crate::entmax::{ALPHA_MIN, EntmaxError, dimension, entmax_of};

/// Makes an [`AlphaEntmax`].
#[derive(Config, Debug)]
pub struct AlphaEntmaxConfig {
    /// Shape of α, aligned with the scores' dimensions from the one after the batch on: `[n_heads]` is
    /// one α per head of scores `[batch, n_heads, seq_q, seq_kv]`. A shape of the scores' rank is taken as
    /// it is.
    pub shape: Vec<usize>,
    /// Lower bound, at most 2: α is clamped to `[alpha_min, 2]`; below it the gradient in a is zero. The paper's
    /// code uses 1.01; our entmax is exact down to α = 1 and needs no bound.
    pub alpha_min: Option<f64>,
}

impl AlphaEntmaxConfig {
    /// Makes the module, with a drawn from N(0, 1) as in the paper's code: α spreads around 1.5.
    ///
    /// # Panics
    /// If `alpha_min` is above 2 or not finite.
    pub fn init(&self, device: &Device) -> AlphaEntmax {
        check_min(self.alpha_min).unwrap_or_else(|error| panic!("AlphaEntmaxConfig: {error}"));
        let n = self.shape.iter().product::<usize>();
        let raw = Tensor::random([n], Distribution::Normal(0.0, 1.0), device);
        AlphaEntmax {
            raw_alpha: Param::from_tensor(raw),
            shape: self.shape.clone(),
            alpha_min: self.alpha_min,
        }
    }
}

/// α-entmax with learned α = 1 + sigmoid(a) ∈ ]1, 2[, made by [`AlphaEntmaxConfig`].
///
/// # Source
/// Correia, Niculae & Martins 2019.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use sparta_ops::module::AlphaEntmaxConfig;
/// let device = Device::flex();
/// let entmax = AlphaEntmaxConfig::new(vec![4]).init(&device);
/// let scores = Tensor::<4>::random([2, 4, 5, 7], Distribution::Default, &device);
/// assert_eq!(entmax.forward(scores, -1).dims(), [2, 4, 5, 7]);
/// println!("alpha of each head: {}", entmax.alpha());
/// ```
#[derive(Module, Debug)]
pub struct AlphaEntmax {
    /// The a, all of them in one row.
    pub raw_alpha: Param<Tensor<1>>,
    /// Shape of α.
    pub shape: Vec<usize>,
    /// Lower bound of α.
    pub alpha_min: Option<f64>,
}

impl AlphaEntmax {
    /// α = 1 + sigmoid(a) clamped to `[alpha_min, 2]`, all of them in one row.
    ///
    /// # Shapes
    /// - result: `[n]`, n the product of `shape`
    ///
    /// # Panics
    /// If `alpha_min` is above 2 or not finite.
    pub fn alpha(&self) -> Tensor<1> {
        check_min(self.alpha_min).unwrap_or_else(|error| panic!("AlphaEntmax: {error}"));
        let alpha = sigmoid(self.raw_alpha.val()).add_scalar(1.0);
        match self.alpha_min {
            Some(min) => alpha.clamp(min, 2.0),
            None => alpha,
        }
    }

    /// The weights of scores along `dim`.
    ///
    /// # Shapes
    /// - scores, result: any, the scores' shape; α broadcasts to it as [`AlphaEntmaxConfig::shape`] says
    ///
    /// # Panics
    /// With the message of [`AlphaEntmax::try_forward`]'s error.
    pub fn forward<const D: usize>(&self, scores: Tensor<D>, dim: i64) -> Tensor<D> {
        self.try_forward(scores, dim)
            .unwrap_or_else(|error| panic!("AlphaEntmax: {error}"))
    }

    /// [`AlphaEntmax::forward`] that reports arguments that do not fit. It does not wait for the
    /// device: a NaN or +∞ among scores gives a row of NaN.
    ///
    /// # Shapes
    /// As [`AlphaEntmax::forward`].
    ///
    /// # Errors
    /// A shape of α that does not broadcast, a dimension that does not exist, an `alpha_min` above 2 or not finite.
    pub fn try_forward<const D: usize>(
        &self,
        scores: Tensor<D>,
        dim: i64,
    ) -> Result<Tensor<D>, EntmaxError> {
        let dim = dimension::<D>(dim as isize)?;
        check_min(self.alpha_min)?;
        let rank = self.shape.len();
        let first = usize::from(rank < D);
        if rank > D {
            return Err(EntmaxError::Shape {
                argument: "alpha",
                found: self.shape.clone(),
                scores: scores.dims().to_vec(),
                dim,
            });
        }
        let mut shape = [1; D];
        shape[first..first + rank].copy_from_slice(&self.shape);
        let alpha = match shape.contains(&0) {
            true => Tensor::zeros(shape, &scores.device()),
            false => self.alpha().reshape(shape),
        };
        entmax_of(scores, alpha.into(), dim)
    }
}

/// That α can be clamped to a lower bound.
fn check_min(alpha_min: Option<f64>) -> Result<(), EntmaxError> {
    alpha_min.map_or(Ok(()), |min| ALPHA_MIN.check(min))
}
