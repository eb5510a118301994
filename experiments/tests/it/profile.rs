//! Where a run's time went, as `--profile` says.

use std::fs;
use std::time::Instant;

use crate::bench::{Bench, assert_says, said};
use crate::lm::LM;

const NO_BLOCKS: &[&str] = &[
    "prune.p=[0, 80]",
    "prune.random_masks=[0, 0]",
    "prune.block_sizes=[]",
];
const BLOCKS: &[&str] = &[
    "prune.p=[0, 80]",
    "prune.random_masks=[0, 0]",
    "prune.block_sizes=[16]",
];

/// A line of a profile.
struct Line {
    part: String,
    operation: String,
    calls: u64,
    seconds: f64,
    /// In per cent.
    share: f64,
}

fn lines(csv: &str) -> Vec<Line> {
    assert_eq!(
        csv.lines().next(),
        Some("part,operation,calls,seconds,share")
    );
    let line = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), 5, "{line}");
        Line {
            part: cells[0].to_owned(),
            operation: cells[1].to_owned(),
            // What is in no span was not called.
            calls: cells[2].parse().unwrap_or(0),
            seconds: cells[3].parse().expect(line),
            share: cells[4].trim_end_matches(" %").parse().expect(line),
        }
    };
    csv.lines().skip(1).map(line).collect()
}

/// How often a part began.
fn calls(lines: &[Line], part: &str) -> u64 {
    let mut own = lines.iter().filter(|line| line.part == part);
    let own = own.find(|line| line.operation == "(rest)");
    own.map_or(0, |line| line.calls)
}

#[test]
fn every_process_says_where_its_time_went() {
    let bench = Bench::of(LM);
    let started = Instant::now();
    let told = bench.told("--out run --device flex --profile", NO_BLOCKS);
    let elapsed = started.elapsed().as_secs_f64();
    assert_says(
        &told,
        &[
            "operation",
            "product_backward",
            "(outside)",
            "run/profile.csv",
        ],
    );
    let first = bench.read("run/profile.csv");
    let of = lines(&first);

    // Everything that was measured, and nothing twice: the seconds add up to the time of the process.
    let total: f64 = of.iter().map(|line| line.seconds).sum();
    assert!(
        total > 0.0 && total <= elapsed,
        "{total} of {elapsed}: {first}"
    );
    for line in &of {
        let share = 100.0 * line.seconds / total;
        // Shares have one digit behind the point, seconds three.
        let rounding = 0.05 + 100.0 * 0.0005 * (of.len() + 1) as f64 / total;
        assert!((0.0..=100.0).contains(&line.share));
        assert!((line.share - share).abs() <= rounding, "{share}: {first}");
    }
    let spans = &of[..of.len() - 1];
    assert!(spans.is_sorted_by(|a, b| a.seconds >= b.seconds), "{first}");
    assert_eq!(of[spans.len()].part, "(outside)");

    // 20 steps of the dense model, 6 of each row, and a score of each.
    for part in ["forward", "backward", "optimiser"] {
        assert_eq!(calls(&of, part), 20 + 6 + 6, "{part}: {first}");
    }
    assert_eq!(
        (calls(&of, "score"), calls(&of, "observe")),
        (3, 1),
        "{first}"
    );
    for (part, operation) in [
        ("forward", "cross_entropy_forward"),
        ("backward", "product_backward"),
        ("optimiser", "adam"),
        ("score", "cross_entropy_forward"),
    ] {
        let is_there =
            |line: &Line| (line.part.as_str(), line.operation.as_str()) == (part, operation);
        assert!(
            spans.iter().any(|line| is_there(line) && line.calls > 0),
            "{part} {operation}: {first}"
        );
    }

    // What goes on with the run has a file of its own, of what it did.
    let line = "--out run --device flex --profile --resume";
    bench.tiny_with(line, BLOCKS).success();
    assert_eq!(bench.read("run/profile.csv"), first);
    let second = lines(&bench.read("run/profile-2.csv"));
    assert_eq!(calls(&second, "optimiser"), 6);
    assert_eq!((calls(&second, "score"), calls(&second, "observe")), (1, 0));
    let third = bench.told(line, BLOCKS);
    assert_says(&third, &["run/profile-3.csv"]);
    // Nothing is left to be done.
    assert_eq!(lines(&bench.read("run/profile-3.csv")).len(), 1);

    // What is only tried, or refused, leaves none.
    bench
        .tiny_with("--dry-run --device flex --profile", BLOCKS)
        .success();
    let refused = said(
        &bench.tiny_with("--out run --device flex --profile", BLOCKS),
        1,
    );
    assert_says(&refused, &["--resume"]);
    let other = [BLOCKS, &["train.lr=0.5"]].concat();
    let refused = said(&bench.tiny_with(line, &other), 1);
    assert_says(&refused, &["another recipe"]);
    let entries = fs::read_dir(bench.path("run")).unwrap().flatten();
    let profiles =
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("profile"));
    assert_eq!(profiles.count(), 3);
}
