//! `data.corpus = "files"`: the user's own files in place of a published corpus, and how they are read.

use std::fmt;

use anyhow::{Result, bail, ensure};
use serde::de::{self, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sparta_datasets::classification::ClassificationTask;
use sparta_datasets::files::{
    Fractions, LabelKind, PairRule, Paragraphs, QuestionRule, TableRule, TextRule, Words,
};
use sparta_datasets::tokenize::Language;
use sparta_datasets::{CorpusName, Split};
use sparta_results::Metric;
use toml::{Table, Value};

/// The word in place of a corpus.
pub(super) const FILES: &str = "files";

/// What is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<C> {
    /// A corpus that the program knows.
    Published(C),
    /// The user's own files, given by `--data`.
    Files,
}

impl<C> Source<C> {
    /// The corpus, if it is one that the program knows.
    #[must_use]
    pub fn published(self) -> Option<C> {
        match self {
            Self::Published(corpus) => Some(corpus),
            Self::Files => None,
        }
    }
}

impl Source<CorpusName> {
    /// What it is written in: own files as their section says.
    #[must_use]
    pub fn language(self, own: Option<&PieceFiles>) -> Language {
        match self {
            Self::Published(corpus) => corpus.language(),
            Self::Files => own.map_or(Language::En, |files| files.language),
        }
    }
}

impl Source<ClassificationTask> {
    /// Every task that a recipe can name.
    pub fn tasks() -> impl Iterator<Item = Self> {
        ClassificationTask::all()
            .map(Self::Published)
            .chain([Self::Files])
    }

    /// The spelling in recipes and folders.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Published(task) => task.name(),
            Self::Files => FILES,
        }
    }

    /// The parts that a table reports.
    #[must_use]
    pub fn reported_parts(self) -> Vec<&'static str> {
        match self {
            Self::Published(task) => task.reported_parts(),
            Self::Files => vec![Split::Test.name()],
        }
    }
}

impl fmt::Display for Source<ClassificationTask> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published(task) => task.fmt(f),
            Self::Files => f.write_str("your own files"),
        }
    }
}

impl<C: Serialize> Serialize for Source<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Published(corpus) => corpus.serialize(serializer),
            Self::Files => serializer.serialize_str(FILES),
        }
    }
}

impl<'de, C: Deserialize<'de>> Deserialize<'de> for Source<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name == FILES {
            return Ok(Self::Files);
        }
        let of_name: de::value::StringDeserializer<D::Error> = name.into_deserializer();
        match C::deserialize(of_name) {
            Ok(corpus) => Ok(Self::Published(corpus)),
            Err(error) => Err(de::Error::custom(format!(
                "{}, or `{FILES}` with --data FILE",
                error.to_string().trim_end()
            ))),
        }
    }
}

/// How a user's text is split; the keys of every program that reads running text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Share of a single file's paragraphs for validation.
    pub valid_fraction: f64,
    /// Share for the test.
    pub test_fraction: f64,
    /// Which ones these are.
    pub split_seed: u64,
}

impl HeldOut {
    pub(super) fn check(&self) -> Result<()> {
        let held_out = self.valid_fraction + self.test_fraction;
        ensure!(
            held_out < 1.0,
            "`data.files.valid_fraction` and `data.files.test_fraction` leave nothing to train on: their sum is {held_out}, \
             it must be below 1"
        );
        Ok(())
    }

    /// The same for the reader.
    #[must_use]
    pub fn fractions(&self) -> Fractions {
        Fractions {
            valid: self.valid_fraction,
            test: self.test_fraction,
            seed: self.split_seed,
        }
    }
}

/// Running text that a tokenizer cuts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PieceFiles {
    /// What of one file is held out.
    #[serde(flatten)]
    pub held_out: HeldOut,
    /// What a paragraph is.
    pub paragraphs: Paragraphs,
    /// What it is written in.
    pub language: Language,
}

impl PieceFiles {
    /// The section where a recipe does not have it.
    pub(super) const DEFAULT: &'static str = r#"
        valid_fraction = 0.05
        test_fraction = 0.05
        split_seed = 1
        paragraphs = "lines"
        language = "en"
    "#;

