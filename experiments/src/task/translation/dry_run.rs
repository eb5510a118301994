//! `--dry-run`: resolve, open the device, one step; write nothing.

use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use burn::tensor::Device;
use sparta_datasets::batch::{BucketOptions, PairBatch, TokenBucket};
use sparta_datasets::tokenize::Dictionary;
use sparta_datasets::{Split, source};
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqMasks};

use super::batch::side;
use super::cost::{Cost, batch_bytes};
use super::lesson::smoothed_loss;
use super::{corpus, data, network};
use crate::device::{self, OpenDevice};
use crate::protocol::cost::{available_memory, gigabytes};
use crate::protocol::init::new_weights;
use crate::protocol::{Request, RunFolder};
use crate::recipe::translation::TranslationRecipe;
use crate::recipe::{NormalizerName, Recipe};
use crate::train::rng::{self, Purpose};
use crate::train::short;
use crate::train::watch::duration;

/// Tokens of a made-up sentence: about what the published corpora have.
const SYNTHETIC_LEN: usize = 25;

/// A batch and where it comes from.
struct Sample {
    batch: PairBatch,
    sizes: (usize, usize),
    origin: String,
}

/// Tries a recipe without leaving a trace.
///
/// # Errors
/// What would also stop the run itself.
pub(super) fn run(request: &Request<TranslationRecipe>, folder: &RunFolder) -> Result<()> {
    let recipe = &request.recipe;
    let opened = device::open(request.device, TranslationRecipe::PROGRAM)?;
    let sample = sample(request, folder)?;
    let cost = Cost::of(recipe, sample.sizes);
    let train = &recipe.train;
    println!("recipe      {} ({})", recipe.table(), short(&recipe.hash()));
    println!("device      {}", opened.note);
    println!("data        {}", sample.origin);
    println!("parameters  {}", cost.n_params);
    println!(
        "tokens/step {} at most ({} × {})",
        train.max_tokens * train.grad_accum,
        train.grad_accum,
        train.max_tokens
    );
    println!(
        "table       {} seed(s) × ({} dense models of {} steps + {} rows {} for {} steps)",
        recipe.seeds().len(),
        recipe.model.normalizers.len(),
        train.steps,
        cost.n_rows,
        recipe.retrain.start.words(),
        recipe.retrain.steps
    );
    println!(
        "memory      about {} (weights, gradients, optimiser {}; one batch {})",
        gigabytes(cost.bytes()),
        gigabytes(cost.parameter_bytes),
        gigabytes(cost.batch_bytes)
    );
    for &name in &recipe.model.normalizers {
        step(request, name, &sample, &cost, &opened)?;
    }
    println!(
        "run folder  {} (not made: this was a dry run)",
        folder.root().display()
    );
    Ok(())
}

fn step(
    request: &Request<TranslationRecipe>,
    name: NormalizerName,
    sample: &Sample,
    cost: &Cost,
    opened: &OpenDevice,
) -> Result<()> {
    let recipe = &request.recipe;
    let label = format!("step, {}", name.name());
    request.attention.on(&opened.device)?;
    let training = opened.device.clone().autodiff();
    let available = opened.choice.is_cpu().then(available_memory);
    let fits = |bytes: f64| available.is_none_or(|a| bytes < 0.9 * a);
    if !fits(cost.n_params as f64 * 4.0) {
        println!("{label}: not tried: the weights alone exceed the free memory");
        return Ok(());
    }
    let config = network::config(&recipe.model, sample.sizes, name, request.attention);
    config.validate().context("[model] of the recipe")?;
    let model = new_weights(recipe.seeds()[0], &training, |host| config.init(host));
    if fits(cost.bytes()) {
        let _warm = one_step(recipe, &model, &sample.batch, &training)?;
        let (loss, seconds) = one_step(recipe, &model, &sample.batch, &training)?;
        let n = sample.batch.n_targets();
        println!(
            "{label}: forward and backward of {n} target tokens in {seconds:.2} s, loss {loss:.3} on \
             untrained weights"
        );
        say_time(recipe, cost, n as f64 / seconds, "measured");
        return Ok(());
    }
    let free = available.map(gigabytes).unwrap_or_default();
    println!("{label}: a full batch does not fit the free memory ({free}) and was not tried");
    let one = first(&sample.batch);
    let tokens = one.source_len.max(one.target_len);
    let bytes = cost.n_params as f64 * 12.0 + batch_bytes(&recipe.model, tokens, sample.sizes.1);
    if fits(bytes) {
        let (loss, seconds) = one_step(recipe, &model, &one, &training)?;
        println!(
            "            one pair of the batch instead: {seconds:.2} s, loss {loss:.3} on untrained weights"
        );
        say_time(
            recipe,
            cost,
            one.n_targets() as f64 / seconds,
            "from one pair",
        );
    }
    Ok(())
}

fn say_time(recipe: &TranslationRecipe, cost: &Cost, tokens_per_second: f64, how: &str) {
    let train = &recipe.train;
    let tokens = cost.steps * (train.max_tokens * train.grad_accum) as f64;
    println!(
        "            about {} for at most {tokens:.2e} training tokens at {tokens_per_second:.0} \
         tokens/s ({how}; observing and testing add to it)",
        duration(tokens / tokens_per_second)
    );
}

