//! The run folder: where each stage finds what it reads and leaves what it makes.
//!
//! ```text
//! runs/<table>-<recipe hash>/
//!   recipe.toml                         the resolved recipe, with the seeds and rows that `--resume` added
//!   .lock                               which process works here, or did last
//!   status.json                         how far it is, or how it ended
//!   run.log                             what each process was asked and told, with the time
//!   data/                               vocabulary and token stores, files.json: what they were made of
//!   seed-<n>/dense/                     model.safetensors, trained.json, metrics.jsonl, timing.jsonl
//!   seed-<n>/pattern.safetensors        mean attention over the training set
//!   seed-<n>/observed.json              which implementation computed it
//!   seed-<n>/masks/<row>.safetensors    what each row hides
//!   seed-<n>/rows/<row>/                as dense/
//!   records/                            one run record a scored model
//!   figures/                            what `sparta analyze` and `sparta attend` draw
//!   TABLE.md  TABLE.csv  TABLE.svg
//!   profile.csv  profile-2.csv          where time went, of each process that was asked by --profile
//! ```
//!
//! A task with several dense models has one such seed folder for each: `seed-<n>/<branch>/dense/` …

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::lock::{LOCK, RunLock};
use crate::io::{is_half_written, read_text, remove_half_written, write_text};
use crate::recipe::Recipe;
use crate::train::{Identity, short};
use crate::version::typed;

/// Name of the resolved recipe in a run folder.
const RECIPE: &str = "recipe.toml";
/// Name of the note that a training has ended, in the folder of a model.
pub(super) const TRAINED: &str = "trained.json";
/// The parameters of a model.
pub(super) const MODEL: &str = "model.safetensors";

/// A run folder, by its paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    root: PathBuf,
}

/// One trained model inside a run folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFolder {
    /// Its folder.
    pub path: PathBuf,
    /// Its name in checkpoints.
    pub identity: Identity,
}

impl ModelFolder {
    /// The parameters after the last step.
    #[must_use]
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// The note that training has ended; written last.
    #[must_use]
    pub fn trained(&self) -> PathBuf {
        self.path.join(TRAINED)
    }

    /// Whether it is trained, and its parameters are there.
    #[must_use]
    pub fn has_weights(&self) -> bool {
        self.trained().exists() && self.model().exists()
    }
}

impl RunFolder {
    /// The folder for a recipe: `--out`, else `runs/<table>-<hash>`.
    #[must_use]
    pub fn of<R: Recipe>(recipe: &R, out: Option<&Path>) -> Self {
        let root = out.map_or_else(
            || Path::new("runs").join(format!("{}-{}", recipe.table(), short(&recipe.hash()))),
            Path::to_owned,
        );
        Self::at(root)
    }

