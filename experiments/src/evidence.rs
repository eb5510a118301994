//! `sparta claims`: which published claims hold on runs, over their seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sparta_results::attention::Claim as FigureFound;
use sparta_results::evidence::{
    Claim, FigureClaim, claims_json, claims_markdown, claims_table, judge, missing_runs, parse,
    shipped,
};
use sparta_results::{RunRecord, load_all};

use crate::analysis::ProgramName;
use crate::io::{print_line, read_text, write_text};
use crate::protocol::find::seeds;
use crate::protocol::program::with_task;
use crate::protocol::{RunFolder, Task, note};
use crate::recipe::Recipe;
use crate::report::find_runs;
use crate::train::short;

/// Figures of a run, or of a seed of it.
const FIGURES: &str = "figures";

/// What `sparta analyze` says there of published claims.
const FOUND: &str = "claims.json";

/// What `sparta claims` asks for.
#[derive(Debug, Clone)]
pub struct Claims {
    /// Run folders, or folders of them; none: the commands that make the runs alone.
    pub paths: Vec<PathBuf>,
    /// A file of claims instead of those that ship.
    pub file: Option<PathBuf>,
    /// Runs of several builds are taken together.
    pub is_mixed: bool,
    /// As JSON.
    pub json: bool,
    /// A page to write too.
    pub out: Option<PathBuf>,
}

/// Judges and prints.
///
/// # Errors
/// Folders without runs, records and claims that cannot be read; a disk that refuses.
pub fn claims(request: &Claims) -> Result<()> {
    let claims: Vec<Claim> = match &request.file {
        None => shipped(),
        Some(path) => {
            let text =
                read_text(path).with_context(|| format!("cannot read {}", path.display()))?;
            parse(&text).with_context(|| path.display().to_string())?
        }
    };
    let (mut records, mut figures) = (Vec::new(), Vec::new());
    let found = match request.paths.is_empty() {
        true => Vec::new(),
        false => find_runs(&request.paths)?,
    };
    for run in &found {
        let of_run = records_of(run)?;
        figures.extend(figures_of(run, &of_run)?);
        records.extend(of_run);
    }
    for line in leave_variants(&mut records)? {
        note(false, &line);
    }
    let judged = judge(&claims, &records, &figures, request.is_mixed);
    if let Some(path) = &request.out {
        write_text(path, &claims_markdown(&judged))?;
    }
    if request.json {
        print_line(claims_json(&judged)?)?;
        return Ok(());
    }
    let mut text = claims_table(&judged).to_terminal(None);
    let missing = missing_runs(&judged);
    if !missing.is_empty() {
        text += "\n\nRuns that are missing, or have one seed:\n";
        for (command, claims) in missing {
            text += &format!("  {command}\n    {}\n", claims.join(", "));
        }
    }
    print_line(text.trim_end())?;
    Ok(())
}

/// Leaves out runs of changed recipes where a table also has runs of the recipe that ships, which claims are about; says so.
fn leave_variants(records: &mut Vec<RunRecord>) -> Result<Vec<String>> {
    let mut shipped = BTreeSet::new();
    for program in ProgramName::ALL {
        with_task!(program, T => {
            for of in <<T as Task>::Recipe>::SHIPPED {
                shipped.insert(<<T as Task>::Recipe>::parse(of.text, &[])?.hash());
            }
        });
    }
    let has_shipped: BTreeSet<String> = (records.iter())
        .filter(|record| shipped.contains(&record.recipe_hash))
        .map(|record| record.table.clone())
        .collect();
    let mut left: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    records.retain(|record| {
        let is_kept = shipped.contains(&record.recipe_hash) || !has_shipped.contains(&record.table);
        if !is_kept {
            let hash = short(&record.recipe_hash).to_owned();
            left.entry(record.table.clone()).or_default().insert(hash);
        }
        is_kept
    });
    let line = |(table, hashes): (String, BTreeSet<String>)| {
        let hashes: Vec<String> = hashes.into_iter().collect();
        format!(
            "{table}: runs of changed recipes ({}) are left out beside those of the shipped one; name their folders alone to \
             judge them",
            hashes.join(", ")
        )
    };
    Ok(left.into_iter().map(line).collect())
}

fn records_of(run: &Path) -> Result<Vec<RunRecord>> {
    let folder = RunFolder::at(run.to_owned()).records();
    match folder.is_dir() {
        true => Ok(load_all(folder)?),
        false => Ok(Vec::new()),
    }
}

/// What `sparta analyze` found in the seeds of a run that it was asked to look at.
fn figures_of(run: &Path, records: &[RunRecord]) -> Result<Vec<FigureClaim>> {
    let Some(first) = records.iter().min_by_key(|record| record.seed) else {
        return Ok(Vec::new());
    };
    // The figures of the run itself are those of its first seed; `--seed N` puts those of others beside their models.
    let whole = run.join(FIGURES);
    let mut folders = BTreeMap::from([(first.seed, whole.clone())]);
    for seed in seeds(run) {
        let of_seed = run.join(format!("seed-{seed}")).join(FIGURES);
        if seed != first.seed || !whole.join(FOUND).is_file() {
            folders.insert(seed, of_seed);
        }
    }
    let mut claims = Vec::new();
    for (seed, folder) in folders {
        let path = folder.join(FOUND);
        if !path.is_file() {
            continue;
        }
        let text = read_text(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let found: Vec<FigureFound> = serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is no list of claims; make it again: `sparta analyze {}`{}",
                path.display(),
                run.display(),
                match folder == whole {
                    true => String::new(),
                    false => format!(" with `--seed {seed}`"),
                }
            )
        })?;
        claims.extend(found.into_iter().map(|of| FigureClaim {
            table: first.table.clone(),
            claim: of.name,
            holds: of.holds,
        }));
    }
    Ok(claims)
}
