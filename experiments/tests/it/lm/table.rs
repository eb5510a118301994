//! The table as it should be.

use std::fs;

use sparta_ops::pruning::{
    AttentionPattern, AttentionType, BlockState, GlobalMask, MaskKind, Weighing,
};

use super::{bench, value};
use crate::bench::{assert_says, said, stdout};

#[test]
fn the_paper_semantics_at_p_20_equal_p_0_to_the_bit() {
    let bench = bench();
    bench
        .tiny_with("--out run --device flex", &["prune.semantics=paper"])
        .success();
    let model =
        |row: &str| fs::read(bench.path(format!("run/seed-1/rows/{row}/metrics.jsonl"))).unwrap();
    assert_eq!(model("p0"), model("ap-p20"));
    assert_ne!(model("p0"), model("ap-p90"));
    let csv = bench.csv("run");
    assert_eq!(value(&csv, "ap", "0"), value(&csv, "ap", "20"));
    assert_ne!(value(&csv, "ap", "0"), value(&csv, "ap", "90"));
    // What another seed would need is told with that seed.
    let told = stdout(&bench.run("report --out run --seeds 1,2").success());
    assert_says(&told, &["reproduce", "--resume --seeds 1,2"]);
}

/// Fused kernels serve from 128 keys on: not while the memory fills, and never for the pattern, which needs weights.
#[test]
fn records_say_which_implementation_computed_attention() {
    let bench = bench();
    let sets = [
        "model.mem_len=112",
        "prune.p=[0,80]",
        "prune.random_masks=[0,0]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    let of = |name: &str| {
        let records = bench.records("run");
        let record = records.iter().find(|record| record.contains(name));
        let record: serde_json::Value = serde_json::from_str(record.unwrap()).unwrap();
        record["attention"].as_str().unwrap_or_default().to_owned()
    };
    let dense = of("seed1-dense\"");
    assert!(
        dense.starts_with("auto: fused ") && dense.contains(" %, reference "),
        "{dense}"
    );
    assert!(!dense.contains("pattern"), "{dense}");
    let masked = of("seed1-ap-p80\"");
    assert!(masked.ends_with("; pattern: reference"), "{masked}");
}

#[test]
fn stages_one_by_one_make_the_same_table_as_all_at_once() {
    let bench = bench();
    let printed = bench.whole_and_in_parts();
    let csv = bench.csv("whole");
    assert_eq!(csv, bench.csv("parts"));
    let header = "row,p_nominal,p_effective,mask,metric,value,paper,n_runs,n_seeds,signature";
    assert_eq!(csv.lines().next(), Some(header));
    for mask in ["ap", "random"] {
        for p in ["0", "20", "40", "60", "80", "90"] {
            assert!(value(&csv, mask, p).parse::<f64>().unwrap() > 1.0);
        }
    }
    assert_eq!(value(&csv, "ap", "0"), value(&csv, "random", "0"));
    for mask in ["unigram", "bigram", "trigram"] {
        assert!(value(&csv, mask, "").parse::<f64>().unwrap() > 1.0);
    }
    assert_says(
        &printed,
        &[
            "24.157",
            "WikiText-103",
            "PPL|unit:word|corpus:sotu",
            "TABLE.svg",
        ],
    );
    assert!(bench.read("whole/TABLE.svg").contains("<svg"));
    bench.report_again();
}

/// Rows of which p is a share of the uses join those of cells, and a mask of one is none of the other.
#[test]
fn masks_by_uses_join_those_by_cells() {
    let bench = bench();
    let sets = [
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 1]",
        "prune.block_sizes=[16]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    let before = bench.csv("run");
    let both = [&sets[..], &["prune.weigh=[\"cells\", \"uses\"]"]].concat();
    bench
        .tiny_with("--out run --device flex --resume", &both)
        .success();
    let after = bench.csv("run");
    for line in before.lines() {
        assert!(after.contains(line), "{line}");
    }
    for mask in ["ap-uses", "ap-blocks-16-uses", "random-uses"] {
        let ppl: f64 = value(&after, mask, "60").parse().unwrap();
        assert!(ppl.is_finite() && ppl > 1.0, "{mask}");
    }
    assert_says(
        &bench.read("run/TABLE.md"),
        &[
            "transformer-xl, by uses",
            "transformer-xl, blocks of 16 by uses",
        ],
    );
    for (row, kind) in [
        ("ap-uses-p60", MaskKind::Ap),
        ("random-uses-p60-m1", MaskKind::Random { seed: 1001 }),
        ("blocks16-uses-p60", MaskKind::ApBlocks { block_size: 16 }),
    ] {
        let mask = bench.path(format!("run/seed-1/masks/{row}.safetensors"));
        let mask = GlobalMask::load(mask).unwrap();
        assert_eq!((mask.kind(), mask.weighing()), (kind, Weighing::Uses));
    }
    // The mask of another row is refused.
    let masks = bench.path("run/seed-1/masks");
    std::fs::copy(
        masks.join("ap-p60.safetensors"),
        masks.join("ap-uses-p60.safetensors"),
    )
    .unwrap();
    std::fs::remove_dir_all(bench.path("run/records")).unwrap();
    let text = said(
        &bench.tiny_with("--out run --device flex --resume", &both),
        1,
    );
    assert_says(
        &text,
        &["ap-uses-p60", "mask of another row", "60 % of the cells"],
    );
}

