//! What training does to mechanisms: features drawn anew, spans, gates.

use super::*;

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
