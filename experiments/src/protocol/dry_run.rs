//! `--dry-run`: resolve, open the device, a training step of each variant; write nothing.

use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use burn::module::Module;
use burn::tensor::Device;

use super::cost::{Cost, available_memory, gigabytes};
use super::rows::Row;
use super::run::Run;
use super::task::{BothMasks, Phase, Task};
use super::variant::Variant;
use crate::device::{self, OpenDevice};
use crate::io::print_line;
use crate::recipe::Recipe;
use crate::train::watch::duration;
use crate::train::{Objective, short};

/// What one variant takes.
struct Steps {
    /// Steps of its dense model.
    dense: u64,
    /// Models trained again, and steps of each.
    again: (usize, u64),
    /// Whether training may end early.
    is_at_most: bool,
}

impl Steps {
    fn of<T: Task>(task: &T, recipe: &T::Recipe, variant: &Variant) -> Self {
        let steps = |phase| task.training(variant, phase).schedule.steps;
        let start = recipe.retrain_start();
        let rows = Row::all(&variant.pruned, recipe.masks());
        let n = rows
            .iter()
            .filter(|row| row.is_trained_again(start))
            .count();
        Self {
            dense: steps(Phase::Dense),
            again: (n, steps(Phase::Again)),
            is_at_most: [Phase::Dense, Phase::Again]
                .into_iter()
                .any(|phase| task.training(variant, phase).patience > 0),
        }
    }

    fn total(&self) -> f64 {
        let (n, steps) = self.again;
        self.dense as f64 + n as f64 * steps as f64
    }
}

/// Tries a recipe without leaving a trace.
///
/// # Errors
/// What would also stop the run itself.
pub(crate) fn run<T: Task>(run: &Run<'_, T::Recipe>) -> Result<()> {
    (run.recipe.precision()).within(|| try_recipe::<T>(run))
}

/// The same, in the precision of the recipe.
fn try_recipe<T: Task>(run: &Run<'_, T::Recipe>) -> Result<()> {
    let (request, recipe) = (run.request, run.recipe);
    let on = device::open(request.device, T::Recipe::PROGRAM)?;
    request.attention.on(&on.device)?;
    on.check_precision(recipe.precision())?;
    let mut task = T::stand_in(run)?;
    let variants = T::variants(recipe)?;
    for variant in &variants {
        task.check(variant)?;
    }
    print_line(format!(
        "recipe      {} ({})",
        recipe.table(),
        short(&recipe.hash())
    ))?;
    print_line(format!("device      {}", on.note))?;
    print_line(format!("precision   {}", recipe.precision()))?;
    for (i, line) in task.describe().iter().enumerate() {
        let label = if i == 0 { "data" } else { "" };
        print_line(format!("{label:12}{}", line.trim_start_matches("data: ")))?;
    }
    let cost = largest(variants.iter().map(|of| task.cost(of)));
    let steps: Vec<Steps> = variants
        .iter()
        .map(|of| Steps::of(&task, recipe, of))
        .collect();
    let (n_seeds, n_rows) = (
        recipe.seeds().len(),
        steps.iter().map(|s| s.again.0).sum::<usize>(),
    );
    print_line(format!("parameters  {}", cost.n_params))?;
    print_line(format!(
        "tokens/step {} at most, padding included",
        cost.tokens * task.n_parts()
    ))?;
    print_line(format!(
        "table       {n_seeds} seed(s) × ({} dense model(s) + {n_rows} rows {})",
        variants.len(),
        recipe.retrain_start().words()
    ))?;
    let mut said = Vec::new();
    for reason in variants.iter().filter_map(Variant::is_dense_alone) {
        if !said.contains(&reason) {
            print_line(format!(
                "            a dense model alone, no masks: {reason}"
            ))?;
            said.push(reason);
        }
    }
    print_line(format!(
        "memory      about {} (weights, gradients, optimiser {}; one batch {})",
        gigabytes(cost.parameter_bytes() + cost.activation_bytes()),
        gigabytes(cost.parameter_bytes()),
        gigabytes(cost.activation_bytes())
    ))?;
    let available = on.choice.is_cpu().then(available_memory);
    if let (Some(free), Some(decoding)) = (available, cost.decoding) {
        decoding.check(free)?;
    }
    let n_positions: Vec<f64> = variants
        .iter()
        .map(|of| task.positions_per_step(of))
        .collect();
    let fits = |bytes: f64| available.is_none_or(|a| bytes < 0.9 * a);
    if !fits(cost.parameter_bytes() + cost.activation_bytes()) {
        let free = available.map(gigabytes).unwrap_or_default();
        print_line(format!(
            "            more than the free memory ({free}): a batch of one example is tried"
        ))?;
        task = task.with_one_example();
        let one = largest(variants.iter().map(|of| task.cost(of)));
        if !fits(one.gradient_bytes() + one.activation_bytes()) {
            bail!(
                "not even a step on one example fits: it needs about {}, and {free} are free; make `[model]` smaller, or \
                 train where there is more memory",
                gigabytes(one.gradient_bytes() + one.activation_bytes())
            );
        }
    }
    // Seconds of a position by mechanism: the same network takes as long for one of another data set, where it is only
    // tried; how many a step has is another matter, where batches are as wide as their longest example.
    let mut timed: Vec<(&Variant, f64)> = Vec::new();
    let mut seconds = 0.0;
    for ((variant, steps), n_positions) in variants.iter().zip(&steps).zip(n_positions) {
        let same = |(of, _): &&(&Variant, f64)| of.mechanisms == variant.mechanisms;
        let known = timed.iter().find(same).map(|&(_, seconds)| seconds);
        let tried = try_step(&task, variant, recipe.seeds()[0], (&on, known.is_none()))?;
        print_line(format!(
            "step, {}: forward and backward in {:.2} s, {:.0} tokens/s, loss {:.3} on untrained weights",
            variant.words(),
            tried.seconds,
            tried.tokens / tried.seconds,
            tried.loss
        ))?;
        let of_position = known.unwrap_or(tried.seconds / task.positions_per_step(variant));
        timed.push((variant, of_position));
        let all = of_position * n_positions * steps.total() * n_seeds as f64;
        let (n, again) = steps.again;
        print_line(format!(
            "            {} steps dense, {n} × {again} steps again: {} {}",
            steps.dense,
            about(steps.is_at_most),
            duration(all)
        ))?;
        seconds += all;
    }
    print_line(format!(
        "all models  {} {} (updates, validating, observing and testing add to it)",
        about(steps.iter().any(|of| of.is_at_most)),
        duration(seconds)
    ))?;
    print_line(format!(
        "run folder  {} (not made: this was a dry run)",
        run.folder.root().display()
    ))?;
    Ok(())
}

