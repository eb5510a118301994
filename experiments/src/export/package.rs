//! What goes into the folder of an exported model.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sparta_model::export::{Tensors, config, safetensors};
use sparta_model::layer::{EntmaxAlpha, MechanismConfig};
use sparta_ops::pruning::{AttentionType, GlobalMask};

use super::folder::Content;
use super::npy;
use crate::protocol::ModelFolder;
use crate::version;

const FORMAT: &str = "sparta-export-1";
const WEIGHTS: &str = "model.safetensors";
const BESIDE: &str = "sparta.safetensors";
const SAMPLE: &str = "sample.safetensors";
const CONFIG: &str = "config.json";
const FACTS: &str = "sparta.json";
const README: &str = "README.md";
/// Where the loaders are.
const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/export.md");

/// Who reads the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loader {
    /// `AutoModelForSequenceClassification` of huggingface/transformers.
    SequenceClassification,
    /// `AutoModelForQuestionAnswering`.
    QuestionAnswering,
    /// `AutoModelForMaskedLM`.
    MaskedLm,
    /// `AutoModel`, without the head, which transformers does not have.
    Encoder,
    /// The encoder–decoder of `docs/export.md`.
    Seq2Seq,
    /// The Transformer-XL of `docs/export.md`.
    TransformerXl,
}

impl Loader {
    /// The class of the network, in `architectures` of its `config.json`.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::SequenceClassification => "BertForSequenceClassification",
            Self::QuestionAnswering => "BertForQuestionAnswering",
            Self::MaskedLm => "BertForMaskedLM",
            Self::Encoder => "BertModel",
            Self::Seq2Seq => "Seq2Seq",
            Self::TransformerXl => "TransformerXL",
        }
    }

    /// The lines that load it.
    fn lines(self) -> String {
        let of_transformers = |class: &str, options: &str| {
            format!(
                "from transformers import {class}, AutoTokenizer\nmodel = {class}.from_pretrained(\"DIR\"{options})\n\
                 tokenizer = AutoTokenizer.from_pretrained(\"DIR\")"
            )
        };
        match self {
            Self::SequenceClassification => {
                of_transformers("AutoModelForSequenceClassification", "")
            }
            Self::QuestionAnswering => of_transformers("AutoModelForQuestionAnswering", ""),
            Self::MaskedLm => of_transformers("AutoModelForMaskedLM", ""),
            Self::Encoder => of_transformers("AutoModel", ", add_pooling_layer=False"),
            Self::Seq2Seq | Self::TransformerXl => {
                format!(
                    "model = {}(\"DIR\")  # the class is in {DOCS}",
                    self.class()
                )
            }
        }
    }

    /// Whether transformers reads it.
    const fn is_transformers(self) -> bool {
        match self {
            Self::SequenceClassification
            | Self::QuestionAnswering
            | Self::MaskedLm
            | Self::Encoder => true,
            Self::Seq2Seq | Self::TransformerXl => false,
        }
    }
}

/// An exported model.
pub struct Package {
    /// Who reads it.
    pub loader: Loader,
    /// Where it is from.
    pub folder: ModelFolder,
    /// Its `config.json`, without `architectures`.
    pub config: Value,
    /// Its parameters.
    pub tensors: Tensors,
    /// Parameters that the loader has no place for.
    pub beside: Tensors,
    /// The mechanism of each type of attention that it has.
    pub attention: Vec<(AttentionType, MechanismConfig)>,
    /// Its global mask.
    pub mask: Option<GlobalMask>,
    /// The files of its tokenizer.
    pub tokenizer: Vec<Content>,
    /// Some input, and what the model makes of it under its mask.
    pub sample: Tensors,
    /// Further keys of `sparta.json`.
    pub facts: Vec<(&'static str, Value)>,
    /// What else the files cannot hold.
    pub further_limits: Vec<String>,
}

impl Package {
    /// What files and their reader cannot hold of the model, each in a sentence.
    pub fn limits(&self) -> Vec<String> {
        let mut limits = Vec::new();
        let (of_transformers, class) = (self.loader.is_transformers(), self.loader.class());
        for (kind, mechanism) in &self.attention {
            match (mechanism.entmax_alpha(), of_transformers) {
                (Some(EntmaxAlpha::SOFTMAX), _) => {}
                (Some(_), false) => {}
                (Some(_), true) => limits.push(format!(
                    "the attention `{mechanism}`: transformers computes softmax, and other outputs than this model's; \
                     `Bert` of docs/export.md computes it"
                )),
                (None, _) => limits.push(format!(
                    "the {kind} attention `{mechanism}`: {} docs/export.md computes α-entmax of scaled products alone; \
                     its parameters are in the files, its formula in `sparta_model::layer::mechanism`",
                    match of_transformers {
                        true => "transformers computes softmax, and",
                        false => "the loader in",
                    }
                )),
            }
        }
        if self.mask.is_some() && of_transformers {
            limits.push(format!(
                "the global mask: {class} of transformers does not read {}, and without it gives other outputs than this \
                 model's; `Bert` of docs/export.md applies it",
                mask_file(AttentionType::EncoderSelf)
            ));
        }
        limits.extend(self.further_limits.iter().cloned());
        limits
    }

