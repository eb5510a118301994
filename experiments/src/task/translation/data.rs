//! Corpus → vocabulary, token stores and reference texts in the run folder → pairs of ids.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sparta_datasets::Split;
use sparta_datasets::pairs::{
    PairStore, PairVocabulary, PairVocabularyOptions, ParallelCorpus, SentencePair,
};
use sparta_datasets::tokenize::bpe::{BpeCodes, BpeVocabulary, LearnOptions};
use sparta_datasets::tokenize::{Dictionary, DictionaryOptions, Language};
use sparta_datasets::translation::TranslationCorpus;

use super::corpus::{self, Loaded};
use crate::io::{read_text, write_text};
use crate::protocol::{Fetch, Run, RunFolder, data_files};
use crate::recipe::translation::DataRecipe;
use crate::recipe::{Source, TranslationRecipe};
use crate::task::first_of;
use crate::train::rng::{self, Purpose};

/// The note that data are prepared; written last.
const NOTE: &str = "corpus.json";

/// What the stores are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    name: String,
    source: String,
    target: String,
}

/// Longest sentences in tokens, `</s>` included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Longest {
    pub(super) source: usize,
    pub(super) target: usize,
}

/// The pairs of a run as ids and, where they are scored, as text.
#[derive(Debug)]
pub struct PairData {
    /// Both sides' tokenizers.
    pub vocabulary: PairVocabulary,
    /// Name, languages, and the tokenised text of the validation and test split.
    pub corpus: ParallelCorpus,
    /// One line about them.
    pub description: String,
    stores: [PairStore; 3],
}

impl PairData {
    /// Token ids of a split.
    #[must_use]
    pub fn store(&self, split: Split) -> &PairStore {
        match split {
            Split::Train => &self.stores[0],
            Split::Valid => &self.stores[1],
            Split::Test => &self.stores[2],
        }
    }

    /// The longest sentences that training, validation, test and decoding meet.
    pub(super) fn longest(&self, recipe: &TranslationRecipe) -> Longest {
        let mut longest = self.longest_of(&Split::ALL);
        let eval = &recipe.eval;
        let written = (eval.max_len_a * longest.source as f64) as usize + eval.max_len_b + 1;
        longest.target = longest.target.max(written).min(recipe.model.max_len);
        longest
    }

    /// The longest sentences of some splits.
    pub(super) fn longest_of(&self, splits: &[Split]) -> Longest {
        let lengths = splits.iter().flat_map(|&s| self.store(s).lengths());
        lengths.fold(
            Longest {
                source: 0,
                target: 0,
            },
            |longest, (source, target)| Longest {
                source: longest.source.max(source),
                target: longest.target.max(target),
            },
        )
    }

    /// Ids as tokenised lines.
    ///
    /// # Errors
    /// An id outside the dictionary.
    pub fn decode(&self, translations: &[Vec<u32>]) -> Result<Vec<String>> {
        let line = |ids: &Vec<u32>| Ok(self.vocabulary.target.decode(ids)?);
        translations.iter().map(line).collect()
    }

    /// So many of the training pairs, evenly spread, as tokenised text.
    ///
    /// # Errors
    /// An id outside the dictionary.
    pub(super) fn train_text(&self, most: usize) -> Result<Vec<SentencePair>> {
        let store = self.store(Split::Train);
        let n = store.len();
        (0..n.min(most))
            .map(|i| i * n / n.min(most))
            .map(|i| {
                let source = store.source(i).unwrap_or_default();
                let target = store.target(i).unwrap_or_default();
                Ok((
                    self.vocabulary.source.decode(source)?,
                    self.vocabulary.target.decode(target)?,
                ))
            })
            .collect()
    }

    /// Pieces of both dictionaries.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.vocabulary.source.len(), self.vocabulary.target.len())
    }

    /// One hash of both tokenizers.
    pub(super) fn vocabulary_hash(&self) -> String {
        vocabulary_hash(&self.vocabulary)
    }
}

/// One hash of both tokenizers.
pub(super) fn vocabulary_hash(vocabulary: &PairVocabulary) -> String {
    format!("{}:{}", vocabulary.source.hash(), vocabulary.target.hash())
}

