//! `iwslt translate`: lines in, translations out.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde_json::json;
use sparta_datasets::batch::PairBatch;
use sparta_datasets::pairs::{PairVocabulary, ParallelCorpus};
use sparta_datasets::tokenize::Dictionary;
use sparta_model::decode::Hypothesis;
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqMasks};
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::{AttentionType, GlobalMask};

use super::batch::input;
use super::corpus::{Preparer, detokenizer};
use super::data::{Longest, open_vocabulary, vocabulary_hash};
use super::search::Search;
use super::{Translation, network, rows};
use crate::device::{self, DeviceChoice};
use crate::io::{Reader, print_line};
use crate::protocol::find::{Found, find};
use crate::protocol::run::TrainingSummary;
use crate::protocol::{ModelFolder, note};
use crate::recipe::{Recipe, TranslationRecipe};
use crate::train::load_model;

/// What `iwslt translate` asks for.
#[derive(Debug, Clone)]
pub struct Translate {
    /// A run folder, or the folder of a model in it.
    pub model: PathBuf,
    /// Translations printed for each line.
    pub n_best: usize,
    /// Hypotheses kept; the recipe's if not given.
    pub beam: Option<usize>,
    /// File for the attention weights.
    pub attention: Option<PathBuf>,
    /// Where to compute.
    pub device: DeviceChoice,
    /// No words on standard error.
    pub quiet: bool,
}

/// Translates the lines of standard input. With `--n-best` above 1 each translation stands on a line
/// of its own: number of the source line, score, text, separated by tabs.
///
/// # Errors
/// A folder without a trained model, a model and tokenizer that do not fit, or a line that is too
/// long; each says what to do.
pub fn translate(request: &Translate) -> Result<()> {
    ensure!(request.n_best > 0, "`--n-best` must be at least 1");
    ensure!(request.beam != Some(0), "`--beam` must be at least 1");
    let model = Model::open(request)?;
    note(request.quiet, &model.describe());
    let mut dump = match &request.attention {
        None => None,
        Some(path) => Some(std::io::BufWriter::new(
            std::fs::File::create(path)
                .with_context(|| format!("cannot write {}", path.display()))?,
        )),
    };
    let mut lines = std::io::stdin().lock().lines();
    let mut number = 0;
    'lines: loop {
        let chunk: Vec<String> = lines
            .by_ref()
            .take(model.recipe.eval.batch_size)
            .collect::<std::io::Result<_>>()
            .context("cannot read standard input (text must be UTF-8)")?;
        if chunk.is_empty() {
            break;
        }
        for translated in model.translate(request, &chunk, number)? {
            let printed = translated.print(request.n_best);
            if print_line(&printed)? == Reader::Gone {
                break 'lines;
            }
            if let Some(dump) = &mut dump {
                let line = model.attention(&translated)?;
                writeln!(dump, "{line}").context("cannot write the attention weights")?;
            }
        }
        number += chunk.len();
    }
    match dump {
        Some(mut dump) => dump.flush().context("cannot write the attention weights"),
        None => Ok(()),
    }
}

/// A line and its translations, best first.
struct Translated {
    number: usize,
    source: Vec<u32>,
    /// Text, score and ids.
    found: Vec<(String, f64, Vec<u32>)>,
}

impl Translated {
    fn print(&self, n_best: usize) -> String {
        match n_best {
            1 => self.found.first().map_or("", |f| &f.0).to_owned(),
            _ => {
                let line = |(text, score, _): &(String, f64, Vec<u32>)| {
                    format!("{}\t{score:.4}\t{text}", self.number)
                };
                self.found.iter().map(line).collect::<Vec<_>>().join("\n")
            }
        }
    }
}

/// A trained model with everything around it.
struct Model {
    recipe: TranslationRecipe,
    vocabulary: PairVocabulary,
    corpus: ParallelCorpus,
    folder: ModelFolder,
    network: Seq2Seq,
    mask: Option<GlobalMask>,
    device: Device,
    device_note: String,
}

impl Model {
    fn open(request: &Translate) -> Result<Self> {
        let found: Found<TranslationRecipe> =
            find::<Translation>(&request.model, |recipe| Ok(rows::variants(recipe)))?;
        let mask = found
            .arm
            .mask(found.row.as_ref())
            .map(GlobalMask::load)
            .transpose()?;
        let Found {
            run,
            recipe,
            arm,
            folder,
            ..
        } = found;
        let trained = TrainingSummary::load(&folder)?;
        let (vocabulary, corpus) = open_vocabulary(&run)?;
        trained.check_vocabulary(&folder, &vocabulary_hash(&vocabulary))?;
        let opened = device::open(request.device, TranslationRecipe::PROGRAM)?;
        let training = opened.device.clone().autodiff();
        let seed = folder.identity.seed;
        let sizes = (vocabulary.source.len(), vocabulary.target.len());
        let attention = (arm.variant.normalizer, Implementation::Auto);
        let empty = network::init(&recipe.model, sizes, attention, seed, &training)?;
        let network = load_model(&folder.model(), empty, &folder.identity)?.valid();
        Ok(Self {
            recipe,
            vocabulary,
            corpus,
            folder,
            network,
            mask,
            device: opened.device,
            device_note: opened.note,
        })
    }

