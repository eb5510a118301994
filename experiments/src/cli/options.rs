//! Options of several programs, and the request they make.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, ensure};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use sparta_ops::attention::Implementation;

use super::program::{self, Unused, once};
use crate::analysis::program_of_text;
use crate::device::{DeviceChoice, SPELLINGS};
use crate::io::{read_text, refuse_file};
use crate::protocol::{Request, RunFolder, Stage};
use crate::recipe::{Recipe, Weigh, key_of};
use crate::version::typed;

/// What every program by a recipe is asked.
#[derive(Debug, Clone, Args)]
pub(super) struct Common {
    // Its help names the program's recipes; see `program::command`.
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) recipe: Option<String>,
    #[arg(long, value_name = "DEVICE", help = format!("{SPELLINGS} [default: auto]"))]
    device: Option<DeviceChoice>,
    /// The implementation of attention: reference holds all scores, fused skips what is zero [default: auto]
    #[arg(long, value_name = "WHICH", value_parser = implementation())]
    attention_by: Option<Implementation>,
    /// Change a key of the recipe, e.g. --set train.lr=0.002 (repeatable; of one key the last counts)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// Seeds instead of the recipe's, e.g. --seeds 1,2,3
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Resolve, open the device, try two batches, print the cost; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on with a run folder that exists; what is finished is kept, and the seeds and rows that are added are kept with it
    #[arg(long)]
    resume: bool,
    /// Go on beside records of another build, and average runs of several builds
    #[arg(long)]
    mixed: bool,
    /// Run folder [default: runs/<table>-<recipe hash>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder with the corpus files as published; with `--set data.corpus=files` your own file, or a folder of train, valid and
    /// test files
    #[arg(long, visible_alias = "from", value_name = "PATH")]
    data: Option<PathBuf>,
    /// Say at the end where this process's time went, and write it to the run folder: profile.csv, after `--resume` profile-2.csv
    /// (times of CPUs: a GPU computes later)
    #[arg(long)]
    profile: bool,
    /// No progress output
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// What programs for a pretrained encoder are asked besides.
#[derive(Debug, Clone, Args)]
pub(super) struct Encoder {
    /// Folder with pretrained weights: config.json, model.safetensors or pytorch_model.bin, and
    /// tokenizer.json or vocab.txt [default: those that `prepare` downloaded for the recipe's network]
    #[arg(long, value_name = "DIR")]
    pub(super) weights: Option<PathBuf>,
}

/// Names of implementations, as they are spelled everywhere.
pub(super) fn implementation() -> impl TypedValueParser<Value = Implementation> {
    let names = PossibleValuesParser::new(Implementation::ALL.map(Implementation::as_str));
    names.try_map(|name| name.parse::<Implementation>())
}

impl program::Options for Common {
    fn with(self, after: Self) -> Result<Self, &'static str> {
        Ok(Self {
            recipe: once("--recipe", self.recipe, after.recipe)?,
            device: once("--device", self.device, after.device)?,
            attention_by: once("--attention-by", self.attention_by, after.attention_by)?,
            sets: [self.sets, after.sets].concat(),
            seeds: once("--seeds", self.seeds, after.seeds)?,
            dry_run: self.dry_run || after.dry_run,
            resume: self.resume || after.resume,
            mixed: self.mixed || after.mixed,
            out: once("--out", self.out, after.out)?,
            data: once("--data", self.data, after.data)?,
            profile: self.profile || after.profile,
            quiet: self.quiet || after.quiet,
        })
    }
}

impl program::Options for Encoder {
    fn with(self, after: Self) -> Result<Self, &'static str> {
        let weights = once("--weights", self.weights, after.weights)?;
        Ok(Self { weights })
    }
}

impl Common {
    /// The device that was named.
    pub(super) fn device(&self) -> DeviceChoice {
        self.device.unwrap_or_default()
    }

    /// The recipe: the one that was named, or that of the run folder, or the first that ships.
    ///
    /// # Errors
    /// A recipe that cannot be, or that is not the run folder's.
    fn recipe<R: Recipe>(&self) -> Result<R> {
        if let Some(out) = &self.out {
            refuse_file(out, "--out")?;
        }
        let folder = self.out.clone().map(RunFolder::at);
        if let Some(folder) = &folder {
            self.refuse_nothing_to_resume(folder)?;
        }
        let own = folder
            .as_ref()
            .map(RunFolder::recipe)
            .filter(|path| path.is_file());
        let mut recipe = match (&self.recipe, own) {
            (Some(name), _) => {
                let read = R::load(name, &self.sets);
                read.map_err(|error| of_other_program::<R>(Path::new(name), error))?
            }
            (None, Some(path)) => {
                let read = R::open(&path, &self.sets);
                read.map_err(|error| of_other_program::<R>(&path, error))?
            }
            (None, None) => R::load(R::SHIPPED[0].name, &self.sets)?,
        };
        if let Some(seeds) = self.seeds.clone() {
            self.refuse_twice("seeds")?;
            recipe.set_seeds(seeds);
            recipe.validate()?;
        }
        let folder = folder.unwrap_or_else(|| RunFolder::of(&recipe, None));
        self.refuse_nothing_to_resume(&folder)?;
        folder.check(&recipe)?;
        if !folder.is_run() {
            let name = self.recipe.as_deref().unwrap_or(R::SHIPPED[0].name);
            recipe.check_new(name, &self.sets)?;
        }
        self.add_choice_of(&folder, &mut recipe)?;
        Ok(recipe)
    }

