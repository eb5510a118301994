//! Learning merges from word counts.
//!
//! Which pair comes next depends on more than its count: subword-nmt keeps rare pairs out of its
//! table and looks at them again only when the best pair left falls below a threshold, and its
//! counts after a merge follow from how it walks a word. All of that is done here alike, so that
//! the codes are the same and not just as good.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{BpeCodes, END_OF_WORD};
use crate::{Error, Result};

/// How many merges to learn, and when to stop early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnOptions {
    /// Merges asked for (`-s`).
    pub n_merges: usize,
    /// Stop when no pair occurs this often (`--min-frequency`).
    pub min_frequency: u64,
    /// Count the single characters into `n_merges` (`--total-symbols`), so that it comes close to
    /// the size of the vocabulary.
    pub total_symbols: bool,
}

impl LearnOptions {
    /// subword-nmt's defaults: stop below two occurrences, characters not counted.
    pub const fn merges(n_merges: usize) -> Self {
        Self {
            n_merges,
            min_frequency: 2,
            total_symbols: false,
        }
    }
}

/// Learns merges from texts whose words are separated by single spaces, counted together: with
/// the source and the target text this is joint learning (`cat a b | learn_bpe`, and
/// `learn-joint-bpe-and-vocab`, which give the same codes).
///
/// Among pairs of equal count, the one whose symbols sort last is merged first.
///
/// # Errors
/// [`Error::NothingToLearn`] when no text holds a word of two characters or more.
pub fn learn<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    options: &LearnOptions,
) -> Result<BpeCodes> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for line in texts.into_iter().flat_map(|text| text.split('\n')) {
        let words = line.trim_matches(['\r', ' ']).split(' ');
        for word in words.filter(|word| !word.is_empty()) {
            *counts.entry(word).or_default() += 1;
        }
    }
    let mut learner = Learner::new(&counts);
    if learner.stats.is_empty() {
        return Err(Error::NothingToLearn {
            n_words: counts.len(),
        });
    }
    let n_characters = if options.total_symbols {
        count_characters(&counts)
    } else {
        0
    };
    let n_merges = options.n_merges.saturating_sub(n_characters);
    Ok(BpeCodes::from_merges(
        learner.run(n_merges, options.min_frequency),
    ))
}

/// Characters inside words plus characters at the end of words, each counted once.
fn count_characters(counts: &BTreeMap<&str, i64>) -> usize {
    let mut inside = BTreeSet::new();
    let mut last = BTreeSet::new();
    for word in counts.keys() {
        let mut characters = word.chars();
        last.extend(characters.next_back());
        inside.extend(characters);
    }
    inside.len() + last.len()
}

type Pair = (u32, u32);

struct Learner {
    symbols: Vec<String>,
    ids: HashMap<String, u32>,
    words: Vec<(Vec<u32>, i64)>,
    /// Occurrences of pairs, without those that were pruned.
    stats: HashMap<Pair, i64>,
    /// Occurrences of all pairs, current for those that were pruned.
    all_stats: HashMap<Pair, i64>,
    /// How often a pair stands in which word.
    places: HashMap<Pair, HashMap<usize, i64>>,
}

impl Learner {
    fn new(counts: &BTreeMap<&str, i64>) -> Self {
        let mut learner = Self {
            symbols: Vec::new(),
            ids: HashMap::new(),
            words: Vec::with_capacity(counts.len()),
            stats: HashMap::new(),
            all_stats: HashMap::new(),
            places: HashMap::new(),
        };
        for (at, (word, &count)) in counts.iter().enumerate() {
            let mut characters: Vec<String> = word.chars().map(String::from).collect();
            if let Some(last) = characters.last_mut() {
                last.push_str(END_OF_WORD);
            }
            let symbols: Vec<u32> = characters.into_iter().map(|s| learner.intern(s)).collect();
            for pair in symbols.windows(2).map(|pair| (pair[0], pair[1])) {
                *learner.stats.entry(pair).or_default() += count;
                *learner
                    .places
                    .entry(pair)
                    .or_default()
                    .entry(at)
                    .or_default() += 1;
            }
            learner.words.push((symbols, count));
        }
        learner.all_stats = learner.stats.clone();
        learner
    }

    fn intern(&mut self, symbol: String) -> u32 {
        let next = self.symbols.len() as u32;
        *self.ids.entry(symbol).or_insert_with_key(|symbol| {
            self.symbols.push(symbol.clone());
            next
        })
    }

