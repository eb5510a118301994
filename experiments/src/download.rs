//! What a person sees of downloads: from where, how large, under which licence, how far, and what came.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use sparta_datasets::source::{Download, HashCheck};

use crate::io::say;
use crate::train::watch::duration;

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// Shows downloads one after the other: a line at the beginning of each and one at its end, in between a bar on a
/// terminal, and elsewhere a line every 15 s. Nothing if it is quiet.
pub struct Shown {
    quiet: bool,
    file: String,
    bar: Option<ProgressBar>,
    /// When data came first, and how much was there from an earlier call.
    first: Option<(Instant, u64)>,
    spoke: Instant,
}

impl Shown {
    /// Before the first download.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            file: String::new(),
            bar: None,
            first: None,
            spoke: Instant::now(),
        }
    }

    /// Takes note of an event.
    pub fn hear(&mut self, event: Download<'_>) {
        if self.quiet {
            return;
        }
        match event {
            Download::Begins {
                file,
                url,
                licence,
                bytes,
            } => {
                // A mirror may have failed on the way.
                self.end_bar();
                file.clone_into(&mut self.file);
                (self.first, self.spoke) = (None, Instant::now());
                say(begins(file, url, licence, bytes));
                if std::io::stderr().is_terminal() {
                    self.bar = Some(bar(file, bytes));
                }
            }
            Download::At { bytes, of } => self.at(bytes, of),
            Download::Ends {
                file,
                sha256,
                check,
            } => {
                self.end_bar();
                say(ends(file, sha256, check));
            }
        }
    }

    fn at(&mut self, bytes: u64, of: Option<u64>) {
        let (since, before) = *self.first.get_or_insert((Instant::now(), bytes));
        if let Some(bar) = &self.bar {
            // A server that cannot go on begins anew.
            bar.set_position(bytes);
            return;
        }
        if self.spoke.elapsed() < LINE_EVERY {
            return;
        }
        self.spoke = Instant::now();
        let seconds = since.elapsed().as_secs_f64().max(1e-9);
        let rate = bytes.saturating_sub(before) as f64 / seconds;
        say(so_far(&self.file, (bytes, of), rate));
    }

    fn end_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar(file: &str, bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match bytes {
        Some(bytes) => (
            ProgressBar::new(bytes),
            "{prefix:20} {bar:20} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} eta {eta}",
        ),
        None => (
            ProgressBar::no_length(),
            "{prefix:20} {decimal_bytes} {decimal_bytes_per_sec}",
        ),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_prefix(file.to_owned())
}

fn begins(file: &str, url: &str, licence: &str, bytes: Option<u64>) -> String {
    let size = bytes.map_or_else(
        || "of unknown size".to_owned(),
        |bytes| DecimalBytes(bytes).to_string(),
    );
    let host = url.split("://").nth(1).unwrap_or(url);
    let host = host.split('/').next().unwrap_or(host);
    format!("{file}: {size} from {host}; licence: {licence}")
}

fn so_far(file: &str, (bytes, of): (u64, Option<u64>), rate: f64) -> String {
    let done = DecimalBytes(bytes);
    let rate_text = DecimalBytes(rate as u64);
    match of {
        Some(of) => {
            let left = duration(of.saturating_sub(bytes) as f64 / rate.max(1e-9));
            let of = DecimalBytes(of);
            format!("{file}: {done} of {of}, {rate_text}/s, {left} left")
        }
        None => format!("{file}: {done}, {rate_text}/s"),
    }
}

fn ends(file: &str, sha256: &str, check: HashCheck) -> String {
    let check = match check {
        HashCheck::Published => "as published",
        HashCheck::Recorded => "none was published: recorded now, another is refused later",
        HashCheck::AsRecorded => "as recorded at the first download",
    };
    format!("{file}: sha256 {sha256} ({check})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_file_size_host_licence_and_hash() {
        let url = "https://huggingface.co/bert/resolve/main/model.safetensors";
        assert_eq!(
            begins("model.safetensors", url, "Apache-2.0", Some(440_449_768)),
            "model.safetensors: 440.45 MB from huggingface.co; licence: Apache-2.0"
        );
        assert_eq!(
            begins("a.zip", "http://localhost:80/a.zip", "see b", None),
            "a.zip: of unknown size from localhost:80; licence: see b"
        );
        assert_eq!(
            so_far("a.zip", (1_500_000, Some(4_500_000)), 500_000.0),
            "a.zip: 1.50 MB of 4.50 MB, 500.00 kB/s, 6 s left"
        );
        assert_eq!(
            so_far("a.zip", (1_500_000, None), 500_000.0),
            "a.zip: 1.50 MB, 500.00 kB/s"
        );
        for (check, said) in [
            (HashCheck::Published, "as published"),
            (HashCheck::Recorded, "recorded now"),
            (HashCheck::AsRecorded, "as recorded"),
        ] {
            let line = ends("a.zip", "0123", check);
            assert!(line.starts_with("a.zip: sha256 0123 (") && line.contains(said));
        }
    }
}
