//! Which claims hold, on the published runs.

use std::fs;
use std::path::Path;

use crate::bench::{Bench, assert_says, said, stdout};
use crate::lm::LM;

fn published(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/published");
    path.join(name).display().to_string()
}

#[test]
fn claims_without_runs_print_the_commands_that_make_them() {
    let bench = Bench::of(LM);
    let text = stdout(&bench.sparta("claims").success());
    assert_says(
        &text,
        &[
            "lm-random-80",
            "no runs",
            "lm --recipe small/lm --seeds 1,2,3",
        ],
    );
    assert!(!text.contains(" holds "), "{text}");
    assert!(bench.is_empty());
}

/// One seed tells nothing, the three of the published table do; so do two of a claim of one's own.
#[test]
fn claims_are_judged_over_seeds_and_the_page_is_written() {
    let bench = Bench::of(LM);
    let lm = published("lm-small");
    let text = stdout(
        &bench
            .sparta_of(&["claims", &lm, "--out", "claims.md"])
            .success(),
    );
    let page = bench.read("claims.md");
    assert_says(&page, &["# Claims", "--seeds 1,2,3"]);
    for said in [&text, &page] {
        let line = said.lines().find(|line| line.contains("lm-random-80"));
        assert_says(line.unwrap_or_else(|| panic!("{said}")), &["holds", "(3)"]);
    }
    let one = published("lm-small-256");
    let text = stdout(&bench.sparta_of(&["claims", &one]).success());
    assert_says(&text, &["one seed has no interval"]);
    // The same table by a changed recipe beside it is left out, which is said.
    let both = bench
        .sparta_of(&["claims", &lm, &published("lm-small-256")])
        .success();
    assert_says(&stdout(&both), &["(3)"]);
    let told = String::from_utf8_lossy(&both.get_output().stderr).into_owned();
    assert_says(&told, &["lm-small: runs of changed recipes"]);
    let edits = ["prune.p=[0, 50]", "prune.random_masks=[0, 0]"];
    bench
        .tiny_with("--out run --device flex --seeds 1,2", &edits)
        .success();
    let claim = "[[claim]]\nid = \"own\"\nsays = \"a mask of half the cells moves perplexity by less than half\"\n\
                 source = \"us\"\ncommand = \"lm\"\ntable = \"lm-small\"\nmetric = \"perplexity\"\nunit = \"percent\"\n\
                 at_most = 5000\nevery = [[{ p = 50 }, { p = 0 }]]\n";
    fs::write(bench.path("own.toml"), claim).unwrap();
    let json = stdout(
        &bench
            .sparta("claims run --claims own.toml --json")
            .success(),
    );
    let judged: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(judged[0]["verdict"], "holds", "{json}");
    assert_eq!(judged[0]["evidence"][0]["interval"]["n"], 2);
    fs::write(bench.path("own.toml"), claim.replace("at_most", "at_mots")).unwrap();
    let text = said(&bench.sparta("claims run --claims own.toml"), 1);
    assert_says(&text, &["own.toml", "at_mots", "claims.toml"]);
    let text = said(&bench.sparta("claims none"), 1);
    assert_says(&text, &["there is no folder none"]);
}

/// `sparta analyze` looks at one seed at a time: each that it has looked at counts, the first once.
#[test]
fn figures_are_judged_over_the_seeds_that_were_analysed() {
    let bench = Bench::of(LM);
    let line_of = |run: &str| {
        let text = stdout(&bench.sparta_of(&["claims", run]).success());
        let line = text.lines().find(|line| line.contains("ast-density"));
        line.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let run = published("iwslt-small");
    let three = ["holds", "yes in 3 and no in 0 of 3 seeds"];
    assert_says(&line_of(&run), &three);
    // Without the figures of the run itself, those of its first seed count, and beside them not twice.
    let copy = bench.path("run");
    let from = Path::new(&run);
    fs::create_dir_all(copy.join("records")).unwrap();
    fs::copy(from.join("recipe.toml"), copy.join("recipe.toml")).unwrap();
    let first = fs::read_dir(from.join("records")).unwrap().flatten();
    let of_first = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().contains("-seed1-");
    let record = first.into_iter().find(of_first).unwrap();
    fs::copy(record.path(), copy.join("records").join(record.file_name())).unwrap();
    for (figures, n) in [("seed-1/figures", 1), ("seed-2/figures", 2), ("figures", 2)] {
        fs::create_dir_all(copy.join(figures)).unwrap();
        fs::copy(
            from.join("figures/claims.json"),
            copy.join(figures).join("claims.json"),
        )
        .unwrap();
        assert_says(&line_of("run"), &[&format!("of {n} seeds")]);
    }
}
