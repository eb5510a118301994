//! Windows of running text, and the tokens that are hidden in them.

use sparta_datasets::batch::{
    Choice, ExampleOrder, IGNORE, MaskedBatch, Masker, Masking, PaddingStrategy, text_windows,
};
use sparta_datasets::embedded::state_of_the_union;
use sparta_datasets::tokenize::wordpiece::{Casing, Encoding, WordPiece};

/// `[PAD] [UNK] [CLS] [SEP] [MASK]` are 0 to 4, `a` to `z` 5 to 30.
fn letters() -> WordPiece {
    let letters: String = ('a'..='z').map(|letter| format!("{letter}\n")).collect();
    let vocab = format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n{letters}");
    WordPiece::from_vocab(&vocab, Casing::Lower, "letters").unwrap()
}

fn windows(text: &str, max_len: usize) -> Vec<Encoding> {
    text_windows(text, &letters(), max_len).unwrap()
}

fn shown(window: &Encoding) -> String {
    let tokens = letters();
    let parts = window.ids.iter().map(|&id| tokens.token(id).unwrap());
    parts.collect::<Vec<_>>().join(" ")
}

#[test]
fn windows_are_filled_with_whole_sentences() {
    let text = "a b\n\nc\nd e f\ng h i j k l m\nn\n";
    let found = windows(text, 6);
    let found: Vec<String> = found.iter().map(shown).collect();
    let expected = [
        "[CLS] a b c [SEP]",
        "[CLS] d e f [SEP]",
        "[CLS] g h i j [SEP]", // a line of seven is cut,
        "[CLS] k l m n [SEP]", // and its rest has room for one more line
    ];
    assert_eq!(found, expected);

    // A corpus of words: the mark that stands alone ends a sentence, and no other.
    let tokens = WordPiece::from_vocab(
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n.\n?\n",
        Casing::Keep,
        "x",
    );
    let tokens = tokens.unwrap();
    let lens = |text: &str| -> Vec<usize> {
        let found = text_windows(text, &tokens, 8).unwrap();
        found.iter().map(|window| window.n_first).collect()
    };
    assert_eq!(lens("a a . b b ? a a .\n"), [6, 3]);
    assert_eq!(lens("a a. b b. a a a.\n"), [6, 4]);
    assert_eq!(lens("a a . b b b b ?\n"), [3, 5]);
}

#[test]
fn offsets_are_bytes_of_the_whole_text_and_unk_is_one_token() {
    let text = "é b\nc <unk> <unk> d\n";
    let found = windows(text, 5);
    let of = |window: &Encoding| -> Vec<String> {
        let inner = &window.offsets[1..window.len() - 1];
        inner
            .iter()
            .map(|&(from, to)| text[from..to].to_owned())
            .collect()
    };
    let found_texts: Vec<Vec<String>> = found.iter().map(of).collect();
    let expected = [vec!["é", "b"], vec!["c", "<unk>", "<unk>"], vec!["d"]];
    assert_eq!(found_texts, expected);
    assert_eq!(found[1].ids, [2, 7, 1, 1, 3]);
    assert_eq!(found[1].token_types, [0; 5]);
}

#[test]
fn every_token_of_a_shipped_corpus_is_in_one_window() {
    let text = state_of_the_union().unwrap().test;
    let tokens = letters();
    let lines = text.lines().map(|line| tokens.pieces(line).unwrap().len());
    let found = text_windows(&text, &tokens, 64).unwrap();
    assert_eq!(
        lines.sum::<usize>(),
        found.iter().map(|window| window.n_first).sum::<usize>()
    );
    assert!(found.iter().all(|window| window.len() <= 64));
    let n_tokens: usize = found.iter().map(Encoding::len).sum();
    let filled = n_tokens as f64 / (64 * found.len()) as f64;
    assert!(filled > 0.75, "{filled}");
}

