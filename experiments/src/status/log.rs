//! `run.log` of a run folder: what each process was asked and told the person at the terminal, whether anybody looked,
//! and how it ended.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use sparta_results::overview::moment;

use crate::io::say;
use crate::protocol::run::now;
use crate::version::command;

/// File name in a run folder.
const LOG: &str = "run.log";

/// The log of a process; what comes before it may write in the folder is kept until then.
#[derive(Debug, Default)]
pub(super) struct Log {
    file: Option<File>,
    early: Vec<String>,
}

impl Log {
    /// Begins in a folder that is this process's now, after what earlier ones left there.
    pub(super) fn open(&mut self, root: &Path) {
        let path = root.join(LOG);
        match File::options().create(true).append(true).open(&path) {
            Ok(file) => self.file = Some(file),
            Err(e) => return say(format_args!("no log is kept: {}: {e}", path.display())),
        }
        self.write(&format!("$ {}", command()));
        for line in std::mem::take(&mut self.early) {
            self.append(&line);
        }
    }

    /// Adds a line with the time.
    pub(super) fn write(&mut self, text: &str) {
        let line = format!("{} {text}\n", moment(now()));
        match self.file {
            Some(_) => self.append(&line),
            None => self.early.push(line),
        }
    }

    /// A disk that is full stops the work where something is lost; what is told is not.
    fn append(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            let _ = file.write_all(line.as_bytes());
        }
    }
}
