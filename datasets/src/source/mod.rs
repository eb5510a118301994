//! Where corpus files come from: the cache folder, `--from DIR`, checksums, downloads.

mod archive;
mod cache;
mod checksum;
#[cfg(feature = "download")]
mod download;
mod event;
mod limited;
mod origin;
mod prepare;
mod record;
mod refused;
mod text;

pub(crate) use archive::unpack;
pub use cache::cache_dir;
pub(crate) use checksum::hex;
pub use checksum::{Sha256Hex, sha256, sha256_file};
#[cfg(feature = "download")]
pub use download::{Patience, fetch, fetch_if_there, fetch_patiently};
pub use event::{Download, HashCheck, Listener, Remote};
pub(crate) use limited::Limited;
pub use origin::{Origin, Origins};
pub use prepare::{Archive, archive_of, check_given, locate, prepare};
pub use record::{record_of, recorded_sha256};
pub(crate) use refused::refused;
pub(crate) use text::read_utf8;
pub use text::{NoText, text_of};
