//! Writing one token after the other, with what is kept of earlier ones: keys and values, or a state.

use burn::prelude::*;
use burn::tensor::module::embedding;
use burn::tensor::{TensorData, assert_shape};
use sparta_ops::pruning::AttentionType;

use super::{Encoded, Seq2Seq, Seq2SeqMasks, normalize};
use crate::error::ModelError;
use crate::layer::key_value::{Cache, CachedInput, KeyValue};
use crate::layer::paged::PagedCache;
use crate::layer::{PageReport, Paging};

/// What a decoder remembers between two tokens.
///
/// It has one row per hypothesis; the rows of a sentence stand together and are equally many for every
/// sentence. Keys and values of the source are kept once per sentence.
#[derive(Debug, Clone)]
pub struct DecoderState {
    layers: Vec<LayerState>,
    source_padding: Option<Tensor<2, Bool>>,
    n_sentences: usize,
    n_rows: usize,
    length: usize,
    /// What was read of the pages for each sentence, where keys are read by pages.
    paged: Option<(Paging, Vec<PageReport>)>,
}

#[derive(Debug, Clone)]
struct LayerState {
    target: Option<Cache>,
    source: KeyValue,
    /// α of the heads whose keys are read by pages.
    target_alpha: Option<Vec<f64>>,
    source_pages: Option<(PagedCache, Vec<f64>)>,
}

/// What [`Seq2Seq::decode_step`] gives.
#[derive(Debug, Clone)]
pub struct DecoderStep {
    /// Scores of every token as the next one, `[rows, target_vocab_size]`.
    pub logits: Tensor<2>,
    /// For the next token.
    pub state: DecoderState,
    /// If asked for, each layer's weights on the source, `[sentences, n_heads, rows of one, source_len]`.
    pub cross: Vec<Tensor<4>>,
}

impl DecoderState {
    /// Number of hypotheses.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of tokens read so far.
    pub fn length(&self) -> usize {
        self.length
    }

    /// What was read of the pages of keys for a sentence, by its present number; none where all are read.
    pub fn pages(&self, sentence: usize) -> Option<PageReport> {
        let (_, reports) = self.paged.as_ref()?;
        reports.get(sentence).copied()
    }

    /// Keeps sentences and hypotheses by their present numbers, in the order given: `rows` must hold
    /// equally many for each of `sentences`, and only rows of that sentence.
    ///
    /// # Panics
    /// If a row is not its sentence's.
    pub fn select(self, rows: &[usize], sentences: &[usize]) -> Self {
        let before = self.n_rows / self.n_sentences.max(1);
        let now = rows.len() / sentences.len().max(1);
        assert!(
            rows.len() == now * sentences.len()
                && (rows.iter().enumerate())
                    .all(|(place, row)| row / before == sentences[place / now]),
            "rows {rows:?} are not, sentence by sentence, those of sentences {sentences:?}"
        );
        let Some(device) = self.layers.first().map(|layer| layer.source.key.device()) else {
            return self;
        };
        let rows_index = index(rows, self.n_rows, &device);
        let sentences_index = index(sentences, self.n_sentences, &device);
        let pick = |keys: KeyValue, index: &Option<Tensor<1, Int>>| match index {
            Some(index) => keys.select(index.clone()),
            None => keys,
        };
        Self {
            layers: (self.layers.into_iter())
                .map(|layer| LayerState {
                    target: (layer.target).map(|cache| match &rows_index {
                        Some(index) => cache.select(index.clone()),
                        None => cache,
                    }),
                    source: pick(layer.source, &sentences_index),
                    target_alpha: layer.target_alpha,
                    source_pages: match &sentences_index {
                        Some(index) => (layer.source_pages)
                            .map(|(pages, alpha)| (pages.select(index.clone()), alpha)),
                        None => layer.source_pages,
                    },
                })
                .collect(),
            source_padding: match &sentences_index {
                Some(index) => {
                    (self.source_padding).map(|padding| padding.select(0, index.clone()))
                }
                None => self.source_padding,
            },
            n_sentences: sentences.len(),
            n_rows: rows.len(),
            length: self.length,
            paged: (self.paged)
                .map(|(paging, reports)| (paging, sentences.iter().map(|i| reports[*i]).collect())),
        }
    }
}

/// `None` if everything stays where it is.
fn index(places: &[usize], n: usize, device: &Device) -> Option<Tensor<1, Int>> {
    let same = places.len() == n && places.iter().enumerate().all(|(i, place)| i == *place);
    let places: Vec<i32> = places.iter().map(|place| *place as i32).collect();
    let shape = [places.len()];
    (!same).then(|| Tensor::from_data(TensorData::new(places, shape), device))
}

impl Seq2Seq {
    /// One hypothesis per sentence, nothing written yet.
    ///
    /// # Shapes
    /// - memory: `[sentences, source_len, d_model]`, padding: `[sentences, source_len]`
    pub fn start(&self, encoded: Encoded) -> DecoderState {
        let n_sentences = encoded.memory.dims()[0];
        DecoderState {
            layers: (self.decoder.iter())
                .map(|layer| LayerState {
                    target: None,
                    source: layer.cross_attention.attention.keys(encoded.memory.clone()),
                    target_alpha: None,
                    source_pages: None,
                })
                .collect(),
            source_padding: encoded.padding,
            n_sentences,
            n_rows: n_sentences,
            length: 0,
            paged: None,
        }
    }

