//! One layer's attention weights of one sequence, without its padding.

use std::ops::Range;

use crate::{Result, ResultsError};

/// The attention weights of one layer for one sequence of a batch, without its padding.
///
/// A view of `n_heads × n_queries × n_keys` weights: whole rows are slices of the batch's buffer, nothing is
/// copied.
///
/// ```
/// use sparta_results::attention::Weights;
///
/// # fn main() -> sparta_results::Result<()> {
/// // Two sequences, one head, three queries and keys; the second sequence has padding in front.
/// let mut batch = vec![0.0; 2 * 9];
/// batch[9 + 4] = 1.0;
/// batch[9 + 7] = 0.25;
/// batch[9 + 8] = 0.75;
/// let second = Weights::new(&batch, [2, 1, 3, 3], 1, 1..3, 1..3)?;
/// assert_eq!((second.row(0, 0), second.row(0, 1)), (&[1.0, 0.0][..], &[0.25, 0.75][..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// The sequence's part of the buffer, padding included.
    values: &'a [f32],
    n_heads: usize,
    /// From one head to the next, and from one query to the next.
    strides: [usize; 2],
    /// The first query and key that are not padding.
    first: [usize; 2],
    n_queries: usize,
    n_keys: usize,
}

impl<'a> Weights<'a> {
    /// The weights of sequence `index` of a batch, for the `queries` and `keys` that are not padding.
    ///
    /// Weight on keys that are cut is lost to the rows: cut what the network does not see.
    ///
    /// # Shapes
    /// `values`: `[batch, n_heads, seq_q, seq_kv]`, row by row.
    ///
    /// # Errors
    /// [`ResultsError::Attention`] if the buffer has another length than the shape, the sequence, its queries or
    /// its keys lie outside, nothing is left, or a weight is negative or not finite.
    pub fn new(
        values: &'a [f32],
        shape: [usize; 4],
        index: usize,
        queries: Range<usize>,
        keys: Range<usize>,
    ) -> Result<Self> {
        let [batch, n_heads, seq_q, seq_kv] = shape;
        let refuse = |problem: String| Err(ResultsError::Attention(problem));
        let len = shape.iter().try_fold(1_usize, |len, &n| len.checked_mul(n));
        if len != Some(values.len()) {
            let found = values.len();
            return refuse(format!(
                "shape {shape:?} was given for {found} values; give the shape they have"
            ));
        }
        if index >= batch {
            return refuse(format!(
                "sequence {index} was asked for in a batch of {batch}; they are counted from 0"
            ));
        }
        for (what, range, n) in [("queries", &queries, seq_q), ("keys", &keys, seq_kv)] {
            if range.start >= range.end || range.end > n {
                return refuse(format!(
                    "{what} {range:?} of {n} were given as those without padding; at least one must be left, and none \
                     outside"
                ));
            }
        }
        if n_heads == 0 {
            return refuse("there is no head; give the weights of at least one".to_string());
        }
        let len = n_heads * seq_q * seq_kv;
        let weights = Self {
            values: &values[index * len..(index + 1) * len],
            n_heads,
            strides: [seq_q * seq_kv, seq_kv],
            first: [queries.start, keys.start],
            n_queries: queries.len(),
            n_keys: keys.len(),
        };
        weights.check()?;
        Ok(weights)
    }

