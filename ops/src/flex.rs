//! Slice kernels on Burn's flex backend.

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Element, Shape, TensorData};

use crate::SpartaBackend;
use crate::cpu::{self, Exact, Float};
use crate::entmax::{Mapping, reference};
use crate::loss;

impl SpartaBackend for Flex {
    fn entmax_forward(scores: FlexTensor, mapping: Mapping) -> FlexTensor {
        match scores.dtype() {
            DType::F32 => forward::<f32>(scores, mapping),
            DType::F64 => forward::<f64>(scores, mapping),
            _ => reference::forward::<Self>(scores, mapping),
        }
    }

    fn entmax_backward(weights: FlexTensor, grad: FlexTensor, mapping: Mapping) -> FlexTensor {
        match weights.dtype() {
            DType::F32 => backward::<f32>(weights, grad, mapping),
            DType::F64 => backward::<f64>(weights, grad, mapping),
            _ => reference::backward::<Self>(weights, grad, mapping),
        }
    }

    fn entmax_rows_forward(scores: FlexTensor, alpha: FlexTensor) -> FlexTensor {
        match scores.dtype() {
            DType::F32 => entmax::<f32>(scores, &numbers(alpha)),
            DType::F64 => entmax::<f64>(scores, &numbers(alpha)),
            _ => reference::forward_rows::<Self>(scores, alpha),
        }
    }

    fn entmax_rows_backward(
        weights: FlexTensor,
        grad: FlexTensor,
        alpha: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        match (weights.dtype(), alpha.dtype()) {
            (DType::F32, DType::F32) => entmax_backward::<f32>(weights, grad, &numbers(alpha)),
            (DType::F64, DType::F64) => entmax_backward::<f64>(weights, grad, &numbers(alpha)),
            _ => reference::backward_rows::<Self>(weights, grad, alpha),
        }
    }

    fn cross_entropy_forward(logits: FlexTensor, targets: FlexTensor) -> FlexTensor {
        match logits.dtype() {
            DType::F32 => cross_entropy::<f32>(logits, targets),
            DType::F64 => cross_entropy::<f64>(logits, targets),
            _ => loss::reference::forward::<Self>(logits, targets),
        }
    }

    fn cross_entropy_backward(
        logits: FlexTensor,
        targets: FlexTensor,
        loss: FlexTensor,
        grad: FlexTensor,
    ) -> FlexTensor {
        match logits.dtype() {
            DType::F32 => cross_entropy_backward::<f32>(logits, targets, loss, grad),
            DType::F64 => cross_entropy_backward::<f64>(logits, targets, loss, grad),
            _ => loss::reference::backward::<Self>(logits, targets, loss, grad),
        }
    }
}

/// The kernel of a mapping, or the α of the general one.
fn exact(mapping: Mapping) -> Result<Exact, f64> {
    match mapping {
        Mapping::Softmax => Ok(Exact::Softmax),
        Mapping::Sparsemax => Ok(Exact::Sparsemax),
        Mapping::Entmax15 => Ok(Exact::Entmax15),
        Mapping::Alpha(alpha) => Err(alpha),
    }
}

fn forward<T: Float + Element>(scores: FlexTensor, mapping: Mapping) -> FlexTensor {
    match exact(mapping) {
        Ok(exact) => normalise::<T>(scores, exact),
        Err(alpha) => {
            let rows = scores.shape()[0];
            entmax::<T>(scores, &vec![alpha; rows])
        }
    }
}

fn backward<T: Float + Element>(
    weights: FlexTensor,
    grad: FlexTensor,
    mapping: Mapping,
) -> FlexTensor {
    match exact(mapping) {
        Ok(exact) => normalise_backward::<T>(weights, grad, exact),
        Err(alpha) => {
            let rows = weights.shape()[0];
            entmax_backward::<T>(weights, grad, &vec![alpha; rows]).0
        }
    }
}

