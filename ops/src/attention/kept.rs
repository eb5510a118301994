//! Keys and values that are kept while a decoder writes one token after the other.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch};
use burn::tensor::{Int, Tensor};

use crate::backend::SpartaBackend;

/// The rows of the batch at `rows`, each with the positions of its row of `new` behind its own: what beam search makes of
/// kept keys when hypotheses go on from others. On CPUs in one pass, elsewhere a selection and a concatenation.
///
/// # Shapes
/// - kept: `[batch, n_heads, seq, d]`, rows: `[n]` of 0 to batch − 1, new: `[n, n_heads, n_new, d]`
/// - output: `[n, n_heads, seq + n_new, d]`
///
/// # Panics
/// If the shapes do not fit each other; on a CPU also if there is no such row.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use sparta_ops::attention::append_positions;
/// let device = Device::flex();
/// let kept = Tensor::<4>::from_floats([[[[1.0]]], [[[2.0]]]], &device);
/// let new = Tensor::<4>::from_floats([[[[3.0]]], [[[4.0]]]], &device);
/// let rows = Tensor::<1, Int>::from_ints([1, 1], &device);
/// let all = append_positions(kept, rows, new).into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(all, [2.0, 3.0, 2.0, 4.0]);
/// ```
pub fn append_positions(kept: Tensor<4>, rows: Tensor<1, Int>, new: Tensor<4>) -> Tensor<4> {
    let ([_, n_heads, _, d], [n]) = (kept.dims(), rows.dims());
    let [batch, heads, _, d_new] = new.dims();
    assert!(
        [batch, heads, d_new] == [n, n_heads, d],
        "new positions {:?} do not go behind {n} rows of {:?}",
        new.dims(),
        kept.dims()
    );
    Tensor::from_dispatch(<Dispatch as SpartaBackend>::append_positions(
        kept.into_dispatch(),
        rows.into_dispatch(),
        new.into_dispatch(),
    ))
}

/// A selection and a concatenation.
pub(crate) fn reference<B: Backend>(
    kept: FloatTensor<B>,
    rows: IntTensor<B>,
    new: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_cat(vec![B::float_select(kept, 0, rows), new], 2)
}
