//! What a person sees and can do while training runs: progress, metrics, Ctrl-C.

use std::fs::{self, File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use crate::io::{say, write_text};
use crate::signals;
use crate::status::{Count, Tracker};

static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);

/// The error of a run that stopped at a checkpoint because the user asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    /// How to go on.
    pub resume: String,
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "interrupted; {}", self.resume)
    }
}

impl std::error::Error for Interrupted {}

/// Takes over Ctrl-C (and SIGTERM and SIGHUP): the first asks to stop at the next step, the second exits now.
///
/// # Errors
/// If the system refuses the handler.
pub fn listen() -> Result<()> {
    let handle = || {
        ctrlc::set_handler(|| {
            if INTERRUPTS.fetch_add(1, Ordering::SeqCst) == 0 {
                say("\nstopping after this step; Ctrl-C again exits at once");
            } else {
                std::process::exit(signals::exit_status().into());
            }
        })
        .context("cannot listen for Ctrl-C")
    };
    signals::remember(handle)
}

/// Whether Ctrl-C was pressed.
#[must_use]
pub fn is_interrupted() -> bool {
    INTERRUPTS.load(Ordering::SeqCst) > 0
}

/// Stops work that keeps nothing of its own, such as scoring, after Ctrl-C.
///
/// # Errors
/// [`Interrupted`] after Ctrl-C.
pub fn stop_if_interrupted(what: &str) -> Result<()> {
    match is_interrupted() {
        true => Err(interrupted(what).into()),
        false => Ok(()),
    }
}

/// The error of work that keeps nothing of its own and was stopped.
#[must_use]
pub fn interrupted(what: &str) -> Interrupted {
    Interrupted {
        resume: format!("{what} starts again with `--resume`, all training is saved"),
    }
}

/// Progress of one piece of work: a bar on a terminal, a line every few seconds elsewhere.
pub struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    total: u64,
    first: u64,
    units_per_step: f64,
    started: Instant,
    spoke: Instant,
    quiet: bool,
    /// How far the run is that the work is a part of, where it is of one.
    tracker: Option<Rc<Tracker>>,
}

fn look(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(15);

impl Progress {
    /// Starts at step `first` of `total`; a step is worth `units_per_step` tokens.
    #[must_use]
    pub fn start(label: &str, first: u64, total: u64, units_per_step: f64, quiet: bool) -> Self {
        let bar = (std::io::stderr().is_terminal() && !quiet).then(|| {
            let bar = ProgressBar::new(total).with_position(first);
            look(
                &bar,
                "{prefix:14} {bar:20} {pos}/{len} eta {eta} {wide_msg}",
            );
            bar.set_prefix(label.to_owned());
            bar
        });
        Self {
            bar,
            label: label.to_owned(),
            total,
            first,
            units_per_step,
            started: Instant::now(),
            spoke: Instant::now(),
            quiet,
            tracker: None,
        }
    }

    /// As a part of a run, which takes note of it and says how far all of it is.
    #[must_use]
    pub(crate) fn of_run(mut self, tracker: Rc<Tracker>) -> Self {
        if let Some(bar) = &self.bar {
            // In 80 columns there is room for how long the whole run takes and not for its part too.
            look(bar, "{prefix:14} {bar:10} {pos}/{len} {wide_msg}");
        }
        self.tracker = Some(tracker);
        self
    }

    /// Tokens a second since the start, after `done` steps in all.
    #[must_use]
    pub fn rate(&self, done: u64) -> f64 {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        (done.saturating_sub(self.first)) as f64 * self.units_per_step / seconds
    }

    /// Reports `done` steps, with some words such as the loss.
    ///
    /// # Errors
    /// If the status of the run, whose part it is, cannot be written.
    pub fn at(&mut self, done: u64, words: &str) -> Result<()> {
        let rate = self.rate(done);
        if let Some(tracker) = &self.tracker {
            tracker.at(Count {
                first: self.first,
                done,
                total: self.total,
                seconds: self.started.elapsed().as_secs_f64(),
            })?;
        }
        let of_run = || self.tracker.as_ref().and_then(|tracker| tracker.words());
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            let of_run = of_run().map_or_else(String::new, |of_run| format!("{of_run} · "));
            bar.set_message(format!("{of_run}{words} {rate:.0} tokens/s"));
        } else if !self.quiet && self.spoke.elapsed() >= LINE_EVERY {
            let of_run = of_run().map_or_else(String::new, |of_run| format!(" ({of_run})"));
            self.spoke = Instant::now();
            let left =
                (self.total.saturating_sub(done)) as f64 * self.units_per_step / rate.max(1e-9);
            say(format_args!(
                "{}: {done}/{} {words} {rate:.0} tokens/s, {} left{of_run}",
                self.label,
                self.total,
                duration(left)
            ));
        }
        Ok(())
    }

    /// Ends the bar with one line that stays.
    pub fn finish(self, words: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let line = format!("{}: {words}", self.label);
        if !self.quiet {
            say(&line);
        }
        if let Some(tracker) = &self.tracker {
            tracker.log(&line);
        }
    }
}

