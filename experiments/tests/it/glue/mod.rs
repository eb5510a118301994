//! The tables of labelled texts as a user makes them.

mod bad_input;
mod predict;
mod stop;
mod table;
pub(crate) mod weights;

use crate::bench::{Bench, Program};

/// Four steps of four short examples.
pub const GLUE: Program = Program {
    exe: env!("CARGO_BIN_EXE_glue"),
    tiny: TINY,
};

const TINY: &[&str] = &[
    "data.max_len=24",
    "data.train_examples=40",
    "data.valid_examples=8",
    "data.test_examples=12",
    "train.steps=4",
    "train.batch_size=4",
    "train.log_every=1",
    "observe.batch_size=8",
    "observe.examples=16",
    "prune.p=[0, 80]",
    "prune.random_masks=[0, 0]",
    "eval.batch_size=8",
];

fn bench() -> Bench {
    Bench::of(GLUE)
}

/// Published folders with a few lines: RTE, STS-B and MNLI.
pub(crate) fn published(bench: &Bench) {
    let write = |name: &str, header: &str, line: &dyn Fn(usize) -> String| {
        let path = bench.path(format!("GLUE/{name}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let lines: Vec<String> = (0..12).map(line).collect();
        std::fs::write(path, format!("{header}\n{}\n", lines.join("\n"))).unwrap();
    };
    let yes = |i: usize| ["entailment", "not_entailment"][i % 2];
    for part in ["train", "dev"] {
        write(
            &format!("RTE/{part}.tsv"),
            "index\tsentence1\tsentence2\tlabel",
            &|i| format!("{i}\tA man has {i} dogs.\tHe has dogs.\t{}", yes(i)),
        );
        write(
            &format!("STS-B/{part}.tsv"),
            "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
            &|i| {
                let score = i as f32 % 6.0 / 1.2;
                format!("{i}\tg\tf\t2012\t{i}\ts\ts\tA cat number {i}.\tA dog.\t{score:.2}")
            },
        );
    }
}
