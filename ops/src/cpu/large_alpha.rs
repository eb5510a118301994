//! α-entmax for α > 2, whose weights `p = u^{1/ε}` make a thousandth of what is below the last digit of a score:
//! with ε = 9 a weight of 0.01 has the base u = 10⁻¹⁸.
//!
//! Scores are measured from the smallest one of the support, z_ref, whose weight is v:
//! `p = (ε(z − z_ref) + vᵋ)^{1/ε}` adds numbers ≥ 0 and loses no digit. A score is in the support if the scores
//! above it, measured from it with v = 0, sum to less than 1; then `G(v) = Σp − 1` has a root. G is convex and rising,
//! as each term is an ℓ_ε norm of two numbers: Newton's method falls to the root from above. All in f64, whatever
//! the type: the power and the gradients multiply the error of a weight by up to α.

use super::float::Float;
use super::forward::Saved;
use super::simd::{LANES, Simd, largest_by_lane};
use super::workspace::Workspace;
use crate::entmax::LARGE_ALPHA;

/// Whether the solver of this module is the one for α.
pub(crate) fn is_large(alpha: f64) -> bool {
    alpha > LARGE_ALPHA && alpha < f64::INFINITY
}

/// Whether it is for one of these.
pub(crate) fn any_large(alphas: &[f64]) -> bool {
    alphas.iter().any(|&alpha| is_large(alpha))
}

/// The scratch memory of this module, which grows where it is needed.
#[derive(Default)]
pub(crate) struct LargeAlpha {
    /// Scores that may have weight, and their places in the row.
    scores: Vec<(f64, u32)>,
    cells: Vec<Cell>,
}

/// A weight > 0 and its upstream gradient.
#[derive(Clone, Copy)]
struct Cell {
    weight: f64,
    grad: f64,
    place: u32,
}

/// What the weights of a row follow from.
#[derive(Clone, Copy)]
struct Root {
    epsilon: f64,
    /// z_ref.
    reference: f64,
    /// v.
    smallest: f64,
    /// vᵋ.
    base: f64,
    scale: f64,
}

impl Root {
    fn new(epsilon: f64, [reference, smallest, scale]: Saved) -> Self {
        Self {
            epsilon,
            reference,
            smallest,
            base: smallest.powf(epsilon),
            scale,
        }
    }

    /// The weight of a score that can be seen; NaN for NaN.
    fn weight(&self, z: f64) -> f64 {
        let distance = z - self.reference;
        let p = if distance > 0.0 {
            let p = (self.epsilon * distance + self.base).powf(1.0 / self.epsilon);
            if p < self.smallest { self.smallest } else { p }
        } else if distance < 0.0 {
            0.0
        } else {
            // NaN stays.
            self.smallest + distance
        };
        p * self.scale
    }
}

/// Turns the scores of a row-major row into weights, and returns the numbers from which [`again`] makes them.
pub(crate) fn forward<T: Float>(work: &mut Workspace<T>, hidden: T, alpha: f64) -> Saved {
    let epsilon = alpha - 1.0;
    let row = &mut work.row.vectors;
    let largest = largest_by_lane(row).largest();
    let scores = &mut work.large_alpha.scores;
    let is_valid = gather(row, largest, hidden, epsilon, scores);
    row.fill(Simd::splat(T::ZERO));
    if !is_valid {
        row.fill(Simd::splat(T::from_f64(f64::NAN)));
        return [f64::NAN; 3];
    }
    if scores.is_empty() {
        return [0.0; 3];
    }
    scores.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let (n, above) = support(scores, epsilon);
    let support = &scores[..n];
    let reference = support[n - 1].0;
    let smallest = smallest_weight(support, above, epsilon);
    let root = Root::new(epsilon, [reference, smallest, 1.0]);
    let total: f64 = support.iter().map(|(z, _)| root.weight(*z)).sum();
    let saved = [reference, smallest, 1.0 / total];
    let root = Root::new(epsilon, saved);
    for (z, place) in support {
        let place = *place as usize;
        row[place / LANES].0[place % LANES] = T::from_f64(root.weight(*z));
    }
    saved
}

