//! `sparta attend` on a run of answers in paragraphs.

use anyhow::{Context, Result, ensure};

use super::Squad;
use crate::attend::{Attend, Attended, not_blank};
use crate::protocol::Task;
use crate::protocol::find::find;
use crate::recipe::EncoderRecipe;
use crate::task::encoder::{self, TrainedEncoder};

/// The attention of a question, `--text`, and its paragraph, `--target`.
///
/// # Errors
/// A missing text or one that is too long, or a folder without a trained model; each says what to do.
pub fn attend(request: &Attend) -> Result<Attended> {
    let question = not_blank("--text", &request.text)?;
    let paragraph = request.target.as_deref();
    let paragraph = paragraph
        .context("this model reads a question and a paragraph: give the paragraph by `--target`")?;
    let paragraph = not_blank("--target", paragraph)?;
    let found = find::<Squad>(&request.model, Squad::variants)?;
    found.arm.variant.check_weights()?;
    let (data, max_len) = (&found.recipe.data, found.recipe.max_len());
    let sizes = (found.recipe.model(), max_len);
    let trained = TrainedEncoder::open(&found, sizes, request.device, |config, device| {
        config.init_span_finder(device)
    })?;
    let tokenizer = &trained.pretrained.tokenizer;
    let n_question = tokenizer.pieces(question)?.len();
    ensure!(
        n_question <= data.max_question,
        "the question has {n_question} tokens; the model reads at most {}: shorten `--text`",
        data.max_question
    );
    let encoding = tokenizer.encode(question, Some(paragraph), max_len)?;
    ensure!(
        encoding.n_cut == 0,
        "question and paragraph have {} tokens; the model reads at most {max_len} at once: shorten `--target`",
        encoding.len() + encoding.n_cut
    );
    let texts = [("Question", question), ("Paragraph", paragraph)];
    encoder::attend(&found, &trained, &trained.network.bert, &encoding, &texts)
}
