//! `--dry-run`: resolve, open the device, a timed step, a small one for each further task; write nothing.

use std::time::Instant;

use anyhow::{Result, anyhow};
use sparta_model::bert::BertConfig;

use super::pretrained::Pretrained;
use super::subject::{Fit, Subject};
use crate::device::{self, OpenDevice};
use crate::protocol::cost::{available_memory, gigabytes};
use crate::protocol::init::new_weights;
use crate::protocol::{Request, Row, RunFolder};
use crate::recipe::{EncoderRecipe, RetrainStart};
use crate::train::short;
use crate::train::watch::duration;

/// Copies of a layer's hidden states that autodiff keeps.
const HIDDEN_COPIES: f64 = 20.0;
/// Copies of the inner feed-forward states.
const INNER_COPIES: f64 = 4.0;
/// Copies of a layer's attention weights.
const WEIGHT_COPIES: f64 = 5.0;
/// Examples on which the tasks after the first are tried: the network is the same, and so is its time.
const LATER_EXAMPLES: usize = 2;

/// A recipe that is tried without leaving a trace.
pub(in crate::task) struct DryRun<'a, R: EncoderRecipe> {
    recipe: &'a R,
    folder: &'a RunFolder,
    config: &'a BertConfig,
    opened: OpenDevice,
    /// Seconds an example takes, once a batch was timed.
    per_example: Option<f64>,
    seconds: f64,
}

impl<'a, R: EncoderRecipe> DryRun<'a, R> {
    /// Opens the device and says what the recipe costs.
    ///
    /// # Errors
    /// A device that does not open.
    pub(in crate::task) fn start(
        request: &'a Request<R>,
        folder: &'a RunFolder,
        pretrained: &'a Pretrained,
    ) -> Result<Self> {
        let recipe = &request.recipe;
        let dry = Self {
            recipe,
            folder,
            config: &pretrained.config,
            opened: device::open(request.device, R::PROGRAM)?,
            per_example: None,
            seconds: 0.0,
        };
        println!("recipe      {} ({})", recipe.table(), short(&recipe.hash()));
        println!("device      {}", dry.opened.note);
        println!("weights     {}", pretrained.origin);
        println!("parameters  {} and a head", dry.config.n_params());
        println!(
            "table       {} seed(s) × (1 dense model + {} rows, {}) a task",
            recipe.seeds().len(),
            dry.models() - 1,
            recipe.retrain_start().words()
        );
        println!(
            "memory      about {} (weights, gradients, optimiser {}; one batch {})",
            gigabytes(dry.parameter_bytes() + dry.batch_bytes(recipe.train().batch_size)),
            gigabytes(dry.parameter_bytes()),
            gigabytes(dry.batch_bytes(recipe.train().batch_size))
        );
        Ok(dry)
    }

    /// Models of a task and seed.
    fn models(&self) -> usize {
        let rows = Row::all(self.recipe.masks()).len();
        match self.recipe.retrain_start() {
            RetrainStart::Pretrained | RetrainStart::Scratch => rows,
            RetrainStart::Dense => rows + 1,
        }
    }

    /// Weights, gradients, two moments, and one more while updating.
    fn parameter_bytes(&self) -> f64 {
        self.config.n_params() as f64 * 4.0 * 5.0
    }

    /// Bytes that the activations of a batch take.
    fn batch_bytes(&self, batch_size: usize) -> f64 {
        let (c, seq) = (self.config, self.recipe.max_len() as f64);
        let hidden = c.d_model as f64 * HIDDEN_COPIES + c.d_ff as f64 * INNER_COPIES;
        let weights = c.n_heads as f64 * seq * WEIGHT_COPIES;
        4.0 * batch_size as f64 * seq * c.n_layers as f64 * (hidden + weights)
    }

    /// A step of a task on its own examples.
    ///
    /// # Errors
    /// What would also stop the run itself.
    pub(in crate::task) fn step<S: Subject>(&mut self, subject: &S, origin: &str) -> Result<()> {
        println!("data        {origin}");
        self.try_step(subject, subject.n_train())
    }

    /// A step of a task on made-up examples that stand for `n_train` others.
    ///
    /// # Errors
    /// What would also stop the run itself.
    pub(in crate::task) fn stand_in_step<S: Subject>(
        &mut self,
        subject: &S,
        name: &str,
        n_train: usize,
    ) -> Result<()> {
        println!(
            "data        {name} is not at hand: a SYNTHETIC batch, {n_train} training examples as \
             published; give the files by `--data DIR`"
        );
        self.try_step(subject, n_train)
    }

    fn try_step<S: Subject>(&mut self, subject: &S, n_train: usize) -> Result<()> {
        let train = self.recipe.train();
        let steps = train.steps_for(n_train);
        let label = format!("step, {}", subject.name());
        let available = self.opened.choice.is_cpu().then(available_memory);
        let fits = |bytes: f64| available.is_none_or(|a| bytes < 0.9 * a);
        // A step without the update: weights and gradients.
        let weights = 0.4 * self.parameter_bytes();
        let most = match self.per_example {
            None => train.batch_size,
            Some(_) => train.batch_size.min(LATER_EXAMPLES),
        };
        let sizes = [most.min(subject.n_train()), 1];
        let Some(size) = sizes
            .into_iter()
            .find(|&size| fits(weights + self.batch_bytes(size)))
        else {
            println!("{label}: not tried: it exceeds the free memory");
            return Ok(());
        };
        let training = self.opened.device.clone().autodiff();
        let seed = self.recipe.seeds()[0];
        let config = self.config;
        let model = new_weights(seed, &training, |host| subject.init(config, host));
        let fit = Fit {
            model: &model,
            masks: None,
            mask_path: None,
            device: &training,
        };
        let indices: Vec<u32> = (0..size as u32).collect();
        let (mut loss, mut seconds) = (0.0, 0.0);
        // The first time warms up.
        let times = if self.per_example.is_none() { 2 } else { 1 };
        for _ in 0..times {
            let started = Instant::now();
            let value = subject.loss(&fit, &indices)?;
            let _gradients = value.backward();
            training
                .sync()
                .map_err(|e| anyhow!("the device failed in a step: {e:?}"))?;
            loss = value.inner().into_scalar::<f32>();
            seconds = started.elapsed().as_secs_f64();
        }
        println!(
            "{label}: forward and backward of {size} examples in {seconds:.2} s, loss {loss:.3} on \
             untrained weights"
        );
        let per_example = *self.per_example.get_or_insert(seconds / size as f64);
        let models = (self.models() * self.recipe.seeds().len()) as f64;
        let all = per_example * (train.batch_size as u64 * steps) as f64 * models;
        println!(
            "            {steps} steps a model, {models:.0} models: about {} (updates, observing and \
             testing add to it)",
            duration(all)
        );
        self.seconds += all;
        Ok(())
    }

    /// Says what all of it takes.
    pub(in crate::task) fn finish(self) {
        println!("all tasks   about {}", duration(self.seconds));
        println!(
            "run folder  {} (not made: this was a dry run)",
            self.folder.root().display()
        );
    }
}