    fn describe(&self) -> String {
        format!(
            "model {} ({} to {}, {}) · device {}",
            self.folder.path.display(),
            self.corpus.source,
            self.corpus.target,
            match &self.mask {
                Some(_) => "under its mask",
                None => "no mask",
            },
            self.device_note
        )
    }

    fn masks(&self, longest: Longest) -> Result<Seq2SeqMasks> {
        let rows = self.recipe.prune.rows;
        network::layer_masks(self.mask.as_ref(), longest, rows, &self.device)
    }

    fn translate(
        &self,
        request: &Translate,
        lines: &[String],
        first: usize,
    ) -> Result<Vec<Translated>> {
        let preparer = Preparer::new(&self.recipe.data, self.corpus.source);
        let sources: Vec<Vec<u32>> = lines
            .iter()
            .map(|line| self.vocabulary.source.encode(&preparer.prepare(line)))
            .collect();
        let max_len = self.network.max_len();
        if let Some(i) = sources.iter().position(|s| s.len() > max_len) {
            bail!(
                "line {} has {} tokens; the model reads at most {max_len}: split it",
                first + i + 1,
                sources[i].len()
            );
        }
        let longest = Longest {
            source: sources.iter().map(Vec::len).max().unwrap_or(1),
            target: max_len,
        };
        let masks = self.masks(longest)?;
        let beam = request
            .beam
            .unwrap_or(self.recipe.eval.beam_size)
            .max(request.n_best);
        let search = Search::new(&self.recipe, &masks, &self.device)
            .with_config(|c| c.with_beam_size(beam).with_n_best(request.n_best));
        // A blank line, which is its end alone, stays blank.
        let views = sources.iter().map(Vec::as_slice).filter(|s| s.len() > 1);
        let mut found = search
            .n_best(&self.network, &views.collect::<Vec<_>>())?
            .into_iter();
        let blank = || {
            vec![Hypothesis {
                tokens: Vec::new(),
                log_probabilities: Vec::new(),
                score: 0.0,
                finished: true,
            }]
        };
        let found: Vec<Vec<Hypothesis>> = sources
            .iter()
            .map(|source| match source.len() {
                0 | 1 => blank(),
                _ => found.next().unwrap_or_default(),
            })
            .collect();
        let detokenizer = detokenizer(self.corpus.target);
        let text = |hypothesis: Hypothesis| -> Result<_> {
            let ids: Vec<u32> = hypothesis.tokens.iter().map(|&t| t as u32).collect();
            let line = detokenizer.detokenize(&self.vocabulary.target.decode(&ids)?);
            Ok((line, hypothesis.score, ids))
        };
        let numbered = sources.into_iter().zip(found).zip(first + 1..);
        numbered
            .map(|((source, hypotheses), number)| {
                let found = hypotheses.into_iter().map(text).collect::<Result<_>>()?;
                Ok(Translated {
                    number,
                    source,
                    found,
                })
            })
            .collect()
    }

    /// The attention of the best translation as one line of JSON: pieces of both sides, and for each
    /// type `[layer][head][row][column]`.
    fn attention(&self, translated: &Translated) -> Result<String> {
        let Some((_, _, ids)) = translated.found.first() else {
            return Ok(json!({ "line": translated.number }).to_string());
        };
        let mut target = ids.clone();
        target.push(Dictionary::EOS);
        let pairs = [(translated.source.as_slice(), target.as_slice())];
        let batch = PairBatch::new(&pairs, self.recipe.data.pad_source);
        let masks = self.masks(Longest {
            source: batch.source_len,
            target: batch.target_len,
        })?;
        let request = input(&batch, &self.device).masks(masks).return_weights();
        let weights = self
            .network
            .forward(request)
            .weights
            .context("the model gave no weights")?;
        let symbols = |dictionary: &Dictionary, ids: &[u32]| -> Vec<String> {
            let symbol = |&id: &u32| dictionary.symbol(id).unwrap_or("<unk>").to_owned();
            ids.iter().map(symbol).collect()
        };
        let mut object = json!({
            "line": translated.number,
            "source": symbols(self.vocabulary.source.dictionary(), &translated.source),
            "target": symbols(self.vocabulary.target.dictionary(), &target),
        });
        for kind in AttentionType::ALL {
            let layers: Vec<_> = weights.of(kind).iter().map(nested).collect::<Result<_>>()?;
            object[kind.as_str()] = layers.into();
        }
        Ok(object.to_string())
    }
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
