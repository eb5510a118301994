//! Patterns from tensors and masks as tensors.

use burn::prelude::*;
use burn::tensor::TensorData;
use rstest::rstest;
use sparta_ops::pruning::{
    AttentionPattern, GlobalMask, Padding, PatternHeader, Placement, PruningError, Scope,
    Semantics, Valid,
};

use super::{SELF, generic, generic_pattern, lm_grid};

#[rstest]
#[case::no_padding(None, Padding::LeftOut)]
#[case::padding_left_out(Some(vec![Valid::first(4, 6), Valid::first(2, 5), Valid { rows: 1..3, cols: 2..4 }]), Padding::LeftOut)]
#[case::padding_averaged_in(Some(vec![Valid::first(4, 6), Valid::first(2, 5), Valid::first(1, 1)]), Padding::AveragedIn)]
fn a_tensor_gives_the_pattern_of_its_numbers(
    #[case] valid: Option<Vec<Valid>>,
    #[case] padding: Padding,
) {
    let device = Device::default();
    let grid = lm_grid(2, 4, 3);
    // The first column of memory is missing.
    let placement = Placement {
        valid,
        ..Placement::at(0, 1)
    };
    let mut numbers = Vec::new();
    for (b, h, r) in (0..3).flat_map(|b| (0..2).flat_map(move |h| (0..4).map(move |r| (b, h, r)))) {
        numbers.extend((0..6).map(|c| if c < 3 + r { generic(b, h, r, c) } else { 0.0 }));
    }
    let header = PatternHeader::new("c", "m")
        .with(SELF, 0, grid)
        .with_padding(padding);
    let (mut a, mut b) = (
        AttentionPattern::new(header.clone()),
        AttentionPattern::new(header),
    );
    a.observe(SELF, 0, &numbers, [3, 2, 4, 6], &placement)
        .unwrap();
    let tensor = Tensor::<4>::from_data(TensorData::new(numbers, [3, 2, 4, 6]), &device);
    b.observe_tensor(SELF, 0, tensor, &placement).unwrap();

    assert_eq!(a.padding_seen(), b.padding_seen());
    let mut n_observed = 0;
    for (h, r, c) in (0..2).flat_map(|h| (0..4).flat_map(move |r| (0..7).map(move |c| (h, r, c)))) {
        assert_eq!(
            a.count(SELF, 0, r, c).unwrap(),
            b.count(SELF, 0, r, c).unwrap()
        );
        let means = (
            a.mean(SELF, 0, h, r, c).unwrap(),
            b.mean(SELF, 0, h, r, c).unwrap(),
        );
        match means {
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-6, "{h} {r} {c}: {a} {b}"),
            (None, None) => {}
            _ => panic!("{h} {r} {c}: {means:?}"),
        }
        n_observed += usize::from(means.0.is_some());
    }
    assert_eq!(n_observed, 2 * 4 * 6);
}

#[test]
fn a_tensor_outside_the_grid_is_an_error() {
    let mut pattern = generic_pattern(1, lm_grid(2, 4, 3));
    let weights = Tensor::<4>::zeros([1, 2, 4, 8], &Device::default());
    let error = pattern
        .observe_tensor(SELF, 0, weights, &Placement::default())
        .unwrap_err();
    assert!(matches!(error, PruningError::Placement { .. }), "{error}");
}

#[test]
fn scores_are_refused() {
    let mut pattern = generic_pattern(1, lm_grid(1, 1, 1));
    let scores = Tensor::<4>::from_data([[[[-1.5, 0.5]]]], &Device::default());
    let error = pattern
        .observe_tensor(SELF, 0, scores, &Placement::default())
        .unwrap_err();
    assert!(error.to_string().contains("not the scores"), "{error}");
}

#[rstest]
#[case::exact(4, 7)]
#[case::smaller(2, 5)]
#[case::larger(9, 80)]
fn the_tensor_is_the_cells(#[case] rows: usize, #[case] cols: usize) {
    let pattern = generic_pattern(2, lm_grid(2, 4, 3));
    for semantics in [Semantics::Corrected, Semantics::Paper] {
        let mask = GlobalMask::from_pattern(&pattern, 0.6, Scope::Layer, semantics).unwrap();
        let tensor = mask
            .tensor(SELF, 1, rows, cols, &Device::default())
            .unwrap();
        assert_eq!(tensor.dims(), [2, rows, cols]);
        let cells = tensor.into_data().iter::<bool>().collect::<Vec<_>>();
        let mut expected = Vec::new();
        for (h, r) in (0..2).flat_map(|h| (0..rows).map(move |r| (h, r))) {
            expected.extend((0..cols).map(|c| mask.hidden(SELF, 1, h, r, c).unwrap()));
        }
        assert_eq!(cells, expected);
        assert!(cells.contains(&true) && cells.contains(&false));
    }
}
