//! The loop on a regression small enough to compute by hand, without a language model.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Result, ensure};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use serde_json::Value;
use sparta_model::Precision;
use sparta_model::layer::{
    Mechanism, MultiHeadAttention, MultiHeadAttentionConfig, PlacedMechanism,
};
use sparta_ops::pruning::AttentionType;

use super::watch::Interrupted;
use super::*;

/// Fits y = 0 from two numbers that depend on the step; carries a running total.
struct Regression {
    device: Device,
    total: f32,
    nan_at: Option<u64>,
    /// The first of many.
    nan_from: Option<u64>,
    /// Validations until one is interrupted; negative where none is.
    validations_left: i64,
}

impl Regression {
    fn new(device: &Device, nan_at: Option<u64>) -> Self {
        Self {
            device: device.clone(),
            total: 0.0,
            nan_at,
            nan_from: None,
            validations_left: -1,
        }
    }
}

impl Objective<Linear> for Regression {
    fn loss(&mut self, model: &Linear, step: u64, _part: usize) -> Result<Tensor<1>> {
        let x = if self.nan_at == Some(step) || self.nan_from.is_some_and(|from| step >= from) {
            f32::NAN
        } else {
            1.0 + step as f32 / 10.0
        };
        self.total += x;
        let x = Tensor::<2>::from_data([[x, self.total]], &self.device);
        Ok(model.forward(x).square().mean())
    }
    fn tokens_per_step(&self) -> f64 {
        1.0
    }
    fn validate(&mut self, model: &Linear) -> Result<Validation> {
        self.validations_left -= 1;
        if self.validations_left == 0 {
            return Err(watch::interrupted("validation").into());
        }
        let x = Tensor::<2>::from_data([[1.0f32, 20.0]], &self.device);
        let loss = model.forward(x).square().mean().into_scalar::<f32>();
        Ok(Validation::of(f64::from(loss)))
    }
    fn state(&self) -> BTreeMap<String, TensorData> {
        BTreeMap::from([("total".to_owned(), TensorData::from([self.total]))])
    }
    fn restore(&mut self, carried: BTreeMap<String, TensorData>) -> Result<()> {
        // Nothing is remembered where the text starts again.
        let total = carried
            .get("total")
            .map(|total| total.iter::<f32>().next().unwrap());
        self.total = total.unwrap_or_default();
        Ok(())
    }
}

fn arguments(steps: u64, checkpoint_every: u64) -> TrainingArguments {
    TrainingArguments {
        identity: Identity {
            recipe_hash: "h".into(),
            seed: 5,
            run: "dense".into(),
        },
        config: TrainingConfig {
            schedule: Schedule {
                name: ScheduleName::Cosine,
                peak: 0.05,
                warmup_steps: 2,
                steps,
            },
            adam: AdamSettings {
                beta_1: 0.9,
                beta_2: 0.999,
                epsilon: 1e-8,
                clip: 0.25,
                weight_decay: 0.0,
                decay_vectors: true,
                head: None,
            },
            selection: Selection::Last,
            log_every: 2,
            valid_every: 0,
            patience: 0,
            checkpoint_every,
            redraw_every: 0,
        },
        precision: Precision::F32,
        resume: true,
        quiet: true,
        tracker: Rc::default(),
    }
}

fn model(device: &Device) -> Linear {
    let fixed = BTreeMap::from([
        ("weight".to_owned(), TensorData::from([[0.5f32], [-0.25]])),
        ("bias".to_owned(), TensorData::from([0.125f32])),
    ]);
    set_parameters(LinearConfig::new(2, 1).init(device), fixed).unwrap()
}

