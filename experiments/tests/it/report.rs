//! `sparta report`: tables from records alone, and what it must refuse.

use std::fs;
use std::path::Path;

use crate::bench::{Bench, assert_says, said, stdout};
use crate::lm::LM;

/// Dense, p = 0 and one mask.
const ONE_MASK: &[&str] = &["prune.p=[0, 60]", "prune.random_masks=[0, 0]"];

fn bench() -> Bench {
    Bench::of(LM)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

/// The committed page of the published runs is what their records give.
#[test]
fn the_published_page_follows_from_the_records() {
    let bench = bench();
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/published");
    copy(&published, &bench.path("results/published"));
    let path = bench.path("results/published/index.html");
    let committed = fs::read_to_string(&path).expect("results/published/index.html");
    fs::remove_file(&path).unwrap();
    bench.sparta("report results/published").success();
    let made = fs::read_to_string(&path).unwrap();
    assert!(
        made == committed,
        "the records now give another page: make it again with `sparta report results/published`"
    );
    // And so is the page of claims.
    let path = bench.path("results/published/CLAIMS.md");
    let committed_claims = fs::read_to_string(&path).expect("results/published/CLAIMS.md");
    fs::remove_file(&path).unwrap();
    bench
        .sparta("claims results/published --out results/published/CLAIMS.md")
        .success();
    assert!(
        fs::read_to_string(&path).unwrap() == committed_claims,
        "the records now say something else of the claims: remove CLAIMS.md, and make it again with `sparta claims \
         results/published --out results/published/CLAIMS.md`"
    );
    // Every link goes to a file that is there.
    let mut n_links = 0;
    for piece in committed
        .split("href=\"")
        .chain(committed.split("src=\""))
        .skip(1)
    {
        let target = piece.split('"').next().unwrap();
        if !target.is_empty() && !target.starts_with(['#', '<']) {
            assert!(
                bench.path("results/published").join(target).exists(),
                "{target}"
            );
            n_links += 1;
        }
    }
    assert!(n_links > 40, "{n_links}");
}

#[test]
fn a_run_is_reported_by_its_own_recipe() {
    let bench = bench();
    bench
        .tiny_with("--out runs/mine --device flex", ONE_MASK)
        .success();
    let csv = bench.csv("runs/mine");
    // Without a path: the runs in `runs`. Nothing is missing, although the shipped recipe has more p.
    let text = stdout(
        &bench
            .sparta("report --json --latex --csv --markdown")
            .success(),
    );
    assert_says(
        &text,
        &[
            "lm-small: test perplexity",
            "runs/index.html",
            "runs/REPORT.md",
            "runs/REPORT.tex",
            "runs/REPORT.csv",
            "runs/REPORT.json",
        ],
    );
    assert!(!text.contains("missing"), "{text}");
    let html = bench.read("runs/index.html");
    assert_says(
        &html,
        &["href=\"mine/TABLE.md\"", "src=\"mine/TABLE.svg\"", "flex"],
    );
    let json: serde_json::Value = serde_json::from_str(&bench.read("runs/REPORT.json")).unwrap();
    let scores = json["tables"][0]["scores"].as_array().unwrap();
    let value = |p: f64| scores.iter().find(|s| s["p_nominal"] == p).unwrap()["mean"].as_f64();
    let in_csv = crate::lm::value(&csv, "ap", "60").parse::<f64>().unwrap();
    assert!((value(60.0).unwrap() - in_csv).abs() < 1e-6);
    // The table of the program is left alone, and a figure that is added is shown.
    assert_eq!(bench.csv("runs/mine"), csv);
    fs::create_dir(bench.path("runs/mine/figures")).unwrap();
    fs::write(bench.path("runs/mine/figures/density.svg"), "<svg/>").unwrap();
    bench.sparta("report runs/mine").success();
    let html = bench.read("runs/mine/index.html");
    assert_says(
        &html,
        &["src=\"./figures/density.svg\"", "src=\"./TABLE.svg\""],
    );

    // A run that is missing comes with its command.
    let record = bench
        .record_names("runs/mine")
        .into_iter()
        .find(|name| name.ends_with("-ap-p60.run.json"));
    fs::remove_file(bench.path("runs/mine/records").join(record.unwrap())).unwrap();
    let command = "lm reproduce --recipe runs/mine/recipe.toml --out runs/mine --resume --seeds 1";
    let text = stdout(&bench.sparta("report").success());
    assert_says(&text, &["missing", command]);
    assert_says(&bench.read("runs/index.html"), &[command]);
    bench
        .run(&format!("{} --quiet --device flex", &command[3..]))
        .success();
    let text = stdout(&bench.sparta("report").success());
    assert!(!text.contains("missing"), "{text}");
}

/// Other seeds of a recipe in another folder join its table; another recipe does not.
#[test]
fn runs_of_one_recipe_are_joined() {
    let bench = bench();
    let p0 = ["prune.p=[0]", "prune.random_masks=[0]"];
    bench
        .tiny_with("--out runs/one --device flex --seeds 1", &p0)
        .success();
    bench
        .tiny_with("--out runs/two --device flex --seeds 2", &p0)
        .success();
    let faster = [p0.as_slice(), &["train.lr=0.01"]].concat();
    bench
        .tiny_with("--out runs/other --device flex", &faster)
        .success();
    bench.sparta("report --csv").success();
    let csv = bench.read("runs/REPORT.csv");
    let of_control: Vec<Vec<&str>> = csv
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|cells| cells[4] == "0" && cells[8] == "perplexity")
        .collect();
    let n_seeds: Vec<&str> = of_control.iter().map(|cells| cells[12]).collect();
    assert_eq!(n_seeds.len(), 2, "{csv}");
    assert!(n_seeds.contains(&"2") && n_seeds.contains(&"1"), "{csv}");
    let html = bench.read("runs/index.html");
    assert_says(
        &html,
        &[
            "± ",
            " (2)",
            "href=\"one\"",
            "href=\"two\"",
            "href=\"other\"",
        ],
    );
    // Several folders need a place for the page.
    let text = said(&bench.sparta("report runs/one runs/two"), 1);
    assert_says(&text, &["--out DIR"]);
    bench
        .sparta("report runs/one runs/two --out pages/here")
        .success();
    assert_says(
        &bench.read("pages/here/index.html"),
        &["href=\"../../runs/one\"", " (2)"],
    );
}

