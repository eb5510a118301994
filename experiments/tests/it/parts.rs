//! Adaptive span and head gates in the programs: penalties, bounds, what is logged, heads that close, and what is refused.

use crate::bench::{Bench, Program, assert_says, said};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;
use crate::mlm::MLM;

/// The last numbers of the heads of a layer that a log has under a name.
fn heads(bench: &Bench, model: &str, name: &str) -> Vec<Vec<f64>> {
    let metrics = bench.read(format!("{model}/metrics.jsonl"));
    let of = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        serde_json::from_value(line[name].clone()).ok()
    };
    metrics.lines().filter_map(of).collect()
}

/// Both parts in a language model: a table with masks, and gates that are drawn as if the run had never stopped.
#[test]
fn a_stopped_run_with_spans_and_gates_goes_on_to_the_same_bits() {
    let bench = Bench::of(LM);
    let sets = [
        "model.normalizers=[\"softmax+span(r=4,lambda=0.001)+gate(lambda=0.05)\"]",
        "train.steps=300",
        "train.log_every=20",
        "train.checkpoint_every=20",
        "prune.p=[0, 60]",
        "prune.random_masks=[0, 0]",
    ];
    let files = [
        "seed-1/dense/metrics.jsonl",
        "seed-1/dense/model.safetensors",
    ];
    bench.kill_and_resume("", &sets, "seed-1/dense", &files);
    let model = "whole/seed-1/dense";
    let spans = heads(&bench, model, "span/decoder-self/0");
    assert_eq!(spans[0], [4.0; 2], "z = 0 at the start");
    assert!(spans.iter().flatten().all(|z| (4.0..=32.0).contains(z)));
    assert!(spans.last() != spans.first(), "{spans:?}");
    let gates = heads(&bench, model, "gate/decoder-self/0");
    assert!(gates.iter().flatten().all(|g| (0.0..=1.0).contains(g)));
    assert!(gates.last() != gates.first(), "{gates:?}");
    let penalties = bench.metric(model, "train/penalty");
    assert!(
        penalties.iter().all(|penalty| *penalty > 0.0),
        "{penalties:?}"
    );
}

/// The folder of the only model that a run has trained.
fn only_model(bench: &Bench) -> String {
    let mut folders = vec![bench.path("run/seed-1")];
    while let Some(folder) = folders.pop() {
        if folder.join("metrics.jsonl").exists() {
            return folder.to_string_lossy().into_owned();
        }
        let entries = std::fs::read_dir(folder).expect("a folder");
        let entries = entries.map(|entry| entry.expect("a file").path());
        folders.extend(entries.filter(|path| path.is_dir()));
    }
    panic!("no model was trained")
}

/// Where a recipe says by normaliser what is pruned, nothing is; and where it warms up for long, it does not.
fn shortened(program: Program) -> &'static [&'static str] {
    match program.exe == IWSLT.exe {
        true => &[
            "prune.softmax=[]",
            "prune.entmax15=[]",
            "train.warmup_steps=10",
        ],
        false => &[],
    }
}

/// A penalty far above the task's loss closes every head, in every program; the loss that is told is the task's.
#[test]
fn a_strong_penalty_closes_heads_and_spans() {
    let gate = "gate(lambda=50,start=-1.5)";
    for (program, kinds, words) in [
        (
            LM,
            &["decoder-self"][..],
            format!("entmax15+span(r=4,start=9,lambda=50)+{gate}"),
        ),
        (
            IWSLT,
            &["encoder-self", "decoder-self", "cross"],
            format!("softmax+{gate}"),
        ),
        (
            MLM,
            &["encoder-self"],
            format!("softmax+span(start=full,lambda=50)+{gate}"),
        ),
        (
            GLUE,
            &["encoder-self"],
            format!("softmax+span(start=full,lambda=50)+{gate}"),
        ),
    ] {
        let bench = Bench::of(program);
        let list = format!("model.normalizers=[\"{words}\"]");
        let sets = [
            &list,
            "train.lr=0.005",
            "train.steps=80",
            "prune.p=[0]",
            "prune.random_masks=[0]",
        ];
        let sets = [&sets[..], shortened(program)].concat();
        let told = bench.told("--out run --device flex", &sets);
        for kind in kinds {
            let closed = |line: &str| {
                line.contains(", 0 of ") && line.contains(&format!(" {kind} heads open"))
            };
            assert!(told.lines().any(closed), "{told}");
        }
        let model = only_model(&bench);
        let losses = bench.losses(&model);
        // Later a learning rate like this makes single batches of labels worse than that, whatever is added.
        let told = if program.exe == GLUE.exe {
            1
        } else {
            losses.len()
        };
        let is_of_task = losses[..told].iter().all(|loss| *loss < 20.0);
        assert!(is_of_task, "{words}: {losses:?}");
        assert!(bench.metric(&model, "train/penalty")[0] > 20.0, "{words}");
        let validated = bench.metric(&model, "valid/nll");
        let is_of_task = validated.iter().all(|loss| *loss < 20.0);
        assert!(
            is_of_task && !validated.is_empty(),
            "{words}: {validated:?}"
        );
        if words.contains("span") {
            let spans = heads(&bench, &model, &format!("span/{}/0", kinds[0]));
            let (first, last) = (spans[0][0], spans.last().unwrap()[0]);
            assert!(last < first, "{words}: {spans:?}");
        }
        for kind in kinds {
            let gates = heads(&bench, &model, &format!("gate/{kind}/0"));
            let last = gates.last().unwrap();
            assert!(last.iter().all(|gate| *gate == 0.0), "{gates:?}");
        }
    }
}

#[test]
fn a_span_that_cannot_be_is_refused_before_anything_is_trained() {
    for (program, words, reason) in [
        (IWSLT, "softmax+span(s=20)", "attend to another sequence"),
        (
            GLUE,
            "softmax+span",
            "span.start` is 0.0 in `softmax+span`, but it must be full",
        ),
        (LM, "softmax+span(r=0)", "span.r"),
        (LM, "softmax+gate(beta=2)", "gate.beta"),
        (LM, "softmax+gates", "softmax"),
    ] {
        let bench = Bench::of(program);
        let list = format!("model.normalizers=[\"{words}\"]");
        for line in ["--dry-run --device flex", "--out run --device flex"] {
            let sets = [&[list.as_str()], shortened(program)].concat();
            let text = said(&bench.tiny_with(line, &sets), 1);
            assert_says(&text, &[reason, "model.normalizers"]);
            assert!(!bench.path("run").exists());
        }
    }
}
