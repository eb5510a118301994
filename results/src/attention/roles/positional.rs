//! Positional heads: those that attend to a neighbour.

use super::HeadMeans;
use crate::Result;
use crate::attention::{Legal, Weights};

/// The confidence above which a head counts as positional. The paper prints none; its positional heads have
/// medians of 93.5 % to 95.9 %, and Voita et al. 2019 (arXiv 1905.09418) call a head positional that puts its
/// largest weight on one relative position at least 90 % of the time.
pub const POSITIONAL_BAR: f64 = 0.9;

/// The positional confidence of a head in one sequence: the mean of A\[t, t+o\] over the tokens t whose neighbour
/// t+o is in the sequence and legal. `None` where there is no such token.
///
/// For self-attention; with keys of memory in front, a neighbour may be one of them.
///
/// # Errors
/// [`ResultsError::Attention`](crate::ResultsError::Attention) where there are fewer keys than queries.
pub fn positional_confidence(
    weights: &Weights,
    head: usize,
    offset: i64,
    legal: Legal,
) -> Result<Option<f64>> {
    let tokens = tokens(weights, offset, legal)?;
    let weight = |&(query, key): &(usize, usize)| f64::from(weights.row(head, query)[key]);
    let sum: f64 = tokens.iter().map(weight).sum();
    Ok((!tokens.is_empty()).then(|| sum / tokens.len() as f64))
}

/// (query, key) of each token with a neighbour.
fn tokens(weights: &Weights, offset: i64, legal: Legal) -> Result<Vec<(usize, usize)>> {
    let memory = weights.memory()?;
    let (n_queries, n_keys) = (weights.n_queries(), weights.n_keys());
    let pair = |query: usize| {
        let key = i64::try_from(memory + query).ok()?.checked_add(offset)?;
        let key = usize::try_from(key).ok()?;
        (key < legal.keys(query, n_queries, n_keys)).then_some((query, key))
    };
    Ok((0..n_queries).filter_map(pair).collect())
}

/// The positional confidence of each head of a layer over a corpus, averaged over tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Positional {
    offset: i64,
    heads: HeadMeans,
}

impl Positional {
    /// For the neighbour at `offset` (−1: the token before), before the first sequence.
    pub fn new(n_heads: usize, offset: i64) -> Self {
        Self {
            offset,
            heads: HeadMeans::new(n_heads),
        }
    }

    /// Adds the tokens of a sequence.
    ///
    /// # Errors
    /// As [`positional_confidence`], and for weights of another number of heads.
    pub fn add(&mut self, weights: &Weights, legal: Legal) -> Result<()> {
        weights.check_heads(self.heads.n_heads())?;
        let n_tokens = tokens(weights, self.offset, legal)?.len();
        let of = |head| positional_confidence(weights, head, self.offset, legal);
        self.heads.add(n_tokens, of)
    }

    /// The offset of the neighbour.
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// The confidence of each head, 0 to 1; empty where no token had such a neighbour.
    pub fn heads(&self) -> Vec<f64> {
        self.heads.means()
    }

    /// How many tokens had such a neighbour.
    pub const fn n_tokens(&self) -> u64 {
        self.heads.n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two heads of three tokens: the first looks back, the second half to itself and half ahead.
    const VALUES: [f32; 18] = [
        1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, //
        0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 1.0,
    ];

    #[test]
    fn by_hand() {
        let weights = Weights::whole(&VALUES, [2, 3, 3]).unwrap();
        let of = |head, offset| positional_confidence(&weights, head, offset, Legal::All).unwrap();
        assert_eq!([of(0, -1), of(1, -1)], [Some(1.0), Some(0.0)]);
        assert_eq!([of(0, 1), of(1, 1)], [Some(0.0), Some(0.5)]);
        assert_eq!(of(1, 0), Some(2.0 / 3.0));
        assert_eq!([of(0, 3), of(0, i64::MIN), of(0, i64::MAX)], [None; 3]);
    }

    #[test]
    fn memory_is_in_front_and_the_future_is_not_legal() {
        let values = [0.0, 1.0, 0.0, 0.0, 0.0, 0.25, 0.75, 0.0];
        let weights = Weights::whole(&values, [1, 2, 4]).unwrap();
        let of = |offset| positional_confidence(&weights, 0, offset, Legal::Causal).unwrap();
        assert_eq!(of(-1), Some((1.0 + 0.75) / 2.0));
        assert_eq!(of(-2), Some(0.125));
        assert_eq!(of(1), None);
        let narrow = Weights::whole(&[1.0; 2], [1, 2, 1]).unwrap();
        assert!(positional_confidence(&narrow, 0, -1, Legal::All).is_err());
    }

    #[test]
    fn a_corpus_is_averaged_over_tokens() {
        let mut positional = Positional::new(2, -1);
        assert_eq!(positional.heads(), [0.0; 0]);
        positional
            .add(&Weights::whole(&VALUES, [2, 3, 3]).unwrap(), Legal::All)
            .unwrap();
        let short = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.5, 0.5];
        positional
            .add(&Weights::whole(&short, [2, 2, 2]).unwrap(), Legal::All)
            .unwrap();
        assert_eq!(positional.heads(), [2.0 / 3.0, 0.5 / 3.0]);
        assert_eq!((positional.n_tokens(), positional.offset()), (3, -1));
    }
}
