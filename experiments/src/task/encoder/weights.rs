//! Pretrained weights by the name of their network: where they lie, and how they are downloaded.
//!
//! They are looked for below `--from DIR`, in `SPARTA_CACHE/weights`, and in the cache of Hugging Face's own programs.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail, ensure};
use sparta_datasets::Error;
use sparta_datasets::source::{
    Remote, cache_dir, fetch_if_there, record_of, recorded_sha256, sha256_file,
};

use crate::download::Shown;
use crate::io::say;
use crate::recipe::encoder::NetworkName;

pub(super) const CONFIG: &str = "config.json";
/// Names of weights, the first one found is read.
pub(super) const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
/// Names of tokenizers; the second goes by what [`TOKENIZER_CONFIG`] says of it.
const TOKENIZERS: [&str; 2] = ["tokenizer.json", "vocab.txt"];
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// Whose folder it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The user's, below `--from DIR`.
    User,
    /// `SPARTA_CACHE`, which downloads fill.
    Sparta,
    /// The cache of Hugging Face's programs.
    Hub,
}

/// A folder with the weights of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Where it is.
    pub dir: PathBuf,
    /// Whose it is.
    pub owner: Owner,
}

/// Where the weights of a network may lie, in the order in which they are looked for; in a folder of [`Owner::Hub`]
/// they are in one of its `snapshots`.
#[must_use]
pub fn places(network: NetworkName, from: Option<&Path>, cache: Option<&Path>) -> Vec<Folder> {
    let names = network.hub_names();
    let below = |dir: PathBuf, owner| {
        let folders = names.iter().map(move |name| Folder {
            dir: dir.join(name),
            owner,
        });
        folders.collect::<Vec<_>>()
    };
    let mut places = Vec::new();
    for dir in from
        .into_iter()
        .flat_map(|from| [from.join("weights"), from.to_owned()])
    {
        places.extend(below(dir, Owner::User));
    }
    if let (Some(cache), Some(name)) = (cache, names.first()) {
        places.push(cached(cache, name));
    }
    if let Some(hub) = hub() {
        places.extend(names.iter().map(|name| Folder {
            dir: hub.join(format!("models--{}", name.replace('/', "--"))),
            owner: Owner::Hub,
        }));
    }
    places
}

/// The first folder that is whole.
#[must_use]
pub fn find(network: NetworkName, from: Option<&Path>, cache: Option<&Path>) -> Option<Folder> {
    let whole = |place: Folder| match place.owner {
        Owner::User | Owner::Sparta => is_whole(&place.dir).then_some(place),
        Owner::Hub => Some(Folder {
            dir: snapshot(&place.dir)?,
            ..place
        }),
    };
    places(network, from, cache).into_iter().find_map(whole)
}

fn cached(cache: &Path, name: &str) -> Folder {
    Folder {
        dir: cache.join("weights").join(name),
        owner: Owner::Sparta,
    }
}

/// The folder in which Hugging Face's programs keep what they download.
fn hub() -> Option<PathBuf> {
    let path = |name| variable(name).map(PathBuf::from);
    path("HF_HUB_CACHE")
        .or_else(|| path("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| path("HOME").map(|home| home.join(".cache/huggingface/hub")))
}

fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether a folder has everything that is read of weights.
fn is_whole(dir: &Path) -> bool {
    let has = |names: &[&str]| names.iter().any(|name| dir.join(name).is_file());
    has(&[CONFIG]) && has(&WEIGHTS) && has(&TOKENIZERS)
}

/// The first snapshot that is whole.
fn snapshot(model: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(model.join("snapshots")).ok()?.flatten();
    entries
        .map(|entry| entry.path())
        .filter(|dir| is_whole(dir))
        .min()
}

impl Folder {
    /// That files which were downloaded are still what they were.
    ///
    /// # Errors
    /// A file of another sha256 than was recorded of it.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        let names = [CONFIG, TOKENIZER_CONFIG].into_iter();
        for name in names.chain(TOKENIZERS).chain(WEIGHTS) {
            let path = self.dir.join(name);
            if !path.is_file() {
                continue;
            }
            if let Some(recorded) = recorded_sha256(&path)? {
                let found = sha256_file(&path)?;
                ensure!(
                    found == recorded,
                    "{} was altered: its sha256 is {found}, and {recorded} was recorded when it was downloaded; \
                     delete it and run `prepare` again (and {} too, if the change is wanted)",
                    path.display(),
                    record_of(&path).display()
                );
            }
        }
        Ok(())
    }
}

/// Downloads the weights of a network into the cache: from `HF_ENDPOINT`, else <https://huggingface.co>. The weights
/// themselves come last, so that the folder is whole when all of it is there.
///
/// # Errors
/// A server that does not give them, with what to do without a network; other bytes than at the first download; no
/// cache folder.
pub(super) fn fetch(network: NetworkName, quiet: bool) -> Result<Folder> {
    let names = network.hub_names();
    let Some(name) = names.first() else {
        bail!(missing(network));
    };
    let folder = cached(&cache_dir()?, name);
    let endpoint = match std::env::var("HF_ENDPOINT") {
        Ok(endpoint) if !endpoint.is_empty() => endpoint,
        Ok(_) | Err(_) => "https://huggingface.co".to_owned(),
    };
    if !quiet {
        let dir = folder.dir.display();
        say(format_args!(
            "weights of {}: {name}, into {dir}",
            network.name()
        ));
    }
    let mut server = Server {
        endpoint: endpoint.trim_end_matches('/'),
        network,
        dir: &folder.dir,
        shown: Shown::new(quiet),
    };
    server.get_one(&[CONFIG])?;
    if server.get_one(&TOKENIZERS)? == TOKENIZERS[1] {
        server.get(TOKENIZER_CONFIG)?;
    }
    server.get_one(&WEIGHTS)?;
    Ok(folder)
}

/// Where the files of a network are downloaded from, and to.
struct Server<'a> {
    endpoint: &'a str,
    network: NetworkName,
    dir: &'a Path,
    shown: Shown,
}