    /// A folder by its path.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        // Without the dots of `new/./`, which cannot be made where `new` is not there.
        Self {
            root: root.components().collect(),
        }
    }

    /// The nearest run folder that a path is, or is in, with the path as one of it: `root/seed-1/dense`; none where there is no run.
    /// `.`, `..` and links are followed where no run is seen by their names alone.
    #[must_use]
    pub fn containing(path: &Path) -> Option<(Self, PathBuf)> {
        let by_name = |path: &Path| {
            let is_inside = |folder: &&Path| {
                let inner = path.strip_prefix(folder).unwrap_or(path);
                inner.components().all(|part| part != Component::ParentDir)
            };
            let mut folders = path.ancestors().take_while(is_inside);
            let root = folders.find(|folder| Self::at((*folder).to_owned()).is_run())?;
            let inner = path.strip_prefix(root).unwrap_or(path);
            // The folder that a relative path without a run in it starts from has a name too.
            let root = match root.as_os_str().is_empty() {
                true => Path::new("."),
                false => root,
            };
            let of_run = root.components().chain(inner.components());
            let of_run = of_run.collect();
            Some((Self::at(root.to_owned()), of_run))
        };
        by_name(path).or_else(|| by_name(&path.canonicalize().ok()?))
    }

    /// Whether it holds a run.
    #[must_use]
    pub fn is_run(&self) -> bool {
        self.recipe().is_file()
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The resolved recipe.
    #[must_use]
    pub fn recipe(&self) -> PathBuf {
        self.root.join(RECIPE)
    }

    /// Prepared data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Run records.
    #[must_use]
    pub fn records(&self) -> PathBuf {
        self.root.join("records")
    }

    /// Everything that one dense model of one seed leads to; `name` is empty for a task with only
    /// one dense model.
    #[must_use]
    pub fn arm<R: Recipe>(&self, recipe: &R, seed: u64, name: &str) -> ArmFolder {
        let path = self.root.join(format!("seed-{seed}"));
        ArmFolder {
            path: if name.is_empty() {
                path
            } else {
                path.join(name)
            },
            recipe_hash: recipe.hash(),
            seed,
            name: name.to_owned(),
        }
    }

    /// Checks that a folder that holds a run holds one of this recipe.
    ///
    /// # Errors
    /// Another recipe, with both ways out.
    pub fn check<R: Recipe>(&self, recipe: &R) -> Result<()> {
        let Some(mut there) = self.recipe_there::<R>()? else {
            return Ok(());
        };
        ensure!(
            there.hash() == recipe.hash(),
            "run folder {} holds a run of another recipe (hash {} and not {}); choose a new folder with \
             `--out DIR`, or go on with its own recipe: leave out `--recipe` and the `--set` that changes it",
            self.root.display(),
            short(&there.hash()),
            short(&recipe.hash()),
        );
        // What it adds is kept with what is there.
        there.add_choice(recipe, &|_| false);
        let with_both = || format!("together with the runs of {}", self.recipe().display());
        there.validate().with_context(with_both)
    }

    /// The recipe of the run that is there; none where there is no run.
    ///
    /// # Errors
    /// One that cannot be read, by key.
    pub(crate) fn recipe_there<R: Recipe>(&self) -> Result<Option<R>> {
        let path = self.recipe();
        if !path.exists() {
            return Ok(None);
        }
        let text = read_text(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let there = R::parse(&text, &[]).with_context(|| path.display().to_string())?;
        Ok(Some(there))
    }

    /// Keeps with the run what a recipe of the same hash chooses of it and the one that is there does not: seeds, data sets
    /// and rows. Whoever comes later then knows them; nothing is written where there is nothing new.
    ///
    /// # Errors
    /// A recipe that cannot be read or written.
    pub(crate) fn keep_choice<R: Recipe>(&self, recipe: &R) -> Result<()> {
        let Some(mut there) = self.recipe_there::<R>()? else {
            return Ok(());
        };
        let before = there.to_toml();
        there.add_choice(recipe, &|_| false);
        let after = there.to_toml();
        match before == after {
            true => Ok(()),
            false => write_text(&self.recipe(), &after),
        }
    }

    /// That a run is there, which `what` goes on with.
    ///
    /// # Errors
    /// A folder without one, with the runs of like names beside it; `instead` says what else may be typed.
    pub(crate) fn ensure_run(&self, what: &str, instead: &str) -> Result<()> {
        // Without the right to look, it is the folder that is refused.
        if self.recipe().try_exists().unwrap_or(true) {
            return Ok(());
        }
        let near = self.runs_beside();
        let near = match near.is_empty() {
            true => "no run is beside it".to_owned(),
            false => format!("beside it are the runs {}", near.join(", ")),
        };
        bail!(
            "`{what}` goes on with a run, and {} holds none (there is no recipe.toml in it); {near}; name a run with `--out DIR`, \
             or {instead}",
            self.root.display()
        )
    }

    /// Run folders beside this one, three at most, by how near their names are to its own.
    fn runs_beside(&self) -> Vec<String> {
        let parent = match self.root.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        let own = self.root.file_name().unwrap_or_default().to_string_lossy();
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let mut runs: Vec<(f64, String)> = entries
            .map(|entry| entry.file_name())
            .filter(|name| Self::at(parent.join(name)).is_run())
            .map(|name| {
                let nearness = strsim::jaro_winkler(&own, &name.to_string_lossy());
                (nearness, typed(&self.root.with_file_name(&name)))
            })
            .collect();
        runs.sort_by(|(a, of_a), (b, of_b)| b.total_cmp(a).then_with(|| of_a.cmp(of_b)));
        runs.into_iter().take(3).map(|(_, run)| run).collect()
    }

    /// Makes or enters the folder, for this process alone as long as the lock is kept. A folder that is there
    /// must hold the same recipe; a new table (`fresh`) goes only into one where nothing was trained yet. A
    /// folder that is refused is left as it is.
    ///
    /// # Errors
    /// Names both ways out: `--resume` and `--out`; a folder that another process works in.
    pub fn enter<R: Recipe>(&self, recipe: &R, fresh: bool) -> Result<RunLock> {
        RunLock::refuse_if_held(&self.root)?;
        self.refuse(recipe, fresh)?;
        let lock = RunLock::take(&self.root, R::PROGRAM)?;
        // Another process may have worked here in between.
        self.refuse(recipe, fresh)?;
        remove_half_written(&self.root)?;
        let path = self.recipe();
        if !path.exists() {
            write_text(&path, &recipe.to_toml())?;
        }
        Ok(lock)
    }

    /// Refuses a folder that cannot be entered for what it holds.
    fn refuse<R: Recipe>(&self, recipe: &R, fresh: bool) -> Result<()> {
        let entries: Vec<String> = match fs::read_dir(&self.root) {
            Ok(dir) => dir
                .filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()))
                // A process that was killed while it wrote its first file leaves no run.
                .filter(|name| name != LOCK && !is_half_written(name))
                .collect(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => {
                let what = format!("cannot open the run folder {}", self.root.display());
                return Err(e).context(what);
            }
        };
        if self.recipe().exists() {
            self.check(recipe)?;
        } else if !entries.is_empty() {
            bail!(
                "{} is not empty and holds no run; choose another folder with `--out DIR`",
                self.root.display()
            );
        }
        if fresh && entries.iter().any(|e| e.starts_with("seed-")) {
            bail!(
                "run folder {} exists and is not overwritten; go on with it by `--resume`, or start \
                 a new one with `--out DIR`",
                self.root.display()
            );
        }
        Ok(())
    }
}