    /// The same for the reader.
    #[must_use]
    pub fn rule(&self) -> TextRule {
        TextRule {
            fractions: self.held_out.fractions(),
            paragraphs: self.paragraphs,
            words: Words::Spaces,
            language: self.language,
            lowercase: false,
        }
    }
}

/// Running text as words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WordFiles {
    /// The text.
    #[serde(flatten)]
    pub text: PieceFiles,
    /// What a word is.
    pub words: Words,
    /// Whether words are brought into lower case.
    pub lowercase: bool,
}

impl WordFiles {
    /// The section where a recipe does not have it.
    pub(super) const DEFAULT: &'static str = r#"
        valid_fraction = 0.05
        test_fraction = 0.05
        split_seed = 1
        paragraphs = "lines"
        language = "en"
        words = "moses"
        lowercase = false
    "#;

    /// The same for the reader.
    #[must_use]
    pub fn rule(&self) -> TextRule {
        TextRule {
            words: self.words,
            lowercase: self.lowercase,
            ..self.text.rule()
        }
    }
}

/// Sentences and their translations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairFiles {
    /// What is held out, where files have no splits of their own.
    #[serde(flatten)]
    pub held_out: HeldOut,
    /// Language that is translated from, the ending of its files.
    pub source: Language,
    /// Language that is translated to.
    pub target: Language,
    /// What a word is.
    pub words: Words,
}

impl PairFiles {
    /// The section where a recipe does not have it.
    pub(super) const DEFAULT: &'static str = r#"
        valid_fraction = 0.05
        test_fraction = 0.05
        split_seed = 1
        source = "de"
        target = "en"
        words = "moses"
    "#;

    /// # Errors
    /// What leaves nothing to train on, or a language that is translated into itself.
    pub(super) fn check(&self) -> Result<()> {
        self.held_out.check()?;
        ensure!(
            self.source != self.target,
            "`data.files.source` and `data.files.target` are both `{}`: the two sides of a pair have files of different endings",
            self.source
        );
        Ok(())
    }

    /// The same for the reader.
    #[must_use]
    pub fn rule(&self, lowercase: bool) -> PairRule {
        PairRule {
            fractions: self.held_out.fractions(),
            source: self.source,
            target: self.target,
            words: self.words,
            lowercase,
        }
    }
}

/// Labelled texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableFiles {
    /// What of one file is held out.
    #[serde(flatten)]
    pub held_out: HeldOut,
    /// Column of the text, or of the first of two.
    pub first: String,
    /// Column of the second text; empty for single texts.
    pub second: String,
    /// Column of the label.
    pub label: String,
    /// What a label is.
    pub labels: LabelKind,
    /// The score: for classes `accuracy`, `f1` (of the second of two) or `matthews`; for numbers `pearson`, `spearman`,
    /// `pearson-spearman` or `mean-squared-error`.
    pub metric: Metric,
}

impl TableFiles {
    /// The section where a recipe does not have it.
    pub(super) const DEFAULT: &'static str = r#"
        valid_fraction = 0.1
        test_fraction = 0.1
        split_seed = 1
        first = "text"
        second = ""
        label = "label"
        labels = "classes"
        metric = "accuracy"
    "#;

    /// # Errors
    /// What leaves nothing to train on, columns that are not three, or a score of other labels.
    pub(super) fn check(&self) -> Result<()> {
        self.held_out.check()?;
        let Self {
            first,
            second,
            label,
            labels,
            metric,
            ..
        } = self;
        ensure!(
            !first.is_empty()
                && !label.is_empty()
                && first != label
                && second != label
                && first != second,
            "`data.files.first`, `data.files.second` and `data.files.label` name the columns of the texts and the label, each another \
             one; found `{first}`, `{second}` and `{label}` (no second text is `\"\"`)"
        );
        let known = match labels {
            LabelKind::Classes => &[Metric::Accuracy, Metric::F1, Metric::Matthews][..],
            LabelKind::Score => &[
                Metric::Pearson,
                Metric::Spearman,
                Metric::PearsonSpearman,
                Metric::MeanSquaredError,
            ],
        };
        let names: Vec<&str> = known.iter().map(|metric| metric.as_str()).collect();
        ensure!(
            known.contains(metric),
            "`data.files.metric = \"{metric}\"` is no score of `data.files.labels = \"{}\"`: use {}",
            match labels {
                LabelKind::Classes => "classes",
                LabelKind::Score => "score",
            },
            names.join(", ")
        );
        Ok(())
    }

