//! The table, and the files of a run.

use std::fmt::{self, Display, Formatter, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

use sparta_model::layer::MechanismConfig;
use sparta_results::render::{Align, Table};

use crate::case::{Case, Cost, Pass};

/// A case at a length; the reason where it was not run.
pub struct Entry {
    pub case: Case,
    pub pass: Pass,
    pub n: usize,
    pub found: Result<Cost, String>,
}

impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (name, pass) = (self.case.name(), self.pass.name());
        write!(f, "{name:<32} {pass:<21} N = {:<6}", self.n)?;
        match &self.found {
            Ok(cost) => write!(
                f,
                "{:10.2} ms {:9.1} MiB",
                cost.milliseconds,
                mebibytes(cost)
            ),
            Err(reason) => write!(f, " {reason}"),
        }
    }
}

/// A whole run.
pub struct Report {
    device: &'static str,
    lengths: Vec<usize>,
    entries: Vec<Entry>,
}

impl Report {
    pub fn new(device: &'static str, lengths: &[usize]) -> Self {
        Self {
            device,
            lengths: lengths.to_vec(),
            entries: Vec::new(),
        }
    }

    pub fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    fn names(&self) -> Vec<Case> {
        let mut cases: Vec<Case> = Vec::new();
        for entry in &self.entries {
            if !cases.contains(&entry.case) {
                cases.push(entry.case);
            }
        }
        cases
    }

    fn entry(&self, name: &str, pass: Pass, n: usize) -> Option<&Entry> {
        let is_it = |of: &&Entry| (of.case.name() == name) && (of.pass, of.n) == (pass, n);
        self.entries.iter().find(is_it)
    }

    fn cost(&self, name: &str, pass: Pass, n: usize) -> Option<Cost> {
        self.entry(name, pass, n)?.found.as_ref().ok().copied()
    }

    /// Time and memory by length, and from where on each mechanism is faster than fused softmax.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for pass in Pass::ALL {
            for (what, shown) in [
                (
                    "milliseconds",
                    (|cost| cost.milliseconds) as fn(&Cost) -> f64,
                ),
                ("MiB held at most beside the inputs", mebibytes),
            ] {
                let heads = self
                    .lengths
                    .iter()
                    .map(|n| (format!("N = {n}"), Align::Right));
                let first = [(pass.name().to_owned(), Align::Left)];
                let mut table = Table::new(first.into_iter().chain(heads));
                for case in self.names() {
                    let name = case.name();
                    let mut cells = vec![name.clone()];
                    for &n in &self.lengths {
                        cells.push(match self.entry(&name, pass, n).map(|of| &of.found) {
                            Some(Ok(cost)) => format!("{:.1}", shown(cost)),
                            Some(Err(reason)) => reason.clone(),
                            None => "–".to_owned(),
                        });
                    }
                    table.push(cells);
                }
                let _ = write!(text, "{}: {what}\n\n{}\n", pass.name(), table.to_markdown());
            }
        }
        for pass in Pass::ALL {
            for case in self.names() {
                if case.config != MechanismConfig::SOFTMAX {
                    let _ = writeln!(text, "{}", self.crossing(case, pass));
                }
            }
        }
        text
    }

    /// From which length on a mechanism is faster than fused softmax at every length that both were run at.
    fn crossing(&self, case: Case, pass: Pass) -> String {
        let (name, peer) = (case.name(), case.peer());
        let pairs = self.lengths.iter().filter_map(|&n| {
            let of = |name: &str| Some(self.cost(name, pass, n)?.milliseconds);
            Some((n, of(&name)?, of(&peer)?))
        });
        let pairs: Vec<(usize, f64, f64)> = pairs.collect();
        let faster = pairs.iter().rev().take_while(|(_, ours, peer)| ours < peer);
        match (faster.last(), pairs.last()) {
            (Some((n, ours, peer)), _) => format!(
                "{name}, {}: faster than fused {peer_name} from N = {n} on ({ours:.1} and {peer:.1} ms there)",
                pass.name(),
                peer_name = case.peer()
            ),
            (None, Some((n, ours, peer))) => format!(
                "{name}, {}: not faster than fused {peer_name} up to N = {n} ({ours:.1} and {peer:.1} ms there)",
                pass.name(),
                peer_name = case.peer()
            ),
            (None, None) => format!("{name}, {}: not run beside fused softmax", pass.name()),
        }
    }

    /// `summary.csv` in the form of the attention bench, where what is forward alone has `/forward` in its name; its plot;
    /// and the table.
    pub fn write(&self, dir: &Path) -> std::io::Result<Vec<PathBuf>> {
        fs::create_dir_all(dir)?;
        let mut csv =
            "case,shape,p,dtype,device,ours_ms,peer_ms,ratio,peer,peak_bytes\n".to_owned();
        for entry in &self.entries {
            let Ok(cost) = &entry.found else { continue };
            let name = entry.case.name();
            let case = match entry.pass {
                Pass::Forward => format!("{name}/forward"),
                Pass::Both => name.clone(),
            };
            let peer = entry.case.peer();
            let beside = self
                .cost(&peer, entry.pass, entry.n)
                .filter(|_| peer != name);
            let (ms, ratio, peer) = match beside {
                Some(of) => (
                    format!("{:.3}", of.milliseconds),
                    format!("{:.2}", of.milliseconds / cost.milliseconds),
                    format!("\"{peer}\""),
                ),
                None => Default::default(),
            };
            let _ = writeln!(
                csv,
                "\"{case}\",{},0,f32,{},{:.3},{ms},{ratio},{peer},{:.0}",
                Case::shape(entry.n),
                self.device,
                cost.milliseconds,
                cost.bytes
            );
        }
        let summary = dir.join("summary.csv");
        fs::write(&summary, csv)?;
        let table = dir.join("mechanisms.md");
        fs::write(&table, self.table())?;
        let plots = sparta_results::bench::plot(&summary).map_err(std::io::Error::other)?;
        Ok([summary, table].into_iter().chain(plots).collect())
    }
}

fn mebibytes(cost: &Cost) -> f64 {
    cost.bytes / f64::from(1 << 20)
}
