//! Tables whose rows are mechanisms, and mechanisms by type of attention.

use crate::bench::{Bench, assert_says, said, stdout};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;

const HEAD: &str = "row,p_nominal,p_effective,mask,metric,value,paper,n_runs,n_seeds,signature,sd,parameters,\
                    tokens_per_second,peak_gigabytes,observed";

/// The line of a row in a csv, its cells from the parameters on.
fn cost(csv: &str, row: &str) -> Vec<String> {
    let line = csv.lines().find(|line| {
        line.trim_start_matches('"')
            .strip_prefix(row)
            .is_some_and(|rest| rest.starts_with([',', '"']))
    });
    let line = line.unwrap_or_else(|| panic!("no row {row} in {csv}"));
    let cells: Vec<&str> = line.rsplitn(5, ',').collect();
    cells.into_iter().take(4).rev().map(str::to_owned).collect()
}

fn rows(csv: &str) -> Vec<String> {
    let row = |line: &str| match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\",").unwrap().0.to_owned(),
        None => line.split_once(',').unwrap().0.to_owned(),
    };
    csv.lines().skip(1).map(row).collect()
}

#[test]
fn a_language_model_table_of_mechanisms_has_their_cost_and_what_is_watched() {
    let bench = Bench::of(LM);
    let sets = [
        "layout=mechanism",
        "model.normalizers=[\"softmax\", \"entmax15\", \"rfa(m=8)\"]",
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 0]",
        "prune.only=[\"softmax\"]",
    ];
    let printed = stdout(&bench.tiny_with("--out run --device flex", &sets).success());
    let csv = bench.csv("run");
    assert_eq!(csv.lines().next(), Some(HEAD));
    let expected = [
        "softmax",
        "softmax, trained on without a mask",
        "softmax, AP p = 60 %",
        "entmax15",
        "rfa(m=8)",
    ];
    assert_eq!(rows(&csv)[..5], expected, "{csv}");
    for row in expected {
        let cost = cost(&csv, row);
        let number = |i: usize| -> f64 {
            cost[i]
                .parse()
                .unwrap_or_else(|_| panic!("{row}: {cost:?}"))
        };
        assert!(number(0) > 1000.0 && number(1) > 0.0, "{row}: {cost:?}");
        if cfg!(target_os = "linux") {
            assert!((0.005..64.0).contains(&number(2)), "{row}: {cost:?}");
        }
    }
    assert_says(&cost(&csv, "softmax")[3], &["density %=100", "support="]);
    assert_says(&cost(&csv, "softmax, AP p = 60 %")[3], &["kept %="]);
    assert_says(&cost(&csv, "rfa(m=8)")[3], &["L1 error="]);
    assert_says(
        &printed,
        &["memory, GB", "Δ softmax", "L1 error", "TABLE.svg"],
    );
    // What the records say is what the report of several runs says.
    let report = stdout(&bench.sparta("report run --csv").success());
    assert_says(&report, &["softmax, AP p = 60 %"]);
    assert_says(
        &bench.read("run/REPORT.csv"),
        &["peak_gigabytes,observed", "L1 error="],
    );
    // Nothing is made again, and the table stays.
    bench
        .tiny_with("--out run --device flex --resume", &sets)
        .success();
    assert_eq!(csv, bench.csv("run"));
}

#[test]
fn translation_has_a_mechanism_for_each_type_of_attention() {
    let bench = Bench::of(IWSLT);
    let by_type = "decoder=rfa(m=8) cross=rfa(m=8)";
    let list = format!("model.normalizers=[\"softmax\", \"{by_type}\", \"encoder=sparsemax\"]");
    let sets = [
        "layout=mechanism",
        &list,
        "prune.softmax=[\"self\"]",
        "prune.entmax15=[]",
        "prune.others=[\"encoder_self\", \"cross\"]",
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 0]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    let csv = bench.csv("run");
    let mut found = rows(&csv);
    found.sort();
    let mut expected = vec![
        "softmax".to_owned(),
        "softmax, trained on without a mask".to_owned(),
        "softmax, self-attention, AP p = 60 %".to_owned(),
        by_type.to_owned(),
        format!("{by_type}, trained on without a mask"),
        // The decoder's attention to the source has no weights and stays whole.
        format!("{by_type}, enc-self, AP p = 60 %"),
        "encoder=sparsemax".to_owned(),
        "encoder=sparsemax, trained on without a mask".to_owned(),
        "encoder=sparsemax, enc-self, AP p = 60 %".to_owned(),
        "encoder=sparsemax, cross, AP p = 60 %".to_owned(),
        "the source, copied".to_owned(),
        "most frequent translation of each word".to_owned(),
    ];
    expected.sort();
    assert_eq!(found, expected);
    // What is watched is of the mechanism that the row is about.
    assert!(cost(&csv, by_type)[3].starts_with("L1 error="), "{csv}");
    assert_says(&cost(&csv, "encoder=sparsemax")[3], &["support="]);
    let folder = "run/seed-1/decoder-rfa-m-8_cross-rfa-m-8";
    assert!(
        bench
            .path(folder)
            .join("rows/encoder-self-ap-p60/model.safetensors")
            .exists()
    );
    // It translates.
    let line = format!("translate --model {folder}/dense");
    let output = bench.piped(&line, "Das ist ein Fenster.\n").success();
    assert!(!stdout(&output).is_empty());
}

#[test]
fn a_type_that_a_mechanism_cannot_serve_is_named_with_those_that_it_can() {
    let bench = Bench::of(IWSLT);
    let sets = [
        "model.normalizers=[\"softmax\", \"rfa_gate(m=8)\"]",
        "prune.entmax15=[]",
    ];
    for line in ["--dry-run --device flex", "--out run --device flex"] {
        let text = said(&bench.tiny_with(line, &sets), 1);
        assert_says(
            &text,
            &[
                "rfa_gate(m=8) cannot let queries see later keys, as encoder-self attention needs",
                "`decoder=rfa_gate(m=8)`",
                "model.normalizers",
            ],
        );
    }
    assert!(!bench.path("run/seed-1").exists());
}

#[test]
fn a_table_of_labelled_texts_has_mechanisms_in_rows() {
    let bench = Bench::of(GLUE);
    let sets = [
        "layout=mechanism",
        "model.normalizers=[\"softmax\", \"fusedmax(0.1)\"]",
        "prune.only=[\"softmax\"]",
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 0]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    let csv = bench.csv("run");
    let expected = ["softmax", "softmax, AP p = 60 %", "fusedmax(0.1)"];
    assert_eq!(rows(&csv)[..3], expected, "{csv}");
    assert_says(&cost(&csv, "fusedmax(0.1)")[3], &["groups=", "support="]);
}
