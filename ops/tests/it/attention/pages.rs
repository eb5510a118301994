//! Attention by pages against dense α-entmax, and the thresholds of Gaussian scores.

use burn::tensor::{DType, Device, Tensor};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rstest::rstest;
use sparta_ops::attention::pages::{
    PAGE_SIZE, PageMode, PageQuery, PageSelector, PageWeights, PagedKeys, correct_threshold,
    gaussian_threshold, threshold, weight,
};
use sparta_ops::entmax;
use sparta_ops::testing::{tensor, values};

const D_HEAD: usize = 8;
const ALPHAS: [f64; 4] = [1.2, 4.0 / 3.0, 1.5, 2.0];

struct Draw(Xoshiro256PlusPlus);

impl Draw {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Box and Muller's.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn vector(&mut self, size: f64) -> Vec<f32> {
        (0..D_HEAD).map(|_| (size * self.normal()) as f32).collect()
    }
}

/// Keys near a centre of their page, a tenth of them padding.
fn clustered(n: usize, draw: &mut Draw) -> PagedKeys {
    let mut keys = PagedKeys::new(D_HEAD);
    let mut centre = Vec::new();
    for i in 0..n {
        if i % PAGE_SIZE == 0 {
            centre = draw.vector(2.0);
        }
        let near = draw.vector(0.3);
        let key: Vec<f32> = centre.iter().zip(near).map(|(c, d)| c + d).collect();
        keys.append(&key, draw.uniform() > 0.1);
    }
    keys
}

/// Keys whose scores are Gaussian.
fn gaussian(n: usize, draw: &mut Draw) -> PagedKeys {
    let mut keys = PagedKeys::new(D_HEAD);
    for _ in 0..n {
        keys.append(&draw.vector(1.0), true);
    }
    keys
}

fn query<'a>(query: &'a [f32], alpha: f64, hidden: Option<&'a [bool]>) -> PageQuery<'a> {
    PageQuery {
        query,
        scale: (D_HEAD as f64).powf(-0.5),
        alpha,
        hidden,
    }
}

/// All keys at once, in f64 tensors.
fn entmax_of(scores: &[f64], alpha: f64) -> Vec<f64> {
    let z: Tensor<1> = tensor(scores, [scores.len()], DType::F64, &Device::flex());
    values(entmax(z, alpha, 0))
}

/// The weights of all keys.
fn dense(keys: &PagedKeys, of: PageQuery<'_>) -> Vec<f64> {
    let score = |i: usize| {
        let hidden = !keys.is_visible(i) || of.hidden.is_some_and(|hidden| hidden[i]);
        let pairs = of.query.iter().zip(keys.key(i));
        let product: f64 = pairs.map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
        if hidden { -1e30 } else { of.scale * product }
    };
    let scores: Vec<f64> = (0..keys.len()).map(score).collect();
    entmax_of(&scores, of.alpha)
}

/// Weights of all keys, those that were not read being 0.
fn spread(found: &PageWeights, n_keys: usize) -> Vec<f64> {
    let mut weights = vec![0.0; n_keys];
    for &(i, weight) in &found.weights {
        weights[i] = weight;
    }
    weights
}

fn sum(found: &PageWeights) -> f64 {
    found.weights.iter().map(|(_, weight)| weight).sum()
}

