//! `sparta attend` as a user runs it.

mod bad_input;
mod encoder;
mod lm;
mod translation;

use assert_cmd::assert::Assert;
use serde_json::Value;
use sparta_ops::pruning::{AttentionType, GlobalMask};

use crate::bench::{Bench, stdout};

/// What a page says of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell {
    /// A weight of exactly zero.
    Zero,
    /// A positive one, as it is printed.
    Weight(f64),
    /// The key comes after the query.
    Causal,
    /// Hidden by the global mask.
    GlobalMask,
    /// Too far back.
    Distance,
    /// Not in the static pattern.
    Pattern,
}

/// A page, read back from its text.
struct Page {
    text: String,
    data: Value,
}

/// Runs `sparta attend` on a model.
fn attend(bench: &Bench, model: &str, options: &[&str]) -> Assert {
    let words = [&["attend", model, "--device", "flex", "--quiet"], options].concat();
    bench.sparta_of(&words)
}

/// The page of a model and a text.
fn page(bench: &Bench, model: &str, options: &[&str]) -> Page {
    let printed = stdout(&attend(bench, model, options).success());
    Page::read(bench, printed.trim_end())
}

impl Page {
    fn read(bench: &Bench, file: &str) -> Self {
        let text = bench.read(file);
        let (_, data) = text.split_once("id=\"data\">").expect("data");
        let (data, _) = data.split_once("</script>").expect("the end of the data");
        let data = serde_json::from_str(data).expect("JSON");
        Self { text, data }
    }

    fn n_views(&self) -> usize {
        self.data["views"].as_array().expect("views").len()
    }

    fn view(&self, view: usize) -> &Value {
        &self.data["views"][view]
    }

    fn size(&self, view: usize, key: &str) -> usize {
        self.view(view)[key].as_u64().expect(key) as usize
    }

    /// The sequence that a view has as `queries`, `keys` or `reads`.
    fn sequence(&self, view: usize, of: &str) -> &Value {
        &self.data["sequences"][self.size(view, of)]
    }

    fn pieces(&self, view: usize, of: &str) -> Vec<&str> {
        let pieces = self.sequence(view, of)["pieces"]
            .as_array()
            .expect("pieces");
        pieces.iter().filter_map(Value::as_str).collect()
    }

    /// Words and how many pieces they have.
    fn words(&self, view: usize, of: &str) -> Vec<(&str, u64)> {
        let words = self.sequence(view, of)["words"].as_array().expect("words");
        let place = |word: &Value, i: usize| word[i].as_u64().expect("a place");
        let n_pieces = |word: &Value| place(word, 2) - place(word, 1);
        let words = words.iter();
        words
            .map(|word| (word[0].as_str().expect("a word"), n_pieces(word)))
            .collect()
    }

    /// All cells of a view, `[layer][head][query][key]` in a row.
    fn cells(&self, view: usize) -> Vec<Cell> {
        let bytes = base64(self.view(view)["cells"].as_str().expect("cells"));
        let codes = &self.data["codes"];
        let number = |key: &str| codes[key].as_i64().expect(key);
        let reason = |i: usize| codes["hidden"][i][0].as_i64().expect("a reason");
        let (pairs, rest) = bytes.as_chunks::<2>();
        assert!(rest.is_empty());
        let decode = |pair: &[u8; 2]| {
            let code = i64::from(u16::from_le_bytes(*pair));
            match code {
                0 => return Cell::Zero,
                code if code == reason(0) => return Cell::Causal,
                code if code == reason(1) => return Cell::GlobalMask,
                code if code == reason(2) => return Cell::Distance,
                code if code == reason(3) => return Cell::Pattern,
                code => assert!(code <= number("one"), "{code}"),
            }
            let is_fine = code >= number("first_fine");
            let (steps, first, start, digits) = match is_fine {
                true => (
                    number("fine_steps"),
                    number("fine"),
                    number("first_fine"),
                    3,
                ),
                false => (number("coarse_steps"), number("least"), 1, 1),
            };
            let (power, rest) = ((code - start) / steps + first, (code - start) % steps);
            let text = format!("{}e{}", rest + steps / 9, power - digits);
            Cell::Weight(text.parse().expect("a number"))
        };
        let cells: Vec<Cell> = pairs.iter().map(decode).collect();
        let (n_queries, n_keys) = self.shape(view);
        let n_heads = self.size(view, "n_layers") * self.size(view, "n_heads");
        assert_eq!(cells.len(), n_heads * n_queries * n_keys);
        cells
    }