/// The elements of a float tensor in f64.
fn numbers(tensor: FlexTensor) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn entmax<T: Float + Element>(scores: FlexTensor, alphas: &[f64]) -> FlexTensor {
    let n = row_len(&scores.shape());
    in_place::<T>(scores, |rows| cpu::entmax(rows, n, alphas))
}

/// Gradients in the scores and, `[rows, 1]`, in α.
fn entmax_backward<T: Float + Element>(
    weights: FlexTensor,
    grad: FlexTensor,
    alphas: &[f64],
) -> (FlexTensor, FlexTensor) {
    let n = row_len(&weights.shape());
    let weights = weights.to_contiguous();
    let mut d_alphas = Vec::new();
    let grad = in_place::<T>(grad, |grad| {
        d_alphas = cpu::entmax_backward(elements::<T>(&weights), grad, n, alphas);
    });
    let d_alphas = TensorData::new(d_alphas, [alphas.len(), 1]);
    (grad, FlexTensor::from_data(d_alphas))
}

/// Size of the last dimension.
fn row_len(shape: &Shape) -> usize {
    shape[shape.num_dims() - 1]
}

/// Runs `f` on the tensor's elements in row-major order, in place where nobody else holds them.
fn in_place<T: Float + Element>(tensor: FlexTensor, f: impl FnOnce(&mut [T])) -> FlexTensor {
    let mut tensor = tensor.to_contiguous();
    let (shape, dtype) = (tensor.shape(), tensor.dtype());
    let n = shape.num_elements();
    if tensor.layout().start_offset() == 0
        && let Some(data) = tensor.try_storage_mut::<T>()
    {
        f(&mut data[..n]);
        return tensor;
    }
    let start = tensor.layout().start_offset();
    let mut data = tensor.storage::<T>()[start..start + n].to_vec();
    f(&mut data);
    let data = TensorData::new(data, shape.clone());
    let (bytes, _, _) = data.into_parts();
    FlexTensor::new(bytes, Layout::contiguous(shape), dtype)
}

fn elements<T: Float + Element>(tensor: &FlexTensor) -> &[T] {
    tensor
        .as_slice::<T>()
        .expect("a contiguous tensor of the type just matched")
}

fn normalise<T: Float + Element>(scores: FlexTensor, exact: Exact) -> FlexTensor {
    let n = row_len(&scores.shape());
    in_place::<T>(scores, |rows| cpu::normalise(rows, n, exact))
}

fn normalise_backward<T: Float + Element>(
    weights: FlexTensor,
    grad: FlexTensor,
    exact: Exact,
) -> FlexTensor {
    let n = row_len(&weights.shape());
    let weights = weights.to_contiguous();
    in_place::<T>(grad, |grad| {
        cpu::normalise_backward(elements::<T>(&weights), grad, n, exact);
    })
}

/// Class indices of whatever integer type the backend uses.
fn class_indices(targets: FlexTensor) -> Vec<i64> {
    targets.into_data().iter::<i64>().collect()
}

fn cross_entropy<T: Float + Element>(logits: FlexTensor, targets: FlexTensor) -> FlexTensor {
    let n = row_len(&logits.shape());
    let logits = logits.to_contiguous();
    let losses = cpu::cross_entropy(elements::<T>(&logits), &class_indices(targets), n);
    let rows = losses.len();
    FlexTensor::from_data(TensorData::new(losses, [rows]))
}