/// Weights again from the scores of a row and what [`forward`] saved.
pub(crate) fn again<T: Float>(row: &mut [Simd<T>], hidden: T, alpha: f64, saved: Saved) {
    let root = Root::new(alpha - 1.0, saved);
    for z in row.iter_mut().flat_map(|simd| &mut simd.0) {
        *z = match *z <= hidden {
            true => T::ZERO,
            false => T::from_f64(root.weight(z.to_f64())),
        };
    }
}

/// The scores less than 1/ε below the largest, of which the support is a part. False where a score is NaN or +∞.
fn gather<T: Float>(
    row: &[Simd<T>],
    largest: T,
    hidden: T,
    epsilon: f64,
    scores: &mut Vec<(f64, u32)>,
) -> bool {
    scores.clear();
    let largest = largest.to_f64();
    if largest == f64::INFINITY {
        return false;
    }
    // A little below, whatever rounding does.
    let depth = 1.0 / epsilon;
    let below = T::from_f64(largest - depth - 4.0 * T::EPSILON * (largest.abs() + depth));
    let below = if hidden > below { hidden } else { below };
    let mut is_valid = true;
    for (j, simd) in row.iter().enumerate() {
        // NaN reaches everything.
        if !simd.reaches(below) {
            continue;
        }
        for (k, z) in simd.0.iter().enumerate() {
            let z = z.to_f64();
            let distance = epsilon * (largest - z);
            is_valid &= z < f64::INFINITY;
            if distance < 1.0 && z > hidden.to_f64() {
                scores.push((z, (j * LANES + k) as u32));
            }
        }
    }
    is_valid
}

/// How many of these scores, in falling order, have weight, and the sum of the weights of those above the last of
/// them if that has none: less than 1, where it would not be for the next.
fn support(scores: &[(f64, u32)], epsilon: f64) -> (usize, f64) {
    let power = 1.0 / epsilon;
    let sum = |last: usize| -> f64 {
        let reference = scores[last].0;
        let above = scores[..last].iter();
        above
            .map(|(z, _)| (epsilon * (z - reference)).powf(power))
            .sum()
    };
    // An index inside the support and one outside, with the sums there; the latter is found by doubling.
    let n = scores.len();
    let (mut inside, mut outside) = ((0, 0.0), (n, f64::INFINITY));
    let mut next = 1;
    let mut is_middle = false;
    while outside.0 - inside.0 > 1 {
        let found = (next, sum(next));
        match found.1 < 1.0 {
            true => inside = found,
            false => outside = found,
        }
        next = if outside.0 == n {
            (2 * inside.0 + 1).min(n - 1)
        } else if is_middle {
            (inside.0 + outside.0) / 2
        } else {
            let between = &scores[inside.0 + 1..outside.0];
            let threshold = interpolate(scores, inside, outside, epsilon);
            let n_above = between.partition_point(|(z, _)| *z > threshold);
            inside.0 + 1 + n_above.min(between.len().saturating_sub(1))
        };
        // Every second time, lest only one side moves.
        is_middle = !is_middle && outside.0 < n;
    }
    (inside.0 + 1, inside.1)
}

/// About where the sum is 1: sumᵋ is straight in the threshold where scores are tied.
fn interpolate(
    scores: &[(f64, u32)],
    inside: (usize, f64),
    outside: (usize, f64),
    epsilon: f64,
) -> f64 {
    let [high, low] = [outside, inside].map(|(_, sum)| sum.powf(epsilon));
    let [below, above] = [outside, inside].map(|(i, _)| scores[i].0);
    below + (high - 1.0) / (high - low) * (above - below)
}

