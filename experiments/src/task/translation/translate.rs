//! `iwslt translate`: lines in, translations out.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::Tensor;
use serde_json::json;
use sparta_datasets::tokenize::Dictionary;
use sparta_model::decode::{Certificate, SearchMethod};
use sparta_model::layer::{PageReport, Paging};
use sparta_ops::pruning::AttentionType;

use super::corpus::Preparer;
use super::trained::{Candidate, Trained, Translations, Wish, with_end};
use crate::device::DeviceChoice;
use crate::io::{Reader, print_line, refuse_existing};
use crate::protocol::note;
use crate::recipe::MAX_BEAM;
use crate::task::input_lines::InputLines;

/// What `iwslt translate` asks for.
#[derive(Debug, Clone)]
pub struct Translate {
    /// A run folder, or the folder of a model in it.
    pub model: PathBuf,
    /// Translations printed for each line.
    pub n_best: usize,
    /// Hypotheses kept; the recipe's if not given.
    pub beam: Option<usize>,
    /// How translations are looked for; the recipe's way if not given.
    pub search: Option<SearchMethod>,
    /// Which pages of keys attention with α-entmax reads; all if not given.
    pub pages: Option<Paging>,
    /// File for the attention weights.
    pub attention: Option<PathBuf>,
    /// Where to compute.
    pub device: DeviceChoice,
    /// No words on standard error.
    pub quiet: bool,
}

/// Translates the lines of standard input. With `--n-best` above 1 each translation stands on a line
/// of its own: number of the source line, score, text, separated by tabs. With a sparse output layer the last
/// words on standard error are what the search has proven; with keys by pages, what was read of them. What stands before a line
/// that is refused is translated and printed.
///
/// # Errors
/// A folder without a trained model, a model and tokenizer that do not fit, pages of a decoder that has no α-entmax, no line,
/// or one that is too long or no text; each says what to do.
pub fn translate(request: &Translate) -> Result<()> {
    for (option, asked) in [("--n-best", Some(request.n_best)), ("--beam", request.beam)] {
        ensure!(
            asked.is_none_or(|n| (1..=MAX_BEAM).contains(&n)),
            "`{option}` must be from 1 to {MAX_BEAM}; found {}",
            asked.unwrap_or_default()
        );
    }
    let model = Trained::open(&request.model, request.device)?;
    note(request.quiet, &describe(&model));
    if request.attention.is_some() {
        model.variant.check_weights()?;
    }
    let paged = request
        .pages
        .map(|paging| check_pages(&model, request, paging));
    let paged = paged.transpose()?;
    let unwritten = || {
        let path = request.attention.as_deref().unwrap_or(Path::new(""));
        format!("cannot write the attention weights to {}", path.display())
    };
    let mut dump = match &request.attention {
        None => None,
        Some(path) => {
            refuse_existing(path, "--attention FILE")?;
            let file = std::fs::File::create(path);
            let file = file.with_context(|| format!("cannot write {}", path.display()))?;
            Some(std::io::BufWriter::new(file))
        }
    };
    let preparer = Preparer::new(&model.recipe.data, model.corpus.source);
    let encode = |line: &str, number: usize| {
        let source = model.vocabulary.source.encode(&preparer.prepare(line));
        let fits = model.check_length(&format!("line {number}"), source.len());
        fits.map(|()| source)
    };
    let mut input = InputLines::of_standard_input("line to translate");
    let mut number = 0;
    let mut proven = Proven::default();
    let mut read = PageReport::default();
    'lines: loop {
        let sources = input.next(model.recipe.eval.batch_size, encode)?;
        if sources.is_empty() {
            break;
        }
        let first = number + 1;
        number += sources.len();
        for translated in translate_lines(&model, request, sources, first)? {
            let printed = translated.print(request.n_best);
            read = read.and(translated.pages.unwrap_or_default());
            if let Some(said) = proven.add(&translated) {
                note(request.quiet, &said);
            }
            if print_line(&printed)? == Reader::Gone {
                break 'lines;
            }
            if let Some(dump) = &mut dump {
                let line = attention(&model, &translated)?;
                writeln!(dump, "{line}").with_context(unwritten)?;
            }
        }
    }
    if let Some(said) = proven.summary() {
        note(request.quiet, &said);
    }
    if let Some(paged) = paged {
        note(request.quiet, &pages_read(&read, &paged));
    }
    match dump {
        Some(mut dump) => dump.flush().with_context(unwritten),
        None => Ok(()),
    }
}

/// A line and its translations, best first.
struct Translated {
    number: usize,
    source: Vec<u32>,
    found: Vec<Candidate>,
    certificate: Option<Certificate>,
    pages: Option<PageReport>,
}

/// Which attention is read by pages, and how, in words.
///
/// # Errors
/// A search that goes back to what it has read, or a decoder without α-entmax.
fn check_pages(model: &Trained, request: &Translate, paging: Paging) -> Result<String> {
    let search = model.search(request.search);
    ensure!(
        search.is_beam(),
        "`--pages {paging}` is of the kept keys of a beam, and the search is {search}: give `--search beam` with it, or \
         leave `--pages` out"
    );
    let types = model.network.paged_types().with_context(|| {
        format!(
            "`--pages {paging}` asks for what {} does not have: its attention is {}",
            model.folder.path.display(),
            model.variant.mechanisms.label()
        )
    })?;
    let types: Vec<&str> = types.iter().map(|kind| kind.as_str()).collect();
    Ok(format!("{}, {paging}", types.join(" and ")))
}