fn distance(found: &PageWeights, expected: &[f64]) -> f64 {
    let found = spread(found, expected.len());
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[rstest]
#[case(64, 0.5417)]
#[case(1024, 1.0651)]
#[case(32768, 1.5670)]
fn the_threshold_of_gaussian_scores_is_the_published_one(#[case] n: usize, #[case] tau: f64) {
    let found = gaussian_threshold(n, (0.0, 1.0), 1.5);
    assert!((found - tau).abs() < 5e-5, "{found}");
}

/// τ̂ is the mean of the thresholds that drawn scores have, within four standard errors of that mean. A shift of the
/// scores moves it as it moves a threshold.
#[rstest]
fn gaussian_thresholds_are_those_of_drawn_scores(#[values(0, 1, 2, 3)] which: usize) {
    let alpha = ALPHAS[which];
    let mut draw = Draw::new(7);
    let (n, mean, std) = (4000, 0.7, 1.3);
    let found = gaussian_threshold(n, (mean, std), alpha);
    const N_DRAWS: usize = 400;
    let drawn: Vec<f64> = (0..N_DRAWS)
        .map(|_| {
            let scores: Vec<f64> = (0..n).map(|_| mean + std * draw.normal()).collect();
            threshold(&scores, alpha)
        })
        .collect();
    let middle = drawn.iter().sum::<f64>() / N_DRAWS as f64;
    let squares = drawn.iter().map(|tau| (tau - middle).powi(2));
    let spread = (squares.sum::<f64>() / N_DRAWS as f64).sqrt();
    assert!(
        (found - middle).abs() < 4.0 * spread / (N_DRAWS as f64).sqrt(),
        "{found} {middle} ± {spread}"
    );
    let shifted = gaussian_threshold(n, (mean + 1.0, std), alpha);
    assert!((shifted - found - (alpha - 1.0)).abs() < 1e-9);
    // The closed moments of some α are the integrals of their neighbours.
    let near = gaussian_threshold(n, (mean, std), alpha + 1e-6);
    assert!((near - found).abs() < 1e-4, "{near} {found}");
}

#[rstest]
fn thresholds_are_those_of_dense_entmax_and_halley_reaches_them(
    #[values(0, 1, 2, 3, 4)] which: usize,
) {
    let alpha = [ALPHAS[0], ALPHAS[1], ALPHAS[2], ALPHAS[3], 2.5][which];
    let mut draw = Draw::new(3);
    for n in [1, 2, 17, 300] {
        let scores: Vec<f64> = (0..n).map(|_| draw.normal()).collect();
        let tau = threshold(&scores, alpha);
        for (score, p) in scores.iter().zip(entmax_of(&scores, alpha)) {
            assert!((weight(*score, alpha, tau) - p).abs() < 1e-7);
        }
        // From either side, and from where no key has weight.
        for start in [tau - 0.02, tau + 0.02, 1e3] {
            let near = correct_threshold(&scores, alpha, start, 12);
            assert!((near - tau).abs() < 1e-6, "{n}: {start} {near} {tau}");
        }
    }
}

/// Whatever is hidden, the exact selection gives the weights of all keys, reads fewer pages than there are, and
/// drops nothing.
#[rstest]
fn the_exact_selection_is_dense_attention(#[values(0, 1, 2, 3)] which: usize) {
    let alpha = ALPHAS[which];
    let mut draw = Draw::new(which as u64);
    let (mut n_read, mut n_pages) = (0, 0);
    for n in (1..150).step_by(7) {
        let keys = clustered(n, &mut draw);
        let vector = draw.vector(2.0);
        let hidden: Vec<bool> = (0..n).map(|_| draw.uniform() < 0.2).collect();
        for hidden in [None, Some(hidden.as_slice())] {
            let of = query(&vector, alpha, hidden);
            let found = of.attend(&keys, PageSelector::Exact, PageMode::Exact);
            let all = dense(&keys, of);
            assert!(distance(&found, &all) < 1e-7);
            assert!(of.dropped(&keys, &found) < 1e-9);
            for (i, weight) in all.iter().enumerate() {
                assert!(*weight < 1e-7 || found.read.contains(&(i / PAGE_SIZE)));
            }
            n_read += found.read.len();
            n_pages += found.n_pages;
        }
    }
    assert!(3 * n_read < 2 * n_pages, "{n_read} of {n_pages}");
}

/// What is not selected is not looked at: other keys of the same least and largest coordinates change nothing.
#[test]
fn keys_of_other_pages_are_not_read() {
    let far = |sign: f32, inner: f32| {
        let mut keys = PagedKeys::new(1);
        for i in 0..3 * PAGE_SIZE {
            let of_page = match i / PAGE_SIZE {
                0 => 1.0 + i as f32 / 100.0,
                _ if i % PAGE_SIZE == 0 => -8.0,
                _ if i % PAGE_SIZE == 1 => -5.0,
                _ => inner,
            };
            keys.append(&[sign * of_page], true);
        }
        keys
    };
    for sign in [1.0, -1.0] {
        let vector = [sign];
        let of = PageQuery {
            query: &vector,
            scale: 1.0,
            alpha: 1.5,
            hidden: None,
        };
        let found = of.attend(&far(sign, -6.0), PageSelector::Exact, PageMode::Exact);
        let other = of.attend(&far(sign, -7.0), PageSelector::Exact, PageMode::Exact);
        assert_eq!(found.read, [0]);
        assert_eq!(found, other);
        assert_eq!(found.weights.len(), PAGE_SIZE);
        assert_eq!((found.n_pages, found.n_keys), (3, 3 * PAGE_SIZE));
        assert_eq!(of.dropped(&far(sign, -6.0), &found), 0.0);
    }
}

/// δ is the dense weight of what was not read, and the weights are those of what was.
#[rstest]
fn what_is_dropped_is_the_dense_weight_of_other_pages(#[values(0, 1, 2, 3)] which: usize) {
    let alpha = ALPHAS[which];
    let mut draw = Draw::new(90 + which as u64);
    let mut largest: f64 = 0.0;
    for n in [40, 100, 200] {
        let keys = clustered(n, &mut draw);
        let vector = draw.vector(0.5);
        let of = query(&vector, alpha, None);
        let all = dense(&keys, of);
        for selector in [
            PageSelector::TopK { budget: 16 },
            PageSelector::TopK { budget: 48 },
            PageSelector::TopK { budget: 10_000 },
            PageSelector::Gaussian,
        ] {
            let found = of.attend(&keys, selector, PageMode::Exact);
            assert!((sum(&found) - 1.0).abs() < 1e-9);
            let was_read = |i: &usize| found.read.contains(&(i / PAGE_SIZE));
            let kept: f64 = (0..n).filter(was_read).map(|i| all[i]).sum();
            let dropped = of.dropped(&keys, &found);
            assert!((dropped - (1.0 - kept)).abs() < 1e-6, "{selector:?}");
            assert!(found.read.contains(&((n - 1) / PAGE_SIZE)), "the last page");
            match selector {
                PageSelector::TopK { budget } => {
                    assert_eq!(found.read.len(), (budget / PAGE_SIZE).min(found.n_pages));
                }
                PageSelector::Exact | PageSelector::Gaussian => {}
            }
            if found.read.len() == found.n_pages {
                assert!(dropped == 0.0 && distance(&found, &all) < 1e-7);
            }
            largest = largest.max(dropped);
        }
    }
    assert!(largest > 1e-3, "one page is not enough for all of them");
}

/// Each of Halley's steps from τ̂ brings the sum of the weights nearer to 1, and once it is near, by the third power of
/// what is missing. (How near two steps come depends on τ̂: where it is above nearly all scores of clusters, the sum
/// stays near 0.)
#[rstest]
fn corrected_weights_sum_nearly_to_one_and_fixed_ones_need_not(#[values(1, 2)] which: usize) {
    let alpha = ALPHAS[which];
    let mut draw = Draw::new(11);
    let (mut fixed_most, mut n_near) = (0.0f64, 0);
    for i in 0..40 {
        let keys = match i % 2 {
            0 => gaussian(640, &mut draw),
            _ => clustered(120, &mut draw),
        };
        let vector = draw.vector(1.0);
        let error = |mode| {
            let found = query(&vector, alpha, None).attend(&keys, PageSelector::Gaussian, mode);
            (sum(&found) - 1.0).abs()
        };
        let after = |n_steps| error(PageMode::Corrected { n_steps });
        let steps = [error(PageMode::Fixed), after(1), after(2), after(3)];
        for pair in steps.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            assert!(after <= before + 1e-9, "{steps:?}");
            if before < 0.7 {
                n_near += 1;
                assert!(after <= 0.5 * before.powi(3) + 1e-9, "{steps:?}");
            }
        }
        fixed_most = fixed_most.max(steps[0]);
    }
    assert!(n_near >= 60 && fixed_most > 0.9, "{n_near} {fixed_most}");
}

