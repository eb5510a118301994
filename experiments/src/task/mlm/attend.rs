//! `sparta attend` on a masked language model.

use anyhow::{Result, bail, ensure};
use sparta_datasets::batch::text_windows;

use super::MaskedLanguageModel;
use crate::attend::{Attend, Attended, not_blank};
use crate::protocol::Task;
use crate::protocol::find::find;
use crate::task::encoder::{self, TrainedEncoder};

/// The attention of one text, in which `[MASK]` is the mask.
///
/// # Errors
/// No text, one that is too long, `--target`, or a folder without a trained model; each says what to do.
pub fn attend(request: &Attend) -> Result<Attended> {
    let text = not_blank("--text", &request.text)?;
    ensure!(
        request.target.is_none(),
        "a masked language model reads one text: leave out `--target`"
    );
    let found = find::<MaskedLanguageModel>(&request.model, MaskedLanguageModel::variants)?;
    found.arm.variant.check_weights()?;
    let max_len = found.recipe.data.max_len;
    let sizes = (&found.recipe.model, max_len);
    let trained = TrainedEncoder::open(&found, sizes, request.device, |config, device| {
        config.init_masked_lm(device)
    })?;
    let windows = text_windows(text, &trained.pretrained.tokenizer, usize::MAX)?;
    let [encoding] = windows.as_slice() else {
        bail!("`--text` has no word piece");
    };
    ensure!(
        encoding.len() <= max_len,
        "the text has {} tokens; the model reads at most {max_len} at once: shorten it",
        encoding.len()
    );
    let bert = &trained.network.bert;
    encoder::attend(&found, &trained, bert, encoding, &[("Text", text)])
}
