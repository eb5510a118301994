//! Static patterns in the programs: rows of their own, AP masks of the cells that they leave, mask files.

use assert_cmd::Command;
use sparta_ops::pruning::{AttentionPattern, AttentionType, CellRule, GlobalMask, MaskKind};

use crate::bench::{Bench, assert_says, said, stdout};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;

#[test]
fn rows_of_patterns_are_pruned_among_the_cells_that_they_leave() {
    let bench = Bench::of(LM);
    let list = "model.normalizers=[\"softmax\", \"softmax+local(w=8)\", \"entmax15+fixed(l=4,c=1)\", \
         \"softmax+strided(l=4)\", \"softmax+random(keep=0.25,seed=1)\"]";
    let sets = [list, "prune.p=[0, 60]", "prune.random_masks=[0, 1]"];
    bench.tiny_with("--out run --device flex", &sets).success();
    let table = bench.csv("run");
    for name in [
        "softmax+local(w=8)",
        "entmax15+fixed(l=4",
        "softmax+strided",
        "softmax+random",
    ] {
        // p = 0 stands in the columns of both masks.
        let lines = table.lines().filter(|line| line.contains(name)).count();
        assert_eq!(lines, 4, "{name}: {table}");
    }
    let folder = "run/seed-1/softmax+local-w-8";
    let pattern = AttentionPattern::load(bench.path(format!("{folder}/pattern.safetensors")));
    let pattern = pattern.unwrap();
    let kind = AttentionType::DecoderSelf;
    let local = "local(w=8)".parse().unwrap();
    assert_eq!(
        pattern.header().static_patterns.get(&(kind, 0)),
        Some(&local)
    );
    // 16 rows and a memory of 16: every row has 8 cells, of which 6 tenths of both heads' are hidden.
    let mask = GlobalMask::load(bench.path(format!("{folder}/masks/ap-p60.safetensors"))).unwrap();
    let mut n_hidden = 0;
    for (head, row, col) in
        (0..2).flat_map(|h| (0..16).flat_map(move |r| (0..32).map(move |c| (h, r, c))))
    {
        let is_hidden = mask.hidden(kind, 0, head, row, col).unwrap();
        assert!(!is_hidden || !local.hidden(CellRule::Causal { memory: 16 }, 2, head, row, col));
        n_hidden += usize::from(is_hidden);
    }
    assert_eq!(n_hidden, 154); // 0.6 · 2 · 16 · 8 = 153.6
}

#[test]
fn an_encoder_is_fine_tuned_under_a_pattern_and_decoders_say_what_they_cannot() {
    let bench = Bench::of(GLUE);
    let list = "model.normalizers=[\"softmax\", \"softmax+local(w=3)\"]";
    bench
        .tiny_with("--out run --device flex", &[list])
        .success();
    assert_says(&bench.read("run/TABLE.md"), &["softmax+local(w=3)"]);

    let dry = |program, sets: &[&str]| {
        said(
            &Bench::of(program).tiny_with("--dry-run --device flex", sets),
            1,
        )
    };
    let text = dry(LM, &["model.normalizers=[\"softmax+fixed(l=5,c=1)\"]"]);
    assert_says(&text, &["tgt_len", "multiple of l = 5"]);
    let text = dry(LM, &["model.normalizers=[\"softmax+local(w=0)\"]"]);
    assert_says(&text, &["model.normalizers.w", "at least 1"]);
    let nothing = ["prune.softmax=[]", "prune.entmax15=[]"];
    let of = |list| [&[list], &nothing[..]].concat();
    let text = dry(IWSLT, &of("model.normalizers=[\"softmax+local(w=8)\"]"));
    assert_says(
        &text,
        &["softmax+local(w=8) cannot attend to another sequence"],
    );
    let left = "data.pad_source=\"left\"";
    let fixed = [
        &of("model.normalizers=[\"softmax+fixed(l=8,c=1)\"]")[..],
        &[left],
    ]
    .concat();
    assert_says(&dry(IWSLT, &fixed), &["data.pad_source = \"right\""]);
}

#[test]
fn a_pattern_is_written_as_a_mask_file() {
    let folder = tempfile::tempdir().unwrap();
    let mask = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sparta"));
        command
            .current_dir(folder.path())
            .arg("mask")
            .args(line.split(' '))
            .assert()
    };
    let line = "local(w=64) --type decoder-self --layers 2 --heads 4 --len 128 --memory 128 --out local.safetensors";
    let text = stdout(&mask(line).success());
    assert_says(&text, &["static local(w=64)", "rule=causal:128"]);
    let written = GlobalMask::load(folder.path().join("local.safetensors")).unwrap();
    let pattern = "local(w=64)".parse().unwrap();
    assert_eq!(written.kind(), MaskKind::Static { pattern });
    let kind = AttentionType::DecoderSelf;
    for (row, col) in [(0, 128), (0, 64), (127, 191), (127, 192)] {
        let expected = pattern.hidden(CellRule::Causal { memory: 128 }, 4, 0, row, col);
        assert_eq!(written.hidden(kind, 1, 3, row, col).unwrap(), expected);
    }
    // The same again is no change; another mask would be.
    let before = std::fs::metadata(folder.path().join("local.safetensors")).unwrap();
    assert_eq!(stdout(&mask(line).success()), text);
    let after = std::fs::metadata(folder.path().join("local.safetensors")).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    let again = said(&mask(&line.replace("w=64", "w=32")), 1);
    assert_says(&again, &["local.safetensors is there already"]);
    let refused = |line: &str, words: &[&str]| assert_says(&said(&mask(line), 1), words);
    let sizes = "--layers 1 --heads 2 --len 16 --out other";
    refused(
        &format!("local(w=4) --type cross {sizes}"),
        &["one sequence"],
    );
    refused(
        &format!("local(w=0) --type encoder-self {sizes}"),
        &["`w`", "at least 1"],
    );
    refused(
        &format!("local(w=4) --type encoder-self --memory 4 {sizes}"),
        &["--memory 4"],
    );
    // What no memory holds is refused before any of it is taken.
    for (sizes, needs) in [
        ("--layers 32 --heads 32 --len 4000000", "GB"),
        ("--layers 1 --heads 1 --len 18446744073709551615", "`--len`"),
        ("--layers 1000000000000 --heads 1 --len 4", "`--layers`"),
        ("--layers 1 --heads 1000000000000 --len 4", "`--heads`"),
    ] {
        refused(
            &format!("local(w=16) --type encoder-self {sizes} --out other"),
            &["a mask of", "needs at least", "are free", needs],
        );
    }
    refused(
        "local(w=16) --type decoder-self --layers 1 --heads 1 --len 16 --memory 18446744073709551615 --out other",
        &["needs at least", "or `--memory`"],
    );
    assert!(!folder.path().join("other").exists());
    let unknown = crate::bench::refused(&mask(&format!("near(w=4) --type encoder-self {sizes}")));
    assert_says(&unknown, &["near(w=4)", "local(w=16)"]);
}
