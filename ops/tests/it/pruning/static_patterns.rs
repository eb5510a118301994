//! Static patterns: index sets, what two hops reach, random cells, grids of a stream, files, masks on top.

use proptest::prelude::*;
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, BlockState, CellRule, GlobalMask, Grid, MaskKind,
    PatternHeader, Placement, PruningError, Scope, Semantics, SparsityReport, StaticPattern,
};

use super::{SELF, altered, full_grid, generic, lm_grid, of_earlier_version, weights};

const CAUSAL: CellRule = CellRule::Causal { memory: 0 };

fn pattern(words: &str) -> StaticPattern {
    words.parse().unwrap()
}

/// The keys that query i of a head sees, of n.
fn seen(words: &str, rule: CellRule, (n_heads, head): (usize, usize), i: usize) -> Vec<usize> {
    let pattern = pattern(words);
    (0..8)
        .filter(|&j| !pattern.hidden(rule, n_heads, head, i, j))
        .collect()
}

/// n = 8, l = 4, c = 1, of two heads: the first has A¹, the second A² and itself.
#[test]
fn index_sets_are_those_of_the_definition() {
    let causal = |words, head, i| seen(words, CAUSAL, (2, head), i);
    let fixed = "fixed(l=4,c=1,form=heads)";
    assert_eq!(causal(fixed, 0, 5), [4, 5]);
    assert_eq!(causal(fixed, 1, 5), [3, 5]);
    assert_eq!(causal(fixed, 0, 7), [4, 5, 6, 7]);
    assert_eq!(causal(fixed, 1, 7), [3, 7]);
    assert_eq!(causal(fixed, 1, 2), [2]); // A² is empty
    let strided = "strided(l=4)";
    assert_eq!(causal(strided, 0, 5), [2, 3, 4, 5]);
    assert_eq!(causal(strided, 1, 5), [1, 5]);
    assert_eq!(causal(strided, 1, 7), [3, 7]);
    assert_eq!(causal("fixed(l=4,c=1)", 1, 5), [3, 4, 5]);
    assert_eq!(causal("strided(l=4,form=merged)", 0, 5), [1, 2, 3, 4, 5]);
    assert_eq!(causal("local(w=3)", 1, 5), [3, 4, 5]);
    assert_eq!(causal("local(w=3)", 1, 1), [0, 1]);
    assert_eq!(causal("local(w=3,first=visible)", 1, 5), [0, 3, 4, 5]);
    // Summaries side by side: columns 3 and 7, or 2 and 6.
    let verts = "fixed(l=4,c=1,verts=2)";
    assert_eq!(causal(verts, 0, 7), [3, 4, 5, 6, 7]);
    assert_eq!(causal(verts, 1, 7), [2, 4, 5, 6, 7]);
}

#[test]
fn both_sides_see_later_keys_too() {
    let both = |words, i| seen(words, CellRule::Full, (1, 0), i);
    assert_eq!(both("local(w=2)", 3), [1, 2, 3, 4, 5]);
    assert_eq!(both("fixed(l=4,c=1)", 1), [0, 1, 2, 3, 7]);
    assert_eq!(both("strided(l=3,form=merged)", 1), [0, 1, 2, 3, 4, 7]);
    assert_eq!(both("local(w=1,first=visible)", 4), [0, 3, 4, 5]);
    assert_eq!(
        both("local(w=1,first=visible)", 0),
        [0, 1, 2, 3, 4, 5, 6, 7]
    );
}

/// Every earlier position is one hop away or two, over both sets together.
#[test]
fn two_hops_reach_every_earlier_position() {
    for n in [1, 7, 16, 40] {
        for l in 1..=9 {
            for words in [
                format!("fixed(l={l},c=1)"),
                format!("fixed(l={l},c={l})"),
                format!("strided(l={l},form=merged)"),
            ] {
                let pattern = pattern(&words);
                let sees = |i: usize, j: usize| !pattern.hidden(CAUSAL, 1, 0, i, j);
                for (i, j) in (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                    assert!(
                        (j..=i).any(|k| sees(i, k) && sees(k, j)),
                        "{words}, {j} from {i}"
                    );
                }
            }
        }
    }
    // The window alone does not.
    let local = pattern("local(w=3)");
    let sees = |i: usize, j: usize| !local.hidden(CAUSAL, 1, 0, i, j);
    assert!(!(0..=9).any(|k| sees(9, k) && sees(k, 0)));
}

