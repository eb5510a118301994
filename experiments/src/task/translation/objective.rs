//! Translation given the words before (teacher forcing): batches of pairs of like length, in an order drawn for each
//! epoch, with a label-smoothed loss.

use anyhow::{Context, Result, anyhow, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use sparta_datasets::Split;
use sparta_datasets::batch::{BucketOptions, PairBatch, PairLength, TokenBucket};
use sparta_datasets::pairs::PairStore;
use sparta_model::layer::PlacedMechanism;
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqMasks};

use super::batch::{input, targets};
use super::data::PairData;
use super::search::Search;
use crate::protocol::BothMasks;
use crate::recipe::TranslationRecipe;
use crate::recipe::translation::KeepName;
use crate::train::watch::stop_if_interrupted;
use crate::train::{Epochs, Objective, Validation};

/// Training an encoder–decoder on pairs of sentences.
pub struct NextPiece<'a> {
    recipe: &'a TranslationRecipe,
    data: &'a PairData,
    train: &'a PairStore,
    lengths: Vec<PairLength>,
    options: BucketOptions,
    seed: u64,
    epochs: Epochs<TokenBucket>,
    masks: BothMasks<Seq2SeqMasks>,
    device: Device,
}

impl<'a> NextPiece<'a> {
    /// The objective of a recipe with so many tokens a batch, under masks, on `device` (with autodiff).
    ///
    /// # Errors
    /// A sentence that no batch can hold.
    pub(super) fn new(
        (recipe, max_tokens): (&'a TranslationRecipe, usize),
        data: &'a PairData,
        seed: u64,
        masks: BothMasks<Seq2SeqMasks>,
        device: &Device,
    ) -> Result<Self> {
        let train = data.store(Split::Train);
        let lengths = train.lengths();
        let options = BucketOptions::tokens(max_tokens);
        let first = TokenBucket::new(&lengths, &options, seed, 0)
            .context("`train.max_tokens` of the recipe")?;
        Ok(Self {
            recipe,
            data,
            train,
            lengths,
            options,
            seed,
            epochs: Epochs::new(first),
            masks,
            device: device.clone(),
        })
    }

    /// The pairs of batch `index`, counted over all epochs.
    fn indices(&mut self, index: u64) -> Result<Vec<u32>> {
        let (lengths, options, seed) = (&self.lengths, &self.options, self.seed);
        let order = |epoch| Ok(TokenBucket::new(lengths, options, seed, epoch)?);
        self.epochs.examples(index, order)
    }

    /// What a part of a step reads.
    ///
    /// # Errors
    /// A sentence that no batch can hold.
    pub fn batch(&mut self, step: u64, part: usize) -> Result<PairBatch> {
        let n_parts = self.recipe.train.grad_accum as u64;
        let indices = self.indices(step * n_parts + part as u64)?;
        Ok(self.train.batch(&indices, self.recipe.data.pad_source))
    }

    /// Target tokens of all parts of a step.
    fn n_targets(&mut self, step: u64) -> Result<usize> {
        let n_parts = self.recipe.train.grad_accum as u64;
        let mut n = 0;
        for part in 0..n_parts {
            let indices = self.indices(step * n_parts + part)?;
            n += indices
                .iter()
                .map(|&i| self.lengths[i as usize].1)
                .sum::<usize>();
        }
        Ok(n)
    }
}

impl Objective<Seq2Seq> for NextPiece<'_> {
    fn n_parts(&self, _step: u64) -> usize {
        self.recipe.train.grad_accum
    }

    fn loss(&mut self, model: &Seq2Seq, step: u64, part: usize) -> Result<Tensor<1>> {
        // The last part's epoch may be the next one; look there first, so that it is made once.
        let n_targets = self.n_targets(step)?;
        let batch = self.batch(step, part)?;
        let masks = self.masks.training.clone();
        let output = model.forward(input(&batch, &self.device).masks(masks));
        let targets = targets(&batch, &self.device);
        let loss = model.loss(output.hidden, targets, self.recipe.train.label_smoothing);
        Ok(loss.smoothed.sum() / n_targets as f64)
    }

    fn tokens_per_step(&self) -> f64 {
        let per_batch = self.train.n_target_tokens() as f64 / self.epochs.n_batches() as f64;
        per_batch * self.recipe.train.grad_accum as f64
    }

    fn mechanisms<'m>(&self, model: &'m Seq2Seq) -> Vec<PlacedMechanism<'m>> {
        model.mechanisms()
    }

    fn validate(&mut self, model: &Seq2Seq) -> Result<Validation> {
        let device = self.device.clone().without_autodiff();
        let model = model.valid();
        let (data, masks) = (self.data, &self.masks.plain);
        let nll = valid_nll(
            &model,
            data.store(Split::Valid),
            self.recipe,
            masks,
            &device,
        )?;
        let bleu = match self.recipe.train.keep {
            KeepName::Last | KeepName::BestLoss | KeepName::Average => None,
            KeepName::BestBleu => {
                let search = Search::new(self.recipe, masks, &device);
                let found = search.translate(&model, data.store(Split::Valid), &mut |_| ())?;
                let lines = data.decode(&found.translations)?;
                Some(data.bleu(self.recipe, Split::Valid, &lines)?.score)
            }
        };
        Ok(Validation { nll, bleu })
    }
}

/// Mean negative log-likelihood of a target token; `model` is in evaluation mode on `device`.
///
/// # Errors
/// A score that is not finite, or Ctrl-C.
fn valid_nll(
    model: &Seq2Seq,
    store: &PairStore,
    recipe: &TranslationRecipe,
    masks: &Seq2SeqMasks,
    device: &Device,
) -> Result<f64> {
    let options = BucketOptions::tokens(recipe.train.max_tokens);
    let bucket = TokenBucket::in_order(&store.lengths(), &options)
        .context("`train.max_tokens` of the recipe")?;
    let (mut sum, mut n) = (0.0, 0);
    for indices in bucket.iter() {
        let batch: PairBatch = store.batch(indices, recipe.data.pad_source);
        let output = model.forward(input(&batch, device).masks(masks.clone()));
        let loss = model.loss(output.hidden, targets(&batch, device), 0.0);
        let nll = loss
            .plain
            .sum()
            .try_into_vec_as::<f32>()
            .map_err(|e| anyhow!("cannot read the scores from the device: {e:?}"))?;
        sum += f64::from(nll[0]);
        n += batch.n_targets();
        stop_if_interrupted("scoring")?;
    }
    let nll = sum / n.max(1) as f64;
    ensure!(nll.is_finite(), "the validation loss is not finite");
    Ok(nll)
}