/// One dense model of one seed, and what is made from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmFolder {
    path: PathBuf,
    recipe_hash: String,
    seed: u64,
    name: String,
}

impl ArmFolder {
    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The dense model.
    #[must_use]
    pub fn dense(&self) -> ModelFolder {
        self.model(self.path.join("dense"), "dense")
    }

    /// The model of a row.
    #[must_use]
    pub fn row(&self, row: &str) -> ModelFolder {
        self.model(self.path.join("rows").join(row), row)
    }

    /// The mean attention of the dense model.
    #[must_use]
    pub fn pattern(&self) -> PathBuf {
        self.path.join("pattern.safetensors")
    }

    /// Which implementation computed the attention of the pattern.
    #[must_use]
    pub fn observed(&self) -> PathBuf {
        self.path.join("observed.json")
    }

    /// The masks of all rows.
    #[must_use]
    pub fn masks(&self) -> PathBuf {
        self.path.join("masks")
    }

    /// The mask of a row.
    #[must_use]
    pub fn mask(&self, row: &str) -> PathBuf {
        self.masks().join(format!("{row}.safetensors"))
    }

    /// What a pattern or mask was made from, as its file says.
    #[must_use]
    pub fn model_name(&self) -> String {
        format!(
            "{}:seed-{}:{}",
            self.recipe_hash,
            self.seed,
            self.run("dense")
        )
    }

    fn run(&self, what: &str) -> String {
        match self.name.as_str() {
            "" => what.to_owned(),
            name => format!("{name}/{what}"),
        }
    }

    fn model(&self, path: PathBuf, what: &str) -> ModelFolder {
        let identity = Identity {
            recipe_hash: self.recipe_hash.clone(),
            seed: self.seed,
            run: self.run(what),
        };
        ModelFolder { path, identity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::LmRecipe;

    #[test]
    fn a_folder_with_a_run_is_entered_only_to_go_on() {
        let parent = tempfile::tempdir().unwrap();
        let recipe = LmRecipe::parse(LmRecipe::SHIPPED[0].text, &[]).unwrap();
        let folder = RunFolder::of(&recipe, Some(&parent.path().join("run")));
        folder.enter(&recipe, true).unwrap();
        folder.enter(&recipe, true).unwrap();
        fs::create_dir(folder.root().join("seed-1")).unwrap();
        let error = folder.enter(&recipe, true).unwrap_err().to_string();
        assert!(
            error.contains("--resume") && error.contains("--out"),
            "{error}"
        );
        folder.enter(&recipe, false).unwrap();
        let other = LmRecipe::parse(LmRecipe::SHIPPED[0].text, &["train.lr=0.5".into()]).unwrap();
        let error = folder.enter(&other, false).unwrap_err().to_string();
        assert!(
            error.contains("another recipe") && error.contains("--out"),
            "{error}"
        );
    }

    #[test]
    fn what_is_added_to_a_run_is_kept_with_it() {
        let parent = tempfile::tempdir().unwrap();
        let recipe = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            LmRecipe::parse(LmRecipe::SHIPPED[0].text, &sets).unwrap()
        };
        let folder = RunFolder::of(&recipe(&[]), Some(&parent.path().join("run")));
        // Where there is no run there is nothing to keep it with.
        folder.keep_choice(&recipe(&["seeds=[9]"])).unwrap();
        assert!(!folder.root().exists());
        folder.enter(&recipe(&[]), true).unwrap();
        for sets in [
            &["seeds=[3, 1]", "prune.block_sizes=[32]"][..],
            &["prune.block_sizes=[16]", "prune.weigh=uses"],
            &["seeds=[1]"],
        ] {
            folder.keep_choice(&recipe(sets)).unwrap();
        }
        let there = folder.recipe_there::<LmRecipe>().unwrap().unwrap();
        let all = recipe(&[
            "seeds=[1, 3]",
            "prune.block_sizes=[32, 16]",
            "prune.weigh=[\"cells\", \"uses\"]",
        ]);
        assert_eq!(there, all);
        assert_eq!(there.hash(), recipe(&[]).hash());
        // A text that says the same is not written again.
        let text = format!("# mine\n{}", all.to_toml());
        fs::write(folder.recipe(), &text).unwrap();
        folder.keep_choice(&recipe(&["seeds=[3]"])).unwrap();
        assert_eq!(fs::read_to_string(folder.recipe()).unwrap(), text);
    }

    #[test]
    fn runs_beside_a_folder_are_named_by_their_likeness() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["other", "mine", "mine-2", "mine-3", "no-run"] {
            fs::create_dir(parent.path().join(name)).unwrap();
            if name != "no-run" {
                fs::write(parent.path().join(name).join(RECIPE), "").unwrap();
            }
        }
        let near = RunFolder::at(parent.path().join("mien")).runs_beside();
        let first = typed(&parent.path().join("mine"));
        assert_eq!((near.len(), near.first()), (3, Some(&first)), "{near:?}");
        assert!(near.iter().all(|run| run.contains("mine")), "{near:?}");
    }

