use std::fs;

use super::*;

fn rule() -> TableRule {
    TableRule {
        fractions: Fractions {
            valid: 0.2,
            test: 0.2,
            seed: 1,
        },
        first: "text".to_owned(),
        second: None,
        label: "label".to_owned(),
        kind: LabelKind::Classes,
    }
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn one_table_in_three_forms_is_the_same_examples() {
    let dir = tempfile::tempdir().unwrap();
    let [mut tsv, mut csv, mut jsonl] =
        ["id\ttext\tlabel\n", "label,\"text\"\r\n", ""].map(str::to_owned);
    for i in 0..60 {
        let (text, label) = (
            format!("It is \"{i}\", said {}.", i % 7),
            ["good", "bad", "fair"][i % 3],
        );
        tsv += &format!("{i}\t{text}\t{label}\n");
        csv += &format!("{label},\"{}\"\r\n", text.replace('"', "\"\""));
        jsonl += &format!(
            "{}\n",
            serde_json::json!({"text": text, "label": label, "other": [1]})
        );
    }
    let corpora = [("a.tsv", tsv), ("a.csv", csv), ("a.jsonl", jsonl)].map(|(name, text)| {
        let path = write(dir.path(), name, &text);
        let own = rule().corpus(&path).unwrap();
        assert_eq!(own.origins, rule().origins(&path).unwrap());
        own.corpus
    });
    assert_eq!(corpora[0].parts, corpora[1].parts);
    assert_eq!(corpora[0].parts, corpora[2].parts);
    assert_ne!(corpora[0].name, corpora[1].name);
    let Labels::Classes(names) = &corpora[0].labels else {
        panic!("classes")
    };
    assert_eq!(names.join(" "), "bad fair good");
    let n: usize = corpora[0]
        .parts
        .iter()
        .map(|part| part.examples.len())
        .sum();
    assert_eq!(n, 60);
    let example = &corpora[0].parts[0].examples[0];
    assert!(example.first.starts_with("It is \"") && example.label.is_some());
}

#[test]
fn pairs_and_scores_of_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["train", "dev", "test"] {
        write(
            dir.path(),
            &format!("{name}.tsv"),
            "a\tb\tscore\nx\ty\t-3.5\n\nz\tw\t1e1\n",
        );
    }
    let pairs = TableRule {
        first: "a".to_owned(),
        second: Some("b".to_owned()),
        label: "score".to_owned(),
        kind: LabelKind::Score,
        ..rule()
    };
    let own = pairs.corpus(dir.path()).unwrap();
    assert_eq!(
        (own.corpus.labels.clone(), own.origins.0.len()),
        (Labels::Score, 3)
    );
    let valid = own.corpus.part("valid").unwrap();
    assert_eq!(valid.examples[1].second.as_deref(), Some("w"));
    let labels: Vec<_> = valid.examples.iter().map(|example| example.label).collect();
    assert_eq!(labels, [Some(Label::Score(-3.5)), Some(Label::Score(10.0))]);
    fs::remove_file(dir.path().join("test.tsv")).unwrap();
    let error = pairs.corpus(dir.path()).unwrap_err().to_string();
    assert!(error.contains("found no test.tsv"), "{error}");
}

#[test]
fn numbers_as_classes_are_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..100)
        .map(|i| format!("text {i}\t{}\n", [10, 9, 2][i % 3]))
        .collect();
    let path = write(dir.path(), "a.tsv", &format!("text\tlabel\n{rows}"));
    let Labels::Classes(names) = rule().corpus(&path).unwrap().corpus.labels else {
        panic!("classes")
    };
    assert_eq!(names.join(" "), "2 9 10");
}

/// A folder of tables, each with its rows below the head `text⇥label`.
fn folder(rows: [&str; 3]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, rows) in ["train", "valid", "test"].iter().zip(rows) {
        let text = format!("text\tlabel\n{rows}");
        write(dir.path(), &format!("{name}.tsv"), &text);
    }
    dir
}