    fn run(&mut self, n_merges: usize, min_frequency: u64) -> Vec<(String, String)> {
        let mut merges = Vec::new();
        let Some((_, most)) = self.best() else {
            return merges;
        };
        let mut threshold = most as f64 / 10.0;
        for step in 0..n_merges {
            let mut best = self.best();
            if best.is_none_or(|(_, count)| step > 0 && (count as f64) < threshold) {
                // The best pair may be among the pruned ones.
                self.prune(threshold);
                self.stats.clone_from(&self.all_stats);
                best = self.best();
                threshold = best.map_or(0.0, |(_, count)| {
                    count as f64 * step as f64 / (step as f64 + 10_000.0)
                });
                self.prune(threshold);
            }
            let Some((pair, count)) = best else { break };
            if count < min_frequency as i64 {
                break;
            }
            merges.push((self.name(pair.0).to_owned(), self.name(pair.1).to_owned()));
            self.merge(pair);
            if step % 100 == 0 {
                self.prune(threshold);
            }
        }
        merges
    }

    fn name(&self, symbol: u32) -> &str {
        &self.symbols[symbol as usize]
    }

    /// The pair of the highest count, the last one by spelling among equals.
    fn best(&self) -> Option<(Pair, i64)> {
        let spelling = |(left, right): Pair| (self.name(left), self.name(right));
        let order = |a: &(Pair, i64), b: &(Pair, i64)| {
            a.1.cmp(&b.1)
                .then_with(|| spelling(a.0).cmp(&spelling(b.0)))
        };
        self.stats
            .iter()
            .map(|(&pair, &count)| (pair, count))
            .max_by(order)
    }

    /// Takes pairs below the threshold out of the table. A negative count is what a pair pruned
    /// earlier has lost since.
    fn prune(&mut self, threshold: f64) {
        let all_stats = &mut self.all_stats;
        self.stats.retain(|&pair, &mut count| {
            let stays = count as f64 >= threshold;
            if !stays {
                let total = all_stats.entry(pair).or_default();
                *total = if count < 0 { *total + count } else { count };
            }
            stays
        });
    }

    /// Merges a pair in all words and brings the counts around it up to date.
    fn merge(&mut self, pair: Pair) {
        let (first, second) = pair;
        let merged = self.intern(format!("{}{}", self.name(first), self.name(second)));
        let places = self.places.insert(pair, HashMap::new()).unwrap_or_default();
        self.stats.insert(pair, 0);
        for (at, _) in places.into_iter().filter(|&(_, n)| n > 0) {
            let (old, count) = &self.words[at];
            let (old, count) = (old.clone(), *count);
            let new = replace(&old, pair, merged);
            self.forget(&old, pair, at, count);
            self.learn_around(&new, merged, at, count);
            self.words[at].0 = new;
        }
        self.stats.insert(pair, 0);
    }

    /// Takes the neighbours' pairs of each occurrence of `first second` out of the counts.
    fn forget(&mut self, old: &[u32], (first, second): Pair, at: usize, count: i64) {
        let mut i = 0;
        while i + 1 < old.len() {
            if (old[i], old[i + 1]) != (first, second) {
                i += 1;
                continue;
            }
            if i > 0 {
                self.add((old[i - 1], old[i]), at, -count, -1);
            }
            // In `A B A B`, the pair `B A` is left to the occurrence that follows.
            let repeats = old.get(i + 2) == Some(&first) && old.get(i + 3) == Some(&second);
            if i + 2 < old.len() && !repeats {
                self.add((old[i + 1], old[i + 2]), at, -count, -1);
            }
            i += 2;
        }
    }

    /// Adds the pairs of the new symbol with its neighbours to the counts.
    fn learn_around(&mut self, new: &[u32], merged: u32, at: usize, count: i64) {
        for i in (0..new.len()).filter(|&i| new[i] == merged) {
            if i > 0 {
                self.add((new[i - 1], merged), at, count, 1);
            }
            // A pair of two new symbols is left to the second of them.
            if let Some(&next) = new.get(i + 1).filter(|&&next| next != merged) {
                self.add((merged, next), at, count, 1);
            }
        }
    }

    fn add(&mut self, pair: Pair, at: usize, count: i64, n: i64) {
        *self.stats.entry(pair).or_default() += count;
        *self.places.entry(pair).or_default().entry(at).or_default() += n;
    }
}

/// `word` with each `pair`, from the left and without overlap, replaced by `merged`.
fn replace(word: &[u32], pair: Pair, merged: u32) -> Vec<u32> {
    let mut new = Vec::with_capacity(word.len());
    let mut i = 0;
    while i < word.len() {
        if word[i] == pair.0 && word.get(i + 1) == Some(&pair.1) {
            new.push(merged);
            i += 2;
        } else {
            new.push(word[i]);
            i += 1;
        }
    }
    new
}
