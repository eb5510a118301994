//! Tables on files of the user's own.

use std::fmt::Write as _;
use std::fs;

use crate::bench::{Bench, Program, assert_says, said, stdout};
use crate::glue::GLUE;
use crate::iwslt::IWSLT;
use crate::lm::LM;
use crate::mlm::MLM;
use crate::squad::SQUAD;

const LM_FILES: &[&str] = &[
    "data.corpus=files",
    "data.files.valid_fraction=0.1",
    "data.files.test_fraction=0.1",
    "prune.p=[0, 80]",
    "prune.random_masks=[0, 0]",
    "prune.block_sizes=[]",
];

/// Sentences as people write them, of few words.
fn sentences(n: usize) -> Vec<[String; 2]> {
    const NAMES: [[&str; 2]; 4] = [
        ["de hond", "the dog"],
        ["een kat", "a cat"],
        ["het paard", "the horse"],
        ["zij", "she"],
    ];
    const ACTS: [[&str; 2]; 4] = [
        ["loopt", "walks"],
        ["slaapt", "sleeps"],
        ["eet", "eats"],
        ["wacht", "waits"],
    ];
    let of = |i: usize| {
        let side = |s: usize| {
            format!(
                "{} {}, {} {}.",
                NAMES[i % 4][s],
                ACTS[i / 4 % 4][s],
                NAMES[i / 16 % 4][s],
                ACTS[i / 64 % 4][s]
            )
        };
        [side(0), side(1)]
    };
    (0..n).map(of).collect()
}

fn bench(program: Program) -> Bench {
    Bench::of(program)
}

#[test]
fn a_language_model_of_a_text_of_ones_own() {
    let bench = bench(LM);
    let text: String = sentences(256)
        .iter()
        .fold("\u{feff}".to_owned(), |mut text, [_, line]| {
            let _ = write!(text, "{line}\r\n");
            text
        });
    fs::write(bench.path("mine.txt"), &text).unwrap();
    let line = "--out run --device flex";
    // Nothing given.
    let text_of = said(&bench.tiny_with(line, LM_FILES), 1);
    assert_says(
        &text_of,
        &["give them, `lm --data PATH`, where PATH is FILE, or a folder with train.txt"],
    );
    assert!(!bench.path("run").exists());
    let dry = stdout(
        &bench
            .tiny_with("--dry-run --device flex --data mine.txt", LM_FILES)
            .success(),
    );
    assert_says(&dry, &["files-"]);
    bench
        .tiny_with(&format!("{line} --data mine.txt"), LM_FILES)
        .success();
    let csv = bench.csv("run");
    assert_eq!(
        csv.lines().filter(|line| line.contains(",80,")).count(),
        1,
        "{csv}"
    );
    let records = bench.record_names("run");
    let record = bench.read(format!("run/records/{}", records[0]));
    let name =
        serde_json::from_str::<serde_json::Value>(&bench.read("run/data/files.json")).unwrap();
    assert_eq!(name[0]["bytes"], text.len() as u64);
    assert_says(&record, &["corpus:files-", "[data.files]"]);
    // Punctuation is by itself; no published value stands beside.
    assert_says(&bench.read("run/data/vocab.txt"), &["\n.\t", "\n,\t"]);
    assert!(
        !csv.lines()
            .skip(1)
            .any(|line| line.contains("transformer-xl-base"))
    );

    // The run goes on without the file, with the same, and not with another.
    bench
        .tiny_with(&format!("{line} --resume"), LM_FILES)
        .success();
    fs::rename(bench.path("mine.txt"), bench.path("moved.txt")).unwrap();
    bench
        .tiny_with(&format!("{line} --resume --data moved.txt"), LM_FILES)
        .success();
    fs::write(bench.path("moved.txt"), format!("{text}more\n")).unwrap();
    let text = said(
        &bench.tiny_with(&format!("{line} --resume --data moved.txt"), LM_FILES),
        1,
    );
    assert_says(&text, &["moved.txt has other text than the run in"]);
    let figures = stdout(&bench.sparta("analyze run --device flex --quiet").success());
    assert_says(&figures, &["density"]);
}

