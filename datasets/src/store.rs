//! Token ids on disk, memory-mapped, tied by hash to the tokenizer that made them.
//!
//! Layout, little-endian: magic (8 bytes), version `u32`, zero `u32`, token count `u64`, tokenizer
//! hash (32 bytes), sha256 of the payload (32 bytes), zeros up to byte 128, then `u32` ids.

#![allow(unsafe_code, reason = "memory-mapped files")]

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapMut};

use crate::atomic::write_atomically;
use crate::source::{Sha256Hex, hex};
use crate::{Error, Result, Split};

#[cfg(target_endian = "big")]
compile_error!("token stores are little-endian and memory-mapped: big-endian hosts need a decoder");

const MAGIC: [u8; 8] = *b"SPARTATK";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 128;
const COUNT_AT: usize = 16;
const TOKENIZER_AT: usize = 24;
const SHA256_AT: usize = 56;

/// The path in `dir` for one split of a corpus, different for every tokenizer:
/// `sotu-train-1f2e3d4c5b6a.tokens`.
pub fn store_path(dir: &Path, corpus: &str, split: Split, tokenizer_hash: &str) -> PathBuf {
    let key = tokenizer_hash.get(..12).unwrap_or(tokenizer_hash);
    dir.join(format!("{corpus}-{split}-{key}.tokens"))
}

/// A read-only sequence of token ids in a file.
#[derive(Debug)]
pub struct TokenStore {
    path: PathBuf,
    map: Mmap,
}

impl TokenStore {
    /// Writes ids to `path` and opens the result.
    ///
    /// `tokenizer_hash` is [`crate::tokenize::Vocabulary::hash`]. The file appears whole or not at
    /// all; one that was there is replaced.
    ///
    /// # Errors
    /// [`Error::BadTokenizerHash`], [`Error::Io`] (a full disk among them).
    pub fn create(
        path: &Path,
        ids: impl IntoIterator<Item = u32>,
        tokenizer_hash: &str,
    ) -> Result<Self> {
        let tokenizer = parse_hash(tokenizer_hash)?;
        write_atomically(path, |file| {
            let mut writer = BufWriter::with_capacity(1 << 20, file);
            let mut hasher = Sha256Hex::new();
            let mut count = 0_u64;
            let body = || {
                writer.write_all(&[0; HEADER_LEN])?;
                for id in ids {
                    let bytes = id.to_le_bytes();
                    hasher.update(&bytes);
                    writer.write_all(&bytes)?;
                    count += 1;
                }
                writer.seek(SeekFrom::Start(0)).map(|_| ())
            };
            body().map_err(Error::io("write", path))?;
            let header = header(count, &tokenizer, &hasher.finish_bytes());
            writer
                .write_all(&header)
                .and_then(|()| writer.flush())
                .map_err(Error::io("write", path))
        })?;
        Self::open(path, tokenizer_hash)
    }

    /// Maps a store and checks its header, length, checksum and tokenizer.
    ///
    /// # Errors
    /// [`Error::NotATokenStore`], [`Error::TruncatedTokenStore`], [`Error::AlteredTokenStore`],
    /// [`Error::OtherTokenizer`], [`Error::BadTokenizerHash`], [`Error::Io`].
    pub fn open(path: &Path, expected_tokenizer_hash: &str) -> Result<Self> {
        let tokenizer = parse_hash(expected_tokenizer_hash)?;
        let file = File::open(path).map_err(Error::io("open", path))?;
        // SAFETY: the map is read-only and stores are only ever replaced by rename, never
        // written in place, by this crate; any bit pattern is a valid `u32`.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io("map", path))?;
        let store = Self {
            path: path.to_owned(),
            map,
        };
        store.check_shape()?;
        if store.map[TOKENIZER_AT..SHA256_AT] != tokenizer {
            let found = hex(&store.map[TOKENIZER_AT..SHA256_AT]);
            let expected = expected_tokenizer_hash.to_owned();
            return Err(Error::OtherTokenizer {
                path: store.path,
                expected,
                found,
            });
        }
        let mut hasher = Sha256Hex::new();
        hasher.update(&store.map[HEADER_LEN..]);
        let found = hasher.finish();
        let expected = hex(&store.map[SHA256_AT..SHA256_AT + 32]);
        if found != expected {
            return Err(Error::AlteredTokenStore {
                path: store.path,
                expected,
                found,
            });
        }
        Ok(store)
    }