/// Columns that are shorter than a segment never reach the memory: what a mask is made from is said with it.
#[test]
fn cells_that_were_never_observed_are_told() {
    let bench = bench();
    let sets = [
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 0]",
        "prune.block_sizes=[]",
    ];
    let few = [&sets[..], &["observe.train_tokens=64"]].concat();
    let told = bench.told("--out few --device flex", &few);
    let line = told.lines().find(|line| line.contains("mask ap-p60"));
    assert_says(
        line.unwrap_or(&told),
        &["of the legal cells were never observed and are left visible"],
    );
    let told = bench.told("--out all --device flex", &sets);
    assert_says(&told, &["mask ap-p60: hides"]);
    assert!(!told.contains("never observed"), "{told}");
}

/// Masks of cells and of blocks of one dense model beside each other, by fused attention and by the
/// definition; what is hidden in blocks is skipped in blocks.
#[test]
fn masks_of_blocks_stand_beside_masks_of_cells() {
    let bench = bench();
    let sets = [
        "model.tgt_len=32",
        "model.mem_len=32",
        "model.dropout=0.0",
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 1]",
        "prune.block_sizes=[16, 32]",
    ];
    for by in ["fused", "reference"] {
        let line = format!("--out {by} --device flex --attention-by {by}");
        bench.tiny_with(&line, &sets).success();
    }
    let csv = bench.csv("fused");
    let definition = bench.csv("reference");
    for (mask, p) in [
        ("ap", "0"),
        ("ap", "60"),
        ("random", "60"),
        ("ap-blocks-16", "60"),
        ("ap-blocks-32", "60"),
    ] {
        let ppl = |csv: &str| value(csv, mask, p).parse::<f64>().unwrap();
        let (fused, definition) = (ppl(&csv), ppl(&definition));
        assert!((fused / definition - 1.0).abs() < 1e-3, "{mask} {p}");
    }
    assert_says(
        &bench.read("fused/TABLE.md"),
        &[
            "transformer-xl, blocks of 16",
            "transformer-xl, blocks of 32",
        ],
    );
    // They join the folder of a run that was made without.
    let without = [&sets[..5], &["prune.block_sizes=[]"]].concat();
    let line = "--out later --device flex --attention-by fused";
    bench.tiny_with(line, &without).success();
    assert!(!bench.csv("later").contains("ap-blocks"));
    let line = format!("{line} --resume");
    bench.tiny_with(&line, &sets).success();
    assert_eq!(csv, bench.csv("later"));

    let mask = bench.path("fused/seed-1/masks/blocks16-p60.safetensors");
    let mask = GlobalMask::load(mask).unwrap();
    assert_eq!(mask.kind(), MaskKind::ApBlocks { block_size: 16 });
    let layout = mask
        .block_layout(AttentionType::DecoderSelf, 0, 32, 64, 16)
        .unwrap();
    for head in 0..2 {
        assert_eq!(layout.count(head, BlockState::Partial), 0);
    }
    let hidden = (0..2).map(|head| layout.count(head, BlockState::Hidden));
    assert!(hidden.sum::<usize>() >= 4);
    let text = said(
        &bench.tiny_with(
            "--out paper",
            &["prune.semantics=paper", "prune.block_sizes=[16]"],
        ),
        1,
    );
    assert_says(&text, &["prune.block_sizes", "corrected"]);
}

