//! What single heads do: previous and next token, merging of pieces, question marks.

mod draw;

use serde::{Deserialize, Serialize};

use super::Figure;
use super::check::Check;
use super::sentence::SentenceWeights;
use super::source::Source;
use super::table::{Lines, optional};
use crate::attention::{HeadScore, best_head, passing_heads, ranked_heads};
use crate::chart::{head_name, percent, short};
use crate::error::Result;

/// A score of every head for one role, the heads that pass and examples (AST, section "Identifying
/// head specializations"). File: `positional`, `merging` or `interrogation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleFigure {
    /// Which role.
    pub role: Role,
    /// What was measured.
    pub source: Source,
    /// The score above which a head counts as having the role.
    pub threshold: f64,
    /// Scores of every head, an entry for each variant, attention type and measure.
    pub scores: Vec<RoleScores>,
    /// Published scores.
    pub published: Vec<PublishedScores>,
    /// Heads on sentences.
    pub examples: Vec<SentenceWeights>,
}

/// What a head may be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Attends to the piece at a fixed offset.
    Positional,
    /// Attends to the other pieces of its word.
    Merging,
    /// Attends from interrogative words to the question mark.
    Interrogation,
}

/// The scores of all heads of one attention type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleScores {
    /// Row normaliser.
    pub variant: String,
    /// Attention type.
    pub attention: String,
    /// Which score of the role: [`measure_of_offset`](super::measure_of_offset),
    /// [`MERGING`](super::MERGING), [`WITHIN_WORD`](super::WITHIN_WORD) or
    /// [`INTERROGATION`](super::INTERROGATION); published scores stand below those of their measure.
    pub measure: String,
    /// How many tokens, clusters or questions the scores are means of; 0 leaves nothing to score.
    pub n: u64,
    /// Scores in \[0, 1\], `[layer][head]`; empty where `n` is 0.
    pub scores: Vec<Vec<f64>>,
    /// α, `[layer][head]`, where it is learned.
    pub alphas: Option<Vec<Vec<f64>>>,
}

/// What was published of one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedScores {
    /// Corpus.
    pub corpus: String,
    /// Row normaliser.
    pub variant: String,
    /// Which score.
    pub measure: String,
    /// In the paper's words, with its numbers: `3 heads, median 93.5 %`.
    pub found: String,
}

impl Role {
    /// Name of the figure.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Positional => "positional",
            Self::Merging => "merging",
            Self::Interrogation => "interrogation",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Positional => "Positional heads: mean weight at a fixed offset",
            Self::Merging => "Merging heads: weight that stays within the pieces of a word",
            Self::Interrogation => {
                "Interrogation heads: weight from interrogative words to the question mark"
            }
        }
    }

    fn counted(self) -> &'static str {
        match self {
            Self::Positional => "tokens",
            Self::Merging => "words",
            Self::Interrogation => "interrogative words",
        }
    }
}

impl RoleScores {
    /// α of a head, where it is learned.
    fn alpha(&self, of: &HeadScore) -> Option<f64> {
        self.alphas.as_ref()?.get(of.layer)?.get(of.head).copied()
    }

    /// What the scores say: the heads that pass, or that none does and which comes nearest.
    fn verdict(&self, threshold: f64) -> String {
        let bar = percent(threshold, 0);
        let write = |of: &HeadScore| {
            let alpha = self
                .alpha(of)
                .map(|alpha| format!(", α\u{a0}=\u{a0}{}", short(alpha, 2)));
            let alpha = alpha.unwrap_or_default();
            format!(
                "{}: {}{alpha}",
                head_name(of.layer, of.head),
                percent(of.score, 1)
            )
        };
        let passing = passing_heads(&self.scores, threshold);
        let passing: Vec<String> = passing.iter().map(write).collect();
        match (passing.as_slice(), best_head(&self.scores)) {
            ([], None) => "Nothing to score.".to_owned(),
            ([], Some(best)) => {
                format!(
                    "No head passes at this size (above {bar}); the best is {}.",
                    write(&best)
                )
            }
            ([only], _) => format!("One head passes (above {bar}): {only}."),
            (some, _) => format!(
                "{} heads pass (above {bar}): {}.",
                some.len(),
                some.join("; ")
            ),
        }
    }
}

impl Figure for RoleFigure {
    fn name(&self) -> String {
        self.role.as_str().to_owned()
    }

    fn check(&self) -> Result<()> {
        let check = Check::of(self.name());
        check.that(!self.scores.is_empty(), || "nothing was scored".into())?;
        check.within("the threshold", [self.threshold], 0.0, 1.0)?;
        for of in &self.scores {
            let name = format!("{} of {}, {}", of.measure, of.variant, of.attention);
            if of.n == 0 {
                check.that(of.scores.is_empty(), || {
                    format!("{name}: scores although there was nothing to score")
                })?;
                continue;
            }
            check.heads(&name, &of.scores, (0.0, 1.0))?;
            if let Some(alphas) = &of.alphas {
                check.heads(&format!("α of {name}"), alphas, (1.0, 2.0))?;
                check.alike(&format!("scores and α of {name}"), &of.scores, alphas)?;
            }
        }
        self.examples.iter().try_for_each(|of| of.check(&check))
    }

    fn csv(&self) -> Result<String> {
        let mut lines = Lines::new(&[
            "source",
            "variant",
            "attention",
            "measure",
            "layer",
            "head",
            "score",
            "alpha",
            "passes",
            "n",
        ]);
        for of in &self.scores {
            let mut heads = ranked_heads(&of.scores);
            heads.sort_by_key(|head| (head.layer, head.head));
            for head in heads {
                let passes = head.score > self.threshold;
                let names = ["ours", &of.variant, &of.attention, &of.measure];
                let mut line: Vec<String> = names.map(str::to_owned).into();
                line.extend([head.layer.to_string(), head.head.to_string()]);
                line.extend([head.score.to_string(), optional(of.alpha(&head))]);
                line.extend([passes.to_string(), of.n.to_string()]);
                lines.push(line);
            }
        }
        lines.finish()
    }

    fn svg(&self) -> Result<String> {
        self.check()?;
        Ok(draw::picture(self))
    }
}
