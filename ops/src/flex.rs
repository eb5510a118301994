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
        match (exact(mapping), scores.dtype()) {
            (Some(exact), DType::F32) => normalise::<f32>(scores, exact),
            (Some(exact), DType::F64) => normalise::<f64>(scores, exact),
            _ => reference::forward::<Self>(scores, mapping),
        }
    }

    fn entmax_backward(weights: FlexTensor, grad: FlexTensor, mapping: Mapping) -> FlexTensor {
        match (exact(mapping), weights.dtype()) {
            (Some(exact), DType::F32) => normalise_backward::<f32>(weights, grad, exact),
            (Some(exact), DType::F64) => normalise_backward::<f64>(weights, grad, exact),
            _ => reference::backward::<Self>(weights, grad, mapping),
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

fn exact(mapping: Mapping) -> Option<Exact> {
    match mapping {
        Mapping::Softmax => Some(Exact::Softmax),
        Mapping::Sparsemax => Some(Exact::Sparsemax),
        Mapping::Entmax15 => Some(Exact::Entmax15),
        Mapping::Alpha(_) => None,
    }
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
