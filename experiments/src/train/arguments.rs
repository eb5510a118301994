//! What a training run is asked.

use std::rc::Rc;

use sparta_model::Precision;

use super::{AdamSettings, Identity, Schedule, Selection, TrainedBy};
use crate::status::Tracker;
use crate::version;

/// The numbers of one training run: steps, optimiser, what is kept, and how often something is said.
#[derive(Debug, Clone)]
pub struct TrainingConfig {
    /// Learning rate by step; also says how many steps there are.
    pub schedule: Schedule,
    /// The optimiser.
    pub adam: AdamSettings,
    /// Which parameters are the result.
    pub selection: Selection,
    /// A line of metrics every so many steps.
    pub log_every: u64,
    /// Validation every so many steps; 0 = after the last only.
    pub valid_every: u64,
    /// Training ends after so many validations without a better one; 0 = never.
    pub patience: u64,
    /// A checkpoint every so many steps.
    pub checkpoint_every: u64,
    /// Random features of attention are drawn anew every so many steps; 0 = never.
    pub redraw_every: u64,
}

impl TrainingConfig {
    /// Whether random features are drawn anew before step `step`, counted from 0: not in the last tenth, in which what
    /// was learned settles on one draw, nor between parameters whose mean is kept.
    #[must_use]
    pub fn redraws_before(&self, step: u64) -> bool {
        let steps = self.schedule.steps;
        let first_kept = match self.selection {
            Selection::Last | Selection::BestLoss | Selection::BestBleu => steps,
            Selection::Average { n, every } => {
                steps.saturating_sub(every.saturating_mul(n.saturating_sub(1)))
            }
        };
        let last = (steps - steps / 10).min(first_kept);
        self.redraw_every > 0 && step > 0 && step.is_multiple_of(self.redraw_every) && step < last
    }
}

/// One training run.
#[derive(Debug, Clone)]
pub struct TrainingArguments {
    /// Whose checkpoints these are.
    pub identity: Identity,
    /// Its numbers.
    pub config: TrainingConfig,
    /// Where it is trained, and by which build.
    pub by: TrainedBy,
    /// The type that networks compute in; parameters and the optimiser are in f32.
    pub precision: Precision,
    /// Whether to go on from a checkpoint that is there.
    pub resume: bool,
    /// No progress output.
    pub quiet: bool,
    /// How far the run is that it is a part of.
    pub(crate) tracker: Rc<Tracker>,
}

impl TrainingArguments {
    /// A new training in f32 that is no part of a run, without progress output.
    #[must_use]
    pub fn alone(identity: Identity, config: TrainingConfig) -> Self {
        Self {
            identity,
            config,
            by: TrainedBy {
                device: "unknown".to_owned(),
                commit: version::COMMIT.to_owned(),
            },
            precision: Precision::F32,
            resume: false,
            quiet: true,
            tracker: Rc::default(),
        }
    }
}
