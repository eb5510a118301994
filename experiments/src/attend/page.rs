//! One HTML file with everything in it.

use anyhow::Result;
use serde::Serialize;
use sparta_ops::pruning::AttentionType;

use super::attended::{Attended, Sequence, View};
use super::cell::{Codes, base64};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// By this a page is known as one of ours.
const MARK: &str = "<meta name=\"generator\" content=\"sparta attend\">";

/// How numbers are stored, for the reader.
const STORAGE: &str = "Each weight is stored in two bytes as the decimal number that it rounds to, with four \
    significant digits (two below 0.000001); 0 is an exact zero and nothing else. Colours are by the square root of \
    the weight.";

/// What the page's script reads.
#[derive(Serialize)]
struct Data<'a> {
    codes: Codes,
    sequences: Vec<SequenceData<'a>>,
    views: Vec<ViewData<'a>>,
}

#[derive(Serialize)]
struct SequenceData<'a> {
    name: &'a str,
    pieces: &'a [String],
    /// Word, first piece, piece after its last.
    words: Vec<(&'a str, usize, usize)>,
    starts: &'a [usize],
}

#[derive(Serialize)]
struct ViewData<'a> {
    kind: &'static str,
    label: &'a str,
    title: &'static str,
    queries: usize,
    keys: usize,
    reads: Option<usize>,
    n_layers: usize,
    n_heads: usize,
    alpha: &'a [Vec<f32>],
    /// Base64 of u16, the low byte first, `[layer][head][query][key]`.
    cells: String,
}

impl<'a> From<&'a Sequence> for SequenceData<'a> {
    fn from(sequence: &'a Sequence) -> Self {
        let words = sequence.words.iter();
        let words = words.map(|(word, at)| (word.as_str(), at.start, at.end));
        Self {
            name: &sequence.name,
            pieces: &sequence.pieces,
            words: words.collect(),
            starts: &sequence.starts,
        }
    }
}

impl<'a> From<&'a View> for ViewData<'a> {
    fn from(view: &'a View) -> Self {
        Self {
            kind: view.kind.as_str(),
            label: &view.label,
            title: match view.kind {
                AttentionType::EncoderSelf => "Self-attention of the encoder",
                AttentionType::DecoderSelf => "Causal self-attention",
                AttentionType::Cross => "Attention of the decoder to the encoder",
            },
            queries: view.queries,
            keys: view.keys,
            reads: view.reads,
            n_layers: view.n_layers,
            n_heads: view.n_heads,
            alpha: &view.alpha,
            cells: base64(&view.cells),
        }
    }
}

/// The page of a model's attention; the same bytes for the same weights and texts.
///
/// # Errors
/// Weights that cannot be written.
pub(super) fn render(program: &str, attended: &Attended) -> Result<String> {
    let data = Data {
        codes: Codes::OF_PAGE,
        sequences: attended.sequences.iter().map(Into::into).collect(),
        views: attended.views.iter().map(Into::into).collect(),
    };
    let data = in_script(&serde_json::to_string(&data)?);
    let facts = attended.facts.iter();
    let fact = |(name, value): &(&str, String)| {
        format!(
            "<dt>{}</dt><dd dir=\"auto\">{}</dd>\n",
            in_text(name),
            in_text(value)
        )
    };
    let facts: String = facts.map(fact).collect();
    let title = format!("Attention of a model by {program}");
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + data.len());
    // In one pass, so that nothing is put into what was put in.
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page += before;
        page += match name {
            "title" => &title,
            "css" => STYLE,
            "facts" => &facts,
            "storage" => STORAGE,
            "data" => &data,
            "js" => SCRIPT,
            other => anyhow::bail!("the template of the page asks for `{other}`"),
        };
        rest = after;
    }
    page += rest;
    Ok(page)
}

/// Whether a file is a page of ours.
pub(super) fn is_page(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(1024)];
    start.windows(MARK.len()).any(|at| at == MARK.as_bytes())
}

/// Text between tags or in a quoted attribute.
fn in_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped
}

/// JSON inside of a script element, which ends at `</script` and nests at `<!--`.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let text = "</script><b onclick='x()'>\"&amp; <!-- {{js}} שלום 🙂";
        let attended = Attended {
            facts: vec![("Text", text.to_owned())],
            sequences: vec![Sequence {
                name: "tokens".to_owned(),
                pieces: vec![text.to_owned()],
                words: vec![(text.to_owned(), 0..1)],
                starts: Vec::new(),
            }],
            views: Vec::new(),
        };
        let page = render("lm", &attended).unwrap();
        assert_eq!(page.matches("</script>").count(), 2, "ours alone");
        assert_eq!(page.matches("\"use strict\"").count(), 1);
        assert!(page.contains(
            "&lt;/script&gt;&lt;b onclick=&#39;x()&#39;&gt;&quot;&amp;amp; &lt;!-- {{js}} שלום 🙂"
        ));
        let (_, data) = page.split_once("id=\"data\">").unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["sequences"][0]["pieces"][0], text);
        assert!(is_page(page.as_bytes()));
        assert!(!is_page(b"precious"));
    }
}
