//! A training as its program does it, in turns with the peer's.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use serde_json::{Value, json};
use sparta_experiments::protocol::{BothMasks, Phase, Request, Run, Stage, Variant};
use sparta_experiments::recipe::Recipe;
use sparta_experiments::train::{
    Identity, METRICS, TIMING, TrainingArguments, TrainingConfig, train,
};
use sparta_model::export::{Tensors, export, safetensors};
use sparta_model::layer::{MechanismsByType, NormalizerConfig};
use sparta_ops::attention::Implementation;
use tempfile::TempDir;

use crate::arithmetic::Arithmetic;
use crate::compared::Compared;
use crate::options::Options;
use crate::peer::Peer;
use crate::report::{Report, Row};

/// A training of a program, and what differs from its recipe.
pub struct Case {
    pub name: &'static str,
    /// [`compare`] of its task.
    pub compare: fn(&Case, &Options, &mut Report) -> Result<()>,
    pub recipe: &'static str,
    pub edits: &'static [&'static str],
    /// Further edits under which both sides compute the same.
    pub without_dropout: &'static [&'static str],
    pub normalizer: NormalizerConfig,
    /// Whether all batches have one shape: otherwise torch.compile compiles for each anew.
    pub is_one_shape: bool,
}

/// Steps before those that are timed, and between two looks at the clock.
const WARM: usize = 5;
/// Steps of which losses and norms are compared.
const COMPARED: usize = 10;
const SEED: u64 = 1;

/// A task with its data opened, ready to be trained from its first weights as often as it is asked for.
struct Training<T: Compared> {
    task: T,
    recipe: T::Recipe,
    of: Variant,
    device: Device,
    /// Where the data are.
    _folder: TempDir,
}

/// What a training said.
struct Said {
    /// Loss and norm of the gradient of each step.
    steps: Vec<[f64; 2]>,
    /// Steps and the seconds that they took, from the start.
    clock: Vec<(usize, f64)>,
}

impl<T: Compared> Training<T> {
    fn open(case: &Case, edits: &[&str], options: &Options) -> Result<Self> {
        let edits: Vec<String> = edits.iter().map(|&edit| edit.to_owned()).collect();
        let recipe = T::Recipe::load(case.recipe, &edits)?;
        let folder = tempfile::tempdir()?;
        let request = Request {
            stage: Stage::Train,
            recipe,
            device: options.choice,
            attention: Implementation::Auto,
            dry_run: false,
            only_seeds: false,
            only_tasks: false,
            resume: false,
            is_mixed: false,
            out: Some(folder.path().join("run")),
            data: None,
            weights: None,
            profile: false,
            quiet: true,
        };
        let task = T::opened(&Run::new(&request))?;
        let recipe = request.recipe;
        let wanted = MechanismsByType::from(case.normalizer);
        let of = T::variants(&recipe)?;
        let of = of.into_iter().find(|of| of.mechanisms == wanted);
        Ok(Self {
            of: of.with_context(|| format!("{} has no variant with {wanted}", case.recipe))?,
            task,
            recipe,
            device: options.device()?.autodiff(),
            _folder: folder,
        })
    }

    /// The recipe's training for so many steps, with a line of metrics every few.
    fn config(&self, steps: usize, log_every: usize) -> TrainingConfig {
        let mut config = self.task.training(&self.of, Phase::Dense);
        config.schedule.steps = steps as u64;
        config.log_every = log_every as u64;
        config.valid_every = 0;
        config
    }