/// The shares of causal cells that the specification computes.
#[test]
fn as_many_cells_are_left_as_the_definition_says() {
    for (n, words, share) in [
        (64, "fixed(l=8,c=1)", 0.25),
        (64, "strided(l=8,form=merged)", 0.34),
        (128, "fixed(l=16,c=2)", 0.24),
        (128, "strided(l=16,form=merged)", 0.29),
        (512, "fixed(l=32,c=4)", 0.18),
        (512, "strided(l=32,form=merged)", 0.15),
    ] {
        let grid = [((SELF, 0), lm_grid(1, n, 0))];
        let mask = GlobalMask::from_static(pattern(words), grid).unwrap();
        assert!(
            (1.0 - mask.p() - share).abs() <= 0.006,
            "{words}: {}",
            mask.p()
        );
    }
}

#[test]
fn words_read_back_and_bad_ones_are_refused() {
    for words in [
        "fixed(l=16,c=2)",
        "fixed(l=16,c=2,verts=4,form=heads)",
        "strided(l=16)",
        "strided(l=16,form=merged)",
        "local(w=16)",
        "local(w=16,first=visible)",
        "random(keep=0.25,seed=1)",
        "random(keep=0.000001,seed=18446744073709551615)",
    ] {
        assert_eq!(pattern(words).to_string(), words);
        assert!(pattern(words).check().is_ok());
    }
    assert_eq!(
        pattern("random( keep = 0.5 )"),
        pattern("random(keep=0.5,seed=1)")
    );
    for words in [
        "",
        "fixed",
        "fixed()",
        "fixed(l=16)",
        "fixed(l=16,c=2,c=3)",
        "local(w=-1)",
        "local(16)",
        "local(w=16,first=hidden)",
        "strided(l=16,form=both)",
        "random(keep=-1)",
        "local(w=16",
        "window(w=16)",
    ] {
        let error = words.parse::<StaticPattern>().unwrap_err().to_string();
        assert!(error.contains("local(w=16)"), "{error}");
    }
    for (words, field) in [
        ("fixed(l=0,c=1)", "`l`"),
        ("fixed(l=4,c=5)", "`c`"),
        ("fixed(l=4,c=2,verts=3)", "`c`"),
        ("fixed(l=4,c=0)", "`c`"),
        ("fixed(l=4,c=1,verts=0)", "`verts`"),
        ("strided(l=0)", "`l`"),
        ("local(w=0)", "`w`"),
        ("random(keep=0)", "`keep`"),
        ("random(keep=1.5)", "`keep`"),
    ] {
        let error = pattern(words).check().unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}

/// What a file holds is in range. Such files were read, and what was then asked of their patterns divided by zero.
#[test]
fn a_file_of_a_pattern_out_of_range_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let (words, of) = ("fixed(l=4,c=1)", pattern("fixed(l=4,c=1)"));
    let grid = lm_grid(2, 8, 4);
    let header = PatternHeader::new("c", "m").with_layers(SELF, 1, grid);
    let mut observed = AttentionPattern::new(header.with_static(SELF, 1, of));
    let seen = weights(&grid, |head, row, col| {
        match of.hidden(grid.rule, 2, head, row, col) {
            true => 0.0,
            false => generic(0, head, row, col),
        }
    });
    let shape = [1, 2, 8, 12];
    observed
        .observe(SELF, 0, &seen, shape, &Placement::default())
        .unwrap();
    let on_top = GlobalMask::from_pattern(&observed, 0.5, Scope::Layer, Semantics::Corrected);
    let alone = GlobalMask::from_static(of, [((SELF, 0), grid)]);
    let refused = |load: &dyn Fn() -> Option<PruningError>| {
        let bytes = of_earlier_version(&std::fs::read(&path).unwrap());
        for bad in ["fixed(l=0,c=1)", "fixed(l=4,c=0)"] {
            std::fs::write(&path, altered(&bytes, words, bad)).unwrap();
            let error = load().expect("no such pattern");
            assert!(matches!(error, PruningError::Corrupt { .. }), "{error}");
            assert!(error.to_string().contains(bad), "{error}");
        }
    };
    for mask in [on_top.unwrap(), alone.unwrap()] {
        mask.save(&path).unwrap();
        refused(&|| GlobalMask::load(&path).err());
    }
    observed.save(&path).unwrap();
    refused(&|| AttentionPattern::load(&path).err());
    for bad in ["fixed(l=0,c=1)", "local(w=0)"] {
        let text = format!("{bad:?}");
        let error = serde_json::from_str::<StaticPattern>(&text).unwrap_err();
        assert!(error.to_string().contains("at least 1"), "{error}");
    }
}

