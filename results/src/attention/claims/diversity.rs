//! Claims about the Jensen–Shannon divergence (AST, section 5.1 and figure 6): all about means over layers.

use super::{
    CROSS, DECODER, ENCODER, FIXED, Findings, LEARNED, NORMALIZERS, PublishedClaim, SOFTMAX, TYPES,
    mean, published,
};
use crate::paper::figures::PairFigures;

pub(super) fn claims(findings: &Findings) -> Vec<PublishedClaim> {
    let pairs = [(FIXED, SOFTMAX), (LEARNED, SOFTMAX), (FIXED, LEARNED)];
    let mut claims = Vec::new();
    for (more, less) in pairs {
        claims
            .extend(TYPES.map(|attention_type| more_diverse(findings, attention_type, more, less)));
    }
    claims.extend(NORMALIZERS.map(|normalizer| encoder_first(findings, normalizer)));
    claims.extend(NORMALIZERS.map(|normalizer| peak_inside(findings, normalizer)));
    claims
}

fn ours(findings: &Findings, normalizer: &str, attention_type: &str) -> Result<f64, String> {
    let of = |model: &super::ModelFindings| model.diversity.get(attention_type).cloned();
    findings.mean(normalizer, attention_type, of)
}

fn theirs(pair: &PairFigures, normalizer: &str, attention_type: &str) -> Option<f64> {
    mean(pair.diversity(attention_type, normalizer)?)
}

fn more_diverse(
    findings: &Findings,
    attention_type: &str,
    more: &str,
    less: &str,
) -> PublishedClaim {
    // Between the two sparse normalisers the paper claims no more than "at least".
    let is_strict = less == SOFTMAX;
    let compare = |a: f64, b: f64| {
        let holds = if is_strict { a > b } else { a >= b };
        (holds, format!("{a:.3}, {b:.3}"))
    };
    let of = |normalizer| ours(findings, normalizer, attention_type);
    let found = of(more).and_then(|a| of(less).map(|b| compare(a, b)));
    let published = published(|pair| {
        let of = |normalizer| theirs(pair, normalizer, attention_type);
        Some(compare(of(more)?, of(less)?))
    });
    let how = if is_strict {
        "more than"
    } else {
        "at least as much as"
    };
    let name = format!("{attention_type}: heads of {more} differ {how} those of {less}");
    PublishedClaim::new(name, found, published)
}

fn encoder_first(findings: &Findings, normalizer: &str) -> PublishedClaim {
    let compare = |encoder: f64, cross: f64, decoder: f64| {
        let holds = encoder > cross && encoder > decoder;
        (holds, format!("{encoder:.3}, {cross:.3}, {decoder:.3}"))
    };
    let of = |attention_type| ours(findings, normalizer, attention_type);
    let found = || Ok(compare(of(ENCODER)?, of(CROSS)?, of(DECODER)?));
    let published = published(|pair| {
        let of = |attention_type| theirs(pair, normalizer, attention_type);
        Some(compare(of(ENCODER)?, of(CROSS)?, of(DECODER)?))
    });
    let name = format!(
        "{normalizer}: heads of the encoder differ more than those of cross and decoder attention"
    );
    PublishedClaim::new(name, found(), published)
}

fn peak_inside(findings: &Findings, normalizer: &str) -> PublishedClaim {
    let peak = |layers: &[f64]| {
        let by_value = |a: &(usize, &f64), b: &(usize, &f64)| a.1.total_cmp(b.1);
        let (layer, _) = layers.iter().enumerate().max_by(by_value)?;
        let holds = layer > 0 && layer + 1 < layers.len();
        Some((holds, format!("layer {} of {}", layer + 1, layers.len())))
    };
    let found = || {
        let layers = findings.of(normalizer)?.diversity.get(ENCODER);
        let layers = layers.map_or(&[][..], Vec::as_slice);
        if layers.len() < 3 {
            return Err(format!("{} encoder layers have no middle", layers.len()));
        }
        peak(layers).ok_or_else(String::new)
    };
    let published = published(|pair| peak(pair.diversity(ENCODER, normalizer)?));
    let name = format!("{normalizer}: heads of the encoder differ most in a middle layer");
    PublishedClaim::new(name, found(), published)
}
