//! Floating point operations of a training step, counted from shapes, beside what the machine can do.

use std::fmt::{self, Display, Formatter};

use sparta_experiments::recipe::lm::ModelRecipe;

use crate::report::{Row, median};

/// Operations of a token, and rates in 10⁹ a second.
pub struct Arithmetic {
    pub flop_per_token: f64,
    /// Of matrix products of 1024 × 1024 in f32.
    pub matmul: f64,
    pub ours: f64,
    pub theirs: f64,
}

impl Arithmetic {
    pub fn new(flop_per_token: f64, matmul: f64, row: &Row) -> Self {
        let of = |rates: &[f64]| median(rates) * flop_per_token / 1e9;
        Self {
            flop_per_token,
            matmul,
            ours: of(&row.ours),
            theirs: of(&row.theirs),
        }
    }
}

impl Display for Arithmetic {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            flop_per_token,
            matmul,
            ours,
            theirs,
        } = self;
        write!(
            f,
            "{:.2} MFLOP a token; of {matmul:.0} GFLOP/s (torch, 1024 x 1024) ours reaches {ours:.0} \
             ({:.0} %), PyTorch eager {theirs:.0} ({:.0} %)",
            flop_per_token / 1e6,
            100.0 * ours / matmul,
            100.0 * theirs / matmul,
        )
    }
}

/// Operations of a training step of a Transformer-XL with a full memory, a token: matrix products alone, two operations a
/// product and sum, causally hidden cells left out. The way back has two products for each of the way there; of those that
/// read the memory or distances it needs no gradient there.
pub fn transformer_xl(model: &ModelRecipe, vocab_size: usize, batch_size: usize) -> f64 {
    let [d_model, d_ff, queries, memory] =
        [model.d_model, model.d_ff, model.tgt_len, model.mem_len].map(|n| n as f64);
    let (width, keys) = ((model.n_heads * model.d_head) as f64, memory + queries);
    let map = 2.0 * d_model * width;
    // Of a sequence; three times with the way back.
    let query_and_output = 3.0 * queries * 2.0 * map;
    let key_and_value = 2.0 * map * (2.0 * keys + queries);
    // Once a batch.
    let distances = 2.0 * map * keys / batch_size as f64;
    let cells = queries * memory + queries * (queries + 1.0) / 2.0;
    // Content, distance, and weights times values.
    let attention = 3.0 * cells * 2.0 * width * 3.0;
    let feed_forward = 3.0 * queries * 2.0 * 2.0 * d_model * d_ff;
    let layer = query_and_output + key_and_value + distances + attention + feed_forward;
    let output = 3.0 * queries * 2.0 * d_model * vocab_size as f64;
    (model.n_layers as f64 * layer + output) / queries
}
