//! `--dry-run`: resolve, open the device, two batches, one step; write nothing.

use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use burn::tensor::{Device, Tensor};
use sparta_datasets::batch::{LmBatch, LmStream};
use sparta_datasets::tokenize::Vocabulary;
use sparta_datasets::{CorpusName, Split, source};
use sparta_model::transformer_xl::{TransformerXl, TransformerXlInput};

use super::cost::{Cost, step_bytes};
use super::data;
use super::lesson::input_tokens;
use super::network;
use crate::device;
use crate::protocol::cost::{available_memory, gigabytes};
use crate::protocol::{Request, Row, RunFolder};
use crate::recipe::{LmRecipe, Recipe};
use crate::train::rng::{self, Purpose};
use crate::train::short;
use crate::train::watch::duration;

/// Words of the published vocabularies, `<eos>` included, for when the corpus is not at hand.
fn published_vocabulary(corpus: CorpusName) -> Option<usize> {
    match corpus {
        CorpusName::StateOfTheUnion => None,
        CorpusName::WikiText2 => Some(33_278),
        CorpusName::WikiText103 => Some(267_735),
    }
}

/// Two batches and where they come from.
struct Sample {
    batches: [LmBatch; 2],
    vocab_size: usize,
    origin: String,
}

/// Tries a recipe without leaving a trace.
///
/// # Errors
/// What would also stop the run itself.
pub fn run(request: &Request<LmRecipe>, folder: &RunFolder) -> Result<()> {
    let recipe = &request.recipe;
    let opened = device::open(request.device, LmRecipe::PROGRAM)?;
    let sample = sample(request, folder)?;
    let cost = Cost::of(recipe, sample.vocab_size);
    println!("recipe      {} ({})", recipe.table(), short(&recipe.hash()));
    println!("device      {}", opened.note);
    println!("data        {}", sample.origin);
    println!("parameters  {}", cost.n_params);
    println!(
        "tokens/step {} ({} × {})",
        cost.tokens_per_step, recipe.train.batch_size, recipe.model.tgt_len
    );
    println!(
        "table       {} seed(s) × (dense {} steps + {} rows {} for {} steps)",
        recipe.seeds().len(),
        recipe.train.steps,
        Row::all(&recipe.prune.masks).len(),
        recipe.retrain.start.words(),
        recipe.retrain.steps
    );
    println!(
        "memory      about {} (weights, gradients, optimiser {}; one step {})",
        gigabytes(cost.bytes()),
        gigabytes(cost.parameter_bytes),
        gigabytes(cost.step_bytes)
    );
    step(request, &sample, &cost, &opened)?;
    println!(
        "run folder  {} (not made: this was a dry run)",
        folder.root().display()
    );
    Ok(())
}

fn step(
    request: &Request<LmRecipe>,
    sample: &Sample,
    cost: &Cost,
    opened: &device::OpenDevice,
) -> Result<()> {
    let recipe = &request.recipe;
    let attention = request.attention;
    attention.on(&opened.device)?;
    let training = opened.device.clone().autodiff();
    let available = opened.choice.is_cpu().then(available_memory);
    let fits = |bytes: f64| available.is_none_or(|a| bytes < 0.9 * a);
    if !fits(cost.n_params as f64 * 4.0) {
        println!("step        not tried: the weights alone exceed the free memory");
        return Ok(());
    }
    let model = network::init(
        &recipe.model,
        sample.vocab_size,
        attention,
        recipe.seeds()[0],
        &training,
    )?;
    let forward_backward = |columns: usize| one_step(&model, sample, columns, &training);
    if fits(cost.bytes()) {
        forward_backward(recipe.train.batch_size)?;
        let (loss, seconds) = forward_backward(recipe.train.batch_size)?;
        println!(
            "step        forward and backward in {seconds:.2} s, loss {loss:.3} on untrained weights"
        );
        say_time(cost, cost.tokens_per_step as f64 / seconds, "measured");
        return Ok(());
    }
    let free = available.map(gigabytes).unwrap_or_default();
    println!("step        the full step does not fit the free memory ({free}) and was not tried");
    let one = cost.n_params as f64 * 12.0 + step_bytes(&recipe.model, 1, sample.vocab_size);
    if fits(one) {
        let (loss, seconds) = forward_backward(1)?;
        println!(
            "            one column of the batch instead: {seconds:.2} s, loss {loss:.3} on untrained weights"
        );
        say_time(
            cost,
            recipe.model.tgt_len as f64 / seconds,
            "from one column",
        );
    }
    Ok(())
}

