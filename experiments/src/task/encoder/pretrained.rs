//! Pretrained weights with their sizes and tokenizer: shipped, from the folder `--weights`, or found by name.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sparta_datasets::source::cache_dir;
use sparta_datasets::tokenize::pretrained::Tokenizer;
use sparta_model::bert::BertConfig;
use sparta_model::import::{PublishedBert, Weights, read_bert_config};
use sparta_ops::attention::Implementation;

use super::weights::{self, CONFIG, Folder, Owner, WEIGHTS};
use super::{network, shipped};
use crate::io::{read_text, write_text};
use crate::protocol::{Fetch, Request, RunFolder, data_files};
use crate::recipe::encoder::{EncoderModelRecipe, NetworkName};
use crate::train::short;

/// What a run was started from; written when the run folder is first used.
const NOTE: &str = "encoder.json";
const TOKENIZER: &str = "tokenizer.json";

/// Where the user says that files are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// Folder of the weights.
    pub weights: Option<PathBuf>,
    /// Folder of the corpus.
    pub data: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    network: NetworkName,
    origin: String,
    sha256: String,
    tokenizer: String,
    sources: Sources,
}

/// A pretrained encoder.
pub struct Pretrained {
    /// Its sizes, with the recipe's dropout.
    pub config: BertConfig,
    /// Its weights; none in a dry run without them.
    pub weights: Option<Weights>,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Where it is from, in words.
    pub origin: String,
    sha256: String,
    /// Sizes and tokenizer, for the run folder: names and contents of files.
    files: Vec<(&'static str, String)>,
}

impl Pretrained {
    /// The same with attention computed by one implementation.
    pub fn computed_by(mut self, attention: Implementation) -> Self {
        self.config = self.config.with_implementation(attention);
        self
    }

    /// Reads the network of a recipe: from `--weights`, from where its name leads, or as it ships. Weights that are
    /// nowhere are downloaded only if `fetch` allows it.
    ///
    /// # Errors
    /// Weights that cannot be had, and how to get them; a file that is missing, altered or damaged; sizes and a tokenizer
    /// that do not belong to the network.
    pub fn open(model: &EncoderModelRecipe, sources: &Sources, fetch: Fetch) -> Result<Self> {
        let network = model.network;
        if let Some(dir) = &sources.weights {
            return Self::read(model, dir).with_context(|| format!("--weights {}", dir.display()));
        }
        if network.is_shipped() {
            return Self::shipped(model);
        }
        let folder = match (sources.found_by_name(network), fetch) {
            (Some(folder), _) => folder,
            (None, Fetch::Allowed { quiet }) => weights::fetch(network, quiet)?,
            (None, Fetch::Never) => bail!(weights::missing(network)),
        };
        folder.check_unchanged()?;
        let mut pretrained = Self::read(model, &folder.dir).with_context(|| {
            let dir = folder.dir.display();
            match folder.owner {
                Owner::User | Owner::Hub => format!("weights in {dir}"),
                // An error page, for example, came in their place.
                Owner::Sparta => {
                    format!("weights in {dir} (to download them anew, delete the folder and run `prepare`)")
                }
            }
        })?;
        match folder.owner {
            Owner::User | Owner::Sparta => {}
            Owner::Hub => pretrained.origin += ", of the cache of Hugging Face's programs",
        }
        Ok(pretrained)
    }

    fn shipped(model: &EncoderModelRecipe) -> Result<Self> {
        let text = std::str::from_utf8(shipped::TOKENIZER).context("the shipped tokenizer")?;
        Ok(Self {
            config: network::config(shipped::config(), model),
            weights: Some(shipped::weights()?),
            tokenizer: Tokenizer::from_json(text, shipped::NAME)?,
            origin: format!("{}, shipped", shipped::NAME),
            sha256: shipped::NAME.to_owned(),
            files: vec![(TOKENIZER, text.to_owned())],
        })
    }