#[test]
fn a_run_that_stops_at_a_checkpoint_goes_on_to_the_same_bits() {
    let device = Device::flex().autodiff();
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut objective = Regression::new(&device, None);
    let all = train(
        model(&device),
        &mut objective,
        &arguments(20, 7),
        whole.path(),
        &device,
    )
    .unwrap();
    // Stops like a crash: the NaN of step 12 comes after the checkpoint of step 7.
    let mut objective = Regression::new(&device, Some(12));
    train(
        model(&device),
        &mut objective,
        &arguments(20, 7),
        parts.path(),
        &device,
    )
    .unwrap_err();
    let mut objective = Regression::new(&device, None);
    let rest = train(
        model(&device),
        &mut objective,
        &arguments(20, 7),
        parts.path(),
        &device,
    )
    .unwrap();
    assert_eq!(parameters(&all.model), parameters(&rest.model));
    // The checkpoint of step 7 falls inside a window of the log: the line of step 8 agrees too.
    let read = |d: &tempfile::TempDir| std::fs::read_to_string(d.path().join(METRICS)).unwrap();
    assert_eq!(read(&whole), read(&parts));
}

/// After Ctrl-C in a validation the training before it is saved, whatever `checkpoint_every` says, and the run goes on
/// with that validation: that of a step in the middle, that of the last step, and that of the mean that is kept.
#[test]
fn a_run_that_is_interrupted_while_it_validates_goes_on_to_the_same_bits() {
    let device = Device::flex().autodiff();
    let mut arguments = arguments(20, 1000);
    arguments.config.valid_every = 8;
    arguments.config.selection = Selection::Average { n: 2, every: 3 };
    let train = |folder: &Path, validations_left: i64| {
        let mut objective = Regression::new(&device, None);
        objective.validations_left = validations_left;
        train(model(&device), &mut objective, &arguments, folder, &device)
    };
    let read =
        |folder: &tempfile::TempDir| std::fs::read_to_string(folder.path().join(METRICS)).unwrap();
    let whole = tempfile::tempdir().unwrap();
    let all = train(whole.path(), -1).unwrap();
    for (interrupted, step) in [(1, 8), (2, 16), (3, 20), (4, 20)] {
        let parts = tempfile::tempdir().unwrap();
        let error = train(parts.path(), interrupted).unwrap_err();
        let said = error.downcast_ref::<Interrupted>().unwrap().to_string();
        assert!(
            said.contains(&format!("step {step} of `dense` is saved")),
            "{said}"
        );
        let rest = train(parts.path(), -1).unwrap();
        assert_eq!(parameters(&all.model), parameters(&rest.model));
        assert_eq!(all.valid_nll, rest.valid_nll);
        assert_eq!(read(&whole), read(&parts), "validation {interrupted}");
    }
}

/// Training ends when validations do not get better; stopped in any of them, or between, it ends at the same step with
/// the same bits.
#[test]
fn training_ends_early_and_goes_on_to_the_same_bits() {
    let device = Device::flex().autodiff();
    let mut arguments = arguments(60, 5);
    arguments.config.valid_every = 3;
    arguments.config.patience = 2;
    // The loss falls to its least value within some 15 steps, and the momentum carries the parameters beyond it.
    arguments.config.schedule.peak = 0.03;
    let train = |arguments: &TrainingArguments, folder: &Path, left: i64, nan_at| {
        let mut objective = Regression::new(&device, nan_at);
        objective.validations_left = left;
        train(model(&device), &mut objective, arguments, folder, &device)
    };
    let read =
        |folder: &tempfile::TempDir| std::fs::read_to_string(folder.path().join(METRICS)).unwrap();
    let whole = tempfile::tempdir().unwrap();
    let all = train(&arguments, whole.path(), -1, None).unwrap();
    let losses: Vec<(u64, f64)> = read(&whole)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|line| Some((line["step"].as_u64()?, line["valid/nll"].as_f64()?)))
        .collect();
    assert!(all.steps < 60 && all.steps == 3 * losses.len() as u64);
    assert_eq!(losses.last().unwrap(), &(all.steps, all.valid_nll));
    // It is the first time that two in a row are no better than the best before them.
    let stalls: Vec<bool> = (0..losses.len())
        .map(|i| {
            let best = |n: usize| losses[..n].iter().map(|of| of.1).fold(f64::MAX, f64::min);
            i >= 2 && best(i + 1) >= best(i - 1)
        })
        .collect();
    assert_eq!(
        stalls.iter().position(|&stalls| stalls),
        Some(losses.len() - 1)
    );
    let n = losses.len() as i64;
    assert!(n >= 4, "{losses:?}");
    for interrupted in 1..=n {
        let parts = tempfile::tempdir().unwrap();
        train(&arguments, parts.path(), interrupted, None).unwrap_err();
        let rest = train(&arguments, parts.path(), -1, None).unwrap();
        assert_eq!(parameters(&all.model), parameters(&rest.model));
        assert_eq!((all.steps, all.valid_nll), (rest.steps, rest.valid_nll));
        assert_eq!(read(&whole), read(&parts), "validation {interrupted}");
    }
    // A crash after a checkpoint between the best validation and the last.
    let parts = tempfile::tempdir().unwrap();
    train(&arguments, parts.path(), -1, Some(all.steps - 1)).unwrap_err();
    let rest = train(&arguments, parts.path(), -1, None).unwrap();
    assert_eq!(parameters(&all.model), parameters(&rest.model));
    assert_eq!(read(&whole), read(&parts));
    // The best is kept where that is asked for, and no step is made after it is known.
    arguments.config.selection = Selection::BestLoss;
    let best = tempfile::tempdir().unwrap();
    let best = train(&arguments, best.path(), -1, None).unwrap();
    let least = losses.iter().map(|of| of.1).fold(f64::MAX, f64::min);
    assert_eq!((best.steps, best.valid_nll), (all.steps, least));
}

