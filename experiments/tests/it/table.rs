//! The table as it should be.

use std::fs;

use sparta_ops::pruning::{AttentionPattern, AttentionType, BlockState, GlobalMask, MaskKind};

use super::{Bench, assert_says, read, said, value};

#[test]
fn the_paper_semantics_at_p_20_equal_p_0_to_the_bit() {
    let bench = Bench::new();
    bench
        .tiny_with("--out run --device flex", &["prune.semantics=paper"])
        .success();
    let model =
        |row: &str| fs::read(bench.path(&format!("run/seed-1/rows/{row}/metrics.jsonl"))).unwrap();
    assert_eq!(model("p0"), model("ap-p20"));
    assert_ne!(model("p0"), model("ap-p90"));
    let csv = read(&bench.path("run/TABLE.csv"));
    assert_eq!(value(&csv, "ap", "0"), value(&csv, "ap", "20"));
    assert_ne!(value(&csv, "ap", "0"), value(&csv, "ap", "90"));
}

#[test]
fn stages_one_by_one_make_the_same_table_as_all_at_once() {
    let bench = Bench::new();
    let all = bench.tiny("--out whole --device flex").success();
    for stage in ["prepare", "train", "observe", "prune", "eval"] {
        bench
            .tiny(&format!("{stage} --out parts --device flex"))
            .success();
    }
    let csv = read(&bench.path("whole/TABLE.csv"));
    assert_eq!(csv, read(&bench.path("parts/TABLE.csv")));
    let header = "row,p_nominal,p_effective,mask,metric,value,paper,n_seeds,signature";
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
    let printed = String::from_utf8_lossy(&all.get_output().stdout).into_owned();
    assert_says(
        &printed,
        &[
            "24.157",
            "WikiText-103",
            "PPL|unit:word|corpus:sotu",
            "TABLE.svg",
        ],
    );
    assert!(read(&bench.path("whole/TABLE.svg")).contains("<svg"));
    // The report alone, from the records.
    fs::remove_file(bench.path("whole/TABLE.csv")).unwrap();
    bench.tiny("report --out whole").success();
    assert_eq!(csv, read(&bench.path("whole/TABLE.csv")));
}

/// Masks of cells and of blocks of one dense model beside each other, by fused attention and by the
/// definition; what is hidden in blocks is skipped in blocks.
#[test]
fn masks_of_blocks_stand_beside_masks_of_cells() {
    let bench = Bench::new();
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
    let csv = read(&bench.path("fused/TABLE.csv"));
    let definition = read(&bench.path("reference/TABLE.csv"));
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
        &read(&bench.path("fused/TABLE.md")),
        &[
            "transformer-xl, blocks of 16",
            "transformer-xl, blocks of 32",
        ],
    );
    // They join the folder of a run that was made without.
    let without = [&sets[..5], &["prune.block_sizes=[]"]].concat();
    let line = "--out later --device flex --attention-by fused";
    bench.tiny_with(line, &without).success();
    assert!(!read(&bench.path("later/TABLE.csv")).contains("ap-blocks"));
    let line = format!("{line} --resume");
    bench.tiny_with(&line, &sets).success();
    assert_eq!(csv, read(&bench.path("later/TABLE.csv")));

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
    let bench = Bench::new();
    let sets = [
        "retrain.mode=scratch",
        "prune.p=[0, 80]",
        "prune.random_masks=[0, 2]",
    ];
    bench
        .tiny_with("--out run --device flex --seeds 1,2", &sets)
        .success();
    let csv = read(&bench.path("run/TABLE.csv"));
    let n_seeds = |mask: &str, p: &str| {
        let line = csv
            .lines()
            .find(|l| l.contains(&format!(",{mask},")) && l.split(',').nth(1) == Some(p));
        line.unwrap().split(',').nth(7).unwrap().to_owned()
    };
    assert_eq!(n_seeds("ap", "80"), "2");
    assert_eq!(n_seeds("random", "80"), "4");
    assert!(read(&bench.path("run/TABLE.md")).contains('±'));
    // A later seed joins the same folder; nothing that is finished is made again.
    let before = read(&bench.path("run/seed-1/dense/trained.json"));
    bench
        .tiny_with("--out run --device flex --seeds 1,2,3 --resume", &sets)
        .success();
    assert_eq!(before, read(&bench.path("run/seed-1/dense/trained.json")));
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
    let bench = Bench::new();
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
        let path = bench.path(&format!("{normalizer}/seed-1/pattern.safetensors"));
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
    let of = |normalizer: &str| value(&read(&bench.path(normalizer).join("TABLE.csv")), "ap", "0");
    assert_ne!(of("sparsemax"), of("entmax15"));
    assert_ne!(of("entmax15"), of("alpha_entmax"));
}

#[test]
fn a_dry_run_says_the_cost_and_writes_nothing() {
    let bench = Bench::new();
    let text = bench.lm("--dry-run").success();
    let text = String::from_utf8_lossy(&text.get_output().stdout).into_owned();
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
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 0);
}

#[test]
fn the_paper_recipe_runs_dry_with_its_whole_vocabulary_and_no_corpus() {
    let bench = Bench::new();
    let text = bench
        .lm("--dry-run --recipe wikitext103-base --set model.n_layers=1 --set model.d_model=32 --set train.batch_size=2")
        .success();
    let text = String::from_utf8_lossy(&text.get_output().stdout).into_owned();
    assert_says(&text, &["SYNTHETIC", "267735 words", "lm-wikitext103-base"]);
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 0);
}

#[test]
fn the_middle_recipe_runs_dry_without_its_corpus() {
    let bench = Bench::new();
    let text = bench
        .lm("--dry-run --recipe wikitext2 --set model.n_layers=1 --set model.d_model=32 --set train.batch_size=2")
        .success();
    let text = String::from_utf8_lossy(&text.get_output().stdout).into_owned();
    assert_says(&text, &["SYNTHETIC", "parameters", "lm-wikitext2"]);
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 0);
}