/// The batch through the model and back; mean loss and seconds.
fn one_step(
    recipe: &TranslationRecipe,
    model: &Seq2Seq,
    batch: &PairBatch,
    device: &Device,
) -> Result<(f64, f64)> {
    let started = Instant::now();
    let masks = Seq2SeqMasks::default();
    let loss = smoothed_loss(model, batch, &masks, recipe.train.label_smoothing, device);
    let _gradients = loss.backward();
    device
        .sync()
        .map_err(|e| anyhow!("the device failed in a step: {e:?}"))?;
    let value = f64::from(loss.inner().into_scalar::<f32>());
    let seconds = started.elapsed().as_secs_f64();
    Ok((value / batch.n_targets() as f64, seconds))
}

/// The first pair of a batch.
fn first(batch: &PairBatch) -> PairBatch {
    PairBatch {
        source: batch.source[..batch.source_len].to_vec(),
        target_input: batch.target_input[..batch.target_len].to_vec(),
        target_output: batch.target_output[..batch.target_len].to_vec(),
        source_lengths: batch.source_lengths[..1].to_vec(),
        target_lengths: batch.target_lengths[..1].to_vec(),
        batch_size: 1,
        ..batch.clone()
    }
}

fn sample(request: &Request<TranslationRecipe>, folder: &RunFolder) -> Result<Sample> {
    let recipe = &request.recipe;
    if data::is_prepared(folder) {
        let data = data::open(recipe, folder)?;
        let store = data.store(Split::Train);
        let sizes = (data.vocabulary.source.len(), data.vocabulary.target.len());
        let pair = |i| Some((store.source(i)?.to_vec(), store.target(i)?.to_vec()));
        let pairs: Vec<_> = (0..store.len()).filter_map(pair).collect();
        let origin = format!("prepared in {}", folder.data().display());
        return cut(recipe, &pairs, sizes, origin);
    }
    let from = request.data.as_deref();
    match corpus::load(&recipe.data, from, &source::cache_dir()?) {
        Ok(corpus) => {
            let vocabulary = data::learn(&recipe.data, &corpus.train)?;
            let sizes = (vocabulary.source.len(), vocabulary.target.len());
            let sources = corpus.train.iter().map(|pair| pair.0.as_str());
            let targets = corpus.train.iter().map(|pair| pair.1.as_str());
            let sources = vocabulary.source.encode_all(sources);
            let pairs: Vec<_> = sources
                .into_iter()
                .zip(vocabulary.target.encode_all(targets))
                .collect();
            let origin = format!(
                "{}, {} pairs, dictionary {} / {}, read and not stored",
                corpus.name,
                pairs.len(),
                sizes.0,
                sizes.1
            );
            cut(recipe, &pairs, sizes, origin)
        }
        Err(error) if from.is_some() => Err(error),
        Err(_) => synthetic(recipe),
    }
}

/// A batch over a dictionary of about the published size, for when the corpus is not at hand.
fn synthetic(recipe: &TranslationRecipe) -> Result<Sample> {
    let sizes = corpus::usual_sizes(&recipe.data);
    let first = Dictionary::UNK + 1;
    let draw = |i: u64, size: usize| {
        let words = (size as u64).saturating_sub(u64::from(first)).max(1);
        first + (rng::hash(0, Purpose::Order, i) % words) as u32
    };
    let len = SYNTHETIC_LEN
        .min(recipe.train.max_tokens)
        .min(recipe.model.max_len);
    let n_pairs = (recipe.train.max_tokens / len).max(1);
    let sentence = |pair: usize, side: usize, size| -> Vec<u32> {
        let start = ((2 * pair + side) * len) as u64;
        let words = (1..len as u64).map(|i| draw(start + i, size));
        words.chain([Dictionary::EOS]).collect()
    };
    let pairs: Vec<_> = (0..n_pairs)
        .map(|i| (sentence(i, 0, sizes.0), sentence(i, 1, sizes.1)))
        .collect();
    let origin = format!(
        "{} is not at hand: a SYNTHETIC batch over dictionaries of {} / {} pieces; `iwslt prepare` \
         says how to get it",
        recipe.data.corpus, sizes.0, sizes.1
    );
    cut(recipe, &pairs, sizes, origin)
}

/// The largest batch of some pairs.
fn cut(
    recipe: &TranslationRecipe,
    pairs: &[(Vec<u32>, Vec<u32>)],
    sizes: (usize, usize),
    origin: String,
) -> Result<Sample> {
    let lengths: Vec<_> = pairs.iter().map(|(s, t)| (s.len(), t.len())).collect();
    let options = BucketOptions::tokens(recipe.train.max_tokens);
    let bucket =
        TokenBucket::in_order(&lengths, &options).context("`train.max_tokens` of the recipe")?;
    let n_targets =
        |indices: &&[u32]| -> usize { indices.iter().map(|&i| lengths[i as usize].1).sum() };
    let indices = bucket
        .iter()
        .max_by_key(n_targets)
        .context("the training split has no pair")?;
    let pairs: Vec<(&[u32], &[u32])> = indices
        .iter()
        .map(|&i| &pairs[i as usize])
        .map(|(source, target)| (source.as_slice(), target.as_slice()))
        .collect();
    Ok(Sample {
        batch: PairBatch::new(&pairs, side(recipe.data.pad_source)),
        sizes,
        origin,
    })
}
