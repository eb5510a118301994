//! `sparta export` on an encoder: a BERT as huggingface/transformers has it.

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::TensorData;
use serde_json::{Map, Value, json};
use sparta_datasets::tokenize::pretrained::Tokenizer;
use sparta_model::bert::BertInput;
use sparta_model::export::{Exported, KeyMap, Tensors, config, export};
use sparta_ops::pruning::AttentionType;

use super::{TrainedEncoder, batch};
use crate::export::{Loader, Package};
use crate::protocol::RunFolder;
use crate::protocol::find::Found;

/// The only attention there is.
const KIND: AttentionType = AttentionType::EncoderSelf;
/// What stands before the names of the encoder's parameters in a network with a head.
const ENCODER: &str = "bert.";
/// Tokens of the sample, of which the second sequence has fewer.
const SAMPLE: usize = 12;
/// What the tokenizer of transformers is told, where the run has no such file.
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const TOKENIZER: &str = "tokenizer.json";

/// What a network makes of an input, by name.
pub type Outputs = Vec<(&'static str, TensorData)>;

/// What a head adds to an encoder.
pub struct ExportedHead<'a, N> {
    /// Who reads it; [`Loader::Encoder`] for a head that transformers does not have.
    pub loader: Loader,
    /// Further keys of `config.json`.
    pub config: Map<String, Value>,
    /// Longest sequence.
    pub max_len: usize,
    /// What the network makes of the sample, by name.
    pub outputs: &'a dyn Fn(&N, BertInput) -> Outputs,
}

/// The files of a trained encoder with its head.
///
/// # Errors
/// A tokenizer that cannot be read.
pub fn package<R, N: Module>(
    found: &Found<R>,
    trained: &TrainedEncoder<N>,
    head: ExportedHead<'_, N>,
) -> Result<Package> {
    let (pretrained, mechanism) = (&trained.pretrained, found.arm.variant.mechanism(KIND));
    let Exported {
        tensors,
        mechanisms,
    } = export(&trained.network, KeyMap::Bert)?;
    let (tensors, beside) = match head.loader {
        // Its names are those of an encoder without a head.
        Loader::Encoder => {
            let (encoder, others): (Tensors, Tensors) =
                (tensors.into_iter()).partition(|(name, _)| name.starts_with(ENCODER));
            let short = |(name, data): (String, TensorData)| match name.strip_prefix(ENCODER) {
                Some(short) => (short.to_owned(), data),
                None => (name, data),
            };
            let beside = mechanisms.into_iter().chain(others);
            (
                encoder.into_iter().map(short).collect(),
                beside.map(short).collect(),
            )
        }
        Loader::SequenceClassification
        | Loader::QuestionAnswering
        | Loader::MaskedLm
        | Loader::Seq2Seq
        | Loader::TransformerXl => (tensors, mechanisms),
    };
    let mut config = config::bert(&pretrained.config).context("cannot write config.json")?;
    if let Value::Object(keys) = &mut config {
        let pad = pretrained.tokenizer.special().pad;
        keys.insert("pad_token_id".to_owned(), json!(pad));
        keys.insert("torch_dtype".to_owned(), json!("float32"));
        keys.extend(head.config);
    }
    let n_positions = pretrained.config.max_len;
    Ok(Package {
        loader: head.loader,
        folder: found.folder.clone(),
        config,
        tensors,
        beside,
        attention: vec![(KIND, mechanism)],
        mask: trained.mask.clone(),
        tokenizer: tokenizer_files(&found.run, &pretrained.tokenizer, n_positions)?,
        sample: sample(trained, head.max_len.min(n_positions), head.outputs),
        facts: vec![("max_len", json!(head.max_len))],
        further_limits: Vec::new(),
    })
}

/// Two sequences, the second one padded, of two segments, and what the network makes of them.
fn sample<N: Module>(
    trained: &TrainedEncoder<N>,
    max_len: usize,
    outputs: &dyn Fn(&N, BertInput) -> Outputs,
) -> Tensors {
    let (special, n) = (trained.pretrained.tokenizer.special(), SAMPLE.min(max_len));
    let n_second = n.saturating_sub(3).max(2).min(n);
    let vocab_size = trained.pretrained.config.vocab_size;
    let (mut ids, mut types, mut padding) = (Vec::new(), Vec::new(), Vec::new());
    for (row, len) in [n, n_second].into_iter().enumerate() {
        for place in 0..n {
            ids.push(match place {
                0 => special.cls,
                place if place >= len => special.pad,
                place if place + 1 == len || place == len / 2 => special.sep,
                // Spread over the vocabulary.
                place => ((row * n + place) * 7919 % vocab_size) as u32,
            } as i32);
            let is_second = trained.pretrained.config.n_token_types > 1 && place > len / 2;
            types.push(i32::from(is_second && place < len));
            padding.push(place >= len);
        }
    }
    let model = trained.model();
    let input = batch::input(&ids, &types, &padding, [2, n], model.device);
    let outputs = outputs(model.network, input.masks(model.masks.clone()));
    let ints =
        |values: &mut dyn Iterator<Item = i64>| TensorData::new(values.collect::<Vec<_>>(), [2, n]);
    let mut sample = Tensors::from([
        (
            "input_ids".to_owned(),
            ints(&mut ids.iter().map(|&id| i64::from(id))),
        ),
        (
            "token_type_ids".to_owned(),
            ints(&mut types.iter().map(|&kind| i64::from(kind))),
        ),
        (
            "attention_mask".to_owned(),
            ints(&mut padding.iter().map(|&padded| i64::from(!padded))),
        ),
    ]);
    sample.extend(
        outputs
            .into_iter()
            .map(|(name, data)| (name.to_owned(), data)),
    );
    sample
}

/// The tokenizer's files as the run has them, with what transformers needs besides.
fn tokenizer_files(
    run: &RunFolder,
    tokenizer: &Tokenizer,
    max_len: usize,
) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = run.data();
    let mut files = Vec::new();
    for name in Tokenizer::files_of(&folder) {
        let path = folder.join(name);
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        files.push((name.to_owned(), bytes));
    }
    let special = tokenizer.special();
    let token = |id: u32| tokenizer.token(id).map(str::to_owned);
    if let Some((_, bytes)) = files.iter_mut().find(|(name, _)| name == TOKENIZER) {
        let mut json: Value =
            serde_json::from_slice(bytes).context("cannot read tokenizer.json")?;
        // Read as BERT's here where the file leaves it out; transformers would put nothing around texts.
        if json.get("post_processor").is_none_or(Value::is_null) {
            json["post_processor"] = json!({
                "type": "BertProcessing",
                "cls": [token(special.cls), special.cls],
                "sep": [token(special.sep), special.sep],
            });
            *bytes = serde_json::to_vec(&json).context("cannot write tokenizer.json")?;
        }
    }
    if !files.iter().any(|(name, _)| name == TOKENIZER_CONFIG) {
        // The class that takes tokenizer.json as it is, with its casing.
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": max_len,
            "pad_token": token(special.pad),
            "cls_token": token(special.cls),
            "sep_token": token(special.sep),
            "unk_token": special.unk.and_then(token),
            "mask_token": special.mask.and_then(token),
        });
        let text = serde_json::to_string_pretty(&config).context("cannot write JSON")?;
        files.push((TOKENIZER_CONFIG.to_owned(), (text + "\n").into_bytes()));
    }
    Ok(files)
}
