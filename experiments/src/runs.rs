//! `sparta runs`: which runs there are, how far each is, and how long the rest takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use serde::Serialize;
use sparta_results::render::{Align, Table};
use sparta_results::{Condition, Expected, Metric, RunRecord, Status as RecordStatus};

use crate::analysis::{ProgramName, program_of};
use crate::io::{print_line, terminal_width};
use crate::protocol::find::seeds;
use crate::protocol::program::{recipe_of, with_task};
use crate::protocol::rows::all_models;
use crate::protocol::run::TrainingSummary;
use crate::protocol::scored::owner;
use crate::protocol::{ModelFolder, RunFolder, RunLock, Stage, Task};
use crate::recipe::Recipe;
use crate::report::{find_runs, records_of, refuse_left_out};
use crate::status::{Ended, Status};
use crate::train::watch::duration;
use crate::train::{TIMING, last_timing};

/// What `sparta runs` asks for.
#[derive(Debug, Clone)]
pub struct Runs {
    /// Run folders, or folders of them.
    pub paths: Vec<PathBuf>,
    /// As JSON.
    pub json: bool,
}

/// A run, as its folder has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunState {
    /// The folder.
    pub folder: PathBuf,
    /// The program that made it.
    pub program: &'static str,
    /// The table.
    pub table: String,
    /// Its seeds.
    pub seeds: Vec<u64>,
    /// Models that are trained, or of which the scores are kept.
    pub trained: usize,
    /// Models of the recipe.
    pub models: usize,
    /// Scores that are recorded.
    pub records: usize,
    /// What is wrong with each record that cannot be read, by its file.
    pub damaged: Vec<String>,
    /// Score of the first dense model by the task's measure, with its name: the mean over the seeds that have it.
    pub score: Option<(String, f64)>,
    /// That model, by its name in a seed's folder.
    pub score_model: Option<String>,
    /// How many seeds it is the mean of.
    pub score_seeds: usize,
    /// Validation loss of the first dense model, in nats.
    pub valid_loss: Option<f64>,
    /// What happens there now.
    pub state: State,
    /// The model in training, and its last logged step.
    pub at: Option<(String, u64)>,
    /// Seconds that a running process will take, as it says; else those that the models which are not trained will take,
    /// from those that are.
    pub seconds_left: Option<f64>,
    /// What the process says that works there, or did last; none where it has left nothing that can be read.
    pub status: Option<Status>,
    /// Seconds since anything was logged, of a run that is not complete.
    pub silent: Option<u64>,
}

/// What happens in a run folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A process works in it: its name, number and host.
    Running(String),
    /// Every model is scored and the table is there.
    Complete,
    /// Nobody works in it, the last process prepared its data, and no model is begun.
    Prepared,
    /// Nobody works in it, and something is left.
    Stopped,
    /// The same, and the last process ended by an error.
    Failed,
    /// The same, and the last process ended without a word: it was killed, or the machine stopped.
    Killed,
}

impl State {
    /// Of a run that nobody works in, which is not complete; `is_begun` says whether there is anything of its models.
    fn left_by(last: Option<&Status>, is_begun: bool) -> Self {
        let is_prepared = |status: &Status| {
            (status.state, status.stage) == (Ended::Done, Stage::Prepare) && !is_begun
        };
        if last.is_some_and(is_prepared) {
            return Self::Prepared;
        }
        match last.map(|status| status.state) {
            Some(Ended::Stopped | Ended::Done) | None => Self::Stopped,
            Some(Ended::Failed) => Self::Failed,
            Some(Ended::Running) => Self::Killed,
        }
    }
}

/// Prints the runs. Those that cannot be read, and records that cannot, are named and left out.
///
/// # Errors
/// Folders without runs; when the others are printed, anything that was left out.
pub fn runs(request: &Runs) -> Result<()> {
    let (mut states, mut left_out) = (Vec::new(), Vec::new());
    for folder in find_runs(&request.paths)? {
        match state(&folder) {
            Ok(state) => {
                left_out.extend(state.damaged.clone());
                states.push(state);
            }
            Err(error) => left_out.push(format!("{}: {error:#}", folder.display())),
        }
    }
    if request.json {
        print_line(serde_json::to_string_pretty(&states)?)?;
    } else {
        print_line(to_text(&states).trim_end())?;
    }
    for line in &left_out {
        crate::protocol::note(false, line);
    }
    refuse_left_out("the runs are listed", left_out.len())
}

