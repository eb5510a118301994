//! Attention by landmarks: the Nyström approximation of softmax attention.

mod segments;

use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use super::error::{AttentionError, expect};
use super::options::Normalizer;
use super::{AttentionOptions, AttentionOutput, try_sparse_attention, wide, without_hidden};
use segments::Segments;

/// What [`nystrom_attention`] is made of.
#[derive(Clone, Debug)]
pub struct NystromSettings {
    /// Number of landmarks m.
    pub landmarks: usize,
    /// Iterations of the pseudo-inverse.
    pub iterations: usize,
    /// A kernel over an odd number c of positions for each head, `[n_heads, c]`, that is convolved with the values.
    pub convolution: Option<Tensor<2>>,
}

/// `context = F̃ Z (B̃ V) + DConv(V)` with `F̃ = softmax(scale·Q K̃ᵀ)`, `B̃ = softmax(scale·Q̃ Kᵀ)` and Z near the
/// pseudo-inverse of `Ã = softmax(scale·Q̃ K̃ᵀ)` ([`pseudo_inverse`]), where the landmarks Q̃ and K̃ are the means
/// of m segments of queries and keys, and DConv convolves each head's values along positions with one
/// kernel.
///
/// Segment s of an example with ℓ visible positions has those from ⌊sℓ/m⌋ to ⌊(s+1)ℓ/m⌋ − 1 of them, so that padding,
/// on whichever side, changes nothing (public codes cut padding into segments too). An example with ℓ ≤ m has a landmark
/// for each position and gets softmax attention itself. Padding hides queries and keys alike: their rows are zero.
///
/// Of the options, padding, scale and implementation are obeyed. Half types are computed in f32.
///
/// # Shapes
/// - query, key: `[batch, n_heads, seq, d_head]`, of one sequence; value: `[batch, n_heads, seq, d_value]`
/// - context: `[batch, n_heads, seq, d_value]`
///
/// # Errors
/// A shape that does not fit the others; no landmark; a kernel over an even number of positions; an option that needs
/// a score of each query and key; those of [`super::try_sparse_attention`].
///
/// # Source
/// Xiong et al. 2021, "Nyströmformer: A Nyström-Based Algorithm for Approximating Self-Attention", sections 3 and 4;
/// mlpen/Nystromformer, whose first Z is of one scale for a whole batch: here it is of each matrix.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use sparta_ops::attention::AttentionOptions;
/// use sparta_ops::attention::nystrom::{NystromSettings, nystrom_attention};
/// let device = Device::flex();
/// let x = Tensor::<4>::random([2, 4, 30, 8], Distribution::Default, &device);
/// let settings = NystromSettings { landmarks: 5, iterations: 6, convolution: None };
/// let output = nystrom_attention(x.clone(), x.clone(), x, settings, AttentionOptions::default());
/// assert_eq!(output.unwrap().context.dims(), [2, 4, 30, 8]);
/// ```
pub fn nystrom_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    settings: NystromSettings,
    mut options: AttentionOptions,
) -> Result<AttentionOutput, AttentionError> {
    check(&settings, &options, query.dims())?;
    options.check(query.dims(), key.dims(), value.dims())?;
    expect("key", &key.dims(), &query.dims())?;
    let [batch, _, n, d_head] = query.dims();
    let is_empty = [batch, n].contains(&0);
    options.scale.get_or_insert((d_head as f64).powf(-0.5));
    options.fold_lengths(n);
    let padding = options.key_padding.clone();
    let dtype = query.dtype();
    let rows = |tensor: Tensor<4>| without_hidden(tensor.cast(wide(dtype)), padding.as_ref());
    let (query, key, value) = (rows(query), rows(key), rows(value));
    let convolution = settings.convolution.as_ref().filter(|_| !is_empty);
    let convolved = convolution.map(|kernel| {
        let kernel = kernel.clone().cast(wide(dtype));
        along_positions(value.clone(), kernel)
    });
    let output = match is_empty || n <= settings.landmarks {
        true => try_sparse_attention(query, key, value, options)?,
        false => approximate(query, key, value, &settings, options)?,
    };
    let context = match convolved {
        Some(convolved) => output.context + convolved,
        None => output.context,
    };
    Ok(AttentionOutput {
        context: without_hidden(context, padding.as_ref()).cast(dtype),
        ..output
    })
}

/// ‖Ã Z Ã − Ã‖/‖Ã‖ (Frobenius) of each example and head: how far Z is from a pseudo-inverse. It is 0 where there is a
/// landmark for each position.
///
/// # Shapes
/// - query, key: `[batch, n_heads, seq, d_head]`, padding: `[batch, seq]`; output: `[batch, n_heads]`
///
/// # Errors
/// As [`nystrom_attention`].
///
/// # Source
/// Xiong et al. 2021, section 3.2.
pub fn nystrom_residual(
    query: Tensor<4>,
    key: Tensor<4>,
    settings: &NystromSettings,
    mut options: AttentionOptions,
) -> Result<Tensor<2>, AttentionError> {
    check(settings, &options, query.dims())?;
    options.check(query.dims(), key.dims(), key.dims())?;
    expect("key", &key.dims(), &query.dims())?;
    let [batch, n_heads, n, d_head] = query.dims();
    let scale = options.scale.unwrap_or((d_head as f64).powf(-0.5));
    options.fold_lengths(n);
    let wide = wide(query.dtype());
    if batch == 0 || n <= settings.landmarks {
        return Ok(Tensor::zeros([batch, n_heads], (&query.device(), wide)));
    }
    let [query, key] = [query, key].map(|rows| rows.cast(wide));
    let segments = Segments::of(&query, settings.landmarks, options.key_padding.as_ref());
    let [query, key] = [query, key].map(|rows| segments.means(rows));
    let weights = segments.landmark_weights(query, key, scale);
    let inverse = pseudo_inverse(weights.clone(), settings.iterations);
    let again = weights.clone().matmul(inverse).matmul(weights.clone());
    let norm = |matrix: Tensor<4>| matrix.square().sum_dim(3).sum_dim(2).sqrt();
    let residual = norm(again - weights.clone()) / norm(weights);
    Ok(residual.reshape([batch, n_heads]))
}

