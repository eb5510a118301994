//! Writing translations: greedy, beam and exact search.

mod beam;
mod candidates;
mod certificate;
mod config;
mod exact;
mod hypothesis;
mod method;
mod stepper;

use burn::prelude::*;
use burn::tensor::assert_shape;

pub use certificate::Certificate;
pub use config::{DecodeConfig, Stop};
pub use hypothesis::{Hypothesis, Searched};
pub use method::SearchMethod;

use crate::check::check;
use crate::error::ModelError;
use crate::seq2seq::{MaskRows, Seq2Seq, Seq2SeqMasks};

/// The `n_best` translations of each source sentence, best first, by a model in evaluation mode; with a sparse
/// output map also what is known of all others.
///
/// Beam search is fairseq's `SequenceGenerator`: each step extends the hypotheses of a sentence by their likeliest
/// tokens, takes the 2·`beam_size` best, finishes those among the first `beam_size` that end, and goes on
/// with the best `beam_size` of the others; a sentence is done as [`Stop`] says or at its longest length,
/// where every hypothesis must end. Unlike there, the longest length of a sentence
/// depends on its own tokens and not on the padding of its batch, so that a translation does not depend on
/// the batch. Of equal scores the earlier hypothesis and the lower token come first. Only tokens of probability
/// above 0 extend a hypothesis; where there are fewer than the beam holds, it holds fewer.
///
/// Exact search starts from what that finds and goes depth-first through every prefix that is likelier than
/// the `n_best`th translation so far, which no other can start with.
///
/// # Shapes
/// - source, padding: `[batch, source_len]`; output: up to `n_best` hypotheses for each of `batch`
///
/// # Errors
/// [`ModelError::Config`] for settings that cannot be, [`ModelError::DenseOutput`] for exact search with softmax,
/// [`ModelError::NoSparseDecoder`] for pages where no attention of the decoder has weights of 0,
/// [`ModelError::AttentionMaskCount`] or [`ModelError::AttentionMaskShape`] for masks that do not fit the model or the
/// longest length.
///
/// # Panics
/// If the source is longer than the model's `max_len`, or the padding is of another shape.
///
/// # Source
/// `SequenceGenerator` of facebookresearch/fairseq; Peters, Niculae & Martins 2019 for sparse output maps; Stahlberg
/// & Byrne 2019 and Peters & Martins 2021 for exact search.
///
/// ```
/// use burn::module::Module;
/// use burn::prelude::*;
/// use sparta_model::decode::{DecodeConfig, SearchMethod, search};
/// use sparta_model::layer::OutputMap;
/// use sparta_model::seq2seq::{Seq2SeqConfig, Seq2SeqMasks};
///
/// let device = Device::flex();
/// let config = Seq2SeqConfig::new(10, 12, 16, 2, 32, 1, 1).with_output(OutputMap::Sparsemax);
/// let model = config.init(&device); // a trained one: `model.valid()`
/// let source = Tensor::<2, Int>::from_ints([[4, 5, 6, 2]], &device);
/// let config = DecodeConfig::new(2, 2)
///     .with_never(vec![1])
///     .with_max_len_b(3)
///     .with_length_penalty(0.0)
///     .with_method(SearchMethod::Exact { max_prefixes: 5000 });
/// let found = search(&model, source, None, &Seq2SeqMasks::default(), &config).unwrap();
/// let certificate = found[0].certificate.unwrap();
/// assert!(certificate.limited || certificate.best_finished >= certificate.best_cut);
/// ```
pub fn search(
    model: &Seq2Seq,
    source: Tensor<2, Int>,
    padding: Option<Tensor<2, Bool>>,
    masks: &Seq2SeqMasks,
    config: &DecodeConfig,
) -> Result<Vec<Searched>, ModelError> {
    config.validate()?;
    if !config.method.is_beam() && !model.output_map().is_sparse() {
        return Err(ModelError::DenseOutput {
            output: model.output_map().to_string(),
        });
    }
    let [batch, source_len] = source.dims();
    if let Some(padding) = &padding {
        assert_shape!(padding, [batch, source_len]);
    }
    let lengths = lengths(padding.as_ref(), batch, source_len);
    // The start token and all but the end are read.
    let longest = |length: &usize| config.max_len(*length).min(model.max_len() - 1);
    let max_lens: Vec<usize> = lengths.iter().map(longest).collect();
    let target_len = max_lens.iter().max().copied().unwrap_or(0) + 1;
    model.check_masks(masks, source_len, target_len)?;
    let has_rows = config.cache || masks.rows == MaskRows::True;
    check(
        has_rows,
        "cache",
        &config.cache,
        "true with paper-faithful mask rows: only incremental decoding has them",
    )?;
    if batch == 0 {
        return Ok(Vec::new());
    }
    let encoded = model.encode(source, padding, masks, false);
    match config.method {
        SearchMethod::Beam => beam::beam(model, encoded, masks, config, &max_lens),
        SearchMethod::Exact { max_prefixes } => {
            exact::exact(model, encoded, masks, (config, max_prefixes), &max_lens)
        }
    }
}

/// The hypotheses that [`search`] finds.
///
/// # Shapes
/// As there.
///
/// # Errors
/// As there.
///
/// # Panics
/// As there.
///
/// ```
/// use burn::module::Module;
/// use burn::prelude::*;
/// use sparta_model::decode::{DecodeConfig, beam_search};
/// use sparta_model::seq2seq::{Seq2SeqConfig, Seq2SeqMasks};
///
/// let device = Device::flex();
/// let model = Seq2SeqConfig::new(10, 12, 16, 2, 32, 1, 1).init(&device); // a trained one: `model.valid()`
/// let source = Tensor::<2, Int>::from_ints([[4, 5, 6, 2]], &device);
/// let config = DecodeConfig::new(2, 2).with_never(vec![1]).with_max_len_b(8).with_n_best(3);
/// let found = beam_search(&model, source, None, &Seq2SeqMasks::default(), &config).unwrap();
/// assert!(found[0].len() <= 3 && found[0][0].tokens.len() <= 8);
/// ```
pub fn beam_search(
    model: &Seq2Seq,
    source: Tensor<2, Int>,
    padding: Option<Tensor<2, Bool>>,
    masks: &Seq2SeqMasks,
    config: &DecodeConfig,
) -> Result<Vec<Vec<Hypothesis>>, ModelError> {
    let config = config.clone().with_method(SearchMethod::Beam);
    let found = search(model, source, padding, masks, &config)?;
    Ok(found.into_iter().map(|found| found.hypotheses).collect())
}

/// Tokens of each sentence that are not padding.
fn lengths(padding: Option<&Tensor<2, Bool>>, batch: usize, source_len: usize) -> Vec<usize> {
    let Some(padding) = padding else {
        return vec![source_len; batch];
    };
    let counts = padding.clone().bool_not().int().sum_dim(1).into_data();
    counts.iter::<i64>().map(|count| count as usize).collect()
}