fn limit(data: &DataRecipe, split: Split) -> usize {
    let n = match split {
        Split::Train => data.train_pairs,
        Split::Valid => data.valid_pairs,
        Split::Test => data.test_pairs,
    };
    if n == 0 { usize::MAX } else { n }
}

fn text_path(folder: &RunFolder, split: Split, language: Language) -> PathBuf {
    folder.data().join(format!("{}.{language}", split.name()))
}

/// Whether the data of a run are prepared.
#[must_use]
pub fn is_prepared(folder: &RunFolder) -> bool {
    folder.data().join(NOTE).exists()
}

/// Learns both tokenizers as the recipe says.
///
/// # Errors
/// A corpus too small to learn from.
pub(super) fn learn(recipe: &DataRecipe, train: &[SentencePair]) -> Result<PairVocabulary> {
    let options = PairVocabularyOptions {
        merges: LearnOptions::merges(recipe.bpe_merges),
        joined: recipe.joined_dictionary,
        dictionary: DictionaryOptions::default(),
    };
    Ok(PairVocabulary::learn(train, &options)?)
}

/// Reads the corpus (from `--data`, the cache, or by download), learns the tokenizers and writes the
/// token stores into the run folder. What is there already is checked and kept. The run folder is entered only when
/// `check` agrees to the numbers of pieces.
///
/// # Errors
/// A corpus that cannot be had, or files that are damaged; each says what to do; those of `check`.
pub fn prepare(
    run: &Run<'_, TranslationRecipe>,
    fetch: Fetch,
    check: impl Fn((usize, usize)) -> Result<()>,
) -> Result<PairData> {
    let (recipe, folder, from) = (run.recipe, &run.folder, run.request.data.as_deref());
    if is_prepared(folder) {
        let data = reopen(run)?;
        check(data.sizes())?;
        run.enter()?;
        return Ok(data);
    }
    match fetch {
        Fetch::Allowed { quiet } => corpus::fetch(&recipe.data, from, quiet)?,
        Fetch::Never => {}
    }
    let Loaded {
        mut corpus,
        origins,
        left_out,
    } = corpus::load(&recipe.data, from)?;
    for split in Split::ALL {
        corpus.split_mut(split).truncate(limit(&recipe.data, split));
    }
    check_not_empty(&corpus)?;
    let vocabulary = learn(&recipe.data, &corpus.train)?;
    if let Some(cleaning) = corpus::cleaning(&recipe.data) {
        let pieces = |line: &str, side: &BpeVocabulary| side.encode(line).len() - 1;
        corpus = corpus.cleaned(
            &cleaning,
            |line| pieces(line, &vocabulary.source),
            |line| pieces(line, &vocabulary.target),
        );
        check_not_empty(&corpus)?;
    }
    check((vocabulary.source.len(), vocabulary.target.len()))?;
    run.enter()?;
    let dir = folder.data();
    std::fs::create_dir_all(&dir)
        .with_context(|| format!("cannot make the folder {}", dir.display()))?;
    data_files::remember(folder, &origins)?;
    vocabulary.save(&dir, corpus.source, corpus.target)?;
    for split in Split::ALL {
        PairStore::create(&dir, &corpus, split, &vocabulary)?;
    }
    for split in [Split::Valid, Split::Test] {
        let pairs = corpus.pairs(split);
        let lines = |side: fn(&SentencePair) -> &str| -> String {
            pairs
                .iter()
                .map(|pair| format!("{}\n", side(pair)))
                .collect()
        };
        write_text(&text_path(folder, split, corpus.source), &lines(|p| &p.0))?;
        write_text(&text_path(folder, split, corpus.target), &lines(|p| &p.1))?;
    }
    let note = Note {
        name: corpus.name.clone(),
        source: corpus.source.to_string(),
        target: corpus.target.to_string(),
    };
    let text = serde_json::to_string_pretty(&note).context("cannot write corpus.json")?;
    write_text(&dir.join(NOTE), &(text + "\n"))?;
    let mut data = open(recipe, folder)?;
    data.description += &left_out.words(&recipe.data);
    Ok(data)
}

