//! Claims about the learned α and what it does to the density (AST, sections 5.1 and 5.2).

use super::{
    ENCODER, FIXED, Findings, LEARNED, ModelFindings, PublishedClaim, TYPES, mean, published,
};
use crate::attention::{ALPHA_BINS, Histogram, Modes, REAL_DROP, Trajectory};
use crate::paper::figures::figures;

/// So many heads of one attention type are needed to speak of modes; the paper has 48.
const ENOUGH_HEADS: u64 = 24;

pub(super) fn claims(findings: &Findings) -> Vec<PublishedClaim> {
    let mut claims = TYPES
        .map(|attention_type| modes(findings, attention_type))
        .to_vec();
    claims.extend([falls_first(findings), falls_then_rises(findings)]);
    claims.extend(TYPES.map(|attention_type| denser(findings, attention_type)));
    claims
}

fn modes(findings: &Findings, attention_type: &str) -> PublishedClaim {
    let is_encoder = attention_type == ENCODER;
    let say = |histogram: &Histogram| match Modes::of(histogram) {
        Some(Modes { lower, upper, .. }) => {
            (is_encoder, format!("modes near {lower:.2} and {upper:.2}"))
        }
        None => (!is_encoder, "one mode".to_string()),
    };
    let found = || {
        let alphas = findings.of(LEARNED)?.alphas.get(attention_type);
        let alphas = alphas.map_or(&[][..], Vec::as_slice);
        let histogram = Histogram::of(ALPHA_BINS, alphas.iter().copied());
        let n = histogram.total();
        if n < ENOUGH_HEADS {
            return Err(format!(
                "{n} heads with a learned α are too few for modes; {ENOUGH_HEADS} would do"
            ));
        }
        Ok(say(&histogram))
    };
    let published = published(|pair| Some(say(&pair.alphas(attention_type)?)));
    let count = if is_encoder { "two modes" } else { "one mode" };
    PublishedClaim::new(
        format!("{attention_type}: α has {count}"),
        found(),
        published,
    )
}

fn trajectories(findings: &Findings) -> Result<&[Trajectory], String> {
    let found = &findings.of(LEARNED)?.trajectories;
    match found.is_empty() {
        true => Err("no learned α was logged over training".to_string()),
        false => Ok(found),
    }
}

fn drawn() -> Vec<Trajectory> {
    let heads = figures().trajectories.heads.iter();
    heads.map(|head| head.trajectory()).collect()
}

fn falls_first(findings: &Findings) -> PublishedClaim {
    let say = |heads: &[Trajectory]| {
        let falls = |head: &&Trajectory| head.start - head.min > REAL_DROP;
        let (n, all) = (heads.iter().filter(falls).count(), heads.len());
        (2 * n > all, format!("{n} of {all} heads"))
    };
    let name = format!("most α fall below their start, by more than {REAL_DROP}");
    let (_, published) = say(&drawn());
    PublishedClaim::new(
        name,
        trajectories(findings).map(say),
        format!("{published} drawn (en-de)"),
    )
}

fn falls_then_rises(findings: &Findings) -> PublishedClaim {
    let say = |heads: &[Trajectory]| {
        let marked = heads.iter().filter(|head| head.starts_dense_ends_sparse());
        let (n, all) = (marked.count(), heads.len());
        (n > 0, format!("{n} of {all} heads"))
    };
    let name = "some head becomes denser first and ends sparser than it began".to_string();
    let (_, published) = say(&drawn());
    PublishedClaim::new(
        name,
        trajectories(findings).map(say),
        format!("{published} drawn (en-de)"),
    )
}

fn denser(findings: &Findings, attention_type: &str) -> PublishedClaim {
    let compare = |learned: f64, fixed: f64| (learned > fixed, format!("{learned:.3}, {fixed:.3}"));
    let of = |normalizer| {
        let heads = |model: &ModelFindings| Some(model.density.get(attention_type)?.concat());
        findings.mean(normalizer, attention_type, heads)
    };
    let found = of(LEARNED).and_then(|a| of(FIXED).map(|b| compare(a, b)));
    let published = published(|pair| {
        let of = |normalizer| mean(&pair.density(attention_type, normalizer)?.concat());
        Some(compare(of(LEARNED)?, of(FIXED)?))
    });
    let name = format!("{attention_type}: {LEARNED} is denser than {FIXED}");
    PublishedClaim::new(name, found, published)
}
