//! A file as text, whatever editor wrote it.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::source::{Limited, Origin, sha256, text_of};
use crate::{Error, Result};

/// A file's text and where it is from. A byte order mark is left out; `\r\n`, or `\r` in a file without any `\n`, end
/// lines as `\n` does; other separators of Unicode (U+2028, U+2029, U+0085, vertical tab, form feed) are spaces, so that lines
/// are those that editors and `wc` count. What is compressed by gzip is unpacked.
///
/// # Errors
/// Those of [`read_exactly`].
pub(super) fn read(path: &Path) -> Result<(String, Origin)> {
    let (text, origin) = read_exactly(path)?;
    Ok((lines(&text), origin))
}

/// The same with line ends and separators as they are in the file.
///
/// # Errors
/// [`Error::Io`]; [`Error::WrongFile`] for UTF-16, archives, and gzip files that are cut or unpack to more than text does; [`Error::WrongRow`], which names the line, for other bytes
/// than UTF-8, and for NUL.
pub(super) fn read_exactly(path: &Path) -> Result<(String, Origin)> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let origin = Origin {
        name: None,
        path: path.to_owned(),
        bytes: bytes.len() as u64,
        sha256: sha256(&bytes),
    };
    let bytes = match bytes.starts_with(&[0x1f, 0x8b]) {
        false => bytes,
        true => {
            let mut unpacked = Vec::new();
            let gzip = MultiGzDecoder::new(bytes.as_slice());
            let read = Limited::new(gzip, bytes.len() as u64).read_to_end(&mut unpacked);
            read.map_err(|cause| Error::WrongFile {
                path: path.to_owned(),
                expected: "text that gzip has packed".to_owned(),
                found: cause.to_string(),
                next: "pack it again, or give the text itself".to_owned(),
            })?;
            unpacked
        }
    };
    Ok((text(bytes, path)?, origin))
}

/// Bytes that tell a kind of file.
const KIND: usize = 16;

fn text(bytes: Vec<u8>, path: &Path) -> Result<String> {
    // What begins as other kinds of files do is told as that, and not by the first byte that is no text.
    if let Err(no_text) = text_of(bytes[..bytes.len().min(KIND)].to_vec())
        && no_text.next.is_some()
    {
        return Err(no_text.of(path, String::new));
    }
    let wrong = |before: &[u8], expected: &str, found: String, next: &str| Error::WrongRow {
        path: path.to_owned(),
        line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
        expected: expected.to_owned(),
        found,
        next: next.to_owned(),
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        wrong(
            &bytes[..at],
            "UTF-8",
            format!("byte {:#04x} at offset {at}", bytes[at]),
            "if it is Latin-1: `iconv -f ISO-8859-1 -t UTF-8 FILE > FILE.utf8`",
        )
    })?;
    if let Some(at) = text.bytes().position(|byte| byte == 0) {
        return Err(wrong(
            &text.as_bytes()[..at],
            "text",
            format!("a NUL character at offset {at}"),
            "take it out: `tr -d '\\000' < FILE > FILE.txt`",
        ));
    }
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}

/// A text with the line ends of Unix, and no other separator that some take for one.
fn lines(text: &str) -> String {
    let old_mac = !text.contains('\n');
    let text = text.replace("\r\n", "\n");
    let plain = |c| match c {
        '\r' if old_mac => '\n',
        '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{b}' | '\u{c}' => ' ',
        c => c,
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<String> {
        text(bytes.to_vec(), Path::new("mine.txt")).map(|text| lines(&text))
    }

    #[test]
    fn whatever_editor_wrote_it() {
        for (bytes, expected) in [
            ("\u{feff}a b\r\nc\r\n", "a b\nc\n"),
            ("a\rb\rc", "a\nb\nc"),
            ("a\rb\nc", "a\rb\nc"),
            ("a\u{2028}b\u{85}c\u{b}\n", "a b c \n"),
            ("", ""),
        ] {
            assert_eq!(of(bytes.as_bytes()).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_text_is_named_with_its_line() {
        for (bytes, words) in [
            (
                &b"one\ntwo \xe4\n"[..],
                "mine.txt, line 2: expected UTF-8, found byte 0xe4 at offset 8",
            ),
            (
                b"one\ntwo\nthr\0ee",
                "line 3: expected text, found a NUL character at offset 11",
            ),
            (
                b"\xff\xfea\0",
                "found UTF-16 text (its first bytes are ff fe); convert it: `iconv",
            ),
            (b"PK\x03\x04rest", "found a zip archive"),
        ] {
            let error = of(bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
