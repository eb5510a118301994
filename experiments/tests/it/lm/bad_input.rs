//! Bad input is answered in a line or two that say what to do, and nothing is lost.

use std::fs;

use assert_cmd::Command;

use super::{LM, TINY, bench};
use crate::bench::{assert_full, assert_says, read, refused, said};

#[test]
fn an_unknown_recipe_key_is_answered_with_the_nearest() {
    let bench = bench();
    let text = said(&bench.run("--set train.learning=1"), 1);
    assert_says(&text, &["unknown key `train.learning`"]);
    let text = said(&bench.run("--set train.warmup=1"), 1);
    assert_says(
        &text,
        &[
            "unknown key `train.warmup`",
            "did you mean `train.warmup_steps`?",
        ],
    );
    fs::write(bench.path("mine.toml"), "tabel = \"x\"").unwrap();
    let text = said(&bench.run("--recipe mine.toml"), 1);
    assert_says(&text, &["mine.toml", "unknown key `tabel`", "`table`"]);
    assert!(!bench.path("runs").exists());
}

#[test]
fn a_wrong_type_is_named_with_its_key() {
    let bench = bench();
    let text = said(&bench.run("--set train.steps=many"), 1);
    assert_says(&text, &["`train.steps` must be an integer", "many"]);
    let text = said(&bench.run("--set prune.scope=layers"), 1);
    assert_says(&text, &["prune.scope", "layers", "`layer`"]);
}

/// No one pattern has the cells that both leave, of which a mask hides a share.
#[test]
fn two_patterns_that_hide_cells_are_not_pruned() {
    let bench = bench();
    let sets = [
        "model.same_length=true",
        "model.normalizers=[\"softmax+strided(l=4)\"]",
    ];
    let text = said(&bench.tiny_with("--out run --device flex", &sets), 1);
    assert_says(
        &text,
        &[
            "`model.same_length = true` and the pattern of",
            "prune.p=[0]",
        ],
    );
    assert!(!bench.path("run").exists());
}

#[test]
fn an_unknown_recipe_lists_the_shipped_ones() {
    let text = said(&bench().run("--recipe small/ml"), 1);
    assert_says(&text, &["no recipe `small/ml`", "did you mean `small/lm`?"]);
}

/// Before anything is trained, whichever way it is run.
#[test]
fn fused_attention_of_a_normalizer_without_kernels_is_refused() {
    let bench = bench();
    for line in ["--dry-run", "--out run"] {
        let line = format!("{line} --device flex --attention-by fused");
        let run = bench.tiny_with(&line, &["model.normalizers=[\"fusedmax(0.1)\"]"]);
        let text = said(&run, 1);
        assert_says(
            &text,
            &["fusedmax(0.1) cannot be computed by fused attention"],
        );
    }
    assert!(!bench.path("run").exists());
}

#[test]
fn a_missing_corpus_says_how_to_get_it() {
    let bench = bench();
    let text = said(
        &bench.run("train --quiet --recipe wikitext2 --out run --device flex"),
        1,
    );
    assert_says(&text, &["WikiText-2", "--bin lm -- prepare --recipe"]);
    assert!(!bench.path("run").exists());
    fs::create_dir(bench.path("empty")).unwrap();
    let text = said(
        &bench.run("prepare --recipe wikitext2 --data empty --out run"),
        1,
    );
    assert_says(&text, &["WikiText-2", "empty"]);
}

#[test]
fn damaged_token_stores_are_refused() {
    let bench = bench();
    bench.tiny("prepare --out run").success();
    let path = bench.path("run/data/train.tok");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 400]).unwrap();
    let text = said(&bench.tiny("train --out run --device flex"), 1);
    assert_says(&text, &["truncated", "prepare"]);
    let mut altered = bytes.clone();
    altered[4000] ^= 1;
    fs::write(&path, &altered).unwrap();
    let text = said(&bench.tiny("train --out run --device flex"), 1);
    assert_says(&text, &["altered", "prepare"]);
    fs::write(&path, &bytes).unwrap();
    bench.tiny("train --out run --device flex").success();
}

#[test]
fn a_mask_of_another_shape_is_refused() {
    let bench = bench();
    let one = &["prune.p=[0, 80]", "prune.random_masks=[0, 0]"];
    bench.tiny_with("--out run --device flex", one).success();
    let wide = &[
        "prune.p=[0, 80]",
        "prune.random_masks=[0, 0]",
        "model.mem_len=32",
    ];
    bench.tiny_with("--out wide --device flex", wide).success();
    fs::copy(
        bench.path("wide/seed-1/masks/ap-p80.safetensors"),
        bench.path("run/seed-1/masks/ap-p80.safetensors"),
    )
    .unwrap();
    fs::remove_dir_all(bench.path("run/seed-1/rows/ap-p80")).unwrap();
    let text = said(
        &bench.tiny_with("prune --out run --device flex --resume", one),
        1,
    );
    assert_says(&text, &["ap-p80.safetensors", "16", "48", "32"]);
}