/// How sure a time is.
fn about(is_at_most: bool) -> &'static str {
    match is_at_most {
        true => "at most about",
        false => "about",
    }
}

/// The variant of most parameters.
fn largest(costs: impl Iterator<Item = Cost>) -> Cost {
    costs
        .max_by_key(|cost| cost.n_params)
        .expect("a recipe has at least one variant")
}

/// A step without an update.
struct Tried {
    loss: f64,
    seconds: f64,
    tokens: f64,
}

/// Training steps without an update on new weights up to one that is like most, the first to warm up; where only trying is
/// wanted, one.
fn try_step<T: Task>(
    task: &T,
    variant: &Variant,
    seed: u64,
    (on, is_timed): (&OpenDevice, bool),
) -> Result<Tried> {
    let device = on.device.clone().autodiff();
    let network = task.network(variant, seed, &device)?;
    let masks = BothMasks {
        training: task.masks(None, &device)?,
        plain: task.masks(None, &on.device)?,
    };
    let mut objective = task.objective(variant, seed, masks, &device)?;
    let mut tried = step(&mut objective, &network, 0, &device)?;
    if is_timed {
        for at in 1..=objective.typical_step() {
            tried = step(&mut objective, &network, at, &device)?;
        }
    }
    Ok(tried)
}

fn step<M: Module, O: Objective<M>>(
    objective: &mut O,
    network: &M,
    step: u64,
    device: &Device,
) -> Result<Tried> {
    let started = Instant::now();
    // The parts of a step are alike.
    let n_parts = objective.n_parts(step) as f64;
    let loss = objective.loss(network, step, 0)?;
    let _gradients = loss.backward();
    device
        .sync()
        .map_err(|e| anyhow!("the device failed in a step: {e:?}"))?;
    Ok(Tried {
        loss: n_parts * f64::from(loss.inner().into_scalar::<f32>()),
        seconds: n_parts * started.elapsed().as_secs_f64(),
        tokens: objective.tokens_per_step(),
    })
}
