//! Pages of a language model: segments and their memory.

use sparta_ops::pruning::GlobalMask;

use super::{Cell, page};
use crate::bench::Bench;
use crate::lm::LM;

/// 37 words in two lines, with the ends of both.
fn text() -> String {
    let words = |n: usize| -> Vec<&str> {
        ["the", "state", "zebraish", "of"]
            .into_iter()
            .cycle()
            .take(n)
            .collect()
    };
    format!("{}\n{}", words(20).join(" "), words(15).join("  "))
}

#[test]
fn each_segment_attends_to_itself_and_its_memory() {
    let bench = Bench::of(LM);
    let sets = ["prune.p=[0, 60]", "prune.random_masks=[0, 0]"];
    bench.tiny_with("--out run --device flex", &sets).success();
    let text = text();
    let masked = "run/seed-1/rows/ap-p60";
    let mask = GlobalMask::load(bench.path("run/seed-1/masks/ap-p60.safetensors")).unwrap();
    for (model, mask) in [("run", None), (masked, Some(&mask))] {
        let page = page(&bench, model, &["--text", &text]);
        // Segments of 16 with a memory of at most 16.
        let shapes: Vec<_> = (0..page.n_views()).map(|view| page.shape(view)).collect();
        assert_eq!(shapes, [(16, 16), (16, 32), (5, 21)]);
        let mut n_hidden = 0;
        for (view, (n_queries, n_keys)) in shapes.into_iter().enumerate() {
            let memory = n_keys - n_queries;
            n_hidden += page.check_hidden(view, mask.map(|mask| (mask, 16 - memory)));
            page.check_rows(view);
            assert!(
                !page.cells(view).contains(&Cell::Zero),
                "softmax has no zeros"
            );
        }
        assert_eq!(n_hidden > 0, mask.is_some());
        let (read, words) = (page.pieces(1, "queries"), page.words(1, "queries"));
        assert_eq!((read[4], words[4].0), ("<eos>", "<eos>"));
        assert!(read.contains(&"<unk>") && words.iter().any(|word| word.0 == "zebraish"));
        // The memory is the segment before.
        assert_eq!(page.pieces(1, "keys")[..16], page.pieces(0, "queries"));
    }
}

#[test]
fn keys_too_far_back_are_hidden_and_sparse_weights_are_zero() {
    let bench = Bench::of(LM);
    let sets = [
        "model.normalizers=[\"sparsemax\"]",
        "model.same_length=true",
        "model.init_std=0.5",
        "model.mem_len=8",
    ];
    bench
        .tiny_with("train --out run --device flex", &sets)
        .success();
    let page = page(&bench, "run", &["--text", &text()]);
    assert_eq!(page.shape(1), (16, 24));
    for view in 0..page.n_views() {
        let (n_queries, n_keys) = page.shape(view);
        let memory = n_keys - n_queries;
        let mut n_zeros = 0;
        for ([.., query, key], cell) in page.places(view) {
            // Every query sees as many keys as the first one with a full memory does, itself included.
            let far = key + (8 - memory) <= query;
            assert_eq!(
                cell == Cell::Distance,
                far && key <= memory + query,
                "{query} {key}: {cell:?}"
            );
            n_zeros += usize::from(cell == Cell::Zero);
        }
        assert!(n_zeros > 0);
        page.check_rows(view);
        assert_eq!(page.view(view)["alpha"][0][0].as_f64(), Some(2.0));
    }
}