/// The tokenizers of a run and the languages they are for.
///
/// # Errors
/// Nothing prepared yet, or files that are damaged.
pub(super) fn open_vocabulary(folder: &RunFolder) -> Result<(PairVocabulary, ParallelCorpus)> {
    let dir = folder.data();
    if !is_prepared(folder) {
        bail!(
            "no prepared data in {}; run `iwslt prepare` with the same `--recipe` and `--out` first",
            folder.root().display()
        );
    }
    let path = dir.join(NOTE);
    let text = read_text(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let note: Note = serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is damaged; delete the folder {} and run `iwslt prepare` again",
            path.display(),
            dir.display()
        )
    })?;
    let corpus = ParallelCorpus::empty(&note.name, note.source.parse()?, note.target.parse()?);
    let vocabulary = PairVocabulary::load(&dir, corpus.source, corpus.target)?;
    Ok((vocabulary, corpus))
}

/// Opens what [`prepare`] wrote; files that are given again are held to it.
///
/// # Errors
/// As [`open`]; other files than then.
pub fn reopen(run: &Run<'_, TranslationRecipe>) -> Result<PairData> {
    let (recipe, folder) = (run.recipe, &run.folder);
    let data = open(recipe, folder)?;
    if let Some(origins) = corpus::origins(&recipe.data, run.request.data.as_deref())? {
        data_files::same(folder, &origins)?;
    }
    Ok(data)
}

