//! Integration tests of the crate, one binary.

mod binary;
mod bpe;
mod classification;
mod dictionary;
mod embedded;
mod glue;
mod kneser_ney;
mod libreoffice_help;
mod lm_stream;
mod masked;
mod moses;
mod normalize;
mod origins;
mod pair_batches;
mod pairs;
mod pretrained;
mod question_sentence;
#[cfg(feature = "download")]
mod server;
#[cfg(feature = "download")]
mod source_download;
mod source_events;
mod source_prepare;
mod squad;
mod store;
mod translation;
mod vocabulary;
mod wikitext;
mod wordpiece;
