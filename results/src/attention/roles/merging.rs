//! BPE-merging heads: those that join the pieces of a word.

use std::ops::Range;

use super::HeadMeans;
use crate::attention::Weights;
use crate::{Result, ResultsError};

/// The score above which a head merges: the paper counts heads "above 80 %".
pub const MERGING_BAR: f64 = 0.8;

/// The BPE-merging score of a head in one sequence: the mean over clusters C of
/// `max_{t∈C} Σ_{u∈C, u≠t} A[t, u]`, and for a cluster of one token t of `A[t, t]`.
///
/// A cluster is the range of the pieces of one word. `None` without a cluster.
///
/// # Errors
/// [`ResultsError::Attention`] where there are fewer keys than queries, or for a cluster that is empty or outside.
///
/// # Source
/// AST, section 5.2, "BPE-merging head".
pub fn merging_score(
    weights: &Weights,
    head: usize,
    clusters: &[Range<usize>],
) -> Result<Option<f64>> {
    check(weights, clusters)?;
    let score = |cluster: &Range<usize>| {
        let with_self = cluster.len() == 1;
        let of = |token| mass(weights, head, token, cluster, with_self);
        cluster.clone().map(of).fold(0.0, f64::max)
    };
    let sum: f64 = clusters.iter().map(score).sum();
    Ok((!clusters.is_empty()).then(|| sum / clusters.len() as f64))
}

/// The mass of a head within the cluster of the current token, that token included: the mean over all tokens t of
/// clusters of `Σ_{u∈C(t)} A[t, u]`. `None` without a cluster.
///
/// # Errors
/// As [`merging_score`].
///
/// # Source
/// AST, caption of the figure of the BPE-merging head.
pub fn within_cluster(
    weights: &Weights,
    head: usize,
    clusters: &[Range<usize>],
) -> Result<Option<f64>> {
    check(weights, clusters)?;
    let n_tokens: usize = clusters.iter().map(Range::len).sum();
    let of = |cluster: &Range<usize>| -> f64 {
        let of = |token| mass(weights, head, token, cluster, true);
        cluster.clone().map(of).sum()
    };
    let sum: f64 = clusters.iter().map(of).sum();
    Ok((n_tokens > 0).then(|| sum / n_tokens as f64))
}

/// Clusters that keep words with hyphens together: a word, pieces that are the hyphen of a tokenizer (`@-@`) and
/// the next word make one cluster, as in `well @-@ known`.
///
/// Every other word is a cluster of its own; a hyphen within a word (`well-known`) needs no joining.
///
/// # Errors
/// [`ResultsError::Attention`] for a word outside of `pieces`.
pub fn join_hyphenated(pieces: &[String], words: &[Range<usize>]) -> Result<Vec<Range<usize>>> {
    let mut clusters: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for word in words {
        let Some(text) = pieces.get(word.clone()) else {
            let n = pieces.len();
            return Err(ResultsError::Attention(format!(
                "a word has the pieces {word:?} of {n}; give ranges of the pieces that there are"
            )));
        };
        let is_hyphen = text.concat() == "@-@";
        match clusters.last_mut() {
            Some(last) if (open || is_hyphen) && last.end == word.start => last.end = word.end,
            _ => clusters.push(word.clone()),
        }
        open = is_hyphen;
    }
    Ok(clusters)
}

fn check(weights: &Weights, clusters: &[Range<usize>]) -> Result<()> {
    weights.memory()?;
    let n = weights.n_queries();
    let bad = |cluster: &&Range<usize>| cluster.is_empty() || cluster.end > n;
    match clusters.iter().find(bad) {
        None => Ok(()),
        Some(cluster) => Err(ResultsError::Attention(format!(
            "a word has the pieces {cluster:?} of {n} tokens; give ranges of tokens that there are"
        ))),
    }
}

/// `Σ_{u∈C} A[t, u]` of checked clusters, `with_self` or without t.
fn mass(
    weights: &Weights,
    head: usize,
    token: usize,
    cluster: &Range<usize>,
    with_self: bool,
) -> f64 {
    let memory = weights.n_keys() - weights.n_queries();
    let row = weights.row(head, token);
    cluster
        .clone()
        .filter(|&other| with_self || other != token)
        .map(|other| f64::from(row[memory + other]))
        .sum()
}