#[test]
fn a_window_needs_room_for_a_token() {
    let error = text_windows("a", &letters(), 2).unwrap_err().to_string();
    assert!(
        error.contains("at most 2 tokens asked, 2 are taken"),
        "{error}"
    );
    assert!(windows("\n \n", 8).is_empty());
}

#[test]
fn fifteen_percent_are_chosen_and_80_10_10_of_them() {
    // 100 letters a window, all `a`: a letter that is none was drawn.
    let window = windows(&"a ".repeat(100), 102);
    let masker = Masker::new(&letters(), Masking::BERT).unwrap();
    let (mut masked, mut other, mut kept) = (0_u32, 0_u32, 0_u32);
    let mut drawn = [0_u32; 31];
    for epoch in 0..2_000 {
        let (ids, labels) = masker.hide(&window[0], 0, Choice::Drawn { seed: 1, epoch });
        assert_eq!(labels.iter().filter(|&&label| label != IGNORE).count(), 15);
        for (id, label) in ids.into_iter().zip(labels) {
            match label {
                IGNORE => continue,
                label => assert_eq!(label, 5),
            }
            match id {
                4 => masked += 1,
                5 => kept += 1,
                id => {
                    other += 1;
                    drawn[id as usize] += 1;
                }
            }
        }
    }
    // Of 30,000: 24,000 masked, 3,000 · 25/26 another letter, the rest `a`; 5 standard deviations.
    assert!(masked.abs_diff(24_000) < 347, "{masked}");
    assert!(other.abs_diff(2_885) < 256, "{other}");
    assert!(kept.abs_diff(3_115) < 265, "{kept}");
    // 115.4 of each letter; none of the special tokens.
    assert_eq!(drawn[..6], [0; 6]);
    assert!(
        drawn[6..].iter().all(|&n| n.abs_diff(115) < 54),
        "{drawn:?}"
    );
}

#[test]
fn special_tokens_are_never_chosen() {
    let tokens = letters();
    let window = windows("a <unk> [SEP] é [MASK] b", 16).remove(0);
    assert_eq!(window.ids, [2, 5, 1, 3, 9, 4, 6, 3]);
    let all = Masking {
        fraction: 1.0,
        ..Masking::BERT
    };
    let masker = Masker::new(&tokens, all).unwrap();
    for epoch in 0..50 {
        let (_, labels) = masker.hide(&window, 0, Choice::Drawn { seed: 3, epoch });
        let i = IGNORE;
        assert_eq!(labels, [i, 5, i, i, 9, i, 6, i]);
    }
    // One token at least, and none where there is none to find.
    let masker = Masker::new(&tokens, Masking::BERT).unwrap();
    let choice = Choice::Drawn { seed: 3, epoch: 0 };
    let n_targets = |text: &str| {
        let window = windows(text, 16).remove(0);
        let (_, labels) = masker.hide(&window, 0, choice);
        labels.iter().filter(|&&label| label != IGNORE).count()
    };
    assert_eq!((n_targets("a"), n_targets("<unk>")), (1, 0));
}

#[test]
fn a_draw_is_that_of_seed_epoch_and_window() {
    let found = windows(&"a b c d e f g h i j\n".repeat(8), 22);
    let masker = Masker::new(&letters(), Masking::BERT).unwrap();
    let draw =
        |index: u32, seed, epoch| masker.hide(&found[0], index, Choice::Drawn { seed, epoch });
    assert_eq!(draw(0, 1, 2), draw(0, 1, 2));
    assert_ne!(draw(0, 1, 2), draw(1, 1, 2));
    assert_ne!(draw(0, 1, 2), draw(0, 2, 2));
    assert_ne!(draw(0, 1, 2), draw(0, 1, 3));
    // The numbers of a recipe stay what they are: a random token and two masks.
    let (mut ids, mut labels) = (found[0].ids.clone(), [IGNORE; 22]);
    for (at, seen) in [(6, 24), (11, 4), (12, 4)] {
        labels[at] = ids[at] as i32;
        ids[at] = seen;
    }
    assert_eq!(draw(0, 1, 2), (ids, labels.to_vec()));

    // In batches of any size and order.
    let choice = Choice::Drawn { seed: 1, epoch: 2 };
    let batch = |indices: &[u32]| {
        MaskedBatch::new(
            &found,
            indices,
            PaddingStrategy::Dynamic,
            0,
            &masker,
            choice,
        )
        .unwrap()
    };
    let (together, alone) = (batch(&[2, 0]), batch(&[0]));
    assert_eq!(together.labels[together.len..], alone.labels);
    assert_eq!(together.ids[together.len..], alone.ids);
}