/// The corpora of all five programs ship, and what is named beside them would be passed over.
#[test]
fn files_that_the_recipe_would_not_read_are_refused() {
    let cases: [(Program, &str, &str, &str); 5] = [
        (
            LM,
            "State of the Union",
            "--set data.corpus=files`",
            "wikitext2",
        ),
        (
            MLM,
            "State of the Union",
            "--set data.corpus=files`",
            "wikitext103",
        ),
        (
            IWSLT,
            "LibreOffice help",
            "--set data.corpus=files`",
            "multi30k_de_en",
        ),
        (
            GLUE,
            "question–sentence pairs",
            "--tasks files`",
            "`--tasks cola | sst2",
        ),
        (
            SQUAD,
            "new-Wikipedia",
            "--set data.corpus=files`",
            "squad-v1.1 | squad-v2.0",
        ),
    ];
    for (program, corpus, own, published) in cases {
        let bench = bench(program);
        fs::write(bench.path("mine.txt"), "one\ntwo\n").unwrap();
        for how in ["--device flex", "--dry-run --device flex", "prepare"] {
            for file in ["mine.txt", "nowhere.txt"] {
                let line = format!("{how} --out run --data {file}");
                let text = said(&bench.tiny(&line), 1);
                let not_read = format!("`--data {file}` would not be read");
                assert_says(&text, &[&not_read, corpus, own, published]);
                assert!(!bench.path("run").exists(), "{line}");
            }
        }
    }
    // The command that it says does what was meant.
    let bench = bench(LM);
    let lines: Vec<String> = sentences(256).into_iter().map(|[_, line]| line).collect();
    fs::write(bench.path("mine.txt"), lines.join("\n")).unwrap();
    let line = "--dry-run --device flex --data mine.txt --set data.corpus=state_of_the_union";
    let text = said(&bench.tiny(line), 1);
    let command = text.split("of your own: `").nth(1).expect("a command");
    let command = command.split('`').next().expect("its end");
    let tried = assert_cmd::Command::new("sh")
        .current_dir(bench.path(""))
        .args(["-c", command])
        .assert();
    assert_says(&stdout(&tried.success()), &["files-"]);
    // A run that is there keeps its corpus, and is told the same.
    bench.tiny("prepare --out run").success();
    for how in ["--resume --device flex", "--dry-run --device flex"] {
        let text = said(&bench.tiny(&format!("{how} --out run --data mine.txt")), 1);
        assert_says(&text, &["`--data mine.txt` would not be read"]);
    }
}

/// What a dry run or a figure is asked to read is held to what the run was made of.
#[test]
fn other_files_are_refused_by_who_only_looks() {
    let bench = bench(LM);
    let lines: Vec<String> = sentences(256).into_iter().map(|[_, line]| line).collect();
    fs::write(bench.path("mine.txt"), lines.join("\n")).unwrap();
    fs::write(bench.path("other.txt"), lines[1..].join("\n")).unwrap();
    let line = "--out run --device flex --data";
    bench
        .tiny_with(&format!("{line} mine.txt"), LM_FILES)
        .success();
    let dry = format!("--dry-run {line}");
    bench
        .tiny_with(&format!("{dry} mine.txt"), LM_FILES)
        .success();
    let text = said(&bench.tiny_with(&format!("{dry} other.txt"), LM_FILES), 1);
    assert_says(&text, &["other.txt has other text than the run in"]);
    let analyzed = bench.sparta("analyze run --device flex --quiet --data other.txt");
    let told = String::from_utf8_lossy(&analyzed.get_output().stderr).into_owned();
    assert_says(&told, &["other.txt has other text than the run in"]);
}

