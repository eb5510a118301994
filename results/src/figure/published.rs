//! The published figures of AST as panels beside ours.

use super::{
    PublishedAlphas, PublishedDensity, PublishedDiversity, PublishedHead, PublishedHistogram,
    PublishedScores, Role, Shares,
};
use crate::attention::{ALPHA_BINS, Bins, DENSITY_BINS};
use crate::paper::figures::{ByNormalizer, ByType, PairFigures, figures};

/// The merging score of the paper's text: the most weight that a piece gives the others of its word.
pub const MERGING: &str = "merging score";
/// The score of the paper's caption: mean weight of a piece within its own word, itself included.
pub const WITHIN_WORD: &str = "weight within the own word";
/// The interrogation score.
pub const INTERROGATION: &str = "interrogation score";

/// The name of a positional score, such as `offset −1`.
pub fn measure_of_offset(offset: i64) -> String {
    match offset {
        ..0 => format!("offset −{}", offset.unsigned_abs()),
        0.. => format!("offset +{offset}"),
    }
}

/// The published panels of one language pair for every figure that has some.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Published {
    /// For [`AlphaFigure`](super::AlphaFigure).
    pub alphas: Vec<PublishedAlphas>,
    /// For [`DensityFigure`](super::DensityFigure).
    pub density: Vec<PublishedDensity>,
    /// For [`DensityHistogramFigure`](super::DensityHistogramFigure).
    pub density_histogram: Vec<PublishedHistogram>,
    /// For [`DiversityFigure`](super::DiversityFigure).
    pub diversity: Vec<PublishedDiversity>,
}

impl Published {
    /// The panels of one pair.
    pub fn of(pair: &PairFigures) -> Self {
        let corpus = || pair.corpus.clone();
        let alphas = pair.alpha_histogram.iter().map(|(attention, counts)| {
            let n: u64 = counts.iter().sum();
            let shares = counts.iter().map(|&count| count as f64 / n.max(1) as f64);
            PublishedAlphas {
                corpus: corpus(),
                attention: attention.clone(),
                histogram: shares_of(ALPHA_BINS, shares.collect(), Some(n)),
            }
        });
        let density = each(&pair.density).map(|(attention, variant, density)| PublishedDensity {
            corpus: corpus(),
            attention,
            variant,
            density: density.clone(),
        });
        let histograms = each(&pair.density_histogram);
        let histograms = histograms.map(|(attention, variant, shares)| PublishedHistogram {
            corpus: corpus(),
            attention,
            variant,
            histogram: shares_of(DENSITY_BINS, shares.clone(), None),
        });
        let diversity =
            each(&pair.diversity).map(|(attention, variant, layers)| PublishedDiversity {
                corpus: corpus(),
                attention,
                variant,
                layers: layers.clone(),
            });
        Self {
            alphas: alphas.collect(),
            density: density.collect(),
            density_histogram: histograms.collect(),
            diversity: diversity.collect(),
        }
    }
}

/// The published trajectories of single heads.
pub fn published_heads() -> Vec<PublishedHead> {
    let published = &figures().trajectories;
    let head = |of: &crate::paper::figures::PublishedTrajectory| PublishedHead {
        corpus: corpus_of(&published.pair),
        attention: of.attention_type.clone(),
        layer: of.layer,
        head: of.head,
        role: of.role.clone(),
        start: of.start,
        min: of.min,
        end: of.end,
    };
    published.heads.iter().map(head).collect()
}

/// The published scores of a role.
pub fn published_scores(role: Role) -> Vec<PublishedScores> {
    let published = &figures().roles;
    let score = |measure: &str, variant: &str, found: String| PublishedScores {
        corpus: corpus_of(&published.pair),
        variant: variant.to_owned(),
        measure: measure.to_owned(),
        found,
    };
    let percent = |score: f64| crate::chart::percent(score, 1);
    match role {
        Role::Positional => {
            let offsets = published.positional.iter();
            let scores = offsets.flat_map(|(offset, variants)| {
                let measure = measure_of_offset(*offset);
                variants.iter().map(move |(variant, of)| {
                    let heads = if of.heads == 1 { "head" } else { "heads" };
                    let found = format!("{} {heads}, median {}", of.heads, percent(of.median));
                    score(&measure, variant, found)
                })
            });
            scores.collect()
        }
        Role::Merging => {
            let merging = published.merging.iter().map(|(variant, scores)| {
                let all: Vec<String> = scores.iter().map(|&of| percent(of)).collect();
                let found = match all.is_empty() {
                    true => "no head above 80 %".to_owned(),
                    false => format!("heads above 80 %: {}", all.join(" and ")),
                };
                score(MERGING, variant, found)
            });
            let within = published.within_cluster.iter();
            let within = within.map(|(variant, &of)| {
                score(
                    WITHIN_WORD,
                    variant,
                    format!("{} of its best merging head", percent(of)),
                )
            });
            merging.chain(within).collect()
        }
        Role::Interrogation => (published.interrogation.iter())
            .map(|(variant, &of)| {
                score(
                    INTERROGATION,
                    variant,
                    format!("{} of its best head", percent(of)),
                )
            })
            .collect(),
    }
}

fn corpus_of(pair: &str) -> String {
    let figures = figures().pairs.get(pair);
    figures.map_or(pair.to_owned(), |figures| figures.corpus.clone())
}

fn shares_of(bins: Bins, shares: Vec<f64>, n: Option<u64>) -> Shares {
    Shares {
        low: bins.lower,
        high: bins.upper,
        shares,
        n,
    }
}

/// Attention type, normaliser and value of each entry.
fn each<T>(values: &ByType<ByNormalizer<T>>) -> impl Iterator<Item = (String, String, &T)> {
    values.iter().flat_map(|(attention, variants)| {
        variants
            .iter()
            .map(move |(variant, value)| (attention.clone(), variant.clone(), value))
    })
}