/// Words are read as they stand. A window of no key hid everything, and blocks of no key were divided by.
#[test]
fn a_pattern_out_of_range_has_no_cells() {
    for words in ["fixed(l=0,c=1)", "fixed(l=4,c=0)", "local(w=0)"] {
        let pattern = pattern(words);
        assert_eq!(pattern.first_position(8), 8);
        let expected = pattern.check().unwrap_err().to_string();
        let header = PatternHeader::new("c", "m").with(SELF, 0, lm_grid(1, 4, 0));
        let header = || header.clone().with_static(SELF, 1, pattern);
        let asked: [&dyn Fn() -> usize; 3] = [
            &|| usize::from(pattern.hidden(CAUSAL, 1, 0, 0, 0)),
            &|| pattern.cells(CAUSAL, [1, 4, 4]).len(),
            &|| AttentionPattern::new(header()).header().grids.len(),
        ];
        for ask in asked {
            let ask = std::panic::AssertUnwindSafe(ask);
            let said = std::panic::catch_unwind(ask).unwrap_err();
            assert_eq!(said.downcast_ref::<String>(), Some(&expected));
        }
    }
}

fn visible(pattern: StaticPattern, rule: CellRule, n_heads: usize, n: usize) -> Vec<usize> {
    let cells = pattern.cells(rule, [n_heads, n, n]);
    (cells.chunks(n * n))
        .map(|head| head.iter().filter(|hidden| !**hidden).count())
        .collect()
}

proptest! {
    /// Every number of positions has its share of cells, own positions among them.
    #[test]
    fn random_cells_are_as_many_as_asked(keep in 0.001f64..=1.0, seed: u64, n in 1usize..40) {
        let keep = (keep * 1e6).round() / 1e6;
        let pattern = pattern(&format!("random(keep={keep},seed={seed})"));
        for (rule, cells) in [(CAUSAL, n * (n + 1) / 2), (CellRule::Full, n * n)] {
            let expected = ((keep * cells as f64).round() as usize).max(n);
            for found in visible(pattern, rule, 3, n) {
                prop_assert!(found.abs_diff(expected) <= 1, "{found} of {cells}, not {expected}");
            }
            for (head, i) in (0..3).flat_map(|head| (0..n).map(move |i| (head, i))) {
                prop_assert!(!pattern.hidden(rule, 3, head, i, i));
            }
        }
    }

    /// One definition: a grid's cells are those told one by one, and a larger grid has the same.
    #[test]
    fn cells_are_the_same_one_by_one(
        words in prop::sample::select(vec![
            "fixed(l=4,c=1)", "fixed(l=5,c=2,verts=2,form=heads)", "strided(l=3)", "local(w=4)",
            "local(w=2,first=visible)", "random(keep=0.3)", "random(keep=0.2,seed=7,first=visible)",
        ]),
        memory in 0usize..9, rows in 1usize..9, full: bool,
    ) {
        let pattern = pattern(words);
        let (rule, cols) = match full {
            true => (CellRule::Full, rows),
            false => (CellRule::Causal { memory }, memory + rows),
        };
        let cells = pattern.cells(rule, [2, rows, cols]);
        for (place, hidden) in cells.into_iter().enumerate() {
            let (head, row, col) = (place / (rows * cols), place / cols % rows, place % cols);
            prop_assert_eq!(hidden, pattern.hidden(rule, 2, head, row, col));
        }
    }
}

