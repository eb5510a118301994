//! Integration tests of the crate, one binary.

mod embedded;
mod lm_stream;
mod normalize;
#[cfg(feature = "download")]
mod server;
#[cfg(feature = "download")]
mod source_download;
mod source_prepare;
mod store;
mod vocabulary;
mod wikitext;
