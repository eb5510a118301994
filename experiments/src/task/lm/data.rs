//! Corpus → vocabulary and token stores in the run folder → token ids.

use anyhow::{Context, Result, bail};
use sparta_datasets::batch::{IGNORE, LmBatch};
use sparta_datasets::source::sha256;
use sparta_datasets::store::TokenStore;
use sparta_datasets::tokenize::Vocabulary;
use sparta_datasets::{CorpusName, Split};

use super::objective::segments_of_memory;
use crate::protocol::{ExampleIds, Fetch, Run, RunFolder, data_files};
use crate::recipe::lm::DataRecipe;
use crate::recipe::{LmRecipe, Recipe, Source};
use crate::task::first_of;
use crate::task::running_text::RunningText;
use crate::train::rng::{self, Purpose};

/// The three token streams of a run, and the size of the vocabulary.
#[derive(Debug)]
pub struct LmData {
    /// The corpus in signatures.
    pub name: String,
    /// Words, `<unk>` and `<eos>` included.
    pub vocab_size: usize,
    /// Hash of the vocabulary.
    pub hash: String,
    /// One line about them.
    pub description: String,
    /// The words; in a dry run without the corpus none but the special ones.
    pub vocabulary: Vocabulary,
    splits: [TokenStore; 3],
}

impl LmData {
    /// Token ids of a split.
    #[must_use]
    pub fn tokens(&self, split: Split) -> &[u32] {
        let i = match split {
            Split::Train => 0,
            Split::Valid => 1,
            Split::Test => 2,
        };
        self.splits[i].tokens()
    }
}

fn limit(data: &DataRecipe, split: Split) -> usize {
    let n = match split {
        Split::Train => data.train_tokens,
        Split::Valid => data.valid_tokens,
        Split::Test => data.test_tokens,
    };
    if n == 0 { usize::MAX } else { n }
}

fn store_path(folder: &RunFolder, split: Split) -> std::path::PathBuf {
    folder.data().join(format!("{}.tok", split.name()))
}

/// Whether the data of a run are prepared.
#[must_use]
pub fn is_prepared(folder: &RunFolder) -> bool {
    folder.data().join("vocab.txt").exists()
        && Split::ALL.iter().all(|&s| store_path(folder, s).exists())
}

/// Reads the corpus (from `--data`, the cache, or by download), builds the vocabulary and writes the
/// token stores into the run folder. What is there already is checked and kept. The run folder is entered only when
/// `check` agrees to the number of words.
///
/// # Errors
/// A corpus that cannot be had, or files that are damaged; each says what to do; those of `check`.
pub fn prepare(
    run: &Run<'_, LmRecipe>,
    fetch: Fetch,
    check: impl Fn(usize) -> Result<()>,
) -> Result<LmData> {
    let (recipe, folder) = (run.recipe, &run.folder);
    if is_prepared(folder) {
        let data = reopen(run)?;
        check(data.vocab_size)?;
        run.enter()?;
        return Ok(data);
    }
    let (corpus, origins) = text(run).load(fetch)?;
    let max_size = (recipe.data.vocab_size > 0).then_some(recipe.data.vocab_size);
    let vocabulary = Vocabulary::from_text(&corpus.train, max_size, 1)?;
    let hash = vocabulary.hash();
    check(vocabulary.len())?;
    run.enter()?;
    data_files::remember(folder, &origins)?;
    for split in Split::ALL {
        let ids = vocabulary
            .ids_of(corpus.text(split))
            .take(limit(&recipe.data, split));
        TokenStore::create(&store_path(folder, split), ids, &hash)?;
    }
    // Last, so that a folder with a vocabulary is a folder with everything.
    vocabulary.save(&folder.data().join("vocab.txt"))?;
    open(recipe, folder)
}

/// The text of a recipe.
fn text<'a>(run: &'a Run<'_, LmRecipe>) -> RunningText<'a> {
    let data = &run.recipe.data;
    RunningText {
        corpus: data.corpus,
        rule: data.files.as_ref().map(|files| files.rule()),
        from: run.request.data.as_deref(),
        program: LmRecipe::PROGRAM,
    }
}

/// Opens what [`prepare`] wrote; files that are given again are held to it.
///
/// # Errors
/// As [`open`]; other files than then.
pub fn reopen(run: &Run<'_, LmRecipe>) -> Result<LmData> {
    let data = open(run.recipe, &run.folder)?;
    text(run).check_unchanged(&run.folder)?;
    Ok(data)
}

/// Opens what [`prepare`] wrote.
///
/// # Errors
/// Nothing prepared yet, or a file that is truncated, altered or of another tokenizer.
pub fn open(recipe: &LmRecipe, folder: &RunFolder) -> Result<LmData> {
    check_prepared(folder)?;
    let vocabulary = Vocabulary::load(&folder.data().join("vocab.txt"))?;
    let hash = vocabulary.hash();
    let store = |split| TokenStore::open(&store_path(folder, split), &hash);
    let splits = [
        store(Split::Train)?,
        store(Split::Valid)?,
        store(Split::Test)?,
    ];
    let size = |store: &TokenStore, limit| first_of(store.len(), limit);
    let train = size(&splits[0], recipe.data.train_tokens);
    let valid = size(&splits[1], recipe.data.valid_tokens);
    let test = size(&splits[2], recipe.data.test_tokens);
    let vocab_size = vocabulary.len();
    let data = LmData {
        name: match recipe.data.corpus {
            Source::Published(corpus) => corpus.name().to_owned(),
            Source::Files => {
                let known = data_files::remembered(folder)?;
                let known = known.with_context(|| {
                    let data = folder.data();
                    format!(
                        "files.json is missing in {}, which says what the run was made of; delete the folder and run \
                         `lm prepare` again",
                        data.display()
                    )
                })?;
                known.name()
            }
        },
        vocab_size,
        hash,
        description: format!(
            "data: vocabulary {vocab_size} words; train {train}, valid {valid}, test {test} tokens"
        ),
        vocabulary,
        splits,
    };
    let needed = recipe.train.batch_size * 2;
    if data.tokens(Split::Train).len() < needed {
        bail!(
            "the training split has {} tokens; `train.batch_size = {}` needs at least {needed}",
            data.tokens(Split::Train).len(),
            recipe.train.batch_size
        );
    }
    Ok(data)
}