    /// Whether an example is two texts.
    #[must_use]
    pub fn is_pair(&self) -> bool {
        !self.second.is_empty()
    }

    /// The same for the reader.
    #[must_use]
    pub fn rule(&self) -> TableRule {
        TableRule {
            fractions: self.held_out.fractions(),
            first: self.first.clone(),
            second: self.is_pair().then(|| self.second.clone()),
            label: self.label.clone(),
            kind: self.labels,
        }
    }
}

/// Questions on paragraphs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QuestionFiles {
    /// Share of a single file's paragraphs that is judged, and not trained on.
    pub valid_fraction: f64,
    /// Which ones these are.
    pub split_seed: u64,
}

impl QuestionFiles {
    /// The section where a recipe does not have it.
    pub(super) const DEFAULT: &'static str = r#"
        valid_fraction = 0.1
        split_seed = 1
    "#;

    /// The same for the reader.
    #[must_use]
    pub fn rule(&self) -> QuestionRule {
        QuestionRule {
            valid: self.valid_fraction,
            seed: self.split_seed,
        }
    }
}

/// The reference with the section of own files.
pub(super) fn with_section(mut reference: Table, section: &Table) -> Table {
    if let Some(Value::Table(data)) = reference.get_mut("data")
        && !section.is_empty()
    {
        data.insert(FILES.to_owned(), Value::Table(section.clone()));
    }
    reference
}

