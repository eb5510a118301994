//! What stands around attention in a network, but for linear maps.

use burn::tensor::TensorData;

use super::*;
use crate::attention::{self, Dropout};
use crate::cpu::rows::each;
use crate::cpu::tensor::vector;
use crate::cpu::{dropout as dropout_kernel, gelu, kept as kept_kernel, norm as norm_kernel};
use crate::{activation, norm};

pub(crate) fn append_positions<B: HostBackend>(
    kept: FloatTensor<B>,
    rows: IntTensor<B>,
    new: FloatTensor<B>,
) -> FloatTensor<B> {
    if kept.dtype() != new.dtype() {
        return attention::kept::reference::<B>(kept, rows, new);
    }
    by_type!(kept, E => {
        let [batch, n_heads, seq, d] = kept.shape().dims::<4>();
        let [n, _, n_new, _] = new.shape().dims::<4>();
        let device = kept.device();
        let rows = B::int_cast(rows, IntDType::I64).read::<i64>().column(n);
        let row = |&row: &i64| match usize::try_from(row) {
            Ok(row) if row < batch => row,
            Ok(_) | Err(_) => panic!("there is no row {row} in a batch of {batch}"),
        };
        let rows: Vec<usize> = rows.iter().map(row).collect();
        let all = vector(n * n_heads * (seq + n_new) * d, |out| {
            kept_kernel::append((&kept.view::<E>(), seq), &rows, (&new.view::<E>(), n_new), [n_heads, d], out)
        });
        B::float_from_data(TensorData::new(all, [n, n_heads, seq + n_new, d]), &device)
    }, else attention::kept::reference::<B>(kept, rows, new))
}

pub(crate) fn exact_gelu<B: HostBackend>(x: FloatTensor<B>) -> FloatTensor<B> {
    by_type_below_f64!(x, E => {
        map::<B, E, ()>(x, 0.0, RowLayout::RowMajor, each(|_, work: &mut Workspace<_>| gelu::gelu(work))).0
    }, else activation::reference::gelu::<B>(x))
}

pub(crate) fn exact_gelu_backward<B: HostBackend>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    by_type_below_f64!(x, E => {
        let x = x.read::<E>();
        map::<B, E, ()>(grad, 0.0, RowLayout::RowMajor, |first, group, rows| {
            x.load_others(first, rows.len(), group);
            group.iter_mut().for_each(gelu::gelu_backward);
        }).0
    }, else activation::reference::gelu_backward::<B>(x, grad))
}

pub(crate) fn drop_values<B: HostBackend>(x: FloatTensor<B>, dropout: Dropout) -> FloatTensor<B> {
    by_type!(x, E => {
        let n = x.shape()[1];
        let mut x = owned::<B, E>(x);
        dropout_kernel::drop_values(x.write::<E>().expect("nobody else holds it"), n, dropout);
        x
    }, else crate::dropout::reference::<B>(x, dropout))
}

pub(crate) fn layer_norm_forward<B: HostBackend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    by_type!(x, E => {
        let (shape, device) = (x.shape().dims::<2>(), x.device());
        let [gamma, beta] = [gamma, beta].map(|row| wide_row::<B, <E as Stored>::Wide>(&row));
        let mut statistics = vec![Float::ZERO; 2 * shape[0]];
        let input = x.read::<E>();
        let rows = contiguous(&input, shape);
        let normal = FloatTensor::<B>::create(&x, |out| {
            norm_kernel::forward(&rows, [&gamma, &beta], Float::from_f64(epsilon), out, &mut statistics)
        });
        let statistics = TensorData::new(statistics, [shape[0], 2]);
        (normal, B::float_from_data(statistics, &device))
    }, else norm::reference::forward::<B>(x, gamma, beta, epsilon))
}

pub(crate) fn layer_norm_backward<B: HostBackend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    statistics: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    by_type!(x, E => {
        let (shape, device, dtype) = (x.shape().dims::<2>(), x.device(), gamma.dtype());
        let gamma = wide_row::<B, <E as Stored>::Wide>(&gamma);
        let mut grad = owned::<B, E>(grad);
        let sums = {
            let input = x.read::<E>();
            let statistics = statistics.read::<<E as Stored>::Wide>();
            let statistics = contiguous(&statistics, [shape[0], 2]);
            let grad = grad.write::<E>().expect("nobody else holds it");
            norm_kernel::backward(&contiguous(&input, shape), &gamma, &statistics, grad)
        };
        let [of_gamma, of_beta] = sums.map(|sums| {
            let sums = TensorData::new(sums, [shape[1]]).convert_dtype(dtype);
            B::float_from_data(sums, &device)
        });
        (grad, of_gamma, of_beta)
    }, else norm::reference::backward::<B>(x, gamma, statistics, grad))
}