#[test]
fn groups_hide_each_token_once() {
    let found = windows("a b c d e f g\nh i <unk> j\n", 9);
    let masker = Masker::new(&letters(), Masking::BERT).unwrap();
    for n_groups in [1, 3, 9] {
        let mut times = vec![vec![0; 9]; found.len()];
        for group in 0..n_groups {
            let choice = Choice::Group { group, n_groups };
            for (window, times) in found.iter().zip(&mut times) {
                let (ids, labels) = masker.hide(window, 0, choice);
                for (at, &label) in labels.iter().enumerate() {
                    if label == IGNORE {
                        assert_eq!(ids[at], window.ids[at]);
                    } else {
                        assert_eq!((ids[at], label), (4, window.ids[at] as i32));
                        times[at] += 1;
                    }
                }
                if n_groups == 9 {
                    assert!(labels.iter().filter(|&&label| label != IGNORE).count() <= 1);
                }
            }
        }
        assert_eq!(times[0], [0, 1, 1, 1, 1, 1, 1, 1, 0]);
        assert_eq!(times[1], [0, 1, 1, 0, 1, 0, 0, 0, 0]);
    }
}

#[test]
fn batches_are_padded_rectangles() {
    let found = windows("a b c d\ne\n", 6);
    assert_eq!(found.len(), 2);
    let masker = Masker::new(&letters(), Masking::BERT).unwrap();
    let order = ExampleOrder::in_order(found.len(), 2).unwrap();
    let choice = Choice::Group {
        group: 0,
        n_groups: 4,
    };
    let indices = order.get(0).unwrap();
    let batch = MaskedBatch::new(
        &found,
        indices,
        PaddingStrategy::Fixed(7),
        0,
        &masker,
        choice,
    )
    .unwrap();
    assert_eq!((batch.batch_size, batch.len), (2, 7));
    assert_eq!(batch.ids, [2, 4, 6, 7, 8, 3, 0, 2, 4, 3, 0, 0, 0, 0]);
    let i = IGNORE;
    assert_eq!(batch.labels, [i, 5, i, i, i, i, i, i, 9, i, i, i, i, i]);
    assert_eq!(batch.token_types, [0; 14]);
    assert_eq!(batch.padding.iter().filter(|&&is| is).count(), 5);
    assert_eq!(batch.n_targets(), 2);
    assert_eq!(
        order.padding(&found, PaddingStrategy::Dynamic).n_positions,
        12
    );
}

#[test]
fn what_cannot_be_masked_is_named() {
    let without = WordPiece::from_vocab("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n", Casing::Keep, "v.txt");
    let error = Masker::new(&without.unwrap(), Masking::BERT).unwrap_err();
    assert!(
        error.to_string().contains("v.txt has no mask token"),
        "{error}"
    );
    for (fraction, mask, random) in [
        (0.0, 0.8, 0.1),
        (1.1, 0.8, 0.1),
        (0.15, 0.8, 0.3),
        (f64::NAN, 0.8, 0.1),
    ] {
        let masking = Masking {
            fraction,
            mask,
            random,
        };
        let error = Masker::new(&letters(), masking).unwrap_err().to_string();
        assert!(error.starts_with("cannot hide"), "{error}");
    }
}
