//! What is unpacked has a bound, so that a file of kilobytes does not fill the memory or the disk.

use std::io::{self, Read};

/// Bytes that any archive may unpack to.
const SPARE: u64 = 16_000_000;
/// Times that a file may grow: published texts grow 3 to 8 times, runs of one letter 1000 times.
const FACTOR: u64 = 20;

/// A reader of unpacked data that ends with an error where it gives more than an archive of text can hold.
pub(crate) struct Limited<R> {
    inner: R,
    left: u64,
    packed: u64,
}

impl<R: Read> Limited<R> {
    /// Of data that `packed` bytes unpack to.
    pub(crate) fn new(inner: R, packed: u64) -> Self {
        Self {
            inner,
            left: packed.saturating_mul(FACTOR).saturating_add(SPARE),
            packed,
        }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| {
            io::Error::other(format!(
                "its {} bytes unpack to more than {FACTOR} times as many and {} MB, which no text does",
                self.packed,
                SPARE / 1_000_000
            ))
        })?;
        Ok(n)
    }
}
