//! Running text with masked word pieces: windows, the training loss, scores, and the unigram baseline.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use sparta_datasets::baseline::ngram::{NgramModel, Unigram};
use sparta_datasets::batch::{
    Choice, ExampleOrder, MaskedBatch, Masker, Masking, PaddingStrategy, text_windows,
};
use sparta_datasets::source::Origins;
use sparta_datasets::tokenize::pretrained::{Encoding, Tokenizer};
use sparta_datasets::{CorpusName, Split};
use sparta_model::LayerMask;
use sparta_model::bert::{BertInput, BertMaskedLm};
use sparta_model::layer::PlacedMechanism;
use sparta_results::Perplexity;
use sparta_results::kept::Segment;

use crate::protocol::{BothMasks, Fetch};
use crate::recipe::{MlmRecipe, Recipe};
use crate::task::encoder::{Model, batch};
use crate::task::part_of;
use crate::task::running_text::RunningText;
use crate::train::watch::stop_if_interrupted;
use crate::train::{Epochs, Objective, Validation};

/// What is masked in validation and observation, the same for every seed.
pub(super) const FIXED: Choice = Choice::Drawn { seed: 0, epoch: 0 };

/// How many windows a split has, of which the first are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Total {
    /// Counted.
    Exactly(usize),
    /// By the share of its bytes that was cut.
    About(usize),
}

/// A corpus as windows of word pieces.
pub(super) struct Text {
    /// Name of the corpus in signatures.
    pub(super) name: String,
    /// The files that it was read from; none of a stand-in.
    pub(super) origins: Origins,
    /// Word pieces of the tokenizer.
    pub(super) vocab_size: usize,
    splits: [Vec<Encoding>; 3],
    totals: [Total; 3],
    masker: Masker,
    max_len: usize,
    pad: u32,
}

impl Text {
    /// Reads the corpus of a recipe; downloads it only if `fetch` allows.
    ///
    /// # Errors
    /// Files that are missing, and how to get them; a split without a window.
    pub(super) fn load(
        recipe: &MlmRecipe,
        tokenizer: &Tokenizer,
        from: Option<&Path>,
        fetch: Fetch,
    ) -> Result<Self> {
        let data = &recipe.data;
        let text = RunningText {
            corpus: data.corpus,
            rule: data.files.as_ref().map(|files| files.rule()),
            from,
            program: MlmRecipe::PROGRAM,
        };
        let (corpus, origins) = text.load(fetch)?;
        let name = corpus.name.clone();
        Ok(Self {
            origins,
            ..Self::cut(recipe, tokenizer, name, |split| corpus.text(split))?
        })
    }

    /// One sentence, often enough for a batch, for when the corpus is not at hand.
    ///
    /// # Errors
    /// A tokenizer without a mask token.
    pub(super) fn stand_in(recipe: &MlmRecipe, tokenizer: &Tokenizer) -> Result<Self> {
        const SENTENCE: &str = "The committee read the report of the year before it was sent .\n";
        let text = SENTENCE.repeat(recipe.train.batch_size * recipe.data.max_len.div_ceil(8));
        let name = recipe
            .data
            .corpus
            .published()
            .map_or("files", CorpusName::name);
        Self::cut(recipe, tokenizer, name.to_owned(), |_| text.as_str())
    }

