//! What attention learns besides weights: its penalty, its lines in the log, and heads that are pruned in the end.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use burn::module::Module;
use burn::tensor::Tensor;
use serde_json::Value;
use sparta_model::layer::mechanism::settle_gates;
use sparta_model::layer::{Learned, LearnedName, PlacedMechanism};
use sparta_ops::pruning::AttentionType;

use super::Objective;
use super::watch::{number, numbers};

/// The part of the gates that must be 0 or 1 for heads to be pruned.
const DECIDED: f64 = 0.95;

/// What is added to the loss for the mechanisms of all layers.
pub(super) fn penalty(of: &[PlacedMechanism<'_>]) -> Option<Tensor<1>> {
    let penalties = of.iter().filter_map(|of| of.mechanism.penalty());
    penalties.reduce(|sum, penalty| sum + penalty)
}

/// The penalty, where there is one, and `NAME/TYPE/LAYER` with one number a head: `alpha`, `span` (keys within
/// reach) or `gate`.
pub(super) fn fields(of: &[PlacedMechanism<'_>]) -> Result<Vec<(String, Value)>> {
    let mut fields = Vec::new();
    if let Some(penalty) = penalty(of) {
        let value = read(penalty)?.first().copied().unwrap_or(f32::NAN);
        fields.push(number("train/penalty", f64::from(value)));
    }
    for learned in of.iter().flat_map(PlacedMechanism::learned) {
        let Learned {
            name,
            kind,
            layer,
            values,
        } = learned;
        let name = format!("{}/{kind}/{layer}", name.as_str());
        fields.push(numbers(&name, &read(values)?));
    }
    Ok(fields)
}

/// What the heads of a trained network have learned, by attention type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heads {
    reach: BTreeMap<AttentionType, Vec<f64>>,
    gates: BTreeMap<AttentionType, Vec<f64>>,
}

impl Heads {
    /// Those of a network.
    ///
    /// # Errors
    /// If they cannot be read from the device.
    pub fn of(mechanisms: &[PlacedMechanism<'_>]) -> Result<Self> {
        let mut heads = Self::default();
        for learned in mechanisms.iter().flat_map(PlacedMechanism::learned) {
            let all = match learned.name {
                LearnedName::Alpha => continue,
                LearnedName::Span => &mut heads.reach,
                LearnedName::Gate => &mut heads.gates,
            };
            let values = read(learned.values)?.into_iter().map(f64::from);
            all.entry(learned.kind).or_default().extend(values);
        }
        Ok(heads)
    }

    /// Mean number of keys within reach of a head, min(z + R, N); none without adaptive spans.
    #[must_use]
    pub fn mean_reach(&self, kind: AttentionType) -> Option<f64> {
        let reach = self.reach.get(&kind)?;
        Some(reach.iter().sum::<f64>() / reach.len() as f64)
    }

    /// Heads whose gate is not 0, and all heads with gates.
    #[must_use]
    pub fn open(&self, kind: AttentionType) -> Option<(usize, usize)> {
        let gates = self.gates.get(&kind)?;
        Some((
            gates.iter().filter(|gate| **gate > 0.0).count(),
            gates.len(),
        ))
    }

    /// The fraction of the gates that are 0 or 1; none without gates.
    #[must_use]
    pub fn decided(&self) -> Option<f64> {
        let all = self.gates.values().flatten();
        let n = all.clone().count();
        let n_decided = all.filter(|gate| **gate == 0.0 || **gate == 1.0).count();
        (n > 0).then(|| n_decided as f64 / n as f64)
    }

    /// In words, each after a comma.
    pub(super) fn words(&self) -> String {
        let of_kind = |kind| {
            let open = self.open(kind);
            let open = open.map(|(open, all)| format!(", {open} of {all} {kind} heads open"));
            let reach = self.mean_reach(kind);
            let reach = reach.map(|reach| format!(", {kind} heads reach {reach:.1} keys"));
            open.into_iter().chain(reach)
        };
        AttentionType::ALL.into_iter().flat_map(of_kind).collect()
    }
}

/// Prunes the heads of a trained network whose gate is below 0.5 and opens the others, where at least 95 % of the
/// gates are 0 or 1; elsewhere gates stay what they are. Says whether they were settled, and how the heads are.
pub(super) fn prune_heads<M: Module, L: Objective<M>>(
    model: M,
    objective: &L,
) -> Result<(M, bool, Heads)> {
    let heads = Heads::of(&objective.mechanisms(&model))?;
    match heads.decided() {
        Some(decided) if decided >= DECIDED => {
            let model = settle_gates(model);
            let heads = Heads::of(&objective.mechanisms(&model))?;
            Ok((model, true, heads))
        }
        Some(_) | None => Ok((model, false, heads)),
    }
}

fn read(values: Tensor<1>) -> Result<Vec<f32>> {
    values
        .try_into_vec_as::<f32>()
        .map_err(|e| anyhow!("cannot read what attention learned from the device: {e:?}"))
}
