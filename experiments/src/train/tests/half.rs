//! Losses that are scaled, for gradients in f16.

use super::*;

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
