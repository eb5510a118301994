//! What the command line asks for.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use burn::tensor::Device;
use serde_json::json;
use sparta_experiments::device::{self, DeviceChoice};

use crate::arguments::{Arguments, refuse};
use crate::peer::Peer;

const USAGE: &str = "--device NAME, --filter TEXT, --rounds N, --steps N, --peer PYTHON and --out DIR; the head of \
     experiments/benches/training/main.rs says more";

/// `--device NAME --filter TEXT --rounds N --steps N --peer PYTHON --out DIR`.
pub struct Options {
    pub choice: DeviceChoice,
    filter: String,
    pub rounds: usize,
    /// Steps of a training that are timed in a round.
    pub steps: usize,
    python: Option<PathBuf>,
    pub out: Option<PathBuf>,
    /// Of both sides.
    pub threads: usize,
}

impl Options {
    pub fn parse() -> Self {
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        let asked = std::env::var("RAYON_NUM_THREADS").ok();
        let asked = asked.and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        let mut options = Self {
            choice: DeviceChoice::Flex,
            filter: String::new(),
            rounds: 3,
            steps: 20,
            python: None,
            out: None,
            threads: asked.unwrap_or(all),
        };
        let mut arguments = Arguments::new(USAGE);
        while let Some(name) = arguments.option() {
            match name.as_str() {
                "--device" => {
                    let choice = arguments.value(&name).parse();
                    options.choice =
                        choice.unwrap_or_else(|error: String| refuse(format!("--device: {error}")));
                }
                "--filter" => options.filter = arguments.value(&name),
                "--rounds" => options.rounds = arguments.number(&name, 1),
                "--steps" => options.steps = arguments.number(&name, 1),
                "--peer" => options.python = Some(arguments.value(&name).into()),
                "--out" => options.out = Some(arguments.value(&name).into()),
                _ => arguments.unknown(&name),
            }
        }
        options
    }

    pub fn wants(&self, case: &str) -> bool {
        case.contains(&self.filter)
    }

    /// # Errors
    /// A device that is not compiled in, or not there.
    pub fn device(&self) -> Result<Device> {
        Ok(device::open(self.choice, "bench")?.device)
    }

    /// A peer with as many threads, if peers are asked for.
    pub fn peer(&self, script: &str) -> Option<Peer> {
        let mut peer = Peer::start(self.python.as_deref()?, script);
        peer.ask(&json!({"do": "threads", "threads": self.threads}));
        Some(peer)
    }

    /// Whether the peers' Python has a package.
    pub fn has_package(&self, name: &str) -> bool {
        self.python.as_ref().is_some_and(|python| {
            let imported = Command::new(python)
                .args(["-c", &format!("import {name}")])
                .output();
            imported.is_ok_and(|output| output.status.success())
        })
    }
}