/// What a run folder says of its run, records that cannot be read left out.
///
/// # Errors
/// A folder without a recipe, and other files in it that cannot be read.
pub(crate) fn state(root: &Path) -> Result<RunState> {
    let program = program_of(root)?;
    let folder = RunFolder::at(root.to_owned());
    with_task!(program, T => {
        let mut recipe = recipe_of::<<T as Task>::Recipe>(root)?;
        let (records, damaged) = records_of(root)?;
        // Seeds that were added to the run are in its folder alone.
        let mut all: BTreeSet<u64> = recipe.seeds().iter().copied().collect();
        all.extend(seeds(root));
        all.extend(records.iter().map(|record| record.seed));
        recipe.set_seeds(all.into_iter().collect());
        // Of a run without records there is no table yet.
        let table = <T as Task>::table(&recipe, &folder);
        let expected = table.map_or_else(|_| Vec::new(), |of| of.expected);
        let is_whole = damaged.is_empty() && has_every_score(&records, &expected);
        let models = models::<T>(&recipe, &folder)?;
        let state = of_models(program, &folder, &recipe, &models, (&records, is_whole))?;
        Ok(RunState { damaged, ..state })
    })
}

/// A model of a recipe.
struct Model {
    folder: ModelFolder,
    is_dense: bool,
}

/// Every model of a recipe, in the order in which they are trained.
fn models<T: Task>(recipe: &T::Recipe, folder: &RunFolder) -> Result<Vec<Model>> {
    let models = all_models::<T>(recipe, folder)?.into_iter();
    let model = models.map(|(arm, row)| Model {
        folder: arm.model(row.as_ref()),
        is_dense: row.is_none(),
    });
    Ok(model.collect())
}

/// The seed of each model, and its name in records.
pub(crate) fn names_in_records<'a>(
    models: impl IntoIterator<Item = &'a ModelFolder>,
) -> Vec<(u64, String)> {
    let name = |of: &ModelFolder| (of.identity.seed, of.identity.run.replace('/', "-"));
    models.into_iter().map(name).collect()
}

fn of_models<R: Recipe>(
    program: ProgramName,
    folder: &RunFolder,
    recipe: &R,
    models: &[Model],
    (records, is_whole): (&[RunRecord], bool),
) -> Result<RunState> {
    let names = names_in_records(models.iter().map(|of| &of.folder));
    let completed = || {
        records
            .iter()
            .filter(|of| of.status == RecordStatus::Completed)
    };
    let scored: BTreeSet<usize> = completed().filter_map(|of| owner(&names, of)).collect();
    let (mut trained, mut seconds) = (0, [Vec::new(), Vec::new()]);
    let (mut left, mut at, mut valid_loss) = ([0_usize; 2], None, None);
    // One that cannot be read is none: the next process writes it anew.
    let status = Status::load(folder.root()).unwrap_or_default();
    for (at_model, model) in models.iter().enumerate() {
        let kind = usize::from(model.is_dense);
        if model.folder.trained().is_file() {
            let summary = TrainingSummary::load(&model.folder)?;
            trained += 1;
            if model.is_dense && valid_loss.is_none() {
                valid_loss = Some(summary.valid_nll);
            }
            seconds[kind].push(summary.finished.saturating_sub(summary.started) as f64);
        } else if scored.contains(&at_model) {
            // Its score is all that is kept.
            trained += 1;
        } else {
            left[kind] += 1;
            if let Some(timing) = last_timing(&model.folder.path) {
                let identity = &model.folder.identity;
                // A process that was asked to stop saved more than it had logged.
                let saved = status.as_ref().and_then(|of| of.stopped_at(identity));
                at = Some((identity.run.clone(), saved.unwrap_or(timing.step)));
            }
        }
    }
    let mean = |of: &[f64]| (!of.is_empty()).then(|| of.iter().sum::<f64>() / of.len() as f64);
    let of_kind = |kind: usize| match left[kind] {
        0 => Some(0.0),
        n => mean(&seconds[kind]).map(|mean| mean * n as f64),
    };
    let seconds_left = of_kind(0)
        .zip(of_kind(1))
        .map(|(again, dense)| again + dense);
    let has_table = folder.root().join("TABLE.csv").is_file();
    let is_complete = scored.len() == models.len() && is_whole && has_table;
    let state = match (RunLock::holder(folder.root())?, is_complete) {
        (Some(holder), _) => State::Running(holder),
        (None, true) => State::Complete,
        (None, false) => {
            let is_begun = trained > 0 || at.is_some() || !records.is_empty();
            State::left_by(status.as_ref(), is_begun)
        }
    };
    let seconds_left = match is_of_holder(&state, status.as_ref()) {
        true => status.as_ref().and_then(Status::seconds_left_now),
        false => (trained < models.len()).then_some(seconds_left).flatten(),
    };
    let dense = dense_score(&names, completed());
    Ok(RunState {
        folder: folder.root().to_owned(),
        program: program.as_str(),
        table: recipe.table().to_owned(),
        seeds: recipe.seeds().to_vec(),
        trained,
        models: models.len(),
        records: records.len(),
        damaged: Vec::new(),
        valid_loss,
        score_model: (dense.as_ref()).map(|of| models[of.model].folder.identity.run.clone()),
        score_seeds: dense.as_ref().map_or(0, |of| of.n_seeds),
        score: dense.map(|of| (of.metric.to_string(), of.mean)),
        silent: match state {
            State::Complete | State::Prepared => None,
            State::Running(_) | State::Stopped | State::Failed | State::Killed => silent(models),
        },
        seconds_left,
        status,
        state,
        at,
    })
}