    #[test]
    fn a_run_that_was_killed_while_it_wrote_its_first_file_can_begin() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join("run/.atomicwriteXy");
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("tmpfile.tmp"), "table = ").unwrap();
        let recipe = LmRecipe::parse(LmRecipe::SHIPPED[0].text, &[]).unwrap();
        let folder = RunFolder::of(&recipe, Some(&parent.path().join("run")));
        folder.enter(&recipe, true).unwrap();
        assert!(!left.exists() && folder.recipe().exists());
    }

    #[test]
    fn a_folder_that_ends_in_a_dot_is_made() {
        let parent = tempfile::tempdir().unwrap();
        let recipe = LmRecipe::parse(LmRecipe::SHIPPED[0].text, &[]).unwrap();
        let folder = RunFolder::of(&recipe, Some(&parent.path().join("new/./")));
        folder.enter(&recipe, true).unwrap();
        assert!(parent.path().join("new/recipe.toml").exists());
        assert_eq!(RunFolder::at(".".into()).root(), Path::new("."));
    }

    #[test]
    fn the_run_of_a_path_is_found_whichever_way_it_is_typed() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path().canonicalize().unwrap();
        let (root, model) = (parent.join("run"), parent.join("run/seed-1/dense"));
        for folder in ["run/seed-1/dense", "run/seed-1/rows", "other"] {
            fs::create_dir_all(parent.join(folder)).unwrap();
        }
        assert_eq!(RunFolder::containing(&model), None);
        fs::write(root.join(RECIPE), "").unwrap();
        let inner = |path: &Path| {
            let (run, path) = RunFolder::containing(path)?;
            assert_eq!(run.root().canonicalize().unwrap(), root);
            Some(path.strip_prefix(run.root()).unwrap().to_owned())
        };
        for typed in [
            "run/seed-1/dense",
            "run/./seed-1//dense/",
            "run/../run/seed-1/dense",
            "run/seed-1/rows/../dense",
            "run/seed-1/dense/../../seed-1/dense",
        ] {
            let of = inner(&parent.join(typed));
            assert_eq!(of.as_deref(), Some(Path::new("seed-1/dense")), "{typed}");
        }
        for typed in ["run", "run/", "run/seed-1/.."] {
            let of = inner(&parent.join(typed));
            assert_eq!(of.as_deref(), Some(Path::new("")), "{typed}");
        }
        for outside in ["other", "run/..", "run/../other"] {
            assert_eq!(inner(&parent.join(outside)), None, "{outside}");
        }
        #[cfg(unix)]
        {
            let link = parent.join("link");
            std::os::unix::fs::symlink(&model, &link).unwrap();
            let of = inner(&link);
            assert_eq!(of.as_deref(), Some(Path::new("seed-1/dense")));
        }
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("thesis.tex"), "precious").unwrap();
        let recipe = LmRecipe::parse(LmRecipe::SHIPPED[0].text, &[]).unwrap();
        let error = RunFolder::of(&recipe, Some(parent.path()))
            .enter(&recipe, true)
            .unwrap_err();
        assert!(error.to_string().contains("not empty"), "{error}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
