//! Tensors of a file by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::{bf16, f16};
use pytorch_reader::{DType, PytorchReader};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::ImportError;

/// Values that share a scale in the 4-bit form.
const GROUP: usize = 32;

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stored {
    /// In f32, with its sizes unless the form does not store them.
    Floats {
        shape: Option<Vec<usize>>,
        values: Vec<f32>,
    },
    /// Of another type, not read.
    Other(String),
}

/// Named tensors in f32, read from f32, f16 or bf16, or from one of 4 bits: of a tensor `X` the file
/// then has `X.q4`, two values a byte with the first in the low half, and `X.scales`, one f16 for each
/// 32 values; `value = (half byte − 8) · scale`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights {
    pub(super) tensors: BTreeMap<String, Stored>,
}

impl Weights {
    /// Reads a file: safetensors if its name ends so, else PyTorch's (`.bin`, `.pt`, `.pth`).
    ///
    /// # Errors
    /// [`ImportError::Read`] or [`ImportError::Damaged`].
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension != Some("safetensors") {
            return Self::read_pytorch(path);
        }
        let bytes = fs::read(path).map_err(|error| cannot_read(path, &error))?;
        // A header stands in braces behind its length.
        if bytes.get(8).is_some_and(|byte| *byte != b'{') {
            return Err(cannot_read(path, &"it is no safetensors file"));
        }
        Self::from_safetensors(&bytes).map_err(|error| cannot_read(path, &error))
    }

    /// Reads safetensors.
    ///
    /// # Errors
    /// [`ImportError::Damaged`].
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, ImportError> {
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            if let Some(name) = name.strip_suffix(".q4") {
                let scales = file.tensor(&format!("{name}.scales")).map_err(damaged)?;
                tensors.insert(name.to_owned(), four_bits(name, &view, &scales)?);
            } else if !is_scales(&file, &name) {
                let shape = view.shape().to_vec();
                let stored = match view.dtype() {
                    Dtype::F32 => floats(shape, view.data(), f32::from_le_bytes),
                    Dtype::F16 => floats(shape, view.data(), half_value),
                    Dtype::BF16 => floats(shape, view.data(), |b| bf16::from_le_bytes(b).to_f32()),
                    other => Stored::Other(format!("{other:?}")),
                };
                tensors.insert(name, stored);
            }
        }
        Ok(Self { tensors })
    }

    /// Reads what `torch.save(model.state_dict(), …)` writes; no code in it is run.
    fn read_pytorch(path: &Path) -> Result<Self, ImportError> {
        let reader = PytorchReader::new(path).map_err(|error| cannot_read(path, &error))?;
        let mut tensors = BTreeMap::new();
        for (name, tensor) in reader.into_tensors() {
            let shape = tensor.shape().to_vec();
            let bytes = || tensor.read().map_err(|error| cannot_read(path, &error));
            let stored = match tensor.dtype() {
                DType::F32 => floats(shape, &bytes()?, f32::from_ne_bytes),
                DType::F16 => floats(shape, &bytes()?, |b| f16::from_ne_bytes(b).to_f32()),
                DType::BF16 => floats(shape, &bytes()?, |b| bf16::from_ne_bytes(b).to_f32()),
                other => Stored::Other(format!("{other:?}")),
            };
            tensors.insert(name, stored);
        }
        Ok(Self { tensors })
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The same tensors under other names.
    ///
    /// # Errors
    /// [`ImportError::Damaged`] if two get the same name.
    pub fn renamed(self, rename: impl Fn(&str) -> String) -> Result<Self, ImportError> {
        let mut tensors = BTreeMap::new();
        for (old, tensor) in self.tensors {
            let name = rename(&old);
            if tensors.insert(name.clone(), tensor).is_some() {
                let reason = format!("there are two tensors for `{name}`, one of them `{old}`");
                return Err(ImportError::Damaged { reason });
            }
        }
        Ok(Self { tensors })
    }
}

fn cannot_read(path: &Path, error: &dyn std::fmt::Display) -> ImportError {
    ImportError::Read {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn damaged(error: impl std::fmt::Display) -> ImportError {
    ImportError::Damaged {
        reason: error.to_string(),
    }
}

fn half_value(bytes: [u8; 2]) -> f32 {
    f16::from_le_bytes(bytes).to_f32()
}

fn floats<const N: usize>(
    shape: Vec<usize>,
    bytes: &[u8],
    value: impl Fn([u8; N]) -> f32,
) -> Stored {
    let (values, _) = bytes.as_chunks::<N>();
    Stored::Floats {
        shape: Some(shape),
        values: values.iter().map(|bytes| value(*bytes)).collect(),
    }
}

/// Whether a tensor is the scales of another one.
fn is_scales(file: &SafeTensors, name: &str) -> bool {
    let quantised = name
        .strip_suffix(".scales")
        .map(|name| format!("{name}.q4"));
    quantised.is_some_and(|name| file.tensor(&name).is_ok())
}

fn four_bits(name: &str, packed: &TensorView, scales: &TensorView) -> Result<Stored, ImportError> {
    let (packed_type, scales_type) = (packed.dtype(), scales.dtype());
    if (packed_type, scales_type) != (Dtype::U8, Dtype::F16) {
        return Err(ImportError::Type {
            name: name.to_owned(),
            found: format!("{packed_type:?} with scales of {scales_type:?}"),
        });
    }
    let (packed, (scales, _)) = (packed.data(), scales.data().as_chunks::<2>());
    if packed.len() * 2 != scales.len() * GROUP {
        let (n, groups) = (packed.len() * 2, scales.len());
        let reason = format!("`{name}` has {n} values of 4 bits and {groups} scales for 32 each");
        return Err(ImportError::Damaged { reason });
    }
    let mut values = Vec::with_capacity(packed.len() * 2);
    for (bytes, scale) in packed.chunks_exact(GROUP / 2).zip(scales) {
        let scale = half_value(*scale);
        for byte in bytes {
            values.extend([byte & 15, byte >> 4].map(|half| (f32::from(half) - 8.0) * scale));
        }
    }
    Ok(Stored::Floats {
        shape: None,
        values,
    })
}
