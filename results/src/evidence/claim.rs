//! Claims, as `claims.toml` has them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::condition::{Baseline, Condition, MaskFamily};
use crate::error::{Result, ResultsError};
use crate::metric::Metric;
use crate::record::RunRecord;

/// The claims that ship with the programs.
const SHIPPED: &str = include_str!("../../data/claims.toml");

/// A sentence with a test.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Written")]
pub struct Claim {
    /// Short name, unique.
    pub id: String,
    /// The sentence.
    pub says: String,
    /// Where it is made, with the published numbers.
    pub source: String,
    /// What makes the runs it reads.
    pub command: String,
    /// What decides.
    #[serde(flatten)]
    pub test: ClaimTest,
}

/// What decides a claim.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClaimTest {
    /// A bound on numbers of a table.
    Cells {
        /// The table.
        table: String,
        /// The score.
        metric: Metric,
        /// What is compared: every one of these quantities must be within the bound.
        every: Vec<Quantity>,
        /// In points of the score, or in percent of the second cell.
        unit: Unit,
        /// The bound.
        #[serde(flatten)]
        bound: Bound,
    },
    /// A claim on what attention does, which `sparta analyze` decides for each seed: it holds if it does in every one of at
    /// least two seeds, of one run or several.
    Figure {
        /// The table of the runs.
        table: String,
        /// The claim in `figures/claims.json`.
        figure: String,
    },
}

/// `[A, B]`: the score of A less that of B, paired by seed.
pub type Quantity = [ClaimCell; 2];

/// How a difference is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A − B.
    Points,
    /// 100·(A − B)/B.
    Percent,
}

/// The smallest effect that matters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The quantity must not be smaller.
    AtLeast(f64),
    /// The quantity must not be larger.
    AtMost(f64),
}

/// A cell of a table: the records of each seed that fit all that is said.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimCell {
    /// The row; it need not be said of a table that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// The row's normaliser or mechanism; it need not be said of a row that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// `ap` (also where none is said), `random`, `blocks-64`, each with `-uses` behind it where p is a share of the uses
    /// (`ap-uses`) and then `-paper-rows` where a decoder used those of the released code, or `dense` for a checkpoint before the further steps; with p = 0 every mask is the same.
    #[serde(default = "ap")]
    pub mask: String,
    /// The nominal p in percent; none for the checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
}

/// The word of the checkpoint before the further steps.
const DENSE: &str = "dense";

fn ap() -> String {
    "ap".to_owned()
}

