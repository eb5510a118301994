//! What mechanisms that keep no keys remember of them.

use burn::prelude::*;
use sparta_ops::attention::linear::{LinearOutput, LinearState};
use sparta_ops::attention::{AttentionError, AttentionOptions, AttentionOutput};

/// All that later queries need of the keys that a linear mechanism has read: of a size that does not grow
/// with them.
#[derive(Debug, Clone)]
pub struct MechanismState {
    /// S and z, divided by `exp(shift)`.
    pub sums: LinearState,
    /// The logarithm of what S and z are divided by, `[batch, n_heads, 1]`.
    pub shift: Tensor<3>,
}

/// What a mechanism gives that goes on from a state.
#[derive(Debug, Clone)]
pub struct Continued {
    /// As without a state.
    pub output: AttentionOutput,
    /// The state after the last key.
    pub state: MechanismState,
}

impl MechanismState {
    /// The rows of the batch at `index`, in that order.
    pub fn select(self, index: Tensor<1, Int>) -> Self {
        Self {
            sums: self.sums.select(index.clone()),
            shift: self.shift.select(0, index),
        }
    }

    /// S, z and the shift of each head in one row, without gradient: what a checkpoint holds.
    ///
    /// # Shapes
    /// - output: `[batch, n_heads, n_features · (d_value + 1) + 1]`
    pub fn packed(self) -> Tensor<3> {
        let Self { sums, shift } = self;
        let [batch, n_heads, n_features, d_value] = sums.sums.dims();
        let flat = sums.sums.reshape([batch, n_heads, n_features * d_value]);
        Tensor::cat(vec![flat, sums.normalizer, shift], 2).detach()
    }

    /// The state that was packed, for values of a size.
    ///
    /// # Panics
    /// If the rows are not those of such values.
    pub fn unpacked(packed: Tensor<3>, d_value: usize) -> Self {
        let [batch, n_heads, width] = packed.dims();
        let n_features = width.saturating_sub(1) / (d_value + 1);
        assert!(
            n_features * (d_value + 1) + 1 == width,
            "rows of {width} numbers are no state of heads of size {d_value}"
        );
        let part = |columns| packed.clone().slice([0..batch, 0..n_heads, columns]);
        let n_sums = n_features * d_value;
        Self {
            sums: LinearState {
                sums: part(0..n_sums).reshape([batch, n_heads, n_features, d_value]),
                normalizer: part(n_sums..width - 1),
            },
            shift: part(width - 1..width),
        }
    }
}

impl Continued {
    /// What linear attention gave for sums divided by `exp(shift)`.
    ///
    /// # Panics
    /// With the message of the error.
    pub(super) fn of(found: Result<LinearOutput, AttentionError>, shift: Tensor<3>) -> Self {
        let found = found.unwrap_or_else(|error| panic!("linear attention: {error}"));
        Self {
            output: AttentionOutput {
                context: found.context,
                weights: None,
                implementation: found.implementation,
            },
            state: MechanismState {
                sums: found.state,
                shift,
            },
        }
    }
}

/// The padding keys that options name, for a mechanism that has no scores.
///
/// # Panics
/// If the options say more about scores: a bias, or packed sequences.
pub(super) fn linear_padding(
    mut options: AttentionOptions,
    seq_kv: usize,
) -> Option<Tensor<2, Bool>> {
    assert!(
        options.bias.is_none() && options.packing.is_none() && options.span.is_none(),
        "linear attention has no scores that a bias could be added to or a span limit, and packs no sequences: \
         leave `bias`, `span` and `packing` out, or take a dot-product mechanism"
    );
    options.fold_lengths(seq_kv);
    options.key_padding
}
