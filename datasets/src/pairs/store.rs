//! Token ids of sentence pairs on disk: two token stores, sentences told apart by their `</s>`.

use std::path::{Path, PathBuf};

use super::{PairVocabulary, ParallelCorpus};
use crate::batch::{PaddingSide, PairBatch, PairLength};
use crate::store::{TokenStore, store_path};
use crate::tokenize::Dictionary;
use crate::tokenize::bpe::BpeVocabulary;
use crate::{Error, Result, Split};

/// The encoded pairs of one split, memory-mapped.
#[derive(Debug)]
pub struct PairStore {
    source: Side,
    target: Side,
}

#[derive(Debug)]
struct Side {
    tokens: TokenStore,
    /// End of each sentence, its `</s>` included.
    ends: Vec<usize>,
}

impl PairStore {
    /// Encodes a split and writes both sides into `dir`; files that were there are replaced.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(
        dir: &Path,
        corpus: &ParallelCorpus,
        split: Split,
        vocabulary: &PairVocabulary,
    ) -> Result<Self> {
        let [source_path, target_path] = paths(dir, corpus, split, vocabulary);
        let pairs = corpus.pairs(split);
        let sources = pairs.iter().map(|pair| pair.0.as_str());
        let targets = pairs.iter().map(|pair| pair.1.as_str());
        let source = Side::create(&source_path, sources, &vocabulary.source)?;
        let target = Side::create(&target_path, targets, &vocabulary.target)?;
        Self::checked(source, target)
    }

    /// Opens the stores of a split; of `corpus`, only name and languages are looked at.
    ///
    /// # Errors
    /// Those of [`TokenStore::open`]; [`Error::UnmatchedPairs`].
    pub fn open(
        dir: &Path,
        corpus: &ParallelCorpus,
        split: Split,
        vocabulary: &PairVocabulary,
    ) -> Result<Self> {
        let [source_path, target_path] = paths(dir, corpus, split, vocabulary);
        let source = Side::open(&source_path, &vocabulary.source)?;
        let target = Side::open(&target_path, &vocabulary.target)?;
        Self::checked(source, target)
    }

    /// Encoded pairs in memory, each sentence ending in `</s>`: for a dry run, which leaves no file.
    ///
    /// # Errors
    /// Those of [`TokenStore::in_memory`]; [`Error::UnmatchedPairs`] where a sentence has no end.
    pub fn in_memory(pairs: &[(Vec<u32>, Vec<u32>)], vocabulary: &PairVocabulary) -> Result<Self> {
        let side = |ids: Vec<u32>, vocabulary: &BpeVocabulary| {
            TokenStore::in_memory(&ids, &vocabulary.hash()).map(Side::new)
        };
        let sources = pairs.iter().flat_map(|pair| pair.0.iter().copied());
        let targets = pairs.iter().flat_map(|pair| pair.1.iter().copied());
        Self::checked(
            side(sources.collect(), &vocabulary.source)?,
            side(targets.collect(), &vocabulary.target)?,
        )
    }

    fn checked(source: Side, target: Side) -> Result<Self> {
        let (n_left, n_right) = (source.ends.len(), target.ends.len());
        if n_left == n_right {
            return Ok(Self { source, target });
        }
        Err(Error::UnmatchedPairs {
            left: source.tokens.path().display().to_string(),
            n_left,
            right: target.tokens.path().display().to_string(),
            n_right,
        })
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.source.ends.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.source.ends.is_empty()
    }

    /// Ids of a source sentence, `</s>` at the end; `None` past the end.
    pub fn source(&self, index: usize) -> Option<&[u32]> {
        self.source.get(index)
    }

    /// Ids of a target sentence, `</s>` at the end; `None` past the end.
    pub fn target(&self, index: usize) -> Option<&[u32]> {
        self.target.get(index)
    }

    /// Number of tokens of each pair's sides, `</s>` included.
    pub fn lengths(&self) -> Vec<PairLength> {
        let lengths = |side: &Side| -> Vec<usize> {
            let starts = [0].into_iter().chain(side.ends.iter().copied());
            side.ends
                .iter()
                .zip(starts)
                .map(|(end, start)| end - start)
                .collect()
        };
        lengths(&self.source)
            .into_iter()
            .zip(lengths(&self.target))
            .collect()
    }

    /// Number of target tokens in all, `</s>` included.
    pub fn n_target_tokens(&self) -> usize {
        self.target.tokens.len()
    }

    /// The batch of the pairs at `indices`; indices past the end are left out.
    pub fn batch(&self, indices: &[u32], padding: PaddingSide) -> PairBatch {
        let pair = |&index: &u32| {
            let index = index as usize;
            Some((self.source(index)?, self.target(index)?))
        };
        let pairs: Vec<(&[u32], &[u32])> = indices.iter().filter_map(pair).collect();
        PairBatch::new(&pairs, padding)
    }
}

impl Side {
    fn create<'a>(
        path: &Path,
        lines: impl Iterator<Item = &'a str>,
        vocabulary: &BpeVocabulary,
    ) -> Result<Self> {
        let ids = vocabulary.encode_all(lines).into_iter().flatten();
        TokenStore::create(path, ids, &vocabulary.hash()).map(Self::new)
    }

    fn open(path: &Path, vocabulary: &BpeVocabulary) -> Result<Self> {
        TokenStore::open(path, &vocabulary.hash()).map(Self::new)
    }

    fn new(tokens: TokenStore) -> Self {
        let ids = tokens.tokens().iter().zip(1..);
        let ends = ids
            .filter(|&(&id, _)| id == Dictionary::EOS)
            .map(|(_, end)| end)
            .collect();
        Self { tokens, ends }
    }

    fn get(&self, index: usize) -> Option<&[u32]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.tokens.tokens().get(start..end)
    }
}

fn paths(
    dir: &Path,
    corpus: &ParallelCorpus,
    split: Split,
    vocabulary: &PairVocabulary,
) -> [PathBuf; 2] {
    let pair = format!("{}.{}-{}", corpus.name, corpus.source, corpus.target);
    let side = |language, hash: &str| store_path(dir, &format!("{pair}.{language}"), split, hash);
    [
        side(corpus.source, &vocabulary.source.hash()),
        side(corpus.target, &vocabulary.target.hash()),
    ]
}
