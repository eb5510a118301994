//! Records to test with.

use std::collections::BTreeMap;

use sparta_results::{
    Baseline, Condition, Mask, MaskFamily, Metric, RunRecord, Status, Weighing, paper,
};

pub const AP: Condition = Condition::Masked(Mask {
    family: MaskFamily::AP,
    seed: None,
});

pub const SIGNATURE: &str =
    "PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999";

/// Random cells, drawn with `seed`.
pub fn random(seed: u64) -> Condition {
    Condition::masked(MaskFamily::RANDOM, Some(seed))
}

/// Blocks of smallest average attention.
pub fn ap_blocks(block_size: u64) -> Condition {
    Condition::masked(MaskFamily::blocks(block_size), None)
}

/// The same mask with a p that is a share of the uses.
pub fn by_uses(condition: Condition) -> Condition {
    match condition {
        Condition::Masked(mask) => {
            Condition::masked(mask.family.weighed(Weighing::Uses), mask.seed)
        }
        Condition::Dense | Condition::Baseline(_) => condition,
    }
}

/// A completed run of the row `small`.
pub fn run(condition: impl Into<Condition>, p: Option<f64>, seed: u64, value: f64) -> RunRecord {
    let condition = condition.into();
    let is_network = !matches!(condition, Condition::Baseline(_));
    RunRecord {
        id: format!(
            "small-{condition}-p{}-s{seed}-m{}",
            p.unwrap_or(-1.0),
            condition.mask_seed().unwrap_or(0)
        ),
        table: "lm".into(),
        row: "small".into(),
        variant: None,
        recipe_hash: "0123456789abcdef".into(),
        recipe: "steps = 10\n".into(),
        seed,
        device: "flex".into(),
        precision: None,
        attention: is_network.then(|| "auto: fused".into()),
        condition,
        p_nominal: p,
        p_effective: p.map(|p| ((p - 24.83) / 0.7517).max(0.0)),
        p_token_weighted: p.map(|p| ((p - 30.0) / 0.7).max(0.0)),
        metric: Metric::Perplexity,
        value: Some(value),
        signature: SIGNATURE.into(),
        paper: p.and_then(|p| paper::reference(paper::WIKITEXT103, paper::TRANSFORMER_XL_BASE, p)),
        steps: 10,
        tokens_per_second: is_network.then_some(4000.0 + value),
        parameters: None,
        peak_gigabytes: None,
        observed: BTreeMap::new(),
        started: 1_700_000_000,
        finished: Some(1_700_000_100),
        status: Status::Completed,
        command: None,
        versions: BTreeMap::from([("sparta".into(), "0.1.0".into())]),
        data: BTreeMap::new(),
    }
}

/// A run under a mask of blocks.
pub fn blocks(size: u64, p: f64, value: f64) -> RunRecord {
    let mut record = run(ap_blocks(size), Some(p), 1, value);
    record.paper = None;
    record
}

/// A whole small table: n-grams, dense, ap and random with three mask seeds.
pub fn table() -> Vec<RunRecord> {
    let mut runs = vec![
        run(Baseline::Trigram, None, 1, 101.5),
        run(Baseline::Unigram, None, 1, 500.25),
        run(Baseline::Bigram, None, 1, 120.0),
        run(Condition::Dense, None, 1, 95.0),
        run(Condition::Dense, Some(0.0), 1, 90.0),
        run(AP, Some(20.0), 1, 90.0),
        run(AP, Some(80.0), 1, 91.8),
        run(random(1), Some(20.0), 1, 90.0),
    ];
    runs.extend(
        [94.0, 95.0, 96.0]
            .iter()
            .zip(1..)
            .map(|(&value, mask_seed)| run(random(mask_seed), Some(80.0), 1, value)),
    );
    runs
}
