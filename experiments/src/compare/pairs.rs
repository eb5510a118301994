//! Which model is compared with which.

use anyhow::{Result, bail, ensure};

use super::side::{Model, Side};

/// A model and those that are compared with it.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) baseline: &'a Model,
    pub(super) systems: Vec<&'a Model>,
}

/// Of one run folder, each row with the dense control of its variant (p = 0 where there is one, else the dense model), and
/// the dense models of variants with the first one's. Of several run folders, models of the same seed and name. Else the
/// first model with each of the others.
///
/// # Errors
/// Nothing that can be compared, with what there is.
pub(super) fn groups(sides: &[Side]) -> Result<Vec<Group<'_>>> {
    let [first, others @ ..] = sides else {
        bail!("nothing to compare; give run folders, folders of models, or run records");
    };
    match others.is_empty() {
        true => within(first),
        false if sides.iter().all(|side| side.is_run) => between_runs(first, others),
        false => between_models(first, others),
    }
}

fn within(side: &Side) -> Result<Vec<Group<'_>>> {
    let models = &side.models;
    let mut groups: Vec<Group<'_>> = Vec::new();
    let same_arm =
        |a: &Model, b: &Model| (a.scored.seed, &a.scored.arm) == (b.scored.seed, &b.scored.arm);
    for arm in models.chunk_by(same_arm) {
        let control = |row: &str| arm.iter().find(|model| model.scored.row == row);
        let is_row = |row: &str| row != "dense" && row != "p0";
        let rows: Vec<&Model> = arm
            .iter()
            .filter(|model| is_row(&model.scored.row))
            .collect();
        let name = if side.has_control { "p0" } else { "dense" };
        if let [row, ..] = rows.as_slice()
            && side.is_run
        {
            let Some(baseline) = control(name) else {
                bail!(no_control(side, row, name));
            };
            groups.push(Group {
                baseline,
                systems: rows,
            });
        }
    }
    ensure!(
        models.len() > 1,
        "{} names one scored model, {}; give another one to compare it with",
        side.path.display(),
        models[0].name
    );
    // Dense models of several variants; those of softmax first.
    let last = |model: &Model| model.scored.arm.rsplit('/').next() == Some("softmax");
    let mut dense: Vec<&Model> = models
        .iter()
        .filter(|model| model.scored.row == "dense")
        .collect();
    dense.sort_by_key(|model| !last(model));
    while let Some(baseline) = dense.first().copied() {
        let is_like = |other: &&&Model| {
            other.scored.seed == baseline.scored.seed
                && baseline
                    .recorded()
                    .any(|signature| other.has_recorded(signature))
        };
        let alike: Vec<&Model> = dense.iter().skip(1).filter(is_like).copied().collect();
        dense.retain(|of| {
            of.name != baseline.name && alike.iter().all(|other| other.name != of.name)
        });
        if !alike.is_empty() {
            groups.push(Group {
                baseline,
                systems: alike,
            });
        }
    }
    ensure!(
        !groups.is_empty(),
        "no two scored models of {} are of one seed and data set, and none is compared with another; a model that is trained \
         and has no record is scored with `{}`; or give two or more of {} to compare them all the same",
        side.path.display(),
        side.eval,
        names(models)
    );
    Ok(groups)
}

/// Why rows are compared with nothing.
fn no_control(side: &Side, row: &Model, control: &str) -> String {
    let rows = row.scored.path.parent();
    let (path, what) = match (control, rows.and_then(|rows| rows.parent())) {
        ("dense", Some(arm)) => (arm.join("dense"), "the dense model"),
        _ => (
            row.scored.path.with_file_name(control),
            "p = 0, the dense model after as many further steps",
        ),
    };
    format!(
        "{} is compared with {what}, and {} is no scored model: if its folder is there, score it with `{}`; if only its records are, \
         delete those in {} and go on with `{}`; or name the models to compare",
        row.name,
        path.display(),
        side.eval,
        side.records.display(),
        side.eval.replace(" eval ", " reproduce ")
    )
}

fn between_runs<'a>(first: &'a Side, others: &'a [Side]) -> Result<Vec<Group<'a>>> {
    let mut groups = Vec::new();
    for baseline in &first.models {
        let name = baseline.scored.name();
        let is_like = |model: &&Model| {
            (model.scored.seed, model.scored.name()) == (baseline.scored.seed, name.clone())
        };
        let systems = others
            .iter()
            .filter_map(|side| side.models.iter().find(is_like));
        let systems: Vec<&Model> = systems
            .filter(|model| model.name != baseline.name)
            .collect();
        if !systems.is_empty() {
            groups.push(Group { baseline, systems });
        }
    }
    if groups.is_empty() {
        let sides = std::iter::once(first).chain(others);
        let lists: Vec<String> = sides.map(|side| names(&side.models)).collect();
        bail!(
            "these runs have no model of the same seed and name; name the models to compare: {}",
            lists.join("; ")
        );
    }
    Ok(groups)
}

fn between_models<'a>(first: &'a Side, others: &'a [Side]) -> Result<Vec<Group<'a>>> {
    let one = |side: &'a Side| match side.models.as_slice() {
        [model] => Ok(model),
        several => {
            let paths: Vec<String> = several
                .iter()
                .map(|model| model.scored.path.display().to_string())
                .collect();
            bail!(
                "{} has {} models; name the one that is compared: {}",
                side.path.display(),
                several.len(),
                paths.join(", ")
            )
        }
    };
    let baseline = one(first)?;
    let systems = others.iter().map(one).collect::<Result<Vec<_>>>()?;
    for (at, model) in systems.iter().enumerate() {
        let is_again = |other: &&Model| other.name == model.name;
        ensure!(
            model.name != baseline.name && !systems[..at].iter().any(is_again),
            "{} is named twice; compare different models",
            model.name
        );
    }
    Ok(vec![Group { baseline, systems }])
}

fn names(models: &[Model]) -> String {
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    names.join(", ")
}