#[test]
fn training_again_from_scratch_and_two_seeds() {
    let bench = bench();
    let sets = [
        "retrain.mode=scratch",
        "prune.p=[0, 80]",
        "prune.random_masks=[0, 2]",
    ];
    bench
        .tiny_with("--out run --device flex --seeds 1,2", &sets)
        .success();
    let csv = bench.csv("run");
    let runs_and_seeds = |mask: &str, p: &str| {
        let line = csv
            .lines()
            .find(|l| l.contains(&format!(",{mask},")) && l.split(',').nth(1) == Some(p));
        let cells: Vec<&str> = line.unwrap().split(',').collect();
        [cells[7], cells[8]].map(str::to_owned)
    };
    assert_eq!(runs_and_seeds("ap", "80"), ["2", "2"]);
    assert_eq!(runs_and_seeds("random", "80"), ["4", "2"]);
    assert!(bench.read("run/TABLE.md").contains('±'));
    // A later seed joins the same folder; nothing that is finished is made again.
    let before = bench.read("run/seed-1/dense/trained.json");
    bench
        .tiny_with("--out run --device flex --seeds 1,2,3 --resume", &sets)
        .success();
    assert_eq!(before, bench.read("run/seed-1/dense/trained.json"));
    assert!(
        bench
            .path("run/seed-3/rows/random-p80-m2/model.safetensors")
            .exists()
    );
}

/// Every normaliser trains, and its observed pattern differs between the heads of a layer: what is
/// pruned is learned, not a function of the position alone.
#[test]
fn heads_learn_different_patterns_with_every_normalizer() {
    let bench = bench();
    for normalizer in ["softmax", "sparsemax", "entmax15", "alpha_entmax"] {
        let out = format!("--out {normalizer} --device flex");
        let set = format!("model.normalizer={normalizer}");
        let sets = [
            set.as_str(),
            "train.steps=120",
            "train.lr=0.02",
            "prune.p=[0, 80]",
            "prune.random_masks=[0, 1]",
        ];
        bench.tiny_with(&out, &sets).success();
        let path = bench.path(format!("{normalizer}/seed-1/pattern.safetensors"));
        let pattern = AttentionPattern::load(&path).expect("the observed pattern");
        let mut largest = 0.0f64;
        for (row, column) in (0..16).flat_map(|row| (0..=16 + row).map(move |c| (row, c))) {
            let mean = |head| {
                pattern
                    .mean(AttentionType::DecoderSelf, 0, head, row, column)
                    .expect("a cell of the grid")
                    .expect("an observed cell")
            };
            largest = largest.max((mean(0) - mean(1)).abs());
        }
        assert!(
            largest > 1e-3,
            "{normalizer}: heads differ by at most {largest:e}"
        );
    }
    let of = |normalizer: &str| value(&bench.csv(normalizer), "ap", "0");
    assert_ne!(of("sparsemax"), of("entmax15"));
    assert_ne!(of("entmax15"), of("alpha_entmax"));
}

#[test]
fn a_dry_run_says_the_cost_and_writes_nothing() {
    let bench = bench();
    let text = bench.run("--dry-run").success();
    let text = stdout(&text);
    assert_says(
        &text,
        &[
            "parameters",
            "tokens/step 1024",
            "memory",
            "tokens/s",
            "runs/lm-small-",
        ],
    );
    assert!(bench.is_empty());
}

#[test]
fn seeds_are_said_once() {
    let bench = bench();
    let text = said(&bench.run("--dry-run --seeds 3 --set seeds=[5]"), 1);
    assert_says(&text, &["`--seeds` and `--set seeds=…`", "leave one"]);
    assert!(bench.is_empty());
}

#[test]
fn the_paper_recipe_runs_dry_with_its_whole_vocabulary_and_no_corpus() {
    let bench = bench();
    let text = bench
        .run("--dry-run --recipe wikitext103-base --set model.n_layers=1 --set model.d_model=32 --set train.batch_size=2")
        .success();
    let text = stdout(&text);
    assert_says(&text, &["SYNTHETIC", "267735 words", "lm-wikitext103-base"]);
    assert!(bench.is_empty());
}

#[test]
fn the_middle_recipe_runs_dry_without_its_corpus() {
    let bench = bench();
    let text = bench
        .run("--dry-run --recipe wikitext2 --set model.n_layers=1 --set model.d_model=32 --set train.batch_size=2")
        .success();
    let text = stdout(&text);
    assert_says(&text, &["SYNTHETIC", "parameters", "lm-wikitext2"]);
    assert!(bench.is_empty());
}
