//! Saving and loading run records.

use std::fs;
use std::path::Path;

use sparta_results::metric::bleu::Bleu;
use sparta_results::{
    Baseline, COMMIT, Condition, MaskRows, Metric, ResultsError, RunRecord, Status, TRAINED_BY,
    load_all, load_readable,
};

use crate::support::{AP, blocks, by_uses, random, run, table};

#[test]
fn what_is_saved_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = table();
    records[0].value = Some(0.1 + 0.2);
    records.push(blocks(64, 80.0, 3.0));
    for record in &records {
        record.save(dir.path().join("lm").join("deep")).unwrap();
    }
    fs::write(dir.path().join("notes.json"), "no record").unwrap();
    let mut loaded = load_all(dir.path()).unwrap();
    records.sort_by(|a, b| a.id.cmp(&b.id));
    loaded.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(loaded, records);
}

#[test]
fn saving_again_replaces_and_leaves_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut record = run(AP, Some(20.0), 1, 5.0);
    record.status = Status::Running;
    record.value = None;
    record.save(dir.path()).unwrap();
    record.status = Status::Completed;
    record.value = Some(4.0);
    let path = record.save(dir.path()).unwrap();
    assert_eq!(RunRecord::load(&path).unwrap(), record);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn damaged_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let record = run(AP, Some(20.0), 1, 5.0);
    let path = record.save(dir.path()).unwrap();
    let text = fs::read_to_string(&path).unwrap();

    fs::write(&path, &text[..text.len() / 2]).unwrap();
    let error = load_all(dir.path()).unwrap_err();
    assert!(matches!(error, ResultsError::BadRecord { .. }), "{error}");
    assert!(error.to_string().contains(&path.display().to_string()));

    // Who wants the others gets them, and the damaged one by name.
    let other = run(AP, Some(40.0), 1, 6.0);
    other.save(dir.path()).unwrap();
    let (readable, damaged) = load_readable(dir.path()).unwrap();
    assert_eq!(readable, std::slice::from_ref(&other));
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].0, path);
    assert!(matches!(damaged[0].1, ResultsError::BadRecord { .. }));
    fs::remove_file(other.path(dir.path())).unwrap();

    fs::write(&path, text.replace("\"schema\": 1", "\"schema\": 7")).unwrap();
    let error = RunRecord::load(&path).unwrap_err();
    assert!(
        matches!(
            error,
            ResultsError::Schema {
                found: 7,
                expected: 1,
                ..
            }
        ),
        "{error}"
    );

    fs::write(&path, text.replace("\"seed\"", "\"sead\"")).unwrap();
    assert!(matches!(
        RunRecord::load(&path).unwrap_err(),
        ResultsError::BadRecord { .. }
    ));

    let error = load_all(dir.path().join("nowhere")).unwrap_err();
    assert!(
        error.to_string().contains("cargo run --release --bin lm"),
        "{error}"
    );
}

