//! Several sequences in one row of the batch, and which keys a query can see by its place.

use std::ops::Range;
use std::sync::Arc;

use super::error::AttentionError;

/// Sequences one behind the other in `seq_q` and `seq_kv`: query and key lengths of each.
///
/// A query sees the keys of its own sequence; a causal mask is aligned bottom right in each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packing {
    queries: Arc<[usize]>,
    keys: Arc<[usize]>,
}

impl Packing {
    /// Packed sequences with these numbers of queries and of keys.
    ///
    /// # Errors
    /// [`AttentionError::PackedPairs`] where they are not as many.
    pub fn new(queries: &[usize], keys: &[usize]) -> Result<Self, AttentionError> {
        match queries.len() == keys.len() {
            true => Ok(Self {
                queries: queries.into(),
                keys: keys.into(),
            }),
            false => Err(AttentionError::PackedPairs {
                queries: queries.len(),
                keys: keys.len(),
            }),
        }
    }

    pub(super) fn check(
        &self,
        batch: usize,
        seq_q: usize,
        seq_kv: usize,
    ) -> Result<(), AttentionError> {
        let (queries, keys) = (self.queries.iter().sum(), self.keys.iter().sum());
        match (batch, queries, keys) == (1, seq_q, seq_kv) {
            true => Ok(()),
            false => Err(AttentionError::Packing {
                n_sequences: self.queries.len(),
                queries,
                keys,
                batch,
                seq_q,
                seq_kv,
            }),
        }
    }

    /// For each sequence, where its queries and keys are.
    fn sequences(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + '_ {
        let mut end = (0, 0);
        self.queries
            .iter()
            .zip(self.keys.iter())
            .map(move |(&q, &k)| {
                let start = end;
                end = (start.0 + q, start.1 + k);
                (start.0..end.0, start.1..end.1)
            })
    }
}

/// The keys that each query may see, before any mask: those of its sequence, and under a causal mask
/// those up to its own place.
pub(crate) fn visible_keys(
    seq_q: usize,
    seq_kv: usize,
    causal: bool,
    packing: Option<&Packing>,
) -> Vec<Range<usize>> {
    let mut visible = Vec::with_capacity(seq_q);
    let mut add = |queries: Range<usize>, keys: Range<usize>| {
        for i in 0..queries.len() {
            let n = match causal {
                true => (i + 1 + keys.len()).saturating_sub(queries.len()),
                false => keys.len(),
            };
            visible.push(keys.start..keys.start + n);
        }
    };
    match packing {
        None => add(0..seq_q, 0..seq_kv),
        Some(packing) => packing.sequences().for_each(|(q, k)| add(q, k)),
    }
    visible
}

/// [`visible_keys`] as cells, `seq_q × seq_kv` row by row, `true` = hidden.
pub(crate) fn hidden_cells(visible: &[Range<usize>], seq_kv: usize) -> Vec<bool> {
    let row = |keys: &Range<usize>| (0..seq_kv).map(|j| !keys.contains(&j)).collect::<Vec<_>>();
    visible.iter().flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_causal_mask_is_aligned_bottom_right_in_every_sequence() {
        let packing = Packing::new(&[2, 0, 3], &[3, 1, 2]).unwrap();
        let visible = visible_keys(5, 6, true, Some(&packing));
        assert_eq!(visible, [0..2, 0..3, 4..4, 4..5, 4..6]);
        assert_eq!(visible_keys(2, 4, true, None), [0..3, 0..4]);
        let hidden = hidden_cells(
            &visible_keys(3, 3, false, Some(&Packing::new(&[2, 1], &[1, 2]).unwrap()))[2..],
            3,
        );
        assert_eq!(hidden, [true, false, false]);
    }

    #[test]
    fn lengths_must_make_up_the_tensors() {
        let packing = Packing::new(&[2, 3], &[2, 3]).unwrap();
        assert!(packing.check(1, 5, 5).is_ok());
        let error = packing.check(2, 5, 6).unwrap_err().to_string();
        assert!(error.contains("5 queries and 5 keys in all"), "{error}");
        assert!(Packing::new(&[1], &[]).is_err());
    }
}
