//! Altered files: bits, bytes, numbers, lengths, lines and words that readers stumble over.

use super::Corpus;
use super::random::Random;

/// Bytes of an altered file at most.
const LARGEST: usize = 1 << 17;

/// What has meant trouble to a reader somewhere.
const WORDS: [&[u8]; 52] = [
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    "\u{10ffff}".as_bytes(),
    "\u{301}".as_bytes(),
    "\u{200d}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{85}".as_bytes(),
    "\u{3000}".as_bytes(),
    "ß".as_bytes(),
    "İ".as_bytes(),
    "ǅ".as_bytes(),
    "𝟘".as_bytes(),
    "漢字".as_bytes(),
    b"\r\n",
    b"\n",
    b"\n\n",
    b"\t",
    b" ",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\"",
    b"'",
    b"[",
    b"]",
    b"{",
    b"}",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"null",
    b"true",
    b"NaN",
    b"nan",
    b"inf",
    b"-inf",
    b"1e999",
    b"-0",
    b"-1",
    b"%s%n",
    b"../",
    b"/",
    b"</w>",
    b"@@ ",
    b"##",
    b"(((((((((((((((((((((((((((((((",
    b"....................",
    b"----------------",
];

/// Values that take the place of one in a structured file.
const VALUES: [&[u8]; 14] = [
    b"null",
    b"true",
    b"0",
    b"-1",
    b"1e308",
    b"1.5",
    b"\"\"",
    b"\"x\"",
    b"[]",
    b"[[]]",
    b"{}",
    b"[1,2,3]",
    b"{\"type\":\"x\"}",
    b"\"\\u0000\"",
];

/// Numbers at which something turns.
const NUMBERS: [&str; 22] = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "64",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "16777215",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "1e9",
];

/// An altered file of a corpus: input `input` of a target.
pub fn altered(seed: u64, target: &str, input: u64, corpus: &Corpus) -> Vec<u8> {
    let random = &mut Random::of(seed, target, input);
    if random.below(500) == 0 {
        let n = random.below(4096);
        return (0..n).map(|_| random.next() as u8).collect();
    }
    let n_good = corpus.good.len();
    let file = |at: usize| {
        corpus
            .good
            .get(at)
            .unwrap_or_else(|| &corpus.other[at - n_good])
    };
    let n = n_good + corpus.other.len();
    let mut bytes = file(random.below(n)).clone();
    for _ in 0..1 << random.below(5) {
        let other = file(random.below(n));
        alter(random, &mut bytes, other, corpus.words);
        bytes.truncate(LARGEST);
    }
    bytes
}

fn alter(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    let at = random.below(bytes.len() + 1);
    let range = random.range(bytes.len());
    match random.below(18) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        3 => drop(bytes.drain(range)),
        4 => bytes.truncate(at),
        5 => {
            let part = bytes[range].to_vec();
            let most = LARGEST / part.len().max(1);
            let n = match random.below(8) {
                0 => 4096,
                _ => 1 + random.below(16),
            };
            insert(bytes, at, &part.repeat(n.min(most)));
        }
        6 => {
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        7 => {
            let part = other[random.range(other.len())].to_vec();
            insert(bytes, at, &part);
        }
        8 => {
            let word = *random.choose(&WORDS);
            insert(bytes, at, word);
        }
        9 => {
            let word = *random.choose(&WORDS);
            drop(bytes.splice(range, word.iter().copied()));
        }
        10 | 11 => number(random, bytes),
        12 => integer(random, bytes, at),
        13 => line(random, bytes),
        14 => value(random, bytes),
        15 => {
            let n = range.len();
            let noise: Vec<u8> = (0..n).map(|_| random.next() as u8).collect();
            drop(bytes.splice(range, noise));
        }
        16 if !words.is_empty() => {
            let word = random.choose(words).as_bytes();
            match random.below(2) {
                0 => insert(bytes, at, word),
                _ => drop(bytes.splice(range, word.iter().copied())),
            }
        }
        _ => {
            // A byte, or one of each kind, all over.
            if let Some(&from) = bytes.get(at) {
                let to = random.choose(&WORDS)[0];
                let every = 1 + random.below(3);
                let places = bytes.iter_mut().filter(|byte| **byte == from);
                places.step_by(every).for_each(|byte| *byte = to);
            }
        }
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    drop(bytes.splice(at..at, part.iter().copied()));
}

/// Another number in the place of one in digits.
fn number(random: &mut Random, bytes: &mut Vec<u8>) {
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|&at| bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit()))
        .collect();
    if starts.is_empty() {
        return;
    }
    let start = *random.choose(&starts);
    let n = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let word = match random.below(6) {
        0 => format!("-{}", random.choose(&NUMBERS)),
        1 => random.below(1 << 12).to_string(),
        _ => (*random.choose(&NUMBERS)).to_owned(),
    };
    drop(bytes.splice(start..start + n, word.into_bytes()));
}

/// Another integer in the place of one in bytes, such as a length in a header; more often near the start, where
/// headers are.
fn integer(random: &mut Random, bytes: &mut [u8], at: usize) {
    let width = 1 << random.below(4);
    let at = match random.below(2) {
        0 => at.min(bytes.len() / 8) & !3,
        _ => at,
    };
    let Some(place) = bytes.get_mut(at..at + width) else {
        return;
    };
    let value = match random.below(6) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << random.below(64),
        3 => (1_u64 << random.below(64)).wrapping_sub(1),
        4 => random.below(1 << 16) as u64,
        _ => {
            let mut old = [0; 8];
            old[..width].copy_from_slice(place);
            let change = 1 + random.below(16) as u64;
            match random.below(2) {
                0 => u64::from_le_bytes(old).wrapping_add(change),
                _ => u64::from_le_bytes(old).wrapping_sub(change),
            }
        }
    };
    let bytes = match random.below(4) {
        0 => (value << (64 - 8 * width)).to_be_bytes(),
        _ => value.to_le_bytes(),
    };
    place.copy_from_slice(&bytes[..width]);
}

/// A line twice, away, or in another place.
fn line(random: &mut Random, bytes: &mut Vec<u8>) {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    if lines.is_empty() {
        return;
    }
    let (from, to) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(3) {
        0 => lines.insert(to, lines[from]),
        1 => drop(lines.remove(from)),
        _ => lines.swap(from, to),
    }
    *bytes = lines.concat();
}

/// Another value behind a colon or an equals sign.
fn value(random: &mut Random, bytes: &mut Vec<u8>) {
    let places: Vec<usize> = (0..bytes.len())
        .filter(|&at| matches!(bytes[at], b':' | b'='))
        .collect();
    if places.is_empty() {
        return;
    }
    let start = *random.choose(&places) + 1;
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b'\n');
    let n = bytes[start..]
        .iter()
        .position(ends)
        .unwrap_or(bytes.len() - start);
    drop(bytes.splice(start..start + n, random.choose(&VALUES).iter().copied()));
}