    /// [`Self::start`] of a decoder that reads some pages of its keys in every attention with α-entmax, and all of them
    /// in the others.
    ///
    /// # Errors
    /// As [`Self::paged_types`].
    pub fn start_by_pages(
        &self,
        encoded: Encoded,
        paging: Paging,
    ) -> Result<DecoderState, ModelError> {
        self.paged_types()?;
        let mut state = self.start(encoded);
        let padding = state.source_padding.clone();
        for (layer, of) in self.decoder.iter().zip(&mut state.layers) {
            let cross = &layer.cross_attention.attention;
            of.target_alpha = layer.self_attention.attention.sparse_alpha();
            of.source_pages = cross
                .sparse_alpha()
                .map(|alpha| (cross.pages(of.source.clone(), padding.as_ref()), alpha));
        }
        state.paged = Some((paging, vec![PageReport::default(); state.n_sentences]));
        Ok(state)
    }

    /// The types of a decoder's attention of which keys can be read by pages, in one layer or more: those with
    /// α-entmax, α > 1, and no part that changes scores, cells or weights.
    ///
    /// # Errors
    /// [`ModelError::NoSparseDecoder`] if there is none.
    pub fn paged_types(&self) -> Result<Vec<AttentionType>, ModelError> {
        let is_paged = |kind: &AttentionType| {
            self.decoder.iter().any(|layer| {
                let attention = match kind {
                    AttentionType::EncoderSelf => return false,
                    AttentionType::DecoderSelf => &layer.self_attention.attention,
                    AttentionType::Cross => &layer.cross_attention.attention,
                };
                attention.sparse_alpha().is_some()
            })
        };
        let types: Vec<AttentionType> = AttentionType::ALL.into_iter().filter(is_paged).collect();
        match types.is_empty() {
            true => Err(ModelError::NoSparseDecoder),
            false => Ok(types),
        }
    }

    /// Reads one token of every hypothesis, the start token first, and scores the next ones.
    ///
    /// # Shapes
    /// - tokens: `[rows]`
    /// - logits: `[rows, target_vocab_size]`, cross: `[sentences, n_heads, rows of one, source_len]` per
    ///   layer
    ///
    /// # Panics
    /// If there is not one token per hypothesis, more than `max_len` were written, or a mask is too small.
    pub fn decode_step(
        &self,
        state: DecoderState,
        tokens: Tensor<1, Int>,
        masks: &Seq2SeqMasks,
        return_weights: bool,
    ) -> DecoderStep {
        let DecoderState {
            layers,
            source_padding,
            n_sentences,
            n_rows,
            length,
            mut paged,
        } = state;
        assert_shape!(tokens, [n_rows]);
        let table = self.target_embedding.val();
        let d_model = table.dims()[1];
        let position = self.positions.rows(length, 1, &tokens.device());
        let vectors = embedding(table, tokens.reshape([n_rows, 1]));
        let mut hidden =
            vectors.mul_scalar((d_model as f64).sqrt()) + position.reshape([1, 1, d_model]);

        let n_queries = n_rows / n_sentences.max(1);
        let mut next = Vec::with_capacity(layers.len());
        let mut cross = Vec::new();
        for (i, (layer, past)) in self.decoder.iter().zip(layers).enumerate() {
            let mut target = None;
            let output = layer.self_attention.around(hidden, |attention, query| {
                let kind = AttentionType::DecoderSelf;
                let mask = masks.row(kind, i, length, length + 1, 1);
                let (output, cache) = match (&mut paged, &past.target_alpha) {
                    (Some((paging, reports)), Some(alpha)) => {
                        let by = (*paging, alpha.as_slice());
                        let (output, cache, read) =
                            attention.attend_next_by_pages(query, past.target, mask, by);
                        for (row, of_row) in read.into_iter().enumerate() {
                            let report = &mut reports[row / n_queries];
                            *report = report.and(of_row);
                        }
                        (output, cache)
                    }
                    (Some(_) | None, _) => attention.attend_next(query, past.target, mask),
                };
                target = Some(cache);
                output
            });
            let source_len = past.source.key.dims()[2];
            let by_sentence = output.context.reshape([n_sentences, n_queries, d_model]);
            let output = layer
                .cross_attention
                .around(by_sentence, |attention, query| {
                    let kind = AttentionType::Cross;
                    let global_mask = masks.row(kind, i, length, source_len, n_queries);
                    match (&mut paged, &past.source_pages) {
                        (Some((paging, reports)), Some((pages, alpha))) => {
                            let by = (*paging, alpha.as_slice());
                            let (output, read) = attention.attend_by_pages(
                                query,
                                pages,
                                global_mask,
                                by,
                                return_weights,
                            );
                            for (report, of_sentence) in reports.iter_mut().zip(read) {
                                *report = report.and(of_sentence);
                            }
                            output
                        }
                        (Some(_) | None, _) => attention.attend(CachedInput {
                            query,
                            keys: past.source.clone(),
                            causal: false,
                            key_padding: source_padding.clone(),
                            global_mask,
                            return_weights,
                        }),
                    }
                });
            cross.extend(output.weights);
            hidden = layer.feed_forward.forward(output.context);
            hidden = hidden.reshape([n_rows, 1, d_model]);
            next.push(LayerState {
                target,
                source: past.source,
                target_alpha: past.target_alpha,
                source_pages: past.source_pages,
            });
        }
        let hidden = normalize(&self.decoder_norm, hidden);
        DecoderStep {
            logits: self.scores(hidden.reshape([n_rows, d_model])),
            state: DecoderState {
                layers: next,
                source_padding,
                n_sentences,
                n_rows,
                length: length + 1,
                paged,
            },
            cross,
        }
    }
}
