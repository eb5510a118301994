//! What a sweep is: a recipe, the values of a grid and seeds, which make one run for each point and seed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sparta_datasets::source::sha256;

use super::Place;
use crate::analysis::{ProgramName, program_of_text};
use crate::io::{is_half_written, read_text, write_text};
use crate::protocol::program::with_task;
use crate::protocol::variant::check_masks;
use crate::protocol::{RunFolder, Task};
use crate::recipe::{ALL_SHIPPED, Recipe, Renamed, find_shipped, key_of, nearest};
use crate::train::short;
use crate::version::typed;

/// The plan in the folder of a sweep.
pub(crate) const PLAN: &str = "sweep.toml";
/// The recipe of a sweep, as it was named; what is set and swept is not in it.
const BASE: &str = "base.toml";
/// Longest name of a point's folder; file systems have 255 bytes.
const LONGEST: usize = 120;
/// Runs of a sweep at most: each is hours, and a folder.
const MAX_RUNS: usize = 10_000;

/// One key of a grid with its values: `train.lr=1e-3,2e-3`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// The key, as for `--set`.
    pub key: String,
    /// Its values, as for `--set`.
    pub values: Vec<String>,
}

impl FromStr for Axis {
    type Err = String;

    /// Values are separated by commas; one in a list, a string or parentheses belongs to its value:
    /// `prune.p=[0, 80],[0, 90]`, `model.normalizers=["rfa(m=32,tau=1)"],["softmax"]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let example = "write for example `--grid train.lr=1e-3,2e-3`";
        let Some((key, values)) = text.split_once('=') else {
            return Err(format!("`{text}` has no `=`; {example}"));
        };
        let values = split(values);
        if key.trim().is_empty() || values.iter().any(String::is_empty) {
            return Err(format!("`{text}` lacks a key or a value; {example}"));
        }
        if let Some(twice) = (values.iter().enumerate())
            .find_map(|(i, value)| values[..i].contains(value).then_some(value))
        {
            return Err(format!("`{text}` has the value `{twice}` twice"));
        }
        let key = key.trim().to_owned();
        Ok(Self { key, values })
    }
}

/// The parts between commas that stand in no bracket and no string.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut depth, mut is_text) = (vec![String::new()], 0_i32, false);
    for c in text.chars() {
        match c {
            '"' => is_text = !is_text,
            '[' | '(' | '{' if !is_text => depth += 1,
            ']' | ')' | '}' if !is_text => depth -= 1,
            ',' if depth == 0 && !is_text => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

/// A sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The program that makes the runs.
    pub program: String,
    /// Hash of the recipe `base.toml`.
    base: String,
    /// Seeds of each point.
    pub seeds: Vec<u64>,
    /// Keys of the recipe that are changed at every point.
    sets: Vec<String>,
    /// Keys whose values differ between points; each with each.
    #[serde(default)]
    pub grid: Vec<Axis>,
    /// Where all of it computes, and what it reads; earlier versions kept nothing of it.
    #[serde(default, skip_serializing_if = "Place::is_default")]
    pub place: Place,
}

/// A point of the grid: `key=value` for each axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point(pub Vec<String>);

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.is_empty() {
            true => f.write_str("the recipe"),
            false => f.write_str(&self.0.join(" ")),
        }
    }
}

impl Point {
    /// Name of its folder: the keys and values, with `_` for what a path or a shell would take for something else.
    fn folder(&self) -> String {
        let whole = match self.0.is_empty() {
            true => "recipe".to_owned(),
            false => self.0.join(","),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._=,+-".contains(c);
        let name: String = (whole.chars())
            .map(|c| if is_plain(c) { c } else { '_' })
            .collect();
        match name == whole && name.len() <= LONGEST {
            true => name,
            false => {
                let end = name.len().min(LONGEST);
                format!("{}-{}", &name[..end], short(&sha256(whole.as_bytes())))
            }
        }
    }
}

/// One run of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its point.
    pub point: Point,
    /// Its only seed.
    pub seed: u64,
    /// Its run folder.
    pub folder: PathBuf,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, seed {}", self.point, self.seed)
    }
}