#[test]
fn a_checkpoint_or_folder_of_another_recipe_is_refused() {
    let bench = bench();
    bench.tiny("train --out run --device flex").success();
    let text = said(
        &bench.tiny_with("train --out run --device flex --resume", &["train.lr=0.01"]),
        1,
    );
    assert_says(&text, &["another recipe", "--out"]);
    // The same, with the file moved by hand.
    bench
        .tiny_with("train --out other --device flex", &["train.lr=0.01"])
        .success();
    let dense = bench.path("other/seed-1/dense");
    let foreign = bench.path("run/seed-1/dense/model.safetensors");
    fs::copy(&foreign, dense.join("checkpoint.safetensors")).unwrap();
    fs::remove_file(dense.join("trained.json")).unwrap();
    let line = "train --out other --device flex --resume";
    let text = said(&bench.tiny_with(line, &["train.lr=0.01"]), 1);
    assert_says(&text, &["belongs to another recipe", "--out"]);
    assert!(dense.join("checkpoint.safetensors").exists());
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_grow_while_checkpointing_loses_nothing() {
    let bench = bench();
    bench
        .tiny_with("prepare --out run", &["train.steps=400"])
        .success();
    let words = |line: &str| bench.words(line, &["train.steps=400"]);
    // A file size limit (in blocks of 512 or 1024 bytes) stands in for the full disk: writing
    // beyond it fails as on a full one.
    let limited = Command::new("sh")
        .current_dir(bench.path(""))
        .args(["-c", "ulimit -f 8; exec \"$0\" \"$@\"", LM.exe])
        .args(words("train --out run --device flex --quiet"))
        .assert();
    let text = said(&limited, 1);
    assert_says(
        &text,
        &["`ulimit -f`", "checkpoint.safetensors", "--resume"],
    );
    let dense = bench.path("run/seed-1/dense");
    assert!(!dense.join("checkpoint.safetensors").exists());
    // With room again the run goes on to its end.
    bench
        .command()
        .args(words("train --out run --device flex --resume"))
        .assert()
        .success();
    assert!(read(&dense.join("trained.json")).contains("\"steps\": 400"));
}

/// The map of a token store that another program cuts has no page behind it any more.
#[cfg(unix)]
#[test]
fn a_token_store_cut_under_a_running_program_is_said() {
    let bench = bench();
    let sets = ["train.steps=1000000"];
    bench.tiny_with("prepare --out run", &sets).success();
    let stores = || {
        let files = fs::read_dir(bench.path("run/data")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "tok"))
    };
    assert!(stores().count() > 0);
    let mut child = std::process::Command::new(LM.exe)
        .current_dir(bench.path(""))
        .args(bench.words("train --out run --device flex --quiet", &sets))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = bench.path("run/seed-1/dense/metrics.jsonl");
    let started = std::time::Instant::now();
    while fs::metadata(&metrics).map_or(0, |file| file.len()) == 0 {
        assert!(started.elapsed().as_secs() < 300 && child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for path in stores() {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(0).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_says(&text, &["cut by another program", "--resume", "prepare"]);
    let again = bench.tiny_with("train --out run --device flex --resume", &sets);
    assert_says(&said(&again, 1), &["train.tok", "prepare"]);
}

#[test]
fn devices_unknown_or_not_compiled_in() {
    let bench = bench();
    for run in [
        bench.run("--device cudda"),
        bench.sparta("attend run --text a --device cudda"),
        bench.sparta("export run --out there --device cudda"),
        bench.sparta("analyze omega --device cudda"),
        bench.sparta("sweep small/lm --dry-run --device cudda"),
    ] {
        let text = refused(&run);
        assert_says(&text, &["unknown device `cudda`", "did you mean `cuda`?"]);
    }
    for (device, feature) in [("cuda:0", "cuda"), ("rocm", "rocm"), ("metal", "metal")] {
        if cfg!(not(any(
            feature = "cuda",
            feature = "rocm",
            feature = "metal"
        ))) {
            let text = said(&bench.run(&format!("--device {device}")), 1);
            assert_says(
                &text,
                &[&format!(
                    "--features {feature} --bin lm -- --device {feature}"
                )],
            );
        }
    }
    assert!(!bench.path("runs").exists());
}

#[test]
fn a_stage_without_what_it_reads_names_the_stage_before() {
    let bench = bench();
    bench.tiny("prepare --out run").success();
    let text = said(&bench.tiny("observe --out run --device flex"), 1);
    assert_says(&text, &["dense", "not trained yet"]);
    bench.tiny("train --out run --device flex").success();
    let text = said(&bench.tiny("prune --out run --device flex"), 1);
    assert_says(&text, &["lm observe"]);
    let text = said(&bench.tiny("train --out run --device flex"), 1);
    assert_says(&text, &["not overwritten", "--resume", "--out"]);
}

#[test]
fn a_seed_that_is_named_twice_is_refused_at_the_start() {
    let bench = bench();
    let text = said(&bench.run("--out run --seeds 1,1"), 1);
    assert_says(&text, &["`seeds` names 1 twice", "`--seeds 1`"]);
    assert!(bench.is_empty());
}

/// A device that is always full takes nothing, and a table that is not there is no success.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no /dev/full")]
fn output_that_cannot_be_written_is_an_error() {
    let bench = bench();
    bench.tiny("--out run --device flex").success();
    for line in ["report --out run", "--help", "train --help", "--version"] {
        assert_full(&bench.full(line, &[], ""));
    }
    assert_full(&bench.full("--dry-run --device flex", TINY, ""));
    // The table itself is in its files.
    let csv = bench.csv("run");
    assert!(csv.starts_with("row,"), "{csv}");
}
