//! The published figures of AST as numbers, read from `results/data/ast_figures.json`.
//!
//! They are reference data: panels that stand beside ours, and the numbers of the published claims. Attention types
//! and normalisers have the names of this crate's records (`encoder-self`, `1.5-entmax`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::attention::{ALPHA_BINS, Histogram, Trajectory};

/// Attention type → value.
pub type ByType<T> = BTreeMap<String, T>;
/// Normaliser → value.
pub type ByNormalizer<T> = BTreeMap<String, T>;

/// Every published figure.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Where the numbers were published.
    pub source: String,
    /// Language pair (`en-de`) → its figures.
    pub pairs: BTreeMap<String, PairFigures>,
    /// The trajectories of α that the paper draws.
    pub trajectories: PublishedTrajectories,
    /// The heads with a role.
    pub roles: PublishedRoles,
}

/// The figures of the models of one language pair: 6 layers of 8 heads, on the validation set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairFigures {
    /// The corpus.
    pub corpus: String,
    /// Sentences of its validation set.
    pub sentences: u64,
    /// Jensen–Shannon divergence of each layer.
    pub diversity: ByType<ByNormalizer<Vec<f64>>>,
    /// Heads in each of [`ALPHA_BINS`].
    pub alpha_histogram: ByType<Vec<u64>>,
    /// The share of (head, sentence) in each of [`DENSITY_BINS`](crate::attention::DENSITY_BINS).
    pub density_histogram: ByType<ByNormalizer<Vec<f64>>>,
    /// The density of the heads of each layer, from the sparsest to the densest.
    pub density: ByType<ByNormalizer<Vec<Vec<f64>>>>,
}

impl PairFigures {
    /// The diversity of each layer.
    pub fn diversity(&self, attention_type: &str, normalizer: &str) -> Option<&[f64]> {
        let layers = self.diversity.get(attention_type)?.get(normalizer)?;
        Some(layers)
    }

    /// The α of all heads of an attention type.
    pub fn alphas(&self, attention_type: &str) -> Option<Histogram> {
        Some(Histogram {
            bins: ALPHA_BINS,
            counts: self.alpha_histogram.get(attention_type)?.clone(),
            n_outside: 0,
        })
    }

    /// The density histogram, as shares.
    pub fn density_histogram(&self, attention_type: &str, normalizer: &str) -> Option<&[f64]> {
        let shares = self.density_histogram.get(attention_type)?;
        Some(shares.get(normalizer)?)
    }

    /// The sorted densities of each layer's heads.
    pub fn density(&self, attention_type: &str, normalizer: &str) -> Option<&[Vec<f64>]> {
        Some(self.density.get(attention_type)?.get(normalizer)?)
    }
}

/// The published trajectories of α.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedTrajectories {
    /// Language pair of the model.
    pub pair: String,
    /// The heads.
    pub heads: Vec<PublishedTrajectory>,
}

/// The published trajectory of one head.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedTrajectory {
    /// Its attention type.
    pub attention_type: String,
    /// Its layer, counted from 0.
    pub layer: usize,
    /// The head, counted from 0.
    pub head: usize,
    /// What the paper says it does.
    pub role: Option<String>,
    /// α at the start.
    pub start: f64,
    /// The smallest α.
    pub min: f64,
    /// α at the end.
    pub end: f64,
}

impl PublishedTrajectory {
    /// Start, minimum and end.
    pub const fn trajectory(&self) -> Trajectory {
        Trajectory {
            start: self.start,
            min: self.min,
            end: self.end,
        }
    }
}

/// The published heads with a role.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedRoles {
    /// Language pair of the model.
    pub pair: String,
    /// Offset → positional heads. Those of offset 1 are printed as about 95 % each.
    pub positional: BTreeMap<i64, ByNormalizer<PublishedPositional>>,
    /// The merging scores above 80 %.
    pub merging: ByNormalizer<Vec<f64>>,
    /// The mass within the word's own pieces, of the best merging head.
    pub within_cluster: ByNormalizer<f64>,
    /// The interrogation score of the best head.
    pub interrogation: ByNormalizer<f64>,
}

/// The published positional heads of one offset.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedPositional {
    /// How many.
    pub heads: usize,
    /// Their median confidence.
    pub median: f64,
}

static FIGURES: LazyLock<Figures> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/ast_figures.json"))
        .expect("results/data/ast_figures.json is part of the program and checked by its tests")
});

/// All published figures.
pub fn figures() -> &'static Figures {
    &FIGURES
}

/// The figures of one language pair; `None` for one the paper does not have.
///
/// ```
/// use sparta_results::paper::figures;
/// let german = figures::pair("en-de").unwrap();
/// assert_eq!(german.corpus, "WMT14 en-de");
/// assert_eq!(german.diversity("cross", "softmax").unwrap()[0], 0.2381);
/// ```
pub fn pair(name: &str) -> Option<&'static PairFigures> {
    FIGURES.pairs.get(name)
}
