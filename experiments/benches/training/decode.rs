//! Beam and greedy search beside PyTorch's with kept keys, and CTranslate2's.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::{Value, json};
use sparta_datasets::tokenize::Dictionary;
use sparta_model::decode::{DecodeConfig, Hypothesis, search};
use sparta_model::export::{KeyMap, Tensors, export, safetensors};
use sparta_model::layer::NormalizerConfig;
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqConfig, Seq2SeqMasks, Sharing};

use crate::compared::NEVER;
use crate::options::Options;
use crate::peer::Peer;
use crate::report::{Report, Row};

/// A network with random weights, made-up source sentences of a length, and translations of that length.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    normalizer: NormalizerConfig,
    network: Network,
    beam: usize,
    /// Sentences in all, and those decoded together.
    n_sentences: usize,
    batch: usize,
}

/// Sizes of a recipe's network.
#[derive(Clone, Copy)]
struct Network {
    vocab: usize,
    d_model: usize,
    n_heads: usize,
    d_ff: usize,
    n_layers: usize,
    length: usize,
}

/// Of small/iwslt.
const SMALL: Network = Network {
    vocab: 4000,
    d_model: 128,
    n_heads: 4,
    d_ff: 512,
    n_layers: 2,
    length: 15,
};

/// Of iwslt/multi30k.
const MULTI30K: Network = Network {
    vocab: 8000,
    d_model: 128,
    n_heads: 4,
    d_ff: 256,
    n_layers: 4,
    length: 20,
};

/// Sentences of a batch, as `eval.batch_size` of both recipes.
const BATCH: usize = 64;

const fn beam(name: &'static str, network: Network, normalizer: NormalizerConfig) -> Case {
    Case {
        name,
        normalizer,
        network,
        beam: 5,
        n_sentences: 2 * BATCH,
        batch: BATCH,
    }
}

const fn greedy(name: &'static str, network: Network, normalizer: NormalizerConfig) -> Case {
    Case {
        beam: 1,
        n_sentences: 24,
        batch: 1,
        ..beam(name, network, normalizer)
    }
}

use NormalizerConfig::{Entmax15, Softmax};

pub const CASES: [Case; 8] = [
    beam("decode/small-softmax-beam5", SMALL, Softmax),
    beam("decode/small-entmax15-beam5", SMALL, Entmax15),
    beam("decode/multi30k-softmax-beam5", MULTI30K, Softmax),
    beam("decode/multi30k-entmax15-beam5", MULTI30K, Entmax15),
    greedy("decode/small-softmax-greedy1", SMALL, Softmax),
    greedy("decode/small-entmax15-greedy1", SMALL, Entmax15),
    greedy("decode/multi30k-softmax-greedy1", MULTI30K, Softmax),
    greedy("decode/multi30k-entmax15-greedy1", MULTI30K, Entmax15),
];

/// A translation: its tokens, and the log-probability that it was chosen by.
type Translation = (Vec<i32>, f64);

/// The likeliest hypothesis of each sentence by its first `n_steps` tokens: those after its last are its end.
fn likeliest(found: &[Vec<Hypothesis>], n_steps: usize) -> Result<Vec<Translation>> {
    let log_p = |h: &Hypothesis| h.log_probabilities.iter().take(n_steps).sum::<f64>();
    let best = |hypotheses: &Vec<Hypothesis>| {
        let all = hypotheses.iter().map(|h| (h.tokens.clone(), log_p(h)));
        let best = all.max_by(|a, b| a.1.total_cmp(&b.1));
        best.context("no translation")
    };
    found.iter().map(best).collect()
}

impl Case {
    fn model(&self, device: &Device) -> Seq2Seq {
        let Network {
            vocab,
            d_model,
            n_heads,
            d_ff,
            n_layers,
            ..
        } = self.network;
        Seq2SeqConfig::new(vocab, vocab, d_model, n_heads, d_ff, n_layers, n_layers)
            .with_normalizer(self.normalizer)
            .with_pre_norm(true)
            .with_sharing(Sharing::All)
            .init(device)
    }

    fn source(&self) -> Vec<i64> {
        let first = Dictionary::UNK as usize + 1;
        let n = self.n_sentences * self.network.length;
        let word = |i: usize| first + i * 7919 % (self.network.vocab - first);
        (0..n).map(|i| word(i) as i64).collect()
    }

    /// A search for translations of exactly the length, as the programs search.
    fn search(&self) -> DecodeConfig {
        let end = Dictionary::EOS as i32;
        DecodeConfig::new(end, end)
            .with_never(NEVER.map(|id| id as i32).to_vec())
            .with_beam_size(self.beam)
            .with_max_len_b(self.network.length)
            .with_min_len(self.network.length)
    }

    fn translate(
        &self,
        model: &Seq2Seq,
        source: &Tensor<2, Int>,
        config: &DecodeConfig,
    ) -> Result<Vec<Vec<Hypothesis>>> {
        let masks = Seq2SeqMasks::default();
        let mut found = Vec::with_capacity(self.n_sentences);
        for part in source.clone().split(self.batch, 0) {
            let searched = search(model, part, None, &masks, config)?;
            found.extend(searched.into_iter().map(|sentence| sentence.hypotheses));
        }
        Ok(found)
    }