#[test]
fn what_is_no_text_is_said_before_anything_is_made() {
    let bench = bench(LM);
    for (bytes, words) in [
        (
            &b"one\ntw\xf6\n"[..],
            "line 2: expected UTF-8, found byte 0xf6",
        ),
        (b"one line alone\n", "expected a paragraph for the"),
        (b"PK\x03\x04....", "found a zip archive"),
        (b"", "found none"),
    ] {
        fs::write(bench.path("mine.txt"), bytes).unwrap();
        let text = said(
            &bench.tiny_with("--out run --device flex --data mine.txt", LM_FILES),
            1,
        );
        assert_says(&text, &["mine.txt", words]);
        assert!(!bench.path("run").exists());
    }
    let text = said(
        &bench.tiny_with("--out run --device flex --data nothing.txt", LM_FILES),
        1,
    );
    assert_says(
        &text,
        &["nothing is at nothing.txt", "lm --data PATH", "--resume"],
    );
}

#[test]
fn a_masked_language_model_of_a_folder_of_ones_own() {
    let bench = bench(MLM);
    fs::create_dir(bench.path("mine")).unwrap();
    for (name, n) in [("train", 200), ("valid", 40), ("test", 30)] {
        let lines: Vec<String> = sentences(n).into_iter().map(|[_, line]| line).collect();
        fs::write(bench.path(format!("mine/{name}.txt")), lines.join("\n")).unwrap();
    }
    let sets = ["data.corpus=files", "prune.block_sizes=[]"];
    bench
        .tiny_with("--out run --device flex --data mine", &sets)
        .success();
    let csv = bench.csv("run");
    assert_says(&csv, &["pseudo-perplexity|task:files-", ",80,"]);
    // Text is read again for every stage: it has to be the same.
    bench
        .tiny_with("eval --out run --device flex --resume", &sets)
        .success();
    fs::write(bench.path("mine/test.txt"), "other\nlines of\nwords\n").unwrap();
    let text = said(
        &bench.tiny_with("--out run --device flex --resume", &sets),
        1,
    );
    assert_says(&text, &["mine/test.txt has other text than the run in"]);
}

#[test]
fn translation_of_pairs_of_ones_own() {
    let bench = bench(IWSLT);
    let pairs = sentences(256);
    let lines: Vec<String> = pairs
        .iter()
        .map(|[source, target]| format!("{source}\t{target}"))
        .collect();
    fs::write(bench.path("mine.tsv"), lines.join("\n") + "\n\t\n").unwrap();
    let sets = [
        "data.corpus=files",
        "data.files.source=nl",
        "data.files.valid_fraction=0.1",
        "data.files.test_fraction=0.1",
        "model.normalizers=[\"softmax\"]",
        "prune.softmax=[\"cross\"]",
        "prune.entmax15=[]",
        "prune.p=[0, 80]",
        "prune.random_masks=[0, 0]",
    ];
    let told = bench.told("--out run --device flex --data mine.tsv", &sets);
    assert_says(&told, &["1 pairs left out, a side of which has no word"]);
    let record = bench.read(format!("run/records/{}", bench.record_names("run")[0]));
    assert_says(&record, &["files-", "source = \\\"nl\\\""]);
    let out = bench
        .piped(
            "translate --device flex --model run",
            "De hond loopt, zij wacht.\n",
        )
        .success();
    assert_eq!(stdout(&out).lines().count(), 1);
    // The same pairs in two files are another corpus by their bytes, and the same by their text.
    for (side, code) in [(0, "nl"), (1, "en")] {
        let lines: Vec<&str> = pairs.iter().map(|pair| pair[side].as_str()).collect();
        fs::write(bench.path(format!("two.{code}")), lines.join("\n")).unwrap();
    }
    bench
        .tiny_with("--out other --device flex --data two", &sets)
        .success();
    for split in ["valid", "test"] {
        for code in ["nl", "en"] {
            let file = |run: &str| bench.read(format!("{run}/data/{split}.{code}"));
            assert_eq!(file("run"), file("other"));
        }
    }
    fs::write(bench.path("two.en"), "one\n").unwrap();
    let text = said(
        &bench.tiny_with("--out third --device flex --data two", &sets),
        1,
    );
    assert_says(&text, &["two.nl has 256 lines and two.en has 1"]);
    assert!(!bench.path("third").exists());
}