#[test]
fn contradictions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let good = run(AP, Some(20.0), 1, 5.0);
    let spoil: [fn(&mut RunRecord); 13] = [
        |record| record.id = "../escape".into(),
        |record| record.id = String::new(),
        |record| record.id = "a".repeat(241),
        |record| record.p_effective = Some(100.5),
        |record| record.p_nominal = None,
        |record| record.condition = Baseline::Bigram.into(),
        |record| record.condition = Condition::Dense,
        |record| record.variant = Some(String::new()),
        |record| {
            record.condition = Baseline::Bigram.into();
            (record.p_nominal, record.variant) = (None, Some("softmax".into()));
        },
        |record| _ = record.versions.insert(COMMIT.into(), "main".into()),
        |record| _ = record.data.insert("train.tsv".into(), "b5bb9d80".into()),
        |record| record.value = None,
        |record| record.value = Some(f64::NAN),
    ];
    for (at, spoil) in spoil.iter().enumerate() {
        let mut record = good.clone();
        spoil(&mut record);
        let error = record.save(dir.path()).unwrap_err();
        assert!(
            matches!(error, ResultsError::Invalid { .. }),
            "case {at}: {error}"
        );
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// What hid cells is three keys, as in records of every version.
#[test]
fn conditions_are_written_as_ever() {
    let dir = tempfile::tempdir().unwrap();
    let written = |record: &RunRecord| {
        let path = record.save(dir.path()).unwrap();
        assert_eq!(RunRecord::load(&path).unwrap(), *record);
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().filter(|line| line.contains("\"mask"));
        lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let none = "\"mask_seed\": null,";
    for (condition, p, expected) in [
        (
            Condition::Dense,
            Some(0.0),
            vec!["\"mask\": \"none\",", none],
        ),
        (AP, Some(80.0), vec!["\"mask\": \"ap\",", none]),
        (
            random(7),
            Some(80.0),
            vec!["\"mask\": \"random\",", "\"mask_seed\": 7,"],
        ),
        (
            Baseline::Trigram.into(),
            None,
            vec!["\"mask\": \"trigram\",", none],
        ),
    ] {
        assert_eq!(written(&run(condition, p, 1, 5.0)), expected);
    }
    let expected = ["\"mask\": \"ap-blocks\",", none, "\"mask_block_size\": 16,"];
    assert_eq!(written(&blocks(16, 80.0, 5.0)), expected);
    let uses = "\"mask_weigh\": \"uses\",";
    let by_uses = run(by_uses(AP), Some(80.0), 1, 5.0);
    assert_eq!(written(&by_uses), ["\"mask\": \"ap\",", none, uses]);
    let rows = "\"mask_rows\": \"paper\",";
    let of_code = run(AP.decoded(MaskRows::Paper), Some(80.0), 1, 5.0);
    assert_eq!(written(&of_code), ["\"mask\": \"ap\",", none, rows]);
    for baseline in Baseline::ALL {
        written(&run(baseline, None, 1, 5.0));
    }
}

#[test]
fn files_that_contradict_themselves_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = run(AP, Some(20.0), 1, 5.0).save(dir.path()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, problem) in [
        ("\"mask\": \"ap\"", "\"mask\": \"app\"", "mask is `app`"),
        (
            "\"mask\": \"ap\"",
            "\"mask\": \"ap-blocks\"",
            "`ap-blocks` with a block size",
        ),
        (
            "\"mask_seed\": null",
            "\"mask_block_size\": 16",
            "mask_block_size Some(16)",
        ),
        (
            "\"mask_seed\": null",
            "\"mask_weigh\": \"tokens\"",
            "mask_weigh Some(\"tokens\")",
        ),
    ] {
        fs::write(&path, text.replace(from, to)).unwrap();
        let error = RunRecord::load(&path).unwrap_err();
        assert!(matches!(error, ResultsError::BadRecord { .. }), "{error}");
        assert!(error.to_string().contains(problem), "{problem}: {error}");
    }
}

/// As a version may write it that has more keys.
#[test]
fn an_unknown_key_may_be_of_a_newer_version() {
    let dir = tempfile::tempdir().unwrap();
    let path = run(AP, Some(20.0), 1, 5.0).save(dir.path()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    for value in ["1", "null", "[[]]", "{\"a\": 1}"] {
        let more = format!("\"maks\": {value}, \"seed\"");
        fs::write(&path, text.replace("\"seed\"", &more)).unwrap();
        let error = RunRecord::load(&path).unwrap_err();
        assert!(matches!(error, ResultsError::UnknownKey { .. }), "{error}");
        let said = error.to_string();
        assert!(
            said.contains("`maks`") && said.contains("newer version"),
            "{said}"
        );
        assert!(!said.contains("delete"), "{said}");
    }
}

/// What a record has none of is left out or null, as another program writes it.
#[test]
fn what_there_is_none_of_may_be_null() {
    let dir = tempfile::tempdir().unwrap();
    let record = RunRecord {
        status: Status::Running,
        attention: None,
        p_effective: None,
        p_token_weighted: None,
        value: None,
        tokens_per_second: None,
        finished: None,
        ..run(Condition::Dense, None, 1, 5.0)
    };
    let path = record.save(dir.path()).unwrap();
    assert_eq!(RunRecord::load(&path).unwrap(), record);
    let text = fs::read_to_string(&path).unwrap();
    let mut fields: serde_json::Map<_, _> = serde_json::from_str(&text).unwrap();
    for key in [
        "variant",
        "precision",
        "attention",
        "mask_seed",
        "mask_block_size",
        "mask_weigh",
        "mask_rows",
        "p_nominal",
        "p_effective",
        "p_token_weighted",
        "value",
        "paper",
        "tokens_per_second",
        "parameters",
        "peak_gigabytes",
        "finished",
        "command",
    ] {
        fields.insert(key.to_owned(), serde_json::Value::Null);
    }
    fs::write(&path, serde_json::to_string(&fields).unwrap()).unwrap();
    assert_eq!(RunRecord::load(&path).unwrap(), record);
}

#[test]
fn a_record_names_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let mut record = run(AP, Some(20.0), 1, 5.0);
    assert_eq!(record.commit(), None);
    for commit in [
        "1a2b3c4",
        "f325aca0000000000000000000000000000000ab",
        "f325aca-dirty",
        "unknown",
    ] {
        record.versions.insert(COMMIT.into(), commit.into());
        let path = record.save(dir.path()).unwrap();
        assert_eq!(RunRecord::load(&path).unwrap().commit(), Some(commit));
    }
    // What trained the model is a part of the build, if it is not what scored it.
    record.versions.insert(COMMIT.into(), "1a2b3c4".into());
    assert_eq!(record.build().as_deref(), Some("1a2b3c4"));
    for (trained_by, build) in [
        ("0f9e8d7", "0f9e8d7 then 1a2b3c4"),
        ("0f9e8d7 then 1a2b3c4", "0f9e8d7 then 1a2b3c4"),
        ("1a2b3c4 then 0f9e8d7", "1a2b3c4 then 0f9e8d7 then 1a2b3c4"),
    ] {
        (record.versions).insert(TRAINED_BY.into(), trained_by.into());
        let path = record.save(dir.path()).unwrap();
        let build_of = RunRecord::load(&path).unwrap().build();
        assert_eq!(build_of.as_deref(), Some(build));
    }
    (record.versions).insert(TRAINED_BY.into(), "0f9e8d7 and main".into());
    let error = record.save(dir.path()).unwrap_err();
    assert!(error.to_string().contains("7 to 40 hexadecimal"), "{error}");
    record.versions.remove(TRAINED_BY);
    for commit in ["", "main", "1a2b3c", "f325aca-", "unknown-dirty"] {
        record.versions.insert(COMMIT.into(), commit.into());
        let error = record.save(dir.path()).unwrap_err();
        assert!(error.to_string().contains("7 to 40 hexadecimal"), "{error}");
    }
}

/// A record from before data were noted has none, and gets none.
#[test]
fn a_record_names_the_files_of_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let mut record = run(AP, Some(20.0), 1, 5.0);
    let text = |path: &Path| fs::read_to_string(path).unwrap();
    let path = record.save(dir.path()).unwrap();
    assert!(!text(&path).contains("\"data\""));
    assert!(RunRecord::load(&path).unwrap().data.is_empty());
    fs::write(
        &path,
        text(&path).replace("\"versions\"", "\"data\": {}, \"versions\""),
    )
    .unwrap();
    assert_eq!(RunRecord::load(&path).unwrap(), record);
    record.data.insert("RTE/train.tsv".into(), "0a".repeat(32));
    let path = record.save(dir.path()).unwrap();
    assert_eq!(RunRecord::load(&path).unwrap(), record);
}

