//! Operations on Burn's ndarray backend: kernels of [`crate::cpu`].

// Deprecated upstream; supported until Burn removes it.
#![allow(deprecated)]

use std::borrow::Cow;
use std::mem::MaybeUninit;

use burn::backend::ndarray::NdArrayTensor;
use burn::backend::{NdArray, TensorMetadata};
use burn::tensor::{Element, TensorData};
use bytemuck::Pod;

use crate::backend::SpartaBackend;
use crate::cpu::{
    HostBackend, HostTensor, View, row_major, run_on_host, run_products_on_host, vector,
};

impl SpartaBackend for NdArray {
    run_on_host!();
    run_products_on_host!();
}

impl HostBackend for NdArray {}

/// `$body` with the storage of the element types that kernels read.
macro_rules! storage {
    ($tensor:expr, $storage:ident => $body:expr) => {
        match $tensor {
            NdArrayTensor::F32($storage) => $body,
            NdArrayTensor::F64($storage) => $body,
            NdArrayTensor::I64($storage) => $body,
            NdArrayTensor::I32($storage) => $body,
            other => unreachable!("no kernel reads {:?}", other.dtype()),
        }
    };
}

impl HostTensor for NdArrayTensor {
    fn is_on_host(&self) -> bool {
        true
    }

    fn view<E: Element + Pod>(&self) -> View<'_, E> {
        let elements = storage!(self, storage => {
            let view = storage.view();
            match view.to_slice() {
                Some(elements) => Cow::Borrowed(bytemuck::cast_slice(elements)),
                None => {
                    let elements: Vec<_> = view.iter().copied().collect();
                    Cow::Owned(bytemuck::cast_slice(&elements).to_vec())
                }
            }
        });
        View {
            elements,
            start: 0,
            strides: row_major(&self.shape()),
        }
    }

    fn flags(&self) -> Cow<'_, [u8]> {
        let NdArrayTensor::Bool(storage) = self else {
            unreachable!("a mask is a bool tensor, not {:?}", self.dtype());
        };
        let view = storage.view();
        match view.to_slice() {
            Some(flags) => Cow::Borrowed(bytemuck::cast_slice(flags)),
            None => view.iter().map(|&flag| u8::from(flag)).collect(),
        }
    }

    fn write<E: Element + Pod>(&mut self) -> Option<&mut [E]> {
        storage!(self, storage => {
            if !storage.is_unique() {
                return None;
            }
            storage.ensure_owned().as_slice_mut().map(bytemuck::cast_slice_mut)
        })
    }

    fn create<E: Element + Pod>(
        like: &Self,
        fill: impl FnOnce(&mut [MaybeUninit<E>]) -> &mut [E],
    ) -> Self {
        let shape = like.shape();
        let elements = vector(shape.num_elements(), fill);
        NdArrayTensor::from_data(TensorData::new(elements, shape))
    }
}
