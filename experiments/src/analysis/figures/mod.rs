//! The figures, each filled from what was measured or from files of the run; a figure that cannot be says why.

mod curves;
mod density;
mod diversity;
mod learned;
mod omega;
mod pattern;
mod roles;

pub(super) use curves::curves;
pub(super) use density::{density, density_histogram};
pub(super) use diversity::diversity;
pub(super) use learned::{NO_ALPHA, alpha, trajectory};
pub(super) use omega::omega;
pub(super) use pattern::{Observed, pattern};
pub(super) use roles::role;

use sparta_ops::pruning::AttentionType;
use sparta_results::attention::Histogram;
use sparta_results::figure::Source;

use super::measure::{Measured, TypeMeasures};

/// A figure, or why there is none.
pub(super) type Made<F> = Result<F, String>;

/// Every attention type of every model, with what was measured.
fn measures(all: &[Measured]) -> impl Iterator<Item = (&Measured, AttentionType, &TypeMeasures)> {
    all.iter()
        .flat_map(|of| of.types.iter().map(move |(&kind, types)| (of, kind, types)))
}

/// What all models were measured on: they read the same sequences.
fn source(run: &str, all: &[Measured]) -> Source {
    let mut corpora: Vec<&str> = Vec::new();
    for of in all {
        if !corpora.contains(&of.corpus.as_str()) {
            corpora.push(&of.corpus);
        }
    }
    let n: u64 = all
        .iter()
        .enumerate()
        .filter(|(at, of)| all[..*at].iter().all(|before| before.corpus != of.corpus))
        .map(|(_, of)| of.n_sequences)
        .sum();
    Source {
        run: run.to_owned(),
        corpus: corpora.join(" and "),
        n_sequences: (n > 0).then_some(n),
    }
}

/// The bins of all layers together.
fn merged(histograms: impl IntoIterator<Item = Histogram>) -> Option<Histogram> {
    histograms.into_iter().reduce(|mut all, of| {
        // They have the same bins.
        let _ = all.merge(&of);
        all
    })
}
