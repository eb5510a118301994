//! Only one process at a time works in a run folder.
//!
//! The lock is one of the operating system on the file `.lock` (`flock` on Unix, `LockFileEx` on Windows), held by
//! the process for as long as it works there. It ends with the process, however that ends: after `kill -9` or a
//! power cut nothing has to be deleted. The file itself stays, and says who held it last.
//!
//! **NFS:** Linux passes the lock to the server, and it keeps out processes on other hosts, if the server has a
//! lock service (NFS 4, or NFS 3 with `lockd`). Under the mount options `nolock` and `local_lock=flock` (or
//! `=all`) it keeps out processes of the same host only: then let one host alone work in a folder. A host that is
//! cut off from the server can lose its lock without a word. Where the file system has no locks at all, a run is
//! refused.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

/// Name of the file in a run folder.
pub(super) const LOCK: &str = ".lock";

/// How often a lock is tried again, and after how long: longer than anybody looks whether it is held.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(20);

/// The right to work in a run folder, until it is dropped or the process ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Refuses a folder that another process works in, and leaves it as it is.
    ///
    /// # Errors
    /// Who works there, and the ways out.
    pub(super) fn refuse_if_held(root: &Path) -> Result<()> {
        let path = root.join(LOCK);
        match File::open(&path) {
            // A look: it keeps out nobody else who looks, and NFS grants it to a file that is open for reading alone.
            Ok(mut file) => refuse_unless(file.try_lock_shared(), &mut file, root),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e).with_context(|| format!("cannot open {}", path.display())),
        }
    }

    /// Who works in a folder, if anybody does.
    ///
    /// # Errors
    /// A file that cannot be opened, or a file system without locks.
    pub(crate) fn holder(root: &Path) -> Result<Option<String>> {
        let path = root.join(LOCK);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("cannot open {}", path.display())),
        };
        match file.try_lock_shared() {
            // It is given back at once.
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder(&mut file))),
            Err(TryLockError::Error(e)) => {
                Err(e).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Takes the lock of a folder, which is made if need be, for a program.
    ///
    /// # Errors
    /// As [`RunLock::refuse_if_held`]; a folder that cannot be written to, or that has no locks.
    pub(super) fn take(root: &Path, program: &str) -> Result<Self> {
        let path = root.join(LOCK);
        std::fs::create_dir_all(root)
            .with_context(|| format!("cannot make the folder {}", root.display()))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        // Somebody may be looking who holds it, for a moment.
        let mut locked = file.try_lock();
        for _ in 0..LOOKS {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(LOOK);
            locked = file.try_lock();
        }
        refuse_unless(locked, &mut file, root)?;
        let host = sysinfo::System::host_name().unwrap_or_else(|| "unknown".to_owned());
        let holder = format!("`{program}` (pid {} on host {host})\n", std::process::id());
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(holder.as_bytes())
        };
        write(&mut file).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { _file: file })
    }
}

/// Says who holds the open file of a folder, if it was not locked.
fn refuse_unless(locked: Result<(), TryLockError>, file: &mut File, root: &Path) -> Result<()> {
    match locked {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "run folder {} is in use by {}; wait for it, stop it, or use another folder with \
                 `--out DIR`",
                root.display(),
                holder(file)
            )
        }
        Err(TryLockError::Error(e)) => Err(anyhow!(
            "cannot lock {}: {e}; use a folder of a file system with locks, with `--out DIR`",
            root.join(LOCK).display()
        )),
    }
}

/// Who says to hold the open file.
fn holder(file: &mut File) -> String {
    let mut holder = String::new();
    // Not everywhere can a locked file be read.
    match file.read_to_string(&mut holder) {
        Ok(1..) => holder.trim().to_owned(),
        Ok(0) | Err(_) => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        RunLock::refuse_if_held(root).unwrap();
        assert_eq!(std::fs::read_dir(root).unwrap().count(), 0);
        let held = RunLock::take(root, "lm").unwrap();
        let written = std::fs::read_to_string(root.join(LOCK)).unwrap();
        for refused in [
            RunLock::refuse_if_held(root).unwrap_err(),
            RunLock::take(root, "glue").unwrap_err(),
        ] {
            let said = refused.to_string();
            let pid = format!("`lm` (pid {} on host ", std::process::id());
            assert!(said.contains(&pid) && said.contains("--out"), "{said}");
        }
        assert_eq!(written, std::fs::read_to_string(root.join(LOCK)).unwrap());
        drop(held);
        RunLock::refuse_if_held(root).unwrap();
        RunLock::take(root, "glue").unwrap();
        let written = std::fs::read_to_string(root.join(LOCK)).unwrap();
        assert!(written.starts_with("`glue`") && written.lines().count() == 1);
    }

    /// Who looks whether a folder is in use keeps nobody out of it.
    #[test]
    fn a_look_is_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        drop(RunLock::take(root, "lm").unwrap());
        // Two at once, of which one looks for some time.
        let looking = File::open(root.join(LOCK)).unwrap();
        looking.try_lock_shared().unwrap();
        RunLock::refuse_if_held(root).unwrap();
        assert!(RunLock::holder(root).unwrap().is_none());
        let look = std::thread::spawn(move || {
            std::thread::sleep(2 * LOOK);
            drop(looking);
        });
        let held = RunLock::take(root, "glue").unwrap();
        look.join().unwrap();
        assert!(
            RunLock::holder(root)
                .unwrap()
                .is_some_and(|by| by.contains("`glue`"))
        );
        drop(held);
    }
}