/// What only the training needed is found by name, for a process that was killed before it removed it.
#[test]
fn leftovers_are_what_the_training_alone_needed() {
    let folder = tempfile::tempdir().unwrap();
    let needed = [
        "best.json",
        "best.safetensors",
        CHECKPOINT,
        "snapshot-14.safetensors",
    ];
    for name in [
        METRICS,
        TIMING,
        "model.safetensors",
        "snapshot-x.safetensors",
    ]
    .iter()
    .chain(&needed)
    {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let mut found = leftovers(folder.path()).unwrap();
    found.sort();
    assert_eq!(found, needed.map(|name| folder.path().join(name)));
}

#[test]
fn nan_stops_the_run_and_keeps_the_last_good_checkpoint() {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let mut objective = Regression::new(&device, Some(9));
    let error = train(
        model(&device),
        &mut objective,
        &arguments(20, 4),
        folder.path(),
        &device,
    )
    .unwrap_err();
    let diverged = error.downcast_ref::<Diverged>().expect("a divergence");
    assert_eq!((diverged.step, diverged.kept), (10, Some(8)));
    assert!(
        error.to_string().contains("checkpoint of step 8 is kept"),
        "{error}"
    );
    let kept =
        Checkpoint::load(&folder.path().join(CHECKPOINT), &arguments(20, 4).identity).unwrap();
    assert_eq!(kept.step, 8);
    let finite = kept
        .model
        .values()
        .flat_map(|d| d.iter::<f32>().collect::<Vec<_>>());
    assert!(finite.into_iter().all(f32::is_finite));
}

#[test]
fn without_resume_an_old_checkpoint_is_not_overwritten() {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let mut objective = Regression::new(&device, Some(9));
    train(
        model(&device),
        &mut objective,
        &arguments(20, 4),
        folder.path(),
        &device,
    )
    .unwrap_err();
    let fresh = TrainingArguments {
        resume: false,
        ..arguments(20, 4)
    };
    let mut objective = Regression::new(&device, None);
    let error = train(
        model(&device),
        &mut objective,
        &fresh,
        folder.path(),
        &device,
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("--resume") && error.to_string().contains("--out"),
        "{error}"
    );
}

#[test]
fn the_loss_falls() {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let mut objective = Regression::new(&device, None);
    let before = objective.validate(&model(&device)).unwrap().nll;
    let trained = train(
        model(&device),
        &mut objective,
        &arguments(60, 1000),
        folder.path(),
        &device,
    )
    .unwrap();
    assert!(
        trained.valid_nll < 0.5 * before,
        "{} {before}",
        trained.valid_nll
    );
}

/// Eight numbers a step, in `n_parts` parts.
struct InParts {
    device: Device,
    n_parts: usize,
    /// Validation losses by call.
    valid: Vec<f64>,
    validated: Vec<f32>,
}

impl InParts {
    fn new(device: &Device, n_parts: usize) -> Self {
        Self {
            device: device.clone(),
            n_parts,
            valid: vec![1.0],
            validated: Vec::new(),
        }
    }
}

impl Objective<Linear> for InParts {
    fn n_parts(&self, _step: u64) -> usize {
        self.n_parts
    }
    fn loss(&mut self, model: &Linear, step: u64, part: usize) -> Result<Tensor<1>> {
        let n = 8 / self.n_parts;
        let x = (part * n..(part + 1) * n).flat_map(|i| [i as f32 / 8.0, step as f32 / 10.0]);
        let data = TensorData::new(x.collect::<Vec<f32>>(), [n, 2]);
        let y = model.forward(Tensor::<2>::from_data(data, &self.device));
        Ok(y.square().sum() / 8.0)
    }
    fn tokens_per_step(&self) -> f64 {
        8.0
    }
    fn validate(&mut self, model: &Linear) -> Result<Validation> {
        let weight = parameters(model)["weight"].iter::<f32>().next().unwrap();
        self.validated.push(weight);
        let call = self.validated.len().min(self.valid.len()) - 1;
        Ok(Validation::of(self.valid[call]))
    }
    fn state(&self) -> BTreeMap<String, TensorData> {
        BTreeMap::new()
    }
    fn restore(&mut self, _carried: BTreeMap<String, TensorData>) -> Result<()> {
        Ok(())
    }
}

fn train_in_parts(
    objective: &mut InParts,
    arguments: &TrainingArguments,
) -> BTreeMap<String, TensorData> {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let trained = train(model(&device), objective, arguments, folder.path(), &device).unwrap();
    parameters(&trained.model)
}

fn constant(steps: u64, keep: Selection) -> TrainingArguments {
    let mut arguments = arguments(steps, 1000);
    arguments.config.schedule.name = ScheduleName::Constant;
    arguments.config.selection = keep;
    arguments
}

#[test]
fn parts_of_a_step_add_up_to_the_step() {
    let device = Device::flex().autodiff();
    let arguments = constant(30, Selection::Last);
    let whole = train_in_parts(&mut InParts::new(&device, 1), &arguments);
    let parts = train_in_parts(&mut InParts::new(&device, 4), &arguments);
    for (name, whole) in &whole {
        for (a, b) in whole.iter::<f32>().zip(parts[name].iter::<f32>()) {
            assert!((a - b).abs() < 1e-6, "{name}: {a} {b}");
        }
    }
}

#[test]
fn the_average_is_that_of_the_last_snapshots() {
    let device = Device::flex().autodiff();
    let run = |steps, keep| train_in_parts(&mut InParts::new(&device, 1), &constant(steps, keep));
    let (at_15, at_20) = (run(15, Selection::Last), run(20, Selection::Last));
    let mean = run(20, Selection::Average { n: 2, every: 5 });
    for (name, mean) in &mean {
        let both = at_15[name].iter::<f32>().zip(at_20[name].iter::<f32>());
        for (mean, (a, b)) in mean.iter::<f32>().zip(both) {
            assert!(
                (mean - (a + b) / 2.0).abs() < 1e-7,
                "{name}: {mean} {a} {b}"
            );
        }
    }
    assert_ne!(at_15, at_20);
}

#[test]
fn the_best_is_the_one_validation_chose() {
    let device = Device::flex().autodiff();
    let mut objective = InParts::new(&device, 1);
    // After steps 5, 10, 15 and 20.
    objective.valid = vec![3.0, 1.0, 2.0, 2.0];
    let mut arguments = constant(20, Selection::BestLoss);
    arguments.config.valid_every = 5;
    let best = train_in_parts(&mut objective, &arguments)["weight"].clone();
    assert_eq!(best.iter::<f32>().next(), Some(objective.validated[1]));
    // The model that is kept is validated once more.
    assert_eq!(objective.validated.len(), 5);
    assert_eq!(objective.validated[4], objective.validated[1]);
}

#[test]
fn features_are_drawn_anew_on_schedule_but_not_at_the_end_nor_within_a_mean() {
    let redrawn = |every, selection| -> Vec<u64> {
        let config = TrainingConfig {
            redraw_every: every,
            selection,
            ..arguments(100, 5).config
        };
        (0..100)
            .filter(|&step| config.redraws_before(step))
            .collect()
    };
    assert!(redrawn(0, Selection::Last).is_empty());
    assert_eq!(redrawn(30, Selection::Last), [30, 60]);
    assert_eq!(redrawn(40, Selection::BestLoss), [40, 80]);
    // Not at step 90, in the last tenth, nor from the first of the parameters that a mean is of.
    assert_eq!(redrawn(15, Selection::Last), [15, 30, 45, 60, 75]);
    let mean = Selection::Average { n: 4, every: 10 };
    assert_eq!(redrawn(15, mean), [15, 30, 45, 60]);
    let all = Selection::Average { n: 11, every: 10 };
    assert!(redrawn(15, all).is_empty());
}

/// One layer whose heads have spans and gates, on a loss that does not depend on them.
struct Parts {
    device: Device,
    /// z/S and a of every step, as training left them.
    seen: Vec<Vec<f32>>,
}

const PARTS: &str = "softmax+span(r=2,s=10,start=4,lambda=0.1)+gate(lambda=0.5,start=1)";

impl Parts {
    fn numbers(model: &MultiHeadAttention) -> Vec<f32> {
        let Mechanism::DotProduct(attention) = &model.mechanism else {
            panic!("not dot-product attention")
        };
        let span = attention.span.as_ref().unwrap().fraction.val();
        let gate = attention.gate.as_ref().unwrap().log_odds.val();
        let numbers = [span, gate].map(|tensor| tensor.inner().into_data());
        numbers.iter().flat_map(|data| data.iter::<f32>()).collect()
    }
}

impl Objective<MultiHeadAttention> for Parts {
    fn loss(&mut self, model: &MultiHeadAttention, _: u64, _: usize) -> Result<Tensor<1>> {
        self.seen.push(Self::numbers(model));
        Ok(Tensor::from_floats([3.0], &self.device) + model.output.weight.val().sum() * 0.0)
    }
    fn n_parts(&self, _step: u64) -> usize {
        2
    }
    fn tokens_per_step(&self) -> f64 {
        1.0
    }
    fn mechanisms<'m>(&self, model: &'m MultiHeadAttention) -> Vec<PlacedMechanism<'m>> {
        let placed = |layer| PlacedMechanism {
            kind: AttentionType::Cross,
            layer,
            mechanism: &model.mechanism,
        };
        // The same twice: penalties of layers are summed.
        vec![placed(0), placed(1)]
    }
    fn validate(&mut self, _: &MultiHeadAttention) -> Result<Validation> {
        Ok(Validation::of(3.0))
    }
}

