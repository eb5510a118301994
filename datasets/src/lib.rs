//! Corpora → words → token ids → batches, for the sparse attention experiments.
//!
//! The way of one corpus through this crate:
//!
//! ```text
//! CorpusName ─► source::prepare (cache, download, --from DIR) ─► Corpus (train, valid, test text)
//! Corpus.train ─► tokenize::Vocabulary ─► store::TokenStore (memory-mapped ids) ─► batch::LmStream
//!
//! TranslationCorpus::prepare ─► pairs::ParallelCorpus (train, valid, test sentence pairs)
//! ParallelCorpus.train ─► pairs::PairVocabulary (BPE) ─► pairs::PairStore
//! PairStore.lengths ─► batch::TokenBucket (max_tokens) ─► batch::PairBatch
//!
//! ClassificationTask::prepare (GLUE, question–sentence) ─► ClassificationCorpus (labelled texts)
//! tokenize::pretrained ─► batch::EncodedExample ─► ExampleOrder (seed, epoch) ─► ClassificationBatch
//! Corpus.train ─► batch::text_windows ([CLS] … [SEP]) ─► batch::Masker ─► MaskedBatch
//! any training text ─► baseline (n-grams, word translation, word overlap, majority)
//! SquadSet::prepare ─► squad::windows ─► batch::SpanBatch; logits ─► squad::best_spans, null_odds ─► text
//! ```
//!
//! ```
//! use sparta_datasets::{batch::LmStream, tokenize::Vocabulary};
//!
//! let text = "the cat sat\nthe dog sat\n";
//! let vocabulary = Vocabulary::from_text(text, None, 1)?;
//! let ids = vocabulary.encode_text(text);
//! assert_eq!(ids.len(), 8); // six words and two <eos>
//! let stream = LmStream::for_eval(&ids, 1, 4)?;
//! assert_eq!(stream.n_targets(), 7); // every token but the first is predicted once
//! # Ok::<(), sparta_datasets::Error>(())
//! ```
//!
//! Nothing here knows a model or a tensor library: batches are plain `Vec<i32>`.

mod atomic;
pub mod baseline;
pub mod batch;
pub mod classification;
mod corpus;
pub mod embedded;
mod error;
pub mod files;
pub mod glue;
pub mod pairs;
pub mod question_sentence;
mod shuffle;
pub mod source;
mod split;
pub mod squad;
pub mod store;
pub mod tokenize;
pub mod translation;
pub mod wikitext;

pub use corpus::{Corpus, CorpusName};
pub use error::{Error, Result};
pub use split::Split;