    fn request(&self) -> Value {
        let Network {
            vocab,
            d_model,
            n_heads,
            d_ff,
            n_layers,
            length,
        } = self.network;
        json!({
            "sizes": {
                "vocab_size": vocab,
                "d_model": d_model,
                "n_encoder_layers": n_layers,
                "n_decoder_layers": n_layers,
                "n_heads": n_heads,
                "d_ff": d_ff,
                "dropout": 0.0,
                "label_smoothing": 0.0,
                "normalizer": self.normalizer.to_string(),
            },
            "search": {
                "beam": self.beam,
                "batch": self.batch,
                "length": length,
                "never": NEVER.iter().chain([&Dictionary::EOS]).collect::<Vec<_>>(),
            },
        })
    }
}

/// Another decoder of the same model.
struct Other {
    peer: Peer,
    row: Row,
    /// Tokens of a translation that it computes, with the end or without.
    n_steps: usize,
}

/// Compares a search with PyTorch's, and CTranslate2's where that is installed, and adds it to the report.
pub fn compare(case: &Case, options: &Options, report: &mut Report) -> Result<()> {
    let device = options.device()?;
    device.seed(1);
    let model = case.model(&device);
    let length = case.network.length;
    let source = TensorData::new(case.source(), [case.n_sentences, length]);
    let tensor = Tensor::<2, Int>::from_data(source.clone(), &device);
    let config = case.search();
    let all = config.clone().with_n_best(case.beam);
    let found = case.translate(&model, &tensor, &all)?;
    let shape = format!("{}x{length}", case.batch);

    let files = (
        safetensors(&export(&model, KeyMap::Seq2Seq)?.tensors)?,
        safetensors(&Tensors::from([("source".to_owned(), source)]))?,
    );
    let mut others = Vec::new();
    let scripts = [
        ("seq2seq_peer.py", "PyTorch eager (cached keys)", length + 1),
        ("ctranslate2_peer.py", "CTranslate2 (float32)", length),
    ];
    for (script, name, n_steps) in scripts {
        let is_ctranslate2 = script == "ctranslate2_peer.py";
        if is_ctranslate2 && case.normalizer != Softmax {
            continue;
        }
        if is_ctranslate2 && !options.has_package("ctranslate2") {
            report.say(&format!("{}: CTranslate2 is not installed", case.name));
            continue;
        }
        let Some(mut peer) = options.peer(script) else {
            continue;
        };
        report.add_versions(&peer.versions());
        peer.write("weights.safetensors", &files.0);
        peer.write("batches.safetensors", &files.1);
        let [scores, tokens] = peer
            .open(case.request())
            .try_into()
            .expect("scores and tokens");
        let theirs: Vec<Translation> = tokens
            .chunks(length)
            .zip(&scores)
            .map(|(tokens, score)| (tokens.iter().map(|&t| t as i32).collect(), *score))
            .collect();
        let n_same = check_same(name, &likeliest(&found, n_steps)?, &theirs, !is_ctranslate2)?;
        report.say(&format!(
            "{}: {n_same} of {} translations are those of {name}",
            case.name, case.n_sentences
        ));
        let row = Row::new(case.name, &shape, name);
        others.push(Other { peer, row, n_steps });
    }

    let rate = |n_steps: usize, seconds: f64| (case.n_sentences * n_steps) as f64 / seconds;
    let mut alone = Row::new(case.name, &shape, "");
    for _ in 0..options.rounds {
        for other in &mut others {
            let milliseconds: f64 = other.peer.time().iter().sum();
            let theirs = rate(other.n_steps, milliseconds / 1e3);
            other.row.theirs.push(theirs);
        }
        let started = Instant::now();
        case.translate(&model, &tensor, &config)?;
        let ours = rate(length + 1, started.elapsed().as_secs_f64());
        alone.ours.push(ours);
        let rows = others.iter_mut().map(|other| &mut other.row);
        rows.for_each(|row| row.ours.push(ours));
    }
    let mut rows: Vec<Row> = others.into_iter().map(|other| other.row).collect();
    if rows.is_empty() {
        rows.push(alone);
    }
    for row in &rows {
        report.say(&row.to_string());
    }
    report.rows.extend(rows);
    Ok(())
}

/// How many translations are the same. Two hypotheses that differ by rounding may change places early, after which a beam
/// goes another way: nine of ten are to be the same. Where both have log-probabilities of all words, those are the same too
/// (CTranslate2's are of the words that may be written).
fn check_same(
    who: &str,
    ours: &[Translation],
    theirs: &[Translation],
    of_all_words: bool,
) -> Result<usize> {
    ensure!(
        ours.len() == theirs.len(),
        "{who} has {} translations for {}",
        theirs.len(),
        ours.len()
    );
    let mut n_same = 0;
    for ((tokens, log_p), (their_tokens, their_log_p)) in ours.iter().zip(theirs) {
        if tokens != their_tokens {
            continue;
        }
        n_same += 1;
        ensure!(
            !of_all_words || (log_p - their_log_p).abs() < 1e-3,
            "{who} computes something else: a translation has log p {log_p} here and {their_log_p} there"
        );
    }
    ensure!(
        10 * n_same >= 9 * ours.len(),
        "{who} computes something else: {n_same} of {} translations are the same",
        ours.len()
    );
    Ok(n_same)
}