/// Words that stand between white space already are printed as they were scored, and not put together by Moses' rules.
#[test]
fn words_of_ones_own_stay_as_they_are() {
    let bench = bench(IWSLT);
    let words = [
        ["hond", "kat", "paard", "koe"],
        ["goes", "sees", "says", "does"],
        ["dogs", "cats", "cows", "men"],
    ];
    let line = |i: usize| {
        let [a, b, c, d] = [i % 4, i / 4 % 4, i / 16 % 4, i / 64 % 4];
        let [source, acts, things] = words;
        format!(
            "{} {} {} {}\t{} n't-x , {} , {} , {} !",
            source[a], source[b], source[c], source[d], acts[a], things[b], acts[c], things[d]
        )
    };
    let lines: Vec<String> = (0..256).map(line).collect();
    fs::write(bench.path("mine.tsv"), lines.join("\n")).unwrap();
    let sets = [
        "data.corpus=files",
        "data.files.source=nl",
        "data.files.words=spaces",
        "data.files.valid_fraction=0.1",
        "data.files.test_fraction=0.1",
        "model.normalizers=[\"softmax\"]",
        "prune.softmax=[]",
        "prune.entmax15=[]",
        "prune.p=[0]",
        "prune.random_masks=[0]",
        "train.steps=60",
        "train.lr=0.01",
    ];
    bench
        .tiny_with("--out run --device flex --data mine.tsv", &sets)
        .success();
    let scored = bench.read("run/seed-1/softmax/dense/test.txt");
    assert_says(&scored, &[" , "]);
    let out = bench
        .piped(
            "translate --device flex --model run",
            &bench.read("run/data/test.nl"),
        )
        .success();
    assert_eq!(stdout(&out), scored);
}

/// Three classes in a file with quotes: trained, told apart on lines of ones own, compared with itself.
#[test]
fn classes_of_a_table_of_ones_own() {
    let bench = bench(GLUE);
    let mut text = "id,review,stars\r\n".to_owned();
    for (i, [_, line]) in sentences(90).iter().enumerate() {
        let _ = write!(
            text,
            "{i},\"{line} \"\"{i}\"\"\",{}\r\n",
            ["good", "bad", "fair"][i % 3]
        );
    }
    fs::write(bench.path("mine.csv"), &text).unwrap();
    let line = "--tasks files --out run --device flex";
    let refused = said(&bench.tiny_with(&format!("{line} --data mine.csv"), &[]), 1);
    assert_says(
        &refused,
        &["line 1: expected a column `text`, found id, review, stars"],
    );
    let sets = ["data.files.first=review", "data.files.label=stars"];
    let refused = said(&bench.tiny_with(line, &sets), 1);
    assert_says(&refused, &["give them, `glue --data PATH`"]);
    let f1 = [&sets[..], &["data.files.metric=f1"]].concat();
    let refused = said(&bench.tiny_with(&format!("{line} --data mine.csv"), &f1), 1);
    assert_says(
        &refused,
        &["is a score of two classes, and column `stars` has 3"],
    );
    assert!(!bench.path("run").exists());
    bench
        .tiny_with(&format!("{line} --data mine.csv"), &sets)
        .success();
    let csv = bench.csv("run");
    assert_says(
        &csv,
        &["files,0,", ",majority,accuracy,", "accuracy|task:files-"],
    );
    assert_says(
        &bench.read("run/data/labels.json"),
        &["bad", "fair", "good"],
    );
    let out = bench
        .piped("predict --device flex --model run", "The dog walks.\n")
        .success();
    let out = stdout(&out);
    let cells: Vec<&str> = out.trim_end().split('\t').collect();
    assert!(
        cells.len() == 4 && ["bad", "fair", "good"].contains(&cells[0]),
        "{out}"
    );
    let compared = stdout(&bench.sparta("compare run").success());
    assert_says(&compared, &["accuracy"]);
    fs::write(bench.path("mine.csv"), text.replace("good", "best")).unwrap();
    let refused = said(&bench.tiny_with(&format!("{line} --resume"), &sets), 1);
    assert_says(&refused, &["mine.csv has other text than the run in"]);
}

