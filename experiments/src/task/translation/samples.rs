//! Translations beside each model, and some of them to look at: `SAMPLES.md`.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sparta_datasets::Split;
use sparta_datasets::pairs::SentencePair;
use sparta_results::metric::bleu::BleuScore;
use sparta_results::{MaskFamily, Weighing};

use super::output::OutputNote;
use super::rows;
use super::search::Found;
use crate::io::write_text;
use crate::protocol::{ModelFolder, Row, RunFolder};
use crate::recipe::{Recipe, TranslationRecipe};

/// Translations of the test set, one a line as BLEU read them before it joined or cut words.
pub(super) const LINES: &str = "test.txt";
/// Their score and speed, and what the output layer did.
const NOTE: &str = "test.json";

/// Where translations of the test set are kept beside a model, with their note.
pub(super) struct KeptFiles {
    lines: &'static str,
    note: &'static str,
}

/// What a model writes.
pub(super) const OWN: KeptFiles = KeptFiles {
    lines: LINES,
    note: NOTE,
};
/// What it writes with the rows of the released code, where those are scored beside the right ones.
pub(super) const PAPER_ROWS: KeptFiles = KeptFiles {
    lines: "test-paper-rows.txt",
    note: "test-paper-rows.json",
};
/// How many sentences the file shows, and how many are printed.
const N_SHOWN: [usize; 2] = [12, 3];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    bleu: f64,
    detail: String,
    n_sentences: usize,
    n_tokens: usize,
    seconds: f64,
    tokens_per_second: f64,
    /// Of models scored before it was kept, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<OutputNote>,
}

/// Writes translations, score, speed and what the output layer did beside a model.
pub(super) fn save(
    folder: &ModelFolder,
    files: &KeptFiles,
    lines: &[String],
    bleu: &BleuScore,
    (found, output): (&Found, OutputNote),
) -> Result<()> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    write_text(&folder.path.join(files.lines), &text)?;
    let note = Note {
        bleu: bleu.score,
        detail: bleu.to_string(),
        n_sentences: lines.len(),
        n_tokens: found.n_tokens,
        seconds: found.seconds,
        tokens_per_second: found.n_tokens as f64 / found.seconds.max(1e-9),
        output: Some(output),
    };
    let text = serde_json::to_string_pretty(&note).context("cannot write test.json")?;
    write_text(&folder.path.join(files.note), &(text + "\n"))
}

/// Makes `SAMPLES.md` from what the models of the first seed wrote, and gives the text for the end
/// of the printed table: samples, the speed of decoding, and what each output layer did.
///
/// # Errors
/// If the disk refuses.
pub(super) fn report(recipe: &TranslationRecipe, folder: &RunFolder) -> Result<String> {
    let Some(&seed) = recipe.seeds().first() else {
        return Ok(String::new());
    };
    let mut shown = Vec::new();
    let mut speeds = Vec::new();
    let mut outputs = String::new();
    for (label, model) in models(recipe, folder, seed) {
        let Ok(text) = std::fs::read_to_string(model.path.join(LINES)) else {
            continue;
        };
        let note = std::fs::read_to_string(model.path.join(NOTE)).unwrap_or_default();
        if let Ok(note) = serde_json::from_str::<Note>(&note) {
            speeds.push(note.tokens_per_second);
            let line = note.output.map(|output| output.line(&label));
            outputs.extend(line.map(|line| format!("\n{line}\n")));
        }
        shown.push((label, text.lines().map(str::to_owned).collect::<Vec<_>>()));
    }
    let data = super::data::open(recipe, folder);
    let (Ok(data), false) = (data, shown.is_empty()) else {
        return Ok(String::new());
    };
    let show = |n| show(data.corpus.pairs(Split::Test), &shown, n);
    let mut speed = String::new();
    speeds.sort_by(f64::total_cmp);
    if let Some(median) = speeds.get(speeds.len() / 2) {
        speed = format!(
            "\nDecoding with {}: {median:.0} tokens/s (median over {} models).\n",
            match recipe.eval.search.is_beam() {
                true => format!("{} hypotheses", recipe.eval.beam_size),
                false => format!("{} search", recipe.eval.search),
            },
            speeds.len()
        );
    }
    let [in_file, printed] = N_SHOWN.map(show);
    let title = format!("# {}: translations of the test set\n", recipe.table());
    let path = folder.root().join("SAMPLES.md");
    write_text(&path, &format!("{title}{in_file}{speed}{outputs}"))?;
    Ok(format!("{printed}{speed}{outputs}{}\n", path.display()))
}

/// Models of one seed whose translations are shown: the dense ones, and each type at its largest p.
fn models(recipe: &TranslationRecipe, folder: &RunFolder, seed: u64) -> Vec<(String, ModelFolder)> {
    let largest = recipe.masks().p.iter().copied().max().unwrap_or(0);
    let (mut dense, mut pruned) = (Vec::new(), Vec::new());
    for of in rows::variants(recipe) {
        let arm = folder.arm(recipe, seed, &of.folder);
        dense.push((of.mechanisms.label(), arm.dense()));
        for row in Row::all(&of.pruned, recipe.masks()) {
            let of_uses = match row.mask {
                Some(MaskFamily::Ap { of, .. }) => match of {
                    Weighing::Cells => "",
                    Weighing::Uses => " of the uses",
                },
                Some(MaskFamily::ApBlocks { .. } | MaskFamily::Random { .. }) | None => continue,
            };
            if row.p == largest {
                for line in rows::lines(recipe, &of, Some(&row)) {
                    let label = format!("{}, p = {largest}{of_uses}", line.label.row);
                    pruned.push((label, arm.row(&row.name())));
                }
            }
        }
    }
    dense.extend(pruned);
    dense
}

/// Some sentences with what each model made of them.
fn show(pairs: &[SentencePair], models: &[(String, Vec<String>)], n: usize) -> String {
    let labels = models.iter().map(|(label, _)| label.chars().count());
    let width = labels.max().unwrap_or(0).max("reference".len());
    let mut text = String::new();
    for i in spread(pairs.len(), n) {
        let mut line = |label: &str, words: &str| {
            let line = format!("    {label:width$}  {words}");
            text.push_str(line.trim_end());
            text.push('\n');
        };
        let (source, reference) = &pairs[i];
        line("", "");
        line("source", source);
        line("reference", reference);
        for (label, lines) in models {
            line(label, lines.get(i).map_or("", String::as_str));
        }
    }
    text
}

/// `n` places spread over `0..len`.
fn spread(len: usize, n: usize) -> Vec<usize> {
    let n = n.min(len);
    (0..n).map(|i| (2 * i + 1) * len / (2 * n)).collect()
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn samples_are_spread_over_the_whole_set() {
        assert_eq!(spread(100, 4), [12, 37, 62, 87]);
        assert_eq!(spread(2, 8), [0, 1]);
        assert!(spread(0, 8).is_empty());
    }
}
