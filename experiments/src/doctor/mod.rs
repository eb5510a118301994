//! `sparta doctor`: what this program can use on this machine, to read or to paste in a report.

mod sources;

pub use sources::{RecipeState, Source};

use std::path::PathBuf;

use serde::Serialize;

use crate::device::{self, DeviceChoice};
use crate::io::whole;
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
    pub corpora: Vec<Source>,
    /// The pretrained weights that they start from.
    pub weights: Vec<Source>,
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
    let (opens, note) = match (compiled, device::open(choice, "lm")) {
        (false, _) => {
            let feature = choice.feature();
            (None, format!("rebuild with `--features {feature}`"))
        }
        (true, Ok(opened)) => (Some(true), opened.note),
        (true, Err(error)) => (Some(false), whole(&error)),
    };
    DeviceState {
        device: choice.to_string(),
        compiled,
        opens,
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

impl Diagnosis {
    /// The diagnosis for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
        let mut lines = vec![
            format!(
                "sparta {} on {}, {} cores",
                version::LONG,
                self.system,
                self.cores
            ),
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
        ];
        for device in &self.devices {
            let state = match device.opens {
                Some(true) => "works",
                Some(false) => "FAILS",
                None => "not compiled in",
            };
            lines.push(format!("{:12} {state}: {}", device.device, device.note));
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