    fn objective(&self) -> Result<T::Objective<'_>> {
        let plain = self.device.clone().without_autodiff();
        let masks = BothMasks {
            training: self.task.masks(None, &self.device)?,
            plain: self.task.masks(None, &plain)?,
        };
        self.task.objective(&self.of, SEED, masks, &self.device)
    }

    fn network(&self) -> Result<T::Network> {
        self.task.network(&self.of, SEED, &self.device)
    }

    fn train(&self, steps: usize, log_every: usize) -> Result<Said> {
        let folder = tempfile::tempdir()?;
        let identity = Identity {
            recipe_hash: self.recipe.hash(),
            seed: SEED,
            run: "bench".to_owned(),
        };
        let arguments = TrainingArguments::alone(identity, self.config(steps, log_every));
        let mut objective = self.objective()?;
        let path = folder.path();
        train(
            self.network()?,
            &mut objective,
            &arguments,
            path,
            &self.device,
        )?;
        let mut said = Said {
            steps: Vec::new(),
            clock: Vec::new(),
        };
        for line in lines(&path.join(METRICS))? {
            let number = |key: &str| line[key].as_f64();
            if let (Some(loss), Some(norm)) = (number("train/nll"), number("train/grad_norm")) {
                said.steps.push([loss, norm]);
            }
        }
        for line in lines(&path.join(TIMING))? {
            let (step, seconds) = (line["step"].as_u64(), line["seconds"].as_f64());
            let (step, seconds) = step
                .zip(seconds)
                .context("a line of times without a time")?;
            said.clock.push((step as usize, seconds));
        }
        Ok(said)
    }

    /// Leaves weights and batches of so many steps for the peer, and has it train on them once.
    fn open_peer(&self, peer: &mut Peer, steps: usize) -> Result<Vec<[f64; 2]>> {
        let exported = export(&self.network()?, T::NAMES)?;
        let mut tensors = Tensors::new();
        let mut objective = self.objective()?;
        for step in 0..steps {
            let batch = T::batch(&mut objective, step as u64)?;
            let named = batch.tensors.into_iter();
            tensors.extend(named.map(|(name, data)| (format!("{step:05}.{name}"), data)));
        }
        peer.write("weights.safetensors", &safetensors(&exported.tensors)?);
        peer.write("batches.safetensors", &safetensors(&tensors)?);
        let rows = |name: &str| exported.tensors[name].shape()[0];
        let mut sizes = T::sizes(&self.recipe, &self.task.cost(&self.of), &rows);
        sizes["normalizer"] = json!(self.of.mechanisms.to_string());
        let config = self.config(steps, 1);
        let adam = config.adam;
        let rates: Vec<f64> = (0..steps as u64).map(|s| config.schedule.at(s)).collect();
        let outputs = peer.open(json!({
            "sizes": sizes,
            "lr": rates,
            "adam": {
                "beta_1": adam.beta_1,
                "beta_2": adam.beta_2,
                "epsilon": adam.epsilon,
                "clip": adam.clip,
                "weight_decay": adam.weight_decay,
            },
        }));
        let [losses, norms] = outputs.try_into().expect("losses and norms");
        Ok(losses.into_iter().zip(norms).map(|(l, n)| [l, n]).collect())
    }
}

fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path)?;
    text.lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

/// That both sides compute the same: the first loss to 1e-4, later ones to 1e-3, norms to a relative 1e-3. Gives the largest
/// difference of losses.
fn check_same(who: &str, ours: &[[f64; 2]], theirs: &[[f64; 2]]) -> Result<f64> {
    ensure!(
        ours.len() == theirs.len() && !ours.is_empty(),
        "{who}: {} steps of ours, {} of theirs",
        ours.len(),
        theirs.len()
    );
    let mut largest: f64 = 0.0;
    for (step, ([loss, norm], [their_loss, their_norm])) in ours.iter().zip(theirs).enumerate() {
        let off = (loss - their_loss).abs();
        let limit = if step == 0 { 1e-4 } else { 1e-3 };
        ensure!(
            off <= limit,
            "{who} computes something else: the loss of step {} is {loss} here and {their_loss} there",
            step + 1
        );
        ensure!(
            (norm - their_norm).abs() <= 1e-3 * norm,
            "{who} computes something else: the gradient of step {} has norm {norm} here and \
             {their_norm} there",
            step + 1
        );
        largest = largest.max(off);
    }
    Ok(largest)
}