/// What was read of pages of keys, in words.
fn pages_read(of: &PageReport, paged: &str) -> String {
    let share = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
    format!(
        "keys by pages ({paged}): {} of {} keys read ({:.1} %), in {} of {} pages ({:.1} %), for {} rows of weights; \
         dropped mass {:.2e} on average, {:.2e} at most",
        of.n_keys_read,
        of.n_keys,
        share(of.n_keys_read, of.n_keys),
        of.n_pages_read,
        of.n_pages,
        share(of.n_pages_read, of.n_pages),
        of.n_rows,
        of.dropped / of.n_rows.max(1) as f64,
        of.most_dropped,
    )
}

/// What the search has proven of the lines so far.
#[derive(Debug, Default)]
struct Proven {
    n: usize,
    exact: usize,
    likeliest: usize,
    cut: f64,
    dead: usize,
}

impl Proven {
    /// Takes note of a line; what is to be said of it alone.
    fn add(&mut self, line: &Translated) -> Option<String> {
        let certificate = line.certificate?;
        self.n += 1;
        self.exact += usize::from(certificate.is_exact());
        self.likeliest += usize::from(certificate.proves_likeliest());
        self.cut += certificate.cut;
        self.dead += certificate.n_dead;
        let Certificate { n_read, .. } = certificate;
        let known = match certificate.proves_likeliest() {
            true => "the likeliest is the first printed, and the others may not be the next",
            false => "the best so far is printed, and nothing is proven",
        };
        certificate.limited.then(|| {
            format!(
                "line {}: stopped after {n_read} prefixes; {known}. Read more with `--search 'exact(prefixes={})'`",
                line.number,
                10 * n_read
            )
        })
    }

    fn summary(&self) -> Option<String> {
        let Self {
            n,
            exact,
            likeliest,
            cut,
            dead,
        } = self;
        (*n > 0).then(|| {
            format!(
                "of {n} lines: every translation of p > 0 found for {exact}, the likeliest for sure for {likeliest}; \
                 mean cut mass {:.3}, {dead} dead hypotheses",
                cut / *n as f64
            )
        })
    }
}

impl Translated {
    fn print(&self, n_best: usize) -> String {
        match n_best {
            1 => self.found.first().map_or("", |f| &f.text).to_owned(),
            _ => {
                let line = |Candidate { text, score, .. }: &Candidate| {
                    format!("{}\t{score:.4}\t{text}", self.number)
                };
                self.found.iter().map(line).collect::<Vec<_>>().join("\n")
            }
        }
    }
}

/// What the model is and where it computes, in one line.
fn describe(model: &Trained) -> String {
    format!(
        "model {} ({} to {}, {}) · device {}",
        model.folder.path.display(),
        model.corpus.source,
        model.corpus.target,
        match &model.mask {
            Some(_) => "under its mask",
            None => "no mask",
        },
        model.device_note
    )
}

/// Translates lines, the first of which has the number `first`.
fn translate_lines(
    model: &Trained,
    request: &Translate,
    sources: Vec<Vec<u32>>,
    first: usize,
) -> Result<Vec<Translated>> {
    let wish = Wish {
        beam: request.beam,
        n_best: request.n_best,
        search: request.search,
        pages: request.pages,
    };
    let found = model.translate(&sources, wish)?;
    let numbered = sources.into_iter().zip(found).zip(first..);
    let translated = |((source, found), number)| {
        let Translations {
            candidates,
            certificate,
            pages,
        } = found;
        Translated {
            number,
            source,
            found: candidates,
            certificate,
            pages,
        }
    };
    Ok(numbered.map(translated).collect())
}

/// The attention of the best translation as one line of JSON: pieces of both sides, and for each
/// type `[layer][head][row][column]`, with no layer where its mechanism has no weights.
fn attention(model: &Trained, translated: &Translated) -> Result<String> {
    let Some(best) = translated.found.first() else {
        return Ok(json!({ "line": translated.number }).to_string());
    };
    let target = with_end(&best.ids);
    let weights = model.weights(&translated.source, &target)?;
    let symbols = |dictionary: &Dictionary, ids: &[u32]| -> Vec<String> {
        let symbol = |&id: &u32| dictionary.symbol(id).unwrap_or("<unk>").to_owned();
        ids.iter().map(symbol).collect()
    };
    let vocabulary = &model.vocabulary;
    let mut object = json!({
        "line": translated.number,
        "source": symbols(vocabulary.source.dictionary(), &translated.source),
        "target": symbols(vocabulary.target.dictionary(), &target),
    });
    for kind in AttentionType::ALL {
        let layers: Vec<_> = weights.of(kind).iter().map(nested).collect::<Result<_>>()?;
        object[kind.as_str()] = layers.into();
    }
    Ok(object.to_string())
}

/// The weights of one sentence, `[head][row][column]`.
fn nested(weights: &Tensor<4>) -> Result<serde_json::Value> {
    let [_, heads, rows, cols] = weights.dims();
    let values = weights
        .clone()
        .try_into_vec_as::<f32>()
        .map_err(|e| anyhow!("cannot read the weights from the device: {e:?}"))?;
    let row = |head: usize, row: usize| -> Vec<f32> {
        let start = (head * rows + row) * cols;
        values[start..start + cols].to_vec()
    };
    let head = |h: usize| -> Vec<Vec<f32>> { (0..rows).map(|r| row(h, r)).collect() };
    Ok(json!((0..heads).map(head).collect::<Vec<_>>()))
}
