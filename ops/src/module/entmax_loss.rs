//! Fenchel–Young losses with the options of training.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor};

use crate::entmax::Bisection;
use crate::loss::{Kind, LossError, Regulariser, Targets, fenchel_young};
use crate::primitive::hidden_at;

/// Which mapping's loss.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum LossMapping {
    /// α = 1: the cross-entropy.
    Softmax,
    /// α = 2.
    Sparsemax,
    /// α = 1.5.
    Entmax15,
    /// α-entmax.
    Entmax {
        /// Any α > 0.
        alpha: f64,
    },
    /// α-normmax.
    Normmax {
        /// Any α > 1.
        alpha: f64,
    },
}

/// What becomes of the losses of the rows.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum divided by the number of rows not ignored, or by the sum of their class weights; 0
    /// where every row is ignored.
    Mean,
    /// Their sum.
    Sum,
    /// Nothing.
    None,
}

/// Makes an [`EntmaxLoss`].
#[derive(Config, Debug)]
pub struct EntmaxLossConfig {
    /// The mapping.
    #[config(default = "LossMapping::Entmax15")]
    pub mapping: LossMapping,
    /// Rows with this class, any integer, have loss and gradient 0.
    #[config(default = "Some(-100)")]
    pub ignore_index: Option<i64>,
    /// What becomes of the losses of the rows.
    #[config(default = "Reduction::Mean")]
    pub reduction: Reduction,
    /// Share s of the target that is spread evenly over the classes that are not hidden:
    /// `(1 − s)·y + s/n`.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
    /// Factor of the loss of a row by its class; by `Σ y_c·weight_c` for soft targets.
    pub class_weights: Option<Vec<f64>>,
    /// Read the targets from the device and report those that cannot be: a class that is not there, a
    /// row that is no distribution. Without it such targets have no defined result.
    #[config(default = true)]
    pub check_targets: bool,
}

impl EntmaxLossConfig {
    /// Makes the module; it has no parameters.
    ///
    /// # Panics
    /// If `label_smoothing` is not in [0, 1] or a class weight is negative or not finite.
    pub fn init(&self, device: &Device) -> EntmaxLoss {
        assert!(
            (0.0..=1.0).contains(&self.label_smoothing),
            "label_smoothing = {}: it is a fraction in [0, 1]",
            self.label_smoothing
        );
        if let Some(weights) = &self.class_weights {
            for (class, weight) in weights.iter().enumerate() {
                assert!(
                    weight.is_finite() && *weight >= 0.0,
                    "class_weights[{class}] = {weight}: a weight is a finite number >= 0"
                );
            }
        }
        let class_weights = |weights: &Vec<f64>| Tensor::from_floats(weights.as_slice(), device);
        EntmaxLoss {
            mapping: self.mapping,
            ignore_index: self.ignore_index,
            reduction: self.reduction,
            label_smoothing: self.label_smoothing,
            class_weights: self.class_weights.as_ref().map(class_weights),
            check_targets: self.check_targets,
        }
    }
}

/// The Fenchel–Young loss of a mapping (see [`crate::loss`]), made by [`EntmaxLossConfig`].
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use sparta_ops::module::{EntmaxLossConfig, LossMapping};
/// let device = Device::flex();
/// let loss = EntmaxLossConfig::new().with_mapping(LossMapping::Sparsemax).init(&device);
/// let scores = Tensor::<2>::from_floats([[0.0, 0.0], [0.0, 1.0], [0.0, 9.0]], &device);
/// let targets = Tensor::<1, Int>::from_ints([0, 1, -100], &device);
/// assert_eq!(loss.forward(scores, targets).into_scalar::<f32>(), 0.125);
/// ```
#[derive(Module, Debug)]
pub struct EntmaxLoss {
    /// The mapping.
    #[module(skip)]
    pub mapping: LossMapping,
    /// The class of rows left out.
    pub ignore_index: Option<i64>,
    /// What becomes of the losses of the rows.
    #[module(skip)]
    pub reduction: Reduction,
    /// Fraction of the target that is spread evenly.
    pub label_smoothing: f64,
    /// Factor of the loss by class, `[n]`.
    pub class_weights: Option<Tensor<1>>,
    /// Whether targets are read and checked.
    pub check_targets: bool,
}

impl EntmaxLoss {
    /// The loss of scores against classes or distributions, in nats.
    ///
    /// # Shapes
    /// - scores: `[…, n]`; targets: classes `[…]` or distributions `[…, n]`
    /// - result: `[1]`, or `[rows]` with [`Reduction::None`]
    ///
    /// # Panics
    /// With the message of [`EntmaxLoss::try_forward`]'s error.
    pub fn forward<const D: usize>(
        &self,
        scores: Tensor<D>,
        targets: impl Into<Targets>,
    ) -> Tensor<1> {
        self.try_forward(scores, targets)
            .unwrap_or_else(|error| panic!("EntmaxLoss: {error}"))
    }