/// What stands for the dense models of a run.
#[derive(Debug, PartialEq)]
struct DenseScore {
    /// The first model that has it, in the order in which they are trained.
    model: usize,
    metric: Metric,
    mean: f64,
    n_seeds: usize,
}

/// The task's score of the first dense model that has one, over its seeds; never what it costs.
fn dense_score<'a>(
    names: &[(u64, String)],
    completed: impl Iterator<Item = &'a RunRecord>,
) -> Option<DenseScore> {
    let scored = completed
        .filter(|record| record.condition == Condition::Dense)
        .filter_map(|record| {
            let place = (owner(names, record)?, record.metric.precedence()?);
            Some((place, record.value?, record))
        });
    let scored: Vec<_> = scored.collect();
    let ((model, _), _, first) = scored.iter().min_by_key(|(place, ..)| *place)?;
    // The same score of the model with this name in each seed.
    let of_seeds: BTreeMap<u64, f64> = scored
        .iter()
        .filter(|((at, _), _, record)| {
            names[*at].1 == names[*model].1
                && record.row == first.row
                && record.metric == first.metric
                && record.signature == first.signature
        })
        .map(|(_, value, record)| (record.seed, *value))
        .collect();
    Some(DenseScore {
        model: *model,
        metric: first.metric,
        mean: of_seeds.values().sum::<f64>() / of_seeds.len() as f64,
        n_seeds: of_seeds.len(),
    })
}

/// The score in words: `answer-f1 10.24 (squad/dense, 3 seeds)`.
fn score_words(of: &RunState) -> String {
    let Some((metric, value)) = &of.score else {
        return "–".to_owned();
    };
    let model = of.score_model.clone().filter(|model| model != "dense");
    let seeds = (of.score_seeds > 1).then(|| format!("{} seeds", of.score_seeds));
    let of_what: Vec<String> = model.into_iter().chain(seeds).collect();
    match of_what.is_empty() {
        true => format!("{metric} {value:.2}"),
        false => format!("{metric} {value:.2} ({})", of_what.join(", ")),
    }
}

/// Whether every run of a table has its record, with every score that others of its row have.
fn has_every_score(records: &[RunRecord], expected: &[Expected]) -> bool {
    let completed = || {
        records
            .iter()
            .filter(|of| of.status == RecordStatus::Completed)
    };
    if !expected
        .iter()
        .all(|of| completed().any(|record| of.answered_by(record)))
    {
        return false;
    }
    let models = || completed().filter(|of| !matches!(of.condition, Condition::Baseline(_)));
    let row = |of: &RunRecord| (of.row.clone(), of.variant.clone());
    let mut rows: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    let mut found: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for record in models() {
        let metric = record.metric.to_string();
        rows.entry(row(record)).or_default().insert(metric.clone());
        let p = record.p_nominal.map(f64::to_bits);
        let of_row = (row(record), record.seed, record.condition.to_string(), p);
        found.entry(of_row).or_default().insert(metric);
    }
    found
        .iter()
        .all(|((row, ..), metrics)| rows[row] == *metrics)
}

/// Whether a status is that of the process that works in its folder, which may not have written one yet.
fn is_of_holder(state: &State, status: Option<&Status>) -> bool {
    match (state, status) {
        (State::Running(holder), Some(status)) => {
            let process = format!("(pid {} on host {})", status.pid, status.host);
            status.state == Ended::Running && holder.contains(&process)
        }
        (State::Running(_) | State::Complete, _)
        | (State::Prepared | State::Stopped | State::Failed | State::Killed, _) => false,
    }
}

/// Seconds since the newest log was written.
fn silent(models: &[Model]) -> Option<u64> {
    let written = models.iter().filter_map(|model| {
        let log = model.folder.path.join(TIMING).metadata().ok()?;
        log.modified().ok()
    });
    let since = SystemTime::now().duration_since(written.max()?).ok()?;
    Some(since.as_secs())
}

