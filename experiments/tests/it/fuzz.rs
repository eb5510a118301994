//! The short form, in every test run; and that the fuzzer sees what it looks for.

#[path = "../fuzz/campaign/mod.rs"]
mod campaign;

use std::time::Duration;

use campaign::{Corpus, Counts, Limits, TARGETS, Target, altered, run};

fn short(target: &'static Target, inputs: u64) -> Counts {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        inputs,
        seconds: 2,
        seed: 7,
        first: 0,
    };
    run(target, &limits, folder.path(), None)
}

/// A few thousand inputs a target; the whole campaign is `--test fuzz`.
#[test]
fn readers_return_whatever_they_read() {
    let mut faults = Vec::new();
    for target in TARGETS {
        let counts = short(target, 2_000);
        println!("{counts}");
        assert!(counts.inputs > 0, "{counts}");
        faults.extend((counts.n_faults() > 0).then(|| counts.to_string()));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

static BAD: [Target; 4] = [
    Target {
        name: "panics",
        corpus: || Corpus::of(["text"]),
        open: |_| Box::new(|bytes| bytes == b"text" || bytes[1 << 20] == 0),
    },
    Target {
        name: "asks-for-memory",
        corpus: || Corpus::of(["text"]),
        open: |_| Box::new(|bytes| bytes == b"text" || vec![1_u8; 80_000_000][bytes.len()] == 1),
    },
    Target {
        name: "writes-outside",
        corpus: || Corpus::of(["text"]),
        open: |folder| {
            let path = folder.join("../../beside/new");
            Box::new(move |bytes| bytes == b"text" || std::fs::write(&path, bytes).is_ok())
        },
    },
    Target {
        name: "hangs",
        corpus: || Corpus::of(["text"]),
        open: |_| {
            Box::new(|bytes| {
                if bytes != b"text" {
                    std::thread::sleep(Duration::from_secs(7));
                }
                true
            })
        },
    },
];

#[test]
fn each_kind_of_fault_is_seen() {
    let [panics, allocations, outside, hangs] = [0, 1, 2, 3].map(|at| short(&BAD[at], 3));
    // Of three inputs one may be the file as it was.
    assert!(
        panics.panics >= 2 && panics.n_faults() == panics.panics,
        "{panics}"
    );
    assert!(
        allocations.allocations >= 2 && allocations.panics == 0,
        "{allocations}"
    );
    assert!(outside.outside >= 2 && outside.panics == 0, "{outside}");
    assert!(hangs.hangs >= 1 && hangs.panics == 0, "{hangs}");
    assert!(
        panics
            .to_string()
            .contains("--target panics --seed 7 --first"),
        "{panics}"
    );
}

#[test]
fn an_input_can_be_made_again() {
    let bytes = |input| {
        let corpus = Corpus::of(["{\"a\": 1}\nb c 2\n"]);
        altered(3, "x", input, &corpus)
    };
    for input in 0..200 {
        assert_eq!(bytes(input), bytes(input));
    }
    let different: std::collections::BTreeSet<_> = (0..200).map(bytes).collect();
    assert!(different.len() > 150, "{}", different.len());
}
