//! The folder that downloaded and unpacked corpora live in.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{Error, Result};

#[cfg(target_os = "macos")]
const LOOKED_FOR: &str = "HOME";
#[cfg(windows)]
const LOOKED_FOR: &str = "LOCALAPPDATA";
#[cfg(not(any(target_os = "macos", windows)))]
const LOOKED_FOR: &str = "XDG_CACHE_HOME or HOME";

/// `$SPARTA_CACHE`, else `sparta` in the platform's cache folder (`$XDG_CACHE_HOME`, `~/.cache`,
/// `~/Library/Caches`, `%LOCALAPPDATA%`). The folder need not exist.
///
/// # Errors
/// [`Error::NoCacheDir`] when none of these variables is set.
pub fn cache_dir() -> Result<PathBuf> {
    cache_dir_from(|name| std::env::var_os(name))
}

fn cache_dir_from(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let folder = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(own) = folder("SPARTA_CACHE") {
        return Ok(own);
    }
    #[cfg(target_os = "macos")]
    let platform = folder("HOME").map(|home| home.join("Library/Caches"));
    #[cfg(windows)]
    let platform = folder("LOCALAPPDATA");
    #[cfg(not(any(target_os = "macos", windows)))]
    let platform =
        folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    match platform {
        Some(caches) => Ok(caches.join("sparta")),
        None => Err(Error::NoCacheDir {
            looked_for: LOOKED_FOR,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_variable_wins_and_nothing_is_an_error() {
        let own = cache_dir_from(|name| (name == "SPARTA_CACHE").then(|| "/data/sparta".into()));
        assert_eq!(own.unwrap(), PathBuf::from("/data/sparta"));
        let error = cache_dir_from(|_| Some(OsString::new())).unwrap_err();
        assert!(
            error.to_string().ends_with("set SPARTA_CACHE=DIR"),
            "{error}"
        );
    }

    #[cfg(not(any(target_os = "macos", windows)))]
    #[test]
    fn platform_folder_on_linux() {
        let home = cache_dir_from(|name| (name == "HOME").then(|| "/home/a".into()));
        assert_eq!(home.unwrap(), PathBuf::from("/home/a/.cache/sparta"));
        let both = cache_dir_from(|name| (name != "SPARTA_CACHE").then(|| "/x".into()));
        assert_eq!(both.unwrap(), PathBuf::from("/x/sparta"));
    }
}
