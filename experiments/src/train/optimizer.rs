//! Adam with clipping by the global norm of the gradient.
//!
//! The arithmetic is that of Burn's `Adam`, in one pass over each parameter ([`sparta_ops::optimizer`]). Burn's clips every
//! tensor by its own norm, ours all by their global one; the state is kept by parameter path, so that a checkpoint does not
//! depend on the identifiers Burn draws for parameters, nor on Burn's default device.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use sparta_model::layer::mechanism::own_rate;
use sparta_ops::optimizer::{AdamStep, adam, sum_of_squares};

/// What PyTorch's `clip_grad_norm_` adds to the norm before dividing.
const NORM_EPSILON: f64 = 1e-6;

/// Numbers of the optimiser that do not change during a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamSettings {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Largest global norm of the gradient; 0 = no limit.
    pub clip: f64,
    /// Share of each weight taken away a step, times the learning rate (decoupled, as AdamW).
    pub weight_decay: f64,
    /// Whether vectors (offsets, and scales of normalisation) decay too; matrices always do.
    pub decay_vectors: bool,
    /// A new head on pretrained weights, if it learns at a rate of its own. Spans and gates of attention have theirs,
    /// [`own_rate`], and no weight decay.
    pub head: Option<HeadRate>,
}

/// A part of the module that learns faster or slower than the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadRate {
    /// The part's first name in parameter paths.
    pub module: &'static str,
    /// What the learning rate is multiplied by there.
    pub factor: f64,
}

/// Adam over a whole module, with its state by parameter path.
pub struct ClippedAdam {
    settings: AdamSettings,
    state: BTreeMap<String, Moments>,
}

/// The moments of one parameter, flattened.
struct Moments {
    /// Updates that the parameter has seen.
    time: usize,
    /// Means of the gradient and of its square.
    means: [Tensor<1>; 2],
}

/// The saved moments of one parameter, flattened.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedMoments {
    /// Updates that the parameter has seen.
    pub time: usize,
    /// Mean of the gradient.
    pub first: TensorData,
    /// Mean of its square.
    pub second: TensorData,
}

impl ClippedAdam {
    /// An optimiser without state.
    #[must_use]
    pub fn new(settings: AdamSettings) -> Self {
        Self {
            settings,
            state: BTreeMap::new(),
        }
    }

    /// One update. With g all gradients together, they are scaled by min(1, clip / (‖g‖ + 1e-6))
    /// and given to Adam; everything stays on the device. Weight decay then takes lr · decay · w,
    /// w being the weight before the update.
    ///
    /// Returns the updated module and ‖g‖ before clipping, `[1]`.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        lr: f64,
        device: &Device,
    ) -> (M, Tensor<1>) {
        let mut gradients = gradients;
        let mut squares = Squares {
            gradients: &gradients,
            sums: Vec::new(),
        };
        module.visit(&mut squares);
        let norm = if squares.sums.is_empty() {
            Tensor::zeros([1], &device.clone().without_autodiff())
        } else {
            Tensor::cat(squares.sums, 0).sum().sqrt()
        };
        let scale = match self.settings.clip > 0.0 {
            true => (norm.clone() + NORM_EPSILON)
                .recip()
                .mul_scalar(self.settings.clip)
                .clamp_max(1.0),
            false => norm.ones_like(),
        };
        let module = module.map(&mut Update {
            settings: self.settings,
            lr,
            scale,
            gradients: &mut gradients,
            state: &mut self.state,
            path: Vec::new(),
        });
        (module, norm)
    }

    /// The state for a checkpoint, by parameter path.
    #[must_use]
    pub fn save(&self) -> BTreeMap<String, SavedMoments> {
        self.state
            .iter()
            .map(|(path, state)| {
                let [first, second] = state.means.each_ref().map(Tensor::to_data);
                let time = state.time;
                let saved = SavedMoments {
                    time,
                    first,
                    second,
                };
                (path.clone(), saved)
            })
            .collect()
    }

    /// Takes over a saved state.
    pub fn restore(&mut self, saved: BTreeMap<String, SavedMoments>, device: &Device) {
        let device = device.clone().without_autodiff();
        self.state = saved
            .into_iter()
            .map(|(path, moments)| {
                let means = [moments.first, moments.second];
                let moments = Moments {
                    time: moments.time,
                    means: means.map(|mean| Tensor::from_data(mean, &device)),
                };
                (path, moments)
            })
            .collect();
    }
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sums: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sums.push(sum_of_squares(gradient));
        }
    }
}

