//! Where a run's time went: the parts of training and, within them, the operations that have kernels on CPUs.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use sparta_ops::profile::{self, SpanTotal};
use sparta_results::render::{Align, Table};

use crate::io::{say, write_text};

/// A profile that is being made.
pub(crate) struct Profiler(Instant);

impl Profiler {
    /// Begins to measure.
    pub(crate) fn start() -> Self {
        profile::start();
        Self(Instant::now())
    }

    /// Says what was measured since, and writes it to the folder of the run, if one is named, beside what the processes before
    /// have measured there.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn finish(self, folder: Option<&Path>) -> Result<()> {
        let seconds = self.0.elapsed().as_secs_f64();
        let table = table(&profile::stop(), seconds);
        say(table.to_terminal(None));
        say(
            "A part's own row is what is in no operation of sparta-ops: Burn's, and reading of data.",
        );
        let Some(folder) = folder else {
            return Ok(());
        };
        let path = unused(folder);
        write_text(&path, &table.to_csv()?)?;
        say(format_args!(
            "The times of this process alone are in {}.",
            path.display()
        ));
        Ok(())
    }
}

/// The file of a process's profile inside a run folder: `profile.csv`, of those that went on with the run `profile-2.csv` and so on.
fn unused(folder: &Path) -> PathBuf {
    let (mut path, mut n) = (folder.join("profile.csv"), 1);
    while path.exists() {
        n += 1;
        path = folder.join(format!("profile-{n}.csv"));
    }
    path
}

/// A line for each span, the longest first, and what was in none.
fn table(spans: &[SpanTotal], seconds: f64) -> Table {
    let mut table = Table::new([
        ("part", Align::Left),
        ("operation", Align::Left),
        ("calls", Align::Right),
        ("seconds", Align::Right),
        ("share", Align::Right),
    ]);
    let share = |of: f64| format!("{:.1} %", 100.0 * of / seconds.max(1e-9));
    for span in spans {
        table.push([
            span.part.to_owned(),
            match span.part == span.name {
                true => "(rest)".to_owned(),
                false => span.name.to_owned(),
            },
            span.calls.to_string(),
            format!("{:.3}", span.seconds),
            share(span.seconds),
        ]);
    }
    let measured: f64 = spans.iter().map(|span| span.seconds).sum();
    let rest = (seconds - measured).max(0.0);
    table.push([
        "(outside)".to_owned(),
        String::new(),
        String::new(),
        format!("{rest:.3}"),
        share(rest),
    ]);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_no_span_has_a_line() {
        let span = |part, name, seconds| SpanTotal {
            part,
            name,
            calls: 2,
            seconds,
        };
        let spans = [
            span("backward", "product_backward", 6.0),
            span("forward", "forward", 3.0),
        ];
        let csv = table(&spans, 10.0).to_csv().unwrap();
        assert_eq!(
            csv,
            "part,operation,calls,seconds,share\n\
             backward,product_backward,2,6.000,60.0 %\n\
             forward,(rest),2,3.000,30.0 %\n\
             (outside),,,1.000,10.0 %\n"
        );
    }
}