fn cross_entropy_backward<T: Float + Element>(
    logits: FlexTensor,
    targets: FlexTensor,
    loss: FlexTensor,
    grad: FlexTensor,
) -> FlexTensor {
    let n = row_len(&logits.shape());
    let (loss, grad) = (loss.to_contiguous(), grad.to_contiguous());
    let targets = class_indices(targets);
    in_place::<T>(logits, |logits| {
        let (loss, grad) = (elements::<T>(&loss), elements::<T>(&grad));
        cpu::cross_entropy_backward(logits, &targets, loss, grad, n);
    })
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, normal};

    const ROWS: usize = 9;

    fn flex(values: &[f64], shape: [usize; 2], dtype: DType) -> FlexTensor {
        FlexTensor::from_data(TensorData::new(values.to_vec(), shape).convert_dtype(dtype))
    }

    fn f64s(tensor: FlexTensor) -> Vec<f64> {
        numbers(tensor)
    }

    /// Scores at every scale, with hidden ones and a row of them.
    fn scores(n: usize) -> Vec<f64> {
        let mut z = normal(ROWS * n, n as u64);
        for (i, z) in z.iter_mut().enumerate() {
            let row = i / n;
            *z *= [1.0, 6.0, 1e-3, 100.0, 0.0, 2.0, 3.0, 1.0, 0.3][row];
            if row == 8 || (row == 7 && i % 3 == 0 && n > 1) {
                *z = f64::NEG_INFINITY;
            }
        }
        z
    }

    /// The kernels against the reference, in f64 and f32, forward and every gradient.
    #[test]
    fn kernels_equal_the_reference() {
        for (dtype, tight) in [(DType::F64, 1e-11), (DType::F32, 4e-6)] {
            for n in [1, 2, 15, 16, 17, 63, 100, 1000, 4097] {
                let shape = [ROWS, n];
                let z = || flex(&scores(n), shape, dtype);
                let grad = || flex(&normal(ROWS * n, 77), shape, dtype);
                let check = |what: &str, fast: FlexTensor, slow: FlexTensor, relative: f64| {
                    let label = format!("{dtype:?} n {n} {what}");
                    assert_close(&label, &f64s(fast), &f64s(slow), relative, tight);
                };
                for mapping in [
                    Mapping::Softmax,
                    Mapping::Sparsemax,
                    Mapping::Entmax15,
                    Mapping::Alpha(1.0),
                    Mapping::Alpha(1.02),
                    Mapping::Alpha(1.3),
                    Mapping::Alpha(1.5),
                    Mapping::Alpha(2.0),
                    Mapping::Alpha(3.1),
                ] {
                    let fast = Flex::entmax_forward(z(), mapping);
                    let slow = reference::forward::<Flex>(z(), mapping);
                    check(&format!("{mapping:?}"), fast, slow.clone(), 0.0);
                    let fast = Flex::entmax_backward(slow.clone(), grad(), mapping);
                    let slow = reference::backward::<Flex>(slow, grad(), mapping);
                    check(&format!("{mapping:?} backward"), fast, slow, 1e-5);
                }
                let alphas = [1.0, 1.01, 1.1, 1.3, 1.5, 1.7, 2.0, 1.4, 1.2];
                let alpha = || flex(&alphas, [ROWS, 1], dtype);
                let fast = Flex::entmax_rows_forward(z(), alpha());
                let slow = reference::forward_rows::<Flex>(z(), alpha());
                check("rows", fast, slow.clone(), 0.0);
                let fast = Flex::entmax_rows_backward(slow.clone(), grad(), alpha());
                let slow = reference::backward_rows::<Flex>(slow, grad(), alpha());
                check("rows backward", fast.0, slow.0, 1e-5);
                check("rows backward in alpha", fast.1, slow.1, 1e-5);
            }
        }
    }

    /// NaN comes out as NaN, not as a weight; α below 1 too.
    #[test]
    fn nan_is_not_hidden() {
        for mapping in [
            Mapping::Softmax,
            Mapping::Sparsemax,
            Mapping::Entmax15,
            Mapping::Alpha(1.3),
        ] {
            let z = flex(&[0.0, f64::NAN, 1.0], [1, 3], DType::F32);
            assert!(
                f64s(Flex::entmax_forward(z, mapping))
                    .iter()
                    .all(|p| p.is_nan())
            );
        }
        let z = flex(&[0.0, 1.0], [1, 2], DType::F32);
        let p = Flex::entmax_rows_forward(z, flex(&[0.9], [1, 1], DType::F32));
        assert!(f64s(p).iter().all(|p| p.is_nan()));
    }
}
