//! Files that are either the old or the new version, never half of one, and results on standard output.

use std::fs;
use std::io::{self, BufRead, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use atomicwrites::{AllowOverwrite, AtomicFile};
use sparta_datasets::source::text_of;
use sparta_ops::pruning::PruningError;
use sparta_results::ResultsError;

/// That nothing is written over: a file that an option names, which is not to be replaced, is not there. A pipe or a device
/// may be, and an empty file.
///
/// # Errors
/// The file, and the ways out.
pub fn refuse_existing(path: &Path, option: &str) -> Result<()> {
    let is_full = fs::metadata(path).is_ok_and(|of| of.is_file() && of.len() > 0);
    ensure!(
        !is_full,
        "{} is there already: delete it, or give another `{option}`",
        path.display()
    );
    Ok(())
}

/// That what an option names can be a folder: neither it nor anything that it is in is a file.
///
/// # Errors
/// The file, and what to give.
pub fn refuse_file(folder: &Path, option: &str) -> Result<()> {
    let is_file = |path: &&Path| fs::metadata(path).is_ok_and(|of| !of.is_dir());
    let Some(file) = folder.ancestors().find(is_file) else {
        return Ok(());
    };
    let typed = crate::version::typed(folder);
    ensure!(
        file != folder,
        "`{option} {typed}` is a file, and `{option}` takes a folder: give a new one, or one that is there, by `{option} DIR`"
    );
    bail!(
        "`{option} {typed}` is in {}, which is a file and no folder: give another by `{option} DIR`",
        file.display()
    )
}

/// Writes a file atomically: to a temporary file beside it, flushed to the disk, then renamed.
///
/// # Errors
/// When `fill` or the disk fails (a full disk is named as such); the old file is then untouched
/// and the temporary one removed.
pub fn write_atomic(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let written = AtomicFile::new(path, AllowOverwrite).write(|file| {
        let mut buffered = BufWriter::with_capacity(1 << 20, file);
        fill(&mut buffered)?;
        buffered.flush()
    });
    written.map_err(io::Error::from).with_context(|| {
        let kept = match path.exists() {
            true => "the file that is there is whole",
            false => "nothing was left behind",
        };
        format!("cannot write {} ({kept})", path.display())
    })
}

/// An error that a disk or its rights gave, with what to do about it at its end: `again`, and another place where
/// it is about `folder`. Other errors stay as they are.
#[must_use]
pub fn with_way_out(error: anyhow::Error, again: &str, folder: Option<&Path>) -> anyhow::Error {
    // Some libraries wrap the error of the system in one of their own.
    let of_system = |cause: &(dyn std::error::Error + 'static)| {
        let refused = cause.downcast_ref::<io::Error>();
        let refused = refused.or_else(|| match cause.downcast_ref()? {
            ResultsError::Io { cause, .. } => Some(cause),
            _ => None,
        });
        let refused = refused.or_else(|| match cause.downcast_ref()? {
            PruningError::Io { cause, .. } => Some(cause),
            _ => None,
        });
        refused.and_then(|refused| way_out(refused, again))
    };
    let Some(way_out) = error.chain().find_map(of_system) else {
        return error;
    };
    let text = in_one_line(&error);
    let is_inside = |folder: &Path| text.contains(&*folder.to_string_lossy());
    match folder.is_some_and(is_inside) {
        true => anyhow!("{text}; {way_out}, or use another folder with `--out DIR`"),
        false => anyhow!("{text}; {way_out}"),
    }
}

/// What to do about an error of the system that is about the disk or its rights, not about what was asked for.
fn way_out(error: &io::Error, again: &str) -> Option<String> {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::WriteZero => {
            Some(format!("free space there and {again}"))
        }
        Kind::FileTooLarge => Some(format!(
            "raise the limit on the size of files (`ulimit -f`) and {again}"
        )),
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            Some(format!("get the right to use it and {again}"))
        }
        Kind::StaleNetworkFileHandle => Some(format!("see that the disk is there and {again}")),
        // An input/output error has no kind of its own, and libraries that wrap it keep its kind alone.
        kind => {
            let is_device = kind == io::Error::from_raw_os_error(EIO).kind();
            is_device.then(|| format!("see whether the disk is sound and {again}"))
        }
    }
}

/// The number of an input/output error on every Unix.
const EIO: i32 = 5;

/// An error and its causes in one line, each said once: some tell their cause themselves.
#[must_use]
pub fn in_one_line(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        match (text.is_empty(), text.contains(&cause)) {
            (true, _) => cause,
            (false, true) => text,
            (false, false) => format!("{text}: {cause}"),
        }
    })
}

