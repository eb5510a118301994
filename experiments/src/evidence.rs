//! `sparta claims`: which published claims hold on runs, over their seeds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sparta_results::RunRecord;
use sparta_results::attention::{PublishedClaim, SeedClaims};
use sparta_results::evidence::{
    Claim, ClaimTest, Counted, FigureClaim, RunLinks, claims_json, claims_markdown, claims_table,
    judge, missing_runs, parse, shipped,
};

use crate::analysis::ProgramName;
use crate::command::{recipe_of, words};
use crate::io::{in_one_line, print_line, read_text, terminal_width, write_text};
use crate::protocol::find::seeds;
use crate::protocol::program::with_task;
use crate::protocol::{Task, note};
use crate::recipe::Recipe;
use crate::report::{find_runs, records_of, refuse_left_out, relative};
use crate::version::typed;

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

/// Judges and prints. Records and figures that cannot be read are named and left out.
///
/// # Errors
/// Folders without runs, claims that cannot be read, a disk that refuses; when all is printed, anything that was left out.
pub fn claims(request: &Claims) -> Result<()> {
    let claims: Vec<Claim> = match &request.file {
        None => shipped(),
        Some(path) => {
            let text =
                read_text(path).with_context(|| format!("cannot read {}", path.display()))?;
            parse(&text).with_context(|| path.display().to_string())?
        }
    };
    let is_figure = |claim: &Claim| matches!(claim.test, ClaimTest::Figure { .. });
    let has_figures = claims.iter().any(is_figure);
    let (mut records, mut figures) = (Vec::new(), Vec::new());
    let found = match request.paths.is_empty() {
        true => Vec::new(),
        false => find_runs(&request.paths)?,
    };
    let page = match &request.out {
        None => None,
        Some(path) => {
            refuse_other_file(path)?;
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            let failed = || format!("cannot make the folder {}", folder.display());
            std::fs::create_dir_all(&folder).with_context(failed)?;
            Some(folder)
        }
    };
    let (mut links, mut left_out) = (RunLinks::new(), Vec::new());
    for run in &found {
        let (of_run, damaged) = records_of(run)?;
        left_out.extend(damaged);
        if let (Some(page), Some(record)) = (&page, of_run.first()) {
            let key = (record.table.clone(), record.recipe_hash.clone());
            links.entry(key).or_default().push(relative(page, run)?);
        }
        if has_figures {
            figures.extend(figures_of(run, &of_run, &mut left_out));
        }
        records.extend(of_run);
    }
    for said in &left_out {
        note(false, said);
    }
    let own = |claim: &Claim| Some((claim.id.clone(), recipe_hash(claim)?));
    let counted = Counted {
        own: claims.iter().filter_map(own).collect(),
        is_mixed: request.is_mixed,
    };
    let judged = judge(&claims, &records, &figures, &counted);
    if let Some(path) = &request.out {
        write_text(path, &claims_markdown(&judged, &links))?;
    }
    if request.json {
        print_line(claims_json(&judged)?)?;
        return refuse_left_out("the claims are judged", left_out.len());
    }
    let mut text = claims_table(&judged).to_terminal(terminal_width());
    let missing = missing_runs(&judged);
    if !missing.is_empty() {
        text += "\n\nRuns that are missing, or have one seed:\n";
        for (command, claims) in missing {
            text += &format!("  {command}\n    {}\n", claims.join(", "));
        }
    }
    print_line(text.trim_end())?;
    refuse_left_out("the claims are judged", left_out.len())
}

/// Hash of the recipe that a claim's command runs; none where it runs none that can be read.
fn recipe_hash(claim: &Claim) -> Option<String> {
    let words = words(&claim.command)?;
    let program = ProgramName::ALL
        .into_iter()
        .find(|program| words.first().is_some_and(|word| word == program.as_str()))?;
    with_task!(program, T => {
        let recipe = recipe_of::<<T as Task>::Recipe>(&words);
        recipe.ok().map(|recipe| recipe.hash())
    })
}

/// Refuses a file that is no earlier page of claims.
fn refuse_other_file(path: &Path) -> Result<()> {
    let is_page = |path: &Path| read_text(path).is_ok_and(|text| text.starts_with("# Claims\n"));
    ensure!(
        !path.exists() || is_page(path),
        "{} exists and is no page of `sparta claims`: it is not overwritten; choose another file by `--out FILE.md`",
        path.display()
    );
    Ok(())
}

/// What `sparta analyze` found in the seeds of a run that it was asked to look at, and that have records; files that
/// cannot be read are left out, and told.
fn figures_of(run: &Path, records: &[RunRecord], left_out: &mut Vec<String>) -> Vec<FigureClaim> {
    // The figures of a run are those of a seed, of others beside their models.
    let of_seeds = seeds(run).into_iter().map(|seed| format!("seed-{seed}"));
    let folders = std::iter::once(run.to_owned()).chain(of_seeds.map(|seed| run.join(seed)));
    let mut claims: BTreeMap<u64, Vec<FigureClaim>> = BTreeMap::new();
    for path in folders.map(|folder| folder.join("figures/claims.json")) {
        if !path.is_file() {
            continue;
        }
        let found = match seed_claims(run, &path) {
            Ok(found) => found,
            Err(error) => {
                left_out.push(in_one_line(&error));
                continue;
            }
        };
        let Some(record) = records.iter().find(|record| record.seed == found.seed) else {
            note(
                false,
                &format!(
                    "{} is left out: the run has no record of seed {}",
                    path.display(),
                    found.seed
                ),
            );
            continue;
        };
        let claim = |of: PublishedClaim| FigureClaim {
            table: record.table.clone(),
            recipe_hash: record.recipe_hash.clone(),
            commit: record.build(),
            seed: found.seed,
            claim: of.name,
            holds: of.holds,
        };
        claims.insert(found.seed, found.claims.into_iter().map(claim).collect());
    }
    claims.into_values().flatten().collect()
}

/// The claims that a file of `sparta analyze` has of a seed.
fn seed_claims(run: &Path, path: &Path) -> Result<SeedClaims> {
    let text = read_text(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is no list of claims of a seed, or is of an earlier version; make it again: `sparta analyze {}`, with \
             `--seed N` for those of another seed than the first",
            path.display(),
            typed(run)
        )
    })
}