/// What a new run is refused for.
fn doubt(path: &Path) -> String {
    let own = rule().corpus(path).unwrap();
    own.doubt.expect("a doubt").to_string()
}

#[test]
fn one_number_is_one_class() {
    for other in ["1.0", "01", "+1", "1e0"] {
        let dir = folder(["a\t0\nb\t1\n", &format!("c\t0\nd\t{other}\n"), "e\t0\n"]);
        let error = doubt(dir.path());
        let words = format!(
            "valid.tsv, line 3: expected `1` in column `label`, as before, found `{other}`, the same number"
        );
        assert!(
            error.contains(&words) && error.contains("labels=score"),
            "{error}"
        );
    }
    // Names that are no numbers are what they are, and numbers that differ.
    let [one, other] = ["9007199254740993", "9007199254740992"];
    let dir = folder([
        &format!("a\t{one}\nb\t{other}\n"),
        &format!("c\t{one}\n"),
        &format!("d\t{other}\n"),
    ]);
    assert!(rule().corpus(dir.path()).unwrap().doubt.is_none());
    let dir = folder(["a\tv1\nb\tv1.0\nc\t1\n", "d\tv1\n", "e\t1\n"]);
    let own = rule().corpus(dir.path()).unwrap();
    assert_eq!(own.corpus.labels.n_outputs(), 3);
}

#[test]
fn a_class_without_a_training_row_is_named() {
    let rows = |names: &[&str]| -> String {
        let row = |(i, name): (usize, &&str)| format!("text {i}\t{name}\n");
        names.iter().enumerate().map(row).collect()
    };
    let [train, more] = [rows(&["a", "b"]), rows(&["a", "c"])];
    let all: Vec<String> = (0..8).map(|i| format!("x{i}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for (test, words) in [
        (
            more.clone(),
            "a training row of each class in column `label`, found none of `c`;",
        ),
        (
            rows(&all),
            "found none of `c`, `x0`, `x1`, `x2`, `x3` and 4 more;",
        ),
    ] {
        let dir = folder([&train, &more, &test]);
        let error = doubt(dir.path());
        assert!(error.contains(words), "{error}");
    }
    // A column that is no label.
    let dir = tempfile::tempdir().unwrap();
    let ids: String = (0..100).map(|i| format!("text {i}\t{i}\n")).collect();
    let path = write(dir.path(), "a.tsv", &format!("text\tlabel\n{ids}"));
    let error = doubt(&path);
    assert!(
        ["found none of", "data.files.label`", "split_seed"]
            .iter()
            .all(|of| error.contains(of)),
        "{error}"
    );
    let scores = TableRule {
        kind: LabelKind::Score,
        ..rule()
    };
    scores.corpus(&path).unwrap();
}

#[test]
fn endings_are_read_in_either_case() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..40)
        .map(|i| format!("{},\"row, {i}\"\n", i % 2))
        .collect();
    let text = format!("label,text\n{rows}");
    let [lower, upper] = ["a.csv", "A.CSV"].map(|name| write(dir.path(), name, &text));
    let parts = |path: &Path| rule().corpus(path).unwrap().corpus.parts;
    assert_eq!(parts(&lower), parts(&upper));
    for name in ["train.CSV", "valid.Csv", "test.csv"] {
        write(dir.path(), name, &text);
    }
    assert_eq!(rule().corpus(dir.path()).unwrap().origins.0.len(), 3);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text, words) in [
        (
            "a.tsv",
            "sentence\tlabel\nx\t1\n",
            "line 1: expected a column `text`, found sentence, label",
        ),
        (
            "a.tsv",
            "text\tlabel\nx\t1\ny\n",
            "line 3: expected 2 columns, as in the first line, found 1",
        ),
        (
            "a.tsv",
            "text\tlabel\nx\t1\n \t1\n",
            "line 3: expected something in column `text`, found nothing",
        ),
        (
            "a.tsv",
            "text\tlabel\nx\t1\ny\t1\n",
            "expected 2 to 1000 classes in column `label`, found 1",
        ),
        (
            "a.csv",
            "text,label\n\"x\ny\",1\nz,\n",
            "line 4: expected something in column `label`",
        ),
        (
            "a.jsonl",
            "{\"text\": \"x\", \"label\": 1}\n{\"text\": [], \"label\": 1}\n",
            "line 2: expected a text or a number as `text`, found a list",
        ),
        (
            "a.jsonl",
            "{\"text\": \"x\", \"label\": {\"stars\": 1}}\n",
            "line 1: expected a text or a number as `label`, found an object",
        ),
        (
            "a.jsonl",
            "{\"words\": \"x\", \"label\": 1}\n",
            "line 1: expected a column `text`, found words, label",
        ),
        (
            "a.jsonl",
            "{\"text\"\n",
            "line 1: expected an object of JSON",
        ),
        ("a.tsv", "", "expected a column `text`"),
    ] {
        let path = write(dir.path(), name, text);
        let error = rule().corpus(&path).unwrap_err().to_string();
        assert!(error.contains(words), "{text:?}: {error}");
    }
    let path = write(dir.path(), "b.tsv", "text\tlabel\nx\tone\n");
    let score = TableRule {
        kind: LabelKind::Score,
        ..rule()
    };
    let error = score.corpus(&path).unwrap_err().to_string();
    assert!(
        error.contains("line 2: expected a number in column `label`, found `one`"),
        "{error}"
    );
}