/// Perfect translations of two lengths, whose BLEU rounds to more than 100.
#[test]
fn a_perfect_score_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    let text = [
        "the cat sat on the mat .",
        "a dog ran over the long road today .",
    ];
    let score = Bleu::default()
        .corpus(&text, &text.map(|line| vec![line]))
        .unwrap()
        .score;
    assert!(score > 100.0, "{score:?} rounds well and shows nothing");
    let mut record = run(AP, Some(20.0), 1, score);
    record.metric = Metric::Bleu;
    let path = record.save(dir.path()).unwrap();
    assert_eq!(RunRecord::load(path).unwrap().value, Some(100.0));
}

/// mjpost/sacrebleu#275: one line that is its reference.
#[test]
fn the_score_of_one_perfect_line_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    let line = "The dog bit the man.";
    let score = Bleu::default()
        .corpus(&[line], &[vec![line]])
        .unwrap()
        .score;
    assert!((score - 100.0).abs() < 1e-9, "{score:?}");
    let mut record = run(AP, Some(20.0), 1, score);
    record.metric = Metric::Bleu;
    let read = RunRecord::load(record.save(dir.path()).unwrap()).unwrap();
    assert!((read.value.unwrap() - 100.0).abs() < 1e-9, "{read:?}");
}

/// The reason stands in the message; as a cause beside it, it would be printed twice.
#[test]
fn a_reason_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.run.json");
    let absent = RunRecord::load(&path).unwrap_err();
    std::fs::write(&path, "{").unwrap();
    let broken = RunRecord::load(&path).unwrap_err();
    let csv = sparta_results::bench::BenchRow::read(&path).unwrap_err();
    for error in [absent, broken, csv] {
        assert!(std::error::Error::source(&error).is_none(), "{error:?}");
    }
}

