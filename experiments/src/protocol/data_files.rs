//! The files that a run's data are made of: remembered in the run folder, and named by every record.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use sparta_datasets::source::{Origin, Origins};
use sparta_results::{WEIGHTS, load_all};

use super::folder::RunFolder;
use crate::io::{read_text, write_text};
use crate::train::short;

/// What remembers the files in a run folder.
const FILE: &str = "files.json";

/// That a run's records are of models that started from these pretrained weights, as far as they say.
///
/// # Errors
/// A record of others.
pub fn check_weights(folder: &RunFolder, sha256: &str) -> Result<()> {
    let now = BTreeMap::from([(WEIGHTS.to_owned(), sha256.to_owned())]);
    check_records(folder, &now)
}

/// Remembers what a run's data are made of. A run that goes on with further tasks has their files added.
///
/// # Errors
/// Files that differ from those that are remembered already, or that records name; a folder that cannot be written.
pub fn remember(folder: &RunFolder, found: &Origins) -> Result<()> {
    let known = remembered(folder)?;
    let all = match &known {
        None => found.clone(),
        Some(known) => joined(known, found).map_err(|differs| differs.in_run(folder))?,
    };
    if known.as_ref() == Some(&all) {
        return Ok(());
    }
    // Committed records may be all that there is of a run.
    check_records(folder, &all.hashes())?;
    check_own(folder, &own(&all))?;
    let dir = folder.data();
    std::fs::create_dir_all(&dir)
        .with_context(|| format!("cannot make the folder {}", dir.display()))?;
    let text = serde_json::to_string_pretty(&all).context("cannot write files.json")?;
    write_text(&dir.join(FILE), &(text + "\n"))
}

/// That files are those that a run's data were made of, as far as it remembers any: runs of earlier versions do of own files alone.
///
/// # Errors
/// Other bytes than then.
pub fn same(folder: &RunFolder, found: &Origins) -> Result<()> {
    let Some(known) = remembered(folder)? else {
        return Ok(());
    };
    let joined = joined(&known, found).map_err(|differs| differs.in_run(folder));
    joined.map(drop)
}

/// What a run's data are made of, where it remembers that.
///
/// # Errors
/// A damaged file.
pub fn remembered(folder: &RunFolder) -> Result<Option<Origins>> {
    let path = folder.data().join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let text = read_text(&path).with_context(|| {
        format!(
            "cannot read {}, which says what the run was made of",
            path.display()
        )
    })?;
    let damaged = || {
        format!(
            "{} is damaged; delete the folder {} and go on with `--resume`: it is made again, and held to the records",
            path.display(),
            folder.data().display()
        )
    };
    serde_json::from_str(&text).map(Some).with_context(damaged)
}

/// The sha256 of what a run's data are made of, by name: of those of one data set, or of all.
///
/// # Errors
/// A damaged file.
pub(super) fn hashes(folder: &RunFolder, of: Option<&Origins>) -> Result<BTreeMap<String, String>> {
    let Some(mut known) = remembered(folder)? else {
        return Ok(BTreeMap::new());
    };
    if let Some(of) = of {
        // Own files are those of the one data set that a run with them has, whatever they are called now.
        let is_of = |file: &Origin| of.0.iter().any(|one| one.name == file.name);
        known.0.retain(is_of);
    }
    Ok(known.hashes())
}

/// Refuses records of a run folder that were made of other files.
fn check_records(folder: &RunFolder, now: &BTreeMap<String, String>) -> Result<()> {
    if !folder.records().is_dir() {
        return Ok(());
    }
    for record in load_all(folder.records())? {
        let differs =
            |(name, then): &(&String, &String)| now.get(*name).is_some_and(|of| of != *then);
        if let Some((name, then)) = record.data.iter().find(differs) {
            bail!(
                "{} has the record {} of other data: {name} of sha256 {} then, {} now; give the files as they were, or make the \
                 table of these in another folder, `--out DIR`",
                folder.root().display(),
                record.id,
                short(then),
                short(&now[name]),
            );
        }
    }
    Ok(())
}

/// Refuses records of a run folder that were made of other files of the user's own: the same ones whatever they are called,
/// so that no name says which is which.
fn check_own(folder: &RunFolder, now: &Origins) -> Result<()> {
    if now.0.is_empty() || !folder.records().is_dir() {
        return Ok(());
    }
    let now: BTreeSet<&str> = now.0.iter().map(|of| of.sha256.as_str()).collect();
    for record in load_all(folder.records())? {
        let files = record.data.iter().filter(|(name, _)| *name != WEIGHTS);
        let then: BTreeSet<&str> = files.map(|(_, sha256)| sha256.as_str()).collect();
        if !then.is_empty() && then != now {
            let names: Vec<&str> = record.data.keys().map(String::as_str).collect();
            bail!(
                "{} has the record {} of other files ({} then); give those by `--data PATH`, or make the table of these in \
                 another folder, `--out DIR`",
                folder.root().display(),
                record.id,
                names.join(", ")
            );
        }
    }
    Ok(())
}

/// A file that is another one than it was.
struct Differs {
    path: PathBuf,
    is_shipped: bool,
    /// Whether there are more files than then.
    is_more: bool,
    then: String,
    now: String,
}

impl Differs {
    fn new(file: &Origin, [then, now]: [String; 2]) -> Self {
        Self {
            path: file.path.clone(),
            is_shipped: file.is_shipped(),
            is_more: false,
            then,
            now,
        }
    }

