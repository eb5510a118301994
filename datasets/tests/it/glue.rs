//! GLUE's files: a few lines in the published format read back, altered ones are named.

use std::fs;
use std::path::Path;

use rstest::rstest;
use sparta_datasets::Error;
use sparta_datasets::classification::{Label, LoadedTask, TextExample};
use sparta_datasets::glue::{GlueTask, locate, prepare, read_part, read_task};
use tempfile::TempDir;

const MNLI: &str = "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn example(first: &str, second: Option<&str>, label: Option<Label>) -> TextExample {
    TextExample {
        first: first.to_owned(),
        second: second.map(str::to_owned),
        label,
    }
}

fn class(class: usize) -> Option<Label> {
    Some(Label::Class(class))
}

#[rstest]
#[case(GlueTask::Cola, "train", "train.tsv", "gj04\t1\t\tA \"b.\ngj04\t0\t*\tC d.\r\n",
    vec![example("A \"b.", None, class(1)), example("C d.", None, class(0))])]
#[case(GlueTask::Cola, "test", "test.tsv", "index\tsentence\n0\tA.\n", vec![example("A.", None, None)])]
#[case(GlueTask::Sst2, "dev", "dev.tsv", "sentence\tlabel\nfine . \t1", vec![example("fine . ", None, class(1))])]
#[case(GlueTask::Mrpc, "dev", "dev.tsv", "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\ta\tb\n",
    vec![example("a", Some("b"), class(0))])]
#[case(GlueTask::Mrpc, "test", "test.tsv", "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\ta\tb\n",
    vec![example("a", Some("b"), None)])]
#[case(GlueTask::Qqp, "train", "train.tsv",
    "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tWhy?\tHow?\t1\n4\t5\t6\tbroken\n7\t8\t9\ta\tb\t0\n",
    vec![example("Why?", Some("How?"), class(1)), example("a", Some("b"), class(0))])]
#[case(GlueTask::Qqp, "test", "test.tsv", "id\tquestion1\tquestion2\n0\ta\tb\n", vec![example("a", Some("b"), None)])]
#[case(GlueTask::Stsb, "dev", "dev.tsv",
    "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n0\tg\tf\ty\t1\tn\tn\ta\tb\t3.800\n",
    vec![example("a", Some("b"), Some(Label::Score(3.8)))])]
#[case(GlueTask::Qnli, "dev", "dev.tsv", "index\tquestion\tsentence\tlabel\n0\tq\ts\tnot_entailment\n",
    vec![example("q", Some("s"), class(1))])]
#[case(GlueTask::Rte, "train", "train.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n",
    vec![example("a", Some("b"), class(0))])]
#[case(GlueTask::Wnli, "test", "test.tsv", "index\tsentence1\tsentence2\n0\ta\tb\n", vec![example("a", Some("b"), None)])]
fn a_few_published_lines_read_back(
    #[case] task: GlueTask,
    #[case] part: &str,
    #[case] file: &str,
    #[case] text: &str,
    #[case] expected: Vec<TextExample>,
) {
    let dir = folder(&[(file, text)]);
    let (read, count) = read_part(task, dir.path(), part).unwrap();
    assert_eq!(read.examples, expected);
    assert!(count.differs() && count.found == expected.len() && count.published > 70);
    assert_eq!(count.n_skipped, usize::from(text.contains("broken")));
    assert!(
        count.to_string().contains("examples, published "),
        "{count}"
    );
}

#[test]
fn mnli_has_two_dev_parts_of_its_own_columns() {
    let row = |n: usize, end: &str| format!("{}a\tb\t{end}\n", "x\t".repeat(n));
    let header = |labels: &str| format!("{MNLI}{labels}\tgold_label\n");
    let more = "\tlabel2\tlabel3\tlabel4\tlabel5";
    let dir = folder(&[
        (
            "train.tsv",
            &format!("{}{}", header(""), row(8, "neutral\tneutral")),
        ),
        (
            "dev_matched.tsv",
            &format!(
                "{}{}",
                header(more),
                row(8, "neutral\tentailment\tx\tx\tx\tentailment")
            ),
        ),
        (
            "dev_mismatched.tsv",
            &format!("{}{}", header(more), row(8, "x\tx\tx\tx\tx\tcontradiction")),
        ),
    ]);
    let LoadedTask { corpus, counts } = read_task(GlueTask::Mnli, dir.path()).unwrap();
    let labels: Vec<_> = corpus
        .parts
        .iter()
        .map(|part| (part.name, part.examples[0].label))
        .collect();
    assert_eq!(
        labels,
        [
            ("train", class(2)),
            ("dev-matched", class(1)),
            ("dev-mismatched", class(0))
        ]
    );
    assert_eq!(counts.len(), 3);
    assert_eq!(corpus.labels.spell(Label::Class(0)), "contradiction");
    assert_eq!(corpus.labels.n_outputs(), 3);
}