    fn shape(&self, view: usize) -> (usize, usize) {
        let n = |of| self.pieces(view, of).len();
        (n("queries"), n("keys"))
    }

    /// Every cell with its layer, head, query and key.
    fn places(&self, view: usize) -> Vec<([usize; 4], Cell)> {
        let (n_queries, n_keys) = self.shape(view);
        let n_heads = self.size(view, "n_heads");
        let cells = self.cells(view).into_iter().enumerate();
        let place = |(i, cell): (usize, Cell)| {
            let (head, i) = (i / (n_queries * n_keys), i % (n_queries * n_keys));
            (
                [head / n_heads, head % n_heads, i / n_keys, i % n_keys],
                cell,
            )
        };
        cells.map(place).collect()
    }

    /// That each row of weights sums to one, or has no key at all; how many have none.
    fn check_rows(&self, view: usize) -> usize {
        let (_, n_keys) = self.shape(view);
        let cells = self.cells(view);
        let rows = cells.chunks(n_keys).filter(|row| {
            let weight = |cell: &Cell| match *cell {
                Cell::Weight(weight) => weight,
                Cell::Zero | Cell::Causal | Cell::GlobalMask | Cell::Distance | Cell::Pattern => {
                    0.0
                }
            };
            let sum: f64 = row.iter().map(weight).sum();
            let is_open = |cell: &Cell| matches!(cell, Cell::Zero | Cell::Weight(_));
            let has_key = row.iter().any(is_open);
            assert!(!has_key || (sum - 1.0).abs() < 2e-3, "{sum}: {row:?}");
            !has_key
        });
        rows.count()
    }

    /// That exactly those cells are hidden that come after their query or that a mask hides; columns of the mask are
    /// counted from `first`. How many the mask hides.
    fn check_hidden(&self, view: usize, mask: Option<(&GlobalMask, usize)>) -> usize {
        let kind = self.view(view)["kind"].as_str().expect("a kind");
        let kind: AttentionType = AttentionType::ALL
            .into_iter()
            .find(|found| found.as_str() == kind)
            .expect("an attention type");
        let (n_queries, n_keys) = self.shape(view);
        let memory = match kind {
            AttentionType::DecoderSelf => Some(n_keys - n_queries),
            AttentionType::EncoderSelf | AttentionType::Cross => None,
        };
        let mut n_masked = 0;
        for ([layer, head, query, key], cell) in self.places(view) {
            let is_after = memory.is_some_and(|memory| key > memory + query);
            let is_masked = mask.is_some_and(|(mask, first)| {
                mask.layers().any(|found| found == (kind, layer))
                    && mask
                        .hidden(kind, layer, head, query, first + key)
                        .expect("a cell")
            });
            let at = format!("{kind}: layer {layer}, head {head}, query {query}, key {key}");
            assert_eq!(cell == Cell::Causal, is_after, "{at}: {cell:?}");
            assert_eq!(
                cell == Cell::GlobalMask,
                is_masked && !is_after,
                "{at}: {cell:?}"
            );
            n_masked += usize::from(cell == Cell::GlobalMask);
        }
        n_masked
    }
}

/// The bytes of RFC 4648's base64.
fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("`{}` in base64", other as char),
    };
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text.chunks(4) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, &c| (bits << 6) | u32::from(digit(c)));
        let bits = bits << (6 * (4 - chunk.len()));
        bytes.extend(&bits.to_be_bytes()[1..chunk.len()]);
    }
    bytes
}
