//! Recipes: everything that determines a result, as typed TOML; only keys that came later have defaults.
//!
//! A recipe is read in three tiers: the text (shipped or from a file) with `--set` applied is a
//! table; the table is compared with the reference recipe of its task (`recipes/small/lm.toml`, `iwslt.toml`,
//! `glue.toml`, `squad.toml`, `mlm.toml`, which have every key), so that an unknown, missing or mistyped key
//! is named with its full path; each number has a range; what passes becomes a typed [`Recipe`], whose numbers
//! are then checked against each other.

/// The sections that recipes have in common, where [`Recipe`] asks for them.
macro_rules! sections {
    () => {
        fn heading(&self) -> &Heading {
            &self.heading
        }

        fn heading_mut(&mut self) -> &mut Heading {
            &mut self.heading
        }

        fn masks(&self) -> &Masks {
            &self.prune.masks
        }

        fn masks_mut(&mut self) -> &mut Masks {
            &mut self.prune.masks
        }

        fn threshold(&self) -> Threshold {
            self.prune.threshold
        }

        fn retrain_start(&self) -> RetrainStart {
            self.retrain.start
        }

        fn lr(&self) -> f64 {
            self.train.optimizer.lr
        }

        fn retrain_lr(&self) -> Option<f64> {
            self.retrain.lr()
        }

        fn precision(&self) -> sparta_model::Precision {
            self.train.optimizer.precision
        }
    };
}

mod edit;
pub mod encoder;
pub mod files;
pub mod glue;
mod idle;
pub mod lm;
mod misfit;
pub mod mlm;
mod needs;
mod ranges;
#[cfg(test)]
mod reference;
mod renamed;
mod sections;
mod shape;
mod shipped;
pub mod squad;
pub mod translation;
mod words;

pub use edit::{apply_set, key_of};
pub use encoder::EncoderRecipe;
pub use files::Source;
pub use glue::GlueRecipe;
pub use lm::LmRecipe;
pub use mlm::MlmRecipe;
pub use needs::{AnyCorpus, Needs};
pub(crate) use ranges::MAX_BEAM;
pub use renamed::{OldValues, Renamed};
pub use sections::{
    Heading, Intervals, Masks, Optimizer, Prune, Retrain, Threshold, Warmup, WarmupFraction,
    WarmupSteps, Weigh,
};
pub use shape::check_shape;
pub use shipped::{ALL_SHIPPED, ProgramRecipes, Shipped, find_shipped};
pub use squad::SquadRecipe;
pub use translation::TranslationRecipe;
pub use words::{LayoutName, OptimizerName, RetrainStart, RowsName};

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sparta_model::Precision;

use crate::io::read_text;

/// Everything that determines the table of one task, by TOML keys.
pub trait Recipe: Clone + Serialize + DeserializeOwned {
    /// The program that runs it.
    const PROGRAM: &'static str;
    /// The recipes that ship with it; the first is the default and the reference for every key.
    const SHIPPED: &'static [Shipped];
    /// Keys that had another name in earlier recipes.
    const RENAMED: &'static [Renamed] = &[];

    /// The section `data.files` with the values that stand where a recipe for own files does not say; none where a task has no
    /// such recipes.
    const FILES: &'static str = "";

    /// Name and seeds.
    fn heading(&self) -> &Heading;

    /// Name and seeds, to change them.
    fn heading_mut(&mut self) -> &mut Heading;

    /// Which masks the models are trained under.
    fn masks(&self) -> &Masks;

    /// Which masks, to change them.
    fn masks_mut(&mut self) -> &mut Masks;

    /// How the masks are made.
    fn threshold(&self) -> Threshold;

    /// Where training under a mask starts.
    fn retrain_start(&self) -> RetrainStart;

    /// `train.lr`.
    fn lr(&self) -> f64;

    /// `retrain.lr`, where training under a mask has a learning rate of its own.
    fn retrain_lr(&self) -> Option<f64>;

    /// The type that its networks multiply matrices and attend in, when they are trained, observed and scored.
    fn precision(&self) -> Precision;

    /// What it reads that is not in it.
    ///
    /// # Errors
    /// A corpus that there is not, with those that there are.
    fn needs(&self) -> Result<Needs>;