/// Every bounded number, on each side: rounding error is the bound, more is an error.
#[test]
fn rounding_error_at_a_bound_is_the_bound_and_excess_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let scores = [
        Metric::Bleu,
        Metric::Chrf,
        Metric::Accuracy,
        Metric::F1,
        Metric::Matthews,
        Metric::Pearson,
        Metric::Spearman,
        Metric::PearsonSpearman,
        Metric::ExactMatch,
        Metric::AnswerF1,
        Metric::HasAnswerExact,
        Metric::HasAnswerF1,
        Metric::NoAnswerExact,
        Metric::BestExact,
        Metric::BestF1,
    ];
    for metric in scores {
        let range = metric.range();
        for (bound, away) in [(*range.start(), -1.0), (*range.end(), 1.0)] {
            let mut record = run(AP, Some(20.0), 1, bound + 3e-14 * away);
            record.metric = metric;
            let path = record.save(dir.path()).unwrap();
            let loaded = RunRecord::load(&path).unwrap();
            assert_eq!(loaded.value, Some(bound), "{metric}");
            // As another program may have written it.
            let written = format!("\"value\": {bound:?}");
            let beyond = format!("\"value\": {:?}", bound + 3e-14 * away);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(&written), "{text}");
            fs::write(&path, text.replace(&written, &beyond)).unwrap();
            assert_eq!(RunRecord::load(&path).unwrap().value, Some(bound));
            record.value = Some(bound + 1e-3 * away);
            let error = record.save(dir.path()).unwrap_err().to_string();
            assert!(error.contains(metric.label()), "{metric}: {error}");
        }
    }
    let percentages: [fn(&mut RunRecord) -> &mut Option<f64>; 3] = [
        |record| &mut record.p_nominal,
        |record| &mut record.p_effective,
        |record| &mut record.p_token_weighted,
    ];
    for of in percentages {
        for (bound, away) in [(0.0, -1.0), (100.0, 1.0)] {
            let mut record = run(AP, Some(20.0), 1, 5.0);
            *of(&mut record) = Some(bound + 3e-14 * away);
            let path = record.save(dir.path()).unwrap();
            assert_eq!(*of(&mut RunRecord::load(path).unwrap()), Some(bound));
            *of(&mut record) = Some(bound + 1e-3 * away);
            record.save(dir.path()).unwrap_err();
        }
    }
}

#[test]
fn what_is_no_text_is_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("packed.run.json");
    for bytes in [&b"\x1f\x8b\x08\x00"[..], b"{\"id\": \"\xff\"}", b""] {
        std::fs::write(&path, bytes).unwrap();
        let error = RunRecord::load(&path).unwrap_err().to_string();
        assert!(error.contains("is not a run record: "), "{error}");
    }
}
