//! Steps in parts, and which parameters are kept.

use super::*;

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
