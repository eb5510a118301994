//! Operations on Burn's libtorch backend: kernels of [`crate::cpu`] in the host's memory, tensor
//! operations on a GPU.

// Deprecated upstream; supported until Burn removes it.
#![allow(deprecated)]

use std::borrow::Cow;
use std::mem::MaybeUninit;
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
        let last: i64 = sizes
            .iter()
            .zip(&strides)
            .map(|(n, s)| (n - 1).max(0) * s)
            .sum();
        let start = self.tensor.data_ptr().cast::<E>();
        // SAFETY: the elements of a tensor on the host lie from `data_ptr` on at these strides, and
        // live as long as the tensor, which `self` borrows; nobody writes to it meanwhile, because
        // operations write only to storage that they hold alone.
        let elements = unsafe { slice::from_raw_parts(start, last as usize + 1) };
        View {
            elements: Cow::Borrowed(elements),
            start: 0,
            strides: strides.iter().map(|&stride| stride as isize).collect(),
        }
    }

    fn flags(&self) -> Cow<'_, [u8]> {
        assert!(self.is_on_host() && matches!(self.dtype(), DType::Bool(_)));
        let tensor = self.tensor.contiguous();
        let start = tensor.data_ptr().cast::<u8>();
        // SAFETY: a contiguous tensor of bools, one byte each, which lives until it is copied.
        Cow::Owned(unsafe { slice::from_raw_parts(start, tensor.numel()) }.to_vec())
    }

    fn write<E: Element + Pod>(&mut self) -> Option<&mut [E]> {
        assert!(self.is_on_host() && self.dtype() == E::dtype());
        if !self.can_mut() || !self.tensor.is_contiguous() {
            return None;
        }
        let start = self.tensor.data_ptr().cast::<E>();
        // SAFETY: as in `read`, and `can_mut` says that nobody else holds the storage.
        Some(unsafe { slice::from_raw_parts_mut(start, self.tensor.numel()) })
    }

    fn create<E: Element + Pod>(
        like: &Self,
        fill: impl FnOnce(&mut [MaybeUninit<E>]) -> &mut [E],
    ) -> Self {
        assert!(like.is_on_host() && like.dtype() == E::dtype());
        let new = TchTensor::new(like.tensor.empty_like().contiguous());
        let start = new.tensor.data_ptr().cast::<MaybeUninit<E>>();
        // SAFETY: fresh contiguous memory of this many elements, which nobody else holds.
        fill(unsafe { slice::from_raw_parts_mut(start, new.tensor.numel()) });
        new
    }
}
