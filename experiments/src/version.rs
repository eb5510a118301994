//! Which version of the program this is; `build.rs` asks git and the lock file.

use std::collections::BTreeMap;
use std::path::Path;

use crate::device;

/// The version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit, 12 digits, with `-dirty` if the sources differed from it; `unknown` outside of the repository.
pub const COMMIT: &str = env!("SPARTA_COMMIT");
/// Burn's version.
pub const BURN: &str = env!("SPARTA_BURN");
/// Version, commit and Burn's version, for `--version`.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("SPARTA_COMMIT"),
    ", Burn ",
    env!("SPARTA_BURN"),
    ")"
);

/// The compiler, as it says itself.
pub const RUSTC: &str = env!("SPARTA_RUSTC");

/// What a run record says of the program that made it, and of the machine that it ran on: `rustc`, `features`, `os`, `cpu` and
/// `threads` beside the versions. Those are the threads that compute on processors, of which `RAYON_NUM_THREADS` says how many.
#[must_use]
pub fn versions() -> BTreeMap<String, String> {
    let here = |name: Option<String>| name.unwrap_or_else(|| "unknown".to_owned());
    [
        ("sparta", VERSION.to_owned()),
        ("commit", COMMIT.to_owned()),
        ("burn", BURN.to_owned()),
        ("rustc", RUSTC.to_owned()),
        ("features", device::features().join(",")),
        ("os", here(sysinfo::System::long_os_version())),
        ("cpu", here(processor())),
        ("threads", rayon::current_num_threads().to_string()),
    ]
    .map(|(name, version)| (name.to_owned(), version))
    .into()
}

/// The command line of this process, as a shell reads it.
#[must_use]
pub fn command() -> String {
    let words = std::env::args_os().map(|word| quoted(&word.to_string_lossy()));
    words.collect::<Vec<_>>().join(" ")
}

/// A path as a shell reads it.
#[must_use]
pub(crate) fn typed(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A word as a shell reads it.
#[must_use]
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._=,+-/:@".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The processor's name.
fn processor() -> Option<String> {
    let mut system = sysinfo::System::new();
    system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
    let name = system.cpus().first()?.brand().trim().to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_version_commit_and_burn() {
        let versions = versions();
        // The lock file is there whenever the tests are.
        assert!(versions["burn"].starts_with("0."), "{versions:?}");
        let commit = versions["commit"].trim_end_matches("-dirty");
        let is_hash = commit.len() == 12 && commit.chars().all(|c| c.is_ascii_hexdigit());
        assert!(is_hash || commit == "unknown", "{versions:?}");
        assert!(LONG.starts_with(&versions["sparta"]));
        assert!(versions["rustc"].starts_with("rustc 1."), "{versions:?}");
        assert!(
            versions["features"]
                .split(',')
                .any(|feature| feature == "flex")
        );
        assert!(versions["threads"].parse::<usize>().unwrap() > 0);
        assert!(!versions["cpu"].is_empty() && !versions["os"].is_empty());
    }
}
