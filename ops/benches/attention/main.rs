//! Times attention, forward and backward, fused and by its readable definition, on every device compiled
//! in and, with `--peer PYTHON`, against PyTorch: same inputs, same threads, in turns, after the contexts and
//! gradients of both were compared.
//!
//! ```text
//! cargo bench -p sparta-ops --bench attention [-- --device flex --filter entmax15 --rounds 5
//!     --cases cpu --peer PYTHON --out results/bench/DATE-MACHINE --masks RUN --baseline summary.csv]
//! ```
//!
//! `--masks RUN` adds the masks of a run (`lm --out RUN`), of all layers at once, against the same kernel
//! without them; `--filter 'of a run'` leaves those alone. `--cases gpu` are long sequences in f16, against
//! AdaSplash, FlexAttention and PyTorch's own kernel on an NVIDIA GPU; ours through Vulkan.
//! `SPARTA_BENCH=attention-gpu benches/peer/run MACHINE vulkan` does it all. `--baseline` prints earlier times over these, of the
//! cases that a summary of an earlier `--out` has.

#[path = "../common/arguments.rs"]
mod arguments;
mod baseline;
mod case;
#[path = "../common/chosen.rs"]
mod chosen;
mod masks;
mod memory;
mod ours;
#[path = "../common/peer.rs"]
mod peer;
mod report;

use std::path::PathBuf;

use arguments::{Arguments, refuse};
use baseline::Baseline;
use case::{Case, Other, Suite};
use chosen::chosen;
use ours::Ours;
use report::{Report, Row};
use sparta_ops::testing::TestDevice;

const USAGE: &str = "--device NAME, --filter TEXT, --rounds N, --cases cpu|gpu, --peer PYTHON, --out DIR, --masks RUN and \
     --baseline summary.csv; the head of ops/benches/attention/main.rs says more";

/// What the command line asks for.
struct Options {
    device: Option<String>,
    filter: String,
    rounds: usize,
    suite: Suite,
    peer: Option<PathBuf>,
    out: Option<PathBuf>,
    masks: Option<PathBuf>,
    baseline: Option<Baseline>,
}

impl Options {
    fn parse() -> Self {
        let mut options = Self {
            device: None,
            filter: String::new(),
            rounds: 5,
            suite: Suite::Cpu,
            peer: None,
            out: None,
            masks: None,
            baseline: None,
        };
        let mut arguments = Arguments::new(USAGE);
        while let Some(name) = arguments.option() {
            match name.as_str() {
                "--device" => options.device = Some(arguments.value(&name)),
                "--filter" => options.filter = arguments.value(&name),
                "--rounds" => options.rounds = arguments.number(&name, 1),
                "--cases" => options.suite = Suite::named(&arguments.value(&name)),
                "--peer" => options.peer = Some(arguments.value(&name).into()),
                "--out" => options.out = Some(arguments.value(&name).into()),
                "--masks" => options.masks = Some(arguments.value(&name).into()),
                "--baseline" => {
                    let path: PathBuf = arguments.value(&name).into();
                    options.baseline = Some(Baseline::read(&path));
                }
                _ => arguments.unknown(&name),
            }
        }
        options
    }
}

fn main() {
    let options = Options::parse();
    let devices = chosen(options.device.as_deref());
    let mut cases = options.suite.cases();
    cases.extend(options.masks.iter().flat_map(|dir| masks::cases(dir)));
    let mut peer = options
        .peer
        .as_deref()
        .map(|python| peer::Peer::start(python, options.suite.peer()));
    let mut report = Report::default();
    if let Some(peer) = &mut peer {
        report.versions = peer.versions();
    }
    for device in devices {
        for case in &cases {
            if case.label().contains(&options.filter) {
                let mut row = measure(case, &device, peer.as_mut(), options.rounds);
                row.baseline = options.baseline.as_ref().and_then(|of| of.of(&row));
                println!("{row}");
                report.rows.push(row);
            }
        }
    }
    if let Some(out) = &options.out {
        report.write(out).unwrap_or_else(|error| {
            refuse(format!("cannot write to --out {}: {error}", out.display()))
        });
    }
}

/// Times one case, in turns with what it is compared with.
fn measure(case: &Case, device: &TestDevice, peer: Option<&mut peer::Peer>, rounds: usize) -> Row {
    let inputs = case.inputs();
    let ours = Ours::new(case, &inputs, device);
    let mut row = Row::new(case, device.name);
    let found = match case.is_compared() {
        true => ours.outputs(),
        false => Vec::new(),
    };
    row.peak_bytes = (device.name != "wgpu").then(|| ours.peak_bytes());
    let mut other: Box<dyn FnMut() -> Vec<f64>> = match (case.other, peer) {
        (Other::Dense | Other::Reference, _) => {
            let other = Ours::new(&case.compared(), &inputs, device);
            if case.other == Other::Reference {
                row.compare(&found, &other.outputs());
            }
            Box::new(move || other.time())
        }
        (Other::Peer(_), Some(peer)) => {
            let outputs = case.open(peer, &inputs);
            row.compare(&found, &outputs);
            Box::new(|| peer.time())
        }
        (Other::Peer(_), None) => Box::new(Vec::new),
    };
    for _ in 0..rounds {
        row.ours.extend(ours.time());
        row.peer.extend(other());
    }
    row
}
