//! Verdicts as text.

use super::claim::{Test, Unit};
use super::verdict::{Evidence, Judged, Verdict};
use crate::error::Result;
use crate::render::{Align, Table};

/// A line a claim: name, verdict, numbers, sentence.
#[must_use]
pub fn claims_table(judged: &[Judged<'_>]) -> Table {
    let mut table = Table::new([
        ("claim", Align::Left),
        ("verdict", Align::Left),
        ("ours, 95 % interval (seeds)", Align::Left),
        ("bound", Align::Left),
        ("says", Align::Left),
        ("source", Align::Left),
    ]);
    for of in judged {
        let bound = match &of.claim.test {
            Test::Cells { bound, unit, .. } => bound.words(*unit),
            Test::Figure { .. } => "in every seed".to_owned(),
        };
        table.push([
            of.claim.id.clone(),
            of.verdict.words().to_owned(),
            numbers(of),
            bound,
            of.claim.says.clone(),
            of.claim.source.clone(),
        ]);
    }
    table
}

fn numbers(of: &Judged<'_>) -> String {
    let unit = match &of.claim.test {
        Test::Cells {
            unit: Unit::Percent,
            ..
        } => " %",
        Test::Cells {
            unit: Unit::Points, ..
        }
        | Test::Figure { .. } => "",
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
    let is_open = |of: &&Judged<'_>| {
        of.verdict == Verdict::NoRuns || of.evidence.iter().any(|of| of.interval.ends.is_none())
    };
    for of in judged.iter().filter(is_open) {
        let (command, id) = (&of.claim.command, &of.claim.id);
        match commands.iter_mut().find(|(other, _)| other == command) {
            Some((_, claims)) => claims.push(id.clone()),
            None => commands.push((command.clone(), vec![id.clone()])),
        }
    }
    commands
}

/// A page: how many hold, the table, and the commands of missing runs.
#[must_use]
pub fn claims_markdown(judged: &[Judged<'_>]) -> String {
    let mut text = format!(
        "# Claims\n\n{}\n\n{}",
        counts(judged),
        claims_table(judged).to_markdown()
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