    fn read(model: &EncoderModelRecipe, dir: &Path) -> Result<Self> {
        let (sizes, json) = read_sizes(dir)?;
        check_sizes(&sizes.config, model.network)?;
        let Some(path) = WEIGHTS
            .iter()
            .map(|name| dir.join(name))
            .find(|p| p.is_file())
        else {
            bail!("neither {} nor {} is there", WEIGHTS[0], WEIGHTS[1]);
        };
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let sha256 = sparta_datasets::source::sha256(&bytes);
        drop(bytes);
        let tokenizer = Tokenizer::open(dir, None)?;
        let read = |name: &'static str| {
            let path = dir.join(name);
            let text =
                read_text(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok((name, text))
        };
        let names = Tokenizer::files_of(dir).into_iter();
        let mut files: Vec<_> = names.map(read).collect::<Result<_>>()?;
        files.push((CONFIG, json));
        let assumed = sizes.assumed.map(|text| format!("; {text}"));
        let pretrained = Self {
            config: network::config(sizes.config, model),
            weights: Some(Weights::read(&path)?),
            tokenizer,
            origin: format!(
                "{} ({}){}",
                path.display(),
                short(&sha256),
                assumed.unwrap_or_default()
            ),
            sha256,
            files,
        };
        pretrained.check_tokenizer()?;
        Ok(pretrained)
    }

    /// The sha256 of the file of its weights, which records name.
    pub fn weights_hash(&self) -> String {
        match self.sha256.as_str() {
            shipped::NAME => shipped::sha256(),
            of_file => of_file.to_owned(),
        }
    }

    fn check_tokenizer(&self) -> Result<()> {
        let (found, expected) = (self.tokenizer.vocab_size(), self.config.vocab_size);
        ensure!(
            found <= expected,
            "the tokenizer has {found} tokens, but the network has vectors for {expected}: they do not \
             belong together"
        );
        Ok(())
    }

    /// The sizes of a network alone, for when its weights are not at hand, and the shipped tokenizer.
    /// Where the name does not say them, they are those of the `config.json` in `dir`.
    ///
    /// # Errors
    /// No or another `config.json` where it is needed.
    pub fn sizes(model: &EncoderModelRecipe, dir: &Path) -> Result<Self> {
        let sizes = match network::published(model.network) {
            Some(sizes) => sizes,
            None => read_sizes(dir)?.0.config,
        };
        Ok(Self {
            config: network::config(sizes, model),
            weights: None,
            origin: "random, the published ones are not at hand".to_owned(),
            ..Self::shipped(model)?
        })
    }

    /// [`Pretrained::open`] without a download, or for a network whose weights are not at hand its sizes alone.
    ///
    /// # Errors
    /// As [`Pretrained::open`] with weights.
    pub fn open_or_sizes(model: &EncoderModelRecipe, sources: &Sources) -> Result<Self> {
        let network = model.network;
        let is_at_hand = sources.weights.is_some()
            || network.is_shipped()
            || sources.found_by_name(network).is_some();
        match network::published(network) {
            Some(_) if !is_at_hand => Self::sizes(model, Path::new("")),
            Some(_) | None => Self::open(model, sources, Fetch::Never),
        }
    }

    /// Writes the tokenizer and what the run started from, or checks that they are the same.
    ///
    /// # Errors
    /// Other weights or another tokenizer than those the run was started with.
    pub fn enter(&self, network: NetworkName, folder: &RunFolder, sources: &Sources) -> Result<()> {
        let path = folder.data().join(NOTE);
        let tokenizer = self.tokenizer.hash();
        if path.exists() {
            let note = Note::load(&path)?;
            ensure!(
                note.sha256 == self.sha256 && note.tokenizer == tokenizer,
                "this run was started from {} and these are other weights or another tokenizer \
                 ({}); give those by `--weights DIR`, or start a new run folder with `--out DIR`",
                note.origin,
                self.origin
            );
            return Ok(());
        }
        data_files::check_weights(folder, &self.weights_hash())?;
        let dir = folder.data();
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("cannot make the folder {}", dir.display()))?;
        for (name, content) in &self.files {
            write_text(&dir.join(name), content)?;
        }
        let note = Note {
            network,
            origin: self.origin.clone(),
            sha256: self.sha256.clone(),
            tokenizer,
            sources: sources.absolute()?,
        };
        let text = serde_json::to_string_pretty(&note).context("cannot write encoder.json")?;
        write_text(&path, &(text + "\n"))
    }