    /// Name of the table, and of its run folder.
    fn table(&self) -> &str {
        &self.heading().table
    }

    /// What stands in the rows of the table.
    fn layout(&self) -> LayoutName {
        self.heading().layout
    }

    /// Seeds to run; outside the recipe hash.
    fn seeds(&self) -> &[u64] {
        &self.heading().seeds
    }

    /// Replaces the seeds.
    fn set_seeds(&mut self, seeds: Vec<u64>) {
        self.heading_mut().seeds = seeds;
    }

    /// Chooses the data sets that a run folder has models of, by the folders in those of its seeds, where the choice of
    /// data sets is no part of what makes a run.
    fn choose_found(&mut self, _folders: &[String]) {}

    /// Checks numbers against each other.
    ///
    /// # Errors
    /// Names the keys that do not go together.
    fn validate(&self) -> Result<()>;

    /// That the published tables which it names are there.
    ///
    /// # Errors
    /// A name that is none, with those that are.
    fn check_published(&self) -> Result<()> {
        Ok(())
    }

    /// That no edit which was typed (`sets`) is overruled by another key.
    ///
    /// # Errors
    /// The key that would do nothing, and the edit that goes with it.
    fn check_overruled(&self, _sets: &[String]) -> Result<()> {
        Ok(())
    }

    /// Reads a recipe: the name of a shipped one (`small/lm`) or the path of a TOML file, with
    /// `--set key=value` edits applied.
    ///
    /// # Errors
    /// Names the key (and the nearest known one), what was expected and what was found.
    fn load(name_or_path: &str, sets: &[String]) -> Result<Self> {
        match find_shipped(Self::SHIPPED, name_or_path) {
            Some(shipped) => Self::parse(shipped.text, sets)
                .with_context(|| edited(format!("recipe `{}`", shipped.name), sets)),
            None => {
                let path = Path::new(name_or_path);
                if !path.is_file() {
                    bail!("{}", unknown_recipe(Self::SHIPPED, name_or_path));
                }
                Self::open(path, sets)
            }
        }
    }

    /// Reads the recipe of a file; see [`Recipe::load`]. The path may be anything that the system takes for one, UTF-8 or not.
    ///
    /// # Errors
    /// A file that cannot be read, and as [`Recipe::load`].
    fn open(path: &Path, sets: &[String]) -> Result<Self> {
        let text = read_text(path)
            .with_context(|| format!("cannot read the recipe {}", path.display()))?;
        Self::parse(&text, sets).with_context(|| edited(path.display().to_string(), sets))
    }

    /// Parses recipe text with `--set` edits; see [`Recipe::load`].
    ///
    /// # Errors
    /// As [`Recipe::load`].
    fn parse(text: &str, sets: &[String]) -> Result<Self> {
        let mut table: toml::Table = text
            .parse()
            .map_err(|e: toml::de::Error| anyhow::anyhow!("not valid TOML: {}", one_line(&e)))?;
        let reference: toml::Table = Self::SHIPPED[0]
            .text
            .parse()
            .context("the reference recipe is broken")?;
        for renamed in Self::RENAMED {
            renamed.read(&mut table)?;
        }
        let section: toml::Table = Self::FILES
            .parse()
            .context("the section of own files is broken")?;
        let with_files = files::with_section(reference.clone(), &section);
        for set in sets {
            apply_set(&mut table, set, &with_files, Self::RENAMED)?;
        }
        let reference = match files::settle(&mut table, &section, sets)? {
            true => with_files,
            false => reference,
        };
        check_shape(&table, &reference, Self::SHIPPED[0].name)?;
        ranges::check(&table)?;
        let recipe: Self = misfit::read(table, reference)?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// Checks a recipe that new runs are made by, for keys that would only change their name: one that runs were made by
    /// stays what it is.
    ///
    /// # Errors
    /// The key, and what to give in its place.
    fn check_new(&self, name_or_path: &str, sets: &[String]) -> Result<()> {
        let is_file = find_shipped(Self::SHIPPED, name_or_path).is_none();
        if is_file || sets.iter().any(|set| key_of(set).starts_with("paper.")) {
            let checked = self.check_published();
            checked.with_context(|| edited(format!("recipe `{name_or_path}`"), sets))?;
        }
        self.check_overruled(sets)
    }

    /// The resolved recipe as TOML: every key, edits applied.
    ///
    /// # Panics
    /// Never: a recipe holds only values TOML can write.
    #[must_use]
    fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe is always representable in TOML")
    }

