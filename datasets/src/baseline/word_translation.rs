//! Translation word by word: IBM model 1 (Brown et al. 1993).

use std::collections::{BTreeMap, HashMap};

use crate::pairs::SentencePair;

/// Iterations of expectation and maximisation; IBM model 1 changes little after five.
const N_ITER: usize = 5;

/// Each source word's most probable translation under IBM model 1, in the order of the source: what
/// a translation gets without syntax, context or word order.
///
/// # Source
/// Brown, Della Pietra, Della Pietra, Mercer, "The mathematics of statistical machine translation:
/// parameter estimation" (Computational Linguistics 19(2), 1993), section 4.1, without its empty
/// source word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordTranslation {
    best: HashMap<String, String>,
}

impl WordTranslation {
    /// Estimates `t(target word | source word)` of IBM model 1 by five iterations of EM from uniform,
    /// and keeps the best target word of each source word (of equal ones the first by spelling).
    ///
    /// Words are separated by spaces.
    pub fn learn(pairs: &[SentencePair]) -> Self {
        let mut words = Interner::default();
        let pairs: Vec<(Vec<usize>, Vec<usize>)> = pairs
            .iter()
            .map(|(source, target)| (words.ids(source), words.ids(target)))
            .collect();
        // Uniform at first, which any constant is.
        let mut table: HashMap<(usize, usize), f64> = HashMap::new();
        for _ in 0..N_ITER {
            let mut counts: HashMap<(usize, usize), f64> = HashMap::new();
            let mut totals: HashMap<usize, f64> = HashMap::new();
            for (source, target) in &pairs {
                for &to in target {
                    let t = |from: usize| table.get(&(from, to)).copied().unwrap_or(1.0);
                    let sum: f64 = source.iter().map(|&from| t(from)).sum();
                    for &from in source {
                        let fraction = t(from) / sum;
                        *counts.entry((from, to)).or_default() += fraction;
                        *totals.entry(from).or_default() += fraction;
                    }
                }
            }
            for ((from, _), count) in &mut counts {
                *count /= totals[from];
            }
            table = counts;
        }
        let mut best: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
        for ((from, to), t) in table {
            let entry = best.entry(from).or_insert((t, to));
            let first = words.names[to] < words.names[entry.1];
            if t > entry.0 || (t == entry.0 && first) {
                *entry = (t, to);
            }
        }
        let name = |id: usize| words.names[id].to_owned();
        Self {
            best: best
                .into_iter()
                .map(|(from, (_, to))| (name(from), name(to)))
                .collect(),
        }
    }

    /// The line with each word replaced; unknown words stay.
    pub fn translate(&self, line: &str) -> String {
        let words = line.split_whitespace();
        let translated = words.map(|word| self.best.get(word).map_or(word, String::as_str));
        translated.collect::<Vec<_>>().join(" ")
    }
}

#[derive(Default)]
struct Interner<'a> {
    ids: HashMap<&'a str, usize>,
    names: Vec<&'a str>,
}

impl<'a> Interner<'a> {
    fn ids(&mut self, line: &'a str) -> Vec<usize> {
        let id = |word: &'a str| {
            let next = self.names.len();
            *self.ids.entry(word).or_insert_with(|| {
                self.names.push(word);
                next
            })
        };
        line.split_whitespace().map(id).collect()
    }
}
