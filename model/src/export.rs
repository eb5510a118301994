//! Networks into files of PyTorch: the way back of [`crate::import`].
//!
//! [`export()`] gives the parameters of a network the names and layouts that PyTorch has for them, [`safetensors()`] the bytes
//! of a file, [`config`] what stands in a `config.json`. A network with the parameters read back is the same to the bit.
//!
//! ```
//! use burn::prelude::*;
//! use sparta_model::bert::BertConfig;
//! use sparta_model::export::{KeyMap, export, safetensors};
//! use sparta_model::import::{ImportOptions, Weights, import_bert};
//!
//! let (device, config) = (Device::flex(), BertConfig::new(10, 16, 2, 32, 2));
//! let exported = export(&config.init_classifier(3, &device), KeyMap::Bert).unwrap();
//! assert_eq!(exported.tensors["classifier.weight"].shape().to_vec(), [3, 16]);
//! let weights = Weights::from_safetensors(&safetensors(&exported.tensors).unwrap()).unwrap();
//! let empty = config.init_classifier(3, &device);
//! let (_, report) = import_bert(empty, weights, &ImportOptions::default()).unwrap();
//! assert_eq!(report.n_loaded, exported.tensors.len());
//! ```
//!
//! # Names
//!
//! Those of BERT are in [`crate::import`]. Linear maps are `[outputs, inputs]` in the file.
//!
//! | encoder–decoder here | as in fairseq |
//! |---|---|
//! | `source_embedding`, `target_embedding`, `output_weight` | `encoder.embed_tokens.weight`, `decoder.embed_tokens.weight`, `decoder.output_projection.weight` |
//! | `encoder.N.self_attention.attention.query`, `.key`, `.value`, `.output` | `encoder.layers.N.self_attn.q_proj`, `.k_proj`, `.v_proj`, `.out_proj` |
//! | `decoder.N.cross_attention.attention…` | `decoder.layers.N.encoder_attn…` |
//! | `….self_attention.norm`, `….cross_attention.norm` | `….self_attn_layer_norm`, `….encoder_attn_layer_norm` |
//! | `….feed_forward.expand`, `.reduce`, `.norm` | `….fc1`, `….fc2`, `….final_layer_norm` |
//! | `encoder_norm`, `decoder_norm` | `encoder.layer_norm`, `decoder.layer_norm` |
//!
//! | Transformer-XL here | as in kimiyoung/transformer-xl |
//! |---|---|
//! | `embedding.tables.N`, `.projections.N` | `word_emb.emb_layers.N.weight`, `word_emb.emb_projs.N` |
//! | `softmax.weights.N`, `.biases.N`, `.projections.N` | `crit.out_layers.N.weight`, `.bias`, `crit.out_projs.N` |
//! | `softmax.cluster_weight`, `.cluster_bias` | `crit.cluster_weight`, `crit.cluster_bias` |
//! | `content_bias`, `position_bias` | `r_w_bias`, `r_r_bias` |
//! | `layers.N.attention.query`, `.key`, `.value`, `.position`, `.output` | `layers.N.dec_attn.q_net.weight`, `.k_net.`, `.v_net.`, `.r_net.`, `.o_net.`; there the first three are one `qkv_net` |
//! | `layers.N.attention.norm` | `layers.N.dec_attn.layer_norm` |
//! | `layers.N.feed_forward.expand`, `.reduce`, `.norm` | `layers.N.pos_ff.CoreNet.0`, `.CoreNet.3`, `.layer_norm` |
//!
//! A tensor that stands for several (tied weights) is there once. Parameters of an attention mechanism have names of our
//! own, behind that of their attention, and the layout that they have here: `….self_attn.mechanism.normalizer.raw_alpha` is the a
//! of α = 1 + sigmoid(a), `[n_heads]`.

pub mod config;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};
use safetensors::{Dtype, View};

pub use crate::key_map::KeyMap;
use crate::key_map::Published;

/// Why a network cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// A parameter that the files have no name for.
    #[error(
        "the parameter `{path}` has no name in files of PyTorch for this network: its module is not one of those \
         that are exported; give the network itself, with the map of its kind"
    )]
    Unnamed {
        /// Its path in the module.
        path: String,
    },
    /// Tensors that are no file.
    #[error("`{name}` cannot be written as safetensors: {reason}; convert it to f32, i64 or bool")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

/// Tensors by their names in a file.
pub type Tensors = BTreeMap<String, TensorData>;

/// The parameters of a network as PyTorch has them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exported {
    /// Those that a published network of this kind has.
    pub tensors: Tensors,
    /// Those of attention mechanisms, such as a learned α, which published networks do not have.
    pub mechanisms: Tensors,
}

/// The parameters of a network under the names of a map, in f32.
///
/// # Errors
/// [`ExportError::Unnamed`] for a network of another kind.
pub fn export<M: Module>(module: &M, names: KeyMap) -> Result<Exported, ExportError> {
    let mut reader = Reader {
        names,
        path: Vec::new(),
        found: Exported::default(),
        unnamed: None,
    };
    module.visit(&mut reader);
    match reader.unnamed {
        Some(path) => Err(ExportError::Unnamed { path }),
        None => Ok(reader.found),
    }
}

struct Reader {
    names: KeyMap,
    path: Vec<String>,
    found: Exported,
    unnamed: Option<String>,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        let Some(published) = self.names.published(&path) else {
            self.unnamed.get_or_insert(path);
            return;
        };
        let Published {
            name,
            transposed,
            of_mechanism,
        } = published;
        let values = param.val().inner();
        let values = match transposed {
            true => values.transpose(),
            false => values,
        };
        let part = match of_mechanism {
            true => &mut self.found.mechanisms,
            false => &mut self.found.tensors,
        };
        part.insert(name, values.into_data().convert::<f32>());
    }
}

/// A safetensors file of tensors in f32, i64 or bool, as PyTorch's own would write it.
///
/// # Errors
/// [`ExportError::Tensor`].
pub fn safetensors(tensors: &Tensors) -> Result<Vec<u8>, ExportError> {
    let stored = |(name, data): (&String, &TensorData)| {
        let dtype = match data.dtype() {
            DType::F32 => Dtype::F32,
            DType::I64 => Dtype::I64,
            DType::Bool(_) => Dtype::BOOL,
            other => {
                return Err(ExportError::Tensor {
                    name: name.clone(),
                    reason: format!("it is of type {other:?}"),
                });
            }
        };
        let (shape, bytes) = (data.shape().to_vec(), data.as_bytes().to_vec());
        let stored = Stored {
            dtype,
            shape,
            bytes,
        };
        Ok((name.clone(), stored))
    };
    let stored: Vec<_> = tensors.iter().map(stored).collect::<Result<_, _>>()?;
    // Readers of PyTorch ask for it.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(stored, Some(metadata)).map_err(|error| ExportError::Tensor {
        name: "(file)".to_owned(),
        reason: error.to_string(),
    })
}

struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests;
