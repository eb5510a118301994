//! `lm score`: how probable a trained language model finds a text.

use std::collections::VecDeque;
use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};
use burn::tensor::{Int, Tensor, TensorData};
use sparta_datasets::tokenize::{EOS, UNK};
use sparta_model::transformer_xl::TransformerXlInput;
use sparta_results::Perplexity;

use super::attend::typed_words;
use super::trained::{TextReader, Trained};
use crate::device::DeviceChoice;
use crate::io::{Reader, print_line};
use crate::protocol::note;
use crate::task::input_lines::InputLines;

/// Lines that are read at once.
const LINES: usize = 256;

/// What `lm score` asks for.
#[derive(Debug, Clone)]
pub struct Score {
    /// A run folder, or the folder of a model in it.
    pub model: PathBuf,
    /// Whether words stand on lines of their own.
    pub words: bool,
    /// Where to compute.
    pub device: DeviceChoice,
    /// No words on standard error.
    pub quiet: bool,
}

/// A paragraph of the text, or a blank line between them, which has no word.
#[derive(Default)]
struct Line {
    words: Vec<String>,
    unknown: usize,
}

impl Line {
    /// A paragraph with its ids.
    fn of(model: &Trained, paragraph: &str) -> (Self, Vec<u32>) {
        let text = format!("{paragraph}\n");
        let (ids, words) = (model.vocabulary.encode_text(&text), typed_words(&text));
        let is_unknown = |(id, word): &(&u32, &&str)| **id == UNK && **word != "<unk>";
        let line = Self {
            unknown: ids.iter().zip(&words).filter(is_unknown).count(),
            words: words.into_iter().map(str::to_owned).collect(),
        };
        (line, ids)
    }

    /// −ln p, words and perplexity, or each word with its −ln p; nothing of a blank line.
    fn print(&self, nll: &[f64], has_words: bool) -> String {
        if has_words {
            let words = self.words.iter().zip(nll);
            let words = words.map(|(word, nll)| format!("{word}\t{nll:.4}"));
            return words.collect::<Vec<_>>().join("\n");
        }
        match nll {
            [] => String::new(),
            nll => {
                let score = score_of(nll);
                let (sum, n) = (score.nll_sum, score.n_tokens);
                format!("{sum:.4}\t{n}\t{:.3}", score.ppl())
            }
        }
    }
}

fn score_of(nll: &[f64]) -> Perplexity {
    let mut score = Perplexity::default();
    score.add(nll.iter().sum(), nll.len() as u64);
    score
}

/// A text that is read in segments of `model.tgt_len` words, each with the memory of those before it.
struct Scorer<'a> {
    model: &'a Trained,
    reader: TextReader,
    memory: Option<Vec<Tensor<3>>>,
    /// The word before the next segment; at the start the end of a line.
    last: u32,
    /// Words that are not read yet.
    ids: VecDeque<u32>,
    /// −ln p of those that are read and not printed yet.
    nll: VecDeque<f64>,
    /// What is not printed yet.
    lines: VecDeque<Line>,
    total: Total,
}

impl<'a> Scorer<'a> {
    fn new(model: &'a Trained) -> Self {
        Self {
            model,
            reader: model.reader(),
            memory: None,
            last: EOS,
            ids: VecDeque::new(),
            nll: VecDeque::new(),
            lines: VecDeque::new(),
            total: Total::default(),
        }
    }

    /// Takes lines, and after the last ones the end of the text.
    fn take(&mut self, lines: &[String], is_end: bool) {
        let lines = lines.iter().map(|line| Some(line.as_str()));
        for line in lines.chain(is_end.then_some(None)) {
            match self.reader.next(line) {
                Some(paragraph) => {
                    let (line, ids) = Line::of(self.model, &paragraph);
                    self.lines.push_back(line);
                    self.ids.extend(ids);
                }
                None if self.reader.is_wrapped() || line.is_none() => {}
                None => self.lines.push_back(Line::default()),
            }
        }
    }

