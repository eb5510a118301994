//! Operations on Burn's flex backend: kernels of [`crate::cpu`].

use std::borrow::Cow;
use std::mem::MaybeUninit;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{BoolStore, DType, Element, TensorData};
use bytemuck::Pod;

use crate::backend::SpartaBackend;
use crate::cpu::{HostBackend, HostTensor, View, run_on_host, run_products_on_host, vector};

impl SpartaBackend for Flex {
    run_on_host!();
    run_products_on_host!();
}

impl HostBackend for Flex {}

impl HostTensor for FlexTensor {
    fn is_on_host(&self) -> bool {
        true
    }

    fn view<E: Element + Pod>(&self) -> View<'_, E> {
        View {
            elements: Cow::Borrowed(self.storage::<E>()),
            start: self.layout().start_offset(),
            strides: self.layout().strides().to_vec(),
        }
    }

    fn flags(&self) -> Cow<'_, [u8]> {
        match (self.dtype(), self.layout().contiguous_offsets()) {
            (DType::Bool(BoolStore::Native | BoolStore::U8), Some((start, end))) => {
                Cow::Borrowed(&self.storage::<u8>()[start..end])
            }
            _ => {
                let data = self.clone().into_data();
                data.iter::<bool>().map(u8::from).collect()
            }
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
