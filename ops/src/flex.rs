//! Operations on Burn's flex backend: kernels of [`crate::cpu`].

use std::borrow::Cow;
use std::mem::MaybeUninit;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Element, TensorData};
use bytemuck::Pod;

use crate::cpu::{HostBackend, HostTensor, Strided, run_on_host, vector};

impl crate::SpartaBackend for Flex {
    run_on_host!();
}

impl HostBackend for Flex {}

impl HostTensor for FlexTensor {
    fn is_on_host(&self) -> bool {
        true
    }

    fn read<E: Element + Pod>(&self) -> Strided<'_, E> {
        let strides = self.layout().strides();
        Strided {
            elements: Cow::Borrowed(self.storage::<E>()),
            start: self.layout().start_offset(),
            strides: [strides[0], strides.get(1).copied().unwrap_or(1)],
        }
    }

    fn write<E: Element + Pod>(&mut self) -> Option<&mut [E]> {
        let (start, end) = self.layout().contiguous_offsets()?;
        Some(&mut self.try_storage_mut::<E>()?[start..end])
    }

    fn create<E: Element + Pod>(
        like: &Self,
        fill: impl FnOnce(&mut [MaybeUninit<E>]) -> &mut [E],
    ) -> Self {
        let shape = like.shape();
        let elements = vector(shape.num_elements(), fill);
        FlexTensor::from_data(TensorData::new(elements, shape))
    }
}
