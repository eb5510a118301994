//! What a run has to do, and how long the rest of it takes.

use crate::train::Identity;
use crate::train::watch::duration;

/// A piece of work on one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Training it.
    Train,
    /// Averaging its attention.
    Observe,
    /// Scoring it.
    Score,
}

impl Work {
    const ALL: [Self; 3] = [Self::Train, Self::Observe, Self::Score];
}

/// What is left of a piece of work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Part {
    /// It is not asked for.
    None,
    /// All of it.
    Left,
    /// Nothing; with the seconds it took, where this process did it.
    Done { seconds: Option<f64> },
}

/// A model and what there is to do on it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlannedModel {
    /// Which one.
    pub(crate) identity: Identity,
    /// Models of one variant take as long for a step.
    pub(crate) variant: String,
    /// Steps of its training.
    pub(crate) steps: u64,
    /// What a step took, if one was made.
    pub(crate) step_seconds: Option<f64>,
    /// Its training.
    pub(crate) train: Part,
    /// The pass that averages its attention.
    pub(crate) observe: Part,
    /// Its score.
    pub(crate) score: Part,
}

impl PlannedModel {
    fn part(&self, work: Work) -> Part {
        match work {
            Work::Train => self.train,
            Work::Observe => self.observe,
            Work::Score => self.score,
        }
    }

    pub(super) fn part_mut(&mut self, work: Work) -> &mut Part {
        match work {
            Work::Train => &mut self.train,
            Work::Observe => &mut self.observe,
            Work::Score => &mut self.score,
        }
    }
}

/// How far a piece of work is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Count {
    /// Steps that were done before this process began with it.
    pub(crate) first: u64,
    /// Steps that are done.
    pub(crate) done: u64,
    /// Steps in all.
    pub(crate) total: u64,
    /// Seconds since it began.
    pub(crate) seconds: f64,
}

impl Count {
    /// What a step took, if one was made.
    pub(super) fn seconds_each(self) -> Option<f64> {
        let n = self.done.saturating_sub(self.first);
        (n > 0).then(|| self.seconds / n as f64)
    }
}

/// The models that a process works on, in the order in which it does.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) models: Vec<PlannedModel>,
}

/// How long the rest takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Left {
    /// Seconds; none where no step of training was made yet.
    pub(crate) seconds: Option<f64>,
    /// Whether it is more than that, by work of a kind that was not done yet.
    pub(crate) is_more: bool,
}

impl Left {
    /// `, 9 min left`.
    pub(super) fn words(self) -> String {
        let Some(seconds) = self.seconds else {
            return String::new();
        };
        let about = match seconds {
            // Nobody knows the seconds of an hour to come.
            120.0..7200.0 => format!("{:.0} min", seconds / 60.0),
            _ => duration(seconds),
        };
        let least = if self.is_more { "at least " } else { "" };
        format!(", {least}{about} left")
    }
}

impl Plan {
    /// Where a model stands in the plan.
    pub(super) fn position(&self, model: &Identity) -> Option<usize> {
        self.models.iter().position(|of| of.identity == *model)
    }

    /// Models that are trained.
    pub(super) fn n_trained(&self) -> usize {
        let is_trained = |of: &&PlannedModel| of.train != Part::Left;
        self.models.iter().filter(is_trained).count()
    }

    /// How long the rest takes, where one piece of it goes on: from what the same took before, of models of the same
    /// variant where there is one, else of all.
    pub(super) fn left(&self, now: Option<(usize, Work, Count)>) -> Left {
        let (mut seconds, mut is_more) = (0.0, false);
        for (i, model) in self.models.iter().enumerate() {
            for work in Work::ALL {
                if model.part(work) != Part::Left {
                    continue;
                }
                let now = now.filter(|&(at, of, _)| (at, of) == (i, work));
                let rest = now.and_then(|(_, _, count)| {
                    let n = count.total.saturating_sub(count.done);
                    Some(count.seconds_each()? * n as f64)
                });
                match (rest.or_else(|| self.expected(model, work)), work) {
                    (Some(of_part), _) => seconds += of_part,
                    (None, Work::Train) => {
                        return Left {
                            seconds: None,
                            is_more: false,
                        };
                    }
                    (None, Work::Observe | Work::Score) => is_more = true,
                }
            }
        }
        Left {
            seconds: Some(seconds),
            is_more,
        }
    }

    /// Seconds that a whole piece of work will take.
    fn expected(&self, model: &PlannedModel, work: Work) -> Option<f64> {
        let measured = |of: &PlannedModel| match (work, of.part(work)) {
            (Work::Train, _) => of.step_seconds,
            (Work::Observe | Work::Score, Part::Done { seconds }) => seconds,
            (Work::Observe | Work::Score, Part::None | Part::Left) => None,
        };
        let same = self.models.iter().filter(|of| of.variant == model.variant);
        let mean = mean(same.filter_map(measured))
            .or_else(|| mean(self.models.iter().filter_map(measured)))?;
        Some(match work {
            Work::Train => mean * model.steps as f64,
            Work::Observe | Work::Score => mean,
        })
    }
}

fn mean(of: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = of.fold((0.0, 0_usize), |(sum, n), x| (sum + x, n + 1));
    (n > 0).then(|| sum / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(variant: &str, steps: u64, train: Part) -> PlannedModel {
        PlannedModel {
            identity: Identity {
                recipe_hash: "h".to_owned(),
                seed: 1,
                run: format!("{variant}/{steps}"),
            },
            variant: variant.to_owned(),
            steps,
            step_seconds: None,
            train,
            observe: Part::None,
            score: Part::None,
        }
    }

    #[test]
    fn a_model_takes_as_long_for_a_step_as_those_of_its_variant() {
        let done = Part::Done { seconds: None };
        let mut models = vec![
            model("a", 100, done),
            model("a", 10, Part::Left),
            model("b", 100, Part::Left),
        ];
        models[0].step_seconds = Some(2.0);
        let mut plan = Plan { models };
        let left = |plan: &Plan| plan.left(None).seconds;
        // Of b nothing was seen: as the others.
        assert_eq!(left(&plan), Some(20.0 + 200.0));
        plan.models[2].step_seconds = Some(5.0);
        assert_eq!(left(&plan), Some(20.0 + 500.0));
        // Half of b is done, and went faster than what was left of it before.
        let count = Count {
            first: 40,
            done: 50,
            total: 100,
            seconds: 10.0,
        };
        let now = plan.left(Some((2, Work::Train, count)));
        assert_eq!(now.seconds, Some(20.0 + 50.0));
        plan.models[0].step_seconds = None;
        plan.models[2].step_seconds = None;
        assert_eq!(left(&plan), None);
        // Scoring comes from scores.
        plan.models[0].score = Part::Done { seconds: Some(7.0) };
        plan.models[1] = model("a", 10, done);
        plan.models[1].score = Part::Left;
        plan.models[2].train = done;
        assert_eq!(left(&plan), Some(7.0));
        assert_eq!(plan.n_trained(), 3);
    }

    #[test]
    fn what_is_left_is_said_as_well_as_it_is_known() {
        let words = |seconds: Option<f64>, is_more| Left { seconds, is_more }.words();
        assert_eq!(words(None, true), "");
        assert_eq!(words(Some(42.0), false), ", 42 s left");
        assert_eq!(words(Some(550.0), false), ", 9 min left");
        assert_eq!(words(Some(9000.0), true), ", at least 2 h 30 min left");
    }
}