    fn in_run(self, folder: &RunFolder) -> anyhow::Error {
        let Self { then, now, .. } = self;
        if self.is_more {
            return anyhow!(
                "{} is a file that the run in {} was not made of ({then} then, {now} now): move it away, or train on these in \
                 another folder, `--out DIR`",
                self.path.display(),
                folder.root().display(),
            );
        }
        let next = match self.is_shipped {
            true => "go on with the version of the program that has them as they were, or",
            false => "give the files as they were, or",
        };
        anyhow!(
            "{} has other text than the run in {} was made of ({then} then, {now} now): {next} train on these in another \
             folder, `--out DIR`",
            self.path.display(),
            folder.root().display(),
        )
    }
}

/// What is known with what is found. Files of known corpora go by their names; own files are the same ones whatever they
/// are called.
fn joined(known: &Origins, found: &Origins) -> Result<Origins, Differs> {
    let mut all = known.clone();
    let own = own(known);
    for origin in &found.0 {
        match (&origin.name, own.0.as_slice()) {
            (None, []) => all.0.push(origin.clone()),
            (None, _) => {
                let [then, now] = [&own, &self::own(found)].map(Origins::name);
                if then == now {
                    continue;
                }
                let is_other = |origin: &&Origin| own.0.iter().all(|of| of.sha256 != origin.sha256);
                let file = found.0.iter().find(is_other).unwrap_or(origin);
                let is_more = self::own(found).0.len() > own.0.len();
                return Err(Differs {
                    is_more,
                    ..Differs::new(file, [then, now])
                });
            }
            (Some(_), _) => match known.0.iter().find(|of| of.name == origin.name) {
                None => all.0.push(origin.clone()),
                Some(of) if of.sha256 == origin.sha256 => {}
                Some(of) => {
                    let hashes = [of, origin].map(|of| format!("sha256 {}", short(&of.sha256)));
                    return Err(Differs::new(origin, hashes));
                }
            },
        }
    }
    Ok(all)
}

/// The user's own files among some.
fn own(of: &Origins) -> Origins {
    let own = of.0.iter().filter(|origin| origin.name.is_none());
    Origins(own.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: Option<&str>, path: &str, digit: &str) -> Origin {
        Origin {
            name: name.map(str::to_owned),
            path: path.into(),
            bytes: 1,
            sha256: digit.repeat(64),
        }
    }

    #[test]
    fn a_run_goes_on_with_the_files_it_was_made_of() {
        let parent = tempfile::tempdir().unwrap();
        let folder = RunFolder::at(parent.path().join("run"));
        let refused = |found: &[Origin]| {
            let found = Origins(found.to_vec());
            let error = remember(&folder, &found).unwrap_err().to_string();
            assert_eq!(same(&folder, &found).unwrap_err().to_string(), error);
            error
        };
        let rte = file(Some("RTE/train.tsv"), "glue/RTE/train.tsv", "a");
        // Nothing is known, and nothing is written by looking.
        same(&folder, &Origins(vec![rte.clone()])).unwrap();
        assert!(!folder.data().exists() && hashes(&folder, None).unwrap().is_empty());
        remember(&folder, &Origins(vec![rte.clone()])).unwrap();
        // Another place, and a further task.
        let moved = file(Some("RTE/train.tsv"), "elsewhere/train.tsv", "a");
        let wnli = file(Some("WNLI/train.tsv"), "glue/WNLI/train.tsv", "b");
        remember(&folder, &Origins(vec![moved, wnli.clone()])).unwrap();
        assert_eq!(remembered(&folder).unwrap(), Some(Origins(vec![rte, wnli])));
        let error = refused(&[file(Some("WNLI/train.tsv"), "glue/WNLI/train.tsv", "c")]);
        assert!(
            error.contains("glue/WNLI/train.tsv has other text than the run in"),
            "{error}"
        );
        assert!(
            error.contains("(sha256 bbbbbbbb then, sha256 cccccccc now): give the files"),
            "{error}"
        );
        let shipped = |digit| file(Some("new.json.xz"), "new.json.xz", digit);
        remember(&folder, &Origins(vec![shipped("d")])).unwrap();
        assert!(refused(&[shipped("e")]).contains("the version of the program"));
        // Own files beside them go by what they are, in their order.
        let own = |digits: &[&str]| -> Vec<Origin> {
            let names = ["train.tsv", "valid.tsv"];
            let files = names.iter().zip(digits);
            files.map(|(name, digit)| file(None, name, digit)).collect()
        };
        remember(&folder, &Origins(own(&["f", "0"]))).unwrap();
        remember(
            &folder,
            &Origins(vec![file(None, "t", "f"), file(None, "v", "0")]),
        )
        .unwrap();
        let error = refused(&own(&["f", "1"]));
        assert!(
            error.contains("valid.tsv has other text") && error.contains("(files-"),
            "{error}"
        );
        refused(&own(&["0", "f"]));
        let mut more = own(&["f", "0"]);
        more.push(file(None, "test.tsv", "2"));
        let error = refused(&more);
        assert!(
            error.contains("test.tsv is a file that the run in"),
            "{error}"
        );
        refused(&own(&["f"]));
        let of_rte = Origins(vec![file(Some("RTE/train.tsv"), "elsewhere", "a")]);
        let of_rte = hashes(&folder, Some(&of_rte)).unwrap();
        assert_eq!(of_rte.keys().collect::<Vec<_>>(), ["RTE/train.tsv"]);
        let of_own = hashes(&folder, Some(&Origins(own(&["f"])))).unwrap();
        assert_eq!(
            of_own.keys().collect::<Vec<_>>(),
            ["train.tsv", "valid.tsv"]
        );
        let hashes = hashes(&folder, None).unwrap();
        let names: Vec<&str> = hashes.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "RTE/train.tsv",
                "WNLI/train.tsv",
                "new.json.xz",
                "train.tsv",
                "valid.tsv"
            ]
        );
        assert_eq!(hashes["valid.tsv"], "0".repeat(64));
    }
}