fn say_time(cost: &Cost, tokens_per_second: f64, how: &str) {
    println!(
        "time        about {} for {:.2e} training tokens at {tokens_per_second:.0} tokens/s ({how}; \
         observing and testing add to it)",
        duration(cost.training_tokens / tokens_per_second),
        cost.training_tokens
    );
}

/// Both batches through the model and back, on the first `columns` columns; loss and seconds of
/// the second.
fn one_step(
    model: &TransformerXl,
    sample: &Sample,
    columns: usize,
    device: &Device,
) -> Result<(f64, f64)> {
    let mut mems = None;
    let mut last = (0.0, 0.0);
    for batch in &sample.batches {
        let batch = first_columns(batch, columns);
        let started = Instant::now();
        let output = model.forward(TransformerXlInput {
            tokens: input_tokens(&batch, device),
            mems: mems.take(),
            masks: None,
            return_weights: false,
        });
        mems = Some(output.mems);
        let loss: Tensor<1> = model.nll(output.hidden, &batch.target).mean();
        let _gradients = loss.backward();
        device
            .sync()
            .map_err(|e| anyhow!("the device failed in a step: {e:?}"))?;
        let value = loss.inner().into_scalar::<f32>();
        last = (f64::from(value), started.elapsed().as_secs_f64());
    }
    Ok(last)
}

fn first_columns(batch: &LmBatch, columns: usize) -> LmBatch {
    let columns = columns.min(batch.batch_size);
    let n = columns * batch.len;
    LmBatch {
        input: batch.input[..n].to_vec(),
        target: batch.target[..n].to_vec(),
        batch_size: columns,
        ..batch.clone()
    }
}

fn sample(request: &Request<LmRecipe>, folder: &RunFolder) -> Result<Sample> {
    let recipe = &request.recipe;
    if data::is_prepared(folder) {
        let data = data::open(recipe, folder)?;
        let origin = format!("prepared in {}", folder.data().display());
        return cut(recipe, data.tokens(Split::Train), data.vocab_size, origin);
    }
    let name = recipe.data.corpus;
    let limit = (recipe.data.vocab_size > 0).then_some(recipe.data.vocab_size);
    match (
        name.load(request.data.as_deref(), &source::cache_dir()?),
        published_vocabulary(recipe.data.corpus),
    ) {
        (Ok(corpus), _) => {
            let vocabulary = Vocabulary::from_text(&corpus.train, limit, 1)?;
            let n = recipe.train.batch_size * (2 * recipe.model.tgt_len + 1);
            let ids: Vec<u32> = vocabulary.ids_of(&corpus.train).take(n).collect();
            let origin = format!("{name}, {} words, read and not stored", vocabulary.len());
            cut(recipe, &ids, vocabulary.len(), origin)
        }
        (Err(_), Some(published)) if request.data.is_none() => {
            let vocab_size = limit.unwrap_or(published).min(published);
            let n = recipe.train.batch_size * (2 * recipe.model.tgt_len + 1);
            let draw = |i| (rng::hash(0, Purpose::Order, i) % vocab_size as u64) as u32;
            let ids: Vec<u32> = (0..n as u64).map(draw).collect();
            let origin = format!(
                "{name} is not at hand: two SYNTHETIC batches over its published {vocab_size} words"
            );
            cut(recipe, &ids, vocab_size, origin)
        }
        (Err(error), _) => Err(error.into()),
    }
}

fn cut(recipe: &LmRecipe, ids: &[u32], vocab_size: usize, origin: String) -> Result<Sample> {
    let stream = LmStream::new(ids, recipe.train.batch_size, recipe.model.tgt_len)?;
    let batch = |i| {
        stream
            .get(i)
            .context("the training split is too short for two batches")
    };
    Ok(Sample {
        batches: [batch(0)?, batch(1)?],
        vocab_size,
        origin,
    })
}
