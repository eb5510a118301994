//! Gradients, and queries that have none.

use burn::module::{Flag, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::Gradients;
use sparta_model::layer::mechanism::bound;
use sparta_ops::attention::AttentionOptions;

use super::*;

/// Gives every trained parameter numbers that are the same in every run.
struct Settle;

impl ModuleMapper for Settle {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match param.is_require_grad() {
            false => param,
            true => param.map(|old| shifted(old.clone(), 0.0, Some(old.dims()))),
        }
    }

    // Gates are not drawn: differences need the same twice.
    fn map_flag(&mut self, param: Param<Flag>) -> Param<Flag> {
        param.with_value(false)
    }
}

/// `old + step · direction`, or the direction itself in place of it, tracked as before.
fn shifted<const D: usize>(old: Tensor<D>, step: f64, instead: Option<[usize; D]>) -> Tensor<D> {
    let device = old.device().inner();
    let new = match instead {
        Some(shape) => tensor(shape, 77, &device),
        None => {
            let direction = tensor(old.dims(), 78, &device);
            old.inner() + direction.mul_scalar(step)
        }
    };
    Tensor::from_inner(new).require_grad()
}

/// A mechanism whose parameters do not depend on the run.
fn trained(config: &MechanismConfig, device: &Device) -> Mechanism {
    bound(config.init(SHAPE, device).map(&mut Settle))
}

/// Moves every trained parameter along a direction.
struct Shift(f64);

impl ModuleMapper for Shift {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match param.is_require_grad() {
            false => param,
            true => param.map(|old| shifted(old, self.0, None)),
        }
    }
}

/// The slope along that direction, and how many parameters are trained: random features are not.
struct Slope<'a> {
    gradients: &'a Gradients,
    sum: f64,
    n_trained: usize,
}

impl ModuleVisitor for Slope<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        self.n_trained += 1;
        if let Some(gradient) = param.val().grad(self.gradients) {
            self.sum += dot(gradient, 78);
        }
    }
}

/// The product with [`numbers`] of a seed.
fn dot<const D: usize>(tensor: Tensor<D>, seed: u64) -> f64 {
    let found = values(tensor);
    let other = numbers(found.len(), seed);
    let products = found.iter().zip(&other);
    products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[test]
fn gradients_are_the_slopes() {
    const STEP: f64 = 1e-3;
    let device = Device::flex().autodiff();
    for config in every() {
        let made = trained(&config, &device);
        let options = AttentionOptions::default;
        let loss = |mechanism: &Mechanism, inputs: [Tensor<4>; 3]| {
            dot(mechanism.attend_all(inputs, options()), 79)
        };
        let at = inputs(BATCH, SEQ, &device).map(Tensor::require_grad);
        let weights = tensor([BATCH, SHAPE.n_heads, SEQ, SHAPE.d_head], 79, &device);
        let output = made.attend_all(at.clone(), options());
        let gradients = (output * weights).sum().backward();

        let here = loss(&made, at.clone());
        // Sparse maps have kinks: the gradient is that of one side of the point.
        let close = |what: &str, slope: f64, before: f64, after: f64| {
            let sides = [(here - before) / STEP, (after - here) / STEP];
            println!("{config}, {what}: gradient {slope:.4}, differences {sides:.4?}");
            let [low, high] = [sides[0].min(sides[1]), sides[0].max(sides[1])];
            let off = (low - slope).max(slope - high);
            assert!(off < 1e-2 * (1.0 + slope.abs()), "{config}, {what}");
            assert!(slope != 0.0, "{config}, {what}: no gradient");
        };
        for (i, what) in ["query", "key", "value"].into_iter().enumerate() {
            let gradient = at[i].grad(&gradients).expect("a gradient");
            let moved = |step: f64| {
                let mut moved = at.clone();
                moved[i] = shifted(at[i].clone(), step, None);
                loss(&made, moved)
            };
            close(what, dot(gradient, 78), moved(-STEP), moved(STEP));
        }
        let mut slope = Slope {
            gradients: &gradients,
            sum: 0.0,
            n_trained: 0,
        };
        made.visit(&mut slope);
        if slope.n_trained > 0 {
            let moved = |step| loss(&made.clone().map(&mut Shift(step)), at.clone());
            close("parameters", slope.sum, moved(-STEP), moved(STEP));
        }
    }
}

/// An example without a key gives zeros and gets no gradient; nothing becomes NaN.
#[test]
fn queries_without_a_key_give_zeros_and_get_no_gradient() {
    let device = Device::flex().autodiff();
    let row = SEQ * SHAPE.n_heads * SHAPE.d_head;
    for config in able(|abilities| abilities.key_padding) {
        let padding = cells([BATCH, SEQ], &device, |cell| cell / SEQ == 1);
        let options = AttentionOptions::default().key_padding(padding);
        let made = trained(&config, &device);
        let at = inputs(BATCH, SEQ, &device).map(Tensor::require_grad);
        let output = made.attend_all(at.clone(), options);
        let found = values(output.clone());
        assert!(
            found[row..2 * row].iter().all(|value| *value == 0.0),
            "{config}"
        );
        assert!(found[..row].iter().any(|value| *value != 0.0), "{config}");
        let gradients = output.powi_scalar(2).sum().backward();
        for tensor in &at {
            let gradient = values(tensor.grad(&gradients).expect("a gradient"));
            assert!(gradient.iter().all(|value| value.is_finite()), "{config}");
            let hidden = &gradient[row..2 * row];
            assert!(hidden.iter().all(|value| *value == 0.0), "{config}");
        }
    }
}