struct Update<'a> {
    settings: AdamSettings,
    lr: f64,
    /// What gradients are multiplied by, `[1]`.
    scale: Tensor<1>,
    gradients: &'a mut GradientsParams,
    state: &'a mut BTreeMap<String, Moments>,
    path: Vec<String>,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(gradient) = self.gradients.remove::<D>(id) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let shape = tensor.dims();
        let tracked = tensor.is_require_grad();
        let flat: Tensor<1> = gradient.reshape([-1]);
        let path = self.path.join(".");
        let weight: Tensor<1> = tensor.inner().reshape([-1]);
        let before = self.state.remove(&path);
        let before = before.unwrap_or_else(|| Moments {
            time: 0,
            means: [weight.zeros_like(), weight.zeros_like()],
        });
        let own_rate = own_rate(&self.path);
        let settings = self.settings;
        let lr = match (settings.head, own_rate) {
            (_, Some(factor)) => self.lr * factor,
            (Some(head), None) if self.path.first().is_some_and(|name| name == head.module) => {
                self.lr * head.factor
            }
            (Some(_) | None, None) => self.lr,
        };
        let decays = (D > 1 || settings.decay_vectors) && own_rate.is_none();
        let step = AdamStep {
            rate: lr,
            beta_1: settings.beta_1,
            beta_2: settings.beta_2,
            epsilon: settings.epsilon,
            time: before.time + 1,
            weight_decay: if decays { settings.weight_decay } else { 0.0 },
        };
        let (updated, means) = adam(weight, flat, before.means, self.scale.clone(), step);
        let time = step.time;
        self.state.insert(path, Moments { time, means });
        let mut updated = Tensor::from_inner(updated.reshape(shape));
        if tracked {
            updated = updated.require_grad();
        }
        Param::from_mapped_value(id, updated, mapper)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};

    fn linear(device: &Device) -> Linear {
        let mut linear = LinearConfig::new(2, 2).init(device);
        linear.weight = linear.weight.map(|w| {
            let device = w.device();
            Tensor::from_inner(Tensor::from_data(
                [[0.5f32, -0.5], [1.0, 2.0]],
                &device.inner(),
            ))
            .require_grad()
        });
        linear
    }

    fn backward(model: &Linear, loss: Tensor<1>) -> GradientsParams {
        GradientsParams::from_grads(loss.backward(), model)
    }

    fn settings(clip: f64) -> AdamSettings {
        AdamSettings {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            clip,
            weight_decay: 0.0,
            decay_vectors: true,
            head: None,
        }
    }

    #[test]
    fn the_norm_is_over_all_parameters_together() {
        let device = Device::flex().autodiff();
        let model = linear(&device);
        let x = Tensor::<2>::from_data([[3.0f32, 4.0]], &device);
        // d(sum)/dW = x for each of two outputs, d(sum)/db = 1 for each of two.
        let gradients = backward(&model, model.forward(x).sum());
        let (_, norm) = ClippedAdam::new(settings(0.25)).step(model, gradients, 0.1, &device);
        let expected = (2.0f32 * (9.0 + 16.0) + 2.0).sqrt();
        assert!((norm.into_scalar::<f32>() - expected).abs() < 1e-5);
    }

    #[test]
    fn adam_on_clipped_gradients_equals_the_formula() {
        let device = Device::flex().autodiff();
        let mut model = linear(&device);
        let mut optimizer = ClippedAdam::new(settings(0.25));
        let x = Tensor::<2>::from_data([[3.0f32, 4.0]], &device);
        let (mut m, mut v, mut w) = (0.0f64, 0.0f64, 0.5f64);
        let norm = (2.0f64 * 25.0 + 2.0).sqrt();
        for t in 1..=3 {
            let gradients = backward(&model, model.forward(x.clone()).sum());
            (model, _) = optimizer.step(model, gradients, 0.1, &device);
            let g = 3.0 * 0.25 / norm;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            w -=
                0.1 * (m / (1.0 - 0.9f64.powi(t))) / ((v / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8);
        }
        let got = model.weight.val().into_data().iter::<f32>().next().unwrap();
        assert!((f64::from(got) - w).abs() < 1e-4, "{got} {w}");
    }

    #[test]
    fn a_restored_state_gives_the_same_bits() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_data([[3.0f32, 4.0]], &device);
        let mut model = linear(&device);
        let mut optimizer = ClippedAdam::new(settings(0.25));
        for _ in 0..3 {
            let gradients = backward(&model, model.forward(x.clone()).square().sum());
            (model, _) = optimizer.step(model, gradients, 0.1, &device);
        }
        let mut resumed = ClippedAdam::new(settings(0.25));
        resumed.restore(optimizer.save(), &device);
        let gradients = backward(&model, model.forward(x.clone()).square().sum());
        let (a, _) = optimizer.step(model.clone(), gradients, 0.1, &device);
        let gradients = backward(&model, model.forward(x).square().sum());
        let (b, _) = resumed.step(model, gradients, 0.1, &device);
        assert_eq!(a.weight.val().into_data(), b.weight.val().into_data());
        assert_eq!(optimizer.save(), resumed.save());
    }

    #[test]
    fn weight_decay_and_no_clipping_equal_the_formula() {
        let device = Device::flex().autodiff();
        let model = linear(&device);
        let x = Tensor::<2>::from_data([[3.0f32, 4.0]], &device);
        let mut optimizer = ClippedAdam::new(AdamSettings {
            weight_decay: 0.5,
            ..settings(0.0)
        });
        let gradients = backward(&model, model.forward(x).sum());
        let (model, norm) = optimizer.step(model, gradients, 0.1, &device);
        // Adam's first step is lr · sign(g); the weight 0.5 loses 0.1 · 0.5 · 0.5 besides.
        let got = model.weight.val().into_data().iter::<f32>().next().unwrap();
        assert!((got - (0.5 - 0.1 - 0.025)).abs() < 1e-5, "{got}");
        assert!(norm.into_scalar::<f32>() > 1.0);
    }

    #[test]
    fn vectors_decay_only_where_they_are_to() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_data([[3.0f32, 4.0]], &device);
        let biases = |decay_vectors| {
            let mut model = linear(&device);
            model.bias = model
                .bias
                .map(|bias| bias.map(|b| b.ones_like().require_grad()));
            let mut optimizer = ClippedAdam::new(AdamSettings {
                weight_decay: 0.5,
                decay_vectors,
                ..settings(0.0)
            });
            let gradients = backward(&model, model.forward(x.clone()).sum());
            let (model, _) = optimizer.step(model, gradients, 0.1, &device);
            let weight = model.weight.val().into_data().iter::<f32>().next().unwrap();
            assert!((weight - (0.5 - 0.1 - 0.025)).abs() < 1e-5, "{weight}");
            model
                .bias
                .unwrap()
                .val()
                .into_data()
                .iter::<f32>()
                .next()
                .unwrap()
        };
        assert!((biases(false) - 0.9).abs() < 1e-5);
        assert!((biases(true) - 0.85).abs() < 1e-5);
    }

    #[test]
    fn a_head_learns_at_its_own_rate() {
        let device = Device::flex().autodiff();
        let model = linear(&device);
        let x = Tensor::<2>::from_data([[3.0f32, 4.0]], &device);
        let mut optimizer = ClippedAdam::new(AdamSettings {
            head: Some(HeadRate {
                module: "weight",
                factor: 3.0,
            }),
            ..settings(0.0)
        });
        let bias = |model: &Linear| model.bias.as_ref().unwrap().val().into_data();
        let before: f32 = bias(&model).iter().next().unwrap();
        let gradients = backward(&model, model.forward(x).sum());
        let (model, _) = optimizer.step(model, gradients, 0.1, &device);
        let weight: f32 = model.weight.val().into_data().iter().next().unwrap();
        // Adam's first step is the rate in the direction of the gradient.
        assert!((weight - (0.5 - 0.3)).abs() < 1e-5, "{weight}");
        let after: f32 = bias(&model).iter().next().unwrap();
        assert!((after - (before - 0.1)).abs() < 1e-5, "{before} {after}");
    }
}
