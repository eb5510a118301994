//! The threshold τ of α-entmax: p = [(α − 1)·s − τ]₊^{1/(α − 1)}, Σp = 1.

/// The weight of a score under a threshold: `[(α − 1)·s − τ]₊^{1/(α − 1)}`; NaN where their difference is.
pub fn weight(score: f64, alpha: f64, tau: f64) -> f64 {
    let a = alpha - 1.0;
    let above = a * score - tau;
    match above.is_nan() {
        true => above,
        false => above.max(0.0).powf(1.0 / a),
    }
}

/// The τ with which the weights of the scores sum to 1, by bisection; +∞ for no score above −∞, NaN where one is NaN or +∞.
///
/// # Panics
/// If α ≤ 1: softmax has no threshold.
///
/// # Source
/// Peters, Niculae & Martins 2019, algorithm 1.
pub fn threshold(scores: &[f64], alpha: f64) -> f64 {
    bisect(bracket(scores, alpha), |tau| {
        mass(scores, alpha, tau) >= 1.0
    })
}

/// The last place between two ends where a condition holds that holds at the lower one, to the last digit. Every step leaves
/// less between the ends: there is no other where one of them is NaN, or infinite.
pub(super) fn bisect((mut low, mut high): (f64, f64), holds: impl Fn(f64) -> bool) -> f64 {
    loop {
        let middle = 0.5 * (low + high);
        let is_between = low < middle && middle < high;
        if !is_between {
            return middle;
        }
        match holds(middle) {
            true => low = middle,
            false => high = middle,
        }
    }
}

/// So many of Halley's steps from a τ towards that of these scores: what a guess of τ needs instead of a search. From a τ that
/// is NaN they start where the largest score alone would weigh 1.
///
/// # Panics
/// If α ≤ 1.
///
/// # Source
/// EntmaxKV (arXiv 2605.21649), the mode `corrected` of deep-spin/entmaxkv.
pub fn correct_threshold(scores: &[f64], alpha: f64, tau: f64, n_steps: usize) -> f64 {
    let (low, high) = bracket(scores, alpha);
    // Above the largest score every weight and slope is 0: no step leads away from there.
    let start = match tau < high {
        true => tau.max(low),
        false => low,
    };
    (0..n_steps).fold(start, |tau, _| {
        let k = 1.0 / (alpha - 1.0);
        let above = scores.iter().map(|s| s / k - tau).filter(|u| *u > 0.0);
        let moment = |power: f64| -> f64 { above.clone().map(|u| u.powf(power)).sum() };
        let error = moment(k) - 1.0;
        let slope = -k * moment(k - 1.0);
        // From α = 2 on, a step is Newton's: the curvature of sparsemax is 0, and that of weights of infinite slope at 0 is
        // no help.
        let curvature = match k > 1.0 {
            true => k * (k - 1.0) * moment(k - 2.0),
            false => 0.0,
        };
        let halley = 2.0 * error * slope / (2.0 * slope * slope - error * curvature);
        let next = (tau - halley).max(low);
        match next < high {
            true => next,
            false => tau,
        }
    })
}

fn mass(scores: &[f64], alpha: f64, tau: f64) -> f64 {
    scores.iter().map(|s| weight(*s, alpha, tau)).sum()
}

/// Where τ is: the largest score alone would weigh 1 at the lower end and 0 at the upper.
fn bracket(scores: &[f64], alpha: f64) -> (f64, f64) {
    assert!(alpha > 1.0, "alpha = {alpha}: a threshold needs alpha > 1");
    if !scores.iter().all(|score| *score < f64::INFINITY) {
        return (f64::NAN, f64::NAN);
    }
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match largest == f64::NEG_INFINITY {
        true => (f64::INFINITY, f64::INFINITY),
        false => ((alpha - 1.0) * largest - 1.0, (alpha - 1.0) * largest),
    }
}
