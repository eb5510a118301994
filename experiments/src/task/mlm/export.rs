//! `sparta export` on a masked language model.

use anyhow::Result;
use serde_json::Map;
use sparta_model::bert::BertMaskedLm;

use super::MaskedLanguageModel;
use crate::export::{Export, Loader, Package};
use crate::protocol::Task;
use crate::protocol::find::find;
use crate::task::encoder::{self, ExportedHead, TrainedEncoder};

/// The files of a masked language model.
///
/// # Errors
/// A folder without a trained model.
pub fn export(request: &Export) -> Result<Package> {
    let found = find::<MaskedLanguageModel>(&request.model, MaskedLanguageModel::variants)?;
    let max_len = found.recipe.data.max_len;
    let sizes = (&found.recipe.model, max_len);
    let trained = TrainedEncoder::open(&found, sizes, request.device, |config, device| {
        config.init_masked_lm(device)
    })?;
    let head = ExportedHead {
        loader: Loader::MaskedLm,
        config: Map::new(),
        max_len,
        outputs: &|network: &BertMaskedLm, input| {
            vec![("logits", network.forward(input).into_data())]
        },
    };
    encoder::package(&found, &trained, head)
}
