//! Times every attention mechanism against the number of tokens, forward alone and forward and backward, with the most
//! memory that a call holds, beside fused softmax attention of the same size.
//!
//! ```text
//! cargo bench -p sparta-model --bench mechanisms [-- --filter favor --lengths 512,1024 --causal --seconds 60
//!     --device flex --out results/bench/DATE-MACHINE/mechanisms]
//! ```
//!
//! Inputs are `[1, 4, N, 64]`, N = 512 … 16,384. A form that would pass 8 GiB, or `--seconds` for a call, by what it took
//! at the two lengths before, stops there, and the table says so. Without `--causal` every mechanism sees both sides
//! where it can. `--out` gets `summary.csv`, its plot, and the table as `mechanisms.md`.

#[path = "../../../ops/benches/common/arguments.rs"]
mod arguments;
mod case;
#[path = "../../../ops/benches/attention/memory.rs"]
mod memory;
mod report;

use std::path::PathBuf;

use arguments::{Arguments, number, refuse};
use case::{Case, Cost, Pass};
use report::{Entry, Report};
use sparta_model::layer::MechanismConfig;
use sparta_ops::attention::Implementation;
use sparta_ops::testing::{TestDevice, devices};

/// Parts of dot-product attention, besides the words that have none.
const PARTS: [&str; 4] = [
    "softmax+local(w=256)",
    "softmax+fixed(l=128,c=32)",
    "softmax+strided(l=128)",
    "softmax+span",
];

/// The most memory of a call.
const LARGEST_BYTES: f64 = 8.0 * (1u64 << 30) as f64;

const USAGE: &str = "--device NAME, --filter TEXT, --lengths N,N,…, --causal, --seconds N and --out DIR; the head of \
     model/benches/mechanisms/main.rs says more";

/// What the command line asks for.
struct Options {
    device: String,
    filter: String,
    lengths: Vec<usize>,
    causal: bool,
    seconds: f64,
    out: Option<PathBuf>,
}

impl Options {
    fn parse() -> Self {
        let mut options = Self {
            device: "flex".to_owned(),
            filter: String::new(),
            lengths: vec![512, 1024, 2048, 4096, 8192, 16384],
            causal: false,
            seconds: 60.0,
            out: None,
        };
        let mut arguments = Arguments::new(USAGE);
        while let Some(name) = arguments.option() {
            match name.as_str() {
                "--causal" => options.causal = true,
                "--device" => options.device = arguments.value(&name),
                "--filter" => options.filter = arguments.value(&name),
                "--lengths" => {
                    let lengths = arguments.value(&name);
                    let of_word = |n: &str| number(&name, n, 1);
                    options.lengths = lengths.split(',').map(of_word).collect();
                }
                "--seconds" => options.seconds = arguments.number(&name, 0.0),
                "--out" => options.out = Some(arguments.value(&name).into()),
                _ => arguments.unknown(&name),
            }
        }
        options.lengths.sort_unstable();
        options
    }

    fn device(&self) -> TestDevice {
        let known: Vec<&str> = devices().iter().map(|device| device.name).collect();
        let found = devices().into_iter().find(|of| of.name == self.device);
        found.unwrap_or_else(|| {
            refuse(format!(
                "--device {}: compiled in are {}; another one is a feature, as in `--features sparta-ops/tch`",
                self.device,
                known.join(", ")
            ))
        })
    }

    /// The mechanisms of recipes, softmax by its definition, and fused softmax, which all are compared with: first, with
    /// and without a causal mask as the others need it.
    fn cases(&self) -> Vec<Case> {
        let of_word = |word: &str| -> MechanismConfig {
            let read = word.parse();
            read.unwrap_or_else(|error| panic!("{error}"))
        };
        let words = MechanismConfig::WORDS.into_iter().chain(PARTS);
        let all: Vec<MechanismConfig> = words.map(of_word).collect();
        let is_causal = |config: &MechanismConfig| {
            let abilities = config.abilities();
            (self.causal && abilities.causal) || !abilities.bidirectional
        };
        let wanted = |config: &&MechanismConfig| {
            let abilities = config.abilities();
            config.to_string().contains(&self.filter)
                && **config != MechanismConfig::SOFTMAX
                && (!self.causal || abilities.causal)
        };
        let chosen: Vec<MechanismConfig> = all.iter().filter(wanted).copied().collect();
        let softmax = |causal, implementation| Case {
            config: MechanismConfig::SOFTMAX,
            causal,
            implementation,
        };
        let mut masks: Vec<bool> = chosen.iter().map(is_causal).collect();
        masks.push(self.causal);
        masks.sort_unstable();
        masks.dedup();
        let mut cases: Vec<Case> = Vec::new();
        for causal in masks {
            cases.push(softmax(causal, Implementation::Auto));
        }
        if self.filter.is_empty() || "softmax".contains(&self.filter) {
            cases.push(softmax(self.causal, Implementation::Reference));
        }
        cases.extend(chosen.into_iter().map(|config| Case {
            causal: is_causal(&config),
            config,
            implementation: Implementation::Auto,
        }));
        cases
    }
}

fn main() {
    let options = Options::parse();
    let device = options.device();
    let mut report = Report::new(device.name, &options.lengths);
    for case in options.cases() {
        for pass in Pass::ALL {
            let mut before: Vec<Cost> = Vec::new();
            for &n in &options.lengths {
                let expected = Cost::expected(&before, options.lengths.as_slice());
                let reason = expected.and_then(|cost| too_much(cost, options.seconds));
                let found = match reason {
                    Some(reason) => Err(reason),
                    None => Ok(case.measure(n, pass, &device.device)),
                };
                if let Ok(cost) = &found {
                    before.push(*cost);
                }
                let entry = Entry {
                    case,
                    pass,
                    n,
                    found,
                };
                println!("{entry}");
                let stops = entry.found.is_err();
                report.add(entry);
                if stops {
                    break;
                }
            }
        }
    }
    println!("\n{}", report.table());
    if let Some(out) = &options.out {
        let files = report.write(out).unwrap_or_else(|error| {
            refuse(format!("cannot write to --out {}: {error}", out.display()))
        });
        for file in files {
            println!("{}", file.display());
        }
    }
}

/// Why a call is not made.
fn too_much(cost: Cost, seconds: f64) -> Option<String> {
    let gib = cost.bytes / f64::from(1 << 30);
    if cost.bytes > LARGEST_BYTES {
        return Some(format!("would hold {gib:.0} GiB"));
    }
    let took = cost.milliseconds / 1e3;
    (took > seconds).then(|| format!("would take {took:.0} s"))
}
