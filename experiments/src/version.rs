//! Which version of the program this is; `build.rs` asks git and the lock file.

use std::collections::BTreeMap;

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

/// What a run record says of the program that made it.
#[must_use]
pub fn versions() -> BTreeMap<String, String> {
    [("sparta", VERSION), ("commit", COMMIT), ("burn", BURN)]
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into()
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
    }
}
