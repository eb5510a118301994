//! What the files of a known corpus are: those that are read, by their names and sha256.

use std::fs;
use std::path::Path;

use sparta_datasets::classification::ClassificationTask;
use sparta_datasets::glue::GlueTask;
use sparta_datasets::source::{Origins, sha256};
use sparta_datasets::squad::SquadSet;
use sparta_datasets::translation::TranslationCorpus;
use sparta_datasets::{CorpusName, Error};

/// Files that have their names as text.
fn write(dir: &Path, names: &[&str]) {
    for name in names {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
}

/// That origins are these files of a folder, under these names.
fn assert_are(origins: &Origins, dir: &Path, files: &[(&str, &str)]) {
    let found: Vec<_> = origins
        .0
        .iter()
        .map(|of| (of.label(), of.path.clone()))
        .collect();
    let expected = files
        .iter()
        .map(|(name, file)| ((*name).to_owned(), dir.join(file)));
    assert_eq!(found, expected.collect::<Vec<_>>());
    for (origin, (_, file)) in origins.0.iter().zip(files) {
        assert_eq!(
            (origin.bytes, &origin.sha256),
            (file.len() as u64, &sha256(file.as_bytes()))
        );
        assert!(!origin.is_shipped());
    }
}

#[test]
fn files_are_named_as_in_their_corpus() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, cache) = (dir.path(), dir.path().join("cache"));
    let wiki = ["train", "valid", "test"].map(|split| format!("wiki.{split}.tokens"));
    let wiki = wiki.each_ref().map(String::as_str);
    write(&dir.join("mine"), &wiki);
    let found = CorpusName::WikiText2
        .origins(Some(&dir.join("mine")), &cache)
        .unwrap();
    assert_are(&found, &dir.join("mine"), &wiki.map(|file| (file, file)));

    // Of a task what is there: test need not be.
    write(
        &dir.join("glue/RTE"),
        &["train.tsv", "dev.tsv", "notes.txt"],
    );
    let rte = ClassificationTask::Glue(GlueTask::Rte);
    let found = rte.origins(Some(dir), &cache).unwrap();
    let files = [("RTE/train.tsv", "train.tsv"), ("RTE/dev.tsv", "dev.tsv")];
    assert_are(&found, &dir.join("glue/RTE"), &files);
    // MRPC as its authors published it: train and dev are one file and a list.
    let names = [
        "msr_paraphrase_train.txt",
        "msr_paraphrase_test.txt",
        "dev_ids.tsv",
    ];
    write(&dir.join("MRPC"), &names);
    let mrpc = ClassificationTask::Glue(GlueTask::Mrpc);
    let found = mrpc.origins(Some(dir), &cache).unwrap();
    let mut found: Vec<String> = found.hashes().into_keys().collect();
    let mut expected = names.map(|name| format!("MRPC/{name}")).to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    let squad = ["train-v2.0.json", "dev-v2.0.json"];
    write(&cache.join("squad-v2.0"), &squad);
    let found = SquadSet::V2_0.origins(None, &cache).unwrap();
    assert_are(
        &found,
        &cache.join("squad-v2.0"),
        &squad.map(|file| (file, file)),
    );

    // Translations are read as they were prepared.
    let prepared = cache.join("translation/multi30k-de-en-v1");
    let files = [
        "train.de", "train.en", "valid.de", "valid.en", "test.de", "test.en",
    ];
    write(&prepared, &files);
    let found = TranslationCorpus::Multi30kDeEn.origins(&cache).unwrap();
    let names = files.map(|file| format!("multi30k-de-en-v1/{file}"));
    let named: Vec<_> = names.iter().map(String::as_str).zip(files).collect();
    assert_are(&found, &prepared, &named);

    let missing = [
        CorpusName::WikiText103.origins(Some(dir), &cache),
        ClassificationTask::Glue(GlueTask::Cola).origins(Some(dir), &cache),
        SquadSet::V1_1.origins(None, &cache),
        TranslationCorpus::KfttJaEn.origins(&cache),
    ];
    for missing in missing {
        let error = missing.unwrap_err();
        assert!(matches!(error, Error::MissingCorpus { .. }), "{error}");
    }
}

#[test]
fn what_ships_is_named_by_its_packed_file() {
    let none = Path::new("");
    let question_sentence = ClassificationTask::QuestionSentence;
    for (origins, n) in [
        (CorpusName::StateOfTheUnion.origins(None, none), 1),
        (question_sentence.origins(None, none), 2),
        (SquadSet::Shipped.origins(None, none), 2),
        (TranslationCorpus::LibreofficeHelp.origins(none), 1),
    ] {
        let origins = origins.unwrap();
        assert_eq!(origins.0.len(), n);
        for origin in &origins.0 {
            let packed = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("data")
                .join(&origin.path);
            let packed = fs::read(packed).unwrap();
            assert_eq!(origin.label(), origin.path.to_string_lossy());
            assert_eq!(
                (origin.bytes, &origin.sha256),
                (packed.len() as u64, &sha256(&packed))
            );
            assert!(origin.is_shipped());
        }
    }
}
