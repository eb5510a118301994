//! Claims about heads with a role (AST, section 5.2): in the encoder, en-de.

use super::{Findings, NORMALIZERS, PublishedClaim, SOFTMAX};
use crate::attention::{
    INTERROGATION_BAR, MERGING_BAR, POSITIONAL_BAR, best_head, median_score, passing_heads,
};
use crate::paper::figures::figures;

pub(super) fn claims(findings: &Findings) -> Vec<PublishedClaim> {
    let mut claims = Vec::new();
    for offset in [-1, 1] {
        claims.extend(NORMALIZERS.map(|normalizer| positional(findings, normalizer, offset)));
    }
    claims.extend(NORMALIZERS.map(|normalizer| merging(findings, normalizer)));
    claims.extend(NORMALIZERS.map(|normalizer| interrogation(findings, normalizer)));
    claims
}

/// How many heads of the encoder pass, and the best head: layers and heads counted from 1, as in the paper.
fn passing(layers: &[Vec<f64>], bar: f64) -> Result<(usize, String), String> {
    let best = best_head(layers).ok_or("nothing of this was in the text")?;
    let heads = passing_heads(layers, bar);
    let (layer, head, score) = (best.layer + 1, best.head + 1, 100.0 * best.score);
    let best = format!("best layer {layer} head {head}, {score:.1} %");
    let text = match median_score(&heads) {
        None => format!("no head; {best}"),
        Some(median) => {
            let (n, s) = (heads.len(), if heads.len() == 1 { "" } else { "s" });
            format!("{n} head{s}, median {:.1} %; {best}", 100.0 * median)
        }
    };
    Ok((heads.len(), text))
}

fn positional(findings: &Findings, normalizer: &str, offset: i64) -> PublishedClaim {
    let found = || {
        let layers = findings.of(normalizer)?.positional.get(&offset);
        let (n, text) = passing(layers.map_or(&[][..], Vec::as_slice), POSITIONAL_BAR)?;
        Ok((n > 0, text))
    };
    let published = figures().roles.positional.get(&offset);
    let published = published.and_then(|heads| heads.get(normalizer));
    let published = published.map_or(String::new(), |heads| {
        let (n, s) = (heads.heads, if heads.heads == 1 { "" } else { "s" });
        format!("{n} head{s}, median {:.1} % (en-de)", 100.0 * heads.median)
    });
    let bar = 100.0 * POSITIONAL_BAR;
    let name =
        format!("{normalizer}: some head gives more than {bar:.0} % to the token at {offset:+}");
    PublishedClaim::new(name, found(), published)
}

fn merging(findings: &Findings, normalizer: &str) -> PublishedClaim {
    let is_none = normalizer == SOFTMAX;
    let found = || {
        let (n, text) = passing(&findings.of(normalizer)?.merging, MERGING_BAR)?;
        Ok(((n == 0) == is_none, text))
    };
    let scores = figures().roles.merging.get(normalizer);
    let scores: Vec<String> = scores
        .into_iter()
        .flatten()
        .map(|score| format!("{:.1} %", 100.0 * score))
        .collect();
    let published = match scores.is_empty() {
        true => "no head (en-de)".to_string(),
        false => format!("{} (en-de)", scores.join(", ")),
    };
    let bar = 100.0 * MERGING_BAR;
    let which = if is_none { "no" } else { "some" };
    let name = format!(
        "{normalizer}: {which} head merges the pieces of words with a score above {bar:.0} %"
    );
    PublishedClaim::new(name, found(), published)
}

fn interrogation(findings: &Findings, normalizer: &str) -> PublishedClaim {
    let found = || {
        let (n, text) = passing(&findings.of(normalizer)?.interrogation, INTERROGATION_BAR)?;
        Ok((n > 0, text))
    };
    let score = figures().roles.interrogation.get(normalizer);
    let published = score.map_or(String::new(), |score| {
        format!("{:.1} % (en-de)", 100.0 * score)
    });
    let bar = 100.0 * INTERROGATION_BAR;
    let name = format!(
        "{normalizer}: some head goes from interrogative words to \"?\" with more than {bar:.0} %"
    );
    PublishedClaim::new(name, found(), published)
}