#[test]
fn statistics_after_append_are_those_of_the_keys() {
    let mut draw = Draw::new(5);
    let keys = clustered(45, &mut draw);
    assert_eq!(keys.pages().len(), 3);
    for (place, page) in keys.pages().iter().enumerate() {
        let members = (place * PAGE_SIZE..((place + 1) * PAGE_SIZE).min(45))
            .filter(|&i| keys.is_visible(i))
            .map(|i| keys.key(i));
        let members: Vec<&[f32]> = members.collect();
        assert_eq!(page.n_visible, members.len());
        let n = members.len() as f64;
        for c in 0..D_HEAD {
            let column: Vec<f64> = members.iter().map(|key| f64::from(key[c])).collect();
            let mean = column.iter().sum::<f64>() / n;
            let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            let near = |a: f32, b: f64| assert!((f64::from(a) - b).abs() < 1e-5, "{a} {b}");
            near(page.mean[c], mean);
            near(page.std[c], variance.sqrt());
            near(
                page.min[c],
                column.iter().copied().fold(f64::INFINITY, f64::min),
            );
            near(
                page.max[c],
                column.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            );
        }
    }
    let mut same = PagedKeys::new(D_HEAD);
    same.append(&[1.0; D_HEAD], true);
    assert_eq!(same.pages()[0].std, [1e-6; D_HEAD]);
}

#[rstest]
fn a_query_without_a_key_gets_zeros(
    #[values(PageSelector::Exact, PageSelector::Gaussian, PageSelector::TopK { budget: 16 })]
    selector: PageSelector,
    #[values(PageMode::Exact, PageMode::Fixed, PageMode::Corrected { n_steps: 2 })] mode: PageMode,
) {
    let mut draw = Draw::new(2);
    let keys = clustered(20, &mut draw);
    let vector = draw.vector(1.0);
    let hidden = [true; 20];
    let of = query(&vector, 1.5, Some(&hidden));
    let found = of.attend(&keys, selector, mode);
    assert_eq!((found.weights.len(), found.read.len()), (0, 0));
    assert_eq!((found.n_pages, found.n_keys), (0, 0));
    assert_eq!(of.dropped(&keys, &found), 0.0);
}

