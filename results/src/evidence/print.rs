//! Verdicts as text.

use std::collections::BTreeMap;

use super::claim::{ClaimTest, Unit};
use super::verdict::{Evidence, Judged, Verdict};
use crate::error::Result;
use crate::overview::url;
use crate::render::{Align, Table};

const HEADS: [(&str, Align); 6] = [
    ("claim", Align::Left),
    ("verdict", Align::Left),
    ("ours, 95 % interval (seeds)", Align::Left),
    ("bound", Align::Left),
    ("says", Align::Left),
    ("source", Align::Left),
];

/// A line a claim: name, verdict, numbers, sentence.
#[must_use]
pub fn claims_table(judged: &[Judged<'_>]) -> Table {
    let mut table = Table::new(HEADS);
    for of in judged {
        table.push(cells(of));
    }
    table
}

fn cells(of: &Judged<'_>) -> [String; 6] {
    let bound = match &of.claim.test {
        ClaimTest::Cells { bound, unit, .. } => bound.words(*unit),
        ClaimTest::Figure { .. } => "in every seed".to_owned(),
    };
    [
        of.claim.id.clone(),
        of.verdict.words().to_owned(),
        numbers(of),
        bound,
        of.claim.says.clone(),
        of.claim.source.clone(),
    ]
}

/// Where runs are from a page, by table and hash of the recipe.
pub type RunLinks = BTreeMap<(String, String), Vec<String>>;

/// The same with links to what decides each.
fn linked_table(judged: &[Judged<'_>], links: &RunLinks) -> Table {
    let [claim, verdict, ours, bound, says, source] = HEADS;
    let records = ("records", Align::Left);
    let mut table = Table::new([claim, verdict, ours, bound, says, source, records]);
    for of in judged {
        let (name, inner) = match &of.claim.test {
            ClaimTest::Cells { table, .. } => (table, "records"),
            ClaimTest::Figure { table, .. } => (table, "figures"),
        };
        let runs = of.recipe_hash.as_ref();
        let runs = runs.and_then(|hash| links.get(&(name.clone(), hash.clone())));
        let link = |run: &String| {
            let last = run.rsplit('/').next().unwrap_or(run);
            format!("[{last}]({})", url(&format!("{run}/{inner}")))
        };
        let links: Vec<String> = runs.into_iter().flatten().map(link).collect();
        let [claim, verdict, ours, bound, says, source] = cells(of);
        table.push([claim, verdict, ours, bound, says, source, links.join(", ")]);
    }
    table
}

fn numbers(of: &Judged<'_>) -> String {
    let unit = match &of.claim.test {
        ClaimTest::Cells {
            unit: Unit::Percent,
            ..
        } => " %",
        ClaimTest::Cells {
            unit: Unit::Points, ..
        }
        | ClaimTest::Figure { .. } => "",
    };
    let number = |of: &Evidence| {
        let interval = of.interval;
        match interval.ends {
            Some((low, high)) => format!(
                "{:+.2}{unit} [{low:+.2}, {high:+.2}] ({})",
                interval.mean, interval.n
            ),
            None => format!("{:+.2}{unit} ({})", interval.mean, interval.n),
        }
    };
    let mut parts: Vec<String> = of.evidence.iter().map(number).collect();
    parts.extend(of.note.clone());
    parts.join("; ")
}

/// The commands that make the runs of claims that have none, each once, with the claims it serves.
#[must_use]
pub fn missing_runs(judged: &[Judged<'_>]) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for of in judged.iter().filter(|of| of.is_open) {
        let id = &of.claim.id;
        let command = match &of.claim.test {
            ClaimTest::Cells { .. } => of.claim.command.clone(),
            ClaimTest::Figure { .. } => format!(
                "{} && sparta analyze RUN && sparta analyze RUN --seed N",
                of.claim.command
            ),
        };
        match commands.iter_mut().find(|(other, _)| *other == command) {
            Some((_, claims)) => claims.push(id.clone()),
            None => commands.push((command, vec![id.clone()])),
        }
    }
    commands
}

/// A page: how many hold, the table with links to runs, and the commands of missing ones.
#[must_use]
pub fn claims_markdown(judged: &[Judged<'_>], links: &RunLinks) -> String {
    let mut text = format!(
        "# Claims\n\n{}\n\n{}",
        counts(judged),
        linked_table(judged, links).to_markdown()
    );
    let missing = missing_runs(judged);
    if !missing.is_empty() {
        text += "\nRuns that are missing, or have one seed:\n\n";
        for (command, claims) in missing {
            text += &format!("- `{command}`: {}\n", claims.join(", "));
        }
    }
    text
}

fn counts(judged: &[Judged<'_>]) -> String {
    let n = |verdict: Verdict| judged.iter().filter(|of| of.verdict == verdict).count();
    format!(
        "{} claims: {} hold, {} do not, {} cannot be told, {} have no runs.",
        judged.len(),
        n(Verdict::Holds),
        n(Verdict::DoesNot),
        n(Verdict::CannotBeTold),
        n(Verdict::NoRuns)
    )
}

/// Everything, as JSON.
///
/// # Errors
/// None that data can cause.
pub fn claims_json(judged: &[Judged<'_>]) -> Result<String> {
    serde_json::to_string_pretty(judged)
        .map_err(|error| crate::error::ResultsError::Claims(error.to_string()))
}
