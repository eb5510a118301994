//! How much the heads of a layer differ: Jensen–Shannon divergence.

use super::Weights;
use crate::Result;

/// The Jensen–Shannon divergence of the heads at one query:
/// `(H(Σ_h p_h / n) − Σ_h H(p_h) / n) / log n`, `H(p) = −Σ_j p_j log p_j`, `0 log 0 = 0`, n heads.
///
/// 0 where all heads attend alike, 1 where no key is attended by two of them. One head does not differ from
/// itself: 0 (the formula's 0/0). A head without any weight counts as the zeros it is.
///
/// # Source
/// AST, section 5.1, by the released code (`validate.py`): the bound of n distributions is log n, whatever the
/// number of keys.
pub fn jensen_shannon(weights: &Weights, query: usize) -> f64 {
    let n_heads = weights.n_heads();
    if n_heads == 1 {
        return 0.0;
    }
    let n = n_heads as f64;
    let (mut of_mean, mut mean_of) = (0.0, 0.0);
    for key in 0..weights.n_keys() {
        let mut sum = 0.0;
        for head in 0..n_heads {
            let p = f64::from(weights.row(head, query)[key]);
            sum += p;
            mean_of += entropy_term(p) / n;
        }
        of_mean += entropy_term(sum / n);
    }
    // Rounding alone can make it negative.
    ((of_mean - mean_of) / n.ln()).max(0.0)
}

/// `−p log p`, and 0 at p = 0.
fn entropy_term(p: f64) -> f64 {
    if p > 0.0 { -p * p.ln() } else { 0.0 }
}

/// The diversity of one layer over a corpus: the mean of [`jensen_shannon`] over all queries.
#[derive(Debug, Clone, PartialEq)]
pub struct Diversity {
    n_heads: usize,
    sum: f64,
    n_queries: u64,
}

impl Diversity {
    /// Of a layer of `n_heads` heads, before the first sequence.
    pub const fn new(n_heads: usize) -> Self {
        Self {
            n_heads,
            sum: 0.0,
            n_queries: 0,
        }
    }

    /// Adds every query of a sequence.
    ///
    /// # Errors
    /// [`ResultsError::Attention`](crate::ResultsError::Attention) for weights of another number of heads.
    pub fn add(&mut self, weights: &Weights) -> Result<()> {
        weights.check_heads(self.n_heads)?;
        for query in 0..weights.n_queries() {
            self.sum += jensen_shannon(weights, query);
        }
        self.n_queries += weights.n_queries() as u64;
        Ok(())
    }

    /// The mean over all queries, 0 to 1; `None` before the first.
    pub fn mean(&self) -> Option<f64> {
        (self.n_queries > 0).then(|| self.sum / self.n_queries as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn js(values: &[f32], n_heads: usize) -> f64 {
        let weights = Weights::whole(values, [n_heads, 1, values.len() / n_heads]).unwrap();
        jensen_shannon(&weights, 0)
    }

    #[test]
    fn by_hand() {
        assert_eq!(js(&[0.25, 0.75, 0.25, 0.75], 2), 0.0, "two heads alike");
        assert!((js(&[1.0, 0.0, 0.0, 1.0], 2) - 1.0).abs() < 1e-15);
        // Four heads, two at each of two keys: log 2 / log 4.
        let pairs = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
        assert!((js(&pairs, 4) - 0.5).abs() < 1e-15);
        // (½, ½, 0) and (0, ½, ½): H of the mean (¼, ½, ¼) is 1.5 log 2, of each log 2.
        assert!((js(&[0.5, 0.5, 0.0, 0.0, 0.5, 0.5], 2) - 0.5).abs() < 1e-15);
        assert_eq!(js(&[0.3, 0.7], 1), 0.0, "one head");
        assert_eq!(js(&[0.0; 6], 2), 0.0, "no weight at all");
    }

    #[test]
    fn a_corpus_is_averaged_over_queries() {
        let mut diversity = Diversity::new(2);
        assert_eq!(diversity.mean(), None);
        let alike = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        let apart = [1.0, 0.0, 0.0, 1.0];
        diversity
            .add(&Weights::whole(&alike, [2, 2, 2]).unwrap())
            .unwrap();
        diversity
            .add(&Weights::whole(&apart, [2, 1, 2]).unwrap())
            .unwrap();
        assert!((diversity.mean().unwrap() - 1.0 / 3.0).abs() < 1e-15);
        let one = Weights::whole(&[1.0], [1, 1, 1]).unwrap();
        let error = diversity.add(&one).unwrap_err().to_string();
        assert!(error.contains("2 heads"), "{error}");
    }
}