/// The root of G.
fn smallest_weight(support: &[(f64, u32)], above: f64, epsilon: f64) -> f64 {
    let (reference, power) = (support[support.len() - 1].0, 1.0 / epsilon);
    let n_above = support.partition_point(|(z, _)| *z > reference);
    let n_tied = (support.len() - n_above) as f64;
    // The others weigh at least what they do for v = 0.
    let mut v = (1.0 - above) / n_tied;
    // Squares the error of a step near the root; before, each step halves the excess or the slope.
    for _ in 0..100 {
        let base = v.powf(epsilon);
        let (mut sum, mut slope) = (n_tied * v, n_tied);
        for (z, _) in &support[..n_above] {
            let u = epsilon * (z - reference) + base;
            let p = u.powf(power);
            sum += p;
            slope += base / v * (p / u);
        }
        let next = v - (sum - 1.0) / slope;
        let is_rounding = next >= v || v - next <= f64::EPSILON * v;
        if next > 0.0 && next < v {
            v = next;
        }
        if is_rounding || next <= 0.0 {
            break;
        }
    }
    v
}

/// Turns the upstream gradients of a row-major row into gradients in the scores, given the weights in the other row,
/// and returns the gradient in α.
///
/// With `s = p^{1−ε}`, `r = s/s_ref`, `h = g − g_ref` of the smallest weight: `s·h − r·K` with `K = Σsh/Σr`. K is
/// itself a gradient, and s is multiplied by no difference that rounding made: a weight of 10⁻³ has s = 10⁵⁴ at α = 20
/// and a gradient near 1. In α: `Σh[p(1 − εl) − (Σp − εL)·r/Σr]/ε²`, `l = log p`, `L = Σpl`.
pub(crate) fn backward<T: Float>(work: &mut Workspace<T>, alpha: f64) -> f64 {
    let epsilon = alpha - 1.0;
    let (weights, grads) = (&work.other.vectors, &mut work.row.vectors);
    let cells = &mut work.large_alpha.cells;
    cells.clear();
    for (j, (p, g)) in weights.iter().zip(&*grads).enumerate() {
        if !p.reaches(T::ZERO) {
            continue;
        }
        for (k, (p, g)) in p.0.iter().zip(g.0).enumerate() {
            let is_outside = *p <= T::ZERO;
            if !is_outside {
                cells.push(Cell {
                    weight: p.to_f64(),
                    grad: g.to_f64(),
                    place: (j * LANES + k) as u32,
                });
            }
        }
    }
    grads.fill(Simd::splat(T::ZERO));
    let Some(&first) = cells.first() else {
        return 0.0;
    };
    if cells.iter().any(|cell| cell.weight.is_nan()) {
        grads.fill(Simd::splat(T::from_f64(f64::NAN)));
        return f64::NAN;
    }
    let reference = cells.iter().fold(first, |smallest, cell| {
        if cell.weight < smallest.weight {
            *cell
        } else {
            smallest
        }
    });
    let log_reference = reference.weight.ln();
    let slopes = |log: f64| {
        let s = ((1.0 - epsilon) * log).min(T::LARGEST_EXPONENT).exp();
        let r = ((1.0 - epsilon) * (log - log_reference)).exp();
        (s, r)
    };
    let [mut total, mut log_mean, mut sum_r, mut sh, mut rh, mut ph] = [0.0; 6];
    for cell in &*cells {
        let log = cell.weight.ln();
        let (s, r) = slopes(log);
        let h = cell.grad - reference.grad;
        total += cell.weight;
        log_mean += cell.weight * log;
        sum_r += r;
        sh += s * h;
        rh += r * h;
        ph += cell.weight * (1.0 - epsilon * log) * h;
    }
    let k = sh / sum_r;
    let largest = T::LOWEST.to_f64().abs();
    for cell in &*cells {
        let (s, r) = slopes(cell.weight.ln());
        let grad = s * (cell.grad - reference.grad) - r * k;
        let place = cell.place as usize;
        grads[place / LANES].0[place % LANES] = T::from_f64(grad.clamp(-largest, largest));
    }
    (ph - (total - epsilon * log_mean) * rh / sum_r) / (epsilon * epsilon)
}
