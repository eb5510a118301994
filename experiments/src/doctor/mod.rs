//! `sparta doctor`: what this program can use on this machine, to read or to paste in a report.

mod sources;

pub use sources::{RecipeState, SourceState};

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use sparta_model::Precision;

use crate::device::{self, DeviceChoice};
use crate::io::in_one_line;
use crate::version;

/// One device that `--device` can name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceState {
    /// As `--device` spells it.
    pub device: String,
    /// Whether this build contains its backend.
    pub compiled: bool,
    /// Whether it computed a test product; `None` when it is not compiled in.
    pub opens: Option<bool>,
    /// Whether networks can compute in f16 on it (`train.precision`); `None` when it does not open.
    pub f16: Option<bool>,
    /// The same of bf16.
    pub bf16: Option<bool>,
    /// What it said, or how to get it.
    pub note: String,
}

/// Everything `doctor` looks at.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {
    /// Version of the program.
    pub version: &'static str,
    /// Its commit.
    pub commit: &'static str,
    /// What run records say of the program and the machine, by the same names.
    pub versions: BTreeMap<String, String>,
    /// Operating system and processor architecture.
    pub system: String,
    /// Processor cores this process may use.
    pub cores: usize,
    /// Memory that is free, in bytes.
    pub free_memory: u64,
    /// Every device.
    pub devices: Vec<DeviceState>,
    /// Folder of downloaded corpora.
    pub cache: Option<PathBuf>,
    /// Whether that folder exists.
    pub cache_exists: bool,
    /// Free room where runs are written, in bytes.
    pub free_disk: Option<u64>,
    /// Recipes that ship with the programs.
    pub recipes: Vec<RecipeState>,
    /// The corpora that they read.
    pub corpora: Vec<SourceState>,
    /// The pretrained weights that they start from.
    pub weights: Vec<SourceState>,
}

/// Looks at everything; opens every device that is compiled in.
#[must_use]
pub fn diagnose() -> Diagnosis {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let cache = sparta_datasets::source::cache_dir().ok();
    let (recipes, corpora, weights) = sources::look(cache.as_deref());
    Diagnosis {
        version: version::VERSION,
        commit: version::COMMIT,
        versions: version::versions(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        free_memory: system.available_memory(),
        devices: DeviceChoice::ALL.into_iter().map(try_device).collect(),
        cache_exists: cache.as_ref().is_some_and(|c| c.exists()),
        cache,
        free_disk: free_disk(),
        recipes,
        corpora,
        weights,
    }
}

fn try_device(choice: DeviceChoice) -> DeviceState {
    let compiled = choice.is_compiled();
    let opened = compiled.then(|| device::open(choice, "lm"));
    let (opens, note) = match &opened {
        None => {
            let feature = choice.feature();
            (None, format!("rebuild with `--features {feature}`"))
        }
        Some(Ok(opened)) => (Some(true), opened.note.clone()),
        Some(Err(error)) => (Some(false), in_one_line(error)),
    };
    let opened = opened.and_then(Result::ok);
    let computes_in = |precision| Some(opened.as_ref()?.check_precision(precision).is_ok());
    DeviceState {
        device: choice.to_string(),
        compiled,
        opens,
        f16: computes_in(Precision::F16),
        bf16: computes_in(Precision::Bf16),
        note,
    }
}

/// Free room of the file system that the working folder is on.
fn free_disk() -> Option<u64> {
    let here = std::env::current_dir().ok()?;
    let disks = sysinfo::Disks::new_with_refreshed_list();
    disks
        .iter()
        .filter(|disk| here.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().as_os_str().len())
        .map(sysinfo::Disk::available_space)
}

impl DeviceState {
    /// The number types of networks on it, as `train.precision` has them; nothing of one that does not open.
    fn precisions(&self) -> String {
        let half = [(self.bf16, Precision::Bf16), (self.f16, Precision::F16)];
        let half = half.into_iter().filter(|(has, _)| *has == Some(true));
        let types = [Precision::F32].into_iter().chain(half.map(|(_, of)| of));
        let types: Vec<&str> = types.map(Precision::as_str).collect();
        match self.opens {
            Some(true) => format!(" ({})", types.join(", ")),
            Some(false) | None => String::new(),
        }
    }
}

impl Diagnosis {
    /// The diagnosis for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
        let mut lines = vec![format!(
            "sparta {} on {}, {} cores",
            version::LONG,
            self.system,
            self.cores
        )];
        // Commit and Burn's version stand in the first line.
        for name in ["rustc", "features", "os", "cpu"] {
            let version = self.versions.get(name).map_or("unknown", String::as_str);
            lines.push(format!("{name:12} {version}"));
        }
        lines.extend([
            format!("free memory  {}", gigabytes(self.free_memory)),
            format!(
                "free disk    {}",
                self.free_disk
                    .map_or_else(|| "unknown".to_owned(), gigabytes)
            ),
            match &self.cache {
                Some(cache) => format!(
                    "cache        {} ({})",
                    cache.display(),
                    if self.cache_exists {
                        "there"
                    } else {
                        "nothing cached yet"
                    }
                ),
                None => "cache        none; set SPARTA_CACHE=DIR".to_owned(),
            },
        ]);
        for device in &self.devices {
            let state = match device.opens {
                Some(true) => "works",
                Some(false) => "FAILS",
                None => "not compiled in",
            };
            let types = device.precisions();
            lines.push(format!(
                "{:12} {state}{types}: {}",
                device.device, device.note
            ));
        }
        for RecipeState {
            program,
            name,
            problem,
        } in &self.recipes
        {
            let state = problem.as_deref().unwrap_or("valid");
            lines.push(format!("recipe       {program} {name}: {state}"));
        }
        lines.extend(self.corpora.iter().map(|source| source.line("corpus")));
        lines.extend(self.weights.iter().map(|source| source.line("weights")));
        lines.join("\n")
    }
}
