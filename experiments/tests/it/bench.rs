//! The harness: a program, a folder of its own, and a recipe small enough for seconds.

#![allow(unsafe_code, reason = "signals of a process before it begins")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use tempfile::TempDir;

/// A program under test.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The binary.
    pub exe: &'static str,
    /// `--set` edits that shrink its default recipe.
    pub tiny: &'static [&'static str],
}

/// A folder of its own for one test: run folders in it, and an empty cache.
pub struct Bench {
    program: Program,
    folder: TempDir,
}

impl Bench {
    /// A bench for a program.
    pub fn of(program: Program) -> Self {
        Self {
            program,
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// A path in the folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The text of a file in the folder.
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        read(&self.path(name))
    }

    /// TABLE.csv of a run.
    pub fn csv(&self, run: &str) -> String {
        self.read(Path::new(run).join("TABLE.csv"))
    }

    /// The words of a tiny run: stage and options as typed, then the tiny recipe with further edits.
    pub fn words(&self, line: &str, sets: &[&str]) -> Vec<String> {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        for set in self.program.tiny.iter().chain(sets) {
            words.extend(["--set".to_owned(), (*set).to_owned()]);
        }
        words
    }

    /// The program in the folder.
    pub fn command(&self) -> Command {
        Command::from_std(self.process())
    }

    fn process(&self) -> std::process::Command {
        let mut process = std::process::Command::new(self.program.exe);
        process
            .current_dir(self.folder.path())
            .env("SPARTA_CACHE", self.path("cache"))
            // What the machine has of other programs is not for tests.
            .env("HF_HUB_CACHE", self.path("hub"));
        process
    }

    /// Runs the program with words as typed, on the recipe as shipped.
    pub fn run(&self, line: &str) -> Assert {
        self.command().args(line.split_whitespace()).assert()
    }

    /// Names of the records of a run, in order.
    pub fn record_names(&self, run: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(run).join("records")).expect("records");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.flatten().map(name).collect();
        names.sort();
        names
    }

    /// Runs `sparta` in the folder, with words as typed.
    pub fn sparta(&self, line: &str) -> Assert {
        Command::new(env!("CARGO_BIN_EXE_sparta"))
            .current_dir(self.folder.path())
            .env("SPARTA_CACHE", self.path("cache"))
            .args(line.split_whitespace())
            .assert()
    }

    /// Runs the program with words as typed and lines on standard input.
    pub fn piped(&self, line: &str, input: &str) -> Assert {
        self.command()
            .args(line.split_whitespace())
            .write_stdin(input.to_owned())
            .assert()
    }

    /// Runs `sparta` in the folder, with words that may hold spaces.
    pub fn sparta_of(&self, words: &[&str]) -> Assert {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sparta"));
        command
            .current_dir(self.folder.path())
            .env("SPARTA_CACHE", self.path("cache"));
        command.args(words).assert()
    }

    /// As [`Bench::piped`] with edits of the recipe, and with standard output to a device that is always full.
    pub fn full(&self, line: &str, sets: &[&str], input: &str) -> Assert {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let file = self.path("input");
        fs::write(&file, input).expect("the input");
        let output = self
            .process()
            .args(line.split_whitespace())
            .args(sets.iter().flat_map(|set| ["--set", set]))
            .stdin(fs::File::open(&file).expect("the input"))
            .stdout(full.expect("/dev/full"))
            .stderr(Stdio::piped())
            .output()
            .expect("the program runs");
        Assert::new(output)
    }

