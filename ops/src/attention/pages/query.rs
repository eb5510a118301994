//! One query's attention to some pages.

use super::keys::{PAGE_SIZE, PagedKeys};
use super::select::{Candidate, PageSelector, guess};
use super::threshold::{correct_threshold, threshold, weight};

/// How the threshold of the keys that were read is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PageMode {
    /// α-entmax of what was read: the weights sum to 1.
    #[default]
    Exact,
    /// The threshold of Gaussian scores; the weights sum to what they sum to, and are NaN where a mean or
    /// deviation of a page is.
    Fixed,
    /// That after so many of Halley's steps on what was read.
    Corrected {
        /// Steps; one or two are usual.
        n_steps: usize,
    },
}

/// One query of one head.
#[derive(Debug, Clone, Copy)]
pub struct PageQuery<'a> {
    /// `[d_head]`.
    pub query: &'a [f32],
    /// What scores are multiplied by, at least 0: 1/√d_head.
    pub scale: f64,
    /// α of the head, above 1.
    pub alpha: f64,
    /// Keys that a global mask hides for this query, `[n_keys]`.
    pub hidden: Option<&'a [bool]>,
}

/// What attention by pages gives.
#[derive(Debug, Clone, PartialEq)]
pub struct PageWeights {
    /// Each visible key of the pages that were read, with its weight, in the order of keys.
    pub weights: Vec<(usize, f64)>,
    /// Places of the pages that were read, in the order of reading.
    pub read: Vec<usize>,
    /// Pages with a visible key.
    pub n_pages: usize,
    /// Visible keys.
    pub n_keys: usize,
}

impl PageQuery<'_> {
    /// Attention to some pages of the keys: statistics of all pages and the keys of the selected ones are read, nothing else.
    ///
    /// A query without a visible key gets no weight. One that reads a score of NaN or +∞ has weights of NaN, and reads every
    /// page but by [`PageSelector::TopK`].
    ///
    /// # Shapes
    /// - query and each key: `[d_head]`; hidden: `[n_keys]`
    ///
    /// # Panics
    /// If a shape does not fit or α ≤ 1.
    ///
    /// # Source
    /// EntmaxKV (arXiv 2605.21649); `kernels/selection_pack.py` and `gaussian_utils.py` of deep-spin/entmaxkv for top-k
    /// and Gaussian selection. There σ̄ is the mean over batch and heads; here it is that of the query,
    /// so that examples are not coupled.
    pub fn attend(self, keys: &PagedKeys, selector: PageSelector, mode: PageMode) -> PageWeights {
        assert_eq!(self.query.len(), keys.d_head(), "a query of another size");
        assert!(
            self.hidden.is_none_or(|hidden| hidden.len() == keys.len()),
            "a mask of another number of keys"
        );
        let pages = self.candidates(keys);
        let scores_of = |place: usize| self.scores(keys, place).map(|(_, score)| score).collect();
        let read = selector.select(&pages, self.alpha, scores_of);
        let mut in_order = read.clone();
        in_order.sort_unstable();
        let (places, scores): (Vec<usize>, Vec<f64>) = in_order
            .into_iter()
            .flat_map(|place| self.scores(keys, place))
            .unzip();
        let tau = match mode {
            PageMode::Exact => threshold(&scores, self.alpha),
            PageMode::Fixed => guess(&pages, self.alpha),
            PageMode::Corrected { n_steps } => {
                correct_threshold(&scores, self.alpha, guess(&pages, self.alpha), n_steps)
            }
        };
        let weights = scores.iter().map(|score| weight(*score, self.alpha, tau));
        PageWeights {
            weights: places.into_iter().zip(weights).collect(),
            read,
            n_pages: pages.len(),
            n_keys: pages.iter().map(|page| page.n_visible).sum(),
        }
    }

    /// δ = 1 − Σ of the weights that attention to all keys gives to those that were read; 0 means that the result is
    /// exact. It takes the scores of all keys.
    ///
    /// # Panics
    /// As [`Self::attend`].
    ///
    /// # Source
    /// EntmaxKV (arXiv 2605.21649).
    pub fn dropped(self, keys: &PagedKeys, of: &PageWeights) -> f64 {
        let scores: Vec<(usize, f64)> = (0..keys.pages().len())
            .flat_map(|place| self.scores(keys, place))
            .collect();
        let all: Vec<f64> = scores.iter().map(|(_, score)| *score).collect();
        let tau = threshold(&all, self.alpha);
        let left = (scores.iter()).filter(|(i, _)| !of.read.contains(&(i / PAGE_SIZE)));
        // A sum of what was left is exactly 0 where nothing was, which 1 − Σ is not.
        left.map(|(_, score)| weight(*score, self.alpha, tau)).sum()
    }

    /// The visible keys of a page with their scores.
    fn scores(self, keys: &PagedKeys, place: usize) -> impl Iterator<Item = (usize, f64)> {
        let last = ((place + 1) * PAGE_SIZE).min(keys.len());
        (place * PAGE_SIZE..last)
            .filter(move |&i| self.is_visible(keys, i))
            .map(move |i| {
                let products = self.query.iter().zip(keys.key(i));
                let product = products.map(|(q, k)| f64::from(*q) * f64::from(*k));
                (i, self.scale * product.sum::<f64>())
            })
    }

    fn is_visible(&self, keys: &PagedKeys, i: usize) -> bool {
        keys.is_visible(i) && self.hidden.is_none_or(|hidden| !hidden[i])
    }

    /// The pages with a visible key. Bounds are sums in the order of scores, whose terms are at least theirs: rounding
    /// cannot lift a score above its bound.
    fn candidates(&self, keys: &PagedKeys) -> Vec<Candidate> {
        let pages = keys.pages().iter().enumerate();
        let of = |(place, page): (usize, &super::Page)| {
            let last = ((place + 1) * PAGE_SIZE).min(keys.len());
            let visible = (place * PAGE_SIZE..last).filter(|&i| self.is_visible(keys, i));
            let n_visible = visible.count();
            let sum = |term: &dyn Fn(usize, f64) -> f64| -> f64 {
                let query = self.query.iter().enumerate();
                query.map(|(c, q)| term(c, f64::from(*q))).sum()
            };
            let ends = [&page.min, &page.max];
            let bound = self.scale
                * sum(&|c, q| {
                    let [a, b] = ends.map(|end| q * f64::from(end[c]));
                    match a.is_nan() || b.is_nan() {
                        true => f64::NAN,
                        false => a.max(b),
                    }
                });
            let variance = sum(&|c, q| (q * f64::from(page.std[c])).powi(2));
            (n_visible > 0).then(|| Candidate {
                place,
                // What cannot be told is looked at.
                bound: match bound.is_nan() {
                    true => f64::INFINITY,
                    false => bound,
                },
                mean: self.scale * sum(&|c, q| q * f64::from(page.mean[c])),
                std: self.scale * variance.sqrt(),
                n_visible,
            })
        };
        pages.filter_map(of).collect()
    }
}
