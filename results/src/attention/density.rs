//! How many keys get any weight: density, union density and support size.

use super::{Bins, Histogram, Legal, Weights};
use crate::Result;

/// The bins of the papers' density histogram: 15 on [0, 1].
pub const DENSITY_BINS: Bins = Bins {
    lower: 0.0,
    upper: 1.0,
    count: 15,
};

/// The support size of a row of weights: `#{j : p_j > 0}`.
pub fn support_size(row: &[f32]) -> usize {
    row.iter().filter(|&&weight| weight > 0.0).count()
}

/// How many keys at least one head attends to from a query: `#{j : Σ_h p_hj > 0}`.
pub fn union_size(weights: &Weights, query: usize) -> usize {
    let attended =
        |&key: &usize| (0..weights.n_heads()).any(|head| weights.row(head, query)[key] > 0.0);
    (0..weights.n_keys()).filter(attended).count()
}

/// The density of one layer over a corpus.
///
/// The *density* of a head is the share of the legal cells of all sequences that get any weight,
/// `Σ #{j : p_j > 0} / Σ legal`, over all queries: long sequences weigh by the square of their length. The *union
/// density* counts the cells that at least one head of the layer attends to.
///
/// # Source
/// AST, section 5.1 and figure 5, "head density per layer", by the released code (`validate.py`); figure 4, "density
/// histogram".
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    support: Vec<u64>,
    union: u64,
    legal: u64,
    n_queries: u64,
    histogram: Histogram,
}

impl Density {
    /// Of a layer of `n_heads` heads, before the first sequence.
    pub fn new(n_heads: usize) -> Self {
        Self {
            support: vec![0; n_heads],
            union: 0,
            legal: 0,
            n_queries: 0,
            histogram: Histogram::new(DENSITY_BINS),
        }
    }

    /// Adds a sequence.
    ///
    /// # Errors
    /// [`ResultsError::Attention`](crate::ResultsError::Attention) for weights of another number of heads, or on
    /// keys that are not legal.
    pub fn add(&mut self, weights: &Weights, legal: Legal) -> Result<()> {
        weights.check_heads(self.support.len())?;
        legal.check(weights)?;
        let n_queries = weights.n_queries();
        let n_legal = legal.cells(n_queries, weights.n_keys());
        for (head, total) in self.support.iter_mut().enumerate() {
            let size = |query| support_size(weights.row(head, query)) as u64;
            let support: u64 = (0..n_queries).map(size).sum();
            *total += support;
            if n_legal > 0 {
                self.histogram.add(support as f64 / n_legal as f64);
            }
        }
        let union = |query| union_size(weights, query) as u64;
        self.union += (0..n_queries).map(union).sum::<u64>();
        self.legal += n_legal;
        self.n_queries += n_queries as u64;
        Ok(())
    }

    /// The density of each head, 0 to 1; empty before the first legal cell.
    pub fn heads(&self) -> Vec<f64> {
        self.support
            .iter()
            .filter_map(|&support| ratio(support, self.legal))
            .collect()
    }

    /// The share of legal cells that at least one head attends to; `None` before the first legal cell.
    pub fn union(&self) -> Option<f64> {
        ratio(self.union, self.legal)
    }

    /// The mean number of keys that each head attends to from a query; empty before the first query.
    pub fn support_sizes(&self) -> Vec<f64> {
        self.support
            .iter()
            .filter_map(|&support| ratio(support, self.n_queries))
            .collect()
    }

    /// The densities of single sequences, one value for each head and sequence, in [`DENSITY_BINS`]: here every
    /// sequence weighs the same, and short ones are denser. Those of layers are [merged](Histogram::merge).
    pub const fn histogram(&self) -> &Histogram {
        &self.histogram
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Two heads, two causal queries: three legal cells. The first attends to all, the second to itself.
        let values = [1.0, 0.0, 0.5, 0.5, 1.0, 0.0, 0.0, 1.0];
        let short = Weights::whole(&values, [2, 2, 2]).unwrap();
        assert_eq!(
            (support_size(short.row(0, 1)), union_size(&short, 1)),
            (2, 2)
        );
        let mut density = Density::new(2);
        assert_eq!(density.heads(), [0.0; 0]);
        assert_eq!(density.union(), None);
        density.add(&short, Legal::Causal).unwrap();
        assert_eq!(density.heads(), [1.0, 2.0 / 3.0]);
        assert_eq!(density.union(), Some(1.0));
        assert_eq!(density.support_sizes(), [1.5, 1.0]);

        // One query more, with two keys of memory, of which only the second head sees one.
        let one = Weights::whole(&[0.0, 0.0, 1.0, 0.5, 0.0, 0.5], [2, 1, 3]).unwrap();
        density.add(&one, Legal::Causal).unwrap();
        assert_eq!(density.heads(), [4.0 / 6.0, 4.0 / 6.0]);
        assert_eq!(density.union(), Some(5.0 / 6.0));
        assert_eq!(density.support_sizes(), [4.0 / 3.0, 4.0 / 3.0]);
        // 1, 2/3, 1/3, 2/3: the last bin is closed, and 2/3 is the lower edge of bin 10.
        let mut expected = [0; 15];
        (expected[14], expected[10], expected[5]) = (1, 2, 1);
        assert_eq!(density.histogram().counts, expected);
    }

    #[test]
    fn weights_that_do_not_fit_are_refused_and_change_nothing() {
        let values = [0.5; 4];
        let weights = Weights::whole(&values, [1, 2, 2]).unwrap();
        let mut density = Density::new(1);
        assert!(density.add(&weights, Legal::Causal).is_err());
        assert!(Density::new(2).add(&weights, Legal::All).is_err());
        assert_eq!(density, Density::new(1));
    }
}
