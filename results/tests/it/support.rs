//! Records to test with.

use std::collections::BTreeMap;

use sparta_results::{MaskKind, Metric, RunRecord, Status, paper};

pub const SIGNATURE: &str =
    "PPL|unit:word|corpus:sotu|split:test|tgt:64|mem:64|vocab:4000|unk:counted|n:59999";

/// A completed run of the row `small`.
pub fn run(mask: MaskKind, p: Option<f64>, seeds: (u64, Option<u64>), value: f64) -> RunRecord {
    let (seed, mask_seed) = seeds;
    RunRecord {
        id: format!(
            "small-{mask}-p{}-s{seed}-m{}",
            p.unwrap_or(-1.0),
            mask_seed.unwrap_or(0)
        ),
        table: "lm".into(),
        row: "small".into(),
        recipe_hash: "0123456789abcdef".into(),
        recipe: "steps = 10\n".into(),
        seed,
        device: "flex".into(),
        attention: (!mask.is_ngram()).then(|| "auto: fused".into()),
        mask,
        mask_seed,
        mask_block_size: None,
        p_nominal: p,
        p_effective: p.map(|p| ((p - 24.83) / 0.7517).max(0.0)),
        p_token_weighted: p.map(|p| ((p - 30.0) / 0.7).max(0.0)),
        metric: Metric::Perplexity,
        value: Some(value),
        signature: SIGNATURE.into(),
        paper: p.and_then(|p| paper::reference(paper::WIKITEXT103, paper::TRANSFORMER_XL_BASE, p)),
        steps: 10,
        tokens_per_second: (!mask.is_ngram()).then_some(4000.0 + value),
        started: 1_700_000_000,
        finished: Some(1_700_000_100),
        status: Status::Completed,
        versions: BTreeMap::from([("sparta".into(), "0.1.0".into())]),
    }
}

/// A run under a mask of blocks.
pub fn blocks(size: u64, p: f64, value: f64) -> RunRecord {
    let mut record = run(MaskKind::Ap, Some(p), (1, None), value);
    record.id += &format!("-blocks{size}");
    record.mask = MaskKind::ApBlocks;
    record.mask_block_size = Some(size);
    record.paper = None;
    record
}

/// A whole small table: n-grams, dense, ap and random with three mask seeds.
pub fn table() -> Vec<RunRecord> {
    let mut runs = vec![
        run(MaskKind::Trigram, None, (1, None), 101.5),
        run(MaskKind::Unigram, None, (1, None), 500.25),
        run(MaskKind::Bigram, None, (1, None), 120.0),
        run(MaskKind::None, None, (1, None), 95.0),
        run(MaskKind::None, Some(0.0), (1, None), 90.0),
        run(MaskKind::Ap, Some(20.0), (1, None), 90.0),
        run(MaskKind::Ap, Some(80.0), (1, None), 91.8),
        run(MaskKind::Random, Some(20.0), (1, Some(1)), 90.0),
    ];
    runs.extend(
        [94.0, 95.0, 96.0]
            .iter()
            .zip(1..)
            .map(|(&value, mask_seed)| {
                run(MaskKind::Random, Some(80.0), (1, Some(mask_seed)), value)
            }),
    );
    runs
}