    /// The recipe without the keys that only choose which of its runs to make.
    #[must_use]
    fn without_choice(&self) -> Self {
        let mut one = self.clone();
        one.set_seeds(Vec::new());
        one.masks_mut().clear_added();
        one.heading_mut().interrogatives.clear();
        one
    }

    /// Adds the runs that another recipe with the same hash chooses to those that this one does; of keys that `is_settled`
    /// the choice stays as it is.
    fn add_choice(&mut self, of: &Self, is_settled: &dyn Fn(&str) -> bool) {
        add_seeds_and_masks(self, of, is_settled);
    }

    /// Options that make the same choice of runs again, masks that are added to a folder included.
    #[must_use]
    fn choice(&self) -> String {
        seeds_and_masks(self)
    }

    /// Hash of everything that determines the results of a run (all keys but `seeds` and, where there are
    /// such, `tasks`, `prune.block_sizes` and `prune.weigh`), 64 hex digits; two recipes with one hash give the same bits on flex.
    #[must_use]
    fn hash(&self) -> String {
        let text = self.without_choice().to_toml();
        let text = Self::RENAMED
            .iter()
            .fold(text, |text, renamed| renamed.write_as_before(&text));
        sparta_datasets::source::sha256(text.as_bytes())
    }
}

fn unknown_recipe(shipped: &[Shipped], name: &str) -> String {
    let other = ALL_SHIPPED
        .iter()
        .find_map(|of| Some((of.program, find_shipped(of.shipped, name)?)));
    if let Some((program, found)) = other {
        return format!(
            "`{}` is a recipe of another program: `{program} --recipe {}`",
            found.name, found.name
        );
    }
    let names: Vec<_> = shipped.iter().map(|s| s.name).collect();
    let hint = nearest(name, names.iter().copied())
        .map(|n| format!("; did you mean `{n}`?"))
        .unwrap_or_default();
    format!(
        "no recipe `{name}`: it is neither a file nor one of the shipped recipes {}{hint}",
        names.join(", ")
    )
}

/// The known word nearest to `word`, when one is near enough to be a slip.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(word, k), k))
        .filter(|(score, _)| *score > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}

/// First line of serde's message, without the source excerpt that TOML puts around it.
fn one_line(error: &toml::de::Error) -> String {
    error.message().lines().collect::<Vec<_>>().join(" ")
}

/// A recipe by its name, with what was set of it: either may be wrong.
fn edited(name: String, sets: &[String]) -> String {
    match sets {
        [] => name,
        _ => format!("{name} with `--set {}`", sets.join("`, `--set ")),
    }
}

/// Adds the seeds and masks that another recipe chooses, and takes its words that ask.
fn add_seeds_and_masks<R: Recipe>(recipe: &mut R, of: &R, is_settled: &dyn Fn(&str) -> bool) {
    let heading = recipe.heading_mut();
    if !is_settled("seeds") {
        add_to(&mut heading.seeds, &of.heading().seeds);
    }
    let words = &of.heading().interrogatives;
    if !is_settled("interrogatives") && !words.is_empty() {
        heading.interrogatives.clone_from(words);
    }
    recipe.masks_mut().add(of.masks(), is_settled);
}

/// Adds what a list lacks of another, in the order of that one.
fn add_to<T: PartialEq + Clone>(list: &mut Vec<T>, others: &[T]) {
    for other in others {
        if !list.contains(other) {
            list.push(other.clone());
        }
    }
}

/// The choice of seeds and of added masks, as options.
fn seeds_and_masks(recipe: &impl Recipe) -> String {
    let seeds: Vec<String> = recipe.seeds().iter().map(u64::to_string).collect();
    let added = recipe.masks().added().into_iter();
    let added: String = added.map(|set| format!(" --set {set}")).collect();
    format!("--seeds {}{added}", seeds.join(","))
}
