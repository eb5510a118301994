//! The loop on a regression small enough to compute by hand, without a language model.

mod half;
mod mechanism;
mod parts;

use std::collections::BTreeMap;
use std::path::Path;

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
    let identity = Identity {
        recipe_hash: "h".into(),
        seed: 5,
        run: "dense".into(),
    };
    let config = TrainingConfig {
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
    };
    TrainingArguments {
        resume: true,
        ..TrainingArguments::alone(identity, config)
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
fn a_model_knows_all_that_trained_it() {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let go = |arguments: &TrainingArguments, nan_at| {
        let mut objective = Regression::new(&device, nan_at);
        train(
            model(&device),
            &mut objective,
            arguments,
            folder.path(),
            &device,
        )
    };
    let first = arguments(20, 4);
    go(&first, Some(9)).unwrap_err();
    // On the same device by the same build it is one part, on another a second one.
    go(&first, Some(14)).unwrap_err();
    let by = TrainedBy {
        device: "tch:cpu".to_owned(),
        ..first.by.clone()
    };
    let second = TrainingArguments {
        by: by.clone(),
        ..first.clone()
    };
    assert_eq!(go(&second, None).unwrap().by, [first.by, by]);
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