    fn cut<'a>(
        recipe: &MlmRecipe,
        tokenizer: &Tokenizer,
        name: String,
        text: impl Fn(Split) -> &'a str,
    ) -> Result<Self> {
        let (data, masking) = (&recipe.data, &recipe.masking);
        let windows = |split| -> Result<(Vec<Encoding>, Total)> {
            let limit = match split {
                Split::Train => data.train_windows,
                Split::Valid => data.valid_windows,
                Split::Test => data.test_windows,
            };
            let (mut windows, total) = first_windows(text(split), tokenizer, data.max_len, limit)?;
            for window in &mut windows {
                // Nobody asks for the place of a word piece in the text; in WikiText-103 they take gigabytes.
                window.offsets = Vec::new();
            }
            ensure!(!windows.is_empty(), "the {split} split has no text");
            Ok((windows, total))
        };
        let (train, n_train) = windows(Split::Train)?;
        let (valid, n_valid) = windows(Split::Valid)?;
        let (test, n_test) = windows(Split::Test)?;
        Ok(Self {
            name,
            origins: Origins(Vec::new()),
            vocab_size: tokenizer.vocab_size(),
            splits: [train, valid, test],
            totals: [n_train, n_valid, n_test],
            masker: Masker::new(
                tokenizer,
                Masking {
                    fraction: masking.fraction,
                    mask: masking.mask,
                    random: masking.random,
                },
            )?,
            max_len: data.max_len,
            pad: tokenizer.special().pad,
        })
    }

    /// The windows of a split.
    pub(super) fn windows(&self, split: Split) -> &[Encoding] {
        match split {
            Split::Train => &self.splits[0],
            Split::Valid => &self.splits[1],
            Split::Test => &self.splits[2],
        }
    }

    /// How many windows of a split are used, for people: `256 of about 3100`, or the number alone where it is all.
    pub(super) fn size(&self, split: Split) -> String {
        let n = self.windows(split).len();
        let total = match split {
            Split::Train => self.totals[0],
            Split::Valid => self.totals[1],
            Split::Test => self.totals[2],
        };
        match total {
            Total::Exactly(n_all) => part_of(n, n_all),
            Total::About(n_all) => format!("{n} of about {n_all}"),
        }
    }

    /// Mean tokens of a window, padding not counted.
    pub(super) fn mean_len(&self, split: Split) -> f64 {
        let windows = self.windows(split);
        let n_tokens: usize = windows.iter().map(Encoding::len).sum();
        n_tokens as f64 / windows.len() as f64
    }

    /// Some windows as the network sees them, and the word pieces that it has to predict.
    pub(super) fn batch(
        &self,
        split: Split,
        indices: &[u32],
        choice: Choice,
    ) -> Result<MaskedBatch> {
        let padding = PaddingStrategy::Fixed(self.max_len);
        let windows = self.windows(split);
        Ok(MaskedBatch::new(
            windows,
            indices,
            padding,
            self.pad,
            &self.masker,
            choice,
        )?)
    }

    /// The word pieces of a split that can be masked.
    fn pieces(&self, split: Split) -> Vec<u32> {
        let all = Choice::Group {
            group: 0,
            n_groups: 1,
        };
        let of_window = |(i, window): (usize, &Encoding)| {
            let (_, labels) = self.masker.hide(window, i as u32, all);
            labels
                .into_iter()
                .filter_map(|label| u32::try_from(label).ok())
        };
        let windows = self.windows(split).iter().enumerate();
        windows.flat_map(of_window).collect()
    }

    /// Number of word pieces of the test split, each of which is scored once.
    pub(super) fn n_test(&self) -> u64 {
        self.pieces(Split::Test).len() as u64
    }

    /// Scores the frequencies of word pieces in the training split on the test split.
    ///
    /// # Errors
    /// No word piece in the training text.
    pub(super) fn unigram(&self) -> Result<MaskedScore> {
        let counts = Unigram::count(&self.pieces(Split::Train), self.vocab_size)?;
        let p = |id: u32| counts.probability(&[], id);
        let ids = 0..self.vocab_size as u32;
        // Of equally frequent ones the first.
        let most_frequent = ids.rev().max_by(|&a, &b| p(a).total_cmp(&p(b)));
        let mut score = MaskedScore::default();
        for id in self.pieces(Split::Test) {
            score.nll.add(-p(id).ln(), 1);
            score.n_correct += u64::from(Some(id) == most_frequent);
        }
        Ok(score)
    }
}

