//! `sparta attend` on a run of labelled texts.

use anyhow::{Result, bail, ensure};

use super::predict::{find_model, head_of};
use crate::attend::{Attend, Attended, not_blank};
use crate::recipe::EncoderRecipe;
use crate::task::encoder::{self, TrainedEncoder};

/// The attention of one text or, for a task of pairs, of `--text` and `--target`.
///
/// # Errors
/// Texts that the task does not read or that are too long, or a folder without a trained model; each says what to do.
pub fn attend(request: &Attend) -> Result<Attended> {
    let first = not_blank("--text", &request.text)?;
    let found = find_model(&request.model)?;
    let (task, head) = head_of(&found)?;
    let second = match (head.is_pair, request.target.as_deref()) {
        (true, None) => bail!("{task} is a task of pairs: give the second text by `--target`"),
        (false, Some(_)) => bail!("{task} is a task of single texts: leave out `--target`"),
        (true, Some(second)) => Some(not_blank("--target", second)?),
        (false, None) => None,
    };
    let max_len = found.recipe.max_len();
    let sizes = (found.recipe.model(), max_len);
    let trained = TrainedEncoder::open(&found, sizes, request.device, |config, device| {
        head.init(config, device)
    })?;
    let tokenizer = &trained.pretrained.tokenizer;
    let encoding = tokenizer.encode(first, second, max_len)?;
    ensure!(
        encoding.n_cut == 0,
        "the text has {} tokens; the model reads at most {max_len}: shorten it",
        encoding.len() + encoding.n_cut
    );
    let texts = [("Text", Some(first)), ("Second text", second)];
    let texts = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)));
    let bert = &trained.network.bert;
    encoder::attend(
        &found,
        &trained,
        bert,
        &encoding,
        &texts.collect::<Vec<_>>(),
    )
}