#[test]
fn folders_without_records_say_what_to_type() {
    let bench = bench();
    let text = said(&bench.sparta("report"), 1);
    assert_says(&text, &["there is no folder runs", "make a run with `lm`"]);
    fs::create_dir_all(bench.path("runs/thesis")).unwrap();
    fs::write(bench.path("runs/thesis/notes.txt"), "precious").unwrap();
    let text = said(&bench.sparta("report runs"), 1);
    assert_says(
        &text,
        &["runs is no run folder and holds none", "recipe.toml"],
    );
    bench.tiny("train --out runs/half --device flex").success();
    let text = said(&bench.sparta("report runs/half"), 1);
    let command = "lm reproduce --recipe runs/half/recipe.toml --out runs/half --resume";
    assert_says(&text, &["runs/half has no completed record yet", command]);
    assert!(!bench.path("runs/half/index.html").exists());
    // Beside a finished run it waits.
    bench
        .tiny_with("--out runs/whole --device flex", ONE_MASK)
        .success();
    let text = stdout(&bench.sparta("report").success());
    assert_says(&text, &["half has no completed run yet", command]);
    // A page that somebody else wrote is kept.
    fs::write(bench.path("runs/index.html"), "<p>mine</p>").unwrap();
    let text = said(&bench.sparta("report"), 1);
    assert_says(&text, &["runs/index.html", "not overwritten"]);
    assert_eq!(bench.read("runs/index.html"), "<p>mine</p>");
    // Records of another recipe do not slip into a table.
    bench
        .tiny_with(
            "--out runs/other --device flex",
            &["prune.p=[0]", "prune.random_masks=[0]", "train.lr=0.01"],
        )
        .success();
    let record = bench.record_names("runs/other").remove(0);
    let [from, to] =
        ["other", "whole"].map(|run| bench.path(format!("runs/{run}/records/{record}")));
    fs::copy(from, to).unwrap();
    let text = said(&bench.sparta("report runs/whole"), 1);
    assert_says(&text, &["of another recipe", &record[..8]]);
    // A recipe that no program reads: the records are shown, and it is said what cannot be.
    fs::write(bench.path("runs/other/recipe.toml"), "table = \"x\"").unwrap();
    let text = stdout(&bench.sparta("report runs/other --markdown").success());
    assert_says(&text, &["perplexity"]);
    assert_says(
        &bench.read("runs/other/index.html"),
        &["which runs are missing cannot be said"],
    );
}

