//! What happens to the parameters of mechanisms between optimiser steps: bounds, and what is drawn anew.

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;

/// The largest |a| of a gate.
pub(super) const MOST_LOG_ODDS: f64 = 4.6;

/// Where a mechanism's parameter is: the last two names of its path.
const SPAN: [&str; 2] = ["span", "fraction"];
const GATE: [&str; 2] = ["gate", "log_odds"];

/// What the learning rate of these is multiplied by: tokens and log-odds are of another scale than weights.
const RATE: f64 = 10.0;

/// The factor of the learning rate of a parameter that bounds spans or gates heads, given its path; none for every
/// other. Such parameters have no weight decay.
///
/// ```
/// use sparta_model::layer::mechanism::own_rate;
/// let path = ["attention", "mechanism", "DotProduct", "gate", "log_odds"].map(String::from);
/// assert_eq!(own_rate(&path), Some(10.0));
/// assert_eq!(own_rate(&path[..4]), None);
/// ```
pub fn own_rate(path: &[String]) -> Option<f64> {
    let is = |place: [&str; 2]| path.ends_with(&place.map(str::to_owned));
    (is(SPAN) || is(GATE)).then_some(RATE)
}

/// A change of some parameters.
pub(super) trait Change {
    /// The new values of a parameter with this path; none leaves it.
    fn of<const D: usize>(&mut self, path: &[String], old: Tensor<D>) -> Option<Tensor<D>>;
}

/// Changes parameters of a network. What was trained still is, and what was not is not.
pub(super) fn change<M: Module>(network: M, change: impl Change) -> M {
    network.map(&mut Pass {
        path: Vec::new(),
        change,
    })
}

struct Pass<C> {
    path: Vec<String>,
    change: C,
}

impl<C: Change> ModuleMapper for Pass<C> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let old = param.val();
        let (device, tracked) = (old.device(), old.is_require_grad());
        let plain = match device.is_autodiff() {
            true => old.inner(),
            false => old,
        };
        let Some(new) = self.change.of(&self.path, plain) else {
            return param;
        };
        param.map(|_| match device.is_autodiff() {
            true => Tensor::from_inner(new).set_require_grad(tracked),
            false => new,
        })
    }
}

/// Brings the parameters of spans and gates back into their bounds: z/S into [0, 1], a into [−4.6, 4.6]. Training does so
/// after every step.
///
/// # Source
/// Sukhbaatar et al. 2019 and Louizos et al. 2018, by their released code.
///
/// ```
/// use burn::prelude::*;
/// use sparta_model::layer::MultiHeadAttentionConfig;
/// use sparta_model::layer::mechanism::{Mechanism, bound};
/// let device = Device::flex();
/// let config = MultiHeadAttentionConfig::new(8, 2).with_mechanism("softmax+span(s=9)".parse().unwrap());
/// let mut layer = config.init(&device);
/// if let Mechanism::DotProduct(attention) = &mut layer.mechanism {
///     let span = attention.span.as_mut().unwrap();
///     span.fraction = span.fraction.clone().map(|_| Tensor::from_floats([-0.5, 1.5], &device));
/// }
/// let Mechanism::DotProduct(bounded) = bound(layer).mechanism else { unreachable!() };
/// let z = bounded.span.unwrap().span().length.into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(z, [0.0, 9.0]);
/// ```
pub fn bound<M: Module>(network: M) -> M {
    change(network, Bound)
}

struct Bound;

impl Change for Bound {
    fn of<const D: usize>(&mut self, path: &[String], old: Tensor<D>) -> Option<Tensor<D>> {
        let is = |place: [&str; 2]| path.ends_with(&place.map(str::to_owned));
        match (is(SPAN), is(GATE)) {
            (true, _) => Some(old.clamp(0.0, 1.0)),
            (_, true) => Some(old.clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS)),
            (false, false) => None,
        }
    }
}

/// Fixes each gate at 0 where it is below 0.5 in evaluation, else at 1: heads that are pruned, and heads that are
/// whole.
///
/// # Source
/// Voita et al. 2019, section 6.
pub fn settle_gates<M: Module>(network: M) -> M {
    change(network, Settle)
}

struct Settle;

impl Change for Settle {
    fn of<const D: usize>(&mut self, path: &[String], old: Tensor<D>) -> Option<Tensor<D>> {
        // A gate is 0.5 at a = 0.
        path.ends_with(&GATE.map(str::to_owned)).then(|| {
            let closed = old.clone().lower_elem(0.0);
            let open = old.full_like(MOST_LOG_ODDS);
            open.mask_fill(closed, -MOST_LOG_ODDS)
        })
    }
}