#[test]
fn numbers_of_pairs_of_ones_own() {
    let bench = bench(GLUE);
    fs::create_dir(bench.path("mine")).unwrap();
    for (name, n) in [("train", 40), ("dev", 12), ("test", 12)] {
        let rows = sentences(n).into_iter().enumerate();
        let rows =
            rows.map(|(i, [a, b])| serde_json::json!({"nl": a, "en": b, "like": i as f64 - 6.5}));
        let rows: Vec<String> = rows.map(|row| row.to_string()).collect();
        fs::write(bench.path(format!("mine/{name}.jsonl")), rows.join("\n")).unwrap();
    }
    let sets = [
        "data.files.first=nl",
        "data.files.second=en",
        "data.files.label=like",
        "data.files.labels=score",
        "data.files.metric=spearman",
    ];
    bench
        .tiny_with("--tasks files --out run --device flex --data mine", &sets)
        .success();
    assert_says(&bench.csv("run"), &[",spearman,", "spearman|task:files-"]);
    let out = bench
        .piped("predict --device flex --model run", "De hond.\tThe dog.\n")
        .success();
    assert!(stdout(&out).trim().parse::<f64>().is_ok());
}

/// Depots with their year, keeper and trams: twelve paragraphs, sixty questions, of which twenty ask what is not said.
fn depots() -> serde_json::Value {
    const NAMES: [&str; 12] = [
        "north", "south", "east", "west", "harbour", "castle", "mill", "forest", "river", "market",
        "hill", "garden",
    ];
    const KEEPERS: [&str; 5] = [
        "Anna Berg",
        "José Núñez",
        "Li Wei",
        "Olga Ivanova",
        "Tom Reed",
    ];
    let paragraph = |(i, name): (usize, &&str)| {
        let (year, keeper, trams) = (1900 + 7 * i, KEEPERS[i % 5], 8 + i);
        let context = format!(
            "The {name} depot opened in {year}.\u{2028}Its keeper is {keeper}, and {trams} trams are kept there; they run to the old \
             bridge."
        );
        let answer = |text: String| {
            let byte = context.find(&text).expect("a part of the paragraph");
            serde_json::json!([{"text": text, "answer_start": context[..byte].chars().count()}])
        };
        let asked = [
            (
                format!("When did the {name} depot open?"),
                Some(year.to_string()),
            ),
            (
                format!("Who keeps the {name} depot?"),
                Some(keeper.to_owned()),
            ),
            (
                "How many trams are kept there?".to_owned(),
                Some(format!("{trams} trams")),
            ),
            (
                "Where do the trams run to?".to_owned(),
                (i % 3 == 0).then(|| "the old bridge".to_owned()),
            ),
            (format!("Who closed the {name} depot?"), None),
        ];
        let questions = asked.into_iter().enumerate().map(|(q, (text, said))| {
            let text = match (q, &said) {
                (3, None) => "Where are the trams built?".to_owned(),
                (_, Some(_) | None) => text,
            };
            serde_json::json!({
                "id": format!("{name}-{q}"), "question": text, "is_impossible": said.is_none(),
                "answers": said.clone().map_or(serde_json::json!([]), answer),
                "plausible_answers": if said.is_none() { answer(keeper.to_owned()) } else { serde_json::json!([]) },
            })
        });
        let questions: Vec<_> = questions.collect();
        serde_json::json!({"context": context, "qas": questions})
    };
    let paragraphs: Vec<_> = NAMES.iter().enumerate().map(paragraph).collect();
    serde_json::json!({"version": "v2.0", "data": [{"title": "Depots", "paragraphs": paragraphs}]})
}

