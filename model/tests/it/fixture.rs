//! Cases in a safetensors file that PyTorch has written.

use burn::prelude::*;
use burn::tensor::TensorData;
use safetensors::SafeTensors;
use sparta_model::LayerMask;

/// One case of a fixture.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub tensors: &'a SafeTensors<'a>,
    pub name: &'a str,
}

impl Case<'_> {
    fn bytes<const D: usize>(&self, key: &str) -> ([usize; D], Vec<[u8; 4]>) {
        let tensor = self.tensors.tensor(&format!("{}.{key}", self.name));
        let tensor = tensor.unwrap_or_else(|error| panic!("{key}: {error}"));
        let words = tensor.data().chunks_exact(4);
        let words = words.map(|word| word.try_into().expect("4 bytes"));
        (tensor.shape().try_into().expect(key), words.collect())
    }

    /// Numbers, row by row, and their shape.
    pub fn floats<const D: usize>(&self, key: &str) -> ([usize; D], Vec<f32>) {
        let (shape, words) = self.bytes(key);
        (shape, words.into_iter().map(f32::from_le_bytes).collect())
    }

    /// Whole numbers, row by row, and their shape.
    pub fn ints<const D: usize>(&self, key: &str) -> ([usize; D], Vec<i32>) {
        let (shape, words) = self.bytes(key);
        (shape, words.into_iter().map(i32::from_le_bytes).collect())
    }

    /// Batch `i` of one of the streams of tokens.
    pub fn tokens(&self, key: &str, i: usize, device: &Device) -> Tensor<2, Int> {
        let ([_, batch, length], tokens) = self.ints::<3>(key);
        let n = batch * length;
        let data = TensorData::new(tokens[i * n..(i + 1) * n].to_vec(), [batch, length]);
        Tensor::from_data(data, device)
    }

    /// Masks `[n_heads, rows, columns]` of every layer, of which 1 is hidden.
    pub fn masks(&self, key: &str, device: &Device) -> Vec<LayerMask> {
        let ([n_layers, heads, rows, columns], cells) = self.ints::<4>(key);
        let cells: Vec<bool> = cells.into_iter().map(|cell| cell == 1).collect();
        let layer = |cells: &[bool]| {
            let data = TensorData::new(cells.to_vec(), [heads, rows, columns]);
            Tensor::from_data(data, device).into()
        };
        cells.chunks(cells.len() / n_layers).map(layer).collect()
    }
}