impl Plan {
    /// A plan, with the text of its recipe.
    ///
    /// # Errors
    /// A recipe that cannot be read; a grid that names a key twice, or one that is set; a point that is no recipe, or the recipe of another.
    pub fn new(
        recipe: &str,
        grid: Vec<Axis>,
        sets: Vec<String>,
        seeds: Option<Vec<u64>>,
    ) -> Result<(Self, String)> {
        let (program, text) = find(recipe)?;
        let renamed = with_task!(program, T => <<T as Task>::Recipe>::RENAMED);
        let today = |key: &str| {
            let old = renamed.iter().find(|of| of.old_path() == key);
            old.map_or_else(|| key.to_owned(), Renamed::path)
        };
        for (i, axis) in grid.iter().enumerate() {
            let is_again = |other: &Axis| today(&other.key) == today(&axis.key);
            ensure!(
                !grid[..i].iter().any(is_again),
                "`--grid` names `{0}` twice; give all values at once: `--grid {0}=A,B`",
                axis.key
            );
            ensure!(
                axis.key != "seeds",
                "seeds are no key of a grid; each point is run with all of them: `--seeds 1,2,3`"
            );
            let fixed = sets
                .iter()
                .find(|set| today(key_of(set)) == today(&axis.key));
            ensure!(
                fixed.is_none(),
                "`--grid` gives `{}` a value at each point, and `--set {}` another; leave one of them out",
                axis.key,
                fixed.map(String::as_str).unwrap_or_default()
            );
        }
        ensure!(
            seeds.is_none() || !sets.iter().any(|set| key_of(set) == "seeds"),
            "`--seeds` and `--set seeds=…` both say which seeds; leave one of them out"
        );
        let seeds = match seeds {
            Some(seeds) => seeds,
            None => with_task!(program, T => {
                <<T as Task>::Recipe>::parse(&text, &sets)?.seeds().to_vec()
            }),
        };
        // Before they are multiplied out.
        let n_runs = grid
            .iter()
            .map(|axis| axis.values.len())
            .chain([seeds.len()]);
        let n_runs = n_runs.fold(1usize, usize::saturating_mul);
        ensure!(
            n_runs <= MAX_RUNS,
            "this grid and its seeds are {n_runs} runs, and a sweep has {MAX_RUNS} at most: take fewer values, or make several sweeps"
        );
        let plan = Self {
            program: program.as_str().to_owned(),
            base: sha256(text.as_bytes()),
            seeds,
            sets,
            grid,
            place: Place::default(),
        };
        plan.check(program, recipe, &text)?;
        Ok((plan, text))
    }

    /// Reads every point, so that none is refused after others were trained.
    fn check(&self, program: ProgramName, recipe: &str, text: &str) -> Result<()> {
        let mut seen: BTreeMap<String, Point> = BTreeMap::new();
        for point in self.points() {
            let hash = with_task!(program, T => {
                let at: <T as Task>::Recipe = self.recipe_at(text, &point)?;
                let check = || {
                    at.validate()?;
                    at.check_new(recipe, &self.sets_at(&point))?;
                    check_masks(&<T as Task>::variants(&at)?, at.masks())
                };
                check().with_context(|| format!("at {point}"))?;
                at.hash()
            });
            if let Some(other) = seen.insert(hash, point.clone()) {
                bail!("{other} and {point} are one recipe; leave one of them out of `--grid`");
            }
        }
        Ok(())
    }

    /// Keys of the recipe that are changed at a point.
    fn sets_at(&self, point: &Point) -> Vec<String> {
        [self.sets.as_slice(), &point.0].concat()
    }

    /// The recipe of a point with the seeds of the sweep, from the text of the one that was named.
    ///
    /// # Errors
    /// A point that is no recipe.
    pub(super) fn recipe_at<R: Recipe>(&self, text: &str, point: &Point) -> Result<R> {
        let recipe = R::parse(text, &self.sets_at(point));
        let mut recipe = recipe.with_context(|| format!("at {point}"))?;
        recipe.set_seeds(self.seeds.clone());
        Ok(recipe)
    }

    /// The program that makes the runs.
    ///
    /// # Errors
    /// A name that is none.
    pub(super) fn program_name(&self) -> Result<ProgramName> {
        named(&self.program).with_context(|| format!("{PLAN} names no program: `{}`", self.program))
    }

    /// Where a sweep goes that was given no folder.
    #[must_use]
    pub fn default_folder(&self) -> PathBuf {
        // The same sweep in another place is the same sweep.
        let place = Place::default();
        let text = toml::to_string(&Self {
            place,
            ..self.clone()
        })
        .unwrap_or_default();
        let name = format!("sweep-{}-{}", self.program, short(&sha256(text.as_bytes())));
        Path::new("runs").join(name)
    }

