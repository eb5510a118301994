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
    let link = page.lines().find(|line| line.contains("lm-random-80"));
    let (_, link) = link.unwrap().split_once("[lm-small](").expect("a link");
    let (link, _) = link.split_once(')').unwrap();
    assert!(bench.path(link).is_dir(), "{link}");
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
    let text = stdout(&both);
    let line = text.lines().find(|line| line.contains("lm-p90"));
    let left_out = "runs of changed recipes (9e1cafe0) are left out";
    assert_says(line.unwrap_or(&text), &["holds", "(3)", left_out]);
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
    // Nothing but an earlier page is written over.
    for file in ["own.toml", "run/recipe.toml"] {
        let before = bench.read(file);
        let line = format!("claims run --claims own.toml --out {file}");
        let text = said(&bench.sparta(&line), 1);
        assert_says(&text, &[file, "is no page of `sparta claims`"]);
        assert_eq!(bench.read(file), before);
    }
    let again = ["claims", lm.as_str(), "--out", "claims.md"];
    bench.sparta_of(&again).success();
    fs::write(bench.path("own.toml"), claim.replace("at_most", "at_mots")).unwrap();
    let text = said(&bench.sparta("claims run --claims own.toml"), 1);
    assert_says(&text, &["own.toml", "at_mots", "claims.toml"]);
    let text = said(&bench.sparta("claims none"), 1);
    assert_says(&text, &["there is no folder none"]);
}

/// `sparta analyze` looks at one seed at a time: each that it has looked at counts, once.
#[test]
fn figures_are_judged_over_the_seeds_that_were_analysed() {
    let bench = Bench::of(LM);
    let line_of = |runs: &[&str]| {
        let words = [&["claims"], runs].concat();
        let text = stdout(&bench.sparta_of(&words).success());
        let line = text.lines().find(|line| line.contains("ast-density"));
        line.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let run = published("iwslt-small");
    let three = ["holds", "yes in 3 and no in 0 of 3 seeds"];
    assert_says(&line_of(&[&run]), &three);
    let from = Path::new(&run);
    let copied = |inner: &str, to: &str| {
        let to = bench.path("run").join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from.join(inner), to).unwrap();
    };
    copied("recipe.toml", "recipe.toml");
    for name in fs::read_dir(from.join("records")).unwrap().flatten() {
        let name = name.file_name().into_string().unwrap();
        if name.ends_with("-softmax-dense.run.json") {
            copied(&format!("records/{name}"), &format!("records/{name}"));
        }
    }
    // A seed says which it is, wherever its figures lie; the same folder by other names is the same run.
    copied("seed-2/figures/claims.json", "figures/claims.json");
    copied("seed-2/figures/claims.json", "seed-2/figures/claims.json");
    assert_says(&line_of(&["run", "run/", "./run"]), &["of 1 seeds"]);
    copied("figures/claims.json", "seed-1/figures/claims.json");
    assert_says(&line_of(&["run"]), &["yes in 2 and no in 0 of 2 seeds"]);
    fs::write(bench.path("run/figures/claims.json"), "[]").unwrap();
    let text = said(&bench.sparta("claims run"), 1);
    assert_says(
        &text,
        &[
            "run/figures/claims.json",
            "make it again: `sparta analyze run`",
        ],
    );
}