/// The first windows of a text, and how many it has; a limit of 0 is all of them.
fn first_windows(
    text: &str,
    tokenizer: &Tokenizer,
    max_len: usize,
    limit: usize,
) -> Result<(Vec<Encoding>, Total)> {
    if limit == 0 {
        let windows = text_windows(text, tokenizer, max_len)?;
        let n = windows.len();
        return Ok((windows, Total::Exactly(n)));
    }
    // Of a long text only the start is cut: as many lines as make one window more, which ends the last one.
    let mut n_bytes = 4 * limit * max_len;
    loop {
        let rest = text.as_bytes().get(n_bytes..).unwrap_or_default();
        let line_end = rest.iter().position(|&byte| byte == b'\n');
        let end = line_end.map_or(text.len(), |at| n_bytes + at + 1);
        let mut windows = text_windows(&text[..end], tokenizer, max_len)?;
        if windows.len() > limit || end == text.len() {
            let n = windows.len();
            let total = match end == text.len() {
                true => Total::Exactly(n),
                false => Total::About((n as f64 * text.len() as f64 / end as f64).round() as usize),
            };
            windows.truncate(limit);
            return Ok((windows, total));
        }
        n_bytes *= 2;
    }
}

/// A batch as the encoder reads it.
pub(super) fn input(batch: &MaskedBatch, device: &Device) -> BertInput {
    let MaskedBatch {
        ids,
        token_types,
        padding,
        batch_size,
        len,
        ..
    } = batch;
    batch::input(ids, token_types, padding, [*batch_size, *len], device)
}

/// How well masked word pieces were predicted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct MaskedScore {
    /// Their negative log-likelihoods.
    pub(super) nll: Perplexity,
    /// How many were the most probable word piece of their position.
    pub(super) n_correct: u64,
}

impl MaskedScore {
    /// Per cent of the masked word pieces that were the most probable one of their position.
    pub(super) fn accuracy(&self) -> f64 {
        100.0 * self.n_correct as f64 / self.nll.n_tokens as f64
    }

    fn add(&mut self, other: Self) {
        self.nll += other.nll;
        self.n_correct += other.n_correct;
    }
}

/// Scores a network on the masked word pieces of a batch, and adds to what each window has.
///
/// # Errors
/// Scores that are not finite.
fn score_batch(
    model: &Model<'_, BertMaskedLm>,
    batch: &MaskedBatch,
    segments: &mut BTreeMap<u32, Segment>,
) -> Result<MaskedScore> {
    if batch.n_targets() == 0 {
        return Ok(MaskedScore::default());
    }
    let input = input(batch, model.device).masks(model.masks.clone());
    let scores = model.network.masked(input, &batch.labels);
    let best = scores.logits.clone().argmax(1).squeeze_dim::<1>(1);
    let right = batch::read(best.equal(scores.targets.clone()).float())?;
    let losses = batch::read(scores.nll())?;
    let nll: f64 = losses.iter().copied().map(f64::from).sum();
    ensure!(
        nll.is_finite(),
        "the score of window {} is not finite",
        batch.indices[0]
    );
    let mut score = MaskedScore {
        n_correct: right.iter().filter(|&&is_right| is_right > 0.0).count() as u64,
        ..MaskedScore::default()
    };
    let mut losses = losses.into_iter().map(f64::from).zip(right);
    for (&window, labels) in batch.indices.iter().zip(batch.labels.chunks(batch.len)) {
        let n = labels.iter().filter(|&&label| label >= 0).count();
        let segment = segments.entry(window).or_insert(Segment {
            segment: u64::from(window),
            nll: 0.0,
            tokens: 0,
            right: Some(0),
        });
        for (loss, is_right) in losses.by_ref().take(n) {
            segment.nll += loss;
            segment.tokens += 1;
            segment.right = segment.right.map(|right| right + u64::from(is_right > 0.0));
        }
    }
    score.nll.add(nll, scores.n_masked() as u64);
    Ok(score)
}

