//! Several row normalisers in one table, each with masks of its own.

use super::{Bench, assert_says, glue, iwslt, read, squad};

/// The lines of TABLE.csv as (row, p, mask, value).
fn lines(bench: &Bench, folder: &str) -> Vec<[String; 4]> {
    let line = |line: &str| {
        // Only the name may hold a comma, and is then in quotes.
        let (row, rest) = match line.strip_prefix('"') {
            Some(quoted) => quoted.split_once("\",").unwrap(),
            None => line.split_once(',').unwrap(),
        };
        let cells: Vec<&str> = [row].into_iter().chain(rest.split(',')).collect();
        [0, 1, 3, 5].map(|column| cells[column].to_owned())
    };
    let csv = read(&bench.path(&format!("{folder}/TABLE.csv")));
    csv.lines().skip(1).map(line).collect()
}

fn records(bench: &Bench, folder: &str) -> Vec<serde_json::Value> {
    let files = std::fs::read_dir(bench.path(&format!("{folder}/records"))).unwrap();
    files
        .map(|file| serde_json::from_str(&read(&file.unwrap().path())).unwrap())
        .collect()
}

#[test]
fn the_language_model_has_masks_on_each_of_four_normalizers() {
    let bench = Bench::new();
    let names = ["softmax", "sparsemax", "entmax15", "alpha_entmax"];
    let list = format!("model.normalizers={names:?}");
    let sets = [
        list.as_str(),
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 1]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    let found = lines(&bench, "run");
    for name in names {
        for (p, mask) in [("0", "ap"), ("60", "ap"), ("60", "random")] {
            let is_it = |l: &&[String; 4]| l[0].ends_with(name) && l[1] == p && l[2] == mask;
            let of: Vec<_> = found.iter().filter(is_it).collect();
            assert_eq!(of.len(), 1, "{name} {p} {mask}: {found:?}");
            assert!(of[0][3].parse::<f64>().unwrap() > 1.0);
        }
        for file in [
            "dense/model",
            "pattern",
            "masks/ap-p60",
            "rows/random-p60-m1/model",
        ] {
            let path = bench.path(&format!("run/seed-1/{name}/{file}.safetensors"));
            assert!(path.exists(), "{}", path.display());
        }
    }
    // They are of one text: the n-gram models stand in the table once.
    assert_eq!(found.iter().filter(|l| l[2] == "trigram").count(), 1);
    // Sparse rows hide other cells than dense ones.
    let mask = |name: &str| {
        std::fs::read(bench.path(&format!("run/seed-1/{name}/masks/ap-p60.safetensors"))).unwrap()
    };
    assert_ne!(mask("softmax"), mask("sparsemax"));
    assert_says(&read(&bench.path("run/TABLE.md")), &names);
    // What is published is of softmax.
    for record in records(&bench, "run") {
        let is_softmax = record["variant"] == "softmax";
        assert_eq!(
            !record["paper"].is_null(),
            is_softmax && !record["p_nominal"].is_null()
        );
    }
}

#[test]
fn a_pretrained_encoder_is_fine_tuned_with_each() {
    let bench = Bench::new();
    let list = "model.normalizers=[\"softmax\", \"alpha_entmax\"]";
    glue::tiny(&bench, "--out glue --device flex", &[list]).success();
    let by = [list, "cost.batches=0"];
    squad::tiny(&bench, "--out squad --device flex", &by).success();
    for (folder, data) in [("glue", "question-sentence"), ("squad", "squad")] {
        assert_says(
            &read(&bench.path(&format!("{folder}/TABLE.md"))),
            &["variant", "alpha_entmax"],
        );
        for name in ["softmax", "alpha_entmax"] {
            let rows = bench.path(&format!("{folder}/seed-1/{data}/{name}/rows"));
            assert!(rows.is_dir(), "{}", rows.display());
        }
        let printed = String::from_utf8_lossy(
            &match folder {
                "glue" => glue::tiny(&bench, "report --out glue", &[list]),
                _ => squad::tiny(&bench, "report --out squad", &by),
            }
            .success()
            .get_output()
            .stdout
            .clone(),
        )
        .into_owned();
        assert!(!printed.contains("missing"), "{printed}");
    }
    let model = "glue/seed-1/question-sentence/alpha_entmax/rows";
    let row = std::fs::read_dir(bench.path(model))
        .unwrap()
        .next()
        .unwrap();
    let path = row.unwrap().path();
    let said = glue::command(&bench)
        .args(["predict", "--quiet", "--device", "flex", "--model"])
        .arg(path)
        .write_stdin("who\tme\n")
        .assert()
        .success();
    assert!(!said.get_output().stdout.is_empty());
}

#[test]
fn translation_hides_whole_blocks_of_each_type_too() {
    let bench = Bench::new();
    let sets = [
        "model.normalizers=[\"softmax\"]",
        "prune.softmax=[\"encoder_self\", \"cross\"]",
        "prune.entmax15=[]",
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 0]",
    ];
    iwslt::tiny(&bench, "--out run --device flex", &sets).success();
    let without = lines(&bench, "run");
    let more = [&sets[..], &["prune.block_sizes=[16]"]].concat();
    iwslt::tiny(&bench, "--out run --device flex --resume", &more).success();
    let with = lines(&bench, "run");
    let blocks: Vec<_> = with.iter().filter(|l| l[2] == "ap-blocks-16").collect();
    for row in ["enc-self", "cross"] {
        let of = |l: &&&[String; 4]| l[0].starts_with(row) && l[1] == "60";
        assert_eq!(blocks.iter().filter(of).count(), 1, "{with:?}");
    }
    // What was there stays as it was.
    assert!(without.iter().all(|line| with.contains(line)), "{with:?}");
    let mask = bench.path("run/seed-1/softmax/masks/cross-blocks16-p60.safetensors");
    assert!(mask.exists());
}