/// Compares a training with the peer's, and adds what was measured to the report.
pub fn compare<T: Compared>(case: &Case, options: &Options, report: &mut Report) -> Result<()> {
    let mut peer = options.peer(T::SCRIPT);
    if let Some(peer) = &mut peer {
        report.add_versions(&peer.versions());
        let edits = [case.edits, case.without_dropout].concat();
        let same = Training::<T>::open(case, &edits, options)?;
        let theirs = same.open_peer(peer, COMPARED)?;
        let ours = same.train(COMPARED, 1)?.steps;
        let off = check_same(T::PEER, &ours, &theirs)?;
        report.say(&format!(
            "{}: losses of {COMPARED} steps agree to {off:.0e} (the last: {:.5})",
            case.name,
            ours[COMPARED - 1][0]
        ));
    }

    let training = Training::<T>::open(case, case.edits, options)?;
    let steps = WARM + options.steps;
    let mut objective = training.objective()?;
    let batches = (0..steps as u64).map(|step| T::batch(&mut objective, step));
    let batches = batches.collect::<Result<Vec<_>>>()?;
    let n_tokens: usize = batches[WARM..].iter().map(|b| b.n_tokens).sum();
    let shape = shape(&batches[WARM..].iter().map(|b| b.shape).collect::<Vec<_>>());
    let mut rows = vec![Row::new(case.name, &shape, "")];
    let mut is_compiled = false;
    if let Some(peer) = &mut peer {
        let losses = training.open_peer(peer, steps)?;
        rows[0].peer = format!("PyTorch eager ({})", T::PEER);
        match compiled(case, peer, &losses)? {
            Ok(()) => {
                is_compiled = true;
                rows.push(Row::new(
                    case.name,
                    &shape,
                    &format!("torch.compile ({})", T::PEER),
                ));
            }
            Err(reason) => report.say(&format!("{}: no torch.compile: {reason}", case.name)),
        }
    }
    let rate = |milliseconds: &[f64]| n_tokens as f64 * 1e3 / milliseconds.iter().sum::<f64>();
    for _ in 0..options.rounds {
        if let Some(peer) = &mut peer {
            peer.ask(&json!({"do": "eager"}));
            rows[0].theirs.push(rate(&peer.time()[WARM..]));
            if is_compiled {
                peer.ask(&json!({"do": "compiled"}));
                rows[1].theirs.push(rate(&peer.time()[WARM..]));
            }
        }
        let clock = training.train(steps, WARM)?.clock;
        let (first, last) = (clock.first(), clock.last());
        let (first, last) = first.zip(last).context("no times")?;
        ensure!(
            first.0 == WARM && last.0 == steps,
            "times of steps {} to {}",
            first.0,
            last.0
        );
        let ours = n_tokens as f64 / (last.1 - first.1);
        rows.iter_mut().for_each(|row| row.ours.push(ours));
    }
    let exported = export(&training.network()?, T::NAMES)?;
    let limit = peer.as_mut().and_then(|peer| {
        let rows = |name: &str| exported.tensors[name].shape()[0];
        let flop = T::flop_per_token(&training.recipe, &batches[steps - 1], &rows)?;
        Some((flop, peer.ask(&json!({"do": "matmul"})).as_f64()?))
    });
    for row in &rows {
        report.say(&row.to_string());
    }
    if let Some((flop_per_token, matmul)) = limit {
        let arithmetic = Arithmetic::new(flop_per_token, matmul, &rows[0]);
        report.say(&format!("{}: {arithmetic}", case.name));
        report.arithmetic.push((case.name, arithmetic));
    }
    report.rows.extend(rows);
    Ok(())
}

/// Has the peer go over to torch.compile; the reason where it does not.
fn compiled(
    case: &Case,
    peer: &mut Peer,
    eager: &[[f64; 2]],
) -> Result<std::result::Result<(), String>> {
    if !case.is_one_shape {
        return Ok(Err(
            "batches differ in shape, and each is compiled anew".to_owned()
        ));
    }
    let answer = peer.ask(&json!({"do": "compile"}));
    if let Some(reason) = answer["reason"].as_str() {
        return Ok(Err(reason.to_owned()));
    }
    let losses: Vec<f64> = serde_json::from_value(answer["losses"].clone())?;
    // Dropout draws other numbers there.
    if case.without_dropout.is_empty() {
        for (loss, [eager, _]) in losses.iter().zip(eager) {
            let off = (loss - eager).abs();
            ensure!(
                off < 1e-3,
                "compiled, the peer's loss is {loss}, and {eager} eager"
            );
        }
    }
    Ok(Ok(()))
}

/// `16x64`, or where batches differ the mean of them.
fn shape(shapes: &[[usize; 2]]) -> String {
    let mean = |i: usize| {
        let sum: usize = shapes.iter().map(|shape| shape[i]).sum();
        sum as f64 / shapes.len() as f64
    };
    match shapes.iter().all(|shape| *shape == shapes[0]) {
        true => format!("{}x{}", shapes[0][0], shapes[0][1]),
        false => format!("~{:.0}x{:.0}", mean(0), mean(1)),
    }
}
