//! `sparta export` on a run of answers in paragraphs.

use anyhow::Result;
use serde_json::Map;
use sparta_model::bert::BertSpanFinder;

use super::Squad;
use crate::export::{Export, Loader, Package};
use crate::protocol::Task;
use crate::protocol::find::find;
use crate::recipe::EncoderRecipe;
use crate::task::encoder::{self, ExportedHead, TrainedEncoder};

/// The files of a model that finds answers.
///
/// # Errors
/// A folder without a trained model.
pub fn export(request: &Export) -> Result<Package> {
    let found = find::<Squad>(&request.model, Squad::variants)?;
    let max_len = found.recipe.max_len();
    let sizes = (found.recipe.model(), max_len);
    let trained = TrainedEncoder::open(&found, sizes, request.device, |config, device| {
        config.init_span_finder(device)
    })?;
    let head = ExportedHead {
        loader: Loader::QuestionAnswering,
        config: Map::new(),
        max_len,
        outputs: &|network: &BertSpanFinder, input| {
            let scores = network.forward(input);
            vec![
                ("start_logits", scores.start.into_data()),
                ("end_logits", scores.end.into_data()),
            ]
        },
    };
    encoder::package(&found, &trained, head)
}