/// Recipes are of the size of what ships: what they leave of other files is in the line that is printed first.
#[test]
fn what_is_not_used_of_files_of_ones_own_is_said() {
    let line = "prepare --out run --data";
    let words = bench(LM);
    let told = words.told("prepare --out run", &[]);
    assert_says(&told, &["train the first 20000"]);

    let text = bench(MLM);
    fs::create_dir(text.path("mine")).unwrap();
    for (name, n) in [("train", 200), ("valid", 40), ("test", 30)] {
        let lines: Vec<String> = sentences(n).into_iter().map(|[_, line]| line).collect();
        fs::write(text.path(format!("mine/{name}.txt")), lines.join("\n")).unwrap();
    }
    let told = text.told(&format!("{line} mine"), &["data.corpus=files"]);
    assert_says(
        &told,
        &["train 40 of about ", "valid 8 of about ", "test 12 of "],
    );

    let table = bench(GLUE);
    let rows = sentences(90).into_iter().enumerate();
    let rows: Vec<String> = rows
        .map(|(i, [_, line])| format!("{line} {i}\t{}", ["good", "bad"][i % 2]))
        .collect();
    fs::write(
        table.path("mine.tsv"),
        format!("text\tlabel\n{}\n", rows.join("\n")),
    )
    .unwrap();
    let told = table.told(
        &format!("{line} mine.tsv --tasks files"),
        &["data.test_examples=2"],
    );
    assert_says(
        &told,
        &["train 40 of ", "test 2 of ", "4 steps are 0.4 epochs"],
    );

    let questions = bench(SQUAD);
    fs::write(questions.path("mine.json"), depots().to_string()).unwrap();
    let sets = [
        "data.corpus=files",
        "data.files.valid_fraction=0.4",
        "data.train_windows=10",
        "data.test_questions=3",
    ];
    let told = questions.told(&format!("{line} mine.json"), &sets);
    assert_says(
        &told,
        &["train 10 of ", " windows, test 3 of ", " questions ("],
    );

    let pairs = bench(IWSLT);
    let lines = sentences(256);
    let lines = lines
        .iter()
        .map(|[source, target]| format!("{source}\t{target}"));
    let long = "lang ".repeat(20) + "\t" + &"long ".repeat(20);
    let lines: Vec<String> = lines.chain(["ja\tyes".to_owned(), long]).collect();
    fs::write(pairs.path("mine.tsv"), lines.join("\n")).unwrap();
    let sets = ["data.corpus=files", "data.files.source=nl"];
    let told = pairs.told(&format!("{line} mine.tsv"), &sets);
    let lengths = "2 pairs left out, whose target has fewer than 3 or more than 12 words";
    assert_says(&told, &[lengths]);
    // No upper limit is not all.
    let sets = [&sets[..], &["data.max_target_words=0"]].concat();
    let told = pairs.told(&format!("{line} mine.tsv").replace("run", "long"), &sets);
    assert_says(
        &told,
        &["1 pairs left out, whose target has fewer than 3 words"],
    );
    let sets = [&sets[..], &["data.min_target_words=1"]].concat();
    let told = pairs.told(&format!("{line} mine.tsv").replace("run", "all"), &sets);
    assert_says(&told, &["data: files-"]);
    assert!(!told.contains("left out"), "{told}");
}

