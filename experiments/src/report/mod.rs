//! `sparta report`: the tables of one run or of a folder of runs, from their records alone.

mod runs;
mod scores;

pub(crate) use runs::{find as find_runs, records as records_of, refuse_left_out};

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sparta_results::overview::{Format, Overview, RunFiles};
use sparta_results::render::Layout;

use crate::analysis::{ProgramName, program_of};
use crate::io::{in_one_line, print_line, refuse_file, terminal_width};
use crate::protocol::program::{recipe_of, with_task};
use crate::protocol::records::ensure_one_recipe;
use crate::protocol::{RunFolder, TableRequest, Task, note};
use crate::version::typed;
pub(crate) use runs::relative;

/// What `sparta report` asks for.
#[derive(Debug, Clone)]
pub struct Report {
    /// Run folders, or folders of them.
    pub paths: Vec<PathBuf>,
    /// Where the files go, if not into the one folder that was named.
    pub out: Option<PathBuf>,
    /// Forms besides the page.
    pub formats: Vec<Format>,
    /// Whether kept translations are scored by chrF and tokenised BLEU too.
    pub all_scores: bool,
    /// Whether runs of several builds are averaged.
    pub is_mixed: bool,
}

/// Prints the tables and writes the files. Records and runs that cannot be read are named and left out.
///
/// # Errors
/// Folders without runs or records, and a file that would be overwritten and is not ours; when all is written, anything
/// that was left out.
pub fn report(request: &Report) -> Result<()> {
    let found = runs::find(&request.paths)?;
    let out = out_folder(request)?;
    let (mut files, mut damaged, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    let mut left_out = Vec::new();
    for run in &found {
        match run_files(run, &out, request.all_scores) {
            Ok((of, records)) => {
                damaged.extend(records);
                files.push(of);
            }
            // The only one: there is no report.
            Err(error) if found.len() == 1 => return Err(error),
            Err(error) => {
                let error = in_one_line(&error);
                unreadable.push(format!("{} is left out: {error}", run.display()));
                left_out.push(run);
            }
        }
    }
    for said in damaged.iter().chain(&unreadable) {
        note(false, said);
    }
    let waiting = || {
        let waiting = found.iter().filter(|run| !left_out.contains(run));
        let waiting: Vec<String> = waiting.map(|run| missing_records(run)).collect();
        match waiting.is_empty() {
            true => "no run can be reported".to_owned(),
            false => waiting.join("; "),
        }
    };
    if files.iter().all(|of| of.records.is_empty()) {
        bail!("{}", waiting());
    }
    let name = |path: &Path| {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        name.filter(|name| !name.is_empty() && name != ".")
            .unwrap_or("runs".into())
    };
    let title = match found.as_slice() {
        [run] => format!("Results: {}", name(run)),
        _ => match request.paths.as_slice() {
            [path] => format!("Results: {}", name(path)),
            _ => format!("Results of {} runs", found.len()),
        },
    };
    let notes = files.iter().flat_map(|of: &RunFiles| &of.notes);
    for said in notes.filter(|said| !damaged.contains(said)) {
        note(false, said);
    }
    let mut overview = Overview::new(&title, files, request.is_mixed).with_context(waiting)?;
    overview.waiting.extend(unreadable.iter().cloned());
    let mut formats = vec![Format::Html];
    formats.extend(request.formats.iter().copied());
    let written = overview.write(&out, &formats)?;
    let (mut text, mut sweeps) = (String::new(), Vec::new());
    let mut n_left_out = damaged.len() + unreadable.len();
    for path in &request.paths {
        match crate::sweep::write_if_sweep(path) {
            Ok(Some((table, written))) => {
                text += &format!("{table}\n\n");
                sweeps.extend(written);
            }
            Ok(None) => {}
            // What it could not read may be named already.
            Err(error) => {
                n_left_out += 1;
                let (path, error) = (path.display(), in_one_line(&error));
                note(false, &format!("no table of the sweep {path}: {error}"));
            }
        }
    }
    text += &overview.terminal(terminal_width());
    for waiting in &overview.waiting {
        text += &format!("\n{waiting}\n");
    }
    text += "\n";
    for file in written.into_iter().chain(sweeps) {
        text += &format!("{}\n", file.display());
    }
    print_line(text.trim_end())?;
    refuse_left_out("the report is written", n_left_out)
}

/// Where the files go: the folder that was asked for, or the only one that was named.
fn out_folder(request: &Report) -> Result<PathBuf> {
    match (&request.out, request.paths.as_slice()) {
        (Some(out), _) => {
            refuse_file(out, "--out")?;
            std::fs::create_dir_all(out)
                .with_context(|| format!("cannot make the folder {}", out.display()))?;
            Ok(out.clone())
        }
        (None, [path]) => Ok(path.clone()),
        (None, _) => {
            bail!("of several folders none is that of the report; name one with `--out DIR`")
        }
    }
}

/// What to type for records that are not there.
fn missing_records(root: &Path) -> String {
    let recipe = RunFolder::at(root.to_owned()).recipe();
    let program = program_of(root).map_or("the program that made it", ProgramName::as_str);
    format!(
        "{} has no completed record yet; go on with `{program} reproduce --recipe {} --out {} --resume`",
        root.display(),
        typed(&recipe),
        typed(root)
    )
}

/// What a run folder gives to the report, and what is wrong with the records that cannot be read, which its notes have too.
fn run_files(root: &Path, out: &Path, all_scores: bool) -> Result<(RunFiles, Vec<String>)> {
    let folder = RunFolder::at(root.to_owned());
    let (mut records, damaged) = runs::records(root)?;
    let mut notes = damaged.clone();
    let request = match program_of(root) {
        Ok(program) => with_task!(program, T => {
            let recipe = recipe_of::<<T as Task>::Recipe>(root)?;
            ensure_one_recipe(root, &records, &crate::recipe::Recipe::hash(&recipe))?;
            if all_scores {
                match scores::further::<T>(&recipe, &folder, &records) {
                    Ok((further, without)) => {
                        records.extend(further);
                        notes.extend(without);
                    }
                    Err(error) => notes.push(format!("no further scores: {}", in_one_line(&error))),
                }
            }
            match records.is_empty() {
                // Rows of some tables are known from records alone.
                true => TableRequest {
                    title: String::new(),
                    layout: Layout::P,
                    expected: Vec::new(),
                },
                false => T::table(&recipe, &folder)?,
            }
        }),
        // The records are as good as before; only what is missing cannot be said.
        Err(error) => {
            notes.push(format!(
                "which runs are missing cannot be said: {}",
                in_one_line(&error)
            ));
            TableRequest {
                title: String::new(),
                layout: Layout::P,
                expected: Vec::new(),
            }
        }
    };
    if records.is_empty() {
        notes.push(missing_records(root));
    }
    let (figures, documents) = runs::files(root)?;
    let files = RunFiles {
        folder: relative(out, root)?,
        records,
        title: request.title,
        layout: request.layout,
        expected: request.expected,
        figures,
        documents,
        notes,
    };
    Ok((files, damaged))
}
