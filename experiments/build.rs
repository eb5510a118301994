//! Says to the program which version it is: its commit, and Burn's version. Run records carry both.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the program is compiled from, below the root of the repository.
const SOURCES: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "ops/src",
    "model/src",
    "datasets/src",
    "results/src",
    "results/data",
    "experiments/src",
    "experiments/recipes",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Where it is now, which is not where it was if the sources moved with what was built.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let root = PathBuf::from(here).join("..");
    // A change of these compiles the program again anyway; whether it differs from the commit is asked again then.
    for source in SOURCES {
        rerun_if_changed(&root.join(source));
    }
    let commit = commit(&root).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=SPARTA_COMMIT={commit}");
    let burn = locked(&root.join("Cargo.lock"), "burn").unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=SPARTA_BURN={burn}");
    let rustc = rustc().unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=SPARTA_RUSTC={rustc}");
}

/// What the compiler calls itself.
fn rustc() -> Option<String> {
    let output = Command::new(std::env::var_os("RUSTC")?)
        .arg("--version")
        .output()
        .ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

/// Cargo takes a file that is not there for one that has changed.
fn rerun_if_changed(path: &Path) {
    if path.exists() {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}

/// The commit of the sources, with `-dirty` if they differ from it; none without git, or outside of this
/// project's own repository.
fn commit(root: &Path) -> Option<String> {
    let top = PathBuf::from(git(root, &["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    // Where the commit is written: HEAD, the branch it names, and the log of both, which grows when a branch
    // that was packed moves. A worktree has a HEAD and a log of its own.
    let branch = git(root, &["symbolic-ref", "-q", "HEAD"]);
    for name in ["HEAD", "logs/HEAD", "packed-refs"]
        .into_iter()
        .chain(branch.as_deref())
    {
        if let Some(path) = git(root, &["rev-parse", "--git-path", name]) {
            rerun_if_changed(&root.join(path));
        }
    }
    let hash = git(root, &["rev-parse", "--short=12", "HEAD"])?;
    let changed = [&["status", "--porcelain", "--"][..], &SOURCES].concat();
    let dirty = match git(root, &changed)?.is_empty() {
        true => "",
        false => "-dirty",
    };
    Some(format!("{hash}{dirty}"))
}

/// What git says, if it has something to say.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        // Somebody may be at work in the repository.
        .arg("--no-optional-locks")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .output()
        .ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

/// The version of a package in a lock file.
fn locked(lock: &Path, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(lock).ok()?;
    let mut lines = text
        .lines()
        .skip_while(|line| *line != format!("name = \"{name}\""));
    let version = lines.nth(1)?.strip_prefix("version = \"")?;
    Some(version.strip_suffix('"')?.to_owned())
}