/// The dense score is that of the task, whatever else was measured first, and the mean over the seeds.
#[test]
fn the_dense_score_is_that_of_the_task_over_its_seeds() {
    let bench = bench();
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/published");
    for (run, program, metric, file) in [
        ("lm-small", "lm", "perplexity", "-dense.run.json"),
        (
            "squad-small",
            "squad",
            "answer-f1",
            "-squad-dense-block-sparse-answer-f1.run.json",
        ),
    ] {
        copy(&published.join(run), &bench.path(run));
        let names = bench.record_names(run).into_iter();
        let of_model = names.filter(|name| {
            let (_, of_seed) = name.split_once("-seed").unwrap();
            of_seed.trim_start_matches(|c: char| c.is_ascii_digit()) == file
        });
        let value = |name: String| {
            let text = bench.read(Path::new(run).join("records").join(name));
            let record: serde_json::Value = serde_json::from_str(&text).unwrap();
            record["value"].as_f64().unwrap()
        };
        let values: Vec<f64> = of_model.map(value).collect();
        assert_eq!(values.len(), 3, "{run}");
        let mean = values.iter().sum::<f64>() / 3.0;
        let json = stdout(&bench.sparta(&format!("runs {run} --json")).success());
        let states: serde_json::Value = serde_json::from_str(&json).unwrap();
        let state = &states[0];
        assert_eq!(state["program"], program);
        assert_eq!(state["score"][0], metric, "{json}");
        let score = state["score"][1].as_f64().unwrap();
        assert!((score - mean).abs() < 1e-9, "{score} and not {mean}");
        assert_eq!(state["score_seeds"], 3, "{json}");
        let text = stdout(&bench.sparta(&format!("runs {run}")).success());
        assert_says(&text, &[&format!("{metric} {mean:.2} ("), "3 seeds)"]);
    }
}

/// One record that is cut keeps nobody from the others: it is named, and the exit status tells of it.
#[test]
fn a_damaged_record_is_left_out_and_told() {
    let bench = bench();
    let one = ["prune.p=[0]", "prune.random_masks=[0]"];
    bench
        .tiny_with("--out runs/whole --device flex", &one)
        .success();
    bench
        .tiny_with("--out runs/cut --device flex --seeds 2", &one)
        .success();
    let name = bench.record_names("runs/cut").remove(0);
    let path = bench.path("runs/cut/records").join(&name);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    let cut = format!("runs/cut/records/{name}");
    let is_no_record = format!("{cut} is not a run record");
    let assert = bench.sparta("report runs --json");
    assert_says(
        &said(&assert, 1),
        &[
            &is_no_record,
            "the report is written without what is named above (1 left out)",
        ],
    );
    assert_says(
        &stdout(&assert),
        &["lm-small: test perplexity", "runs/REPORT.json"],
    );
    let html = bench.read("runs/index.html");
    assert_says(&html, &["href=\"whole\"", "href=\"cut\"", &cut]);
    let assert = bench.sparta("claims runs --json");
    assert_says(
        &said(&assert, 1),
        &[&is_no_record, "the claims are judged", "(1 left out)"],
    );
    serde_json::from_str::<serde_json::Value>(&stdout(&assert)).unwrap();
    let assert = bench.sparta("runs");
    assert_says(&said(&assert, 1), &[&cut, "1 left out"]);
    assert_says(&stdout(&assert), &["runs/whole"]);
    // A run that holds nothing else says so in place of a table.
    for name in bench.record_names("runs/cut") {
        fs::write(bench.path("runs/cut/records").join(name), "{}").unwrap();
    }
    let text = stdout(&bench.sparta("report runs/cut"));
    assert!(text.is_empty(), "{text}");
    bench.sparta("report runs/whole").success();
}

/// What `sparta runs` says of a run that is done, and of one that was stopped; recipes by their names.
#[test]
fn runs_and_recipes_are_listed() {
    let bench = Bench::of(crate::lm::LM);
    let sets = [
        "prune.p=[0, 80]",
        "prune.random_masks=[0, 0]",
        "prune.block_sizes=[]",
    ];
    bench
        .tiny_with("--out runs/done --device flex", &sets)
        .success();
    bench
        .tiny_with("train --out runs/half --device flex", &sets)
        .success();
    let text = stdout(&bench.sparta("runs").success());
    let line = |name: &str| {
        text.lines()
            .find(|line| line.split_whitespace().any(|word| word == name))
            .expect("a line")
            .to_owned()
    };
    assert_says(
        &line("runs/done"),
        &["lm", "3/3", "perplexity ", "complete"],
    );
    assert_says(&line("runs/half"), &["1/3", "stopped", "?"]);
    let json = stdout(&bench.sparta("runs runs/done --json").success());
    let states: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&states[0]["trained"], &states[0]["state"]),
        (&3.into(), &"complete".into())
    );
    let error = said(&bench.sparta("runs nothing"), 1);
    assert_says(&error, &["there is no folder nothing"]);

    let list = stdout(&bench.sparta("recipes").success());
    assert_says(
        &list,
        &[
            "lm     --recipe small/lm",
            "(default)",
            "lm     --recipe toy/lm",
            "glue   --recipe related/glue",
        ],
    );
    let recipe = stdout(&bench.sparta("recipes wikitext2").success());
    assert_says(&recipe, &["[model]\n", "# "]);
    let error = said(&bench.sparta("recipes small/ml"), 1);
    assert_says(
        &error,
        &["no recipe `small/ml`", "did you mean `small/mlm`"],
    );
}