    /// The weights of one sequence without padding: `[n_heads, n_queries, n_keys]`, row by row.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn whole(values: &'a [f32], shape: [usize; 3]) -> Result<Self> {
        let [n_heads, n_queries, n_keys] = shape;
        let shape = [1, n_heads, n_queries, n_keys];
        Self::new(values, shape, 0, 0..n_queries, 0..n_keys)
    }

    fn check(&self) -> Result<()> {
        for head in 0..self.n_heads {
            for query in 0..self.n_queries {
                let bad = |&weight: &f32| !(weight >= 0.0 && weight.is_finite());
                if let Some(key) = self.row(head, query).iter().position(bad) {
                    let weight = self.row(head, query)[key];
                    return Err(ResultsError::Attention(format!(
                        "the weight of head {head} from query {query} to key {key} is {weight}; they are finite and not \
                         negative: give the weights, not the scores"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Number of heads.
    pub const fn n_heads(&self) -> usize {
        self.n_heads
    }

    /// Number of queries that are not padding.
    pub const fn n_queries(&self) -> usize {
        self.n_queries
    }

    /// Number of keys that are not padding.
    pub const fn n_keys(&self) -> usize {
        self.n_keys
    }

    /// The weights of one head and query over all keys that are not padding.
    ///
    /// # Panics
    /// If the head or the query does not exist, as an index of a slice does.
    pub fn row(&self, head: usize, query: usize) -> &'a [f32] {
        assert!(head < self.n_heads && query < self.n_queries);
        let [by_head, by_query] = self.strides;
        let [first_query, first_key] = self.first;
        let start = head * by_head + (first_query + query) * by_query + first_key;
        &self.values[start..start + self.n_keys]
    }

    /// The key that stands for the token of a query in self-attention: keys in front of it are memory.
    ///
    /// # Errors
    /// [`ResultsError::Attention`] where there are fewer keys than queries: that is no self-attention.
    pub(super) fn memory(&self) -> Result<usize> {
        self.n_keys.checked_sub(self.n_queries).ok_or_else(|| {
            let (queries, keys) = (self.n_queries, self.n_keys);
            ResultsError::Attention(format!(
                "{queries} queries see {keys} keys, and self-attention was asked for, where every query is a key too"
            ))
        })
    }

    /// Checks that an accumulator of `n_heads` heads can take these.
    pub(super) fn check_heads(&self, n_heads: usize) -> Result<()> {
        if self.n_heads == n_heads {
            return Ok(());
        }
        Err(ResultsError::Attention(format!(
            "sums over {n_heads} heads were given weights of {}; keep sums for each layer",
            self.n_heads
        )))
    }
}

/// Which keys a query may see at all. What a global mask hides, or a window, stays legal: it lowers the density.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Legal {
    /// All of them: encoders, and decoders' attention to the encoder.
    All,
    /// Those up to its own token, aligned bottom right: the last query sees all keys, the one before all but
    /// the last. The keys that exceed the number of queries are carried memory.
    Causal,
}

impl Legal {
    /// How many keys, counted from the first, the query sees.
    pub const fn keys(self, query: usize, n_queries: usize, n_keys: usize) -> usize {
        match self {
            Self::All => n_keys,
            Self::Causal => {
                let keys = (n_keys + query + 1).saturating_sub(n_queries);
                if keys < n_keys { keys } else { n_keys }
            }
        }
    }

    /// How many cells of one head of a sequence are legal: `n_queries · n_keys`, or where causal without memory
    /// `n (n + 1) / 2`.
    pub fn cells(self, n_queries: usize, n_keys: usize) -> u64 {
        (0..n_queries)
            .map(|query| self.keys(query, n_queries, n_keys) as u64)
            .sum()
    }

    /// Refuses weights on keys that their query may not see.
    pub(super) fn check(self, weights: &Weights) -> Result<()> {
        let (n_queries, n_keys) = (weights.n_queries(), weights.n_keys());
        for head in 0..weights.n_heads() {
            for query in 0..n_queries {
                let n_legal = self.keys(query, n_queries, n_keys);
                let beyond = &weights.row(head, query)[n_legal..];
                if let Some(key) = beyond.iter().position(|&weight| weight > 0.0) {
                    return Err(ResultsError::Attention(format!(
                        "head {head} attends from query {query} to key {}, where {self:?} allows the first {n_legal} of \
                         {n_keys}; correct which padding is cut, or what is legal",
                        n_legal + key
                    )));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_skip_padding_on_either_side() {
        let values: Vec<f32> = (0..2 * 2 * 3 * 4).map(|i| i as f32).collect();
        let weights = Weights::new(&values, [2, 2, 3, 4], 1, 1..3, 1..3).unwrap();
        assert_eq!(
            (weights.n_heads(), weights.n_queries(), weights.n_keys()),
            (2, 2, 2)
        );
        assert_eq!(weights.row(0, 0), [29.0, 30.0]);
        assert_eq!(weights.row(1, 1), [45.0, 46.0]);
    }

    #[test]
    fn every_contradiction_is_refused() {
        let values = [0.5; 8];
        let refused = |shape, index, queries, keys| {
            let error = Weights::new(&values, shape, index, queries, keys).unwrap_err();
            error.to_string()
        };
        let whole = [1, 2, 2, 2];
        for (message, part) in [
            (refused([1, 2, 2, 3], 0, 0..2, 0..2), "8 values"),
            (refused([usize::MAX, 2, 2, 2], 0, 0..2, 0..2), "8 values"),
            (refused(whole, 1, 0..2, 0..2), "batch of 1"),
            (refused(whole, 0, 0..3, 0..2), "queries 0..3 of 2"),
            (refused(whole, 0, 0..2, 2..2), "keys 2..2 of 2"),
        ] {
            assert!(message.contains(part), "{message}");
        }
        let error = Weights::new(&[], [1, 0, 1, 1], 0, 0..1, 0..1).unwrap_err();
        assert!(error.to_string().contains("no head"), "{error}");
        for bad in [-0.1, f32::NAN, f32::INFINITY] {
            let error = Weights::whole(&[0.5, bad], [1, 1, 2]).unwrap_err();
            assert!(error.to_string().contains("query 0 to key 1"), "{error}");
        }
        assert!(
            Weights::new(&[f32::NAN, 1.0], [1, 1, 1, 2], 0, 0..1, 1..2).is_ok(),
            "padding is not read"
        );
    }

    #[test]
    fn causal_is_aligned_bottom_right() {
        let keys = |n_queries, n_keys| -> Vec<usize> {
            let legal = Legal::Causal;
            (0..n_queries)
                .map(|query| legal.keys(query, n_queries, n_keys))
                .collect()
        };
        assert_eq!(keys(3, 3), [1, 2, 3]);
        assert_eq!(keys(3, 5), [3, 4, 5], "two keys of memory");
        assert_eq!(keys(3, 2), [0, 1, 2]);
        assert_eq!(Legal::All.keys(0, 3, 5), 5);
        assert_eq!(
            [Legal::All, Legal::Causal].map(|legal| legal.cells(4, 4)),
            [16, 10]
        );
        assert_eq!(Legal::Causal.cells(2, 5), 9);
    }

    #[test]
    fn weight_beyond_the_legal_keys_is_refused() {
        let weights = Weights::whole(&[0.5, 0.5, 0.5, 0.5], [1, 2, 2]).unwrap();
        assert!(Legal::All.check(&weights).is_ok());
        let error = Legal::Causal.check(&weights).unwrap_err().to_string();
        assert!(error.contains("from query 0 to key 1"), "{error}");
    }
}
