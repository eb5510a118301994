//! How far a run is: for the person who waits for it (`model 4 of 13, 9 min left`), and in `status.json` of its folder for
//! everybody else.

mod log;
mod plan;

pub(crate) use plan::{Count, Left, Part, Plan, PlannedModel, Work};

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use self::log::Log;
use crate::io::{read_text, write_text};
use crate::protocol::Stage;
use crate::protocol::run::now;
use crate::train::Identity;

/// File name in a run folder.
pub const STATUS: &str = "status.json";
/// How often the file is written while one piece of work goes on; it is written at the beginning of each too.
const WRITE_EVERY: Duration = Duration::from_secs(5);

/// What a process did last in a run folder, or does there now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Whether it goes on, or how it ended.
    pub state: Ended,
    /// What it does, by the subcommand that does the same.
    pub stage: Stage,
    /// The model it works on, as messages name it; none where it is about no single one.
    pub model: Option<String>,
    /// The seed of that model.
    pub seed: Option<u64>,
    /// Models that are trained, of those that it works on.
    pub models_done: usize,
    /// Models that it works on.
    pub models: usize,
    /// Steps or batches of the piece of work that are done.
    pub step: u64,
    /// Steps or batches of the piece of work.
    pub steps: u64,
    /// Seconds until everything that it was asked for is done, from what the same took before; none as long as nothing was
    /// trained.
    pub seconds_left: Option<f64>,
    /// Whether something that is left, such as scoring, was not measured yet and is not counted in `seconds_left`.
    pub at_least: bool,
    /// The machine it runs on.
    pub host: String,
    /// Its number there.
    pub pid: u32,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// When this was written, in seconds since 1970.
    pub updated: u64,
}

/// Whether a process goes on, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It goes on; or it was killed, where nobody holds the lock of the folder.
    Running,
    /// It was asked to stop.
    Stopped,
    /// It ended by an error.
    Failed,
    /// It did what it was asked for.
    Done,
}

impl Status {
    /// That of a run folder; none where no process has left one.
    ///
    /// # Errors
    /// A file that cannot be read or is none of ours.
    pub fn load(root: &Path) -> Result<Option<Self>> {
        let path = root.join(STATUS);
        if !path.exists() {
            return Ok(None);
        }
        let failed = || format!("cannot read {}", path.display());
        let text = read_text(&path).with_context(failed)?;
        serde_json::from_str(&text).map(Some).with_context(failed)
    }

    /// Seconds that are left now, by the clock of this machine.
    #[must_use]
    pub fn seconds_left_now(&self) -> Option<f64> {
        let since = now().saturating_sub(self.updated) as f64;
        Some((self.seconds_left? - since).max(0.0))
    }

    /// The step at which the training of a model was asked to stop, and saved; none of others.
    #[must_use]
    pub fn stopped_at(&self, of: &Identity) -> Option<u64> {
        let is_of = self.model.as_ref() == Some(&of.run) && self.seed == Some(of.seed);
        (self.state == Ended::Stopped && is_of).then_some(self.step)
    }

    /// What goes on, in a few words: `train dense, step 120 of 1750`.
    #[must_use]
    pub fn words(&self) -> String {
        let stage = self.stage.word();
        let what = match &self.model {
            Some(model) => format!("{stage} {model}"),
            None => stage.to_owned(),
        };
        match self.steps {
            0 => what,
            steps => format!("{what}, step {} of {steps}", self.step),
        }
    }

    fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("cannot write status.json")?;
        write_text(path, &(text + "\n"))
    }
}

/// What this process does in a run folder, as it goes on. Before the folder is entered nothing is written.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    entered: RefCell<Option<Entered>>,
    log: RefCell<Log>,
}

#[derive(Debug)]
struct Entered {
    path: PathBuf,
    status: Status,
    plan: Plan,
    /// The piece of work that goes on.
    piece: Option<Piece>,
    written: Instant,
}