/// Fails if a release, a platform or a library ever changes the cells of a seed.
#[test]
fn a_seed_names_the_same_cells_for_ever() {
    let cells = pattern("random(keep=0.4,seed=42)").cells(CAUSAL, [1, 6, 6]);
    let drawn: Vec<usize> = (0..36).filter(|&cell| !cells[cell]).collect();
    assert_eq!(drawn, GOLDEN);
    let heads = pattern("random(keep=0.4,seed=42)").cells(CAUSAL, [2, 16, 16]);
    assert_ne!(heads[..256], heads[256..]);
    let other = pattern("random(keep=0.4,seed=43)").cells(CAUSAL, [2, 16, 16]);
    assert_ne!(heads, other);
}

/// Drawn by the same recipe written in Python.
const GOLDEN: [usize; 8] = [0, 7, 14, 21, 24, 28, 33, 35];

/// In a stream of segments of l positions or a multiple, the same absolute columns are seen from segment to
/// segment, whatever the memory holds.
#[test]
fn columns_stay_in_place_over_segments() {
    let fixed = pattern("fixed(l=4,c=1)");
    for segment in [4, 8] {
        for memory in [0, 3, 4, 6, 8] {
            // Positions of a sequence, and the same ones as a segment after a memory of it.
            let start = 2 * segment;
            let rule = CellRule::Causal { memory };
            for row in 0..segment {
                for col in 0..memory + segment {
                    let absolute = fixed.hidden(CAUSAL, 1, 0, start + row, start + col - memory);
                    assert_eq!(fixed.hidden(rule, 1, 0, row, col), absolute);
                }
            }
        }
    }
    let grid = [((SELF, 0), lm_grid(1, 6, 4))];
    let error = GlobalMask::from_static(fixed, grid)
        .unwrap_err()
        .to_string();
    assert!(error.contains("multiple of l"), "{error}");
}