#[test]
fn mrpc_of_its_authors_is_split_by_the_list_of_ids() {
    let header = "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n";
    let train = format!("{header}1\t10\t11\ta\tb\n0\t20\t21\tc\td\n1\t30\t31\te\tf\n");
    let dir = folder(&[
        ("msr_paraphrase_train.txt", &train),
        (
            "msr_paraphrase_test.txt",
            &format!("{header}0\t40\t41\tg\th\n"),
        ),
    ]);
    let error = read_task(GlueTask::Mrpc, dir.path())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no dev_ids.tsv or mrpc_dev_ids.tsv"),
        "{error}"
    );
    fs::write(dir.path().join("dev_ids.tsv"), "20\t21\n").unwrap();
    let corpus = read_task(GlueTask::Mrpc, dir.path()).unwrap().corpus;
    let part = |name: &str| corpus.part(name).unwrap().examples.clone();
    assert_eq!(part("dev"), [example("c", Some("d"), class(0))]);
    assert_eq!(part("train").len(), 2);
    assert_eq!(part("test"), [example("g", Some("h"), class(0))]);
}

#[rstest]
#[case(
    "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n1\ta\tentailment\n",
    "line 3: expected 4 columns (index, sentence1, sentence2, label), found 3 columns"
)]
#[case(
    "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tyes\n",
    "line 2: expected a label of entailment, not_entailment, found `yes`"
)]
#[case(
    "index\tquestion\tsentence\tlabel\n0\ta\tb\tentailment\n",
    "line 1: expected the 4 columns index, sentence1, sentence2, label, found 4: index, question, sentence, label"
)]
#[case("", "line 1: expected the 4 columns")]
fn an_altered_file_is_named(#[case] text: &str, #[case] expected: &str) {
    let dir = folder(&[("train.tsv", text)]);
    let error = read_part(GlueTask::Rte, dir.path(), "train")
        .unwrap_err()
        .to_string();
    assert!(error.contains(expected), "{error}");
    assert!(
        error.contains("train.tsv") && error.contains("prepare --from DIR"),
        "{error}"
    );
}

#[test]
fn scores_and_bytes_are_checked() {
    let header =
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n";
    for score in ["5.1", "nan", "x", ""] {
        let dir = folder(&[(
            "dev.tsv",
            &format!("{header}0\tg\tf\ty\t1\tn\tn\ta\tb\t{score}\n"),
        )]);
        let error = read_part(GlueTask::Stsb, dir.path(), "dev")
            .unwrap_err()
            .to_string();
        assert!(error.contains("expected a score from 0 to 5"), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("dev.tsv"), b"sentence\tlabel\n\xff\t1\n").unwrap();
    let error = read_part(GlueTask::Sst2, dir.path(), "dev")
        .unwrap_err()
        .to_string();
    assert!(error.contains("another byte at offset 15"), "{error}");
}

#[test]
fn folders_are_found_where_people_put_them() {
    let cache = tempfile::tempdir().unwrap();
    let user = tempfile::tempdir().unwrap();
    let error = prepare(GlueTask::Rte, Some(user.path()), cache.path(), &mut |_| ()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::MissingCorpus {
                corpus: "GLUE RTE",
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("no RTE with train.tsv, dev.tsv, test.tsv, no RTE.zip"),
        "{error}"
    );
    for below in ["RTE", "glue/RTE", "glue_data/RTE", "."] {
        let user = tempfile::tempdir().unwrap();
        let dir = user.path().join(below);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("dev.tsv"), "").unwrap();
        let found = locate(GlueTask::Rte, Some(user.path()), cache.path()).unwrap();
        assert_eq!(found.canonicalize().unwrap(), dir.canonicalize().unwrap());
    }
    fs::create_dir_all(cache.path().join("glue/RTE")).unwrap();
    fs::write(cache.path().join("glue/RTE/dev.tsv"), "").unwrap();
    assert!(
        locate(GlueTask::Rte, Some(user.path()), cache.path())
            .unwrap()
            .starts_with(cache.path())
    );
}

#[test]
#[ignore = "needs SPARTA_GLUE=DIR, a folder with the published files"]
fn glue_as_published() {
    let dir = std::env::var("SPARTA_GLUE").unwrap();
    for task in GlueTask::ALL {
        let Ok(found) = locate(task, Some(Path::new(&dir)), Path::new("none")) else {
            println!("{task}: not there");
            continue;
        };
        for part in ["train", "dev", "test", "dev-matched", "dev-mismatched"] {
            match read_part(task, &found, part) {
                Ok((read, count)) => {
                    println!(
                        "{task} {part}: {count}, majority {:?}",
                        sparta_datasets::baseline::majority(&read.examples)
                    );
                    assert!(!count.differs(), "{count}");
                }
                Err(error) => println!("{task} {part}: {error}"),
            }
        }
    }
}
