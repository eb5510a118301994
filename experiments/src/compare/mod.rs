//! `sparta compare`: whether models differ by more than the choice of the test set explains.

mod pairs;
mod side;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use sparta_results::Metric;
use sparta_results::significance::{Comparison, Score, System, Tests};

use crate::io::{print_line, say};
use crate::protocol::{UnitScores, gigabytes};
use pairs::{Group, groups};
use side::{Model, Side};

/// What `sparta compare` asks for.
#[derive(Debug, Clone)]
pub struct Compare {
    /// Run folders, folders of models, or run records; the first is what the others are compared with.
    pub paths: Vec<PathBuf>,
    /// Samples, trials and seed.
    pub tests: Tests,
    /// Whether models of several builds are compared.
    pub is_mixed: bool,
    /// As JSON.
    pub json: bool,
}

/// Compares and prints.
///
/// # Errors
/// More samples or trials than a test is of use with, paths that name no scored model, scores of different protocols or test sets, and outcomes that are missing or are not
/// those of the record; each says what to do.
pub fn compare(request: &Compare) -> Result<()> {
    refuse_too_many(&request.tests)?;
    let sides = request.paths.iter().map(|path| Side::of(path));
    let mut sides = sides.collect::<Result<Vec<_>>>()?;
    refuse_one_run_twice(&sides)?;
    let run = shorten(&mut sides);
    let mut comparisons = Vec::new();
    for group in groups(&sides)? {
        note_precisions(&group);
        refuse_other_data(&group)?;
        if !request.is_mixed {
            refuse_other_builds(&group)?;
        }
        comparisons.extend(compare_group(&group, &request.tests)?);
    }
    let text = match request.json {
        true => serde_json::to_string_pretty(&comparisons)?,
        false => {
            let head = run.map(|run| format!("{}:\n", run.display()));
            let texts = comparisons.iter().map(Comparison::to_text);
            head.into_iter().chain(texts).collect::<Vec<_>>().join("\n")
        }
    };
    print_line(text.trim_end())?;
    Ok(())
}

/// The most samples and trials that are taken: a share of 10⁻⁷ is told.
const MOST: usize = 10_000_000;
/// What each sample leaves for the interval: the score of either system, three times, and their difference.
const SAMPLE_BYTES: usize = 5 * size_of::<f64>();

/// Refuses numbers that no memory holds and nobody waits for.
fn refuse_too_many(tests: &Tests) -> Result<()> {
    let Tests {
        n_samples,
        n_trials,
        seed: _,
    } = *tests;
    let default = Tests::default();
    ensure!(
        n_samples <= MOST,
        "`--samples {n_samples}` would hold {} of scores: give at most {MOST} (usual are {})",
        gigabytes(n_samples as f64 * SAMPLE_BYTES as f64),
        default.n_samples
    );
    ensure!(
        n_trials <= MOST,
        "`--trials {n_trials}` would score the test set as many times: give at most {MOST} (usual are {})",
        default.n_trials
    );
    Ok(())
}

/// Refuses a run that is named by two paths.
fn refuse_one_run_twice(sides: &[Side]) -> Result<()> {
    let runs: Vec<&Side> = sides.iter().filter(|side| side.is_run).collect();
    for (at, side) in runs.iter().enumerate() {
        let whole = side.path.canonicalize().ok();
        let is_same = |other: &&&Side| whole.is_some() && other.path.canonicalize().ok() == whole;
        if let Some(other) = runs[..at].iter().find(is_same) {
            bail!(
                "{} and {} are the same run; compare different ones",
                other.path.display(),
                side.path.display()
            );
        }
    }
    Ok(())
}

/// Says where models were trained and scored in other types than the one that they are compared with.
fn note_precisions(group: &Group<'_>) {
    let own = group.baseline.precision();
    for model in group.systems.iter().filter(|of| of.precision() != own) {
        say(format_args!(
            "{} and {} are of different precision ({} and {own}), which is a part of what is compared",
            model.name,
            group.baseline.name,
            model.precision()
        ));
    }
}

