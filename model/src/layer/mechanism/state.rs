//! What mechanisms that keep no keys remember of them.

use burn::prelude::*;
use sparta_ops::attention::linear::{LinearOutput, LinearState};
use sparta_ops::attention::linformer::SlotState;
use sparta_ops::attention::{AttentionError, AttentionOptions, AttentionOutput};

/// All that later queries need of the keys that a mechanism has read: of a size that does not grow with
/// them.
#[derive(Debug, Clone)]
pub enum MechanismState {
    /// Of linear attention.
    Sums(ShiftedSums),
    /// Of a memory of slots.
    Slots(SlotState),
}

/// The sums of linear attention.
#[derive(Debug, Clone)]
pub struct ShiftedSums {
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
        match self {
            Self::Sums(ShiftedSums { sums, shift }) => Self::Sums(ShiftedSums {
                sums: sums.select(index.clone()),
                shift: shift.select(0, index),
            }),
            Self::Slots(slots) => Self::Slots(slots.select(index)),
        }
    }

    /// What there is of each head in one row, without gradient, for a checkpoint: S, z and the shift, or the slots' keys
    /// and values and the position. [`super::Mechanism::unpack`] reads it back.
    ///
    /// # Shapes
    /// - output: `[batch, n_heads, n_features · (d_value + 1) + 1]`, or `[batch, n_heads, k · (d_head + d_value) + 1]`
    pub fn packed(self) -> Tensor<3> {
        let flat = |rows: Tensor<4>| {
            let [batch, n_heads, n, width] = rows.dims();
            rows.reshape([batch, n_heads, n * width])
        };
        let parts = match self {
            Self::Sums(ShiftedSums { sums, shift }) => {
                vec![flat(sums.sums), sums.normalizer, shift]
            }
            Self::Slots(slots) => {
                let [batch, n_heads, _, _] = slots.keys.dims();
                let position = slots.position.float().cast(slots.keys.dtype());
                let position = match [batch, n_heads].contains(&0) {
                    true => {
                        Tensor::zeros([batch, n_heads, 1], (&position.device(), position.dtype()))
                    }
                    false => position.reshape([batch, 1, 1]).expand([batch, n_heads, 1]),
                };
                vec![flat(slots.keys), flat(slots.values), position]
            }
        };
        Tensor::cat(parts, 2).detach()
    }

    /// The sums that were packed, for values of a size.
    ///
    /// # Panics
    /// If the rows are not those of such values.
    pub(super) fn unpacked_sums(packed: Tensor<3>, d_value: usize) -> Self {
        let [batch, n_heads, width] = packed.dims();
        let n_features = width.saturating_sub(1) / (d_value + 1);
        assert!(
            n_features * (d_value + 1) + 1 == width,
            "rows of {width} numbers are no state of heads of size {d_value}"
        );
        let part = |columns| packed.clone().slice([0..batch, 0..n_heads, columns]);
        let n_sums = n_features * d_value;
        Self::Sums(ShiftedSums {
            sums: LinearState {
                sums: part(0..n_sums).reshape([batch, n_heads, n_features, d_value]),
                normalizer: part(n_sums..width - 1),
            },
            shift: part(width - 1..width),
        })
    }

    /// The k slots that were packed, for values of a size.
    ///
    /// # Panics
    /// As [`Self::unpacked_sums`].
    pub(super) fn unpacked_slots(packed: Tensor<3>, k: usize, d_value: usize) -> Self {
        let [batch, n_heads, width] = packed.dims();
        let d_head = (width.saturating_sub(1) / k).saturating_sub(d_value);
        assert!(
            k * (d_head + d_value) + 1 == width && d_head > 0,
            "rows of {width} numbers are no state of {k} slots of heads of size {d_value}"
        );
        let part = |columns| packed.clone().slice([0..batch, 0..n_heads, columns]);
        let n_keys = k * d_head;
        let position = packed.clone().slice([0..batch, 0..1, width - 1..width]);
        Self::Slots(SlotState {
            keys: part(0..n_keys).reshape([batch, n_heads, k, d_head]),
            values: part(n_keys..width - 1).reshape([batch, n_heads, k, d_value]),
            position: position.reshape([batch]).int(),
        })
    }

    /// The sums of linear attention.
    ///
    /// # Panics
    /// If it is another mechanism's state.
    pub(super) fn into_sums(self) -> ShiftedSums {
        match self {
            Self::Sums(sums) => sums,
            Self::Slots(_) => panic!("the state is of slots, but this layer reads sums"),
        }
    }

    /// The slots.
    ///
    /// # Panics
    /// If it is another mechanism's state.
    pub(super) fn into_slots(self) -> SlotState {
        match self {
            Self::Slots(slots) => slots,
            Self::Sums(_) => panic!("the state is of sums, but this layer reads slots"),
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
            state: MechanismState::Sums(ShiftedSums {
                sums: found.state,
                shift,
            }),
        }
    }
}

/// The padding keys that options name, for a mechanism that has no score of each key.
///
/// # Panics
/// If the options say more about scores: a bias, or packed sequences.
pub(super) fn key_padding(mut options: AttentionOptions, seq_kv: usize) -> Option<Tensor<2, Bool>> {
    assert!(
        options.bias.is_none() && options.packing.is_none() && options.span.is_none(),
        "this attention mechanism has no scores that a bias could be added to or a span limit, and packs no sequences: \
         leave `bias`, `span` and `packing` out, or take a dot-product mechanism"
    );
    if seq_kv == 0 {
        return None;
    }
    options.fold_lengths(seq_kv);
    options.key_padding
}