    /// Ids in memory, without a file: for a dry run, which leaves none.
    ///
    /// # Errors
    /// [`Error::BadTokenizerHash`], [`Error::Io`] (no memory).
    pub fn in_memory(ids: &[u32], tokenizer_hash: &str) -> Result<Self> {
        let tokenizer = parse_hash(tokenizer_hash)?;
        let path = PathBuf::from("memory");
        let payload: &[u8] = bytemuck::cast_slice(ids);
        let mut hasher = Sha256Hex::new();
        hasher.update(payload);
        let len = HEADER_LEN + payload.len();
        let mut map = MmapMut::map_anon(len).map_err(Error::io("map", &path))?;
        let sha256 = hasher.finish_bytes();
        map[..HEADER_LEN].copy_from_slice(&header(ids.len() as u64, &tokenizer, &sha256));
        map[HEADER_LEN..].copy_from_slice(payload);
        let map = map.make_read_only().map_err(Error::io("map", &path))?;
        Ok(Self { path, map })
    }

    fn check_shape(&self) -> Result<()> {
        let not_a_store = |found: String| Error::NotATokenStore {
            path: self.path.clone(),
            expected: VERSION,
            found,
        };
        if !self.map.starts_with(&MAGIC) {
            return Err(not_a_store("another kind of file".to_owned()));
        }
        if self.map.len() < HEADER_LEN {
            return Err(not_a_store(format!(
                "only {} bytes of the header",
                self.map.len()
            )));
        }
        let version = u32::from_le_bytes(array(&self.map[8..12]));
        if version != VERSION {
            return Err(not_a_store(format!("version {version}")));
        }
        let expected = u64::from_le_bytes(array(&self.map[COUNT_AT..TOKENIZER_AT]));
        let payload = (self.map.len() - HEADER_LEN) as u64;
        if expected.checked_mul(4) != Some(payload) {
            let path = self.path.clone();
            return Err(Error::TruncatedTokenStore {
                path,
                expected,
                found: payload / 4,
            });
        }
        Ok(())
    }

    /// The ids.
    pub fn tokens(&self) -> &[u32] {
        // A map starts at a page and the header is a multiple of four bytes: aligned, no rest.
        bytemuck::cast_slice(&self.map[HEADER_LEN..])
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        self.tokens().len()
    }

    /// Whether there is no id.
    pub fn is_empty(&self) -> bool {
        self.tokens().is_empty()
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hash of the tokenizer that made the ids, in hexadecimal.
    pub fn tokenizer_hash(&self) -> String {
        hex(&self.map[TOKENIZER_AT..SHA256_AT])
    }
}

fn header(count: u64, tokenizer: &[u8; 32], sha256: &[u8; 32]) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[COUNT_AT..TOKENIZER_AT].copy_from_slice(&count.to_le_bytes());
    header[TOKENIZER_AT..SHA256_AT].copy_from_slice(tokenizer);
    header[SHA256_AT..SHA256_AT + 32].copy_from_slice(sha256);
    header
}

/// `slice` as an array; callers pass ranges of that very length.
fn array<const N: usize>(slice: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(slice);
    array
}

fn parse_hash(hex: &str) -> Result<[u8; 32]> {
    let bad = || Error::BadTokenizerHash {
        found: hex.to_owned(),
    };
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(bad());
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| bad())?;
    }
    Ok(bytes)
}