fn refused(dir: &Path, name: &str, text: &str) -> String {
    let path = write(dir, name, text);
    rule().corpus(&path).unwrap_err().to_string()
}

#[test]
fn a_quotation_mark_that_nothing_closes_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "label,text\n0,plain\n1,\"of two\nlines, with \"\"one\"\" inside\"\n";
    let more: String = (0..50).map(|i| format!("{},row {i}\n", i % 2)).collect();
    assert!(unclosed_quote(&format!("{rows}{more}")).is_none());
    // Within a cell a mark means nothing.
    assert!(unclosed_quote("label,text\n0,5\" wide\n").is_none());
    for (line, text) in [
        (5, format!("{rows}0,\"open\n{more}")),
        (5, format!("{rows}0,\"open \"\"\n{more}")),
        (1, format!("\"label,text\n{more}")),
    ] {
        let error = refused(dir.path(), "a.csv", &text);
        assert!(
            error.contains(&format!("line {line}")) && error.contains("none up to the end"),
            "{error}"
        );
    }
}

#[test]
fn a_column_that_stands_twice_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.tsv", "label\ttext\ttext\n0\ta\tb\n"),
        ("a.csv", "label,text,label\n0,a,1\n"),
        ("a.jsonl", "{\"label\": 0, \"text\": \"a\", \"label\": 1}\n"),
    ] {
        let error = refused(dir.path(), name, text);
        assert!(
            error.contains("expected one `") && error.contains("several"),
            "{error}"
        );
    }
}

#[test]
fn a_class_has_its_name_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    for label in ["a\tb", "a\nb"] {
        let text = format!("label,text\n\"x\",first\n\"{label}\",second\n");
        let error = refused(dir.path(), "a.csv", &text);
        assert!(
            error.contains("line 3") && error.contains("without tabs"),
            "{error}"
        );
    }
}

#[test]
fn of_two_files_for_a_split_neither_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..20).map(|i| format!("{}\trow {i}\n", i % 2)).collect();
    for name in ["train", "valid", "test"] {
        write(
            dir.path(),
            &format!("{name}.tsv"),
            &format!("label\ttext\n{rows}"),
        );
    }
    rule().corpus(dir.path()).unwrap();
    for other in ["train.csv", "dev.tsv", "test.jsonl"] {
        let path = write(dir.path(), other, "label,text\n0,a\n");
        let error = rule().corpus(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("`{other}`")) && error.contains("expected one file, or"),
            "{error}"
        );
        fs::remove_file(path).unwrap();
    }
}