/// Completes the section of own files in a recipe that trains on them, which then has no published rows beside it, and says
/// whether it does; `sets` are the edits that were applied.
///
/// # Errors
/// The section in another recipe; published rows that were asked for.
pub(super) fn settle(recipe: &mut Table, section: &Table, sets: &[String]) -> Result<bool> {
    let is_files = |value: &Value| value.as_str() == Some(FILES);
    let tasks = recipe.get("tasks").and_then(Value::as_array);
    let is_task = tasks.is_some_and(|tasks| tasks.iter().any(is_files));
    let how = match recipe.contains_key("tasks") {
        true => "--tasks files",
        false => "data.corpus = \"files\"",
    };
    let Some(Value::Table(data)) = recipe.get_mut("data") else {
        return Ok(false);
    };
    let own = (is_task || data.get("corpus").is_some_and(is_files)) && !section.is_empty();
    match (own, data.get_mut(FILES)) {
        (false, None) => {}
        (false, Some(_)) => bail!(
            "`data.files` says how your own files are read: it goes with `{how}` and `--data FILE`"
        ),
        (true, None) => {
            data.insert(FILES.to_owned(), Value::Table(section.clone()));
        }
        (true, Some(Value::Table(given))) => {
            for (key, value) in section {
                given.entry(key).or_insert_with(|| value.clone());
            }
        }
        (true, Some(_)) => bail!("`data.files` must be a section, e.g. `[data.files]`"),
    }
    if own && let Some(Value::Table(paper)) = recipe.get_mut("paper") {
        if let Some(set) = sets
            .iter()
            .find(|set| set.trim_start().starts_with("paper."))
        {
            bail!("`--set {set}`: no published table has rows of your own files");
        }
        for (_, value) in paper.iter_mut() {
            *value = Value::String(String::new());
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{GlueRecipe, LmRecipe, MlmRecipe, Recipe, SquadRecipe, TranslationRecipe};

    fn parse<R: Recipe>(sets: &[&str]) -> Result<R> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        R::parse(R::SHIPPED[0].text, &sets)
    }

    #[test]
    fn a_recipe_for_own_files_has_every_key_and_reads_back() {
        let sets = [
            "data.corpus=files",
            "data.files.words=spaces",
            "data.files.language=fr",
        ];
        let recipe: LmRecipe = parse(&sets).unwrap();
        let files = recipe.data.files.as_ref().unwrap();
        assert_eq!(
            (files.words, files.text.language),
            (Words::Spaces, Language::Fr)
        );
        assert_eq!(files.text.held_out.valid_fraction, 0.05);
        assert!(
            recipe
                .to_toml()
                .contains("[data.files]\nvalid_fraction = 0.05\n")
        );
        assert_eq!(LmRecipe::parse(&recipe.to_toml(), &[]).unwrap(), recipe);
        assert_eq!(
            (recipe.paper.table.as_str(), recipe.paper.row.as_str()),
            ("", "")
        );
        let pairs: TranslationRecipe =
            parse(&["data.corpus=files", "data.files.source=nl"]).unwrap();
        assert_eq!(pairs.data.files.as_ref().unwrap().source.code(), "nl");
        assert_eq!(
            TranslationRecipe::parse(&pairs.to_toml(), &[]).unwrap(),
            pairs
        );
        let other: MlmRecipe = parse(&["data.corpus=files"]).unwrap();
        assert_eq!(MlmRecipe::parse(&other.to_toml(), &[]).unwrap(), other);
    }

    #[test]
    fn questions_of_ones_own_have_a_side_that_is_judged() {
        let sets = ["data.corpus=files", "data.files.valid_fraction=0.3"];
        let recipe: SquadRecipe = parse(&sets).unwrap();
        assert_eq!(recipe.data.files.unwrap().rule().valid, 0.3);
        assert_eq!(SquadRecipe::parse(&recipe.to_toml(), &[]).unwrap(), recipe);
        for (sets, said) in [
            (
                &["data.files.split_seed=2"][..],
                "it goes with `data.corpus = \"files\"`",
            ),
            (
                &["data.corpus=files", "data.files.test_fraction=0.1"],
                "unknown key `data.files.test_fraction`",
            ),
            (&["data.corpus=file"], "or `files` with --data FILE"),
        ] {
            let error = format!("{:#}", parse::<SquadRecipe>(sets).unwrap_err());
            assert!(error.contains(said), "{sets:?}: {error}");
        }
    }

    #[test]
    fn a_table_of_ones_own_is_a_task() {
        let recipe: GlueRecipe = parse(&["tasks=[\"files\"]", "data.files.second=reply"]).unwrap();
        assert!(recipe.data.files.as_ref().unwrap().is_pair());
        assert_eq!(GlueRecipe::parse(&recipe.to_toml(), &[]).unwrap(), recipe);
        for (sets, said) in [
            (&["data.files.label=x"][..], "it goes with `--tasks files`"),
            (
                &["tasks=[\"files\", \"rte\"]"],
                "`tasks` names your own files beside others",
            ),
            (
                &["tasks=[\"files\"]", "data.files.label=text"],
                "each another one; found `text`, `` and `text`",
            ),
            (
                &["tasks=[\"files\"]", "data.files.labels=score"],
                "`data.files.metric = \"accuracy\"` is no score of `data.files.labels = \"score\"`: use pearson, ",
            ),
        ] {
            let error = format!("{:#}", parse::<GlueRecipe>(sets).unwrap_err());
            assert!(error.contains(said), "{sets:?}: {error}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        for (sets, said) in [
            (
                &["data.files.words=moses"][..],
                "it goes with `data.corpus = \"files\"`",
            ),
            (
                &["data.corpus=files", "data.files.word=moses"],
                "unknown key `data.files.word`; did you mean `data.files.words`?",
            ),
            (
                &["data.corpus=files", "data.files.words=bytes"],
                "`data.files.words`: unknown variant `bytes`",
            ),
            (
                &["data.corpus=files", "data.files.language=tlh"],
                "`data.files.language`: unknown language `tlh`",
            ),
            (
                &["data.corpus=files", "data.files.valid_fraction=1"],
                "`data.files.valid_fraction` must be",
            ),
            (
                &[
                    "data.corpus=files",
                    "data.files.valid_fraction=0.5",
                    "data.files.test_fraction=0.5",
                ],
                "leave nothing to train on",
            ),
            (&["data.corpus=file"], "or `files` with --data FILE"),
            (
                &["data.corpus=files", "paper.row=x"],
                "no published table has rows of your own files",
            ),
        ] {
            let error = format!("{:#}", parse::<LmRecipe>(sets).unwrap_err());
            assert!(error.contains(said), "{sets:?}: {error}");
        }
    }
}
