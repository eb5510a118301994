//! Saving and loading run records.

use std::fs;

use sparta_results::{MaskKind, ResultsError, RunRecord, Status, load_all};

use crate::support::{blocks, run, table};

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
    let mut record = run(MaskKind::Ap, Some(20.0), (1, None), 5.0);
    record.status = Status::Interrupted;
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
    let record = run(MaskKind::Ap, Some(20.0), (1, None), 5.0);
    let path = record.save(dir.path()).unwrap();
    let text = fs::read_to_string(&path).unwrap();

    fs::write(&path, &text[..text.len() / 2]).unwrap();
    let error = load_all(dir.path()).unwrap_err();
    assert!(matches!(error, ResultsError::BadRecord { .. }), "{error}");
    assert!(error.to_string().contains(&path.display().to_string()));

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
    let good = run(MaskKind::Ap, Some(20.0), (1, None), 5.0);
    let spoil: [fn(&mut RunRecord); 9] = [
        |record| record.id = "../escape".into(),
        |record| record.id = String::new(),
        |record| record.p_effective = Some(100.5),
        |record| record.p_nominal = None,
        |record| record.mask = MaskKind::Bigram,
        |record| record.mask = MaskKind::ApBlocks,
        |record| record.mask_block_size = Some(64),
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