    /// Writes the plan and its recipe into a folder that holds nothing yet.
    ///
    /// # Errors
    /// A folder that holds a sweep or anything else; a disk that refuses.
    pub fn save(&self, folder: &Path, text: &str) -> Result<()> {
        let shown = folder.display();
        ensure!(
            !folder.join(PLAN).exists(),
            "{shown} holds a sweep; go on with `sparta sweep --resume --out {}`, or use another folder with `--out DIR`",
            typed(folder)
        );
        // A plan that was being written when its process was killed is no content.
        let is_begun =
            |name: &std::ffi::OsStr| name == BASE || is_half_written(&name.to_string_lossy());
        let is_empty = match std::fs::read_dir(folder) {
            Ok(mut entries) => {
                entries.all(|entry| entry.is_ok_and(|entry| is_begun(&entry.file_name())))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => return Err(error).context(format!("cannot read {shown}")),
        };
        ensure!(
            is_empty,
            "{shown} is not empty and holds no sweep; use another folder with `--out DIR`"
        );
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {shown}"))?;
        write_text(&folder.join(BASE), text)?;
        let plan = toml::to_string(self).context("cannot write the plan")?;
        // Last: a folder that has a plan has all of it.
        write_text(&folder.join(PLAN), &plan)
    }

    /// Reads the plan of a folder.
    ///
    /// # Errors
    /// A folder without one, a plan that cannot be read, and a recipe that was changed after it.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(PLAN);
        if !path.exists() {
            bail!(
                "{} holds no sweep (there is no {PLAN} in it); start one: `sparta sweep RECIPE --grid KEY=A,B --out {}`",
                folder.display(),
                typed(folder)
            );
        }
        let text = read_text(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let plan: Self = toml::from_str(&text)
            .with_context(|| format!("{} is no plan of a sweep", path.display()))?;
        let (base, text) = (folder.join(BASE), Self::base_text(folder)?);
        ensure!(
            sha256(text.as_bytes()) == plan.base,
            "{} was changed after the sweep was planned (hash {} and not {}): its points would be of two recipes; put the \
             file back, or start another sweep with `sparta sweep {} --out DIR`",
            base.display(),
            short(&sha256(text.as_bytes())),
            short(&plan.base),
            base.display()
        );
        Ok(plan)
    }

    /// The points, the values of the last key next to each other.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        let first = vec![Point(Vec::new())];
        self.grid.iter().fold(first, |points, axis| {
            let with = |point: &Point, value: &String| {
                let mut point = point.clone();
                point.0.push(format!("{}={value}", axis.key));
                point
            };
            points
                .iter()
                .flat_map(|point| axis.values.iter().map(move |value| with(point, value)))
                .collect()
        })
    }

    /// Every run, by the number of its task.
    #[must_use]
    pub fn jobs(&self, folder: &Path) -> Vec<Job> {
        let points = self.points();
        (points.iter())
            .flat_map(|point| self.jobs_at(folder, point))
            .collect()
    }

    /// The runs of a point, by seed.
    pub(super) fn jobs_at(&self, folder: &Path, point: &Point) -> Vec<Job> {
        let parent = folder.join(point.folder());
        let job = |&seed: &u64| Job {
            point: point.clone(),
            seed,
            folder: parent.join(format!("seed-{seed}")),
        };
        self.seeds.iter().map(job).collect()
    }

    /// What the program is given to make a run.
    #[must_use]
    pub fn arguments(&self, folder: &Path, job: &Job) -> Vec<OsString> {
        self.arguments_with(Self::base_of(folder), job)
    }

    /// The recipe in the folder of a sweep, as the program is given it.
    pub(super) fn base_of(folder: &Path) -> OsString {
        folder.join(BASE).into()
    }

    /// The text of that recipe.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn base_text(folder: &Path) -> Result<String> {
        let base = folder.join(BASE);
        read_text(&base).with_context(|| format!("cannot read {}", base.display()))
    }

    /// What the program is given to make a run, with the recipe of the plan by another name.
    pub(super) fn arguments_with(&self, recipe: OsString, job: &Job) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["--recipe".into(), recipe];
        // Seeds are said by their option, one a run.
        let sets = self.sets.iter().filter(|set| key_of(set) != "seeds");
        for set in sets.chain(&job.point.0) {
            arguments.extend(["--set".into(), set.into()]);
        }
        arguments.extend(["--seeds".into(), job.seed.to_string().into()]);
        arguments.extend(["--out".into(), job.folder.clone().into()]);
        if RunFolder::at(job.folder.clone()).is_run() {
            arguments.push("--resume".into());
        }
        arguments
    }
}

/// The program of a name.
fn named(name: &str) -> Option<ProgramName> {
    ProgramName::ALL.into_iter().find(|of| of.as_str() == name)
}

