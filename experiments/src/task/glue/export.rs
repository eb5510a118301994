//! `sparta export` on a run of labelled texts.

use anyhow::Result;
use serde_json::{Map, Value, json};
use sparta_datasets::classification::Labels;
use sparta_model::bert::Pooling;

use super::predict::{find_model, head_of};
use crate::export::{Export, Loader, Package};
use crate::recipe::EncoderRecipe;
use crate::task::encoder::{self, ExportedHead, TrainedEncoder};

/// The files of a classifier, or of a model that gives a number.
///
/// # Errors
/// A folder without a trained model.
pub fn export(request: &Export) -> Result<Package> {
    let found = find_model(&request.model)?;
    let (task, head) = head_of(&found)?;
    let max_len = found.recipe.max_len();
    let sizes = (found.recipe.model(), max_len);
    let trained = TrainedEncoder::open(&found, sizes, request.device, |config, device| {
        head.init(config, device)
    })?;
    let mut config = Map::new();
    match &head.labels {
        Labels::Classes(names) => {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let of_id: Map<_, _> = (names.iter().enumerate())
                .map(|(id, name)| (id.to_string(), json!(name)))
                .collect();
            let of_label: Map<_, _> = (names.iter().enumerate())
                .map(|(id, name)| (name.clone(), json!(id)))
                .collect();
            config.insert("id2label".to_owned(), Value::Object(of_id));
            config.insert("label2id".to_owned(), Value::Object(of_label));
            config.insert(
                "problem_type".to_owned(),
                json!("single_label_classification"),
            );
        }
        Labels::Score => {
            config.insert("id2label".to_owned(), json!({ "0": "score" }));
            config.insert("label2id".to_owned(), json!({ "score": 0 }));
            config.insert("problem_type".to_owned(), json!("regression"));
        }
    }
    let loader = match head.pooling {
        Pooling::First => Loader::SequenceClassification,
        Pooling::Segments => Loader::Encoder,
    };
    let mut package = encoder::package(
        &found,
        &trained,
        ExportedHead {
            loader,
            config,
            max_len,
            outputs: &|network, input| vec![("logits", network.forward(input).into_data())],
        },
    )?;
    package.facts.extend([
        ("task", json!(task.name())),
        ("is_pair", json!(head.is_pair)),
        ("pooling", json!(head.pooling)),
    ]);
    if head.pooling == Pooling::Segments {
        package.further_limits.push(
            "the head: transformers has none that judges [u, v, |u − v|, u∗v], u and v being the mean vectors of the two \
             segments; its `classifier` is in sparta.safetensors, and `Bert` of docs/export.md computes it"
                .to_owned(),
        );
    }
    Ok(package)
}
