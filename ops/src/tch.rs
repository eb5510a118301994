//! Operations on Burn's libtorch backend: kernels of [`crate::cpu`] in the host's memory, tensor
//! operations on a GPU.

#![allow(unsafe_code, reason = "elements where libtorch keeps them")]
// Deprecated upstream; supported until Burn removes it.
#![allow(deprecated)]

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;

use burn::backend::libtorch::{LibTorchDevice, TchTensor};
use burn::backend::{LibTorch, TensorMetadata};
use burn::tensor::{DType, Element};
use bytemuck::Pod;

use crate::backend::SpartaBackend;
use crate::cpu::{HostBackend, HostTensor, View, run_on_host};

impl SpartaBackend for LibTorch {
    run_on_host!();
}

impl HostBackend for LibTorch {}

impl HostTensor for TchTensor {
    fn is_on_host(&self) -> bool {
        matches!(self.device(), LibTorchDevice::Cpu)
    }

    fn view<E: Element + Pod>(&self) -> View<'_, E> {
        assert!(self.is_on_host() && self.dtype() == E::dtype());
        let (sizes, strides) = (self.tensor.size(), self.tensor.stride());
        // libtorch has no negative strides: the last element has the highest address.
        let last: i64 = sizes.iter().zip(&strides).map(|(n, s)| (n - 1) * s).sum();
        let len = match sizes.contains(&0) {
            true => 0,
            false => last as usize + 1,
        };
        let start = start::<E>(self).as_ptr();
        // SAFETY: the elements of a tensor on the host lie from `data_ptr` on at these strides, aligned, and
        // live as long as the tensor, which `self` borrows; nobody writes to it meanwhile, because
        // operations write only to storage that they hold alone.
        let elements = unsafe { slice::from_raw_parts(start, len) };
        View {
            elements: Cow::Borrowed(elements),
            start: 0,
            strides: strides.iter().map(|&stride| stride as isize).collect(),
        }
    }

    fn flags(&self) -> Cow<'_, [u8]> {
        assert!(self.is_on_host() && matches!(self.dtype(), DType::Bool(_)));
        let tensor = TchTensor::new(self.tensor.contiguous());
        let start = start::<u8>(&tensor).as_ptr();
        // SAFETY: a contiguous tensor of bools, one byte each, which lives until it is copied.
        Cow::Owned(unsafe { slice::from_raw_parts(start, tensor.tensor.numel()) }.to_vec())
    }

    fn write<E: Element + Pod>(&mut self) -> Option<&mut [E]> {
        assert!(self.is_on_host() && self.dtype() == E::dtype());
        if !self.can_mut() || !self.tensor.is_contiguous() {
            return None;
        }
        let start = start::<E>(self).as_ptr();
        // SAFETY: as in `view`, without gaps, and `can_mut` says that nobody else holds the storage.
        Some(unsafe { slice::from_raw_parts_mut(start, self.tensor.numel()) })
    }

    fn create<E: Element + Pod>(
        like: &Self,
        fill: impl FnOnce(&mut [MaybeUninit<E>]) -> &mut [E],
    ) -> Self {
        assert!(like.is_on_host() && like.dtype() == E::dtype());
        let new = TchTensor::new(like.tensor.empty_like().contiguous());
        let (start, len) = (start::<MaybeUninit<E>>(&new), new.tensor.numel());
        // SAFETY: fresh contiguous memory of this many elements, which nobody else holds.
        let written = fill(unsafe { slice::from_raw_parts_mut(start.as_ptr(), len) });
        assert!(written.as_ptr() == start.as_ptr().cast() && written.len() == len);
        new
    }
}

/// Where the elements begin. A tensor without any may lie nowhere, and slices of none still lie somewhere.
fn start<E>(tensor: &TchTensor) -> NonNull<E> {
    let start = NonNull::new(tensor.tensor.data_ptr().cast()).unwrap_or(NonNull::dangling());
    assert!(start.is_aligned());
    start
}

#[cfg(test)]
mod tests {
    use burn::backend::ops::{BoolTensorOps, FloatTensorOps};
    use burn::tensor::TensorData;

    use super::*;

    /// libtorch gives them the address 0, where Rust has no slice, of whatever length.
    #[test]
    fn tensors_without_elements_are_empty_slices() {
        for shape in [[0, 3], [3, 0], [0, 0]] {
            let data = TensorData::new(Vec::<f32>::new(), shape);
            let mut tensor = LibTorch::float_from_data(data, &LibTorchDevice::Cpu);
            assert!(tensor.view::<f32>().elements.is_empty());
            assert!(tensor.write::<f32>().is_none_or(|data| data.is_empty()));
            let new = TchTensor::create(&tensor, |fresh: &mut [MaybeUninit<f32>]| {
                assert!(fresh.is_empty());
                fresh.write_copy_of_slice(&[])
            });
            assert_eq!(new.shape(), tensor.shape());
            let hidden = TensorData::new(Vec::<bool>::new(), shape);
            let hidden = LibTorch::bool_from_data(hidden, &LibTorchDevice::Cpu);
            assert!(hidden.flags().is_empty());
        }
    }

    /// What is written may lie elsewhere: then it says nothing of the new tensor's elements.
    #[test]
    #[should_panic(expected = "written")]
    fn what_is_written_elsewhere_is_refused() {
        let data = TensorData::new(vec![1.0f32; 4], [2, 2]);
        let like = LibTorch::float_from_data(data, &LibTorchDevice::Cpu);
        TchTensor::create(&like, |_: &mut [MaybeUninit<f32>]| vec![0.0; 4].leak());
    }
}