/// Writes text atomically; see [`write_atomic`].
///
/// # Errors
/// As [`write_atomic`].
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    write_atomic(path, |out| out.write_all(text.as_bytes()))
}

/// A whole file as text.
///
/// # Errors
/// When it cannot be read, or is no text, with what it is instead; the caller says which file.
pub fn read_text(path: &Path) -> Result<String> {
    Ok(text_of(fs::read(path)?)?)
}

/// The next lines of standard input, `n` or as many as are left, after the first `before`.
///
/// # Errors
/// When it cannot be read, or a line is no text, with what it is instead.
pub fn read_lines(from: &mut impl BufRead, n: usize, before: usize) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    while lines.len() < n {
        let mut line = Vec::new();
        let failed = || {
            format!(
                "cannot read standard input, line {}",
                before + lines.len() + 1
            )
        };
        if from.read_until(b'\n', &mut line).with_context(failed)? == 0 {
            break;
        }
        if line.ends_with(b"\n") {
            line.pop();
            line.pop_if(|last| *last == b'\r');
        }
        let line = text_of(line).with_context(failed)?;
        lines.push(line);
    }
    Ok(lines)
}

/// Who reads standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// It has the text.
    Reads,
    /// It closed the pipe (`| head`), its choice and no error; what is printed from now on is lost to no one.
    Gone,
}

