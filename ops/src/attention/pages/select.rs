//! Which pages are read.

use super::gaussian::{gaussian_threshold, quantile};
use super::keys::PAGE_SIZE;
use super::threshold::threshold;

/// Which pages are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageSelector {
    /// By falling upper bound of their scores, until no bound exceeds the threshold of what was read: exactly the pages
    /// that can hold a key of weight above 0, so that the result is that of all keys. Ours.
    Exact,
    /// The pages of the largest upper bounds, with room for so many keys, the last page being one of them.
    TopK {
        /// Keys.
        budget: usize,
    },
    /// The last page, and those whose scores, were they Gaussian, could exceed the threshold that all scores would have.
    Gaussian,
}

/// What a page may hold.
pub(super) struct Candidate {
    pub(super) place: usize,
    /// Largest possible score.
    pub(super) bound: f64,
    /// Mean and standard deviation of the scores.
    pub(super) mean: f64,
    pub(super) std: f64,
    pub(super) n_visible: usize,
}

impl PageSelector {
    /// The places of the pages that a query with this α reads, of those with a visible key; `scores` gives the scores
    /// of the visible keys of a page.
    pub(super) fn select(
        self,
        pages: &[Candidate],
        alpha: f64,
        scores: impl FnMut(usize) -> Vec<f64>,
    ) -> Vec<usize> {
        match self {
            Self::Exact => select_exactly(pages, alpha, scores),
            Self::TopK { budget } => select_top(pages, (budget / PAGE_SIZE).max(1)),
            Self::Gaussian => select_gaussian(pages, alpha),
        }
    }
}

/// Keys of scores up to τ / (α − 1) have no weight and do not move τ, which only rises while keys are added: a page whose
/// bound is not above it, and every page after that, can be left. There is no τ while every score is −∞, nor of NaN.
fn select_exactly(
    pages: &[Candidate],
    alpha: f64,
    mut scores: impl FnMut(usize) -> Vec<f64>,
) -> Vec<usize> {
    let mut order: Vec<&Candidate> = pages.iter().collect();
    order.sort_by(|a, b| b.bound.total_cmp(&a.bound));
    let (mut read, mut known) = (Vec::new(), Vec::new());
    for page in order {
        if !read.is_empty() {
            let tau = threshold(&known, alpha);
            if tau < f64::INFINITY && (alpha - 1.0) * page.bound <= tau {
                break;
            }
        }
        read.push(page.place);
        known.extend(scores(page.place));
    }
    read
}

fn select_top(pages: &[Candidate], n: usize) -> Vec<usize> {
    let mut order: Vec<&Candidate> = pages.iter().rev().collect();
    if let Some((_, others)) = order.split_first_mut() {
        others.sort_by(|a, b| b.bound.total_cmp(&a.bound));
    }
    let best = order.into_iter().take(n);
    best.map(|page| page.place).collect()
}

/// Constants of the released code.
fn select_gaussian(pages: &[Candidate], alpha: f64) -> Vec<usize> {
    let a = alpha - 1.0;
    let tau = guess(pages, alpha);
    let (_, std) = mixture(pages);
    let margin = match std < 1.5 {
        true => 0.01 * std,
        false => 0.05 * std,
    };
    let n = pages.len().max(1) as f64;
    let typical = pages.iter().map(|p| p.mean + 1.5 * p.std).sum::<f64>() / n;
    let floor = tau - a * (margin * std).max(0.2 * (tau / a - typical).max(0.0));
    let most = quantile(0.995f64.powf(1.0 / PAGE_SIZE as f64));
    let last = pages.last().map(|page| page.place);
    // Of NaN nothing can be told: the page is kept.
    let is_below = |page: &Candidate| a * (page.mean + most * page.std) <= floor;
    let is_kept = |page: &&Candidate| Some(page.place) == last || !is_below(page);
    let kept = pages.iter().filter(is_kept);
    kept.map(|page| page.place).collect()
}

/// Mean and standard deviation of all scores, from those of the pages.
fn mixture(pages: &[Candidate]) -> (f64, f64) {
    let n = pages.len().max(1) as f64;
    let mean = pages.iter().map(|page| page.mean).sum::<f64>() / n;
    let within = pages.iter().map(|page| page.std.powi(2)).sum::<f64>() / n;
    let between = pages.iter().map(|page| (page.mean - mean).powi(2));
    (mean, (within + between.sum::<f64>() / n).sqrt())
}

/// τ̂ of all visible keys, below what the best page probably has; +∞ without one, NaN where a page's mean or deviation is.
pub(super) fn guess(pages: &[Candidate], alpha: f64) -> f64 {
    let n = pages.iter().map(|page| page.n_visible).sum();
    if n == 0 {
        return f64::INFINITY;
    }
    let middle = quantile(0.5f64.powf(1.0 / PAGE_SIZE as f64));
    let likely = pages.iter().map(|page| page.mean + middle * page.std / 3.0);
    let best = likely.fold(f64::NEG_INFINITY, f64::max);
    let tau = gaussian_threshold(n, mixture(pages), alpha);
    match tau.is_nan() {
        true => tau,
        false => tau.min((alpha - 1.0) * best - 1e-4),
    }
}
