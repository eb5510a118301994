//! Pages of sentence pairs.

use serde_json::Value;
use sparta_ops::pruning::GlobalMask;

use super::{Cell, Page, attend, page};
use crate::bench::{Bench, assert_says, said, stdout};
use crate::iwslt::IWSLT;

const TEXT: &str = "Öffnet den Dialog \"Drucken\" & speichert <unk> </script>🙂.";

/// One dense model, and masks on the attention to the source.
const SETS: &[&str] = &[
    "model.normalizers=[\"softmax\", \"alpha_entmax\"]",
    "prune.softmax=[\"cross\", \"self\"]",
    "prune.entmax15=[]",
    "prune.alpha_entmax=[]",
    "prune.p=[0, 60]",
    "prune.random_masks=[0, 0]",
];

fn trained() -> Bench {
    let bench = Bench::of(IWSLT);
    bench.tiny_with("--out run --device flex", SETS).success();
    bench
}

/// That a page has the weights of a dump (`iwslt translate --attention`), and zeros where it has zeros; how many.
fn check_weights(page: &Page, dumped: &Value) -> usize {
    let mut n_zeros = 0;
    for view in 0..page.n_views() {
        let of_kind = &dumped[page.view(view)["kind"].as_str().unwrap()];
        for ([layer, head, query, key], cell) in page.places(view) {
            let weight = of_kind[layer][head][query][key].as_f64().unwrap() as f32;
            match cell {
                Cell::Weight(printed) => {
                    let digits = if weight < 1e-6 { 1 } else { 3 };
                    let expected: f64 = format!("{weight:.digits$e}").parse().unwrap();
                    assert_eq!(printed, expected.min(1.0));
                }
                Cell::Zero => {
                    assert_eq!(weight, 0.0);
                    n_zeros += 1;
                }
                Cell::Causal | Cell::GlobalMask | Cell::Distance | Cell::Pattern => {
                    assert_eq!(weight, 0.0);
                }
            }
        }
    }
    n_zeros
}

/// The dump of a model's attention on [`TEXT`].
fn dumped(bench: &Bench, model: &str) -> Value {
    let line = format!("translate --device flex --quiet --model {model} --attention dump.jsonl");
    bench.piped(&line, &format!("{TEXT}\n")).success();
    let dump = bench.read("dump.jsonl");
    std::fs::remove_file(bench.path("dump.jsonl")).unwrap();
    serde_json::from_str(dump.lines().next().unwrap()).unwrap()
}

#[test]
fn the_page_has_the_weights_of_the_translation() {
    let bench = trained();
    let softmax = "run/seed-1/softmax";
    // A run alone means its first dense model.
    let dense = page(&bench, "run", &["--text", TEXT]);
    assert_eq!(
        dense.text,
        page(&bench, &format!("{softmax}/dense"), &["--text", TEXT]).text
    );
    assert_eq!(dense.n_views(), 3);
    assert_eq!(check_weights(&dense, &dumped(&bench, "run")), 0);
    for view in 0..3 {
        assert_eq!(dense.check_hidden(view, None), 0);
        assert_eq!(dense.check_rows(view), 0);
        assert_eq!(dense.view(view)["alpha"][0][1].as_f64(), Some(1.0));
    }
    for (row, n_pruned) in [("cross-ap-p60", [0, 0, 1]), ("self-ap-p60", [1, 1, 0])] {
        let model = format!("{softmax}/rows/{row}");
        let masked = page(&bench, &model, &["--text", TEXT]);
        let mask = bench.path(format!("{softmax}/masks/{row}.safetensors"));
        let mask = GlobalMask::load(mask).unwrap();
        assert_eq!(check_weights(&masked, &dumped(&bench, &model)), 0);
        for (view, is_pruned) in n_pruned.into_iter().enumerate() {
            let n_hidden = masked.check_hidden(view, Some((&mask, 0)));
            assert_eq!(
                usize::from(n_hidden > 0),
                is_pruned,
                "{row} {view}: {n_hidden}"
            );
            masked.check_rows(view);
        }
    }
    let model = "run/seed-1/alpha_entmax/dense";
    let sparse = page(&bench, model, &["--text", TEXT]);
    assert!(
        check_weights(&sparse, &dumped(&bench, model)) > 0,
        "no exact zero"
    );
    let alpha = sparse.view(2)["alpha"][0][0].as_f64().unwrap();
    assert!(alpha > 1.0 && alpha < 2.0, "{alpha}");
}