    /// [`EntmaxLoss::forward`] that reports bad arguments. It reads targets, if they are checked, and does not look for
    /// a NaN or +∞ among scores.
    ///
    /// # Shapes
    /// As [`EntmaxLoss::forward`].
    ///
    /// # Errors
    /// Targets whose shape does not fit, or, if they are checked, that are not classes or
    /// distributions; an α outside its range; a wrong number of class weights.
    pub fn try_forward<const D: usize>(
        &self,
        scores: Tensor<D>,
        targets: impl Into<Targets>,
    ) -> Result<Tensor<1>, LossError> {
        let shape = scores.dims();
        let mut targets = targets.into();
        targets.check_shape(&shape)?;
        if self.check_targets {
            targets.check_values(&shape, self.ignore_index)?;
        }
        if let (Kind::Classes(classes), Some(ignored)) = (&mut targets.kind, self.ignore_index) {
            let mask = classes.clone().equal_elem(ignored);
            *classes = classes.clone().mask_fill(mask, -1);
        }
        let dtype = scores.dtype();
        let factor = self.row_factors(&targets.kind, &scores)?;
        let targets = self.smoothed(targets, &scores);
        let losses = fenchel_young(scores, targets, self.regulariser())?;
        if self.reduction == Reduction::None {
            return Ok(losses * factor.cast(dtype));
        }
        // Sums of half types are taken in f32.
        let losses = match dtype {
            DType::F16 | DType::BF16 => losses.cast(DType::F32),
            _ => losses,
        };
        let factor = factor.cast(losses.dtype());
        let sum = (losses * factor.clone()).sum();
        let loss = match self.reduction {
            Reduction::Mean => sum / factor.sum().clamp_min(1e-30),
            Reduction::Sum | Reduction::None => sum,
        };
        Ok(loss.cast(dtype))
    }

    fn regulariser<const D: usize>(&self) -> Regulariser<D> {
        let tsallis = |alpha: f64| Regulariser::Tsallis {
            alpha: alpha.into(),
            bisection: Bisection::default(),
        };
        match self.mapping {
            LossMapping::Softmax => tsallis(1.0),
            LossMapping::Sparsemax => tsallis(2.0),
            LossMapping::Entmax15 => tsallis(1.5),
            LossMapping::Entmax { alpha } => tsallis(alpha),
            LossMapping::Normmax { alpha } => Regulariser::Norm {
                alpha: alpha.into(),
                n_iter: None,
            },
        }
    }

    /// 0 where the row is ignored, else the weight of its class, `[rows]`.
    fn row_factors<const D: usize>(
        &self,
        targets: &Kind,
        scores: &Tensor<D>,
    ) -> Result<Tensor<1>, LossError> {
        let shape = scores.dims();
        let n_classes = shape[D - 1];
        if let Some(weights) = &self.class_weights
            && weights.dims() != [n_classes]
        {
            return Err(LossError::ClassWeights {
                found: weights.dims()[0],
                n_classes,
                scores: shape.to_vec(),
            });
        }
        if shape.contains(&0) {
            let rows = shape[..D - 1].iter().product::<usize>();
            return Ok(Tensor::zeros([rows], &scores.device()));
        }
        Ok(match (targets, &self.class_weights) {
            (Kind::Classes(classes), weights) => {
                let ignored = classes.clone().lower_elem(0);
                let factors = match weights {
                    Some(weights) => {
                        let index = classes.clone().mask_fill(ignored.clone(), 0);
                        weights.clone().select(0, index)
                    }
                    None => classes.clone().float().mul_scalar(0.0).add_scalar(1.0),
                };
                factors.mask_fill(ignored, 0.0)
            }
            (Kind::Distributions(y), Some(weights)) => {
                let [rows, n] = y.dims();
                let y = y.clone().cast(weights.dtype());
                (y * weights.clone().reshape([1, n]))
                    .sum_dim(1)
                    .reshape([rows])
            }
            (Kind::Distributions(y), None) => Tensor::ones([y.dims()[0]], &y.device()),
        })
    }

    /// Label smoothing turns classes into distributions; the fraction to be spread goes to the classes
    /// that are not hidden.
    fn smoothed<const D: usize>(&self, targets: Targets, scores: &Tensor<D>) -> Targets {
        let fraction = self.label_smoothing;
        if fraction == 0.0 || scores.dims().contains(&0) {
            return targets;
        }
        let n = scores.dims()[D - 1];
        let rows = scores.dims()[..D - 1].iter().product::<usize>();
        let visible = scores
            .clone()
            .detach()
            .reshape([rows, n])
            .greater_elem(hidden_at(scores.dtype()))
            .float();
        let count = visible.clone().sum_dim(1).clamp_min(1.0);
        let y = match targets.kind {
            Kind::Classes(classes) => one_hot(classes, n, &visible),
            Kind::Distributions(y) => y.cast(visible.dtype()),
        };
        let y = y.mul_scalar(1.0 - fraction) + (visible / count).mul_scalar(fraction);
        Targets {
            kind: Kind::Distributions(y),
            shape: scores.dims().to_vec(),
        }
    }
}

/// `[rows, n]`, zeros where the class is negative.
fn one_hot(classes: Tensor<1, Int>, n: usize, like: &Tensor<2>) -> Tensor<2> {
    let rows = classes.dims()[0];
    let classes = classes.reshape([rows, 1]).expand([rows, n]);
    let column = Tensor::<1, Int>::arange(0..n as i64, &classes.device())
        .reshape([1, n])
        .expand([rows, n]);
    classes.equal(column).float().cast(like.dtype())
}