/// Names models within their run folder, if it is the same of all; returns it.
fn shorten(sides: &mut [Side]) -> Option<PathBuf> {
    let root = sides.first()?.models.first()?.root.clone();
    let mut models: Vec<&mut Model> = sides.iter_mut().flat_map(|side| &mut side.models).collect();
    if models.iter().any(|model| model.root != root) {
        return None;
    }
    for model in &mut models {
        if let Ok(inner) = model.scored.path.strip_prefix(&root) {
            model.name = inner.display().to_string();
        }
    }
    Some(root)
}

/// The comparisons of one baseline, score by score.
fn compare_group(group: &Group<'_>, tests: &Tests) -> Result<Vec<Comparison>> {
    let own = group.baseline.unit_scores()?;
    let systems: Vec<(&Model, Vec<UnitScores>)> = group
        .systems
        .iter()
        .map(|model| Ok((*model, model.unit_scores()?)))
        .collect::<Result<_>>()?;
    for (model, scores) in &systems {
        refuse_other_protocols(group.baseline, &own, model, scores)?;
    }
    let mut comparisons = Vec::new();
    let mut done: BTreeSet<(Metric, &str)> = BTreeSet::new();
    for score in &own {
        if !done.insert((score.metric, &score.signature)) {
            continue;
        }
        let with_score: Option<Vec<System<'_>>> = systems
            .iter()
            .map(|(model, scores)| {
                let of = scores.iter().find(|of| is_same(of, score))?;
                Some(System {
                    name: &model.name,
                    outcomes: &of.outcomes,
                })
            })
            .collect();
        // Further scores of translations that one side alone has.
        let Some(systems) = with_score else { continue };
        let baseline = System {
            name: &group.baseline.name,
            outcomes: &score.outcomes,
        };
        let what = Score {
            metric: score.metric,
            signature: score.signature.clone(),
            units: score.units.to_owned(),
        };
        comparisons.push(tests.compare(&what, baseline, &systems)?);
    }
    Ok(comparisons)
}

/// Refuses models of other data, whose difference is none of the models.
fn refuse_other_data(group: &Group<'_>) -> Result<()> {
    for model in &group.systems {
        if let Some(name) = group.baseline.reads_other(model) {
            bail!(
                "{} and {} read different data (`{name}` is not of one sha256); compare runs on the same files",
                group.baseline.name,
                model.name
            );
        }
    }
    Ok(())
}

/// Refuses models of another build than the baseline's.
fn refuse_other_builds(group: &Group<'_>) -> Result<()> {
    let own = group.baseline.builds();
    for model in &group.systems {
        let builds = model.builds();
        if builds != own {
            bail!(
                "{} and {} were made by different builds of the program ({}; {}), whose numbers may differ for that reason \
                 alone; compare them all the same with `--mixed`",
                group.baseline.name,
                model.name,
                own.into_iter().collect::<Vec<_>>().join(", "),
                builds.into_iter().collect::<Vec<_>>().join(", "),
            );
        }
    }
    Ok(())
}

fn is_same(a: &UnitScores, b: &UnitScores) -> bool {
    (a.metric, &a.signature) == (b.metric, &b.signature)
}

/// Refuses a model whose recorded scores have other signatures than the baseline's, or another test set.
fn refuse_other_protocols(
    baseline: &Model,
    own: &[UnitScores],
    model: &Model,
    scores: &[UnitScores],
) -> Result<()> {
    let words = |model: &Model| {
        let signatures: BTreeSet<&str> = model.recorded().collect();
        let signatures: Vec<&str> = signatures.into_iter().collect();
        signatures.join(", ")
    };
    for score in own.iter().filter(|of| baseline.has_recorded(&of.signature)) {
        let Some(other) = scores.iter().find(|of| is_same(of, score)) else {
            bail!(
                "{} and {} are scored by different protocols or on different test sets, and are not compared; {} by {}; \
                 {} by {}",
                baseline.name,
                model.name,
                baseline.name,
                words(baseline),
                model.name,
                words(model)
            );
        };
        if other.test_set != score.test_set {
            bail!(
                "{} and {} were scored on different test sets, although both say `{}`; score both on the same one",
                baseline.name,
                model.name,
                score.signature
            );
        }
    }
    Ok(())
}