    /// The files of the folder.
    ///
    /// # Errors
    /// A mask without one of its layers.
    pub(super) fn files(&self, program: &str, limits: &[String]) -> Result<Vec<Content>> {
        let mut files: Vec<Content> = vec![(WEIGHTS.to_owned(), safetensors(&self.tensors)?)];
        if !self.beside.is_empty() {
            files.push((BESIDE.to_owned(), safetensors(&self.beside)?));
        }
        let mut config = self.config.clone();
        if let Value::Object(keys) = &mut config {
            keys.insert("architectures".to_owned(), json!([self.loader.class()]));
        }
        files.push((CONFIG.to_owned(), pretty(&config)?));
        files.extend(self.tokenizer.iter().cloned());
        let masks = self.masks()?;
        let names: Vec<String> = masks.iter().map(|(name, _)| name.clone()).collect();
        files.extend(masks);
        files.push((SAMPLE.to_owned(), safetensors(&self.sample)?));
        let facts = self.describe(program, &names, limits);
        files.push((FACTS.to_owned(), pretty(&facts)?));
        files.push((README.to_owned(), self.readme(&files, limits).into_bytes()));
        Ok(files)
    }

    /// The cells that the mask hides, a file for each type of attention: `[layers, heads, rows, columns]`.
    fn masks(&self) -> Result<Vec<Content>> {
        let Some(mask) = &self.mask else {
            return Ok(Vec::new());
        };
        let mut files = Vec::new();
        for kind in AttentionType::ALL {
            let layers: Vec<usize> = mask
                .layers()
                .filter_map(|(found, layer)| (found == kind).then_some(layer))
                .collect();
            let grids = layers.iter().map(|&layer| mask.grid(kind, layer));
            let grids: Vec<_> = grids.collect::<Result<_, _>>()?;
            let Some(first) = grids.first() else {
                continue;
            };
            let rows = grids.iter().map(|grid| grid.n_rows).max();
            let columns = grids.iter().map(|grid| grid.n_cols).max();
            let (rows, columns) = (rows.unwrap_or_default(), columns.unwrap_or_default());
            let mut hidden = Vec::new();
            for layer in &layers {
                hidden.extend(mask.cells(kind, *layer, rows, columns)?);
            }
            let shape = [layers.len(), first.n_heads, rows, columns];
            files.push((mask_file(kind), npy::booleans(&hidden, &shape)));
        }
        Ok(files)
    }

    /// `sparta.json`.
    fn describe(&self, program: &str, masks: &[String], limits: &[String]) -> Value {
        let identity = &self.folder.identity;
        let attention: serde_json::Map<_, _> = (self.attention.iter())
            .map(|(kind, mechanism)| (kind.as_str().to_owned(), config::attention(mechanism)))
            .collect();
        let mask = self.mask.as_ref().map(|mask| {
            json!({
                "kind": mask.kind().to_string(),
                "p": mask.p(),
                "scope": mask.scope().as_str(),
                "semantics": mask.semantics().as_str(),
                "files": masks,
            })
        });
        let mut facts = json!({
            "format": FORMAT,
            "sparta": version::VERSION,
            "commit": version::COMMIT,
            "program": program,
            "model": self.folder.path,
            "run": identity.run,
            "seed": identity.seed,
            "recipe_hash": identity.recipe_hash,
            "class": self.loader.class(),
            "attention": attention,
            "mask": mask,
            "not_expressed": limits,
        });
        if let Value::Object(keys) = &mut facts {
            let further = self.facts.iter().cloned();
            keys.extend(further.map(|(key, value)| (key.to_owned(), value)));
        }
        facts
    }

    fn readme(&self, files: &[Content], limits: &[String]) -> String {
        let identity = &self.folder.identity;
        let mut text = format!(
            "# {}\n\nExported by Sparta {} from the model `{}` (run `{}`, seed {}).\n\n```python\n{}\n```\n\n",
            self.loader.class(),
            version::VERSION,
            self.folder.path.display(),
            identity.run,
            identity.seed,
            self.loader.lines()
        );
        text += "| file | holds |\n|---|---|\n";
        for (name, _) in files {
            let what = match name.as_str() {
                WEIGHTS => "parameters, f32, names and layouts of PyTorch",
                BESIDE => {
                    "parameters that the class above has no place for (α = 1 + sigmoid(raw_alpha) for each head)"
                }
                CONFIG => "sizes",
                SAMPLE => {
                    "an input, and what Sparta's model makes of it under its mask: check your loader by it"
                }
                FACTS => "where the model is from, its attention and its mask",
                name if name.ends_with(".npy") => {
                    "the global mask, bool `[layers, heads, rows, columns]`, true = hidden"
                }
                _ => "the tokenizer",
            };
            let _ = writeln!(text, "| `{name}` | {what} |");
        }
        text += "\n## Not expressed\n\n";
        match limits {
            [] => text += "Nothing: the class above computes what Sparta computes.\n",
            limits => {
                for limit in limits {
                    let _ = writeln!(text, "- {limit}.");
                }
            }
        }
        let _ = write!(text, "\nLoaders, and what each name means: {DOCS}\n");
        text
    }
}

/// The name of the mask of a type of attention.
fn mask_file(kind: AttentionType) -> String {
    format!("masks-{kind}.npy")
}

fn pretty(value: &Value) -> Result<Vec<u8>> {
    let text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    Ok((text + "\n").into_bytes())
}