#[test]
fn a_pattern_becomes_a_mask_file_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    for words in [
        "fixed(l=4,c=1)",
        "strided(l=4)",
        "local(w=3)",
        "random(keep=0.25)",
    ] {
        let grids = [
            ((SELF, 0), lm_grid(2, 8, 4)),
            ((SELF, 1), lm_grid(2, 8, 4)),
            ((AttentionType::EncoderSelf, 0), full_grid(2, 9, 9)),
        ];
        let of = pattern(words);
        let mask = GlobalMask::from_static(of, grids).unwrap();
        assert_eq!(mask.kind(), MaskKind::Static { pattern: of });
        let path = folder.path().join("mask");
        mask.save(&path).unwrap();
        let loaded = GlobalMask::load(&path).unwrap();
        assert_eq!(loaded, mask);
        for ((kind, layer), grid) in grids {
            let Grid {
                n_heads,
                n_rows,
                n_cols,
                rule,
            } = grid;
            for head in 0..n_heads {
                for (row, col) in (0..n_rows).flat_map(|r| (0..n_cols).map(move |c| (r, c))) {
                    if rule.is_legal(row, col) {
                        assert_eq!(
                            loaded.hidden(kind, layer, head, row, col).unwrap(),
                            of.hidden(rule, n_heads, head, row, col)
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_grid_without_such_cells_is_refused_by_what_it_needs() {
    let refused = |words, kind, grid| {
        let error = GlobalMask::from_static(pattern(words), [((kind, 0), grid)]).unwrap_err();
        error.to_string()
    };
    let cross = refused("local(w=3)", AttentionType::Cross, full_grid(2, 4, 4));
    assert!(cross.contains("one sequence"), "{cross}");
    let other = refused("local(w=3)", AttentionType::EncoderSelf, full_grid(2, 4, 5));
    assert!(other.contains("own positions"), "{other}");
    let one = refused("strided(l=4)", SELF, lm_grid(1, 8, 0));
    assert!(one.contains("form=merged"), "{one}");
    let wide = refused("fixed(l=4,c=5)", SELF, lm_grid(1, 8, 0));
    assert!(wide.contains("`c`"), "{wide}");
}

/// A pattern of attention that was seen through a static pattern: its other cells are no candidates.
#[test]
fn masks_on_top_are_made_of_the_cells_that_are_left() {
    let of = pattern("local(w=3)");
    let grid = lm_grid(2, 8, 4);
    let header = PatternHeader::new("c", "m")
        .with_layers(SELF, 1, grid)
        .with_static(SELF, 1, of);
    let mut observed = AttentionPattern::new(header);
    let is_left = |row, col| !of.hidden(grid.rule, 2, 0, row, col);
    let seen = weights(&grid, |head, row, col| match is_left(row, col) {
        true => generic(0, head, row, col),
        false => 0.0,
    });
    let everywhere = weights(&grid, |head, row, col| generic(0, head, row, col));
    let shape = [1, 2, 8, 12];
    let error = observed.observe(SELF, 0, &everywhere, shape, &Placement::default());
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("the static pattern hides the cell"),
        "{error}"
    );
    observed
        .observe(SELF, 0, &seen, shape, &Placement::default())
        .unwrap();

    let n_left = 2 * 8 * 3; // the memory is longer than the window
    let scope = Scope::Layer;
    let ap = GlobalMask::from_pattern(&observed, 0.5, scope, Semantics::Corrected).unwrap();
    let blocks = GlobalMask::from_pattern_in_blocks(&observed, 0.5, scope, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for mask in [ap.clone(), blocks, GlobalMask::random_like(&ap, 3)] {
        mask.save(folder.path().join("mask")).unwrap();
        assert_eq!(GlobalMask::load(folder.path().join("mask")).unwrap(), mask);
        let mut n_hidden = 0;
        for (head, row, col) in
            (0..2).flat_map(|h| (0..8).flat_map(move |r| (0..12).map(move |c| (h, r, c))))
        {
            let hidden = mask.hidden(SELF, 0, head, row, col).unwrap();
            assert!(!hidden || is_left(row, col));
            n_hidden += usize::from(hidden);
        }
        assert_eq!(n_hidden, n_left / 2);
        let report = SparsityReport::new(&mask, &observed).unwrap().total;
        assert_eq!(report.legal_cells, n_left as u64);
        assert_eq!(report.hidden_cells, n_left as u64 / 2);
    }
    observed.save(folder.path().join("pattern")).unwrap();
    let loaded = AttentionPattern::load(folder.path().join("pattern")).unwrap();
    assert_eq!(loaded, observed);
    assert_eq!(loaded.only(&[SELF]), observed);
    let other = AttentionPattern::new(PatternHeader::new("c", "m").with_layers(SELF, 1, grid));
    let mismatch = observed.merge(&other).unwrap_err();
    assert!(matches!(mismatch, PruningError::Mismatch { .. }));
}

/// A layout may be asked for more rows and columns than the mask has: what the pattern hides was looked up beyond its
/// cells, which panicked, or gave those of the next row.
#[test]
fn blocks_beyond_the_grid_are_visible() {
    let (kind, grid, local) = (
        AttentionType::EncoderSelf,
        full_grid(2, 6, 6),
        pattern("local(w=2)"),
    );
    let header = PatternHeader::new("corpus", "model").with(kind, 0, grid);
    let mut observed = AttentionPattern::new(header.with_static(kind, 1, local));
    let hidden = local.cells(grid.rule, [2, 6, 6]);
    let sums = hidden.iter().map(|&hidden| if hidden { 0.0 } else { 0.5 });
    let sums: Vec<f64> = sums.collect();
    let place = Placement::at(0, 0);
    observed
        .observe_sum(kind, 0, &sums, [2, 6, 6], 1, &place)
        .unwrap();
    let mask = GlobalMask::from_pattern(&observed, 0.0, Scope::Head, Semantics::Corrected).unwrap();
    let layout = mask.block_layout(kind, 0, 70, 70, 1).unwrap();
    for (head, row, col) in
        (0..2).flat_map(|head| (0..4900).map(move |at| (head, at / 70, at % 70)))
    {
        let is_hidden = row < 6 && col < 6 && hidden[(head * 6 + row) * 6 + col];
        let expected = match is_hidden {
            true => BlockState::Hidden,
            false => BlockState::Visible,
        };
        assert_eq!(
            layout.state(head, row, col),
            Some(expected),
            "{head} {row} {col}"
        );
    }
}