/// Seconds in words: `42 s`, `3 min 5 s`, `2 h 10 min`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..172_800 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} days {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// A log of numbers by step, such as `metrics.jsonl`: a JSON object a line.
pub struct Metrics {
    file: File,
    path: std::path::PathBuf,
}

impl Metrics {
    /// Opens the log to go on after `step`, of which only the line of the training itself stays where its validation
    /// is still to be made (`owes_validation`); lines of later steps, which a killed run had written
    /// after its last checkpoint, are dropped; so is what is no line of a log, such as the half of one that a failing
    /// machine left, and that is said.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn resume(path: &Path, step: u64, owes_validation: bool) -> Result<Self> {
        if path.exists() {
            let bytes =
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let (kept, n_torn) = lines_until(&bytes, step, owes_validation);
            if n_torn > 0 {
                say(format_args!(
                    "{}: cut {n_torn} line(s) that are no line of a log",
                    path.display()
                ));
            }
            if kept.as_bytes() != bytes {
                write_text(path, &kept)?;
            }
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Waits until the disk has every line, as it has the checkpoint that goes on from them.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sync(&self) -> Result<()> {
        let synced = self.file.sync_data();
        synced.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Appends one line.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn write(
        &mut self,
        step: u64,
        fields: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<()> {
        let mut line = Map::new();
        line.insert("step".to_owned(), step.into());
        line.extend(fields);
        let text = format!("{}\n", Value::Object(line));
        let written = self.file.write_all(text.as_bytes());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// The lines of a log up to a step, of that step those of the training alone where its validation is still to be made,
/// and how many are none.
fn lines_until(log: &[u8], step: u64, owes_validation: bool) -> (String, usize) {
    let (mut kept, mut n_torn) = (String::new(), 0);
    for line in log.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let value = serde_json::from_slice::<Value>(line).ok();
        let is_training = (value.as_ref()).is_some_and(|v| v.get("train/nll").is_some());
        let of_line = value.and_then(|v| v.get("step").and_then(Value::as_u64));
        let stays = |at| at < step || (at == step && (is_training || !owes_validation));
        match (of_line, std::str::from_utf8(line)) {
            (Some(at), Ok(line)) if stays(at) && step > 0 => {
                kept.push_str(line);
                kept.push('\n');
            }
            (Some(_), Ok(_)) => {}
            (None, _) | (_, Err(_)) => n_torn += 1,
        }
    }
    (kept, n_torn)
}

/// A number of a line; one that JSON has no word for (NaN, ∞) is a string.
#[must_use]
pub fn number(name: &str, value: f64) -> (String, Value) {
    let number = serde_json::Number::from_f64(value);
    let value = number.map_or_else(|| Value::String(value.to_string()), Value::Number);
    (name.to_owned(), value)
}

/// Several numbers of a line, with the digits that single precision has.
#[must_use]
pub fn numbers(name: &str, values: &[f32]) -> (String, Value) {
    let digits = |value: &f32| {
        let value: f64 = value.to_string().parse().unwrap_or(f64::NAN);
        number("", value).1
    };
    (name.to_owned(), values.iter().map(digits).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_has_no_line_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = Metrics::resume(&path, 0, false).unwrap();
        for step in 1..=5 {
            log.write(step, [number("train/nll", step as f64)]).unwrap();
        }
        let mut log = Metrics::resume(&path, 3, false).unwrap();
        log.write(4, [number("train/nll", f64::NAN)]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let steps: Vec<u64> = text
            .lines()
            .map(|l| {
                serde_json::from_str::<Value>(l).unwrap()["step"]
                    .as_u64()
                    .unwrap()
            })
            .collect();
        assert_eq!(steps, [1, 2, 3, 4]);
        assert!(
            text.ends_with("{\"step\":4,\"train/nll\":\"NaN\"}\n"),
            "{text}"
        );
    }

    /// Half a line, bytes that are no text, a block of zeros: what a machine that failed leaves behind.
    #[test]
    fn a_torn_end_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let whole = "{\"step\":1,\"train/nll\":2.5}\n{\"step\":2,\"train/nll\":1.5}\n";
        for torn in [
            &b"{\"step\":3,\"tr"[..],
            b"{\"step\":3\xff\xfe",
            &[0; 40],
            b"",
        ] {
            fs::write(&path, [whole.as_bytes(), torn].concat()).unwrap();
            let (kept, n_torn) = lines_until(&fs::read(&path).unwrap(), 2, false);
            assert_eq!(
                (kept.as_str(), n_torn),
                (whole, usize::from(!torn.is_empty()))
            );
            let mut log = Metrics::resume(&path, 2, false).unwrap();
            log.write(3, [number("train/nll", 0.5)]).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text, format!("{whole}{{\"step\":3,\"train/nll\":0.5}}\n"));
        }
    }

    #[test]
    fn single_precision_has_its_own_digits() {
        let (name, value) = numbers("alpha/cross/0", &[1.1, f32::NAN]);
        assert_eq!(
            (name.as_str(), value.to_string().as_str()),
            ("alpha/cross/0", "[1.1,\"NaN\"]")
        );
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(42.4), "42 s");
        assert_eq!(duration(185.0), "3 min 5 s");
        assert_eq!(duration(7800.0), "2 h 10 min");
        assert_eq!(duration(190_900.0), "2 days 5 h");
    }
}