    /// Sizes and tokenizer as a run folder has them, without weights.
    ///
    /// # Errors
    /// A folder without them, or files that are damaged.
    pub fn of_run(model: &EncoderModelRecipe, folder: &RunFolder, program: &str) -> Result<Self> {
        let path = folder.data().join(NOTE);
        ensure!(
            path.exists(),
            "no tokenizer in {}; run `{program}` with the same `--recipe` and `--out` first",
            folder.data().display()
        );
        let note = Note::load(&path)?;
        let sizes = match network::published(note.network) {
            Some(sizes) => sizes,
            None => read_sizes(&folder.data())?.0.config,
        };
        let pretrained = Self {
            config: network::config(sizes, model),
            weights: None,
            tokenizer: Tokenizer::open(&folder.data(), None)?,
            origin: note.origin,
            sha256: note.sha256,
            files: Vec::new(),
        };
        pretrained.check_tokenizer()?;
        Ok(pretrained)
    }
}

impl Note {
    fn load(path: &Path) -> Result<Self> {
        let text = read_text(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is damaged; start a new run folder with `--out DIR`",
                path.display()
            )
        })
    }
}

impl Sources {
    /// What was typed.
    pub fn of<R>(request: &Request<R>) -> Self {
        Self {
            weights: request.weights.clone(),
            data: request.data.clone(),
        }
    }

    /// The same places, whatever the working directory is.
    fn absolute(&self) -> Result<Self> {
        let of = |path: &Option<PathBuf>| -> Result<Option<PathBuf>> {
            let absolute = path.as_deref().map(std::path::absolute);
            absolute.transpose().context("cannot name a folder")
        };
        Ok(Self {
            weights: of(&self.weights)?,
            data: of(&self.data)?,
        })
    }

    /// The folder to which the name of a network leads.
    fn found_by_name(&self, network: NetworkName) -> Option<Folder> {
        let cache = cache_dir().ok();
        weights::find(network, self.data.as_deref(), cache.as_deref())
    }

    /// What was typed, and where nothing was what the run folder remembers.
    ///
    /// # Errors
    /// A note that is damaged.
    pub fn or_remembered(self, folder: &RunFolder) -> Result<Self> {
        let path = folder.data().join(NOTE);
        if !path.exists() {
            return Ok(self);
        }
        let Sources { weights, data } = Note::load(&path)?.sources;
        Ok(Self {
            weights: self.weights.or(weights),
            data: self.data.or(data),
        })
    }
}

/// The `config.json` of a folder, read and as it is.
fn read_sizes(dir: &Path) -> Result<(PublishedBert, String)> {
    let path = dir.join(CONFIG);
    let json = read_text(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let sizes = read_bert_config(&json).with_context(|| path.display().to_string())?;
    Ok((sizes, json))
}

/// That a published configuration is the one the recipe names, where the name says its sizes.
fn check_sizes(found: &BertConfig, network: NetworkName) -> Result<()> {
    let Some(expected) = network::published(network) else {
        return Ok(());
    };
    let sizes = |config: &BertConfig| {
        [
            ("vocab_size", config.vocab_size),
            ("hidden_size", config.d_model),
            ("num_attention_heads", config.n_heads),
            ("intermediate_size", config.d_ff),
            ("num_hidden_layers", config.n_layers),
            ("max_position_embeddings", config.max_len),
            ("type_vocab_size", config.n_token_types),
        ]
    };
    for ((key, found), (_, expected)) in sizes(found).into_iter().zip(sizes(&expected)) {
        ensure!(
            found == expected,
            "config.json has {key} = {found}, but `model.network = \"{}\"` has {expected}; give its \
             weights, or `--set model.network=bert` for a BERT of any sizes",
            network.name()
        );
    }
    Ok(())
}
