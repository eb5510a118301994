//! One step: loss, gradients, optimiser.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use sparta_model::layer::mechanism::{bound, redraw};
use sparta_ops::profile::span;

use super::Run;
use crate::train::loss_scale::Outcome;
use crate::train::watch::number;
use crate::train::{Diverged, LossScale, Objective, learned, rng};

impl<M: Module, L: Objective<M>> Run<'_, M, L> {
    pub(super) fn one_step(&mut self) -> Result<()> {
        let (step, arguments) = (self.step, self.arguments);
        let model = self
            .model
            .take()
            .context("the model was lost in training")?;
        let model = match arguments.config.redraws_before(step) {
            true => {
                let seed = rng::hash(arguments.identity.seed, rng::Purpose::Features, step);
                redraw(model, seed)
            }
            false => model,
        };
        self.device
            .seed(rng::hash(arguments.identity.seed, rng::Purpose::Step, step));
        let (value, mut gradients) = self.gradients(&model, step)?;
        let lr = arguments.config.schedule.at(step);
        if !self.unscale(&model, &mut gradients, (&value, lr))? {
            self.model = Some(model);
            self.step += 1;
            return Ok(());
        }
        let (model, norm) = span("optimiser", || {
            self.optimizer.step(model, gradients, lr, self.device)
        });
        let model = match self.is_penalised {
            true => bound(model),
            false => model,
        };
        self.model = Some(model);
        // The step before is read only now, when this one is on its way to the device.
        self.read_pending()?;
        self.pending = Some((step + 1, lr, Tensor::cat(vec![value, norm], 0)));
        self.step += 1;
        Ok(())
    }

    /// Divides gradients by what the loss was multiplied by; whether the step is made, and not skipped because some of them
    /// are not finite.
    fn unscale(
        &mut self,
        model: &M,
        gradients: &mut GradientsParams,
        (loss, lr): (&Tensor<1>, f64),
    ) -> Result<bool> {
        let Some(scale) = &mut self.loss_scale else {
            return Ok(true);
        };
        let is_finite = scale.unscale(model, gradients)?;
        let outcome = scale.after(is_finite);
        if outcome == Outcome::Good {
            return Ok(true);
        }
        self.read_pending()?;
        let loss = f64::from(loss.clone().into_scalar::<f32>());
        if outcome == Outcome::Diverged {
            return Err(self.diverged((self.step + 1, lr), (loss, f64::INFINITY)));
        }
        if !loss.is_finite() {
            // What overflowed in the forward pass is not remembered.
            self.objective.restore(BTreeMap::new())?;
        }
        Ok(false)
    }

    /// How many steps were skipped, where some were.
    pub(super) fn skipped_words(&self) -> String {
        match self.loss_scale.map(LossScale::skipped) {
            None | Some(0) => String::new(),
            Some(n) => format!(" ({n} skipped, whose gradients overflowed)"),
        }
    }

    /// Loss and gradients of a step, its parts added up; the gradients are those of the scaled loss, where there is a scale.
    fn gradients(&mut self, model: &M, step: u64) -> Result<(Tensor<1>, GradientsParams)> {
        let n_parts = self.objective.n_parts(step);
        let factor = self.loss_scale.map(LossScale::factor);
        let mut part = |part| -> Result<_> {
            let loss = span("forward", || self.objective.loss(model, step, part))?;
            // What is told is the task's loss.
            let value = loss.clone().inner();
            let penalty = match part {
                0 => learned::penalty(&self.objective.mechanisms(model)),
                _ => None,
            };
            let loss = match penalty {
                Some(penalty) => loss + penalty,
                None => loss,
            };
            let loss = match factor {
                Some(factor) => loss.mul_scalar(factor),
                None => loss,
            };
            let gradients = span("backward", || {
                GradientsParams::from_grads(loss.backward(), model)
            });
            Ok((value, gradients))
        };
        let (mut value, first) = part(0)?;
        if n_parts <= 1 {
            return Ok((value, first));
        }
        let mut sum = GradientsAccumulator::new();
        sum.accumulate(model, first);
        for index in 1..n_parts {
            let (more, gradients) = part(index)?;
            value = value + more;
            sum.accumulate(model, gradients);
        }
        Ok((value, sum.grads()))
    }

    /// Reads loss and norm of the last step and stops the run if they are not finite.
    pub(super) fn read_pending(&mut self) -> Result<()> {
        let Some((step, lr, pair)) = self.pending.take() else {
            return Ok(());
        };
        let pair = pair
            .try_into_vec_as::<f32>()
            .map_err(|e| anyhow::anyhow!("cannot read the loss from the device: {e:?}"))?;
        let (loss, norm) = (f64::from(pair[0]), f64::from(pair[1]));
        if !loss.is_finite() || !norm.is_finite() {
            return Err(self.diverged((step, lr), (loss, norm)));
        }
        self.window.loss += loss;
        self.window.n += 1;
        self.window.norm = norm;
        self.window.lr = lr;
        self.progress.at(step, &format!("loss {loss:.3}"))
    }

    /// Notes a step whose loss or gradient is not finite; gives the error.
    fn diverged(&mut self, (step, lr): (u64, f64), (loss, norm): (f64, f64)) -> anyhow::Error {
        let fields = [number("train/nll", loss), number("train/grad_norm", norm)];
        let _ = self.metrics.write(step, fields);
        Diverged {
            identity: self.arguments.identity.clone(),
            step,
            lr,
            loss,
            norm,
            kept: self.kept,
        }
        .into()
    }
}
