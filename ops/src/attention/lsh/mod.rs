//! LSH attention: queries that are keys too read the keys that hash near them.

mod chunked;
mod hash;
mod options;
mod places;
mod reference;

use burn::tensor::{Bool, DType, Tensor};

pub use hash::{lsh_buckets, lsh_columns};
pub use options::LshOptions;

use super::calls;
use super::error::AttentionError;
use super::implementation::Implementation;
use super::linear::features::of_length_one;
use super::options::AttentionOutput;
use places::Places;

/// `softmax(scale · q_i·k_j/‖k_j‖)·v` over the keys j ≠ i of a set P_i, and v_i where nothing else is visible.
///
/// Query i stands at the place of key `i + seq_kv − seq_q`, which it does not read. Without
/// [`LshOptions::buckets`], P_i has every place. With them, in each round of hashing places are sorted by
/// bucket, then by position, and cut into chunks of [`LshOptions::chunk`]; P_i^{(r)} is i's own chunk and the
/// one before it. With the contexts o and log-sum-exps z of the rounds,
/// `context_i = Σ_r exp(z_i^{(r)} − log Σ_{r'} exp z_i^{(r')}) o_i^{(r)}`. Scores are lowered by the logarithm of the number of
/// rounds that find the pair, which makes it one softmax over ∪_r P_i^{(r)}, unless
/// [`LshOptions::duplicates`].
///
/// Masks hide pairs in every round; padding is sorted behind everything else, so that it moves nothing
/// but what [`LshOptions::wrap`] lets first chunks read. Under a causal
/// mask no query reads a later key; *which* earlier ones it reads does depend on the buckets of later ones,
/// because chunks end where the sorting of all puts them. Only softmax can be combined over rounds: other row normalisers are not
/// defined here.
///
/// `reference` holds all scores; `auto` and `fused` hold those of the chunks: `rounds · seq_kv · 2 · chunk`. Weights
/// are given by the reference. Half types are computed in f32.
///
/// # Shapes
/// - query: `[batch, n_heads, seq_q, d_head]`, `seq_q ≤ seq_kv`; key: `[batch, n_heads, seq_kv, d_head]`, of any length
/// - value: `[batch, n_heads, seq_kv, d_value]`
/// - context: `[batch, n_heads, seq_q, d_value]`
/// - weights, if asked for: `[batch, n_heads, seq_q, seq_kv]`
///
/// # Errors
/// A shape that does not fit the others, named with what was expected; more queries than keys; chunks of no key;
/// weights of an implementation that does not hold them; so many buckets of so long a sequence that the device's whole numbers
/// cannot sort them.
///
/// # Source
/// Kitaev, Kaiser, Levskaya 2020, "Reformer: The Efficient Transformer", section 2; `LSHSelfAttention` of google/trax
/// and huggingface/transformers, which wrap around and do not correct duplicates, and give a query's own key −1e5 in place of
/// hiding it.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use sparta_ops::attention::lsh::{LshOptions, lsh_attention, lsh_buckets};
/// let device = Device::flex();
/// let x = Tensor::<4>::random([1, 2, 40, 8], Distribution::Default, &device);
/// let rotations = Tensor::<4>::random([2, 4, 8, 5], Distribution::Normal(0.0, 1.0), &device); // 4 rounds
/// let buckets = lsh_buckets(x.clone(), rotations, Some(8), None); // 2·40/8 = 10 buckets
/// let options = LshOptions::new(8).buckets(buckets).causal();
/// let output = lsh_attention(x.clone(), x.clone(), x, options).unwrap();
/// assert_eq!(output.context.dims(), [1, 2, 40, 8]);
/// ```
pub fn lsh_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    options: LshOptions,
) -> Result<AttentionOutput, AttentionError> {
    options.check(query.dims(), key.dims(), value.dims())?;
    let [batch, n_heads, seq_q, _] = query.dims();
    let seq_kv = key.dims()[2];
    let dtype = value.dtype();
    let wide = match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    };
    if [batch, n_heads, seq_q].contains(&0) {
        return Ok(nothing([batch, n_heads, seq_q, seq_kv], &value, &options));
    }
    let query = query.cast(wide).mul_scalar(options.scale);
    let key = of_length_one(key.cast(wide));
    let value = value.cast(wide);
    let places = (options.buckets.clone()).map(|buckets| {
        let padding = options.key_padding.as_ref();
        Places::new(buckets, padding, options.chunk)
    });
    let places = places.transpose()?;
    let holds_all = options.return_weights || options.implementation == Implementation::Reference;
    let (context, weights, implementation) = match places {
        Some(places) if !holds_all => {
            let context = chunked::attend(query, key, value, &places, &options);
            (context, None, Implementation::Fused)
        }
        places => {
            let (context, weights) =
                reference::attend(query, key, value, places.as_ref(), &options);
            (context, Some(weights), Implementation::Reference)
        }
    };
    calls::count(implementation);
    Ok(AttentionOutput {
        context: context.cast(dtype),
        weights: weights
            .filter(|_| options.return_weights)
            .map(|weights| weights.cast(dtype)),
        implementation,
    })
}

/// What no query reads.
fn nothing(
    [batch, n_heads, seq_q, seq_kv]: [usize; 4],
    value: &Tensor<4>,
    options: &LshOptions,
) -> AttentionOutput {
    let (device, dtype) = (value.device(), value.dtype());
    let none = |width| Tensor::zeros([batch, n_heads, seq_q, width], (&device, dtype));
    let implementation = Implementation::Reference;
    calls::count(implementation);
    AttentionOutput {
        context: none(value.dims()[3]),
        weights: options.return_weights.then(|| none(seq_kv)),
        implementation,
    }
}

/// Where a query may read its own key, if nothing else is visible: `[batch or 1, n_heads or 1, seq_q, 1]`, or none for
/// everywhere.
fn own_key_hidden(
    options: &LshOptions,
    [batch, seq_q, seq_kv]: [usize; 3],
) -> Option<Tensor<4, Bool>> {
    let before = seq_kv - seq_q;
    let padding = options.key_padding.clone().map(|padding| {
        let own = padding.slice([0..batch, before..seq_kv]);
        own.reshape([batch, 1, seq_q, 1])
    });
    let masked = options.mask.clone().map(|mask| {
        let device = mask.device();
        let others = Tensor::<2, Bool>::diag_mask([seq_q, seq_kv], before as i64, &device);
        let own = mask.clone().bool_and(
            others
                .bool_not()
                .reshape([1, seq_q, seq_kv])
                .expand(mask.dims()),
        );
        own.any_dim(2).unsqueeze_dim::<4>(0)
    });
    match (padding, masked) {
        (Some(padding), Some(masked)) => Some(either(padding, masked)),
        (padding, masked) => padding.or(masked),
    }
}

/// Of masks that broadcast.
fn either(a: Tensor<4, Bool>, b: Tensor<4, Bool>) -> Tensor<4, Bool> {
    let (left, right) = (a.dims(), b.dims());
    let shape: [usize; 4] = std::array::from_fn(|d| left[d].max(right[d]));
    a.expand(shape).bool_or(b.expand(shape))
}