/// Penalties alone move spans and gates, at ten times the learning rate, without weight decay and within bounds; they
/// are counted once however many parts a step has, and are no part of the loss that is told.
#[test]
fn penalties_of_attention_are_minimised_within_bounds() {
    let device = Device::flex().autodiff();
    let config = MultiHeadAttentionConfig::new(4, 2).with_mechanism(PARTS.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = arguments(12, 7);
    arguments.config.schedule.name = ScheduleName::Constant;
    arguments.config.schedule.warmup_steps = 0;
    arguments.config.adam.clip = 0.0;
    arguments.config.adam.weight_decay = 0.9;
    let mut objective = Parts {
        device: device.clone(),
        seen: Vec::new(),
    };
    let trained = train(
        config.init(&device),
        &mut objective,
        &arguments,
        folder.path(),
        &device,
    )
    .unwrap();
    // Adam's steps in a constant direction are the rate: 10 · 0.05.
    let of_step = |step: usize| &objective.seen[2 * step];
    assert_eq!(of_step(0), &[0.4, 0.4, 1.0, 1.0]);
    let near = |found: f32, expected: f32| (found - expected).abs() < 1e-2;
    assert!(
        near(of_step(1)[0], 0.0),
        "0.4 − 0.5, in bounds: {:?}",
        of_step(1)
    );
    assert!(near(of_step(1)[2], 0.5), "{:?}", of_step(1));
    assert!(near(of_step(2)[2], 0.0), "{:?}", of_step(2));
    let within = |of: &Vec<f32>| {
        of[..2].iter().all(|z| (0.0..=1.0).contains(z)) && of[2..].iter().all(|a| a.abs() <= 4.6)
    };
    assert!(objective.seen.iter().all(within), "{:?}", objective.seen);
    // Twelve steps close every gate, and what is closed is settled in the end.
    let last = Parts::numbers(&trained.model);
    assert!(last[2..].iter().all(|a| *a == -4.6), "{last:?}");
    let heads = Heads::of(&objective.mechanisms(&trained.model)).unwrap();
    let kind = AttentionType::Cross;
    assert_eq!(
        (heads.open(kind), heads.mean_reach(kind)),
        (Some((0, 4)), Some(2.0))
    );
    assert_eq!(
        (heads.decided(), heads.open(AttentionType::EncoderSelf)),
        (Some(1.0), None)
    );
    let metrics = std::fs::read_to_string(folder.path().join(METRICS)).unwrap();
    let lines: Vec<Value> = (metrics.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Two layers of λ·z and λ·ΣP at the start; two heads with a = 1.
    let expected = 2.0 * (0.1 * 4.0 + 0.5 * 2.0 * 0.8570);
    let found = lines[0]["train/penalty"].as_f64().unwrap();
    assert!((found - expected).abs() < 1e-3, "{found} {expected}");
    let told = lines.iter().filter_map(|line| line["train/nll"].as_f64());
    assert!(told.clone().count() > 2 && told.clone().all(|loss| loss == 6.0));
    assert!(lines.iter().any(|line| line["valid/nll"] == 3.0));
    let settled = &lines.last().unwrap()["gate/cross/0"];
    assert_eq!(*settled, serde_json::json!([0.0, 0.0]));
    assert_eq!(lines[0]["span/cross/1"], serde_json::json!([6.0, 6.0]));
}

/// Gates that are not decided stay what they are.
#[test]
fn undecided_gates_are_kept() {
    let device = Device::flex().autodiff();
    let config = MultiHeadAttentionConfig::new(4, 2).with_mechanism(PARTS.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut objective = Parts {
        device: device.clone(),
        seen: Vec::new(),
    };
    let arguments = arguments(2, 7);
    let train = train(
        config.init(&device),
        &mut objective,
        &arguments,
        folder.path(),
        &device,
    );
    let last = Parts::numbers(&train.unwrap().model);
    assert!(last[2..].iter().all(|a| a.abs() < 2.3), "{last:?}");
}

/// A loss whose gradient goes back through f16: of 0.9, and of some steps 1.2, which overflows at a scale of 2^16 and not at half
/// of it.
struct Overflows {
    device: Device,
    at: Vec<u64>,
    /// The step whose batch cannot be had, like a crash.
    crash_at: Option<u64>,
}

impl Objective<Linear> for Overflows {
    fn loss(&mut self, model: &Linear, step: u64, _part: usize) -> Result<Tensor<1>> {
        ensure!(self.crash_at != Some(step), "the machine fails");
        let x = 1.0 + step as f32 / 10.0;
        let x = Tensor::<2>::from_data([[x, -0.5]], &self.device);
        let y = model.forward(x).cast(DType::F16).cast(DType::F32);
        let slope = match self.at.contains(&step) {
            true => 1.2,
            false => 0.9,
        };
        Ok(y.sum().mul_scalar(slope))
    }
    fn tokens_per_step(&self) -> f64 {
        1.0
    }
    fn validate(&mut self, _: &Linear) -> Result<Validation> {
        Ok(Validation::of(1.0))
    }
}

fn train_f16(
    folder: &Path,
    precision: Precision,
    (at, crash_at): (&[u64], Option<u64>),
) -> Result<Trained<Linear>> {
    let device = Device::flex().autodiff();
    let mut objective = Overflows {
        device: device.clone(),
        at: at.to_vec(),
        crash_at,
    };
    let arguments = TrainingArguments {
        precision,
        ..arguments(20, 7)
    };
    train(model(&device), &mut objective, &arguments, folder, &device)
}

fn metrics_of(folder: &Path) -> Vec<Value> {
    let metrics = std::fs::read_to_string(folder.join(METRICS)).unwrap();
    let lines = metrics.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A power of two changes no bit, and a step that is not made changes no parameter.
#[test]
fn a_scaled_loss_trains_to_the_same_bits_and_overflow_skips_a_step() {
    let [full, scaled, skipping] = [0; 3].map(|_| tempfile::tempdir().unwrap());
    let of = |folder: &Path, precision, at: &[u64]| {
        let trained = train_f16(folder, precision, (at, None)).unwrap();
        (parameters(&trained.model), trained.steps)
    };
    let plain = of(full.path(), Precision::F32, &[]);
    assert_eq!(of(scaled.path(), Precision::F16, &[]), plain);
    assert!(metrics_of(full.path())[0].get("train/loss_scale").is_none());
    let last = metrics_of(scaled.path());
    let last = last
        .iter()
        .rfind(|line| line.get("train/nll").is_some())
        .unwrap();
    assert_eq!(last["train/loss_scale"], 65536.0);
    assert_eq!(last["train/skipped_steps"], 0);
    // The only steps but one, so that what was not made shows: Adam's moments too are as if there had been none.
    let (skipped, steps) = of(skipping.path(), Precision::F16, &[9]);
    assert_eq!(steps, 20);
    assert_ne!(skipped, plain.0);
    let lines = metrics_of(skipping.path());
    let at = |step: u64, name: &str| {
        let line = lines
            .iter()
            .find(|line| line["step"] == step && line.get(name).is_some());
        line.map(|line| line[name].clone())
    };
    assert_eq!(at(8, "train/loss_scale"), Some(65536.0.into()));
    assert_eq!(at(10, "train/loss_scale"), Some(32768.0.into()));
    assert_eq!(at(10, "train/skipped_steps"), Some(1.into()));
    // The tenth step was not made; the line is of the ninth alone.
    let plain = metrics_of(full.path());
    assert!(at(10, "train/grad_norm").is_some_and(|norm| norm.as_f64().unwrap().is_finite()));
    assert_eq!(plain[3]["train/nll"], at(8, "train/nll").unwrap());
}

#[test]
fn a_run_in_f16_goes_on_with_its_scale_to_the_same_bits() {
    let [whole, parts] = [0; 2].map(|_| tempfile::tempdir().unwrap());
    let at = [2, 4, 12];
    let all = train_f16(whole.path(), Precision::F16, (&at, None)).unwrap();
    let error = train_f16(parts.path(), Precision::F16, (&at, Some(11))).unwrap_err();
    assert!(error.to_string().contains("the machine fails"), "{error}");
    // The checkpoint of step 7 has the scale of two overflows.
    let resumed = train_f16(parts.path(), Precision::F16, (&at, None)).unwrap();
    assert_eq!(parameters(&resumed.model), parameters(&all.model));
    let read = |folder: &Path| std::fs::read_to_string(folder.join(METRICS)).unwrap();
    assert_eq!(read(parts.path()), read(whole.path()));
    let last = metrics_of(whole.path());
    let scales: Vec<f64> = (last.iter())
        .filter_map(|line| line.get("train/loss_scale")?.as_f64())
        .collect();
    // Halved once is enough: at 2^15 nothing overflows any more.
    assert_eq!(scales.last(), Some(&32768.0));
    assert_eq!(
        last.iter()
            .rfind(|line| line.get("train/nll").is_some())
            .unwrap()["train/skipped_steps"],
        1
    );
}

/// What no scale helps is divergence, and no endless row of skipped steps.
#[test]
fn overflow_at_every_scale_is_divergence() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex().autodiff();
    let mut objective = Regression::new(&device, None);
    objective.nan_from = Some(9);
    let arguments = TrainingArguments {
        precision: Precision::F16,
        ..arguments(100, 7)
    };
    let error = train(
        model(&device),
        &mut objective,
        &arguments,
        folder.path(),
        &device,
    );
    let error = error.unwrap_err();
    let diverged = error.downcast_ref::<Diverged>().expect("divergence");
    // 2^16 is halved 30 times.
    assert_eq!((diverged.step, diverged.kept), (9 + 30 + 1, Some(35)));
    assert!(diverged.loss.is_nan());
}
