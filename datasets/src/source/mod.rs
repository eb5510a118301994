//! Where corpus files come from: the cache folder, `--from DIR`, checksums, downloads.

mod archive;
mod cache;
mod checksum;
#[cfg(feature = "download")]
mod download;
mod prepare;
mod text;

pub(crate) use archive::unpack;
pub use cache::cache_dir;
pub(crate) use checksum::hex;
pub use checksum::{Sha256Hex, sha256, sha256_file};
#[cfg(feature = "download")]
pub use download::{fetch, fetch_with_progress};
pub use prepare::{Archive, archive_of, locate, prepare, prepare_with_progress};
pub(crate) use text::read_utf8;
