//! What lies around the folder that a reader may write into.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder with files around it that nobody may touch.
pub struct Fence {
    root: PathBuf,
    before: BTreeMap<PathBuf, Vec<u8>>,
}

/// The folder that may be written into.
const INSIDE: &str = "below/given";

impl Fence {
    /// Makes the folder and what lies around it.
    pub fn around(root: &Path) -> std::io::Result<Self> {
        let _ = fs::remove_dir_all(root);
        fs::create_dir_all(root.join(INSIDE))?;
        fs::create_dir_all(root.join("beside"))?;
        for name in ["above.txt", "below/beside.txt", "beside/inner.txt"] {
            fs::write(root.join(name), name)?;
        }
        let mut fence = Self {
            root: root.to_owned(),
            before: BTreeMap::new(),
        };
        fence.before = fence.look()?;
        Ok(fence)
    }

    /// The folder that may be written into.
    pub fn inside(&self) -> PathBuf {
        self.root.join(INSIDE)
    }

    /// Whether anything around the folder is other than it was.
    pub fn is_broken(&self) -> bool {
        self.look().map_or(true, |now| now != self.before)
    }

    fn look(&self) -> std::io::Result<BTreeMap<PathBuf, Vec<u8>>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        let inside = self.inside();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let (path, kind) =
                    entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
                if path == inside {
                    continue;
                }
                let content = match kind.is_file() {
                    true => fs::read(&path)?,
                    false => Vec::new(),
                };
                found.insert(path.clone(), content);
                if kind.is_dir() {
                    folders.push(path);
                }
            }
        }
        Ok(found)
    }
}
