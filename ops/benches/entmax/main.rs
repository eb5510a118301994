//! Times the operations on every device compiled in and, with `--peer PYTHON`, against entmax 1.3 on
//! PyTorch: same inputs, same threads, alternating, after the outputs of both were compared.
//!
//! ```text
//! cargo bench -p sparta-ops [--features tch,…] [-- --device flex --filter entmax15 --rounds 7
//!     --peer PYTHON --out results/bench/DATE-MACHINE]
//! ```

#[path = "../common/arguments.rs"]
mod arguments;
mod case;
#[path = "../common/chosen.rs"]
mod chosen;
mod ours;
#[path = "../common/peer.rs"]
mod peer;
mod report;
mod upstream;
mod vectors;

use std::path::PathBuf;

use arguments::{Arguments, refuse};
use case::Case;
use chosen::chosen;
use report::{Report, Row};
use sparta_ops::testing::TestDevice;

const USAGE: &str = "--device NAME, --filter TEXT, --rounds N, --peer PYTHON and --out DIR; the head of \
     ops/benches/entmax/main.rs says more";

/// What the command line asks for.
pub struct Options {
    device: Option<String>,
    filter: String,
    rounds: usize,
    peer: Option<PathBuf>,
    out: Option<PathBuf>,
}

impl Options {
    fn parse() -> Self {
        let mut options = Self {
            device: None,
            filter: String::new(),
            rounds: 7,
            peer: None,
            out: None,
        };
        let mut arguments = Arguments::new(USAGE);
        while let Some(name) = arguments.option() {
            match name.as_str() {
                "--device" => options.device = Some(arguments.value(&name)),
                "--filter" => options.filter = arguments.value(&name),
                "--rounds" => options.rounds = arguments.number(&name, 1),
                "--peer" => options.peer = Some(arguments.value(&name).into()),
                "--out" => options.out = Some(arguments.value(&name).into()),
                _ => arguments.unknown(&name),
            }
        }
        options
    }
}

fn main() {
    let options = Options::parse();
    let devices = chosen(options.device.as_deref());
    let mut peer = options
        .peer
        .as_deref()
        .map(|python| peer::Peer::start(python, "entmax_peer.py"));
    let mut report = Report::default();
    if let Some(peer) = &mut peer {
        report.versions = peer.versions();
        report.vectors = vectors::compare(peer);
    }
    for device in devices {
        for case in Case::all()
            .iter()
            .filter(|case| case.label().contains(&options.filter))
        {
            let row = measure(case, &device, peer.as_mut(), options.rounds);
            println!("{row}");
            report.rows.push(row);
        }
    }
    if let Some(out) = &options.out {
        report.write(out).unwrap_or_else(|error| {
            refuse(format!("cannot write to --out {}: {error}", out.display()))
        });
    }
}

/// Times one case, in turns with the peer.
fn measure(
    case: &Case,
    device: &TestDevice,
    mut peer: Option<&mut peer::Peer>,
    rounds: usize,
) -> Row {
    let inputs = case.inputs();
    let mut ours = ours::Ours::new(case, &inputs, device);
    let found = ours.outputs();
    let exact = case.exact_outputs(&inputs);
    let theirs = peer.as_mut().map(|peer| case.open(peer, &inputs));
    let mut row = Row::new(case, device.name, &found, theirs.as_deref(), &exact);
    for _ in 0..rounds {
        row.ours.extend(ours.time());
        if let Some(peer) = &mut peer {
            row.peer.extend(peer.time());
        }
    }
    row
}
