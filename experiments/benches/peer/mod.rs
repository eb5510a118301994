//! What the benches of training have in common: devices from the command line, a peer in Python, and
//! medians of both as a ratio.

use std::path::PathBuf;
use std::process::Command;

use burn::tensor::Device;
use sparta_experiments::device::{self, DeviceChoice};

const ROUNDS: usize = 3;

/// What the command line asks for: `[--device NAME] [--filter TEXT] [--steps N] [--peer PYTHON]`.
pub struct Options {
    devices: Vec<String>,
    filter: String,
    pub steps: usize,
    peer: Option<PathBuf>,
    script: &'static str,
}

impl Options {
    /// Without a device both that are fast on a CPU; `script` is the peer's, in benches/peer.
    pub fn parse(script: &'static str) -> Self {
        let mut options = Self {
            devices: vec!["flex".to_owned(), "tch".to_owned()],
            filter: String::new(),
            steps: 5,
            peer: None,
            script,
        };
        let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
        while let Some(name) = arguments.next() {
            let value = arguments
                .next()
                .unwrap_or_else(|| panic!("{name} needs a value"));
            match name.as_str() {
                "--device" => options.devices = vec![value],
                "--filter" => options.filter = value,
                "--steps" => options.steps = value.parse().expect("--steps takes a number"),
                "--peer" => options.peer = Some(value.into()),
                other => panic!("no option {other}: --device, --filter, --steps and --peer are"),
            }
        }
        options
    }

    /// Times ours on each device in turns with the peer, which prints a number when its script is run
    /// with these arguments; prints the medians. Skips titles without the filter in them.
    pub fn compare(&self, title: &str, arguments: &[String], ours: impl Fn(&Device) -> f64) {
        if !title.contains(&self.filter) {
            return;
        }
        let mut rates: Vec<(&str, Vec<f64>)> = Vec::new();
        let mut theirs = Vec::new();
        for round in 0..ROUNDS {
            theirs.extend(self.peer.as_ref().map(|_| self.run_peer(arguments)));
            for name in &self.devices {
                let choice: DeviceChoice = name.parse().expect("a device");
                match device::open(choice, "bench") {
                    Ok(opened) => {
                        let rate = ours(&opened.device);
                        match rates.iter_mut().find(|(known, _)| known == name) {
                            Some((_, rates)) => rates.push(rate),
                            None => rates.push((name, vec![rate])),
                        }
                    }
                    Err(error) if round == 0 => println!("{name}: not timed: {error:#}"),
                    Err(_) => {}
                }
            }
        }
        println!("{title} (median of {ROUNDS} × {} steps)", self.steps);
        let theirs = (!theirs.is_empty()).then(|| median(theirs));
        if let Some(rate) = theirs {
            println!("  {:<8} {rate:8.1}", "PyTorch");
        }
        for (name, rates) in rates {
            let rate = median(rates);
            let ratio = theirs.map_or(String::new(), |t| format!("  {:5.2}×", rate / t));
            println!("  {name:<8} {rate:8.1}{ratio}");
        }
    }

    fn run_peer(&self, arguments: &[String]) -> f64 {
        let python = self.peer.as_deref().expect("asked for");
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/peer");
        let output = Command::new(python)
            .arg(format!("{folder}/{}", self.script))
            .args(arguments)
            .output()
            .expect("the peer's Python starts");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().unwrap_or_else(|_| {
            let error = String::from_utf8_lossy(&output.stderr);
            panic!("the peer gave no number: {text}{error}")
        })
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
