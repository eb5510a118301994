//! A file as text, whatever editor wrote it.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::origin::Origin;
use crate::source::sha256;
use crate::{Error, Result};

/// A file's text and where it is from. A byte order mark is left out; `\r\n`, or `\r` in a file without any `\n`, end
/// lines as `\n` does; other separators of Unicode (U+2028, U+2029, U+0085, vertical tab, form feed) are spaces, so that lines
/// are those that editors and `wc` count. What is compressed by gzip is unpacked.
///
/// # Errors
/// [`Error::Io`]; [`Error::WrongFile`] for UTF-16 and archives; [`Error::WrongRow`], which names the line, for other bytes
/// than UTF-8, and for NUL.
pub(super) fn read(path: &Path) -> Result<(String, Origin)> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let origin = Origin {
        path: path.to_owned(),
        bytes: bytes.len() as u64,
        sha256: sha256(&bytes),
    };
    let bytes = match bytes.starts_with(&[0x1f, 0x8b]) {
        false => bytes,
        true => {
            let mut unpacked = Vec::new();
            let mut decoder = MultiGzDecoder::new(bytes.as_slice());
            decoder
                .read_to_end(&mut unpacked)
                .map_err(|cause| Error::BadArchive {
                    path: path.to_owned(),
                    cause: cause.to_string(),
                })?;
            unpacked
        }
    };
    Ok((text(bytes, path)?, origin))
}

fn text(bytes: Vec<u8>, path: &Path) -> Result<String> {
    let kinds: [(&[u8], &str, &str); 5] = [
        (b"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
        (b"\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
        (
            b"PK\x03\x04",
            "a zip archive (or an office document)",
            "unzip -p",
        ),
        (b"\xfd7zXZ\0", "xz", "xz -dc"),
        (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
    ];
    for (start, kind, command) in kinds {
        if bytes.starts_with(start) {
            return Err(Error::WrongFile {
                path: path.to_owned(),
                expected: "UTF-8 text, plain or gzip".to_owned(),
                found: kind.to_owned(),
                next: format!("make text of it: `{command} FILE > FILE.txt`"),
            });
        }
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
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let old_mac = !text.contains('\n');
    let text = text.replace("\r\n", "\n");
    let plain = |c| match c {
        '\r' if old_mac => '\n',
        '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{b}' | '\u{c}' => ' ',
        c => c,
    };
    Ok(text.chars().map(plain).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<String> {
        text(bytes.to_vec(), Path::new("mine.txt"))
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
            (b"\xff\xfea\0", "found UTF-16; make text of it: `iconv"),
            (b"PK\x03\x04rest", "found a zip archive"),
        ] {
            let error = of(bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
