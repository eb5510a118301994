//! The errors of asking wrongly.

use crate::entmax::EntmaxError;

/// What is wrong with the arguments of attention.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AttentionError {
    /// A tensor does not fit the query's and key's shapes.
    #[error("{argument} has shape {found:?}; this query and key need {expected:?}")]
    Shape {
        /// The argument's name.
        argument: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// What fits.
        expected: Vec<usize>,
    },
    /// A λ for which the row normaliser is not defined.
    #[error(transparent)]
    Normalizer(#[from] EntmaxError),
    /// Dropout outside [0, 1).
    #[error("dropout = {0}: it is a probability in [0, 1)")]
    Dropout(f64),
    /// Heads that cannot share keys evenly.
    #[error("key has {n_kv_heads} heads and query {n_heads}: the keys' must divide the queries'")]
    Groups {
        /// Heads of the query.
        n_heads: usize,
        /// Heads of the key.
        n_kv_heads: usize,
    },
    /// Packed lengths that do not make up the tensors.
    #[error(
        "packing holds {n_sequences} sequences of {queries} queries and {keys} keys in all; the tensors have \
         batch {batch} (packed sequences need 1), {seq_q} queries and {seq_kv} keys"
    )]
    Packing {
        /// Packed sequences.
        n_sequences: usize,
        /// Sum of their queries.
        queries: usize,
        /// Sum of their keys.
        keys: usize,
        /// What the query has.
        batch: usize,
        /// What the query has.
        seq_q: usize,
        /// What the key has.
        seq_kv: usize,
    },
    /// As many lengths of queries as of keys make packed sequences.
    #[error(
        "packing has {queries} lengths of queries and {keys} of keys: give both for each sequence"
    )]
    PackedPairs {
        /// Lengths of queries.
        queries: usize,
        /// Lengths of keys.
        keys: usize,
    },
    /// A term by distance for packed sequences.
    #[error(
        "packed sequences have no common distances: give each its own row of the batch, or drop the relative term"
    )]
    PackedDistances,
    /// A ramp that does not fall.
    #[error("span.ramp = {0}: the keys over which weights fall to 0 are more than 0, and finite")]
    Ramp(f64),
    /// Distances of packed sequences.
    #[error(
        "packed sequences have no common distances: give each its own row of the batch, or drop the span"
    )]
    PackedSpan,
    /// A block size that kernels do not have.
    #[error("blocks of {0}: block masks have blocks of 16, 32, 64 or 128")]
    BlockSize(usize),
    /// A name that is none.
    #[error("there is no attention {0:?}: choose auto, reference or fused")]
    Implementation(String),
    /// Weights of an implementation that never holds them.
    #[error(
        "fused attention never holds the weights that return_weights asks for: ask for the implementation \
         auto or reference, or drop return_weights"
    )]
    FusedWeights,
    /// No kernels here.
    #[error(
        "there are no kernels of fused attention on {device}: ask for the implementation auto or reference"
    )]
    NoKernels {
        /// The device.
        device: String,
    },
    /// Kernels, but none for this request.
    #[error(
        "fused attention has no kernel on {device} for {request}: ask for the implementation auto or reference"
    )]
    NoKernelFor {
        /// The part of the request that is not served.
        request: String,
        /// The device.
        device: String,
    },
    /// Chunks of no key.
    #[error("chunk = 0: a chunk has at least one key")]
    NoChunk,
    /// An option that a mechanism without a score of each query and key has no place for.
    #[error(
        "{mechanism} attention has no score of each query and key that {request} could change: leave it out, or \
         take sparse_attention"
    )]
    Unserved {
        /// The mechanism.
        mechanism: &'static str,
        /// The option.
        request: &'static str,
    },
    /// More keys than there are columns of a projection.
    #[error(
        "{n_keys} keys, but the projections have columns for {n_positions}: make them for the longest sequence"
    )]
    Positions {
        /// Keys.
        n_keys: usize,
        /// Columns.
        n_positions: usize,
    },
    /// Attention by landmarks without any.
    #[error("landmarks = 0: Nyström attention needs at least one")]
    NoLandmarks,
    /// A convolution that has no middle.
    #[error(
        "a convolution over {0} positions: their number must be odd, so that one is in the middle"
    )]
    EvenConvolution(usize),
    /// More queries than keys where each query is a key.
    #[error(
        "query has {seq_q} places and key {seq_kv}: in LSH attention each query stands at the place of a key, the last \
         query at the last one"
    )]
    NotShared {
        /// Places of the query.
        seq_q: usize,
        /// Places of the key.
        seq_kv: usize,
    },
    /// Sorting by numbers that the device has not.
    #[error(
        "{n} places in {n_buckets} buckets: LSH attention sorts by bucket · places + place, and this device's whole numbers \
         end at 2,147,483,647: take fewer buckets, as larger chunks have"
    )]
    Buckets {
        /// The largest bucket, and one.
        n_buckets: i64,
        /// Places of the key.
        n: usize,
    },
    /// Heads of width zero have no scores.
    #[error("query has shape {0:?}, [batch, n_heads, seq_q, d_head]: d_head must be at least 1")]
    NoWidth(Vec<usize>),
}

pub(super) fn expect(
    argument: &'static str,
    found: &[usize],
    expected: &[usize],
) -> Result<(), AttentionError> {
    match found == expected {
        true => Ok(()),
        false => Err(AttentionError::Shape {
            argument,
            found: found.to_vec(),
            expected: expected.to_vec(),
        }),
    }
}
