//! Runs that are stopped go on to the same bits.

use super::bench;

const LONG: &[&str] = &[
    "train.steps=60",
    "train.checkpoint_every=10",
    "prune.p=[0]",
    "prune.random_masks=[0]",
];

#[test]
fn kill_9_and_resume_give_the_metrics_of_an_unstopped_run() {
    let dense = "seed-1/question-sentence/dense";
    bench().kill_and_resume("", LONG, dense, &[&format!("{dense}/metrics.jsonl")]);
}