/// The program and text of a recipe: a shipped one by its name, or a file.
fn find(recipe: &str) -> Result<(ProgramName, String)> {
    let shipped = ALL_SHIPPED.iter().find_map(|of| {
        let found = find_shipped(of.shipped, recipe)?;
        Some((named(of.program)?, found.text.to_owned()))
    });
    if let Some(found) = shipped {
        return Ok(found);
    }
    let path = Path::new(recipe);
    if !path.is_file() {
        let names = (ALL_SHIPPED.iter()).flat_map(|of| of.shipped.iter().map(|of| of.name));
        let hint = nearest(recipe, names).map(|near| format!("; did you mean `{near}`?"));
        bail!(
            "`{recipe}` is no shipped recipe and no file{}; `sparta recipes` lists those that ship",
            hint.unwrap_or_default()
        );
    }
    let text = read_text(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((program_of_text(path, &text)?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(text: &str) -> Axis {
        text.parse().unwrap()
    }

    #[test]
    fn values_are_split_where_no_list_goes_on() {
        assert_eq!(axis("train.lr=1e-3, 2e-3").values, ["1e-3", "2e-3"]);
        assert_eq!(axis("prune.p=[0, 80],[0]").values, ["[0, 80]", "[0]"]);
        let words = axis("model.normalizers=[\"rfa(m=32,tau=1)\"],[\"softmax\", \"a,b\"]");
        assert_eq!(words.values.len(), 2);
        assert_eq!(axis("a=rfa(m=1,tau=2),b").values, ["rfa(m=1,tau=2)", "b"]);
        for (text, said) in [
            ("train.lr", "has no `=`"),
            ("=1", "lacks a key"),
            ("train.lr=1,", "lacks a key or a value"),
            ("train.lr=1,2,1", "`1` twice"),
        ] {
            let error = text.parse::<Axis>().unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_grid_that_no_one_can_run_is_refused_before_it_is_made() {
        let values = |n: usize| (1..=n).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
        let grid = [
            "train.steps",
            "train.batch_size",
            "data.vocab_size",
            "train.log_every",
        ]
        .map(|key| axis(&format!("{key}={}", values(1000))));
        let error = Plan::new("small/lm", grid.into(), vec![], None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("are 1000000000000 runs"), "{error}");
    }

    #[test]
    fn every_point_has_every_seed_and_a_folder_of_its_own() {
        let grid = vec![axis("train.lr=1e-3,2e-3"), axis("model.d_model=32,64")];
        let (plan, _) = Plan::new("small/lm", grid, vec![], Some(vec![1, 2])).unwrap();
        let jobs = plan.jobs(Path::new("s"));
        let said: Vec<String> = jobs.iter().map(Job::to_string).collect();
        assert_eq!(said.len(), 8);
        assert_eq!(said[0], "train.lr=1e-3 model.d_model=32, seed 1");
        assert_eq!(said[3], "train.lr=1e-3 model.d_model=64, seed 2");
        let folder = Path::new("s/train.lr=2e-3,model.d_model=64/seed-2");
        assert_eq!(jobs[7].folder, folder);
        // Without a grid it is the recipe with its seeds.
        let (plan, _) = Plan::new("small/iwslt", vec![], vec![], None).unwrap();
        assert_eq!(plan.jobs(Path::new("s")).len(), plan.seeds.len());
    }

    #[test]
    fn names_of_folders_are_plain_short_and_distinct() {
        let name = |text: &str| Point(vec![text.to_owned()]).folder();
        let (a, b) = (name("prune.p=[0, 80]"), name("prune.p=[0  80]"));
        assert!(a.starts_with("prune.p=_0,_80_-") && a != b, "{a} {b}");
        assert!(name(&format!("a={}", "é/".repeat(200))).len() < 150);
    }

    #[test]
    fn a_sweep_that_cannot_be_is_refused_before_anything_is_written() {
        let refused = |recipe: &str, grid: &[&str], seeds: &[u64]| {
            let grid = grid.iter().map(|text| axis(text)).collect();
            let error = Plan::new(recipe, grid, vec![], Some(seeds.to_vec())).unwrap_err();
            crate::io::in_one_line(&error)
        };
        for (said, recipe, grid, seeds) in [
            ("did you mean `small/lm`", "smal/lm", vec![], vec![1]),
            (
                "twice",
                "small/lm",
                vec!["train.lr=1e-3", "train.lr=2e-3"],
                vec![1],
            ),
            ("--seeds", "small/lm", vec!["seeds=1,2"], vec![1]),
            (
                "are one recipe",
                "small/lm",
                vec!["train.lr=1e-3,0.001"],
                vec![1],
            ),
            (
                "at train.lr=-1",
                "small/lm",
                vec!["train.lr=1e-3,-1"],
                vec![1],
            ),
            ("train.lr", "small/lm", vec!["train.lrr=1e-3"], vec![1]),
            (
                "at model.normalizers=[\"favor(m=8)\"]",
                "small/lm",
                vec!["model.normalizers=[\"softmax\"],[\"favor(m=8)\"]"],
                vec![1],
            ),
            ("seed", "small/lm", vec!["train.lr=1e-3"], vec![1, 1]),
        ] {
            let error = refused(recipe, &grid, &seeds);
            assert!(error.contains(said), "{said}: {error}");
        }
    }

    #[test]
    fn a_plan_is_read_as_it_was_written_and_with_its_own_recipe_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("new/sweep");
        let grid = vec![axis("train.lr=1e-3,2e-3")];
        let sets = vec!["train.steps=5".to_owned()];
        let twice = vec!["train.lr = 5e-3".to_owned()];
        let error = Plan::new("small/lm", grid.clone(), twice, None).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("and `--set train.lr = 5e-3` another"),
            "{error}"
        );
        let renamed = vec![axis("retrain.start=dense,scratch")];
        let old = Plan::new(
            "small/lm",
            renamed,
            vec!["retrain.mode=finetune".to_owned()],
            None,
        );
        assert!(
            old.unwrap_err()
                .to_string()
                .contains("`--set retrain.mode=finetune` another")
        );
        let seeds = vec!["seeds=[4, 5]".to_owned()];
        let both = Plan::new("small/lm", grid.clone(), seeds.clone(), Some(vec![1]));
        assert!(
            both.unwrap_err()
                .to_string()
                .contains("both say which seeds")
        );
        // Their option alone is given to the program.
        let (plan, _) = Plan::new("small/lm", grid.clone(), seeds, None).unwrap();
        let jobs = plan.jobs(&folder);
        assert_eq!(jobs.len(), 4);
        let words = plan.arguments(&folder, &jobs[1]);
        let words: Vec<String> = (words.iter())
            .map(|word| word.to_string_lossy().into())
            .collect();
        assert!(
            words.join(" ").contains("--set train.lr=1e-3 --seeds 5"),
            "{words:?}"
        );
        assert!(
            !words.iter().any(|word| word.starts_with("seeds")),
            "{words:?}"
        );
        let (plan, text) = Plan::new("small/lm", grid, sets, Some(vec![3])).unwrap();
        let said = |result: Result<()>| crate::io::in_one_line(&result.unwrap_err());
        assert!(said(Plan::load(&folder).map(|_| ())).contains("holds no sweep"));
        plan.save(&folder, &text).unwrap();
        assert_eq!(Plan::load(&folder).unwrap(), plan);
        // Where it computes is kept with it, and in no name of a folder; plans of earlier versions say nothing of it.
        let here = Plan {
            place: Place {
                device: Some("cuda:1".parse().unwrap()),
                attention: Some("fused".parse().unwrap()),
                data: Some("/data/a b".into()),
                weights: None,
            },
            ..plan.clone()
        };
        let elsewhere = parent.path().join("elsewhere");
        here.save(&elsewhere, &text).unwrap();
        assert_eq!(Plan::load(&elsewhere).unwrap(), here);
        assert_eq!(here.default_folder(), plan.default_folder());
        let read = |folder: &Path| std::fs::read_to_string(folder.join(PLAN)).unwrap();
        let written = read(&elsewhere);
        for line in [
            "[place]",
            "device = \"cuda:1\"",
            "attention_by = \"fused\"",
            "data = \"/data/a b\"",
        ] {
            assert!(written.lines().any(|of| of == line), "{written}");
        }
        assert!(!read(&folder).contains("place"), "{}", read(&folder));
        let wrong = written.replace("cuda:1", "cudda");
        std::fs::write(elsewhere.join(PLAN), wrong).unwrap();
        assert!(said(Plan::load(&elsewhere).map(|_| ())).contains("did you mean `cuda`?"));
        assert!(said(plan.save(&folder, &text)).contains("--resume"));
        assert!(said(plan.save(parent.path(), &text)).contains("is not empty"));
        std::fs::write(folder.join(BASE), "other").unwrap();
        assert!(said(Plan::load(&folder).map(|_| ())).contains("was changed"));
    }
}
