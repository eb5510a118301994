//! The other side: a Python program of `benches/peer` as a process, one JSON object a line each way,
//! arrays as raw files.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::arguments::refuse;

/// The running process, which ends when its input does.
pub struct Peer {
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    dir: TempDir,
}

impl Peer {
    /// Starts `python benches/peer/SCRIPT`.
    pub fn start(python: &Path, script: &str) -> Self {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/peer");
        let mut process = Command::new(python)
            .arg(scripts.join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                let python = python.display();
                refuse(format!(
                    "cannot start --peer {python}: {error}; benches/peer/run makes one that works"
                ))
            });
        Self {
            input: process.stdin.take().expect("piped"),
            output: BufReader::new(process.stdout.take().expect("piped")),
            _process: process,
            dir: tempfile::tempdir().expect("a temporary folder can be made"),
        }
    }

    /// Sends a request and waits for its answer.
    pub fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.input, "{request}").expect("the peer reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the peer writes");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the peer ended: see above; {line}"))
    }

    /// Name and version of everything that is timed there.
    pub fn versions(&mut self) -> String {
        let answer = self.ask(&json!({"do": "versions"}));
        answer.as_str().expect("a text").to_owned()
    }

    /// Leaves an array for the peer to read.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.dir.path().join(name), bytes).expect("the folder is writable");
    }

    /// Opens a case, runs it once, and returns its outputs.
    pub fn open(&mut self, mut case: Value) -> Vec<Vec<f64>> {
        case["do"] = "open".into();
        case["dir"] = json!(self.dir.path());
        let answer = self.ask(&case);
        let read = |i: u64| {
            let bytes = std::fs::read(self.dir.path().join(format!("output{i}")));
            let bytes = bytes.expect("the peer wrote it");
            let values = bytes.as_chunks::<4>().0;
            values
                .iter()
                .map(|x| f32::from_ne_bytes(*x).into())
                .collect()
        };
        (0..answer.as_u64().expect("a count")).map(read).collect()
    }

    /// Milliseconds of each of a few calls of the open case.
    pub fn time(&mut self) -> Vec<f64> {
        let answer = self.ask(&json!({"do": "time"}));
        serde_json::from_value(answer).expect("numbers")
    }
}