    /// Reads whole segments, and at the end of the text what is left.
    fn read(&mut self, is_end: bool) -> Result<()> {
        let length = self.model.network.lengths().tgt_len;
        while self.ids.len() >= length || (is_end && !self.ids.is_empty()) {
            let n = length.min(self.ids.len());
            let targets: Vec<i32> = self.ids.drain(..n).map(|id| id as i32).collect();
            let mut read = vec![self.last as i32];
            read.extend_from_slice(&targets[..n - 1]);
            self.last = targets[n - 1] as u32;
            let device = &self.model.device.device;
            let network = &self.model.network;
            let output = network.forward(TransformerXlInput {
                tokens: Tensor::<2, Int>::from_data(TensorData::new(read, [1, n]), device),
                mems: self.memory.take(),
                masks: self.model.masks.clone(),
                return_weights: false,
            });
            self.memory = Some(output.mems);
            let nll = network
                .nll(output.hidden, &targets)
                .try_into_vec_as::<f32>()
                .map_err(|e| anyhow!("cannot read the scores from the device: {e:?}"))?;
            ensure!(
                nll.iter().all(|nll| nll.is_finite()),
                "the score of a word is not finite: the model in {} is damaged",
                self.model.found.folder.path.display()
            );
            self.nll.extend(nll.iter().map(|&nll| f64::from(nll)));
        }
        Ok(())
    }

    /// Prints the lines of which all words are read.
    fn print(&mut self, has_words: bool) -> Result<Reader> {
        let nll = &mut self.nll;
        while let Some(line) = (self.lines).pop_front_if(|of| of.words.len() <= nll.len()) {
            let nll: Vec<f64> = nll.drain(..line.words.len()).collect();
            self.total.add(&line, &nll);
            if print_line(line.print(&nll, has_words))? == Reader::Gone {
                return Ok(Reader::Gone);
            }
        }
        Ok(Reader::Reads)
    }
}

/// Scores the lines of standard input as one text, read as the corpus of the run is: paragraphs of words between spaces, with
/// `<eos>` at the end of each, which the first one comes after too. Of each paragraph it prints −ln p, the number of words with
/// `<eos>`, and the perplexity, separated by tabs; with `--words` of each word itself and −ln p. Where a line is a paragraph, a
/// blank one, which the corpus leaves out, is an empty line there too. The last words on standard error are the perplexity of all
/// of it. What stands before a line that is refused is scored and printed.
///
/// # Errors
/// A folder without a trained model, or input without words or that is no text; each says what to do.
pub fn score(request: &Score) -> Result<()> {
    let model = Trained::open(&request.model, request.device)?;
    let mask = match &model.mask {
        Some(_) => "under its mask",
        None => "no mask",
    };
    note(
        request.quiet,
        &format!(
            "model {} ({} words, {mask}) · device {}",
            model.found.folder.path.display(),
            model.vocabulary.len(),
            model.device.note
        ),
    );
    let mut scorer = Scorer::new(&model);
    let mut input = InputLines::of_standard_input("text to score");
    loop {
        let (chunk, failed) = match input.next(LINES, |line, _| Ok(line.to_owned())) {
            Ok(chunk) => (chunk, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let is_end = chunk.is_empty();
        scorer.take(&chunk, is_end);
        scorer.read(is_end)?;
        let printed = scorer.print(request.words)?;
        if let Some(error) = failed {
            return Err(error);
        }
        if is_end {
            ensure!(
                scorer.total.n_lines > 0,
                "standard input has no text to score: its lines are blank, and none of the corpus is"
            );
        }
        if is_end || printed == Reader::Gone {
            break;
        }
    }
    let what = match scorer.reader.is_wrapped() {
        true => "paragraphs",
        false => "lines",
    };
    note(request.quiet, &scorer.total.words(what));
    Ok(())
}

/// What was printed so far.
#[derive(Default)]
struct Total {
    n_lines: usize,
    n_blank: usize,
    n_unknown: usize,
    score: Perplexity,
}

impl Total {
    fn add(&mut self, line: &Line, nll: &[f64]) {
        match nll {
            [] => self.n_blank += 1,
            nll => {
                self.n_lines += 1;
                self.score += score_of(nll);
            }
        }
        self.n_unknown += line.unknown;
    }

    fn words(&self, what: &str) -> String {
        let Self {
            n_lines,
            n_blank,
            n_unknown,
            score,
        } = self;
        let blank = match n_blank {
            0 => String::new(),
            n => format!(", and {n} blank ones that are none of the text"),
        };
        format!(
            "{n_lines} {what}, {} words with the ends of {what} ({n_unknown} unknown){blank}: perplexity {:.3}",
            score.n_tokens,
            score.ppl()
        )
    }
}
