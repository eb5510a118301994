//! `lm score`: how probable a trained language model finds a text.

use std::collections::VecDeque;
use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};
use burn::tensor::{Int, Tensor, TensorData};
use sparta_datasets::tokenize::{EOS, UNK};
use sparta_model::transformer_xl::TransformerXlInput;
use sparta_results::Perplexity;

use super::attend::typed_words;
use super::trained::Trained;
use crate::device::DeviceChoice;
use crate::io::{Reader, print_line, read_lines};
use crate::protocol::note;

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

/// A line of the text.
struct Line {
    words: Vec<String>,
    unknown: usize,
}

/// A text that is read in segments of `model.tgt_len` words, each with the memory of those before it.
struct Scorer<'a> {
    model: &'a Trained,
    memory: Option<Vec<Tensor<3>>>,
    /// The word before the next segment; at the start the end of a line.
    last: u32,
    /// Words that are not read yet.
    ids: VecDeque<u32>,
    /// −ln p of those that are read and not printed yet.
    nll: VecDeque<f64>,
}

impl Scorer<'_> {
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
}

/// Scores the lines of standard input as one text, read as the corpus is: words between spaces, `<eos>` at the end of each
/// line, which the first line comes after too. Of each line it prints −ln p, the number of words with `<eos>`, and the
/// perplexity, separated by tabs; with `--words` of each word itself and −ln p. The last words on standard error are
/// the perplexity of all of it.
///
/// # Errors
/// A folder without a trained model, or input that is no text; each says what to do.
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
    let mut scorer = Scorer {
        model: &model,
        memory: None,
        last: EOS,
        ids: VecDeque::new(),
        nll: VecDeque::new(),
    };
    let mut input = std::io::stdin().lock();
    let mut lines: VecDeque<Line> = VecDeque::new();
    let (mut n_lines, mut unknown, mut all) = (0, 0, Perplexity::default());
    'chunks: loop {
        let chunk = read_lines(&mut input, LINES, n_lines)?;
        n_lines += chunk.len();
        for line in &chunk {
            // An empty line is one too.
            let text = model.as_read(&format!("{line}\n"));
            let ids = model.vocabulary.encode_text(&text);
            let words = typed_words(&text);
            let is_unknown = |(id, word): &(&u32, &&str)| **id == UNK && **word != "<unk>";
            lines.push_back(Line {
                unknown: ids.iter().zip(&words).filter(is_unknown).count(),
                words: words.into_iter().map(str::to_owned).collect(),
            });
            scorer.ids.extend(ids);
        }
        scorer.read(chunk.is_empty())?;
        while let Some(line) = lines.pop_front_if(|of| of.words.len() <= scorer.nll.len()) {
            let of_words: Vec<f64> = scorer.nll.drain(..line.words.len()).collect();
            let mut of_line = Perplexity::default();
            of_line.add(of_words.iter().sum(), of_words.len() as u64);
            all += of_line;
            unknown += line.unknown;
            let printed = match request.words {
                true => {
                    let words = line.words.iter().zip(&of_words);
                    let words = words.map(|(word, nll)| format!("{word}\t{nll:.4}"));
                    words.collect::<Vec<_>>().join("\n")
                }
                false => format!(
                    "{:.4}\t{}\t{:.3}",
                    of_line.nll_sum,
                    of_line.n_tokens,
                    of_line.ppl()
                ),
            };
            if print_line(&printed)? == Reader::Gone {
                break 'chunks;
            }
        }
        if chunk.is_empty() {
            break;
        }
    }
    ensure!(n_lines > 0, "standard input has no text to score");
    note(
        request.quiet,
        &format!(
            "{n_lines} lines, {} words with the ends of lines ({unknown} unknown): perplexity {:.3}",
            all.n_tokens,
            all.ppl()
        ),
    );
    Ok(())
}
