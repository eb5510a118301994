//! The published claims about attention, held to a run.

mod diversity;
mod learned;
mod role;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Trajectory;
use crate::paper::figures::{ByNormalizer, ByType, PairFigures, figures};
use crate::render::{Align, Table};

/// The attention types of the papers, as in records.
const ENCODER: &str = "encoder-self";
const CROSS: &str = "cross";
const DECODER: &str = "decoder-self";
const TYPES: [&str; 3] = [ENCODER, CROSS, DECODER];

/// The normalisers of AST, as in records.
const SOFTMAX: &str = "softmax";
const FIXED: &str = "1.5-entmax";
const LEARNED: &str = "alpha-entmax";
const NORMALIZERS: [&str; 3] = [SOFTMAX, FIXED, LEARNED];

/// What the models of one run do, by normaliser: the numbers that claims are about. What was not measured, or is not
/// in the network, stays empty.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Findings {
    /// By normaliser, named as in records.
    pub normalizers: ByNormalizer<ModelFindings>,
}

/// What one model does.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelFindings {
    /// Attention type → diversity of each layer.
    pub diversity: ByType<Vec<f64>>,
    /// Attention type → density of each layer's heads.
    pub density: ByType<Vec<Vec<f64>>>,
    /// Attention type → α of all heads, where it is learned.
    pub alphas: ByType<Vec<f64>>,
    /// α of each head over training, where it is learned and was logged.
    pub trajectories: Vec<Trajectory>,
    /// Offset → positional confidence of each layer's heads, of the encoder.
    pub positional: BTreeMap<i64, Vec<Vec<f64>>>,
    /// BPE-merging score of each layer's heads, of the encoder.
    pub merging: Vec<Vec<f64>>,
    /// Interrogation score of each layer's heads, of the encoder.
    pub interrogation: Vec<Vec<f64>>,
}

/// What the models of one seed of a run say to the published claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedClaims {
    /// The seed whose models were read.
    pub seed: u64,
    /// The claims.
    pub claims: Vec<PublishedClaim>,
}

/// One published claim, and whether it holds on a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedClaim {
    /// What is claimed.
    pub name: String,
    /// Whether it holds; `None` where the run cannot tell.
    pub holds: Option<bool>,
    /// Our numbers, or what is missing.
    pub ours: String,
    /// The published numbers.
    pub published: String,
}

impl PublishedClaim {
    /// A claim of which the numbers are there, or the reason why not.
    fn new(name: String, ours: Result<(bool, String), String>, published: String) -> Self {
        let (holds, ours) = match ours {
            Ok((holds, ours)) => (Some(holds), ours),
            Err(missing) => (None, missing),
        };
        Self {
            name,
            holds,
            ours,
            published,
        }
    }

    /// `yes`, `no` or `cannot be told`.
    pub const fn verdict(&self) -> &'static str {
        match self.holds {
            Some(true) => "yes",
            Some(false) => "no",
            None => "cannot be told",
        }
    }
}

/// Every published claim of AST that is about attention, in the order of the paper's sections: heads of sparse
/// normalisers differ more, α, density, and roles of heads.
///
/// A claim compares means of one run, as the paper does; it says nothing about chance.
pub fn claims(findings: &Findings) -> Vec<PublishedClaim> {
    let mut claims = diversity::claims(findings);
    claims.extend(learned::claims(findings));
    claims.extend(role::claims(findings));
    claims
}

/// The claims as a table.
pub fn claims_table(claims: &[PublishedClaim]) -> Table {
    let heads = ["claim", "holds", "ours", "published"];
    let mut table = Table::new(heads.map(|head| (head, Align::Left)));
    for claim in claims {
        let PublishedClaim {
            name,
            holds: _,
            ours,
            published,
        } = claim;
        table.push([name, claim.verdict(), ours, published]);
    }
    table
}

impl Findings {
    fn of(&self, normalizer: &str) -> Result<&ModelFindings, String> {
        let found = self.normalizers.get(normalizer);
        found.ok_or_else(|| format!("no model with {normalizer} was analysed"))
    }

    /// The mean of some values of a model, or what is missing.
    fn mean<'a>(
        &'a self,
        normalizer: &str,
        attention_type: &str,
        values: impl FnOnce(&'a ModelFindings) -> Option<Vec<f64>>,
    ) -> Result<f64, String> {
        let values = values(self.of(normalizer)?).unwrap_or_default();
        mean(&values).ok_or_else(|| format!("nothing was measured of {attention_type} attention"))
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// In how many language pairs a claim holds, with the numbers of the paper's own pair in brackets.
fn published(of: impl Fn(&PairFigures) -> Option<(bool, String)>) -> String {
    let pairs = &figures().pairs;
    let found: Vec<(&String, (bool, String))> = pairs
        .iter()
        .filter_map(|(name, pair)| Some((name, of(pair)?)))
        .collect();
    let n_holds = found.iter().filter(|(_, (holds, _))| *holds).count();
    let main = found.iter().find(|(name, _)| name.as_str() == "en-de");
    let numbers = main.map_or(String::new(), |(name, (_, text))| {
        format!(" ({name}: {text})")
    });
    format!("in {n_holds} of {} language pairs{numbers}", found.len())
}