/// Z near the pseudo-inverse of square matrices A: `Z ← ¼ Z(13I − AZ(15I − AZ(7I − AZ)))`, so many times, from
/// `Z₀ = Aᵀ/(‖A‖₁‖A‖∞)`, where ‖A‖₁ is the largest column sum of absolute values of that matrix and ‖A‖∞ the largest row
/// sum.
///
/// # Shapes
/// - A, Z: `[batch, n_heads, m, m]`
///
/// # Source
/// Xiong et al. 2021, section 3.2, lemma 1 (Razavi et al. 2014).
pub fn pseudo_inverse(matrix: Tensor<4>, iterations: usize) -> Tensor<4> {
    let [batch, n_heads, m, _] = matrix.dims();
    let absolute = matrix.clone().abs();
    let columns = absolute.clone().sum_dim(2).max_dim(3);
    let rows = absolute.sum_dim(3).max_dim(2);
    let eye = eye(&matrix);
    let eye = |factor: f64| {
        eye.clone()
            .mul_scalar(factor)
            .expand([batch, n_heads, m, m])
    };
    let first = matrix.clone().swap_dims(2, 3) / (columns * rows);
    (0..iterations).fold(first, |inverse, _| {
        let product = matrix.clone().matmul(inverse.clone());
        let inner = product.clone().matmul(eye(7.0) - product.clone());
        let inner = product.matmul(eye(15.0) - inner);
        inverse.matmul(eye(13.0) - inner).mul_scalar(0.25)
    })
}

/// I of a matrix's size, type and device, `[1, 1, m, m]`.
fn eye(matrix: &Tensor<4>) -> Tensor<4> {
    let m = matrix.dims()[3];
    let eye = Tensor::<2>::eye(m, &matrix.device()).cast(matrix.dtype());
    eye.reshape([1, 1, m, m])
}

/// The attention of sequences longer than there are landmarks, padded rows being zero.
fn approximate(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    settings: &NystromSettings,
    options: AttentionOptions,
) -> Result<AttentionOutput, AttentionError> {
    let padding = options.key_padding.as_ref();
    let segments = Segments::of(&query, settings.landmarks, padding);
    let scale = options.scale.unwrap_or(1.0);
    let landmark_queries = segments.means(query.clone());
    let landmark_keys = segments.means(key.clone());
    let weights = segments.landmark_weights(landmark_queries.clone(), landmark_keys.clone(), scale);
    let inverse = pseudo_inverse(weights, settings.iterations);
    let read = try_sparse_attention(landmark_queries, key, value.clone(), options.clone())?;
    let read = segments.or_means(read.context, value);
    let options = AttentionOptions {
        key_padding: segments.empty(),
        ..options
    };
    try_sparse_attention(query, landmark_keys, inverse.matmul(read), options)
}

fn check(
    settings: &NystromSettings,
    options: &AttentionOptions,
    [_, n_heads, _, _]: [usize; 4],
) -> Result<(), AttentionError> {
    const NAME: &str = "Nyström";
    options.refuse_cells(NAME)?;
    let unserved = |request| {
        Err(AttentionError::Unserved {
            mechanism: NAME,
            request,
        })
    };
    if options.dropout > 0.0 {
        return unserved("dropout of weights");
    }
    match options.normalizer {
        Normalizer::Softmax => {}
        Normalizer::Sparsemax
        | Normalizer::Entmax15
        | Normalizer::Entmax(_)
        | Normalizer::Fusedmax { .. }
        | Normalizer::Oscarmax { .. } => return unserved("a normaliser other than softmax"),
    }
    if settings.landmarks == 0 {
        return Err(AttentionError::NoLandmarks);
    }
    match &settings.convolution {
        None => Ok(()),
        Some(kernel) => {
            let [_, length] = kernel.dims();
            expect("convolution", &kernel.dims(), &[n_heads, length])?;
            match length % 2 {
                1 => Ok(()),
                _ => Err(AttentionError::EvenConvolution(length)),
            }
        }
    }
}

/// Each head's values convolved along positions with its kernel, zeros standing on both sides.
fn along_positions(value: Tensor<4>, kernel: Tensor<2>) -> Tensor<4> {
    let [n_heads, length] = kernel.dims();
    let options = ConvOptions::new([1, 1], [length / 2, 0], [1, 1], n_heads);
    conv2d(
        value,
        kernel.reshape([n_heads, 1, length, 1]),
        None,
        options,
    )
}