/// Questions of which a third has no answer: trained, judged by the rules of SQuAD v2.0, asked others.
#[test]
fn questions_of_ones_own_some_of_which_have_no_answer() {
    let bench = bench(SQUAD);
    let depots = depots();
    let n_impossible = depots.to_string().matches("\"is_impossible\":true").count();
    assert_eq!(n_impossible, 20);
    fs::write(bench.path("mine.json"), depots.to_string()).unwrap();
    let sets = [
        "data.corpus=files",
        "data.files.valid_fraction=0.4",
        "data.test_questions=0",
        "data.train_windows=0",
        "cost.batches=0",
    ];
    let line = "--out run --device flex";
    let refused = said(&bench.tiny_with(line, &sets), 1);
    assert_says(
        &refused,
        &[
            "give them, `squad --data PATH`",
            "train.json and valid.json",
        ],
    );
    let data = "--data mine.json";
    let dry = stdout(
        &bench
            .tiny_with(&format!("--dry-run --device flex {data}"), &sets)
            .success(),
    );
    assert_says(&dry, &["files-", "without an answer)"]);
    assert!(!bench.path("run").exists());
    let printed = stdout(&bench.tiny_with(&format!("{line} {data}"), &sets).success());
    assert_says(
        &printed,
        &["best F1", "threshold of best F1", "exact match, no answer"],
    );
    let remembered: serde_json::Value =
        serde_json::from_str(&bench.read("run/data/files.json")).unwrap();
    assert_eq!(remembered[0]["bytes"], depots.to_string().len() as u64);
    let csv = bench.csv("run");
    assert_says(
        &csv,
        &[
            "exact-match|task:files-",
            "|squad:v2|null-threshold:0|n:",
            ",has-answer-f1,",
            ",no-answer-exact,",
            ",best-exact-threshold,",
        ],
    );
    // Nothing published stands beside, and no line waits for a kernel.
    let table = bench.read("run/TABLE.md");
    assert!(
        !table.contains("paper") && !table.contains("block-sparse"),
        "{table}"
    );

    // What is beside a model is what the official script reads and prints.
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_str(&bench.read(format!("run/seed-1/squad/dense/{name}"))).unwrap()
    };
    let (predicted, odds, scores) = (
        json("predictions.json"),
        json("null_odds.json"),
        json("eval.json"),
    );
    let predicted = predicted.as_object().unwrap();
    assert!((5..=40).contains(&predicted.len()) && predicted.len() % 5 == 0);
    let mut n_right = 0;
    for (id, text) in predicted {
        let odds = odds[id].as_f64().unwrap();
        assert_eq!(text == "", odds > 0.0, "{id}: {text} at {odds}");
        let asked = depots["data"][0]["paragraphs"].as_array().unwrap().iter();
        let mut asked = asked.flat_map(|paragraph| paragraph["qas"].as_array().unwrap());
        let asked = asked.find(|question| question["id"] == **id).unwrap();
        n_right += usize::from(asked["is_impossible"] == true && text == "");
    }
    let n_lacking = scores["NoAns_total"].as_f64().unwrap();
    let right = scores["NoAns_exact"].as_f64().unwrap() * n_lacking / 100.0;
    assert!(
        (right - n_right as f64).abs() < 1e-9,
        "{scores} and {n_right}"
    );
    let [best, f1] = ["best_f1", "f1"].map(|name| scores[name].as_f64().unwrap());
    assert!(best >= f1 - 1e-9, "{scores}");
    let exact = csv
        .lines()
        .find(|line| line.starts_with("dense,0,") && line.contains(",exact-match,"));
    let exact: f64 = exact.unwrap().split(',').nth(5).unwrap().parse().unwrap();
    // The table has six digits behind the point.
    assert!((exact - scores["exact"].as_f64().unwrap()).abs() < 1e-6);

    let compared = stdout(&bench.sparta("compare run").success());
    assert_says(
        &compared,
        &[
            "exact match, has answer",
            "exact match, no answer",
            "F1 of answers",
        ],
    );
    assert!(!compared.contains("best F1"), "{compared}");

    // Other questions, the way both thresholds go.
    let question = r#"{"data":[{"paragraphs":[{"context":"The tower is old.","qas":[{"id":7,"question":"What is old?"}]}]}]}"#;
    for (threshold, is_none) in [
        ("--null-threshold=-1e30", true),
        ("--null-threshold 1e30", false),
    ] {
        let line = format!("answer --device flex --model run {threshold} --null-odds odds.json");
        let out = stdout(&bench.piped(&line, question).success());
        let found: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(found["7"] == "", is_none, "{out}");
        assert_says(&bench.read("odds.json"), &["\"7\": "]);
        let again = said(&bench.piped(&line, question), 1);
        assert_says(
            &again,
            &["odds.json is there already", "`--null-odds FILE`"],
        );
        std::fs::remove_file(bench.path("odds.json")).unwrap();
    }
    let told = said(
        &bench.piped("answer --device flex --model run", question),
        0,
    );
    assert_says(&told, &["likelier by more than 0"]);
    let refused = said(&bench.piped("answer --device flex --model run", "{}"), 1);
    assert_says(&refused, &["standard input", "missing field `data`"]);

    bench
        .tiny_with(&format!("{line} --resume {data}"), &sets)
        .success();
    fs::write(
        bench.path("mine.json"),
        depots.to_string().replace("harbour", "station"),
    )
    .unwrap();
    let refused = said(&bench.tiny_with(&format!("{line} --resume"), &sets), 1);
    assert_says(&refused, &["mine.json has other text than the run in"]);
}

