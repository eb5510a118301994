//! Attention to k projected keys in place of every key, and its causal form, a memory of k slots.

mod slots;

use burn::tensor::Tensor;

use super::error::{AttentionError, expect};
use super::{AttentionOptions, AttentionOutput, try_sparse_attention, wide, without_hidden};

pub use slots::{SlotOptions, SlotOutput, SlotState, slot_attention};

/// How n keys and values become k: E and F, a column for each position. One matrix may serve all heads, and the
/// same be given twice.
#[derive(Clone, Debug)]
pub struct Projections {
    /// E, `[n_heads or 1, k, n_positions]`.
    pub key: Tensor<3>,
    /// F, `[n_heads or 1, k, n_positions]`.
    pub value: Tensor<3>,
}

impl Projections {
    /// k.
    pub fn rank(&self) -> usize {
        self.key.dims()[1]
    }

    /// The most keys that have a column.
    pub fn n_positions(&self) -> usize {
        self.key.dims()[2]
    }

    fn check(&self, n_heads: usize) -> Result<(), AttentionError> {
        let [_, k, n] = self.key.dims();
        for (name, found) in [
            ("projections.key", self.key.dims()),
            ("projections.value", self.value.dims()),
        ] {
            let heads = if found[0] == 1 { 1 } else { n_heads };
            expect(name, &found, &[heads, k, n])?;
        }
        Ok(())
    }
}

/// `context = π(scale·Q(E K)ᵀ)(F V)`: the first n columns of E and F for n keys, a hidden key being a row of zeros
/// of K and V.
///
/// Padding behind a sequence changes nothing. It is not what hiding a key of softmax attention is: a projected key
/// that is made of padding alone has the score 0 and takes its weight. A query without a key gets a zero
/// context and no gradient. A later key is part of every projected one, so that this cannot be causal;
/// [`slot_attention`] is the form that can.
///
/// Of the options, normaliser, padding, scale, dropout (of the weights on projected keys) and implementation are
/// obeyed. Half types are computed in f32.
///
/// # Shapes
/// - query: `[batch, n_heads, seq_q, d_head]`
/// - key: `[batch, n_heads, seq_kv, d_head]`, value: `[batch, n_heads, seq_kv, d_value]`
/// - context: `[batch, n_heads, seq_q, d_value]`
///
/// # Errors
/// A shape that does not fit the others; more keys than columns; an option that needs a score of each query and key;
/// those of [`super::try_sparse_attention`].
///
/// # Source
/// Wang et al. 2020, "Linformer: Self-Attention with Linear Complexity", section 4.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use sparta_ops::attention::AttentionOptions;
/// use sparta_ops::attention::linformer::{Projections, linformer_attention};
/// let device = Device::flex();
/// let x = Tensor::<4>::random([2, 4, 7, 8], Distribution::Default, &device);
/// let drawn = || Tensor::<3>::random([1, 3, 16], Distribution::Normal(0.0, 0.6), &device);
/// let projections = Projections { key: drawn(), value: drawn() };
/// let output = linformer_attention(x.clone(), x.clone(), x, &projections, AttentionOptions::default());
/// assert_eq!(output.unwrap().context.dims(), [2, 4, 7, 8]);
/// ```
pub fn linformer_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    projections: &Projections,
    mut options: AttentionOptions,
) -> Result<AttentionOutput, AttentionError> {
    options.refuse_cells("Linformer")?;
    options.check(query.dims(), key.dims(), value.dims())?;
    let [batch, n_heads, n_keys, d_head] = key.dims();
    expect(
        "key",
        &key.dims(),
        &[batch, query.dims()[1], n_keys, d_head],
    )?;
    projections.check(n_heads)?;
    let n_positions = projections.n_positions();
    if n_keys > n_positions {
        return Err(AttentionError::Positions {
            n_keys,
            n_positions,
        });
    }
    options.fold_lengths(n_keys);
    let padding = options.key_padding.take();
    let dtype = query.dtype();
    let projected = |projection: &Tensor<3>, rows: Tensor<4>| {
        let rows = rows.cast(wide(dtype));
        // No key is none projected.
        if [batch, n_keys].contains(&0) {
            return rows;
        }
        let [heads, k, _] = projection.dims();
        let columns = projection.clone().slice([0..heads, 0..k, 0..n_keys]);
        let columns: Tensor<4> = columns.cast(wide(dtype)).unsqueeze_dim(0);
        columns.matmul(without_hidden(rows, padding.as_ref()))
    };
    let key = projected(&projections.key, key);
    let value = projected(&projections.value, value);
    let output = try_sparse_attention(query.cast(wide(dtype)), key, value, options)?;
    Ok(AttentionOutput {
        context: output.context.cast(dtype),
        ..output
    })
}