/// Scores a network on every word piece of the test split, each masked in one of `passes` passes, and says what each
/// window adds; `at` is told how many batches are done.
///
/// # Errors
/// Scores that are not finite, or Ctrl-C.
pub(super) fn score(
    text: &Text,
    model: &Model<'_, BertMaskedLm>,
    (passes, batch_size): (usize, usize),
    at: &mut dyn FnMut(u64),
) -> Result<(MaskedScore, Vec<Segment>)> {
    let mut segments = BTreeMap::new();
    let order = ExampleOrder::in_order(text.windows(Split::Test).len(), batch_size)?;
    let mut total = MaskedScore::default();
    let mut n_done = 0;
    for group in 0..passes {
        let n_groups = passes;
        for indices in order.iter() {
            let choice = Choice::Group { group, n_groups };
            total.add(score_batch(
                model,
                &text.batch(Split::Test, indices, choice)?,
                &mut segments,
            )?);
            n_done += 1;
            at(n_done);
            stop_if_interrupted("scoring")?;
        }
    }
    Ok((total, segments.into_values().collect()))
}

/// Cross-entropy of masked word pieces, others in each epoch (RoBERTa's dynamic masking, Liu et al. 2019).
pub struct MaskedTokens<'a> {
    text: &'a Text,
    batch_sizes: BatchSizes,
    seed: u64,
    epochs: Epochs<ExampleOrder>,
    masks: BothMasks<Option<Vec<LayerMask>>>,
    device: Device,
    tokens_per_step: f64,
}

/// Windows of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchSizes {
    pub(super) train: usize,
    pub(super) eval: usize,
}

impl<'a> MaskedTokens<'a> {
    /// The objective under masks, on `device` (with autodiff).
    ///
    /// # Errors
    /// A batch of no window.
    pub(super) fn new(
        text: &'a Text,
        (batch_sizes, seed): (BatchSizes, u64),
        masks: BothMasks<Option<Vec<LayerMask>>>,
        device: &Device,
    ) -> Result<Self> {
        let n = text.windows(Split::Train).len();
        let order = ExampleOrder::shuffled(n, batch_sizes.train, seed, 0)?;
        // Of an epoch, whose last batch may be a smaller one.
        let tokens = n as f64 * text.mean_len(Split::Train);
        let tokens_per_step = tokens / order.n_batches() as f64;
        Ok(Self {
            text,
            batch_sizes,
            seed,
            epochs: Epochs::new(order),
            masks,
            device: device.clone(),
            tokens_per_step,
        })
    }
}

impl Objective<BertMaskedLm> for MaskedTokens<'_> {
    fn loss(&mut self, network: &BertMaskedLm, step: u64, _part: usize) -> Result<Tensor<1>> {
        let (text, batch_size, seed) = (self.text, self.batch_sizes.train, self.seed);
        let n = text.windows(Split::Train).len();
        let order = |epoch| Ok(ExampleOrder::shuffled(n, batch_size, seed, epoch)?);
        let indices = self.epochs.examples(step, order)?;
        let epoch = step / self.epochs.n_batches();
        let batch = text.batch(Split::Train, &indices, Choice::Drawn { seed, epoch })?;
        let input = input(&batch, &self.device).masks(self.masks.training.clone());
        Ok(network.masked(input, &batch.labels).loss())
    }

    fn tokens_per_step(&self) -> f64 {
        self.tokens_per_step
    }

    fn mechanisms<'m>(&self, network: &'m BertMaskedLm) -> Vec<PlacedMechanism<'m>> {
        network.bert.mechanisms()
    }

    fn validate(&mut self, network: &BertMaskedLm) -> Result<Validation> {
        let device = self.device.clone().without_autodiff();
        let model = Model {
            network: &network.valid(),
            masks: self.masks.plain.clone(),
            device: &device,
        };
        let n = self.text.windows(Split::Valid).len();
        let mut total = MaskedScore::default();
        for indices in ExampleOrder::in_order(n, self.batch_sizes.eval)?.iter() {
            total.add(score_batch(
                &model,
                &self.text.batch(Split::Valid, indices, FIXED)?,
                &mut BTreeMap::new(),
            )?);
            stop_if_interrupted("validation")?;
        }
        Ok(Validation::of(total.nll.nll()))
    }
}