/// A line for each run, under a heading.
fn to_text(states: &[RunState]) -> String {
    let mut table = Table::new([
        ("run", Align::Left),
        ("program", Align::Left),
        ("seeds", Align::Left),
        ("models", Align::Right),
        ("scores", Align::Right),
        ("dense score", Align::Left),
        ("state", Align::Left),
        ("left", Align::Right),
    ]);
    for of in states {
        let seeds: Vec<String> = of.seeds.iter().map(u64::to_string).collect();
        let said = (of.status.as_ref()).filter(|status| is_of_holder(&of.state, Some(status)));
        let at = match (said, &of.at) {
            (Some(status), _) => format!(": {}", status.words()),
            (None, Some((model, step))) => format!(": {model}, step {step}"),
            (None, None) => String::new(),
        };
        let state = match &of.state {
            State::Running(holder) => format!("running {holder}{at}"),
            State::Complete => "complete".to_owned(),
            State::Prepared => "prepared".to_owned(),
            State::Stopped => format!("stopped{at}"),
            State::Failed => format!("failed{at}"),
            State::Killed => format!("killed{at}"),
        };
        table.push([
            of.folder.display().to_string(),
            of.program.to_owned(),
            seeds.join(","),
            format!("{}/{}", of.trained, of.models),
            of.records.to_string(),
            score_words(of),
            state,
            match (&of.state, of.seconds_left) {
                (State::Complete, _) => String::new(),
                // Nothing was timed, and nothing is wrong.
                (State::Prepared, _) => "–".to_owned(),
                (_, None) => "?".to_owned(),
                (_, Some(seconds)) => {
                    let is_more = said.is_some_and(|status| status.at_least);
                    let least = if is_more { "at least " } else { "" };
                    format!("{least}{}", duration(seconds))
                }
            },
        ]);
    }
    table.to_terminal(terminal_width())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::recipe::LmRecipe;

    /// Two of three models trained in 10 and 4 seconds, the third under way.
    #[test]
    fn what_is_left_comes_from_what_is_done() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("run");
        let sets = ["prune.p=[0, 50, 80]", "prune.random_masks=[0, 0, 0]"].map(str::to_owned);
        let recipe = LmRecipe::load("small/lm", &sets).unwrap();
        let folder = RunFolder::at(root.clone());
        let lock = folder.enter(&recipe, true).unwrap();
        let trained = |name: &str, seconds: u64| {
            let dir = root.join("seed-1").join(name);
            fs::create_dir_all(&dir).unwrap();
            let text = format!(
                "{{\"steps\":9,\"tokens_per_second\":1.0,\"valid_nll\":1.0,\"started\":100,\"finished\":{}}}",
                100 + seconds
            );
            fs::write(dir.join("trained.json"), text).unwrap();
        };
        let before = state(&root).unwrap();
        let n = before.models;
        assert_eq!(
            (before.trained, before.seconds_left, before.records),
            (0, None, 0)
        );
        trained("dense", 10);
        trained("rows/ap-p50", 4);
        let dir = root.join("seed-1/rows/ap-p80");
        fs::create_dir_all(&dir).unwrap();
        fs::write(
            dir.join("timing.jsonl"),
            "{\"step\":5,\"seconds\":1.0}\n{\"step\":",
        )
        .unwrap();
        let now = state(&root).unwrap();
        assert_eq!((now.trained, now.models), (2, n));
        assert_eq!(now.seconds_left, Some(4.0 * (n - 2) as f64));
        assert_eq!(now.at, Some(("ap-p80".to_owned(), 5)));
        assert!(matches!(&now.state, State::Running(holder) if holder.contains("lm")));
        drop(lock);
        let text = to_text(&[state(&root).unwrap()]);
        assert!(text.contains("stopped: ap-p80, step 5"), "{text}");
        assert!(text.contains(&format!("2/{n}")), "{text}");
        // What was saved when the process was asked to stop is more than it had logged.
        let stopped = |seed: u64, step: u64| {
            let text = format!(
                "{{\"state\":\"stopped\",\"stage\":\"prune\",\"model\":\"ap-p80\",\"seed\":{seed},\"models_done\":2,\
                 \"models\":{n},\"step\":{step},\"steps\":9,\"seconds_left\":null,\"at_least\":false,\"host\":\"h\",\
                 \"pid\":1,\"started\":1,\"updated\":2}}"
            );
            fs::write(root.join("status.json"), text).unwrap();
            state(&root).unwrap().at
        };
        assert_eq!(stopped(1, 7), Some(("ap-p80".to_owned(), 7)));
        assert_eq!(stopped(2, 7), Some(("ap-p80".to_owned(), 5)));
    }
}