impl Server<'_> {
    fn urls(&self, file: &str) -> Vec<String> {
        let url = |name: &&str| format!("{}/{name}/resolve/main/{file}", self.endpoint);
        self.network.hub_names().iter().map(url).collect()
    }

    /// Downloads a file; false if there is none.
    fn get(&mut self, file: &str) -> Result<bool> {
        let urls = self.urls(file);
        let remote = Remote {
            mirrors: &urls.iter().map(String::as_str).collect::<Vec<_>>(),
            sha256: None,
            licence: self.network.licence(),
        };
        let dest = self.dir.join(file);
        fetch_if_there(&remote, &dest, &mut |event| self.shown.hear(event))
            .map_err(|error| with_way_out(error, self.network))
    }

    /// Downloads the first file that is there; its name.
    fn get_one(&mut self, files: &[&'static str]) -> Result<&'static str> {
        for &file in files {
            if self.get(file)? {
                return Ok(file);
            }
        }
        let urls: Vec<String> = files.iter().flat_map(|file| self.urls(file)).collect();
        bail!(
            "the server has no {}: {} (HTTP status 404); give another server by HF_ENDPOINT=URL, or a folder by \
             `--weights DIR`",
            files.join(" and no "),
            urls.join(", ")
        )
    }
}

/// What to do where nothing can be downloaded.
fn with_way_out(error: Error, network: NetworkName) -> anyhow::Error {
    let Error::DownloadFailed { file, tried } = error else {
        return error.into();
    };
    let name = network.hub_names().first().unwrap_or(&"NAME");
    anyhow!(
        "could not download {file} of {}: {tried}; without a network, get {FILES} by another machine and name their \
         folder, `--weights DIR`, or its parent, `--from DIR` where they are in DIR/{name}, or bring that machine's \
         cache and set SPARTA_CACHE=DIR",
        network.name()
    )
}

/// The files of weights in words.
const FILES: &str =
    "config.json, model.safetensors (or pytorch_model.bin) and tokenizer.json (or vocab.txt)";

/// What to do about weights that are nowhere, where they may not be downloaded.
pub(super) fn missing(network: NetworkName) -> String {
    let name = network.name();
    match network.hub_names().is_empty() {
        true => format!(
            "the weights of `model.network = \"{name}\"` are those you give: a folder with {FILES} by `--weights DIR`"
        ),
        false => format!(
            "the weights of {name} do not ship with the program and are not at hand: `prepare` downloads them, or give \
             a folder with {FILES} by `--weights DIR`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(dir: &Path) {
        std::fs::create_dir_all(dir).unwrap();
        for (file, is_all) in [
            ("config.json", false),
            ("vocab.txt", false),
            ("pytorch_model.bin", true),
        ] {
            std::fs::write(dir.join(file), "").unwrap();
            assert_eq!(is_whole(dir), is_all, "{file}");
        }
    }

    #[test]
    fn a_snapshot_counts_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("snapshots/abc");
        std::fs::create_dir_all(&dir).unwrap();
        assert_eq!(snapshot(folder.path()), None);
        fill(&dir);
        assert_eq!(snapshot(folder.path()), Some(dir));
    }

    #[test]
    fn the_user_s_folder_comes_before_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let (from, cache) = (folder.path().join("from"), folder.path().join("cache"));
        let network = NetworkName::MiniLmL6;
        let find = || find(network, Some(&from), Some(&cache));
        let name = "sentence-transformers/all-MiniLM-L6-v2";
        let found = |dir: PathBuf, owner| Some(Folder { dir, owner });
        let in_cache = cache.join("weights").join(name);
        fill(&in_cache);
        assert_eq!(find(), found(in_cache, Owner::Sparta));
        fill(&from.join(name));
        assert_eq!(find(), found(from.join(name), Owner::User));
        // As another machine's cache has it.
        fill(&from.join("weights").join(name));
        assert_eq!(find(), found(from.join("weights").join(name), Owner::User));
        let of_any_sizes = places(NetworkName::Bert, Some(&from), Some(&cache));
        assert!(of_any_sizes.is_empty());
    }
}