/// Says something on standard error. Where nobody can hear it (a full disk, a closed pipe) it is lost to no one, and the
/// work goes on.
pub fn say(text: impl std::fmt::Display) {
    let line = format!("{text}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Prints text and the end of its line to standard output, at once.
///
/// # Errors
/// Whatever keeps the text from its reader, but for a closed pipe: a full disk, a failing device.
pub fn print_line(text: impl std::fmt::Display) -> Result<Reader> {
    let mut out = io::stdout().lock();
    printed(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// Columns of the terminal that standard output is, which tables are fitted into; none of a file or pipe, whose lines stay whole.
#[must_use]
pub fn terminal_width() -> Option<u16> {
    let terminal = console::Term::stdout();
    let size = terminal.is_term().then(|| terminal.size_checked())?;
    size.map(|(_, width)| width)
}

/// What became of printing to standard output.
///
/// # Errors
/// As [`print_line`].
pub fn printed(outcome: io::Result<()>) -> Result<Reader> {
    match outcome {
        Ok(()) => Ok(Reader::Reads),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(e) => Err(anyhow!(
            "cannot write to standard output: {e}; what was printed is not complete"
        )),
    }
}

/// Whether a name is that of a folder to which the crate atomicwrites writes, next to the file that it becomes.
#[must_use]
pub fn is_half_written(name: &str) -> bool {
    name.starts_with(".atomicwrite")
}

/// Removes what a process that was killed while it wrote has left under a folder; nobody else may write there.
///
/// # Errors
/// A folder that cannot be read, or a leftover that cannot be removed.
pub fn remove_half_written(folder: &Path) -> Result<()> {
    let failed = |path: &Path| format!("cannot clean up {}", path.display());
    for entry in fs::read_dir(folder).with_context(|| failed(folder))? {
        let entry = entry.with_context(|| failed(folder))?;
        let path = entry.path();
        if !entry.file_type().with_context(|| failed(&path))?.is_dir() {
            continue;
        }
        if is_half_written(&entry.file_name().to_string_lossy()) {
            fs::remove_dir_all(&path).with_context(|| failed(&path))?;
        } else {
            remove_half_written(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_half_written_goes_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [inner, left] =
            ["seed-1", "seed-1/.atomicwriteXy"].map(|name| folder.path().join(name));
        fs::create_dir_all(&left).unwrap();
        write_text(&left.join("tmpfile.tmp"), "half").unwrap();
        write_text(&inner.join("whole"), "whole").unwrap();
        remove_half_written(folder.path()).unwrap();
        assert!(!left.exists());
        assert_eq!(fs::read_to_string(inner.join("whole")).unwrap(), "whole");
    }

    #[test]
    fn a_file_that_is_there_is_refused_but_for_an_empty_one_and_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("odds.json");
        refuse_existing(&path, "--null-odds FILE").unwrap();
        fs::write(&path, "").unwrap();
        refuse_existing(&path, "--null-odds FILE").unwrap();
        fs::write(&path, "mine").unwrap();
        let error = refuse_existing(&path, "--null-odds FILE").unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("odds.json is there already") && said.contains("--null-odds"),
            "{said}"
        );
        refuse_existing(Path::new("/dev/null"), "--attention FILE").unwrap();
    }

    #[test]
    fn each_cause_is_said_once() {
        let cause = anyhow!("no such file").context("cannot read a: no such file");
        let error = cause.context("the run is not complete");
        let expected = "the run is not complete: cannot read a: no such file";
        assert_eq!(in_one_line(&error), expected);
        assert_eq!(in_one_line(&anyhow!("b").context("a")), "a: b");
    }

    #[test]
    fn lines_of_standard_input_are_text_or_named() {
        let mut input = b"a\r\nb\n\nGr\xfc\n".as_slice();
        assert_eq!(read_lines(&mut input, 3, 0).unwrap(), ["a", "b", ""]);
        let error = in_one_line(&read_lines(&mut input, 3, 3).unwrap_err());
        let expected = "cannot read standard input, line 4: expected UTF-8 text, found another byte at offset 2: fc";
        assert!(error.starts_with(expected), "{error}");
        let mut packed = b"\x1f\x8b\x08\n".as_slice();
        let error = in_one_line(&read_lines(&mut packed, 3, 0).unwrap_err());
        assert!(
            error.contains("line 1: expected UTF-8 text, found gzip-compressed data"),
            "{error}"
        );
        assert!(read_lines(&mut b"".as_slice(), 3, 0).unwrap().is_empty());
    }

    #[test]
    fn a_closed_pipe_alone_is_no_error() {
        assert_eq!(printed(Ok(())).unwrap(), Reader::Reads);
        let closed = io::ErrorKind::BrokenPipe.into();
        assert_eq!(printed(Err(closed)).unwrap(), Reader::Gone);
        for kind in [
            io::ErrorKind::StorageFull,
            io::ErrorKind::Other,
            io::ErrorKind::WriteZero,
        ] {
            let error = printed(Err(kind.into())).unwrap_err().to_string();
            assert!(error.contains("standard output"), "{error}");
        }
    }

    #[test]
    fn a_full_disk_keeps_the_old_file_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        write_text(&path, "old").unwrap();
        let error = write_atomic(&path, |out| {
            out.write_all(b"half of the new one")?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        let error = with_way_out(error, "go on with `--resume`", Some(folder.path())).to_string();
        for words in [
            "free space",
            "`--resume`",
            "`--out DIR`",
            "that is there is whole",
        ] {
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// Errors of the other crates tell their cause themselves, and have none behind them.
    #[test]
    fn an_error_of_another_crate_has_a_way_out_too() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let path = Path::new("run/records/a.run.json");
        for error in [
            anyhow::Error::new(ResultsError::Io {
                action: "write",
                path: path.to_owned(),
                cause: full(),
            }),
            anyhow::Error::new(PruningError::Io {
                action: "write",
                path: path.to_owned(),
                cause: full(),
            })
            .context("no mask"),
        ] {
            let said =
                with_way_out(error, "go on with `--resume`", Some(Path::new("run"))).to_string();
            let end = "; free space there and go on with `--resume`, or use another folder with `--out DIR`";
            assert!(said.ends_with(end), "{said}");
        }
    }

    #[test]
    fn a_cause_is_said_once_and_with_a_way_out_where_it_is_of_the_disk() {
        let twice = |kind: io::ErrorKind| {
            let source = io::Error::from(kind);
            let text = format!("cannot write run/records: {source}");
            anyhow::Error::new(source).context(text)
        };
        let full = twice(io::ErrorKind::StorageFull);
        let said = in_one_line(&full);
        assert_eq!(
            said.matches(&io::Error::from(io::ErrorKind::StorageFull).to_string())
                .count(),
            1
        );
        let elsewhere = with_way_out(full, "run the command again", Some(Path::new("other")));
        let elsewhere = elsewhere.to_string();
        assert!(
            elsewhere.ends_with("; free space there and run the command again"),
            "{elsewhere}"
        );
        let device =
            anyhow::Error::new(io::Error::from_raw_os_error(EIO)).context("cannot write run/x");
        let device = with_way_out(device, "go on", Some(Path::new("run"))).to_string();
        assert!(
            device.ends_with("is sound and go on, or use another folder with `--out DIR`"),
            "{device}"
        );
        let wrapped = io::Error::new(io::Error::from_raw_os_error(EIO).kind(), "at a path");
        let wrapped = with_way_out(wrapped.into(), "go on", None).to_string();
        assert_eq!(
            wrapped,
            "at a path; see whether the disk is sound and go on"
        );
        let asked = with_way_out(twice(io::ErrorKind::NotFound), "go on", None);
        assert!(!in_one_line(&asked).contains("go on"));
    }

    #[test]
    fn replaces_whole_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        write_text(&path, "a long first version").unwrap();
        write_text(&path, "second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
    }
}