/// A folder with a test set is judged on it, and validated on the other.
#[test]
fn a_test_set_of_questions_is_what_is_judged() {
    let bench = bench(SQUAD);
    let paragraphs = depots()["data"][0]["paragraphs"]
        .as_array()
        .unwrap()
        .clone();
    fs::create_dir(bench.path("mine")).unwrap();
    let write = |name: &str, of: &[serde_json::Value]| {
        let json = serde_json::json!({"data": [{"paragraphs": of}]});
        fs::write(bench.path("mine").join(name), json.to_string()).unwrap();
    };
    write("train.json", &paragraphs[..7]);
    write("dev.json", &paragraphs[7..9]);
    let sets = [
        "data.corpus=files",
        "data.test_questions=0",
        "cost.batches=0",
    ];
    let dry = || {
        let line = "--dry-run --device flex --data mine";
        stdout(&bench.tiny_with(line, &sets).success())
    };
    let told = dry();
    assert_says(&told, &["test 10 questions"]);
    assert!(!told.contains("validation 10"), "{told}");
    write("test.json", &paragraphs[9..]);
    assert_says(&dry(), &["validation 10 questions, test 15 questions"]);
    bench
        .tiny_with("--out run --device flex --data mine", &sets)
        .success();
    let predicted = bench.read("run/seed-1/squad/dense/predictions.json");
    let predicted: serde_json::Value = serde_json::from_str(&predicted).unwrap();
    assert_eq!(predicted.as_object().unwrap().len(), 15);
    let asked = paragraphs[9]["qas"][0]["id"].as_str().unwrap();
    assert!(predicted.get(asked).is_some(), "{predicted}");
    assert_says(&bench.csv("run"), &["|split:test|", "|n:15"]);
    let files: serde_json::Value =
        serde_json::from_str(&bench.read("run/data/files.json")).unwrap();
    assert_eq!(files.as_array().unwrap().len(), 3);
}

/// Before anything is trained: an answer that is not where the file says, and a threshold where every question has an answer.
#[test]
fn questions_that_are_not_as_they_have_to_be_are_named() {
    let bench = bench(SQUAD);
    let mut depots = depots();
    let line = "--out run --device flex --data mine.json";
    let sets = ["data.corpus=files", "data.files.valid_fraction=0.4"];
    let threshold = [&sets[..], &["eval.null_threshold=1.5"]].concat();
    let paragraphs = depots["data"][0]["paragraphs"].as_array_mut().unwrap();
    for paragraph in paragraphs.iter_mut() {
        let questions = paragraph["qas"].as_array_mut().unwrap();
        questions.retain(|question| question["is_impossible"] == false);
    }
    fs::write(bench.path("mine.json"), depots.to_string()).unwrap();
    let refused = said(&bench.tiny_with(line, &threshold), 1);
    assert_says(
        &refused,
        &["`eval.null_threshold = 1.5`", "files-", "has none"],
    );
    depots["data"][0]["paragraphs"][3]["qas"][0]["answers"][0]["answer_start"] = 9.into();
    fs::write(bench.path("mine.json"), depots.to_string()).unwrap();
    let refused = said(&bench.tiny_with(line, &sets), 1);
    assert_says(
        &refused,
        &[
            "mine.json: expected the answer `1921` of question west-0 at character 9 of its context, found `depo`",
            "it stands at character 25",
        ],
    );
    assert!(!bench.path("run").exists());
}