#[derive(Debug)]
struct Piece {
    /// Which model of the plan.
    model: usize,
    work: Work,
    started: Instant,
    count: Option<Count>,
}

impl Entered {
    fn write(&mut self) -> Result<()> {
        let left = self.left();
        self.status.models_done = self.plan.n_trained();
        self.status.models = self.plan.models.len();
        self.status.seconds_left = left.seconds;
        self.status.at_least = left.is_more;
        self.status.updated = now();
        self.written = Instant::now();
        self.status.save(&self.path)
    }

    fn left(&self) -> Left {
        let piece = self.piece.as_ref();
        self.plan
            .left(piece.and_then(|of| Some((of.model, of.work, of.count?))))
    }
}

impl Tracker {
    /// Begins in a folder that is this process's now.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn enter(&self, root: &Path, stage: Stage) -> Result<()> {
        let mut entered = Entered {
            path: root.join(STATUS),
            status: Status {
                state: Ended::Running,
                stage,
                model: None,
                seed: None,
                models_done: 0,
                models: 0,
                step: 0,
                steps: 0,
                seconds_left: None,
                at_least: false,
                host: sysinfo::System::host_name().unwrap_or_else(|| "unknown".to_owned()),
                pid: std::process::id(),
                started: now(),
                updated: now(),
            },
            plan: Plan::default(),
            piece: None,
            written: Instant::now(),
        };
        entered.write()?;
        *self.entered.borrow_mut() = Some(entered);
        self.log.borrow_mut().open(root);
        Ok(())
    }

    /// Adds to the log of the run what is told of it.
    pub(crate) fn log(&self, text: &str) {
        self.log.borrow_mut().write(text);
    }

    /// Takes note of everything that is to be done.
    pub(crate) fn plan(&self, plan: Plan) {
        if let Some(entered) = self.entered.borrow_mut().as_mut() {
            entered.plan = plan;
        }
    }

    /// Begins with what is about no single model.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn begin(&self, stage: Stage) -> Result<()> {
        self.change(stage, None)
    }

    /// Begins with a piece of work on a model.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn begin_with(&self, stage: Stage, model: &Identity, work: Work) -> Result<()> {
        self.change(stage, Some((model, work)))
    }

    fn change(&self, stage: Stage, of: Option<(&Identity, Work)>) -> Result<()> {
        let mut entered = self.entered.borrow_mut();
        let Some(entered) = entered.as_mut() else {
            return Ok(());
        };
        entered.status.stage = stage;
        entered.status.model = of.map(|(model, _)| model.run.clone());
        entered.status.seed = of.map(|(model, _)| model.seed);
        (entered.status.step, entered.status.steps) = (0, 0);
        entered.piece = of.and_then(|(model, work)| {
            Some(Piece {
                model: entered.plan.position(model)?,
                work,
                started: Instant::now(),
                count: None,
            })
        });
        entered.write()
    }

    /// How far the piece of work is; now and then that is written.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn at(&self, count: Count) -> Result<()> {
        let mut entered = self.entered.borrow_mut();
        let Some(entered) = entered.as_mut() else {
            return Ok(());
        };
        (entered.status.step, entered.status.steps) = (count.done, count.total);
        if let Some(piece) = &mut entered.piece {
            piece.count = Some(count);
            if let (Work::Train, Some(seconds)) = (piece.work, count.seconds_each()) {
                entered.plan.models[piece.model].step_seconds = Some(seconds);
            }
        }
        match entered.written.elapsed() >= WRITE_EVERY {
            true => entered.write(),
            false => Ok(()),
        }
    }

    /// Takes note that the piece of work is done, and how long it took.
    pub(crate) fn finished(&self) {
        let mut entered = self.entered.borrow_mut();
        let Some(entered) = entered.as_mut() else {
            return;
        };
        if let Some(piece) = entered.piece.take() {
            let seconds = Some(piece.started.elapsed().as_secs_f64());
            *entered.plan.models[piece.model].part_mut(piece.work) = Part::Done { seconds };
        }
    }

    /// Takes models out of the plan that this process makes no longer.
    pub(crate) fn given_up(&self, models: &[Identity]) {
        if let Some(entered) = self.entered.borrow_mut().as_mut() {
            entered.piece = None;
            entered
                .plan
                .models
                .retain(|of| !models.contains(&of.identity));
        }
    }

    /// How far the whole run is, in a few words; none where it is no table.
    pub(crate) fn words(&self) -> Option<String> {
        let entered = self.entered.borrow();
        let entered = entered.as_ref()?;
        let model = entered.piece.as_ref()?.model + 1;
        let n = entered.plan.models.len();
        Some(format!("model {model} of {n}{}", entered.left().words()))
    }

    /// Takes note of how the process ended, while the folder is still its own.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn end(&self, state: Ended) -> Result<()> {
        let Some(mut entered) = self.entered.borrow_mut().take() else {
            return Ok(());
        };
        entered.status.state = state;
        entered.write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(run: &str) -> Identity {
        Identity {
            recipe_hash: "h".to_owned(),
            seed: 1,
            run: run.to_owned(),
        }
    }

    fn model(run: &str, steps: u64) -> PlannedModel {
        PlannedModel {
            identity: identity(run),
            variant: "softmax".to_owned(),
            steps,
            step_seconds: None,
            train: Part::Left,
            observe: Part::None,
            score: Part::Left,
        }
    }

    #[test]
    fn the_file_says_what_goes_on_and_how_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let tracker = Tracker::default();
        // Nothing is written into a folder that is not entered.
        tracker.begin(Stage::Eval).unwrap();
        assert_eq!(Status::load(folder.path()).unwrap(), None);
        assert_eq!(tracker.words(), None);
        tracker.enter(folder.path(), Stage::Prepare).unwrap();
        let read = || Status::load(folder.path()).unwrap().unwrap();
        assert_eq!((read().stage, read().models), (Stage::Prepare, 0));
        assert_eq!(read().pid, std::process::id());
        let models = vec![model("dense", 100), model("ap-p80", 10)];
        tracker.plan(Plan { models });
        tracker
            .begin_with(Stage::Train, &identity("dense"), Work::Train)
            .unwrap();
        assert_eq!(tracker.words().unwrap(), "model 1 of 2");
        let count = Count {
            first: 0,
            done: 50,
            total: 100,
            seconds: 100.0,
        };
        tracker.at(count).unwrap();
        // 50 steps of this model and 10 of the next, 2 s each; scoring was not seen yet.
        assert_eq!(
            tracker.words().unwrap(),
            "model 1 of 2, at least 2 min left"
        );
        tracker.finished();
        tracker
            .begin_with(Stage::Eval, &identity("dense"), Work::Score)
            .unwrap();
        let status = read();
        assert_eq!((status.models_done, status.models), (1, 2));
        assert_eq!(status.model.as_deref(), Some("dense"));
        assert_eq!((status.seconds_left, status.at_least), (Some(20.0), true));
        tracker.finished();
        tracker
            .begin_with(Stage::Prune, &identity("ap-p80"), Work::Train)
            .unwrap();
        assert!(!read().at_least);
        assert_eq!(read().state, Ended::Running);
        tracker.end(Ended::Stopped).unwrap();
        assert_eq!((read().state, read().stage), (Ended::Stopped, Stage::Prune));
        // What has ended says nothing more.
        tracker.end(Ended::Failed).unwrap();
        assert_eq!(read().state, Ended::Stopped);
    }

    #[test]
    fn a_status_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let tracker = Tracker::default();
        tracker.enter(folder.path(), Stage::Prepare).unwrap();
        let path = folder.path().join(STATUS);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir_all(path.join("in the way")).unwrap();
        let error = tracker.begin(Stage::Eval).unwrap_err().to_string();
        assert!(error.contains(STATUS), "{error}");
    }
}