    /// Adds the runs that are kept with a run folder to those of a recipe with the same hash, but of keys that are typed:
    /// what is typed is the choice of this call.
    fn add_choice_of<R: Recipe>(&self, folder: &RunFolder, recipe: &mut R) -> Result<()> {
        let Some(kept) = folder.recipe_there::<R>()? else {
            return Ok(());
        };
        let is_typed = |key: &str| self.sets(key) || (key == "seeds" && self.seeds.is_some());
        // It has no empty choice: where a recipe does not say, that of the run counts.
        if !is_typed("prune.weigh") && recipe.masks().weigh == Weigh::default() {
            recipe.masks_mut().weigh = kept.masks().weigh.clone();
        }
        recipe.add_choice(&kept, &is_typed);
        recipe.validate()
    }

    /// That `--resume` has a run to go on with. A command that names its recipe may begin it: it is the same every time that
    /// a scheduler starts it.
    ///
    /// # Errors
    /// A folder without a run, with the runs of like names beside it.
    fn refuse_nothing_to_resume(&self, folder: &RunFolder) -> Result<()> {
        match self.resume && self.recipe.is_none() {
            true => folder.ensure_run(
                "--resume",
                "leave out `--resume` to begin one (with `--recipe NAME`, `--resume` does either)",
            ),
            false => Ok(()),
        }
    }

    /// That a key which has an option of its own is not set besides it.
    ///
    /// # Errors
    /// Both, and that one is enough.
    pub(super) fn refuse_twice(&self, key: &str) -> Result<()> {
        ensure!(
            !self.sets(key),
            "`--{key}` and `--set {key}=…` both say which {key}; leave one of them out"
        );
        Ok(())
    }

    /// Whether a key is set on the command line.
    fn sets(&self, key: &str) -> bool {
        self.sets.iter().any(|set| key_of(set) == key)
    }

    /// The request for a stage.
    ///
    /// # Errors
    /// A recipe that cannot be.
    pub(super) fn request<R: Recipe>(self, stage: Option<Stage>) -> Result<Request<R>> {
        Ok(Request {
            stage: stage.unwrap_or(Stage::Reproduce),
            recipe: self.recipe()?,
            device: self.device(),
            attention: self.attention_by.unwrap_or_default(),
            dry_run: self.dry_run,
            only_seeds: self.seeds.is_some() || self.sets("seeds"),
            only_tasks: self.sets("tasks"),
            resume: self.resume,
            is_mixed: self.mixed,
            out: self.out,
            data: self.data,
            weights: None,
            profile: self.profile,
            quiet: self.quiet,
        })
    }
}

/// Of a recipe that cannot be read: whether it is one of another program.
fn of_other_program<R: Recipe>(path: &Path, error: anyhow::Error) -> anyhow::Error {
    let text = read_text(path).unwrap_or_default();
    match program_of_text(path, &text) {
        Ok(program) if program.as_str() != R::PROGRAM => anyhow!(
            "{} is a recipe of another program: `{program} --recipe {}`",
            path.display(),
            typed(path)
        ),
        _ => error,
    }
}

/// What `prepare` has no use for.
pub(super) const PREPARE: Unused = Unused {
    subcommand: "prepare",
    options: &[
        "device",
        "attention_by",
        "dry_run",
        "resume",
        "mixed",
        "profile",
    ],
    because: "it reads data and writes them to the run folder, and computes nothing",
};

/// What `report` has no use for.
pub(super) const REPORT: Unused = Unused {
    subcommand: "report",
    options: &[
        "device",
        "attention_by",
        "dry_run",
        "resume",
        "data",
        "weights",
        "profile",
    ],
    because: "it makes the table from the records of a run folder alone",
};

/// What a trained model on standard input has no use for.
const MODEL: &[&str] = &[
    "recipe",
    "attention_by",
    "sets",
    "seeds",
    "dry_run",
    "resume",
    "mixed",
    "profile",
    "out",
    "data",
    "weights",
    "tasks",
];

/// What `iwslt translate` has no use for.
pub(super) const TRANSLATE: Unused = Unused {
    subcommand: "translate",
    options: MODEL,
    because: "the run folder of `--model` has its recipe and dictionaries",
};

/// What `lm score` has no use for.
pub(super) const SCORE: Unused = Unused {
    subcommand: "score",
    options: MODEL,
    because: "the run folder of `--model` has its recipe and vocabulary",
};

/// What `glue predict` has no use for.
pub(super) const PREDICT: Unused = Unused {
    subcommand: "predict",
    options: MODEL,
    because: "the run folder of `--model` has its recipe, task and tokenizer",
};

/// What `squad answer` has no use for.
pub(super) const ANSWER: Unused = Unused {
    subcommand: "answer",
    options: MODEL,
    because: "the run folder of `--model` has its recipe and tokenizer",
};

/// What `squad measure` has no use for.
pub(super) const MEASURE: Unused = Unused {
    subcommand: "measure",
    options: &[
        "seeds", "dry_run", "resume", "mixed", "out", "data", "profile",
    ],
    because: "it times training steps of new weights on synthetic tokens, and writes nothing",
};
