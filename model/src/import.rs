//! Published weights into networks.
//!
//! [`Weights`] reads a file, [`import_bert`] puts it into a module. Every parameter must have its
//! tensor and every tensor its parameter, unless [`ImportOptions`] allows the difference; the error
//! lists all that differ.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use burn::prelude::*;
//! use sparta_model::import::{ImportOptions, Weights, bert_config, import_bert};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = Path::new("all-MiniLM-L6-v2");
//! let config = bert_config(&std::fs::read_to_string(folder.join("config.json"))?)?;
//! let model = config.init_classifier(2, &Device::flex());
//! // The head is new: the weights are those of a network without one.
//! let options = ImportOptions::default().allow_missing("classifier.");
//! let weights = Weights::read(&folder.join("model.safetensors"))?;
//! let (model, report) = import_bert(model, weights, &options)?;
//! assert_eq!(report.missing, ["classifier.weight", "classifier.bias"]);
//! assert_eq!(model.bert.encoder.len(), 6);
//! # Ok(())
//! # }
//! ```
//!
//! # BERT
//!
//! Names as in files of huggingface/transformers, with or without `bert.` in front; the old
//! `LayerNorm.gamma` and `LayerNorm.beta` are read too, and `embeddings.position_ids` is passed over.
//! Weights of linear maps are `[outputs, inputs]` there and `[inputs, outputs]` here.
//!
//! | here | published |
//! |---|---|
//! | `embeddings.words`, `.positions`, `.token_types` | `embeddings.word_embeddings.weight`, `.position_embeddings.weight`, `.token_type_embeddings.weight` |
//! | `embeddings.norm` | `embeddings.LayerNorm` |
//! | `encoder.N.self_attention.attention.query`, `.key`, `.value` | `encoder.layer.N.attention.self.query`, `.key`, `.value` |
//! | `encoder.N.self_attention.attention.output` | `encoder.layer.N.attention.output.dense` |
//! | `encoder.N.self_attention.norm` | `encoder.layer.N.attention.output.LayerNorm` |
//! | `encoder.N.feed_forward.expand` | `encoder.layer.N.intermediate.dense` |
//! | `encoder.N.feed_forward.reduce` | `encoder.layer.N.output.dense` |
//! | `encoder.N.feed_forward.norm` | `encoder.layer.N.output.LayerNorm` |
//! | `pooler` | `pooler.dense` |
//! | `classifier` of `BertClassifier` | `classifier` |
//! | `span_output` of `BertSpanFinder` | `qa_outputs` |
//! | `head.transform`, `head.norm` of `BertMaskedLm` | `cls.predictions.transform.dense`, `.LayerNorm` |
//! | `head.bias` of `BertMaskedLm` | `cls.predictions.bias`, or `cls.predictions.decoder.bias` |
//!
//! `cls.predictions.decoder.weight` is the table of word embeddings once more; where it is another one,
//! it is reported as a tensor without a parameter.
//!
//! Parameters of an attention mechanism (a learned α) have no published name. Where a file does not have them under the
//! names of [`crate::export`], they stay as they are, but for those that would add to what the weights were trained
//! with: a Nyström convolution starts at 0.

mod bert;
mod config;
mod error;
mod load;
mod weights;

pub use bert::import_bert;
pub(crate) use config::published_config;
pub use config::{PublishedBert, bert_config, read_bert_config};
pub use error::ImportError;
pub use load::{ImportOptions, ImportReport};
pub use weights::Weights;