    /// Runs the program on the tiny recipe, talking to a standard error that is always full.
    pub fn unheard(&self, line: &str) -> Assert {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let output = self
            .process()
            .args(self.words(line, &[]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(full.expect("/dev/full"))
            .output()
            .expect("the program runs");
        Assert::new(output)
    }

    /// Runs the program on the tiny recipe.
    pub fn tiny(&self, line: &str) -> Assert {
        self.tiny_with(line, &[])
    }

    /// Runs the program on the tiny recipe with further edits.
    pub fn tiny_with(&self, line: &str, sets: &[&str]) -> Assert {
        let words = self.words(line, sets);
        self.command().args(words).arg("--quiet").assert()
    }

    /// As [`Bench::tiny_with`]; what it tells the person at the terminal.
    pub fn told(&self, line: &str, sets: &[&str]) -> String {
        let assert = self.command().args(self.words(line, sets)).assert();
        String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
    }

    /// Starts the program on the tiny recipe with further edits.
    pub fn spawn(&self, line: &str, sets: &[&str]) -> Child {
        self.process()
            .args(self.words(line, sets))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts")
    }

    /// As [`Bench::spawn`], with SIGHUP ignored as by `nohup`, or not, whatever this process does.
    #[cfg(unix)]
    pub fn spawn_with_hangup(&self, line: &str, sets: &[&str], is_ignored: bool) -> Child {
        use std::os::unix::process::CommandExt;
        let mut process = self.process();
        let action = if is_ignored {
            libc::SIG_IGN
        } else {
            libc::SIG_DFL
        };
        // SAFETY: `signal` may be called between fork and exec, and is given a signal and one of its two constants.
        unsafe {
            process.pre_exec(move || {
                libc::signal(libc::SIGHUP, action);
                Ok(())
            });
        }
        process
            .args(self.words(line, sets))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts")
    }

    /// Makes the same table in one go in `whole` and stage by stage in `parts`; what the first printed.
    pub fn whole_and_in_parts(&self) -> String {
        let all = self.tiny("--out whole --device flex").success();
        self.tiny("prepare --out parts").success();
        for stage in ["train", "observe", "prune", "eval"] {
            let line = format!("{stage} --out parts --device flex");
            self.tiny(&line).success();
        }
        stdout(&all)
    }

    /// Deletes the table of `whole` and makes it again from the records alone, with the recipe that is there.
    pub fn report_again(&self) {
        let csv = self.csv("whole");
        fs::remove_file(self.path("whole/TABLE.csv")).expect("a table");
        self.run("report --out whole").success();
        assert_eq!(csv, self.csv("whole"));
    }

    /// Makes a table in `whole`; kills another with SIGKILL while it trains the model in `dense`, goes on, and
    /// compares the tables and some files of the run folders.
    pub fn kill_and_resume(&self, options: &str, sets: &[&str], dense: &str, files: &[&str]) {
        let line = |run: &str| format!("--out {run} --device flex {options}");
        self.tiny_with(&line("whole"), sets).success();
        let mut child = self.spawn(&line("killed"), sets);
        let dense = self.path("killed").join(dense);
        wait_for(|| dense.join("checkpoint.safetensors").exists());
        child.kill().expect("SIGKILL");
        child.wait().expect("the end");
        assert!(!dense.join("trained.json").exists());
        // Who looks sees that the process did not end by itself.
        assert_eq!(self.status("killed")["state"], "running");
        let runs = stdout(&self.sparta("runs killed --json").success());
        let runs: serde_json::Value = serde_json::from_str(&runs).expect("JSON");
        assert_eq!(runs[0]["state"], "killed");
        // Without --resume nothing is touched.
        let text = said(&self.tiny_with(&line("killed"), sets), 1);
        assert_says(&text, &["--resume", "--out"]);
        let resumed = format!("{} --resume", line("killed"));
        self.tiny_with(&resumed, sets).success();
        assert_eq!(self.status("killed")["state"], "done");
        for file in [&["TABLE.csv"], files].concat() {
            let bytes = |run: &str| fs::read(self.path(run).join(file)).expect(file);
            assert!(bytes("whole") == bytes("killed"), "{file}");
        }
        // What computed attention is counted over both sittings.
        let attention = |run: &str| -> Vec<String> {
            let records = self.records(run);
            let lines = records.iter().flat_map(|record| record.lines());
            let of = lines.filter(|line| line.trim_start().starts_with("\"attention\""));
            of.map(str::to_owned).collect()
        };
        assert!(!attention("whole").is_empty());
        assert_eq!(attention("whole"), attention("killed"));
    }

    /// The records of a run.
    pub fn records(&self, run: &str) -> Vec<String> {
        let records = fs::read_dir(self.path(run).join("records")).expect("records");
        let mut paths: Vec<PathBuf> = records.map(|e| e.expect("a file").path()).collect();
        paths.sort();
        paths.iter().map(|path| read(path)).collect()
    }

    /// What the last process says of itself in a run folder.
    pub fn status(&self, run: &str) -> serde_json::Value {
        let text = self.read(Path::new(run).join("status.json"));
        serde_json::from_str(&text).expect("JSON")
    }

    /// The training losses of a model.
    pub fn losses(&self, model: impl AsRef<Path>) -> Vec<f64> {
        self.metric(model, "train/nll")
    }

    /// What was logged of a model under a name.
    pub fn metric(&self, model: impl AsRef<Path>, name: &str) -> Vec<f64> {
        let metrics = self.read(model.as_ref().join("metrics.jsonl"));
        let loss = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            line[name].as_f64()
        };
        metrics.lines().filter_map(loss).collect()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        let entries = fs::read_dir(self.folder.path()).expect("the folder");
        entries.count() == 0
    }
}

/// Waits until a run is far enough.
pub fn wait_for(begun: impl Fn() -> bool) {
    let started = Instant::now();
    while !begun() {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "training does not start"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What a program printed.
pub fn stdout(assert: &Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stdout).into_owned()
}

/// What a failed program said; it must have failed with `code`, in at most two lines.
pub fn said(assert: &Assert, code: i32) -> String {
    let text = failed(assert, code);
    assert!(
        text.trim_end().lines().count() <= 2,
        "more than two lines: {text}"
    );
    text
}

/// What was said of a command line that is none, in as many lines as its usage takes.
pub fn refused(assert: &Assert) -> String {
    failed(assert, 2)
}

/// That a program said, with exit code 1, that its output could not be written.
pub fn assert_full(assert: &Assert) {
    let text = failed(assert, 1);
    assert_says(
        &text,
        &["error: cannot write to standard output", "No space left"],
    );
}

fn failed(assert: &Assert, code: i32) -> String {
    let output = assert.get_output();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// That a text has some words.
pub fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
}

/// The text of a file.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A column of the line of TABLE.csv by (row, p, mask); at p = 0 every dense run counts as `ap`.
pub fn cell(csv: &str, row: &str, p: &str, mask: &str, column: usize) -> String {
    let line = csv
        .lines()
        .map(|l| l.split(',').collect::<Vec<_>>())
        .find(|cells| cells[0] == row && cells[1] == p && cells[3] == mask)
        .unwrap_or_else(|| panic!("no line {row} {p} {mask} in {csv}"));
    line[column].to_owned()
}

/// The score of a line of TABLE.csv.
pub fn score(csv: &str, row: &str, p: &str, mask: &str) -> f64 {
    cell(csv, row, p, mask, 5).parse().expect("a number")
}
