//! The files of a run: summary.csv, raw.csv (every round), arithmetic.csv, log.txt (what was printed), versions.txt.
//!
//! They are written after every case. What a folder has of other cases stays there.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sparta_experiments::version;

use crate::arithmetic::Arithmetic;
use crate::options::Options;

/// A case against a peer, in tokens a second by round.
pub struct Row {
    case: &'static str,
    shape: String,
    /// Empty where there is none.
    pub peer: String,
    pub ours: Vec<f64>,
    pub theirs: Vec<f64>,
}

impl Row {
    pub fn new(case: &'static str, shape: &str, peer: &str) -> Self {
        Self {
            case,
            shape: shape.to_owned(),
            peer: peer.to_owned(),
            ours: Vec::new(),
            theirs: Vec::new(),
        }
    }

    fn ratio(&self) -> Option<f64> {
        (!self.theirs.is_empty()).then(|| median(&self.ours) / median(&self.theirs))
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (case, shape) = (self.case, &self.shape);
        write!(f, "{case:<28} {shape:<10} ours {}", spread(&self.ours))?;
        match self.ratio() {
            Some(ratio) => write!(f, "   {} {}   {ratio:.2}x", self.peer, spread(&self.theirs)),
            None => Ok(()),
        }
    }
}

/// `6500 (6400–6600)`: the median, the least and the most.
fn spread(rates: &[f64]) -> String {
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rates.iter().copied().fold(0.0, f64::max);
    format!("{:.0} ({least:.0}-{most:.0})", median(rates))
}

/// A whole run.
pub struct Report {
    pub rows: Vec<Row>,
    pub arithmetic: Vec<(&'static str, Arithmetic)>,
    device: String,
    versions: Vec<String>,
    said: String,
    out: Option<PathBuf>,
}

impl Report {
    pub fn new(options: &Options) -> Self {
        let ours = version::versions().into_iter();
        let ours = ours.map(|(name, version)| format!("{name} {version}"));
        Self {
            rows: Vec::new(),
            arithmetic: Vec::new(),
            device: options.choice.to_string(),
            versions: ours
                .chain([format!("threads used {}", options.threads)])
                .collect(),
            said: String::new(),
            out: options.out.clone(),
        }
    }

    /// What a peer says of itself, each line once.
    pub fn add_versions(&mut self, text: &str) {
        for line in text.lines() {
            if !self.versions.iter().any(|known| known == line) {
                self.versions.push(line.to_owned());
            }
        }
    }

    /// Prints a line, and keeps it.
    pub fn say(&mut self, line: &str) {
        println!("{line}");
        self.said += line;
        self.said.push('\n');
    }

    /// Writes the files, if a folder was asked for.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self) -> Result<()> {
        let Some(dir) = &self.out else {
            return Ok(());
        };
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let mut summary = String::from("case,shape,p,dtype,device,ours,peer_value,ratio,peer\n");
        let mut raw = String::from("case,shape,device,peer,who,round,tokens_per_second\n");
        summary += &self.of_other_cases(dir, "summary.csv");
        raw += &self.of_other_cases(dir, "raw.csv");
        let device = &self.device;
        for row in &self.rows {
            let (case, shape, peer) = (row.case, &row.shape, &row.peer);
            let (theirs, ratio) = match row.ratio() {
                Some(ratio) => (format!("{:.1}", median(&row.theirs)), format!("{ratio:.3}")),
                None => Default::default(),
            };
            let ours = median(&row.ours);
            summary +=
                &format!("{case},{shape},0,f32,{device},{ours:.1},{theirs},{ratio},{peer}\n");
            for (who, rates) in [("ours", &row.ours), ("peer", &row.theirs)] {
                for (round, rate) in rates.iter().enumerate() {
                    raw += &format!("{case},{shape},{device},{peer},{who},{round},{rate:.1}\n");
                }
            }
        }
        let mut arithmetic = String::from(
            "case,mflop_per_token,matmul_gflops,ours_gflops,peer_gflops,ours_share,peer_share\n",
        );
        arithmetic += &self.of_other_cases(dir, "arithmetic.csv");
        for (case, of) in &self.arithmetic {
            arithmetic += &format!(
                "{case},{:.3},{:.1},{:.1},{:.1},{:.3},{:.3}\n",
                of.flop_per_token / 1e6,
                of.matmul,
                of.ours,
                of.theirs,
                of.ours / of.matmul,
                of.theirs / of.matmul
            );
        }
        let files = [
            ("summary.csv", summary),
            ("raw.csv", raw),
            ("arithmetic.csv", arithmetic),
            ("log.txt", self.of_other_cases(dir, "log.txt") + &self.said),
            ("versions.txt", self.versions_with_those_before(dir)),
        ];
        for (name, content) in files {
            let path = dir.join(name);
            std::fs::write(&path, content).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    /// The lines of a file, but for its head, that begin with another case than this run has measured.
    fn of_other_cases(&self, dir: &Path, name: &str) -> String {
        let before = std::fs::read_to_string(dir.join(name)).unwrap_or_default();
        let is_other = |line: &&str| {
            let case = line.split([',', ':', ' ']).next().unwrap_or_default();
            case.contains('/') && self.rows.iter().all(|row| row.case != case)
        };
        let lines = before.lines().filter(is_other);
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// What the cases of the folder were measured with: each line once.
    fn versions_with_those_before(&self, dir: &Path) -> String {
        let before = std::fs::read_to_string(dir.join("versions.txt")).unwrap_or_default();
        let mut lines: Vec<&str> = before.lines().collect();
        for line in &self.versions {
            if !lines.contains(&line.as_str()) {
                lines.push(line);
            }
        }
        lines.join("\n") + "\n"
    }
}

/// The middle, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => 0.5 * (values[middle - 1] + values[middle]),
        _ => values[middle],
    }
}
