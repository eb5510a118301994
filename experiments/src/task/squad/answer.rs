//! `squad answer`: questions in, answers out.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sparta_datasets::source::text_of;
use sparta_datasets::squad::{
    Article, SquadForm, SquadSet, WindowOptions, articles_from_json, n_cut_questions, n_questions,
    windows,
};

use super::Squad;
use super::answers::{Answered, Asked, json};
use super::score::NULL_ODDS;
use crate::device::DeviceChoice;
use crate::io::{print_line, refuse_existing, write_text};
use crate::protocol::find::{Found, find};
use crate::protocol::{Task, note};
use crate::recipe::{EncoderRecipe, Source, SquadRecipe};
use crate::task::encoder::{TrainedEncoder, batch};

/// What `squad answer` asks for.
#[derive(Debug, Clone)]
pub struct AnswerRequest {
    /// A run folder, or the folder of a model in it.
    pub model: PathBuf,
    /// Where to compute.
    pub device: DeviceChoice,
    /// How much likelier than an answer none has to be; none = as the model was scored.
    pub null_threshold: Option<f64>,
    /// Where the odds of no answer are written.
    pub null_odds: Option<PathBuf>,
    /// No words on standard error.
    pub quiet: bool,
}

/// Answers the questions of standard input, SQuAD's JSON with or without answers, and prints a JSON object: the answer to
/// each question by its id, the empty one for none. The last words on standard error are how many questions were longer than what
/// the model reads of one.
///
/// # Errors
/// A folder without a trained model, input that is no such JSON, or a model and tokenizer that do not fit; each says what to
/// do.
pub fn answer(request: &AnswerRequest) -> Result<()> {
    if let Some(path) = &request.null_odds {
        refuse_existing(path, "--null-odds FILE")?;
    }
    let found = find::<Squad>(&request.model, Squad::variants)?;
    found.arm.variant.check_weights()?;
    let (recipe, max_len) = (&found.recipe, found.recipe.max_len());
    let sizes = (recipe.model(), max_len);
    let trained = TrainedEncoder::open(&found, sizes, request.device, |config, device| {
        config.init_span_finder(device)
    })?;
    let threshold = match request.null_threshold {
        Some(threshold) => {
            ensure!(
                !threshold.is_nan(),
                "`--null-threshold` must be a number, e.g. 0"
            );
            Some(threshold)
        }
        None => threshold_of(&found)?,
    };
    let articles = asked_for()?;
    let tokenizer = &trained.pretrained.tokenizer;
    let how = match threshold {
        Some(threshold) => {
            format!("no answer (\"\") where it is likelier by more than {threshold}")
        }
        None => "an answer to every question".to_owned(),
    };
    note(
        request.quiet,
        &format!(
            "model {} · device {} · {} questions · {how}",
            found.folder.path.display(),
            trained.device.note,
            n_questions(&articles),
        ),
    );
    let options = WindowOptions {
        max_len,
        stride: recipe.data.stride,
        max_question: recipe.data.max_question,
    };
    let windows = windows(&articles, tokenizer, &options)?;
    let asked = Asked {
        articles: &articles,
        windows: &windows,
        padding: batch::padding(recipe.data.padding, max_len),
        pad: tokenizer.special().pad,
        recipe: &recipe.eval,
    };
    let answers = asked.answer(&trained.model(), &mut |_| ())?;
    let id = |of: &Answered| of.place.of(&articles).1.id.as_str();
    if let Some(path) = &request.null_odds {
        let odds: BTreeMap<&str, f64> = (answers.iter()).map(|of| (id(of), of.null_odds)).collect();
        let text = json(&odds)?;
        // A pipe or a device stays what it is.
        match path.exists() && !path.is_file() {
            true => std::fs::write(path, text)
                .with_context(|| format!("cannot write {}", path.display()))?,
            false => write_text(path, &text)?,
        }
    }
    let predicted: BTreeMap<&str, &str> = (answers.iter())
        .map(|of| (id(of), of.predicted(threshold).unwrap_or_default()))
        .collect();
    print_line(json(&predicted)?.trim_end())?;
    let n_cut = n_cut_questions(&articles, tokenizer, &options)?;
    if n_cut > 0 {
        note(
            request.quiet,
            &format!(
                "{n_cut} questions were cut to the {} tokens that the model reads of one (`data.max_question`)",
                options.max_question
            ),
        );
    }
    Ok(())
}

/// The questions of standard input.
fn asked_for() -> Result<Vec<Article>> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.context("cannot read standard input")?;
    ensure!(
        !bytes.is_empty(),
        "standard input is empty: there is no question to answer; give SQuAD's JSON"
    );
    let text = text_of(bytes).context("cannot read standard input")?;
    let name = Path::new("of standard input");
    Ok(articles_from_json(&text, name, SquadForm::Asked)?)
}

/// The threshold that a model was scored with, if some questions of its run have no answer.
fn threshold_of(found: &Found<SquadRecipe>) -> Result<Option<f64>> {
    let has_impossible = match found.recipe.set()? {
        Source::Published(SquadSet::V2_0) => true,
        Source::Published(SquadSet::V1_1 | SquadSet::Shipped) => false,
        // Its files need not be here: scoring has left what only such questions have.
        Source::Files => found.folder.path.join(NULL_ODDS).is_file(),
    };
    Ok(Some(found.recipe.eval.null_threshold).filter(|_| has_impossible))
}