#[test]
fn texts_of_every_kind_stay_text_and_pieces_join_to_words() {
    let bench = trained();
    let out = [
        "--text",
        TEXT,
        "--target",
        "Opens שלום <unk> \"x\" & 'y'.",
        "--out",
        "pages/a b.html",
    ];
    let printed = stdout(&attend(&bench, "run", &out).success());
    assert_eq!(printed, "pages/a b.html\n");
    let page = Page::read(&bench, "pages/a b.html");
    // The data, and the script.
    assert_eq!(page.text.matches("</script").count(), 2);
    for link in ["http:", "https:", "src=", "url(", "@import"] {
        let places = page.text.match_indices(link).count();
        let in_svg = page.text.matches("http://www.w3.org/2000/svg").count();
        assert_eq!(places, if link == "http:" { in_svg } else { 0 }, "{link}");
    }
    let source: Vec<(&str, u64)> = page.words(0, "keys");
    let words: Vec<&str> = source.iter().map(|word| word.0).collect();
    assert_eq!(words.last(), Some(&"</s>"));
    assert!(
        words.contains(&"öffnet") && words.contains(&"dialog"),
        "{words:?}"
    );
    let n: u64 = source.iter().map(|word| word.1).sum();
    assert_eq!(n as usize, page.pieces(0, "keys").len());
    assert!(source.iter().any(|word| word.1 > 1), "{source:?}");
    // Words that the model does not know are shown as they were typed, over what it reads.
    let written = page.words(1, "queries");
    assert!(written.iter().any(|word| word.0 == "שלום"), "{written:?}");
    assert!(page.pieces(1, "queries").contains(&"<unk>"));
    // What is read is the end, then what was written.
    let (read, written) = (page.pieces(1, "keys"), page.pieces(1, "queries"));
    assert_eq!(read[0], "</s>");
    assert_eq!(read[1..], written[..written.len() - 1]);
    let (read, written) = (page.words(1, "keys"), page.words(1, "queries"));
    assert_eq!(read[1..], written[..written.len() - 1]);
    let long = "a ".repeat(140);
    for texts in [
        ["--text", &long, "--target", "x"],
        ["--text", "x", "--target", &long],
    ] {
        let text = said(&attend(&bench, "run", &texts), 1);
        assert_says(&text, &["141 tokens", "at most 128"]);
    }
    // It may be made again, with the same bytes.
    attend(&bench, "run", &out).success();
    assert_eq!(Page::read(&bench, "pages/a b.html").text, page.text);
}

#[test]
fn attention_without_weights_is_left_out_and_patterns_are_told_from_zeros() {
    let bench = Bench::of(IWSLT);
    let mixed = "encoder=nystrom(m=2) decoder=entmax15+local(w=2)";
    let list = format!("model.normalizers=[\"{mixed}\", \"favor(m=8)\"]");
    let sets = [
        &list,
        "prune.softmax=[]",
        "prune.entmax15=[]",
        "prune.alpha_entmax=[]",
        "prune.p=[0]",
        "prune.random_masks=[0]",
    ];
    bench.tiny_with("--out run --device flex", &sets).success();
    let model = "run/seed-1/encoder-nystrom-m-2_decoder-entmax15+local-w-2/dense";
    let shown = page(&bench, model, &["--text", TEXT]);
    let kinds: Vec<_> = (0..shown.n_views())
        .map(|view| shown.view(view)["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["decoder-self", "cross"]);
    assert!(shown.text.contains("encoder-self: nystrom(m=2)"));
    check_weights(&shown, &dumped(&bench, model));
    for ([_, _, query, key], cell) in shown.places(0) {
        assert_eq!(cell == Cell::Causal, key > query);
        assert_eq!(cell == Cell::Pattern, key + 2 <= query, "{query} {key}");
    }

    let favor = "run/seed-1/favor-m-8/dense";
    let words = [
        "there is nothing to look at",
        "favor(m=8) cannot return its weights",
    ];
    assert_says(&said(&attend(&bench, favor, &["--text", TEXT]), 1), &words);
    let line = format!("translate --device flex --quiet --model {favor} --attention favor.jsonl");
    assert_says(&said(&bench.piped(&line, &format!("{TEXT}\n")), 1), &words);
    let analysed = bench.sparta("analyze run --device flex").success();
    let text = String::from_utf8_lossy(&analysed.get_output().stderr).into_owned();
    assert_says(
        &text,
        &["favor(m=8) is left out of figures of weights", words[1]],
    );
    assert!(bench.path("run/figures/density.json").is_file());
    let analysed = bench.sparta(&format!("analyze {favor} --figure density --device flex"));
    let text = String::from_utf8_lossy(&analysed.get_output().stderr).into_owned();
    assert_says(&text, &["density", words[1]]);
}