/// Both merging scores of each head of a layer over a corpus: averaged over clusters, and over tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Merging {
    clusters: HeadMeans,
    tokens: HeadMeans,
}

impl Merging {
    /// Of a layer of `n_heads` heads, before the first sequence.
    pub fn new(n_heads: usize) -> Self {
        Self {
            clusters: HeadMeans::new(n_heads),
            tokens: HeadMeans::new(n_heads),
        }
    }

    /// Adds the words of a sequence.
    ///
    /// # Errors
    /// As [`merging_score`], and for weights of another number of heads.
    pub fn add(&mut self, weights: &Weights, clusters: &[Range<usize>]) -> Result<()> {
        weights.check_heads(self.clusters.n_heads())?;
        let score = |head| merging_score(weights, head, clusters);
        self.clusters.add(clusters.len(), score)?;
        let n_tokens = clusters.iter().map(Range::len).sum();
        let within = |head| within_cluster(weights, head, clusters);
        self.tokens.add(n_tokens, within)
    }

    /// The [`merging_score`] of each head, 0 to 1; empty without a word.
    pub fn heads(&self) -> Vec<f64> {
        self.clusters.means()
    }

    /// The mass [`within_cluster`] of each head, 0 to 1; empty without a word.
    pub fn within(&self) -> Vec<f64> {
        self.tokens.means()
    }

    /// How many words were added.
    pub const fn n_clusters(&self) -> u64 {
        self.clusters.n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One head, three tokens; the first two are one word.
    const VALUES: [f32; 9] = [0.25, 0.75, 0.0, 0.5, 0.25, 0.25, 0.0, 0.375, 0.625];
    const WORDS: [Range<usize>; 2] = [0..2, 2..3];

    #[test]
    fn by_hand() {
        let weights = Weights::whole(&VALUES, [1, 3, 3]).unwrap();
        // Of the first word max(0.75, 0.5), of the second 0.625.
        let score = |words: &[Range<usize>]| merging_score(&weights, 0, words).unwrap();
        assert_eq!(score(&WORDS), Some(0.6875));
        assert_eq!(score(&WORDS[1..]), Some(0.625));
        assert_eq!(score(&[]), None);
        // 1 and 0.75 of the first word's tokens, 0.625 of the last.
        let within = |words: &[Range<usize>]| within_cluster(&weights, 0, words).unwrap();
        assert_eq!(within(&WORDS), Some((1.0 + 0.75 + 0.625) / 3.0));
        assert_eq!(within(&[]), None);
        for bad in [2..4, 1..1] {
            let error = merging_score(&weights, 0, &[bad]).unwrap_err().to_string();
            assert!(error.contains("of 3 tokens"), "{error}");
        }
    }

    #[test]
    fn a_corpus_is_averaged_over_words_and_tokens() {
        let mut merging = Merging::new(1);
        assert_eq!((merging.heads(), merging.within()), (vec![], vec![]));
        merging
            .add(&Weights::whole(&VALUES, [1, 3, 3]).unwrap(), &WORDS)
            .unwrap();
        let one = Weights::whole(&[1.0], [1, 1, 1]).unwrap();
        merging.add(&one, std::slice::from_ref(&(0..1))).unwrap();
        assert_eq!(merging.heads(), [(0.75 + 0.625 + 1.0) / 3.0]);
        assert_eq!(merging.within(), [(1.0 + 0.75 + 0.625 + 1.0) / 4.0]);
        assert_eq!(merging.n_clusters(), 3);
    }

    #[test]
    fn words_with_hyphens_are_one_cluster() {
        let pieces = ["a", "we", "ll", "@-@", "known", "@-@", "x", "y"].map(String::from);
        let words = [0..1, 1..3, 3..4, 4..5, 5..6, 6..7, 7..8];
        let joined = join_hyphenated(&pieces, &words).unwrap();
        assert_eq!(joined, [0..1, 1..7, 7..8]);
        let dash = ["a", "-", "b"].map(String::from);
        let alone = [0..1, 1..2, 2..3];
        assert_eq!(
            join_hyphenated(&dash, &alone).unwrap(),
            alone,
            "a dash joins nothing"
        );
        assert!(join_hyphenated(&dash, &[1..2, 2..4]).is_err());
    }
}
