//! `glue predict`: lines in, labels and scores out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sparta_datasets::batch::EncodedExample;
use sparta_datasets::classification::{ClassificationTask, Labels, TextExample};

use super::prediction::{self, LabelHead, Prediction};
use super::{Glue, labels};
use crate::device::DeviceChoice;
use crate::io::{Reader, print_line};
use crate::protocol::find::{Found, find};
use crate::protocol::note;
use crate::recipe::{EncoderRecipe, GlueRecipe, Source};
use crate::task::encoder::{self, TrainedEncoder, batch};
use crate::task::input_lines::InputLines;

/// What `glue predict` asks for.
#[derive(Debug, Clone)]
pub struct Predict {
    /// A run folder, or the folder of a model in it.
    pub model: PathBuf,
    /// Where to compute.
    pub device: DeviceChoice,
    /// No words on standard error.
    pub quiet: bool,
}

/// Labels the lines of standard input: a text a line or, for tasks of pairs, two texts with a tab
/// between them. Each line out has the label and, after tabs, the probability of each class in the order
/// that standard error names; for a score, the number alone. The last words on standard error are how many lines were longer
/// than what the model reads. What stands before a line that is refused is labelled and printed.
///
/// # Errors
/// A folder without a trained model, a model and tokenizer that do not fit, no line, or one that is no text or without its
/// tab; each says what to do.
pub fn predict(request: &Predict) -> Result<()> {
    let found = find_model(&request.model)?;
    let recipe = &found.recipe;
    let (task, head) = head_of(&found)?;
    let max_len = recipe.max_len();
    let sizes = (recipe.model(), max_len);
    let trained = TrainedEncoder::open(&found, sizes, request.device, |config, device| {
        head.init(config, device)
    })?;
    let tokenizer = &trained.pretrained.tokenizer;
    let model = trained.model();
    let outputs = match &head.labels {
        Labels::Classes(names) => format!("label, then the probabilities of {}", names.join(", ")),
        Labels::Score => match task {
            Source::Published(_) => "a number from 0 to 5".to_owned(),
            Source::Files => "a number".to_owned(),
        },
    };
    note(
        request.quiet,
        &format!(
            "model {} ({task}, {}) · device {} · out: {outputs}",
            found.folder.path.display(),
            match &trained.mask {
                Some(_) => "under its mask",
                None => "no mask",
            },
            trained.device.note
        ),
    );
    let shape = (
        batch::padding(recipe.data.padding, max_len),
        tokenizer.special().pad,
        recipe.eval.batch_size,
    );
    let mut input = InputLines::of_standard_input("text to label");
    let mut n_cut = 0;
    'lines: loop {
        let read = |line: &str, number| example(line, head.is_pair, number);
        let examples = input.next(recipe.eval.batch_size, read)?;
        if examples.is_empty() {
            break;
        }
        let examples = EncodedExample::encode_all(&examples, tokenizer, max_len)?;
        let is_cut = |of: &&EncodedExample| of.encoding.n_cut > 0;
        n_cut += examples.iter().filter(is_cut).count();
        let predictions = prediction::predict(&model, &examples, &head.labels, shape, &mut |_| ())?;
        for prediction in predictions {
            if print_line(words(&head.labels, &prediction))? == Reader::Gone {
                break 'lines;
            }
        }
    }
    if n_cut > 0 {
        note(
            request.quiet,
            &format!(
                "{n_cut} lines were cut to the {max_len} tokens that the model reads (`data.max_len`): their labels are those of \
                 what is left"
            ),
        );
    }
    Ok(())
}

/// A label and the probability of each class, or a number.
fn words(labels: &Labels, prediction: &Prediction) -> String {
    let label = labels.spell(prediction.label());
    match prediction {
        Prediction::Classes(p) => {
            let p: Vec<String> = p.iter().map(|p| format!("{p:.4}")).collect();
            format!("{label}\t{}", p.join("\t"))
        }
        Prediction::Score(_) => label,
    }
}

/// The model that a path names.
///
/// # Errors
/// A path that is in no run folder, or names no model of it.
pub(super) fn find_model(path: &Path) -> Result<Found<GlueRecipe>> {
    find::<Glue>(path, |recipe| {
        // Tasks are no part of what makes a run: any may be there.
        let names: Vec<String> = Source::tasks().map(|task| task.name().to_owned()).collect();
        Ok(encoder::variants(recipe, &names))
    })
}

/// The task of a model, and the head that it has for it.
pub(super) fn head_of(
    found: &Found<GlueRecipe>,
) -> Result<(Source<ClassificationTask>, LabelHead)> {
    let task = Source::tasks()
        .nth(found.arm.variant.dataset)
        .context("the variant has no task")?;
    let own = || labels::of_run(&found.folder.path);
    Ok((task, LabelHead::of(task, &found.recipe, own)?))
}

fn example(line: &str, is_pair: bool, number: usize) -> Result<TextExample> {
    let mut texts = line.split('\t');
    let first = texts.next().unwrap_or_default().to_owned();
    let second = texts.next().map(str::to_owned);
    ensure!(
        texts.next().is_none(),
        "line {number} has more than one tab; give one or two texts a line"
    );
    match (is_pair, &second) {
        (true, None) => {
            bail!("line {number} has no tab; this model reads two texts, TEXT<tab>TEXT")
        }
        (false, Some(_)) => bail!("line {number} has a tab; this model reads one text a line"),
        (true, Some(_)) | (false, None) => {}
    }
    Ok(TextExample {
        first,
        second,
        label: None,
    })
}