const MODES: [PageMode; 3] = [
    PageMode::Exact,
    PageMode::Fixed,
    PageMode::Corrected { n_steps: 2 },
];

/// Three pages of keys of one coordinate, of which the fourth, on the first page, is this.
fn with_key(key: f32) -> PagedKeys {
    let mut keys = PagedKeys::new(1);
    for i in 0..40 {
        let key = if i == 3 { key } else { i as f32 / 40.0 };
        keys.append(&[key], true);
    }
    keys
}

fn narrow<'a>(query: &'a [f32], hidden: Option<&'a [bool]>) -> PageQuery<'a> {
    PageQuery {
        query,
        scale: 1.0,
        alpha: 1.5,
        hidden,
    }
}

/// A bisection between NaN and NaN went on for ever. A score of NaN or +∞ makes every weight of its query NaN, as in the mappings
/// of tensors, wherever its page would come in the order of reading.
#[rstest]
fn a_nan_or_infinite_score_gives_weights_of_nan(
    #[values(PageSelector::Exact, PageSelector::Gaussian, PageSelector::TopK { budget: 48 })]
    selector: PageSelector,
) {
    let mut alone = PagedKeys::new(1);
    alone.append(&[f32::NAN], true);
    for mode in MODES {
        for (query, keys, n) in [
            ([1.0], alone.clone(), 1),
            ([f32::NAN], with_key(0.0), 40),
            ([1.0], with_key(f32::NAN), 40),
            ([1.0], with_key(f32::INFINITY), 40),
            ([-1.0], with_key(f32::NEG_INFINITY), 40),
            ([0.0], with_key(f32::INFINITY), 40),
        ] {
            let found = narrow(&query, None).attend(&keys, selector, mode);
            let label = format!("{query:?} {mode:?}: {found:?}");
            assert_eq!(found.weights.len(), n, "{label}");
            assert!(found.weights.iter().all(|(_, w)| w.is_nan()), "{label}");
        }
    }
}

/// A score of −∞ has no weight, and a NaN that a mask hides no part: the selections that need no statistics of keys, or read
/// everything where these say nothing, give the weights of the other keys.
#[rstest]
fn hidden_scores_stay_hidden(
    #[values(PageSelector::Exact, PageSelector::Gaussian)] selector: PageSelector,
    #[values(f32::NEG_INFINITY, f32::NAN)] key: f32,
) {
    let hidden: Vec<bool> = (0..40).map(|i| i == 3).collect();
    let hidden = key.is_nan().then_some(hidden.as_slice());
    let found = narrow(&[1.0], hidden).attend(&with_key(key), selector, PageMode::Exact);
    let scores: Vec<f64> = (0..40)
        .map(|i| match i {
            3 => f64::NEG_INFINITY,
            _ => f64::from(i as f32 / 40.0),
        })
        .collect();
    assert!(found.weights.iter().all(|(_, weight)| weight.is_finite()));
    assert!(distance(&found, &entmax_of(&scores, 1.5)) < 1e-7);
}

/// Every score of the page of the largest bound is −∞ where a mask hides the key that the bound is of: the others were left.
#[test]
fn a_page_of_nothing_ends_no_reading() {
    let mut keys = PagedKeys::new(1);
    keys.append(&[2.0], true);
    (1..PAGE_SIZE).for_each(|_| keys.append(&[f32::NEG_INFINITY], true));
    keys.append(&[1.0], true);
    let hidden: Vec<bool> = (0..=PAGE_SIZE).map(|i| i == 0).collect();
    let of = narrow(&[1.0], Some(&hidden));
    let found = of.attend(&keys, PageSelector::Exact, PageMode::Exact);
    assert_eq!(found.read, [0, 1]);
    assert!((spread(&found, PAGE_SIZE + 1)[PAGE_SIZE] - 1.0).abs() < 1e-12);
}

#[test]
fn thresholds_of_no_numbers_are_found_at_once() {
    let nan = f64::NAN;
    assert!(gaussian_threshold(4, (nan, 1.0), 1.5).is_nan());
    assert!(gaussian_threshold(4, (0.0, nan), 1.5).is_nan());
    let infinity = f64::INFINITY;
    for mean in [infinity, -infinity] {
        assert_eq!(gaussian_threshold(4, (mean, 1.0), 1.5), mean);
    }
    assert_eq!(gaussian_threshold(4, (0.0, infinity), 1.5), infinity);
    for bad in [nan, infinity] {
        assert!(threshold(&[0.0, bad], 1.5).is_nan());
        assert!(correct_threshold(&[0.0, bad], 1.5, 0.1, 2).is_nan());
    }
    assert_eq!(threshold(&[-infinity; 2], 1.5), infinity);
    assert!(weight(1.0, 1.5, nan).is_nan() && weight(nan, 1.5, 0.0).is_nan());
}