fn check_prepared(folder: &RunFolder) -> Result<()> {
    if !is_prepared(folder) {
        bail!(
            "no prepared data in {}; run `lm prepare` with the same `--recipe` and `--out` first",
            folder.root().display()
        );
    }
    Ok(())
}

/// sha256 of the test text of a run, as its models read it: words of the vocabulary, a line for each paragraph.
///
/// # Errors
/// As [`open`].
pub fn hash_of_test(folder: &RunFolder) -> Result<String> {
    check_prepared(folder)?;
    let vocabulary = Vocabulary::load(&folder.data().join("vocab.txt"))?;
    let test = TokenStore::open(&store_path(folder, Split::Test), &vocabulary.hash())?;
    Ok(sha256(vocabulary.decode(test.tokens())?.as_bytes()))
}

/// Words of the published vocabularies, `<eos>` included, for when the corpus is not at hand.
fn published_vocabulary(corpus: CorpusName) -> Option<usize> {
    match corpus {
        CorpusName::StateOfTheUnion => None,
        CorpusName::WikiText2 => Some(33_278),
        CorpusName::WikiText103 => Some(267_735),
    }
}

/// Batches enough for a dry run to fill memories: of what is prepared, of the corpus, or of synthetic words where it is not at hand.
///
/// # Errors
/// A corpus that was named and is not there.
pub fn stand_in(run: &Run<'_, LmRecipe>) -> Result<LmData> {
    let (recipe, folder, from) = (run.recipe, &run.folder, run.request.data.as_deref());
    if is_prepared(folder) {
        return reopen(run);
    }
    let limit = (recipe.data.vocab_size > 0).then_some(recipe.data.vocab_size);
    let (tgt_len, mem_len) = (recipe.model.tgt_len, recipe.model.mem_len);
    // So many segments that one has all of its memory.
    let n_segments = 2.max(1 + segments_of_memory(mem_len, tgt_len));
    let n = recipe.train.batch_size * (n_segments * tgt_len + 1);
    let published = recipe.data.corpus.published();
    let loaded = text(run).load(Fetch::Never);
    let published = published.and_then(|of| Some((of, published_vocabulary(of)?)));
    let (name, ids, vocab_size, vocabulary, hash, description) = match (loaded, published) {
        (Ok((corpus, _)), _) => {
            let vocabulary = Vocabulary::from_text(&corpus.train, limit, 1)?;
            (
                corpus.name.clone(),
                vocabulary
                    .ids_of(&corpus.train)
                    .take(n)
                    .collect::<Vec<u32>>(),
                vocabulary.len(),
                vocabulary.clone(),
                vocabulary.hash(),
                format!(
                    "{}, {} words, read and not stored",
                    corpus.name,
                    vocabulary.len()
                ),
            )
        }
        (Err(_), Some((name, published))) if from.is_none() => {
            let vocab_size = limit.unwrap_or(published).min(published);
            let draw = |i| (rng::hash(0, Purpose::Order, i) % vocab_size as u64) as u32;
            (
                name.name().to_owned(),
                (0..n as u64).map(draw).collect(),
                vocab_size,
                Vocabulary::from_text("", None, 1)?,
                "0".repeat(64),
                format!(
                    "{name} is not at hand: {n_segments} SYNTHETIC batches over its published {vocab_size} words"
                ),
            )
        }
        (Err(error), _) => return Err(error),
    };
    let store = |ids: &[u32]| TokenStore::in_memory(ids, &hash);
    Ok(LmData {
        name,
        vocab_size,
        splits: [store(&ids)?, store(&[])?, store(&[])?],
        hash,
        description,
        vocabulary,
    })
}

/// Token ids of each column of a batch with those of the last `memory` positions before it, which `read` keeps.
pub fn ids(batch: &LmBatch, read: &mut [Vec<u32>], memory: usize) -> Vec<ExampleIds> {
    let columns = batch.input.chunks(batch.len.max(1));
    let targets = batch.target.chunks(batch.len.max(1));
    let column = |((input, target), read): ((&[i32], &[i32]), &mut Vec<u32>)| {
        // Padding is at the end of a column.
        let n = target.iter().take_while(|&&id| id != IGNORE).count();
        read.drain(..read.len().saturating_sub(memory));
        let queries: Vec<u32> = input[..n].iter().map(|&id| id as u32).collect();
        let keys = [read.as_slice(), &queries].concat();
        read.extend(input.iter().map(|&id| id as u32));
        ExampleIds { queries, keys }
    };
    columns.zip(targets).zip(read).map(column).collect()
}