impl ClaimCell {
    /// Whether a record is of this cell.
    #[must_use]
    pub fn has(&self, record: &RunRecord) -> bool {
        let is_row = self.row.as_ref().is_none_or(|row| *row == record.row);
        let is_variant = self.variant.is_none() || self.variant == record.variant;
        let is_p = match (self.p, record.p_nominal) {
            (Some(p), Some(found)) => (p - found).abs() < 1e-9,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        is_row && is_variant && is_p && self.is_mask(record)
    }

    fn is_mask(&self, record: &RunRecord) -> bool {
        match self.p == Some(0.0) {
            // Nothing is hidden, whatever a record says would be.
            true => !matches!(record.condition, Condition::Baseline(_)),
            false => self.mask == Self::of(record).mask,
        }
    }

    /// The cell of a record.
    pub(super) fn of(record: &RunRecord) -> Self {
        Self {
            row: Some(record.row.clone()),
            variant: record.variant.clone(),
            mask: match record.condition {
                Condition::Dense if record.p_nominal == Some(0.0) => ap(),
                Condition::Dense => DENSE.to_owned(),
                Condition::Masked(mask) => mask.family.claim_word(),
                Condition::Baseline(baseline) => baseline.as_str().to_owned(),
            },
            p: record.p_nominal,
        }
    }

    /// # Errors
    /// A mask that there is not, and a p that there cannot be, in words.
    fn check(&self) -> std::result::Result<(), String> {
        let is_baseline = Baseline::ALL.iter().any(|of| of.as_str() == self.mask);
        let has_p = !is_baseline && self.mask != DENSE;
        if has_p && MaskFamily::of_claim_word(&self.mask).is_none() {
            let baselines: Vec<&str> = Baseline::ALL.iter().map(|of| of.as_str()).collect();
            return Err(format!(
                "has the mask `{}`; there are `ap`, `random` and `blocks-N`, each with `-uses` and then `-paper-rows` behind it, \
                 `{DENSE}`, and the baselines {}",
                self.mask,
                baselines.join(", ")
            ));
        }
        match self.p {
            None if has_p => Err(format!(
                "has no p of `{}`; give `p`, or `mask = \"{DENSE}\"` for the checkpoint before the further steps",
                self.mask
            )),
            Some(_) if !has_p => Err(format!("has a p of `{}`, which has none", self.mask)),
            Some(p) if !(0.0..=100.0).contains(&p) => {
                Err(format!("has p = {p}, which is no percentage"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl std::fmt::Display for ClaimCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [self.row.as_deref(), self.variant.as_deref()];
        for part in parts.into_iter().flatten() {
            write!(f, "{part} ")?;
        }
        match self.p {
            Some(p) => write!(f, "{} p={p}", self.mask),
            None => f.write_str(&self.mask),
        }
    }
}

impl Bound {
    /// The bound in words.
    #[must_use]
    pub fn words(self, unit: Unit) -> String {
        let unit = match unit {
            Unit::Points => "",
            Unit::Percent => " %",
        };
        match self {
            Self::AtLeast(x) => format!("at least {x}{unit}"),
            Self::AtMost(x) => format!("at most {x}{unit}"),
        }
    }
}

/// A claim as it is written: with a bound on cells, or a figure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    says: String,
    source: String,
    command: String,
    table: String,
    metric: Option<Metric>,
    every: Option<Vec<Vec<ClaimCell>>>,
    unit: Option<Unit>,
    at_least: Option<f64>,
    at_most: Option<f64>,
    figure: Option<String>,
}

impl TryFrom<Written> for Claim {
    type Error = String;

    fn try_from(written: Written) -> std::result::Result<Self, String> {
        let Written {
            id,
            says,
            source,
            command,
            table,
            ..
        } = written;
        let refuse = |what: &str| Err(format!("claim `{id}` {what}"));
        let bound = match (written.at_least, written.at_most) {
            (Some(x), None) => Some(Bound::AtLeast(x)),
            (None, Some(x)) => Some(Bound::AtMost(x)),
            (None, None) => None,
            (Some(_), Some(_)) => return refuse("has two bounds; give `at_least` or `at_most`"),
        };
        let test = match (
            written.figure,
            written.metric,
            written.every,
            written.unit,
            bound,
        ) {
            (Some(figure), None, None, None, None) => ClaimTest::Figure { table, figure },
            (None, Some(metric), Some(every), Some(unit), Some(bound)) => {
                let (Bound::AtLeast(x) | Bound::AtMost(x)) = bound;
                if every.is_empty() || !x.is_finite() {
                    return refuse("compares nothing, or its bound is no number");
                }
                let mut pairs: Vec<Quantity> = Vec::new();
                for cells in every {
                    for cell in &cells {
                        if let Err(wrong) = cell.check() {
                            return refuse(&wrong);
                        }
                    }
                    match <Quantity>::try_from(cells) {
                        Ok([a, b]) if a == b => {
                            return refuse(&format!("compares {a} with itself"));
                        }
                        Ok(pair) => pairs.push(pair),
                        Err(cells) => {
                            let n = cells.len();
                            return refuse(&format!("compares {n} cells; give pairs, [[A, B], …]"));
                        }
                    }
                }
                let every = pairs;
                ClaimTest::Cells {
                    table,
                    metric,
                    every,
                    unit,
                    bound,
                }
            }
            _ => {
                return refuse(
                    "has neither `figure` nor all of `metric`, `every`, `unit` and a bound, or has both",
                );
            }
        };
        Ok(Self {
            id,
            says,
            source,
            command,
            test,
        })
    }
}

/// What is written in a file of claims.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    claim: Vec<Claim>,
}

/// Reads claims from the text of a TOML file.
///
/// # Errors
/// [`ResultsError::Claims`]: no TOML, a key that there is not, two claims of one name, a claim without a quantity or with a bound
/// that is no number.
pub fn parse(text: &str) -> Result<Vec<Claim>> {
    let refuse = |problem: String| ResultsError::Claims(problem);
    let file: File = toml::from_str(text).map_err(|error| {
        let message = error.message();
        // What is wrong with a whole claim is said with its name.
        refuse(
            match error.span().filter(|_| !message.starts_with("claim `")) {
                Some(at) => format!(
                    "line {}: {message}",
                    1 + text[..at.start].matches('\n').count()
                ),
                None => message.to_owned(),
            },
        )
    })?;
    if file.claim.is_empty() {
        return Err(refuse("there is none in it".to_owned()));
    }
    let mut names = BTreeSet::new();
    for claim in &file.claim {
        if claim.id.trim().is_empty() {
            return Err(refuse("a claim has an empty `id`".to_owned()));
        }
        if !names.insert(claim.id.clone()) {
            return Err(refuse(format!("two claims are called `{}`", claim.id)));
        }
    }
    Ok(file.claim)
}

/// The claims of both papers and of the related work that ship with the programs.
///
/// # Panics
/// Never: a test reads them.
#[must_use]
pub fn shipped() -> Vec<Claim> {
    parse(SHIPPED).expect("the shipped claims are read by a test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_claims_are_read_and_say_what_makes_their_runs() {
        let claims = shipped();
        assert!(claims.len() >= 20, "{}", claims.len());
        for claim in &claims {
            let program = claim.command.split(' ').next().unwrap();
            assert!(
                ["lm", "iwslt", "glue", "squad", "mlm"].contains(&program),
                "{claim:?}"
            );
            assert!(claim.command.contains("--seeds"), "{}", claim.id);
            assert!(
                !claim.source.is_empty() && claim.says.len() > 20,
                "{}",
                claim.id
            );
        }
    }

    #[test]
    fn what_is_no_claim_is_refused_with_its_place() {
        let good = "[[claim]]\nid = \"a\"\nsays = \"s\"\nsource = \"p\"\ncommand = \"lm\"\ntable = \"t\"\nmetric = \"bleu\"\n\
                    unit = \"points\"\nat_least = 1\nevery = [[{ mask = \"ap\", p = 80 }, { mask = \"random\", p = 80 }]]\n";
        assert_eq!(parse(good).unwrap().len(), 1);
        for (said, text) in [
            ("two claims", good.repeat(2)),
            (
                "compares nothing",
                good.replace(
                    "[[{ mask = \"ap\", p = 80 }, { mask = \"random\", p = 80 }]]",
                    "[]",
                ),
            ),
            ("line", "[[claim]\n".to_owned()),
            (
                "bound is no number",
                good.replace("at_least = 1", "at_least = nan"),
            ),
            ("mask `rnd`; there are `ap`", good.replace("random", "rnd")),
            ("p = 120", good.replacen("p = 80", "p = 120", 1)),
            (
                "no p of `ap`",
                good.replace("mask = \"ap\", p = 80", "mask = \"ap\""),
            ),
            (
                "p of `dense`, which has none",
                good.replace("mask = \"ap\"", "mask = \"dense\""),
            ),
            ("ap p=80 with itself", good.replace("random", "ap")),
            ("`blocks-0`", good.replace("random", "blocks-0")),
            ("an empty `id`", good.replace("\"a\"", "\" \"")),
            ("there is none in it", "claim = []".to_owned()),
            (
                "compares 3 cells",
                good.replace("{ mask = \"ap\"", "{ p = 20 }, { mask = \"ap\""),
            ),
            (
                "line 10: unknown field",
                good.replace("every = ", "evry = "),
            ),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(said), "{said}: {error}");
        }
        for wrong in [
            good.replace("at_least", "at_lest"),
            good.replace("p = 80 }, ", "q = 80 }, "),
        ] {
            assert!(parse(&wrong).is_err());
        }
    }
}