/// Opens what [`prepare`] wrote.
///
/// # Errors
/// Nothing prepared yet, or a file that is truncated, altered or of another tokenizer; sentences
/// longer than the model can read.
pub fn open(recipe: &TranslationRecipe, folder: &RunFolder) -> Result<PairData> {
    let (vocabulary, mut corpus) = open_vocabulary(folder)?;
    let dir = folder.data();
    let store = |split| PairStore::open(&dir, &corpus, split, &vocabulary);
    let stores = [
        store(Split::Train)?,
        store(Split::Valid)?,
        store(Split::Test)?,
    ];
    for (split, store) in [(Split::Valid, &stores[1]), (Split::Test, &stores[2])] {
        let read = |language| {
            let path = text_path(folder, split, language);
            let text =
                read_text(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            anyhow::ensure!(
                lines.len() == store.len(),
                "{} has {} lines and not {}; delete the folder {} and run `iwslt prepare` again",
                path.display(),
                lines.len(),
                store.len(),
                dir.display()
            );
            Ok(lines)
        };
        let pairs = read(corpus.source)?.into_iter().zip(read(corpus.target)?);
        *corpus.split_mut(split) = pairs.collect();
    }
    let mut data = PairData {
        vocabulary,
        corpus,
        description: String::new(),
        stores,
    };
    data.check(recipe)?;
    let (longest, sizes) = (data.longest_of(&Split::ALL), data.sizes());
    let size = |split| first_of(data.store(split).len(), limit(&recipe.data, split));
    let [train, valid, test] = Split::ALL.map(size);
    data.description = format!(
        "data: {}, dictionary {} / {}; train {train}, valid {valid}, test {test} pairs; longest {} / {} tokens",
        data.corpus.name, sizes.0, sizes.1, longest.source, longest.target
    );
    Ok(data)
}

/// Every split must have a pair.
fn check_not_empty(corpus: &ParallelCorpus) -> Result<()> {
    for split in Split::ALL {
        if corpus.pairs(split).is_empty() {
            bail!(
                "the {} split of {} has no pair left; widen `data.min_target_words` and \
                 `data.max_target_words`",
                split.name(),
                corpus.name
            );
        }
    }
    Ok(())
}

impl PairData {
    fn check(&self, recipe: &TranslationRecipe) -> Result<()> {
        let Longest { source, target } = self.longest_of(&Split::ALL);
        let longest = source.max(target);
        if longest > recipe.model.max_len {
            bail!(
                "the longest sentence has {longest} tokens; `model.max_len = {}` must be at least that",
                recipe.model.max_len
            );
        }
        Ok(())
    }
}

/// Tokens of a made-up sentence: about what the published corpora have.
const SYNTHETIC_LEN: usize = 25;

/// Pairs for a dry run: those that are prepared, those of the corpus, or synthetic ones where it is not at hand.
///
/// # Errors
/// A corpus that was named and is not there.
pub(super) fn stand_in(run: &Run<'_, TranslationRecipe>) -> Result<PairData> {
    let (recipe, folder, from) = (run.recipe, &run.folder, run.request.data.as_deref());
    if is_prepared(folder) {
        return reopen(run);
    }
    let name = recipe.data.corpus.published();
    let name = name.map_or("your own files", TranslationCorpus::name);
    let (vocabulary, pairs, description) = match corpus::load(&recipe.data, from) {
        Ok(Loaded {
            corpus, left_out, ..
        }) => {
            let vocabulary = learn(&recipe.data, &corpus.train)?;
            let sides = corpus.train.iter().map(|pair| pair.0.as_str());
            let sources = vocabulary.source.encode_all(sides);
            let sides = corpus.train.iter().map(|pair| pair.1.as_str());
            let targets = vocabulary.target.encode_all(sides);
            let pairs: Vec<_> = sources.into_iter().zip(targets).collect();
            let description = format!(
                "{name}, {} pairs, read and not stored{}",
                pairs.len(),
                left_out.words(&recipe.data)
            );
            (vocabulary, pairs, description)
        }
        Err(error) if from.is_some() || recipe.data.corpus == Source::Files => {
            return Err(error);
        }
        Err(_) => {
            let (vocabulary, pairs) = synthetic(recipe)?;
            let description = format!(
                "{name} is not at hand: SYNTHETIC batches; `iwslt prepare` says how to get it"
            );
            (vocabulary, pairs, description)
        }
    };
    let store = |pairs: &[_]| PairStore::in_memory(pairs, &vocabulary);
    let stores = [store(&pairs)?, store(&[])?, store(&[])?];
    let (source, target) = (vocabulary.source.len(), vocabulary.target.len());
    let data = PairData {
        description: format!("{description}; dictionary {source} / {target}"),
        corpus: ParallelCorpus::empty(name, Language::De, Language::En),
        vocabulary,
        stores,
    };
    data.check(recipe)?;
    Ok(data)
}

/// Pairs of ids, enough for two steps.
type Ids = Vec<(Vec<u32>, Vec<u32>)>;

/// Pairs over dictionaries of about the published sizes.
fn synthetic(recipe: &TranslationRecipe) -> Result<(PairVocabulary, Ids)> {
    let codes = BpeCodes::parse("#version: 0.2\n", "synthetic")?;
    let (source, target) = corpus::usual_sizes(&recipe.data);
    let side = |size: usize| -> Result<BpeVocabulary> {
        let options = DictionaryOptions {
            multiple_of: size,
            ..DictionaryOptions::default()
        };
        let dictionary = Dictionary::build([], &options)?;
        Ok(BpeVocabulary::new(codes.clone(), dictionary))
    };
    let vocabulary = PairVocabulary {
        source: side(source)?,
        target: side(target)?,
    };
    let first = Dictionary::UNK + 1;
    let draw = |i: u64, size: usize| {
        let words = (size as u64).saturating_sub(u64::from(first)).max(1);
        first + (rng::hash(0, Purpose::Order, i) % words) as u32
    };
    let (max_tokens, max_len) = (recipe.train.max_tokens, recipe.model.max_len);
    let len = SYNTHETIC_LEN.min(max_tokens).min(max_len);
    let sentence = |pair: usize, side: usize, size| -> Vec<u32> {
        let start = ((2 * pair + side) * len) as u64;
        let words = (1..len as u64).map(|i| draw(start + i, size));
        words.chain([Dictionary::EOS]).collect()
    };
    let n_pairs = 2 * recipe.train.grad_accum * (max_tokens / len).max(1);
    let pairs = (0..n_pairs).map(|i| (sentence(i, 0, source), sentence(i, 1, target)));
    Ok((vocabulary, pairs.collect()))
}
