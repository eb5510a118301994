//! Tensors whose elements the processor can read where they are.

#![allow(unsafe_code, reason = "fresh memory")]

use std::borrow::Cow;
use std::mem::MaybeUninit;

use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Element;
use bytemuck::Pod;

use super::view::{Strided, View};

/// A tensor in the host's memory.
pub(crate) trait HostTensor: TensorMetadata {
    /// Whether its elements are where the processor can read them.
    fn is_on_host(&self) -> bool;

    /// The elements, of the type of `self.dtype()`.
    fn view<E: Element + Pod>(&self) -> View<'_, E>;

    /// The elements of a tensor of rank 1 or 2, of the type of `self.dtype()`.
    fn read<E: Element + Pod>(&self) -> Strided<'_, E> {
        let view = self.view();
        Strided {
            strides: [view.strides[0], view.strides.get(1).copied().unwrap_or(1)],
            elements: view.elements,
            start: view.start,
        }
    }

    /// The elements of a bool tensor in row-major order, 0 where false.
    fn flags(&self) -> Cow<'_, [u8]>;

    /// The elements in row-major order, if nobody else holds them.
    fn write<E: Element + Pod>(&mut self) -> Option<&mut [E]>;

    /// A tensor with the shape, type and device of `like`; `fill` returns what it was given, written.
    fn create<E: Element + Pod>(
        like: &Self,
        fill: impl FnOnce(&mut [MaybeUninit<E>]) -> &mut [E],
    ) -> Self;
}

/// A backend of such tensors.
pub(crate) trait HostBackend:
    Backend<
        FloatTensorPrimitive: HostTensor,
        IntTensorPrimitive: HostTensor,
        BoolTensorPrimitive: HostTensor,
    >
{
}

/// A new vector; `fill` returns what it was given, written.
pub(crate) fn vector<E>(
    len: usize,
    fill: impl FnOnce(&mut [MaybeUninit<E>]) -> &mut [E],
) -> Vec<E> {
    let mut vector = Vec::with_capacity(len);
    let written = fill(&mut vector.spare_capacity_mut()[..len]);
    let (start, n_written) = (written.as_ptr(), written.len());
    assert!(start == vector.as_ptr() && n_written == len);
    // SAFETY: these `len` elements have just been seen initialised.
    unsafe { vector.set_len(len) };
    vector
}
